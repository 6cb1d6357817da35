//! `query:AdhocQueryRequest` and `query:AdhocQueryResponse`. ITI TF-2 3.18.4.1.2 and .3.

use roxmltree::Node;

use super::{Form, object, response, write_object};
use crate::model::ebrim::Slot;
use crate::model::error::{ErrorCode, RegistryError, clip};
use crate::model::metadata::CorruptBody;
use crate::model::namespace::{NS_QUERY, NS_RIM, NS_RS};
use crate::model::query::{Found, ObjectRef, QueryRequest, QueryResult, ReturnType, StoredQuery};
use crate::wire::xml::{XmlWriter, tree};

/// An `AdhocQueryRequest` as it stood on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdhocQueryRequest {
    pub return_type: ReturnType,
    /// `AdhocQuery/@id`.
    pub id: String,
    pub home: Option<String>,
    pub slots: Vec<Slot>,
}

/// Reads the request and the stored query in it; every problem is reported.
pub fn read_request(node: Node<'_, '_>, multi_patient: bool) -> Result<QueryRequest, Vec<RegistryError>> {
    let raw = read_raw(node)?;
    let (query, view) = StoredQuery::with_view(&raw.id, multi_patient, &raw.slots)?;
    Ok(QueryRequest { query, return_type: raw.return_type, home: raw.home, view })
}

fn read_raw(node: Node<'_, '_>) -> Result<AdhocQueryRequest, Vec<RegistryError>> {
    let mut problems = vec![];
    let return_type = match tree::child(node, NS_QUERY, "ResponseOption")
        .and_then(|o| tree::attr(o, "returnType"))
    {
        Some("ObjectRef") => ReturnType::ObjectRef,
        Some("LeafClass") => ReturnType::LeafClass,
        other => {
            let value = other.map_or("absent".to_owned(), |v| format!("'{}'", clip(v)));
            problems.push(
                RegistryError::new(
                    ErrorCode::XDSRegistryError,
                    format!("ResponseOption/@returnType is {value}; LeafClass or ObjectRef is required (ITI TF-2 3.18.4.1.2.3.1)"),
                )
                .at("ResponseOption/@returnType"),
            );
            ReturnType::LeafClass
        }
    };
    let Some(query) = tree::child(node, NS_RIM, "AdhocQuery") else {
        problems.push(
            RegistryError::new(
                ErrorCode::XDSRegistryError,
                "rim:AdhocQuery is missing from the AdhocQueryRequest (ITI TF-2 3.18.4.1.2)",
            )
            .at("AdhocQuery"),
        );
        return Err(problems);
    };
    let slots =
        tree::children(query, NS_RIM, "Slot").map(|s| object::slot(s, "AdhocQuery", &mut problems)).collect();
    let request = AdhocQueryRequest {
        return_type,
        id: tree::attr(query, "id").unwrap_or_default().trim().to_owned(),
        home: tree::attr(query, "home").map(|h| h.trim().to_owned()).filter(|h| !h.is_empty()),
        slots,
    };
    if problems.is_empty() { Ok(request) } else { Err(problems) }
}

/// Writes a request the way a strict peer reads it.
pub fn write_request(w: &mut XmlWriter<'static>, request: &AdhocQueryRequest) {
    w.open("query:AdhocQueryRequest").attr("xmlns:query", NS_QUERY).attr("xmlns:rim", NS_RIM);
    w.empty(
        "query:ResponseOption",
        &[("returnComposedObjects", "true"), ("returnType", request.return_type.as_str())],
    );
    w.open("rim:AdhocQuery").attr("id", &request.id).attr_opt("home", request.home.as_deref());
    for slot in &request.slots {
        w.open("rim:Slot").attr("name", &slot.name).open("rim:ValueList");
        for value in &slot.values {
            w.leaf("rim:Value", value);
        }
        w.close().close();
    }
    w.close().close();
}

/// Writes an answer of objects in hand.
pub fn write_response(w: &mut XmlWriter<'static>, result: &QueryResult, errors: &[RegistryError]) {
    open_response(w, errors, !result.is_empty());
    match result {
        QueryResult::Objects(objects) => objects.iter().for_each(|o| write_object(w, o, Form::Result)),
        QueryResult::Refs(refs) => write_refs(w, refs),
    }
    w.close().close();
}

/// Writes the answer of a registry, each object as it is read. After an error what was written is to be
/// thrown away.
pub fn write_found(w: &mut XmlWriter<'static>, found: &Found) -> Result<(), CorruptBody> {
    open_response(w, &[], true);
    match found {
        Found::Objects(objects) => {
            for object in objects {
                write_object(w, &object.read()?, Form::Result);
            }
        }
        Found::Refs(refs) => write_refs(w, refs),
    }
    w.close().close();
    Ok(())
}

/// The schema wants `RegistryObjectList` even on Failure.
fn open_response(w: &mut XmlWriter<'static>, errors: &[RegistryError], something: bool) {
    w.open("query:AdhocQueryResponse")
        .attr("xmlns:query", NS_QUERY)
        .attr("xmlns:rs", NS_RS)
        .attr("xmlns:rim", NS_RIM)
        .attr("status", response::status(errors, something).urn());
    response::write_errors(w, errors);
    w.open("rim:RegistryObjectList");
}

fn write_refs(w: &mut XmlWriter<'static>, refs: &[ObjectRef]) {
    for r in refs {
        w.open("rim:ObjectRef").attr("id", &r.id).attr_opt("home", r.home_community_id.as_deref()).close();
    }
}

/// Reads an answer (our client, and gateways to come).
pub fn read_response(
    node: Node<'_, '_>,
) -> Result<(response::ResponseStatus, QueryResult, Vec<RegistryError>), String> {
    let (status, errors) = response::read(node)?;
    let Some(list) = tree::child(node, NS_RIM, "RegistryObjectList") else {
        return Ok((status, QueryResult::Objects(vec![]), errors));
    };
    let mut refs = vec![];
    for child in tree::children(list, NS_RIM, "ObjectRef") {
        refs.push(ObjectRef {
            id: tree::attr(child, "id").unwrap_or_default().to_owned(),
            home_community_id: tree::attr(child, "home").map(str::to_owned),
        });
    }
    if !refs.is_empty() {
        return Ok((status, QueryResult::Refs(refs), errors));
    }
    let mut problems = vec![];
    let objects = super::submit::read_objects(list, &mut problems);
    Ok((status, QueryResult::Objects(objects), errors))
}
