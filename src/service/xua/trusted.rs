//! Who is trusted to make assertions, and whose signature one has.

use std::sync::Arc;

use jiff::Timestamp;

use super::key::Key;
use super::known::{self, Known, Verified};
use super::{Node, refused};
use crate::config::{XuaConfig, tls};
use crate::model::assertion::{Assertion, Kind, Signed, Trouble};
use crate::model::error::clip;

/// Octets of the longest assertion that is remembered.
const LONGEST: usize = 64 * 1024;

/// Who is trusted, and the assertions known to be theirs; with other keys nothing is known any more.
pub struct Trusted {
    issuers: Vec<Issuer>,
    known: Known,
}

/// An assertion that one of those trusted signed. Whether it holds is another question.
pub struct Signature {
    trusted: Arc<Trusted>,
    verified: Arc<Verified>,
}

impl Trusted {
    /// The issuers of a configuration, their certificates read. The error is a sentence that names the key.
    pub fn read(config: &XuaConfig) -> anyhow::Result<Self> {
        let mut issuers = vec![];
        for issuer in &config.issuer {
            let mut keys = vec![];
            for path in &issuer.certificates {
                for certificate in tls::certificates(path)? {
                    let key = Key::of(&certificate).ok_or_else(|| {
                        anyhow::anyhow!(
                            "xua.issuer.certificates: {} holds a certificate whose key cannot be read",
                            path.display()
                        )
                    })?;
                    keys.push(key);
                }
            }
            issuers.push(Issuer { name: issuer.name.clone(), keys, nodes: issuer.nodes.clone() });
        }
        Ok(Self { issuers, known: Known::default() })
    }

    /// Certificates of all issuers.
    pub fn keys(&self) -> usize {
        self.issuers.iter().map(|issuer| issuer.keys.len()).sum()
    }

    /// See [`Xua::verify`](super::Xua::verify).
    pub fn signature(
        self: Arc<Self>,
        xml: Option<&str>,
        read: impl FnOnce() -> Result<(Assertion, Signed), Trouble>,
    ) -> Result<Signature, Trouble> {
        let text = xml.filter(|xml| xml.len() <= LONGEST).map(known::digest);
        if let Some(verified) = text.and_then(|text| self.known.get(&text)) {
            return Ok(Signature { trusted: self, verified });
        }
        let (assertion, signed) = read()?;
        let verified = Arc::new(self.verify(assertion, &signed)?);
        if let Some(text) = text {
            self.known.put(text, verified.clone());
        }
        Ok(Signature { trusted: self, verified })
    }

    /// Signed by a key that is known to be the issuer's; what KeyInfo says is nothing to go by.
    fn verify(&self, assertion: Assertion, signed: &Signed) -> Result<Verified, Trouble> {
        let issuer =
            self.issuers.iter().position(|issuer| issuer.name == assertion.issuer).ok_or_else(|| {
                refused(format!("Assertion/Issuer '{}' is not trusted here", clip(&assertion.issuer)))
            })?;
        let keys = self.issuers.get(issuer).map(|issuer| issuer.keys.as_slice()).unwrap_or_default();
        let key = keys.iter().position(|key| key.verifies(signed)).ok_or_else(|| {
            Trouble::new(
                Kind::FailedCheck,
                format!(
                    "ds:SignatureValue is of none of the {} certificates known of issuer '{}'",
                    keys.len(),
                    clip(&assertion.issuer)
                ),
            )
        })?;
        Ok(Verified { assertion, issuer, key })
    }
}

impl Signature {
    pub fn assertion(&self) -> &Assertion {
        &self.verified.assertion
    }

    /// The key is valid now, and its owner serves the node.
    pub fn is_usable(&self, node: Node<'_>, now: Timestamp) -> Result<(), Trouble> {
        let Verified { assertion, issuer, key } = &*self.verified;
        let issuer = self.trusted.issuers.get(*issuer);
        let key = issuer.and_then(|issuer| issuer.keys.get(*key));
        let (Some(Issuer { nodes, .. }), Some(key)) = (issuer, key) else {
            return Err(refused("the signature is of a key that is no longer there"));
        };
        if let Some(validity) = key.validity.filter(|_| !key.is_valid(now)) {
            return Err(refused(format!(
                "the certificate the assertion is signed with is valid from {} to {}",
                validity.not_before, validity.not_after
            )));
        }
        match node.is_among(nodes) {
            true => Ok(()),
            false => Err(refused(format!(
                "issuer '{}' does not serve the node that brings its assertion (xua.issuer.nodes)",
                clip(&assertion.issuer)
            ))),
        }
    }
}

/// Who is trusted to make assertions.
struct Issuer {
    name: String,
    keys: Vec<Key>,
    /// Who may bring them.
    nodes: Vec<String>,
}
