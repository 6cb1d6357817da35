//! SAML 2.0 assertions in WS-Security headers, as ITI-40 (XUA) sends them: found, read, their signatures taken
//! apart; written and signed; cut out to be passed on. Whether a key is trusted and whether what is said holds here and now is decided in `service/xua`.

mod assertion;
mod locate;
mod original;
mod signature;
#[cfg(test)]
mod tests;
mod write;

pub use assertion::read;
pub use locate::{Located, locate};
pub use original::original;
pub use signature::take_apart;
pub use write::{Unsigned, secured};

pub const NS_SAML: &str = "urn:oasis:names:tc:SAML:2.0:assertion";
pub const NS_DS: &str = "http://www.w3.org/2000/09/xmldsig#";
