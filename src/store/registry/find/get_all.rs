//! GetAll: all a patient has, each kind by its status. ITI TF-2 3.18.4.1.2.3.7.4.

use super::reading::{Hit, Reading, ids};
use super::statement::Statement;
use super::{FindError, find_documents, find_folders, find_submission_sets};
use crate::model::query::{FindDocuments, FindFolders, FindSubmissionSets, GetAll};

/// Associations come along if either end is in the answer, so some may dangle.
pub(super) async fn run(reading: &mut Reading<'_, '_>, q: &GetAll) -> Result<Vec<Hit>, FindError> {
    let sets = FindSubmissionSets {
        patient_id: q.patient_id.clone(),
        status: q.submission_set_status.clone(),
        ..FindSubmissionSets::default()
    };
    let documents = FindDocuments {
        patient_ids: vec![q.patient_id.clone()],
        status: q.document_status.clone(),
        entry_types: q.contents.entry_types.clone(),
        format_code: q.contents.format_code.clone(),
        confidentiality_code: q.contents.confidentiality_code.clone(),
        ..FindDocuments::default()
    };
    let folders = FindFolders {
        patient_ids: vec![q.patient_id.clone()],
        status: q.folder_status.clone(),
        ..FindFolders::default()
    };
    let mut hits = find_submission_sets::run(reading, &sets).await?;
    hits.extend(find_documents::run(reading, &documents).await?);
    hits.extend(find_folders::run(reading, &folders).await?);
    if hits.is_empty() {
        return Ok(hits);
    }
    let shown = ids(&hits);
    let mut s = Statement::default();
    let keys = s.apart(|s| {
        s.push("(SELECT h.patient_key, h.id FROM association h WHERE ");
        s.patients("h.patient_key", std::slice::from_ref(&q.patient_id));
        s.push(")");
    });
    reading.select_links(&mut s, &keys);
    hits.extend(reading.links(s, |source, target| shown.contains(source) || shown.contains(target)).await?);
    Ok(hits)
}
