//! What FHIR R4 itself says beside its types: invariants and the codes of required value sets, from `base/*.txt`.

use crate::fhirpath::Expression;
use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;

const INVARIANTS: &str = include_str!("base/invariants.txt");
const CODES: &str = include_str!("base/codes.txt");

pub struct Invariant {
    pub key: &'static str,
    pub is_error: bool,
    pub text: &'static str,
    pub expression: Expression,
}

/// Checked where the resource is walked, not by their expressions: ele-1 by shape; ref-1, dom-3 and bdl-7 with the place
/// of the element they fail at. dom-6 (a narrative would be good) is advice, and no part of any of these documents.
const WALKED: &[&str] = &["ele-1", "ref-1", "dom-3", "bdl-7", "dom-6"];

pub struct Base {
    /// Type or part → its invariants.
    invariants: HashMap<&'static str, Vec<Invariant>>,
    keys: HashSet<&'static str>,
    codes: HashMap<&'static str, HashSet<&'static str>>,
    systems: HashMap<&'static str, Vec<&'static str>>,
}

pub fn base() -> &'static Base {
    static BASE: OnceLock<Base> = OnceLock::new();
    BASE.get_or_init(|| {
        let mut base = Base {
            invariants: HashMap::new(),
            keys: HashSet::new(),
            codes: HashMap::new(),
            systems: HashMap::new(),
        };
        for row in rows(INVARIANTS) {
            let [element, key, severity, expression, text] = row[..] else { continue };
            base.keys.insert(key);
            if WALKED.contains(&key) {
                continue;
            }
            // The tests see to it that every one is an expression.
            if let Ok(expression) = Expression::parse(expression) {
                let invariant = Invariant { key, is_error: severity == "error", text, expression };
                base.invariants.entry(element).or_default().push(invariant);
            }
        }
        for row in rows(CODES) {
            let Some((name, systems)) = row.split_first() else { continue };
            for system in systems {
                let mut words = system.split(' ');
                base.systems.entry(name).or_default().push(words.next().unwrap_or_default());
                base.codes.entry(name).or_default().extend(words);
            }
        }
        base
    })
}

fn rows(text: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    text.lines().filter(|l| !l.is_empty() && !l.starts_with('#')).map(|l| l.split('\t').collect())
}

impl Base {
    /// Of a type or part, not of what it is made of.
    pub fn invariants(&self, of: &str) -> &[Invariant] {
        self.invariants.get(of).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether FHIR R4 has an invariant of that key: a profile's snapshot repeats it.
    pub fn has(&self, key: &str) -> bool {
        self.keys.contains(key)
    }

    /// Whether a code is of a value set named as in the table of types; `None` where it is not enumerated.
    pub fn has_code(&self, value_set: &str, code: &str) -> Option<bool> {
        self.codes.get(value_set).map(|codes| codes.contains(code))
    }

    /// The same with its system.
    pub fn has_coding(&self, value_set: &str, system: Option<&str>, code: &str) -> Option<bool> {
        let found = self.has_code(value_set, code)?;
        let systems = self.systems.get(value_set)?;
        Some(found && system.is_none_or(|system| systems.contains(&system)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhirpath::r4;

    #[test]
    fn every_row_is_read() {
        for row in rows(INVARIANTS) {
            assert_eq!(row.len(), 5, "{row:?}");
            let (element, key, expression) = (row[0], row[1], row[3]);
            Expression::parse(expression).unwrap_or_else(|e| panic!("{key}: {e}"));
            let parent = element.rsplit_once('.').map_or(element, |(parent, _)| parent);
            assert!(r4::table().find(element).or_else(|| r4::table().find(parent)).is_some(), "{element}");
        }
        assert_eq!(base().has_code("administrative-gender", "female"), Some(true));
        assert_eq!(base().has_code("administrative-gender", "f"), Some(false));
        assert_eq!(base().has_code("mimetypes", "text/plain"), None);
    }
}
