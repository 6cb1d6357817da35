//! The header of a CDA document: who writes, about whom, to whom, in which stay (jahis-profile.md §3).

use roxmltree::Node;

use super::{HL7, attr, find, flat};
use crate::clins::make::options::Class;
use crate::clins::make::parts::{Department, Doctor, script_of};
use crate::clins::make::patient::{Address, Facts, Name, gender};
use crate::clins::make::said::{Notes, UnmappedKey, WarningKey};
use crate::clins::make::text::line;
use crate::clins::make::time::Stamp;
use crate::model::national::is_institution;
use crate::wire::xml::tree;

/// 保険医療機関番号 as a root with the number behind it, or as the end of an OID.
const INSTITUTION_ARCS: &[&str] = &["1.2.392.100495.20.3.51.1", "1.2.392.200119.6.102.1"];

/// Elements of a header that are read, or say nothing of the patient. The rest has no place in a Composition of ours.
const READ: &[&str] = &[
    "realmCode",
    "typeId",
    "templateId",
    "id",
    "code",
    "title",
    "effectiveTime",
    "languageCode",
    "setId",
    "versionNumber",
    "recordTarget",
    "author",
    "custodian",
    "informationRecipient",
    "relatedDocument",
    "componentOf",
    "component",
];

#[derive(Clone, Default)]
pub struct Organization {
    pub number: Option<String>,
    pub name: Option<String>,
    pub address: Option<String>,
    pub phone: Option<String>,
    pub department: Option<Department>,
}

pub struct Header {
    pub id: Option<String>,
    pub set_id: Option<String>,
    pub version: Option<String>,
    pub written: Option<Stamp>,
    pub patient: Facts,
    pub author: Doctor,
    pub author_organization: Organization,
    pub custodian: Organization,
    pub recipient: Option<(Organization, Doctor)>,
    pub class: Option<Class>,
    pub stay: (Option<Stamp>, Option<Stamp>),
    pub encounter_id: Option<String>,
}

pub fn read(root: Node<'_, '_>, notes: &mut Notes) -> Header {
    unread(root, notes);
    let author = find(root, &["author", "assignedAuthor"]);
    let recipient = tree::children(root, HL7, "informationRecipient")
        .find_map(|r| tree::child(r, HL7, "intendedRecipient"))
        .map(|r| {
            let organization = tree::child(r, HL7, "receivedOrganization");
            let organization = organization.map(|o| organization_of(o, notes)).unwrap_or_default();
            (organization, doctor(r, "informationRecipient"))
        });
    let encounter = find(root, &["componentOf", "encompassingEncounter"]);
    let class = encounter.and_then(|e| attr(e, &["code"], "code")).and_then(|code| match code.as_str() {
        "AMB" | "EMER" => Some(Class::Outpatient),
        "IMP" => Some(Class::Inpatient),
        _ => {
            let at = "/ClinicalDocument/componentOf/encompassingEncounter/code/@code";
            notes.unmapped(UnmappedKey::UnknownCode, at, code);
            None
        }
    });
    let stay = encounter.map(|e| period(e, notes)).unwrap_or_default();
    if let Some(code) = encounter.and_then(|e| attr(e, &["dischargeDispositionCode"], "code")) {
        let at = "/ClinicalDocument/componentOf/encompassingEncounter/dischargeDispositionCode/@code";
        notes.unmapped(UnmappedKey::UnknownSystem, at, code);
    }
    Header {
        id: find(root, &["id"]).and_then(instance),
        set_id: find(root, &["setId"]).and_then(instance),
        version: attr(root, &["versionNumber"], "value"),
        written: attr(root, &["effectiveTime"], "value")
            .and_then(|v| stamp(&v, "/ClinicalDocument/effectiveTime/@value", notes)),
        patient: patient(root, notes),
        author: author.map(|a| doctor(a, "assignedPerson")).unwrap_or_default(),
        author_organization: author
            .and_then(|a| tree::child(a, HL7, "representedOrganization"))
            .map(|o| organization_of(o, notes))
            .unwrap_or_default(),
        custodian: find(root, &["custodian", "assignedCustodian", "representedCustodianOrganization"])
            .map(|o| organization_of(o, notes))
            .unwrap_or_default(),
        recipient,
        class,
        stay,
        encounter_id: encounter.and_then(|e| attr(e, &["id"], "extension")),
    }
}

/// Says what of the header goes nowhere: other authors and recipients than the first, and what is not read.
fn unread(root: Node<'_, '_>, notes: &mut Notes) {
    let mut seen: Vec<&str> = vec![];
    for element in tree::elements(root) {
        let name = element.tag_name().name();
        let again = matches!(name, "author" | "informationRecipient") && seen.contains(&name);
        let normal = name == "confidentialityCode" && tree::attr(element, "code").is_none_or(|c| c == "N");
        if again || !(READ.contains(&name) || normal) {
            let code = tree::attr(element, "code").map(str::to_owned);
            let at = format!("/ClinicalDocument/{name}");
            notes.unmapped(UnmappedKey::NotCarried, at, code.unwrap_or_else(|| flat(element)));
        }
        seen.push(name);
    }
}

/// An II as one text: `root^extension`, or the root alone.
fn instance(node: Node<'_, '_>) -> Option<String> {
    let part = |name: &str| tree::attr(node, name).map(str::trim).filter(|v| !v.is_empty());
    match (part("root"), part("extension")) {
        (Some(root), Some(extension)) => Some(format!("{root}^{extension}")),
        (Some(only), None) | (None, Some(only)) => Some(only.to_owned()),
        (None, None) => None,
    }
}

pub fn stamp(text: &str, at: &str, notes: &mut Notes) -> Option<Stamp> {
    let stamp = Stamp::hl7(text);
    match &stamp {
        None => notes.unmapped(UnmappedKey::BadForm, at, text),
        Some(stamp) if stamp.lacks_seconds() => notes.warn(WarningKey::TimeZero, at, text),
        Some(_) => {}
    }
    stamp
}

/// `effectiveTime`: low and high, or one value.
pub fn period(node: Node<'_, '_>, notes: &mut Notes) -> (Option<Stamp>, Option<Stamp>) {
    let at = format!("{}/effectiveTime", node.tag_name().name());
    let mut of = |path: &[&str]| attr(node, path, "value").and_then(|v| stamp(&v, &at, notes));
    let (low, high) = (of(&["effectiveTime", "low"]), of(&["effectiveTime", "high"]));
    (low.or_else(|| of(&["effectiveTime"])), high)
}

fn patient(root: Node<'_, '_>, notes: &mut Notes) -> Facts {
    let Some(role) = find(root, &["recordTarget", "patientRole"]) else { return Facts::default() };
    let person = tree::child(role, HL7, "patient");
    // The institution's own id, if it is marked as such; else the first.
    let ids: Vec<Node<'_, '_>> = tree::children(role, HL7, "id").collect();
    let extension = |id: &Node<'_, '_>| {
        tree::attr(*id, "extension").map(str::trim).filter(|v| !v.is_empty()).map(str::to_owned)
    };
    let of_institution = |id: &&Node<'_, '_>| {
        tree::attr(**id, "root").is_some_and(|root| root.starts_with("1.2.392.100495.20.3.51"))
    };
    let id = ids.iter().find(of_institution).and_then(extension).or_else(|| ids.iter().find_map(extension));
    let names = person.map(|p| tree::children(p, HL7, "name").filter_map(name).collect()).unwrap_or_default();
    let birth = person.and_then(|p| attr(p, &["birthTime"], "value"));
    let sex = person.and_then(|p| attr(p, &["administrativeGenderCode"], "code"));
    if let Some(sex) = sex.as_deref().filter(|s| sex_of(s).is_none()) {
        notes.unmapped(
            UnmappedKey::UnknownCode,
            "recordTarget/patientRole/patient/administrativeGenderCode",
            sex,
        );
    }
    Facts {
        id: id.unwrap_or_default(),
        names,
        birth: birth.and_then(|b| stamp(&b, "recordTarget/patientRole/patient/birthTime", notes)),
        gender: sex.as_deref().and_then(sex_of),
        address: tree::child(role, HL7, "addr").map(address),
        insurance: None,
    }
}

/// HL7 V3 says UN for undifferentiated.
fn sex_of(code: &str) -> Option<&'static str> {
    if code == "UN" { Some("other") } else { gender(code) }
}

fn name(node: Node<'_, '_>) -> Option<Name> {
    let part = |n: &str| tree::children(node, HL7, n).map(flat).collect::<Vec<_>>().join(" ");
    let (mut family, given) = (part("family"), part("given"));
    if family.is_empty() {
        family = flat(node);
    }
    let uses = tree::attr(node, "use").unwrap_or_default();
    let script = ["IDE", "SYL", "ABC"].into_iter().find(|s| uses.split_whitespace().any(|u| u == *s));
    let script = script.or_else(|| script_of(&format!("{family}{given}")));
    (!family.is_empty()).then_some(Name { family, given, script })
}

fn address(node: Node<'_, '_>) -> Address {
    let part = |n: &str| tree::child(node, HL7, n).map(flat).unwrap_or_default();
    let (state, city, street) = (part("state"), part("city"), part("streetAddressLine"));
    let parts = [state.as_str(), &city, &street].concat();
    // Where no part is marked, all of it is the address.
    let text = if parts.is_empty() { line(&tree::text_of(node)) } else { parts };
    Address { text, postal_code: part("postalCode"), city, state }
}

/// A person's id and name, in kanji where there is one.
fn doctor(node: Node<'_, '_>, person: &str) -> Doctor {
    let id = tree::children(node, HL7, "id").find_map(|id| {
        tree::attr(id, "extension").map(str::trim).filter(|v| !v.is_empty()).map(str::to_owned)
    });
    let names: Vec<Name> = tree::child(node, HL7, person)
        .map(|p| tree::children(p, HL7, "name").filter_map(name).collect())
        .unwrap_or_default();
    let named = names.iter().find(|n| n.script == Some("IDE")).or(names.first()).cloned();
    let (family, given) = named.map(|n| (n.family, n.given)).unwrap_or_default();
    Doctor { id, family, given }
}

fn organization_of(node: Node<'_, '_>, notes: &mut Notes) -> Organization {
    let ids: Vec<Node<'_, '_>> = tree::children(node, HL7, "id").collect();
    let number = ids.iter().find_map(|id| {
        let extension = tree::attr(*id, "extension").map(str::trim).filter(|e| is_institution(e));
        let root = tree::attr(*id, "root").unwrap_or_default();
        let arc =
            INSTITUTION_ARCS.iter().find_map(|arc| root.strip_prefix(arc)).filter(|n| is_institution(n));
        extension.or(arc).map(str::to_owned)
    });
    if number.is_none()
        && let Some(other) = ids.iter().find_map(|id| tree::attr(*id, "extension"))
    {
        notes.unmapped(UnmappedKey::BadForm, format!("{}/id", node.tag_name().name()), other);
    }
    let text = |n: &str| tree::child(node, HL7, n).map(flat).filter(|t| !t.is_empty());
    let addr = tree::child(node, HL7, "addr").map(|a| address(a).text).filter(|t| !t.is_empty());
    let phone = tree::children(node, HL7, "telecom").find_map(|t| {
        tree::attr(t, "value")
            .map(|v| v.strip_prefix("tel:").unwrap_or(v).to_owned())
            .filter(|v| !v.is_empty())
    });
    let class = tree::child(node, HL7, "standardIndustryClassCode");
    let department = class.map(|c| Department {
        code: tree::attr(c, "code").filter(|c| matches!(c.len(), 2 | 3)).map(str::to_owned),
        name: tree::attr(c, "displayName").map(line),
    });
    let department = department.filter(|d| d.code.is_some() || d.name.is_some());
    Organization { number, name: text("name"), address: addr, phone, department }
}
