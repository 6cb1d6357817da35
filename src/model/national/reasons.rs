//! Why a document is not sent, waits, or fails: every reason of the gates (national-service, 8) in two languages, with
//! what whoever reads it can do.

use serde::{Deserialize, Serialize};

/// What a reason brings about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// It will not go.
    Skip,
    /// It goes once a fact has changed.
    Hold,
    /// It does not go as it is: to the facility's worklist.
    Fail,
    /// It goes, and somebody should know.
    Warn,
}

/// One reason.
#[derive(Debug)]
pub struct Reason {
    pub key: &'static str,
    pub effect: Effect,
    pub en: &'static str,
    pub ja: &'static str,
    /// What to do about it.
    pub cure_en: &'static str,
    pub cure_ja: &'static str,
}

macro_rules! reasons {
    ($($key:literal $effect:ident $en:literal $ja:literal $cure_en:literal $cure_ja:literal;)+) => {
        &[$(Reason { key: $key, effect: Effect::$effect, en: $en, ja: $ja, cure_en: $cure_en, cure_ja: $cure_ja }),+]
    };
}

/// Every reason.
pub const REASONS: &[Reason] = reasons! {
    "not-enabled" Skip
        "the institution of the author has no way to the national service configured"
        "作成医療機関の送信設定がありません"
        "add [national.egress.<institution>] to the configuration if it is to take part"
        "参加させる場合は設定に [national.egress.<医療機関コード>] を追加してください";
    "foreign-origin" Skip
        "the document comes from another community or from the national service itself"
        "他のネットワークまたは全国サービスから取得した文書です"
        "nothing: only what was written here is sent"
        "対応不要です。自ネットワークで作成された文書だけを送信します";
    "addendum-not-supported" Skip
        "an addendum (APND) has no counterpart in the national service"
        "追記（APND）は全国サービスに対応する操作がありません"
        "replace the document (RPLC) where the national copy has to say it too"
        "全国側にも反映するには文書を置換（RPLC）してください";
    "transform-of-forwarded" Skip
        "a transformation (XFRM) of a document that has been sent already"
        "送信済み文書の変換（XFRM）です"
        "nothing: the original stands for both"
        "対応不要です。元の文書が送信されています";
    "no-content-change" Skip
        "only attributes changed, not the content"
        "メタデータだけの変更で、内容は変わっていません"
        "nothing"
        "対応不要です";
    "withdrawn-before-send" Skip
        "withdrawn before anything was sent"
        "送信前に取り下げられました"
        "nothing"
        "対応不要です";
    "replaced" Skip
        "another document has taken its place, which is decided on instead"
        "別の文書に置換されました。判定は置換後の文書で行います"
        "look at the newer document"
        "置換後の文書を確認してください";
    "not-current" Skip
        "a newer document of the same reporting unit has been sent"
        "同じ報告単位のより新しい文書が送信されています"
        "nothing"
        "対応不要です";
    "already-received" Hold
        "the destination has fetched the letter; it cannot be changed or taken back"
        "紹介先が既に取得したため、変更も取消もできません"
        "tell the destination by telephone or on paper"
        "紹介先へ電話または紙で連絡してください";
    "no-mapping" Skip
        "format, media type and document type are of nothing the national service takes"
        "全国サービスの対象となる文書種別・形式ではありません"
        "nothing, or a line under [[national.kind]] if it is one after all"
        "対象文書の場合は [[national.kind]] に対応を追加してください";
    "pdf-only" Skip
        "there is only a PDF or an image, and nothing to make FHIR from"
        "PDF・画像のみで、FHIR 形式の内容がありません"
        "publish the letter as FHIR (jp:fhir:hs038) or CDA (jp:cda:hs008)"
        "FHIR（jp:fhir:hs038）または CDA（jp:cda:hs008）で登録してください";
    "reply-letter" Skip
        "a reply (返書): the service has no way back to the sender"
        "返書は全国サービスの対象外です"
        "nothing: it is read in the regional network"
        "対応不要です。地域ネットワークで閲覧されます";
    "regional-deny" Skip
        "the regional policy does not permit it to be shared"
        "地域連携のポリシーで共有が許可されていません"
        "nothing, unless the patient changes their mind"
        "患者の意向が変わらない限り対応不要です";
    "patient-objection" Skip
        "the patient objected to national sharing"
        "患者が全国共有を拒否しています"
        "give the letter on paper"
        "紙で交付してください";
    "restricted" Hold
        "its confidentialityCode is not N"
        "confidentialityCode が N 以外（制限付き）です"
        "set the code to N (ITI-57) if it may be read nationwide"
        "全国で閲覧してよい場合は機密コードを N に更新してください（ITI-57）";
    "no-insured-id" Hold
        "no insured-person identifier is linked to the patient"
        "被保険者個人識別子が患者に紐付いていません"
        "do the online qualification check, and let the hospital send the insurance to the index of patients"
        "オンライン資格確認を行い、保険情報を患者索引に登録してください";
    "qualification-not-valid" Hold
        "the insurance was not valid when last checked online, or was checked too long ago"
        "保険資格が無効、または資格確認から日数が経過しています"
        "do the online qualification check again and correct the insurance"
        "オンライン資格確認を再度行い、保険情報を修正してください";
    "public-assistance-unconfirmed" Hold
        "the patient has 生活保護 only, for which the published rules contradict themselves"
        "生活保護の受給者番号のみです（公開仕様に矛盾があり未確定）"
        "give the letter on paper until the service says how"
        "仕様が確定するまで紙で交付してください";
    "insured-branch-missing" Warn
        "the insured-person identifier has no 枝番"
        "被保険者番号に枝番がありません"
        "complete the 枝番 in the hospital's system; letters without it are often refused"
        "電子カルテの保険情報に枝番を登録してください（照合エラーの主な原因です）";
    "send-not-agreed" Skip
        "the patient did not agree to electronic sending"
        "患者が電子的送信に同意していません"
        "give the letter on paper"
        "紙で交付してください";
    "send-agreement-unknown" Hold
        "whether the patient agreed to electronic sending is not recorded"
        "電子的送信への同意が記録されていません"
        "record it: chiren national fact set entry <entry> send-agreement yes|no"
        "同意の有無を記録してください（chiren national fact set entry …）";
    "destination-not-insured" Skip
        "the recipient is no institution with a number of ten digits"
        "宛先が 10 桁の医療機関コードを持つ保険医療機関ではありません"
        "give the letter on paper, or put the recipient's number into intendedRecipient"
        "紙で交付するか、宛先に医療機関コードを設定してください";
    "destination-is-sender" Skip
        "the recipient is the institution that wrote it"
        "宛先が作成医療機関自身です"
        "nothing, or correct intendedRecipient"
        "宛先を確認してください";
    "destination-not-participating" Skip
        "the recipient does not take part in the national service"
        "宛先の医療機関は全国サービスを利用していません"
        "give the letter on paper"
        "紙で交付してください";
    "destination-unknown" Hold
        "whether the recipient takes part could not be found out yet"
        "宛先が全国サービスを利用しているか確認できていません"
        "nothing: it is asked again; or say it: chiren national fact set institution <number> participates yes|no"
        "自動で再確認します。手動設定: chiren national fact set institution <医療機関コード> participates yes|no";
    "waiting-for-referral" Hold
        "a discharge summary goes only with a letter (rule set 1.2.0)"
        "退院時サマリーは診療情報提供書に添付してのみ送信できます（1.2.0）"
        "attach it to the letter (section 210)"
        "診療情報提供書に添付してください（セクション 210）";
    "nested-in-letter" Skip
        "it went inside the letter (section 210), and is where the letter is"
        "診療情報提供書に添付（セクション 210）して送信済みです"
        "nothing"
        "対応不要です";
    "inside-letter" Hold
        "it was withdrawn, and is still inside a letter that was sent"
        "取り消されましたが、送信済みの診療情報提供書に添付されたままです"
        "replace the letter, or take it back"
        "診療情報提供書を置換するか取り消してください";
    "behind-predecessor" Hold
        "what went before it has not arrived yet"
        "先行する送信が完了していません"
        "nothing, or mend what is parked: chiren national list parked"
        "先行分の状態を確認してください（chiren national list parked）";
    "too-large" Hold
        "larger than the service takes; nothing is ever split"
        "サイズの上限を超えています（分割送信は行いません）"
        "take attachments out and replace the document"
        "添付を減らして文書を置換してください";
    "nothing-to-send" Skip
        "nothing is left of the list after what must not be sent was left out"
        "送信対象外を除くと送る内容がありません"
        "nothing"
        "対応不要です";
    "hold-expired" Skip
        "it waited too long for a fact that did not change"
        "保留のまま期限を過ぎました"
        "send it by hand if it still matters: chiren national retry <entry>"
        "必要なら手動で再送してください（chiren national retry <entry>）";
    "dropped" Skip
        "somebody decided that it is not to be sent"
        "担当者が送信しないことにしました"
        "nothing"
        "対応不要です";
    "document-not-here" Hold
        "the document's octets cannot be read"
        "文書の本体を読み出せません"
        "it is tried again; look at the repository if it stays so"
        "自動で再試行します。続く場合はリポジトリを確認してください";
    "not-convertible" Fail
        "no Bundle could be made of the document"
        "文書から FHIR Bundle を作成できません"
        "see the findings, correct the document at its source and replace it"
        "指摘事項を確認し、元の文書を修正して置換してください";
    "bundle-unreadable" Fail
        "the document is no FHIR Bundle in JSON"
        "FHIR Bundle（JSON）として読み込めません"
        "correct the document and replace it"
        "文書を修正して置換してください";
    "kind-mismatch" Fail
        "the Bundle is of another kind than its metadata say"
        "Bundle の種類がメタデータの文書種別と一致しません"
        "correct typeCode or formatCode, or the Bundle"
        "typeCode・formatCode または Bundle を修正してください";
    "destination-mismatch" Fail
        "the recipient of the metadata is not the one in section 910 of the letter"
        "メタデータの宛先と紹介先セクション（910）の医療機関が一致しません"
        "correct intendedRecipient or the letter"
        "intendedRecipient または文書の紹介先を修正してください";
    "institution-mismatch" Fail
        "the Bundle-ID is another institution's than the author's"
        "Bundle-ID の医療機関コードが作成医療機関と一致しません"
        "correct Bundle.identifier or authorInstitution"
        "Bundle.identifier または作成医療機関を修正してください";
    "insured-id-differs" Warn
        "the Bundle names another insured-person identifier than the index of patients; it is sent under its own"
        "Bundle の被保険者個人識別子が患者索引と異なります（Bundle の値で送信します）"
        "compare both with the online qualification check and correct the one that is stale"
        "オンライン資格確認の結果と照合し、古い方を修正してください";
    "R1013" Fail
        "the insured-person identifier has not the form 保険者番号(8):記号:番号:枝番"
        "被保険者個人識別子の形式が正しくありません（保険者番号8桁:記号:番号:枝番）"
        "correct the insurance in the hospital's system"
        "電子カルテの保険情報を修正してください";
    "undelivered-in-letter" Warn
        "the letter contains a diagnosis flagged 未提供; nobody filters the letter's text"
        "未提供フラグ付き傷病名が文書に含まれています（文面は誰も除去しません）"
        "make sure the letter may be read by its destination"
        "紹介先に読まれてよい内容か確認してください";
    "predecessor-withdrawn" Warn
        "what it replaces is taken back nationally, since it does not go itself"
        "置換後の文書を送信しないため、置換前の全国側の文書を取り消します"
        "nothing"
        "対応不要です";
};

/// A reason by its key.
pub fn find(key: &str) -> Option<&'static Reason> {
    REASONS.iter().find(|reason| reason.key == key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_stands_once_and_says_something_in_both_languages() {
        for (n, reason) in REASONS.iter().enumerate() {
            assert!(
                REASONS.iter().skip(n + 1).all(|other| other.key != reason.key),
                "{} stands twice",
                reason.key
            );
            for text in [reason.en, reason.ja, reason.cure_en, reason.cure_ja] {
                assert!(!text.is_empty(), "{}", reason.key);
            }
            assert!(!reason.ja.is_ascii() && !reason.cure_ja.is_ascii(), "{}", reason.key);
        }
    }
}
