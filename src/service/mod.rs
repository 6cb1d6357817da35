//! Decisions; the only room that opens transactions.
//!
//! Services call each other downward only: outbox → national → mpi, repository; outbox → gateway → mpi, repository; outbox → answers → repository → registry → access →
//! audit.

pub mod access;
pub mod answers;
pub mod audit;
pub mod backup;
pub mod consent;
pub mod context;
pub mod gateway;
pub mod mpi;
pub mod national;
pub mod nodes;
pub mod outbox;
pub mod patients;
pub mod registry;
pub mod repository;
pub mod traces;
pub mod verify;
pub mod xua;

use crate::model::error::Error;
use crate::store::blob::BlobError;
use crate::store::db::DbError;

/// Trouble below, in the caller's terms: what will pass is "try again later", the rest is ours.
pub(crate) fn database(e: DbError) -> Error {
    match &e {
        DbError::Busy(_) | DbError::Conflict => Error::Busy("the database has more to do than it can"),
        DbError::NoSpace(_) => Error::NoRoom(e.to_string()),
        DbError::Unavailable(_) | DbError::Silent(_) | DbError::Denied(_) => {
            Error::Away { peer: "database", cause: e.to_string() }
        }
        DbError::OutcomeUnknown(_) => Error::Unavailable { peer: "database".into(), cause: e.to_string() },
        _ => Error::Internal(anyhow::Error::new(e)),
    }
}

/// The same of documents: what a file system refuses today it may allow tomorrow; a document that is not what
/// was stored is ours.
pub(crate) fn storage(e: BlobError) -> Error {
    match &e {
        BlobError::NoSpace => Error::NoRoom(e.to_string()),
        BlobError::Busy { .. } => {
            tracing::warn!(cause = %e, "the document store is busy");
            Error::Busy("the document store has more to do than it can")
        }
        BlobError::Away { .. } | BlobError::Io { .. } => {
            Error::Away { peer: "document store", cause: e.to_string() }
        }
        _ => Error::Internal(anyhow::Error::new(e)),
    }
}
