//! The document Bundle: Composition, patient, people, institutions, stay, and what the sections refer to.

use std::collections::BTreeMap;

use roxmltree::Node;

use super::composition::{composition, encounter_entry, organization, practitioner, section, section_of};
use super::entries::Making;
use super::header::{self, Header, Organization};
use super::narrative::Narrative;
use super::sections::{self, Presence, Target};
use super::{HL7, find};
use crate::clins::make::frame::{Entry, Frame};
use crate::clins::make::json::Object;
use crate::clins::make::options::{CdaMode, Class};
use crate::clins::make::parts::{self, Department, Doctor, Encounter};
use crate::clins::make::said::{NotMade, NotMadeKey, Notes, Step, Value, WarningKey};
use crate::clins::make::systems::{code, profile};
use crate::clins::make::text::{self, line};
use crate::clins::make::time;
use crate::clins::make::v2::{Enclosed, enclosed, patient_entry};
use crate::clins::make::{Context, Kind, Made, patient};
use crate::wire::xml::tree;

/// What a required section says that its source does not have.
const NOT_IN_SOURCE: &str = "原文書に記載なし";

/// A section under construction.
#[derive(Default)]
struct Part {
    narrative: Narrative,
    entries: Vec<Entry>,
}

/// All sections of the source, by where they go.
struct Body {
    /// By code of the Composition's section.
    parts: BTreeMap<&'static str, Part>,
    remarks: Narrative,
}

impl Body {
    fn part(&mut self, code: &'static str) -> &mut Part {
        self.parts.entry(code).or_default()
    }

    fn get(&self, code: &str) -> Option<&Part> {
        self.parts.get(code)
    }
}

pub fn read(
    root: Node<'_, '_>,
    bytes: &[u8],
    kind: Kind,
    context: &Context<'_>,
    notes: &mut Notes,
) -> Step<Made> {
    let mut head = header::read(root, notes);
    let missing = |key: NotMadeKey, path: &str| NotMade::new(key, path, "");
    let Some(id_of) = head.id.clone() else {
        return Err(missing(NotMadeKey::NoDocumentId, "/ClinicalDocument/id"));
    };
    let Some(written) = head.written.clone() else {
        return Err(missing(NotMadeKey::NoDocumentTime, "/ClinicalDocument/effectiveTime"));
    };
    let frame =
        Frame::new(kind, context, format!("{}:{}", kind.code(), head.set_id.as_deref().unwrap_or(&id_of)))?;
    let number = context.institution.number.as_str();
    for (of, at) in [(&head.author_organization, "author"), (&head.custodian, "custodian")] {
        if let Some(other) = of.number.as_deref().filter(|n| *n != number) {
            return Err(NotMade::new(NotMadeKey::OtherInstitution, format!("/ClinicalDocument/{at}"), other));
        }
    }
    if head.author.name().is_empty() {
        return Err(missing(NotMadeKey::NoAuthor, "/ClinicalDocument/author/assignedAuthor/assignedPerson"));
    }
    let from = sender(&head, context)?;
    let to = match kind {
        Kind::Referral => Some(destination(&mut head, number)?),
        _ => None,
    };
    let patient = patient::complete(std::mem::take(&mut head.patient), context, "recordTarget", notes)?;
    let updated = written.instant().unwrap_or_else(|| time::instant(context.now));
    let encounter = encounter(&head, kind, context)?;
    let patient_url = frame.full_url("Patient", &patient.id);
    let department = from.department.clone().or_else(|| {
        let fallback = context.options.default_department.as_ref()?;
        Some(Department { code: Some(fallback.code.clone()), name: Some(fallback.name.clone()) })
    });
    let making = Making {
        context,
        frame: &frame,
        patient_id: &patient.id,
        patient: &patient_url,
        updated: &updated,
        written: &written,
        author: &head.author,
        department: department.as_ref(),
        encounter: encounter.as_ref(),
    };
    let doctor = practitioner(&making, &head.author, "author", number);
    let organization = organization(&making, &from, "from");
    let mut entries = vec![patient_entry(&frame, &patient, &updated, context)];
    let (author_url, from_url) = (doctor.full_url.clone(), organization.full_url.clone());
    let mut list: Vec<Object> = vec![];
    let mut people = vec![doctor];
    let mut organizations = vec![organization];
    if let Some((to, doctor)) = &to {
        let receiving = super::composition::organization(&making, to, "to");
        let mut refs = vec![receiving.full_url.clone()];
        organizations.push(receiving);
        if !doctor.name().is_empty() {
            // Ids of another institution's doctors are not ours to write into its arc.
            let nameless = Doctor { id: None, ..doctor.clone() };
            let receiving = practitioner(&making, &nameless, "recipient", number);
            refs.push(receiving.full_url.clone());
            people.push(receiving);
        }
        list.push(section(
            "紹介元情報",
            "920",
            from.name.as_deref(),
            &[from_url.clone(), author_url.clone()],
        ));
        list.push(section("紹介先情報", "910", to.name.as_deref(), &refs));
    }
    entries.extend(people);
    entries.extend(organizations);
    let stay_url = encounter.as_ref().map(|e| {
        let entry = encounter_entry(&making, e, "document", head.encounter_id.as_deref(), None);
        let url = entry.full_url.clone();
        entries.push(entry);
        url
    });
    match context.options.cda.mode {
        CdaMode::Embed => {
            let title = if kind == Kind::Referral {
                "診療情報提供書CDA文書"
            } else {
                "退院時サマリーCDA文書"
            };
            if kind == Kind::Discharge {
                // The Bundle wants a coded diagnosis beside the document.
                let conditions = all_conditions(root, kind, &making, notes);
                if conditions.is_empty() {
                    return Err(missing(NotMadeKey::NoDischargeDiagnosis, "344"));
                }
                entries.extend(conditions);
            }
            let cda =
                making.document_as(profile::DOCUMENT_CDA, "cda", "application/hl7-cda+xml", title, bytes);
            list.push(section("CDA参照", "200", None, std::slice::from_ref(&cda.full_url)));
            entries.push(cda);
            if !context.enclosed.is_empty() {
                notes.warn(WarningKey::EnclosureLeftOut, "enclosed", "");
            }
        }
        CdaMode::Structured => {
            let body = body(root, kind, &making, notes)?;
            let (structured, rest) =
                structured(body, kind, &making, stay_url.as_deref(), &mut entries, notes)?;
            list.push(structured);
            list.extend(rest);
        }
    }
    attachments(root, &making, &mut list, &mut entries, notes);
    let composition =
        composition(&making, &head, list, &id_of, (&author_url, &from_url), stay_url.as_deref())?;
    let mut all = vec![composition];
    all.extend(entries);
    Ok(Made {
        kind,
        lineage: frame.lineage.clone(),
        bundle_id: frame.bundle_id.clone(),
        insured_id: Value(patient.insured_id.clone()),
        patient_id: Value(patient.id.clone()),
        destination: to.and_then(|(to, _)| to.number),
        corrects: head.version.as_deref().is_some_and(|v| !matches!(v, "1" | "1.0" | "0")),
        bundle: frame.bundle(context, all),
        unmapped: vec![],
        left_out: vec![],
        warnings: vec![],
    })
}

/// The sending institution: its number is the context's, its name the context's or the document's.
fn sender(head: &Header, context: &Context<'_>) -> Step<Organization> {
    let (author, custodian) = (&head.author_organization, &head.custodian);
    let own = context.institution;
    let first = |own: &Option<String>, of: fn(&Organization) -> &Option<String>| {
        own.clone().or_else(|| of(author).clone()).or_else(|| of(custodian).clone())
    };
    let name = first(&own.name, |o| &o.name);
    if name.is_none() {
        let at = "/ClinicalDocument/author/assignedAuthor/representedOrganization/name";
        return Err(NotMade::new(NotMadeKey::NoAuthor, at, ""));
    }
    Ok(Organization {
        number: Some(own.number.clone()),
        name,
        address: first(&own.address, |o| &o.address),
        phone: first(&own.phone, |o| &o.phone),
        department: author.department.clone(),
    })
}

fn destination(head: &mut Header, sender: &str) -> Step<(Organization, Doctor)> {
    let at = "/ClinicalDocument/informationRecipient/intendedRecipient/receivedOrganization";
    let Some((organization, doctor)) = head.recipient.take() else {
        return Err(NotMade::new(NotMadeKey::NoDestination, at, ""));
    };
    match organization.number.as_deref() {
        None => Err(NotMade::new(NotMadeKey::DestinationNumber, at, organization.name.unwrap_or_default())),
        Some(number) if number == sender => Err(NotMade::new(NotMadeKey::DestinationIsSender, at, number)),
        Some(_) if organization.name.is_none() => Err(NotMade::new(NotMadeKey::NoDestination, at, "")),
        Some(_) => Ok((organization, doctor)),
    }
}

/// The visit or stay. A summary has both its ends; a letter may have none.
fn encounter(head: &Header, kind: Kind, context: &Context<'_>) -> Step<Option<Encounter>> {
    let (start, end) = head.stay.clone();
    if kind == Kind::Discharge {
        if start.is_none() || end.is_none() {
            let at = "/ClinicalDocument/componentOf/encompassingEncounter/effectiveTime";
            return Err(NotMade::new(NotMadeKey::NoStay, at, ""));
        }
        return Ok(Some(Encounter { class: Class::Inpatient, id: head.encounter_id.clone(), start, end }));
    }
    let Some(class) = head.class.or(context.options.default_class) else { return Ok(None) };
    let end = end.filter(|_| class == Class::Inpatient);
    Ok(Some(Encounter { class, id: head.encounter_id.clone(), start, end }))
}

/// Reads the sections of `structuredBody`, those below others as if they stood beside them.
fn body(root: Node<'_, '_>, kind: Kind, making: &Making<'_>, notes: &mut Notes) -> Step<Body> {
    let mut body = Body { parts: BTreeMap::new(), remarks: Narrative::default() };
    if let Some(structured) = find(root, &["component", "structuredBody"]) {
        for component in tree::children(structured, HL7, "component") {
            for node in tree::children(component, HL7, "section") {
                take(node, kind, None, 0, making, &mut body, notes);
            }
        }
    }
    for (i, bytes) in making.context.enclosed.iter().enumerate() {
        let found = enclosed(bytes, making.context, making.frame, making.patient_id, making.patient, notes);
        let (code, entries) = match (found, kind) {
            (Ok(Enclosed::Conditions(entries)), Kind::Discharge) => ("344", entries),
            (Ok(Enclosed::Conditions(entries)), _) => ("340", entries),
            (Ok(Enclosed::Allergies(entries)), _) => ("510", entries),
            (Ok(Enclosed::Laboratory(entries)), Kind::Discharge) => ("623", entries),
            (Ok(Enclosed::Laboratory(entries)), _) => ("620", entries),
            (Ok(Enclosed::Medications(entries)), Kind::Discharge) => ("444", entries),
            (Ok(Enclosed::Medications(entries)), _) => ("430", entries),
            (Err(refused), _) => {
                notes.append(refused.notes.clone());
                let at = format!("enclosed[{}] {}", i + 1, refused.place);
                notes.warn(WarningKey::EnclosureLeftOut, at, refused.key.code());
                continue;
            }
        };
        if !entries.is_empty() {
            body.part(code).entries.extend(entries);
        }
    }
    Ok(body)
}

/// Sections of a document are not nested deeper.
const DEEPEST: usize = 8;

fn take(
    node: Node<'_, '_>,
    kind: Kind,
    above: Option<Target>,
    depth: usize,
    making: &Making<'_>,
    body: &mut Body,
    notes: &mut Notes,
) {
    let title = sections::title(node);
    let found = sections::target(node, kind, &making.context.options.cda);
    // A part of a section that no table knows belongs to that section.
    let target = match (found, above) {
        (Target::Unknown, Some(above)) => above,
        (found, _) => found,
    };
    let narrative = tree::child(node, HL7, "text").map(Narrative::of).unwrap_or_default();
    let at = format!("section \"{}\"", line(&title));
    if narrative.reduced {
        notes.warn(WarningKey::NarrativeReduced, at.as_str(), "");
    }
    match target {
        Target::Section(code) => {
            let heading = (found == Target::Unknown).then_some(title.as_str());
            let part = body.part(code);
            if !narrative.is_empty() {
                part.narrative.append(heading, &narrative);
            }
            let made = match code {
                "340" | "370" | "342" | "344" | "372" => making.conditions(node, &at, notes),
                "430" | "432" | "444" => making.medications(node, &at, notes),
                "360" | "620" | "623" => making.results(node, &at, notes),
                _ => {
                    making.said(node, &at, notes);
                    vec![]
                }
            };
            // Results of 症状経過及び検査結果 go where results are.
            let code = if code == "360" { "620" } else { code };
            if !made.is_empty() {
                body.part(code).entries.extend(made);
            }
        }
        Target::Remarks | Target::Unknown => {
            if target == Target::Unknown {
                notes.warn(WarningKey::SectionUnknown, at.as_str(), title.as_str());
            }
            making.said(node, &at, notes);
            if !narrative.is_empty() {
                let heading = (target == Target::Unknown).then_some(title.as_str());
                body.remarks.append(heading, &narrative);
            }
        }
    }
    if depth < DEEPEST {
        for component in tree::children(node, HL7, "component") {
            for child in tree::children(component, HL7, "section") {
                take(
                    child,
                    kind,
                    Some(target).filter(|t| *t != Target::Unknown),
                    depth + 1,
                    making,
                    body,
                    notes,
                );
            }
        }
    }
}

/// Section 300 and, beside it, the remarks.
fn structured(
    mut body: Body,
    kind: Kind,
    making: &Making<'_>,
    stay: Option<&str>,
    entries: &mut Vec<Entry>,
    notes: &mut Notes,
) -> Step<(Object, Vec<Object>)> {
    let mut inside: Vec<Object> = vec![];
    for table in sections::table(kind) {
        let has = body.get(table.code).is_some_and(|p| !p.narrative.is_empty() || !p.entries.is_empty());
        if !has && table.presence == Presence::Required {
            let key = if table.code == "344" {
                NotMadeKey::NoDischargeDiagnosis
            } else {
                NotMadeKey::SectionMissing
            };
            return Err(NotMade::new(key, table.code, table.title));
        }
        if !has && table.presence == Presence::Optional {
            continue;
        }
        let mut part = std::mem::take(body.part(table.code));
        let plain = line(&part.narrative.plain);
        let mut refs: Vec<String> = vec![];
        match table.code {
            "950" => {
                if let Some(encounter) = making.encounter {
                    let purpose = encounter_entry(making, encounter, "purpose", None, Some(&plain));
                    refs.push(purpose.full_url.clone());
                    entries.push(purpose);
                }
            }
            "322" | "324" => refs.extend(stay.map(str::to_owned)),
            "312" => refs.extend(stay.filter(|_| has).map(str::to_owned)),
            "333" => {
                // The profile wants a document here; it holds the section's own words.
                let document =
                    making.document("course", "text/plain", table.title, part.narrative.plain.as_bytes());
                refs.push(document.full_url.clone());
                entries.push(document);
            }
            "344" if part.entries.is_empty() => {
                return Err(NotMade::new(NotMadeKey::NoDischargeDiagnosis, table.code, plain));
            }
            _ => {}
        }
        refs.extend(part.entries.iter().map(|e| e.full_url.clone()));
        for entry in std::mem::take(&mut part.entries) {
            if !entries.iter().any(|e| e.full_url == entry.full_url) {
                entries.push(entry);
            }
        }
        refs.dedup();
        let div = match part.narrative.is_empty() {
            false => Some(text::wrapped(&part.narrative.xhtml)),
            true => stay_text(table.code, making).or_else(|| {
                (!has).then(|| {
                    notes.warn(WarningKey::SectionEmpty, table.code, table.title);
                    text::div(NOT_IN_SOURCE)
                })
            }),
        };
        inside.push(section_of(table.title, table.code, div, &refs));
    }
    let outer = Object::new()
        .set("title", "構造情報")
        .set("code", parts::coded(code::SECTION, "300", Some("構造情報セクション")))
        .list("section", inside);
    let mut rest = vec![];
    if !body.remarks.is_empty() {
        match kind {
            Kind::Discharge => {
                // A summary has no section of remarks: they go along as an attachment.
                let document =
                    making.document("remarks", "text/plain", "備考", body.remarks.plain.as_bytes());
                rest.push(section("添付情報", "210", None, std::slice::from_ref(&document.full_url)));
                entries.push(document);
            }
            _ => {
                rest.push(section_of("備考・連絡情報", "220", Some(text::wrapped(&body.remarks.xhtml)), &[]))
            }
        }
    }
    Ok((outer, rest))
}

/// 322 and 324 say when the stay began and ended.
fn stay_text(code: &str, making: &Making<'_>) -> Option<String> {
    let encounter = making.encounter?;
    let (at, what) = match code {
        "322" => (encounter.start.as_ref()?, "入院"),
        "324" => (encounter.end.as_ref()?, "退院"),
        _ => return None,
    };
    Some(text::div(&format!("{} {what}", at.date())))
}

/// Coded discharge diagnoses, wherever the document is embedded as a whole.
fn all_conditions(root: Node<'_, '_>, kind: Kind, making: &Making<'_>, notes: &mut Notes) -> Vec<Entry> {
    let nodes = root.descendants().filter(|n| tree::is(*n, HL7, "section"));
    let of = |n: &Node<'_, '_>| {
        matches!(sections::target(*n, kind, &making.context.options.cda), Target::Section("344" | "342"))
    };
    nodes.filter(of).flat_map(|n| making.conditions(n, "section", notes)).collect()
}

/// PDFs under 230, pictures under 210.
fn attachments(
    root: Node<'_, '_>,
    making: &Making<'_>,
    list: &mut Vec<Object>,
    entries: &mut Vec<Entry>,
    notes: &mut Notes,
) {
    if making.context.options.cda.mode == CdaMode::Embed {
        // They are in the document that travels.
        return;
    }
    let (pdfs, others) = making.media(root, notes);
    let urls = |of: &[Entry]| of.iter().map(|e| e.full_url.clone()).collect::<Vec<_>>();
    if !others.is_empty() {
        list.push(section("添付情報", "210", None, &urls(&others)));
    }
    if !pdfs.is_empty() {
        list.push(section("PDF", "230", None, &urls(&pdfs)));
    }
    entries.extend(others);
    entries.extend(pdfs);
}
