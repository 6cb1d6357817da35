//! Why somebody sees a document or does not, and what they would see now: the decisions of the reads themselves, taken for
//! somebody described.

use std::sync::Arc;

use super::{Consents, Refused};
use crate::model::caller::Caller;
use crate::model::consent::network::Function;
use crate::model::consent::{Action, Decision, Viewer};
use crate::service::context::Context;
use crate::service::database;
use crate::store::consent::record::{self, Judged};
use crate::store::consent::{Gate, Whose, load};
use crate::store::db::DbError;
use crate::store::patient;

/// What is asked.
#[derive(Debug, Clone)]
pub struct Sight {
    /// Who would look: what TLS and an assertion would have proved of them.
    pub caller: Caller,
    pub function: Function,
    /// A patient (CX).
    pub patient: String,
    /// One document (uniqueId); none: all.
    pub document: Option<String>,
    /// Of all only those they see.
    pub seen_only: bool,
}

/// What was decided.
#[derive(Debug, Clone)]
pub struct Explained {
    pub documents: Vec<Judged>,
    /// About the patient and no document.
    pub patient: Decision,
    /// Version of the network's rules, and how often the patient's records changed.
    pub rules: String,
    pub records: i64,
}

impl Consents {
    /// How each document would be decided on. The look is recorded.
    pub async fn explain(&self, context: &Context, sight: Sight) -> Result<Explained, Refused> {
        let network = self.access.network();
        let viewer = Viewer::of(&sight.caller, &network);
        let permit = self.access.permit_for(viewer, sight.function, context.micros());
        let own = self.access.permit(context, Action::Operator);
        let rules = network.version.clone();
        let what = match &sight.document {
            Some(document) => format!("consent explain {document}"),
            None => "consent today".to_owned(),
        };
        let patient = sight.patient.clone();
        let question = Arc::new((sight, permit, own));
        let found = self
            .db
            .snapshot(move |tx| {
                let question = question.clone();
                Box::pin(async move {
                    let (sight, permit, own) = &*question;
                    let Some(key) = patient::key(tx, &sight.patient).await? else { return Ok(None) };
                    let loaded = load(tx, Whose::Keys(&[key])).await?.remove(&key).unwrap_or_default();
                    let mut gate = Gate::new(permit);
                    gate.meet(tx, &[key]).await?;
                    let mut documents = record::judged(tx, key, &gate, own).await?;
                    documents.retain(|judged| {
                        sight.document.as_ref().is_none_or(|id| judged.facts.unique_id == *id)
                            && (!sight.seen_only || judged.decision.permits())
                    });
                    let patient = permit.judge_patient(&loaded.patient, &loaded.standing);
                    Ok::<_, DbError>(Some((documents, patient, loaded.standing.version)))
                })
            })
            .await
            .map_err(|e| Refused::Error(database(e)))?;
        let (documents, decided, records) = found.ok_or(Refused::UnknownPatient)?;
        self.record_sight(context, vec![patient], what).await?;
        Ok(Explained { documents, patient: decided, rules, records })
    }
}
