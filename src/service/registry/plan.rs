//! A submission made ready: symbolic ids replaced, registry attributes set, rows prepared.
//! ITI TF-2 3.42.4.1.3.

use std::collections::HashMap;

use crate::model::hl7types::Dtm;
use crate::model::ids::EntryUuid;
use crate::model::metadata::{AvailabilityStatus, EntryType, Submission};
use crate::service::consent::forms::Forms;
use crate::service::context::Context;
use crate::service::patients;
use crate::service::traces::Traces;
use crate::store::db::DbError;
use crate::store::documents::StoredDocument;
use crate::store::registry::change::Cause;
use crate::store::registry::put::{AssociationRow, EntryRow, FolderRow, SetRow};

/// Everything a transaction needs, so that it does nothing but talk to the database.
#[derive(Debug)]
pub struct Plan {
    pub patient_id: String,
    /// The key of the patient should this submission be the one that makes them known.
    pub new_patient_key: i64,
    pub set: SetRow,
    pub entries: Vec<EntryRow>,
    pub folders: Vec<FolderRow>,
    pub associations: Vec<AssociationRow>,
    /// Documents our own repository stored for this submission.
    pub documents: Vec<StoredDocument>,
    /// The id each object was submitted under, for messages, by its UUID.
    pub submitted_ids: HashMap<String, String>,
    /// What consent forms among the documents say.
    pub forms: Forms,
    pub traces: Traces,
    pub cause: Cause,
    /// Microseconds since 1970.
    pub at: i64,
    pub context: Context,
    /// The same as DTM, for lastUpdateTime.
    pub time: String,
}

impl Plan {
    pub fn new(
        context: &Context,
        mut submission: Submission,
        documents: Vec<StoredDocument>,
        traces: Traces,
    ) -> Result<Self, DbError> {
        let time = Dtm::from_timestamp(context.received_at).to_string();
        let submitted_ids = assign_uuids(context, &mut submission);
        for e in &mut submission.document_entries {
            e.availability_status = AvailabilityStatus::Approved;
            e.version = 1;
            e.logical_id = Some(e.entry_uuid.clone());
            e.home_community_id = None;
        }
        for f in &mut submission.folders {
            f.availability_status = AvailabilityStatus::Approved;
            f.version = 1;
            f.logical_id = Some(f.entry_uuid.clone());
            f.last_update_time = Some(time.clone());
            f.home_community_id = None;
        }
        for a in &mut submission.associations {
            a.availability_status = AvailabilityStatus::Approved;
            a.home_community_id = None;
        }
        submission.submission_set.home_community_id = None;
        Ok(Self {
            patient_id: submission.submission_set.patient_id.clone(),
            new_patient_key: patients::new_key(context.micros()),
            cause: context.cause(Some(&submission.submission_set.entry_uuid))?,
            set: SetRow::new(submission.submission_set)?,
            entries: submission.document_entries.into_iter().map(EntryRow::new).collect::<Result<_, _>>()?,
            folders: submission.folders.into_iter().map(FolderRow::new).collect::<Result<_, _>>()?,
            associations: submission
                .associations
                .into_iter()
                .map(AssociationRow::new)
                .collect::<Result<_, _>>()?,
            documents,
            submitted_ids,
            forms: Forms::new(),
            traces,
            at: context.micros(),
            context: context.clone(),
            time,
        })
    }

    /// The id the sender knows an object by.
    pub fn submitted<'a>(&'a self, id: &'a str) -> &'a str {
        self.submitted_ids.get(id).map_or(id, String::as_str)
    }

    pub fn holds_entry(&self, id: &str) -> bool {
        self.entry_type(id).is_some()
    }

    /// Of a DocumentEntry of the submission.
    pub fn entry_type(&self, id: &str) -> Option<EntryType> {
        self.entries.iter().find(|e| e.entry.entry_uuid == id).map(|e| e.entry.object_type)
    }

    pub fn holds_folder(&self, id: &str) -> bool {
        self.folders.iter().any(|f| f.folder.entry_uuid == id)
    }

    pub fn holds_association(&self, id: &str) -> bool {
        self.associations.iter().any(|a| a.association.entry_uuid == id)
    }
}

/// Gives every symbolic id one new UUID, everywhere it stands (ITI TF-2 3.42.4.1.3.1); UUIDs are
/// kept, in lower case. Returns UUID → id as submitted.
pub(super) fn assign_uuids(context: &Context, submission: &mut Submission) -> HashMap<String, String> {
    let mut new_ids: HashMap<String, String> = HashMap::new();
    for id in submission.ids_mut() {
        let uuid = EntryUuid::parse(id).unwrap_or_else(|| context.uuid().into()).to_string();
        let submitted = std::mem::replace(id, uuid.clone());
        new_ids.insert(submitted, uuid);
    }
    for a in &mut submission.associations {
        for end in [&mut a.source_object, &mut a.target_object] {
            if let Some(uuid) = new_ids.get(end.as_str()) {
                end.clone_from(uuid);
            } else if let Some(uuid) = EntryUuid::parse(end) {
                *end = uuid.to_string();
            }
        }
    }
    new_ids.into_iter().map(|(submitted, uuid)| (uuid, submitted)).collect()
}
