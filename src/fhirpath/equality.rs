//! Sameness (FHIRPath 2.0 6.1): `=` is exact and may be neither; `~` is forgiving and always decides.

use super::decimal::Decimal;
use super::json::Json;
use super::r4::Kind;
use super::value::{Item, Node, System};
use std::cmp::Ordering;

/// `a = b` of two items. `None`: not to be decided.
pub fn equal(a: &Item<'_>, b: &Item<'_>, offset: i32) -> Option<bool> {
    if let (Some(x), Some(y)) = (plain_text(a), plain_text(b)) {
        return Some(x == y);
    }
    match (a.system(), b.system()) {
        (Some(x), Some(y)) => system_equal(&x, &y, offset),
        (None, None) => match (a, b) {
            (Item::Node(x), Item::Node(y)) => Some(deep(x, y, false)),
            (Item::TypeInfo { namespace: n, name: x }, Item::TypeInfo { namespace: m, name: y }) => {
                Some(n == m && x == y)
            }
            _ => Some(false),
        },
        _ => Some(false),
    }
}

/// `a ~ b` of two items.
pub fn equivalent(a: &Item<'_>, b: &Item<'_>, offset: i32) -> bool {
    match (a.system(), b.system()) {
        (Some(x), Some(y)) => system_equivalent(&x, &y, offset),
        (None, None) => match (a, b) {
            (Item::Node(x), Item::Node(y)) => deep(x, y, true),
            _ => false,
        },
        _ => false,
    }
}

/// Whether `list` has an item equal to `item`.
pub fn holds(list: &[Item<'_>], item: &Item<'_>, offset: i32) -> bool {
    list.iter().any(|other| equal(other, item, offset) == Some(true))
}

/// Texts that are no moments compare as they stand; a moment beside a written text does, too.
fn plain_text<'i>(item: &'i Item<'_>) -> Option<&'i str> {
    match item {
        Item::Node(node) if matches!(node.type_name(), "date" | "dateTime" | "instant" | "time") => None,
        _ => item.as_str(),
    }
}

fn system_equal(a: &System, b: &System, offset: i32) -> Option<bool> {
    match (a, b) {
        (System::Boolean(x), System::Boolean(y)) => Some(x == y),
        (System::String(x), System::String(y)) => Some(x == y),
        (System::Temporal(x), System::Temporal(y)) => {
            use super::temporal::TemporalKind::Time;
            if (x.kind == Time) != (y.kind == Time) {
                return Some(false);
            }
            x.compare(*y, offset).map(|order| order == Ordering::Equal)
        }
        // A moment read from an element against one written as text.
        (System::Temporal(x), System::String(y)) | (System::String(y), System::Temporal(x)) => {
            Some(x.to_string() == **y)
        }
        _ => match (a.decimal(), b.decimal()) {
            (Some(x), Some(y)) => Some(x == y),
            _ => match (a.quantity(), b.quantity()) {
                (Some(x), Some(y)) => x.compare(&y, false).map(|order| order == Ordering::Equal),
                _ => Some(false),
            },
        },
    }
}

fn system_equivalent(a: &System, b: &System, offset: i32) -> bool {
    match (a, b) {
        (System::String(x), System::String(y)) => folded(x) == folded(y),
        (System::Temporal(x), System::Temporal(y)) => x.equivalent(*y, offset),
        _ => match (a.decimal(), b.decimal()) {
            (Some(x), Some(y)) => close(x, y),
            _ => match (a.quantity(), b.quantity()) {
                (Some(x), Some(y)) => match x.converted(&y.unit) {
                    Some(x) => close(x.value, y.value),
                    None => false,
                },
                _ => system_equal(a, b, offset) == Some(true),
            },
        },
    }
}

/// Equal at the precision of the less precise.
fn close(a: Decimal, b: Decimal) -> bool {
    let scale = a.trimmed().scale().min(b.trimmed().scale());
    a.rounded_to(scale) == b.rounded_to(scale)
}

/// Without case, white space made one blank.
fn folded(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

fn deep(a: &Node<'_>, b: &Node<'_>, loosely: bool) -> bool {
    // Elements of two types are two things, whatever they say (FHIRPath 2.0 6.1.1); a part has no type elsewhere.
    if let (Some(x), Some(y)) = (a.of, b.of)
        && x.id != y.id
        && x.kind != Kind::Part
    {
        return false;
    }
    let same = |x: Option<&Json>, y: Option<&Json>| match (x, y) {
        (Some(x), Some(y)) => json_equal(x, y, loosely),
        (None, None) => true,
        _ => false,
    };
    same(a.json, b.json) && same(a.beside, b.beside)
}

/// JSON alike: members in any order, numbers by value.
pub fn json_equal(a: &Json, b: &Json, loosely: bool) -> bool {
    match (a, b) {
        (Json::Object(x), Json::Object(y)) => {
            x.len() == y.len()
                && x.iter()
                    .all(|(key, value)| y.get(key).is_some_and(|other| json_equal(value, other, loosely)))
        }
        (Json::List(x), Json::List(y)) if loosely => {
            x.len() == y.len() && x.iter().all(|item| y.iter().any(|other| json_equal(item, other, loosely)))
        }
        (Json::List(x), Json::List(y)) => {
            x.len() == y.len() && x.iter().zip(y).all(|(item, other)| json_equal(item, other, loosely))
        }
        (Json::Number(x), Json::Number(y)) => {
            x == y || matches!((Decimal::parse(x), Decimal::parse(y)), (Some(x), Some(y)) if x == y)
        }
        (Json::Text(x), Json::Text(y)) if loosely => folded(x) == folded(y),
        _ => a == b,
    }
}
