//! ebXML RegRep 3.0 as XDS uses it: requests, responses and the four metadata objects, one file
//! each, reading and writing side by side. ITI TF-3 4.2.3.1, 4.2.4; ITI TF-2 3.18, 3.42, 3.43.

mod association;
mod document_entry;
mod folder;
mod object;
pub mod query;
pub mod remove;
pub mod remove_documents;
pub mod response;
pub mod retrieve;
mod submission_set;
pub mod submit;
pub mod update;

use crate::model::codes::coding_scheme;
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

/// Takes attributes out of a [`RegistryObject`]; what nobody takes becomes [`Extra`]. A value that
/// is present and empty counts as absent (ITI TF-3 4.3.1.1), as it does for `model::rules`.
struct Taker(RegistryObject);

impl Taker {
    fn values(&mut self, slot: &str) -> Vec<String> {
        match self.0.slots.iter().position(|s| s.name == slot) {
            Some(i) => filled(self.0.slots.remove(i).values),
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
                let scheme = coding_scheme(&c).unwrap_or_default().to_owned();
                let mut extra_slots = c.slots;
                extra_slots.retain(|s| s.name != uuids::slot::CODING_SCHEME);
                Code { code: c.node_representation.unwrap_or_default(), scheme, display: c.name, extra_slots }
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
                        "authorPerson" => author.author_person = filled(slot.values),
                        "authorInstitution" => author.author_institution = filled(slot.values),
                        "authorRole" => author.author_role = filled(slot.values),
                        "authorSpecialty" => author.author_specialty = filled(slot.values),
                        "authorTelecommunication" => author.author_telecommunication = filled(slot.values),
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
        let found = |e: &ExternalIdentifier| e.scheme == scheme && !e.value.trim().is_empty();
        let value = match self.0.external_identifiers.iter().position(found) {
            Some(i) => self.0.external_identifiers.remove(i).value.trim().to_owned(),
            None => String::new(),
        };
        self.0.external_identifiers.retain(|e| e.scheme != scheme || !e.value.trim().is_empty());
        value
    }

    fn extra(self) -> Extra {
        Extra {
            slots: self.0.slots,
            classifications: self.0.classifications,
            external_identifiers: self.0.external_identifiers,
        }
    }
}

fn filled(mut values: Vec<String>) -> Vec<String> {
    values.retain(|v| !v.trim().is_empty());
    values
}

/// Writes the parts all objects share, in schema order, and numbers the classifications.
///
/// An answer to a query is mostly this markup, so it is laid down in long literal pieces rather than
/// attribute by attribute.
struct ObjectWriter<'w> {
    w: &'w mut XmlWriter<'static>,
    id: &'w str,
    /// The id without its last two octets, and those: see [`child_id`](Self::child_id).
    stem: Option<(&'w str, u16)>,
    children: u16,
}

impl<'w> ObjectWriter<'w> {
    fn new(w: &'w mut XmlWriter<'static>, id: &'w str) -> Self {
        let stem = id
            .len()
            .checked_sub(4)
            .and_then(|at| id.split_at_checked(at))
            .filter(|(head, _)| head.starts_with("urn:uuid:"))
            .and_then(|(head, tail)| Some((head, u16::from_str_radix(tail, 16).ok()?)));
        Self { w, id, stem, children: 0 }
    }

    fn slot<S: AsRef<str>>(&mut self, name: &'static str, values: &[S]) {
        if values.is_empty() {
            return;
        }
        self.w.raw("<rim:Slot name=\"").raw(name).raw("\"><rim:ValueList>");
        self.values(values);
    }

    fn slot_opt(&mut self, name: &'static str, value: Option<&str>) {
        if let Some(value) = value {
            self.slot(name, &[value]);
        }
    }

    fn extra_slots(&mut self, slots: &[Slot]) {
        for slot in slots {
            self.w.raw("<rim:Slot name=\"").raw_value(&slot.name);
            self.value_opt("\" slotType=\"", slot.slot_type.as_deref());
            self.w.raw("\"><rim:ValueList>");
            self.values(&slot.values);
        }
    }

    /// The values of a slot, and its end.
    fn values<S: AsRef<str>>(&mut self, values: &[S]) {
        for value in values {
            self.w.raw("<rim:Value>").text(value.as_ref()).raw("</rim:Value>");
        }
        self.w.raw("</rim:ValueList></rim:Slot>");
    }

    /// `before` and a value, if there is one.
    fn value_opt(&mut self, before: &'static str, value: Option<&str>) {
        if let Some(value) = value {
            self.w.raw(before).raw_value(value);
        }
    }

    fn localized(&mut self, element: &'static str, strings: &[LocalizedString]) {
        if strings.is_empty() {
            return;
        }
        self.w.raw("<").raw(element).raw(">");
        for s in strings {
            self.w.raw("<rim:LocalizedString value=\"").raw_value(&s.value);
            self.value_opt("\" xml:lang=\"", s.lang.as_deref());
            self.value_opt("\" charset=\"", s.charset.as_deref());
            self.w.raw("\"/>");
        }
        self.w.raw("</").raw(element).raw(">");
    }

    fn names(&mut self, title: &[LocalizedString], comments: &[LocalizedString]) {
        self.localized("rim:Name", title);
        self.localized("rim:Description", comments);
    }

    fn version(&mut self, version: u32) {
        self.w.empty("rim:VersionInfo", &[("versionName", &version.max(1).to_string())]);
    }

    /// A Classification up to the end of `classifiedObject`, its quote still to come.
    fn open_classification(&mut self) {
        self.w.raw("<rim:Classification id=\"");
        self.child_id();
        self.w
            .raw("\" objectType=\"")
            .raw(uuids::object_type::CLASSIFICATION)
            .raw("\" classifiedObject=\"")
            .raw_value(self.id);
    }

    fn close_classification(&mut self) {
        self.w.raw("</rim:Classification>");
    }

    fn code(&mut self, scheme: &'static str, code: &Code) {
        self.open_classification();
        self.w.raw("\" classificationScheme=\"").raw(scheme);
        self.w.raw("\" nodeRepresentation=\"").raw_value(&code.code).raw("\">");
        self.slot(uuids::slot::CODING_SCHEME, &[&code.scheme]);
        self.extra_slots(&code.extra_slots);
        self.localized("rim:Name", &code.display);
        self.close_classification();
    }

    fn author(&mut self, scheme: &'static str, author: &Author) {
        self.open_classification();
        self.w.raw("\" classificationScheme=\"").raw(scheme).raw("\" nodeRepresentation=\"\">");
        self.slot("authorPerson", &author.author_person);
        self.slot("authorInstitution", &author.author_institution);
        self.slot("authorRole", &author.author_role);
        self.slot("authorSpecialty", &author.author_specialty);
        self.slot("authorTelecommunication", &author.author_telecommunication);
        self.extra_slots(&author.extra_slots);
        self.close_classification();
    }

    fn marker(&mut self, node: &'static str) {
        self.open_classification();
        self.w.raw("\" classificationNode=\"").raw(node).raw("\"/>");
    }

    fn extra_classifications(&mut self, extra: &Extra) {
        for c in &extra.classifications {
            self.open_classification();
            self.value_opt("\" classificationScheme=\"", c.scheme.as_deref());
            self.value_opt("\" classificationNode=\"", c.node.as_deref());
            self.value_opt("\" nodeRepresentation=\"", c.node_representation.as_deref());
            self.w.raw("\">");
            self.extra_slots(&c.slots);
            self.localized("rim:Name", &c.name);
            self.close_classification();
        }
    }

    fn identifier(&mut self, scheme: &str, name: &'static str, value: &str) {
        self.open_identifier(scheme, value);
        self.w.raw("<rim:Name><rim:LocalizedString value=\"").raw(name);
        self.w.raw("\"/></rim:Name></rim:ExternalIdentifier>");
    }

    fn open_identifier(&mut self, scheme: &str, value: &str) {
        self.w.raw("<rim:ExternalIdentifier id=\"");
        self.child_id();
        self.w
            .raw("\" objectType=\"")
            .raw(uuids::object_type::EXTERNAL_IDENTIFIER)
            .raw("\" registryObject=\"")
            .raw_value(self.id)
            .raw("\" identificationScheme=\"")
            .raw_value(scheme)
            .raw("\" value=\"")
            .raw_value(value)
            .raw("\">");
    }

    fn extra_identifiers(&mut self, identifiers: &[ExternalIdentifier]) {
        for e in identifiers {
            self.open_identifier(&e.scheme, &e.value);
            self.localized("rim:Name", &e.name);
            self.w.raw("</rim:ExternalIdentifier>");
        }
    }

    /// Classifications and external identifiers need ids of their own. Theirs are the object's
    /// UUID with its last two octets stepped, so an answer is the same each time it is asked.
    fn child_id(&mut self) {
        self.children += 1;
        match self.stem {
            Some((head, last)) => {
                self.w.raw_value(head);
                for shift in [12, 8, 4, 0] {
                    let digit = usize::from((last ^ self.children) >> shift & 0xF);
                    self.w.raw(HEX.get(digit..=digit).unwrap_or_default());
                }
            }
            None => {
                let number = self.children.to_string();
                self.w.raw_value(self.id).raw("-").raw(&number);
            }
        }
    }
}

const HEX: &str = "0123456789abcdef";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ebrim::ObjectKind;
    use crate::model::rules::samples;
    use crate::wire::xml::tree;

    #[test]
    fn the_first_value_that_is_not_blank() {
        let mut set = samples::submission_set();
        set.slots = vec![samples::slot("submissionTime", &["", "20250401013000"])];
        let set = submission_set::from_object(set);
        assert_eq!(set.submission_time.as_deref(), Some("20250401013000"));
    }

    #[test]
    fn the_first_coding_scheme_that_is_not_blank() {
        let mut folder = samples::folder();
        for code in folder.classifications.iter_mut().filter(|c| c.scheme.is_some()) {
            code.slots =
                vec![samples::slot("codingScheme", &[]), samples::slot("codingScheme", &["", "1.2.3"])];
        }
        let folder = folder::from_object(folder);
        assert_eq!(folder.code_list[0].scheme, "1.2.3");
        assert!(folder.code_list[0].extra_slots.is_empty());
    }

    #[test]
    fn a_blank_identifier_does_not_hide_the_one_behind_it() {
        let mut folder = samples::folder();
        let right = folder.external_identifier(uuids::folder::UNIQUE_ID).unwrap().clone();
        folder.external_identifiers.insert(0, ExternalIdentifier { value: " ".into(), ..right.clone() });
        let folder = folder::from_object(folder);
        assert_eq!(folder.unique_id, right.value);
        assert!(folder.extra.external_identifiers.is_empty());
    }

    #[test]
    fn blank_values_of_authors_are_absent() {
        let mut set = samples::submission_set();
        for author in set.classifications.iter_mut().filter(|c| c.scheme.is_some()) {
            author.slots.push(samples::slot("authorSpecialty", &["", "内科"]));
        }
        let set = submission_set::from_object(set);
        assert_eq!(set.author[0].author_specialty, ["内科"]);
    }

    #[test]
    fn extra_identifiers_keep_every_name() {
        let mut folder = samples::folder();
        for (scheme, mut name) in [("urn:x:a", samples::text("名")), ("urn:x:b", vec![])] {
            name.extend(name.clone());
            let extra = ExternalIdentifier { name, ..samples::identifier("FD1", scheme, "v", "") };
            folder.external_identifiers.push(extra);
        }
        let folder = folder::from_object(folder);
        let mut w = XmlWriter::new();
        w.open("list").attr("xmlns:rim", crate::model::namespace::NS_RIM);
        folder::write(&mut w, &folder, Form::Request);
        let written = w.finish();
        let doc = tree::parse(&written).unwrap();
        let node = tree::elements(doc.root_element()).next().unwrap();
        let mut problems = vec![];
        let again = folder::from_object(object::read(node, ObjectKind::Folder, &mut problems));
        assert_eq!(problems, []);
        let named = |f: &crate::model::metadata::Folder| {
            f.extra.external_identifiers.iter().map(|e| e.name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(named(&again), named(&folder));
    }
}
