//! From the message to its operations: every object of an update triggers one, and what triggers none
//! is refused. ITI Metadata Update 3.57.4.1.3.1 and .3.

use std::collections::{HashMap, HashSet};

use super::restricted;
use crate::model::ebrim::ObjectKind;
use crate::model::error::{ErrorCode, Problem, RegistryError};
use crate::model::hl7types::Dtm;
use crate::model::ids::is_entry_uuid;
use crate::model::metadata::{
    Association, AssociationType, AvailabilityStatus, DocumentEntry, Folder, Submission, SubmissionSetStatus,
    Trigger, TriggerAssociation, Update,
};
use crate::model::uuids::slot;
use crate::service::context::Context;
use crate::service::patients;
use crate::service::registry::plan::assign_uuids;
use crate::store::db::DbError;
use crate::store::registry::change::Cause;
use crate::store::registry::put::SetRow;

const COMMON: &str = "ITI Metadata Update 3.57.4.1.3.1";
const OPERATIONS: &str = "ITI Metadata Update 3.57.4.1.3.3";
const ANNOTATIONS: &str = "ITI Metadata Update 3.57.4.1.3.1.3";

/// The operations of one request, nothing of it left to decode.
#[derive(Debug)]
pub struct Plan {
    pub patient_id: String,
    /// The key of the patient should this update be the one that makes them known.
    pub new_patient_key: i64,
    pub set: SetRow,
    /// New versions of DocumentEntries and Folders.
    pub versions: Vec<Version>,
    pub statuses: Vec<StatusChange>,
    /// Associations to be added, each under the trigger that asked for it.
    pub submitted: Vec<Association>,
    /// HasMember associations of the SubmissionSet.
    pub members: Vec<Association>,
    /// ITI-92.
    pub restricted: bool,
    /// The id each object was submitted under, for messages, by its UUID.
    pub submitted_ids: HashMap<String, String>,
    pub cause: Cause,
    pub context: Context,
    /// Microseconds since 1970.
    pub at: i64,
    /// The same as DTM, for lastUpdateTime.
    pub time: String,
}

/// A new version of a logical object.
#[derive(Debug)]
pub struct Version {
    pub new: NewVersion,
    pub logical_id: String,
    /// The version it is to follow.
    pub previous: u32,
    /// Whether the registry carries memberships and relationships over.
    pub propagate: bool,
}

#[derive(Debug)]
pub enum NewVersion {
    Entry(Box<DocumentEntry>),
    Folder(Box<Folder>),
}

impl Version {
    pub fn id(&self) -> &str {
        match &self.new {
            NewVersion::Entry(e) => &e.entry_uuid,
            NewVersion::Folder(f) => &f.entry_uuid,
        }
    }

    pub fn kind(&self) -> ObjectKind {
        match &self.new {
            NewVersion::Entry(_) => ObjectKind::DocumentEntry,
            NewVersion::Folder(_) => ObjectKind::Folder,
        }
    }

    pub fn patient_id(&self) -> &str {
        match &self.new {
            NewVersion::Entry(e) => &e.patient_id,
            NewVersion::Folder(f) => &f.patient_id,
        }
    }
}

/// A change of availabilityStatus.
#[derive(Debug)]
pub struct StatusChange {
    /// Id of the trigger.
    pub trigger: String,
    pub target: String,
    pub original: AvailabilityStatus,
    pub new: AvailabilityStatus,
}

impl Plan {
    /// The id the sender knows an object by.
    pub fn submitted<'a>(&'a self, id: &'a str) -> &'a str {
        self.submitted_ids.get(id).map_or(id, String::as_str)
    }

    pub fn version(&self, id: &str) -> Option<&Version> {
        self.versions.iter().find(|v| v.id() == id)
    }
}

/// Tells the operations of a message apart. `None` when it could not; the problems then say why.
pub fn decode(
    context: &Context,
    mut update: Update,
    restricted: bool,
    problems: &mut Vec<RegistryError>,
) -> Result<Option<Plan>, DbError> {
    let mut decoder = Decoder { restricted, submitted_ids: HashMap::new(), problems: vec![] };
    if decoder.whole(&update) {
        if restricted {
            restricted::message(&update, &mut decoder.problems);
        }
        let unversioned = std::mem::take(&mut update.submission.document_entries)
            .into_iter()
            .partition::<Vec<_>, _>(|e| is_initial(e.logical_id.as_deref(), &e.entry_uuid));
        let (initial, entries) = unversioned;
        for e in &initial {
            decoder.initial("DocumentEntry", &e.entry_uuid);
        }
        let (initial, folders) = std::mem::take(&mut update.submission.folders)
            .into_iter()
            .partition::<Vec<_>, _>(|f| is_initial(f.logical_id.as_deref(), &f.entry_uuid));
        for f in &initial {
            decoder.initial("Folder", &f.entry_uuid);
        }
        if decoder.problems.is_empty() {
            update.submission.document_entries = entries;
            update.submission.folders = folders;
            let plan = decoder.plan(context, update)?;
            if decoder.problems.is_empty() {
                return Ok(Some(plan));
            }
        }
    }
    problems.append(&mut decoder.problems);
    Ok(None)
}

/// An initial version has no logicalID or its own (ITI Metadata Update 4.1.5).
fn is_initial(logical_id: Option<&str>, id: &str) -> bool {
    logical_id.is_none_or(|lid| lid.eq_ignore_ascii_case(id))
}

struct Decoder {
    restricted: bool,
    submitted_ids: HashMap<String, String>,
    problems: Vec<RegistryError>,
}

impl Decoder {
    fn problem(
        &mut self,
        code: ErrorCode,
        id: &str,
        attribute: &str,
        value: Option<&str>,
        message: &str,
        clause: &str,
    ) {
        let object = self.submitted_ids.get(id).map_or(id, String::as_str);
        self.problems.push(Problem { code, object, attribute, value, message, clause }.error().at(object));
    }

    /// What cannot be told, in ITI-57's words.
    fn undecodable(&mut self, id: &str, attribute: &str, value: Option<&str>, message: &str) {
        let code = ErrorCode::XDSMetadataUpdateOperationError;
        self.problem(code, id, attribute, value, message, OPERATIONS);
    }

    /// The same of an annotation, for which ITI-92 has a code.
    fn annotation(&mut self, id: &str, name: &str, value: Option<&str>, message: &str) {
        let code = match self.restricted {
            true => ErrorCode::XDSMetadataAnnotationError,
            false => ErrorCode::XDSMetadataUpdateOperationError,
        };
        self.problem(code, id, &format!("Association.{name}"), value, message, ANNOTATIONS);
    }

    fn initial(&mut self, kind: &str, id: &str) {
        let message = "is an initial version: an update names the logicalID of an object already registered, \
                       which is not its own entryUUID; ITI-42 registers new objects";
        let code = ErrorCode::XDSInvalidRequestException;
        self.problem(code, id, &format!("{kind}.logicalID"), None, message, COMMON);
    }

    /// One SubmissionSet, no id twice.
    fn whole(&mut self, update: &Update) -> bool {
        if update.submission_sets != 1 {
            let message = format!("an update holds exactly one, this one holds {}", update.submission_sets);
            let code = ErrorCode::XDSMetadataUpdateError;
            self.problem(code, "SubmitObjectsRequest", "SubmissionSet", None, &message, COMMON);
            return false;
        }
        let mut seen = HashSet::new();
        for id in update.ids() {
            if !id.is_empty() && !seen.insert(id.to_ascii_lowercase()) {
                let code = ErrorCode::XDSRegistryMetadataError;
                let message = "stands on two objects of the message";
                self.problem(code, id, "id", Some(id), message, "ITI TF-3 4.2.3.1.1");
            }
        }
        self.problems.is_empty()
    }

    fn plan(&mut self, context: &Context, mut update: Update) -> Result<Plan, DbError> {
        let submitted_ids = assign_uuids(context, &mut update.submission);
        for t in &mut update.triggers {
            for end in [&mut t.source_object, &mut t.target_object] {
                if let Some((uuid, _)) = submitted_ids.iter().find(|(_, submitted)| *submitted == end) {
                    end.clone_from(uuid);
                } else if is_entry_uuid(end) {
                    end.make_ascii_lowercase();
                }
            }
        }
        self.submitted_ids = submitted_ids;
        let submission = update.submission;
        self.one_version_each(&submission);
        let set = submission.submission_set.entry_uuid.clone();
        let (mut members, others): (Vec<_>, Vec<_>) = submission
            .associations
            .into_iter()
            .partition(|a| a.association_type == AssociationType::HasMember && a.source_object == set);
        let mut versions = vec![];
        for entry in submission.document_entries {
            versions.extend(self.version(NewVersion::Entry(Box::new(entry)), &members));
        }
        for folder in submission.folders {
            versions.extend(self.version(NewVersion::Folder(Box::new(folder)), &members));
        }
        let (statuses, submitted) = self.triggers(&set, &update.triggers, others);
        self.members(&mut members, &versions, &submitted);
        if versions.is_empty() && statuses.is_empty() && submitted.is_empty() && self.problems.is_empty() {
            self.undecodable(&set, "SubmissionSet", None, "the message asks for no operation");
        }
        let mut submission_set = submission.submission_set;
        submission_set.availability_status = AvailabilityStatus::Approved;
        submission_set.home_community_id = None;
        Ok(Plan {
            patient_id: submission_set.patient_id.clone(),
            new_patient_key: patients::new_key(context.micros()),
            cause: context.cause(Some(&submission_set.entry_uuid))?,
            set: SetRow::new(submission_set)?,
            versions,
            statuses,
            submitted,
            members,
            restricted: self.restricted,
            submitted_ids: self.submitted_ids.clone(),
            context: context.clone(),
            at: context.micros(),
            time: Dtm::from_timestamp(context.received_at).to_string(),
        })
    }

    /// Update DocumentEntry Metadata, Update Folder Metadata: a logicalID and, on the HasMember that
    /// links the SubmissionSet, a PreviousVersion.
    fn version(&mut self, mut new: NewVersion, members: &[Association]) -> Option<Version> {
        let (id, lid, kind) = match &mut new {
            NewVersion::Entry(e) => (e.entry_uuid.clone(), e.logical_id.as_mut(), "DocumentEntry"),
            NewVersion::Folder(f) => (f.entry_uuid.clone(), f.logical_id.as_mut(), "Folder"),
        };
        let lid = lid.map(|l| {
            l.make_ascii_lowercase();
            l.clone()
        })?;
        if !is_entry_uuid(&lid) {
            let attribute = format!("{kind}.logicalID");
            self.undecodable(&id, &attribute, Some(&lid), "is no UUID; a logicalID is never symbolic");
            return None;
        }
        let mut linking = members.iter().filter(|a| a.target_object == id);
        let (Some(member), None) = (linking.next(), linking.next()) else {
            let message = "must be the target of exactly one HasMember association of the SubmissionSet, with \
                           slot PreviousVersion";
            self.undecodable(&id, kind, None, message);
            return None;
        };
        if kind == "DocumentEntry" && member.submission_set_status != Some(SubmissionSetStatus::Original) {
            let code = ErrorCode::XDSRegistryMetadataError;
            let message = "must be Original for a DocumentEntry of this submission";
            let attribute = "Association.SubmissionSetStatus";
            self.problem(code, &member.entry_uuid, attribute, None, message, "ITI TF-3 4.2.2.1.1");
        }
        let previous = match values(member, slot::PREVIOUS_VERSION).as_slice() {
            [one] => match one.trim().parse::<u32>() {
                Ok(n) if n > 0 => n,
                _ => {
                    let message = "is no version number";
                    self.annotation(&member.entry_uuid, slot::PREVIOUS_VERSION, Some(one), message);
                    return None;
                }
            },
            many => {
                let message = format!("has {} values; exactly one is required", many.len());
                self.annotation(&member.entry_uuid, slot::PREVIOUS_VERSION, None, &message);
                return None;
            }
        };
        let propagate = match values(member, slot::ASSOCIATION_PROPAGATION).as_slice() {
            [] => true,
            [one] if one.eq_ignore_ascii_case("yes") => true,
            [one] if one.eq_ignore_ascii_case("no") => false,
            other => {
                let message = "is neither yes nor no";
                let value = other.first().copied();
                self.annotation(&member.entry_uuid, slot::ASSOCIATION_PROPAGATION, value, message);
                return None;
            }
        };
        Some(Version { new, logical_id: lid, previous, propagate })
    }

    /// No logical object is updated twice.
    fn one_version_each(&mut self, submission: &Submission) {
        let entries = submission.document_entries.iter().map(|e| (&e.entry_uuid, &e.logical_id));
        let folders = submission.folders.iter().map(|f| (&f.entry_uuid, &f.logical_id));
        let mut seen = HashSet::new();
        for (id, lid) in entries.chain(folders) {
            let Some(lid) = lid else { continue };
            if !seen.insert(lid.to_ascii_lowercase()) {
                let code = ErrorCode::XDSMetadataUpdateError;
                let message = "is updated twice in this message";
                self.problem(code, id, "logicalID", Some(lid), message, COMMON);
            }
        }
    }

    /// Status changes, and of the associations those that a SubmitAssociation asks for: all of them.
    fn triggers(
        &mut self,
        set: &str,
        triggers: &[TriggerAssociation],
        others: Vec<Association>,
    ) -> (Vec<StatusChange>, Vec<Association>) {
        let mut statuses = vec![];
        let mut asked: HashMap<&str, usize> = HashMap::new();
        for t in triggers {
            if t.source_object != set {
                let message = "is not the SubmissionSet; a trigger goes out from it";
                let value = Some(t.source_object.as_str());
                self.undecodable(&t.entry_uuid, "Association.sourceObject", value, message);
                continue;
            }
            match t.trigger {
                Trigger::UpdateAvailabilityStatus => statuses.extend(self.status(t)),
                Trigger::SubmitAssociation if others.iter().any(|a| a.entry_uuid == t.target_object) => {
                    *asked.entry(&t.target_object).or_default() += 1;
                }
                Trigger::SubmitAssociation => {
                    let message = "is no association of this message that could be submitted";
                    let value = Some(t.target_object.as_str());
                    self.undecodable(&t.entry_uuid, "Association.targetObject", value, message);
                }
            }
        }
        for a in &others {
            if asked.get(a.entry_uuid.as_str()) != Some(&1) {
                let message = "an association is added by exactly one SubmitAssociation that points at it";
                self.undecodable(&a.entry_uuid, "Association", None, message);
            }
        }
        (statuses, others)
    }

    fn status(&mut self, t: &TriggerAssociation) -> Option<StatusChange> {
        let mut one = |values: &[String], name: &str| match values {
            [value] => {
                let status = AvailabilityStatus::from_urn(value.trim());
                if status.is_none() {
                    self.annotation(&t.entry_uuid, name, Some(value), "is no availabilityStatus");
                }
                status
            }
            many => {
                let message = format!("has {} values; exactly one is required", many.len());
                self.annotation(&t.entry_uuid, name, None, &message);
                None
            }
        };
        let original = one(&t.original_status, slot::ORIGINAL_STATUS);
        let new = one(&t.new_status, slot::NEW_STATUS);
        if !is_entry_uuid(&t.target_object) {
            let message = "is neither a UUID nor an object of this message";
            let value = Some(t.target_object.as_str());
            self.undecodable(&t.entry_uuid, "Association.targetObject", value, message);
            return None;
        }
        Some(StatusChange {
            trigger: t.entry_uuid.clone(),
            target: t.target_object.clone(),
            original: original?,
            new: new?,
        })
    }

    /// What the SubmissionSet holds: the new versions, associations submitted with it, and entries of the
    /// registry by reference.
    fn members(&mut self, members: &mut [Association], versions: &[Version], submitted: &[Association]) {
        for member in members {
            member.availability_status = AvailabilityStatus::Approved;
            member.home_community_id = None;
            let target = &member.target_object;
            let inside = versions.iter().any(|v| v.id() == target)
                || submitted.iter().any(|a| &a.entry_uuid == target);
            // An object that is inside and no version has been reported already.
            if inside || self.submitted_ids.contains_key(target) {
                continue;
            }
            if !is_entry_uuid(target) {
                let code = ErrorCode::UnresolvedReferenceException;
                let message = "is no object of this message and no UUID of the registry";
                let attribute = "Association.targetObject";
                self.problem(code, &member.entry_uuid, attribute, Some(target), message, OPERATIONS);
            } else if member.submission_set_status != Some(SubmissionSetStatus::Reference) {
                let message = "triggers no operation; an object of the registry is held by Reference";
                self.undecodable(&member.entry_uuid, "Association.targetObject", Some(target), message);
            }
        }
    }
}

/// The filled values of an annotation.
fn values<'a>(association: &'a Association, name: &str) -> Vec<&'a str> {
    let slots = association.extra.slots.iter().filter(|s| s.name == name);
    slots.flat_map(|s| &s.values).map(|v| v.trim()).filter(|v| !v.is_empty()).collect()
}
