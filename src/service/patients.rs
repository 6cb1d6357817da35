//! Patients the registry knows: added by an operator now, by identity feeds later.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;
use uuid::Uuid;

use crate::model::error::Error;
use crate::model::hl7types::Cx;
use crate::model::patient::{Knowledge, Patient};
use crate::service::database;
use crate::store::db::{Db, DbError};
use crate::store::patient;

#[derive(Clone)]
pub struct Patients {
    db: Db,
}

/// Why a patient was not added. The value stays out of the message: operators paste messages.
#[derive(Debug, thiserror::Error)]
pub enum PatientError {
    #[error("the patient id is not of the form ID^^^&OID&ISO: {0}")]
    Id(crate::model::hl7types::Hl7Error),
    #[error("{0}")]
    Store(String),
}

impl Patients {
    pub fn new(db: Db) -> Self {
        Self { db }
    }

    /// Adds patients in one transaction, or completes ones known already; returns how many are new.
    pub async fn add(&self, patients: Vec<Patient>, at: Timestamp) -> Result<usize, PatientError> {
        let mut rows = vec![];
        for patient in patients {
            let cx = Cx::parse(&patient.patient_id).map_err(PatientError::Id)?;
            let authority = cx.authority.to_string();
            rows.push((patient, authority, new_key(at.as_microsecond())));
        }
        // In one order for all who add: two tables with the same patients then wait for each other, and do
        // not meet halfway.
        rows.sort_by(|(a, ..), (b, ..)| a.patient_id.cmp(&b.patient_id));
        let rows = Arc::new(rows);
        let at = at.as_microsecond();
        self.db
            .write(move |tx| {
                let rows = rows.clone();
                Box::pin(async move {
                    let mut new = 0;
                    for (row, authority, key) in rows.iter() {
                        let (_, added) =
                            patient::upsert(tx, row, authority, Knowledge::Fed, *key, at).await?;
                        new += usize::from(added);
                    }
                    Ok(new)
                })
            })
            .await
            .map_err(|e: DbError| PatientError::Store(e.to_string()))
    }

    /// A page of patients in order of id, after `after`.
    pub async fn list(&self, after: String, limit: i64) -> Result<Vec<Patient>, Error> {
        self.db
            .read(move |tx| {
                let after = after.clone();
                Box::pin(async move { patient::list(tx, &after, limit).await })
            })
            .await
            .map_err(|e: DbError| database(e))
    }

    /// Which of these ids the registry does not know.
    pub async fn unknown(&self, ids: Vec<String>) -> Result<Vec<String>, Error> {
        let ids = Arc::new(ids);
        self.db
            .read(move |tx| {
                let ids = ids.clone();
                Box::pin(async move {
                    let mut unknown = vec![];
                    for id in ids.iter() {
                        if patient::key(tx, id).await?.is_none() {
                            unknown.push(id.clone());
                        }
                    }
                    Ok(unknown)
                })
            })
            .await
            .map_err(|e: DbError| database(e))
    }
}

/// A key for a new patient, identity or person, made at `at` (microseconds): 42 bits of milliseconds and 21
/// random ones, always more than the one before. Rows that are made together so lie together in every table
/// and index that begins with them, which is most of what a feed writes. Another process may make the same
/// key in the same millisecond, once in two million times: the primary key refuses it, and the write is
/// begun anew.
pub fn new_key(at: i64) -> i64 {
    static LAST: AtomicI64 = AtomicI64::new(0);
    let random = i64::try_from(random() & 0x1f_ffff).unwrap_or_default();
    let fresh = (at / 1000).clamp(0, (1 << 42) - 1) << 21 | random;
    let next = |last: i64| fresh.max(last.saturating_add(1 + (random & 0xff)));
    let last = LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(next(last)));
    next(last.unwrap_or_else(|last| last))
}

/// 62 bits nobody can guess.
pub fn random() -> u64 {
    Uuid::new_v4().as_u64_pair().1 & (u64::MAX >> 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_grow_whatever_the_clock_does() {
        let mut last = 0;
        for at in
            [1_790_000_000_000_000, 1_790_000_000_000_000, 1_780_000_000_000_000, -5, 4_000_000_000_000_000]
        {
            for _ in 0..1000 {
                let key = new_key(at);
                assert!(key > last, "{key} after {last}");
                last = key;
            }
        }
    }
}
