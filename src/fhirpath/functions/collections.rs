//! Existence, filtering, subsetting, combining (FHIRPath 2.0 5.1-5.4), `aggregate` and `not`.

use super::super::ast::{Call, Expr, TypeName};
use super::super::equality::holds;
use super::super::eval::{Env, EvalError, Evaluated, Evaluator, Fault, is_of};
use super::super::operators::{one, truth, union};
use super::super::value::{Collection, Item, System};
use super::Function as F;

pub fn call<'a>(
    ev: &Evaluator<'_, 'a>,
    call: &Call,
    input: Collection<'a>,
    env: Env<'_, 'a>,
) -> Evaluated<'a> {
    let offset = ev.context.offset;
    let boolean = |value: bool| Ok(vec![Item::boolean(value)]);
    match call.function {
        F::Empty => boolean(input.is_empty()),
        F::Exists => match call.arguments.first() {
            None => boolean(!input.is_empty()),
            Some(criteria) => {
                for (index, item) in input.iter().enumerate() {
                    if holds_for(ev, criteria, item, index, "exists")? == Some(true) {
                        return boolean(true);
                    }
                }
                boolean(false)
            }
        },
        F::All => {
            for (index, item) in input.iter().enumerate() {
                if holds_for(ev, argument(call, 0)?, item, index, "all")? != Some(true) {
                    return boolean(false);
                }
            }
            boolean(true)
        }
        F::AllTrue => boolean(booleans(&input, "allTrue")?.into_iter().all(|b| b)),
        F::AnyTrue => boolean(booleans(&input, "anyTrue")?.into_iter().any(|b| b)),
        F::AllFalse => boolean(booleans(&input, "allFalse")?.into_iter().all(|b| !b)),
        F::AnyFalse => boolean(booleans(&input, "anyFalse")?.into_iter().any(|b| !b)),
        F::SubsetOf | F::SupersetOf => {
            let other = ev.eval(argument(call, 0)?, env)?;
            ev.step(input.len() * other.len())?;
            let (small, large) =
                if call.function == F::SubsetOf { (&input, &other) } else { (&other, &input) };
            boolean(small.iter().all(|item| holds(large, item, offset)))
        }
        F::Count => Ok(vec![Item::integer(i64::try_from(input.len()).unwrap_or(i64::MAX))]),
        F::Distinct => {
            ev.step(input.len() * input.len() / 2)?;
            Ok(union(input, vec![], offset))
        }
        F::IsDistinct => {
            let count = input.len();
            ev.step(count * count / 2)?;
            boolean(union(input, vec![], offset).len() == count)
        }
        F::Where => {
            let criteria = argument(call, 0)?;
            let mut out = vec![];
            for (index, item) in input.into_iter().enumerate() {
                if holds_for(ev, criteria, &item, index, "where")? == Some(true) {
                    out.push(item);
                }
            }
            Ok(out)
        }
        F::Select => {
            let projection = argument(call, 0)?;
            let mut out = vec![];
            for (index, item) in input.iter().enumerate() {
                let this = std::slice::from_ref(item);
                out.extend(ev.eval(projection, Env { this, index: Some(index), total: env.total })?);
            }
            Ok(out)
        }
        F::Repeat => repeat(ev, argument(call, 0)?, input, env),
        F::OfType => {
            let what = type_of(call)?;
            Ok(input.into_iter().filter(|item| is_of(item, what)).collect())
        }
        F::Single => match input.len() {
            0 | 1 => Ok(input),
            _ => Err(EvalError::of(Fault::Many, "single")),
        },
        F::First => Ok(input.into_iter().take(1).collect()),
        F::Last => Ok(input.into_iter().next_back().into_iter().collect()),
        F::Tail => Ok(input.into_iter().skip(1).collect()),
        F::Skip | F::Take => {
            let count = ev.eval(argument(call, 0)?, env)?;
            let count = match one(&count, call.function.name())?.map(Item::system) {
                Some(Some(System::Integer(count))) => usize::try_from(count.max(0)).unwrap_or(usize::MAX),
                None => return Ok(vec![]),
                _ => return Err(EvalError::of(Fault::Types, call.function.name())),
            };
            Ok(if call.function == F::Skip {
                input.into_iter().skip(count).collect()
            } else {
                input.into_iter().take(count).collect()
            })
        }
        F::Intersect => {
            let other = ev.eval(argument(call, 0)?, env)?;
            ev.step(input.len() * other.len())?;
            let both = input.into_iter().filter(|item| holds(&other, item, offset)).collect();
            Ok(union(both, vec![], offset))
        }
        F::Exclude => {
            let other = ev.eval(argument(call, 0)?, env)?;
            ev.step(input.len() * other.len())?;
            Ok(input.into_iter().filter(|item| !holds(&other, item, offset)).collect())
        }
        F::Union => {
            let other = ev.eval(argument(call, 0)?, env)?;
            ev.step(input.len() * other.len())?;
            Ok(union(input, other, offset))
        }
        F::Combine => {
            let mut out = input;
            out.extend(ev.eval(argument(call, 0)?, env)?);
            Ok(out)
        }
        F::Aggregate => {
            let mut total = match call.arguments.get(1) {
                Some(start) => ev.eval(start, env)?,
                None => vec![],
            };
            for (index, item) in input.iter().enumerate() {
                let this = std::slice::from_ref(item);
                total = ev.eval(argument(call, 0)?, Env { this, index: Some(index), total: Some(&total) })?;
            }
            Ok(total)
        }
        F::Not => Ok(truth(&input, "not")?.map(|value| Item::boolean(!value)).into_iter().collect()),
        other => Err(EvalError::of(Fault::Unknown, other.name())),
    }
}

/// The argument at that place; the parser has counted them.
pub fn argument(call: &Call, at: usize) -> Result<&Expr, EvalError> {
    call.arguments.get(at).ok_or_else(|| EvalError::of(Fault::Unknown, call.function.name()))
}

pub fn type_of(call: &Call) -> Result<&TypeName, EvalError> {
    call.what.as_ref().ok_or_else(|| EvalError::of(Fault::Unknown, call.function.name()))
}

fn holds_for<'a>(
    ev: &Evaluator<'_, 'a>,
    criteria: &Expr,
    item: &Item<'a>,
    index: usize,
    whose: &'static str,
) -> Result<Option<bool>, EvalError> {
    let this = std::slice::from_ref(item);
    truth(&ev.eval(criteria, Env { this, index: Some(index), total: None })?, whose)
}

fn booleans(input: &[Item<'_>], whose: &'static str) -> Result<Vec<bool>, EvalError> {
    input.iter().map(|item| item.as_bool().ok_or_else(|| EvalError::of(Fault::Types, whose))).collect()
}

/// Until nothing new is found (FHIRPath 2.0 5.2.3).
fn repeat<'a>(
    ev: &Evaluator<'_, 'a>,
    projection: &Expr,
    input: Collection<'a>,
    env: Env<'_, 'a>,
) -> Evaluated<'a> {
    let mut out: Collection<'a> = vec![];
    let mut queue = input;
    while !queue.is_empty() {
        let mut next = vec![];
        for (index, item) in queue.iter().enumerate() {
            let this = std::slice::from_ref(item);
            for found in ev.eval(projection, Env { this, index: Some(index), total: env.total })? {
                ev.step(out.len())?;
                if !holds(&out, &found, ev.context.offset) {
                    out.push(found.clone());
                    next.push(found);
                }
            }
        }
        queue = next;
    }
    Ok(out)
}
