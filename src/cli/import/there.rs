//! To any registry by address: what ITI-42 and ITI-61 can carry by them, the rest as ITI-57.

use std::collections::BTreeMap;

use anyhow::anyhow;

use super::journal::Journal;
use super::{Arguments, Report};
use crate::cli::export::folder::{self, Book};
use crate::cli::export::provide;
use crate::cli::keep::hear;
use crate::cli::send::ask::Registry;
use crate::cli::send::endpoint::{Endpoint, Messages};
use crate::config::Language;
use crate::model::ebrim::{ObjectKind, Slot};
use crate::model::error::RegistryError;
use crate::model::metadata::{
    Association, AvailabilityStatus, DocumentEntry, EntryType, MetadataObject, Submission, SubmissionSet,
    Trigger, TriggerAssociation, Update,
};
use crate::model::query::QueryId;
use crate::model::transaction::Transaction;
use crate::model::uuids::slot;
use crate::peer::http::Client;
use crate::peer::soap::{Call, Discard};
use crate::service::backup::{Place, Progress};
use crate::wire::ebxml::response::ResponseStatus;
use crate::wire::ebxml::{submit, update};

/// What is sent of one message of an export.
enum Message {
    Register(Box<Submission>),
    /// On-demand entries alone.
    RegisterOnDemand(Box<Submission>),
    Update(Box<Update>),
    /// A SubmissionSet that brought nothing but changes of what was there.
    Nothing,
}

pub async fn import(
    endpoint: &Endpoint,
    arguments: &Arguments,
    language: Language,
) -> anyhow::Result<Report> {
    let dir = &arguments.from;
    if Book::read(dir)?.is_none() {
        anyhow::bail!(
            "{} is no export; messages of others are sent by `chiren send iti42 --raw`",
            dir.display()
        );
    }
    let client = |transaction| Client::new(&endpoint.peer(transaction)).map_err(|e| anyhow!("{e}"));
    let (register, announce) = (client(Transaction::Iti42)?, client(Transaction::Iti61)?);
    let change = client(Transaction::Iti57)?;
    let provide = match arguments.provide {
        true => Some((client(Transaction::Iti41)?, Place::at(dir).documents()?)),
        false => None,
    };
    let mut journal = Journal::open(&arguments.journal(), &endpoint.url)?;
    let mut report = Report::default();
    let mut fallen = AllFallen::default();
    let hear = hear(language);
    for listed in folder::listed(dir)? {
        let listed = listed?;
        let submission = listed.message(dir)?;
        fallen.note(&submission);
        if journal.has(&listed.file) {
            report.before += 1;
            continue;
        }
        let errors = match message(submission) {
            Message::Nothing => {
                report.left_out.push(format!("{}: a SubmissionSet without objects of its own", listed.file));
                continue;
            }
            Message::Update(_) if arguments.no_updates => {
                report.left_out.push(format!("{}: later versions", listed.file));
                continue;
            }
            Message::Register(mut s) => {
                let documents = match &provide {
                    Some((_, store)) => provide::documents(store, &listed, &mut s).await?,
                    None => None,
                };
                match (&provide, documents) {
                    (Some((client, _)), Some(documents)) => {
                        report.documents += documents.len() as u64;
                        answered(provide::call(client, &s, documents), client).await?
                    }
                    _ => send(&register, Transaction::Iti42, |w| submit::write(w, &s)).await?,
                }
            }
            Message::RegisterOnDemand(s) => {
                send(&announce, Transaction::Iti61, |w| submit::write(w, &s)).await?
            }
            Message::Update(u) => send(&change, Transaction::Iti57, |w| update::write(w, &u)).await?,
        };
        match errors {
            None => {
                report.registered += 1;
                journal.took(&listed.file)?;
            }
            Some(errors) => report.refuse(&listed.file, &errors),
        }
        hear(Progress { what: "submissions".into(), done: report.registered, octets: 0 });
    }
    for (id, fallen) in fallen.0 {
        let name = format!("status of {id}");
        if journal.has(&name) {
            report.before += 1;
            continue;
        }
        if arguments.no_updates {
            report.left_out.push(name);
            continue;
        }
        // What a replacement or a new version deprecates has fallen there by itself.
        if !fallen.stands(endpoint, &id, language).await? {
            continue;
        }
        let update = deprecation(&id, &fallen.set);
        match send(&change, Transaction::Iti57, |w| update::write(w, &update)).await? {
            None => {
                report.registered += 1;
                journal.took(&name)?;
            }
            Some(errors) => report.refuse(&name, &errors),
        }
    }
    Ok(report)
}

/// Sends a message; the errors, if it is refused.
async fn send(
    client: &Client,
    transaction: Transaction,
    body: impl FnOnce(&mut crate::wire::xml::XmlWriter<'static>),
) -> anyhow::Result<Option<Vec<RegistryError>>> {
    answered(Call::new(client, transaction, vec![], body), client).await
}

async fn answered(call: Call, client: &Client) -> anyhow::Result<Option<Vec<RegistryError>>> {
    let answer = call.send(client, &mut Discard).await.map_err(|e| anyhow!("{e}"))?;
    let (status, errors) = answer.registry_response().map_err(|e| anyhow!("{e}"))?;
    Ok((status != ResponseStatus::Success).then_some(errors))
}

/// Objects that are Deprecated: what is left to say once everything is registered. Those that a replacement
/// deprecates are not among them.
#[derive(Default)]
struct AllFallen(BTreeMap<String, Fallen>);

struct Fallen {
    kind: ObjectKind,
    /// What a query finds it by: its id, or for an association its source.
    by: String,
    set: SubmissionSet,
}

impl AllFallen {
    fn note(&mut self, s: &Submission) {
        let deprecated = |status| status == AvailabilityStatus::Deprecated;
        let entries = s.document_entries.iter().filter(|e| deprecated(e.availability_status));
        let folders = s.folders.iter().filter(|f| deprecated(f.availability_status));
        let associations = s.associations.iter().filter(|a| deprecated(a.availability_status));
        let all = entries
            .map(|e| (ObjectKind::DocumentEntry, &e.entry_uuid, &e.entry_uuid))
            .chain(folders.map(|f| (ObjectKind::Folder, &f.entry_uuid, &f.entry_uuid)))
            .chain(associations.map(|a| (ObjectKind::Association, &a.entry_uuid, &a.source_object)));
        for (kind, id, by) in all {
            let fallen = Fallen { kind, by: by.clone(), set: s.submission_set.clone() };
            self.0.insert(id.clone(), fallen);
        }
        for a in s.associations.iter().filter(|a| a.association_type.replaces()) {
            self.0.remove(&a.target_object);
        }
    }
}

impl Fallen {
    /// Whether the other registry has it Approved.
    async fn stands(&self, endpoint: &Endpoint, id: &str, language: Language) -> anyhow::Result<bool> {
        let (query, parameter) = match self.kind {
            ObjectKind::Folder => (QueryId::GetFolders, "$XDSFolderEntryUUID"),
            ObjectKind::Association => (QueryId::GetAssociations, "$uuid"),
            _ => (QueryId::GetDocuments, "$XDSDocumentEntryEntryUUID"),
        };
        let messages = Messages { verbose: false, save: None, raw: None };
        let registry = Registry::beside(endpoint, None, &messages, language);
        let found = registry.find(query, parameter, &[&self.by]).await?;
        Ok(found.iter().any(|o| {
            let status = match o {
                MetadataObject::DocumentEntry(e) => e.availability_status,
                MetadataObject::Folder(f) => f.availability_status,
                MetadataObject::Association(a) => a.availability_status,
                MetadataObject::SubmissionSet(_) => return false,
            };
            o.id() == id && status == AvailabilityStatus::Approved
        }))
    }
}

/// The message that brings a submission about: as ITI-42 if it holds first versions alone.
fn message(mut s: Submission) -> Message {
    let later = provide::later_versions(&s);
    let set = s.submission_set.entry_uuid.clone();
    if later.is_empty() {
        let empty = s.document_entries.is_empty() && s.folders.is_empty() && s.associations.is_empty();
        if empty {
            return Message::Nothing;
        }
        provide::as_submitted(&mut s);
        let on_demand = |e: &DocumentEntry| e.object_type == EntryType::OnDemand;
        return match s.document_entries.iter().any(on_demand) {
            true => Message::RegisterOnDemand(Box::new(s)),
            false => Message::Register(Box::new(s)),
        };
    }
    let mut triggers = vec![];
    let others: Vec<String> =
        s.associations.iter().filter(|a| a.source_object != set).map(|a| a.entry_uuid.clone()).collect();
    for a in &mut s.associations {
        let version = later.get(&a.target_object).filter(|_| a.source_object == set);
        if let Some(version) = version {
            annotate(a, slot::PREVIOUS_VERSION, &version.saturating_sub(1).to_string());
            // The associations are here, under the ids they had.
            annotate(a, slot::ASSOCIATION_PROPAGATION, "no");
        }
    }
    for id in others {
        triggers.push(trigger(Trigger::SubmitAssociation, &set, &id));
    }
    Message::Update(Box::new(Update { submission: s, submission_sets: 1, triggers, home_community_id: None }))
}

fn annotate(a: &mut Association, name: &str, value: &str) {
    a.extra.slots.retain(|s| s.name != name);
    a.extra.slots.push(Slot { name: name.into(), slot_type: None, values: vec![value.into()] });
}

fn trigger(trigger: Trigger, set: &str, target: &str) -> TriggerAssociation {
    TriggerAssociation {
        entry_uuid: format!("urn:uuid:{}", uuid::Uuid::new_v4()),
        trigger,
        source_object: set.to_owned(),
        target_object: target.to_owned(),
        original_status: vec![],
        new_status: vec![],
    }
}

/// An update that deprecates one object, in a SubmissionSet like the one that brought it.
fn deprecation(id: &str, brought: &SubmissionSet) -> Update {
    let mut set = brought.clone();
    set.entry_uuid = format!("urn:uuid:{}", uuid::Uuid::new_v4());
    set.unique_id = format!("2.25.{}", uuid::Uuid::new_v4().as_u128());
    let mut trigger = trigger(Trigger::UpdateAvailabilityStatus, &set.entry_uuid, id);
    trigger.original_status = vec![AvailabilityStatus::Approved.urn().to_owned()];
    trigger.new_status = vec![AvailabilityStatus::Deprecated.urn().to_owned()];
    let submission = Submission { submission_set: set, ..Submission::default() };
    Update { submission, submission_sets: 1, triggers: vec![trigger], home_community_id: None }
}
