//! Documents of our own consumers, from here and from other communities (ITI TF-2 3.43.4.1.3, 3.39), and from
//! foreign repositories of our own domain. Documents of others pass through while they arrive.

use std::sync::Arc;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::admitted::Admitted;
use super::directory::{Foreign, Listed, Member};
use super::line::Line;
use super::passing::{Flow, Hold, Incoming};
use super::query::unknown;
use super::trouble::Trouble;
use super::{Correlations, Gateway, Screen};
use crate::model::audit::{AuditEvent, Held, Outcome};
use crate::model::community::Step;
use crate::model::error::{Error, ErrorCode, RegistryError, clip};
use crate::model::transaction::Transaction;
use crate::peer::http::Client;
use crate::peer::soap::xca::{self, Content, DocumentResponse, ResponseStatus, Retrieving};
use crate::service::context::{Context, Subject};
use crate::service::repository::{DocumentRequest, MadeAs, Retrieval};

const CLAUSE: &str = "ITI TF-2 3.43.4.1.3";

/// A document of somebody else's, its bytes to come.
#[derive(Clone)]
pub struct Promised {
    pub request: DocumentRequest,
    pub mime_type: String,
    pub made: Option<MadeAs>,
}

/// What a retrieval gives.
pub struct Delivery {
    pub here: Retrieval,
    pub incoming: Vec<Incoming>,
    /// About documents of others.
    pub errors: Vec<RegistryError>,
    /// ITI-39 and ITI-43 as we sent them.
    pub records: Vec<AuditEvent>,
}

/// Somebody with documents.
#[derive(Clone)]
pub(super) enum Source {
    Community(Arc<Member>),
    Repository(Arc<Foreign>),
}

impl Source {
    pub(super) fn transaction(&self) -> Transaction {
        match self {
            Self::Community(_) => Transaction::Iti39,
            Self::Repository(_) => Transaction::Iti43,
        }
    }

    pub(super) fn client(&self) -> Option<&Client> {
        match self {
            Self::Community(member) => member.client("iti39"),
            Self::Repository(foreign) => Some(&foreign.client),
        }
    }

    pub(super) fn line(&self) -> &Arc<Line> {
        match self {
            Self::Community(member) => &member.line,
            Self::Repository(foreign) => &foreign.line,
        }
    }

    fn address(&self) -> &str {
        match self {
            Self::Community(member) => member.community.endpoint("iti39").unwrap_or_default(),
            Self::Repository(foreign) => &foreign.config.peer.url,
        }
    }

    fn is(&self, other: &Source) -> bool {
        Arc::ptr_eq(self.line(), other.line())
    }

    /// What the consumer reads of trouble.
    pub(super) fn error(
        &self,
        trouble: &Trouble,
        requests: &[DocumentRequest],
        ours: &str,
    ) -> Vec<RegistryError> {
        match self {
            Self::Community(member) => vec![trouble.error(&member.community.name, &member.home())],
            // Part of our own community, which is there.
            Self::Repository(foreign) => requests
                .iter()
                .map(|r| {
                    let context = format!(
                        "DocumentUniqueId '{}': the repository {} of {ours} gave no answer. {}: {}",
                        clip(&r.document_unique_id),
                        foreign.config.unique_id,
                        trouble.step,
                        trouble.detail
                    );
                    RegistryError::new(ErrorCode::XDSRepositoryError, context)
                        .at(r.document_unique_id.clone())
                })
                .collect(),
        }
    }
}

/// Items by where they are asked for.
#[derive(Default)]
struct Plan {
    here: Vec<DocumentRequest>,
    there: Vec<(Source, Vec<DocumentRequest>)>,
    errors: Vec<RegistryError>,
}

impl Plan {
    fn add(&mut self, source: Source, request: DocumentRequest) {
        match self.there.iter_mut().find(|(other, _)| other.is(&source)) {
            Some((_, requests)) => requests.push(request),
            None => self.there.push((source, vec![request])),
        }
    }
}

impl Gateway {
    /// For a consumer of ours: each document from where its request says it is.
    pub async fn retrieve(
        &self,
        context: &Context,
        requests: Vec<DocumentRequest>,
    ) -> Result<Delivery, Error> {
        let listed = self.directory.now();
        let mut plan = Plan::default();
        for request in requests {
            match request.home_community_id.as_deref() {
                Some(home) if home != &*self.settings.home => match listed.by_home(home) {
                    Some(member) => plan.add(Source::Community(member.clone()), request),
                    None => plan.errors.push(of_item(unknown(home), &request)),
                },
                Some(_) => self.within(&listed, request, &mut plan),
                None if self.has(&listed, &request) => self.within(&listed, request, &mut plan),
                None => plan.errors.push(homeless(&request)),
            }
        }
        self.deliver(context, plan).await
    }

    /// For another community's gateway: what is within ours (ITI TF-2 3.39.4.1.3).
    pub async fn retrieve_here(
        &self,
        context: &Context,
        requests: Vec<DocumentRequest>,
    ) -> Result<Delivery, Error> {
        let listed = self.directory.now();
        let mut plan = Plan::default();
        for request in requests {
            match request.home_community_id.as_deref() {
                Some(home) if home == &*self.settings.home => self.within(&listed, request, &mut plan),
                Some(home) => plan.errors.push(of_item(unknown(home), &request)),
                None => plan.errors.push(homeless(&request)),
            }
        }
        let asked = plan.here.clone();
        let mut delivery = self.deliver(context, plan).await?;
        // Of our own repository too the gateway is a consumer (ITI TF-2 3.39.5.1).
        if self.repository.is_some() && !asked.is_empty() {
            delivery.records.push(within(context, &asked, &delivery.here));
        }
        Ok(delivery)
    }

    fn has(&self, listed: &Listed, request: &DocumentRequest) -> bool {
        let id = &request.repository_unique_id;
        self.repository.as_ref().is_some_and(|r| r.unique_id() == id) || listed.repository(id).is_some()
    }

    /// A repository of our own domain: ours, or one of the directory.
    fn within(&self, listed: &Listed, request: DocumentRequest, plan: &mut Plan) {
        match listed.repository(&request.repository_unique_id) {
            Some(foreign) => plan.add(Source::Repository(foreign.clone()), request),
            None => plan.here.push(request),
        }
    }

    async fn deliver(&self, context: &Context, plan: Plan) -> Result<Delivery, Error> {
        let deadline = Instant::now() + self.settings.retrieve_deadline;
        let Plan { here, there, mut errors } = plan;
        let mut tasks = JoinSet::new();
        // Documents that pass through cannot wait in an outbox.
        let passing = context.elsewhere.is_none();
        for (n, (source, requests)) in there.iter().enumerate() {
            let asker = Asker {
                source: source.clone(),
                context: context.clone(),
                correlations: self.correlations.clone(),
                screen: self.screen.clone(),
                home: self.settings.home.clone(),
            };
            let (requests, hold) = (requests.clone(), self.hold.clone());
            tasks.spawn(async move {
                if !passing {
                    let why = "documents of other systems are given on the connection they are asked on";
                    return (n, Err(Trouble::new(Step::Request, why)));
                }
                let Admitted { requests, errors: refused, record } =
                    match asker.admit(requests, deadline).await {
                        Ok(admitted) => admitted,
                        Err(trouble) => return (n, Err(trouble)),
                    };
                let mut given = Given { incoming: None, errors: vec![], refused, asked: vec![], record };
                if !requests.is_empty() {
                    let fetched = match asker.ask(&requests, deadline).await {
                        Ok(fetched) => fetched,
                        Err(trouble) => return (n, Err(trouble)),
                    };
                    (given.incoming, given.errors) = held(asker, fetched, &hold, deadline).await;
                }
                given.asked = requests;
                (n, Ok(given))
            });
        }
        let ours = async {
            match &self.repository {
                Some(repository) => repository.retrieve(context, here).await,
                None => Ok(Retrieval { documents: vec![], errors: here.iter().map(no_repository).collect() }),
            }
        };
        let theirs = async {
            let mut fetched: Vec<Option<Result<Given, Trouble>>> = there.iter().map(|_| None).collect();
            while let Some(done) = tasks.join_next().await {
                if let Ok((n, result)) = done
                    && let Some(slot) = fetched.get_mut(n)
                {
                    *slot = Some(result);
                }
            }
            fetched
        };
        let (here, fetched) = tokio::join!(ours, theirs);
        let here = here?;
        let (mut incoming, mut records) = (vec![], vec![]);
        for ((source, requests), fetched) in there.into_iter().zip(fetched) {
            let fetched = fetched.unwrap_or_else(|| Err(Trouble::new(Step::Request, "our own failure")));
            let Given { incoming: documents, errors: said, refused, asked, record: query } = fetched
                .unwrap_or_else(|trouble| Given {
                    incoming: None,
                    errors: source.error(&trouble, &requests, &self.settings.home),
                    refused: vec![],
                    asked: requests,
                    record: None,
                });
            records.extend(query);
            errors.extend(refused);
            // Of what nobody may see the other was not asked.
            if !asked.is_empty() {
                records.push(record(context, &source, &asked, documents.as_ref(), &said));
            }
            errors.extend(said);
            incoming.extend(documents);
        }
        // What is here already goes first: nobody waits for it, and nobody behind it.
        incoming.sort_by_key(|incoming: &Incoming| !incoming.is_whole());
        Ok(Delivery { here, incoming, errors, records })
    }
}

/// What one source gave, read ahead as far as may be held.
struct Given {
    /// `None`: no document.
    incoming: Option<Incoming>,
    errors: Vec<RegistryError>,
    /// About documents it was not asked for, since they may not be shown.
    refused: Vec<RegistryError>,
    /// What it was asked for.
    asked: Vec<DocumentRequest>,
    /// The question what the documents are.
    record: Option<AuditEvent>,
}

async fn held(
    asker: Asker,
    fetched: Fetched,
    hold: &Hold,
    deadline: Instant,
) -> (Option<Incoming>, Vec<RegistryError>) {
    let Fetched { documents, flow, mut errors } = fetched;
    if documents.is_empty() {
        return (None, errors);
    }
    let (incoming, lost) = Incoming::read_ahead(asker, documents, flow, hold, deadline).await;
    errors.extend(lost);
    (Some(incoming).filter(|incoming| !incoming.documents.is_empty()), errors)
}

/// Who asks one source, again if need be.
pub(super) struct Asker {
    pub source: Source,
    pub context: Context,
    pub correlations: Correlations,
    pub screen: Screen,
    pub home: Arc<str>,
}

/// What one source promised.
pub(super) struct Fetched {
    pub documents: Vec<Promised>,
    pub flow: Flow,
    pub errors: Vec<RegistryError>,
}

impl Asker {
    /// Asks, and reads as far as the envelope's end.
    pub async fn ask(&self, requests: &[DocumentRequest], deadline: Instant) -> Result<Fetched, Trouble> {
        let source = &self.source;
        let assertion = self.assertion(deadline).await?;
        let Some(client) = source.client() else {
            return Err(Trouble::new(Step::Endpoint, "the directory has no address for ITI-39"));
        };
        let items: Vec<xca::DocumentRequest> = requests
            .iter()
            .map(|r| xca::DocumentRequest {
                // A repository of our own domain knows of no communities.
                home_community_id: match source {
                    Source::Community(_) => r.home_community_id.clone(),
                    Source::Repository(_) => None,
                },
                repository_unique_id: r.repository_unique_id.clone(),
                document_unique_id: r.document_unique_id.clone(),
            })
            .collect();
        let asking = async {
            let retrieving =
                xca::retrieve(client, source.transaction(), &items, assertion.as_deref()).await?;
            vetted(source, requests, &items, retrieving)
        };
        let ((documents, hrefs, errors, retrieving), place) = source.line().ask(deadline, asking).await?;
        let flow = Flow::new(hrefs, retrieving, source.line().clone(), place);
        Ok(Fetched { documents, flow, errors })
    }
}

type Vetted = (Vec<Promised>, Vec<Option<String>>, Vec<RegistryError>, Retrieving);

/// Every document given was asked for, once, and bears the community it was asked of; every one not given is an
/// error.
fn vetted(
    source: &Source,
    requests: &[DocumentRequest],
    items: &[xca::DocumentRequest],
    mut retrieving: Retrieving,
) -> Result<Vetted, Trouble> {
    let (mut documents, mut hrefs) = (vec![], vec![]);
    let mut open: Vec<usize> = (0..items.len()).collect();
    for response in std::mem::take(&mut retrieving.responses) {
        let DocumentResponse {
            home_community_id,
            repository_unique_id,
            document_unique_id,
            new_repository_unique_id,
            new_document_unique_id,
            mime_type,
            content,
        } = response;
        let asked = open.iter().position(|i| {
            items.get(*i).is_some_and(|r| {
                r.repository_unique_id == repository_unique_id && r.document_unique_id == document_unique_id
            })
        });
        let Some(index) = asked.map(|at| open.remove(at)) else {
            return Err(Trouble::bad_answer("it holds a document that was not asked for"));
        };
        let (Some(request), Some(item)) = (requests.get(index), items.get(index)) else { continue };
        if matches!(source, Source::Community(_)) && home_community_id != item.home_community_id {
            return Err(Trouble::bad_answer("a document has not the homeCommunityId it was asked for with"));
        }
        let Content::Include(href) = content else {
            return Err(Trouble::bad_answer("a document has no content"));
        };
        if hrefs.contains(&Some(href.clone())) {
            return Err(Trouble::bad_answer("two documents have one content"));
        }
        hrefs.push(Some(href));
        documents.push(Promised {
            request: request.clone(),
            mime_type,
            made: new_document_unique_id
                .map(|unique_id| MadeAs { unique_id, kept_at: new_repository_unique_id }),
        });
    }
    let named = std::mem::take(&mut retrieving.errors);
    if retrieving.status != ResponseStatus::Success && !named.iter().any(RegistryError::is_error) {
        return Err(Trouble::bad_answer("it reports a failure and names no error"));
    }
    let said = named.iter().any(RegistryError::is_error);
    let mut errors: Vec<RegistryError> = named.into_iter().map(|e| located(source, items, e)).collect();
    if !said {
        let missing = open.iter().filter_map(|i| items.get(*i));
        errors.extend(missing.map(|item| {
            let context = format!(
                "DocumentUniqueId '{}': it was neither given nor refused ({CLAUSE})",
                clip(&item.document_unique_id)
            );
            RegistryError::new(ErrorCode::XDSDocumentUniqueIdError, context)
                .at(item.document_unique_id.clone())
        }));
    }
    Ok((documents, hrefs, errors, retrieving))
}

/// A location the consumer understands: the document it asked for, or else the community.
fn located(source: &Source, items: &[xca::DocumentRequest], error: RegistryError) -> RegistryError {
    // The longest: one id may be another's beginning.
    let names = |text: &str| {
        let named = items.iter().filter(|i| text.contains(&i.document_unique_id));
        named.max_by_key(|i| i.document_unique_id.len())
    };
    let by_location = error.location.as_deref().and_then(names);
    match (by_location.or_else(|| names(&error.context)), source) {
        (Some(item), _) => error.at(item.document_unique_id.clone()),
        (None, Source::Community(member)) => error.at(member.home()),
        (None, Source::Repository(_)) => error,
    }
}

fn of_item(error: RegistryError, request: &DocumentRequest) -> RegistryError {
    let context = format!("DocumentUniqueId '{}': {}", clip(&request.document_unique_id), error.context);
    RegistryError { context, ..error }.at(request.document_unique_id.clone())
}

fn homeless(request: &DocumentRequest) -> RegistryError {
    RegistryError::new(
        ErrorCode::XDSMissingHomeCommunityId,
        format!(
            "DocumentUniqueId '{}': HomeCommunityId is absent, and RepositoryUniqueId '{}' is none of our own \
             ({CLAUSE})",
            clip(&request.document_unique_id),
            clip(&request.repository_unique_id)
        ),
    )
    .at(request.document_unique_id.clone())
}

fn no_repository(request: &DocumentRequest) -> RegistryError {
    RegistryError::new(
        ErrorCode::XDSUnknownRepositoryId,
        format!(
            "RepositoryUniqueId '{}' of DocumentUniqueId '{}' is no repository of this community ({CLAUSE})",
            clip(&request.repository_unique_id),
            clip(&request.document_unique_id)
        ),
    )
    .at(request.document_unique_id.clone())
}

/// How a retrieval ended whose answer has documents, or none.
fn outcome(errors: &[RegistryError], some: bool) -> Outcome {
    match (errors.iter().any(RegistryError::is_error), some) {
        (false, _) => Outcome::Success,
        (true, true) => Outcome::MinorFailure,
        (true, false) => Outcome::SeriousFailure,
    }
}

/// What was asked for, and which of it did not come; `made`: ids of snapshots that came instead. Half an answer is two
/// records in the end, each of its documents.
fn subject<'d>(
    requests: &[DocumentRequest],
    given: impl Iterator<Item = (&'d DocumentRequest, Option<&'d str>)>,
    errors: &[RegistryError],
    outcome: Outcome,
) -> Subject {
    let mut documents: Vec<String> = requests.iter().map(|r| r.document_unique_id.clone()).collect();
    let given: Vec<_> = given.collect();
    documents.extend(given.iter().filter_map(|(_, made)| made.map(str::to_owned)));
    let mut subject = Subject { documents, ..Subject::default() }.with_errors(errors);
    let held = |r: &DocumentRequest| Held {
        document: r.document_unique_id.clone(),
        repository: r.repository_unique_id.clone(),
        home: r.home_community_id.clone(),
        patient: None,
    };
    subject.facts.held = requests.iter().map(held).collect();
    if outcome == Outcome::MinorFailure {
        let came = |id: &str| given.iter().any(|(asked, _)| asked.document_unique_id == id);
        let missing = requests.iter().map(|r| &r.document_unique_id).filter(|id| !came(id));
        subject.facts.missing = missing.cloned().collect();
    }
    subject
}

fn record(
    context: &Context,
    source: &Source,
    requests: &[DocumentRequest],
    given: Option<&Incoming>,
    errors: &[RegistryError],
) -> AuditEvent {
    let outcome = outcome(errors, given.is_some());
    let came = given.iter().flat_map(|g| &g.documents);
    let came = came.map(|d| (&d.request, d.made.as_ref().map(|m| m.unique_id.as_str())));
    let subject = subject(requests, came, errors, outcome);
    context.audit_sent(source.transaction(), source.address(), outcome, subject)
}

/// ITI-43 as the gateway asked it of our own repository, which is asked without a homeCommunityId.
fn within(context: &Context, requests: &[DocumentRequest], given: &Retrieval) -> AuditEvent {
    let outcome = outcome(&given.errors, !given.documents.is_empty());
    let came = given.documents.iter();
    let came = came.map(|d| (&d.request, d.made.as_ref().map(|m| m.unique_id.as_str())));
    let mut subject = subject(requests, came, &given.errors, outcome);
    subject.show(given.documents.iter().map(|d| d.patient_id.clone()).collect());
    for held in &mut subject.facts.held {
        let of = given.documents.iter().find(|d| d.request.document_unique_id == held.document);
        (held.home, held.patient) = (None, of.map(|d| d.patient_id.clone()));
    }
    context.audit_within(Transaction::Iti43, outcome, subject)
}
