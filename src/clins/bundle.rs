//! Facts of a Bundle that others decide by: its kind, who it is of, who sends it, where to. Read leniently: what is not
//! there is `None`; whether it must be there is [`super::check`]'s.

use super::terminology::unversioned;
use crate::fhirpath::Json;

/// The three documents, the patient summary and the five informations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// 5情報: Condition, AllergyIntolerance or Observation.
    Clins,
    /// 診療情報提供書 (HS038)
    Referral,
    /// 退院時サマリー (HS039)
    Discharge,
    /// 患者サマリー
    Summary,
    /// 健康診断結果報告書 (HS037)
    Checkup,
}

pub const BUNDLE_ID_SYSTEM: &str = "http://jpfhir.jp/fhir/clins/bundle-identifier";
pub const INSURED_SYSTEM: &str = "http://jpfhir.jp/fhir/clins/Idsystem/JP_Insurance_memberID";
pub const PUBLIC_PAYER_SYSTEM: &str = "http://jpfhir.jp/fhir/clins/Idsystem/JP_PublicPayer_memberID";
pub const INSTITUTION_SYSTEM: &str = "http://jpfhir.jp/fhir/core/IdSystem/insurance-medical-institution-no";
pub const INSTITUTION_EXTENSION: &str =
    "http://jpfhir.jp/fhir/clins/Extension/StructureDefinition/JP_eCS_InstitutionNumber";
pub const RESOURCE_TYPE_TAG: &str = "http://jpfhir.jp/fhir/clins/CodeSystem/BundleResourceType_CS";
pub const FLAG_SYSTEM: &str = "http://jpfhir.jp/fhir/clins/CodeSystem/JP_ehrshrs_indication";

impl Kind {
    /// Kind, name in `index.json` and in the command line, Bundle profile, Composition profile, Composition.type code.
    pub const TABLE: &[(Kind, &str, &str, &str, &str)] = &[
        (Kind::Clins, "clins", "http://jpfhir.jp/fhir/clins/StructureDefinition/JP_Bundle_CLINS", "", ""),
        (
            Kind::Referral,
            "ereferral",
            "http://jpfhir.jp/fhir/clins/StructureDefinition/JP_Bundle_eReferral",
            "http://jpfhir.jp/fhir/eReferral/StructureDefinition/JP_Composition_eReferral",
            "57133-1",
        ),
        (
            Kind::Discharge,
            "edischarge",
            "http://jpfhir.jp/fhir/clins/StructureDefinition/JP_Bundle_eDischargeSummary",
            "http://jpfhir.jp/fhir/eDischargeSummary/StructureDefinition/JP_Composition_eDischargeSummary",
            "18842-5",
        ),
        (
            Kind::Summary,
            "epcs",
            "http://jpfhir.jp/fhir/clins/StructureDefinition/JP_Bundle_ePCS",
            "http://jpfhir.jp/fhir/ePCS/StructureDefinition/JP_Composition_ePCS",
            "56447-6",
        ),
        (
            Kind::Checkup,
            "echeckup",
            "http://jpfhir.jp/fhir/clins/StructureDefinition/JP_Bundle_eCheckupGeneral",
            "http://jpfhir.jp/fhir/eCheckup/StructureDefinition/JP_Composition_eCheckupGeneral",
            "53576-5",
        ),
    ];

    pub fn name(self) -> &'static str {
        Self::TABLE.iter().find(|row| row.0 == self).map_or("", |row| row.1)
    }

    pub fn find(name: &str) -> Option<Self> {
        Self::TABLE.iter().find(|row| row.1 == name).map(|row| row.0)
    }

    /// The Bundle profile.
    pub fn profile(self) -> &'static str {
        Self::TABLE.iter().find(|row| row.0 == self).map_or("", |row| row.2)
    }
}

/// How sure the kind is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// By the Bundle's profile.
    Declared,
    /// By what is in it: a sender's slip would otherwise leave it unchecked.
    Guessed,
}

/// What is read of a Bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    pub kind: Kind,
    pub told: Told,
    pub identifier_system: Option<String>,
    /// 文書ID: `institution^year^local part`.
    pub identifier: Option<String>,
    /// The institution of the 文書ID.
    pub institution: Option<String>,
    /// 被保険者個人識別子.
    pub insured: Option<String>,
    pub public_payer: Option<String>,
    /// Of a document: the custodian's institution number.
    pub custodian: Option<String>,
    /// Of a referral: the institution number in section 910.
    pub destination: Option<String>,
    /// Of 5情報: the tag's code.
    pub resource_type: Option<String>,
    /// Flags on resources: code and how many have it.
    pub flags: Vec<(String, usize)>,
    pub is_signed: bool,
    /// Entries besides the Patient (5情報) or all (documents).
    pub entries: usize,
}

pub fn is_bundle(json: &Json) -> bool {
    json.str("resourceType") == Some("Bundle")
}

/// The kind, and how it was told.
pub fn kind(bundle: &Json) -> Option<(Kind, Told)> {
    if !is_bundle(bundle) {
        return None;
    }
    let declared = profiles(bundle).find_map(|p| Kind::TABLE.iter().find(|row| row.2 == unversioned(p)));
    if let Some(row) = declared {
        return Some((row.0, Told::Declared));
    }
    guess(bundle).map(|kind| (kind, Told::Guessed))
}

fn guess(bundle: &Json) -> Option<Kind> {
    // The same name at another place: an older edition.
    let last = |url: &str| unversioned(url).rsplit('/').next().unwrap_or_default().to_owned();
    let renamed = profiles(bundle).find_map(|p| Kind::TABLE.iter().find(|row| last(row.2) == last(p)));
    if let Some(row) = renamed {
        return Some(row.0);
    }
    let tagged = bundle.at(&["meta", "tag"]).and_then(Json::as_list).unwrap_or_default().iter();
    if tagged.clone().any(|tag| tag.str("system") == Some(RESOURCE_TYPE_TAG)) {
        return Some(Kind::Clins);
    }
    match resources(bundle).find(|r| r.str("resourceType") == Some("Composition")) {
        Some(composition) => {
            let codes: Vec<&str> = composition
                .at(&["type", "coding"])
                .and_then(Json::as_list)
                .unwrap_or_default()
                .iter()
                .filter_map(|c| c.str("code"))
                .collect();
            let by_profile = Kind::TABLE
                .iter()
                .find(|row| !row.3.is_empty() && profiles(composition).any(|p| last(p) == last(row.3)));
            by_profile.or_else(|| Kind::TABLE.iter().find(|row| codes.contains(&row.4))).map(|row| row.0)
        }
        None => (bundle.str("type") == Some("collection")).then_some(Kind::Clins),
    }
}

/// The canonicals a resource declares.
pub fn profiles(resource: &Json) -> impl Iterator<Item = &str> {
    resource
        .at(&["meta", "profile"])
        .and_then(Json::as_list)
        .unwrap_or_default()
        .iter()
        .filter_map(Json::as_str)
}

/// The resources of a Bundle's entries.
pub fn resources(bundle: &Json) -> impl Iterator<Item = &Json> {
    bundle.items("entry").iter().filter_map(|entry| entry.get("resource"))
}

/// The value of a resource's identifier of that system.
pub fn identifier<'a>(resource: &'a Json, system: &str) -> Option<&'a str> {
    resource.items("identifier").iter().find(|i| i.str("system") == Some(system))?.str("value")
}

/// The institution number in a resource's extension.
pub fn institution(resource: &Json) -> Option<&str> {
    let extension =
        resource.items("extension").iter().find(|e| e.str("url") == Some(INSTITUTION_EXTENSION))?;
    extension.at(&["valueIdentifier", "value"])?.as_str()
}

/// An Organization's institution number: its identifier, else its extension.
pub fn organization_number(organization: &Json) -> Option<&str> {
    identifier(organization, INSTITUTION_SYSTEM).or_else(|| institution(organization))
}

/// The entry a reference (fullUrl, or `Type/id`) names.
pub fn entry<'a>(bundle: &'a Json, reference: &str) -> Option<&'a Json> {
    bundle
        .items("entry")
        .iter()
        .find(|entry| {
            entry.str("fullUrl") == Some(reference)
                || entry.get("resource").is_some_and(|r| {
                    matches!((r.str("resourceType"), r.str("id")), (Some(of), Some(id)) if reference.strip_prefix(of).and_then(|rest| rest.strip_prefix('/')) == Some(id))
                })
        })?
        .get("resource")
}

/// Sections with their subsections, whatever their depth.
pub fn sections<'a>(composition: &'a Json, found: &mut Vec<&'a Json>) {
    for section in composition.items("section") {
        found.push(section);
        sections(section, found);
    }
}

pub fn section_code(section: &Json) -> Option<&str> {
    section.at(&["code", "coding"])?.as_list()?.iter().find_map(|c| c.str("code"))
}

/// The Organization that section 910 of a referral names.
pub fn destination(bundle: &Json) -> Option<&Json> {
    let composition = resources(bundle).find(|r| r.str("resourceType") == Some("Composition"))?;
    let mut all = vec![];
    sections(composition, &mut all);
    let section = all.into_iter().find(|s| section_code(s) == Some("910"))?;
    let organization = |r: &&Json| r.str("resourceType") == Some("Organization");
    section.items("entry").iter().filter_map(|e| entry(bundle, e.str("reference")?)).find(organization)
}

pub fn custodian(bundle: &Json) -> Option<&Json> {
    let composition = resources(bundle).find(|r| r.str("resourceType") == Some("Composition"))?;
    entry(bundle, composition.at(&["custodian", "reference"])?.as_str()?)
}

/// All of it. `None` where it is no Bundle of a known kind.
pub fn facts(bundle: &Json) -> Option<Facts> {
    let (kind, told) = kind(bundle)?;
    let owned = |text: Option<&str>| text.map(str::to_owned);
    let text = |path: &[&str]| owned(bundle.at(path).and_then(Json::as_str));
    let identifier_value = text(&["identifier", "value"]);
    let patient = resources(bundle).find(|r| r.str("resourceType") == Some("Patient"));
    let mut flags: Vec<(String, usize)> = vec![];
    for resource in resources(bundle) {
        for tag in resource.at(&["meta", "tag"]).and_then(Json::as_list).unwrap_or_default() {
            let (Some(FLAG_SYSTEM), Some(code)) = (tag.str("system"), tag.str("code")) else { continue };
            match flags.iter_mut().find(|(known, _)| known == code) {
                Some((_, count)) => *count += 1,
                None => flags.push((code.to_owned(), 1)),
            }
        }
    }
    let tags = bundle.at(&["meta", "tag"]).and_then(Json::as_list).unwrap_or_default();
    Some(Facts {
        kind,
        told,
        identifier_system: text(&["identifier", "system"]),
        institution: identifier_value.as_deref().and_then(|v| v.split('^').next()).map(str::to_owned),
        identifier: identifier_value,
        insured: owned(patient.and_then(|p| identifier(p, INSURED_SYSTEM))),
        public_payer: owned(patient.and_then(|p| identifier(p, PUBLIC_PAYER_SYSTEM))),
        custodian: owned(custodian(bundle).and_then(organization_number)),
        destination: owned(destination(bundle).and_then(organization_number)),
        resource_type: owned(
            tags.iter().find(|t| t.str("system") == Some(RESOURCE_TYPE_TAG)).and_then(|t| t.str("code")),
        ),
        flags,
        is_signed: bundle.get("signature").is_some(),
        entries: resources(bundle)
            .filter(|r| kind != Kind::Clins || r.str("resourceType") != Some("Patient"))
            .count(),
    })
}
