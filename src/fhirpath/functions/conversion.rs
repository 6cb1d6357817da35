//! Conversion (FHIRPath 2.0 5.5): what cannot be converted is empty.

use super::super::ast::Call;
use super::super::decimal::Decimal;
use super::super::eval::{Env, EvalError, Evaluated, Evaluator, Fault};
use super::super::operators::{one, truth};
use super::super::quantity::{Quantity, calendar_word};
use super::super::temporal::{Temporal, TemporalKind};
use super::super::value::{Collection, Item, System};
use super::Function as F;
use super::collections::argument;

pub fn call<'a>(
    ev: &Evaluator<'_, 'a>,
    call: &Call,
    input: Collection<'a>,
    env: Env<'_, 'a>,
) -> Evaluated<'a> {
    if call.function == F::Iif {
        let this = if call.of.is_some() { &input } else { env.this };
        let env = Env { this, ..env };
        return match truth(&ev.eval(argument(call, 0)?, env)?, "iif")? {
            Some(true) => ev.eval(argument(call, 1)?, env),
            _ => call.arguments.get(2).map_or_else(|| Ok(vec![]), |otherwise| ev.eval(otherwise, env)),
        };
    }
    let name = call.function.name();
    let unit = match call.arguments.first() {
        None => None,
        Some(argument) => {
            let found = ev.eval(argument, env)?;
            one(&found, name)?.and_then(Item::as_str).map(str::to_owned)
        }
    };
    let Some(item) = one(&input, name)? else { return Ok(vec![]) };
    let system = item.system();
    let converted = system.as_ref().and_then(|system| convert(call.function, system, item, unit.as_deref()));
    Ok(match call.function {
        F::ToBoolean
        | F::ToInteger
        | F::ToDate
        | F::ToDateTime
        | F::ToDecimal
        | F::ToQuantity
        | F::ToString
        | F::ToTime => converted.map(Item::System).into_iter().collect(),
        F::ConvertsToBoolean
        | F::ConvertsToInteger
        | F::ConvertsToDate
        | F::ConvertsToDateTime
        | F::ConvertsToDecimal
        | F::ConvertsToQuantity
        | F::ConvertsToString
        | F::ConvertsToTime => {
            vec![Item::boolean(converted.is_some())]
        }
        other => return Err(EvalError::of(Fault::Unknown, other.name())),
    })
}

fn convert(function: F, value: &System, item: &Item<'_>, unit: Option<&str>) -> Option<System> {
    let text = match value {
        System::String(text) => Some(&**text),
        _ => None,
    };
    match function {
        F::ToBoolean | F::ConvertsToBoolean => boolean(value).map(System::Boolean),
        F::ToInteger | F::ConvertsToInteger => match value {
            System::Integer(_) => Some(value.clone()),
            System::Boolean(value) => Some(System::Integer(i64::from(*value))),
            _ => text?.strip_prefix('+').unwrap_or(text?).parse().ok().map(System::Integer),
        },
        F::ToDecimal | F::ConvertsToDecimal => match value {
            System::Boolean(value) => Some(System::Decimal(Decimal::from_int(i64::from(*value)))),
            _ => value
                .decimal()
                .or_else(|| text.filter(|t| !t.contains(['e', 'E'])).and_then(Decimal::parse))
                .map(System::Decimal),
        },
        F::ToString | F::ConvertsToString => item.to_text().map(|text| System::String(text.into())),
        F::ToDate | F::ConvertsToDate => match value {
            System::Temporal(t) if t.kind != TemporalKind::Time => Some(System::Temporal(t.to_date())),
            _ => text
                .and_then(|t| Temporal::date(t).or_else(|| Temporal::date_time(t).map(Temporal::to_date)))
                .map(System::Temporal),
        },
        F::ToDateTime | F::ConvertsToDateTime => match value {
            System::Temporal(t) if t.kind != TemporalKind::Time => Some(System::Temporal(t.to_date_time())),
            _ => text.and_then(Temporal::date_time).map(System::Temporal),
        },
        F::ToTime | F::ConvertsToTime => match value {
            System::Temporal(t) if t.kind == TemporalKind::Time => Some(value.clone()),
            _ => text.and_then(Temporal::time).map(System::Temporal),
        },
        F::ToQuantity | F::ConvertsToQuantity => {
            let quantity = match value {
                System::Boolean(value) => Some(Quantity::new(Decimal::from_int(i64::from(*value)), "1")),
                System::String(text) => Quantity::parse(text),
                _ => value.quantity().map(|q| q.into_owned()),
            }?;
            match unit {
                None => Some(System::Quantity(quantity)),
                Some(unit) => quantity.converted(calendar_word(unit).unwrap_or(unit)).map(System::Quantity),
            }
        }
        _ => None,
    }
}

fn boolean(value: &System) -> Option<bool> {
    match value {
        System::Boolean(value) => Some(*value),
        System::Integer(0) => Some(false),
        System::Integer(1) => Some(true),
        System::Decimal(value) => match value.to_int() {
            Some(0) => Some(false),
            Some(1) => Some(true),
            _ => None,
        },
        System::String(text) => match text.to_lowercase().as_str() {
            "true" | "t" | "yes" | "y" | "1" | "1.0" => Some(true),
            "false" | "f" | "no" | "n" | "0" | "0.0" => Some(false),
            _ => None,
        },
        _ => None,
    }
}
