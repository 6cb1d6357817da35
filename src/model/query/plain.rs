//! Stored queries as people write and read them: on a command line, in a URL, in JSON.

use serde_json::{Map, Value, json};

use super::{Param, QUERIES, QueryId, QueryResult, QueryRow, ValueKind};
use crate::model::ebrim::Slot;
use crate::model::metadata::{AvailabilityStatus, EntryType, MetadataObject};
use crate::model::uuids::document_availability;

/// A query by name or URN.
pub fn by_name(name: &str) -> Option<&'static QueryRow> {
    QUERIES.iter().find(|q| q.name.eq_ignore_ascii_case(name)).or_else(|| QueryId::by_urn(name))
}

/// The slots of a query: patients, `NAME=VALUE` as given, and Approved where a status is required.
///
/// The $ may be left out, and quotes and parentheses are added where the parameter wants them; a value that
/// begins with ' or ( is taken as it is. Repeated, values are ORed, or ANDed where the query takes a
/// parameter several times.
pub fn slots(row: Option<&QueryRow>, patients: &[String], given: &[String]) -> Result<Vec<Slot>, String> {
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
        (ValueKind::Time | ValueKind::Number, bare) => return bare.to_owned(),
        (ValueKind::Status, "Approved") => AvailabilityStatus::Approved.urn(),
        (ValueKind::Status, "Deprecated") => AvailabilityStatus::Deprecated.urn(),
        (ValueKind::EntryType, "Stable") => EntryType::Stable.urn(),
        (ValueKind::EntryType, "OnDemand") => EntryType::OnDemand.urn(),
        (ValueKind::Availability, "Online") => document_availability::ONLINE,
        (ValueKind::Availability, "Offline") => document_availability::OFFLINE,
        (_, value) => value,
    };
    let quoted = format!("'{}'", value.replace('\'', "''"));
    if param.list || param.and { format!("({quoted})") } else { quoted }
}

/// An answer as JSON: `objectRefs`, or a list for each kind of object.
pub fn grouped(found: &QueryResult) -> Map<String, Value> {
    let mut out = Map::new();
    match found {
        QueryResult::Refs(refs) => {
            out.insert("objectRefs".into(), refs.iter().map(|r| r.id.clone()).collect::<Vec<_>>().into());
        }
        QueryResult::Objects(objects) => {
            for kind in ["documentEntries", "submissionSets", "folders", "associations"] {
                out.insert(kind.into(), json!([]));
            }
            for object in objects {
                let (kind, value) = match object {
                    MetadataObject::DocumentEntry(o) => ("documentEntries", serde_json::to_value(o)),
                    MetadataObject::SubmissionSet(o) => ("submissionSets", serde_json::to_value(o)),
                    MetadataObject::Folder(o) => ("folders", serde_json::to_value(o)),
                    MetadataObject::Association(o) => ("associations", serde_json::to_value(o)),
                };
                if let (Some(list), Ok(value)) = (out.get_mut(kind).and_then(Value::as_array_mut), value) {
                    list.push(value);
                }
            }
        }
    }
    out
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
