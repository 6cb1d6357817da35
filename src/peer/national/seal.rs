//! Jobs between gateway and relay, sealed end to end: whoever stands between them, a proxy that ends TLS included, can
//! neither read nor alter nor repeat one later. AES-256-GCM under a key that both have in a file; the additional data say
//! which way it goes.

use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use serde::{Deserialize, Serialize};

use super::{Answer, Call, Held};
use crate::config::EncryptionConfig;

/// Why something cannot be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    #[error("seal_key: {0}")]
    Key(String),
    #[error("it cannot be sealed")]
    Seal,
    #[error("it was not sealed with our key, or was altered on the way")]
    Opened,
    #[error("what is inside cannot be read")]
    Inside,
    #[error("it is {0} s old, or from the future: are the clocks right?")]
    Old(i64),
}

/// What a gateway wants of a relay.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Job {
    Call(Call),
    Holdings { institution: String },
}

/// What a relay says.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reply {
    Answer(Answer),
    Holdings(Option<Vec<Held>>),
    /// The relay does not do that: a job of another institution, or one too old.
    Refused(String),
}

#[derive(Serialize, Deserialize)]
struct Sheet<T> {
    /// Microseconds since 1970.
    at: i64,
    /// Of a job: random; of a reply: its job's.
    id: String,
    inside: T,
}

/// A key of both sides.
pub struct Seal(LessSafeKey);

const JOB: &[u8] = b"chiren relay job 1";
const REPLY: &[u8] = b"chiren relay reply 1";

impl Seal {
    /// Reads the key's file, which must be closed to others.
    pub fn read(path: &Path) -> Result<Self, SealError> {
        let file = EncryptionConfig { key_file: path.to_owned() };
        let keys = file.keys().map_err(|e| SealError::Key(e.to_string()))?;
        let key = keys.first().ok_or_else(|| SealError::Key("no key".into()))?;
        Self::new(&key.0)
    }

    pub fn new(key: &[u8; 32]) -> Result<Self, SealError> {
        let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_| SealError::Seal)?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// Seals a job made at `now`, with its Bundle beside it; its id too.
    pub fn job(&self, job: &Job, now: i64) -> Result<(Vec<u8>, String), SealError> {
        let id = uuid::Uuid::new_v4().to_string();
        let bundle = match job {
            Job::Call(call) => call.bundle.clone().unwrap_or_default(),
            Job::Holdings { .. } => bytes::Bytes::new(),
        };
        let head = serde_json::to_vec(&Sheet { at: now, id: id.clone(), inside: job })
            .map_err(|_| SealError::Seal)?;
        let length = u32::try_from(head.len()).map_err(|_| SealError::Seal)?;
        let mut plain = length.to_be_bytes().to_vec();
        plain.extend_from_slice(&head);
        plain.extend_from_slice(&bundle);
        Ok((self.close(plain, JOB)?, id))
    }

    /// Opens a job; one older than `seconds`, or from the future, is refused.
    pub fn open_job(&self, sealed: Vec<u8>, now: i64, seconds: u64) -> Result<(Job, String), SealError> {
        let plain = self.open(sealed, JOB)?;
        let (length, rest) = plain.split_at_checked(4).ok_or(SealError::Inside)?;
        let length = u32::from_be_bytes(length.try_into().map_err(|_| SealError::Inside)?);
        let (head, bundle) = rest.split_at_checked(length as usize).ok_or(SealError::Inside)?;
        let sheet: Sheet<Job> = serde_json::from_slice(head).map_err(|_| SealError::Inside)?;
        let age = now.saturating_sub(sheet.at) / 1_000_000;
        if age.unsigned_abs() > seconds {
            return Err(SealError::Old(age));
        }
        let mut job = sheet.inside;
        if let Job::Call(call) = &mut job
            && !bundle.is_empty()
        {
            call.bundle = Some(bytes::Bytes::copy_from_slice(bundle));
        }
        Ok((job, sheet.id))
    }

    pub fn reply(&self, id: &str, reply: &Reply, now: i64) -> Result<Vec<u8>, SealError> {
        let sheet = Sheet { at: now, id: id.to_owned(), inside: reply };
        self.close(serde_json::to_vec(&sheet).map_err(|_| SealError::Seal)?, REPLY)
    }

    /// Opens the reply to a job.
    pub fn open_reply(&self, sealed: Vec<u8>, id: &str) -> Result<Reply, SealError> {
        let plain = self.open(sealed, REPLY)?;
        let sheet: Sheet<Reply> = serde_json::from_slice(&plain).map_err(|_| SealError::Inside)?;
        if sheet.id == id { Ok(sheet.inside) } else { Err(SealError::Opened) }
    }

    fn close(&self, mut plain: Vec<u8>, aad: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; NONCE_LEN];
        aws_lc_rs::rand::fill(&mut nonce).map_err(|_| SealError::Seal)?;
        self.0
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), &mut plain)
            .map_err(|_| SealError::Seal)?;
        let mut out = nonce.to_vec();
        out.append(&mut plain);
        Ok(out)
    }

    fn open(&self, sealed: Vec<u8>, aad: &[u8]) -> Result<Vec<u8>, SealError> {
        let (nonce, rest) = sealed.split_at_checked(NONCE_LEN).ok_or(SealError::Opened)?;
        let nonce: [u8; NONCE_LEN] = nonce.try_into().map_err(|_| SealError::Opened)?;
        let mut rest = rest.to_vec();
        let plain = self
            .0
            .open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(aad), &mut rest)
            .map_err(|_| SealError::Opened)?;
        Ok(plain.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::national::Op;

    fn job() -> Job {
        let call = Call::new(Op::parse("info.register").unwrap(), "1319900018", "k");
        Job::Call(Call { bundle: Some("{\"n\":1.00}".into()), ..call })
    }

    #[test]
    fn a_job_comes_out_as_it_went_in_and_only_so() {
        let (ours, others) = (Seal::new(&[1; 32]).unwrap(), Seal::new(&[2; 32]).unwrap());
        let (sealed, id) = ours.job(&job(), 1_000_000).unwrap();
        assert!(memchr::memmem::find(&sealed, b"1319900018").is_none());
        let (opened, same) = ours.open_job(sealed.clone(), 2_000_000, 300).unwrap();
        assert!(opened == job() && same == id);
        assert!(matches!(others.open_job(sealed.clone(), 1_000_000, 300), Err(SealError::Opened)));
        assert!(matches!(ours.open_job(sealed.clone(), 400_000_000, 300), Err(SealError::Old(399))));
        let mut altered = sealed.clone();
        altered[20] ^= 1;
        assert!(matches!(ours.open_job(altered, 1_000_000, 300), Err(SealError::Opened)));
        // A reply is no job, and answers one job.
        let reply = ours.reply(&id, &Reply::Refused("no".into()), 1).unwrap();
        assert!(ours.open_job(reply.clone(), 1, 300).is_err());
        assert!(ours.open_reply(reply.clone(), &id).unwrap() == Reply::Refused("no".into()));
        assert!(ours.open_reply(reply, "another").is_err());
        assert!(ours.open_job(vec![0; 5], 1, 300).is_err());
    }
}
