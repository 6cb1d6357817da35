//! FindDocuments (ITI TF-2 3.18.4.1.2.3.7.1), FindDocumentsByReferenceId (.14) and
//! FindDocumentsForMultiplePatients (3.51.4.1.2.3): one statement, unless a LIKE pattern has to be
//! turned into the values it stands for.

use super::FindError;
use super::like;
use super::reading::{Hit, Reading};
use super::statement::{LIST_MAX, Statement};
use crate::model::ebrim::ObjectKind;
use crate::model::metadata::EntryType;
use crate::model::query::{AndOfOr, ContentFilter, FindDocuments, View};

/// `document_code.attribute`.
const EVENT: &str = "document_code c WHERE c.patient_key = d.patient_key AND c.entry_id = d.id \
                     AND c.attribute = 1 AND c.code";
const CONFIDENTIALITY: &str = "document_code c WHERE c.patient_key = d.patient_key AND c.entry_id = d.id \
                               AND c.attribute = 2 AND c.code";
const REFERENCE_ID: &str = "document_code c WHERE c.patient_key = d.patient_key AND c.entry_id = d.id \
                            AND c.attribute = 3 AND c.code";
const AUTHOR: &str = "document_author w WHERE w.patient_key = d.patient_key AND w.entry_id = d.id \
                      AND w.person";

pub(super) async fn run(reading: &mut Reading<'_, '_>, q: &FindDocuments) -> Result<Vec<Hit>, FindError> {
    let Some(exact) = Exact::of(reading, q).await? else { return Ok(vec![]) };
    let mut s = Statement::new("SELECT ");
    s.push(reading.columns(ObjectKind::DocumentEntry));
    from(&mut s, q, "", reading.view);
    let (authors, references) = exact.or(q);
    if !authors.is_empty() {
        s.push(" AND EXISTS (SELECT 1 FROM ");
        s.bind_texts(&[AUTHOR, " IN "].concat(), authors);
        s.push(")");
    }
    s.and_each_group(REFERENCE_ID, references);
    reading.hits(ObjectKind::DocumentEntry, s).await
}

/// ` FROM document_entry d{also} WHERE …`: every condition but authors and referenceIds.
fn from<'q>(s: &mut Statement<'q>, q: &'q FindDocuments, also: &str, view: View) {
    s.push(" FROM ");
    let mut events = q.event_code_list.as_slice();
    let other_index = !q.class_code.is_empty() || !q.healthcare_facility_type_code.is_empty();
    match (q.patient_ids.as_slice(), events) {
        ([], [first, rest @ ..]) if !other_index => {
            // No patient to begin with: begin at the index of events.
            s.push("(SELECT DISTINCT c.patient_key, c.entry_id AS id FROM document_code c");
            s.bind_texts(" WHERE c.attribute = 1 AND c.code IN ", first);
            s.push(") k CROSS JOIN document_entry d");
            s.push(also);
            s.push(" WHERE d.patient_key = k.patient_key AND d.id = k.id AND ");
            events = rest;
        }
        (pids, _) => {
            s.push("document_entry d");
            s.push(also);
            s.push(" WHERE ");
            if !pids.is_empty() {
                s.patients("d.patient_key", pids);
                s.push(" AND ");
            }
        }
    }
    s.bind_list("d.status IN ", view.states(&q.status).into_iter().map(|state| state.to_i64().into()));
    view.entry_types(s, &q.entry_types, &q.document_availability);
    s.and_one_of("d.class_code", &q.class_code);
    s.and_one_of("d.type_code", &q.type_code);
    s.and_one_of("d.practice_setting_code", &q.practice_setting_code);
    s.and_one_of("d.facility_type_code", &q.healthcare_facility_type_code);
    s.and_one_of("d.format_code", &q.format_code);
    // On-demand entries have no creationTime; alone, the plain condition can use the index.
    match q.entry_types.contains(&EntryType::OnDemand) {
        true => s.and_within_unless("d.entry_type IN (2, 4)", "d.creation_time", &q.creation_time),
        false => s.and_within("d.creation_time", &q.creation_time),
    }
    s.and_within_unless("d.service_start_time IS NULL", "d.service_start_time", &q.service_start_time);
    s.and_within_unless("d.service_stop_time IS NULL", "d.service_stop_time", &q.service_stop_time);
    s.and_each_group(EVENT, events);
    s.and_each_group(CONFIDENTIALITY, &q.confidentiality_code);
}

/// What Get…AndContents may ask of DocumentEntries.
pub(super) fn content_filter<'q>(s: &mut Statement<'q>, filter: &'q ContentFilter, view: View) {
    s.push(view.entries());
    view.entry_types(s, &filter.entry_types, &[]);
    s.and_one_of("d.format_code", &filter.format_code);
    s.and_each_group(CONFIDENTIALITY, &filter.confidentiality_code);
}

/// Patterns replaced by the values at rest that match them, so that the rest is equality. `None` where
/// the query has no pattern.
struct Exact {
    authors: Option<Vec<String>>,
    references: Option<AndOfOr>,
}

impl Exact {
    /// No answer means that a pattern matches nothing, and neither does the query.
    async fn of(reading: &mut Reading<'_, '_>, q: &FindDocuments) -> Result<Option<Exact>, FindError> {
        let mut exact = Exact { authors: None, references: None };
        if q.author_person.iter().any(|p| like::is_pattern(p)) {
            let mut s = Statement::new("SELECT DISTINCT w.person");
            values(&mut s, "document_author w", q, reading.view);
            match matching(reading, s, &q.author_person).await? {
                found if found.is_empty() => return Ok(None),
                found => exact.authors = Some(found),
            }
        }
        if q.reference_id_list.iter().flatten().any(|p| like::is_pattern(p)) {
            let mut groups = vec![];
            for group in &q.reference_id_list {
                let mut s = Statement::new("SELECT DISTINCT w.code");
                values(&mut s, "document_code w", q, reading.view);
                s.push(" AND w.attribute = 3");
                match matching(reading, s, group).await? {
                    found if found.is_empty() => return Ok(None),
                    found => groups.push(found),
                }
            }
            exact.references = Some(groups);
        }
        Ok(Some(exact))
    }

    fn or<'q>(&'q self, q: &'q FindDocuments) -> (&'q [String], &'q AndOfOr) {
        (
            self.authors.as_deref().unwrap_or(&q.author_person),
            self.references.as_ref().unwrap_or(&q.reference_id_list),
        )
    }
}

/// ` FROM {child} WHERE …`: rows of a child table, called `w`, of entries the query could select.
fn values<'q>(s: &mut Statement<'q>, child: &str, q: &'q FindDocuments, view: View) {
    if q.patient_ids.is_empty() {
        from(s, q, &[" CROSS JOIN ", child].concat(), view);
        s.push(" AND w.patient_key = d.patient_key AND w.entry_id = d.id");
    } else {
        s.push(&[" FROM ", child, " WHERE "].concat());
        s.patients("w.patient_key", &q.patient_ids);
    }
}

/// The values a statement yields that match one of the patterns.
pub(super) async fn matching(
    reading: &mut Reading<'_, '_>,
    s: Statement<'_>,
    patterns: &[String],
) -> Result<Vec<String>, FindError> {
    let fits = |value: &str| patterns.iter().any(|p| like::matches(p, value));
    let found =
        reading.rows(s, |row| if fits(row.text(0)?) { Ok(Some(row.get(0)?)) } else { Ok(None) }).await?;
    let found: Vec<String> = found.into_iter().flatten().collect();
    if found.len() > LIST_MAX { Err(reading.too_many()) } else { Ok(found) }
}
