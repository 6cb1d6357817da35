//! Who asks.

use serde::{Deserialize, Serialize};

/// The node behind a connection. Made once per connection from what TLS proved, never from
/// headers. People (XUA) join it when assertions are checked.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Caller {
    /// IP address of the peer.
    pub address: String,
    /// Name of the listener it came in by.
    pub listener: String,
    /// SHA-256 of its certificate, in hex, if it showed one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
}
