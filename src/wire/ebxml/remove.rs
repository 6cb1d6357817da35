//! `lcm:RemoveObjectsRequest`: the objects to be removed, by entryUUID. ITI RMD 3.62.4.1.2.

use std::collections::HashSet;

use roxmltree::Node;

use crate::model::error::{ErrorCode, RegistryError};
use crate::model::namespace::{NS_LCM, NS_RIM};
use crate::wire::xml::{XmlWriter, tree};

const DELETE_ALL: &str = "urn:oasis:names:tc:ebxml-regrep:DeletionScopeType:DeleteAll";
const CLAUSE: &str = "ITI RMD 3.62.4.1.2";

/// Reads the entryUUIDs, each once, in lower case. What the schema allows beside them may not be used.
pub fn read(node: Node<'_, '_>) -> (Vec<String>, Vec<RegistryError>) {
    let mut problems = vec![];
    let mut problem = |place: &str, message: &str| {
        let context = format!("{place} of RemoveObjectsRequest: {message} ({CLAUSE})");
        problems.push(RegistryError::new(ErrorCode::XDSRegistryError, context).at(place));
    };
    if tree::child(node, NS_RIM, "AdhocQuery").is_some() {
        problem("AdhocQuery", "objects are named by ObjectRef only");
    }
    // Some stacks write the schema's default, which says what its absence says.
    if tree::attr(node, "deletionScope").is_some_and(|scope| scope != DELETE_ALL) {
        problem("@deletionScope", "is not supported; leave it out");
    }
    let mut lists = tree::children(node, NS_RIM, "ObjectRefList");
    let refs: Vec<_> =
        lists.next().into_iter().flat_map(|l| tree::children(l, NS_RIM, "ObjectRef")).collect();
    if lists.next().is_some() {
        problem("ObjectRefList", "stands twice");
    }
    if refs.is_empty() {
        problem("ObjectRefList", "names no object; at least one ObjectRef is required");
    }
    let mut ids: Vec<String> = vec![];
    let mut seen = HashSet::new();
    for reference in refs {
        let id = tree::attr(reference, "id").unwrap_or_default().trim().to_ascii_lowercase();
        if id.is_empty() {
            problem("ObjectRef/@id", "is required");
        } else if seen.insert(id.clone()) {
            ids.push(id);
        }
    }
    (ids, problems)
}

/// Writes a request.
pub fn write(w: &mut XmlWriter<'static>, ids: &[String]) {
    w.open("lcm:RemoveObjectsRequest").attr("xmlns:lcm", NS_LCM).attr("xmlns:rim", NS_RIM);
    w.open("rim:ObjectRefList");
    for id in ids {
        w.empty("rim:ObjectRef", &[("id", id)]);
    }
    w.close().close();
}
