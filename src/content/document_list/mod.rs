//! 文書一覧, the list of a patient's documents: what is shown of each, and the words around it. The formats
//! are beside.

mod cda;
mod fhir;

pub use cda::Cda;
pub use fhir::Fhir;

use jiff::Timestamp;
use jiff::tz::{TimeZone, offset};
use uuid::Uuid;

use super::About;
use crate::model::ebrim::first_text;
use crate::model::hl7types::dtm::Precision;
use crate::model::hl7types::{Dtm, Xon};
use crate::model::ids::is_oid;
use crate::model::metadata::DocumentEntry;

/// The list's title where its entry has none.
const TITLE: &str = "文書一覧";
/// Heads of the table, in the order of [`Row::cells`].
const HEADS: [&str; 5] = ["題名", "種別", "作成日時", "作成機関", "文書ID"];
const NOTHING: &str = "登録されている文書はありません。";
const SOFTWARE: &str = "Chiren Gateway";

/// One document of the list.
struct Row<'a> {
    entry: &'a DocumentEntry,
    title: &'a str,
    /// typeCode as people read it.
    kind: &'a str,
    /// creationTime as people here read it.
    created: String,
    /// Name of the author's institution.
    institution: String,
}

impl Row<'_> {
    fn cells(&self) -> [&str; 5] {
        [self.title, self.kind, &self.created, &self.institution, &self.entry.unique_id]
    }
}

/// The documents, the latest first.
fn rows<'a>(about: &About<'a>) -> Vec<Row<'a>> {
    let mut entries: Vec<&DocumentEntry> = about.documents.iter().collect();
    // By all that can differ, so that the order is the documents' and not the database's.
    entries.sort_by_cached_key(|e| (std::cmp::Reverse(moment(e)), e.unique_id.clone(), e.entry_uuid.clone()));
    entries.into_iter().map(row).collect()
}

fn moment(entry: &DocumentEntry) -> Option<String> {
    entry.creation_time.as_deref().and_then(|t| Dtm::parse(t).ok()).map(Dtm::to_padded)
}

fn row(entry: &DocumentEntry) -> Row<'_> {
    let kind = entry.type_code.as_ref();
    let institution = entry.author.iter().flat_map(|a| &a.author_institution).next();
    Row {
        entry,
        title: first_text(&entry.title).unwrap_or_default(),
        kind: kind.and_then(|c| first_text(&c.display)).or(kind.map(|c| c.code.as_str())).unwrap_or_default(),
        created: entry.creation_time.as_deref().map(shown).unwrap_or_default(),
        institution: institution.map(|text| organization(text)).unwrap_or_default(),
    }
}

fn organization(text: &str) -> String {
    match Xon::parse(text) {
        Ok(xon) => xon.name.into_owned(),
        // Stored before the rules were what they are: what stands before the first separator is a name.
        Err(_) => text.split('^').next().unwrap_or_default().to_owned(),
    }
}

fn title<'a>(about: &About<'a>) -> &'a str {
    first_text(&about.entry.title).filter(|t| !t.trim().is_empty()).unwrap_or(TITLE)
}

fn language<'a>(about: &About<'a>) -> &'a str {
    about.entry.language_code.as_deref().unwrap_or("ja-JP")
}

fn japan() -> TimeZone {
    offset(9).to_time_zone()
}

/// A time in Japan as precise as it is known; one known to the day at best is not moved, for nobody knows
/// across which midnight.
fn shown(text: &str) -> String {
    let Ok(dtm) = Dtm::parse(text) else { return text.to_owned() };
    let civil = |format: &str| match Timestamp::from_microsecond(dtm.to_micros_floor()) {
        Ok(at) if dtm.precision() > Precision::Day => at.to_zoned(japan()).strftime(format).to_string(),
        Ok(at) => at.to_zoned(TimeZone::UTC).strftime(format).to_string(),
        Err(_) => text.to_owned(),
    };
    civil(match dtm.precision() {
        Precision::Year => "%Y年",
        Precision::Month => "%Y年%m月",
        Precision::Day => "%Y年%m月%d日",
        Precision::Hour => "%Y年%m月%d日 %H時",
        Precision::Minute | Precision::Second => "%Y年%m月%d日 %H:%M",
    })
}

/// Family and given name, where a name is written as both.
fn parts(name: &str) -> Option<(&str, &str)> {
    let (family, given) = name.trim().split_once(char::is_whitespace)?;
    Some((family, given.trim()))
}

/// A uniqueId as an HL7 instance identifier: root, and extension. A URI is none.
fn instance_identifier(unique_id: &str) -> Option<(&str, Option<&str>)> {
    if let Some(uuid) = unique_id.strip_prefix("urn:uuid:") {
        return (uuid.len() == 36 && Uuid::try_parse(uuid).is_ok()).then_some((uuid, None));
    }
    let id = unique_id.strip_prefix("urn:oid:").unwrap_or(unique_id);
    match id.split_once('^') {
        Some((root, extension)) => is_root(root).then_some((root, Some(extension))),
        None => is_root(id).then_some((id, None)),
    }
}

/// An OID whose first arc is one there is; not every OID in the field is.
fn is_root(oid: &str) -> bool {
    is_oid(oid) && ["0.", "1.", "2."].iter().any(|arc| oid.starts_with(arc))
}
