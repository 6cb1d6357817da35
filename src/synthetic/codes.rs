//! The codes of the synthetic documents, from the Japanese default vocabulary of the affinity domain.

/// A coded value: code, codingScheme and display name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    pub code: &'static str,
    pub scheme: &'static str,
    pub display: &'static str,
}

const fn code(code: &'static str, scheme: &'static str, display: &'static str) -> Code {
    Code { code, scheme, display }
}

/// LOINC: most rows of the SS-MIX2 standard document code table.
pub const LOINC: &str = "2.16.840.1.113883.6.1";
/// The rows of the SS-MIX2 document code table that are not LOINC (`Z0001`, `Z0002`).
pub const DOCUMENT_CODES: &str = "http://jpfhir.jp/fhir/core/CodeSystem/JP_DocumentCodes_CS";
/// SS-MIX2 診療科コード.
pub const DEPARTMENTS: &str = "1.2.392.200250.2.2.2";
/// 点数表番号.
pub const FEE_TABLES: &str = "1.2.392.100495.20.3.22";
/// HL7 v3 Confidentiality.
pub const CONFIDENTIALITY: &str = "2.16.840.1.113883.5.25";
/// Format codes of the IHE profiles.
pub const IHE_FORMATS: &str = "1.3.6.1.4.1.19376.1.2.3";
/// Format codes of our own for Japanese content (`jp:…`).
pub const JP_FORMATS: &str = "jp:formatcode";
/// DICOM modalities (DCM).
pub const DICOM: &str = "1.2.840.10008.2.16.4";

pub const NORMAL: Code = code("N", CONFIDENTIALITY, "通常");
pub const MEDICAL: Code = code("1", FEE_TABLES, "医科");
/// Modality of the imaging reports.
pub const CT: Code = code("CT", DICOM, "CT");

/// Departments that write the synthetic documents.
pub const PRACTICE_SETTINGS: &[Code] = &[
    code("01", DEPARTMENTS, "内科"),
    code("06", DEPARTMENTS, "消化器科"),
    code("08", DEPARTMENTS, "循環器科"),
    code("09", DEPARTMENTS, "小児科"),
    code("10", DEPARTMENTS, "外科"),
    code("11", DEPARTMENTS, "整形外科"),
    code("30", DEPARTMENTS, "放射線科"),
];

/// What the synthetic network exchanges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Referral,
    DischargeSummary,
    ProgressNote,
    Laboratory,
    Prescription,
    ImagingReport,
    HealthCheckup,
    FhirReferral,
}

/// How a [`Kind`] is described in metadata.
#[derive(Debug, Clone, Copy)]
pub struct KindRow {
    pub kind: Kind,
    /// Title without date.
    pub title: &'static str,
    pub type_code: Code,
    pub class_code: Code,
    pub format_code: Code,
    pub mime_type: &'static str,
    /// SS-MIX2 DataKind of wrapped HL7 messages.
    pub data_kind: Option<&'static str>,
    /// Documents of this kind among 100.
    pub share: u64,
}

const REFERRAL: Code = code("57133-1", LOINC, "診療情報提供書");
const SUMMARIES: Code = code("Z0002", DOCUMENT_CODES, "要約");
const RECORDS: Code = code("34109-9", LOINC, "記録");
const REPORTS: Code = code("47045-0", LOINC, "報告書");
const PRESCRIPTION: Code = code("57833-6", LOINC, "処方箋");
const CDA: &str = "text/xml";
const FHIR: &str = "application/fhir+json";

/// One row per kind; `share` adds up to 100.
pub const KINDS: &[KindRow] = &[
    KindRow {
        kind: Kind::Referral,
        title: "診療情報提供書",
        type_code: REFERRAL,
        class_code: REFERRAL,
        format_code: code("jp:cda:hs008", JP_FORMATS, "診療情報提供書CDA(HS008)"),
        mime_type: CDA,
        data_kind: None,
        share: 8,
    },
    KindRow {
        kind: Kind::DischargeSummary,
        title: "退院時サマリ",
        type_code: code("18842-5", LOINC, "退院時サマリ"),
        class_code: SUMMARIES,
        format_code: code("jp:cda:jahis-common", JP_FORMATS, "JAHIS診療文書構造化記述規約共通編CDA"),
        mime_type: CDA,
        data_kind: None,
        share: 7,
    },
    KindRow {
        kind: Kind::ProgressNote,
        title: "経過記録",
        type_code: code("11506-3", LOINC, "経過記録"),
        class_code: RECORDS,
        format_code: code("jp:cda:jahis-common", JP_FORMATS, "JAHIS診療文書構造化記述規約共通編CDA"),
        mime_type: CDA,
        data_kind: None,
        share: 25,
    },
    KindRow {
        kind: Kind::Laboratory,
        title: "検体検査結果",
        type_code: code("11502-2", LOINC, "検体検査報告書"),
        class_code: REPORTS,
        format_code: code("jp:ssmix2:std:OML-11", JP_FORMATS, "SS-MIX2標準化ストレージ OML-11"),
        mime_type: CDA,
        data_kind: Some("OML-11"),
        share: 24,
    },
    KindRow {
        kind: Kind::Prescription,
        title: "処方オーダ",
        type_code: PRESCRIPTION,
        class_code: PRESCRIPTION,
        format_code: code("jp:ssmix2:std:OMP-01", JP_FORMATS, "SS-MIX2標準化ストレージ OMP-01"),
        mime_type: CDA,
        data_kind: Some("OMP-01"),
        share: 16,
    },
    KindRow {
        kind: Kind::ImagingReport,
        title: "CT検査報告書",
        type_code: code("18747-6", LOINC, "CT検査報告書"),
        class_code: REPORTS,
        format_code: code("urn:ihe:iti:xds:2017:mimeTypeSufficient", IHE_FORMATS, "MIMEタイプどおり"),
        mime_type: "application/pdf",
        data_kind: None,
        share: 10,
    },
    KindRow {
        kind: Kind::HealthCheckup,
        title: "健康診断結果報告書",
        type_code: code("53576-5", LOINC, "検診・健診報告書"),
        class_code: REPORTS,
        format_code: code("jp:fhir:hs037", JP_FORMATS, "健康診断結果報告書HL7 FHIR(HS037)"),
        mime_type: FHIR,
        data_kind: None,
        share: 5,
    },
    KindRow {
        kind: Kind::FhirReferral,
        title: "診療情報提供書",
        type_code: REFERRAL,
        class_code: REFERRAL,
        format_code: code("jp:fhir:hs038", JP_FORMATS, "診療情報提供書HL7 FHIR(HS038)"),
        mime_type: FHIR,
        data_kind: None,
        share: 5,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_and_titles_fit() {
        assert_eq!(KINDS.iter().map(|k| k.share).sum::<u64>(), 100);
        for row in KINDS {
            assert!(row.title.chars().count() <= 100);
            assert_eq!(KINDS.iter().filter(|k| k.kind == row.kind).count(), 1);
        }
    }
}
