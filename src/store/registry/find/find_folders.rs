//! FindFolders (ITI TF-2 3.18.4.1.2.3.7.3) and FindFoldersForMultiplePatients (3.51.4.1.2.3).

use super::FindError;
use super::reading::{Hit, Reading};
use crate::model::ebrim::ObjectKind;
use crate::model::query::FindFolders;

const CODE: &str = "folder_code c WHERE c.patient_key = f.patient_key AND c.folder_id = f.id AND c.code";

pub(super) async fn run(reading: &mut Reading<'_, '_>, q: &FindFolders) -> Result<Vec<Hit>, FindError> {
    let mut s = reading.select(ObjectKind::Folder);
    let mut codes = q.code_list.as_slice();
    match (q.patient_ids.as_slice(), codes) {
        ([], [first, rest @ ..]) => {
            // No patient to begin with: begin at the index of codes.
            s.push("(f.patient_key, f.id) IN (SELECT c.patient_key, c.folder_id FROM folder_code c");
            s.bind_texts(" WHERE c.code IN ", first);
            s.push(") AND ");
            codes = rest;
        }
        ([], []) => {}
        (pids, _) => {
            s.patients("f.patient_key", pids);
            s.push(" AND ");
        }
    }
    s.bind_list("f.status IN ", q.status.iter().map(|status| status.to_i64().into()));
    s.and_within("f.last_update_time", &q.last_update_time);
    s.and_each_group(CODE, codes);
    reading.hits(ObjectKind::Folder, s).await
}
