//! A small language for what a profile demands beyond FHIR, and its reader. A line of a table is a path from the
//! resource, and one of
//!
//! | line | demands |
//! | --- | --- |
//! | `meta.profile 1..*` | how many there are, in each parent that there is |
//! | `identifier[system=…] 1..1` | how many of a slice |
//! | `code.text` | (the path alone is not a line) |
//! | `status = final` | a fixed value, wherever the element is |
//! | `gender in male\|female` | one of several |
//! | `meta.tag only LTS\|UNINFORMED` | a closed slicing of tags by code, each once, of the one code system |
//! | `section[…].entry to Organization 1..1` | how many references lead to a resource of this type |
//! | `subject leads Patient` | where every reference leads that leads into the Bundle |

use serde_json::Value;

use super::at::At;
use super::names;
use super::{Level, Report};

/// A step of a path: a name, and what its members must have to be meant.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Step<'t> {
    name: &'t str,
    having: Option<(&'t str, &'t str)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Demand<'t> {
    Count(usize, usize),
    Fixed(&'t str),
    In(Vec<&'t str>),
    Tags(Vec<&'t str>),
    To(&'t str, usize, usize),
    Leads(Vec<&'t str>),
}

/// A line, read.
struct Line<'t> {
    steps: Vec<Step<'t>>,
    demand: Demand<'t>,
}

fn read(line: &str) -> Option<Line<'_>> {
    let (path, rest) = line.split_once(' ')?;
    let (word, more) = rest.split_once(' ').unwrap_or((rest, ""));
    let demand = match word {
        "=" => Demand::Fixed(more),
        "in" => Demand::In(more.split('|').collect()),
        "only" => Demand::Tags(more.split('|').collect()),
        "leads" => Demand::Leads(more.split('|').collect()),
        "to" => {
            let (kind, card) = more.split_once(' ')?;
            let (min, max) = cardinality(card)?;
            Demand::To(kind, min, max)
        }
        card => {
            let (min, max) = cardinality(card)?;
            Demand::Count(min, max)
        }
    };
    Some(Line { steps: steps(path)?, demand })
}

fn cardinality(text: &str) -> Option<(usize, usize)> {
    let (min, max) = text.split_once("..")?;
    Some((min.parse().ok()?, if max == "*" { usize::MAX } else { max.parse().ok()? }))
}

/// Splits at points that stand outside brackets.
fn steps(path: &str) -> Option<Vec<Step<'_>>> {
    let mut steps = vec![];
    let (mut start, mut inside) = (0, false);
    for (at, c) in path.char_indices().chain([(path.len(), '.')]) {
        match c {
            '[' => inside = true,
            ']' => inside = false,
            '.' if !inside => {
                steps.push(step(path.get(start..at)?)?);
                start = at + 1;
            }
            _ => {}
        }
    }
    Some(steps)
}

fn step(text: &str) -> Option<Step<'_>> {
    match text.split_once('[') {
        None => Some(Step { name: text, having: None }),
        Some((name, condition)) => {
            Some(Step { name, having: Some(condition.strip_suffix(']')?.split_once('=')?) })
        }
    }
}

impl Step<'_> {
    fn below<'a>(&self, at: &At<'a>) -> Vec<At<'a>> {
        let mut found = at.list(self.name);
        if let Some((path, value)) = self.having {
            found.retain(|one| one.strings(path).contains(&value));
        }
        found
    }
}

/// Where references of a Bundle lead: the type of the resource, if it is in the Bundle or contained.
pub type Leads<'f> = dyn Fn(&str) -> Option<String> + 'f;

/// Holds a resource against the lines of a table.
pub fn check(resource: &At, table: &str, leads: &Leads<'_>, report: &mut Report) {
    for line in table.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')) {
        // That all can be read is tested below.
        if let Some(line) = read(line) {
            hold(resource, &line, leads, report);
        }
    }
}

fn hold(resource: &At, line: &Line, leads: &Leads<'_>, report: &mut Report) {
    let Some((last, before)) = line.steps.split_last() else { return };
    let parents = before
        .iter()
        .fold(vec![resource.clone()], |here, step| here.iter().flat_map(|at| step.below(at)).collect());
    for parent in parents {
        let here = format!("{}.{}", parent.path, last.name);
        let found = last.below(&parent);
        let slice = last.having.map(|(path, value)| format!("（{path} = {value}）")).unwrap_or_default();
        let mut wrong = |rule, at: &str, message: String| report.error(rule, at, message, Level::Structure);
        match &line.demand {
            Demand::Count(min, max) => {
                let (n, sliced) = (found.len(), last.having.is_some());
                if n < *min {
                    let rule = if sliced { "slice-min" } else { "card-min" };
                    wrong(
                        rule,
                        &here,
                        format!("{}{slice} は {min} 個以上必要ですが、{n} 個です。", last.name),
                    );
                }
                if n > *max {
                    let rule = if sliced { "slice-max" } else { "card-max" };
                    wrong(rule, &here, format!("{}{slice} は {max} 個以下ですが、{n} 個です。", last.name));
                }
            }
            Demand::Fixed(value) => {
                for one in found.iter().filter(|one| !same(one, value)) {
                    wrong("fixed", &one.path, format!("値は {value} でなければなりません。"));
                }
            }
            Demand::In(values) => {
                for one in found.iter().filter(|one| !values.iter().any(|value| same(one, value))) {
                    wrong(
                        "binding",
                        &one.path,
                        format!("値は {} のいずれかでなければなりません。", values.join(", ")),
                    );
                }
            }
            Demand::Tags(codes) => tags(&found, codes, &here, report),
            Demand::To(kind, min, max) => {
                let n = found
                    .iter()
                    .filter(|one| one.text("reference").and_then(leads).as_deref() == Some(kind))
                    .count();
                if n < *min {
                    wrong(
                        "slice-min",
                        &here,
                        format!("{kind} への参照は {min} 個以上必要ですが、{n} 個です。"),
                    );
                }
                if n > *max {
                    wrong("slice-max", &here, format!("{kind} への参照は {max} 個以下ですが、{n} 個です。"));
                }
            }
            Demand::Leads(kinds) => {
                for one in &found {
                    let led = one.text("reference").and_then(leads);
                    if let Some(kind) = led.filter(|kind| !kinds.contains(&kind.as_str())) {
                        let message = format!(
                            "{} への参照でなければなりませんが、{kind} への参照です。",
                            kinds.join("、")
                        );
                        wrong("reference-type", &one.path, message);
                    }
                }
            }
        }
    }
}

fn same(at: &At, value: &str) -> bool {
    match at.value {
        Value::String(text) => text == value,
        // As JSON spells numbers and truth.
        other => {
            let spelled = other.to_string();
            spelled == value
        }
    }
}

/// Tags of a closed slicing.
fn tags(found: &[At], codes: &[&str], here: &str, report: &mut Report) {
    for tag in found {
        let known = tag.text("code").is_some_and(|code| codes.contains(&code));
        if !known {
            let message = format!("meta.tag に許されるのは {} だけです。", codes.join("、"));
            report.error("slice-closed", &tag.path, message, Level::Structure);
        } else if tag.text("system") != Some(names::INDICATION) {
            let message = format!("system は {} でなければなりません。", names::INDICATION);
            report.error("fixed", &format!("{}.system", tag.path), message, Level::Structure);
        }
    }
    for code in codes {
        if found.iter().filter(|tag| tag.text("code") == Some(code)).count() > 1 {
            report.error("slice-max", here, format!("{code} は1つだけ指定できます。"), Level::Structure);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_line_of_every_table_can_be_read() {
        for (name, table) in super::super::profiles::tables() {
            for line in table.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')) {
                assert!(read(line).is_some(), "{name}: {line}");
            }
        }
    }

    fn found(resource: Value, table: &str) -> Vec<String> {
        let mut report = Report::default();
        let leads = |reference: &str| (reference == "urn:p").then(|| "Patient".to_owned());
        check(&At::root("R", &resource), table, &leads, &mut report);
        report.errors.iter().map(|p| format!("{} {}", p.rule, p.location)).collect()
    }

    #[test]
    fn each_demand_is_held_up() {
        let resource = json!({
            "a": [{ "s": "http://x.y/z", "v": "1" }, { "s": "q" }], "b": "B", "n": 1, "r": { "reference": "urn:p" },
            "meta": { "tag": [{ "system": names::INDICATION, "code": "LTS" }] }
        });
        for good in [
            "a 1..2",
            "a[s=http://x.y/z] 1..1",
            "a[s=http://x.y/z].v 1..1",
            "c.d 1..1",
            "b = B",
            "n = 1",
            "b in A|B",
            "meta.tag only LTS|X",
            "r to Patient 1..1",
            "r leads Patient",
        ] {
            assert_eq!(found(resource.clone(), good), [""; 0], "{good}");
        }
        for (bad, what) in [
            ("a 3..*", "card-min R.a"),
            ("a 0..1", "card-max R.a"),
            ("a[s=none] 1..1", "slice-min R.a"),
            ("a[s=q].v 1..1", "card-min R.a[1].v"),
            ("a.v 1..1", "card-min R.a[1].v"),
            ("b = A", "fixed R.b"),
            ("b in A|C", "binding R.b"),
            ("meta.tag only X", "slice-closed R.meta.tag[0]"),
            ("r to Organization 1..1", "slice-min R.r"),
            ("r leads Organization", "reference-type R.r"),
        ] {
            assert_eq!(found(resource.clone(), bad), [what], "{bad}");
        }
    }
}
