//! Consents as documents: BPPC (a CDA that names the policy acknowledged) and APPC (an XACML policy set with the rules).
//! Pure: records in, documents out, and back.

pub mod appc;
mod bppc;

pub use bppc::bppc;

/// formatCode of the two (code system `1.3.6.1.4.1.19376.1.2.3`).
pub const BPPC_FORMAT: &str = "urn:ihe:iti:bppc:2007";
pub const APPC_FORMAT: &str = "urn:ihe:iti:appc:2016:consent";

#[cfg(test)]
mod tests;
