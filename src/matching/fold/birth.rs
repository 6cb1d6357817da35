//! Birth dates: ISO digits, partial ones, and Japanese eras (和暦) from channels that have them.

use super::nfkc;

/// A date as far as it is known: 0 where it is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Birth {
    pub year: u16,
    pub month: u8,
    pub day: u8,
}

impl Birth {
    pub fn is_whole(self) -> bool {
        self.month != 0 && self.day != 0
    }

    /// `YYYYMMDD`, zeros where unknown.
    pub fn digits(self) -> [u8; 8] {
        let mut digits = [0; 8];
        let mut rest = u32::from(self.year) * 10_000 + u32::from(self.month) * 100 + u32::from(self.day);
        for digit in digits.iter_mut().rev() {
            *digit = (rest % 10) as u8;
            rest /= 10;
        }
        digits
    }
}

/// An era: its names, and the year before its first.
struct Era {
    names: [&'static str; 3],
    before: u16,
}

const ERAS: [Era; 5] = [
    Era { names: ["明治", "M", "明"], before: 1867 },
    Era { names: ["大正", "T", "大"], before: 1911 },
    Era { names: ["昭和", "S", "昭"], before: 1925 },
    Era { names: ["平成", "H", "平"], before: 1988 },
    Era { names: ["令和", "R", "令"], before: 2018 },
];

/// `YYYY[MM[DD…]]`, `YYYY-MM-DD`, `昭和55年3月2日`, `S55.3.2`, `H元.1.8`. None where there is no year.
///
/// Days that no calendar has are kept where they have eight digits: one of them is a typing error, and the others tell
/// as much as ever. An era date before the era's first day or far behind its end is read all the same: people write
/// 昭和64 for 平成元 and 平成31 for 令和元.
pub fn birth(text: &str) -> Option<Birth> {
    let text = nfkc(text.trim());
    let (before, rest) = era(&text);
    let rest = rest.replace('元', "1");
    let mut parts = rest.split(|c: char| !c.is_ascii_digit()).filter(|p| !p.is_empty());
    let first = parts.next()?;
    let date = match (before, first.len()) {
        (Some(before), 1..=2) => {
            let number = |p: Option<&str>| p.and_then(|p| p.parse().ok()).unwrap_or(0);
            let year = first.parse::<u16>().ok()?.checked_add(before)?;
            Birth { year, month: number(parts.next()), day: number(parts.next()) }
        }
        // S550302.
        (Some(before), 6) => Birth { year: digits(first, 0, 2)?.checked_add(before)?, ..month_day(first, 2) },
        (Some(_), _) => return None,
        (None, 4) => {
            let number =
                |p: Option<&str>| p.filter(|p| p.len() <= 2).and_then(|p| p.parse().ok()).unwrap_or(0);
            Birth { year: digits(first, 0, 4)?, month: number(parts.next()), day: number(parts.next()) }
        }
        (None, 6..) => Birth { year: digits(first, 0, 4)?, ..month_day(first, 4) },
        (None, _) => return None,
    };
    // 0000 and 9999 fill a field.
    (1850..=2200).contains(&date.year).then_some(match date {
        Birth { month: 0, year, .. } => Birth { year, month: 0, day: 0 },
        date => date,
    })
}

fn digits(text: &str, from: usize, to: usize) -> Option<u16> {
    text.get(from..to)?.parse().ok()
}

fn month_day(text: &str, from: usize) -> Birth {
    let two = |at: usize| digits(text, at, at + 2).unwrap_or(0) as u8;
    Birth { year: 0, month: two(from), day: two(from + 2) }
}

/// The year before the first of the era that `text` begins with, and what follows its name.
fn era(text: &str) -> (Option<u16>, &str) {
    for era in &ERAS {
        for name in era.names {
            let head = text.get(..name.len());
            if head.is_some_and(|h| h.eq_ignore_ascii_case(name)) {
                return (Some(era.before), &text[name.len()..]);
            }
        }
    }
    (None, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(year: u16, month: u8, day: u8) -> Option<Birth> {
        Some(Birth { year, month, day })
    }

    #[test]
    fn forms_are_one() {
        for sent in [
            "19800302",
            "1980-03-02",
            "1980/3/2",
            "198003021530",
            "１９８００３０２",
            "昭和55年3月2日",
            "S55.3.2",
            "s55/03/02",
            "昭55-3-2",
            "S550302",
            "昭和５５年３月２日",
            "1980年3月2日",
        ] {
            assert_eq!(birth(sent), date(1980, 3, 2), "{sent}");
        }
        assert_eq!(birth("明治45年7月29日"), date(1912, 7, 29));
        assert_eq!(birth("大正元年7月30日"), date(1912, 7, 30));
        assert_eq!(birth("昭和元年12月25日"), date(1926, 12, 25));
        assert_eq!(birth("平成元年1月8日"), date(1989, 1, 8));
        assert_eq!(birth("令和元年5月1日"), date(2019, 5, 1));
        assert_eq!(birth("R7.4.1"), date(2025, 4, 1));
        // Nobody stops to write 昭和 on the day.
        assert_eq!(birth("昭和64年1月8日"), date(1989, 1, 8));
    }

    #[test]
    fn partial_and_odd_dates() {
        assert_eq!(birth("1983"), date(1983, 0, 0));
        assert_eq!(birth("198306"), date(1983, 6, 0));
        assert_eq!(birth("19830000"), date(1983, 0, 0));
        assert_eq!(birth("19830600"), date(1983, 6, 0));
        assert_eq!(birth("19830231"), date(1983, 2, 31));
        for none in ["", "不詳", "00000000", "99991231", "12", "昭和"] {
            assert_eq!(birth(none), None, "{none}");
        }
    }
}
