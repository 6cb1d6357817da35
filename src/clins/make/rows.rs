//! Which field of a message goes where (national-service.md §10 over the published SS-MIX2 concept maps), as a table.
//! A field that is filled and has no row is unmapped, and said; docs/national-making.md prints the same rows.

use super::options::Options;
use super::said::{Notes, UnmappedKey};
use super::v2::places;
use crate::wire::hl7v2::Message;

/// What becomes of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The element it becomes, or what it decides.
    To(&'static str),
    /// It orders the message; it says nothing of the patient.
    Frame,
    /// Nothing in the profile takes it. Said where it is filled.
    NotCarried,
}

pub struct Row {
    pub segment: &'static str,
    pub field: usize,
    pub name_ja: &'static str,
    pub fate: Fate,
}

const fn row(segment: &'static str, field: usize, name_ja: &'static str, fate: Fate) -> Row {
    Row { segment, field, name_ja, fate }
}

use Fate::{Frame, NotCarried, To};

pub const ROWS: &[Row] = &[
    row("MSH", 7, "メッセージ日時", To("*.meta.lastUpdated")),
    row("MSH", 9, "メッセージ型", To("Bundle.meta.tag")),
    row("PID", 1, "セットID", Frame),
    row("PID", 3, "患者IDリスト", To("Patient.identifier[facility]")),
    row("PID", 5, "患者氏名", To("Patient.name[IDE], [SYL]")),
    row("PID", 7, "生年月日", To("Patient.birthDate")),
    row("PID", 8, "性別", To("Patient.gender")),
    row("PID", 11, "患者の住所", To("Patient.address")),
    row("PV1", 1, "セットID", Frame),
    row("PV1", 2, "患者区分", To("contained Encounter.class")),
    row("PV1", 3, "患者の所在", NotCarried),
    row("PV1", 7, "主治医", To("Condition.recorder (without ORC-12)")),
    row("PV1", 10, "診療部門", To("extension[JP_eCS_Department] (without ORC-17)")),
    row("PV1", 19, "来院番号", To("contained Encounter.identifier")),
    row("PV1", 44, "入院日時", To("contained Encounter.period.start")),
    row("PV1", 45, "退院日時", To("contained Encounter.period.end")),
    row("IN1", 1, "セットID", Frame),
    row("IN1", 2, "保険プランID", To("which row insures the patient")),
    row("IN1", 3, "保険者番号", To("Patient.identifier[insured id] (without online qualification)")),
    row("IN1", 10, "記号・枝番", To("Patient.identifier[insured id] (without online qualification)")),
    row("IN1", 11, "番号", To("Patient.identifier[insured id] (without online qualification)")),
    // PPR^ZD1
    row("PRB", 1, "アクションコード", To("left out where DE")),
    row("PRB", 2, "アクション日時", Frame),
    row("PRB", 3, "プロブレムID", To("Condition.code.text; disease by 交換用コード")),
    row("PRB", 4, "プロブレムインスタンスID", To("Condition.identifier")),
    row("PRB", 5, "診療IDエピソード", NotCarried),
    row("PRB", 7, "プロブレム設定日時", To("Condition.recordedDate; onsetDateTime without PRB-16")),
    row("PRB", 8, "予想される解決日時", NotCarried),
    row("PRB", 9, "実際の解決日時", To("Condition.abatementDateTime")),
    row("PRB", 10, "プロブレムの分類", To("extension[JP_eCS_DiagnosisType], where configured")),
    row("PRB", 13, "確認状態", To("Condition.verificationStatus; left out where suspected")),
    row("PRB", 14, "ライフサイクル状態", To("Condition.clinicalStatus")),
    row("PRB", 15, "ライフサイクル状態の日時", To("Condition.abatementDateTime (without PRB-9)")),
    row("PRB", 16, "発生日付", To("Condition.onsetDateTime")),
    row("PRB", 17, "発生テキスト", NotCarried),
    row("ZPR", 1, "修飾語管理番号(接頭語)", To("Condition.code.extension[Prefix]")),
    row("ZPR", 2, "病名管理番号", To("Condition.code.coding[keyNumber]")),
    row("ZPR", 3, "修飾語管理番号(接尾語)", To("Condition.code.extension[Postfix]")),
    row("ZPR", 4, "修飾語交換用コード(接頭語)", To("Condition.code.extension[Prefix].coding[exCode]")),
    row("ZPR", 5, "病名交換用コード", To("Condition.code.coding[exCode]")),
    row("ZPR", 6, "修飾語交換用コード(接尾語)", To("Condition.code.extension[Postfix].coding[exCode]")),
    row("ZPR", 7, "コメント", To("Condition.note")),
    // ADT^A60
    row("IAM", 1, "セットID", Frame),
    row("IAM", 2, "アレルゲン分類", To("AllergyIntolerance.category")),
    row("IAM", 3, "アレルゲン情報", To("AllergyIntolerance.code")),
    row("IAM", 4, "アレルギー重症度", To("AllergyIntolerance.criticality")),
    row("IAM", 5, "アレルギー反応情報", To("AllergyIntolerance.reaction.manifestation.text")),
    row("IAM", 6, "アクションコード", To("left out where D")),
    row("IAM", 7, "アレルギー識別子", To("AllergyIntolerance.identifier")),
    row("IAM", 9, "感受性", To("AllergyIntolerance.type")),
    row("IAM", 11, "アレルギー発症日", To("AllergyIntolerance.onsetDateTime")),
    row("IAM", 12, "アレルギー発症時期", To("AllergyIntolerance.onsetString (without IAM-11)")),
    row("IAM", 13, "情報提供日時", To("AllergyIntolerance.recordedDate")),
    row("IAM", 14, "情報提供者", NotCarried),
    row("IAM", 15, "情報提供者と患者の続柄", To("left out where the patient, without IAM-18")),
    row("IAM", 17, "臨床確認状況", To("AllergyIntolerance.verificationStatus, clinicalStatus")),
    row("IAM", 18, "確認者", To("that somebody confirmed it")),
    row("IAM", 19, "確認機関", NotCarried),
    row("IAM", 20, "確認日時", NotCarried),
    // OUL^R22
    row("SPM", 1, "セットID", Frame),
    row("SPM", 2, "検体ID", Frame),
    row("SPM", 4, "検体タイプ", To("contained Specimen.type; suffix of the local code")),
    row("SPM", 8, "検査材料・検査部位", NotCarried),
    row("SPM", 17, "検体採取日時", To("Observation.effectiveDateTime; Specimen.collection")),
    row("OBR", 1, "セットID", Frame),
    row("OBR", 2, "依頼者オーダ番号", To("lineage; Observation.identifier; basedOn (without ORC-2)")),
    row("OBR", 3, "実施者オーダ番号", To("lineage: report number")),
    row("OBR", 4, "検査項目ID", To("contained ServiceRequest.code.text")),
    row("OBR", 7, "検査/採取日時", To("Observation.effectiveDateTime (without SPM-17, OBX-14)")),
    row("OBR", 8, "検査/採取終了日時", NotCarried),
    row("OBR", 11, "検体処置コード", Frame),
    row("OBR", 12, "危険(検体)コード", NotCarried),
    row("OBR", 16, "依頼者", To("Observation.performer")),
    row("OBR", 22, "結果報告日時", To("Observation.issued")),
    row("OBR", 25, "結果状態", Frame),
    row("OBR", 26, "親結果", NotCarried),
    row("ORC", 1, "オーダ制御", To("left out where cancelled (RDE^O11)")),
    row("ORC", 2, "依頼者オーダ番号", To("lineage; identifiers; basedOn")),
    row("ORC", 3, "実施者オーダ番号", Frame),
    row("ORC", 4, "依頼者グループ番号", To("MedicationRequest.identifier[rpNumber]")),
    row("ORC", 5, "オーダ状態", To("contained ServiceRequest.status")),
    row("ORC", 9, "トランザクション日時", To("MedicationRequest.authoredOn (without RXE-32)")),
    row("ORC", 10, "入力者", Frame),
    row("ORC", 12, "依頼者", To("recorder, performer, requester")),
    row("ORC", 13, "入力場所", Frame),
    row("ORC", 15, "オーダ有効日時", Frame),
    row("ORC", 17, "入力組織", To("extension[JP_eCS_Department]")),
    row("ORC", 18, "入力装置", Frame),
    row("ORC", 21, "オーダ施設名", Frame),
    row("ORC", 22, "オーダ施設住所", Frame),
    row("ORC", 23, "オーダ施設電話番号", Frame),
    row("ORC", 29, "オーダタイプ", To("contained Encounter.class (without PV1-2)")),
    row("OBX", 1, "セットID", Frame),
    row("OBX", 2, "値型", To("which Observation.value[x]")),
    row("OBX", 3, "検査項目", To("Observation.code")),
    row("OBX", 4, "検査副ID", To("Observation.identifier")),
    row("OBX", 5, "結果値", To("Observation.value[x]")),
    row("OBX", 6, "単位", To("Observation.valueQuantity.unit, code")),
    row("OBX", 7, "基準値範囲", To("Observation.referenceRange")),
    row("OBX", 8, "異常フラグ", To("Observation.interpretation")),
    row("OBX", 11, "検査結果状態", To("Observation.status, dataAbsentReason; left out where not final")),
    row("OBX", 14, "検査日時", To("Observation.effectiveDateTime (without SPM-17)")),
    row("OBX", 16, "責任観察者", NotCarried),
    row("OBX", 17, "検査方法", NotCarried),
    row("NTE", 1, "セットID", Frame),
    row("NTE", 2, "コメントソース", Frame),
    row("NTE", 3, "コメント", To("note of the resource before it")),
    row("NTE", 4, "コメントタイプ", Frame),
    // RDE^O11
    row("RXE", 1, "数量/タイミング", Frame),
    row("RXE", 2, "与薬コード", To("MedicationRequest.medicationCodeableConcept")),
    row("RXE", 3, "与薬量-最小", To("dosageInstruction.doseAndRate.doseQuantity.value")),
    row("RXE", 4, "与薬量-最大", NotCarried),
    row("RXE", 5, "与薬単位", To("dosageInstruction.doseAndRate.doseQuantity.code")),
    row("RXE", 6, "与薬剤形", NotCarried),
    row("RXE", 7, "投薬指示", To("dosageInstruction.timing.code.text (without TQ1-3)")),
    row("RXE", 10, "調剤量", To("dispenseRequest.quantity.value")),
    row("RXE", 11, "調剤単位", To("dispenseRequest.quantity.code")),
    row("RXE", 12, "同一薬発行数", NotCarried),
    row("RXE", 13, "オーダ発行者のDEA番号", NotCarried),
    row("RXE", 15, "処方箋番号", NotCarried),
    row("RXE", 19, "1日あたりの総投与量", NotCarried),
    row("RXE", 21, "特別な指示", To("MedicationRequest.category")),
    row("RXE", 31, "補足コード", To("MedicationRequest.medicationCodeableConcept")),
    row("RXE", 32, "当初のオーダ日時", To("MedicationRequest.authoredOn")),
    row("TQ1", 1, "セットID", Frame),
    row("TQ1", 3, "繰返しパターン", To("dosageInstruction.timing.code")),
    row("TQ1", 6, "サービス期間", To("timing.repeat.boundsDuration; expectedSupplyDuration")),
    row("TQ1", 7, "開始日時", To("dosageInstruction.extension[PeriodOfUse].start")),
    row("TQ1", 8, "終了日時", To("dosageInstruction.extension[PeriodOfUse].end")),
    row("RXR", 1, "経路", To("dosageInstruction.route")),
    row("RXR", 2, "部位", To("dosageInstruction.site")),
    row("RXR", 3, "投薬装置", NotCarried),
    row("RXR", 4, "投薬方法", To("dosageInstruction.method")),
];

/// Segments whose fields are looked at; others order the message, or are about something else (next of kin, AL1 of a
/// prescription). PID and IN1 hold much that no Bundle has: their rows are complete as they are.
const CLINICAL: &[&str] = &["PRB", "ZPR", "IAM", "SPM", "OBR", "OBX", "RXE", "TQ1", "RXR"];

/// More fields than any of these segments has.
const MOST_FIELDS: usize = 64;

/// Says every filled field that has no row, or a row that carries it nowhere. Fields of the site's own rules are read.
pub fn unread(message: &Message<'_>, options: &Options, notes: &mut Notes) {
    let configured = |segment: &str, field: usize| {
        let flags = options.flags.iter().map(|rule| &rule.field);
        flags
            .chain(options.principal.iter().map(|m| &m.field))
            .any(|f| f.segment == segment && f.field == field)
    };
    for segment in message.segments.iter().filter(|s| CLINICAL.contains(&s.name)) {
        let fields = segment.text.split(message.delimiters.field).count().min(MOST_FIELDS);
        for field in 1..fields {
            let value = segment.field(field);
            if value.is_hollow() || value.is_null() || configured(segment.name, field) {
                continue;
            }
            let key =
                match ROWS.iter().find(|r| r.segment == segment.name && r.field == field).map(|r| r.fate) {
                    Some(Fate::To(_) | Fate::Frame) => continue,
                    Some(Fate::NotCarried) => UnmappedKey::NotCarried,
                    None => UnmappedKey::NoRow,
                };
            notes.unmapped(key, places::component(segment, field, 1, 1), value.text());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_has_one_row() {
        for (i, row) in ROWS.iter().enumerate() {
            assert!(
                !ROWS[..i].iter().any(|r| r.segment == row.segment && r.field == row.field),
                "{}-{}",
                row.segment,
                row.field
            );
            assert!(!row.name_ja.is_empty());
        }
        for segment in CLINICAL {
            assert!(ROWS.iter().any(|r| r.segment == *segment));
        }
    }
}
