//! How operations of the adapter port look on the wire: addresses, headers, body, where an answer says what, and what
//! its codes mean. Everything that is not public of the national service stands here and not in the program
//! (national-service, 6.2, 6.3).

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::fault::Fault;
use crate::model::national::{Class, Op};

/// How a request's body is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// A JSON object with the members of `envelope`.
    #[default]
    Envelope,
    /// The Bundle alone; what else there is travels in headers and path.
    Raw,
    /// `multipart/related`: the envelope without Bundle, then the Bundle.
    Multipart,
    /// None: all is in the address.
    Empty,
}

/// A member of the answer, and what it must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Test {
    /// JSON pointer.
    pub pointer: String,
    pub equals: String,
}

/// Where an answer says what; JSON pointers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Reading {
    pub done: Option<Test>,
    pub processing: Option<Test>,
    pub code: Option<String>,
    pub message: Option<String>,
    pub receipt: Option<String>,
    /// Seconds after which to ask again.
    pub again_after: Option<String>,
    /// Whether this repeats an earlier answer.
    pub replayed: Option<Test>,
    /// Whether an institution takes part.
    pub participates: Option<Test>,
    /// Where a letter is; its words stand in `states`.
    pub state: Option<String>,
    /// The list of problems, and the members of each.
    pub problems: Option<String>,
    pub problem_rule: Option<String>,
    pub problem_location: Option<String>,
    pub problem_text: Option<String>,
}

impl Reading {
    /// This one, and where it says nothing what stands for all operations.
    fn over(&self, common: &Reading) -> Reading {
        macro_rules! first {
            ($($field:ident)+) => { Reading { $($field: self.$field.clone().or_else(|| common.$field.clone())),+ } };
        }
        first!(done processing code message receipt again_after replayed participates state problems problem_rule
            problem_location problem_text)
    }
}

/// One operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpMapping {
    #[serde(default = "post")]
    pub method: String,
    /// Below the peer's address; `{institution}` and the like are put in.
    pub path: String,
    pub body: Option<Shape>,
    /// In place of the common one.
    pub envelope: Option<BTreeMap<String, String>>,
    #[serde(default)]
    pub result: Reading,
}

fn post() -> String {
    "POST".into()
}

/// How the service says what it holds of an institution, where it does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inventory {
    pub path: String,
    /// JSON pointer to the list.
    pub items: String,
    /// Members of each item, JSON pointers.
    pub institution: String,
    pub value: String,
    pub insured_id: String,
    pub state: String,
    /// States in which it is held.
    pub held: Vec<String>,
}

/// A mapping.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// What it is, and where it comes from.
    #[serde(default)]
    pub about: String,
    pub content_type: String,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    #[serde(default)]
    pub body: Shape,
    /// JSON pointer of a member → its value, with variables in braces. A member whose variable has no value is left
    /// out; `{bundle}` alone stands for the Bundle itself.
    #[serde(default)]
    pub envelope: BTreeMap<String, String>,
    /// `viewable`, `pending` → their word.
    #[serde(default)]
    pub consent: BTreeMap<String, String>,
    #[serde(default)]
    pub result: Reading,
    pub op: BTreeMap<String, OpMapping>,
    /// Their code → class: `transient`, `throttled`, `credential`, `permanent`, `done`, `hold:REASON`. A key
    /// `CODE@VERB` is for one verb. What stands nowhere is permanent.
    #[serde(default)]
    pub codes: BTreeMap<String, String>,
    /// Codes by which `result` says that it knows no such key.
    #[serde(default)]
    pub unknown: Vec<String>,
    /// HTTP status → class, by whole number or as `4xx`.
    #[serde(default)]
    pub http: BTreeMap<String, String>,
    /// Their word for where a letter is → `pending`, `viewable`, `received`, `expired`, `cancelled`.
    #[serde(default)]
    pub states: BTreeMap<String, String>,
    pub inventory: Option<Inventory>,
}

/// Name of the built-in mapping: the contract of `chiren simulate national`.
pub const SIMULATOR: &str = "simulator-json";

const BUILT_IN: &str = include_str!("../../config/national/simulator-json.toml");

/// A file of mappings.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    mapping: BTreeMap<String, Mapping>,
}

/// Words for where a letter is, of ours.
pub const STATES: [&str; 5] = ["pending", "viewable", "received", "expired", "cancelled"];

impl Mapping {
    pub fn reading(&self, op: Op) -> Option<Reading> {
        Some(self.op.get(&op.to_string())?.result.over(&self.result))
    }

    /// What a code means when `op` was asked.
    pub fn class(&self, op: Op, code: &str) -> Class {
        let verb = op.verb().map(|v| format!("{code}@{}", v.as_str()));
        let said = verb.and_then(|key| self.codes.get(&key)).or_else(|| self.codes.get(code));
        said.and_then(|text| Class::parse(text)).unwrap_or(Class::Permanent)
    }

    /// What an HTTP status means that is no success.
    pub fn http_class(&self, status: u16) -> Class {
        let family = format!("{}xx", status / 100);
        let said = self.http.get(&status.to_string()).or_else(|| self.http.get(&family));
        said.and_then(|text| Class::parse(text)).unwrap_or(match status {
            429 => Class::Throttled,
            401 | 403 => Class::Credential,
            408 | 500.. => Class::Transient,
            _ => Class::Permanent,
        })
    }

    fn faults(&self) -> Option<String> {
        let unknown = self.op.keys().find(|name| Op::parse(name).is_none());
        if let Some(name) = unknown {
            return Some(format!("op.{name:?} is no operation of the port"));
        }
        let classes = self.codes.iter().chain(&self.http);
        if let Some((code, class)) = classes.clone().find(|(_, class)| Class::parse(class).is_none()) {
            return Some(format!("{code} = {class:?} is no class"));
        }
        if let Some((_, word)) = self.states.iter().find(|(_, word)| !STATES.contains(&word.as_str())) {
            return Some(format!("states: {word:?} is none of {}", STATES.join(", ")));
        }
        if let Some(pointer) = self.envelope.keys().find(|p| !p.starts_with('/')) {
            return Some(format!("envelope: {pointer:?} is no JSON pointer"));
        }
        for op in self.op.keys().filter_map(|name| Op::parse(name)) {
            if self.reading(op).is_some_and(|r| r.done.is_none()) {
                return Some(format!("op.{op}: nothing says when it is done (result.done)"));
            }
        }
        None
    }
}

/// Mappings by name: the built-in one, and over it those of files.
pub fn load(key: &str, files: &[PathBuf]) -> Result<BTreeMap<String, Mapping>, Fault> {
    let mut all = read(key, "(built in)", BUILT_IN)?;
    for (n, path) in files.iter().enumerate() {
        let key = format!("{key}[{n}]");
        let text =
            std::fs::read_to_string(path).map_err(|cause| super::fault::unreadable(&key, path, cause))?;
        all.extend(read(&key, &path.display().to_string(), &text)?);
    }
    Ok(all)
}

fn read(key: &str, from: &str, text: &str) -> Result<BTreeMap<String, Mapping>, Fault> {
    let wrong = |cause: String| {
        Fault::new(key, format!("mapping file {from}: {cause}"), format!("対応定義ファイル {from}: {cause}"))
    };
    let file: File = toml::from_str(text).map_err(|e| wrong(e.to_string()))?;
    for (name, mapping) in &file.mapping {
        if let Some(cause) = mapping.faults() {
            return Err(wrong(format!("mapping.{name}: {cause}")));
        }
    }
    Ok(file.mapping)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_mapping_has_every_operation_of_the_contract() {
        let all = load("x", &[]).unwrap();
        let mapping = &all[SIMULATOR];
        for op in Op::all() {
            assert!(
                mapping.op.contains_key(&op.to_string()),
                "config/national/simulator-json.toml lacks {op}"
            );
        }
        assert_eq!(mapping.class(Op::parse("info.cancel").unwrap(), "NOT_FOUND"), Class::Done);
        assert_eq!(mapping.class(Op::parse("info.change").unwrap(), "NOT_FOUND"), Class::Permanent);
        assert_eq!(mapping.http_class(503), Class::Transient);
        assert_eq!(mapping.http_class(429), Class::Throttled);
        assert_eq!(mapping.http_class(403), Class::Credential);
        assert_eq!(mapping.http_class(400), Class::Permanent);
    }

    #[test]
    fn what_a_mapping_cannot_mean_is_said() {
        let spoiled = |from: &str, to: &str| {
            assert!(BUILT_IN.contains(from), "{from}");
            read("k", "f", &BUILT_IN.replacen(from, to, 1)).unwrap_err().en
        };
        assert!(spoiled("\"info.register\"", "\"info.send\"").contains("info.send"));
        assert!(spoiled("BUSY = \"transient\"", "BUSY = \"later\"").contains("BUSY"));
        assert!(
            spoiled("\"/MessageHeader/MedicalInstitutionCode\" =", "\"Institution\" =").contains("pointer")
        );
    }
}
