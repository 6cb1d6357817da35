//! Writing objects. Rows are prepared before the transaction begins (JSON, padded times, codes),
//! because on SQLite every transaction shares one writer: what it does not do, the next one does
//! not wait for.

use super::code_attribute;
use crate::model::hl7types::Dtm;
use crate::model::metadata::{Association, Code, DocumentEntry, EntryType, Folder, SubmissionSet};
use crate::store::db::{DbError, Tx, Val};

/// A DocumentEntry as its rows.
#[derive(Debug)]
pub struct EntryRow {
    pub entry: DocumentEntry,
    pub size: Option<i64>,
    body: String,
    /// classCode, typeCode, practiceSettingCode, healthcareFacilityTypeCode, formatCode.
    coded: [String; 5],
    pub(super) codes: Vec<(i64, String)>,
    pub(super) persons: Vec<String>,
    times: [Option<String>; 3],
}

#[derive(Debug)]
pub struct SetRow {
    pub set: SubmissionSet,
    body: String,
    content_type: String,
    submission_time: String,
    pub(super) persons: Vec<String>,
}

#[derive(Debug)]
pub struct FolderRow {
    pub folder: Folder,
    body: String,
    pub(super) codes: Vec<String>,
}

#[derive(Debug)]
pub struct AssociationRow {
    pub association: Association,
    body: String,
}

/// `document_entry.entry_type`: 1 stable, 2 on-demand; 3 and 4 the same while Offline.
pub fn entry_type_column(entry_type: EntryType, offline: bool) -> i64 {
    entry_type.to_i64() + if offline { 2 } else { 0 }
}

fn body<T: serde::Serialize>(object: &T) -> Result<String, DbError> {
    serde_json::to_string(object)
        .map_err(|e| DbError::Sql(format!("an object cannot be written as JSON: {e}")))
}

fn padded(time: Option<&str>) -> Option<String> {
    time.and_then(|t| Dtm::parse(t).ok()).map(Dtm::to_padded)
}

fn code(code: &Option<Code>) -> String {
    code.as_ref().map(Code::query_form).unwrap_or_default()
}

fn unique(mut values: Vec<String>) -> Vec<String> {
    values.sort_unstable();
    values.dedup();
    values
}

impl EntryRow {
    pub fn new(entry: DocumentEntry) -> Result<Self, DbError> {
        let coded = |attribute, codes: &[Code]| -> Vec<(i64, String)> {
            unique(codes.iter().map(Code::query_form).collect()).into_iter().map(|c| (attribute, c)).collect()
        };
        let mut codes = coded(code_attribute::EVENT_CODE_LIST, &entry.event_code_list);
        codes.extend(coded(code_attribute::CONFIDENTIALITY_CODE, &entry.confidentiality_code));
        let references = unique(entry.reference_id_list.clone());
        codes.extend(references.into_iter().map(|r| (code_attribute::REFERENCE_ID_LIST, r)));
        Ok(Self {
            size: entry.size.as_deref().and_then(|s| s.trim().parse().ok()),
            body: body(&entry)?,
            coded: [
                code(&entry.class_code),
                code(&entry.type_code),
                code(&entry.practice_setting_code),
                code(&entry.healthcare_facility_type_code),
                code(&entry.format_code),
            ],
            codes,
            persons: unique(entry.author.iter().flat_map(|a| a.author_person.clone()).collect()),
            times: [
                padded(entry.creation_time.as_deref()),
                padded(entry.service_start_time.as_deref()),
                padded(entry.service_stop_time.as_deref()),
            ],
            entry,
        })
    }

    /// What its row in `document_entry` holds, in the table's order.
    pub(super) fn values(&self, patient_key: i64, at: i64) -> [Val<'_>; 20] {
        let e = &self.entry;
        let [class_code, type_code, practice_setting_code, facility_type_code, format_code] = &self.coded;
        let [creation, start, stop] = &self.times;
        [
            Val::I64(patient_key),
            Val::Text(&e.entry_uuid),
            Val::Text(e.logical_id.as_deref().unwrap_or(&e.entry_uuid)),
            Val::I64(i64::from(e.version)),
            Val::I64(e.availability_status.to_i64()),
            Val::I64(entry_type_column(e.object_type, e.is_offline())),
            Val::Text(&e.unique_id),
            Val::Text(e.repository_unique_id.as_deref().unwrap_or_default()),
            (&e.hash).into(),
            self.size.into(),
            class_code.into(),
            type_code.into(),
            practice_setting_code.into(),
            facility_type_code.into(),
            format_code.into(),
            creation.into(),
            start.into(),
            stop.into(),
            Val::I64(at),
            (&self.body).into(),
        ]
    }
}

impl SetRow {
    pub fn new(set: SubmissionSet) -> Result<Self, DbError> {
        Ok(Self {
            body: body(&set)?,
            content_type: code(&set.content_type_code),
            submission_time: padded(set.submission_time.as_deref()).unwrap_or_default(),
            persons: unique(set.author.iter().flat_map(|a| a.author_person.clone()).collect()),
            set,
        })
    }

    pub(super) fn values(&self, patient_key: i64, at: i64) -> [Val<'_>; 9] {
        let s = &self.set;
        [
            Val::I64(patient_key),
            Val::Text(&s.entry_uuid),
            Val::I64(s.availability_status.to_i64()),
            Val::Text(&s.unique_id),
            Val::Text(&s.source_id),
            (&self.content_type).into(),
            (&self.submission_time).into(),
            Val::I64(at),
            (&self.body).into(),
        ]
    }
}

impl FolderRow {
    pub fn new(folder: Folder) -> Result<Self, DbError> {
        Ok(Self {
            body: body(&folder)?,
            codes: unique(folder.code_list.iter().map(Code::query_form).collect()),
            folder,
        })
    }

    pub(super) fn values(&self, patient_key: i64, at: i64) -> [Val<'_>; 9] {
        let f = &self.folder;
        [
            Val::I64(patient_key),
            Val::Text(&f.entry_uuid),
            Val::Text(f.logical_id.as_deref().unwrap_or(&f.entry_uuid)),
            Val::I64(i64::from(f.version)),
            Val::I64(f.availability_status.to_i64()),
            Val::Text(&f.unique_id),
            Val::Text(f.last_update_time.as_deref().unwrap_or_default()),
            Val::I64(at),
            (&self.body).into(),
        ]
    }
}

impl AssociationRow {
    pub fn new(association: Association) -> Result<Self, DbError> {
        Ok(Self { body: body(&association)?, association })
    }

    pub(super) fn values(&self, patient_key: i64, at: i64) -> [Val<'_>; 8] {
        let a = &self.association;
        [
            Val::I64(patient_key),
            Val::Text(&a.entry_uuid),
            Val::Text(a.association_type.urn()),
            Val::Text(&a.source_object),
            Val::Text(&a.target_object),
            Val::I64(a.availability_status.to_i64()),
            Val::I64(at),
            (&self.body).into(),
        ]
    }
}

/// Claims an entryUUID; false if somebody has it.
pub async fn claim_id(tx: &mut Tx<'_>, id: &str, kind: i64, patient_key: i64) -> Result<bool, DbError> {
    let done = tx
        .exec(
            "INSERT INTO object_id (id, kind, patient_key) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            &[Val::Text(id), Val::I64(kind), Val::I64(patient_key)],
        )
        .await?;
    Ok(done == 1)
}

/// Claims a uniqueId for the first object that uses it; false if there is one already.
pub async fn claim_unique_id(
    tx: &mut Tx<'_>,
    unique_id: &str,
    kind: i64,
    patient_key: i64,
    id: &str,
    hash: Option<&str>,
    size: Option<i64>,
) -> Result<bool, DbError> {
    let done = tx
        .exec(
            "INSERT INTO unique_id (unique_id, kind, patient_key, id, hash, size) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
            &[
                Val::Text(unique_id),
                Val::I64(kind),
                Val::I64(patient_key),
                Val::Text(id),
                hash.into(),
                size.into(),
            ],
        )
        .await?;
    Ok(done == 1)
}

/// Tells what bytes a uniqueId stands for, once an update has said so.
pub async fn set_content(
    tx: &mut Tx<'_>,
    unique_id: &str,
    hash: Option<&str>,
    size: Option<i64>,
) -> Result<(), DbError> {
    tx.exec(
        "UPDATE unique_id SET hash = $2, size = $3 WHERE unique_id = $1 AND kind = 1",
        &[Val::Text(unique_id), hash.into(), size.into()],
    )
    .await?;
    Ok(())
}

pub async fn document_entry(
    tx: &mut Tx<'_>,
    patient_key: i64,
    row: &EntryRow,
    at: i64,
) -> Result<(), DbError> {
    let e = &row.entry;
    tx.exec(
        "INSERT INTO document_entry (patient_key, id, lid, version, status, entry_type, unique_id, \
         repository_unique_id, hash, size, class_code, type_code, practice_setting_code, facility_type_code, \
         format_code, creation_time, service_start_time, service_stop_time, registered_at, body) \
         VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16,$17,$18,$19,$20)",
        &row.values(patient_key, at),
    )
    .await?;
    for (attribute, code) in &row.codes {
        tx.exec(
            "INSERT INTO document_code (patient_key, entry_id, attribute, code) VALUES ($1, $2, $3, $4)",
            &[Val::I64(patient_key), Val::Text(&e.entry_uuid), Val::I64(*attribute), code.into()],
        )
        .await?;
    }
    for person in &row.persons {
        tx.exec(
            "INSERT INTO document_author (patient_key, entry_id, person) VALUES ($1, $2, $3)",
            &[Val::I64(patient_key), Val::Text(&e.entry_uuid), person.into()],
        )
        .await?;
    }
    Ok(())
}

pub async fn submission_set(tx: &mut Tx<'_>, patient_key: i64, row: &SetRow, at: i64) -> Result<(), DbError> {
    let s = &row.set;
    tx.exec(
        "INSERT INTO submission_set (patient_key, id, status, unique_id, source_id, content_type_code, \
         submission_time, registered_at, body) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9)",
        &row.values(patient_key, at),
    )
    .await?;
    for person in &row.persons {
        tx.exec(
            "INSERT INTO submission_author (patient_key, submission_id, person) VALUES ($1, $2, $3)",
            &[Val::I64(patient_key), Val::Text(&s.entry_uuid), person.into()],
        )
        .await?;
    }
    Ok(())
}

pub async fn folder(tx: &mut Tx<'_>, patient_key: i64, row: &FolderRow, at: i64) -> Result<(), DbError> {
    let f = &row.folder;
    tx.exec(
        "INSERT INTO folder (patient_key, id, lid, version, status, unique_id, last_update_time, \
         registered_at, body) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9)",
        &row.values(patient_key, at),
    )
    .await?;
    for code in &row.codes {
        tx.exec(
            "INSERT INTO folder_code (patient_key, folder_id, code) VALUES ($1, $2, $3)",
            &[Val::I64(patient_key), Val::Text(&f.entry_uuid), code.into()],
        )
        .await?;
    }
    Ok(())
}

pub async fn association(
    tx: &mut Tx<'_>,
    patient_key: i64,
    row: &AssociationRow,
    at: i64,
) -> Result<(), DbError> {
    tx.exec(
        "INSERT INTO association (patient_key, id, assoc_type, source_id, target_id, status, registered_at, \
         body) VALUES ($1,$2,$3,$4,$5,$6,$7,$8)",
        &row.values(patient_key, at),
    )
    .await?;
    Ok(())
}
