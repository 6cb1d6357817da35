//! How a row becomes an object: the JSON body, with the columns that are authoritative laid over it.
//!
//! Each kind of object names its table under one alias, so that statements put together elsewhere and the
//! readers here agree: `document_entry d`, `submission_set s`, `folder f`, `association a`.

use crate::model::ebrim::ObjectKind;
use crate::model::metadata::{
    Association, AvailabilityStatus, DocumentEntry, Folder, MetadataObject, SubmissionSet,
};
use crate::store::db::{DbError, Row};

/// Why a row gave no object. A body that cannot be read is a defect or damage; the message names the
/// object only, for the body is patient data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    #[error(transparent)]
    Db(#[from] DbError),
    #[error("the stored body of {id} cannot be read")]
    Corrupt { id: String },
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
pub fn object(kind: ObjectKind, row: &Row<'_>) -> Result<MetadataObject, RowError> {
    Ok(match kind {
        ObjectKind::DocumentEntry => MetadataObject::DocumentEntry(Box::new(document_entry(row)?)),
        ObjectKind::SubmissionSet => MetadataObject::SubmissionSet(Box::new(submission_set(row)?)),
        ObjectKind::Folder => MetadataObject::Folder(Box::new(folder(row)?)),
        ObjectKind::Association => MetadataObject::Association(Box::new(association(row)?)),
    })
}

/// `d.patient_key, d.id, d.creation_time, d.body, d.status, d.version`
pub fn document_entry(row: &Row<'_>) -> Result<DocumentEntry, RowError> {
    let mut entry: DocumentEntry = body(row)?;
    entry.availability_status = status(row)?;
    entry.version = version(row)?;
    Ok(entry)
}

/// `s.patient_key, s.id, s.submission_time, s.body, s.status`
pub fn submission_set(row: &Row<'_>) -> Result<SubmissionSet, RowError> {
    let mut set: SubmissionSet = body(row)?;
    set.availability_status = status(row)?;
    Ok(set)
}

/// `f.patient_key, f.id, f.last_update_time, f.body, f.status, f.version`
pub fn folder(row: &Row<'_>) -> Result<Folder, RowError> {
    let mut folder: Folder = body(row)?;
    folder.availability_status = status(row)?;
    folder.version = version(row)?;
    folder.last_update_time = Some(row.get(2)?);
    Ok(folder)
}

/// `a.patient_key, a.id, a.registered_at, a.body, a.status`
pub fn association(row: &Row<'_>) -> Result<Association, RowError> {
    let mut association: Association = body(row)?;
    association.availability_status = status(row)?;
    Ok(association)
}

fn body<T: serde::de::DeserializeOwned>(row: &Row<'_>) -> Result<T, RowError> {
    match serde_json::from_str(row.text(3)?) {
        Ok(object) => Ok(object),
        Err(_) => Err(corrupt(row)),
    }
}

fn corrupt(row: &Row<'_>) -> RowError {
    match row.get(1) {
        Ok(id) => RowError::Corrupt { id },
        Err(e) => RowError::Db(e),
    }
}

fn status(row: &Row<'_>) -> Result<AvailabilityStatus, RowError> {
    Ok(AvailabilityStatus::from_i64(row.get(4)?))
}

fn version(row: &Row<'_>) -> Result<u32, RowError> {
    u32::try_from(row.get::<i64>(5)?).map_err(|_| corrupt(row))
}
