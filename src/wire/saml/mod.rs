//! SAML 2.0 assertions in WS-Security headers, as ITI-40 (XUA) sends them: found, read, their signatures taken
//! apart. Whether a key is trusted and whether what is said holds here and now is decided in `service/xua`.

mod assertion;
mod locate;
mod signature;
#[cfg(test)]
mod tests;

pub use assertion::read;
pub use locate::{Located, locate};
pub use signature::take_apart;

pub const NS_SAML: &str = "urn:oasis:names:tc:SAML:2.0:assertion";
pub const NS_DS: &str = "http://www.w3.org/2000/09/xmldsig#";
