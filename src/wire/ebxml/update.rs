//! `lcm:SubmitObjectsRequest` as ITI-57 and ITI-92 use it: new versions of objects, and associations
//! that set off a change. ITI Metadata Update 3.57.4.1.2.

use roxmltree::Node;

use super::submit::{read_raw, structure};
use super::{Form, association, document_entry, folder, object, submission_set};
use crate::model::ebrim::{ObjectKind, RegistryObject};
use crate::model::error::RegistryError;
use crate::model::metadata::{EntryType, Trigger, TriggerAssociation, Update};
use crate::model::namespace::{NS_LCM, NS_RIM, NS_RS};
use crate::model::rules::{self, Column, Rules};
use crate::model::uuids::slot;
use crate::wire::xml::{XmlWriter, tree};

/// What a message asked to update, with every problem found while reading it.
#[derive(Debug, Default)]
pub struct UpdateDraft {
    pub update: Update,
    pub problems: Vec<RegistryError>,
}

/// What an update says beside the metadata; judged as part of its operation, not as an attribute.
const ANNOTATIONS: [&str; 4] =
    [slot::PREVIOUS_VERSION, slot::ASSOCIATION_PROPAGATION, slot::ORIGINAL_STATUS, slot::NEW_STATUS];

/// Reads the request. Each object is held to the rules of the transaction that registers its kind: a new
/// version is a whole object (ITI Metadata Update 3.57.4.1.3.1).
pub fn read(node: Node<'_, '_>, rules: Option<&Rules<'_>>) -> UpdateDraft {
    let mut draft = UpdateDraft::default();
    let UpdateDraft { update, problems } = &mut draft;
    update.home_community_id = request_home(node, problems);
    let Some(list) = tree::child(node, NS_RIM, "RegistryObjectList") else {
        let message = "is missing; it holds the metadata";
        problems.push(structure("SubmitObjectsRequest", "RegistryObjectList", None, message));
        return draft;
    };
    for object in read_raw(list, problems) {
        let trigger = object.association_type.as_deref().and_then(Trigger::from_urn);
        if let (Some(trigger), ObjectKind::Association) = (trigger, object.kind) {
            update.triggers.push(triggered(object, trigger));
            continue;
        }
        if let Some(rules) = rules {
            check(&object, rules, problems);
        }
        let submission = &mut update.submission;
        match object.kind {
            ObjectKind::DocumentEntry => {
                submission.document_entries.push(document_entry::from_object(object));
            }
            ObjectKind::SubmissionSet => {
                update.submission_sets += 1;
                submission.submission_set = submission_set::from_object(object);
            }
            ObjectKind::Folder => submission.folders.push(folder::from_object(object)),
            ObjectKind::Association => submission.associations.extend(association::from_object(object)),
        }
    }
    draft
}

fn check(object: &RegistryObject, rules: &Rules<'_>, problems: &mut Vec<RegistryError>) {
    let on_demand = object.object_type.as_deref() == Some(EntryType::OnDemand.urn());
    let rules = Rules { column: if on_demand { Column::OnDemand } else { rules.column }, ..*rules };
    if object.kind == ObjectKind::Association {
        let mut bare = object.clone();
        bare.slots.retain(|s| !ANNOTATIONS.contains(&s.name.as_str()));
        rules::check_object(&bare, &rules, problems);
    } else {
        rules::check_object(object, &rules, problems);
    }
}

fn triggered(object: RegistryObject, trigger: Trigger) -> TriggerAssociation {
    let values = |name: &str| {
        let slots = object.slots.iter().filter(|s| s.name == name);
        slots.flat_map(|s| &s.values).filter(|v| !v.trim().is_empty()).cloned().collect()
    };
    TriggerAssociation {
        trigger,
        original_status: values(slot::ORIGINAL_STATUS),
        new_status: values(slot::NEW_STATUS),
        source_object: object.source_object.unwrap_or_default(),
        target_object: object.target_object.unwrap_or_default(),
        entry_uuid: object.id,
    }
}

/// Slot `homeCommunityId` of the request itself (ITI RMU 3.92.4.1.2).
fn request_home(node: Node<'_, '_>, problems: &mut Vec<RegistryError>) -> Option<String> {
    let list = tree::child(node, NS_RS, "RequestSlotList")?;
    tree::children(list, NS_RIM, "Slot")
        .map(|s| object::slot(s, "SubmitObjectsRequest", problems))
        .find(|s| s.name == "homeCommunityId")
        .and_then(|s| s.values.into_iter().find(|v| !v.is_empty()))
}

/// Writes a request.
pub fn write(w: &mut XmlWriter<'static>, update: &Update) {
    w.open("lcm:SubmitObjectsRequest").attr("xmlns:lcm", NS_LCM).attr("xmlns:rim", NS_RIM);
    if let Some(home) = &update.home_community_id {
        w.open("rs:RequestSlotList").attr("xmlns:rs", NS_RS);
        write_slot(w, "homeCommunityId", std::slice::from_ref(home));
        w.close();
    }
    w.open("rim:RegistryObjectList");
    let submission = &update.submission;
    for e in &submission.document_entries {
        document_entry::write(w, e, Form::Request);
    }
    if update.submission_sets > 0 {
        submission_set::write(w, &submission.submission_set, Form::Request);
    }
    for f in &submission.folders {
        folder::write(w, f, Form::Request);
    }
    for a in &submission.associations {
        association::write(w, a, Form::Request);
    }
    for t in &update.triggers {
        w.open("rim:Association")
            .attr("id", &t.entry_uuid)
            .attr("associationType", t.trigger.urn())
            .attr("sourceObject", &t.source_object)
            .attr("targetObject", &t.target_object);
        write_slot(w, slot::ORIGINAL_STATUS, &t.original_status);
        write_slot(w, slot::NEW_STATUS, &t.new_status);
        w.close();
    }
    w.close().close();
}

fn write_slot(w: &mut XmlWriter<'static>, name: &str, values: &[String]) {
    if values.is_empty() {
        return;
    }
    w.open("rim:Slot").attr("name", name).open("rim:ValueList");
    for value in values {
        w.leaf("rim:Value", value);
    }
    w.close().close();
}
