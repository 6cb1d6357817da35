//! The master patient index (統合MPI): which ids are of one person.
//!
//! An *Identity* is a patient in one assigning authority, a *Person* the individual linked to one or more of
//! them, under an id of the network's own domain (地連患者ID). Everything a feed does happens in one
//! transaction: what was said, what was decided and why, the person, the registry's patient, the audit
//! record, and the notices to be sent.

mod admit;
mod authorities;
mod courier;
mod discover;
mod domains;
mod every_id;
mod feed;
mod gather;
pub mod insured;
mod link;
mod merge;
pub mod meter;
mod models;
mod neighbours;
mod notices;
mod number;
pub mod operator;
mod ownership;
mod pix;
mod rank;
mod review;
mod search;
mod seen;
mod settle;
mod sieve;
mod terms;
#[cfg(test)]
mod tests;
mod together;
mod upsert;
mod view;
mod weigh;
mod worklist;

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::config::MpiConfig;
use crate::matching::Model;
use crate::model::audit::Outcome;
use crate::model::error::Error;
use crate::model::identity::{
    Demographics, DemographicsQuery, DomainId, FeedMessage, IdentityError, PixQuery, SentId, Trouble, Warning,
};
use crate::service::access::Access;
use crate::service::audit::Audit;
use crate::service::context::{Context, Subject};
use crate::service::patients::random;
use crate::store::db::{Db, DbError};
use crate::store::mpi::{identity, review as kept};

pub use crate::store::mpi::review::State as ReviewState;
pub use admit::is_date;
pub use authorities::{DomainShown, Unchanged};
pub use courier::{Notices, Sent};
pub use discover::Discovered;
pub use domains::{Domain, Domains};
pub use every_id::every_id;
pub use models::{Learned, Tried};
pub use neighbours::{KIND as NEWS, Neighbourly, Standing};
pub use notices::{KIND as NOTICE, Notice};
pub use review::Verdict;
pub use worklist::{Decided, Listed, Shown, Side, SideBySide, Undecided};

/// The service. Clones share it.
#[derive(Clone)]
pub struct Mpi {
    db: Db,
    audit: Audit,
    together: together::Together,
    settings: Arc<Settings>,
    state: Arc<State>,
}

/// What changes while the program runs.
struct State {
    model: RwLock<Arc<Model>>,
    /// Active identities when last counted, and feeds taken since.
    counted: AtomicU64,
    since: AtomicU64,
    /// Held by who counts them.
    counting: tokio::sync::Mutex<()>,
    /// When it was last looked whether another model was accepted (microseconds since 1970).
    looked: AtomicI64,
    /// What the added domains were known by when they were last read, and when it was last looked.
    domains: AtomicI64,
    domains_looked: AtomicI64,
    worklist: meter::Worklist,
}

/// Who is told of our patients, asked inside a transaction that changes some.
pub type Neighbours = Arc<dyn Fn() -> Vec<String> + Send + Sync>;

/// What the index was configured to.
pub struct Settings {
    pub config: MpiConfig,
    pub domains: Domains,
    /// Communities that are told of our patients (ITI-44), by their ids in the directory as it is now.
    pub neighbours: Neighbours,
    /// The present in microseconds since 1970, asked inside a transaction that changes something.
    pub now: Arc<dyn Fn() -> i64 + Send + Sync>,
    /// Who may know of whom.
    pub access: Access,
}

/// Why nothing was done.
#[derive(Debug)]
pub enum Refusal {
    /// The message is at fault: never again unchanged.
    Identity(Vec<IdentityError>),
    /// We are.
    Error(Error),
}

impl From<Error> for Refusal {
    fn from(e: Error) -> Self {
        Refusal::Error(e)
    }
}

/// What a feed did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fed {
    /// The ids the message was about, as kept.
    pub ids: Vec<DomainId>,
    /// The person they are of, by the network's id; none if nothing is of anybody.
    pub person: Option<DomainId>,
    /// Whether one of the ids was new here.
    pub created: bool,
    /// Those of the message, and ours.
    pub warnings: Vec<Warning>,
}

/// Ids of a person elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PixAnswer {
    pub asked: DomainId,
    /// Never the one asked; by domain, in the order asked, else of the OIDs. None: known, but nowhere asked.
    pub ids: Vec<DomainId>,
}

/// Which part of an answer is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// QPD-2, `queryId`, the id of a FHIR search: under it the rest is asked for, and cancelled.
    pub query_id: String,
    /// Patients wanted; none: `mpi.page_size`.
    pub size: Option<u64>,
    /// DSC-1, or the pointer of a FHIR link: what [`Found::next`] said.
    pub pointer: Option<String>,
}

/// Patients found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub patients: Vec<FoundPatient>,
    /// In all, those before and after this page too.
    pub total: u64,
    /// After this page.
    pub remaining: u64,
    /// The pointer to ask for them with.
    pub next: Option<String>,
}

/// A person found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundPatient {
    /// The network's id, whichever domains were asked for.
    pub person: DomainId,
    /// In the domains asked for; where all were, the network's own first.
    pub ids: Vec<DomainId>,
    /// The survivor view (patient-identity, 6.7).
    pub demographics: Demographics,
    /// 0 to 100: 100 where everything asked agrees exactly.
    pub score: u8,
}

/// How sure a match is: the codes of FHIR's match-grade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    CertainlyNot,
    Possible,
    Probable,
    Certain,
}

/// A person that may be the one described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Likely {
    pub patient: FoundPatient,
    pub grade: Grade,
}

impl Mpi {
    /// The index over an open database, with the model of `mpi.model`, or the one accepted last, or the shipped
    /// one.
    pub async fn open(db: Db, audit: Audit, settings: Settings) -> anyhow::Result<Self> {
        use anyhow::Context as _;
        let model = match &settings.config.model {
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .with_context(|| format!("mpi.model: {} cannot be read", path.display()))?;
                let model = serde_json::from_str(&text);
                model.with_context(|| format!("mpi.model: {} is no matching model", path.display()))?
            }
            None => accepted(&db).await?.unwrap_or_else(Model::shipped),
        };
        let state = State {
            model: RwLock::new(Arc::new(model)),
            counted: AtomicU64::new(u64::MAX),
            since: AtomicU64::new(0),
            counting: tokio::sync::Mutex::default(),
            looked: AtomicI64::new(i64::MIN),
            domains: AtomicI64::new(0),
            domains_looked: AtomicI64::new(i64::MIN),
            worklist: meter::Worklist::default(),
        };
        let together = together::Together::new(db.clone());
        let mpi = Self { db, audit, together, settings: Arc::new(settings), state: Arc::new(state) };
        mpi.read_domains().await.context("the domains that operators added cannot be read")?;
        Ok(mpi)
    }

    /// The model decisions are made with.
    pub fn model(&self) -> Arc<Model> {
        self.state.model.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The present, as this index has it.
    pub fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::from_microsecond((self.settings.now)()).unwrap_or_default()
    }

    /// Makes decisions with another model from now on.
    pub fn use_model(&self, model: Model) {
        *self.state.model.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(model);
    }

    /// How large an index weights assume. In steps of two, and never less than `mpi.expected_identities`: what
    /// is decided must not depend on how many others happened to come before.
    async fn population(&self) -> Result<u64, DbError> {
        let counted = || self.state.counted.load(Ordering::Relaxed);
        let since = self.state.since.fetch_add(1, Ordering::Relaxed);
        let counted = match counted() {
            // A million take most of a second to count: the first to ask does, and those who came meanwhile wait.
            u64::MAX => {
                let _one = self.state.counting.lock().await;
                if counted() == u64::MAX { self.count().await? } else { counted() }
            }
            known if since > (known / 8).max(RECOUNT) => match self.state.counting.try_lock() {
                Ok(_one) => self.count().await?,
                Err(_) => known,
            },
            known => known,
        };
        let grown = counted.saturating_add(self.state.since.load(Ordering::Relaxed));
        Ok(grown.max(self.settings.config.expected_identities).next_power_of_two())
    }

    async fn count(&self) -> Result<u64, DbError> {
        self.state.since.store(0, Ordering::Relaxed);
        let count: i64 = self.db.read(|tx| Box::pin(identity::count(tx))).await?;
        let count = u64::try_from(count).unwrap_or_default();
        self.state.counted.store(count, Ordering::Relaxed);
        Ok(count)
    }

    /// Leaves the audit record of a question, unless `audit.queries` wants none.
    async fn record_query(&self, context: &Context, outcome: Outcome, subject: Subject) -> Result<(), Error> {
        self.audit.settle(self.audit.of_query(context.audit(outcome, subject))).await
    }

    /// Records that a reviewer or operator looked at patients.
    async fn record_sight(
        &self,
        context: &Context,
        patients: Vec<String>,
        what: String,
    ) -> Result<(), Error> {
        let subject = Subject { patients, query: Some(what), ..Subject::default() };
        let event = context.audit(Outcome::Success, subject);
        self.audit.settle(crate::service::audit::Audited::Due(Box::new(event))).await
    }

    /// Records that something was refused. The refusal is answered whether it can be recorded or not: it shows
    /// nothing and has changed nothing.
    async fn record_refusal(&self, context: &Context, subject: Subject, refusal: &Refusal) {
        let subject = match refusal {
            Refusal::Identity(errors) => {
                let errors_said =
                    errors.iter().map(|e| format!("{:?} {:?}", e.trouble, e.place.field)).collect();
                // What was asked or named is the number, or stands beside it.
                let kept = match errors.iter().any(|e| e.trouble == Trouble::IndividualNumber) {
                    true => Subject::default(),
                    false => subject,
                };
                Subject { errors: errors_said, ..kept }
            }
            Refusal::Error(error) => subject.with_failure(error),
        };
        let mut event = context.audit(Outcome::SeriousFailure, subject);
        if let Refusal::Identity(errors) = refusal
            && errors.iter().any(|e| e.trouble == Trouble::IndividualNumber)
        {
            event.facts.exchange.question = None;
        }
        let due = crate::service::audit::Audited::Due(Box::new(event));
        if let Err(e) = self.audit.settle(due).await {
            let (request_id, cause) = (&context.request_id, format!("{e:?}"));
            tracing::error!(request_id, cause, "the audit record of a refusal could not be written");
        }
    }

    pub fn domains(&self) -> &Domains {
        &self.settings.domains
    }

    /// Takes a feed: ITI-8, ITI-30, ITI-31, ITI-44, ITI-104. Leaves its audit record, also where it refuses.
    pub async fn feed(&self, context: &Context, message: FeedMessage) -> Result<Fed, Refusal> {
        self.follow_domains(context).await;
        self.take(context, message).await
    }

    /// The ids of a person in other domains: ITI-9, ITI-45, ITI-83. Leaves its audit record.
    pub async fn pix(&self, context: &Context, query: PixQuery) -> Result<PixAnswer, Refusal> {
        self.follow_domains(context).await;
        self.cross_reference(context, query).await
    }

    /// Patients by demographics: ITI-21, ITI-47, ITI-78. With a pointer, the rest of an earlier answer.
    /// Leaves its audit record.
    pub async fn find(
        &self,
        context: &Context,
        query: DemographicsQuery,
        page: Page,
    ) -> Result<Found, Refusal> {
        self.follow_domains(context).await;
        self.demographics(context, query, page).await
    }

    /// The rest of an answer where the question is not repeated (`QUQI_IN000003UV01`): from which result
    /// (from 1; none: after the last page), and how many.
    pub async fn go_on(
        &self,
        context: &Context,
        query_id: &str,
        from: Option<u64>,
        size: Option<u64>,
    ) -> Result<Found, Refusal> {
        self.rest_of(context, query_id, from, size).await
    }

    /// Forgets a question whose rest nobody will ask for: QCN^J01, `QUQI_IN000003UV01_Cancel`. Whether it was
    /// known.
    pub async fn cancel(&self, context: &Context, query_id: &str) -> Result<bool, Refusal> {
        self.forget(context, query_id).await
    }
}

impl Mpi {
    /// Who may be the patient described, best first, at most `count`: ITI-119. Leaves its audit record.
    pub async fn likely(
        &self,
        context: &Context,
        described: Demographics,
        ids: Vec<SentId>,
        count: u64,
    ) -> Result<Vec<Likely>, Refusal> {
        self.follow_domains(context).await;
        self.rank(context, described, ids, count).await
    }
}

/// Feeds after which identities are counted again, at least.
const RECOUNT: u64 = 4096;

/// The model that was accepted last.
async fn accepted(db: &Db) -> anyhow::Result<Option<Model>> {
    use anyhow::Context as _;
    let body: Option<String> =
        db.read(|tx| Box::pin(kept::accepted_model(tx))).await.map_err(|e: DbError| anyhow::Error::new(e))?;
    body.map(|text| serde_json::from_str(&text).context("the accepted matching model cannot be read"))
        .transpose()
}

/// `id^^^&oid&ISO`, as the registry and the audit trail name patients.
pub fn cx(id: &DomainId) -> String {
    settle::cx_of(&id.domain, &id.value)
}

/// A new id of the network: opaque, its last digit a check digit where that is configured, and nothing that
/// could be taken for a 個人番号.
fn mint(config: &MpiConfig) -> String {
    loop {
        let random = random();
        let length = usize::try_from(config.id_length).unwrap_or(10).clamp(2, 15);
        let body = if config.id_check_digit { length - 1 } else { length };
        // The first digit is none that a spreadsheet takes away.
        let mut digits: Vec<u8> = vec![];
        let mut rest = random;
        for place in 0..body {
            let digit = if place == 0 { 1 + rest % 9 } else { rest % 10 };
            digits.push(u8::try_from(digit).unwrap_or_default());
            rest /= 10;
        }
        if config.id_check_digit {
            digits.push(luhn(&digits));
        }
        let text: String = digits.iter().map(|d| char::from(b'0' + d)).collect();
        let value = format!("{}{text}", config.id_prefix);
        if !number::is_individual(&value) {
            return value;
        }
    }
}

/// The digit after others that makes their Luhn sum a multiple of ten (ISO/IEC 7812-1).
fn luhn(digits: &[u8]) -> u8 {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, d)| {
            let doubled = u32::from(*d) * if i % 2 == 0 { 2 } else { 1 };
            doubled / 10 + doubled % 10
        })
        .sum();
    u8::try_from((10 - sum % 10) % 10).unwrap_or_default()
}
