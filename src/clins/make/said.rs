//! What is said of a conversion: why nothing was made, what could not be mapped, what was left out on purpose, what
//! is odd. Each by a key that stays, with a sentence in both languages, the place in the source and its value.
//!
//! Values are the sender's own patient data, for the sender's own eyes: `Debug` and `Display` do not show them.

use std::fmt;

macro_rules! keys {
    ($(#[$doc:meta])* $name:ident { $($variant:ident $code:literal $en:literal $ja:literal;)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($variant),+ }

        impl $name {
            pub const ALL: &[$name] = &[$($name::$variant),+];

            pub fn code(self) -> &'static str {
                match self { $($name::$variant => $code),+ }
            }

            pub fn en(self) -> &'static str {
                match self { $($name::$variant => $en),+ }
            }

            pub fn ja(self) -> &'static str {
                match self { $($name::$variant => $ja),+ }
            }
        }
    };
}

keys! {
    /// Why no Bundle was made.
    NotMadeKey {
        Unreadable "unreadable" "the source cannot be read" "入力を読み取れません";
        UnknownSource "unknown-source" "the source is none that is converted" "変換の対象でない種類の入力です";
        KindMismatch "kind-mismatch" "the source makes another kind than was asked for" "指定された種別と入力の内容が一致しません";
        OnlyInsideLetters "only-inside-letters" "prescriptions travel only inside letters" "処方は文書の中でのみ送信できます";
        NothingToSend "nothing-to-send" "nothing is left to send" "送信する内容が残っていません";
        NoListedItem "no-listed-item" "the report holds none of the listed laboratory items" "報告に対象の検査項目が含まれていません";
        Institution "institution-number" "the institution number is not of the form [0-4][0-9][1-3] and seven digits" "医療機関番号10桁の形式が正しくありません";
        NoPatientId "no-patient-id" "the source names no patient id" "患者IDがありません";
        SeveralPatients "several-patients" "the source is about several patients" "複数の患者の情報が含まれています";
        NoInsuredId "no-insured-id" "no insured id is known" "被保険者個人識別子がわかりません";
        InsuredId "insured-id" "the insured id is not insurer(8):symbol:number:branch(2 or empty)" "被保険者個人識別子の形式が正しくありません";
        NoName "no-name" "the patient has no family and given name" "患者の姓と名がそろっていません";
        NoBirthDate "no-birth-date" "the patient has no date of birth" "患者の生年月日がありません";
        NoAddress "no-address" "the patient has no address" "患者の住所がありません";
        NoDepartment "no-department" "no department is named and none is configured" "診療科がなく、既定の診療科も設定されていません";
        NoEncounterClass "no-encounter-class" "whether outpatient or inpatient is not said, and no default is configured" "入外区分がなく、既定値も設定されていません";
        NoDiseaseKey "no-disease-key" "a diagnosis has no 病名管理番号, and none is found for its 交換用コード" "病名管理番号がなく、交換用コードからも特定できません";
        NoDiseaseName "no-disease-name" "a diagnosis has no name" "病名の表記がありません";
        NoModifierName "no-modifier-name" "a modifier of a diagnosis has no name" "修飾語の表記がありません";
        NoOnset "no-onset" "a diagnosis has no date of onset" "病名の発症日がありません";
        NoAllergen "no-allergen" "an allergy does not name its allergen" "アレルゲンの名称がありません";
        NoReportNumber "no-report-number" "the report has neither order number nor report number" "オーダ番号も報告番号もありません";
        NoPerformer "no-performer" "a laboratory result has no ordering doctor" "検査結果に依頼医がありません";
        NoSpecimen "no-specimen" "a laboratory result has no specimen" "検査結果に検体がありません";
        NoItemCode "no-item-code" "a laboratory result has no code of the institution's own" "検査項目のローカルコードがありません";
        NoItemName "no-item-name" "a laboratory result has no name" "検査項目の名称がありません";
        NoTime "no-time" "a laboratory result has no time" "検査結果に日時がありません";
        NoMedicineName "no-medicine-name" "a medicine has no name" "薬剤の名称がありません";
        NoUsage "no-usage" "a medicine has no usage in words" "用法の表記がありません";
        NoOrderTime "no-order-time" "a prescription has no date" "処方日がありません";
        NoDocumentId "no-document-id" "the document has no id" "文書IDがありません";
        NoDocumentTime "no-document-time" "the document has no date" "文書の作成日がありません";
        OtherInstitution "other-institution" "the document is another institution's" "文書の作成機関が送信機関と異なります";
        NoAuthor "no-author" "the document names no author" "文書の作成者がありません";
        NoDestination "no-destination" "the letter names no destination" "紹介先がありません";
        DestinationNumber "destination-number" "the destination has no valid institution number" "紹介先の医療機関番号10桁がありません";
        DestinationIsSender "destination-is-sender" "the destination is the sender" "紹介先が紹介元と同じです";
        NoStay "no-stay" "the summary does not say when the stay began and ended" "入院日・退院日がありません";
        SectionMissing "section-missing" "a section that the document must have is missing" "必須のセクションがありません";
        NoDischargeDiagnosis "no-discharge-diagnosis" "the summary has no coded discharge diagnosis" "退院時診断のコード化された病名がありません";
    }
}

keys! {
    /// Why something of the source was left out on purpose (national-service.md §1.3, §8, §10).
    LeftOutReason {
        Unconfirmed "unconfirmed" "a suspected diagnosis" "疑い病名";
        VerificationUnknown "verification-unknown" "the confirmation status is not known to the tables" "確認状態の値が変換表にない";
        Deleted "deleted" "deleted by the sender" "送信元で削除済み";
        EnteredInError "entered-in-error" "entered in error" "誤入力";
        EndedLongAgo "ended-long-ago" "ended more than five years ago" "終了から5年を超過";
        PatientAsserted "asserted-by-patient" "known from the patient only" "患者の申告のみによる情報";
        NoAllergy "no-allergy-stated" "states that there is no allergy" "アレルギーなしの記載";
        Undelivered "undelivered" "flagged 未提供, and configured to be dropped" "未提供の指定(設定により除外)";
        FlagNotAllowed "flag-not-allowed" "flagged as may not be flagged here; sending it would break the doctor's word" "この情報には付けられない指定がある(指定に反するため送信しない)";
        NotFinal "result-not-final" "a result that is not final" "未確定の結果";
        ResultDeleted "result-deleted" "a result that was deleted or is wrong" "削除または誤りの結果";
        NoResult "no-result" "an order without result" "結果のない依頼";
        StatusUnknown "status-unknown" "the result status is not in HL7 table 0085" "結果状態の値がHL7表0085にない";
        Duplicate "duplicate" "the same entry stands in the list already" "同一の内容が重複";
        Discontinued "discontinued" "a cancelled or discontinued order" "中止・取消のオーダ";
    }
}

keys! {
    /// Why something could not be mapped.
    UnmappedKey {
        NoRow "no-row" "the mapping table has no place for it" "変換表に対応先がない";
        NotCarried "not-carried" "the national profile has no use for it" "全国側のプロファイルで使用しない";
        UnknownCode "unknown-code" "the code is not in the tables" "コードが変換表にない";
        UnknownSystem "unknown-system" "the code system is not one of the configured ones" "コード体系が設定にない";
        BadForm "bad-form" "the value has not the form of its type" "値の形式が正しくない";
        NoDisplay "no-display" "the code has no name, and the masters know none" "コードの表記がなく、マスタにもない";
        NoUnitCode "no-unit-code" "the unit has no MERIT-9 code; it stands in the text" "単位にMERIT-9コードがない(本文に記載)";
        NotPrecise "not-precise" "the time is not precise enough" "日時の精度が足りない";
        NotNational "not-national" "the entry is not coded in national codes; its text is kept" "全国標準コードでないため本文のみ保持";
        Medium "medium" "the media type cannot travel" "送信できないメディア形式";
    }
}

keys! {
    /// What is odd; the Bundle is made all the same.
    WarningKey {
        NoBranch "insured-branch-missing" "the insured id has no branch number" "枝番がありません";
        InsuredFromMessage "insured-from-message" "the insured id is the message's own, not confirmed online" "被保険者個人識別子はメッセージ由来です(オンライン資格確認なし)";
        Characters "characters" "a character outside its set was read as 〓" "文字集合にない文字を〓として読み取りました";
        NoKana "no-kana" "the patient has no name in kana" "カナ氏名がありません";
        FromIndex "from-patient-index" "not in the source; taken from the index of patients" "原文書に記載がなく、患者索引から補いました";
        GenderUnknown "gender-unknown" "the sex is not said; unknown is sent" "性別の記載がなく unknown としました";
        StatusAssumed "status-assumed" "the result status is not said; final is sent" "結果状態の記載がなく final としました";
        NotNumeric "not-numeric" "a numeric result is no number; its text is sent" "数値型の結果が数値でないため文字列としました";
        LocalIsJlac10 "local-code-is-jlac10" "the JLAC10 code stands as the institution's own code" "ローカルコードとしてJLAC10コードを使用しました";
        KeyNotInMaster "key-not-in-master" "the 病名管理番号 is not in the disease master" "病名管理番号がマスタにありません";
        KeyLookedUp "key-looked-up" "the 病名管理番号 was found by the 交換用コード" "交換用コードから病名管理番号を特定しました";
        NoLocalKey "no-local-key" "the entry has no key of its own; one was derived from its content" "識別番号がないため内容から生成しました";
        DoctorWithoutId "doctor-without-id" "the doctor has no id" "医師IDがありません";
        Corrected "corrected" "the report corrects an earlier one" "以前の報告の訂正を含みます";
        CategoryDiffers "category-differs" "allergen code and category do not agree" "アレルゲンコードと分類が一致しません";
        RpDerived "rp-derived" "the Rp number was derived from the order of the message" "Rp番号をメッセージ内の順序から付与しました";
        TimeZero "seconds-assumed" "seconds are not said; zero is sent" "秒の記載がなく0秒としました";
        SectionUnknown "section-unknown" "a section is in no table; its text is kept under 備考・連絡情報" "対応表にないセクションを備考・連絡情報に移しました";
        SectionEmpty "section-not-in-source" "a required section is not in the source; it says so" "必須セクションが原文書にないため、その旨を記載しました";
        UndeliveredInLetter "undelivered-in-letter" "a diagnosis flagged 未提供 stands in a letter; the text is filtered by nobody" "未提供指定の病名が文書に含まれています(本文は自動では除去されません)";
        EnclosureLeftOut "enclosure-left-out" "an enclosed message could not be converted; the letter goes without it" "同封メッセージを変換できず、文書のみとしました";
        NarrativeReduced "narrative-reduced" "markup of the narrative was reduced to what FHIR allows" "本文の書式をFHIRの許容範囲に変換しました";
    }
}

/// A value of the sender's. `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Value(pub String);

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "∅" } else { "…" })
    }
}

/// Something of the source with no place in the Bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmapped {
    pub key: UnmappedKey,
    /// `OBX[3]-8[1].2`, or the path in a CDA document.
    pub source: String,
    pub value: Value,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    pub reason: LeftOutReason,
    pub source: String,
    /// What it is, as its sender calls it.
    pub value: Value,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    pub key: WarningKey,
    pub source: String,
    pub value: Value,
}

/// What was said on the way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notes {
    pub unmapped: Vec<Unmapped>,
    pub left_out: Vec<LeftOut>,
    pub warnings: Vec<Warning>,
}

/// What is looked through for the same once more: fields of the visit are read for each result. All of it would
/// cost the square of a hostile message.
fn recent<T>(list: &[T]) -> &[T] {
    list.get(list.len().saturating_sub(128)..).unwrap_or_default()
}

impl Notes {
    pub fn unmapped(&mut self, key: UnmappedKey, source: impl Into<String>, value: impl Into<String>) {
        let unmapped = Unmapped { key, source: source.into(), value: Value(value.into()) };
        if !recent(&self.unmapped).contains(&unmapped) {
            self.unmapped.push(unmapped);
        }
    }

    pub fn left_out(&mut self, reason: LeftOutReason, source: impl Into<String>, value: impl Into<String>) {
        self.left_out.push(LeftOut { reason, source: source.into(), value: Value(value.into()) });
    }

    pub fn warn(&mut self, key: WarningKey, source: impl Into<String>, value: impl Into<String>) {
        let warning = Warning { key, source: source.into(), value: Value(value.into()) };
        if !recent(&self.warnings).contains(&warning) {
            self.warnings.push(warning);
        }
    }

    pub fn append(&mut self, other: Notes) {
        self.unmapped.extend(other.unmapped);
        self.left_out.extend(other.left_out);
        self.warnings.extend(other.warnings);
    }
}

/// Why nothing was made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} at {place}", key.code())]
pub struct NotMade {
    pub key: NotMadeKey,
    /// `PRB[2]-3`, a path in a CDA document, or what of the context.
    pub place: String,
    pub value: Value,
    /// What was found before.
    pub notes: Notes,
}

impl NotMade {
    pub fn new(key: NotMadeKey, place: impl Into<String>, value: impl Into<String>) -> Box<NotMade> {
        Box::new(NotMade { key, place: place.into(), value: Value(value.into()), notes: Notes::default() })
    }
}

/// The result of one step.
pub type Step<T> = Result<T, Box<NotMade>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_unique_and_explained() {
        let rows = NotMadeKey::ALL.iter().map(|k| (k.code(), k.en(), k.ja()));
        let rows = rows.chain(LeftOutReason::ALL.iter().map(|k| (k.code(), k.en(), k.ja())));
        let rows = rows.chain(UnmappedKey::ALL.iter().map(|k| (k.code(), k.en(), k.ja())));
        let rows: Vec<_> = rows.chain(WarningKey::ALL.iter().map(|k| (k.code(), k.en(), k.ja()))).collect();
        for (i, (code, en, ja)) in rows.iter().enumerate() {
            assert!(
                code.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'),
                "{code}"
            );
            assert!(!en.is_empty() && !ja.is_ascii(), "{code} needs a sentence in both languages");
            assert!(rows[..i].iter().all(|(other, ..)| other != code), "{code} stands twice");
        }
    }

    #[test]
    fn values_are_not_shown() {
        let refused = NotMade::new(NotMadeKey::NoDiseaseKey, "PRB[1]", "胃癌");
        assert!(!format!("{refused:?} {refused}").contains("胃癌"));
        assert!(format!("{refused}").contains("no-disease-key"));
    }
}
