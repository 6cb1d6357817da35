//! How a row becomes an object: the JSON body, and the columns that are authoritative.
//!
//! Each kind of object names its table under one alias, so that statements put together elsewhere and the
//! readers here agree: `document_entry d`, `submission_set s`, `folder f`, `association a`.

use crate::model::ebrim::ObjectKind;
use crate::model::metadata::{AtRest, AvailabilityStatus, CorruptBody};
use crate::store::db::{DbError, Row};

/// Why a row gave no object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    #[error(transparent)]
    Db(#[from] DbError),
    #[error(transparent)]
    Corrupt(#[from] CorruptBody),
}

/// Where objects of one kind are kept, and how they are read and ordered.
#[derive(Debug)]
pub struct Table {
    pub from: &'static str,
    /// Alias of [`from`](Self::from).
    pub alias: &'static str,
    /// Columns an object is read from, in the order the readers below expect.
    pub object: &'static str,
    /// Columns an ObjectRef is read from: the first three of the same.
    pub reference: &'static str,
}

/// The table of a kind of object; see [`Table`].
pub fn table(kind: ObjectKind) -> &'static Table {
    match kind {
        ObjectKind::DocumentEntry => &Table {
            from: "document_entry d",
            alias: "d",
            object: "d.patient_key, d.id, d.creation_time, d.body, d.status, d.version",
            reference: "d.patient_key, d.id, d.creation_time",
        },
        ObjectKind::SubmissionSet => &Table {
            from: "submission_set s",
            alias: "s",
            object: "s.patient_key, s.id, s.submission_time, s.body, s.status",
            reference: "s.patient_key, s.id, s.submission_time",
        },
        ObjectKind::Folder => &Table {
            from: "folder f",
            alias: "f",
            object: "f.patient_key, f.id, f.last_update_time, f.body, f.status, f.version",
            reference: "f.patient_key, f.id, f.last_update_time",
        },
        ObjectKind::Association => &Table {
            from: "association a",
            alias: "a",
            object: "a.patient_key, a.id, a.registered_at, a.body, a.status",
            reference: "a.patient_key, a.id, a.registered_at",
        },
    }
}

/// When an object is placed in an answer: by the time that matters to people, entries without one first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moment {
    /// creationTime, submissionTime or lastUpdateTime, padded to the second.
    Time(Option<String>),
    /// Microseconds since 1970.
    Instant(i64),
}

/// Reads [`Table::reference`]'s third column.
pub fn moment(kind: ObjectKind, row: &Row<'_>) -> Result<Moment, DbError> {
    Ok(match kind {
        ObjectKind::Association => Moment::Instant(row.get(2)?),
        _ => Moment::Time(row.get(2)?),
    })
}

/// Reads an object from [`Table::object`].
pub fn object(kind: ObjectKind, row: &Row<'_>) -> Result<AtRest, RowError> {
    let id: String = row.get(1)?;
    let versioned = matches!(kind, ObjectKind::DocumentEntry | ObjectKind::Folder);
    let version = if versioned { row.get(5)? } else { 1 };
    Ok(AtRest {
        kind,
        body: row.get(3)?,
        availability_status: AvailabilityStatus::from_i64(row.get(4)?),
        version: u32::try_from(version).map_err(|_| CorruptBody { id: id.clone() })?,
        last_update_time: if kind == ObjectKind::Folder { row.get(2)? } else { None },
        id,
    })
}
