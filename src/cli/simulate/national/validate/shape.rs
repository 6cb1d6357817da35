//! FHIR itself: which elements a resource or data type has, whether they repeat, and of which type they are. The table
//! is `shapes.txt`.

use std::collections::HashMap;
use std::sync::OnceLock;

use serde_json::Value;

use super::at::At;
use super::{Level, Report, primitive};

/// An element of a shape.
struct Element {
    name: &'static str,
    /// Without `[x]`, its name is followed by the type's.
    choice: bool,
    needed: bool,
    repeats: bool,
    types: Vec<&'static str>,
}

type Shapes = HashMap<&'static str, Vec<Element>>;

fn shapes() -> &'static Shapes {
    static SHAPES: OnceLock<Shapes> = OnceLock::new();
    SHAPES.get_or_init(|| {
        let lines = include_str!("shapes.txt").lines().filter(|l| !l.starts_with('#'));
        lines
            .filter_map(|line| line.split_once(' '))
            .map(|(name, rest)| (name, rest.split(' ').filter_map(element).collect()))
            .collect()
    })
}

fn element(text: &'static str) -> Option<Element> {
    let (name, types) = text.split_once(':')?;
    let bare = name.trim_end_matches(['!', '*']);
    Some(Element {
        name: bare.trim_end_matches("[x]"),
        choice: bare.ends_with("[x]"),
        needed: name.contains('!'),
        repeats: name.contains('*'),
        types: types.split('|').collect(),
    })
}

/// What every resource may have besides its own elements.
const RESOURCE: [(&str, bool, &str); 8] = [
    ("id", false, "id"),
    ("meta", false, "Meta"),
    ("implicitRules", false, "uri"),
    ("language", false, "code"),
    ("text", false, "Narrative"),
    ("contained", true, "Resource"),
    ("extension", true, "Extension"),
    ("modifierExtension", true, "Extension"),
];

/// What every other element may have.
const ELEMENT: [(&str, bool, &str); 3] =
    [("id", false, "string"), ("extension", true, "Extension"), ("modifierExtension", true, "Extension")];

/// Looks at a resource and all below it; a Bundle within a Bundle is left to its own turn.
pub fn check(resource: &At, report: &mut Report) {
    let name = resource.resource_type();
    if let Some(shape) = shapes().get_key_value(name) {
        object(resource, shape.0, &RESOURCE, report);
    }
}

fn wrong(report: &mut Report, rule: &'static str, at: &str, message: String) {
    report.error(rule, at, message, Level::Structure);
}

fn object(at: &At, shape: &'static str, common: &[(&'static str, bool, &'static str)], report: &mut Report) {
    let (Some(elements), Some(members)) = (shapes().get(shape), at.value.as_object()) else {
        return wrong(report, "type", &at.path, format!("{shape} はオブジェクトでなければなりません。"));
    };
    if members.is_empty() {
        wrong(report, "empty", &at.path, "空のオブジェクトです。".into());
    }
    for (name, value) in members {
        let here = format!("{}.{name}", at.path);
        if name == "resourceType" && common.len() == RESOURCE.len() {
            continue;
        }
        // Extensions of a primitive stand under its name with an underscore.
        if let Some(of) = name.strip_prefix('_') {
            if find(elements, common, of).is_none() {
                wrong(report, "unknown-element", &here, format!("{shape} に {of} という要素はありません。"));
            }
            continue;
        }
        match find(elements, common, name) {
            None => {
                wrong(report, "unknown-element", &here, format!("{shape} に {name} という要素はありません。"))
            }
            Some((repeats, kind)) => member(&here, value, repeats, kind, shape, name, report),
        }
    }
    for element in elements {
        let names =
            || element.types.iter().filter(|t| members.contains_key(&chosen(element.name, t))).count();
        let extended = members.contains_key(&format!("_{}", element.name));
        let count = if element.choice {
            names()
        } else {
            usize::from(members.contains_key(element.name) || extended)
        };
        let here = format!("{}.{}", at.path, element.name);
        if element.needed && count == 0 {
            wrong(report, "card-min", &here, format!("{shape}.{} は必須です。", element.name));
        }
        if element.choice && count > 1 {
            wrong(report, "card-max", &here, format!("{shape}.{}[x] は1つだけ指定できます。", element.name));
        }
    }
}

/// `value` and `Quantity` make `valueQuantity`.
fn chosen(name: &str, kind: &str) -> String {
    let mut letters = kind.chars();
    let first = letters.next().map(|c| c.to_ascii_uppercase()).unwrap_or_default();
    format!("{name}{first}{}", letters.as_str())
}

fn find(
    elements: &'static [Element],
    common: &[(&'static str, bool, &'static str)],
    name: &str,
) -> Option<(bool, &'static str)> {
    for element in elements {
        let kind = match element.choice {
            false if element.name == name => element.types.first(),
            false => None,
            true => element.types.iter().find(|kind| chosen(element.name, kind) == name),
        };
        if let Some(kind) = kind {
            return Some((element.repeats, kind));
        }
    }
    common.iter().find(|(of, ..)| *of == name).map(|(_, repeats, kind)| (*repeats, *kind))
}

fn member(
    here: &str,
    value: &Value,
    repeats: bool,
    kind: &'static str,
    shape: &str,
    name: &str,
    report: &mut Report,
) {
    match (value, repeats) {
        (Value::Array(items), true) => {
            if items.is_empty() {
                wrong(report, "empty", here, "空の配列です。".into());
            }
            for (n, value) in items.iter().enumerate() {
                one(&At { path: format!("{here}[{n}]"), value }, kind, shape, name, report);
            }
        }
        (Value::Array(_), false) => wrong(report, "type", here, format!("{shape}.{name} は繰り返せません。")),
        (_, true) => wrong(report, "type", here, format!("{shape}.{name} は配列でなければなりません。")),
        (value, false) => one(&At { path: here.to_owned(), value }, kind, shape, name, report),
    }
}

fn one(at: &At, kind: &'static str, shape: &str, name: &str, report: &mut Report) {
    if let Some(good) = primitive::is(kind, at.value) {
        if !good {
            wrong(report, "type", &at.path, format!("{kind} 型の値として正しくありません。"));
        }
        return;
    }
    let backbone = format!("{shape}.{name}");
    match kind {
        "Resource" => match at.resource_type() {
            "" => wrong(report, "type", &at.path, "resourceType がありません。".into()),
            "Bundle" => {}
            _ => check(at, report),
        },
        "BackboneElement" => match shapes().get_key_value(backbone.as_str()) {
            Some((shape, _)) => object(at, shape, &ELEMENT, report),
            None if at.value.is_object() => {}
            None => {
                wrong(report, "type", &at.path, format!("{backbone} はオブジェクトでなければなりません。"))
            }
        },
        other => object(at, other.trim_start_matches('#'), &ELEMENT, report),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rules(resource: Value) -> Vec<String> {
        let mut report = Report::default();
        check(&At::root("R", &resource), &mut report);
        report.errors.iter().map(|p| format!("{} {}", p.rule, p.location)).collect()
    }

    #[test]
    fn every_type_a_shape_names_has_a_shape() {
        for (name, elements) in shapes() {
            for element in elements {
                for kind in &element.types {
                    let known = primitive::is(kind, &Value::Null).is_some()
                        || ["Resource", "BackboneElement"].contains(kind)
                        || shapes().contains_key(kind.trim_start_matches('#'));
                    assert!(known, "shapes.txt: {name}.{} is of type {kind}", element.name);
                }
                if element.types == ["BackboneElement"] {
                    assert!(
                        shapes().contains_key(format!("{name}.{}", element.name).as_str()),
                        "{name}.{}",
                        element.name
                    );
                }
            }
        }
    }

    #[test]
    fn elements_are_known_typed_and_counted() {
        let good = json!({ "resourceType": "Patient", "id": "a", "name": [{ "text": "x" }], "gender": "male", "deceasedBoolean": false });
        assert_eq!(rules(good), [""; 0]);
        let spoiled = json!({
            "resourceType": "Observation", "colour": 1, "code": { "coding": {} }, "status": 7, "note": [],
            "valueString": "x", "valueQuantity": { "value": "1" }
        });
        let mut found = rules(spoiled);
        found.sort();
        assert_eq!(
            found,
            [
                "card-max R.value",
                "empty R.note",
                "type R.code.coding",
                "type R.status",
                "type R.valueQuantity.value",
                "unknown-element R.colour",
            ]
        );
        assert_eq!(rules(json!({ "resourceType": "Observation", "status": "final" })), ["card-min R.code"]);
    }
}
