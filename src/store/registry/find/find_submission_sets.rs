//! FindSubmissionSets. ITI TF-2 3.18.4.1.2.3.7.2.

use super::FindError;
use super::find_documents::matching;
use super::like;
use super::reading::{Hit, Reading};
use super::statement::Statement;
use crate::model::ebrim::ObjectKind;
use crate::model::query::FindSubmissionSets;

pub(super) async fn run(
    reading: &mut Reading<'_, '_>,
    q: &FindSubmissionSets,
) -> Result<Vec<Hit>, FindError> {
    let patient = std::slice::from_ref(&q.patient_id);
    let authors = match &q.author_person {
        Some(pattern) if like::is_pattern(pattern) => {
            let mut s = Statement::new("SELECT DISTINCT w.person FROM submission_author w WHERE ");
            s.patients("w.patient_key", patient);
            matching(reading, s, std::slice::from_ref(pattern)).await?
        }
        author => author.iter().cloned().collect(),
    };
    let mut s = Statement::default();
    reading.select(&mut s, ObjectKind::SubmissionSet);
    s.patients("s.patient_key", patient);
    s.and_status("s.status", &q.status);
    s.and_one_of("s.source_id", &q.source_id);
    s.and_one_of("s.content_type_code", &q.content_type);
    s.and_within("s.submission_time", &q.submission_time);
    if q.author_person.is_some() {
        s.push(" AND EXISTS (SELECT 1 FROM submission_author w WHERE w.patient_key = s.patient_key");
        s.bind_texts(" AND w.submission_id = s.id AND w.person IN ", &authors);
        s.push(")");
    }
    reading.hits(ObjectKind::SubmissionSet, s).await
}
