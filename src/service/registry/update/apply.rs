//! Writes what was decided.

use std::collections::HashSet;

use super::decide::Effects;
use super::decode::Plan;
use super::facts::Facts;
use crate::model::error::{ErrorCode, Problem, RegistryError};
use crate::service::registry::Settings;
use crate::service::registry::changes::{Changes, HeldPatients};
use crate::service::registry::judge::Claim;
use crate::service::registry::register::{Stop, implied_patient};
use crate::store::db::{DbError, Tx};
use crate::store::registry::put::{self, AssociationRow, EntryRow, FolderRow};
use crate::store::registry::{kind, refs};

/// Takes the ids of what is new, or looks whether they are free. Problems name those that are not.
pub async fn claim(
    tx: &mut Tx<'_>,
    plan: &Plan,
    patient_key: i64,
    claim: Claim,
) -> Result<Vec<RegistryError>, DbError> {
    let mut problems = vec![];
    let mut problem = |code, id: &str, attribute: &str, value: &str, message: &str, clause: &str| {
        let object = plan.submitted(id);
        problems.push(
            Problem { code, object, attribute, value: Some(value), message, clause }.error().at(object),
        );
    };
    let set = &plan.set.set;
    let own = std::iter::once((set.entry_uuid.as_str(), kind::SUBMISSION_SET));
    let versions = plan.versions.iter().map(|v| (v.id(), kind::of(v.kind())));
    let associations =
        plan.submitted.iter().chain(&plan.members).map(|a| (a.entry_uuid.as_str(), kind::ASSOCIATION));
    for (id, kind) in own.chain(versions).chain(associations) {
        let free = match claim {
            Claim::Take => put::claim_id(tx, id, kind, patient_key).await?,
            Claim::LookOnly => !refs::is_taken(tx, id).await?,
        };
        if !free {
            let code = ErrorCode::XDSRegistryMetadataError;
            let message = "is already in use in the registry";
            problem(code, id, "entryUUID", id, message, "ITI TF-2 3.42.4.1.3.1");
        }
    }
    let unique_id = set.unique_id.as_str();
    let free = unique_id.is_empty()
        || match claim {
            Claim::Take => {
                let kind = kind::SUBMISSION_SET;
                put::claim_unique_id(tx, unique_id, kind, patient_key, &set.entry_uuid, None, None).await?
            }
            Claim::LookOnly => refs::unique_id(tx, unique_id).await?.is_none(),
        };
    if !free {
        let code = ErrorCode::XDSDuplicateUniqueIdInRegistry;
        let message = "is already the uniqueId of an object in the registry";
        let attribute = "SubmissionSet.uniqueId";
        problem(code, &set.entry_uuid, attribute, unique_id, message, "ITI TF-3 4.2.3.3.12");
    }
    Ok(problems)
}

/// Writes the effects, in the history of each patient they touch.
pub async fn apply(
    tx: &mut Tx<'_>,
    plan: &Plan,
    settings: &Settings,
    facts: &Facts,
    held: HeldPatients,
    effects: Effects,
) -> Result<(), Stop> {
    let mut changes = Changes::new(held, (settings.now)());
    let set_key = match facts.patient_key {
        Some(key) => key,
        None => {
            let (pid, key) = (&plan.patient_id, plan.new_patient_key);
            changes.hold(implied_patient(tx, pid, key, plan.at, settings).await?)
        }
    };
    changes.of(tx, set_key).await?.register_set(tx, &plan.set).await?;
    for t in &effects.statuses {
        let change = changes.of(tx, t.patient_key).await?;
        // What was decided rests on `from`; the patient is held, so it still is.
        if !change.set_status(tx, t.kind, &t.id, t.to).await? {
            return Err(DbError::Conflict.into());
        }
    }
    for entry in effects.entries {
        let row = EntryRow::new(entry)?;
        changes.of(tx, set_key).await?.register_entry(tx, &row).await?;
        put::set_content(tx, &row.entry.unique_id, row.entry.hash.as_deref(), row.size).await?;
    }
    for folder in effects.folders {
        changes.of(tx, set_key).await?.register_folder(tx, &FolderRow::new(folder)?).await?;
    }
    let submitted: HashSet<&str> =
        plan.submitted.iter().chain(&plan.members).map(|a| a.entry_uuid.as_str()).collect();
    for (association, keys) in effects.associations {
        let id = association.entry_uuid.clone();
        if let (Some(owner), false) = (keys.first(), submitted.contains(id.as_str())) {
            put::claim_id(tx, &id, kind::ASSOCIATION, *owner).await?;
        }
        let row = AssociationRow::new(association)?;
        for key in keys {
            changes.of(tx, key).await?.register_association(tx, &row).await?;
        }
    }
    for (key, folder) in &effects.touched_folders {
        changes.of(tx, *key).await?.touch_folder(tx, folder, &plan.time).await?;
    }
    changes.finish(tx, &plan.cause).await?;
    Ok(())
}
