//! What patients and the office say of documents, written down: every change with who, when and why, in one transaction
//! with its history and its audit record. It is in force for the next request, wherever it comes in.

mod apply;
mod evidence;
mod explain;
pub(crate) mod forms;

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};

use crate::model::audit::{AuditEvent, Facts, Outcome};
use crate::model::consent::record::{Attestation, BreakGlass, Consent, Kind, Reservation, Rule};
use crate::model::consent::{Audience, Known};
use crate::model::error::Error;
use crate::service::access::Access;
use crate::service::audit::{Audit, Audited};
use crate::service::context::{Context, Subject};
use crate::service::database;
use crate::store::consent::record::{self, ChangeRow, Kept};
use crate::store::db::{Db, DbError};
use crate::store::patient;

pub(crate) use evidence::of_submission;
pub use explain::{Explained, Sight};

/// EventTypeCode of the records below (DICOM CID 403): what they are about.
const ATTRIBUTES_CHANGED: &str = "110135";
const EMERGENCY_STARTED: &str = "110127";
const EMERGENCY_STOPPED: &str = "110138";

/// The service. Clones share it.
#[derive(Clone)]
pub struct Consents {
    db: Db,
    audit: Audit,
    access: Access,
}

/// What is said of a patient's documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A form was signed. The consents to the same policy before it are ended.
    Grant(Consent),
    /// Consents are withdrawn: one by its id, or all; where there is none, it is written down that the patient refuses.
    Withdraw(Option<String>),
    /// Part of a consent is withdrawn: a rule that denies.
    Restrict(String, Rule),
    Reserve(Reservation),
    /// A reservation, an attestation, an emergency access, a VIP's record ends.
    End(String),
    Attest(Attestation),
    BreakGlass(BreakGlass),
    /// Only this team sees the documents.
    Vip(Vec<Audience>),
    /// Nobody is shown a document (uniqueId).
    Hold(String),
    Unhold(String),
    /// After patients were joined or parted: the patient's own records are what holds.
    Confirm,
    /// An emergency access was looked into.
    Review(String),
}

impl Change {
    /// As the history calls it.
    pub fn operation(&self) -> &'static str {
        match self {
            Self::Grant(_) => "grant",
            Self::Withdraw(_) => "withdraw",
            Self::Restrict(..) => "restrict",
            Self::Reserve(_) => "reserve",
            Self::End(_) => "end",
            Self::Attest(_) => "attest",
            Self::BreakGlass(_) => "break-glass",
            Self::Vip(_) => "vip",
            Self::Hold(_) => "hold",
            Self::Unhold(_) => "unhold",
            Self::Confirm => "confirm",
            Self::Review(_) => "review",
        }
    }
}

/// Who says so, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    pub who: String,
    pub reason: String,
}

/// Why nothing was changed.
#[derive(Debug)]
pub enum Refused {
    /// The patient is not known to the registry, or was merged into another.
    UnknownPatient,
    /// No such record of this patient is in force.
    NoRecord(String),
    /// It says something that cannot be.
    Invalid(String),
    Error(Error),
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::UnknownPatient => f.write_str("the patient is not known here, or was merged into another"),
            Self::NoRecord(id) => write!(f, "no record {id} of this patient is in force"),
            Self::Invalid(why) => f.write_str(why),
            Self::Error(_) => f.write_str("the change could not be written"),
        }
    }
}

/// A patient's records, what they are tied to, and the history.
#[derive(Debug, Clone, Default)]
pub struct Shown {
    pub records: Vec<Kept>,
    /// Patients (CX) joined to this one (true), or whom it was parted from, not confirmed yet.
    pub ties: Vec<(String, bool)>,
    pub history: Vec<ChangeRow>,
}

/// A change with all it needs, made before the transaction begins.
struct Work {
    context: Context,
    patient: String,
    change: Change,
    word: Word,
    policies: Vec<String>,
}

impl Consents {
    pub fn new(db: Db, audit: Audit, access: Access) -> Self {
        Self { db, audit, access }
    }

    pub fn access(&self) -> &Access {
        &self.access
    }

    /// Makes a change for a patient (CX); the ids of the records it concerns.
    pub async fn change(
        &self,
        context: &Context,
        patient: &str,
        change: Change,
        word: Word,
    ) -> Result<Vec<String>, Refused> {
        apply::checked(&change, &word, &self.access.network())?;
        let operation = change.operation();
        let emergency = matches!(change, Change::BreakGlass(_));
        let policies = self.access.network().policy.iter().map(|p| p.oid.clone()).collect();
        let work =
            Arc::new(Work { context: context.clone(), patient: patient.to_owned(), change, word, policies });
        let done = self
            .db
            .write(move |tx| {
                let work = work.clone();
                Box::pin(async move { apply::apply(tx, &work).await })
            })
            .await;
        match done {
            Ok(ids) => {
                let (request_id, record) = (&context.request_id, ids.first().map(String::as_str));
                match emergency {
                    // The office is told by the log, and by the list of accesses nobody reviewed yet.
                    true => tracing::warn!(
                        request_id,
                        record,
                        review_days = self.access.network().review_days,
                        "emergency access was opened; it must be reviewed"
                    ),
                    false => tracing::info!(request_id, record, operation, "consent changed"),
                }
                Ok(ids)
            }
            Err(apply::Stop::Refused(refused)) => Err(refused),
            Err(apply::Stop::Db(e)) => Err(Refused::Error(database(e))),
        }
    }

    /// A patient's records: those in force, or all. The look is recorded.
    pub async fn show(&self, context: &Context, patient: &str, all: bool) -> Result<Shown, Refused> {
        let named: Arc<str> = patient.into();
        let found = self
            .db
            .snapshot(move |tx| {
                let named = named.clone();
                Box::pin(async move {
                    let Some(key) = patient::key(tx, &named).await? else { return Ok(None) };
                    Ok::<_, DbError>(Some(Shown {
                        records: record::of_patient(tx, key, all).await?,
                        ties: record::ties(tx, key).await?,
                        history: if all { record::changes(tx, key).await? } else { vec![] },
                    }))
                })
            })
            .await
            .map_err(|e| Refused::Error(database(e)))?
            .ok_or(Refused::UnknownPatient)?;
        self.record_sight(context, vec![patient.to_owned()], "consent show".into()).await?;
        Ok(found)
    }

    /// Everybody's records of a kind, after an id, with their patients (CX). The look is recorded.
    pub async fn list(
        &self,
        context: &Context,
        kind: Kind,
        after: &str,
        limit: i64,
    ) -> Result<Vec<(String, Kept)>, Refused> {
        let after: Arc<str> = after.into();
        let found = self
            .db
            .read(move |tx| {
                let after = after.clone();
                Box::pin(async move { record::of_kind(tx, kind, &after, limit).await })
            })
            .await
            .map_err(|e: DbError| Refused::Error(database(e)))?;
        let patients = found.iter().map(|(patient, _)| patient.clone()).collect();
        self.record_sight(context, patients, format!("consent list {}", kind.as_str())).await?;
        Ok(found)
    }

    /// A record by its id, with its patient (CX).
    pub async fn record(&self, id: &str) -> Result<Option<(String, Kept)>, Refused> {
        let id: Arc<str> = id.into();
        self.db
            .snapshot(move |tx| {
                let id = id.clone();
                Box::pin(async move {
                    let Some(kept) = record::get(tx, &id).await? else { return Ok(None) };
                    let named = patient::merged(tx, kept.patient_key).await?;
                    Ok::<_, DbError>(named.map(|(pid, _)| (pid, kept)))
                })
            })
            .await
            .map_err(|e| Refused::Error(database(e)))
    }

    /// The patient (CX) a document (uniqueId) is of.
    pub async fn patient_of(&self, unique_id: &str) -> Result<Option<String>, Refused> {
        let id: Arc<str> = unique_id.into();
        let found = self
            .db
            .read(move |tx| {
                let id = id.clone();
                Box::pin(async move { record::patient_of(tx, &id).await })
            })
            .await
            .map_err(|e: DbError| Refused::Error(database(e)))?;
        Ok(found.map(|(_, pid)| pid))
    }

    async fn record_sight(
        &self,
        context: &Context,
        patients: Vec<String>,
        what: String,
    ) -> Result<(), Refused> {
        let mut patients = patients;
        patients.sort_unstable();
        patients.dedup();
        let subject = Subject { patients, query: Some(what), ..Subject::default() };
        let event = context.audit(Outcome::Success, subject);
        self.audit.settle(Audited::Due(Box::new(event))).await.map_err(Refused::Error)
    }
}

/// The audit record of a change: a security alert (security.md §2.4), about the patient, with what was said of which
/// record. No names and no documents' contents.
fn alert(
    context: &Context,
    event_type: &str,
    patient: &str,
    ids: &[String],
    operation: &str,
    word: &Word,
) -> AuditEvent {
    let said = [
        ("operation", format!("consent {operation}")),
        ("by", word.who.clone()),
        ("reason", word.reason.clone()),
    ];
    let details = said.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let subject = Subject {
        patients: vec![patient.to_owned()],
        objects: ids.to_vec(),
        facts: Facts { details, ..Facts::default() },
        ..Subject::default()
    };
    AuditEvent { transaction: event_type.to_owned(), ..context.audit(Outcome::Success, subject) }
}

/// A line of the history.
fn line(
    context: &Context,
    patient_key: i64,
    record_id: &str,
    operation: &str,
    word: &Word,
    said: Option<&Known>,
) -> Result<ChangeRow, DbError> {
    Ok(ChangeRow {
        patient_key,
        id: context.uuid().to_string(),
        record_id: record_id.to_owned(),
        operation: operation.to_owned(),
        at: context.micros(),
        who: word.who.clone(),
        reason: word.reason.clone(),
        request_id: context.request_id.clone(),
        body: said.map(record::written).transpose()?,
    })
}

/// The end of the day in Japan.
pub fn end_of_day(now: Timestamp) -> Timestamp {
    let here = now.to_zoned(TimeZone::fixed(Offset::constant(9)));
    let end = here.tomorrow().and_then(|tomorrow| tomorrow.start_of_day());
    end.map_or(now, |end| end.timestamp())
}

/// When something that lasts minutes ends, in microseconds since 1970.
pub fn after(now: Timestamp, minutes: u32) -> i64 {
    now.as_microsecond().saturating_add(i64::from(minutes).saturating_mul(60_000_000))
}
