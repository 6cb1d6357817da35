//! Which documents of others our own people may be given: what they are is asked of whoever holds them, or of our own
//! registry, before they are. Only where consent is asked for, or the user's assertion is about one patient.

use std::collections::HashSet;

use tokio::time::{Instant, timeout_at};

use super::query::{self, Given};
use super::retrieve::{Asker, Source};
use super::trouble::Trouble;
use crate::model::audit::AuditEvent;
use crate::model::community::Step;
use crate::model::consent::Action;
use crate::model::ebrim::Slot;
use crate::model::error::{ErrorCode, RegistryError, clip};
use crate::model::hl7types::Cx;
use crate::model::metadata::MetadataObject;
use crate::model::query::{AdhocQueryRequest, QueryId, QueryResult, ReturnType, values};
use crate::peer::soap::xca;
use crate::service::access;
use crate::service::repository::DocumentRequest;

/// What may be asked for, what is said of the rest, and ITI-38 as we sent it for that.
pub(super) struct Admitted {
    pub requests: Vec<DocumentRequest>,
    pub errors: Vec<RegistryError>,
    pub record: Option<AuditEvent>,
}

impl Asker {
    /// Of these documents those that may be shown. The others are as absent.
    pub async fn admit(
        &self,
        requests: Vec<DocumentRequest>,
        deadline: Instant,
    ) -> Result<Admitted, Trouble> {
        let permit = self.screen.permit(&self.context, Action::Retrieve);
        let bound = self.context.caller.user.as_ref().is_some_and(|user| user.patient.is_some());
        let ids: Vec<String> = requests.iter().map(|r| r.document_unique_id.clone()).collect();
        let (shown, record) = match &self.source {
            Source::Repository(_) if permit.is_narrow() || bound => {
                let shown = self.screen.here(&self.context, &permit, ids).await;
                (shown.map_err(|_| ours())?, None)
            }
            Source::Community(member) if permit.is_narrow() => {
                let request = get_documents(&member.home(), &ids);
                let assertion = self.assertion(deadline).await?;
                let given = query::ask(member, &request, assertion.as_deref(), &self.home, deadline).await;
                let text = xca::query_text(&request);
                let record = query::record(&self.context, member, text, None, &given);
                let Given { result, .. } = given?;
                let of = (&member.community, None);
                let through =
                    self.screen.let_through(&self.context, &permit, of, result, ReturnType::LeafClass);
                let shown = match through.await.map_err(|_| ours())? {
                    QueryResult::Objects(objects) => objects,
                    QueryResult::Refs(_) => vec![],
                };
                let id = |object: MetadataObject| match object {
                    MetadataObject::DocumentEntry(entry) => Some(entry.unique_id.clone()),
                    _ => None,
                };
                (shown.into_iter().filter_map(id).collect(), Some(record))
            }
            _ => return Ok(Admitted { requests, errors: vec![], record: None }),
        };
        access::note(&self.context, &permit);
        let (admitted, refused): (Vec<_>, Vec<_>) =
            requests.into_iter().partition(|r| shown.contains(&r.document_unique_id));
        Ok(Admitted { requests: admitted, errors: refused.iter().map(absent).collect(), record })
    }

    /// The assertion that goes along. One of a user who may see one patient alone is about that one, under the id the
    /// community has; a community that does not know the patient has none of the documents.
    pub async fn assertion(&self, deadline: Instant) -> Result<Option<String>, Trouble> {
        let Source::Community(member) = &self.source else {
            // A repository of our own domain is no community.
            return Ok(None);
        };
        let bound = self.context.caller.user.as_ref().and_then(|user| user.patient.as_deref());
        let there = match bound.map(Cx::parse) {
            None => None,
            Some(Err(_)) => return Err(unknown()),
            Some(Ok(patient)) => {
                let finding = async {
                    let known = self.correlations.look(&patient).await?;
                    self.correlations.resolve(&self.context, &patient, &known, &member.community).await
                };
                let late = || Trouble::new(Step::Timeout, "who the patient is there was not known in time");
                let found = timeout_at(deadline, finding).await.map_err(|_| late())?;
                let found = found.map_err(|_| ours())?;
                if let Some(failed) = found.failed.into_iter().next() {
                    return Err(failed.trouble);
                }
                let first = found.found.into_iter().next().ok_or_else(unknown)?;
                Some(first.patient.to_string())
            }
        };
        self.correlations.people().assertion(&self.context, &member.community, there.as_deref())
    }
}

fn unknown() -> Trouble {
    Trouble::new(
        Step::Assertion,
        "the patient that the user's assertion is about is not known there (resource-id)",
    )
}

fn ours() -> Trouble {
    Trouble::new(Step::Request, "our own failure")
}

/// GetDocuments, by uniqueId.
fn get_documents(home: &str, ids: &[String]) -> AdhocQueryRequest {
    let once: HashSet<&str> = ids.iter().map(String::as_str).collect();
    let mut once: Vec<&str> = once.into_iter().collect();
    once.sort_unstable();
    AdhocQueryRequest {
        return_type: ReturnType::LeafClass,
        id: QueryId::GetDocuments.row().map(|row| row.urn.to_owned()).unwrap_or_default(),
        home: Some(home.to_owned()),
        slots: vec![Slot {
            name: "$XDSDocumentEntryUniqueId".into(),
            slot_type: None,
            values: vec![values::quote_list(&once)],
        }],
    }
}

fn absent(request: &DocumentRequest) -> RegistryError {
    let context = format!(
        "DocumentUniqueId '{}': no such document (ITI TF-2 3.43.4.1.3)",
        clip(&request.document_unique_id)
    );
    RegistryError::new(ErrorCode::XDSDocumentUniqueIdError, context).at(request.document_unique_id.clone())
}
