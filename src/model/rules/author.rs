//! Authors: Classifications whose slots are the attribute. ITI TF-3 4.2.3.1.4.

use super::table::AttributeRule;
use super::{Checker, Profile};
use crate::model::ebrim::{Classification, RegistryObject, Slot};
use crate::model::error::Severity;
use crate::model::hl7types::{Xcn, Xon, Xtn};
use crate::model::uuids::{document_entry, slot};

const AUTHOR: &str = "ITI TF-3 4.2.3.1.4";

/// Says what is wrong with a value.
type Check = fn(&str) -> Result<(), String>;

/// What the slots of an author hold. Role and specialty are free text or `code^^^&OID&ISO`, so any text
/// passes.
const SLOTS: &[(&str, Check)] = &[
    (slot::AUTHOR_PERSON, |v| Xcn::parse(v).map(drop).map_err(|e| e.to_string())),
    (slot::AUTHOR_INSTITUTION, |v| Xon::parse(v).map(drop).map_err(|e| e.to_string())),
    (slot::AUTHOR_TELECOMMUNICATION, |v| Xtn::parse(v).map(drop).map_err(|e| e.to_string())),
];

impl Checker<'_> {
    pub(super) fn check_author(&mut self, rule: &AttributeRule, author: &Classification) {
        for (i, slot) in author.slots.iter().enumerate() {
            let attribute = format!("{}.{}", rule.name, slot.name);
            if author.slots.iter().take(i).any(|s| s.name == slot.name) {
                self.error(
                    &attribute,
                    None,
                    "stands in two slots of this name; slot names are unique",
                    AUTHOR,
                );
            }
            if slot.name == slot::AUTHOR_PERSON && filled(slot).count() > 1 {
                let message = "names several persons; each author has an author Classification of its own";
                self.error(&attribute, None, message, AUTHOR);
            }
            let Some((_, check)) = SLOTS.iter().find(|(name, _)| *name == slot.name) else { continue };
            for value in filled(slot) {
                if let Err(fault) = check(value) {
                    self.error(&attribute, Some(value), &fault, AUTHOR);
                }
            }
        }
        if !SLOTS.iter().any(|(name, _)| has(author, name)) {
            let message =
                "has none of authorPerson, authorInstitution, authorTelecommunication; one is required";
            self.error(rule.name, None, message, AUTHOR);
        }
        if let Some(code) = author.node_representation.as_deref().filter(|n| !n.is_empty()) {
            self.warning(
                rule.name,
                Some(code),
                "is a nodeRepresentation, which is empty for authors",
                AUTHOR,
            );
        }
    }

    /// JAHIS技術文書17-107 表5-12 makes the author's institution mandatory; elsewhere its absence is worth a
    /// word to the sender.
    pub(super) fn check_author_institution(&mut self, profile: Profile) {
        if names_institution(self.object) {
            return;
        }
        let severity = match profile {
            Profile::Jahis => Severity::Error,
            Profile::Ihe => Severity::Warning,
        };
        let message = "names no authorInstitution; regional networks in Japan require one";
        self.report(severity, "DocumentEntry.author", None, message, "JAHIS 17-107 Table 5-12");
    }
}

fn filled(slot: &Slot) -> impl Iterator<Item = &str> {
    slot.values.iter().map(String::as_str).filter(|v| !v.trim().is_empty())
}

fn has(author: &Classification, name: &str) -> bool {
    author.slots.iter().any(|s| s.name == name && filled(s).next().is_some())
}

fn names_institution(entry: &RegistryObject) -> bool {
    entry.classified_by(document_entry::AUTHOR).any(|a| has(a, slot::AUTHOR_INSTITUTION))
}
