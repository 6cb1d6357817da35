//! The structure ebRIM and the framework give every object, whatever its attributes: slot names and
//! lengths, what Classifications and ExternalIdentifiers must carry. ITI TF-3 4.2.3.1.

use super::table::{AttributeRule, LOCALIZED_STRING_MAX, Place, VALUE_MAX};
use super::{Checker, datatype, rules};
use crate::model::ebrim::{Classification, ObjectKind, Slot, first_text};
use crate::model::uuids::{folder, object_type, submission_set};

const SLOTS: &str = "ITI TF-3 4.2.3.1.1";
const CLASSIFICATIONS: &str = "ITI TF-3 4.2.3.1.2";
const IDENTIFIERS: &str = "ITI TF-3 4.2.3.1.3";
const EXTRA_METADATA: &str = "ITI TF-3 4.2.3.1.6";

impl Checker<'_> {
    pub(super) fn check_structure(&mut self) {
        self.check_object_type();
        self.check_slots();
        self.check_classifications();
        self.check_external_identifiers();
    }

    /// The row of the attribute kept in this place, if the framework knows one.
    fn rule_at(&self, at: impl Fn(&Place) -> bool) -> Option<&'static AttributeRule> {
        rules(self.object.kind).iter().find(|r| at(&r.place))
    }

    /// Name of an attribute for a message: the framework's, or the one the sender gave it.
    fn attribute(&self, rule: Option<&AttributeRule>, other: &str) -> String {
        rule.map_or_else(|| format!("{}.{other}", self.object.kind.as_str()), |r| r.name.to_owned())
    }

    /// Optional on packages and associations, but fixed. DocumentEntry has a row for it.
    fn check_object_type(&mut self) {
        let fixed = match self.object.kind {
            ObjectKind::DocumentEntry => return,
            ObjectKind::SubmissionSet | ObjectKind::Folder => object_type::REGISTRY_PACKAGE,
            ObjectKind::Association => object_type::ASSOCIATION,
        };
        let object = self.object;
        if let Some(given) = object.object_type.as_deref().filter(|t| !t.is_empty() && *t != fixed) {
            let attribute = self.attribute(None, "objectType");
            self.error(&attribute, Some(given), &format!("is not {fixed}"), "ITI TF-3 4.2.1");
        }
    }

    fn check_slots(&mut self) {
        let object = self.object;
        for (i, slot) in object.slots.iter().enumerate() {
            let rule = self.rule_at(|p| matches!(p, Place::Slot(name) if *name == slot.name));
            let attribute = self.attribute(rule, &slot.name);
            if object.slots.iter().take(i).any(|s| s.name == slot.name) {
                self.error(
                    &attribute,
                    None,
                    "stands in two slots of this name; slot names are unique",
                    SLOTS,
                );
            }
            if rule.is_none() {
                self.check_extra_slot_name(&attribute, &slot.name);
            }
            self.check_slot_values(&attribute, slot);
        }
    }

    /// Extra metadata is kept, provided its name cannot collide with the framework's, now or later.
    fn check_extra_slot_name(&mut self, attribute: &str, name: &str) {
        let lower = name.to_ascii_lowercase();
        let is_urn = lower
            .strip_prefix("urn:")
            .and_then(|rest| rest.split_once(':'))
            .is_some_and(|(n, s)| !n.is_empty() && !s.is_empty());
        if !is_urn {
            let message = "is no slot of the framework; names of extra metadata are URNs";
            self.error(attribute, Some(name), message, EXTRA_METADATA);
        } else if lower.starts_with("urn:ihe:") {
            let message = "is no slot of the framework, which keeps the names in urn:ihe: to itself";
            self.error(attribute, Some(name), message, EXTRA_METADATA);
        }
    }

    fn check_slot_values(&mut self, attribute: &str, slot: &Slot) {
        for value in &slot.values {
            self.check_length(attribute, value, VALUE_MAX);
        }
    }

    fn check_length(&mut self, attribute: &str, value: &str, max: usize) {
        if let Err(fault) = datatype::length(value, max) {
            self.error(attribute, Some(value), &fault, SLOTS);
        }
    }

    fn check_classifications(&mut self) {
        let object = self.object;
        for classification in &object.classifications {
            let scheme = classification.scheme.as_deref().filter(|s| !s.is_empty());
            let node = classification.node.as_deref().filter(|n| !n.is_empty());
            let rule = self.rule_at(|p| match p {
                Place::Classification(s) => scheme == Some(*s),
                Place::Marker(n) => node == Some(*n),
                _ => false,
            });
            let attribute = self.attribute(rule, "Classification");
            if scheme.is_none() && node.is_none() {
                let message = "has neither classificationScheme nor classificationNode";
                self.error(&attribute, None, message, CLASSIFICATIONS);
            }
            // Counted as both, it would be read as one and the other would be lost.
            if scheme.is_some() && node.is_some() {
                let message =
                    "has both classificationScheme, as codes have, and classificationNode, as markers have";
                self.error(&attribute, node, message, CLASSIFICATIONS);
            }
            if node.is_some_and(|n| is_foreign_marker(object.kind, n)) {
                let message = "marks the object as another kind than it is";
                self.error(&attribute, node, message, "ITI TF-3 4.2.1");
            }
            self.check_classification_parts(&attribute, classification);
        }
    }

    fn check_classification_parts(&mut self, attribute: &str, classification: &Classification) {
        if classification.id.trim().is_empty() {
            self.error(attribute, None, "is a Classification without id", CLASSIFICATIONS);
        }
        if classification.classified_object != self.object.id {
            let given = classification.classified_object.as_str();
            let message = "is not the id of the object the Classification stands in (classifiedObject)";
            self.error(attribute, Some(given), message, CLASSIFICATIONS);
        }
        if let Some(code) = &classification.node_representation {
            self.check_length(attribute, code, VALUE_MAX);
        }
        for slot in &classification.slots {
            self.check_slot_values(attribute, slot);
        }
        for name in &classification.name {
            self.check_length(attribute, &name.value, LOCALIZED_STRING_MAX);
        }
    }

    fn check_external_identifiers(&mut self) {
        let object = self.object;
        for identifier in &object.external_identifiers {
            let rule = self.rule_at(
                |p| matches!(p, Place::ExternalIdentifier { scheme, .. } if *scheme == identifier.scheme),
            );
            let attribute = self.attribute(rule, "ExternalIdentifier");
            if identifier.scheme.trim().is_empty() {
                self.error(&attribute, None, "has no identificationScheme", IDENTIFIERS);
            }
            if identifier.id.trim().is_empty() {
                self.error(&attribute, None, "is an ExternalIdentifier without id", IDENTIFIERS);
            }
            if identifier.registry_object != object.id {
                let given = identifier.registry_object.as_str();
                let message = "is not the id of the object the ExternalIdentifier stands in (registryObject)";
                self.error(&attribute, Some(given), message, IDENTIFIERS);
            }
            self.check_length(&attribute, &identifier.value, VALUE_MAX);
            if let Some(Place::ExternalIdentifier { name: right, .. }) = rule.map(|r| r.place) {
                let given = first_text(&identifier.name).unwrap_or_default().trim();
                if given != right {
                    let message = format!("is not the Name the framework fixes for this identifier, {right}");
                    self.warning(&attribute, Some(given), &message, IDENTIFIERS);
                }
            }
        }
    }
}

/// Whether a node marks SubmissionSets or Folders and the object is not of that kind.
fn is_foreign_marker(kind: ObjectKind, node: &str) -> bool {
    let of_set = matches!(node, submission_set::MARKER | submission_set::LIMITED_METADATA);
    let of_folder = matches!(node, folder::MARKER | folder::LIMITED_METADATA);
    (of_set && kind != ObjectKind::SubmissionSet) || (of_folder && kind != ObjectKind::Folder)
}
