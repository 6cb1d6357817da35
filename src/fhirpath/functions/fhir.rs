//! The tree, moments, types (FHIRPath 2.0 5.8, 5.9, 6.3) and what FHIR adds (FHIR R4 2.9.1.6.3).

use super::super::ast::Call;
use super::super::eval::{Env, EvalError, Evaluated, Evaluator, Fault, is_of};
use super::super::json::Json;
use super::super::operators::one;
use super::super::temporal::Temporal;
use super::super::value::{Collection, Item, Node, System};
use super::super::xhtml;
use super::Function as F;
use super::collections::{argument, type_of};

pub fn call<'a>(
    ev: &Evaluator<'_, 'a>,
    call: &Call,
    input: Collection<'a>,
    env: Env<'_, 'a>,
) -> Evaluated<'a> {
    let name = call.function.name();
    let boolean = |value: bool| Ok(vec![Item::boolean(value)]);
    let moment = |value: Temporal| Ok(vec![Item::System(System::Temporal(value))]);
    let now = || Temporal::at(ev.context.now, ev.context.offset);
    match call.function {
        F::Children => children(ev, &input),
        F::Descendants => {
            let mut out = vec![];
            let mut level = children(ev, &input)?;
            while !level.is_empty() {
                let next = children(ev, &level)?;
                out.append(&mut level);
                level = next;
            }
            Ok(out)
        }
        // Traces go nowhere: what they would show is a patient's.
        F::Trace => Ok(input),
        F::Now => moment(now()),
        F::Today => moment(now().to_date()),
        F::TimeOfDay => moment(now().to_time()),
        F::Is => {
            let what = type_of(call)?;
            Ok(one(&input, "is")?.map(|item| Item::boolean(is_of(item, what))).into_iter().collect())
        }
        F::As => {
            let what = type_of(call)?;
            one(&input, "as")?;
            Ok(input.into_iter().filter(|item| is_of(item, what)).collect())
        }
        F::Type => Ok(input
            .iter()
            .map(|item| {
                let (namespace, name) = item.type_info();
                Item::TypeInfo { namespace, name }
            })
            .collect()),
        F::Extension => {
            let url = ev.eval(argument(call, 0)?, env)?;
            let Some(url) = one(&url, name)?.and_then(Item::as_str).map(str::to_owned) else {
                return Ok(vec![]);
            };
            let mut all = vec![];
            for item in &input {
                if let Some(node) = item.node() {
                    node.children("extension", &mut all);
                }
            }
            all.retain(|item| {
                item.node().and_then(|node| node.json).and_then(|json| json.str("url")) == Some(url.as_str())
            });
            Ok(all)
        }
        F::HasValue => boolean(match &*input {
            [Item::Node(node)] => node.is_primitive() && node.json.is_some(),
            [Item::System(_) | Item::Text(_)] => true,
            _ => false,
        }),
        F::GetValue => Ok(match &*input {
            [Item::Node(node)] if node.is_primitive() => {
                node.system().map(Item::System).into_iter().collect()
            }
            [Item::System(_) | Item::Text(_)] => input,
            _ => vec![],
        }),
        F::Resolve => Ok(input.iter().filter_map(|item| resolve(ev, item)).map(Item::Node).collect()),
        F::MemberOf => {
            let set = ev.eval(argument(call, 0)?, env)?;
            let Some(set) = one(&set, name)?.and_then(Item::as_str).map(str::to_owned) else {
                return Ok(vec![]);
            };
            let Some(item) = one(&input, name)? else { return Ok(vec![]) };
            match member_of(ev, item, &set) {
                Some(found) => boolean(found),
                None => Err(EvalError::of(Fault::NotLoaded, &set)),
            }
        }
        F::ConformsTo => {
            let profile = ev.eval(argument(call, 0)?, env)?;
            let Some(profile) = one(&profile, name)?.and_then(Item::as_str).map(str::to_owned) else {
                return Ok(vec![]);
            };
            let Some(node) = one(&input, name)?.and_then(Item::node) else { return Ok(vec![]) };
            match ev.context.surroundings.conforms_to(node, &profile) {
                Some(found) => boolean(found),
                None => Err(EvalError::of(Fault::NotLoaded, &profile)),
            }
        }
        F::HtmlChecks => match one(&input, name)?.and_then(Item::as_str) {
            Some(text) => boolean(xhtml::check(text).is_ok()),
            None => boolean(input.is_empty()),
        },
        other => Err(EvalError::of(Fault::Unknown, other.name())),
    }
}

fn children<'a>(ev: &Evaluator<'_, 'a>, input: &[Item<'a>]) -> Evaluated<'a> {
    let mut out = vec![];
    for item in input {
        if let Some(node) = item.node() {
            node.all_children(&mut out);
        }
    }
    ev.step(out.len())?;
    Ok(out)
}

/// What a Reference, canonical or uri points at: contained, or around the resource.
fn resolve<'a>(ev: &Evaluator<'_, 'a>, item: &Item<'a>) -> Option<Node<'a>> {
    let node = item.node();
    let reference = match node.and_then(|node| node.json) {
        Some(Json::Object(object)) => object.get("reference")?.as_str()?,
        _ => item.as_str()?,
    };
    let owner = node.and_then(|node| node.owner);
    match reference.strip_prefix('#') {
        Some(id) => contained(owner?, id),
        None => ev.context.surroundings.resolve(reference, owner),
    }
}

/// The contained resource of that id; the container itself for `#` alone (FHIR R4 2.3.0.10).
pub fn contained<'a>(owner: &'a Json, id: &str) -> Option<Node<'a>> {
    if id.is_empty() {
        return Some(Node::resource(owner));
    }
    let found = owner.items("contained").iter().find(|resource| resource.str("id") == Some(id))?;
    Some(Node { owner: Some(owner), ..Node::resource(found) })
}

fn member_of(ev: &Evaluator<'_, '_>, item: &Item<'_>, set: &str) -> Option<bool> {
    let sets = ev.context.surroundings;
    let coding = |json: &Json| sets.member_of(set, json.str("system"), json.str("code")?);
    match item.node().and_then(|node| node.json) {
        Some(json @ Json::Object(object)) => match object.get("coding") {
            Some(Json::List(list)) => {
                let found: Vec<Option<bool>> = list.iter().map(coding).collect();
                if found.contains(&Some(true)) {
                    Some(true)
                } else if found.contains(&None) {
                    None
                } else {
                    Some(false)
                }
            }
            _ => coding(json),
        },
        _ => sets.member_of(set, None, item.as_str()?),
    }
}
