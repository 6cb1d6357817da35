//! Rules one by one: what the publication's own say in English and how they are met; how this house reads those that
//! contradict themselves; and those of the guide's text that no profile carries (JP-CLINS 1.5.3; docs/preflight.md).
//!
//! The published expressions are not here: they come from the package. An expression stands in a row only where it takes
//! the place of a published one (`instead`) or where none is published.

use super::finding::{Finding, Severity};
use crate::fhirpath::Expression;
use std::sync::OnceLock;

pub struct Row {
    pub key: &'static str,
    /// Where it differs from the number in the published text, or nothing is published.
    pub label: Option<&'static str>,
    pub role: Role,
    /// The profiles it belongs to; none: any that has the key.
    pub profiles: &'static [&'static str],
    pub severity: Severity,
    /// What is evaluated in mode `intended`.
    pub expression: Option<&'static str>,
    /// What of the resource the finding shows.
    pub shows: Option<&'static str>,
    pub message: &'static str,
    pub message_ja: &'static str,
    pub hint: &'static str,
    pub hint_ja: &'static str,
}

/// Value sets bound where they refuse every correct document: the sections of a discharge summary are bound to the
/// codes of a referral's, while the profile fixes its own. Applied in neither mode.
pub const NOT_APPLIED: &[&str] = &["http://jpfhir.jp/fhir/eDischargeSummary/ValueSet/document-section"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Published and taken as it is.
    Published,
    /// Published, and read otherwise in mode `intended`.
    Instead,
    /// Demanded by the guide's text, attached to no profile: checked in mode `intended`.
    Unattached,
}

pub struct Settled {
    pub row: &'static Row,
    pub instead: Option<Expression>,
    pub shows: Option<Expression>,
}

const CLINS: &str = "http://jpfhir.jp/fhir/clins/StructureDefinition/JP_Bundle_CLINS";
const PATIENT: &str = "http://jpfhir.jp/fhir/eCS/StructureDefinition/JP_Patient_eCS";
const PRACTITIONER: &str = "http://jpfhir.jp/fhir/eCS/StructureDefinition/JP_Practitioner_eCS";
const AUTHOR: &str = "http://jpfhir.jp/fhir/eCS/StructureDefinition/JP_Practitioner_eCS_author";
const LAB: &str = "http://jpfhir.jp/fhir/eCS/StructureDefinition/JP_Observation_LabResult_eCS";
const ALLERGY: &str = "http://jpfhir.jp/fhir/eCS/StructureDefinition/JP_AllergyIntolerance_eCS";

use Role::{Instead, Published, Unattached};
use Severity::{Error, Warning};

/// A published rule: key, what it shows, message, hint in both languages. Its Japanese message is the package's own.
macro_rules! published {
    ($key:literal, $shows:expr, $message:literal, $hint:literal, $hint_ja:literal) => {
        Row {
            key: $key,
            label: None,
            role: Published,
            profiles: &[],
            severity: Error,
            expression: None,
            shows: $shows,
            message: $message,
            message_ja: "",
            hint: $hint,
            hint_ja: $hint_ja,
        }
    };
}

const BUNDLE_ID: Option<&str> = Some("identifier.value");
const BUNDLE_TAG: Option<&str> = Some("meta.tag.code");
const PROFILES: Option<&str> = Some("meta.profile");
const INSURED: Option<&str> =
    Some("identifier.where(system='http://jpfhir.jp/fhir/clins/Idsystem/JP_Insurance_memberID').value");
const NUMBERS: Option<&str> = Some(
    "entry.resource.extension.where(url='http://jpfhir.jp/fhir/clins/Extension/StructureDefinition/JP_eCS_InstitutionNumber').value.ofType(Identifier).value.distinct()",
);
const USAGE: Option<&str> = Some("timing.code.coding.code");

pub const TABLE: &[Row] = &[
    published!(
        "bundle-profile-is-JP-Bundle-CLINS",
        PROFILES,
        "the Bundle declares the profile JP_Bundle_CLINS",
        "write http://jpfhir.jp/fhir/clins/StructureDefinition/JP_Bundle_CLINS into meta.profile",
        "meta.profileに http://jpfhir.jp/fhir/clins/StructureDefinition/JP_Bundle_CLINS を書いてください"
    ),
    published!(
        "bundle-profile-is-JP-Bundle-eCheckupGeneral",
        PROFILES,
        "the Bundle declares the profile JP_Bundle_eCheckupGeneral below clins",
        "write http://jpfhir.jp/fhir/clins/StructureDefinition/JP_Bundle_eCheckupGeneral into meta.profile",
        "meta.profileに http://jpfhir.jp/fhir/clins/StructureDefinition/JP_Bundle_eCheckupGeneral を書いてください"
    ),
    published!(
        "composition-profile-is-JP-Composition-eCheckupGeneral",
        PROFILES,
        "the Composition declares the profile JP_Composition_eCheckupGeneral",
        "write the profile into Composition.meta.profile",
        "Composition.meta.profileにプロファイルを書いてください"
    ),
    published!(
        "bundle-meta-tag-resourceType-exists",
        BUNDLE_TAG,
        "meta.tag tells the type of the resources",
        "add a tag of BundleResourceType_CS",
        "meta.tagにBundleResourceType_CSのタグを加えてください"
    ),
    published!(
        "bundle-meta-tag-resourceType-valid",
        BUNDLE_TAG,
        "the type of the resources is AllergyIntolerance, Condition or Observation",
        "send medicines inside documents only",
        "処方は単独では送れません。タグを3種のいずれかにしてください"
    ),
    published!(
        "mustHaveOneMoreResources-with-designatedResourceType",
        BUNDLE_TAG,
        "at least one resource of the tagged type is there",
        "make the tag and the content agree; withdraw a whole unit by cancelling it",
        "タグと内容を一致させてください(全件取り消しは取消操作で行います)"
    ),
    published!(
        "valid-system-bundleIdenfifier",
        Some("identifier.system"),
        "Bundle.identifier.system is the one of document ids",
        "write http://jpfhir.jp/fhir/clins/bundle-identifier",
        "http://jpfhir.jp/fhir/clins/bundle-identifier と書いてください"
    ),
    published!(
        "valid-value-bundleIdenfifier",
        BUNDLE_ID,
        "the document id is institution^year^up to 36 letters, digits and hyphens",
        "e.g. 1319900018^2025^LAB-1",
        "例: 1319900018^2025^LAB-1"
    ),
    published!(
        "all-entries-needs-extension-of-institutionNumber",
        None,
        "every resource but the Patient has the institution's number",
        "add the extension JP_eCS_InstitutionNumber",
        "JP_eCS_InstitutionNumber拡張を加えてください"
    ),
    published!(
        "all-entries-needs-valid-institutionNumber",
        NUMBERS,
        "the institution's number is prefecture (2), 1 to 3, and 7 digits",
        "write the 10 digits",
        "都道府県2桁+点数表1桁(1〜3)+7桁の10桁で書いてください"
    ),
    published!(
        "condition-needs-contained-of-Encounter",
        None,
        "every Condition contains an Encounter of the profile JP_Encounter, named exactly so",
        "contain one whose meta.profile is http://jpfhir.jp/fhir/core/StructureDefinition/JP_Encounter without a version",
        "containedにmeta.profileが http://jpfhir.jp/fhir/core/StructureDefinition/JP_Encounter (版なし)のEncounterを入れてください"
    ),
    published!(
        "observation-needs-contained-of-Encounter",
        None,
        "every Observation contains an Encounter of the profile JP_Encounter, named exactly so",
        "contain one whose meta.profile is http://jpfhir.jp/fhir/core/StructureDefinition/JP_Encounter without a version",
        "containedにmeta.profileが http://jpfhir.jp/fhir/core/StructureDefinition/JP_Encounter (版なし)のEncounterを入れてください"
    ),
    published!(
        "condition-needs-extension-of-Department",
        None,
        "every Condition has the department",
        "add the extension JP_eCS_Department",
        "JP_eCS_Department拡張(診療科)を加えてください"
    ),
    published!(
        "observation-needs-extension-of-Department",
        None,
        "every Observation has the department",
        "add the extension JP_eCS_Department",
        "JP_eCS_Department拡張(診療科)を加えてください"
    ),
    Row {
        label: Some("R9015C"),
        ..published!(
            "condition-needs-onsetDateTime",
            None,
            "every Condition has onsetDateTime (the published text calls this R9013C)",
            "write the date of onset or of the start of treatment",
            "発症日(または診療開始日)をonsetDateTimeに書いてください"
        )
    },
    published!(
        "first-bundle-entry-is-Patient",
        Some("entry.first().resource.type().name"),
        "the first entry is the Patient",
        "put the Patient first",
        "Patientを最初のentryにしてください"
    ),
    published!(
        "patients-profile-is-JP-Patient-eCS",
        Some("entry.first().resource.meta.profile"),
        "the Patient declares JP_Patient_eCS",
        "write http://jpfhir.jp/fhir/eCS/StructureDefinition/JP_Patient_eCS into its meta.profile",
        "meta.profileに http://jpfhir.jp/fhir/eCS/StructureDefinition/JP_Patient_eCS を書いてください"
    ),
    published!(
        "checkExist-CDASection-or-structuredSection",
        Some("section.code.coding.code"),
        "either section 200 or section 300",
        "keep one of them",
        "200か300のどちらか一方だけにしてください"
    ),
    published!(
        "checkExist-CDASection-or-CompositionSection",
        Some("section.code.coding.code"),
        "either section 200 or section 300",
        "keep one of them",
        "200か300のどちらか一方だけにしてください"
    ),
    published!(
        "needs-anyOfStandardCode-medication",
        Some("medication.coding.system"),
        "a medicine has a YJ code, a general-name code or NOCODED, one of each at most",
        "add one of the three",
        "YJコード、一般名処方コード、標準コードなし(NOCODED)のいずれかを加えてください"
    ),
    published!(
        "resource-needs-extension-of-institutionNumber",
        None,
        "the resource has the institution's number",
        "add the extension JP_eCS_InstitutionNumber",
        "JP_eCS_InstitutionNumber拡張を加えてください"
    ),
    published!(
        "valid-system-local-patientID",
        Some("identifier.system.where($this.startsWith('urn:oid:1.2.392.100495.20.3.51.'))"),
        "the facility's patient id has the system urn:oid:1.2.392.100495.20.3.51.1 + institution number",
        "write 1 and the 10 digits after the last point",
        "末尾を 1+医療機関番号10桁 にしてください"
    ),
    published!(
        "valid-system-insurance-patientIdentifier",
        None,
        "exactly one insured person's identifier",
        "add the identifier of JP_Insurance_memberID from the online qualification",
        "オンライン資格確認で得た被保険者識別子(JP_Insurance_memberID)を1つ書いてください"
    ),
    published!(
        "valid-value-insurance-patientIdentifier",
        INSURED,
        "insurer (8 digits):記号:番号:枝番 (2 digits or empty), without spaces",
        "pad the insurer with zeros; keep all three colons; leave a missing 枝番 empty",
        "保険者番号は8桁に0埋めし、コロンは必ず3つ、枝番がなければ空にしてください"
    ),
    published!(
        "kanjiName-kanaName-donot-contain-ZenkakuKuuhaku",
        Some("name.text"),
        "no full-width space in a name marked IDE or SYL",
        "write a half-width space",
        "姓と名の間は半角空白にしてください"
    ),
    published!(
        "either-KanjiName-KanaName-exist",
        None,
        "a name in kanji or kana",
        "add a name with the extension IDE or SYL",
        "IDEまたはSYLの拡張を付けた氏名を加えてください"
    ),
    published!(
        "validUsage-MedicationUsage-codesystem",
        USAGE,
        "either the e-prescription usage code or the dummy code",
        "write one of the two",
        "電子処方箋の用法コードかダミー用法コードのどちらか一方を書いてください"
    ),
    published!(
        "invalidUsage-MedicationUsage-codesystem",
        USAGE,
        "never both the e-prescription usage code and the dummy code",
        "remove the dummy",
        "ダミー用法コードを削ってください"
    ),
    published!(
        "bundle-entry-JP-Patient-CLINS-eCheckupGeneral",
        Some("entry.resource.ofType(Patient).meta.profile"),
        "an entry declares JP_Patient_eCheckupGeneral below clins",
        "write http://jpfhir.jp/fhir/clins/StructureDefinition/JP_Patient_eCheckupGeneral",
        "http://jpfhir.jp/fhir/clins/StructureDefinition/JP_Patient_eCheckupGeneral と書いてください"
    ),
    published!(
        "bundle-entry0-JP-Composition-eCheckupGeneral",
        Some("entry.first().resource.type().name"),
        "the first entry declares JP_Composition_eCheckupGeneral",
        "put the Composition first",
        "Compositionを最初のentryにしてください"
    ),
    published!(
        "bundle-entry-JP-OrganizationReporter-eCheckupGeneral",
        None,
        "an entry declares JP_Organization_eCheckupGeneral",
        "add the Organization",
        "健診実施機関のOrganizationを加えてください"
    ),
    published!(
        "bundle-entry-JP-PractitionerReporter-eCheckupGeneral",
        None,
        "an entry declares JP_Practitioner_eCheckupGeneral",
        "add the Practitioner",
        "Practitionerを加えてください"
    ),
    published!(
        "bundle-entry-JP-Encounter-eCheckupGeneral",
        None,
        "an entry declares JP_Encounter_eCheckupGeneral",
        "add the Encounter",
        "Encounterを加えてください"
    ),
    // Contradictions (docs/preflight.md, "Settled")
    Row {
        key: "validEntryProfile-AllergyIntolerance",
        label: None,
        role: Instead,
        profiles: &[],
        severity: Error,
        expression: Some(
            "entry.resource.ofType(AllergyIntolerance).all(meta.profile.where($this = 'http://jpfhir.jp/fhir/eCS/StructureDefinition/JP_AllergyIntolerance_eCS' or $this.startsWith('http://jpfhir.jp/fhir/eCS/StructureDefinition/JP_AllergyIntolerance_eCS|')).exists())",
        ),
        shows: Some("entry.resource.ofType(AllergyIntolerance).meta.profile.distinct()"),
        message: "every AllergyIntolerance declares JP_AllergyIntolerance_eCS",
        message_ja: "",
        hint: "write the profile into its meta.profile, best without a version",
        hint_ja: "meta.profileにプロファイルを(版なしで)書いてください",
    },
    Row {
        key: "validEntryProfile-Condition",
        label: None,
        role: Instead,
        profiles: &[],
        severity: Error,
        expression: Some(
            "entry.resource.ofType(Condition).all(meta.profile.where($this = 'http://jpfhir.jp/fhir/eCS/StructureDefinition/JP_Condition_eCS' or $this.startsWith('http://jpfhir.jp/fhir/eCS/StructureDefinition/JP_Condition_eCS|')).exists())",
        ),
        shows: Some("entry.resource.ofType(Condition).meta.profile.distinct()"),
        message: "every Condition declares JP_Condition_eCS",
        message_ja: "",
        hint: "write the profile into its meta.profile, best without a version",
        hint_ja: "meta.profileにプロファイルを(版なしで)書いてください",
    },
    Row {
        key: "validEntryProfile-ObservationLabResult",
        label: None,
        role: Instead,
        profiles: &[CLINS],
        severity: Error,
        expression: Some(
            "entry.resource.ofType(Observation).all(meta.profile.where($this = 'http://jpfhir.jp/fhir/eCS/StructureDefinition/JP_Observation_LabResult_eCS' or $this.startsWith('http://jpfhir.jp/fhir/eCS/StructureDefinition/JP_Observation_LabResult_eCS|')).exists())",
        ),
        shows: Some("entry.resource.ofType(Observation).meta.profile.distinct()"),
        message: "every Observation declares JP_Observation_LabResult_eCS",
        message_ja: "",
        hint: "write the profile into its meta.profile, best without a version",
        hint_ja: "meta.profileにプロファイルを(版なしで)書いてください",
    },
    Row {
        key: "validEntryProfile-MedicationRequest",
        label: None,
        role: Instead,
        profiles: &[],
        severity: Error,
        expression: Some(
            "entry.resource.ofType(MedicationRequest).all(meta.profile.where($this = 'http://jpfhir.jp/fhir/eCS/StructureDefinition/JP_MedicationRequest_eCS' or $this.startsWith('http://jpfhir.jp/fhir/eCS/StructureDefinition/JP_MedicationRequest_eCS|')).exists())",
        ),
        shows: Some("entry.resource.ofType(MedicationRequest).meta.profile.distinct()"),
        message: "every MedicationRequest declares JP_MedicationRequest_eCS",
        message_ja: "",
        hint: "write the profile into its meta.profile, best without a version",
        hint_ja: "meta.profileにプロファイルを(版なしで)書いてください",
    },
    Row {
        key: "valid-value-institutionNumberExtension",
        label: None,
        role: Instead,
        profiles: &[],
        severity: Error,
        expression: Some("value.ofType(Identifier).value.matches('^[0-4][0-9][1-3][0-9]{7}$')"),
        shows: Some("value.ofType(Identifier).value"),
        message: "the institution's number is 10 digits and nothing more",
        message_ja: "",
        hint: "write prefecture (2), 1 to 3, and 7 digits",
        hint_ja: "都道府県2桁+点数表1桁(1〜3)+7桁の10桁で書いてください",
    },
    // Demanded by the text alone
    Row {
        key: "needs-localCode-observation-laboresult",
        label: Some("R6021"),
        role: Unattached,
        profiles: &[LAB],
        severity: Error,
        expression: Some(
            "code.coding.where(system ='http://jpfhir.jp/fhir/clins/CodeSystem/JP_CLINS_ObsLabResult_LocalCode_CS').exists()",
        ),
        shows: Some("code.coding.system"),
        message: "a result carries the laboratory's own code",
        message_ja: "R6021:検査結果のcode.codingには、ローカルコードが必須です。",
        hint: "add a coding of JP_CLINS_ObsLabResult_LocalCode_CS",
        hint_ja: "JP_CLINS_ObsLabResult_LocalCode_CSのコードを加えてください",
    },
    Row {
        key: "condition-needs-encounter",
        label: Some("R9016C"),
        role: Unattached,
        profiles: &[CLINS],
        severity: Error,
        expression: Some("entry.select(resource as Condition).all(encounter.exists())"),
        shows: None,
        message: "every Condition refers to its Encounter",
        message_ja: "R9016C:すべてのConditionにencounterが必須です。",
        hint: "refer to the contained Encounter",
        hint_ja: "containedのEncounterを参照してください",
    },
    Row {
        key: "observation-needs-encounter",
        label: Some("R9016O"),
        role: Unattached,
        profiles: &[CLINS],
        severity: Error,
        expression: Some("entry.select(resource as Observation).all(encounter.exists())"),
        shows: None,
        message: "every Observation refers to its Encounter",
        message_ja: "R9016O:すべてのObservationにencounterが必須です。",
        hint: "refer to the contained Encounter",
        hint_ja: "containedのEncounterを参照してください",
    },
    Row {
        key: "observation-needs-performer",
        label: Some("R9017O"),
        role: Unattached,
        profiles: &[CLINS],
        severity: Error,
        expression: Some("entry.select(resource as Observation).all(performer.exists())"),
        shows: None,
        message: "every Observation names its performer",
        message_ja: "R9017O:すべてのObservationにperformerが必須です。",
        hint: "refer to the contained Practitioner",
        hint_ja: "containedのPractitionerを参照してください",
    },
    Row {
        key: "observation-needs-contained-of-Practitioner",
        label: Some("R9019O"),
        role: Unattached,
        profiles: &[CLINS],
        severity: Error,
        expression: Some(
            "entry.select(resource as Observation).all(contained.meta.where(profile='http://jpfhir.jp/fhir/core/StructureDefinition/JP_Practitioner').exists())",
        ),
        shows: None,
        message: "every Observation contains a Practitioner of the profile JP_Practitioner",
        message_ja: "R9019O:すべてのObservationに、containedのJP_Practitionerが必須です。",
        hint: "contain the Practitioner who ordered or is responsible",
        hint_ja: "containedに担当医のPractitionerを入れてください",
    },
    Row {
        key: "valid-system-local-doctorID",
        label: Some("R1090"),
        role: Unattached,
        profiles: &[PRACTITIONER, AUTHOR],
        severity: Error,
        expression: Some(
            "identifier.where(system.startsWith('urn:oid:1.2.392.100495.20.3.41.')).all(system.substring(31).matches('^1[0-4][0-9][1-3][0-9]{7}$'))",
        ),
        shows: Some("identifier.system"),
        message: "the facility's doctor id has the system urn:oid:1.2.392.100495.20.3.41.1 + institution number",
        message_ja: "R1090:施設医師IDのidentifier.systemは、urn:oid:1.2.392.100495.20.3.41.[1+施設番号10桁]です。",
        hint: "write 1 and the 10 digits after the last point",
        hint_ja: "末尾を 1+医療機関番号10桁 にしてください",
    },
    Row {
        key: "valid-system-local-patientID-with-institutionNumber",
        label: Some("R1011"),
        role: Unattached,
        profiles: &[PATIENT],
        severity: Error,
        expression: Some(
            "extension('http://jpfhir.jp/fhir/clins/Extension/StructureDefinition/JP_eCS_InstitutionNumber').empty() or identifier.where(system.startsWith('urn:oid:1.2.392.100495.20.3.51.')).all(system.substring(31) = '1' + %context.extension('http://jpfhir.jp/fhir/clins/Extension/StructureDefinition/JP_eCS_InstitutionNumber').value.ofType(Identifier).value)",
        ),
        shows: Some("identifier.system"),
        message: "the facility's patient id is of the institution the Patient names",
        message_ja: "R1011:施設患者IDのidentifier.systemの施設番号は、拡張の医療機関番号と一致しなければなりません。",
        hint: "write one institution in both places",
        hint_ja: "両方に同じ医療機関番号を書いてください",
    },
    Row {
        key: "warning-medication-allergy",
        label: Some("R2011"),
        role: Unattached,
        profiles: &[ALLERGY],
        severity: Warning,
        expression: Some(
            "(category.where($this='medication').exists() and criticality='high') or (category.where($this='medication').exists()).not()",
        ),
        shows: Some("criticality"),
        message: "an allergy to a medicine usually has criticality high",
        message_ja: "注意喚起:R2011:薬剤アレルギー等では通常criticalityを\"high\"とします。",
        hint: "check the criticality",
        hint_ja: "criticalityを確かめてください",
    },
];

fn all() -> &'static [Settled] {
    static ALL: OnceLock<Vec<Settled>> = OnceLock::new();
    ALL.get_or_init(|| {
        let parse = |text: Option<&str>| text.and_then(|text| Expression::parse(text).ok());
        TABLE
            .iter()
            .map(|row| Settled { row, instead: parse(row.expression), shows: parse(row.shows) })
            .collect()
    })
}

/// The row of a published rule in a profile.
pub fn find(key: &str, profile: &str) -> Option<&'static Settled> {
    all().iter().find(|s| {
        s.row.role != Unattached
            && s.row.key == key
            && (s.row.profiles.is_empty() || s.row.profiles.contains(&profile))
    })
}

/// Rules no profile carries.
pub fn unattached() -> impl Iterator<Item = &'static Settled> {
    all().iter().filter(|s| s.row.role == Unattached)
}

/// The number a published text begins with: `R0213:…`, `R1113- …`, `注意喚起：R2011:…`.
pub fn label(text: &str) -> Option<String> {
    let at = text.find('R')?;
    if at > 24 {
        return None;
    }
    let rest = &text[at + 1..];
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let letters = rest[digits..].bytes().take_while(u8::is_ascii_uppercase).count();
    (digits >= 3).then(|| text[at..=at + digits + letters].to_owned())
}

/// What to do about it, into the finding.
pub fn hints(settled: Option<&Settled>, finding: &mut Finding) {
    let (hint, hint_ja) = match settled {
        Some(s) => (s.row.hint, s.row.hint_ja),
        None => ("see the profile's text of the rule", "プロファイルのその規則の説明を見てください"),
    };
    finding.hint = hint.to_owned();
    finding.hint_ja = hint_ja.to_owned();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_whole() {
        for row in TABLE {
            for text in [row.expression, row.shows].into_iter().flatten() {
                Expression::parse(text).unwrap_or_else(|e| panic!("{}: {e}", row.key));
            }
            assert_eq!(row.expression.is_some(), row.role != Published, "{}", row.key);
            assert_eq!(row.message_ja.is_empty(), row.role != Unattached, "{}", row.key);
            assert!(TABLE.iter().filter(|r| r.key == row.key).count() == 1, "{} stands twice", row.key);
        }
    }

    #[test]
    fn labels() {
        assert_eq!(label("R0213:Bundleは"), Some("R0213".into()));
        assert_eq!(label("R9013C:x"), Some("R9013C".into()));
        assert_eq!(label("R1113- 患者"), Some("R1113".into()));
        assert_eq!(label("注意喚起：R2011:x"), Some("R2011".into()));
        assert_eq!(label("Required"), None);
        assert_eq!(label("施設番号"), None);
    }
}
