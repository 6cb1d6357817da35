//! A document encrypted at rest: a head with its key, wrapped, and its octets in frames.
//!
//! ```text
//! 0      "CHIRENE" 1
//! 8      size of the document, 8 octets, big endian
//! 16     the document's key wrapped: key id 8, nonce 12, key 32, tag 16
//! 512    the same or zeros: where the key is wrapped anew (`rekey`)
//! 1024   frames of 65,536 octets and a tag of 16; the last is shorter, and may be empty
//! ```
//!
//! AES-256-GCM throughout. The document's key is random and used for this document alone, so a
//! frame's nonce is its number and whether it is the last (STREAM): frames cannot change places, be
//! left out or come twice. What wraps the key binds it to size and SHA-256 of the document, so that a
//! file cannot stand under another's name. The two places for the wrapped key lie in different
//! sectors and are written one after the other, so that one of them is whole whenever power fails.

use aws_lc_rs::aead::{Aad, LessSafeKey, Nonce};

use super::keys::{KeyRing, Locked, TAG, WRAPPED, aes, crypto, random};
use super::{BlobError, BlobKey};

const MAGIC: &[u8; 8] = b"CHIRENE\x01";
/// Octets before the first frame.
pub(super) const HEAD: usize = 1024;
/// Where the wrapped key stands.
pub(super) const SLOTS: [usize; 2] = [16, 512];
/// Octets of a document in a frame.
pub(super) const FRAME: usize = 64 * 1024;

fn frames(size: u64) -> u64 {
    size.div_ceil(FRAME as u64).max(1)
}

/// Octets a document of this size takes when encrypted.
pub(super) fn sealed_size(size: u64) -> u64 {
    size.saturating_add(HEAD as u64).saturating_add(frames(size) * TAG as u64)
}

/// Whether an object that begins so may be encrypted.
pub(super) fn is_sealed(beginning: &[u8]) -> bool {
    beginning.starts_with(MAGIC)
}

fn nonce(number: u32, last: bool) -> Nonce {
    let mut nonce = [0; 12];
    nonce[7..11].copy_from_slice(&number.to_be_bytes());
    nonce[11] = last.into();
    Nonce::assume_unique_for_key(nonce)
}

/// What the wrapped key is bound to.
fn bound(key: &BlobKey, size: u64) -> Vec<u8> {
    [&MAGIC[..], &size.to_be_bytes(), key.as_str().as_bytes()].concat()
}

/// Encrypts a document while it comes.
pub(super) struct Sealer {
    data_key: [u8; 32],
    aead: LessSafeKey,
    number: u32,
    size: u64,
    /// The frame being filled; it goes when more comes, because the last one is marked.
    frame: Vec<u8>,
}

impl Sealer {
    pub(super) fn new() -> Result<Self, BlobError> {
        let data_key = random()?;
        Ok(Self { aead: aes(&data_key)?, data_key, number: 0, size: 0, frame: Vec::new() })
    }

    /// Takes octets in; frames that are full are appended to `out`.
    pub(super) fn push(&mut self, mut octets: &[u8], out: &mut Vec<u8>) -> Result<(), BlobError> {
        self.size += octets.len() as u64;
        while !octets.is_empty() {
            if self.frame.len() == FRAME {
                self.seal(false, out)?;
            }
            let (now, later) = octets.split_at(octets.len().min(FRAME - self.frame.len()));
            self.frame.extend_from_slice(now);
            octets = later;
        }
        Ok(())
    }

    /// Appends the last frame, and gives the head.
    pub(super) fn finish(
        mut self,
        key: &BlobKey,
        ring: &KeyRing,
        out: &mut Vec<u8>,
    ) -> Result<Vec<u8>, BlobError> {
        self.seal(true, out)?;
        let mut head = [&MAGIC[..], &self.size.to_be_bytes()].concat();
        head.extend(ring.wrap(&self.data_key, &bound(key, self.size))?);
        head.resize(HEAD, 0);
        Ok(head)
    }

    fn seal(&mut self, last: bool, out: &mut Vec<u8>) -> Result<(), BlobError> {
        let tag = self
            .aead
            .seal_in_place_separate_tag(nonce(self.number, last), Aad::empty(), &mut self.frame)
            .map_err(|_| crypto("a frame cannot be encrypted"))?;
        self.number = self.number.checked_add(1).ok_or_else(|| crypto("too many frames"))?;
        out.extend_from_slice(&self.frame);
        out.extend_from_slice(tag.as_ref());
        self.frame.clear();
        Ok(())
    }
}

/// A whole document encrypted.
pub(super) fn seal(octets: &[u8], key: &BlobKey, ring: &KeyRing) -> Result<Vec<u8>, BlobError> {
    let mut out = vec![0; HEAD];
    let mut sealer = Sealer::new()?;
    sealer.push(octets, &mut out)?;
    let head = sealer.finish(key, ring, &mut out)?;
    out.splice(..HEAD, head);
    Ok(out)
}

/// Decrypts a document, frame by frame.
#[derive(Debug)]
pub(super) struct Opener {
    /// Of the document.
    pub(super) size: u64,
    key: BlobKey,
    aead: LessSafeKey,
    number: u32,
}

impl Opener {
    /// From the head of an object of `stored` octets. [`Locked`] where no key fits: it may also be no
    /// encrypted object at all, but a document that begins like one.
    pub(super) fn new(
        head: &[u8],
        stored: u64,
        key: &BlobKey,
        ring: &KeyRing,
    ) -> Result<Result<Self, Locked>, BlobError> {
        let Some(size) = size(head) else { return Ok(Err(Locked::Altered)) };
        let data_key = match data_key(head, size, key, ring) {
            Ok((data_key, _)) => data_key,
            Err(locked) => return Ok(Err(locked)),
        };
        if stored != sealed_size(size) {
            return Err(damaged(key, format!("{stored} octets stored, {} expected", sealed_size(size))));
        }
        Ok(Ok(Self { size, key: key.clone(), aead: aes(&data_key)?, number: 0 }))
    }

    /// Octets of the next frame as stored; 0 after the last.
    pub(super) fn next(&self) -> usize {
        let at = u64::from(self.number) * FRAME as u64;
        match u64::from(self.number) < frames(self.size) {
            true => (self.size - at).min(FRAME as u64) as usize + TAG,
            false => 0,
        }
    }

    /// Decrypts the next frame in its place; how many octets of the document it held.
    pub(super) fn open(&mut self, frame: &mut [u8]) -> Result<usize, BlobError> {
        let last = u64::from(self.number) + 1 == frames(self.size);
        let opened = self.aead.open_in_place(nonce(self.number, last), Aad::empty(), frame);
        let octets = opened.map_err(|_| damaged(&self.key, format!("frame {}", self.number)))?.len();
        self.number += 1;
        Ok(octets)
    }

    /// Decrypts frames that follow each other, and closes the gaps their tags leave.
    pub(super) fn open_all(&mut self, octets: &mut Vec<u8>) -> Result<(), BlobError> {
        let (mut from, mut to) = (0, 0);
        while from < octets.len() {
            let end = from + self.next();
            let Some(frame) = octets.get_mut(from..end).filter(|f| !f.is_empty()) else {
                return Err(damaged(&self.key, "it became shorter".into()));
            };
            let opened = self.open(frame)?;
            octets.copy_within(from..from + opened, to);
            (from, to) = (end, to + opened);
        }
        octets.truncate(to);
        Ok(())
    }
}

fn size(head: &[u8]) -> Option<u64> {
    if head.len() != HEAD || !is_sealed(head) {
        return None;
    }
    head.get(8..16)?.try_into().ok().map(u64::from_be_bytes)
}

/// The document's key from whichever place opens, and which place that was.
fn data_key(head: &[u8], size: u64, key: &BlobKey, ring: &KeyRing) -> Result<([u8; 32], usize), Locked> {
    let bound = bound(key, size);
    let mut why = Locked::Altered;
    for (n, at) in SLOTS.into_iter().enumerate() {
        let Some(wrapped) = head.get(at..at + WRAPPED) else { continue };
        match ring.unwrap(wrapped, &bound) {
            Ok((data_key, _)) => return Ok((data_key, n)),
            // Zeros name no key: an empty place says nothing.
            Err(e @ Locked::NoKey(_)) if wrapped.iter().any(|b| *b != 0) => why = e,
            Err(_) => {}
        }
    }
    Err(why)
}

/// The wrapped key as it should stand in both places, or `None` if it does.
pub(super) fn rewrapped(head: &[u8], key: &BlobKey, ring: &KeyRing) -> Result<Option<[u8; WRAPPED]>, Locked> {
    let size = size(head).ok_or(Locked::Altered)?;
    let bound = bound(key, size);
    let (data_key, _) = data_key(head, size, key, ring)?;
    let right = |at: usize| {
        let wrapped = head.get(at..at + WRAPPED).unwrap_or_default();
        let blank = at != SLOTS[0] && wrapped.iter().all(|b| *b == 0);
        blank || ring.unwrap(wrapped, &bound).is_ok_and(|(_, id)| Some(id) == ring.current())
    };
    if SLOTS.into_iter().all(right) {
        return Ok(None);
    }
    ring.wrap(&data_key, &bound).map(Some).map_err(|_| Locked::Altered)
}

pub(super) fn locked(key: &BlobKey, why: Locked) -> BlobError {
    match why {
        Locked::NoKey(id) => BlobError::NoKey { key: key.clone(), id },
        Locked::Altered => damaged(key, "its head was altered".into()),
    }
}

pub(super) fn damaged(key: &BlobKey, message: String) -> BlobError {
    BlobError::Damaged { key: key.clone(), message }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::*;
    use crate::config::encryption::SecretKey;
    use crate::store::blob::spool::hex;

    /// A frame as it is stored.
    const SEALED: usize = FRAME + TAG;

    fn ring(key: u8) -> KeyRing {
        KeyRing::new(&[SecretKey([key; 32])]).unwrap()
    }

    fn name(octets: &[u8]) -> BlobKey {
        BlobKey::parse(&hex(&Sha256::digest(octets))).unwrap()
    }

    fn sample(size: usize) -> Vec<u8> {
        (0..size).map(|i| (i % 251) as u8).collect()
    }

    /// Decrypts, or says in which of the three ways it cannot be done.
    fn open(sealed: &[u8], key: &BlobKey, ring: &KeyRing) -> Result<Vec<u8>, &'static str> {
        let head = sealed.get(..HEAD).ok_or("head")?;
        let opener = Opener::new(head, sealed.len() as u64, key, ring).map_err(|_| "size")?;
        let mut opener = opener.map_err(|locked| match locked {
            Locked::NoKey(_) => "key",
            Locked::Altered => "head",
        })?;
        let mut frames = sealed[HEAD..].to_vec();
        opener.open_all(&mut frames).map_err(|_| "frame")?;
        assert_eq!((opener.next(), frames.len() as u64), (0, opener.size));
        Ok(frames)
    }

    #[test]
    fn documents_of_every_size_come_back() {
        for size in [0, 1, FRAME - 1, FRAME, FRAME + 1, 3 * FRAME, 3 * FRAME + 7] {
            let octets = sample(size);
            let sealed = seal(&octets, &name(&octets), &ring(1)).unwrap();
            assert_eq!(sealed.len() as u64, sealed_size(size as u64));
            assert!(is_sealed(&sealed));
            assert_eq!(open(&sealed, &name(&octets), &ring(1)).unwrap(), octets);
            // The same whatever the pieces it comes in.
            let mut sealer = Sealer::new().unwrap();
            let mut out = vec![];
            for piece in octets.chunks(1000) {
                sealer.push(piece, &mut out).unwrap();
            }
            let head = sealer.finish(&name(&octets), &ring(1), &mut out).unwrap();
            assert_eq!(open(&[head, out].concat(), &name(&octets), &ring(1)).unwrap(), octets);
        }
    }

    #[test]
    fn every_altered_octet_is_found() {
        let octets = sample(FRAME + 100);
        let key = name(&octets);
        let sealed = seal(&octets, &key, &ring(1)).unwrap();
        let spoil = |at: usize| {
            let mut spoiled = sealed.clone();
            spoiled[at] ^= 0x40;
            open(&spoiled, &key, &ring(1))
        };
        let head = 0..SLOTS[0] + WRAPPED;
        for at in head.chain([HEAD, HEAD + FRAME - 1, HEAD + FRAME, HEAD + SEALED, sealed.len() - 1]) {
            assert!(spoil(at).is_err(), "{at}");
        }
        // Where nothing stands, nothing is read.
        assert_eq!(spoil(SLOTS[1] - 1).unwrap(), octets);
    }

    #[test]
    fn truncation_reordering_and_a_wrong_name_are_found() {
        let octets = sample(3 * FRAME);
        let key = name(&octets);
        let sealed = seal(&octets, &key, &ring(1)).unwrap();
        for len in [sealed.len() - 1, HEAD + 2 * SEALED, HEAD + SEALED, HEAD] {
            assert_eq!(open(&sealed[..len], &key, &ring(1)), Err("size"), "{len}");
        }
        // Even where the size agrees: the frame before is not the last one.
        let mut opener = Opener::new(&sealed[..HEAD], sealed.len() as u64, &key, &ring(1)).unwrap().unwrap();
        opener.size = 2 * FRAME as u64;
        assert!(opener.open_all(&mut sealed[HEAD..HEAD + 2 * SEALED].to_vec()).is_err());

        let mut swapped = sealed.clone();
        let (a, b) = swapped[HEAD..].split_at_mut(SEALED);
        a.swap_with_slice(&mut b[..SEALED]);
        assert_eq!(open(&swapped, &key, &ring(1)), Err("frame"));
        assert_eq!(open(&sealed, &name(b"another"), &ring(1)), Err("head"));
        assert_eq!(open(&sealed, &key, &ring(2)), Err("key"));
    }

    #[test]
    fn a_key_is_wrapped_anew_in_either_place() {
        let octets = sample(10);
        let key = name(&octets);
        let mut sealed = seal(&octets, &key, &ring(1)).unwrap();
        assert_eq!(rewrapped(&sealed[..HEAD], &key, &ring(1)), Ok(None));
        let both = KeyRing::new(&[SecretKey([2; 32]), SecretKey([1; 32])]).unwrap();
        let wrapped = rewrapped(&sealed[..HEAD], &key, &both).unwrap().unwrap();
        // The second place first: a power failure now leaves both ways in.
        sealed[SLOTS[1]..SLOTS[1] + WRAPPED].copy_from_slice(&wrapped);
        assert_eq!(open(&sealed, &key, &ring(1)).unwrap(), octets);
        assert_eq!(open(&sealed, &key, &ring(2)).unwrap(), octets);
        assert!(rewrapped(&sealed[..HEAD], &key, &both).unwrap().is_some());
        sealed[SLOTS[0]..SLOTS[0] + WRAPPED].copy_from_slice(&wrapped);
        assert_eq!(open(&sealed, &key, &ring(1)), Err("key"));
        assert_eq!(open(&sealed, &key, &ring(2)).unwrap(), octets);
        assert_eq!(rewrapped(&sealed[..HEAD], &key, &both), Ok(None));
    }
}
