//! `Parameters` of `$ihe-pix` (ITI PIXm 3.83.4) and `$match` (ITI PDQm 3.119.4), both ways.

use serde_json::{Value, json};

use super::outcome::{Issue, IssueCode};
use super::patient::{self, Read};
use super::search::identifier_of;
use super::{authority_of, system_of};
use crate::model::identity::{DomainId, Field, PixQuery, Place, SentId};

/// Elements of a list at most.
const MOST: usize = 100;

/// The parameters of a resource: name and the element itself.
fn parameters<'v>(resource: &'v Value, operation: &str) -> Result<Vec<(&'v str, &'v Value)>, Vec<Issue>> {
    let wrong = |text: String| vec![Issue::error(IssueCode::Structure, text)];
    if resource.get("resourceType").and_then(Value::as_str) != Some("Parameters") {
        return Err(wrong(format!("{operation} takes a Parameters resource")));
    }
    let list = match resource.get("parameter") {
        None => return Ok(vec![]),
        Some(Value::Array(list)) if list.len() <= MOST => list,
        Some(_) => return Err(wrong(format!("Parameters.parameter is not a list of at most {MOST}"))),
    };
    list.iter()
        .enumerate()
        .map(|(n, parameter)| match parameter.get("name").and_then(Value::as_str) {
            Some(name) => Ok((name, parameter)),
            None => Err(wrong(format!("Parameters.parameter[{n}] has no name"))),
        })
        .collect()
}

/// `$ihe-pix` from a URL's query.
pub fn read_pix_query(pairs: &[(String, String)]) -> Result<PixQuery, Vec<Issue>> {
    let (mut sources, mut targets, mut issues) = (vec![], vec![], vec![]);
    for (name, value) in pairs {
        match name.as_str() {
            "sourceIdentifier" => match identifier_of(value) {
                Some(identifier) => sources.push(identifier),
                None => issues.push(
                    Issue::error(IssueCode::Value, "sourceIdentifier is system|value").at("sourceIdentifier"),
                ),
            },
            "targetSystem" => targets.extend(value.split(',').map(|v| v.trim().to_owned())),
            "_format" | "_pretty" => {}
            other => issues.push(
                Issue::error(IssueCode::NotSupported, "the parameter is not supported by $ihe-pix").at(other),
            ),
        }
    }
    pix(sources, targets, issues)
}

/// `$ihe-pix` from a Parameters resource.
pub fn read_pix(resource: &Value) -> Result<PixQuery, Vec<Issue>> {
    let (mut sources, mut targets, mut issues) = (vec![], vec![], vec![]);
    for (name, parameter) in parameters(resource, "$ihe-pix")? {
        match name {
            "sourceIdentifier" => {
                let text = |pointer: &str| {
                    parameter.pointer(pointer).and_then(Value::as_str).map(|t| t.trim().to_owned())
                };
                let whole = text("/valueIdentifier/system").zip(text("/valueIdentifier/value"));
                let token = text("/valueString").and_then(|token| identifier_of(&token));
                match whole.or(token).filter(|(s, v)| !s.is_empty() && !v.is_empty()) {
                    Some(identifier) => sources.push(identifier),
                    None => issues.push(
                        Issue::error(
                            IssueCode::Value,
                            "sourceIdentifier is a valueIdentifier with system and value",
                        )
                        .at("sourceIdentifier"),
                    ),
                }
            }
            "targetSystem" => {
                match ["valueUri", "valueUrl", "valueString"].iter().find_map(|k| parameter.get(k)?.as_str())
                {
                    Some(uri) => targets.push(uri.trim().to_owned()),
                    None => issues.push(
                        Issue::error(IssueCode::Value, "targetSystem is a valueUri").at("targetSystem"),
                    ),
                }
            }
            other => issues.push(
                Issue::error(IssueCode::NotSupported, "the parameter is not supported by $ihe-pix").at(other),
            ),
        }
    }
    pix(sources, targets, issues)
}

fn pix(
    sources: Vec<(String, String)>,
    targets: Vec<String>,
    mut issues: Vec<Issue>,
) -> Result<PixQuery, Vec<Issue>> {
    let at = "sourceIdentifier";
    match sources.as_slice() {
        [(system, value)] if issues.is_empty() => Ok(PixQuery {
            id: SentId {
                value: value.clone(),
                authority: authority_of(system),
                type_code: None,
                place: Place::of(Field::QueriedIdentifier),
            },
            wanted: targets.iter().filter(|t| !t.is_empty()).map(|t| authority_of(t)).collect(),
        }),
        [_] => Err(issues),
        [] => {
            if !issues.iter().any(|i| i.expression.as_deref() == Some(at)) {
                let text = "sourceIdentifier is missing: system|value of the patient asked about";
                issues.push(Issue::error(IssueCode::Required, text).at(at));
            }
            Err(issues)
        }
        _ => {
            issues.push(Issue::error(IssueCode::Value, "sourceIdentifier stands twice").at(at));
            Err(issues)
        }
    }
}

/// What `$ihe-pix` found.
pub struct PixFound<'a> {
    pub ids: &'a [DomainId],
    /// Logical ids of Patients here.
    pub patients: &'a [String],
}

/// The answer of `$ihe-pix`; nothing found is an empty one.
pub fn write_pix(found: &PixFound<'_>) -> Value {
    let mut list: Vec<Value> = found
        .ids
        .iter()
        .map(|id| {
            let identifier = json!({ "use": "official", "system": system_of(&id.domain), "value": id.value });
            json!({ "name": "targetIdentifier", "valueIdentifier": identifier })
        })
        .collect();
    list.extend(
        found.patients.iter().map(
            |id| json!({ "name": "targetId", "valueReference": { "reference": format!("Patient/{id}") } }),
        ),
    );
    match list.is_empty() {
        true => json!({ "resourceType": "Parameters" }),
        false => json!({ "resourceType": "Parameters", "parameter": list }),
    }
}

/// What `$match` is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    pub patient: Read,
    pub only_certain: bool,
    pub count: Option<u64>,
}

/// Candidates of one `$match` at most.
const MOST_MATCHES: i64 = 1000;

/// `$match` from a Parameters resource.
pub fn read_match(resource: &Value) -> Result<Match, Vec<Issue>> {
    let (mut patient, mut only_certain, mut count, mut issues) = (None, false, None, vec![]);
    for (name, parameter) in parameters(resource, "$match")? {
        match name {
            "resource" => match (patient.is_some(), parameter.get("resource")) {
                (true, _) => {
                    issues.push(Issue::error(IssueCode::Value, "resource stands twice").at("resource"));
                }
                (false, Some(resource)) => match patient::read(resource) {
                    Ok(read) => patient = Some(read),
                    Err(wrong) => issues.extend(wrong),
                },
                (false, None) => {
                    issues
                        .push(Issue::error(IssueCode::Required, "resource holds no resource").at("resource"));
                }
            },
            "onlyCertainMatches" => match parameter.get("valueBoolean").and_then(Value::as_bool) {
                Some(flag) => only_certain = flag,
                None => issues.push(
                    Issue::error(IssueCode::Value, "onlyCertainMatches is a valueBoolean")
                        .at("onlyCertainMatches"),
                ),
            },
            "count" => {
                let number = parameter.get("valueInteger").and_then(Value::as_i64);
                match number.filter(|n| (1..=MOST_MATCHES).contains(n)).and_then(|n| u64::try_from(n).ok()) {
                    Some(number) => count = Some(number),
                    None => issues.push(
                        Issue::error(IssueCode::Value, "count is a valueInteger from 1 to 1000").at("count"),
                    ),
                }
            }
            other => issues.push(
                Issue::error(IssueCode::NotSupported, "the parameter is not supported by $match").at(other),
            ),
        }
    }
    match patient {
        Some(patient) if issues.is_empty() => Ok(Match { patient, only_certain, count }),
        None if issues.is_empty() => {
            let text = "resource is missing: the Patient to match";
            Err(vec![Issue::error(IssueCode::Required, text).at("resource")])
        }
        _ => Err(issues),
    }
}
