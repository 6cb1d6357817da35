//! What was brought, and by whom: assertions, tokens and messages that must not serve another, or twice. Kept in the
//! database, so that every gateway over it knows, and after a restart too; what this gateway has seen to be there it
//! remembers itself.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sha2::{Digest as _, Sha256};

use crate::model::error::Error;
use crate::service::database;
use crate::store::db::{Db, DbError};
use crate::store::seen::{self as kept, Seen};

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

    pub fn row(&self) -> Seen {
        Seen::new(&self.key, &self.bearer, self.until)
    }

    fn once(&self) -> bool {
        matches!(self.of, Of::Once | Of::Message)
    }
}

/// Remembers. Without a database only this gateway knows.
pub struct Memory {
    db: Option<Db>,
    here: Mutex<Here>,
}

#[derive(Default)]
struct Here {
    /// Whose it is, and until when.
    notes: HashMap<Hash, (Hash, i64)>,
    /// When it was full last, and gone through for what is over.
    cleared: i64,
}

/// Microseconds between two goes through a memory that stays full.
const BETWEEN: i64 = 1_000_000;

impl Memory {
    pub fn new(db: Option<Db>) -> Self {
        Self { db, here: Mutex::default() }
    }

    /// Notes all that a request brings at `now`; gives the first that may not be brought, or not by this one.
    pub async fn bring(&self, notes: Vec<Note>, now: i64) -> Result<Result<(), Note>, Error> {
        let mut rest = vec![];
        for note in notes {
            let known = self.here().notes.get(&note.key).map(|(bearer, _)| *bearer);
            match known {
                // Who was first stays so.
                Some(_) if note.once() => return Ok(Err(note)),
                Some(first) if first != note.bearer => return Ok(Err(note)),
                Some(_) => {}
                None => rest.push(note),
            }
        }
        let shared: Vec<(Note, Seen)> =
            rest.iter().filter(|note| !note.here).map(|note| (note.clone(), note.row())).collect();
        if let (Some(db), false) = (&self.db, shared.is_empty()) {
            let noted: Result<Option<Note>, DbError> = db
                .write(move |tx| {
                    let notes = shared.clone();
                    Box::pin(async move {
                        for (note, row) in notes {
                            let first = kept::first(tx, &row).await?;
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
            if !self.remember(&mut here, &note, now) {
                return Ok(Err(note));
            }
        }
        Ok(Ok(()))
    }

    /// Takes a note of a message whose row is to be written with the record of its answer. `None`: it serves no more.
    /// Of several gateways each knows its own here; the row tells the others.
    pub fn reserve(&self, note: &Note, now: i64) -> Option<Option<Seen>> {
        let mut here = self.here();
        if here.notes.contains_key(&note.key) || !self.remember(&mut here, note, now) {
            return None;
        }
        Some((self.db.is_some() && !note.here).then(|| note.row()))
    }

    /// Whether it may be brought as far as is known here.
    fn remember(&self, here: &mut Here, note: &Note, now: i64) -> bool {
        // Between a look and now another request of the same may have come.
        if let Some((first, _)) = here.notes.get(&note.key)
            && (note.once() || *first != note.bearer)
        {
            return false;
        }
        if here.notes.len() >= MOST && now - here.cleared >= BETWEEN {
            here.notes.retain(|_, (_, until)| *until > now);
            here.cleared = now;
        }
        if here.notes.len() < MOST {
            here.notes.insert(note.key, (note.bearer, note.until));
            return true;
        }
        // Better to ask some to sign in again than to forget whom an assertion belongs to.
        self.db.is_some() && !note.here
    }

    /// Forgets what was over by `now`. How much was removed.
    pub async fn forget(&self, now: i64) -> Result<u64, Error> {
        self.here().notes.retain(|_, (_, until)| *until > now);
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

    fn here(&self) -> MutexGuard<'_, Here> {
        self.here.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
