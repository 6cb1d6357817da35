//! The published invariants, each written out by hand: what the expression of that key says of a place.
//!
//! Where an expression compares or tests several values at once it does not hold, as in FHIRPath. Messages are ours.

use super::at::{At, declares, profiles, resources};
use super::directory_code;
use super::names::{self, CHECKUP, CLINS, CORE, ECS};
use super::{Kind, Level, Mode, Problem, Report};

/// When a rule is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    Always,
    /// Written in the sources, but no profile uses it: demanded by the guide's text (national-service.md §4, 6).
    Intended,
    /// The same, as a hint.
    Hint,
    /// Never, for this reason.
    Never(&'static str),
}

/// What a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    Bundle(&'static [Kind]),
    /// The Composition of a Bundle of this kind.
    Composition(Kind),
    /// The Patient of any but a checkup; of a checkup.
    Patient,
    CheckupPatient,
    /// Resources of this type that declare this eCS profile, or that stand in 5情報.
    Resource(&'static str, &'static str),
    /// Each dosage of such a MedicationRequest.
    Dosage,
    /// Each extension with the institution's number.
    Institution,
    /// Practitioners, contained ones too.
    Practitioner,
    Nothing,
}

type Holds = fn(&At, Mode) -> bool;

pub struct Rule {
    pub key: &'static str,
    pub label: Option<&'static str>,
    pub when: When,
    pub of: Of,
    holds: Holds,
    message: &'static str,
}

const fn rule(
    key: &'static str,
    label: &'static str,
    when: When,
    of: Of,
    holds: Holds,
    message: &'static str,
) -> Rule {
    let label = if label.is_empty() { None } else { Some(label) };
    Rule { key, label, when, of, holds, message }
}

const INFO: Of = Of::Bundle(&[Kind::Info]);
const INFO_AND_CHECKUP: Of = Of::Bundle(&[Kind::Info, Kind::Checkup]);
const CHECKUPS: Of = Of::Bundle(&[Kind::Checkup]);
const MEDICATION: Of = Of::Resource("MedicationRequest", "JP_MedicationRequest_eCS");
const ALLERGY: Of = Of::Resource("AllergyIntolerance", "JP_AllergyIntolerance_eCS");
const LAB: Of = Of::Resource("Observation", "JP_Observation_LabResult_eCS");

/// A row for each key and label of the published rules.
pub const RULES: [Rule; 55] = [
    rule(
        "bundle-profile-is-JP-Bundle-CLINS",
        "R0213",
        When::Always,
        INFO,
        |b, _| declares(b.value, CLINS, "JP_Bundle_CLINS"),
        "Bundle は JP_Bundle_CLINS を宣言しなければなりません。",
    ),
    rule(
        "bundle-meta-tag-resourceType-exists",
        "R02141",
        When::Always,
        INFO,
        |b, _| !type_tags(b).is_empty(),
        "Bundle.meta.tag に収納するリソース種別が必要です。",
    ),
    rule(
        "bundle-meta-tag-resourceType-valid",
        "R02142",
        When::Always,
        INFO,
        |b, _| {
            INFORMATION
                .iter()
                .any(|code| type_tags(b).iter().filter(|t| t.text("code") == Some(code)).count() == 1)
        },
        "リソース種別は AllergyIntolerance、Observation、Condition のいずれかです。",
    ),
    rule(
        "mustHaveOneMoreResources-with-designatedResourceType",
        "R02143",
        When::Always,
        INFO,
        holds_designated,
        "meta.tag で指定した種別のリソースが1つ以上必要です。",
    ),
    rule(
        "valid-system-bundleIdenfifier",
        "R02151",
        When::Always,
        INFO_AND_CHECKUP,
        |b, _| !b.having("identifier", "system", names::BUNDLE_IDENTIFIER).is_empty(),
        "Bundle.identifier.system が正しくありません。",
    ),
    rule(
        "valid-value-bundleIdenfifier",
        "R2152",
        When::Always,
        INFO_AND_CHECKUP,
        |b, _| {
            one_value(&b.having("identifier", "system", names::BUNDLE_IDENTIFIER))
                .is_some_and(bundle_identifier)
        },
        "Bundle.identifier.value は 医療機関番号10桁^西暦4桁^36文字以内の英数字・ハイフン です。",
    ),
    rule(
        "all-entries-needs-extension-of-institutionNumber",
        "R9011",
        When::Always,
        INFO,
        |b, _| tail(b).iter().all(|r| !institutions(r).is_empty()),
        "Patient 以外のリソースには医療機関番号が必須です。",
    ),
    rule(
        "all-entries-needs-valid-institutionNumber",
        "R9012",
        When::Always,
        INFO,
        |b, _| tail(b).iter().all(|r| one_number(r).is_some_and(directory_code)),
        "医療機関番号は10桁の数字です。",
    ),
    rule(
        "condition-needs-contained-of-Encounter",
        "R9013C",
        When::Always,
        INFO,
        |b, _| of_type(b, "Condition").iter().all(|r| contains(r, "JP_Encounter")),
        "Condition には contained の JP_Encounter が必須です。",
    ),
    rule(
        "condition-needs-extension-of-Department",
        "R9014C",
        When::Always,
        INFO,
        |b, _| of_type(b, "Condition").iter().all(department),
        "Condition には診療科が必須です。",
    ),
    rule(
        "condition-needs-onsetDateTime",
        "R9015C",
        When::Always,
        INFO,
        |b, _| of_type(b, "Condition").iter().all(|r| r.child("onsetDateTime").is_some()),
        "Condition には onsetDateTime が必須です。",
    ),
    rule(
        "observation-needs-contained-of-Encounter",
        "R9013O",
        When::Always,
        INFO,
        |b, _| of_type(b, "Observation").iter().all(|r| contains(r, "JP_Encounter")),
        "Observation には contained の JP_Encounter が必須です。",
    ),
    rule(
        "observation-needs-extension-of-Department",
        "R9014O",
        When::Always,
        INFO,
        |b, _| of_type(b, "Observation").iter().all(department),
        "Observation には診療科が必須です。",
    ),
    rule(
        "first-bundle-entry-is-Patient",
        "R0211",
        When::Always,
        INFO,
        |b, _| first(b).is_some_and(|r| r.resource_type() == "Patient"),
        "最初の entry は Patient です。",
    ),
    rule(
        "patients-profile-is-JP-Patient-eCS",
        "R0212",
        When::Always,
        INFO,
        |b, _| first(b).is_some_and(|r| declares(r.value, ECS, "JP_Patient_eCS")),
        "最初の entry は JP_Patient_eCS を宣言しなければなりません。",
    ),
    rule(
        "validEntryProfile-AllergyIntolerance",
        "",
        When::Always,
        INFO,
        |b, m| entry_profile(b, m, "AllergyIntolerance", "JP_AllergyIntolerance_eCS"),
        "AllergyIntolerance は JP_AllergyIntolerance_eCS に準拠しなければなりません。",
    ),
    rule(
        "validEntryProfile-Condition",
        "",
        When::Always,
        INFO,
        |b, m| entry_profile(b, m, "Condition", "JP_Condition_eCS"),
        "Condition は JP_Condition_eCS に準拠しなければなりません。",
    ),
    rule(
        "validEntryProfile-MedicationRequest",
        "",
        When::Always,
        Of::Bundle(&[Kind::Info, Kind::Referral, Kind::Discharge]),
        |b, m| entry_profile(b, m, "MedicationRequest", "JP_MedicationRequest_eCS"),
        "MedicationRequest は JP_MedicationRequest_eCS に準拠しなければなりません。",
    ),
    rule(
        "validEntryProfile-ObservationLabResult",
        "",
        When::Always,
        INFO,
        |b, m| entry_profile(b, m, "Observation", "JP_Observation_LabResult_eCS"),
        "Observation は JP_Observation_LabResult_eCS に準拠しなければなりません。",
    ),
    rule(
        "checkExist-CDASection-or-structuredSection",
        "",
        When::Always,
        Of::Composition(Kind::Discharge),
        cda_or_structure,
        "CDA参照（200）と構造情報（300）のどちらか一方だけが必要です。",
    ),
    rule(
        "checkExist-CDASection-or-CompositionSection",
        "",
        When::Always,
        Of::Composition(Kind::Referral),
        cda_or_structure,
        "CDA参照（200）と構造情報（300）のどちらか一方だけが必要です。",
    ),
    rule(
        "needs-anyOfStandardCode-medication",
        "R3010",
        When::Always,
        MEDICATION,
        |r, _| {
            [names::YJ, names::NOCODED, names::GENERAL_NAME]
                .iter()
                .any(|system| r.having("medicationCodeableConcept.coding", "system", system).len() == 1)
        },
        "医薬品には YJ コード、一般名コード、標準コードなしのいずれかが必須です。",
    ),
    rule(
        "resource-needs-extension-of-institutionNumber",
        "R901101",
        When::Always,
        LAB,
        |r, _| !institutions(r).is_empty(),
        "医療機関番号が必須です。",
    ),
    rule(
        "valid-system-local-patientID",
        "R1010",
        When::Always,
        Of::Patient,
        |p, _| local_id(p, names::PATIENT_OID),
        "施設患者IDの system は urn:oid:1.2.392.100495.20.3.51.1+医療機関番号 です。",
    ),
    rule(
        "valid-system-insurance-patientIdentifier",
        "R1012",
        When::Always,
        Of::Patient,
        one_insured,
        "被保険者個人識別子が1つだけ必須です。",
    ),
    rule(
        "valid-value-insurance-patientIdentifier",
        "R1013",
        When::Always,
        Of::Patient,
        insured_form,
        "被保険者個人識別子は 保険者番号8桁:記号:番号:枝番2桁または空 です。",
    ),
    rule(
        "kanjiName-kanaName-donot-contain-ZenkakuKuuhaku",
        "R1113",
        When::Always,
        Of::Patient,
        no_wide_blank,
        "氏名に全角空白は使えません。",
    ),
    rule(
        "valid-value-institutionNumberExtension",
        "",
        When::Always,
        Of::Institution,
        |e, mode| {
            one_text(e, "valueIdentifier.value").is_some_and(|number| match mode {
                // The published expression is not anchored: twelve digits pass.
                Mode::Published => holds_code(number),
                Mode::Intended => directory_code(number),
            })
        },
        "医療機関番号は 都道府県2桁・点数表1桁・番号7桁 です。",
    ),
    rule(
        "validUsage-MedicationUsage-codesystem",
        "R5020",
        When::Always,
        Of::Dosage,
        |d, _| dummy_usage(d) != real_usage(d),
        "用法コードとダミー用法コードのどちらか一方だけが必要です。",
    ),
    rule(
        "invalidUsage-MedicationUsage-codesystem",
        "R5021",
        When::Always,
        Of::Dosage,
        |d, _| !(dummy_usage(d) && real_usage(d)),
        "用法コードとダミー用法コードの両方は使えません。",
    ),
    rule(
        "bundle-profile-is-JP-Bundle-eCheckupGeneral",
        "R0213",
        When::Always,
        CHECKUPS,
        |b, _| declares(b.value, CLINS, "JP_Bundle_eCheckupGeneral"),
        "Bundle は JP_Bundle_eCheckupGeneral を宣言しなければなりません。",
    ),
    rule(
        "bundle-entry-JP-Patient-CLINS-eCheckupGeneral",
        "",
        When::Always,
        CHECKUPS,
        |b, _| any_declares(b, CLINS, "JP_Patient_eCheckupGeneral"),
        "健診の Patient がありません。",
    ),
    rule(
        "bundle-entry0-JP-Composition-eCheckupGeneral",
        "",
        When::Always,
        CHECKUPS,
        |b, _| first(b).is_some_and(|r| declares(r.value, CHECKUP, "JP_Composition_eCheckupGeneral")),
        "最初の entry は健診の Composition です。",
    ),
    rule(
        "bundle-entry-JP-OrganizationReporter-eCheckupGeneral",
        "",
        When::Always,
        CHECKUPS,
        |b, _| any_declares(b, CHECKUP, "JP_Organization_eCheckupGeneral"),
        "健診の Organization がありません。",
    ),
    rule(
        "bundle-entry-JP-PractitionerReporter-eCheckupGeneral",
        "",
        When::Always,
        CHECKUPS,
        |b, _| any_declares(b, CHECKUP, "JP_Practitioner_eCheckupGeneral"),
        "健診の Practitioner がありません。",
    ),
    rule(
        "bundle-entry-JP-Encounter-eCheckupGeneral",
        "",
        When::Always,
        CHECKUPS,
        |b, _| any_declares(b, CHECKUP, "JP_Encounter_eCheckupGeneral"),
        "健診の Encounter がありません。",
    ),
    rule(
        "composition-profile-is-JP-Composition-eCheckupGeneral",
        "R0213",
        When::Always,
        Of::Composition(Kind::Checkup),
        |c, _| declares(c.value, CHECKUP, "JP_Composition_eCheckupGeneral"),
        "Composition は JP_Composition_eCheckupGeneral を宣言しなければなりません。",
    ),
    rule(
        "valid-system-insurance-patientIdentifier",
        "R1012",
        When::Always,
        Of::CheckupPatient,
        one_insured,
        "被保険者個人識別子が1つだけ必須です。",
    ),
    rule(
        "valid-value-insurance-patientIdentifier",
        "R1013",
        When::Always,
        Of::CheckupPatient,
        insured_form,
        "被保険者個人識別子は 保険者番号8桁:記号:番号:枝番2桁または空 です。",
    ),
    rule(
        "valid-system-local-patientID",
        "R1010",
        When::Always,
        Of::CheckupPatient,
        |p, _| local_id(p, names::PATIENT_OID),
        "施設患者IDの system は urn:oid:1.2.392.100495.20.3.51.1+医療機関番号 です。",
    ),
    rule(
        "either-KanjiName-KanaName-exist",
        "R1112",
        When::Always,
        Of::CheckupPatient,
        |p, _| {
            p.having("name.extension", "url", names::NAME_REPRESENTATION)
                .iter()
                .any(|e| matches!(e.text("valueCode"), Some("IDE" | "SYL")))
        },
        "氏名の漢字かカナのどちらかが必要です。",
    ),
    rule(
        "kanjiName-kanaName-donot-contain-ZenkakuKuuhaku",
        "R1113",
        When::Always,
        Of::CheckupPatient,
        no_wide_blank,
        "氏名に全角空白は使えません。",
    ),
    rule(
        "valid-system-local-patientID-with-institutionNumber",
        "R1011",
        When::Intended,
        Of::Patient,
        |p, _| match one_number(p) {
            // Only where the Patient names its institution; to the letter every Patient would need to.
            None => true,
            Some(number) => {
                starting(p, names::PATIENT_OID).iter().all(|rest| rest.strip_prefix('1') == Some(number))
            }
        },
        "施設患者IDの system と医療機関番号が一致しません。",
    ),
    rule(
        "valid-value-institutionNumber",
        "R1021",
        When::Never("the same as valid-value-institutionNumberExtension"),
        Of::Nothing,
        always,
        "",
    ),
    rule(
        "valid-system-local-doctorID",
        "R1090",
        When::Intended,
        Of::Practitioner,
        |p, _| local_id(p, names::DOCTOR_OID),
        "施設医師IDの system は urn:oid:1.2.392.100495.20.3.41.1+医療機関番号 です。",
    ),
    rule(
        "warning-medication-allergy",
        "R2011",
        When::Hint,
        ALLERGY,
        |r, _| !medication(r) || r.text("criticality") == Some("high"),
        "薬剤アレルギー等であれば criticality は high です。",
    ),
    rule(
        "valid-contraIndication-code",
        "R2012",
        When::Intended,
        ALLERGY,
        |r, _| {
            !(medication(r) && r.text("criticality") == Some("high"))
                || coded(r, &[names::ALLERGEN_BRAND, names::ALLERGEN_GENERIC])
        },
        "薬剤アレルギー等のコードは YJ（YCM）または一般名（GCM）です。",
    ),
    rule(
        "valid-allergy-code",
        "R2013",
        When::Intended,
        ALLERGY,
        |r, _| {
            (medication(r) && r.text("criticality") == Some("high"))
                || coded(
                    r,
                    &[
                        names::ALLERGEN_FOOD,
                        names::ALLERGEN_OTHER,
                        names::ALLERGEN_MEDICINE,
                        names::ALLERGEN_BRAND,
                        names::ALLERGEN_GENERIC,
                    ],
                )
        },
        "アレルギーのコードは J-FAGY です。",
    ),
    rule(
        "needs-anyOfYJorGeneral-medication",
        "R3011",
        When::Never("R3010 took its place: NOCODED is allowed"),
        Of::Nothing,
        always,
        "",
    ),
    rule(
        "needs-localCode-observation-laboresult",
        "R6021",
        When::Intended,
        LAB,
        |r, _| !r.having("code.coding", "system", names::LAB_LOCAL).is_empty(),
        "検査にはローカルコードが必須です。",
    ),
    rule(
        "condition-needs-encounter",
        "R9016C",
        When::Intended,
        INFO,
        |b, _| of_type(b, "Condition").iter().all(|r| r.child("encounter").is_some()),
        "Condition には encounter が必須です。",
    ),
    rule(
        "observation-needs-encounter",
        "R9016O",
        When::Intended,
        INFO,
        |b, _| of_type(b, "Observation").iter().all(|r| r.child("encounter").is_some()),
        "Observation には encounter が必須です。",
    ),
    rule(
        "observation-needs-performer",
        "R9017O",
        When::Intended,
        INFO,
        |b, _| of_type(b, "Observation").iter().all(|r| !r.list("performer").is_empty()),
        "Observation には performer が必須です。",
    ),
    rule(
        "condition-needs-abatementDateTime",
        "R9018C",
        When::Intended,
        INFO,
        // To the letter every diagnosis would have ended.
        |b, _| of_type(b, "Condition").iter().all(|r| !ended(r) || r.child("abatementDateTime").is_some()),
        "終了した Condition には abatementDateTime が必須です。",
    ),
    rule(
        "observation-needs-contained-of-Practitioner",
        "R9019O",
        When::Intended,
        INFO,
        |b, _| of_type(b, "Observation").iter().all(|r| contains(r, "JP_Practitioner")),
        "Observation には contained の JP_Practitioner が必須です。",
    ),
];

/// Definitions in the published file that are parts of R5020 and state nothing alone.
pub const PARTS: [&str; 4] = ["mhlw-check", "mhlw-not-check", "dummy-check", "dummy-not-check"];

pub fn check(bundle: &At, kind: Kind, mode: Mode, report: &mut Report) {
    for rule in &RULES {
        let hint = match (rule.when, mode) {
            (When::Always, _) | (When::Intended, Mode::Intended) => false,
            (When::Hint, Mode::Intended) => true,
            _ => continue,
        };
        for place in places(bundle, kind, rule.of) {
            if !(rule.holds)(&place, mode) {
                let problem = Problem {
                    rule: rule.key.into(),
                    label: rule.label.map(Into::into),
                    location: place.path.clone(),
                    message: rule.message.to_owned(),
                    level: if rule.when == When::Always { Level::Rules } else { Level::Text },
                };
                if hint { report.warnings.push(problem) } else { report.errors.push(problem) }
            }
        }
    }
}

fn places<'a>(bundle: &At<'a>, kind: Kind, of: Of) -> Vec<At<'a>> {
    let patients = || of_type(bundle, "Patient");
    match of {
        Of::Bundle(kinds) if kinds.contains(&kind) => vec![bundle.clone()],
        Of::Composition(wanted) if wanted == kind => of_type(bundle, "Composition"),
        Of::Patient if kind != Kind::Checkup => patients(),
        Of::CheckupPatient if kind == Kind::Checkup => patients(),
        Of::Resource(name, profile) => {
            let mut found = of_type(bundle, name);
            found.retain(|r| kind == Kind::Info || declares(r.value, ECS, profile));
            found
        }
        Of::Dosage => {
            let requests = places(bundle, kind, MEDICATION);
            requests.iter().flat_map(|r| r.list("dosageInstruction")).collect()
        }
        Of::Institution => below(bundle, |at| at.text("url") == Some(names::INSTITUTION_EXTENSION)),
        Of::Practitioner => below(bundle, |at| at.resource_type() == "Practitioner"),
        _ => vec![],
    }
}

/// Places of a Bundle's own resources, not of a Bundle nested in it.
fn below<'a>(bundle: &At<'a>, wanted: fn(&At) -> bool) -> Vec<At<'a>> {
    let mut found = vec![];
    for resource in resources(bundle).iter().filter(|r| r.resource_type() != "Bundle") {
        resource.walk(&mut |at| {
            if wanted(at) {
                found.push(at.clone());
            }
        });
    }
    found
}

const INFORMATION: [&str; 3] = ["AllergyIntolerance", "Observation", "Condition"];

fn always(_: &At, _: Mode) -> bool {
    true
}

fn of_type<'a>(bundle: &At<'a>, name: &str) -> Vec<At<'a>> {
    let mut all = resources(bundle);
    all.retain(|r| r.resource_type() == name);
    all
}

fn first<'a>(bundle: &At<'a>) -> Option<At<'a>> {
    bundle.list("entry").first()?.child("resource")
}

fn tail<'a>(bundle: &At<'a>) -> Vec<At<'a>> {
    bundle.list("entry").iter().skip(1).filter_map(|e| e.child("resource")).collect()
}

fn type_tags<'a>(bundle: &At<'a>) -> Vec<At<'a>> {
    bundle.having("meta.tag", "system", names::BUNDLE_TYPE_TAG)
}

fn holds_designated(bundle: &At, _: Mode) -> bool {
    let tags = type_tags(bundle);
    let codes: Vec<&str> = tags.iter().filter_map(|t| t.text("code")).collect();
    matches!(codes[..], [code] if INFORMATION.contains(&code) && !of_type(bundle, code).is_empty())
}

fn one_value<'a>(found: &[At<'a>]) -> Option<&'a str> {
    match found {
        [one] => one.text("value"),
        _ => None,
    }
}

fn one_text<'a>(at: &At<'a>, path: &str) -> Option<&'a str> {
    match at.strings(path)[..] {
        [one] => Some(one),
        _ => None,
    }
}

fn institutions<'a>(resource: &At<'a>) -> Vec<At<'a>> {
    resource.having("extension", "url", names::INSTITUTION_EXTENSION)
}

/// The institution number of a resource that has exactly one.
fn one_number<'a>(resource: &At<'a>) -> Option<&'a str> {
    match &institutions(resource)[..] {
        [one] => one_text(one, "valueIdentifier.value"),
        _ => None,
    }
}

fn department(resource: &At) -> bool {
    !resource.having("extension", "url", names::DEPARTMENT_EXTENSION).is_empty()
}

/// A contained resource whose only profile is exactly this one of JP Core.
fn contains(resource: &At, name: &str) -> bool {
    resource.list("contained").iter().any(|c| {
        let mut all = profiles(c.value);
        let same = all.next().and_then(|p| p.strip_prefix(CORE)) == Some(name);
        same && all.next().is_none()
    })
}

fn any_declares(bundle: &At, base: &str, name: &str) -> bool {
    resources(bundle).iter().any(|r| declares(r.value, base, name))
}

/// To the letter this fails where a profile has its version, and passes with a foreign one (national-service.md §4, 1).
fn entry_profile(bundle: &At, mode: Mode, kind: &str, name: &str) -> bool {
    let found = of_type(bundle, kind);
    let url = format!("{ECS}{name}");
    match mode {
        Mode::Intended => found.iter().all(|r| declares(r.value, ECS, name)),
        Mode::Published => {
            let mut all = found.iter().flat_map(|r| profiles(r.value));
            let versioned =
                |p: &str| p.find('|').is_some_and(|at| at > 0 && p.get(..at) == Some(url.as_str()));
            // Whoever has a version is not the bare URL either, which is the expression's other half.
            !all.any(versioned)
        }
    }
}

fn cda_or_structure(composition: &At, _: Mode) -> bool {
    let has = |code: &str| !composition.having("section.code.coding", "code", code).is_empty();
    has("200") != has("300")
}

/// What follows this beginning, in each identifier.system that has it.
fn starting<'a>(resource: &At<'a>, beginning: &str) -> Vec<&'a str> {
    resource.strings("identifier.system").into_iter().filter_map(|s| s.strip_prefix(beginning)).collect()
}

fn local_id(resource: &At, beginning: &str) -> bool {
    match starting(resource, beginning)[..] {
        [] => true,
        [one] => one.strip_prefix('1').is_some_and(directory_code),
        _ => false,
    }
}

fn insured<'a>(patient: &At<'a>) -> Vec<At<'a>> {
    patient.having("identifier", "system", names::INSURED)
}

fn one_insured(patient: &At, _: Mode) -> bool {
    insured(patient).len() == 1
}

fn insured_form(patient: &At, _: Mode) -> bool {
    one_value(&insured(patient)).is_some_and(insured_identifier)
}

/// `^[0-9]{8}:[^:^\s^　]*:[^:^\s^　]*:(.{0}|[0-9][0-9])$`
pub fn insured_identifier(text: &str) -> bool {
    let digits = |s: &str, n: usize| s.len() == n && s.bytes().all(|b| b.is_ascii_digit());
    let word = |s: &str| !s.contains(|c: char| c == '^' || c == '\u{3000}' || c.is_ascii_whitespace());
    match text.split(':').collect::<Vec<_>>()[..] {
        [insurer, symbol, number, branch] => {
            digits(insurer, 8) && word(symbol) && word(number) && (branch.is_empty() || digits(branch, 2))
        }
        _ => false,
    }
}

/// `^[0-4][0-9][1-3][0-9]{7}\^20[2-3][0-9]\^[A-Za-z0-9\-]{1,36}$`
pub fn bundle_identifier(text: &str) -> bool {
    match text.split('^').collect::<Vec<_>>()[..] {
        [institution, year, local] => {
            let year_good = match year.as_bytes() {
                [b'2', b'0', b'2' | b'3', last] => last.is_ascii_digit(),
                _ => false,
            };
            let letter = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
            directory_code(institution)
                && year_good
                && (1..=36).contains(&local.len())
                && local.bytes().all(letter)
        }
        _ => false,
    }
}

/// Whether ten characters in a row are an institution number.
fn holds_code(text: &str) -> bool {
    (0..text.len()).any(|at| text.get(at..at + 10).is_some_and(directory_code))
}

fn no_wide_blank(patient: &At, _: Mode) -> bool {
    let marked = |name: &At| !name.having("extension", "url", names::NAME_REPRESENTATION).is_empty();
    !patient.list("name").iter().any(|n| marked(n) && n.text("text").is_some_and(|t| t.contains('\u{3000}')))
}

fn dummy_usage(dosage: &At) -> bool {
    let dummies = dosage.having("timing.code.coding", "system", names::USAGE_DUMMY);
    dummies.iter().any(|c| c.text("code") == Some(names::USAGE_DUMMY_CODE))
}

fn real_usage(dosage: &At) -> bool {
    !dosage.having("timing.code.coding", "system", names::USAGE).is_empty()
}

fn medication(allergy: &At) -> bool {
    allergy.strings("category").contains(&"medication")
}

fn coded(resource: &At, systems: &[&str]) -> bool {
    resource.strings("code.coding.system").iter().any(|system| systems.contains(system))
}

fn ended(condition: &At) -> bool {
    condition
        .strings("clinicalStatus.coding.code")
        .iter()
        .any(|code| matches!(*code, "inactive" | "remission" | "resolved"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_are_those_of_the_expressions() {
        for good in ["1319900018^2025^A", "4739900018^2039^Abc-9"] {
            assert!(bundle_identifier(good), "{good}");
        }
        let long = format!("1319900018^2025^{}", "A".repeat(37));
        for bad in [
            "1349900018^2025^A",
            "1319900018^2014^A",
            "1319900018^2025^",
            "1319900018^2025^A_b",
            "1319900018^2025^A^B",
            long.as_str(),
        ] {
            assert!(!bundle_identifier(bad), "{bad}");
        }
        for good in ["06990011:１２３:４５６７:01", "39990019::90012345:", "12345678:::"] {
            assert!(insured_identifier(good), "{good}");
        }
        for bad in [
            "6990011:1:2:01",
            "06990011:1:2:1",
            "06990011:1:2",
            "06990011:1 2:3:01",
            "06990011:1　2:3:01",
            "06990011:1:2:3:01",
        ] {
            assert!(!insured_identifier(bad), "{bad}");
        }
        assert!(holds_code("131990001899") && !directory_code("131990001899") && !holds_code("1349900018"));
    }

    #[test]
    fn each_row_has_a_place_or_a_reason() {
        for rule in &RULES {
            let never = matches!(rule.when, When::Never(reason) if !reason.is_empty());
            assert_eq!(never, rule.of == Of::Nothing, "{}", rule.key);
        }
    }

    #[test]
    fn every_published_rule_has_its_row() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus/jp-clins/rules.json");
        let published: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        let published: Vec<&serde_json::Value> =
            published.as_array().or(published["rules"].as_array()).unwrap().iter().collect();
        assert_eq!(published.len(), 64);
        for one in &published {
            let (key, label) = (one["key"].as_str().unwrap(), one["label"].as_str());
            let rows: Vec<&Rule> = RULES.iter().filter(|r| r.key == key && r.label == label).collect();
            assert!(rows.is_empty() == PARTS.contains(&key), "RULES needs a row for {key}");
            assert!(rows.iter().all(|r| (r.when == When::Always) == (one["attached"] == true)), "{key}");
        }
        for rule in &RULES {
            let of =
                |one: &&&serde_json::Value| one["key"] == rule.key && one["label"].as_str() == rule.label;
            assert!(published.iter().any(|one| of(&one)), "{} is not published", rule.key);
        }
    }
}
