//! Every code system, identifier system, extension and profile that is written (JP-CLINS 1.5.3, JP Core 1.1.2).

/// Code systems.
pub mod code {
    pub const DISEASE_KEY: &str = "http://medis.or.jp/CodeSystem/master-disease-keyNumber";
    pub const DISEASE_EXCHANGE: &str = "http://medis.or.jp/CodeSystem/master-disease-exCode";
    pub const MODIFIER_KEY: &str = "http://medis.or.jp/CodeSystem/master-disease-modKeyNumber";
    pub const MODIFIER_EXCHANGE: &str = "http://medis.or.jp/CodeSystem/master-disease-modExCode";
    pub const ICD10: &str = "http://jpfhir.jp/fhir/core/mhlw/CodeSystem/ICD10-2013-full";
    pub const YJ: &str = "http://capstandard.jp/iyaku.info/CodeSystem/YJ-code";
    pub const HOT9: &str = "http://medis.or.jp/CodeSystem/master-HOT9";
    pub const GENERAL_NAME: &str = "http://jpfhir.jp/fhir/core/mhlw/CodeSystem/MedicationGeneralOrderCode";
    pub const NOCODED: &str = "http://jpfhir.jp/fhir/eCS/CodeSystem/MedicationCodeNocoded_CS";
    pub const USAGE: &str = "http://jpfhir.jp/fhir/core/mhlw/CodeSystem/MedicationUsage_ePrescription";
    pub const USAGE_JAMI: &str = "http://jami.jp/CodeSystem/MedicationUsage";
    /// What stands for a usage that has no code.
    pub const USAGE_DUMMY: &str = "0X0XXXXXXXXX0000";
    pub const USAGE_UNCODED: &str =
        "http://jpfhir.jp/fhir/clins/CodeSystem/JP_CLINS_MedicationUsage_Uncoded_CS";
    pub const UNIT_MERIT9: &str = "http://jpfhir.jp/fhir/core/mhlw/CodeSystem/MedicationUnitMERIT9Code";
    pub const CATEGORY_MERIT9: &str = "http://jpfhir.jp/fhir/core/CodeSystem/JP_MedicationCategoryMERIT9_CS";
    pub const STRENGTH_TYPE: &str =
        "http://jpfhir.jp/fhir/core/mhlw/CodeSystem/MedicationIngredientStrengthStrengthType";
    pub const ROUTE: &str = "http://jpfhir.jp/fhir/core/CodeSystem/route-codes";
    pub const ALLERGEN_BRAND: &str =
        "http://jpfhir.jp/fhir/core/CodeSystem/YCM/JP_JfagyMedicationAllergen_CS";
    pub const ALLERGEN_GENERAL: &str =
        "http://jpfhir.jp/fhir/core/CodeSystem/GCM/JP_JfagyMedicationAllergen_CS";
    pub const ALLERGEN_FOOD: &str = "http://jpfhir.jp/fhir/core/CodeSystem/JP_JfagyFoodAllergen_CS";
    pub const ALLERGEN_OTHER: &str =
        "http://jpfhir.jp/fhir/core/CodeSystem/JP_JfagyNonFoodNonMedicationAllergen_CS";
    pub const LAB_CORE: &str =
        "http://jpfhir.jp/fhir/clins/CodeSystem/JLAC10/JP_CLINS_ObsLabResult_CoreLabo_CS";
    pub const LAB_INFECTION: &str =
        "http://jpfhir.jp/fhir/clins/CodeSystem/JLAC10/JP_CLINS_ObsLabResult_InfectionLabo_CS";
    pub const LAB_JLAC10: &str = "http://medis.or.jp/CodeSystem/master-JLAC10-17digits";
    pub const LAB_UNCODED: &str = "http://jpfhir.jp/fhir/clins/CodeSystem/JP_CLINS_ObsLabResult_Uncoded_CS";
    pub const LAB_LOCAL: &str = "http://jpfhir.jp/fhir/clins/CodeSystem/JP_CLINS_ObsLabResult_LocalCode_CS";
    pub const SPECIMEN: &str = "http://jpfhir.jp/fhir/core/CodeSystem/JP_ObservationSampleMaterialCode_CS";
    pub const OBSERVATION_CATEGORY: &str =
        "http://jpfhir.jp/fhir/core/CodeSystem/JP_SimpleObservationCategory_CS";
    pub const DEPARTMENT: &str = "http://jami.jp/SS-MIX2/CodeSystem/ClinicalDepartment";
    pub const DOCUMENT_TYPE: &str = "http://jpfhir.jp/fhir/Common/CodeSystem/doc-typecodes";
    pub const DOCUMENT_SUBTYPE: &str = "http://jpfhir.jp/fhir/Common/CodeSystem/doc-subtypecodes";
    pub const SECTION: &str = "http://jpfhir.jp/fhir/clins/CodeSystem/document-section";
    pub const BUNDLE_RESOURCE: &str = "http://jpfhir.jp/fhir/clins/CodeSystem/BundleResourceType_CS";
    pub const INDICATION: &str = "http://jpfhir.jp/fhir/clins/CodeSystem/JP_ehrshrs_indication";
    pub const PREFECTURE: &str = "http://jpfhir.jp/fhir/core/mhlw/CodeSystem/PrefectureNo-2digits";
    pub const FEE_SCORE: &str = "http://jpfhir.jp/fhir/core/mhlw/CodeSystem/MedicationFeeScoreType";
    pub const UCUM: &str = "http://unitsofmeasure.org";
    pub const ACT_CODE: &str = "http://terminology.hl7.org/CodeSystem/v3-ActCode";
    pub const CONDITION_CLINICAL: &str = "http://terminology.hl7.org/CodeSystem/condition-clinical";
    pub const CONDITION_VERIFICATION: &str = "http://terminology.hl7.org/CodeSystem/condition-ver-status";
    pub const CONDITION_CATEGORY: &str = "http://terminology.hl7.org/CodeSystem/condition-category";
    pub const DIAGNOSIS_TYPE: &str = "http://terminology.hl7.org/CodeSystem/ex-diagnosistype";
    pub const ALLERGY_CLINICAL: &str = "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical";
    pub const ALLERGY_VERIFICATION: &str =
        "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification";
    pub const INTERPRETATION: &str = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation";
    pub const ABSENT: &str = "http://terminology.hl7.org/CodeSystem/data-absent-reason";
    pub const ORGANIZATION_TYPE: &str = "http://terminology.hl7.org/CodeSystem/organization-type";
}

/// Identifier systems. Those of an institution end in `1` and its ten digits.
pub mod id {
    pub const BUNDLE: &str = "http://jpfhir.jp/fhir/clins/bundle-identifier";
    pub const RESOURCE: &str = "http://jpfhir.jp/fhir/core/IdSystem/resourceInstance-identifier";
    pub const INSTITUTION: &str = "http://jpfhir.jp/fhir/core/IdSystem/insurance-medical-institution-no";
    pub const MEDICAL_ORGANIZATION: &str = "http://jpfhir.jp/fhir/core/mhlw/IdSystem/MedicalOrganizationID";
    pub const INSURED: &str = "http://jpfhir.jp/fhir/clins/Idsystem/JP_Insurance_memberID";
    pub const RP_NUMBER: &str = "http://jpfhir.jp/fhir/core/mhlw/IdSystem/Medication-RPGroupNumber";
    pub const RP_INDEX: &str = "http://jpfhir.jp/fhir/core/mhlw/IdSystem/MedicationAdministrationIndex";
    pub const PATIENT_ARC: &str = "urn:oid:1.2.392.100495.20.3.51.1";
    pub const DOCTOR_ARC: &str = "urn:oid:1.2.392.100495.20.3.41.1";
}

/// Extensions.
pub mod extension {
    pub const INSTITUTION: &str =
        "http://jpfhir.jp/fhir/clins/Extension/StructureDefinition/JP_eCS_InstitutionNumber";
    pub const DEPARTMENT: &str = "http://jpfhir.jp/fhir/eCS/Extension/StructureDefinition/JP_eCS_Department";
    pub const DIAGNOSIS_TYPE: &str =
        "http://jpfhir.jp/fhir/eCS/Extension/StructureDefinition/JP_eCS_DiagnosisType";
    pub const PREFIX: &str =
        "http://jpfhir.jp/fhir/core/Extension/StructureDefinition/JP_Condition_DiseasePrefixModifier";
    pub const POSTFIX: &str =
        "http://jpfhir.jp/fhir/core/Extension/StructureDefinition/JP_Condition_DiseasePostfixModifier";
    pub const PERIOD_OF_USE: &str =
        "http://jpfhir.jp/fhir/core/Extension/StructureDefinition/JP_MedicationDosage_PeriodOfUse";
    pub const NAME_REPRESENTATION: &str =
        "http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation";
    pub const VERSION_NUMBER: &str =
        "http://hl7.org/fhir/StructureDefinition/composition-clinicaldocument-versionNumber";
    pub const ORGANIZATION_PREFECTURE: &str =
        "http://jpfhir.jp/fhir/core/Extension/StructureDefinition/JP_Organization_PrefectureNo";
    pub const ORGANIZATION_CATEGORY: &str = "http://jpfhir.jp/fhir/core/Extension/StructureDefinition/JP_Organization_InsuranceOrganizationCategory";
    pub const ORGANIZATION_NUMBER: &str =
        "http://jpfhir.jp/fhir/core/Extension/StructureDefinition/JP_Organization_InsuranceOrganizationNo";
}

/// Profiles. Those of Bundles and Compositions carry their version; entries do not: the published invariant fails
/// for the version that the text demands, and both readings take none (national-service.md §4.1).
pub mod profile {
    pub const CLINS: &str = "http://jpfhir.jp/fhir/clins/StructureDefinition/JP_Bundle_CLINS|1";
    pub const REFERRAL: &str = "http://jpfhir.jp/fhir/clins/StructureDefinition/JP_Bundle_eReferral|1";
    pub const DISCHARGE: &str =
        "http://jpfhir.jp/fhir/clins/StructureDefinition/JP_Bundle_eDischargeSummary|1";
    pub const COMPOSITION_REFERRAL: &str =
        "http://jpfhir.jp/fhir/eReferral/StructureDefinition/JP_Composition_eReferral|1";
    pub const COMPOSITION_DISCHARGE: &str =
        "http://jpfhir.jp/fhir/eDischargeSummary/StructureDefinition/JP_Composition_eDischargeSummary|1";
    pub const PATIENT: &str = "http://jpfhir.jp/fhir/eCS/StructureDefinition/JP_Patient_eCS";
    pub const PRACTITIONER: &str = "http://jpfhir.jp/fhir/eCS/StructureDefinition/JP_Practitioner_eCS";
    pub const ORGANIZATION: &str = "http://jpfhir.jp/fhir/eCS/StructureDefinition/JP_Organization_eCS";
    pub const ENCOUNTER: &str = "http://jpfhir.jp/fhir/eCS/StructureDefinition/JP_Encounter_eCS";
    pub const CONDITION: &str = "http://jpfhir.jp/fhir/eCS/StructureDefinition/JP_Condition_eCS";
    pub const ALLERGY: &str = "http://jpfhir.jp/fhir/eCS/StructureDefinition/JP_AllergyIntolerance_eCS";
    pub const OBSERVATION: &str =
        "http://jpfhir.jp/fhir/eCS/StructureDefinition/JP_Observation_LabResult_eCS";
    pub const MEDICATION: &str = "http://jpfhir.jp/fhir/eCS/StructureDefinition/JP_MedicationRequest_eCS";
    pub const DOCUMENT: &str = "http://jpfhir.jp/fhir/eCS/StructureDefinition/JP_DocumentReference_eCS";
    pub const DOCUMENT_CDA: &str =
        "http://jpfhir.jp/fhir/eCS/StructureDefinition/JP_DocumentReference_CDAdocument";
    /// Compared exactly by R9013C and R9013O: no version, and no other profile.
    pub const CONTAINED_ENCOUNTER: &str = "http://jpfhir.jp/fhir/core/StructureDefinition/JP_Encounter";
    pub const CONTAINED_PRACTITIONER: &str = "http://jpfhir.jp/fhir/core/StructureDefinition/JP_Practitioner";
    pub const CONTAINED_SPECIMEN: &str = "http://jpfhir.jp/fhir/core/StructureDefinition/JP_Specimen";
    pub const CONTAINED_ORDER: &str = "http://jpfhir.jp/fhir/core/StructureDefinition/JP_ServiceRequest";
}
