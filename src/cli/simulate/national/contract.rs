//! What can be asked, and what comes of it: operations and result codes (national-service.md §6.3, §7).
//!
//! The official interface is not public; names and shapes here are the project's own decision, after the nearest
//! precedent that is.

use serde::{Deserialize, Serialize};

use super::validate::Kind;

/// One of the four services (national-service.md §1.1), or what stands beside them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Service {
    /// 利用状況確認.
    Availability,
    /// 文書送受信.
    Referral,
    /// 健診文書.
    Checkup,
    /// 臨床情報.
    Info,
    /// 患者サマリー.
    Summary,
    /// 処理結果の取得.
    Result,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    Ask,
    Register,
    Change,
    Cancel,
    Undo,
    /// A discharge summary, after its letter (rule set 2.0.0).
    AttachLater,
    Status,
    List,
    Fetch,
}

/// An operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
pub struct Op {
    pub name: &'static str,
    pub service: Service,
    pub verb: Verb,
}

/// All operations; the path of one is `/v1/` and its name with `/` for `.`.
pub const OPERATIONS: [Op; 22] = [
    op("availability", Service::Availability, Verb::Ask),
    op("referral.register", Service::Referral, Verb::Register),
    op("referral.change", Service::Referral, Verb::Change),
    op("referral.cancel", Service::Referral, Verb::Cancel),
    op("referral.undo", Service::Referral, Verb::Undo),
    op("referral.attach-later", Service::Referral, Verb::AttachLater),
    op("referral.status", Service::Referral, Verb::Status),
    op("referral.list", Service::Referral, Verb::List),
    op("referral.fetch", Service::Referral, Verb::Fetch),
    op("checkup.register", Service::Checkup, Verb::Register),
    op("checkup.change", Service::Checkup, Verb::Change),
    op("checkup.cancel", Service::Checkup, Verb::Cancel),
    op("checkup.undo", Service::Checkup, Verb::Undo),
    op("info.register", Service::Info, Verb::Register),
    op("info.change", Service::Info, Verb::Change),
    op("info.cancel", Service::Info, Verb::Cancel),
    op("info.undo", Service::Info, Verb::Undo),
    op("summary.register", Service::Summary, Verb::Register),
    op("summary.change", Service::Summary, Verb::Change),
    op("summary.cancel", Service::Summary, Verb::Cancel),
    op("summary.undo", Service::Summary, Verb::Undo),
    op("result", Service::Result, Verb::Ask),
];

const fn op(name: &'static str, service: Service, verb: Verb) -> Op {
    Op { name, service, verb }
}

impl Op {
    pub fn named(name: &str) -> Option<Op> {
        OPERATIONS.into_iter().find(|o| o.name == name)
    }

    pub fn at(path: &str) -> Option<Op> {
        Op::named(&path.strip_prefix("/v1/")?.replace('/', "."))
    }

    /// Whether it changes what is held, and so is answered once for each key.
    pub fn changes(self) -> bool {
        matches!(self.verb, Verb::Register | Verb::Change | Verb::Cancel | Verb::Undo | Verb::AttachLater)
    }

    /// Whether it brings a Bundle.
    pub fn brings(self) -> bool {
        matches!(self.verb, Verb::Register | Verb::Change | Verb::AttachLater)
    }

    /// The kind of Bundle it takes.
    pub fn kind(self) -> Option<Kind> {
        match (self.service, self.verb) {
            (Service::Referral, Verb::AttachLater) => Some(Kind::Discharge),
            (Service::Referral, _) => Some(Kind::Referral),
            (Service::Checkup, _) => Some(Kind::Checkup),
            (Service::Info, _) => Some(Kind::Info),
            (Service::Summary, _) => Some(Kind::Summary),
            (Service::Availability | Service::Result, _) => None,
        }
    }
}

impl From<Op> for &'static str {
    fn from(op: Op) -> Self {
        op.name
    }
}

impl TryFrom<String> for Op {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        Op::named(&name).ok_or_else(|| format!("'{name}' is no operation"))
    }
}

/// 処理結果コード. Those after `INTERNAL` concern the transport and are not of national-service.md §7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Code {
    Ok,
    Validation,
    Duplicate,
    NotFound,
    AlreadyReceived,
    InstitutionMismatch,
    QualificationInvalid,
    DestinationUnknown,
    NotParticipating,
    DestinationMismatch,
    KindNotAllowed,
    TooLarge,
    Busy,
    Internal,
    Processing,
    KeyReused,
    Unreadable,
    NoCertificate,
    CertificateRefused,
    NoOperation,
}

/// A code as it is sent, its HTTP status, and what it says in English and Japanese.
pub struct Row(pub Code, pub &'static str, pub u16, pub &'static str, pub &'static str);

pub const CODES: [Row; 20] = [
    Row(Code::Ok, "OK", 200, "done", "正常終了"),
    Row(
        Code::Validation,
        "VALIDATION",
        200,
        "the Bundle breaks rules; nothing was stored",
        "記録条件違反（登録されていません）",
    ),
    Row(
        Code::Duplicate,
        "DUPLICATE",
        200,
        "a unit with these identifiers is registered already",
        "同じ識別子の登録が既にあります",
    ),
    Row(Code::NotFound, "NOT_FOUND", 200, "no unit has these identifiers", "該当する登録がありません"),
    Row(
        Code::AlreadyReceived,
        "ALREADY_RECEIVED",
        200,
        "the destination has fetched it",
        "紹介先が既に取得しています",
    ),
    Row(
        Code::InstitutionMismatch,
        "INSTITUTION_MISMATCH",
        200,
        "certificate, header and Bundle name different institutions",
        "医療機関コードが一致しません",
    ),
    Row(
        Code::QualificationInvalid,
        "QUALIFICATION_INVALID",
        200,
        "the insured person's number is unknown, lapsed, or another person's",
        "被保険者資格が確認できません",
    ),
    Row(
        Code::DestinationUnknown,
        "DESTINATION_UNKNOWN",
        200,
        "no such destination institution",
        "紹介先医療機関が存在しません",
    ),
    Row(
        Code::NotParticipating,
        "NOT_PARTICIPATING",
        200,
        "the destination does not take part",
        "紹介先医療機関は利用していません",
    ),
    Row(
        Code::DestinationMismatch,
        "DESTINATION_MISMATCH",
        200,
        "section 910 names another institution than DestinationInstitutionCode",
        "紹介先情報セクションと宛先が一致しません",
    ),
    Row(
        Code::KindNotAllowed,
        "KIND_NOT_ALLOWED",
        200,
        "this operation does not take such a Bundle",
        "この業務では扱えない文書・情報です",
    ),
    Row(
        Code::TooLarge,
        "TOO_LARGE",
        413,
        "larger than one transmission may be",
        "送信サイズの上限を超えています",
    ),
    Row(Code::Busy, "BUSY", 503, "not now", "現在処理できません"),
    Row(Code::Internal, "INTERNAL", 500, "the service failed", "システムエラー"),
    Row(Code::Processing, "PROCESSING", 200, "not finished; ask for the result", "処理中です"),
    Row(
        Code::KeyReused,
        "KEY_REUSED",
        200,
        "this key was used for something else",
        "同じ識別子で異なる要求が行われました",
    ),
    Row(Code::Unreadable, "UNREADABLE", 400, "the request cannot be read", "要求を解釈できません"),
    Row(
        Code::NoCertificate,
        "NO_CERTIFICATE",
        401,
        "a client certificate is required",
        "電子証明書が必要です",
    ),
    Row(
        Code::CertificateRefused,
        "CERTIFICATE_REFUSED",
        403,
        "the certificate is of no institution that may call",
        "電子証明書が使用できません",
    ),
    Row(Code::NoOperation, "NO_OPERATION", 404, "there is no such operation", "業務がありません"),
];

impl Code {
    pub fn row(self) -> &'static Row {
        // Each code has its row (a test sees to it); the first stands for none.
        CODES.iter().find(|r| r.0 == self).unwrap_or(&CODES[0])
    }

    pub fn as_str(self) -> &'static str {
        self.row().1
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_code_has_its_row_and_each_operation_its_path() {
        for (at, Row(code, name, ..)) in CODES.iter().enumerate() {
            assert_eq!(code.row().1, *name, "row {at} of CODES");
            assert_eq!(serde_json::to_value(code).unwrap(), json!(name));
        }
        for op in OPERATIONS {
            assert_eq!(Op::at(&format!("/v1/{}", op.name.replace('.', "/"))), Some(op), "{}", op.name);
        }
        assert_eq!(Op::at("/v1/info/forget"), None);
        assert_eq!(Op::at("/v2/info/register"), None);
    }
}
