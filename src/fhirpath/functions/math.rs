//! Math (FHIRPath 2.0 5.7). What decimals cannot say exactly is counted in binary fractions.

use super::super::ast::Call;
use super::super::decimal::Decimal;
use super::super::eval::{Env, EvalError, Evaluated, Evaluator, Fault};
use super::super::operators::one;
use super::super::quantity::Quantity;
use super::super::value::{Item, System};
use super::Function as F;

pub fn call<'a>(ev: &Evaluator<'_, 'a>, call: &Call, input: &[Item<'a>], env: Env<'_, 'a>) -> Evaluated<'a> {
    let name = call.function.name();
    let Some(item) = one(input, name)? else { return Ok(vec![]) };
    let types = || EvalError::of(Fault::Types, name);
    let system = item.system().ok_or_else(types)?;
    if let (System::Quantity(quantity), F::Abs) = (&system, call.function) {
        return Ok(vec![Item::System(System::Quantity(Quantity::new(quantity.value.abs(), &quantity.unit)))]);
    }
    let value = system.decimal().ok_or_else(types)?;
    let argument = match call.arguments.first() {
        None => None,
        Some(argument) => {
            let found = ev.eval(argument, env)?;
            match one(&found, name)? {
                None => return Ok(vec![]),
                Some(item) => Some(item.system().and_then(|s| s.decimal()).ok_or_else(types)?),
            }
        }
    };
    let whole = |value: Decimal| value.to_int().map(System::Integer);
    let float = |value: f64| Decimal::from_f64(value).map(System::Decimal);
    let found = match call.function {
        F::Abs => match system {
            System::Integer(value) => value.checked_abs().map(System::Integer),
            _ => Some(System::Decimal(value.abs())),
        },
        F::Ceiling => whole(value.ceiling()),
        F::Floor => whole(value.floor()),
        F::Truncate => whole(value.truncated()),
        F::Round => {
            let digits = argument.map_or(Some(0), |a| a.to_int().and_then(|i| u32::try_from(i).ok()));
            Some(System::Decimal(value.rounded_to(digits.ok_or_else(types)?)))
        }
        F::Exp => float(value.to_f64().exp()),
        F::Ln => float(value.to_f64().ln()),
        F::Sqrt => float(value.to_f64().sqrt()),
        F::Log => argument.and_then(|base| float(value.to_f64().ln() / base.to_f64().ln())),
        F::Power => argument.and_then(|exponent| power(&system, value, exponent)),
        _ => None,
    };
    Ok(found.map(Item::System).into_iter().collect())
}

fn power(system: &System, value: Decimal, exponent: Decimal) -> Option<System> {
    if let (Some(count), false) =
        (exponent.to_int().and_then(|i| u32::try_from(i).ok()), exponent.is_negative())
    {
        let mut product = Some(Decimal::from_int(1));
        for _ in 0..count.min(1024) {
            product = product.and_then(|p| p.mul(value));
        }
        if let Some(product) = product {
            return match system {
                System::Integer(_) => product.to_int().map(System::Integer),
                _ => Some(System::Decimal(product)),
            };
        }
    }
    Decimal::from_f64(value.to_f64().powf(exponent.to_f64())).map(System::Decimal)
}
