//! Names of the published profiles and code systems (national-service.md §2).

/// The beginning of the eCS profiles of resources.
pub const ECS: &str = "http://jpfhir.jp/fhir/eCS/StructureDefinition/";
pub const CLINS: &str = "http://jpfhir.jp/fhir/clins/StructureDefinition/";
pub const CORE: &str = "http://jpfhir.jp/fhir/core/StructureDefinition/";
pub const CHECKUP: &str = "http://jpfhir.jp/fhir/eCheckup/StructureDefinition/";

pub const BUNDLE_IDENTIFIER: &str = "http://jpfhir.jp/fhir/clins/bundle-identifier";
pub const BUNDLE_TYPE_TAG: &str = "http://jpfhir.jp/fhir/clins/CodeSystem/BundleResourceType_CS";
pub const INDICATION: &str = "http://jpfhir.jp/fhir/clins/CodeSystem/JP_ehrshrs_indication";
pub const INSURED: &str = "http://jpfhir.jp/fhir/clins/Idsystem/JP_Insurance_memberID";
pub const INSTITUTION: &str = "http://jpfhir.jp/fhir/core/IdSystem/insurance-medical-institution-no";
pub const INSTITUTION_EXTENSION: &str =
    "http://jpfhir.jp/fhir/clins/Extension/StructureDefinition/JP_eCS_InstitutionNumber";
pub const DEPARTMENT_EXTENSION: &str =
    "http://jpfhir.jp/fhir/eCS/Extension/StructureDefinition/JP_eCS_Department";
pub const INSTANCE: &str = "http://jpfhir.jp/fhir/core/IdSystem/resourceInstance-identifier";
pub const NAME_REPRESENTATION: &str = "http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation";
/// Before `1` and the institution: a facility's patient id, a facility's doctor id.
pub const PATIENT_OID: &str = "urn:oid:1.2.392.100495.20.3.51.";
pub const DOCTOR_OID: &str = "urn:oid:1.2.392.100495.20.3.41.";

pub const YJ: &str = "http://capstandard.jp/iyaku.info/CodeSystem/YJ-code";
pub const NOCODED: &str = "http://jpfhir.jp/fhir/eCS/CodeSystem/MedicationCodeNocoded_CS";
pub const GENERAL_NAME: &str = "http://jpfhir.jp/fhir/core/mhlw/CodeSystem/MedicationGeneralOrderCode";
pub const USAGE: &str = "http://jpfhir.jp/fhir/core/mhlw/CodeSystem/MedicationUsage_ePrescription";
pub const USAGE_DUMMY: &str = "http://jpfhir.jp/fhir/clins/CodeSystem/JP_CLINS_MedicationUsage_Uncoded_CS";
pub const USAGE_DUMMY_CODE: &str = "0X0XXXXXXXXX0000";
pub const LAB_LOCAL: &str = "http://jpfhir.jp/fhir/clins/CodeSystem/JP_CLINS_ObsLabResult_LocalCode_CS";
/// Code systems of listed items, by their end: `JLAC10/` or `JLAC11/` comes before.
pub const LAB_LISTED: [&str; 2] =
    ["JP_CLINS_ObsLabResult_CoreLabo_CS", "JP_CLINS_ObsLabResult_InfectionLabo_CS"];

pub const ALLERGEN_BRAND: &str = "http://jpfhir.jp/fhir/core/CodeSystem/YCM/JP_JfagyMedicationAllergen_CS";
pub const ALLERGEN_GENERIC: &str = "http://jpfhir.jp/fhir/core/CodeSystem/GCM/JP_JfagyMedicationAllergen_CS";
pub const ALLERGEN_MEDICINE: &str = "http://jpfhir.jp/fhir/core/CodeSystem/JP_JfagyMedicationAllergen_CS";
pub const ALLERGEN_FOOD: &str = "http://jpfhir.jp/fhir/core/CodeSystem/JP_JfagyFoodAllergen_CS";
pub const ALLERGEN_OTHER: &str =
    "http://jpfhir.jp/fhir/core/CodeSystem/JP_JfagyNonFoodNonMedicationAllergen_CS";
