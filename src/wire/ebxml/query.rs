//! `query:AdhocQueryRequest` and `query:AdhocQueryResponse`. ITI TF-2 3.18.4.1.2 and .3.

use roxmltree::Node;

use super::{Form, object, response, write_object};
use crate::model::error::{ErrorCode, RegistryError, clip};
use crate::model::metadata::CorruptBody;
use crate::model::namespace::{NS_QUERY, NS_RIM, NS_RS};
use crate::model::query::{Found, ObjectRef, QueryRequest, QueryResult, ReturnType, StoredQuery};
use crate::wire::xml::{XmlWriter, tree};

pub use crate::model::query::AdhocQueryRequest;

/// Reads the request and the stored query in it; every problem is reported.
pub fn read_request(node: Node<'_, '_>, multi_patient: bool) -> Result<QueryRequest, Vec<RegistryError>> {
    read_both(node, multi_patient).map(|(_, request)| request)
}

/// The same, with the request as it stood on the wire: a gateway passes that on (ITI TF-2 3.18.4.1.3).
pub fn read_both(
    node: Node<'_, '_>,
    multi_patient: bool,
) -> Result<(AdhocQueryRequest, QueryRequest), Vec<RegistryError>> {
    let raw = read_raw(node)?;
    let (query, view) = StoredQuery::with_view(&raw.id, multi_patient, &raw.slots)?;
    let request = QueryRequest { query, return_type: raw.return_type, home: raw.home.clone(), view };
    Ok((raw, request))
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
    open_response(w, response::status(errors, !result.is_empty()), errors);
    write_result(w, result);
    w.close().close();
}

/// Writes the answer of a registry, each object as it is read; with `home` on every object, where another community
/// reads it (ITI TF-2 3.38.4.1.3). After an error what was written is to be thrown away.
pub fn write_found(w: &mut XmlWriter<'static>, found: &Found, home: Option<&str>) -> Result<(), CorruptBody> {
    open_response(w, response::ResponseStatus::Success, &[]);
    write_ours(w, found, home)?;
    w.close().close();
    Ok(())
}

/// Writes what several communities answered: `ours`, found here and marked with our `home`, then the others'.
/// After an error what was written is to be thrown away.
pub fn write_gathered(
    w: &mut XmlWriter<'static>,
    status: response::ResponseStatus,
    errors: &[RegistryError],
    ours: Option<(&Found, &str)>,
    theirs: &[QueryResult],
) -> Result<(), CorruptBody> {
    open_response(w, status, errors);
    if let Some((found, home)) = ours {
        write_ours(w, found, Some(home))?;
    }
    theirs.iter().for_each(|result| write_result(w, result));
    w.close().close();
    Ok(())
}

fn write_ours(w: &mut XmlWriter<'static>, found: &Found, home: Option<&str>) -> Result<(), CorruptBody> {
    match found {
        Found::Objects(objects) => {
            for object in objects {
                let mut object = object.read()?;
                if let Some(home) = home {
                    object.set_home_community_id(home);
                }
                write_object(w, &object, Form::Result);
            }
        }
        Found::Refs(refs) => {
            for r in refs {
                write_ref(w, &r.id, home.or(r.home_community_id.as_deref()));
            }
        }
    }
    Ok(())
}

fn write_result(w: &mut XmlWriter<'static>, result: &QueryResult) {
    match result {
        QueryResult::Objects(objects) => objects.iter().for_each(|o| write_object(w, o, Form::Result)),
        QueryResult::Refs(refs) => {
            refs.iter().for_each(|r| write_ref(w, &r.id, r.home_community_id.as_deref()));
        }
    }
}

/// The schema wants `RegistryObjectList` even on Failure.
fn open_response(w: &mut XmlWriter<'static>, status: response::ResponseStatus, errors: &[RegistryError]) {
    w.open("query:AdhocQueryResponse")
        .attr("xmlns:query", NS_QUERY)
        .attr("xmlns:rs", NS_RS)
        .attr("xmlns:rim", NS_RIM)
        .attr("status", status.urn());
    response::write_errors(w, errors);
    w.open("rim:RegistryObjectList");
}

fn write_ref(w: &mut XmlWriter<'static>, id: &str, home: Option<&str>) {
    w.open("rim:ObjectRef").attr("id", id).attr_opt("home", home).close();
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
