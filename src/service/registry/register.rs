//! Register Document Set: the one door into the registry, for ITI-42, for our own repository and
//! for faces to come. ITI TF-2 3.42.4.1.3.

use std::sync::Arc;

use crate::model::audit::Outcome;
use crate::model::ebrim::ObjectKind;
use crate::model::error::{Error, ErrorCode, RegistryError};
use crate::model::metadata::{Association, AssociationType, AvailabilityStatus, Submission};
use crate::model::patient::{Knowledge, Patient};
use crate::service::consent::{self, forms::Forms};
use crate::service::context::{Context, Subject};
use crate::service::database;
use crate::service::registry::judge::{Claim, Effects, judge};
use crate::service::registry::plan::Plan;
use crate::service::registry::{Registry, Settings};
use crate::service::traces::Traces;
use crate::store::db::{DbError, Tx};
use crate::store::documents::{Put, StoredDocument};
use crate::store::patient::{self, Held};
use crate::store::registry::change::Change;
use crate::store::registry::{kind, put};

/// What a successful registration has to say.
#[derive(Debug)]
pub struct Registered {
    pub warnings: Vec<RegistryError>,
}

/// How a transaction ends without changing anything.
pub(super) enum Stop {
    Rejected(Vec<RegistryError>),
    /// The octets of a document are being swept away.
    Condemned,
    Database(DbError),
}

impl From<DbError> for Stop {
    fn from(e: DbError) -> Self {
        Stop::Database(e)
    }
}

/// Stores the octets of a submission once more, when the sweeper came between.
pub(crate) trait StoreAgain: Send {
    fn store_again(&mut self) -> impl Future<Output = Result<(), Error>> + Send;

    /// What consent forms among them say.
    fn take_forms(&mut self) -> Forms {
        Forms::new()
    }
}

/// For who has not got them.
pub(crate) struct Cannot;

impl StoreAgain for Cannot {
    async fn store_again(&mut self) -> Result<(), Error> {
        Err(swept())
    }
}

/// Octets are being removed just now; a moment later they can be stored again.
pub(crate) fn swept() -> Error {
    Error::Busy("a document is just being swept from the store")
}

/// How often a registration is tried that collides with others.
const ATTEMPTS: usize = 3;

impl Registry {
    /// Registers a submission whole or not at all. `problems` is what reading it already found;
    /// with an error among them the registry is still consulted, so that one answer names
    /// everything that is wrong. The audit record of a success commits with it, and so does
    /// an answer that goes elsewhere.
    pub async fn register(
        &self,
        context: &Context,
        submission: Submission,
        documents: Vec<StoredDocument>,
        problems: Vec<RegistryError>,
    ) -> Result<Registered, Error> {
        self.register_stored(context, submission, documents, problems, &mut Cannot).await
    }

    /// The same for who can store the documents again.
    pub(crate) async fn register_stored(
        &self,
        context: &Context,
        submission: Submission,
        documents: Vec<StoredDocument>,
        mut problems: Vec<RegistryError>,
        again: &mut impl StoreAgain,
    ) -> Result<Registered, Error> {
        let subject = Subject {
            patients: vec![submission.submission_set.patient_id.clone()],
            submission_set: Some(submission.submission_set.unique_id.clone()),
            documents: submission.document_entries.iter().map(|d| d.unique_id.clone()).collect(),
            ..Subject::default()
        };
        let event = context.audit(Outcome::Success, subject);
        let traces = Traces::of(context, vec![event], &problems).map_err(database)?;
        let mut plan = Plan::new(context, submission, documents, traces).map_err(database)?;
        plan.forms = again.take_forms();
        let plan = Arc::new(plan);
        let settings = self.settings.clone();
        if problems.iter().any(RegistryError::is_error) {
            let found = self
                .db
                .read(move |tx| {
                    let (plan, settings) = (plan.clone(), settings.clone());
                    Box::pin(async move {
                        let key = patient::key(tx, &plan.patient_id).await?;
                        Ok(judge(tx, &plan, &settings, Claim::LookOnly, key).await?.problems)
                    })
                })
                .await
                .map_err(|e: DbError| database(e))?;
            merge(&mut problems, found);
            return Err(Error::Rejected(problems));
        }
        // A conflict is another submission that made the same patient known first; then they are known.
        let mut attempts = 0;
        let done = loop {
            let (plan, settings) = (plan.clone(), settings.clone());
            let done = self
                .db
                .write(move |tx| {
                    let (plan, settings) = (plan.clone(), settings.clone());
                    Box::pin(async move { store(tx, &plan, &settings).await })
                })
                .await;
            attempts += 1;
            match done {
                Err(Stop::Database(DbError::Conflict)) if attempts < ATTEMPTS => {}
                Err(Stop::Condemned) if attempts < ATTEMPTS => again.store_again().await?,
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
}

/// Adds what the registry found, without saying the same thing of the same place twice.
pub(super) fn merge(problems: &mut Vec<RegistryError>, found: Vec<RegistryError>) {
    for e in found {
        let said = problems.iter().any(|p| p.code == e.code && p.location == e.location);
        if !said {
            problems.push(e);
        }
    }
}

pub(super) async fn store(tx: &mut Tx<'_>, plan: &Plan, settings: &Settings) -> Result<(), Stop> {
    let held = patient::hold(tx, &plan.patient_id).await?;
    let verdict = judge(tx, plan, settings, Claim::Take, held.map(Held::key)).await?;
    if verdict.problems.iter().any(RegistryError::is_error) {
        return Err(Stop::Rejected(verdict.problems));
    }
    let held = match held {
        Some(held) => held,
        None => implied_patient(tx, &plan.patient_id, plan.new_patient_key, plan.at, settings).await?,
    };
    let mut change = Change::begin(tx, held, (settings.now)()).await?;
    apply(tx, plan, &mut change, &verdict.effects).await?;
    change.finish(tx, &plan.cause).await?;
    let entries = plan.entries.iter().map(|row| &row.entry);
    let (access, context) = (&settings.access, &plan.context);
    consent::of_submission(tx, access, context, held.key(), &plan.patient_id, entries, &plan.forms).await?;
    plan.traces.leave(tx).await?;
    Ok(())
}

/// `registry.unknown_patients = "accept"`: the submission makes the patient known, under the key
/// its ids were claimed with. If another submission was first, all is undone and tried again.
pub(super) async fn implied_patient(
    tx: &mut Tx<'_>,
    patient_id: &str,
    key: i64,
    at: i64,
    settings: &Settings,
) -> Result<Held, DbError> {
    let patient = Patient {
        patient_id: patient_id.to_owned(),
        name_kanji: None,
        name_kana: None,
        name_romaji: None,
        birth_date: None,
        sex: None,
    };
    let authority = &settings.patient_id_authority;
    let (kept, _) = patient::upsert(tx, &patient, authority, Knowledge::Implied, key, at).await?;
    if kept != key {
        return Err(DbError::Conflict);
    }
    patient::hold_key(tx, key).await?.ok_or(DbError::NoRow)
}

async fn apply(tx: &mut Tx<'_>, plan: &Plan, change: &mut Change, effects: &Effects) -> Result<(), Stop> {
    for (n, id) in effects.deprecated.iter().enumerate() {
        // The judge saw a replaced document Approved; what hangs on one may be Deprecated already, or
        // be replaced beside it.
        let replaced = plan
            .associations
            .iter()
            .filter(|a| a.association.association_type.replaces() && &a.association.target_object == id)
            .count();
        let fallen_with_another = replaced == 1 && effects.deprecated.iter().take(n).any(|other| other == id);
        let fell =
            change.set_status(tx, ObjectKind::DocumentEntry, id, AvailabilityStatus::Deprecated).await?;
        if !fell && replaced > 0 && !fallen_with_another {
            return Err(Stop::Rejected(vec![
                RegistryError::new(
                    ErrorCode::XDSRegistryDeprecatedDocumentError,
                    format!("'{id}' has been replaced already; only an Approved document can be replaced (ITI TF-3 4.2.2.2.3)"),
                )
                .at(id.clone()),
            ]));
        }
    }
    change.register_set(tx, &plan.set).await?;
    for row in &plan.entries {
        change.register_entry(tx, row).await?;
    }
    for row in &plan.folders {
        change.register_folder(tx, row).await?;
    }
    for row in &plan.associations {
        change.register_association(tx, row).await?;
    }
    for (folder, entry) in &effects.new_memberships {
        let member = new_association(plan, folder, entry);
        let in_set = new_association(plan, &plan.set.set.entry_uuid, &member.entry_uuid);
        for association in [member, in_set] {
            put::claim_id(tx, &association.entry_uuid, kind::ASSOCIATION, change.patient_key()).await?;
            change.register_association(tx, &put::AssociationRow::new(association)?).await?;
        }
    }
    for folder in &effects.touched_folders {
        change.touch_folder(tx, folder, &plan.time).await?;
    }
    for document in &plan.documents {
        if change.store_document(tx, document).await? == Put::Condemned {
            return Err(Stop::Condemned);
        }
    }
    share(tx, plan, change.at(), effects).await
}

/// Memberships by reference stand under the other patients too, in the history of each.
async fn share(tx: &mut Tx<'_>, plan: &Plan, at: i64, effects: &Effects) -> Result<(), Stop> {
    let mut keys: Vec<i64> = effects.shared_memberships.iter().map(|(_, key)| *key).collect();
    keys.sort_unstable();
    keys.dedup();
    for key in keys {
        let held = patient::hold_key(tx, key).await?.ok_or(DbError::NoRow)?;
        let mut change = Change::begin(tx, held, at).await?;
        for row in &plan.associations {
            let id = &row.association.entry_uuid;
            if effects.shared_memberships.iter().any(|(shared, other)| shared == id && *other == key) {
                change.register_association(tx, row).await?;
            }
        }
        change.finish(tx, &plan.cause).await?;
    }
    Ok(())
}

fn new_association(plan: &Plan, source: &str, target: &str) -> Association {
    Association::new(AssociationType::HasMember, plan.context.uuid().urn().to_string(), source, target)
}
