//! Which assertion is meant: one, in one place, and none elsewhere. What is verified is this very node, never one
//! that an ID leads to, so nothing can be wrapped around it or put beside it.

use roxmltree::Node;

use super::{NS_DS, NS_SAML};
use crate::model::assertion::{Kind, Trouble};
use crate::model::namespace::{NS_SOAP12, NS_WSSE};
use crate::wire::xml::tree;

/// The assertion of a message, with its signature.
#[derive(Debug, Clone, Copy)]
pub struct Located<'a, 'i> {
    pub assertion: Node<'a, 'i>,
    pub signature: Node<'a, 'i>,
}

const NS_ROLES: [&str; 2] = [
    "http://www.w3.org/2003/05/soap-envelope/role/next",
    "http://www.w3.org/2003/05/soap-envelope/role/ultimateReceiver",
];

/// Finds it in an envelope; none if there is no `wsse:Security` for us.
pub fn locate<'a, 'i>(envelope: Node<'a, 'i>) -> Result<Option<Located<'a, 'i>>, Trouble> {
    let invalid = |text: &str| Trouble::new(Kind::InvalidSecurity, text);
    let header = tree::child(envelope, NS_SOAP12, "Header");
    let mut assertions = envelope.descendants().filter(|n| tree::is(*n, NS_SAML, "Assertion"));
    let (first, second) = (assertions.next(), assertions.next());
    let ours = |block: &Node<'_, '_>| {
        let role = tree::attr_ns(*block, NS_SOAP12, "role").map(str::trim).filter(|r| !r.is_empty());
        role.is_none_or(|r| NS_ROLES.contains(&r))
    };
    let mut blocks = header.into_iter().flat_map(|h| tree::children(h, NS_WSSE, "Security")).filter(ours);
    let security = match (blocks.next(), blocks.next()) {
        (None, _) if first.is_none() => return Ok(None),
        (None, _) => return Err(invalid("a saml:Assertion stands outside any wsse:Security header")),
        (Some(_), Some(_)) => return Err(invalid("wsse:Security stands more than once; one is for us")),
        (Some(security), None) => security,
    };
    if envelope.descendants().any(|n| tree::is(n, NS_SAML, "EncryptedAssertion")) {
        return Err(Trouble::new(
            Kind::UnsupportedSecurityToken,
            "saml:EncryptedAssertion is not supported; TLS is what encrypts (ITI TF-2 3.40)",
        ));
    }
    let assertion = match (first, second) {
        (None, _) => return Err(invalid("wsse:Security holds no saml:Assertion (ITI TF-2 3.40.4.1.2)")),
        (Some(_), Some(_)) => {
            return Err(invalid("the message holds more than one saml:Assertion; exactly one is required"));
        }
        (Some(only), None) if only.parent() == Some(security) => only,
        (Some(_), None) => return Err(invalid("the saml:Assertion is not a child of wsse:Security")),
    };
    let mut signatures = assertion.descendants().filter(|n| tree::is(*n, NS_DS, "Signature"));
    let signature = match (signatures.next(), signatures.next()) {
        (Some(only), None) if only.parent() == Some(assertion) => only,
        (None, _) => {
            return Err(Trouble::new(Kind::InvalidSecurityToken, "the saml:Assertion is not signed"));
        }
        _ => {
            return Err(Trouble::new(
                Kind::InvalidSecurityToken,
                "the saml:Assertion has not exactly one ds:Signature, as its child",
            ));
        }
    };
    Ok(Some(Located { assertion, signature }))
}
