//! Decimals with the digits they were written with (FHIRPath 2.0 4.1.4): 28 digits and more, no binary fractions.

use std::cmp::Ordering;
use std::fmt;

/// `digits` × 10^-`scale`.
#[derive(Clone, Copy, Debug)]
pub struct Decimal {
    digits: i128,
    scale: u32,
}

/// Digits after the point that a division is carried to.
const DIVISION_SCALE: u32 = 16;
/// The most digits after the point of anything read.
const MAX_SCALE: u32 = 36;

#[expect(clippy::should_implement_trait, reason = "of the standard's operators each may have no result")]
impl Decimal {
    pub const fn from_int(value: i64) -> Self {
        Self { digits: value as i128, scale: 0 }
    }

    /// As JSON and FHIRPath write numbers, exponents included. `None` where it has more digits than fit.
    pub fn parse(text: &str) -> Option<Self> {
        let (number, exponent) = match text.find(['e', 'E']) {
            Some(at) => (&text[..at], text[at + 1..].parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (negative, number) = match number.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, number.strip_prefix('+').unwrap_or(number)),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() || (number.contains('.') && fraction.is_empty()) {
            return None;
        }
        let mut digits: i128 = 0;
        for byte in whole.bytes().chain(fraction.bytes()) {
            if !byte.is_ascii_digit() {
                return None;
            }
            digits = digits.checked_mul(10)?.checked_add(i128::from(byte - b'0'))?;
        }
        let scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
        let (digits, scale) = if scale < 0 {
            (digits.checked_mul(pow10(scale.unsigned_abs())?)?, 0)
        } else {
            (digits, scale.unsigned_abs())
        };
        if scale > MAX_SCALE {
            return None;
        }
        Some(Self { digits: if negative { -digits } else { digits }, scale })
    }

    pub fn from_f64(value: f64) -> Option<Self> {
        if !value.is_finite() {
            return None;
        }
        Self::parse(&format!("{value}")).map(Self::trimmed)
    }

    pub fn to_f64(self) -> f64 {
        self.to_string().parse().unwrap_or(f64::NAN)
    }

    /// The same value without zeros at the end.
    pub fn trimmed(mut self) -> Self {
        while self.scale > 0 && self.digits % 10 == 0 {
            self.digits /= 10;
            self.scale -= 1;
        }
        self
    }

    pub fn scale(self) -> u32 {
        self.scale
    }

    pub fn is_zero(self) -> bool {
        self.digits == 0
    }

    pub fn is_negative(self) -> bool {
        self.digits < 0
    }

    /// The value, where it is a whole number.
    pub fn to_int(self) -> Option<i64> {
        let me = self.trimmed();
        if me.scale == 0 { i64::try_from(me.digits).ok() } else { None }
    }

    pub fn negated(self) -> Self {
        Self { digits: -self.digits, ..self }
    }

    pub fn abs(self) -> Self {
        Self { digits: self.digits.saturating_abs(), ..self }
    }

    fn aligned(self, other: Self) -> Option<(i128, i128, u32)> {
        let scale = self.scale.max(other.scale);
        Some((
            self.digits.checked_mul(pow10(scale - self.scale)?)?,
            other.digits.checked_mul(pow10(scale - other.scale)?)?,
            scale,
        ))
    }

    pub fn add(self, other: Self) -> Option<Self> {
        let (a, b, scale) = self.aligned(other)?;
        Some(Self { digits: a.checked_add(b)?, scale })
    }

    pub fn sub(self, other: Self) -> Option<Self> {
        self.add(other.negated())
    }

    pub fn mul(self, other: Self) -> Option<Self> {
        let scale = self.scale + other.scale;
        let product = Self { digits: self.digits.checked_mul(other.digits)?, scale };
        Some(if scale > DIVISION_SCALE { product.trimmed() } else { product })
    }

    /// `None` by zero, and where the digits do not fit.
    pub fn div(self, other: Self) -> Option<Self> {
        if other.is_zero() {
            return None;
        }
        let (a, b) = (self.trimmed(), other.trimmed());
        let mut scale = DIVISION_SCALE;
        loop {
            // a/10^sa ÷ b/10^sb, carried to `scale` digits
            let shift = i64::from(scale) + i64::from(b.scale) - i64::from(a.scale);
            let (top, bottom) = if shift >= 0 {
                (a.digits.checked_mul(pow10(u32::try_from(shift).ok()?).unwrap_or(0)), Some(b.digits))
            } else {
                (Some(a.digits), b.digits.checked_mul(pow10(u32::try_from(-shift).ok()?)?))
            };
            match (top, bottom) {
                (Some(top), Some(bottom)) if top != 0 || a.is_zero() => {
                    return Some(Self { digits: rounded(top, bottom), scale }.trimmed());
                }
                _ if scale > 0 => scale -= 1,
                _ => return None,
            }
        }
    }

    /// The whole part of the quotient (`div`).
    pub fn quotient(self, other: Self) -> Option<Self> {
        let (a, b, _) = self.aligned(other)?;
        Some(Self { digits: a.checked_div(b)?, scale: 0 })
    }

    pub fn remainder(self, other: Self) -> Option<Self> {
        let (a, b, scale) = self.aligned(other)?;
        Some(Self { digits: a.checked_rem(b)?, scale }.trimmed())
    }

    pub fn floor(self) -> Self {
        let unit = pow10(self.scale).unwrap_or(1);
        Self { digits: self.digits.div_euclid(unit), scale: 0 }
    }

    pub fn ceiling(self) -> Self {
        self.negated().floor().negated()
    }

    pub fn truncated(self) -> Self {
        Self { digits: self.digits / pow10(self.scale).unwrap_or(1), scale: 0 }
    }

    /// Half away from zero, to that many digits after the point.
    pub fn rounded_to(self, scale: u32) -> Self {
        if scale >= self.scale {
            return self;
        }
        let Some(unit) = pow10(self.scale - scale) else { return Self { digits: 0, scale } };
        Self { digits: rounded(self.digits, unit), scale }
    }
}

fn pow10(power: u32) -> Option<i128> {
    10_i128.checked_pow(power)
}

fn rounded(top: i128, bottom: i128) -> i128 {
    let (quotient, rest) = (top / bottom, top % bottom);
    if rest.unsigned_abs() >= bottom.unsigned_abs().div_ceil(2) && rest != 0 {
        if (top < 0) == (bottom < 0) { quotient + 1 } else { quotient - 1 }
    } else {
        quotient
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Decimal {}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        match self.aligned(*other) {
            Some((a, b, _)) => a.cmp(&b),
            // Digits do not fit at one scale: the whole parts decide, and they do differ then.
            None => self.truncated().digits.cmp(&other.truncated().digits),
        }
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.scale == 0 {
            return write!(f, "{}", self.digits);
        }
        let digits = format!("{:0>width$}", self.digits.unsigned_abs(), width = self.scale as usize + 1);
        let (whole, fraction) = digits.split_at(digits.len() - self.scale as usize);
        write!(f, "{}{whole}.{fraction}", if self.digits < 0 { "-" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn d(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn digits_stay() {
        for text in ["1.00", "-0.5", "0.000001", "12345678901234567890.123456789", "0"] {
            assert_eq!(d(text).to_string(), text);
        }
        assert_eq!(d("1.5e3").to_string(), "1500");
        assert_eq!(d("15e-3").to_string(), "0.015");
        assert_eq!(Decimal::parse("1."), None);
        assert_eq!(Decimal::parse("1e99"), None);
    }

    #[test]
    fn counts_exactly() {
        assert_eq!(d("0.1").add(d("0.2")), Some(d("0.3")));
        assert_eq!(d("1").div(d("3")).unwrap().to_string(), "0.3333333333333333");
        assert_eq!(d("2").div(d("3")).unwrap().to_string(), "0.6666666666666667");
        assert_eq!(d("-7").quotient(d("2")).unwrap().to_string(), "-3");
        assert_eq!(d("5.5").remainder(d("0.7")).unwrap().to_string(), "0.6");
        assert_eq!(d("-1.1").floor().to_string(), "-2");
        assert_eq!(d("-1.1").ceiling().to_string(), "-1");
        assert_eq!(d("2.345").rounded_to(2).to_string(), "2.35");
        assert_eq!(d("-2.5").rounded_to(0).to_string(), "-3");
        assert_eq!(d("1").div(d("0")), None);
        assert_eq!(
            d("12345678901234567890").div(d("7")).unwrap().to_string(),
            "1763668414462081127.1428571428571429"
        );
        assert!(d("1.10") == d("1.1") && d("2") > d("1.999"));
    }
}
