//! What is found in a Bundle before it leaves, and what little of it may be changed: the seam to the checker of published
//! rules.

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::clins::bundle::Kind as BundleKind;
use crate::clins::check::{Checker, Mode, Options};
use crate::clins::normalise::{EntryProfiles, normalised};
use crate::config::NationalConfig;
use crate::config::national::Validation;
use crate::model::national::Kind;

/// A rule that a Bundle breaks, for the facility's worklist.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Finding {
    pub rule: String,
    /// FHIRPath of the element.
    pub path: String,
    /// What stands there: patient data, for the facility's own eyes.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub value: String,
    pub message: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message_ja: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hint: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hint_ja: String,
}

impl std::fmt::Debug for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Finding({} at {})", self.rule, self.path)
    }
}

/// The checks as configured.
pub struct Preflight {
    checker: Option<(Checker, Mode)>,
    profiles: EntryProfiles,
}

impl Preflight {
    /// Loads the packages that the rules are read from.
    pub fn load(config: &NationalConfig) -> anyhow::Result<Self> {
        let mode = match config.validation {
            Validation::Off => None,
            Validation::Published => Some(Mode::Published),
            Validation::Intended => Some(Mode::Intended),
        };
        let checker = match mode.filter(|_| !config.packages.is_empty()) {
            // Size is a gate of its own.
            Some(mode) => {
                let checker = Checker::load(&config.packages).context("national.packages")?;
                Some((checker.with_size_limit(usize::MAX), mode))
            }
            None => None,
        };
        let profiles = match config.entry_profile_version.as_str() {
            "keep" => EntryProfiles::AsIs,
            _ => EntryProfiles::Unversioned,
        };
        Ok(Self { checker, profiles })
    }

    /// The Bundle as it may be sent: without versions of entry profiles and regional tags, unless it is signed. `None`
    /// where nothing is to be changed.
    pub fn normalised(&self, bundle: &[u8]) -> Option<Vec<u8>> {
        normalised(bundle, self.profiles)
    }

    /// Every rule that a Bundle breaks.
    pub fn check(&self, bundle: &[u8], kind: Option<Kind>) -> Vec<Finding> {
        let Some((checker, mode)) = &self.checker else { return vec![] };
        let kind = kind.map(|kind| match kind {
            Kind::Referral => BundleKind::Referral,
            Kind::Discharge => BundleKind::Discharge,
            Kind::Checkup => BundleKind::Checkup,
            Kind::Summary => BundleKind::Summary,
            Kind::Info => BundleKind::Clins,
        });
        checker
            .check(bundle, Options { mode: *mode, kind })
            .into_iter()
            .filter(|found| found.is_error())
            .map(|found| Finding {
                rule: found.label.unwrap_or(found.rule),
                path: found.path,
                value: found.value.unwrap_or_default(),
                message: found.message,
                message_ja: found.message_ja,
                hint: found.hint,
                hint_ja: found.hint_ja,
            })
            .collect()
    }
}
