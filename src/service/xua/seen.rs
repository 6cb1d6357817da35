//! What was brought, and by whom: assertions, tokens and messages that must not serve another, or twice. Kept in the
//! database, so that every gateway over it knows, and after a restart too; what this gateway has seen to be there it
//! remembers itself.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sha2::{Digest as _, Sha256};

use crate::model::error::Error;
use crate::service::database;
use crate::store::db::{Db, DbError};
use crate::store::seen as kept;

/// Remembered here at most. A network of a thousand doctors has some thousand assertions valid at a time.
const MOST: usize = 200_000;
/// Notes whose time is over that one transaction removes.
const AT_ONCE: i64 = 5_000;

pub type Hash = [u8; 32];

/// What a note is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    Assertion,
    /// An assertion for one use.
    Once,
    Token,
    /// A `wsa:MessageID`.
    Message,
}

/// One thing brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    pub of: Of,
    key: Hash,
    bearer: Hash,
    /// Microseconds since 1970, after which it may be forgotten.
    until: i64,
    /// Only this gateway is to know.
    here: bool,
}

fn hash(parts: &[&[u8]]) -> Hash {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

impl Note {
    /// `name`: what tells it from others of its kind; `bearer`: whose it is.
    pub fn new(of: Of, name: &[&str], bearer: &[u8], until: i64) -> Self {
        let kind = match of {
            // An assertion that was brought is brought again, whatever it says of once.
            Of::Assertion | Of::Once => "assertion",
            Of::Token => "token",
            Of::Message => "message",
        };
        let mut parts: Vec<&[u8]> = vec![kind.as_bytes()];
        parts.extend(name.iter().map(|n| n.as_bytes()));
        Self { of, key: hash(&parts), bearer: hash(&[bearer]), until, here: false }
    }

    pub fn here(self, here: bool) -> Self {
        Self { here, ..self }
    }

    fn once(&self) -> bool {
        matches!(self.of, Of::Once | Of::Message)
    }
}

/// Remembers. Without a database only this gateway knows.
pub struct Memory {
    db: Option<Db>,
    here: Mutex<HashMap<Hash, (Hash, i64)>>,
}

impl Memory {
    pub fn new(db: Option<Db>) -> Self {
        Self { db, here: Mutex::default() }
    }

    /// Notes all that a request brings at `now`; gives the first that may not be brought, or not by this one.
    pub async fn bring(&self, notes: Vec<Note>, now: i64) -> Result<Result<(), Note>, Error> {
        let mut rest = vec![];
        for note in notes {
            let known = self.here().get(&note.key).map(|(bearer, _)| *bearer);
            match known {
                // Who was first stays so.
                Some(_) if note.once() => return Ok(Err(note)),
                Some(first) if first != note.bearer => return Ok(Err(note)),
                Some(_) => {}
                None => rest.push(note),
            }
        }
        let shared: Vec<Note> = rest.iter().filter(|note| !note.here).cloned().collect();
        if let (Some(db), false) = (&self.db, shared.is_empty()) {
            let noted: Result<Option<Note>, DbError> = db
                .write(move |tx| {
                    let notes = shared.clone();
                    Box::pin(async move {
                        for note in notes {
                            let first = kept::first(tx, &note.key, &note.bearer, note.until).await?;
                            if !first.new && (note.once() || !first.same) {
                                return Ok(Some(note));
                            }
                        }
                        Ok(None)
                    })
                })
                .await;
            if let Some(refused) = noted.map_err(database)? {
                return Ok(Err(refused));
            }
        }
        let mut here = self.here();
        for note in rest {
            // Between the look and now another request of the same may have come.
            if let Some((first, _)) = here.get(&note.key)
                && (note.once() || *first != note.bearer)
            {
                return Ok(Err(note));
            }
            if here.len() >= MOST {
                here.retain(|_, (_, until)| *until > now);
            }
            if here.len() < MOST {
                here.insert(note.key, (note.bearer, note.until));
            } else if self.db.is_none() || note.here {
                // Better to ask some to sign in again than to forget whom an assertion belongs to.
                return Ok(Err(note));
            }
        }
        Ok(Ok(()))
    }

    /// Forgets what was over by `now`. How much was removed.
    pub async fn forget(&self, now: i64) -> Result<u64, Error> {
        self.here().retain(|_, (_, until)| *until > now);
        let Some(db) = &self.db else { return Ok(0) };
        let mut all = 0;
        loop {
            let removed: Result<u64, DbError> =
                db.write(move |tx| Box::pin(kept::forget(tx, now, AT_ONCE))).await;
            let removed = removed.map_err(database)?;
            all += removed;
            if removed < AT_ONCE as u64 {
                return Ok(all);
            }
        }
    }

    fn here(&self) -> MutexGuard<'_, HashMap<Hash, (Hash, i64)>> {
        self.here.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
