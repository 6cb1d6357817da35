//! Holds a submission against what the registry already contains, collecting every problem and
//! the effects it will have. ITI TF-2 3.42.4.1.3.3.

use crate::config::registry::UnknownPatients;
use crate::model::ebrim::ObjectKind;
use crate::model::error::{ErrorCode, Problem, RegistryError};
use crate::model::metadata::{Association, AssociationType, AvailabilityStatus, DocumentEntry, EntryType};
use crate::service::registry::Settings;
use crate::service::registry::plan::Plan;
use crate::store::db::{DbError, Tx};
use crate::store::registry::refs::{self, FirstUse};
use crate::store::registry::{kind, put};
use crate::store::{documents, patient};

const REFERENCES: &str = "ITI TF-2 3.42.4.1.3.3.1";
const ONE_PATIENT: &str = "ITI TF-2 3.42.4.1.3.3.1";
const RELATIONSHIP: &str = "ITI TF-3 4.2.2.2";
const MEMBERSHIP: &str = "ITI TF-3 4.2.2.1";
const IDENTITY: &str = "ITI TF-2 3.42.4.1.3.1";

/// Whether identifiers are taken while judging. Taking is how two submissions at one instant are
/// told apart; only a submission without problems so far may do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    Take,
    LookOnly,
}

/// What the submission changes beside its own objects.
#[derive(Debug, Default)]
pub struct Effects {
    /// DocumentEntries that a replacement deprecates, with what hangs on them.
    pub deprecated: Vec<String>,
    /// Folder and new DocumentEntry, where a folder held the replaced one (ITI TF-3 4.2.2.2.3).
    pub new_memberships: Vec<(String, String)>,
    /// Folders already registered whose membership changes.
    pub touched_folders: Vec<String>,
    /// Memberships by reference of another patient's document: association id, that patient's key.
    /// Their rows stand under both patients, so that either side finds them.
    pub shared_memberships: Vec<(String, i64)>,
}

pub struct Verdict {
    pub problems: Vec<RegistryError>,
    pub effects: Effects,
}

/// `patient_key` is `None` while the patient is not known.
pub async fn judge(
    tx: &mut Tx<'_>,
    plan: &Plan,
    settings: &Settings,
    claim: Claim,
    patient_key: Option<i64>,
) -> Result<Verdict, DbError> {
    let mut judge = Judge { tx, plan, patient_key, claim, problems: vec![], effects: Effects::default() };
    judge.patient(settings).await?;
    judge.ids().await?;
    judge.unique_ids().await?;
    judge.documents().await?;
    for row in &plan.associations {
        let a = &row.association;
        match a.association_type {
            AssociationType::HasMember if a.source_object == plan.set.set.entry_uuid => {
                judge.set_member(a).await?;
            }
            AssociationType::HasMember => judge.folder_member(a).await?,
            _ => judge.relationship(a).await?,
        }
    }
    Ok(Verdict { problems: judge.problems, effects: judge.effects })
}

/// A DocumentEntry already in the registry.
struct Registered {
    patient_key: i64,
    status: AvailabilityStatus,
    entry_type: EntryType,
}

struct Judge<'j, 'c> {
    tx: &'j mut Tx<'c>,
    plan: &'j Plan,
    patient_key: Option<i64>,
    claim: Claim,
    problems: Vec<RegistryError>,
    effects: Effects,
}

impl Judge<'_, '_> {
    fn problem(
        &mut self,
        code: ErrorCode,
        id: &str,
        attribute: &str,
        value: Option<&str>,
        message: &str,
        clause: &str,
    ) {
        let object = self.plan.submitted(id);
        self.problems.push(Problem { code, object, attribute, value, message, clause }.error());
    }

    /// The key our rows will have. A new patient has no rows yet, so theirs finds none.
    fn key(&self) -> i64 {
        self.patient_key.unwrap_or(self.plan.new_patient_key)
    }

    async fn patient(&mut self, settings: &Settings) -> Result<(), DbError> {
        let id = &self.plan.patient_id;
        if self.patient_key.is_some() || id.is_empty() {
            return Ok(());
        }
        let ours = format!("&{}&ISO", settings.patient_id_authority);
        let accepted = settings.config.unknown_patients == UnknownPatients::Accept && id.ends_with(&ours);
        if !accepted || patient::is_subsumed(self.tx, id).await? {
            let set = &self.plan.set.set.entry_uuid;
            self.problem(
                ErrorCode::XDSUnknownPatientId,
                set,
                "SubmissionSet.patientId",
                Some(id),
                "is not known to this registry; the patient must be registered first",
                "ITI TF-2 3.42.4.1.3.3.1",
            );
        }
        Ok(())
    }

    /// An entryUUID brought by the sender must be new.
    async fn ids(&mut self) -> Result<(), DbError> {
        let plan = self.plan;
        let entries = plan.entries.iter().map(|e| (&e.entry.entry_uuid, kind::DOCUMENT_ENTRY));
        let folders = plan.folders.iter().map(|f| (&f.folder.entry_uuid, kind::FOLDER));
        let associations = plan.associations.iter().map(|a| (&a.association.entry_uuid, kind::ASSOCIATION));
        let set = std::iter::once((&plan.set.set.entry_uuid, kind::SUBMISSION_SET));
        for (id, kind) in set.chain(entries).chain(folders).chain(associations) {
            let free = match self.claim {
                Claim::Take => put::claim_id(self.tx, id, kind, self.key()).await?,
                Claim::LookOnly => !refs::is_taken(self.tx, id).await?,
            };
            if !free {
                self.problem(
                    ErrorCode::XDSRegistryMetadataError,
                    id,
                    "entryUUID",
                    Some(id),
                    "is already in use in the registry",
                    IDENTITY,
                );
            }
        }
        Ok(())
    }

    async fn unique_ids(&mut self) -> Result<(), DbError> {
        let plan = self.plan;
        let set = &plan.set.set;
        let packages = std::iter::once((
            &set.entry_uuid,
            &set.unique_id,
            kind::SUBMISSION_SET,
            "SubmissionSet.uniqueId",
        ))
        .chain(
            plan.folders
                .iter()
                .map(|f| (&f.folder.entry_uuid, &f.folder.unique_id, kind::FOLDER, "Folder.uniqueId")),
        );
        for (id, unique_id, kind, attribute) in packages {
            if self.first_use(unique_id, kind, id, None, None).await?.is_some() {
                self.problem(
                    ErrorCode::XDSDuplicateUniqueIdInRegistry,
                    id,
                    attribute,
                    Some(unique_id),
                    "is already the uniqueId of an object in the registry",
                    "ITI TF-3 4.2.3.3.12",
                );
            }
        }
        for row in &plan.entries {
            let e = &row.entry;
            let first = self
                .first_use(&e.unique_id, kind::DOCUMENT_ENTRY, &e.entry_uuid, e.hash.as_deref(), row.size)
                .await?;
            if let Some(first) = first {
                self.same_document(&e.entry_uuid, &e.unique_id, e.hash.as_deref(), row.size, &first);
                self.same_type(e).await?;
            }
        }
        Ok(())
    }

    /// Who used a uniqueId before this submission; takes it if nobody did.
    async fn first_use(
        &mut self,
        unique_id: &str,
        kind: i64,
        id: &str,
        hash: Option<&str>,
        size: Option<i64>,
    ) -> Result<Option<FirstUse>, DbError> {
        if unique_id.is_empty() {
            return Ok(None);
        }
        if self.claim == Claim::Take
            && put::claim_unique_id(self.tx, unique_id, kind, self.key(), id, hash, size).await?
        {
            return Ok(None);
        }
        refs::unique_id(self.tx, unique_id).await
    }

    /// Several entries may share a uniqueId as long as they describe the same bytes.
    fn same_document(
        &mut self,
        id: &str,
        unique_id: &str,
        hash: Option<&str>,
        size: Option<i64>,
        first: &FirstUse,
    ) {
        const CLAUSE: &str = "ITI TF-2 3.42.4.1.3.3.1, ITI TF-3 4.2.3.2.32";
        if first.kind != ObjectKind::DocumentEntry {
            self.problem(
                ErrorCode::XDSRegistryMetadataError,
                id,
                "DocumentEntry.uniqueId",
                Some(unique_id),
                &format!("is already the uniqueId of a {} in the registry", first.kind.as_str()),
                CLAUSE,
            );
            return;
        }
        if let (Some(ours), Some(theirs)) = (hash, first.hash.as_deref())
            && !ours.eq_ignore_ascii_case(theirs)
        {
            let message = format!("is registered with hash {theirs}, this submission says {ours}");
            self.problem(
                ErrorCode::XDSNonIdenticalHash,
                id,
                "DocumentEntry.uniqueId",
                Some(unique_id),
                &message,
                CLAUSE,
            );
        } else if let (Some(ours), Some(theirs)) = (size, first.size)
            && ours != theirs
        {
            let message = format!("is registered with size {theirs}, this submission says {ours}");
            self.problem(
                ErrorCode::XDSNonIdenticalSize,
                id,
                "DocumentEntry.uniqueId",
                Some(unique_id),
                &message,
                CLAUSE,
            );
        }
    }

    /// A uniqueId stands for bytes that stay or for bytes that are made anew, not for both (ITI TF-2
    /// 3.61.4.1.3). On-demand entries may share one.
    async fn same_type(&mut self, e: &DocumentEntry) -> Result<(), DbError> {
        let Some(other) = refs::type_of(self.tx, &e.unique_id).await? else { return Ok(()) };
        if other != e.object_type {
            let message = match other {
                EntryType::Stable => "is already the uniqueId of a stable DocumentEntry in the registry",
                EntryType::OnDemand => {
                    "is already the uniqueId of an on-demand DocumentEntry in the registry"
                }
            };
            self.problem(
                ErrorCode::XDSDuplicateUniqueIdInRegistry,
                &e.entry_uuid,
                "DocumentEntry.uniqueId",
                Some(&e.unique_id),
                message,
                "ITI TF-2 3.61.4.1.3",
            );
        }
        Ok(())
    }

    /// Our repository must not hold other bytes under the uniqueId.
    async fn documents(&mut self) -> Result<(), DbError> {
        for d in &self.plan.documents {
            let Some((hash, size)) = documents::content(self.tx, &d.unique_id).await? else { continue };
            if hash.eq_ignore_ascii_case(&d.hash) && size == d.size {
                continue;
            }
            let code =
                if size == d.size { ErrorCode::XDSNonIdenticalHash } else { ErrorCode::XDSNonIdenticalSize };
            // The registry may have said so already.
            if self.problems.iter().any(|p| {
                matches!(p.code, ErrorCode::XDSNonIdenticalHash | ErrorCode::XDSNonIdenticalSize)
                    && p.context.contains(&d.unique_id)
            }) {
                continue;
            }
            self.problems.push(
                RegistryError::new(
                    code,
                    format!(
                        "DocumentEntry.uniqueId '{}': this repository holds other bytes under it (size {size}, \
                         hash {hash}; sent size {}, hash {}) (ITI TF-2 3.41.4.1.3)",
                        d.unique_id, d.size, d.hash
                    ),
                )
                .at(d.unique_id.clone()),
            );
        }
        Ok(())
    }

    /// A DocumentEntry outside the submission: it must exist and, unless waived, be of this patient.
    async fn registered_entry(
        &mut self,
        a: &Association,
        end: &str,
        id: &str,
        same_patient: bool,
    ) -> Result<Option<Registered>, DbError> {
        let attribute = format!("Association.{end}");
        let Some(known) = refs::object(self.tx, id).await? else {
            self.unresolved(a, &attribute, id);
            return Ok(None);
        };
        if known.kind != ObjectKind::DocumentEntry {
            let message = format!("is a {}; a DocumentEntry is required", known.kind.as_str());
            self.problem(
                ErrorCode::XDSRegistryMetadataError,
                &a.entry_uuid,
                &attribute,
                Some(id),
                &message,
                RELATIONSHIP,
            );
            return Ok(None);
        }
        if same_patient && self.is_other_patient(known.patient_key) {
            self.other_patient(a, &attribute, id);
            return Ok(None);
        }
        if self.claim == Claim::Take && known.patient_key != self.key() {
            // Another patient's document stays while we point at it.
            patient::hold_key(self.tx, known.patient_key).await?;
        }
        let Some((status, entry_type)) = refs::entry_state(self.tx, known.patient_key, id).await? else {
            self.unresolved(a, &attribute, id);
            return Ok(None);
        };
        Ok(Some(Registered { patient_key: known.patient_key, status, entry_type }))
    }

    fn unresolved(&mut self, a: &Association, attribute: &str, id: &str) {
        self.problem(
            ErrorCode::UnresolvedReferenceException,
            &a.entry_uuid,
            attribute,
            Some(id),
            "is neither in this submission nor in the registry",
            REFERENCES,
        );
    }

    /// A patient not known yet owns nothing, so whatever is registered is another's.
    fn is_other_patient(&self, key: i64) -> bool {
        !self.plan.patient_id.is_empty() && self.patient_key != Some(key)
    }

    fn other_patient(&mut self, a: &Association, attribute: &str, id: &str) {
        let message =
            format!("belongs to another patient than SubmissionSet.patientId '{}'", self.plan.patient_id);
        self.problem(
            ErrorCode::XDSPatientIdDoesNotMatch,
            &a.entry_uuid,
            attribute,
            Some(id),
            &message,
            ONE_PATIENT,
        );
    }

    fn deprecated(&mut self, a: &Association, attribute: &str, id: &str, clause: &str) {
        self.problem(
            ErrorCode::XDSRegistryDeprecatedDocumentError,
            &a.entry_uuid,
            attribute,
            Some(id),
            "is Deprecated; only an Approved object can be related to",
            clause,
        );
    }

    async fn set_member(&mut self, a: &Association) -> Result<(), DbError> {
        let target = &a.target_object;
        let inside = self.plan.holds_entry(target)
            || self.plan.holds_folder(target)
            || self.plan.holds_association(target);
        if !inside {
            // By reference; the patient may be another (ITI TF-3 4.2.2.1.1).
            let found = self.registered_entry(a, "targetObject", target, false).await?;
            if let Some(entry) = found
                && entry.patient_key != self.key()
            {
                self.effects.shared_memberships.push((a.entry_uuid.clone(), entry.patient_key));
            }
        }
        Ok(())
    }

    async fn folder_member(&mut self, a: &Association) -> Result<(), DbError> {
        let folder = &a.source_object;
        if !self.plan.holds_folder(folder) {
            match refs::object(self.tx, folder).await? {
                None => self.unresolved(a, "Association.sourceObject", folder),
                Some(known) if known.kind != ObjectKind::Folder => {
                    let message = format!(
                        "is a {} already registered; nothing is added to it later",
                        known.kind.as_str()
                    );
                    self.problem(
                        ErrorCode::XDSRegistryMetadataError,
                        &a.entry_uuid,
                        "Association.sourceObject",
                        Some(folder),
                        &message,
                        MEMBERSHIP,
                    );
                }
                Some(known) if self.is_other_patient(known.patient_key) => {
                    self.other_patient(a, "Association.sourceObject", folder);
                }
                Some(known) => {
                    let state = refs::folder_state(self.tx, known.patient_key, folder).await?;
                    if state == Some(AvailabilityStatus::Deprecated) {
                        self.deprecated(a, "Association.sourceObject", folder, MEMBERSHIP);
                    } else {
                        self.effects.touched_folders.push(folder.clone());
                    }
                }
            }
        }
        let target = &a.target_object;
        if !self.plan.holds_entry(target)
            && let Some(entry) = self.registered_entry(a, "targetObject", target, true).await?
            && entry.status == AvailabilityStatus::Deprecated
        {
            self.deprecated(a, "Association.targetObject", target, MEMBERSHIP);
        }
        Ok(())
    }

    async fn relationship(&mut self, a: &Association) -> Result<(), DbError> {
        let target = &a.target_object;
        if self.plan.holds_entry(target) {
            if a.association_type == AssociationType::Append && self.transforms(target) {
                self.append_to_transformation(a);
            }
            return Ok(());
        }
        let Some(Registered { status, entry_type, .. }) =
            self.registered_entry(a, "targetObject", target, true).await?
        else {
            return Ok(());
        };
        if status == AvailabilityStatus::Deprecated {
            self.deprecated(a, "Association.targetObject", target, RELATIONSHIP);
            return Ok(());
        }
        let source = self.plan.entry_type(&a.source_object).unwrap_or_default();
        if !a.association_type.joins(source, entry_type) {
            self.problem(
                ErrorCode::XDSRegistryMetadataError,
                &a.entry_uuid,
                "Association.targetObject",
                Some(target),
                match (source, entry_type) {
                    (_, EntryType::Stable) => "is a stable entry; IsSnapshotOf points at an on-demand one",
                    (EntryType::Stable, _) => {
                        "is an on-demand entry; a stable one relates to it by IsSnapshotOf only"
                    }
                    _ => "is an on-demand entry as the source is; a snapshot is a stable one",
                },
                RELATIONSHIP,
            );
            return Ok(());
        }
        if a.association_type == AssociationType::Append
            && refs::is_transformation(self.tx, self.key(), target).await?
        {
            self.append_to_transformation(a);
        }
        if a.association_type.replaces() {
            self.replacement(&a.source_object, target).await?;
        }
        Ok(())
    }

    fn transforms(&self, entry: &str) -> bool {
        self.plan.associations.iter().any(|b| {
            b.association.association_type == AssociationType::Transform
                && b.association.source_object == entry
        })
    }

    fn append_to_transformation(&mut self, a: &Association) {
        self.problem(
            ErrorCode::XDSRegistryMetadataError,
            &a.entry_uuid,
            "Association.targetObject",
            Some(&a.target_object),
            "is itself a transformation; an addendum belongs to the original",
            RELATIONSHIP,
        );
    }

    /// The target falls with all its transformations and addenda, and their own; its folders take
    /// the new document in (ITI TF-3 4.2.2.2.3).
    async fn replacement(&mut self, new: &str, old: &str) -> Result<(), DbError> {
        let mut fallen = vec![old.to_owned()];
        let mut next = 0;
        while let Some(id) = fallen.get(next).cloned() {
            next += 1;
            for dependant in refs::dependants(self.tx, self.key(), &id).await? {
                if !fallen.contains(&dependant) {
                    fallen.push(dependant);
                }
            }
        }
        self.effects.deprecated.extend(fallen);
        for folder in refs::folders_of(self.tx, self.key(), old).await? {
            let submitted = self.plan.associations.iter().any(|b| {
                b.association.association_type == AssociationType::HasMember
                    && b.association.source_object == folder
                    && b.association.target_object == new
            });
            if !submitted {
                self.effects.new_memberships.push((folder.clone(), new.to_owned()));
            }
            self.effects.touched_folders.push(folder);
        }
        Ok(())
    }
}
