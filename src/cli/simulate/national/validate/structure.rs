//! Structure beyond FHIR: the profiles' tables, closed slicing of entries, sections, extensions.

use std::collections::HashMap;

use super::at::{At, declares, resources};
use super::names::{DEPARTMENT_EXTENSION, ECS, INSTITUTION_EXTENSION};
use super::profile::{self, Leads};
use super::profiles::{
    BUNDLE, CHECKUP_SECTIONS, DISCHARGE_INNER, DISCHARGE_OUTER, PROFILES, Profile, REFERRAL_INNER,
    REFERRAL_OUTER, Section, bundle as bundle_table,
};
use super::{Kind, Level, Report};

pub fn check(bundle: &At, kind: Kind, report: &mut Report) {
    let by_url: HashMap<&str, &str> = bundle
        .list("entry")
        .iter()
        .filter_map(|e| Some((e.text("fullUrl")?, e.value.get("resource")?.get("resourceType")?.as_str()?)))
        .collect();
    let into_bundle = |reference: &str| by_url.get(reference).map(|kind| (*kind).to_owned());
    profile::check(bundle, BUNDLE, &into_bundle, report);
    profile::check(bundle, bundle_table(kind), &into_bundle, report);
    if kind == Kind::Info {
        slices(bundle, report);
    }
    for (at, resource) in resources(bundle).iter().enumerate() {
        let leads = |reference: &str| match reference.strip_prefix('#') {
            None => into_bundle(reference),
            Some(id) => contained(resource, id).map(|c| c.resource_type().to_owned()),
        };
        if let Some(profile) = profile_of(resource, kind, at) {
            profile::check(resource, profile.table, &leads, report);
        }
        if resource.resource_type() == "Composition" {
            sections(resource, kind, &leads, report);
        }
        for extension in resource.list("extension") {
            if let Some((_, table)) = EXTENSIONS.iter().find(|(url, _)| extension.text("url") == Some(url)) {
                profile::check(&extension, table, &leads, report);
            }
        }
    }
}

/// The profile a resource is held against: what it declares, and of Composition and Patient what the Bundle's kind
/// demands of them whatever they declare.
fn profile_of(resource: &At, kind: Kind, at: usize) -> Option<&'static Profile> {
    let kind_of_resource = resource.resource_type();
    let demanded = match (kind_of_resource, kind) {
        ("Composition", Kind::Referral) if at == 0 => Some("JP_Composition_eReferral"),
        ("Composition", Kind::Discharge) if at == 0 => Some("JP_Composition_eDischargeSummary"),
        ("Composition", Kind::Summary) if at == 0 => Some("JP_Composition_ePCS"),
        ("Composition", Kind::Checkup) if at == 0 => Some("JP_Composition_eCheckupGeneral"),
        ("Patient", Kind::Checkup) => Some("JP_Patient_eCheckupGeneral"),
        ("Patient", _) => Some("JP_Patient_eCS"),
        ("CarePlan", Kind::Summary) => Some("JP_CarePlan_ePCS"),
        _ => None,
    };
    match demanded {
        Some(name) => PROFILES.iter().find(|p| p.name == name),
        None => PROFILES
            .iter()
            .find(|p| p.resource == kind_of_resource && declares(resource.value, p.base, p.name)),
    }
}

/// Extensions of resources: their URL, and what is demanded of them.
const EXTENSIONS: [(&str, &str); 2] = [
    (
        INSTITUTION_EXTENSION,
        "valueIdentifier 1..1
        valueIdentifier.system = http://jpfhir.jp/fhir/core/IdSystem/insurance-medical-institution-no",
    ),
    (DEPARTMENT_EXTENSION, "valueCodeableConcept 1..1"),
];

/// Entries of 5情報: type and profile of each slice.
const SLICES: [(&str, &str); 5] = [
    ("Patient", "JP_Patient_eCS"),
    ("AllergyIntolerance", "JP_AllergyIntolerance_eCS"),
    ("Condition", "JP_Condition_eCS"),
    ("MedicationRequest", "JP_MedicationRequest_eCS"),
    ("Observation", "JP_Observation_LabResult_eCS"),
];

/// The closed slicing of Bundle.entry by profile. Of its order only R0211 is held up: the corpus takes a Bundle whose later
/// slices stand otherwise.
fn slices(bundle: &At, report: &mut Report) {
    let mut patients = 0;
    for entry in bundle.list("entry") {
        let Some(resource) = entry.child("resource") else { continue };
        let slice = SLICES.iter().position(|(kind, name)| {
            resource.resource_type() == *kind && declares(resource.value, ECS, name)
        });
        let Some(slice) = slice else {
            let message =
                format!("{} は定められたプロファイルのどれにも該当しません。", resource.resource_type());
            report.error("slice-closed", &entry.path, message, Level::Structure);
            continue;
        };
        patients += usize::from(slice == 0);
    }
    let path = format!("{}.entry", bundle.path);
    match patients {
        0 => report.error("slice-min", &path, "JP_Patient_eCS の Patient が必要です。", Level::Structure),
        1 => {}
        _ => report.error("slice-max", &path, "Patient は1つだけです。", Level::Structure),
    }
}

fn contained<'a>(resource: &At<'a>, id: &str) -> Option<At<'a>> {
    resource.list("contained").into_iter().find(|c| c.text("id") == Some(id))
}

fn code_of<'a>(section: &At<'a>) -> Option<&'a str> {
    section.strings("code.coding.code").first().copied()
}

fn sections(composition: &At, kind: Kind, leads: &Leads<'_>, report: &mut Report) {
    let top = composition.list("section");
    let (outer, inner): (&[Section], &[Section]) = match kind {
        Kind::Referral => (&REFERRAL_OUTER, &REFERRAL_INNER),
        Kind::Discharge => (&DISCHARGE_OUTER, &DISCHARGE_INNER),
        Kind::Checkup => {
            for section in &top {
                if code_of(section).is_none_or(|code| !CHECKUP_SECTIONS.contains(&code)) {
                    report.error(
                        "slice-closed",
                        &section.path,
                        "定められていないセクションです。",
                        Level::Structure,
                    );
                }
            }
            let path = format!("{}.section", composition.path);
            for code in CHECKUP_SECTIONS {
                if top.iter().filter(|s| code_of(s) == Some(code)).count() > 1 {
                    report.error(
                        "slice-max",
                        &path,
                        format!("セクション {code} は1つだけです。"),
                        Level::Structure,
                    );
                }
            }
            return;
        }
        Kind::Info | Kind::Summary => return,
    };
    let document = |section: &At, report: &mut Report| profile::check(section, SECTION, leads, report);
    top.iter().for_each(|section| document(section, report));
    hold(&format!("{}.section", composition.path), &top, outer, leads, report);
    for section in &top {
        let below = section.list("section");
        let code = code_of(section).unwrap_or_default();
        if code == "300" {
            below.iter().for_each(|section| document(section, report));
            let (path, least) = (format!("{}.section", section.path), inner.iter().map(|s| s.count.0).sum());
            if below.len() < least {
                let message = format!("セクションは {least} 個以上必要ですが、{} 個です。", below.len());
                report.error("card-min", &path, message, Level::Structure);
            }
            hold(&path, &below, inner, leads, report);
        }
        let no_text = (kind, code) == (Kind::Referral, "230") || (kind, code) == (Kind::Discharge, "300");
        if no_text && section.child("text").is_some() {
            report.error(
                "card-max",
                &format!("{}.text", section.path),
                "text は置けません。",
                Level::Structure,
            );
        }
        let parties = kind == Kind::Referral && matches!(code, "910" | "920");
        if parties {
            profile::check(section, "entry to Organization 1..1\nentry to Practitioner 0..1", leads, report);
        }
    }
}

/// Of each section of a letter or discharge summary.
const SECTION: &str = "
title 1..1
code 1..1
code.coding 1..1
code.coding.system 1..1
code.coding.system = http://jpfhir.jp/fhir/clins/CodeSystem/document-section
code.coding.code 1..1
code.coding.userSelected 0..0
code.text 0..0
text.status = additional
mode 0..0
orderedBy 0..0
";

fn hold(path: &str, found: &[At], table: &[Section], leads: &Leads<'_>, report: &mut Report) {
    for Section { code, count, title, entries, types } in table {
        let these: Vec<&At> = found.iter().filter(|s| code_of(s) == Some(code)).collect();
        let mut wrong =
            |rule, path: &str, message: String| report.error(rule, path, message, Level::Structure);
        if these.len() < count.0 {
            wrong("slice-min", path, format!("セクション {code}（{title}）がありません。"));
        }
        if these.len() > count.1 {
            wrong("slice-max", path, format!("セクション {code}（{title}）は {} 個までです。", count.1));
        }
        for section in these {
            if section.text("title").is_some_and(|t| t != *title) {
                wrong(
                    "fixed",
                    &format!("{}.title", section.path),
                    format!("値は {title} でなければなりません。"),
                );
            }
            let list = section.list("entry");
            let here = format!("{}.entry", section.path);
            if list.len() < entries.0 {
                wrong("card-min", &here, format!("entry は {} 個以上必要です。", entries.0));
            }
            if list.len() > entries.1 {
                wrong("card-max", &here, format!("entry は {} 個までです。", entries.1));
            }
            for entry in list {
                let kind = entry.text("reference").and_then(leads);
                if let Some(kind) = kind.filter(|kind| !types.is_empty() && !types.contains(&kind.as_str())) {
                    wrong("reference-type", &entry.path, format!("{kind} への参照は置けません。"));
                }
            }
            if *code != "300" && !section.list("section").is_empty() {
                wrong(
                    "card-max",
                    &format!("{}.section", section.path),
                    "下位のセクションは置けません。".into(),
                );
            }
        }
    }
}
