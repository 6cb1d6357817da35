//! `[soap]`: how envelopes are read.

use serde::{Deserialize, Serialize};

use super::section::section;

/// What a `wsse:Security` header marked mustUnderstand means to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SecurityHeader {
    Refuse,
    Ignore,
}

section! {
    /// SOAP messages (ITI TF-2 Appendix V).
    pub struct SoapConfig {
        /// A `wsse:Security` header marked mustUnderstand, where `[xua]` is off: `refuse` (a MustUnderstand
        /// fault, for nobody looks at it) or `ignore` (the message is taken without the header having any
        /// effect).
        security_header: SecurityHeader = SecurityHeader::Refuse,
    }
}
