//! The keys of `repository.encryption.key_file`: each document has a key of its own, and these wrap it.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use sha2::{Digest as _, Sha256};

use super::BlobError;
use super::spool::hex;
use crate::config::encryption::SecretKey;

pub(super) const TAG: usize = 16;
/// Octets of a wrapped document key: which key wraps it, nonce, key and tag.
pub(super) const WRAPPED: usize = ID + NONCE_LEN + 32 + TAG;
const ID: usize = 8;

/// Which key: the beginning of a SHA-256 over it, so that a file may name it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyId([u8; ID]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

struct Wrapping {
    id: KeyId,
    key: LessSafeKey,
}

/// Keys at hand. The first writes, all read. Clones share them.
#[derive(Clone)]
pub struct KeyRing(Arc<Vec<Wrapping>>);

impl KeyRing {
    /// An error if there is none.
    pub fn new(keys: &[SecretKey]) -> Result<Self, BlobError> {
        let wrap = |key: &SecretKey| Ok(Wrapping { id: id_of(&key.0), key: aes(&key.0)? });
        let ring: Vec<Wrapping> = keys.iter().map(wrap).collect::<Result<_, BlobError>>()?;
        if ring.is_empty() {
            return Err(crypto("no key"));
        }
        Ok(Self(Arc::new(ring)))
    }

    /// The key that writes.
    pub fn current(&self) -> Option<KeyId> {
        self.0.first().map(|w| w.id)
    }

    /// Wraps a document's key under the first key; `bound` is what it belongs to.
    pub(super) fn wrap(&self, data_key: &[u8; 32], bound: &[u8]) -> Result<[u8; WRAPPED], BlobError> {
        let Wrapping { id, key } = self.0.first().ok_or_else(|| crypto("no key"))?;
        let nonce = random::<NONCE_LEN>()?;
        let mut wrapped = *data_key;
        let tag = key
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(bound), &mut wrapped)
            .map_err(|_| crypto("a key cannot be wrapped"))?;
        let mut out = [0; WRAPPED];
        for (to, from) in out.iter_mut().zip(id.0.iter().chain(&nonce).chain(&wrapped).chain(tag.as_ref())) {
            *to = *from;
        }
        Ok(out)
    }

    /// Takes a document's key out of what [`wrap`](Self::wrap) made.
    pub(super) fn unwrap(&self, wrapped: &[u8], bound: &[u8]) -> Result<([u8; 32], KeyId), Locked> {
        let (id, rest) = wrapped.split_first_chunk::<ID>().ok_or(Locked::Altered)?;
        let (nonce, rest) = rest.split_first_chunk::<NONCE_LEN>().ok_or(Locked::Altered)?;
        let id = KeyId(*id);
        let Wrapping { key, .. } = self.0.iter().find(|w| w.id == id).ok_or(Locked::NoKey(id))?;
        let mut sealed = rest.to_vec();
        let opened = key
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(bound), &mut sealed)
            .map_err(|_| Locked::Altered)?;
        Ok((opened[..].try_into().map_err(|_| Locked::Altered)?, id))
    }
}

/// Why a document's key could not be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Locked {
    /// It is wrapped under a key we do not have.
    NoKey(KeyId),
    Altered,
}

fn id_of(key: &[u8; 32]) -> KeyId {
    let digest = Sha256::new().chain_update(b"chiren key id\0").chain_update(key).finalize();
    let mut id = [0; ID];
    id.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    KeyId(id)
}

pub(super) fn aes(key: &[u8; 32]) -> Result<LessSafeKey, BlobError> {
    let unbound = UnboundKey::new(&AES_256_GCM, key).map_err(|_| crypto("a key cannot be used"))?;
    Ok(LessSafeKey::new(unbound))
}

pub(super) fn random<const N: usize>() -> Result<[u8; N], BlobError> {
    let mut out = [0; N];
    aws_lc_rs::rand::fill(&mut out).map_err(|_| crypto("no random numbers"))?;
    Ok(out)
}

pub(super) fn crypto(what: &'static str) -> BlobError {
    BlobError::Io { what: "encrypt a document", source: std::io::Error::other(what) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_out_where_it_belongs_and_under_its_key() {
        let (old, new) = (SecretKey([1; 32]), SecretKey([2; 32]));
        let before = KeyRing::new(std::slice::from_ref(&old)).unwrap();
        let after = KeyRing::new(&[new.clone(), old]).unwrap();
        let without = KeyRing::new(&[new]).unwrap();
        let wrapped = before.wrap(&[9; 32], b"here").unwrap();
        let id = before.current().unwrap();
        assert_eq!(before.unwrap(&wrapped, b"here"), Ok(([9; 32], id)));
        assert_eq!(after.unwrap(&wrapped, b"here"), Ok(([9; 32], id)));
        assert_ne!(after.current(), Some(id));
        assert_eq!(without.unwrap(&wrapped, b"here"), Err(Locked::NoKey(id)));
        assert_eq!(before.unwrap(&wrapped, b"there"), Err(Locked::Altered));
        for at in 8..WRAPPED {
            let mut spoiled = wrapped;
            spoiled[at] ^= 1;
            assert_eq!(before.unwrap(&spoiled, b"here"), Err(Locked::Altered), "{at}");
        }
        assert!(KeyRing::new(&[]).is_err());
    }
}
