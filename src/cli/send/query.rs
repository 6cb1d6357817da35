//! ITI-18, ITI-38 and ITI-51: ask a registry or a gateway, and show what it holds as a table or as JSON.

use clap::Args;

use super::endpoint::{Endpoint, Failure, Messages, Session};
use super::{Ending, refusals, table, write_out};
use crate::config::Language;
use crate::model::ebrim::first_text;
use crate::model::error::RegistryError;
use crate::model::metadata::{Code, MetadataObject};
use crate::model::query::{QUERIES, QueryResult, ReturnType, plain};
use crate::model::transaction::Transaction;
use crate::peer::soap::{Call, Discard};
use crate::wire::ebxml::query::{AdhocQueryRequest, read_response, write_request};
use crate::wire::ebxml::response::ResponseStatus;

#[derive(Debug, Args)]
pub struct Arguments {
    /// The patient, 'ID^^^&OID&ISO', for queries by patient; several with ITI-51
    #[arg(long, value_name = "CX")]
    patient: Vec<String>,

    /// The stored query, by name or URN [default: FindDocuments, or FindDocumentsForMultiplePatients]
    #[arg(long, value_name = "NAME|URN")]
    query: Option<String>,

    /// A parameter of the query, '$XDSDocumentEntryTypeCode=57133-1^^2.16.840.1.113883.6.1'.
    ///
    /// The $ may be left out, and quotes and parentheses are added where the parameter wants them;
    /// a value that begins with ' or ( is sent as it is. Repeated, values are ORed, or ANDed
    /// where the query takes a parameter several times. Status parameters are Approved unless given.
    #[arg(long, value_name = "NAME=VALUE")]
    param: Vec<String>,

    /// Ask for ObjectRefs instead of whole objects
    #[arg(long)]
    object_ref: bool,

    /// homeCommunityId, for gateways
    #[arg(long, value_name = "URN:OID")]
    home: Option<String>,

    /// Print the objects as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    endpoint: Endpoint,

    #[command(flatten)]
    messages: Messages,
}

pub async fn run(
    arguments: &Arguments,
    transaction: Transaction,
    language: Language,
) -> Result<Ending, Failure> {
    let session = Session::new(&arguments.endpoint, transaction, &arguments.messages)?;
    let answer = match session.raw(&mut Discard).await? {
        Some(answer) => answer,
        None => {
            let request = request(arguments, transaction).map_err(Failure::Usage)?;
            let call = Call::new(&session.client, transaction, vec![], |w| write_request(w, &request));
            session.exchange(call, &mut Discard).await?
        }
    };
    let (status, found, errors) = answer.body(read_response)?;
    if arguments.json {
        write_out(&json(status, &found, &errors));
    } else {
        let objects = match language {
            Language::En => "object(s)",
            Language::Ja => "件",
        };
        write_out(&format!("{} {status:?}: {} {objects}\n", transaction.code(), found.len()));
        write_out(&refusals(&errors, language));
        write_out(&shown(&found));
        write_out(&next(&arguments.endpoint, transaction, &found, language));
    }
    Ok(if status == ResponseStatus::Success { Ending::Success } else { Ending::Refused })
}

fn request(arguments: &Arguments, transaction: Transaction) -> Result<AdhocQueryRequest, String> {
    let multi_patient = transaction == Transaction::Iti51;
    let default = if multi_patient { "FindDocumentsForMultiplePatients" } else { "FindDocuments" };
    let named = arguments.query.as_deref().unwrap_or(default);
    let row = plain::by_name(named);
    if row.is_none() && !named.starts_with("urn:") {
        let names: Vec<&str> =
            QUERIES.iter().filter(|q| q.multi_patient == multi_patient).map(|q| q.name).collect();
        return Err(format!("--query: '{named}' is none of {}, nor a URN", names.join(", ")));
    }
    Ok(AdhocQueryRequest {
        return_type: if arguments.object_ref { ReturnType::ObjectRef } else { ReturnType::LeafClass },
        id: row.map_or(named, |r| r.urn).to_owned(),
        home: arguments.home.clone(),
        slots: plain::slots(row, &arguments.patient, &arguments.param)?,
    })
}

/// Objects as tables, a table for each kind.
pub fn shown(found: &QueryResult) -> String {
    let objects = match found {
        QueryResult::Refs(refs) => {
            return refs.iter().map(|r| format!("{}\n", table::line(&r.id))).collect();
        }
        QueryResult::Objects(objects) => objects,
    };
    let (mut entries, mut sets, mut folders, mut associations) = (vec![], vec![], vec![], vec![]);
    let code = |code: Option<&Code>| {
        let code = code?;
        Some(first_text(&code.display).unwrap_or(&code.code).to_owned())
    };
    let title = |title| first_text(title).unwrap_or_default().to_owned();
    for object in objects {
        match object {
            MetadataObject::DocumentEntry(e) => entries.push(vec![
                title(&e.title),
                code(e.type_code.as_ref()).unwrap_or_default(),
                e.creation_time.clone().unwrap_or_default(),
                format!("{:?}", e.availability_status),
                e.entry_uuid.clone(),
                e.unique_id.clone(),
                e.repository_unique_id.clone().unwrap_or_default(),
            ]),
            MetadataObject::SubmissionSet(s) => sets.push(vec![
                title(&s.title),
                code(s.content_type_code.as_ref()).unwrap_or_default(),
                s.submission_time.clone().unwrap_or_default(),
                s.entry_uuid.clone(),
                s.unique_id.clone(),
                s.source_id.clone(),
            ]),
            MetadataObject::Folder(f) => folders.push(vec![
                title(&f.title),
                code(f.code_list.first()).unwrap_or_default(),
                f.last_update_time.clone().unwrap_or_default(),
                f.entry_uuid.clone(),
                f.unique_id.clone(),
            ]),
            MetadataObject::Association(a) => associations.push(vec![
                format!("{:?}", a.association_type),
                format!("{:?}", a.availability_status),
                a.source_object.clone(),
                a.target_object.clone(),
                a.entry_uuid.clone(),
            ]),
        }
    }
    let tables: [(&str, &[&str], _); 4] = [
        (
            "DocumentEntry",
            &["title", "typeCode", "creationTime", "status", "entryUUID", "uniqueId", "repositoryUniqueId"],
            entries,
        ),
        (
            "SubmissionSet",
            &["title", "contentTypeCode", "submissionTime", "entryUUID", "uniqueId", "sourceId"],
            sets,
        ),
        ("Folder", &["title", "codeList", "lastUpdateTime", "entryUUID", "uniqueId"], folders),
        ("Association", &["type", "status", "sourceObject", "targetObject", "id"], associations),
    ];
    let mut out = String::new();
    for (kind, headings, rows) in tables {
        if !rows.is_empty() {
            out.push_str(&format!("\n{kind}\n{}", table::render(headings, &rows)));
        }
    }
    out
}

/// How to fetch the first document found.
fn next(endpoint: &Endpoint, asked: Transaction, found: &QueryResult, language: Language) -> String {
    let retrieve = if asked == Transaction::Iti38 { Transaction::Iti39 } else { Transaction::Iti43 };
    let QueryResult::Objects(objects) = found else { return String::new() };
    let command = objects.iter().find_map(|object| match object {
        MetadataObject::DocumentEntry(e) => {
            let repository = e.repository_unique_id.as_deref()?;
            let mut more = vec!["--repository", repository, "--document", &e.unique_id];
            if let Some(home) = &e.home_community_id {
                more.extend(["--home", home]);
            }
            Some(endpoint.command(retrieve, &more))
        }
        _ => None,
    });
    let fetch = match language {
        Language::En => "Fetch the first with:",
        Language::Ja => "先頭の文書を取得するには:",
    };
    command.map_or_else(String::new, |c| format!("\n{fetch}\n  {}\n", table::line(&c)))
}

fn json(status: ResponseStatus, found: &QueryResult, errors: &[RegistryError]) -> String {
    let mut out = serde_json::json!({ "status": format!("{status:?}") });
    let errors: Vec<_> = errors
        .iter()
        .map(|e| {
            serde_json::json!({
                "errorCode": e.code.as_str(),
                "severity": format!("{:?}", e.severity),
                "codeContext": e.context,
                "location": e.location,
            })
        })
        .collect();
    out["errors"] = errors.into();
    if let Some(out) = out.as_object_mut() {
        out.extend(plain::grouped(found));
    }
    format!("{out:#}\n")
}
