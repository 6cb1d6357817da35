//! Decisions; the only room that opens transactions.
//!
//! Services call each other downward only: outbox → answers → repository → registry → access → audit.

pub mod access;
pub mod answers;
pub mod audit;
pub mod context;
pub mod outbox;
pub mod patients;
pub mod registry;
pub mod repository;
pub mod traces;
pub mod verify;

use crate::model::error::Error;
use crate::store::blob::BlobError;
use crate::store::db::DbError;

/// Trouble below, in the caller's terms: what will pass is "try again later", the rest is ours.
pub(crate) fn database(e: DbError) -> Error {
    match &e {
        DbError::Busy(_) | DbError::Conflict => Error::Busy("the database has more to do than it can"),
        DbError::NoSpace(_) => Error::NoRoom(e.to_string()),
        DbError::Unavailable(_) => Error::Unavailable { peer: "database".into(), cause: e.to_string() },
        _ => Error::Internal(anyhow::Error::new(e)),
    }
}

pub(crate) fn storage(e: BlobError) -> Error {
    if e.is_no_space() { Error::NoRoom(e.to_string()) } else { Error::Internal(anyhow::Error::new(e)) }
}
