//! What the profiles demand (national-service.md §2), a table each in the language of [`super::profile`]. Slicings of
//! laboratory items by display are open and demand nothing.

use super::Kind;
use super::names::{CHECKUP, CLINS, CORE, ECS};

/// A profile by the beginning and the end of its URL, and its table.
pub struct Profile {
    pub base: &'static str,
    pub name: &'static str,
    pub resource: &'static str,
    pub table: &'static str,
}

pub const PROFILES: [Profile; 19] = [
    Profile { base: ECS, name: "JP_Patient_eCS", resource: "Patient", table: PATIENT },
    Profile { base: ECS, name: "JP_Condition_eCS", resource: "Condition", table: CONDITION },
    Profile { base: ECS, name: "JP_AllergyIntolerance_eCS", resource: "AllergyIntolerance", table: ALLERGY },
    Profile { base: ECS, name: "JP_Observation_LabResult_eCS", resource: "Observation", table: LAB },
    Profile { base: ECS, name: "JP_MedicationRequest_eCS", resource: "MedicationRequest", table: MEDICATION },
    Profile { base: ECS, name: "JP_Encounter_eCS", resource: "Encounter", table: ENCOUNTER },
    Profile { base: ECS, name: "JP_Organization_eCS", resource: "Organization", table: ORGANIZATION },
    Profile { base: ECS, name: "JP_Practitioner_eCS", resource: "Practitioner", table: PRACTITIONER },
    Profile { base: ECS, name: "JP_CarePlan_ePCS", resource: "CarePlan", table: CARE_PLAN },
    Profile { base: CORE, name: "JP_Encounter", resource: "Encounter", table: "" },
    Profile {
        base: "http://jpfhir.jp/fhir/eReferral/StructureDefinition/",
        name: "JP_Composition_eReferral",
        resource: "Composition",
        table: REFERRAL_COMPOSITION,
    },
    Profile {
        base: "http://jpfhir.jp/fhir/eDischargeSummary/StructureDefinition/",
        name: "JP_Composition_eDischargeSummary",
        resource: "Composition",
        table: DISCHARGE_COMPOSITION,
    },
    Profile {
        base: "http://jpfhir.jp/fhir/ePCS/StructureDefinition/",
        name: "JP_Composition_ePCS",
        resource: "Composition",
        table: SUMMARY_COMPOSITION,
    },
    Profile {
        base: CHECKUP,
        name: "JP_Composition_eCheckupGeneral",
        resource: "Composition",
        table: CHECKUP_COMPOSITION,
    },
    Profile { base: CLINS, name: "JP_Patient_eCheckupGeneral", resource: "Patient", table: CHECKUP_PATIENT },
    Profile {
        base: CHECKUP,
        name: "JP_Organization_eCheckupGeneral",
        resource: "Organization",
        table: CHECKUP_ORGANIZATION,
    },
    Profile {
        base: CHECKUP,
        name: "JP_Encounter_eCheckupGeneral",
        resource: "Encounter",
        table: CHECKUP_ENCOUNTER,
    },
    Profile {
        base: CHECKUP,
        name: "JP_Observation_eCheckupGeneral",
        resource: "Observation",
        table: CHECKUP_OBSERVATION,
    },
    Profile {
        base: CHECKUP,
        name: "JP_ObservationGroup_eCheckupGeneral",
        resource: "Observation",
        table: CHECKUP_GROUP,
    },
];

/// Of each Bundle.
pub const BUNDLE: &str = "
meta.lastUpdated 1..1
meta.profile 1..*
identifier 1..1
identifier.system 1..1
identifier.system = http://jpfhir.jp/fhir/clins/bundle-identifier
identifier.value 1..1
timestamp 1..1
";

/// Of the Bundle of a kind, besides [`BUNDLE`].
pub fn bundle(kind: Kind) -> &'static str {
    match kind {
        Kind::Info => INFO_BUNDLE,
        Kind::Referral => REFERRAL_BUNDLE,
        Kind::Discharge => DISCHARGE_BUNDLE,
        Kind::Summary => SUMMARY_BUNDLE,
        Kind::Checkup => CHECKUP_BUNDLE,
    }
}

/// Bundle.entry of 5情報 is sliced apart, in [`super::structure`].
const INFO_BUNDLE: &str = "
meta.tag 1..*
meta.tag.system 1..1
meta.tag.code 1..1
meta.tag[system=http://jpfhir.jp/fhir/clins/CodeSystem/BundleResourceType_CS] 1..1
type = collection
entry 1..*
entry.fullUrl 1..1
entry.resource 1..1
entry.extension 0..0
entry.modifierExtension 0..0
entry.link 0..0
entry.search 0..0
entry.request 0..0
entry.response 0..0
";

const REFERRAL_BUNDLE: &str = "
type = document
entry 5..*
entry[resource.resourceType=Composition] 1..1
entry[resource.resourceType=Composition].fullUrl 1..1
entry[resource.resourceType=Patient] 1..1
entry[resource.resourceType=Patient].fullUrl 1..1
entry[resource.resourceType=Practitioner] 1..*
entry[resource.resourceType=Practitioner].fullUrl 1..1
entry[resource.resourceType=Organization] 2..4
";

const DISCHARGE_BUNDLE: &str = "
type = document
entry 6..*
entry[resource.resourceType=Composition] 1..1
entry[resource.resourceType=Composition].fullUrl 1..1
entry[resource.resourceType=Patient] 1..1
entry[resource.resourceType=Patient].fullUrl 1..1
entry[resource.resourceType=Practitioner] 1..*
entry[resource.resourceType=Practitioner].fullUrl 1..1
entry[resource.resourceType=Organization] 1..*
entry[resource.resourceType=Encounter] 1..1
entry[resource.resourceType=Condition] 1..*
";

const SUMMARY_BUNDLE: &str = "
type = document
entry 7..*
entry[resource.resourceType=Composition] 1..1
entry[resource.resourceType=Patient] 1..1
entry[resource.resourceType=Practitioner] 1..1
entry[resource.resourceType=Organization] 1..1
entry[resource.resourceType=Encounter] 1..1
entry[resource.resourceType=CarePlan] 1..1
entry[resource.resourceType=Condition] 1..*
entry.fullUrl 1..1
";

const CHECKUP_BUNDLE: &str = "
type = document
entry 5..*
entry[resource.resourceType=Composition] 1..1
entry[resource.resourceType=Patient] 1..1
entry[resource.resourceType=Organization] 1..*
entry[resource.resourceType=Practitioner] 1..*
entry[resource.resourceType=PractitionerRole] 0..1
entry[resource.resourceType=Encounter] 1..1
entry[resource.resourceType=Coverage] 0..2
entry.fullUrl 1..1
";

const PATIENT: &str = "
meta.lastUpdated 1..1
meta.profile 1..1
identifier 1..*
identifier.value 1..1
name 1..*
name.extension[url=http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation] 0..1
name.text 1..1
name.family 1..1
name.given 1..*
gender 1..1
gender in male|female|other|unknown
birthDate 1..1
address 1..1
address.text 1..1
extension[url=http://jpfhir.jp/fhir/clins/Extension/StructureDefinition/JP_eCS_InstitutionNumber] 0..1
";

const CONDITION: &str = "
meta 1..1
meta.lastUpdated 1..1
meta.profile 1..*
meta.tag only LTS|UNINFORMED|UNDELIVERED
extension[url=http://jpfhir.jp/fhir/clins/Extension/StructureDefinition/JP_eCS_InstitutionNumber] 0..1
extension[url=http://jpfhir.jp/fhir/eCS/Extension/StructureDefinition/JP_eCS_Department] 0..1
extension[url=http://jpfhir.jp/fhir/eCS/Extension/StructureDefinition/JP_eCS_DiagnosisType] 0..1
identifier 1..*
identifier[system=http://jpfhir.jp/fhir/core/IdSystem/resourceInstance-identifier] 1..1
identifier[system=http://jpfhir.jp/fhir/core/IdSystem/resourceInstance-identifier].value 1..1
clinicalStatus.coding 1..*
clinicalStatus.coding.code in active|recurrence|relapse|inactive|remission|resolved
verificationStatus 1..1
verificationStatus.coding.code in unconfirmed|provisional|differential|confirmed|refuted|entered-in-error
category 1..1
code 1..1
code.coding 1..*
code.coding.system 1..1
code.coding.display 1..1
code.coding[system=http://medis.or.jp/CodeSystem/master-disease-keyNumber] 1..*
code.coding[system=http://medis.or.jp/CodeSystem/master-disease-keyNumber].code 1..1
code.extension[url=http://jpfhir.jp/fhir/core/Extension/StructureDefinition/JP_Condition_DiseasePrefixModifier].valueCodeableConcept.coding[system=http://medis.or.jp/CodeSystem/master-disease-modKeyNumber] 1..1
code.extension[url=http://jpfhir.jp/fhir/core/Extension/StructureDefinition/JP_Condition_DiseasePrefixModifier].valueCodeableConcept.coding.code 1..1
code.extension[url=http://jpfhir.jp/fhir/core/Extension/StructureDefinition/JP_Condition_DiseasePostfixModifier].valueCodeableConcept.coding[system=http://medis.or.jp/CodeSystem/master-disease-modKeyNumber] 1..1
code.extension[url=http://jpfhir.jp/fhir/core/Extension/StructureDefinition/JP_Condition_DiseasePostfixModifier].valueCodeableConcept.coding.code 1..1
code.text 1..1
subject 1..1
subject leads Patient
encounter leads Encounter
";

const ALLERGY: &str = "
meta 1..1
meta.lastUpdated 1..1
meta.profile 1..*
meta.tag only LTS
extension[url=http://jpfhir.jp/fhir/clins/Extension/StructureDefinition/JP_eCS_InstitutionNumber] 0..1
extension[url=http://jpfhir.jp/fhir/eCS/Extension/StructureDefinition/JP_eCS_Department] 0..1
identifier 1..*
identifier[system=http://jpfhir.jp/fhir/core/IdSystem/resourceInstance-identifier] 1..1
identifier[system=http://jpfhir.jp/fhir/core/IdSystem/resourceInstance-identifier].value 1..1
clinicalStatus.coding 1..*
clinicalStatus.coding.code in active|inactive|resolved
verificationStatus.coding 1..*
verificationStatus.coding.code in unconfirmed|confirmed|refuted|entered-in-error
category in food|medication|environment|biologic
criticality in low|high|unable-to-assess
code 1..1
code.coding 1..*
code.coding.system 1..1
code.coding.code 1..1
code.coding.display 1..1
code.text 1..1
patient 1..1
patient leads Patient
encounter leads Encounter
";

const LAB: &str = "
meta 1..1
meta.lastUpdated 1..1
meta.profile 1..*
meta.tag only LTS
extension[url=http://jpfhir.jp/fhir/clins/Extension/StructureDefinition/JP_eCS_InstitutionNumber] 0..1
extension[url=http://jpfhir.jp/fhir/eCS/Extension/StructureDefinition/JP_eCS_Department] 0..1
identifier 1..*
identifier[system=http://jpfhir.jp/fhir/core/IdSystem/resourceInstance-identifier] 1..1
identifier[system=http://jpfhir.jp/fhir/core/IdSystem/resourceInstance-identifier].value 1..1
basedOn 0..1
status in registered|preliminary|final|amended|corrected|cancelled|entered-in-error|unknown
category 1..1
category[coding.code=laboratory] 1..1
category.coding 1..1
category.coding.system 1..1
category.coding.system = http://jpfhir.jp/fhir/core/CodeSystem/JP_SimpleObservationCategory_CS
code.coding 1..*
code.coding.system 1..1
code.coding.code 1..1
code.coding.display 1..1
code.coding[system=http://jpfhir.jp/fhir/clins/CodeSystem/JP_CLINS_ObsLabResult_Uncoded_CS] 0..1
code.coding[system=http://jpfhir.jp/fhir/clins/CodeSystem/JP_CLINS_ObsLabResult_Uncoded_CS].code = 99999999999999999
code.text 1..1
subject 1..1
subject leads Patient
encounter leads Encounter
effectiveDateTime 1..1
effectivePeriod 0..0
effectiveTiming 0..0
effectiveInstant 0..0
performer 0..1
valueBoolean 0..0
valueInteger 0..0
valueRange 0..0
valueRatio 0..0
valueSampledData 0..0
valueTime 0..0
valueDateTime 0..0
valuePeriod 0..0
specimen 1..1
specimen leads Specimen
";

const MEDICATION: &str = "
meta 1..1
meta.lastUpdated 1..1
meta.profile 1..*
meta.tag only LTS
extension[url=http://jpfhir.jp/fhir/clins/Extension/StructureDefinition/JP_eCS_InstitutionNumber] 0..1
extension[url=http://jpfhir.jp/fhir/eCS/Extension/StructureDefinition/JP_eCS_Department] 0..1
identifier 2..*
identifier[system=http://jpfhir.jp/fhir/core/mhlw/IdSystem/Medication-RPGroupNumber] 1..1
identifier[system=http://jpfhir.jp/fhir/core/mhlw/IdSystem/Medication-RPGroupNumber].value 1..1
identifier[system=http://jpfhir.jp/fhir/core/mhlw/IdSystem/MedicationAdministrationIndex] 1..1
identifier[system=http://jpfhir.jp/fhir/core/mhlw/IdSystem/MedicationAdministrationIndex].value 1..1
identifier[system=urn:oid:1.2.392.100495.20.3.11] 0..1
status = completed
intent = order
medicationCodeableConcept 1..1
medicationReference 0..0
medicationCodeableConcept.coding 1..*
medicationCodeableConcept.coding[system=http://capstandard.jp/iyaku.info/CodeSystem/YJ-code] 0..1
medicationCodeableConcept.coding[system=http://capstandard.jp/iyaku.info/CodeSystem/YJ-code].code 1..1
medicationCodeableConcept.coding[system=http://capstandard.jp/iyaku.info/CodeSystem/YJ-code].display 1..1
medicationCodeableConcept.coding[system=http://jpfhir.jp/fhir/core/mhlw/CodeSystem/MedicationGeneralOrderCode] 0..1
medicationCodeableConcept.coding[system=http://jpfhir.jp/fhir/core/mhlw/CodeSystem/MedicationGeneralOrderCode].code 1..1
medicationCodeableConcept.coding[system=http://jpfhir.jp/fhir/core/mhlw/CodeSystem/MedicationGeneralOrderCode].display 1..1
medicationCodeableConcept.coding[system=http://jpfhir.jp/fhir/eCS/CodeSystem/MedicationCodeNocoded_CS] 0..1
medicationCodeableConcept.coding[system=http://jpfhir.jp/fhir/eCS/CodeSystem/MedicationCodeNocoded_CS].code 1..1
medicationCodeableConcept.coding[system=http://jpfhir.jp/fhir/eCS/CodeSystem/MedicationCodeNocoded_CS].code = NOCODED
medicationCodeableConcept.coding[system=http://jpfhir.jp/fhir/eCS/CodeSystem/MedicationCodeNocoded_CS].display 1..1
medicationCodeableConcept.text 1..1
subject leads Patient
authoredOn 1..1
basedOn 0..1
note 0..1
dosageInstruction 1..*
dosageInstruction.extension[url=http://jpfhir.jp/fhir/core/Extension/StructureDefinition/JP_MedicationDosage_PeriodOfUse] 1..1
dosageInstruction.extension[url=http://jpfhir.jp/fhir/core/Extension/StructureDefinition/JP_MedicationDosage_PeriodOfUse].valuePeriod 1..1
dosageInstruction.extension[url=http://jpfhir.jp/fhir/core/Extension/StructureDefinition/JP_MedicationDosage_PeriodOfUse].valuePeriod.start 1..1
dosageInstruction.text 1..1
dosageInstruction.additionalInstruction.coding 1..*
dosageInstruction.additionalInstruction.coding.system 1..1
dosageInstruction.additionalInstruction.coding.code 1..1
dosageInstruction.additionalInstruction.text 1..1
dosageInstruction.timing 1..1
dosageInstruction.timing.repeat.boundsDuration.unit = 日
dosageInstruction.timing.repeat.boundsDuration.system = http://unitsofmeasure.org
dosageInstruction.timing.repeat.boundsDuration.code = d
dosageInstruction.timing.code 1..1
dosageInstruction.timing.code.coding 1..*
dosageInstruction.timing.code.coding.system 1..1
dosageInstruction.timing.code.coding.code 1..1
dosageInstruction.timing.code.coding[system=http://jpfhir.jp/fhir/core/mhlw/CodeSystem/MedicationUsage_ePrescription] 0..1
dosageInstruction.timing.code.coding[system=http://jpfhir.jp/fhir/core/mhlw/CodeSystem/MedicationUsage_ePrescription].display 1..1
dosageInstruction.timing.code.coding[system=http://jpfhir.jp/fhir/clins/CodeSystem/JP_CLINS_MedicationUsage_Uncoded_CS] 0..1
dosageInstruction.timing.code.coding[system=http://jpfhir.jp/fhir/clins/CodeSystem/JP_CLINS_MedicationUsage_Uncoded_CS].code = 0X0XXXXXXXXX0000
dosageInstruction.timing.code.coding[system=http://jpfhir.jp/fhir/clins/CodeSystem/JP_CLINS_MedicationUsage_Uncoded_CS].display 1..1
dosageInstruction.timing.code.coding[system=http://jpfhir.jp/fhir/clins/CodeSystem/JP_CLINS_MedicationUsage_Uncoded_CS].display = ダミー用法コード
dosageInstruction.timing.code.text 1..1
dosageInstruction.doseAndRate.type 1..1
dosageInstruction.doseAndRate.type.coding 1..*
dosageInstruction.doseAndRate.type.coding.system 1..1
dosageInstruction.doseAndRate.type.coding.code 1..1
dosageInstruction.doseAndRate.type.coding.display 1..1
dosageInstruction.doseAndRate.doseQuantity.value 1..1
dosageInstruction.doseAndRate.doseQuantity.comparator 0..0
dosageInstruction.doseAndRate.doseQuantity.unit 1..1
dosageInstruction.doseAndRate.doseQuantity.system 1..1
dosageInstruction.doseAndRate.doseQuantity.code 1..1
dispenseRequest.quantity.value 1..1
dispenseRequest.quantity.comparator 0..0
dispenseRequest.quantity.code 1..1
dispenseRequest.expectedSupplyDuration.unit = 日
dispenseRequest.expectedSupplyDuration.system = http://unitsofmeasure.org
dispenseRequest.expectedSupplyDuration.code = d
";

const ENCOUNTER: &str = "
meta 1..1
identifier 0..1
identifier.value 1..1
status = finished
class.system 1..1
class.system = http://terminology.hl7.org/CodeSystem/v3-ActCode
class.code 1..1
class.display 1..1
classHistory 0..1
period.start 1..1
length.value 1..1
length.unit = 日
length.system = http://unitsofmeasure.org
length.code = d
reasonCode.coding.system 1..1
reasonCode.coding.code 1..1
reasonCode.text 1..1
diagnosis.use.coding 1..1
diagnosis.use.coding.system = http://terminology.hl7.org/CodeSystem/diagnosis-role
diagnosis.use.coding.code 1..1
diagnosis.use.coding.display 1..1
hospitalization.admitSource.coding 1..*
hospitalization.dischargeDisposition 1..1
hospitalization.dischargeDisposition.coding 1..1
hospitalization.dischargeDisposition.coding.system = http://jpfhir.jp/fhir/Common/CodeSystem/discharge-disposition
hospitalization.dischargeDisposition.coding.code 1..1
";

const ORGANIZATION: &str = "
identifier 1..*
identifier[system=http://jpfhir.jp/fhir/core/IdSystem/insurance-medical-institution-no] 1..1
identifier[system=http://jpfhir.jp/fhir/core/IdSystem/insurance-medical-institution-no].value 1..1
type.coding.system = http://terminology.hl7.org/CodeSystem/organization-type
name 1..1
address 0..1
address.text 1..1
partOf.reference 1..1
";

const PRACTITIONER: &str = "
qualification.identifier.system 1..1
qualification.code.coding 1..1
qualification.code.coding.system 1..1
qualification.code.coding.code 1..1
";

const CARE_PLAN: &str = "
meta.lastUpdated 1..1
identifier 0..1
identifier.system 1..1
identifier.system = http://jpfhir.jp/fhir/core/IdSystem/resourceInstance-identifier
identifier.value 1..1
status = active
intent = plan
category 0..1
title 1..1
title = 療養計画
description 1..1
subject leads Patient
encounter 0..0
period 1..1
period.start 1..1
created 1..1
author 0..0
contributor 0..0
careTeam 0..0
";

/// Of each Composition of JP-CLINS; of that of the checkup too but for its sections.
macro_rules! composition {
    ($more:literal) => {
        concat!(
            "
meta.lastUpdated 1..1
meta.profile 1..*
extension[url=http://hl7.org/fhir/StructureDefinition/composition-clinicaldocument-versionNumber] 1..1
extension[url=http://hl7.org/fhir/StructureDefinition/composition-clinicaldocument-versionNumber].valueString 1..1
identifier 1..1
identifier.system 1..1
identifier.system = http://jpfhir.jp/fhir/core/IdSystem/resourceInstance-identifier
identifier.value 1..1
status = final
type.coding 1..1
type.coding.system = http://jpfhir.jp/fhir/Common/CodeSystem/doc-typecodes
type.coding.code 1..1
category 1..1
category.coding 1..1
subject 1..1
subject.reference 1..1
subject leads Patient
encounter.reference 1..1
encounter leads Encounter
",
            $more
        )
    };
}

const REFERRAL_COMPOSITION: &str = composition!(
    "
type.coding.code = 57133-1
type.coding.display = 診療情報提供書
category.coding.system 1..1
category.coding.system = http://jpfhir.jp/fhir/Common/CodeSystem/doc-subtypecodes
category.coding.code 1..1
category.coding.code in ADMISSION|INPATIENT|OUTPATIENT|DISCHARGE|CONSULT|EXAMIN|SECONDOP
author leads Practitioner|Organization
title = 診療情報提供書
custodian 1..1
custodian.reference 1..1
custodian leads Organization
event 1..1
event.code 1..1
event.code.coding 0..0
event.code.text 1..1
event.code.text = 診療情報提供書発行
event.period 1..1
event.period.start 1..1
section 2..*
"
);

const DISCHARGE_COMPOSITION: &str = composition!(
    "
type.coding.code = 18842-5
type.coding.display = 退院時サマリー
category.coding.system 1..1
category.coding.system = http://jpfhir.jp/fhir/Common/CodeSystem/doc-subtypecodes
category.coding.code 1..1
category.coding.code = DISCHARGE
author leads Practitioner|Organization
title = 退院時サマリー
custodian 1..1
custodian.reference 1..1
custodian leads Organization
event 1..1
event.code 0..0
event.period 1..1
event.period.start 1..1
event.period.end 1..1
"
);

const SUMMARY_COMPOSITION: &str = composition!(
    "
type.coding.code = 56447-6
type.coding.display = 計画書
category.coding.system 1..1
category.coding.system = http://jpfhir.jp/fhir/Common/CodeSystem/doc-subtypecodes
category.coding.code 1..1
category.coding.code in ADMISSION|INPATIENT|OUTPATIENT|DISCHARGE|CONSULT|EXAMIN|SECONDOP
encounter 1..1
author 2..2
author to Practitioner 1..1
author to Organization 1..1
title = 患者サマリー（療養計画書）
custodian 0..0
event 0..0
section 0..1
section.title 1..1
section.title = 計画サマリー
section.code 1..1
section.code.coding 1..1
section.code.coding.system = http://jpfhir.jp/fhir/clins/CodeSystem/document-section
section.code.coding.code = 422
section.code.text 0..0
section.text.status = additional
section.mode 0..0
section.orderedBy 0..0
section.entry 2..*
section.entry to CarePlan 1..1
section.entry to Condition 1..*
section.entry leads CarePlan|Condition
section.section 0..0
"
);

const CHECKUP_COMPOSITION: &str = composition!(
    "
type.coding.code = 53576-5
type.coding.display = 検診・健診報告書
encounter 1..1
author leads Practitioner|Organization
event 1..1
event.code 1..1
event.code.coding 1..1
section.code 1..1
section.code.coding 1..1
section.code.coding.system = http://jpfhir.jp/fhir/eCheckup/CodeSystem/section-code
section.entry 1..*
"
);

const CHECKUP_PATIENT: &str = "
meta.lastUpdated 1..1
meta.profile 1..1
identifier 1..*
identifier.value 1..1
name 1..*
name.text 1..1
gender 1..1
gender in male|female|other|unknown
birthDate 1..1
address 1..1
address.text 1..1
";

const CHECKUP_ORGANIZATION: &str = "
meta.lastUpdated 1..1
meta.profile 1..*
type 1..*
address 0..1
address.text 1..1
partOf.reference 1..1
";

const CHECKUP_ENCOUNTER: &str = "
meta.lastUpdated 1..1
meta.profile 1..*
status = finished
class.system = http://jpfhir.jp/fhir/eCheckup/CodeSystem/encounter-category
class.code = checkup
class.display = 健診
period 1..1
period.start 1..1
period.end 1..1
serviceProvider 1..1
serviceProvider.reference 1..1
";

const CHECKUP_OBSERVATION: &str = "
meta.lastUpdated 1..1
meta.profile 1..*
identifier.system = http://jpfhir.jp/fhir/core/IdSystem/resourceInstance-identifier
identifier.value 1..1
basedOn 0..0
partOf 0..0
status in registered|preliminary|final|amended|corrected|cancelled|entered-in-error|unknown
category 0..1
subject 1..1
subject leads Patient
effectiveDateTime 1..1
performer 0..1
dataAbsentReason.text 1..1
interpretation 0..1
note 0..1
method.coding.system = urn:oid:1.2.392.200119.6.1007
specimen.type = specimen
specimen.display 1..1
referenceRange 0..1
referenceRange.low.value 1..1
referenceRange.low.comparator 0..0
referenceRange.high.value 1..1
referenceRange.high.comparator 0..0
hasMember 0..0
component.valueString 1..1
";

const CHECKUP_GROUP: &str = "
identifier.system = http://jpfhir.jp/fhir/core/IdSystem/resourceInstance-identifier
identifier.value 1..1
basedOn 0..0
partOf 0..0
status = final
category 0..0
subject 1..1
subject leads Patient
effectiveDateTime 1..1
performer 0..0
dataAbsentReason 0..0
interpretation 0..0
method 0..0
specimen 0..0
referenceRange 0..0
hasMember.extension 1..*
hasMember.extension[url=http://jpfhir.jp/fhir/Common/Extension/StructureDefinition/observatioGroupRelationship] 1..1
hasMember.reference 1..1
component 0..0
";

/// A section: its code, how often it must and may be, its title, how many entries it must and may have, of which types,
/// and whether it has text.
pub struct Section {
    pub code: &'static str,
    pub count: (usize, usize),
    pub title: &'static str,
    pub entries: (usize, usize),
    pub types: &'static [&'static str],
}

const MANY: usize = usize::MAX;

const fn section(
    code: &'static str,
    count: (usize, usize),
    title: &'static str,
    entries: (usize, usize),
    types: &'static [&'static str],
) -> Section {
    Section { code, count, title, entries, types }
}

/// Outside section 300 of a letter.
pub const REFERRAL_OUTER: [Section; 7] = [
    section("920", (1, 1), "紹介元情報", (1, 3), &[]),
    section("910", (1, 1), "紹介先情報", (1, 3), &[]),
    section("200", (0, 1), "CDA参照", (1, 1), &["DocumentReference"]),
    section("300", (0, 1), "構造情報", (0, MANY), &[]),
    section("210", (0, MANY), "添付情報", (1, MANY), &["DocumentReference", "Bundle"]),
    section("220", (0, MANY), "備考・連絡情報", (0, 1), &["DocumentReference"]),
    section("230", (0, MANY), "PDF", (1, MANY), &["DocumentReference"]),
];

/// Inside section 300 of a letter.
pub const REFERRAL_INNER: [Section; 20] = [
    section("950", (1, 1), "紹介目的", (0, 1), &["Encounter"]),
    section("340", (1, 1), "傷病名・主訴", (0, MANY), &["Condition"]),
    section("360", (1, 1), "現病歴", (0, MANY), &["Condition"]),
    section("370", (0, 1), "既往歴", (0, MANY), &["Condition"]),
    section("510", (0, 1), "アレルギー・不耐性反応", (0, MANY), &["AllergyIntolerance"]),
    section("550", (0, 1), "家族歴", (0, MANY), &["FamilyMemberHistory"]),
    section("610", (0, 1), "身体所見", (0, MANY), &["Observation"]),
    section("520", (0, 1), "感染症情報", (0, MANY), &["Observation"]),
    section("640", (0, 1), "社会歴・生活習慣", (0, MANY), &["Observation"]),
    section("530", (0, 1), "予防接種歴", (0, MANY), &["Immunization"]),
    section("730", (0, 1), "手術", (0, MANY), &["Procedure"]),
    section("740", (0, 1), "輸血歴", (0, MANY), &["Procedure"]),
    section("720", (0, 1), "処置", (0, MANY), &["Procedure"]),
    section("430", (0, 1), "投薬指示", (0, MANY), &["MedicationRequest"]),
    section("620", (0, 1), "検査結果", (0, MANY), &["Observation", "ImagingStudy", "DiagnosticReport"]),
    section("330", (0, 1), "臨床経過", (0, MANY), &["DocumentReference"]),
    section("420", (0, 1), "診療方針指示", (0, MANY), &["CarePlan"]),
    section("810", (0, 1), "医療機器", (0, MANY), &["DeviceUseStatement"]),
    section("410", (0, 1), "事前指示", (0, MANY), &["Consent"]),
    section("830", (0, 1), "臨床研究参加", (0, MANY), &["ResearchSubject"]),
];

pub const DISCHARGE_OUTER: [Section; 4] = [
    section("200", (0, 1), "CDA参照", (1, 1), &["DocumentReference"]),
    section("300", (0, 1), "構造情報", (0, MANY), &[]),
    section("210", (0, MANY), "添付情報", (1, MANY), &["DocumentReference", "Bundle"]),
    section("230", (0, MANY), "PDF", (1, MANY), &["DocumentReference"]),
];

pub const DISCHARGE_INNER: [Section; 23] = [
    section("322", (1, 1), "入院時詳細", (1, 1), &["Encounter"]),
    section("342", (1, 1), "入院時診断", (0, MANY), &["Condition"]),
    section("510", (0, 1), "アレルギー・不耐性反応", (0, MANY), &["AllergyIntolerance"]),
    section("352", (1, 1), "主訴", (0, MANY), &["Condition"]),
    section("312", (1, 1), "入院理由", (0, 1), &["Encounter"]),
    section("362", (1, 1), "現病歴", (0, MANY), &["Condition"]),
    section("372", (0, 1), "既往歴", (0, MANY), &["Condition"]),
    section("432", (0, 1), "入院時服薬", (0, MANY), &["MedicationRequest"]),
    section("642", (0, 1), "社会歴・生活習慣", (0, MANY), &["Observation"]),
    section("612", (0, 1), "入院時身体所見", (0, MANY), &["Observation"]),
    section("552", (0, 1), "家族歴", (0, MANY), &["FamilyMemberHistory"]),
    section("333", (1, 1), "入院中経過", (1, MANY), &["DocumentReference"]),
    section("324", (1, 1), "退院時詳細", (1, 1), &["Encounter"]),
    section("344", (1, 1), "退院時診断", (1, MANY), &["Condition"]),
    section("444", (1, 1), "退院時投薬指示", (0, MANY), &["MedicationRequest"]),
    section("424", (1, 1), "退院時方針指示", (0, MANY), &["CarePlan"]),
    section("614", (0, 1), "退院時身体所見", (0, MANY), &["Observation"]),
    section("713", (0, 1), "入院中治療", (0, MANY), &["Procedure"]),
    section(
        "623",
        (0, 1),
        "入院中検査結果",
        (0, MANY),
        &["Observation", "ImagingStudy", "DiagnosticReport", "Bundle"],
    ),
    section("810", (0, 1), "医療機器", (0, MANY), &["DeviceUseStatement"]),
    section("530", (0, 1), "予防接種歴", (0, MANY), &["Immunization"]),
    section("410", (0, 1), "事前指示", (0, MANY), &["Consent"]),
    section("830", (0, 1), "臨床研究参加", (0, MANY), &["ResearchSubject"]),
];

/// Sections of a checkup report; the slicing is closed.
pub const CHECKUP_SECTIONS: [&str; 16] = [
    "01011", "01012", "01990", "01021", "01022", "01031", "01032", "01041", "01042", "01071", "01072",
    "01081", "01082", "01910", "01920", "01995",
];

/// All tables, for the test that they can be read.
#[cfg(test)]
pub fn tables() -> Vec<(&'static str, &'static str)> {
    let bundles = Kind::ALL.into_iter().map(|kind| (kind.profile(), bundle(kind)));
    PROFILES.iter().map(|p| (p.name, p.table)).chain(bundles).chain([("Bundle", BUNDLE)]).collect()
}
