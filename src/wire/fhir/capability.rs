//! `CapabilityStatement` at `/metadata` (FHIR R4 3.1.0.7): what this face does, no more.

use serde_json::{Value, json};

/// Search parameters: name, type, what is special about it.
const SEARCH: &[(&str, &str, &str)] = &[
    ("_id", "token", "the network's own id of a person"),
    ("active", "token", "persons found are active"),
    (
        "identifier",
        "token",
        "system|value; or system| for the domains whose ids are wanted, comma between them",
    ),
    ("family", "string", "folds width, kana and variants of kanji; :exact does not"),
    ("given", "string", "folds width, kana and variants of kanji; :exact does not"),
    ("birthdate", "date", "equality, of a year, a month or a day"),
    ("gender", "token", ""),
    ("telecom", "token", "a telephone number"),
    ("address", "string", "text that the address holds"),
    ("address-city", "string", ""),
    ("address-state", "string", ""),
    ("address-postalcode", "string", ""),
    ("mothersMaidenName", "string", ""),
];

/// Search parameters of ITI-81 (ITI TF-2 3.81.4.1.2).
const AUDIT_SEARCH: &[(&str, &str)] = &[
    ("date", "date"),
    ("address", "string"),
    ("agent.identifier", "token"),
    ("patient.identifier", "token"),
    ("entity.identifier", "token"),
    ("entity-type", "token"),
    ("entity-role", "token"),
    ("source.identifier", "token"),
    ("type", "token"),
    ("subtype", "token"),
    ("outcome", "token"),
];

/// The audit records, where they can be searched.
fn audit_event() -> Value {
    let parameters: Vec<Value> =
        AUDIT_SEARCH.iter().map(|(name, kind)| json!({ "name": name, "type": kind })).collect();
    json!({
        "type": "AuditEvent",
        "interaction": [{
            "code": "search-type",
            "documentation": "ITI-81, in JSON, by those who may; at least one date"
        }],
        "versioning": "no-version",
        "searchParam": parameters
    })
}

/// The names of the search parameters.
pub fn search_parameters() -> impl Iterator<Item = &'static str> {
    SEARCH.iter().map(|(name, ..)| *name)
}

/// The resource. `date` is when it was asked for, `base` the address of the service; `trail`: audit records can be
/// searched here.
pub fn statement(date: &str, base: &str, version: &str, trail: bool) -> Value {
    let parameters: Vec<Value> = SEARCH
        .iter()
        .map(|(name, kind, note)| match note.is_empty() {
            true => json!({ "name": name, "type": kind }),
            false => json!({ "name": name, "type": kind, "documentation": note }),
        })
        .collect();
    let mut statement = json!({
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": date,
        "kind": "instance",
        "software": { "name": "Chiren Gateway", "version": version },
        "implementation": { "description": "Index of patients (MPI): ITI-78, ITI-83, ITI-104, ITI-119", "url": base },
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "application/fhir+xml", "json", "xml"],
        "rest": [{
            "mode": "server",
            "documentation": "One Patient for each person; its ids in the network's domains are its identifiers.",
            "resource": [{
                "type": "Patient",
                "supportedProfile": ["http://jpfhir.jp/fhir/core/StructureDefinition/JP_Patient"],
                "interaction": [
                    { "code": "read" },
                    { "code": "search-type", "documentation": "ITI-78" },
                    {
                        "code": "update",
                        "documentation": "ITI-104: conditional on one identifier=system|value; with active=false and \
                                          a link replaced-by it joins that identifier to another of its domain"
                    }
                ],
                "versioning": "no-version",
                "updateCreate": true,
                "conditionalCreate": false,
                "conditionalUpdate": true,
                "conditionalDelete": "not-supported",
                "searchParam": parameters,
                "operation": [
                    {
                        "name": "ihe-pix",
                        "definition": "https://profiles.ihe.net/ITI/PIXm/OperationDefinition/IHE.PIXm.pix",
                        "documentation": "ITI-83, by GET and POST"
                    },
                    {
                        "name": "match",
                        "definition": "http://hl7.org/fhir/OperationDefinition/Patient-match",
                        "documentation": "ITI-119"
                    }
                ]
            }]
        }]
    });
    if let (true, Some(resources)) =
        (trail, statement.pointer_mut("/rest/0/resource").and_then(Value::as_array_mut))
    {
        resources.push(audit_event());
    }
    statement
}
