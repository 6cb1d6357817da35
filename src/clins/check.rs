//! The checker: definitions loaded once, Bundles held against them.

use super::base;
use super::bundle::{self, Kind};
use super::finding::{Finding, Rule};
use super::package::{Definitions, LoadError, Package};
use super::profile::{Profile, Profiles, Unreadable};
use super::terminology::Terminology;
use super::validate::{Around, Walk};
use crate::fhirpath::{Json, JsonLimits};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// How the published rules are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Mode {
    /// The expressions word by word, and nothing that no profile carries.
    Published,
    /// As settled where the publication contradicts itself; the guide's text, too.
    #[default]
    Intended,
}

impl Mode {
    pub fn find(name: &str) -> Option<Self> {
        match name {
            "published" => Some(Self::Published),
            "intended" => Some(Self::Intended),
            _ => None,
        }
    }
}

/// Bytes the service takes in one transmission: 10 MB, read as binary (unverified).
pub const SIZE_LIMIT: usize = 10 << 20;

pub struct Checker {
    profiles: Profiles,
    terminology: Terminology,
    packages: Vec<Package>,
    size_limit: usize,
}

/// How one check is made.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    pub mode: Mode,
    /// The kind it must be of; otherwise what it says itself.
    pub kind: Option<Kind>,
}

impl From<Mode> for Options {
    fn from(mode: Mode) -> Self {
        Self { mode, kind: None }
    }
}

impl Checker {
    /// Loads packages (`.tgz`, or folders of definitions) in the order given.
    pub fn load(paths: &[impl AsRef<Path>]) -> Result<Self, LoadError> {
        let definitions = Definitions::load(paths)?;
        let profiles = Profiles::build(&definitions)?;
        Ok(Self {
            profiles,
            terminology: definitions.terminology,
            packages: definitions.packages,
            size_limit: SIZE_LIMIT,
        })
    }

    pub fn with_size_limit(mut self, bytes: usize) -> Self {
        self.size_limit = bytes;
        self
    }

    /// Everything wrong with a Bundle (or a single resource) as it would be sent. Empty: nothing was found.
    pub fn check(&self, bytes: &[u8], options: impl Into<Options>) -> Vec<Finding> {
        let options = options.into();
        let mut findings = vec![];
        if bytes.len() > self.size_limit {
            findings.push(Rule::TooLarge.at("Bundle", &bytes.len().to_string()));
        }
        match Json::parse_within(bytes, JsonLimits::default()) {
            Ok(json) => findings.extend(self.check_value(&json, options)),
            Err(e) => findings.push(Rule::Json.at("$", &e.to_string())),
        }
        findings
    }

    /// The same of what was read already.
    pub fn check_value(&self, json: &Json, options: impl Into<Options>) -> Vec<Finding> {
        let options = options.into();
        let around = Around::new(self, options.mode, json);
        let mut walk = Walk::new(&around);
        let mut due: Vec<&Profile> = vec![];
        if bundle::is_bundle(json) {
            match options.kind.or_else(|| bundle::kind(json).map(|(kind, _)| kind)) {
                Some(kind) => match self.profiles.find(kind.profile(), None) {
                    Some(profile) => due.push(profile),
                    None => walk.say(Rule::ProfileMissing.at("Bundle", kind.profile())),
                },
                None => {
                    let declared = bundle::profiles(json).collect::<Vec<_>>().join(" ");
                    walk.say(Rule::KindUnknown.at("Bundle.meta.profile", "").with_value(declared));
                }
            }
        } else if options.kind.is_some() {
            walk.say(Rule::KindUnknown.at("Bundle.meta.profile", ""));
        }
        walk.root(json, &due);
        walk.findings
    }

    pub fn profiles(&self) -> &Profiles {
        &self.profiles
    }

    pub fn packages(&self) -> &[Package] {
        &self.packages
    }

    pub fn terminology(&self) -> &Terminology {
        &self.terminology
    }

    /// Expressions of the packages that are none: their rules are not checked.
    pub fn unreadable(&self) -> &[Unreadable] {
        &self.profiles.unreadable
    }

    /// Whether a code is of a value set, loaded or FHIR's own; `None` where that is not known.
    pub fn member_of(&self, value_set: &str, system: Option<&str>, code: &str) -> Option<bool> {
        let own = || {
            let name =
                super::terminology::unversioned(value_set).strip_prefix("http://hl7.org/fhir/ValueSet/")?;
            match system {
                Some(_) => base::base().has_coding(name, system, code),
                None => base::base().has_code(name, code),
            }
        };
        self.terminology.member_of(value_set, system, code).or_else(own)
    }

    /// For `now()` alone, which no published rule asks.
    pub(super) fn now(&self) -> i64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .ok()
            .and_then(|d| i64::try_from(d.as_millis()).ok())
            .unwrap_or(0)
    }
}
