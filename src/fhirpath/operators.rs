//! Operators (FHIRPath 2.0 6).

use super::ast::Op;
use super::decimal::Decimal;
use super::equality::{equal, equivalent, holds};
use super::eval::{EvalError, Fault};
use super::quantity::Quantity;
use super::value::{Collection, Item, System};
use std::cmp::Ordering;

/// All but the logical ones, which do not always need their right side.
pub fn binary<'a>(
    op: Op,
    left: Collection<'a>,
    right: Collection<'a>,
    offset: i32,
) -> Result<Collection<'a>, EvalError> {
    let truth = |value: Option<bool>| value.map(Item::boolean).into_iter().collect();
    match op {
        Op::Union => Ok(union(left, right, offset)),
        Op::Equal => Ok(truth(collections_equal(&left, &right, offset))),
        Op::NotEqual => Ok(truth(collections_equal(&left, &right, offset).map(|same| !same))),
        Op::Equivalent => Ok(truth(Some(collections_equivalent(&left, &right, offset)))),
        Op::NotEquivalent => Ok(truth(Some(!collections_equivalent(&left, &right, offset)))),
        Op::In | Op::Contains => {
            let (item, list) = if op == Op::In { (&left, &right) } else { (&right, &left) };
            Ok(truth(one(item, op.name())?.map(|item| holds(list, item, offset))))
        }
        Op::Less | Op::LessOrEqual | Op::Greater | Op::GreaterOrEqual => {
            let (Some(a), Some(b)) = (one(&left, op.name())?, one(&right, op.name())?) else {
                return Ok(vec![]);
            };
            let order = compare(a, b, offset).ok_or_else(|| EvalError::of(Fault::Types, op.name()))?;
            Ok(truth(order.map(|order| match op {
                Op::Less => order == Ordering::Less,
                Op::LessOrEqual => order != Ordering::Greater,
                Op::Greater => order == Ordering::Greater,
                _ => order != Ordering::Less,
            })))
        }
        Op::Concatenate => {
            let text = |list: &Collection<'a>| {
                Ok(one(list, "&")?.map_or_else(|| Some(String::new()), Item::to_text))
            };
            match (text(&left)?, text(&right)?) {
                (Some(a), Some(b)) => Ok(vec![Item::string(a + &b)]),
                _ => Err(EvalError::of(Fault::Types, "&")),
            }
        }
        Op::Add | Op::Subtract | Op::Multiply | Op::Divide | Op::Div | Op::Mod => {
            let (Some(a), Some(b)) = (one(&left, op.name())?, one(&right, op.name())?) else {
                return Ok(vec![]);
            };
            arithmetic(op, a, b)
        }
        Op::And | Op::Or | Op::Xor | Op::Implies => Ok(vec![]),
    }
}

/// The one item of a collection that may have one at most.
pub fn one<'i, 'a>(list: &'i [Item<'a>], whose: &'static str) -> Result<Option<&'i Item<'a>>, EvalError> {
    match list {
        [] => Ok(None),
        [item] => Ok(Some(item)),
        _ => Err(EvalError::of(Fault::Many, whose)),
    }
}

/// A collection where a Boolean is due (FHIRPath 2.0 4.5): one item that is no Boolean counts as true.
pub fn truth(list: &[Item<'_>], whose: &'static str) -> Result<Option<bool>, EvalError> {
    Ok(one(list, whose)?.map(|item| item.as_bool().unwrap_or(true)))
}

/// Three-valued logic (FHIRPath 2.0 6.5).
pub fn logic(op: Op, a: Option<bool>, b: Option<bool>) -> Option<bool> {
    match op {
        Op::And => match (a, b) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), Some(true)) => Some(true),
            _ => None,
        },
        Op::Or => match (a, b) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (Some(false), Some(false)) => Some(false),
            _ => None,
        },
        Op::Xor => Some(a? != b?),
        Op::Implies => match (a, b) {
            (Some(false), _) | (_, Some(true)) => Some(true),
            (Some(true), b) => b,
            _ => None,
        },
        _ => None,
    }
}

pub fn union<'a>(left: Collection<'a>, right: Collection<'a>, offset: i32) -> Collection<'a> {
    let mut out: Collection<'a> = Vec::with_capacity(left.len() + right.len());
    for item in left.into_iter().chain(right) {
        if !holds(&out, &item, offset) {
            out.push(item);
        }
    }
    out
}

fn collections_equal(left: &[Item<'_>], right: &[Item<'_>], offset: i32) -> Option<bool> {
    if left.is_empty() || right.is_empty() {
        return None;
    }
    if left.len() != right.len() {
        return Some(false);
    }
    let mut open = false;
    for (a, b) in left.iter().zip(right) {
        match equal(a, b, offset) {
            Some(true) => {}
            Some(false) => return Some(false),
            None => open = true,
        }
    }
    (!open).then_some(true)
}

fn collections_equivalent(left: &[Item<'_>], right: &[Item<'_>], offset: i32) -> bool {
    if left.len() != right.len() {
        return false;
    }
    let mut free: Vec<&Item<'_>> = right.iter().collect();
    left.iter().all(|a| match free.iter().position(|b| equivalent(a, b, offset)) {
        Some(at) => {
            free.swap_remove(at);
            true
        }
        None => false,
    })
}

/// `None`: of types that have no order among them. `Some(None)`: not to be decided.
pub fn compare(a: &Item<'_>, b: &Item<'_>, offset: i32) -> Option<Option<Ordering>> {
    match (a.system()?, b.system()?) {
        (System::String(x), System::String(y)) => Some(Some(x.cmp(&y))),
        (System::Temporal(x), System::Temporal(y)) => {
            use super::temporal::TemporalKind::Time;
            ((x.kind == Time) == (y.kind == Time)).then(|| x.compare(y, offset))
        }
        (x, y) => match (x.decimal(), y.decimal()) {
            (Some(x), Some(y)) => Some(Some(x.cmp(&y))),
            _ => Some(x.quantity()?.compare(&*y.quantity()?, false)),
        },
    }
}

fn arithmetic<'a>(op: Op, a: &Item<'a>, b: &Item<'a>) -> Result<Collection<'a>, EvalError> {
    let types = || EvalError::of(Fault::Types, op.name());
    let (Some(x), Some(y)) = (a.system(), b.system()) else { return Err(types()) };
    let found = match (&x, &y) {
        (System::String(x), System::String(y)) if op == Op::Add => {
            Some(System::String(format!("{x}{y}").into()))
        }
        (System::Integer(x), System::Integer(y)) => integers(op, *x, *y),
        (System::Temporal(moment), System::Quantity(step)) if matches!(op, Op::Add | Op::Subtract) => {
            let unit = step.step().ok_or_else(types)?;
            let amount = if op == Op::Add { step.value } else { step.value.negated() };
            moment.plus(amount, unit).map(System::Temporal)
        }
        _ => match (x.decimal(), y.decimal()) {
            (Some(x), Some(y)) => decimals(op, x, y),
            _ => {
                let (Some(x), Some(y)) = (x.quantity(), y.quantity()) else { return Err(types()) };
                quantities(op, &x, &y).ok_or_else(types)?
            }
        },
    };
    Ok(found.map(Item::System).into_iter().collect())
}

fn integers(op: Op, a: i64, b: i64) -> Option<System> {
    Some(System::Integer(match op {
        Op::Add => a.checked_add(b)?,
        Op::Subtract => a.checked_sub(b)?,
        Op::Multiply => a.checked_mul(b)?,
        Op::Div => a.checked_div(b)?,
        Op::Mod => a.checked_rem(b)?,
        _ => return decimals(op, Decimal::from_int(a), Decimal::from_int(b)),
    }))
}

fn decimals(op: Op, a: Decimal, b: Decimal) -> Option<System> {
    match op {
        Op::Add => a.add(b).map(System::Decimal),
        Op::Subtract => a.sub(b).map(System::Decimal),
        Op::Multiply => a.mul(b).map(System::Decimal),
        Op::Divide => a.div(b).map(System::Decimal),
        Op::Div => a.quotient(b)?.to_int().map(System::Integer),
        Op::Mod => a.remainder(b).map(System::Decimal),
        _ => None,
    }
}

/// Outer `None`: not defined; inner: it has no result.
fn quantities(op: Op, a: &Quantity, b: &Quantity) -> Option<Option<System>> {
    let found = match op {
        Op::Add => a.plus(b, false),
        Op::Subtract => a.plus(b, true),
        Op::Multiply => a.times(b),
        Op::Divide => a.over(b),
        _ => return None,
    };
    Some(found.map(System::Quantity))
}
