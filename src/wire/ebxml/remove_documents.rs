//! `rmd:RemoveDocumentsRequest`: the documents to be removed from a repository. ITI RMD 3.86.4.1.2.

use roxmltree::Node;

use super::retrieve::{DocumentList, DocumentRequest, write_list};
use crate::model::error::RegistryError;
use crate::model::namespace::{NS_RMD, NS_XDS};
use crate::wire::xml::XmlWriter;

const REMOVE: DocumentList = DocumentList { element: "RemoveDocumentsRequest", clause: "ITI RMD 3.86.4.1.2" };

/// Reads the request; more than `most` documents in one are refused.
pub fn read(node: Node<'_, '_>, most: usize) -> Result<Vec<DocumentRequest>, Vec<RegistryError>> {
    REMOVE.read(node, most)
}

/// Writes a request.
pub fn write(w: &mut XmlWriter<'static>, requests: &[DocumentRequest]) {
    w.open("rmd:RemoveDocumentsRequest").attr("xmlns:rmd", NS_RMD).attr("xmlns:xds", NS_XDS);
    write_list(w, requests);
    w.close();
}
