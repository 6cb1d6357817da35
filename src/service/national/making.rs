//! Bundles made of documents that are no FHIR: HL7 v2 of an SS-MIX2 storage, CDA letters. The seam to `clins::make`.

use std::collections::BTreeMap;

use anyhow::Context as _;
use jiff::Timestamp;

use super::preflight::Finding;
use crate::clins::make::{self, Context, Institution, Made, Masters, NotMade, Options};
use crate::config::NationalConfig;
use crate::model::identity::Demographics;

/// Code tables and what differs per site.
pub struct Making {
    masters: Masters,
    sites: BTreeMap<String, (Institution, Options)>,
}

/// What a conversion goes by.
pub struct Order<'o> {
    pub institution: &'o str,
    pub insured_id: Option<&'o str>,
    /// Of a letter; a 5情報 unit is told from its content.
    pub lineage: Option<&'o str>,
    /// The 文書ID the lineage has.
    pub bundle_id: Option<&'o str>,
    /// What the index of patients knows of the patient.
    pub patient: Option<&'o Demographics>,
    /// Messages that came with a letter.
    pub enclosed: &'o [&'o [u8]],
    pub now: i64,
}

impl Making {
    pub fn load(config: &NationalConfig) -> anyhow::Result<Self> {
        let masters = match &config.masters {
            Some(folder) => Masters::load(folder).context("national.masters")?,
            None => Masters::built_in(),
        };
        let mut sites = BTreeMap::new();
        for (number, egress) in &config.egress {
            let key = || format!("national.egress.{number}.site");
            let options = match &egress.site {
                Some(path) => {
                    toml::from_str(&std::fs::read_to_string(path).with_context(key)?).with_context(key)?
                }
                None => Options::default(),
            };
            let institution =
                Institution { number: number.clone(), name: egress.name.clone(), ..Institution::default() };
            sites.insert(number.clone(), (institution, options));
        }
        Ok(Self { masters, sites })
    }

    /// Makes a Bundle, or says why none can be made.
    pub fn make(&self, bytes: &[u8], order: &Order<'_>) -> Result<Made, Box<NotMade>> {
        let fallback = (
            Institution { number: order.institution.to_owned(), ..Institution::default() },
            Options::default(),
        );
        let (institution, options) = self.sites.get(order.institution).unwrap_or(&fallback);
        let context = Context {
            institution,
            insured_id: order.insured_id,
            patient: order.patient,
            masters: &self.masters,
            options,
            now: Timestamp::from_microsecond(order.now).unwrap_or_default(),
            lineage: order.lineage,
            bundle_id: order.bundle_id,
            enclosed: order.enclosed,
        };
        make::from_any(bytes, &context)
    }
}

/// Why nothing was made, for the worklist.
pub fn refused(not_made: &NotMade) -> Finding {
    Finding {
        rule: not_made.key.code().into(),
        path: not_made.place.clone(),
        value: not_made.value.0.clone(),
        message: not_made.key.en().into(),
        message_ja: not_made.key.ja().into(),
        ..Finding::default()
    }
}

/// What was not taken over into a Bundle, and what is odd, for whoever looks at the decision.
pub fn told(made: &Made) -> Vec<Finding> {
    let one = |rule: &str, place: &str, value: &str, en: &str, ja: &str| Finding {
        rule: rule.into(),
        path: place.into(),
        value: value.into(),
        message: en.into(),
        message_ja: ja.into(),
        ..Finding::default()
    };
    let unmapped =
        made.unmapped.iter().map(|u| one(u.key.code(), &u.source, &u.value.0, u.key.en(), u.key.ja()));
    let left_out = made
        .left_out
        .iter()
        .map(|l| one(l.reason.code(), &l.source, &l.value.0, l.reason.en(), l.reason.ja()));
    let odd = made.warnings.iter().map(|w| one(w.key.code(), &w.source, &w.value.0, w.key.en(), w.key.ja()));
    unmapped.chain(left_out).chain(odd).collect()
}
