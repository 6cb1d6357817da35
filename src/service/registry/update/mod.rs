//! Update Document Set (ITI-57) and its restricted kind (ITI-92): decode the message into operations, read
//! what the registry knows of their objects, decide, apply. ITI Metadata Update 3.57.4.1.3.
//!
//! Decoding and deciding are pure; one file per operation. A request is made whole or not at all.

mod apply;
mod availability_status;
mod decide;
mod decode;
mod entry_metadata;
mod facts;
mod folder_metadata;
mod propagation;
mod reconciliation;
mod restricted;
mod submit_association;

use std::sync::Arc;

use crate::config::registry::UnknownPatients;
use crate::model::audit::Outcome;
use crate::model::error::{Error, ErrorCode, Problem, RegistryError};
use crate::model::metadata::Update;
use crate::service::context::{Context, Subject};
use crate::service::database;
use crate::service::registry::judge::Claim;
use crate::service::registry::register::{Registered, Stop, merge, swept};
use crate::service::registry::{Registry, Settings};
use crate::service::traces::Traces;
use crate::store::db::{DbError, Tx};

use decide::decide;
use decode::{Plan, decode};
use facts::Facts;

impl Registry {
    /// Makes an update whole or not at all. `problems` is what reading it already found; with an error among
    /// them the registry is still consulted. The audit record of a success commits with it.
    pub async fn update(
        &self,
        context: &Context,
        update: Update,
        restricted: bool,
        mut problems: Vec<RegistryError>,
    ) -> Result<Registered, Error> {
        if restricted {
            self.addressed_to_us(&update, &mut problems);
        }
        let subject = subject_of(&update);
        let event = context.audit(Outcome::Success, subject);
        let traces = Traces::of(context, vec![event], &problems).map_err(database)?;
        let Some(plan) = decode(context, update, restricted, &mut problems).map_err(database)? else {
            return Err(Error::Rejected(problems));
        };
        let plan = Arc::new(plan);
        let settings = self.settings.clone();
        if problems.iter().any(RegistryError::is_error) {
            let found = self
                .db
                .snapshot(move |tx| {
                    let (plan, settings) = (plan.clone(), settings.clone());
                    Box::pin(async move { consult(tx, &plan, &settings).await })
                })
                .await
                .map_err(|e: DbError| database(e))?;
            merge(&mut problems, found);
            return Err(Error::Rejected(problems));
        }
        let traces = Arc::new(traces);
        // A conflict is another writer that made the same patient known, or moved what we were about to hold.
        let mut attempts = 0;
        let done = loop {
            let (plan, settings, traces) = (plan.clone(), settings.clone(), traces.clone());
            let done = self
                .db
                .write(move |tx| {
                    let (plan, settings, traces) = (plan.clone(), settings.clone(), traces.clone());
                    Box::pin(async move {
                        make(tx, &plan, &settings).await?;
                        traces.leave(tx).await?;
                        Ok(())
                    })
                })
                .await;
            attempts += 1;
            match done {
                Err(Stop::Database(DbError::Conflict)) if attempts < 3 => {}
                done => break done,
            }
        };
        match done {
            Ok(()) => Ok(Registered { warnings: problems }),
            Err(Stop::Rejected(found)) => {
                merge(&mut problems, found);
                Err(Error::Rejected(problems))
            }
            Err(Stop::Condemned) => Err(swept()),
            Err(Stop::Database(e)) => Err(database(e)),
        }
    }

    /// A restricted update may name the community it is for (ITI RMU 3.92.4.1.3.1).
    fn addressed_to_us(&self, update: &Update, problems: &mut Vec<RegistryError>) {
        let Some(home) = update.home_community_id.as_deref() else { return };
        if home != self.settings.home_community_id {
            let problem = Problem {
                code: ErrorCode::XDSUnknownCommunity,
                object: "SubmitObjectsRequest",
                attribute: "homeCommunityId",
                value: Some(home),
                message: "is not this community, and updates are not forwarded to others",
                clause: "ITI RMU 3.92.4.1.3.1",
            };
            problems.push(problem.error());
        }
    }
}

/// What the audit record says of an update, however it ends.
pub fn subject_of(update: &Update) -> Subject {
    let filled = |text: &String| Some(text.clone()).filter(|t| !t.is_empty());
    let s = &update.submission;
    let patients = std::iter::once(&s.submission_set.patient_id)
        .chain(s.document_entries.iter().map(|d| &d.patient_id))
        .chain(s.folders.iter().map(|f| &f.patient_id));
    let mut patients: Vec<String> = patients.filter_map(filled).collect();
    patients.sort_unstable();
    patients.dedup();
    Subject {
        patients,
        submission_set: filled(&s.submission_set.unique_id),
        documents: s.document_entries.iter().map(|d| d.unique_id.clone()).collect(),
        ..Subject::default()
    }
}

async fn consult(tx: &mut Tx<'_>, plan: &Plan, settings: &Settings) -> Result<Vec<RegistryError>, DbError> {
    let facts = facts::look(tx, plan).await?;
    let mut problems = unknown_patient(plan, &facts, settings);
    let key = facts.patient_key.unwrap_or(plan.new_patient_key);
    problems.extend(apply::claim(tx, plan, key, Claim::LookOnly).await?);
    problems.extend(decide(plan, &facts, settings).1);
    Ok(problems)
}

async fn make(tx: &mut Tx<'_>, plan: &Plan, settings: &Settings) -> Result<(), Stop> {
    let (facts, held) = facts::gather(tx, plan).await?;
    let mut problems = unknown_patient(plan, &facts, settings);
    let key = facts.patient_key.unwrap_or(plan.new_patient_key);
    problems.extend(apply::claim(tx, plan, key, Claim::Take).await?);
    let (effects, found) = decide(plan, &facts, settings);
    problems.extend(found);
    if !problems.is_empty() {
        return Err(Stop::Rejected(problems));
    }
    apply::apply(tx, plan, settings, &facts, held, effects).await
}

fn unknown_patient(plan: &Plan, facts: &Facts, settings: &Settings) -> Vec<RegistryError> {
    let id = &plan.patient_id;
    let ours = format!("&{}&ISO", settings.patient_id_authority);
    let accepted = settings.config.unknown_patients == UnknownPatients::Accept && id.ends_with(&ours);
    if facts.patient_key.is_some() || id.is_empty() || (accepted && !facts.subsumed) {
        return vec![];
    }
    let object = plan.submitted(&plan.set.set.entry_uuid);
    let problem = Problem {
        code: ErrorCode::XDSUnknownPatientId,
        object,
        attribute: "SubmissionSet.patientId",
        value: Some(id),
        message: "is not known to this registry; the patient must be registered first",
        clause: "ITI TF-2 3.42.4.1.3.3.1",
    };
    vec![problem.error().at(object)]
}
