//! The resources of a document that its header gives: Composition, people, institutions, stay.

use super::entries::Making;
use super::header::{Header, Organization};
use crate::clins::make::Kind;
use crate::clins::make::frame::Entry;
use crate::clins::make::json::Object;
use crate::clins::make::options::Class;
use crate::clins::make::parts::{self, Doctor, Encounter, coding, identifier, meta, reference};
use crate::clins::make::said::{NotMade, NotMadeKey, Step};
use crate::clins::make::systems::{code, extension, id, profile};
use crate::clins::make::text::{self, line};
use crate::clins::make::time::Stamp;

pub fn practitioner(making: &Making<'_>, doctor: &Doctor, key: &str, number: &str) -> Entry {
    let resource = Object::resource("Practitioner")
        .set("id", making.frame.uuid("Practitioner", key))
        .set("meta", meta(profile::PRACTITIONER, making.updated, &[]))
        .list("identifier", doctor.identifier(number))
        .list("name", doctor.names().map(|n| n.set("use", "official")));
    Entry { full_url: making.frame.full_url("Practitioner", key), resource }
}

pub fn organization(making: &Making<'_>, of: &Organization, key: &str) -> Entry {
    let number = of.number.as_deref().unwrap_or_default();
    let part = |from: usize, to: usize| number.get(from..to).unwrap_or_default();
    let valued = |url: &str, system: &str, code: &str| {
        Object::new().set("url", url).set("valueCoding", coding(system, code, None))
    };
    let extensions = [
        Some(valued(extension::ORGANIZATION_PREFECTURE, code::PREFECTURE, part(0, 2))),
        Some(valued(extension::ORGANIZATION_CATEGORY, code::FEE_SCORE, part(2, 3))),
        Some(
            Object::new()
                .set("url", extension::ORGANIZATION_NUMBER)
                .set("valueIdentifier", identifier(id::MEDICAL_ORGANIZATION, part(3, 10))),
        ),
        of.department.as_ref().map(|d| d.extension()),
    ];
    let phone = of.phone.as_deref().map(|p| Object::new().set("system", "phone").set("value", line(p)));
    let address = of.address.as_deref().map(|a| Object::new().set("text", line(a)).set("country", "JP"));
    let resource = Object::resource("Organization")
        .set("id", making.frame.uuid("Organization", key))
        .set("meta", meta(profile::ORGANIZATION, making.updated, &[]))
        .list("extension", extensions.into_iter().flatten())
        .one("identifier", identifier(id::INSTITUTION, number))
        .one("type", parts::coded(code::ORGANIZATION_TYPE, "prov", None))
        .opt("name", of.name.as_deref().map(line))
        .list("telecom", phone)
        .list("address", address);
    Entry { full_url: making.frame.full_url("Organization", key), resource }
}

/// JP_Encounter_eCS: its status is fixed.
pub fn encounter_entry(
    making: &Making<'_>,
    of: &Encounter,
    key: &str,
    visit: Option<&str>,
    reason: Option<&str>,
) -> Entry {
    // A period without start is refused by the profile.
    let period = if of.start.is_some() { of.period() } else { Object::new() };
    let name = match visit {
        Some(visit) => format!("{}-ENC-{}-{visit}", making.context.institution.number, making.patient_id),
        None => {
            format!("{}-ENC-{}-{key}", making.context.institution.number, making.frame.uuid("Encounter", key))
        }
    };
    let resource = Object::resource("Encounter")
        .set("id", making.frame.uuid("Encounter", key))
        .set("meta", meta(profile::ENCOUNTER, making.updated, &[]))
        .one("identifier", identifier(id::RESOURCE, &name))
        .set("status", "finished")
        .set("class", of.class_coding())
        .set("period", period)
        .list("reasonCode", reason.map(|text| parts::concept(vec![], Some(text))));
    Entry { full_url: making.frame.full_url("Encounter", key), resource }
}

pub fn section(title: &'static str, code_of: &str, text_of: Option<&str>, refs: &[String]) -> Object {
    section_of(title, code_of, text_of.map(text::div), refs)
}

pub fn section_of(title: &'static str, code_of: &str, div: Option<String>, refs: &[String]) -> Object {
    let display = format!("{}セクション", title);
    Object::new()
        .set("title", title)
        .set("code", parts::coded(code::SECTION, code_of, Some(&display)))
        .opt("text", div.map(|div| Object::new().set("status", "additional").set("div", div)))
        .list("entry", refs.iter().map(|url| reference(url)))
}

pub fn composition(
    making: &Making<'_>,
    head: &Header,
    list: Vec<Object>,
    id_of: &str,
    (author, from): (&str, &str),
    stay: Option<&str>,
) -> Step<Entry> {
    let letter = making.frame.kind == Kind::Referral;
    let (profile_of, type_code, title) = match letter {
        true => (profile::COMPOSITION_REFERRAL, "57133-1", "診療情報提供書"),
        false => (profile::COMPOSITION_DISCHARGE, "18842-5", "退院時サマリー"),
    };
    let category = match (letter, making.encounter, making.context.options.cda.default_category.as_deref()) {
        (false, ..) => "DISCHARGE",
        (true, Some(Encounter { class: Class::Outpatient, .. }), _) => "OUTPATIENT",
        (true, Some(Encounter { end: Some(_), .. }), _) => "DISCHARGE",
        (true, Some(_), _) => "INPATIENT",
        (true, None, Some(configured)) => configured,
        (true, None, None) => {
            let at = "/ClinicalDocument/componentOf/encompassingEncounter/code";
            return Err(NotMade::new(NotMadeKey::NoEncounterClass, at, ""));
        }
    };
    let category_name = super::sections::category(category);
    let (start, end) = head.stay.clone();
    let period = match letter {
        true => Object::new().set("start", making.written.date()),
        false => Object::new()
            .opt("start", start.as_ref().map(Stamp::date))
            .opt("end", end.as_ref().map(Stamp::date)),
    };
    let event = match letter {
        true => {
            Object::new().one("code", Object::new().set("text", "診療情報提供書発行")).set("period", period)
        }
        false => Object::new().set("period", period),
    };
    let version = head.version.as_deref().unwrap_or("1");
    let name = format!("{}-DOC-{id_of}", making.context.institution.number);
    let resource = Object::resource("Composition")
        .set("id", making.frame.uuid("Composition", &name))
        .set("meta", meta(profile_of, making.updated, &[]))
        .one(
            "extension",
            Object::new().set("url", extension::VERSION_NUMBER).set("valueString", line(version)),
        )
        .set("identifier", identifier(id::RESOURCE, &name))
        .set("status", "final")
        .set("type", parts::coded(code::DOCUMENT_TYPE, type_code, Some(title)))
        .one("category", parts::coded(code::DOCUMENT_SUBTYPE, category, category_name))
        .set("subject", reference(making.patient))
        .opt("encounter", stay.map(reference))
        .set("date", making.written.date_time())
        .list("author", [reference(author), reference(from)])
        .set("title", title)
        .set("custodian", reference(from))
        .one("event", event)
        .list("section", list);
    Ok(Entry { full_url: making.frame.full_url("Composition", &name), resource })
}
