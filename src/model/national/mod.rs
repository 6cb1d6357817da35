//! What is sent to the national record-sharing service (電子カルテ情報共有サービス), in its words: kinds of content,
//! operations, identifiers, and the decision whether a document goes there. Pure: facts in, decision out.

pub mod bundle;
pub mod bundle_id;
pub mod decide;
pub mod insured;
pub mod reasons;

use std::fmt;

use serde::{Deserialize, Serialize};

/// Which family of operations a content belongs to (national-service, 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// 診療情報提供書, and 退院時サマリー that rides on it or is attached to it.
    Referral,
    /// 健康診断結果報告書.
    Checkup,
    /// 傷病名・アレルギー・感染症・検査.
    Info,
    /// 患者サマリー.
    Summary,
}

impl Family {
    pub const ALL: [Family; 4] = [Self::Referral, Self::Checkup, Self::Info, Self::Summary];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Referral => "referral",
            Self::Checkup => "checkup",
            Self::Info => "info",
            Self::Summary => "summary",
        }
    }
}

/// What a document is to the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// 診療情報提供書 (HS038).
    Referral,
    /// 退院時サマリー (HS039).
    Discharge,
    /// 健康診断結果報告書 (HS037).
    Checkup,
    /// 患者サマリー (ePCS).
    Summary,
    /// 5情報.
    Info,
}

impl Kind {
    pub const ALL: [Kind; 5] = [Self::Referral, Self::Discharge, Self::Checkup, Self::Summary, Self::Info];

    pub fn family(self) -> Family {
        match self {
            Self::Referral | Self::Discharge => Family::Referral,
            Self::Checkup => Family::Checkup,
            Self::Summary => Family::Summary,
            Self::Info => Family::Info,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Referral => "referral",
            Self::Discharge => "discharge",
            Self::Checkup => "checkup",
            Self::Summary => "summary",
            Self::Info => "info",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// The kind in Japanese, for people.
    pub fn japanese(self) -> &'static str {
        match self {
            Self::Referral => "診療情報提供書",
            Self::Discharge => "退院時サマリー",
            Self::Checkup => "健康診断結果報告書",
            Self::Summary => "患者サマリー",
            Self::Info => "臨床情報（5情報）",
        }
    }

    /// Days for which a hold may last before it is given up: letters are soon of no use.
    pub fn hold_days(self) -> i64 {
        if self.family() == Family::Referral { 30 } else { 90 }
    }

    /// The letter in front of the local part of a Bundle-ID.
    pub fn letter(self) -> char {
        match self {
            Self::Referral => 'R',
            Self::Discharge => 'D',
            Self::Checkup => 'C',
            Self::Summary => 'S',
            Self::Info => 'I',
        }
    }
}

/// What is asked of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    Register,
    Change,
    Cancel,
    /// Takes a cancellation back.
    Undo,
    /// Rule set 2.0.0: a discharge summary after its letter.
    AttachLater,
    /// 同意・取得状況照会.
    Status,
    List,
    Fetch,
}

impl Verb {
    pub const ALL: [Verb; 8] = [
        Self::Register,
        Self::Change,
        Self::Cancel,
        Self::Undo,
        Self::AttachLater,
        Self::Status,
        Self::List,
        Self::Fetch,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::Change => "change",
            Self::Cancel => "cancel",
            Self::Undo => "undo",
            Self::AttachLater => "attach-later",
            Self::Status => "status",
            Self::List => "list",
            Self::Fetch => "fetch",
        }
    }

    /// Whether a Bundle travels with it.
    pub fn carries(self) -> bool {
        matches!(self, Self::Register | Self::Change | Self::AttachLater)
    }
}

/// An operation of the adapter port (national-service, 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Op {
    /// Whether an institution takes part.
    Availability,
    /// What came of a request, by its key.
    Result,
    Of(Family, Verb),
}

impl Op {
    /// Every operation there is; a mapping may leave some out.
    pub fn all() -> Vec<Op> {
        let mut all = vec![Self::Availability, Self::Result];
        for family in Family::ALL {
            for verb in [Verb::Register, Verb::Change, Verb::Cancel, Verb::Undo] {
                all.push(Self::Of(family, verb));
            }
        }
        for verb in [Verb::AttachLater, Verb::Status, Verb::List, Verb::Fetch] {
            all.push(Self::Of(Family::Referral, verb));
        }
        all
    }

    pub fn parse(text: &str) -> Option<Op> {
        Self::all().into_iter().find(|op| op.to_string() == text)
    }

    pub fn verb(self) -> Option<Verb> {
        match self {
            Self::Of(_, verb) => Some(verb),
            _ => None,
        }
    }

    pub fn carries(self) -> bool {
        self.verb().is_some_and(Verb::carries)
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Availability => f.write_str("availability"),
            Self::Result => f.write_str("result"),
            Self::Of(family, verb) => write!(f, "{}.{}", family.as_str(), verb.as_str()),
        }
    }
}

impl Serialize for Op {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Op {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Op::parse(&text)
            .ok_or_else(|| serde::de::Error::custom(format!("{text:?} is no operation of the port")))
    }
}

/// Whether the destination may read a letter at once (national-service, 1.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConsentStatus {
    /// 閲覧可: the patient agreed where the letter was written.
    Viewable,
    /// 閲覧保留: the patient agrees later, on Mynaportal or at the destination.
    Pending,
}

impl ConsentStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewable => "viewable",
            Self::Pending => "pending",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Viewable, Self::Pending].into_iter().find(|c| c.as_str() == text)
    }
}

/// What a code, an HTTP status or a broken line means for what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Class {
    /// As if it were done: a cancellation of what is not there.
    Done,
    /// Soon again.
    Transient,
    /// Again, and the whole lane slower.
    Throttled,
    /// Our certificate is refused: nothing of this lane will go.
    Credential,
    /// Never again unchanged: to the worklist.
    Permanent,
    /// A fact must change first.
    Hold(String),
}

impl Class {
    /// `transient`, `throttled`, `credential`, `permanent`, `done`, `hold:REASON`.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "done" => Self::Done,
            "transient" => Self::Transient,
            "throttled" => Self::Throttled,
            "credential" => Self::Credential,
            "permanent" => Self::Permanent,
            other => {
                Self::Hold(other.strip_prefix("hold:").filter(|r| reasons::find(r).is_some())?.to_owned())
            }
        })
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::Transient => f.write_str("transient"),
            Self::Throttled => f.write_str("throttled"),
            Self::Credential => f.write_str("credential"),
            Self::Permanent => f.write_str("permanent"),
            Self::Hold(reason) => write!(f, "hold:{reason}"),
        }
    }
}

/// Whether `text` has the form of a 医療機関コード of ten digits: prefecture, 点数表, seven digits.
pub fn is_institution(text: &str) -> bool {
    let b = text.as_bytes();
    b.len() == 10
        && b.iter().all(u8::is_ascii_digit)
        && matches!(b.first(), Some(b'0'..=b'4'))
        && matches!(b.get(2), Some(b'1'..=b'3'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_have_names_that_read_back() {
        let all = Op::all();
        assert_eq!(all.len(), 2 + 16 + 4);
        for op in all {
            assert_eq!(Op::parse(&op.to_string()), Some(op));
        }
        assert_eq!(Op::parse("info.fetch"), None);
    }

    #[test]
    fn institutions_are_told_from_care_facilities() {
        for good in ["1319900018", "0119900034", "4711234567"] {
            assert!(is_institution(good), "{good}");
        }
        for bad in
            ["2770123456A", "2770123456", "5311234567", "131990001", "13199000189", "１３１９９０００１８"]
        {
            assert!(!is_institution(bad), "{bad}");
        }
    }

    #[test]
    fn classes_read_as_a_mapping_writes_them() {
        assert_eq!(
            Class::parse("hold:qualification-not-valid"),
            Some(Class::Hold("qualification-not-valid".into()))
        );
        assert_eq!(Class::parse("hold:no-such-reason"), None);
        assert_eq!(Class::parse("later"), None);
    }
}
