//! ITI-18 and ITI-51: ask a registry, and show what it holds as a table or as JSON.

use clap::Args;

use super::endpoint::{Endpoint, Failure, Messages, Session};
use super::{Ending, refusals, table, write_out};
use crate::config::Language;
use crate::model::ebrim::{Slot, first_text};
use crate::model::error::RegistryError;
use crate::model::metadata::{AvailabilityStatus, Code, EntryType, MetadataObject};
use crate::model::query::{Param, QUERIES, QueryId, QueryResult, QueryRow, ReturnType, ValueKind};
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
        write_out(&next(&arguments.endpoint, &found, language));
    }
    Ok(if status == ResponseStatus::Success { Ending::Success } else { Ending::Refused })
}

fn request(arguments: &Arguments, transaction: Transaction) -> Result<AdhocQueryRequest, String> {
    let multi_patient = transaction == Transaction::Iti51;
    let default = if multi_patient { "FindDocumentsForMultiplePatients" } else { "FindDocuments" };
    let named = arguments.query.as_deref().unwrap_or(default);
    let by_name = QUERIES.iter().find(|q| q.name.eq_ignore_ascii_case(named));
    let row = by_name.or_else(|| QueryId::by_urn(named));
    if row.is_none() && !named.starts_with("urn:") {
        let names: Vec<&str> =
            QUERIES.iter().filter(|q| q.multi_patient == multi_patient).map(|q| q.name).collect();
        return Err(format!("--query: '{named}' is none of {}, nor a URN", names.join(", ")));
    }
    Ok(AdhocQueryRequest {
        return_type: if arguments.object_ref { ReturnType::ObjectRef } else { ReturnType::LeafClass },
        id: row.map_or(named, |r| r.urn).to_owned(),
        home: arguments.home.clone(),
        slots: slots(row, &arguments.patient, &arguments.param)?,
    })
}

/// The query's slots: patients, parameters as given, and Approved where a status is required.
fn slots(row: Option<&QueryRow>, patients: &[String], given: &[String]) -> Result<Vec<Slot>, String> {
    let params = row.map_or(&[][..], |r| r.params);
    let mut slots: Vec<Slot> = vec![];
    let mut add = |name: &str, value: &str| {
        let param = params.iter().find(|p| p.name == name);
        let value = encoded(param, value);
        match slots.iter_mut().find(|s| s.name == name) {
            Some(slot) if !param.is_some_and(|p| p.and) => slot.values.push(value),
            _ => slots.push(Slot { name: name.to_owned(), slot_type: None, values: vec![value] }),
        }
    };
    if !patients.is_empty() {
        let patient = params.iter().find(|p| p.name.to_ascii_lowercase().ends_with("patientid"));
        let Some(patient) = patient else {
            let query = row.map_or("this query", |r| r.name);
            return Err(format!("--patient: {query} is not by patient; name its parameter with --param"));
        };
        patients.iter().for_each(|p| add(patient.name, p));
    }
    for text in given {
        let (name, value) =
            text.split_once('=').ok_or_else(|| format!("--param: '{text}' is not NAME=VALUE"))?;
        let name = if name.starts_with(['$', 'u']) { name.to_owned() } else { format!("${name}") };
        let name = if name == "uuid" { "$uuid".to_owned() } else { name };
        add(&name, value);
    }
    for param in params.iter().filter(|p| p.required && p.kind == ValueKind::Status) {
        if !slots.iter().any(|s| s.name == param.name) {
            let value = encoded(Some(param), "Approved");
            slots.push(Slot { name: param.name.to_owned(), slot_type: None, values: vec![value] });
        }
    }
    Ok(slots)
}

/// The value as a stored query wants it: ITI TF-2 3.18.4.1.2.3.4 and .5.
fn encoded(param: Option<&Param>, value: &str) -> String {
    let Some(param) = param.filter(|_| !value.starts_with(['\'', '('])) else { return value.to_owned() };
    let value = match (param.kind, value) {
        (ValueKind::Time, time) => return time.to_owned(),
        (ValueKind::Status, "Approved") => AvailabilityStatus::Approved.urn(),
        (ValueKind::Status, "Deprecated") => AvailabilityStatus::Deprecated.urn(),
        (ValueKind::EntryType, "Stable") => EntryType::Stable.urn(),
        (ValueKind::EntryType, "OnDemand") => EntryType::OnDemand.urn(),
        (_, value) => value,
    };
    let quoted = format!("'{}'", value.replace('\'', "''"));
    if param.list || param.and { format!("({quoted})") } else { quoted }
}

fn shown(found: &QueryResult) -> String {
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
fn next(endpoint: &Endpoint, found: &QueryResult, language: Language) -> String {
    let QueryResult::Objects(objects) = found else { return String::new() };
    let command = objects.iter().find_map(|object| match object {
        MetadataObject::DocumentEntry(e) => {
            let repository = e.repository_unique_id.as_deref()?;
            let mut more = vec!["--repository", repository, "--document", &e.unique_id];
            if let Some(home) = &e.home_community_id {
                more.extend(["--home", home]);
            }
            Some(endpoint.command(Transaction::Iti43, &more))
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
    match found {
        QueryResult::Refs(refs) => {
            out["objectRefs"] = refs.iter().map(|r| r.id.clone()).collect::<Vec<_>>().into();
        }
        QueryResult::Objects(objects) => {
            for kind in ["documentEntries", "submissionSets", "folders", "associations"] {
                out[kind] = serde_json::json!([]);
            }
            for object in objects {
                let (kind, value) = match object {
                    MetadataObject::DocumentEntry(o) => ("documentEntries", serde_json::to_value(o)),
                    MetadataObject::SubmissionSet(o) => ("submissionSets", serde_json::to_value(o)),
                    MetadataObject::Folder(o) => ("folders", serde_json::to_value(o)),
                    MetadataObject::Association(o) => ("associations", serde_json::to_value(o)),
                };
                if let (Some(list), Ok(value)) = (out[kind].as_array_mut(), value) {
                    list.push(value);
                }
            }
        }
    }
    format!("{out:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::query::StoredQuery;

    fn row(name: &str) -> &'static QueryRow {
        QUERIES.iter().find(|q| q.name == name).unwrap()
    }

    fn strings(values: &[&str]) -> Vec<String> {
        values.iter().map(|v| (*v).to_owned()).collect()
    }

    #[test]
    fn every_query_can_be_written_so_that_the_registry_reads_it() {
        for row in QUERIES {
            let by_patient = row.params.iter().any(|p| p.name.to_lowercase().ends_with("patientid"));
            let patients = if by_patient { strings(&["1^^^&2.999&ISO"]) } else { vec![] };
            let params: Vec<String> = row
                .params
                .iter()
                .filter(|p| {
                    let wanted =
                        p.required || row.one_of.first() == Some(&p.name) || row.any_of.contains(&p.name);
                    wanted && p.kind != ValueKind::Status && !p.name.to_lowercase().ends_with("patientid")
                })
                .map(|p| {
                    let value = match (p.kind, p.name) {
                        (ValueKind::Code, _) => "a^^2.999",
                        (_, "$AssociationTypes") => "urn:ihe:iti:2007:AssociationType:RPLC",
                        _ => "urn:uuid:0c5d1d3a-5c3d-4b0e-8b7e-2f6d2f0a9f11",
                    };
                    format!("{}={value}", p.name)
                })
                .collect();
            let slots = slots(Some(row), &patients, &params).unwrap();
            let read = StoredQuery::from_slots(row.urn, row.multi_patient, &slots);
            assert_eq!(read.as_ref().map(StoredQuery::id).ok(), Some(row.id), "{}: {read:?}", row.name);
        }
    }

    #[test]
    fn values_are_quoted_as_the_parameter_wants() {
        let given = strings(&[
            "XDSDocumentEntryTypeCode=a^^1.2",
            "$XDSDocumentEntryTypeCode=b^^1.2",
            "$XDSDocumentEntryConfidentialityCode=('N^^1.2','R^^1.2')",
            "XDSDocumentEntryConfidentialityCode=V^^1.2",
            "XDSDocumentEntryCreationTimeFrom=2025",
            "XDSDocumentEntryStatus=Deprecated",
        ]);
        let slots = slots(Some(row("FindDocuments")), &strings(&["1'2"]), &given).unwrap();
        let values = |name: &str| {
            slots.iter().filter(|s| s.name == name).map(|s| s.values.join(" ")).collect::<Vec<_>>()
        };
        assert_eq!(values("$XDSDocumentEntryPatientId"), ["'1''2'"]);
        assert_eq!(values("$XDSDocumentEntryTypeCode"), ["('a^^1.2') ('b^^1.2')"]);
        assert_eq!(values("$XDSDocumentEntryConfidentialityCode"), ["('N^^1.2','R^^1.2')", "('V^^1.2')"]);
        assert_eq!(values("$XDSDocumentEntryCreationTimeFrom"), ["2025"]);
        assert_eq!(
            values("$XDSDocumentEntryStatus"),
            ["('urn:oasis:names:tc:ebxml-regrep:StatusType:Deprecated')"]
        );
        assert!(super::slots(Some(row("GetDocuments")), &strings(&["1"]), &[]).is_err());
    }
}
