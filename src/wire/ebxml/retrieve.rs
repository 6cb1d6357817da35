//! `xds:RetrieveDocumentSetRequest` and `…Response`. ITI TF-2 3.43.4.
//!
//! The response is written without its documents: each becomes an `xop:Include`, and the server
//! streams the bytes behind it.

use roxmltree::Node;

use super::response::{self, ResponseStatus};
use crate::model::error::{ErrorCode, RegistryError};
use crate::model::namespace::{NS_RS, NS_XDS, NS_XOP};
use crate::wire::xml::{XmlWriter, tree};

/// One `xds:DocumentRequest`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DocumentRequest {
    pub home_community_id: Option<String>,
    pub repository_unique_id: String,
    pub document_unique_id: String,
}

/// One `xds:DocumentResponse`, its bytes elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DocumentResponse {
    pub home_community_id: Option<String>,
    pub repository_unique_id: String,
    pub document_unique_id: String,
    /// Where a snapshot of an on-demand document is kept, if it is.
    pub new_repository_unique_id: Option<String>,
    /// uniqueId of the document made for an on-demand entry (ITI TF-2 3.43.4.2.3).
    pub new_document_unique_id: Option<String>,
    pub mime_type: String,
    /// Content-ID of the part that holds the bytes, without `<>`; or base64 text.
    pub content: Content,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    Include(String),
    Base64(String),
}

impl Default for Content {
    fn default() -> Self {
        Content::Base64(String::new())
    }
}

/// A request that is a list of `xds:DocumentRequest`s, and the clause that says so.
pub(super) struct DocumentList {
    pub element: &'static str,
    pub clause: &'static str,
}

const RETRIEVE: DocumentList =
    DocumentList { element: "RetrieveDocumentSetRequest", clause: "ITI TF-2 3.43.4.1.2" };

/// Reads the request; more than `most` documents in one are refused.
pub fn read_request(node: Node<'_, '_>, most: usize) -> Result<Vec<DocumentRequest>, Vec<RegistryError>> {
    RETRIEVE.read(node, most)
}

impl DocumentList {
    pub fn read(&self, node: Node<'_, '_>, most: usize) -> Result<Vec<DocumentRequest>, Vec<RegistryError>> {
        let Self { element, clause } = self;
        let mut problems = vec![];
        let mut requests = vec![];
        for (i, item) in tree::children(node, NS_XDS, "DocumentRequest").enumerate() {
            let text = |name: &str| {
                tree::child(item, NS_XDS, name)
                    .map(|n| tree::text_of(n).trim().to_owned())
                    .filter(|t| !t.is_empty())
            };
            let required = |name: &str, problems: &mut Vec<RegistryError>| {
                text(name).unwrap_or_else(|| {
                    problems.push(
                        RegistryError::new(
                            ErrorCode::XDSRepositoryError,
                            format!("DocumentRequest {}: {name} is required ({clause})", i + 1),
                        )
                        .at(format!("DocumentRequest[{}]/{name}", i + 1)),
                    );
                    String::new()
                })
            };
            requests.push(DocumentRequest {
                repository_unique_id: required("RepositoryUniqueId", &mut problems),
                document_unique_id: required("DocumentUniqueId", &mut problems),
                home_community_id: text("HomeCommunityId"),
            });
        }
        if requests.is_empty() || requests.len() > most {
            problems.push(
                RegistryError::new(
                    ErrorCode::XDSRepositoryError,
                    format!(
                        "{element} holds {} DocumentRequests; 1 to {most} are answered ({clause})",
                        requests.len()
                    ),
                )
                .at("DocumentRequest"),
            );
        }
        if problems.is_empty() { Ok(requests) } else { Err(problems) }
    }
}

pub fn write_request(w: &mut XmlWriter<'static>, requests: &[DocumentRequest]) {
    w.open("xds:RetrieveDocumentSetRequest").attr("xmlns:xds", NS_XDS);
    write_list(w, requests);
    w.close();
}

/// The items of a [`DocumentList`].
pub(super) fn write_list(w: &mut XmlWriter<'static>, requests: &[DocumentRequest]) {
    for r in requests {
        w.open("xds:DocumentRequest");
        if let Some(home) = &r.home_community_id {
            w.leaf("xds:HomeCommunityId", home);
        }
        w.leaf("xds:RepositoryUniqueId", &r.repository_unique_id);
        w.leaf("xds:DocumentUniqueId", &r.document_unique_id);
        w.close();
    }
}

pub fn write_response(
    w: &mut XmlWriter<'static>,
    status: ResponseStatus,
    errors: &[RegistryError],
    documents: &[DocumentResponse],
) {
    w.open("xds:RetrieveDocumentSetResponse").attr("xmlns:xds", NS_XDS).attr("xmlns:rs", NS_RS);
    response::write(w, status, errors);
    for d in documents {
        w.open("xds:DocumentResponse");
        if let Some(home) = &d.home_community_id {
            w.leaf("xds:HomeCommunityId", home);
        }
        w.leaf("xds:RepositoryUniqueId", &d.repository_unique_id);
        w.leaf("xds:DocumentUniqueId", &d.document_unique_id);
        if let Some(repository) = &d.new_repository_unique_id {
            w.leaf("xds:NewRepositoryUniqueId", repository);
        }
        if let Some(document) = &d.new_document_unique_id {
            w.leaf("xds:NewDocumentUniqueId", document);
        }
        w.leaf("xds:mimeType", &d.mime_type);
        w.open("xds:Document");
        match &d.content {
            Content::Include(cid) => {
                let href = format!("cid:{cid}");
                w.empty("xop:Include", &[("xmlns:xop", NS_XOP), ("href", &href)]);
            }
            Content::Base64(text) => {
                w.text(text);
            }
        }
        w.close().close();
    }
    w.close();
}

/// Reads an answer (our client, and gateways to come).
#[allow(clippy::type_complexity)]
pub fn read_response(
    node: Node<'_, '_>,
) -> Result<(ResponseStatus, Vec<RegistryError>, Vec<DocumentResponse>), String> {
    let inner = tree::child(node, NS_RS, "RegistryResponse")
        .ok_or("rs:RegistryResponse is missing from the RetrieveDocumentSetResponse")?;
    let (status, errors) = response::read(inner)?;
    let documents = tree::children(node, NS_XDS, "DocumentResponse")
        .map(|d| {
            let text = |name: &str| {
                tree::child(d, NS_XDS, name).map(|n| tree::text_of(n).trim().to_owned()).unwrap_or_default()
            };
            let given = |name: &str| Some(text(name)).filter(|t| !t.is_empty());
            let body = tree::child(d, NS_XDS, "Document");
            let include = body.and_then(|b| tree::child(b, NS_XOP, "Include"));
            DocumentResponse {
                home_community_id: given("HomeCommunityId"),
                repository_unique_id: text("RepositoryUniqueId"),
                document_unique_id: text("DocumentUniqueId"),
                new_repository_unique_id: given("NewRepositoryUniqueId"),
                new_document_unique_id: given("NewDocumentUniqueId"),
                mime_type: text("mimeType"),
                content: match include.and_then(|i| tree::attr(i, "href")) {
                    Some(href) => Content::Include(href.to_owned()),
                    None => Content::Base64(body.map(|b| tree::text_of(b).into_owned()).unwrap_or_default()),
                },
            }
        })
        .collect();
    Ok((status, errors, documents))
}
