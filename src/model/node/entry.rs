//! A row of the directory of nodes: who a node is, how it is known by its certificate, and how much it may ask.

use std::sync::Arc;

use jiff::Timestamp;

use super::Node;
use super::grants::Grants;

/// A node of the directory.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub node: Node,
    /// The name people know it by.
    pub name: String,
    /// 医療機関コード.
    pub facility_numbers: Vec<String>,
    pub marks: Marks,
    /// Its certificate is trusted as it is, without an authority: only those listed by their hash.
    pub direct_trust: bool,
    pub window: Window,
    pub suspended: bool,
    /// Its HL7 v2 is taken where it is not quite that.
    pub hl7_lenient: bool,
    pub grants: Grants,
    pub class: Arc<Class>,
}

/// By what its certificates are known, the surest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Marks {
    /// SHA-256 of leaves, lower-case hex.
    pub certificates: Vec<String>,
    /// uniformResourceIdentifier of subjectAltName.
    pub uris: Vec<String>,
    /// dNSName of subjectAltName.
    pub dns_names: Vec<String>,
    /// Issuer's name and subject's commonName, for old certificates of a dedicated authority.
    pub issued: Vec<(String, String)>,
}

/// When a node may connect; open ends are `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Window {
    pub from: Option<Timestamp>,
    /// The first instant it may not.
    pub to: Option<Timestamp>,
}

/// How much a node may ask. 0 means without limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    pub name: String,
    pub requests_per_second: u32,
    /// Requests at once after a rest.
    pub burst: u32,
    pub retrieve_bytes_per_second: u64,
    pub connections: u32,
    /// Of each person whose assertions the node brings.
    pub user_requests_per_second: u32,
    pub user_burst: u32,
}

/// Why a certificate that is trusted names no node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stranger {
    /// No node of the directory has it.
    Unknown,
    Suspended,
    /// Before `valid_from`.
    Early,
    /// After `valid_to`.
    Ended,
    /// Known, but not granted listeners of role ops.
    NotOps,
}

impl Stranger {
    /// The second label of its audit record.
    pub fn label(self) -> &'static str {
        match self {
            Stranger::Unknown => "unknown-node",
            Stranger::Suspended => "suspended-node",
            Stranger::Early => "node-not-yet-valid",
            Stranger::Ended => "node-no-longer-valid",
            Stranger::NotOps => "not-ops",
        }
    }
}

impl Entry {
    /// Whether it may connect at `now`.
    pub fn admitted(&self, now: Timestamp) -> Result<(), Stranger> {
        match self.window {
            _ if self.suspended => Err(Stranger::Suspended),
            Window { from: Some(from), .. } if now < from => Err(Stranger::Early),
            Window { to: Some(to), .. } if now >= to => Err(Stranger::Ended),
            _ => Ok(()),
        }
    }
}

/// What a node's certificate is known by, read from it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shown {
    /// SHA-256, lower-case hex.
    pub fingerprint: String,
    pub uris: Vec<String>,
    pub dns_names: Vec<String>,
    pub issuer: String,
    pub common_name: String,
}
