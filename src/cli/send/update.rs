//! ITI-57 and ITI-92: change the metadata or the status of a registered document. The current version is
//! asked for first (ITI-18), so that only what the command line names differs in the next one.

use clap::{Args, ValueEnum};
use jiff::Timestamp;

use super::ask::Registry;
use super::endpoint::{Endpoint, Failure, Messages, Session};
use super::{Ending, refusals, write_out};
use crate::cli::submission::{self, fresh_id, fresh_oid, metadata};
use crate::config::Language;
use crate::model::codes::CodedAttribute;
use crate::model::ebrim::Slot;
use crate::model::hl7types::Dtm;
use crate::model::metadata::{
    Association, AssociationType, Author, AvailabilityStatus, DocumentEntry, MetadataObject, Submission,
    SubmissionSet, SubmissionSetStatus, Trigger, TriggerAssociation, Update,
};
use crate::model::query::QueryId;
use crate::model::transaction::Transaction;
use crate::model::uuids::{document_availability, slot};
use crate::peer::soap::{Call, Discard, SoapAnswer};
use crate::wire::ebxml::response::ResponseStatus;
use crate::wire::ebxml::update;

#[derive(Debug, Args)]
pub struct Arguments {
    /// entryUUID of the DocumentEntry, its latest version
    #[arg(long, value_name = "ENTRY-UUID", required_unless_present_any = ["raw", "document"])]
    entry: Option<String>,

    /// uniqueId of the document, instead of --entry
    #[arg(long, value_name = "UNIQUE-ID", conflicts_with = "entry")]
    document: Option<String>,

    /// New title
    #[arg(long)]
    title: Option<String>,

    /// New comments
    #[arg(long)]
    comments: Option<String>,

    /// New confidentialityCode; may be repeated
    #[arg(long, value_name = "CODE")]
    confidentiality: Vec<String>,

    /// New typeCode
    #[arg(long, value_name = "CODE")]
    type_code: Option<String>,

    /// New serviceStartTime
    #[arg(long, value_name = "DTM")]
    service_start: Option<String>,

    /// New serviceStopTime
    #[arg(long, value_name = "DTM")]
    service_stop: Option<String>,

    /// Whether the document can be retrieved
    #[arg(long, value_enum)]
    availability: Option<Availability>,

    /// New availabilityStatus; ITI-57 only
    #[arg(long, value_enum)]
    status: Option<Status>,

    /// Leave memberships and relationships with the old version
    #[arg(long)]
    no_propagation: bool,

    /// Address of the registry's ITI-18, if --url does not tell it
    #[arg(long, value_name = "URL")]
    query_url: Option<String>,

    #[command(flatten)]
    endpoint: Endpoint,

    #[command(flatten)]
    messages: Messages,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Availability {
    Online,
    Offline,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Status {
    Approved,
    Deprecated,
}

pub async fn run(
    arguments: &Arguments,
    transaction: Transaction,
    language: Language,
) -> Result<Ending, Failure> {
    let session = Session::new(&arguments.endpoint, transaction, &arguments.messages)?;
    if let Some(answer) = session.raw(&mut Discard).await? {
        return outcome(&session, &answer, language);
    }
    let current = current(arguments, language).await?;
    let update = asked(arguments, &current, language).map_err(Failure::Usage)?;
    let call = Call::new(&session.client, transaction, vec![], |w| update::write(w, &update));
    let answer = session.exchange(call, &mut Discard).await?;
    let ending = outcome(&session, &answer, language)?;
    if ending == Ending::Success {
        for entry in &update.submission.document_entries {
            write_out(&format!("  {:<28}{}\n", "DocumentEntry.entryUUID", entry.entry_uuid));
        }
    }
    Ok(ending)
}

/// The entry as the registry has it.
async fn current(arguments: &Arguments, language: Language) -> Result<DocumentEntry, Failure> {
    let registry =
        Registry::beside(&arguments.endpoint, arguments.query_url.as_ref(), &arguments.messages, language);
    let (parameter, id) = match (&arguments.entry, &arguments.document) {
        (Some(entry), _) => ("$XDSDocumentEntryEntryUUID", entry.as_str()),
        (None, document) => ("$XDSDocumentEntryUniqueId", document.as_deref().unwrap_or_default()),
    };
    let found = registry.find(QueryId::GetDocuments, parameter, &[id]).await?;
    let entries = found.into_iter().filter_map(|o| match o {
        MetadataObject::DocumentEntry(e) => Some(*e),
        _ => None,
    });
    let latest = entries.max_by_key(|e| e.version);
    latest.ok_or_else(|| {
        Failure::Usage(match language {
            Language::En => format!("the registry knows no document {id}"),
            Language::Ja => format!("文書 {id} はレジストリーにありません"),
        })
    })
}

/// The update that the command line asks for.
fn asked(arguments: &Arguments, current: &DocumentEntry, language: Language) -> Result<Update, String> {
    let set = SubmissionSet {
        entry_uuid: fresh_id(),
        unique_id: fresh_oid(),
        patient_id: current.patient_id.clone(),
        source_id: metadata::default_source(),
        content_type_code: current.type_code.clone(),
        submission_time: Some(Dtm::from_timestamp(Timestamp::now()).to_string()),
        author: vec![Author {
            author_institution: vec![metadata::default_institution()],
            ..Author::default()
        }],
        ..SubmissionSet::default()
    };
    let mut next = DocumentEntry { entry_uuid: fresh_id(), ..current.clone() };
    next.logical_id.get_or_insert_with(|| current.entry_uuid.clone());
    change(arguments, &mut next)?;
    let mut update = Update { submission_sets: 1, ..Update::default() };
    let versioned = DocumentEntry { entry_uuid: current.entry_uuid.clone(), ..next.clone() };
    let unchanged = DocumentEntry { logical_id: next.logical_id.clone(), ..current.clone() } == versioned;
    let mut target = current.entry_uuid.clone();
    if !unchanged {
        target.clone_from(&next.entry_uuid);
        let mut member = Association {
            submission_set_status: Some(SubmissionSetStatus::Original),
            ..Association::new(AssociationType::HasMember, fresh_id(), &set.entry_uuid, &next.entry_uuid)
        };
        let annotation = |name: &str, value: &str| Slot {
            name: name.to_owned(),
            slot_type: None,
            values: vec![value.to_owned()],
        };
        member.extra.slots.push(annotation(slot::PREVIOUS_VERSION, &current.version.to_string()));
        if arguments.no_propagation {
            member.extra.slots.push(annotation(slot::ASSOCIATION_PROPAGATION, "no"));
        }
        update.submission =
            Submission { document_entries: vec![next], associations: vec![member], ..Submission::default() };
    }
    if let Some(status) = arguments.status {
        let status = match status {
            Status::Approved => AvailabilityStatus::Approved,
            Status::Deprecated => AvailabilityStatus::Deprecated,
        };
        update.triggers.push(TriggerAssociation {
            entry_uuid: fresh_id(),
            trigger: Trigger::UpdateAvailabilityStatus,
            source_object: set.entry_uuid.clone(),
            target_object: target,
            original_status: vec![current.availability_status.urn().to_owned()],
            new_status: vec![status.urn().to_owned()],
        });
    }
    if update.submission.document_entries.is_empty() && update.triggers.is_empty() {
        return Err(match language {
            Language::En => "nothing would change: give a new --title, --confidentiality, --status …",
            Language::Ja => "変更がありません。--title、--confidentiality、--status などを指定してください",
        }
        .to_owned());
    }
    update.submission.submission_set = set;
    Ok(update)
}

fn change(arguments: &Arguments, next: &mut DocumentEntry) -> Result<(), String> {
    let language = next.language_code.clone().unwrap_or_else(|| "ja-JP".to_owned());
    if let Some(title) = &arguments.title {
        next.title = submission::localized(Some(title), &language);
    }
    if let Some(comments) = &arguments.comments {
        next.comments = submission::localized(Some(comments), &language);
    }
    if let Some(code) = &arguments.type_code {
        next.type_code = Some(metadata::coded("type-code", CodedAttribute::TypeCode, code)?);
    }
    if !arguments.confidentiality.is_empty() {
        let coded = |c: &String| metadata::coded("confidentiality", CodedAttribute::ConfidentialityCode, c);
        next.confidentiality_code = arguments.confidentiality.iter().map(coded).collect::<Result<_, _>>()?;
    }
    if let Some(time) = &arguments.service_start {
        next.service_start_time = Some(time.clone());
    }
    if let Some(time) = &arguments.service_stop {
        next.service_stop_time = Some(time.clone());
    }
    match arguments.availability {
        Some(Availability::Offline) => {
            next.document_availability = Some(document_availability::OFFLINE.to_owned());
        }
        Some(Availability::Online) => next.document_availability = None,
        None => {}
    }
    Ok(())
}

fn outcome(session: &Session<'_>, answer: &SoapAnswer, language: Language) -> Result<Ending, Failure> {
    let (status, errors) = answer.registry_response()?;
    let code = session.transaction.code();
    let ending = match status {
        ResponseStatus::Success => Ending::Success,
        _ => Ending::Refused,
    };
    let said = match (ending, language) {
        (Ending::Success, Language::En) => "the update is made",
        (Ending::Success, Language::Ja) => "更新されました",
        (Ending::Refused, Language::En) => "the update was refused",
        (Ending::Refused, Language::Ja) => "更新は拒否されました",
    };
    write_out(&format!("{code} {status:?}: {said}\n"));
    write_out(&refusals(&errors, language));
    Ok(ending)
}
