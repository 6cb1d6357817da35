//! The signature of an assertion, held to one profile: exclusive canonicalization, one reference to the assertion
//! itself, SHA-2, RSA or ECDSA (XML Signature 1.1; SAML 2.0 Core 5.4; security guidance of ITI TF-2 3.40).

use ::base64::Engine as _;
use ::base64::engine::general_purpose::STANDARD;
use roxmltree::Node;
use sha2::{Digest, Sha256, Sha384, Sha512};

use super::{Located, NS_DS};
use crate::model::assertion::{Algorithm, Kind, Signed, Trouble};
use crate::model::error::clip;
use crate::wire::xml::{c14n, tree};

const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";

const SHA256: &str = "http://www.w3.org/2001/04/xmlenc#sha256";
const SHA384: &str = "http://www.w3.org/2001/04/xmldsig-more#sha384";
const SHA512: &str = "http://www.w3.org/2001/04/xmlenc#sha512";

/// Reads the signature, and compares the digest with the assertion it stands in.
pub fn take_apart(located: Located<'_, '_>) -> Result<Signed, Trouble> {
    let Located { assertion, signature } = located;
    let invalid = |text: String| Trouble::new(Kind::InvalidSecurityToken, text);
    if assertion.descendants().any(|n| n.is_comment() || n.is_pi()) {
        return Err(invalid("the saml:Assertion holds a comment or a processing instruction".into()));
    }
    let info = only(signature, "SignedInfo")?;
    let method = only(info, "CanonicalizationMethod")?;
    allowed("CanonicalizationMethod", algorithm(method), &[EXCLUSIVE])?;
    let inclusive_info = prefixes(method)?;
    let named = algorithm(only(info, "SignatureMethod")?);
    let algorithm_used = Algorithm::ALL.into_iter().find(|a| a.uri() == named).ok_or_else(|| {
        let all: Vec<&str> = Algorithm::ALL.into_iter().map(Algorithm::uri).collect();
        unsupported("SignatureMethod", named, &all)
    })?;
    let reference = only(info, "Reference")?;
    let id = tree::attr(assertion, "ID").unwrap_or_default();
    let uri = tree::attr(reference, "URI").unwrap_or_default();
    if id.is_empty() || uri.strip_prefix('#') != Some(id) {
        return Err(invalid(format!(
            "ds:Reference/@URI '{}' is not '#' and the ID of the assertion, '{}'",
            clip(uri),
            clip(id)
        )));
    }
    let transforms: Vec<Node<'_, '_>> =
        tree::child(reference, NS_DS, "Transforms").into_iter().flat_map(tree::elements).collect();
    let inclusive = match transforms.as_slice() {
        [enveloped, exclusive] => {
            allowed("Transform", algorithm(*enveloped), &[ENVELOPED])?;
            allowed("Transform", algorithm(*exclusive), &[EXCLUSIVE])?;
            if tree::elements(*enveloped).next().is_some() {
                return Err(invalid("the enveloped-signature transform has content".into()));
            }
            prefixes(*exclusive)?
        }
        other => {
            return Err(Trouble::new(
                Kind::UnsupportedAlgorithm,
                format!(
                    "ds:Reference has {} transforms; exactly {ENVELOPED} and {EXCLUSIVE} are allowed",
                    other.len()
                ),
            ));
        }
    };
    let digest_method = algorithm(only(reference, "DigestMethod")?);
    allowed("DigestMethod", digest_method, &[SHA256, SHA384, SHA512])?;
    let form = c14n::exclusive(assertion, Some(signature), &inclusive);
    let digest = match digest_method {
        SHA256 => Sha256::digest(form.as_bytes()).to_vec(),
        SHA384 => Sha384::digest(form.as_bytes()).to_vec(),
        _ => Sha512::digest(form.as_bytes()).to_vec(),
    };
    if octets(only(reference, "DigestValue")?)? != digest {
        return Err(Trouble::new(
            Kind::FailedCheck,
            "ds:DigestValue is not the digest of the assertion: it was changed after it was signed",
        ));
    }
    let message = c14n::exclusive(info, None, &inclusive_info).into_bytes();
    Ok(Signed { algorithm: algorithm_used, message, value: octets(only(signature, "SignatureValue")?)? })
}

/// The one child of that name.
fn only<'a, 'i>(node: Node<'a, 'i>, name: &'static str) -> Result<Node<'a, 'i>, Trouble> {
    let mut found = node.children().filter(|n| tree::is(*n, NS_DS, name));
    match (found.next(), found.next()) {
        (Some(only), None) => Ok(only),
        (first, _) => Err(Trouble::new(
            Kind::InvalidSecurityToken,
            format!(
                "{} holds {} ds:{name}; exactly one is required",
                clip(node.tag_name().name()),
                if first.is_none() { "no" } else { "more than one" }
            ),
        )),
    }
}

fn algorithm<'a>(node: Node<'a, '_>) -> &'a str {
    tree::attr(node, "Algorithm").unwrap_or_default()
}

fn allowed(element: &str, found: &str, these: &[&str]) -> Result<(), Trouble> {
    match these.contains(&found) {
        true => Ok(()),
        false => Err(unsupported(element, found, these)),
    }
}

fn unsupported(element: &str, found: &str, these: &[&str]) -> Trouble {
    Trouble::new(
        Kind::UnsupportedAlgorithm,
        format!("ds:{element}/@Algorithm '{}' is not supported; there are {}", clip(found), these.join(", ")),
    )
}

/// `InclusiveNamespaces/@PrefixList` of a canonicalization, and nothing else in it.
fn prefixes<'a>(node: Node<'a, '_>) -> Result<Vec<&'a str>, Trouble> {
    let mut parts = node.children().filter(Node::is_element);
    match (parts.next(), parts.next()) {
        (None, _) => Ok(vec![]),
        (Some(list), None) if tree::is(list, EXCLUSIVE, "InclusiveNamespaces") => {
            Ok(tree::attr(list, "PrefixList").unwrap_or_default().split_ascii_whitespace().collect())
        }
        (Some(other), _) => Err(Trouble::new(
            Kind::UnsupportedAlgorithm,
            format!("a canonicalization has the parameter '{}'", clip(other.tag_name().name())),
        )),
    }
}

fn octets(node: Node<'_, '_>) -> Result<Vec<u8>, Trouble> {
    let text: String = tree::text_of(node).split_ascii_whitespace().collect();
    STANDARD.decode(text).map_err(|_| {
        Trouble::new(Kind::InvalidSecurityToken, format!("ds:{} is not base64", clip(node.tag_name().name())))
    })
}
