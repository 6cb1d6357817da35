//! Who asks.

use std::net::{IpAddr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use super::node::Node;
use super::user::User;

/// The node behind a connection. Made once per connection from what TLS proved, never from
/// headers; the person joins it when their assertion is checked.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Caller {
    /// IP address of the peer.
    pub address: String,
    /// Name of the listener it came in by.
    pub listener: String,
    /// SHA-256 of its certificate, in hex, if it showed one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// What the directory of nodes says of it; `None` where no directory is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<Box<Node>>,
    /// The person behind the request, of an assertion that held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<Box<User>>,
}

/// What counts as one peer: an IPv4 address, or an IPv6 /64, for one host owns that many.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        v4 => v4,
    }
}
