//! The machine behind a connection, as the directory of nodes names it (ITI-19, ITI TF-2 3.19).

pub mod entry;
pub mod grants;

use serde::{Deserialize, Serialize};

pub use entry::{Class, Entry, Marks, Shown, Stranger, Window};
pub use grants::{Grants, Names, Pair, Trespass};

/// EventTypeCodes of security alerts about nodes (DICOM CID 403), the first label of their records.
pub mod alert {
    /// A certificate that is not taken.
    pub const NODE_AUTHENTICATION: &str = "110126";
    /// Certificates, revocation lists, or the directory of nodes.
    pub const SECURITY_CONFIGURATION: &str = "110129";
    /// A node that asks for what it is not granted, or speaks in another's name.
    pub const RESTRICTED_FUNCTION: &str = "110132";
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Node {
    /// Its name in the directory.
    pub id: String,
    /// Organizations it acts for: URIs, `urn:oid:` of the facility.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub organizations: Vec<String>,
    /// The other community whose gateway it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home_community_id: Option<String>,
}
