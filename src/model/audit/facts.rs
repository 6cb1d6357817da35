//! What a record tells beside who, what and whom: what ITI-20 wants of each transaction and a row of our own does
//! not need otherwise. Rows of older programs have none of it.

use serde::{Deserialize, Serialize};

/// `EventActionCode` of what a feed did to a patient's record (DICOM PS3.15 A.5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Act {
    Create,
    Read,
    Update,
    Delete,
    Execute,
}

impl Act {
    pub fn code(self) -> &'static str {
        match self {
            Act::Create => "C",
            Act::Read => "R",
            Act::Update => "U",
            Act::Delete => "D",
            Act::Execute => "E",
        }
    }

    /// What a message of a feed does (ITI TF-2 3.8.5.1, 3.44.5.1). Merges make two records, each with its own.
    pub fn of_event(event: &str) -> Option<Self> {
        match event.rsplit('^').next().unwrap_or(event) {
            "A01" | "A04" | "A05" | "A28" | "PRPA_IN201301UV02" => Some(Act::Create),
            "A08" | "A31" | "PRPA_IN201302UV02" => Some(Act::Update),
            _ => None,
        }
    }
}

/// The messages a record is about, as the face that took or sent them knows them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Exchange {
    /// The address we were asked at: a URI.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Our own IP address on the connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local: Option<String>,
    /// `wsa:ReplyTo`, where the answer goes elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// HL7 v2: `facility|application` of MSH-4 and MSH-3, MSH-6 and MSH-5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receiver: Option<String>,
    /// MSH-10, or the v3 message's id: `root^extension`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// What it says it is: `ADT^A08`, `PRPA_IN201302UV02`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// The question as it came: an HL7 v2 message, a `queryByParameter`, a URL; without what may not be kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
    /// Headers of a FHIR request that say how it is to be answered.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<String>,
}

/// Where a document is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Held {
    /// DocumentEntry.uniqueId.
    pub document: String,
    /// repositoryUniqueId.
    pub repository: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<String>,
    /// The patient it is of, as CX, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Facts {
    #[serde(skip_serializing_if = "is_default")]
    pub exchange: Exchange,
    /// The process that wrote the record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<u32>,
    /// What was done to the patient's record, where the transaction alone does not say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub act: Option<Act>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<Held>,
    /// uniqueIds of documents asked for that were not given, of an answer that gave others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// What `objects` are, by entryUUID: a key of [`rows::OBJECTS`](super::rows::OBJECTS).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<(String, String)>,
    /// More to be said, name and value: the reason of a break-glass, digests of a setting before and after.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<(String, String)>,
}

fn is_default(exchange: &Exchange) -> bool {
    *exchange == Exchange::default()
}

impl Facts {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Those of `other` where there are none here.
    pub fn or(mut self, other: &Facts) -> Self {
        let (mine, theirs) = (&mut self.exchange, &other.exchange);
        for (mine, theirs) in [
            (&mut mine.endpoint, &theirs.endpoint),
            (&mut mine.local, &theirs.local),
            (&mut mine.reply_to, &theirs.reply_to),
            (&mut mine.sender, &theirs.sender),
            (&mut mine.receiver, &theirs.receiver),
            (&mut mine.message_id, &theirs.message_id),
            (&mut mine.event, &theirs.event),
            (&mut mine.question, &theirs.question),
        ] {
            if mine.is_none() {
                mine.clone_from(theirs);
            }
        }
        if mine.headers.is_empty() {
            mine.headers.clone_from(&theirs.headers);
        }
        self.process = self.process.or(other.process);
        self.act = self.act.or(other.act);
        self
    }
}
