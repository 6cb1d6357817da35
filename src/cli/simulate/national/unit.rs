//! A registered unit, what it holds that retention and views look at, and how long that is kept (national-service.md
//! §1.2 to §1.4).

use jiff::tz::{TimeZone, offset};
use jiff::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::contract::Service;
use super::envelope::Triple;
use super::validate::Kind;
use super::validate::names;

/// The information a resource of a unit is, after national-service.md §1.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Information {
    /// 傷病名.
    Diagnosis,
    /// 感染症.
    Infection,
    /// 薬剤アレルギー等.
    DrugAllergy,
    /// その他アレルギー等.
    OtherAllergy,
    /// 検査.
    Lab,
    /// 処方, out of a document.
    Prescription,
}

impl Information {
    pub fn japanese(self) -> &'static str {
        match self {
            Information::Diagnosis => "傷病名",
            Information::Infection => "感染症",
            Information::DrugAllergy => "薬剤アレルギー等",
            Information::OtherAllergy => "その他アレルギー等",
            Information::Lab => "検査",
            Information::Prescription => "処方",
        }
    }
}

/// How long something is kept after registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    Years(i64),
    Months(i64),
    Days(i64),
}

impl Kept {
    /// The moment it ends: by the calendar of Japan.
    pub fn until(self, from: Timestamp) -> Timestamp {
        let span = match self {
            Kept::Years(n) => Span::new().years(n),
            Kept::Months(n) => Span::new().months(n),
            Kept::Days(n) => Span::new().days(n),
        };
        let here = from.to_zoned(japan());
        here.checked_add(span).map_or(Timestamp::MAX, |end| end.timestamp())
    }
}

pub fn japan() -> TimeZone {
    offset(9).to_time_zone()
}

/// An unfetched letter.
pub const LETTER: Kept = Kept::Months(6);
/// A letter after its destination fetched it.
pub const FETCHED_LETTER: Kept = Kept::Days(7);
pub const CHECKUP: Kept = Kept::Years(5);
/// Of a patient summary nothing public says (unverified): as of a checkup.
pub const SUMMARY: Kept = Kept::Years(5);
/// Results and prescriptions of which the last so many stay, whatever their age.
pub const LAST: usize = 3;

impl Information {
    pub fn kept(self) -> Kept {
        match self {
            Information::Lab => Kept::Years(1),
            Information::Prescription => Kept::Days(100),
            _ => Kept::Years(5),
        }
    }

    /// Whether the last [`LAST`] of an item stay.
    pub fn keeps_last(self) -> bool {
        matches!(self, Information::Lab | Information::Prescription)
    }
}

/// What is known of one resource.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Resource {
    /// Its place in Bundle.entry.
    pub entry: usize,
    pub information: Information,
    /// What of a kind it is, where the last ones count: a listed item; all prescriptions are one.
    pub item: String,
    /// When it was taken or written, as far as said.
    pub when: String,
    pub long_term: bool,
    pub uninformed: bool,
    pub undelivered: bool,
    /// As people read it.
    pub text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// Why a unit is no longer held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gone {
    Cancelled,
    /// By the unit with this receipt.
    Replaced(u64),
}

/// A unit: what one registration brought.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Unit {
    pub receipt: u64,
    pub institution: String,
    pub service: Service,
    pub kind: Kind,
    pub triple: Triple,
    /// 1, and one more with each change.
    pub version: u32,
    /// Receipts of those it replaced, the oldest first.
    pub lineage: Vec<u64>,
    pub registered: Timestamp,
    pub destination: Option<String>,
    /// The patient agreed to the destination's reading it.
    pub consented: bool,
    pub received: Option<Timestamp>,
    pub gone: Option<(Timestamp, Gone)>,
    /// Of a discharge summary sent after its letter: the letter's receipt.
    pub attached: Option<u64>,
    pub resources: Vec<Resource>,
    pub sha256: String,
    /// The Bundle as it was sent.
    pub bundle: String,
}

/// Where a unit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    Registered,
    /// 閲覧保留.
    Pending,
    /// 閲覧可.
    Viewable,
    Received,
    Expired,
    Cancelled,
    Replaced,
}

impl State {
    pub fn as_str(self) -> &'static str {
        match self {
            State::Registered => "registered",
            State::Pending => "pending",
            State::Viewable => "viewable",
            State::Received => "received",
            State::Expired => "expired",
            State::Cancelled => "cancelled",
            State::Replaced => "replaced",
        }
    }

    pub fn japanese(self) -> &'static str {
        match self {
            State::Registered => "登録済",
            State::Pending => "閲覧保留",
            State::Viewable => "閲覧可",
            State::Received => "取得済",
            State::Expired => "保存期間終了",
            State::Cancelled => "取消",
            State::Replaced => "変更済",
        }
    }

    pub fn live(self) -> bool {
        !matches!(self, State::Expired | State::Cancelled | State::Replaced)
    }
}

impl Unit {
    /// Whether it was attached to a letter, whichever version of it stood there then.
    pub fn is_attached_to(&self, letter: &Unit) -> bool {
        self.attached.is_some_and(|at| at == letter.receipt || letter.lineage.contains(&at))
    }

    /// When the whole of it ends, if its resources do not decide that.
    pub fn ends(&self) -> Option<Timestamp> {
        match (self.service, self.received) {
            (Service::Referral, Some(at)) => {
                Some(FETCHED_LETTER.until(at).min(LETTER.until(self.registered)))
            }
            (Service::Referral, None) => Some(LETTER.until(self.registered)),
            (Service::Checkup, _) => Some(CHECKUP.until(self.registered)),
            (Service::Summary, _) => Some(SUMMARY.until(self.registered)),
            _ => None,
        }
    }
}

/// Reads from a Bundle what [`Resource`] holds. Of a letter only the prescriptions are taken out.
pub fn resources(kind: Kind, bundle: &Value) -> Vec<Resource> {
    let entries = bundle["entry"].as_array().map(Vec::as_slice).unwrap_or_default();
    entries.iter().enumerate().filter_map(|(at, entry)| resource(kind, at, &entry["resource"])).collect()
}

fn resource(kind: Kind, entry: usize, resource: &Value) -> Option<Resource> {
    let text = |path: &str| resource.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
    let tagged = |code: &str| {
        let tags =
            resource.pointer("/meta/tag").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        tags.iter().any(|t| t["system"] == names::INDICATION && t["code"] == code)
    };
    let codings =
        resource.pointer("/code/coding").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let coded = |end: &str| {
        let of = codings.iter().find(|c| c["system"].as_str().is_some_and(|s| s.ends_with(end)));
        of.map(|c| c["display"].as_str().or(c["code"].as_str()).unwrap_or_default().to_owned())
    };
    let (information, item, when) = match (kind, resource["resourceType"].as_str()?) {
        (Kind::Info, "Condition") => (Information::Diagnosis, String::new(), text("/onsetDateTime")),
        (Kind::Info, "AllergyIntolerance") => {
            let drug = resource["category"].as_array().is_some_and(|c| c.iter().any(|c| c == "medication"));
            let of = if drug { Information::DrugAllergy } else { Information::OtherAllergy };
            (of, String::new(), text("/recordedDate"))
        }
        (Kind::Info, "Observation") => {
            let when = text("/effectiveDateTime");
            match coded("InfectionLabo_CS") {
                Some(item) => (Information::Infection, item, when),
                None => {
                    let others =
                        || codings.first().and_then(|c| c["code"].as_str()).unwrap_or_default().to_owned();
                    let item = coded("CoreLabo_CS")
                        .or_else(|| coded("master-JLAC10-17digits"))
                        .unwrap_or_else(others);
                    (Information::Lab, item, when)
                }
            }
        }
        (Kind::Referral | Kind::Discharge, "MedicationRequest") => {
            (Information::Prescription, String::new(), text("/authoredOn"))
        }
        _ => return None,
    };
    let name = match information {
        Information::Prescription => text("/medicationCodeableConcept/text"),
        _ => text("/code/text"),
    };
    let value = match (
        &resource["valueQuantity"]["value"],
        &resource["valueCodeableConcept"],
        &resource["valueString"],
    ) {
        (Value::Number(n), _, _) => Some(n.to_string()),
        (_, Value::Object(concept), _) => {
            let display = resource.pointer("/valueCodeableConcept/coding/0/display").and_then(Value::as_str);
            concept.get("text").and_then(Value::as_str).or(display).map(str::to_owned)
        }
        (_, _, Value::String(s)) => Some(s.clone()),
        _ => None,
    };
    Some(Resource {
        entry,
        information,
        item,
        when,
        long_term: tagged("LTS"),
        uninformed: tagged("UNINFORMED"),
        undelivered: tagged("UNDELIVERED"),
        text: name,
        value,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn periods_end_by_the_japanese_calendar() {
        // 31 August 23:30 in Japan; half a year later there is no such day.
        assert_eq!(LETTER.until(at("2026-08-31T14:30:00Z")), at("2027-02-28T14:30:00Z"));
        assert_eq!(FETCHED_LETTER.until(at("2026-08-31T14:30:00Z")), at("2026-09-07T14:30:00Z"));
        assert_eq!(CHECKUP.until(at("2028-02-29T00:00:00Z")), at("2033-02-28T00:00:00Z"));
        assert_eq!(
            Information::Prescription.kept().until(at("2026-01-01T00:00:00Z")),
            at("2026-04-11T00:00:00Z")
        );
        assert!(Information::Lab.keeps_last() && !Information::Infection.keeps_last());
    }
}
