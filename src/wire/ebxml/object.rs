//! Any `RegistryObject` element to the neutral view of `model::ebrim`.

use roxmltree::Node;

use crate::model::ebrim::{
    Classification, ExternalIdentifier, LocalizedString, ObjectKind, RegistryObject, Slot,
};
use crate::model::error::{ErrorCode, Problem, RegistryError};
use crate::model::namespace::{NS_RIM, NS_XML};
use crate::wire::xml::tree;

const CLAUSE: &str = "ITI TF-3 4.2.3.1, ebRIM 3.0 schema";

/// Reads the children every object may have. What the schema does not allow becomes a problem.
pub fn read(node: Node<'_, '_>, kind: ObjectKind, problems: &mut Vec<RegistryError>) -> RegistryObject {
    let text = |name: &str| tree::attr(node, name).map(|v| v.trim().to_owned());
    let mut object = RegistryObject::new(kind, text("id").unwrap_or_default());
    object.home = text("home").filter(|h| !h.is_empty());
    object.lid = text("lid").filter(|l| !l.is_empty());
    object.object_type = text("objectType");
    object.status = text("status");
    object.mime_type = text("mimeType");
    object.association_type = text("associationType");
    object.source_object = text("sourceObject");
    object.target_object = text("targetObject");
    if object.id.is_empty() {
        problems.push(schema(node.tag_name().name(), "id", None, "is required on every object"));
    }
    for child in tree::elements(node) {
        let name = child.tag_name();
        match name.name() {
            _ if name.namespace() != Some(NS_RIM) => {
                problems.push(unexpected(&object.id, name.name()));
            }
            "Slot" => object.slots.push(slot(child, &object.id, problems)),
            "Name" => object.name = localized(child),
            "Description" => object.description = localized(child),
            "VersionInfo" => object.version_name = tree::attr(child, "versionName").map(str::to_owned),
            "ContentVersionInfo" => {}
            "Classification" => object.classifications.push(classification(child, problems)),
            "ExternalIdentifier" => object.external_identifiers.push(external_identifier(child)),
            other => problems.push(unexpected(&object.id, other)),
        }
    }
    object
}

fn unexpected(object: &str, element: &str) -> RegistryError {
    schema(object, element, None, "is no element of a registry object")
}

fn schema(object: &str, attribute: &str, value: Option<&str>, message: &str) -> RegistryError {
    Problem { code: ErrorCode::XDSRegistryMetadataError, object, attribute, value, message, clause: CLAUSE }
        .error()
}

/// Reads a `rim:Slot`.
pub fn slot(node: Node<'_, '_>, owner: &str, problems: &mut Vec<RegistryError>) -> Slot {
    let name = tree::attr(node, "name").map(|n| n.trim().to_owned()).unwrap_or_default();
    if name.is_empty() {
        problems.push(schema(owner, "Slot/@name", None, "is required"));
    }
    let values = tree::child(node, NS_RIM, "ValueList")
        .map(|list| {
            let values = tree::children(list, NS_RIM, "Value");
            let mut read = |v: Node<'_, '_>| {
                if let Some(child) = tree::elements(v).next() {
                    // Skipping it would read another value than the sender wrote.
                    let found = Some(child.tag_name().name());
                    problems.push(schema(
                        owner,
                        "Value",
                        found,
                        "is an element where a Value holds text only",
                    ));
                }
                tree::text_of(v).trim().to_owned()
            };
            values.map(&mut read).collect()
        })
        .unwrap_or_default();
    Slot { name, slot_type: tree::attr(node, "slotType").map(str::to_owned), values }
}

fn localized(node: Node<'_, '_>) -> Vec<LocalizedString> {
    tree::children(node, NS_RIM, "LocalizedString")
        .map(|s| LocalizedString {
            value: tree::attr(s, "value").unwrap_or_default().to_owned(),
            lang: tree::attr_ns(s, NS_XML, "lang").map(str::to_owned),
            charset: tree::attr(s, "charset").map(str::to_owned),
        })
        .collect()
}

/// Reads a `rim:Classification`, inside its object or beside it.
pub fn classification(node: Node<'_, '_>, problems: &mut Vec<RegistryError>) -> Classification {
    let text = |name: &str| tree::attr(node, name).map(|v| v.trim().to_owned());
    let id = text("id").unwrap_or_default();
    Classification {
        scheme: text("classificationScheme").filter(|s| !s.is_empty()),
        node: text("classificationNode").filter(|s| !s.is_empty()),
        classified_object: text("classifiedObject").unwrap_or_default(),
        node_representation: text("nodeRepresentation"),
        slots: tree::children(node, NS_RIM, "Slot").map(|s| slot(s, &id, problems)).collect(),
        name: tree::child(node, NS_RIM, "Name").map(localized).unwrap_or_default(),
        id,
    }
}

fn external_identifier(node: Node<'_, '_>) -> ExternalIdentifier {
    let text = |name: &str| tree::attr(node, name).map(|v| v.trim().to_owned()).unwrap_or_default();
    ExternalIdentifier {
        id: text("id"),
        scheme: text("identificationScheme"),
        registry_object: text("registryObject"),
        value: text("value"),
        name: tree::child(node, NS_RIM, "Name").map(localized).unwrap_or_default(),
    }
}
