//! The adapter port to the national record-sharing service (national-service, 6.3): a call in our words, an answer in our
//! words, and three ways between which the configuration chooses. How a call looks on the wire is data
//! (`config::mapping`).

mod direct;
mod folder;
mod relay;
pub mod seal;
pub mod shape;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::config::EgressConfig;
use crate::config::mapping::Mapping;
use crate::config::national::Via;
use crate::model::national::{Class, ConsentStatus, Op};
use crate::peer::http::ClientError;

pub use direct::Direct;
pub use folder::Folder;
pub use relay::Relay;

/// What is asked of the service.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    pub op: Op,
    pub institution: String,
    /// Idempotency key: the same for every attempt.
    pub key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub insured_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle_system: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle_value: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent: Option<ConsentStatus>,
    /// Of a discharge summary: the 文書ID of the letter it is attached to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub letter: Option<String>,
    /// Kept and carried beside the rest.
    #[serde(skip)]
    pub bundle: Option<Bytes>,
}

// Whom it is about stays out of logs.
impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Call({} of {} by key {})", self.op, self.institution, self.key)
    }
}

impl Call {
    /// A call with nothing but what every call has.
    pub fn new(op: Op, institution: &str, key: &str) -> Self {
        Self {
            op,
            institution: institution.to_owned(),
            key: key.to_owned(),
            insured_id: None,
            bundle_system: None,
            bundle_value: None,
            destination: None,
            consent: None,
            letter: None,
            bundle: None,
        }
    }

    /// The question what came of this call.
    pub fn result(&self) -> Self {
        Self { op: Op::Result, bundle: None, ..self.clone() }
    }
}

/// A problem that the service found in a Bundle.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    pub rule: String,
    pub location: String,
    pub text: String,
}

// The text may quote the document.
impl std::fmt::Debug for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Problem({})", self.rule)
    }
}

/// What an answer says beside that it is done.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Said {
    pub code: Option<String>,
    pub receipt: Option<String>,
    pub replayed: bool,
    /// Of `availability`.
    pub participates: Option<bool>,
    /// Of `referral.status`, in our words.
    pub state: Option<String>,
}

/// An answer, in our words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "answer")]
pub enum Answer {
    Done(Said),
    /// Taken, and not finished.
    Processing {
        receipt: Option<String>,
        again_after: Option<u64>,
    },
    /// Of `result`: nothing is known under that key.
    Unknown,
    /// The service has decided against it.
    Refused {
        code: String,
        #[serde(with = "class_text")]
        class: Class,
        problems: Vec<Problem>,
    },
    /// Nobody knows, or nobody was there.
    Failed {
        #[serde(with = "class_text")]
        class: Class,
        /// Nobody's data.
        why: String,
        /// Seconds, as the service asked.
        after: Option<u64>,
        /// Whether it may have arrived all the same.
        unsure: bool,
    },
}

impl Answer {
    pub fn transient(why: impl Into<String>, unsure: bool) -> Self {
        Self::Failed { class: Class::Transient, why: why.into(), after: None, unsure }
    }
}

mod class_text {
    use serde::{Deserialize as _, Deserializer, Serializer};

    use crate::model::national::Class;

    pub fn serialize<S: Serializer>(class: &Class, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(class)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Class, D::Error> {
        let text = String::deserialize(d)?;
        Class::parse(&text).ok_or_else(|| serde::de::Error::custom("no class"))
    }
}

/// What the service says it holds.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Held {
    pub value: String,
    pub insured_id: String,
    /// Their word.
    pub state: String,
}

/// What is held of an institution; `None` where the service does not say.
pub type Holdings = Result<Option<Vec<Held>>, String>;

/// One institution's way to the service.
#[derive(Clone)]
pub enum Port {
    Direct(Arc<Direct>),
    Folder(Arc<Folder>),
    Relay(Arc<Relay>),
}

/// Why there is no way.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    #[error("mapping {0:?} is not defined")]
    Mapping(String),
    #[error("{0} is not set")]
    Missing(&'static str),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Seal(#[from] seal::SealError),
}

impl Port {
    /// The way of a configuration.
    pub fn open(egress: &EgressConfig, mappings: &BTreeMap<String, Mapping>) -> Result<Port, PortError> {
        let mapping = || {
            let found = mappings.get(&egress.mapping).cloned();
            found.map(Arc::new).ok_or_else(|| PortError::Mapping(egress.mapping.clone()))
        };
        Ok(match egress.via {
            Via::Direct => {
                let peer = egress.peer.as_ref().ok_or(PortError::Missing("peer"))?;
                Port::Direct(Arc::new(Direct::new(peer, mapping()?)?))
            }
            Via::Folder => Port::Folder(Arc::new(Folder::new(egress, mapping()?)?)),
            Via::Relay => {
                let peer = egress.peer.as_ref().ok_or(PortError::Missing("peer"))?;
                let key = egress.seal_key.as_deref().ok_or(PortError::Missing("seal_key"))?;
                Port::Relay(Arc::new(Relay::new(peer, seal::Seal::read(key)?)?))
            }
        })
    }

    /// Asks, once. Never fails: what goes wrong is an answer.
    pub async fn call(&self, call: &Call, now: i64) -> Answer {
        match self {
            Port::Direct(direct) => direct.call(call).await,
            Port::Folder(folder) => folder.call(call).await,
            Port::Relay(relay) => relay.call(call, now).await,
        }
    }

    /// What the service says it holds of an institution.
    pub async fn holdings(&self, institution: &str, now: i64) -> Holdings {
        match self {
            Port::Direct(direct) => direct.holdings(institution).await,
            Port::Folder(_) => Ok(None),
            Port::Relay(relay) => relay.holdings(institution, now).await,
        }
    }

    /// Where calls go, for records: no secret.
    pub fn address(&self) -> String {
        match self {
            Port::Direct(direct) => direct.address().to_owned(),
            Port::Folder(folder) => folder.address(),
            Port::Relay(relay) => relay.address().to_owned(),
        }
    }
}
