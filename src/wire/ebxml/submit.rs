//! `lcm:SubmitObjectsRequest`: the registry objects of a submission. ITI TF-2 3.42.4.1.2.

use std::collections::BTreeMap;

use roxmltree::Node;

use super::{Form, association, document_entry, folder, object, submission_set};
use crate::model::ebrim::{Classification, ObjectKind, RegistryObject};
use crate::model::error::{ErrorCode, Problem, RegistryError};
use crate::model::metadata::{MetadataObject, Submission};
use crate::model::namespace::{NS_LCM, NS_RIM};
use crate::model::rules::{self, Rules};
use crate::model::uuids;
use crate::wire::xml::{XmlWriter, tree};

/// What a message asked to register, with every problem found while reading it. As long as there
/// is an error among the problems the submission is incomplete and must not be stored.
#[derive(Debug, Default)]
pub struct Draft {
    pub submission: Submission,
    pub problems: Vec<RegistryError>,
}

/// Reads `lcm:SubmitObjectsRequest`, checking each object against `rules` if any are given (a
/// repository in front of a foreign registry leaves the rules to that registry).
pub fn read(node: Node<'_, '_>, rules: Option<&Rules<'_>>) -> Draft {
    let mut problems = vec![];
    let Some(list) = tree::child(node, NS_RIM, "RegistryObjectList") else {
        problems.push(structure(
            "SubmitObjectsRequest",
            "RegistryObjectList",
            None,
            "is missing; it holds the metadata",
        ));
        return Draft { problems, ..Draft::default() };
    };
    let objects = read_raw(list, &mut problems);
    let mut submission = Submission::default();
    let mut sets = 0;
    for object in objects {
        if let Some(rules) = rules {
            rules::check_object(&object, rules, &mut problems);
        }
        match object.kind {
            ObjectKind::DocumentEntry => {
                submission.document_entries.push(document_entry::from_object(object));
            }
            ObjectKind::SubmissionSet => {
                sets += 1;
                submission.submission_set = submission_set::from_object(object);
            }
            ObjectKind::Folder => submission.folders.push(folder::from_object(object)),
            ObjectKind::Association => submission.associations.extend(association::from_object(object)),
        }
    }
    if sets != 1 {
        problems.push(structure(
            "SubmitObjectsRequest",
            "SubmissionSet",
            None,
            &format!("a submission holds exactly one SubmissionSet, this one holds {sets}"),
        ));
    }
    Draft { submission, problems }
}

/// Reads a result's objects, trusting the sender's structure (our client).
pub fn read_objects(list: Node<'_, '_>, problems: &mut Vec<RegistryError>) -> Vec<MetadataObject> {
    read_raw(list, problems)
        .into_iter()
        .filter_map(|object| {
            Some(match object.kind {
                ObjectKind::DocumentEntry => {
                    MetadataObject::DocumentEntry(Box::new(document_entry::from_object(object)))
                }
                ObjectKind::SubmissionSet => {
                    MetadataObject::SubmissionSet(Box::new(submission_set::from_object(object)))
                }
                ObjectKind::Folder => MetadataObject::Folder(Box::new(folder::from_object(object))),
                ObjectKind::Association => {
                    MetadataObject::Association(Box::new(association::from_object(object)?))
                }
            })
        })
        .collect()
}

/// Every object of a `RegistryObjectList`; packages are told apart by their marker, which may
/// stand inside the package or beside it (ITI TF-3 4.2.3.1.2).
pub(super) fn read_raw(list: Node<'_, '_>, problems: &mut Vec<RegistryError>) -> Vec<RegistryObject> {
    // In order of id, so that a message earns the same list of problems each time.
    let mut beside: BTreeMap<String, Vec<Classification>> = BTreeMap::new();
    for node in tree::children(list, NS_RIM, "Classification") {
        let c = object::classification(node, problems);
        beside.entry(c.classified_object.clone()).or_default().push(c);
    }
    let mut objects = vec![];
    for node in tree::elements(list) {
        let name = node.tag_name();
        if name.namespace() != Some(NS_RIM) {
            problems.push(structure("RegistryObjectList", name.name(), None, "is in a foreign namespace"));
            continue;
        }
        let kind = match name.name() {
            "ExtrinsicObject" => ObjectKind::DocumentEntry,
            "RegistryPackage" => ObjectKind::SubmissionSet,
            "Association" => ObjectKind::Association,
            // Markers were read above; an ObjectRef only announces an id that an association names.
            "Classification" | "ObjectRef" => continue,
            other => {
                problems.push(structure("RegistryObjectList", other, None, "is no object XDS knows"));
                continue;
            }
        };
        let mut object = object::read(node, kind, problems);
        if let Some(more) = beside.remove(&object.id) {
            object.classifications.extend(more);
        }
        if kind == ObjectKind::SubmissionSet {
            match package_kind(&object) {
                Ok(kind) => object.kind = kind,
                Err(message) => {
                    problems.push(structure(&object.id, "RegistryPackage", None, message));
                    continue;
                }
            }
        }
        objects.push(object);
    }
    for (id, _) in beside {
        problems.push(structure(
            &id,
            "Classification/@classifiedObject",
            Some(&id),
            "is no object of the message",
        ));
    }
    objects
}

fn package_kind(object: &RegistryObject) -> Result<ObjectKind, &'static str> {
    let marked = |node: &str| object.classifications.iter().any(|c| c.node.as_deref() == Some(node));
    match (marked(uuids::submission_set::MARKER), marked(uuids::folder::MARKER)) {
        (true, false) => Ok(ObjectKind::SubmissionSet),
        (false, true) => Ok(ObjectKind::Folder),
        (true, true) => Err("is marked both as SubmissionSet and as Folder"),
        (false, false) => Err(
            "carries no Classification that marks it as SubmissionSet (urn:uuid:a54d6aa5-…) or Folder (urn:uuid:d9d542f3-…)",
        ),
    }
}

pub(super) fn structure(object: &str, attribute: &str, value: Option<&str>, message: &str) -> RegistryError {
    Problem {
        code: ErrorCode::XDSRegistryMetadataError,
        object,
        attribute,
        value,
        message,
        clause: "ITI TF-2 3.42.4.1.2.1",
    }
    .error()
}

/// Writes a whole request (our client, the forwarding repository, the demo's hospitals).
pub fn write(w: &mut XmlWriter<'static>, submission: &Submission) {
    write_as(w, submission, Form::Request);
}

/// The same message with all that a registry knows of the objects: status, logicalID, version and
/// lastUpdateTime stand where a query's answer has them, and a registry that is sent it sets its own.
pub fn write_kept(w: &mut XmlWriter<'static>, submission: &Submission) {
    write_as(w, submission, Form::Result);
}

fn write_as(w: &mut XmlWriter<'static>, submission: &Submission, form: Form) {
    w.open("lcm:SubmitObjectsRequest").attr("xmlns:lcm", NS_LCM).attr("xmlns:rim", NS_RIM);
    w.open("rim:RegistryObjectList");
    for e in &submission.document_entries {
        document_entry::write(w, e, form);
    }
    submission_set::write(w, &submission.submission_set, form);
    for f in &submission.folders {
        folder::write(w, f, form);
    }
    for a in &submission.associations {
        association::write(w, a, form);
    }
    w.close().close();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_come_in_the_same_order_each_time() {
        let stray = |id: &str| {
            format!(r#"<Classification id="c{id}" classifiedObject="{id}" classificationNode="n"/>"#)
        };
        let strays: String = ["D", "B", "E", "A", "C"].map(stray).concat();
        let xml = format!(
            r#"<l:SubmitObjectsRequest xmlns:l="{NS_LCM}" xmlns="{NS_RIM}"><RegistryObjectList>{strays}</RegistryObjectList></l:SubmitObjectsRequest>"#
        );
        let doc = tree::parse(&xml).unwrap();
        let problems = read(doc.root_element(), None).problems;
        let places: Vec<_> = problems.iter().filter_map(|p| p.location.as_deref()?.split_once('/')).collect();
        let objects: Vec<_> = places.into_iter().map(|(object, _)| object).collect();
        assert_eq!(objects, ["A", "B", "C", "D", "E", "SubmitObjectsRequest"]);
    }
}
