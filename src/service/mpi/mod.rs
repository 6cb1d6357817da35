//! The master patient index (統合MPI): which ids are of one person.
//!
//! An *Identity* is a patient in one assigning authority, a *Person* the individual linked to one or more of
//! them, under an id of the network's own domain (地連患者ID). Everything a feed does happens in one
//! transaction: what was said, what was decided and why, the person, the registry's patient, the audit
//! record, and the notices to be sent.

mod domains;

use std::sync::Arc;

use crate::config::MpiConfig;
use crate::model::error::Error;
use crate::model::identity::{
    Demographics, DemographicsQuery, DomainId, FeedMessage, IdentityError, PixQuery, SentId, Warning,
};
use crate::service::audit::Audit;
use crate::service::context::Context;
use crate::store::db::Db;

pub use domains::{Domain, Domains};

/// The service. Clones share it.
#[derive(Clone)]
pub struct Mpi {
    #[allow(dead_code)]
    db: Db,
    #[allow(dead_code)]
    audit: Audit,
    settings: Arc<Settings>,
}

/// What the index was configured to.
pub struct Settings {
    pub config: MpiConfig,
    pub domains: Domains,
    /// The present in microseconds since 1970, asked inside a transaction that changes something.
    pub now: Arc<dyn Fn() -> i64 + Send + Sync>,
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
    pub fn new(db: Db, audit: Audit, settings: Settings) -> Self {
        Self { db, audit, settings: Arc::new(settings) }
    }

    pub fn domains(&self) -> &Domains {
        &self.settings.domains
    }

    /// Takes a feed: ITI-8, ITI-30, ITI-31, ITI-44, ITI-104. Leaves its audit record, also where it refuses.
    pub async fn feed(&self, _context: &Context, _message: FeedMessage) -> Result<Fed, Refusal> {
        Err(unbuilt())
    }

    /// The ids of a person in other domains: ITI-9, ITI-45, ITI-83. Leaves its audit record.
    pub async fn pix(&self, _context: &Context, _query: PixQuery) -> Result<PixAnswer, Refusal> {
        Err(unbuilt())
    }

    /// Patients by demographics: ITI-21, ITI-47, ITI-78. With a pointer, the rest of an earlier answer.
    /// Leaves its audit record.
    pub async fn find(
        &self,
        _context: &Context,
        _query: DemographicsQuery,
        _page: Page,
    ) -> Result<Found, Refusal> {
        Err(unbuilt())
    }

    /// The rest of an answer where the question is not repeated (`QUQI_IN000003UV01`): from which result
    /// (from 1; none: after the last page), and how many.
    pub async fn go_on(
        &self,
        _context: &Context,
        _query_id: &str,
        _from: Option<u64>,
        _size: Option<u64>,
    ) -> Result<Found, Refusal> {
        Err(unbuilt())
    }

    /// Forgets a question whose rest nobody will ask for: QCN^J01, `QUQI_IN000003UV01_Cancel`. Whether it was
    /// known.
    pub async fn cancel(&self, _context: &Context, _query_id: &str) -> Result<bool, Refusal> {
        Err(unbuilt())
    }
}

impl Mpi {
    /// Who may be the patient described, best first, at most `count`: ITI-119. Leaves its audit record.
    pub async fn likely(
        &self,
        _context: &Context,
        _described: Demographics,
        _ids: Vec<SentId>,
        _count: u64,
    ) -> Result<Vec<Likely>, Refusal> {
        Err(unbuilt())
    }
}

fn unbuilt() -> Refusal {
    Refusal::Error(Error::Busy("the index is being built"))
}
