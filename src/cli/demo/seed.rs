//! Patients and documents of the synthetic network, submitted as its hospitals would: metadata
//! written and read as ITI-41 carries it, held to the configured rules, stored by the repository.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use crate::app::Rooms;
use crate::cli::operator::failure;
use crate::cli::send::on_demand::{DocumentList, submission as on_demand};
use crate::cli::submission::{Metadata, publish, relate, synthetic_objects};
use crate::model::caller::Caller;
use crate::model::codes::LOINC;
use crate::model::ebrim::LocalizedString;
use crate::model::error::ErrorCode;
use crate::model::identity::{
    Address, Authority, Feed, FeedMessage, NameScript, PersonName, Phone, PhoneUse, Sent, SentId, Source,
    Update,
};
use crate::model::metadata::{Association, AssociationType, Code, Folder, Submission};
use crate::model::patient::Patient;
use crate::model::rules::{Column, Rules, submission};
use crate::model::transaction::Transaction;
use crate::server::clock::Clock;
use crate::service::context::Context;
use crate::service::mpi::{Mpi, Refusal};
use crate::service::repository::{ProvidedDocument, Repository};
use crate::synthetic::{self, Network, SyntheticDocument};
use crate::wire::ebxml::submit;
use crate::wire::xml::{XmlWriter, tree};

/// Patients whose documents are submitted at the same time.
const AT_ONCE: usize = 48;
/// Of so many documents the last corrects, and replaces, one of the others.
const CORRECTION_EVERY: u64 = 20;
const CORRECTED_BEFORE: u64 = 10;
/// Of so many documents of a patient one lies in the patient's folder.
const FOLDER_EVERY: usize = 4;

/// On-demand entries of the first patient, their document list in either format: uniqueId and format.
pub const DOCUMENT_LISTS: [(&str, DocumentList); 2] =
    [("2.999.392.1.8.1", DocumentList::Cda), ("2.999.392.1.8.2", DocumentList::Fhir)];

/// The number of the document that document `number` replaces.
fn corrected_by(number: u64) -> Option<u64> {
    (number % CORRECTION_EVERY == CORRECTION_EVERY - 1).then(|| number.saturating_sub(CORRECTED_BEFORE))
}

/// The document of a number, corrections among them.
pub fn document(network: &Network, number: u64) -> Option<SyntheticDocument> {
    match corrected_by(number) {
        Some(original) => network.correction(original, number),
        None => network.document(number),
    }
}

/// Whether a later one of `count` documents replaces this one.
pub fn is_replaced(number: u64, count: u64) -> bool {
    let by = number.saturating_add(CORRECTED_BEFORE);
    by < count && corrected_by(by) == Some(number)
}

/// The numbers of each patient's documents in the order they are submitted.
pub fn by_patient(network: &Network, count: u64) -> Vec<Vec<u64>> {
    let mut numbers = vec![vec![]; network.patients.len()];
    for number in 0..count {
        let patient = network.patient_of(corrected_by(number).unwrap_or(number));
        if let Some(list) = patient.and_then(|at| numbers.get_mut(at)) {
            list.push(number);
        }
    }
    numbers
}

/// A synthetic patient as the registry keeps patients.
fn known(network: &Network, patient: &synthetic::Patient) -> Patient {
    let name = &patient.name;
    Patient {
        patient_id: network.patient_cx(patient),
        name_kanji: Some(name.kanji()),
        name_kana: Some(format!("{} {}", name.family_kana, name.given_kana)),
        name_romaji: Some(format!("{} {}", name.family_romaji(), name.given_romaji())),
        birth_date: Some(patient.birth_dtm()),
        sex: Some(patient.sex.hl7().to_owned()),
    }
}

/// A synthetic patient as the network's own system feeds it: with every id.
fn fed(network: &Network, patient: &synthetic::Patient, control_id: &str) -> FeedMessage {
    let id = |value: &str, authority: String| SentId {
        value: value.to_owned(),
        authority: Authority::oid(authority),
        ..SentId::default()
    };
    let mut ids = vec![id(&patient.network_id, network.patient_authority())];
    for local in &patient.local_ids {
        if let Some(hospital) = network.hospitals.get(local.hospital) {
            ids.push(id(&local.id, hospital.patient_authority()));
        }
    }
    let name = |family: &str, given: &str, script| PersonName {
        family: family.to_owned(),
        given: given.to_owned(),
        script: Some(script),
        ..PersonName::default()
    };
    let of = &patient.name;
    let sent = Sent {
        names: Update::Set(vec![
            name(of.family, of.given, NameScript::Ideographic),
            name(of.family_kana, of.given_kana, NameScript::Phonetic),
        ]),
        birth_date: Update::Set(patient.birth_dtm()),
        sex: Update::Set(patient.sex.hl7().to_owned()),
        addresses: Update::Set(vec![Address {
            text: patient.address.clone(),
            postal_code: patient.postcode.clone(),
            usage: "H".into(),
            ..Address::default()
        }]),
        phones: Update::Set(vec![Phone { number: patient.phone.clone(), usage: PhoneUse::Home }]),
        ..Sent::default()
    };
    FeedMessage {
        source: Source { application: "demo".into(), ..Source::default() },
        control_id: control_id.to_owned(),
        event: "PRPA_IN201301UV02".into(),
        occurred: None,
        feed: Feed::Upsert { ids, sent: Box::new(sent) },
        warnings: vec![],
        raw: vec![],
    }
}

/// The first document of the first patient that nothing replaces.
pub fn example(network: &Network, count: u64) -> Option<u64> {
    by_patient(network, count).first()?.iter().copied().find(|number| !is_replaced(*number, count))
}

/// The last document of the second patient that is no part of a replacement.
pub fn removable(network: &Network, count: u64) -> Option<u64> {
    let apart = |number: &u64| !is_replaced(*number, count) && corrected_by(*number).is_none();
    by_patient(network, count).get(1)?.iter().copied().rev().find(apart)
}

/// What is to be submitted.
#[derive(Clone)]
pub struct Seed {
    pub network: Arc<Network>,
    /// Documents, one submission each.
    pub count: u64,
    pub clock: Clock,
    /// Whether the index is told of the patients, too: it must accept ids of the network.
    pub index: bool,
    /// A document of special interest, and who is told when it is registered.
    pub shown: Option<u64>,
    pub ready: Arc<Notify>,
}

impl Seed {
    /// Adds the patients and submits the documents. A patient's documents come in order, for some
    /// replace others; patients do not wait for each other.
    pub async fn run(self, rooms: &Rooms) -> anyhow::Result<()> {
        match rooms.mpi.clone().filter(|_| self.index) {
            Some(mpi) => self.feed(&mpi).await?,
            None => {
                let patients = self.network.patients.iter().map(|p| known(&self.network, p)).collect();
                rooms
                    .patients
                    .add(patients, self.clock.now())
                    .await
                    .context("the patients cannot be added")?;
            }
        }
        let repository = rooms.repository.clone().ok_or_else(|| anyhow!("there is no repository"))?;
        self.announce_lists(rooms).await?;
        let tasks = by_patient(&self.network, self.count).into_iter().map(|numbers| {
            let (seed, repository) = (self.clone(), repository.clone());
            async move {
                // Its own task, so that every core writes documents; stopped with us.
                AbortOnDropHandle::new(tokio::spawn(seed.submit_all(repository, numbers)))
                    .await
                    .context("a hospital stopped")?
            }
        });
        stream::iter(tasks).buffer_unordered(AT_ONCE).try_collect::<()>().await
    }

    /// Feeds the index, which makes its patients known to the registry.
    async fn feed(&self, mpi: &Mpi) -> anyhow::Result<()> {
        let feeds = self.network.patients.iter().enumerate().map(|(n, patient)| {
            let context = self.context(Transaction::Iti44, format!("demo-patient-{n}"));
            let message = fed(&self.network, patient, &context.request_id);
            async move {
                mpi.feed(&context, message).await.map_err(|refusal| match refusal {
                    Refusal::Error(error) => failure(error),
                    Refusal::Identity(errors) => {
                        let texts: Vec<String> = errors.into_iter().map(|e| e.text).collect();
                        anyhow!("patient {n} is refused: {}", texts.join("; "))
                    }
                })
            }
        });
        stream::iter(feeds).buffer_unordered(8).try_for_each(|_| async { Ok(()) }).await
    }

    /// Registers [`DOCUMENT_LISTS`] as an On-Demand Document Source would.
    async fn announce_lists(&self, rooms: &Rooms) -> anyhow::Result<()> {
        let registry = rooms.registry.as_ref().ok_or_else(|| anyhow!("there is no registry"))?;
        let patient = self.network.patients.first().map(|p| self.network.patient_cx(p));
        for (unique_id, list) in DOCUMENT_LISTS {
            let metadata = Metadata {
                patient: patient.clone(),
                unique_id: Some(unique_id.to_owned()),
                language: "ja-JP".to_owned(),
                ..Metadata::default()
            };
            let now = self.clock.now();
            let submission = on_demand(&metadata, list, Some(&self.network.repository_id()), now)
                .map_err(|e| anyhow!(e))?;
            let rules = registry.rules(Column::OnDemand);
            let draft = carried(&submission, Some(&rules), ErrorCode::XDSRegistryDuplicateUniqueIdInMessage)?;
            let context = self.context(Transaction::Iti61, format!("demo-{unique_id}"));
            registry
                .register(&context, draft.submission, vec![], draft.problems)
                .await
                .map_err(failure)
                .with_context(|| format!("on-demand entry {unique_id} is refused"))?;
        }
        Ok(())
    }

    fn context(&self, transaction: Transaction, request_id: String) -> Context {
        Context {
            transaction,
            caller: Caller {
                address: "127.0.0.1".into(),
                listener: "demo".into(),
                certificate: None,
                ..Caller::default()
            },
            request_id,
            received_at: self.clock.now(),
            elsewhere: None,
            exchange: std::sync::Arc::default(),
        }
    }

    /// The documents of one patient.
    async fn submit_all(self, repository: Repository, numbers: Vec<u64>) -> anyhow::Result<()> {
        let mut entries: HashMap<u64, String> = HashMap::new();
        let mut folder = None;
        for (n, number) in numbers.into_iter().enumerate() {
            let document = document(&self.network, number).ok_or_else(|| anyhow!("no document {number}"))?;
            let (mut entry, mut set) = synthetic_objects(&document);
            entry.entry_uuid = fresh_id();
            set.entry_uuid = fresh_id();
            let id = entry.entry_uuid.clone();
            let mut submission = publish(entry, set);
            match corrected_by(number).and_then(|original| entries.get(&original)) {
                // The registry files a replacement with what it replaces.
                Some(original) => relate(&mut submission, AssociationType::Replace, original),
                None if n % FOLDER_EVERY == 0 => {
                    file(&mut submission, &mut folder, self.network.oid(), number)
                }
                None => {}
            }
            let context = self.context(Transaction::Iti41, format!("demo-{number}"));
            provide(&repository, &context, submission, &id, document.bytes)
                .await
                .with_context(|| format!("document {number} is refused"))?;
            if self.shown == Some(number) {
                self.ready.notify_one();
            }
            entries.insert(number, id);
        }
        Ok(())
    }
}

/// Puts the submission's document into the patient's folder, which the first one makes.
fn file(submission: &mut Submission, folder: &mut Option<String>, network: &str, number: u64) {
    let set = submission.submission_set.entry_uuid.clone();
    let has_member =
        |source: &str, target: &str| Association::new(AssociationType::HasMember, fresh_id(), source, target);
    let folder_id = folder.get_or_insert_with(|| {
        let id = fresh_id();
        submission.folders.push(Folder {
            entry_uuid: id.clone(),
            unique_id: format!("{network}.7.{}", number + 1),
            patient_id: submission.submission_set.patient_id.clone(),
            code_list: vec![Code {
                code: "78454-6".into(),
                scheme: LOINC.into(),
                display: text("地域連携パス"),
                extra_slots: vec![],
            }],
            title: text("地域連携パス"),
            ..Folder::default()
        });
        submission.associations.push(has_member(&set, &id));
        id
    });
    for entry in &submission.document_entries {
        let filed = has_member(folder_id, &entry.entry_uuid);
        submission.associations.push(has_member(&set, &filed.entry_uuid));
        submission.associations.push(filed);
    }
}

fn text(value: &str) -> Vec<LocalizedString> {
    vec![LocalizedString { value: value.to_owned(), lang: Some("ja-JP".to_owned()), charset: None }]
}

fn fresh_id() -> String {
    Uuid::new_v4().urn().to_string()
}

/// The metadata as ebXML carries it, so that it is judged as a hospital's would be.
fn carried(
    submission: &Submission,
    rules: Option<&Rules<'_>>,
    duplicate: ErrorCode,
) -> anyhow::Result<submit::Draft> {
    let mut w = XmlWriter::new();
    submit::write(&mut w, submission);
    let xml = w.finish();
    let parsed = tree::parse(&xml).map_err(|e| anyhow!("{e}"))?;
    let mut draft = submit::read(parsed.root_element(), rules);
    submission::check(&draft.submission, duplicate, &mut draft.problems);
    Ok(draft)
}

/// What ITI-41 does behind its envelope.
async fn provide(
    repository: &Repository,
    context: &Context,
    submission: Submission,
    id: &str,
    bytes: Vec<u8>,
) -> anyhow::Result<()> {
    let rules = repository.registry().map(|r| r.rules(Column::DocumentSource));
    let draft = carried(&submission, rules.as_ref(), ErrorCode::XDSRepositoryDuplicateUniqueIdInMessage)?;
    let mut spool = repository.spool();
    spool.write(Bytes::from(bytes)).await?;
    let document = ProvidedDocument { id: id.to_owned(), content: spool.finish().await? };
    let done = repository.provide(context, draft.submission, vec![document], draft.problems).await;
    done.map(drop).map_err(failure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_correction_follows_what_it_replaces_and_has_its_patient() {
        let network = Network::generate(1, 20, jiff::civil::date(2026, 4, 1));
        let queues = by_patient(&network, 200);
        assert_eq!(queues.iter().map(Vec::len).sum::<usize>(), 200);
        let mut corrections = 0;
        for (patient, numbers) in queues.iter().enumerate() {
            assert!(numbers.is_sorted());
            for number in numbers {
                assert_eq!(document(&network, *number).unwrap().patient, patient);
                if let Some(original) = corrected_by(*number) {
                    corrections += 1;
                    assert!(numbers.contains(&original) && corrected_by(original).is_none());
                    assert!(is_replaced(original, 200) && !is_replaced(original, *number));
                }
            }
        }
        assert_eq!(corrections, 10);
    }
}
