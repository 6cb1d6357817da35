//! ebXML RegRep 3.0 as XDS uses it: requests, responses and the four metadata objects, one file
//! each, reading and writing side by side. ITI TF-3 4.2.3.1, 4.2.4; ITI TF-2 3.18, 3.42, 3.43.

mod association;
mod document_entry;
mod folder;
mod object;
pub mod query;
pub mod response;
pub mod retrieve;
mod submission_set;
pub mod submit;

use crate::model::ebrim::{ExternalIdentifier, LocalizedString, RegistryObject, Slot};
use crate::model::metadata::{Author, Code, Extra, MetadataObject};
use crate::model::uuids;
use crate::wire::xml::XmlWriter;

/// Who will read what we write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A submission: ids may be symbolic; status, lid and version belong to the registry.
    Request,
    /// A query result: everything the registry knows.
    Result,
}

/// Writes any registry object.
pub fn write_object(w: &mut XmlWriter<'static>, object: &MetadataObject, form: Form) {
    match object {
        MetadataObject::DocumentEntry(o) => document_entry::write(w, o, form),
        MetadataObject::SubmissionSet(o) => submission_set::write(w, o, form),
        MetadataObject::Folder(o) => folder::write(w, o, form),
        MetadataObject::Association(o) => association::write(w, o, form),
    }
}

/// Takes attributes out of a [`RegistryObject`]; what nobody takes becomes [`Extra`].
struct Taker(RegistryObject);

impl Taker {
    fn values(&mut self, slot: &str) -> Vec<String> {
        match self.0.slots.iter().position(|s| s.name == slot) {
            Some(i) => self.0.slots.remove(i).values,
            None => vec![],
        }
    }

    fn value(&mut self, slot: &str) -> Option<String> {
        let mut values = self.values(slot);
        if values.is_empty() { None } else { Some(values.swap_remove(0)) }
    }

    fn codes(&mut self, scheme: &str) -> Vec<Code> {
        self.classified(scheme)
            .into_iter()
            .map(|c| {
                let mut coding_scheme = String::new();
                let mut extra_slots = c.slots;
                if let Some(i) = extra_slots.iter().position(|s| s.name == "codingScheme") {
                    coding_scheme = extra_slots.remove(i).values.into_iter().next().unwrap_or_default();
                }
                Code {
                    code: c.node_representation.unwrap_or_default(),
                    scheme: coding_scheme,
                    display: c.name,
                    extra_slots,
                }
            })
            .collect()
    }

    fn code(&mut self, scheme: &str) -> Option<Code> {
        self.codes(scheme).into_iter().next()
    }

    fn authors(&mut self, scheme: &str) -> Vec<Author> {
        self.classified(scheme)
            .into_iter()
            .map(|c| {
                let mut author = Author::default();
                for slot in c.slots {
                    match slot.name.as_str() {
                        "authorPerson" => author.author_person = slot.values,
                        "authorInstitution" => author.author_institution = slot.values,
                        "authorRole" => author.author_role = slot.values,
                        "authorSpecialty" => author.author_specialty = slot.values,
                        "authorTelecommunication" => author.author_telecommunication = slot.values,
                        _ => author.extra_slots.push(slot),
                    }
                }
                author
            })
            .collect()
    }

    fn classified(&mut self, scheme: &str) -> Vec<crate::model::ebrim::Classification> {
        let all = std::mem::take(&mut self.0.classifications);
        let (taken, kept) = all.into_iter().partition(|c| c.scheme.as_deref() == Some(scheme));
        self.0.classifications = kept;
        taken
    }

    /// Removes the marker classification `node`, saying whether it was there.
    fn marker(&mut self, node: &str) -> bool {
        let before = self.0.classifications.len();
        self.0.classifications.retain(|c| c.node.as_deref() != Some(node));
        before != self.0.classifications.len()
    }

    fn identifier(&mut self, scheme: &str) -> String {
        match self.0.external_identifiers.iter().position(|e| e.scheme == scheme) {
            Some(i) => self.0.external_identifiers.remove(i).value.trim().to_owned(),
            None => String::new(),
        }
    }

    fn extra(self) -> Extra {
        Extra {
            slots: self.0.slots,
            classifications: self.0.classifications,
            external_identifiers: self.0.external_identifiers,
        }
    }
}

/// Writes the parts all objects share, in schema order, and numbers the classifications.
struct ObjectWriter<'w> {
    w: &'w mut XmlWriter<'static>,
    id: &'w str,
    children: u16,
}

impl<'w> ObjectWriter<'w> {
    fn new(w: &'w mut XmlWriter<'static>, id: &'w str) -> Self {
        Self { w, id, children: 0 }
    }

    fn slot<S: AsRef<str>>(&mut self, name: &str, values: &[S]) {
        if values.is_empty() {
            return;
        }
        self.w.open("rim:Slot").attr("name", name).open("rim:ValueList");
        for value in values {
            self.w.leaf("rim:Value", value.as_ref());
        }
        self.w.close().close();
    }

    fn slot_opt(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.slot(name, &[value]);
        }
    }

    fn extra_slots(&mut self, slots: &[Slot]) {
        for slot in slots {
            self.w.open("rim:Slot").attr("name", &slot.name).attr_opt("slotType", slot.slot_type.as_deref());
            self.w.open("rim:ValueList");
            for value in &slot.values {
                self.w.leaf("rim:Value", value);
            }
            self.w.close().close();
        }
    }

    fn localized(&mut self, element: &'static str, strings: &[LocalizedString]) {
        if strings.is_empty() {
            return;
        }
        self.w.open(element);
        for s in strings {
            self.w
                .open("rim:LocalizedString")
                .attr_opt("xml:lang", s.lang.as_deref())
                .attr_opt("charset", s.charset.as_deref())
                .attr("value", &s.value)
                .close();
        }
        self.w.close();
    }

    fn names(&mut self, title: &[LocalizedString], comments: &[LocalizedString]) {
        self.localized("rim:Name", title);
        self.localized("rim:Description", comments);
    }

    fn version(&mut self, version: u32) {
        self.w.empty("rim:VersionInfo", &[("versionName", &version.max(1).to_string())]);
    }

    fn open_classification(&mut self) {
        let id = self.child_id();
        self.w
            .open("rim:Classification")
            .attr("id", &id)
            .attr("objectType", uuids::object_type::CLASSIFICATION)
            .attr("classifiedObject", self.id);
    }

    fn code(&mut self, scheme: &str, code: &Code) {
        self.open_classification();
        self.w.attr("classificationScheme", scheme).attr("nodeRepresentation", &code.code);
        self.slot("codingScheme", &[&code.scheme]);
        self.extra_slots(&code.extra_slots);
        self.localized("rim:Name", &code.display);
        self.w.close();
    }

    fn author(&mut self, scheme: &str, author: &Author) {
        self.open_classification();
        self.w.attr("classificationScheme", scheme).attr("nodeRepresentation", "");
        self.slot("authorPerson", &author.author_person);
        self.slot("authorInstitution", &author.author_institution);
        self.slot("authorRole", &author.author_role);
        self.slot("authorSpecialty", &author.author_specialty);
        self.slot("authorTelecommunication", &author.author_telecommunication);
        self.extra_slots(&author.extra_slots);
        self.w.close();
    }

    fn marker(&mut self, node: &str) {
        self.open_classification();
        self.w.attr("classificationNode", node).close();
    }

    fn extra_classifications(&mut self, extra: &Extra) {
        for c in &extra.classifications {
            self.open_classification();
            self.w
                .attr_opt("classificationScheme", c.scheme.as_deref())
                .attr_opt("classificationNode", c.node.as_deref())
                .attr_opt("nodeRepresentation", c.node_representation.as_deref());
            self.extra_slots(&c.slots);
            self.localized("rim:Name", &c.name);
            self.w.close();
        }
    }

    fn identifier(&mut self, scheme: &str, name: &str, value: &str) {
        let id = self.child_id();
        self.w
            .open("rim:ExternalIdentifier")
            .attr("id", &id)
            .attr("objectType", uuids::object_type::EXTERNAL_IDENTIFIER)
            .attr("registryObject", self.id)
            .attr("identificationScheme", scheme)
            .attr("value", value)
            .open("rim:Name")
            .empty("rim:LocalizedString", &[("value", name)])
            .close()
            .close();
    }

    fn extra_identifiers(&mut self, identifiers: &[ExternalIdentifier]) {
        for e in identifiers {
            let name = e.name.first().map(|n| n.value.as_str()).unwrap_or_default();
            self.identifier(&e.scheme, name, &e.value);
        }
    }

    /// Classifications and external identifiers need ids of their own. Theirs are the object's
    /// UUID with its last two octets stepped, so an answer is the same each time it is asked.
    fn child_id(&mut self) -> String {
        self.children += 1;
        let tail = self.id.len().checked_sub(4).and_then(|at| self.id.split_at_checked(at));
        if let Some((head, tail)) = tail
            && self.id.starts_with("urn:uuid:")
            && let Ok(last) = u16::from_str_radix(tail, 16)
        {
            return format!("{head}{:04x}", last ^ self.children);
        }
        format!("{}-{}", self.id, self.children)
    }
}
