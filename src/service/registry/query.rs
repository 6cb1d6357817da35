//! Registry Stored Query: decide, then find. ITI TF-2 3.18.4.1.3.

use std::sync::Arc;

use crate::config::registry::UnknownPatientQuery;
use crate::model::consent::{Action, Permit};
use crate::model::error::{Error, ErrorCode, RegistryError};
use crate::model::query::{Found, QueryRequest, ReturnType, StoredQuery};
use crate::service::context::Context;
use crate::service::registry::Registry;
use crate::service::{access, database};
use crate::store::db::{DbError, Tx};
use crate::store::national::coverage;
use crate::store::patient;
use crate::store::registry::find::{self, FindError, FindOptions, FindOutcome};

/// A reference takes a fiftieth of an object's room in an answer.
const REFS_PER_OBJECT: usize = 50;

/// What was found, and about whom.
#[derive(Debug)]
pub struct Answer {
    pub found: Found,
    /// Patients the answer shows, as CX text.
    pub patients: Vec<String>,
}

/// How a read ends without an answer.
enum Stop {
    Unknown(Vec<String>),
    Find(FindError),
}

impl From<DbError> for Stop {
    fn from(e: DbError) -> Self {
        Stop::Find(FindError::Db(e))
    }
}

/// One query, with all that decides its answer.
struct Question {
    query: StoredQuery,
    options: FindOptions,
    permit: Permit,
    refuse_unknown_patients: bool,
}

impl Registry {
    pub async fn query(&self, context: &Context, request: QueryRequest) -> Result<Answer, Error> {
        self.query_as_of(context, request, None).await
    }

    /// The same, answered as it would have been at `moment` (microseconds since 1970).
    pub async fn query_as_of(
        &self,
        context: &Context,
        request: QueryRequest,
        moment: Option<i64>,
    ) -> Result<Answer, Error> {
        access::bound(&context.caller, request.query.patient_ids(), ErrorCode::XDSRegistryError)?;
        // As of a moment is what operators ask.
        let action = if moment.is_some() { Action::Operator } else { Action::Query };
        let permit = self.settings.access.permit(context, action);
        let question = Arc::new(Question {
            options: FindOptions {
                as_of: moment,
                return_type: request.return_type,
                limit: match request.return_type {
                    ReturnType::LeafClass => self.settings.query_results,
                    ReturnType::ObjectRef => self.settings.query_results.saturating_mul(REFS_PER_OBJECT),
                },
                view: request.view,
            },
            permit: permit.clone(),
            refuse_unknown_patients: self.settings.config.unknown_patient_query == UnknownPatientQuery::Error,
            query: request.query,
        });
        let one_statement =
            !find::needs_snapshot(&question.query, &permit) && !question.refuse_unknown_patients;
        // Several statements must see one state of the registry.
        let outcome = if one_statement {
            self.db
                .read(move |tx| {
                    let question = question.clone();
                    Box::pin(async move { ask(tx, &question).await })
                })
                .await
        } else {
            self.db
                .snapshot(move |tx| {
                    let question = question.clone();
                    Box::pin(async move { ask(tx, &question).await })
                })
                .await
        };
        access::note(context, &permit);
        match outcome {
            Ok(FindOutcome { found, patients }) => {
                // What was asked for by ids is whose it turns out to be.
                access::bound(&context.caller, &patients, ErrorCode::XDSRegistryError)?;
                let found = match moment {
                    None if self.settings.coverage_slot => self.with_coverage(found).await?,
                    _ => found,
                };
                Ok(Answer { found, patients })
            }
            Err(Stop::Unknown(ids)) => Err(Error::Rejected(
                ids.into_iter()
                    .map(|id| {
                        RegistryError::new(
                            ErrorCode::XDSUnknownPatientId,
                            format!("patient id '{id}' is not known to this registry (ITI TF-2 3.18.4.1.3)"),
                        )
                    })
                    .collect(),
            )),
            Err(Stop::Find(e)) => Err(failure(e)),
        }
    }
}

impl Registry {
    /// The same with a slot in each DocumentEntry that says whether the national service holds it too.
    async fn with_coverage(&self, found: Found) -> Result<Found, Error> {
        let Found::Objects(objects) = found else { return Ok(found) };
        let objects = Arc::new(objects);
        let annotated = self.db.read(move |tx| {
            let objects = objects.clone();
            Box::pin(async move {
                let mut objects = (*objects).clone();
                coverage::annotate(tx, &mut objects, COVERAGE).await?;
                Ok(objects)
            })
        });
        annotated.await.map(Found::Objects).map_err(|e: DbError| database(e))
    }
}

/// Whether a document is `regional` or `both`: the national service holds it too.
pub const COVERAGE: &str = "urn:chiren:national:coverage";

async fn ask(tx: &mut Tx<'_>, q: &Question) -> Result<FindOutcome, Stop> {
    if q.refuse_unknown_patients {
        let mut unknown = vec![];
        for id in q.query.patient_ids() {
            if !patient::is_known(tx, id, q.options.as_of).await? {
                unknown.push(id.clone());
            }
        }
        if !unknown.is_empty() {
            return Err(Stop::Unknown(unknown));
        }
    }
    find::run(tx, &q.query, &q.options, &q.permit).await.map_err(Stop::Find)
}

pub(super) fn failure(e: FindError) -> Error {
    match e {
        FindError::Db(e) => database(e),
        FindError::TooManyResults(limit) => RegistryError::new(
            ErrorCode::XDSTooManyResults,
            format!(
                "the query selects more than {limit} objects, the most this registry returns; narrow it, or ask \
                 for ObjectRef and fetch slices with GetDocuments (ITI TF-2 3.18.4.1.3)"
            ),
        )
        .into(),
        FindError::SeveralPatients => RegistryError::new(
            ErrorCode::XDSResultNotSinglePatient,
            "the objects asked for belong to several patients; ask for each patient alone, or for ObjectRef \
             (ITI TF-2 3.18.4.1.2.3.7)",
        )
        .into(),
        FindError::Corrupt(_) => Error::Internal(anyhow::Error::new(e)),
    }
}
