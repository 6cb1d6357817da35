//! `Bundle` of type searchset: what ITI-78 and ITI-119 answer.

use serde_json::{Map, Value, json};

use super::outcome::{Issue, operation_outcome};

const MATCH_GRADE: &str = "http://hl7.org/fhir/StructureDefinition/match-grade";

/// Codes of `match-grade`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatchGrade {
    Certain,
    Probable,
    Possible,
    CertainlyNot,
}

impl MatchGrade {
    pub fn as_str(self) -> &'static str {
        match self {
            MatchGrade::Certain => "certain",
            MatchGrade::Probable => "probable",
            MatchGrade::Possible => "possible",
            MatchGrade::CertainlyNot => "certainly-not",
        }
    }
}

/// A Patient found.
pub struct Entry {
    pub full_url: String,
    pub resource: Value,
    /// 0 to 100.
    pub score: Option<u8>,
    pub grade: Option<MatchGrade>,
}

/// The Bundle. `notes` become an OperationOutcome in it.
pub fn searchset(total: u64, links: &[(&str, String)], entries: Vec<Entry>, notes: &[Issue]) -> Value {
    let mut list: Vec<Value> = entries
        .into_iter()
        .map(|entry| {
            let mut search = Map::new();
            if let Some(grade) = entry.grade {
                search
                    .insert("extension".into(), json!([{ "url": MATCH_GRADE, "valueCode": grade.as_str() }]));
            }
            search.insert("mode".into(), json!("match"));
            if let Some(score) = entry.score {
                search.insert("score".into(), json!(f64::from(score.min(100)) / 100.0));
            }
            json!({ "fullUrl": entry.full_url, "resource": entry.resource, "search": search })
        })
        .collect();
    if !notes.is_empty() {
        list.push(json!({ "resource": operation_outcome(notes), "search": { "mode": "outcome" } }));
    }
    let links: Vec<Value> =
        links.iter().map(|(relation, url)| json!({ "relation": relation, "url": url })).collect();
    let mut out = json!({ "resourceType": "Bundle", "type": "searchset", "total": total });
    if let Some(out) = out.as_object_mut() {
        if !links.is_empty() {
            out.insert("link".into(), links.into());
        }
        if !list.is_empty() {
            out.insert("entry".into(), list.into());
        }
    }
    out
}
