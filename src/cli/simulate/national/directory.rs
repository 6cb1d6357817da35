//! Whom the service knows: insured persons and institutions. Whoever is not listed is taken for good while the directory
//! is open, and for unknown once it is closed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::contract::Code;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    #[serde(default = "yes")]
    pub valid: bool,
    /// `1958-11-03`; a Bundle with another one is of somebody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub birth_date: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Institution {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default = "yes")]
    pub known: bool,
    #[serde(default = "yes")]
    pub participates: bool,
}

fn yes() -> bool {
    true
}

/// One change of the directory, as `POST /_directory` takes it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub insured_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub birth_date: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub institution: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub participates: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Directory {
    pub open: bool,
    pub insured: BTreeMap<String, Person>,
    pub institutions: BTreeMap<String, Institution>,
}

impl Default for Directory {
    fn default() -> Self {
        Self { open: true, insured: BTreeMap::new(), institutions: BTreeMap::new() }
    }
}

impl Directory {
    pub fn set(&mut self, entry: &Entry) {
        if let Some(open) = entry.open {
            self.open = open;
        }
        if let Some(id) = &entry.insured_id {
            let person = self.insured.entry(id.clone()).or_insert(Person { valid: true, birth_date: None });
            person.valid = entry.valid.unwrap_or(person.valid);
            person.birth_date = entry.birth_date.clone().or(person.birth_date.take());
        }
        if let Some(code) = &entry.institution {
            let one = self.institutions.entry(code.clone()).or_insert(Institution {
                name: None,
                known: true,
                participates: true,
            });
            one.known = entry.known.unwrap_or(one.known);
            one.participates = entry.participates.unwrap_or(one.participates);
            one.name = entry.name.clone().or(one.name.take());
        }
    }

    /// Whether this person is insured under this number.
    pub fn qualified(&self, insured: &str, birth: Option<&str>) -> bool {
        match self.insured.get(insured) {
            None => self.open,
            Some(person) => {
                let same = match (&person.birth_date, birth) {
                    (Some(known), Some(said)) => known == said,
                    _ => true,
                };
                person.valid && same
            }
        }
    }

    /// Whether a letter can go to this institution.
    pub fn destination(&self, code: &str) -> Result<(), Code> {
        if !institution_code(code) {
            return Err(Code::DestinationUnknown);
        }
        match self.institutions.get(code) {
            None if self.open => Ok(()),
            None => Err(Code::DestinationUnknown),
            Some(one) if !one.known => Err(Code::DestinationUnknown),
            Some(one) if !one.participates => Err(Code::NotParticipating),
            Some(_) => Ok(()),
        }
    }

    /// Whether this institution may call.
    pub fn may_call(&self, code: &str) -> bool {
        institution_code(code) && self.destination(code) != Err(Code::DestinationUnknown)
    }

    pub fn name(&self, code: &str) -> Option<&str> {
        self.institutions.get(code)?.name.as_deref()
    }
}

/// Two digits of the prefecture, one of the fee schedule, seven of the institution: `[0-4][0-9][1-3][0-9]{7}`.
pub fn institution_code(code: &str) -> bool {
    let bytes = code.as_bytes();
    bytes.len() == 10
        && bytes.iter().all(u8::is_ascii_digit)
        && bytes.first().is_some_and(|b| *b <= b'4')
        && bytes.get(2).is_some_and(|b| (b'1'..=b'3').contains(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_directory_takes_whom_it_does_not_know() {
        let mut directory = Directory::default();
        assert!(directory.qualified("x", None) && directory.destination("2719900026").is_ok());
        assert_eq!(directory.destination("9919900026"), Err(Code::DestinationUnknown));
        directory.set(&Entry { open: Some(false), ..Entry::default() });
        assert!(!directory.qualified("x", None) && !directory.may_call("2719900026"));
        directory.set(&Entry {
            insured_id: Some("x".into()),
            birth_date: Some("1958-11-03".into()),
            ..Entry::default()
        });
        assert!(
            directory.qualified("x", Some("1958-11-03")) && !directory.qualified("x", Some("1958-11-04"))
        );
        directory.set(&Entry { insured_id: Some("x".into()), valid: Some(false), ..Entry::default() });
        assert!(!directory.qualified("x", Some("1958-11-03")));
        let institution = |participates| Entry {
            institution: Some("2719900026".into()),
            participates: Some(participates),
            ..Entry::default()
        };
        directory.set(&institution(true));
        assert_eq!(directory.destination("2719900026"), Ok(()));
        directory.set(&institution(false));
        assert_eq!(directory.destination("2719900026"), Err(Code::NotParticipating));
    }
}
