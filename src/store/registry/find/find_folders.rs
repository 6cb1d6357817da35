//! FindFolders (ITI TF-2 3.18.4.1.2.3.7.3) and FindFoldersForMultiplePatients (3.51.4.1.2.3).

use super::FindError;
use super::reading::{Hit, Reading};
use super::statement::Statement;
use crate::model::ebrim::ObjectKind;
use crate::model::query::FindFolders;

const CODE: &str = "folder_code c WHERE c.patient_key = f.patient_key AND c.folder_id = f.id AND c.code";

pub(super) async fn run(reading: &mut Reading<'_, '_>, q: &FindFolders) -> Result<Vec<Hit>, FindError> {
    let mut s = Statement::default();
    let codes = match (q.patient_ids.as_slice(), q.code_list.as_slice()) {
        ([], [first, rest @ ..]) => {
            // No patient to begin with: begin at the index of codes.
            let keys = s.apart(|s| {
                s.push("(SELECT DISTINCT c.patient_key, c.folder_id AS id FROM folder_code c");
                s.bind_texts(" WHERE c.code IN ", first);
                s.push(")");
            });
            reading.select_among(&mut s, ObjectKind::Folder, &keys);
            s.push(" AND ");
            rest
        }
        (pids, codes) => {
            reading.select(&mut s, ObjectKind::Folder);
            if !pids.is_empty() {
                s.patients("f.patient_key", pids);
                s.push(" AND ");
            }
            codes
        }
    };
    let states = reading.view.states(&q.status);
    s.bind_list("f.status IN ", states.into_iter().map(|state| state.to_i64().into()));
    s.and_within("f.last_update_time", &q.last_update_time);
    s.and_each_group(CODE, codes);
    reading.hits(ObjectKind::Folder, s).await
}
