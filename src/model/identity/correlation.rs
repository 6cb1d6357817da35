//! How it is known who a patient is in another community.

use serde::{Deserialize, Serialize};

/// `correlation.way`. The numbers are stored: never reuse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[repr(i64)]
pub enum Way {
    /// ITI-45, ITI-46.
    Pix = 1,
    /// ITI-55.
    Xcpd = 2,
    /// One authority issues ids for both networks.
    SharedId = 3,
    /// A person said so.
    Hand = 4,
}

impl Way {
    pub const ALL: [Way; 4] = [Way::Pix, Way::Xcpd, Way::SharedId, Way::Hand];

    /// What a number that is stored means; one of a newer program was said by somebody.
    pub fn of_code(code: i64) -> Self {
        Self::ALL.into_iter().find(|w| *w as i64 == code).unwrap_or(Way::Hand)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Way::Pix => "PIX",
            Way::Xcpd => "XCPD",
            Way::SharedId => "shared id",
            Way::Hand => "by hand",
        }
    }

    /// As people in the secretariat call it.
    pub fn japanese(self) -> &'static str {
        match self {
            Way::Pix => "PIX",
            Way::Xcpd => "XCPD",
            Way::SharedId => "共通 ID",
            Way::Hand => "手動",
        }
    }
}
