//! What happened to an object: its changes in order, each with who, when and why, and the state it left.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use crate::model::caller::Caller;
use crate::model::consent::{Action, Permit};
use crate::model::error::Error;
use crate::model::metadata::{AvailabilityStatus, MetadataObject};
use crate::service::context::Context;
use crate::service::database;
use crate::service::registry::Registry;
use crate::store::db::Tx;
use crate::store::registry::change::{DOCUMENT, Operation};
use crate::store::registry::history::{self, LinkRow, Named, State};
use crate::store::registry::kind;
use crate::store::registry::row::RowError;

/// The history of one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct History {
    /// `DocumentEntry`, `SubmissionSet`, `Folder`, `Association`, or `Document` for bytes in our repository.
    pub kind: &'static str,
    /// entryUUID; of a document, uniqueId.
    pub id: String,
    /// CX.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patient_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unique_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    pub steps: Vec<Step>,
}

/// One change of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    pub at: Timestamp,
    pub operation: Operation,
    /// Number of the change in the patient's chain. None, with all that follows, of what was registered
    /// before this database kept a history.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transaction: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller: Option<Caller>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// entryUUID of the SubmissionSet that brought the change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub submission_set: Option<String>,
    /// An operator's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub availability_status: Option<AvailabilityStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_update_time: Option<String>,
    /// The whole object as it then was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<serde_json::Value>,
}

impl Registry {
    /// The histories behind an entryUUID or uniqueId, removed objects included, all versions of a
    /// DocumentEntry or Folder; none if nothing ever had the name.
    pub async fn history(&self, context: &Context, name: &str) -> Result<Vec<History>, Error> {
        let question: Arc<(String, Permit)> =
            Arc::new((name.to_owned(), self.settings.access.permit(context, Action::Operator)));
        self.db
            .snapshot(move |tx| {
                let question = question.clone();
                Box::pin(async move { histories(tx, &question.0, &question.1).await })
            })
            .await
            .map_err(|e| match e {
                RowError::Db(e) => database(e),
                e @ RowError::Corrupt { .. } => Error::Internal(anyhow::Error::new(e)),
            })
    }
}

async fn histories(tx: &mut Tx<'_>, name: &str, permit: &Permit) -> Result<Vec<History>, RowError> {
    let mut all = vec![];
    let mut chain: Vec<LinkRow> = vec![];
    for named in history::named(tx, name).await? {
        if chain.first().is_none_or(|link| link.patient_key != named.patient_key) {
            chain = history::chain(tx, named.patient_key).await?;
        }
        let states = history::states(tx, &named, permit).await?;
        let documents: Vec<String> = states.iter().filter_map(|s| document(&s.object)).collect();
        all.push(of_object(&named, &chain, &states));
        for id in documents {
            let steps = steps(&chain, DOCUMENT, &id, &[]);
            if !steps.is_empty() && !all.iter().any(|h: &History| h.kind == "Document" && h.id == id) {
                let patient_id = states.first().and_then(|s| patient(&s.object));
                let kind = "Document";
                all.push(History { kind, id, patient_id, unique_id: None, version: None, steps });
            }
        }
    }
    all.sort_by_key(|h| h.steps.first().map(|s| s.at));
    Ok(all)
}

fn of_object(named: &Named, chain: &[LinkRow], states: &[State]) -> History {
    let mut steps = steps(chain, named.kind, &named.id, states);
    // Older than the history: its beginning is known, and no more.
    if let Some(first) = states.first()
        && !steps.iter().any(|s| s.operation == Operation::Registered)
    {
        let mut step = bare(first.registered_at, Operation::Registered);
        show(&mut step, first);
        steps.insert(0, step);
    }
    let last = states.last().map(|s| &s.object);
    History {
        kind: kind::from_i64(named.kind).as_str(),
        id: named.id.clone(),
        patient_id: last.and_then(patient),
        unique_id: last.and_then(unique_id),
        version: last.and_then(|object| match object {
            MetadataObject::DocumentEntry(e) => Some(e.version),
            MetadataObject::Folder(f) => Some(f.version),
            _ => None,
        }),
        steps,
    }
}

fn steps(chain: &[LinkRow], of: i64, id: &str, states: &[State]) -> Vec<Step> {
    let mut steps = vec![];
    for link in chain {
        for item in link.items().unwrap_or_default().iter().filter(|item| item.0 == of && item.1 == id) {
            let mut step = Step {
                seq: Some(link.seq),
                transaction: Some(link.transaction.clone()),
                caller: serde_json::from_str(&link.caller).ok(),
                request_id: Some(link.request_id.clone()),
                submission_set: link.submission_set.clone(),
                reason: link.reason.clone(),
                ..bare(link.at, item.2)
            };
            // The state a change leaves lasts beyond it; the first that does is its.
            let left = states.iter().find(|s| s.until.is_none_or(|until| until > link.at));
            if item.2 != Operation::Removed
                && let Some(state) = left
            {
                show(&mut step, state);
            }
            steps.push(step);
        }
    }
    steps
}

fn bare(at: i64, operation: Operation) -> Step {
    Step {
        at: Timestamp::from_microsecond(at).unwrap_or(Timestamp::MAX),
        operation,
        seq: None,
        transaction: None,
        caller: None,
        request_id: None,
        submission_set: None,
        reason: None,
        availability_status: None,
        last_update_time: None,
        object: None,
    }
}

fn show(step: &mut Step, state: &State) {
    let (status, time, object) = match &state.object {
        MetadataObject::DocumentEntry(e) => (e.availability_status, None, serde_json::to_value(e)),
        MetadataObject::SubmissionSet(s) => (s.availability_status, None, serde_json::to_value(s)),
        MetadataObject::Folder(f) => {
            (f.availability_status, f.last_update_time.clone(), serde_json::to_value(f))
        }
        MetadataObject::Association(a) => (a.availability_status, None, serde_json::to_value(a)),
    };
    step.availability_status = Some(status);
    step.last_update_time = time;
    step.object = object.ok();
}

/// uniqueId of an entry whose bytes may be ours.
fn document(object: &MetadataObject) -> Option<String> {
    match object {
        MetadataObject::DocumentEntry(e) => Some(e.unique_id.clone()),
        _ => None,
    }
}

fn patient(object: &MetadataObject) -> Option<String> {
    match object {
        MetadataObject::DocumentEntry(e) => Some(e.patient_id.clone()),
        MetadataObject::SubmissionSet(s) => Some(s.patient_id.clone()),
        MetadataObject::Folder(f) => Some(f.patient_id.clone()),
        MetadataObject::Association(_) => None,
    }
}

fn unique_id(object: &MetadataObject) -> Option<String> {
    match object {
        MetadataObject::DocumentEntry(e) => Some(e.unique_id.clone()),
        MetadataObject::SubmissionSet(s) => Some(s.unique_id.clone()),
        MetadataObject::Folder(f) => Some(f.unique_id.clone()),
        MetadataObject::Association(_) => None,
    }
}
