//! What is found in a Bundle before it leaves. The seam to the checker of published rules.

use serde::{Deserialize, Serialize};

use crate::config::NationalConfig;
use crate::config::national::Validation;

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
}

impl std::fmt::Debug for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Finding({} at {})", self.rule, self.path)
    }
}

/// The checks as configured.
pub struct Preflight {
    on: bool,
}

impl Preflight {
    /// Loads the packages that the rules are read from.
    pub fn load(config: &NationalConfig) -> anyhow::Result<Self> {
        Ok(Self { on: config.validation != Validation::Off && !config.packages.is_empty() })
    }

    pub fn is_on(&self) -> bool {
        self.on
    }

    /// Every rule that a Bundle breaks.
    pub fn check(&self, _bundle: &[u8]) -> Vec<Finding> {
        vec![]
    }
}
