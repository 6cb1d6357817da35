//! Bundles made from HL7 v2 and CDA (docs/national-making.md): messages written from the specification, as different
//! hospitals write them, and what is in the Bundle of each.

mod allergies;
mod conditions;
mod discharge;
mod holds;
mod laboratory;
mod letters;
mod property;
pub mod sources;
mod told;

use chiren::clins::make::options::Options;
use chiren::clins::make::{Context, Institution, Made, Masters, NotMade, from_any};
use serde_json::Value;

pub const INSTITUTION: &str = "1319900018";
pub const INSURED: &str = "06990011:１２３:４５６７:01";

/// A site: its options and masters, small and invented.
pub struct Site {
    pub institution: Institution,
    pub options: Options,
    pub masters: Masters,
    pub insured: Option<&'static str>,
}

impl Site {
    pub fn new() -> Site {
        let mut masters = Masters::built_in();
        for (name, text) in sources::MASTERS {
            let file = chiren::clins::make::masters::FILES.iter().find(|f| f.name == *name).unwrap();
            masters.take(file, text).unwrap();
        }
        let institution = Institution {
            number: INSTITUTION.into(),
            name: Some("架空第一診療所".into()),
            address: Some("東京都架空区青空五丁目5番5号".into()),
            phone: Some("03-0000-0000".into()),
        };
        Site { institution, options: Options::default(), masters, insured: Some(INSURED) }
    }

    pub fn with(options: &str) -> Site {
        Site { options: toml::from_str(options).unwrap(), ..Site::new() }
    }

    pub fn context<'a>(&'a self, enclosed: &'a [&'a [u8]]) -> Context<'a> {
        Context {
            institution: &self.institution,
            insured_id: self.insured,
            patient: None,
            masters: &self.masters,
            options: &self.options,
            now: "2025-10-01T00:00:05.120Z".parse().unwrap(),
            lineage: None,
            bundle_id: None,
            enclosed,
        }
    }

    pub fn make(&self, bytes: &[u8]) -> Result<Made, Box<NotMade>> {
        self.make_with(bytes, &[])
    }

    pub fn make_with(&self, bytes: &[u8], enclosed: &[&[u8]]) -> Result<Made, Box<NotMade>> {
        let made = from_any(bytes, &self.context(enclosed))?;
        let again = from_any(bytes, &self.context(enclosed)).unwrap();
        assert_eq!(made.bundle, again.bundle, "the same source makes the same bytes");
        holds::check(&made);
        Ok(made)
    }

    /// The Bundle of a message, and all that is said of it.
    pub fn bundle(&self, message: &str) -> (Value, Made) {
        let made = self
            .make(message.as_bytes())
            .unwrap_or_else(|e| panic!("{} at {}: {:?}", e.key.code(), e.place, e.notes));
        (json(&made), made)
    }

    pub fn refused(&self, message: &str) -> (&'static str, String) {
        let refused = self.make(message.as_bytes()).unwrap_err();
        (refused.key.code(), refused.place)
    }
}

pub fn json(made: &Made) -> Value {
    serde_json::from_slice(&made.bundle).unwrap()
}

/// Resources of a type, in order.
pub fn resources<'v>(bundle: &'v Value, kind: &str) -> Vec<&'v Value> {
    let entries = bundle["entry"].as_array().unwrap().iter().map(|e| &e["resource"]);
    entries.filter(|r| r["resourceType"] == kind).collect()
}

pub fn codes(concept: &Value) -> Vec<(&str, &str)> {
    let codings = concept["coding"].as_array().map(Vec::as_slice).unwrap_or_default();
    codings
        .iter()
        .map(|c| (c["system"].as_str().unwrap_or_default(), c["code"].as_str().unwrap_or_default()))
        .collect()
}

pub fn left_out(made: &Made) -> Vec<(&'static str, &str)> {
    made.left_out.iter().map(|l| (l.reason.code(), l.value.0.as_str())).collect()
}

pub fn unmapped(made: &Made) -> Vec<(&'static str, &str)> {
    made.unmapped.iter().map(|u| (u.key.code(), u.source.as_str())).collect()
}

pub fn warned(made: &Made) -> Vec<&'static str> {
    made.warnings.iter().map(|w| w.key.code()).collect()
}
