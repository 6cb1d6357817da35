//! Communities: other networks that are asked, and ask. ITI TF-1 18 (XCA), 27 (XCPD).

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ids::HomeCommunityId;

/// How a patient of ours is found in another community.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CorrelateBy {
    /// Both networks' ids are linked by PIX: ITI-44 feeds, ITI-45 questions, ITI-46 notices.
    #[default]
    Pix,
    /// By demographics: ITI-55.
    Xcpd,
    /// An id of one authority means the same patient in both networks.
    SharedId,
}

/// Which assertion of who asks goes with our requests (XUA, ITI-40).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AssertionPolicy {
    #[default]
    None,
    /// Our own, of our user.
    Issue,
    /// The one our user brought, if it is for that community too.
    Pass,
}

/// What becomes of a request behind which no user is known, where an assertion should go with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WithoutUser {
    /// It is not sent.
    #[default]
    Refuse,
    /// It is sent without an assertion.
    Send,
    /// It is attributed to this gateway itself.
    System,
}

/// Another network, as the directory describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Community {
    /// The operator's short name: logs, metrics, commands.
    pub id: String,
    pub name: String,
    pub home: HomeCommunityId,
    /// Communities it answers for beside itself: a hub's members.
    pub stands_for: Vec<HomeCommunityId>,
    /// OID of the authority of its patient ids.
    pub patient_id_authority: Option<String>,
    pub correlate: CorrelateBy,
    /// Addresses, each under the key of its transaction: `iti38`.
    pub endpoints: Vec<(&'static str, String)>,
    /// OID of its device, receiver of HL7 v3 messages.
    pub device: Option<String>,
    /// Until when an answer must be there.
    pub budget: Duration,
    pub assertion: AssertionPolicy,
    pub without_user: WithoutUser,
    /// What it is called in AudienceRestriction.
    pub audience: String,
}

impl Community {
    /// Its address under this key (`iti38`), if it has one.
    pub fn endpoint(&self, key: &str) -> Option<&str> {
        self.endpoints.iter().find(|(k, _)| *k == key).map(|(_, url)| url.as_str())
    }

    /// Whether objects with this homeCommunityId may come from it.
    pub fn speaks_for(&self, home: &str) -> bool {
        let is = |own: &HomeCommunityId| own.to_string() == home;
        is(&self.home) || self.stands_for.iter().any(is)
    }

    /// Whether it answers for others too.
    pub fn is_hub(&self) -> bool {
        !self.stands_for.is_empty()
    }
}

/// Where asking a community ended. `bad answer` is an answer that is none of the transaction's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Not asked: its breaker is open.
    Breaker,
    /// Not asked: as many requests were under way as may be.
    Queue,
    /// Not asked: it has no address for the transaction.
    Endpoint,
    /// Not asked: it wants to know who asks, and no assertion could be given.
    Assertion,
    Resolve,
    Connect,
    Tls,
    Timeout,
    /// A SOAP fault.
    Fault,
    BadAnswer,
    /// Our own request could not be made.
    Request,
}

impl Step {
    pub const ALL: [Step; 11] = [
        Self::Breaker,
        Self::Queue,
        Self::Endpoint,
        Self::Assertion,
        Self::Resolve,
        Self::Connect,
        Self::Tls,
        Self::Timeout,
        Self::Fault,
        Self::BadAnswer,
        Self::Request,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Breaker => "breaker",
            Self::Queue => "queue",
            Self::Endpoint => "endpoint",
            Self::Assertion => "assertion",
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Tls => "TLS",
            Self::Timeout => "timeout",
            Self::Fault => "fault",
            Self::BadAnswer => "bad answer",
            Self::Request => "request",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
