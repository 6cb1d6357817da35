//! What a decision knows of one document: whose it is, what kind of data, how confidential, of when.

use jiff::civil::Date;
use jiff::tz::{Offset, TimeZone};
use serde::Deserialize;

use super::terms::Attribute;
use crate::model::hl7types::{Dtm, Xon};
use crate::model::metadata::DocumentEntry;

/// An author's institution: by its id, or by its name where it has none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Institution {
    /// An OID; of an id within an authority, the authority's OID, a dot and the id.
    pub id: Option<String>,
    /// The id alone, as some senders write it.
    pub code: Option<String>,
    pub name: String,
}

/// A DocumentEntry, as far as decisions look at it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    pub unique_id: String,
    /// Author institutions. None known: it is nobody's own, and no rule that names a source permits it.
    pub sources: Vec<Institution>,
    /// Attribute, code and scheme.
    pub codes: Vec<(Attribute, String, String)>,
    /// The day in Japan of its service, or else of its creation.
    pub day: Option<Date>,
    /// The other community that holds it.
    pub home: Option<String>,
    /// Put on hold by the office.
    pub held: bool,
}

/// The JSON cannot be read: decided as an error, which is no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreadable;

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Lean {
    unique_id: String,
    author: Vec<LeanAuthor>,
    class_code: Option<LeanCode>,
    type_code: Option<LeanCode>,
    format_code: Option<LeanCode>,
    practice_setting_code: Option<LeanCode>,
    healthcare_facility_type_code: Option<LeanCode>,
    confidentiality_code: Vec<LeanCode>,
    event_code_list: Vec<LeanCode>,
    creation_time: Option<String>,
    service_start_time: Option<String>,
    home_community_id: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct LeanAuthor {
    author_institution: Vec<String>,
}

#[derive(Deserialize)]
struct LeanCode {
    code: String,
    scheme: String,
}

impl Institution {
    pub fn parse(text: &str) -> Self {
        match Xon::parse(text) {
            Ok(xon) => {
                let code = xon.id.as_deref().filter(|_| xon.authority.is_some()).map(str::to_owned);
                let id = match (&xon.authority, &xon.id) {
                    (Some(authority), Some(id)) => Some(format!("{authority}.{id}")),
                    (None, Some(id)) => Some(id.to_string()),
                    (_, None) => None,
                };
                Self { id, code, name: xon.name.into_owned() }
            }
            Err(_) => {
                Self { id: None, code: None, name: text.split('^').next().unwrap_or_default().to_owned() }
            }
        }
    }
}

impl Facts {
    /// Of an entry as the registry keeps it. Only what decisions look at is read.
    pub fn at_rest(body: &str) -> Result<Self, Unreadable> {
        let lean: Lean = serde_json::from_str(body).map_err(|_| Unreadable)?;
        let single = [
            (Attribute::ClassCode, lean.class_code),
            (Attribute::TypeCode, lean.type_code),
            (Attribute::FormatCode, lean.format_code),
            (Attribute::PracticeSettingCode, lean.practice_setting_code),
            (Attribute::FacilityTypeCode, lean.healthcare_facility_type_code),
        ];
        let single = single.into_iter().filter_map(|(a, code)| Some((a, code?)));
        let events = lean.event_code_list.into_iter().map(|c| (Attribute::EventCode, c));
        let confidential = lean.confidentiality_code.into_iter().map(|c| (Attribute::ConfidentialityCode, c));
        let institutions = lean.author.iter().flat_map(|a| &a.author_institution);
        Ok(Self {
            sources: institutions.map(|i| Institution::parse(i)).collect(),
            codes: single.chain(events).chain(confidential).map(|(a, c)| (a, c.code, c.scheme)).collect(),
            day: day(lean.service_start_time.as_deref().or(lean.creation_time.as_deref())),
            home: lean.home_community_id,
            held: false,
            unique_id: lean.unique_id,
        })
    }

    pub fn of(entry: &DocumentEntry) -> Self {
        let single = [
            (Attribute::ClassCode, &entry.class_code),
            (Attribute::TypeCode, &entry.type_code),
            (Attribute::FormatCode, &entry.format_code),
            (Attribute::PracticeSettingCode, &entry.practice_setting_code),
            (Attribute::FacilityTypeCode, &entry.healthcare_facility_type_code),
        ];
        let single = single.into_iter().filter_map(|(a, code)| Some((a, code.as_ref()?)));
        let events = entry.event_code_list.iter().map(|c| (Attribute::EventCode, c));
        let confidential = entry.confidentiality_code.iter().map(|c| (Attribute::ConfidentialityCode, c));
        let institutions = entry.author.iter().flat_map(|a| &a.author_institution);
        Self {
            unique_id: entry.unique_id.clone(),
            sources: institutions.map(|i| Institution::parse(i)).collect(),
            codes: single
                .chain(events)
                .chain(confidential)
                .map(|(a, c)| (a, c.code.clone(), c.scheme.clone()))
                .collect(),
            day: day(entry.service_start_time.as_deref().or(entry.creation_time.as_deref())),
            home: entry.home_community_id.clone(),
            held: false,
        }
    }

    /// Codes of one attribute.
    pub fn codes_of(&self, attribute: Attribute) -> impl Iterator<Item = (&str, &str)> {
        self.codes.iter().filter(move |(a, ..)| *a == attribute).map(|(_, code, scheme)| (&**code, &**scheme))
    }
}

/// The day in Japan of a time of the metadata, which is UTC (ITI TF-3 4.2.3.1.7 DTM); one without an hour is a day
/// already, and what is missing of it is the first.
fn day(time: Option<&str>) -> Option<Date> {
    let text = time?;
    let micros = Dtm::parse(text).ok()?.to_micros_floor();
    let hours = if text.len() >= 10 { 9 } else { 0 };
    let at = jiff::Timestamp::from_microsecond(micros).ok()?;
    Some(TimeZone::fixed(Offset::constant(hours)).to_datetime(at).date())
}

/// The day in Japan of an instant.
pub fn today(micros: i64) -> Option<Date> {
    let at = jiff::Timestamp::from_microsecond(micros).ok()?;
    Some(TimeZone::fixed(Offset::constant(9)).to_datetime(at).date())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::metadata::{Author, Code};
    use jiff::civil::date;

    fn code(code: &str, scheme: &str) -> Code {
        Code { code: code.into(), scheme: scheme.into(), ..Code::default() }
    }

    #[test]
    fn an_entry_at_rest_tells_what_the_entry_tells() {
        let entry = DocumentEntry {
            unique_id: "2.999.1".into(),
            author: vec![Author {
                author_institution: vec![
                    "登呂病院^^^^^&1.2.392.200119.6.102&ISO^^^^1312345670".into(),
                    "名のみ医院".into(),
                    "北病院^^^^^^^^^1.2.3".into(),
                ],
                ..Author::default()
            }],
            class_code: Some(code("a", "1")),
            type_code: Some(code("b", "2")),
            format_code: Some(code("c", "3")),
            practice_setting_code: Some(code("d", "4")),
            healthcare_facility_type_code: Some(code("e", "5")),
            confidentiality_code: vec![code("N", "6")],
            event_code_list: vec![code("f", "7"), code("g", "7")],
            creation_time: Some("20260331150000".into()),
            ..DocumentEntry::default()
        };
        let facts = Facts::of(&entry);
        assert_eq!(Facts::at_rest(&serde_json::to_string(&entry).unwrap()), Ok(facts.clone()));
        assert_eq!(facts.codes.len(), 8);
        assert_eq!(facts.day, Some(date(2026, 4, 1)), "midnight in Japan is 15:00 UTC");
        let ids: Vec<_> = facts.sources.iter().map(|s| s.id.as_deref()).collect();
        assert_eq!(ids, [Some("1.2.392.200119.6.102.1312345670"), None, Some("1.2.3")]);
        assert_eq!(Facts::at_rest("{"), Err(Unreadable));
    }

    #[test]
    fn days() {
        assert_eq!(day(Some("20260331")), Some(date(2026, 3, 31)));
        assert_eq!(day(Some("2026")), Some(date(2026, 1, 1)));
        assert_eq!(day(Some("x")), None);
        assert_eq!(today(1_774_969_200_000_000), Some(date(2026, 4, 1)));
    }
}
