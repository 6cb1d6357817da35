//! The machine behind a connection, as the directory of nodes names it (ITI-19, ITI TF-2 3.19).

use serde::{Deserialize, Serialize};

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
