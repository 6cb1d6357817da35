//! Two patients and what is registered of them.

use super::*;
use crate::model::metadata::{Author, Code, DocumentEntry, Folder, SubmissionSet};

fn code(c: &str) -> Option<Code> {
    Some(Code { code: c.into(), scheme: "S".into(), ..Code::default() })
}

fn codes(list: &[&str]) -> Vec<Code> {
    list.iter().filter_map(|c| code(c)).collect()
}

fn entry(n: u64, pid: &str, created: &str) -> DocumentEntry {
    DocumentEntry {
        entry_uuid: uuid(n),
        logical_id: Some(uuid(n)),
        version: 1,
        unique_id: format!("1.2.3.{n}"),
        patient_id: pid.into(),
        class_code: code("c0"),
        type_code: code("t0"),
        practice_setting_code: code("p0"),
        healthcare_facility_type_code: code("h0"),
        format_code: code("f0"),
        confidentiality_code: codes(&["N"]),
        creation_time: (!created.is_empty()).then(|| created.into()),
        ..Default::default()
    }
}

fn set(n: u64, pid: &str, time: &str) -> SubmissionSet {
    SubmissionSet {
        entry_uuid: uuid(n),
        unique_id: format!("1.2.3.{n}"),
        patient_id: pid.into(),
        source_id: format!("1.5.{n}"),
        content_type_code: code(&format!("ct{n}")),
        submission_time: Some(time.into()),
        author: vec![Author { author_person: text(&format!("A{n}^佐藤")), ..Default::default() }],
        ..Default::default()
    }
}

fn folder(n: u64, pid: &str, time: &str, list: &[&str]) -> Folder {
    Folder {
        entry_uuid: uuid(n),
        logical_id: Some(uuid(n)),
        version: 1,
        unique_id: format!("1.2.3.{n}"),
        patient_id: pid.into(),
        code_list: codes(list),
        last_update_time: Some(time.into()),
        ..Default::default()
    }
}

/// Patient 1: entry 11 with every attribute replaces 12 (Deprecated), 14 transforms 11 and shares its
/// uniqueId, 13 is on demand. Set 21 brought 11 into the new folder 41; set 22 brought 13 and 14. Folder
/// 42 is Deprecated. Association 63 is Deprecated. Patient 2: set 23 brought entry 51, and refers to 11.
pub(super) async fn world(db: &Db) {
    let mut full = entry(11, PID1, "2025040110");
    full.class_code = code("c1");
    full.type_code = code("t1");
    full.practice_setting_code = code("p1");
    full.healthcare_facility_type_code = code("h1");
    full.format_code = code("f1");
    full.event_code_list = codes(&["e1", "e2"]);
    full.confidentiality_code = codes(&["N", "R"]);
    full.reference_id_list = vec![REFERRAL.into(), ORDER.into()];
    full.author = vec![Author { author_person: text(YAMADA), ..Default::default() }];
    full.service_start_time = Some("20250401".into());
    full.service_stop_time = Some("20250402".into());
    let mut replaced = entry(12, PID1, "20250101");
    replaced.availability_status = Deprecated;
    let mut on_demand = entry(13, PID1, "");
    on_demand.object_type = OnDemand;
    on_demand.format_code = code("f2");
    let mut transformed = entry(14, PID1, "20250501");
    transformed.unique_id = "1.2.3.11".into();
    let mut other = entry(51, PID2, "20250601");
    other.class_code = code("c1");
    other.event_code_list = codes(&["e1"]);
    other.healthcare_facility_type_code = code("h1");
    let mut old = folder(42, PID1, "20250101000000", &["k2"]);
    old.availability_status = Deprecated;

    let entries = [(1, full), (1, replaced), (1, on_demand), (1, transformed), (2, other)];
    let entries = entries.map(|(key, e)| (key, put::EntryRow::new(e).unwrap()));
    let sets = [
        (1, set(21, PID1, "20250401120000")),
        (1, set(22, PID1, "20250501120000")),
        (2, set(23, PID2, "20250601120000")),
    ];
    let sets = sets.map(|(key, s)| (key, put::SetRow::new(s).unwrap()));
    let folders = [
        (1, folder(41, PID1, "20250401120000", &["k1", "k3"])),
        (1, old),
        (2, folder(43, PID2, "20250601120000", &["k1"])),
    ];
    let folders = folders.map(|(key, f)| (key, put::FolderRow::new(f).unwrap()));
    let links: Vec<(i64, u64, put::AssociationRow)> = [
        (1, 31, HasMember, 21, 11),
        (1, 32, HasMember, 21, 41),
        (1, 33, HasMember, 21, 34),
        (1, 34, HasMember, 41, 11),
        (1, 35, Replace, 11, 12),
        (1, 36, HasMember, 22, 14),
        (1, 37, Transform, 14, 11),
        (1, 38, HasMember, 22, 13),
        (1, 39, HasMember, 42, 12),
        (1, 40, HasMember, 41, 13),
        (2, 61, HasMember, 23, 51),
        // An association between two patients' objects is kept under each.
        (1, 62, HasMember, 23, 11),
        (2, 62, HasMember, 23, 11),
        (1, 63, HasMember, 41, 14),
    ]
    .into_iter()
    .map(|(key, n, kind, source, target)| {
        let mut a = Association::new(kind, uuid(n), &uuid(source), &uuid(target));
        if n == 63 {
            a.availability_status = Deprecated;
        }
        (key, n, put::AssociationRow::new(a).unwrap())
    })
    .collect();

    let all = Arc::new((entries, sets, folders, links));
    db.write::<_, DbError, _>(move |tx| {
        let all = all.clone();
        Box::pin(async move {
            let (entries, sets, folders, links) = &*all;
            for (key, pid) in [(1_i64, PID1), (2, PID2)] {
                let sql = "INSERT INTO patient (patient_key, pid, authority, status, body, created_at) \
                           VALUES ($1, $2, '1.2.392.9.4', 1, '{}', 1)";
                tx.exec(sql, &[key.into(), pid.into()]).await?;
            }
            for (key, row) in entries {
                put::claim_id(tx, &row.entry.entry_uuid, kind::DOCUMENT_ENTRY, *key).await?;
                put::document_entry(tx, *key, row, 1).await?;
            }
            for (key, row) in sets {
                let (id, unique) = (&row.set.entry_uuid, &row.set.unique_id);
                put::claim_id(tx, id, kind::SUBMISSION_SET, *key).await?;
                put::claim_unique_id(tx, unique, kind::SUBMISSION_SET, *key, id, None, None).await?;
                put::submission_set(tx, *key, row, 1).await?;
            }
            for (key, row) in folders {
                let (id, unique) = (&row.folder.entry_uuid, &row.folder.unique_id);
                put::claim_id(tx, id, kind::FOLDER, *key).await?;
                put::claim_unique_id(tx, unique, kind::FOLDER, *key, id, None, None).await?;
                put::folder(tx, *key, row, 1).await?;
            }
            for (key, n, row) in links {
                put::claim_id(tx, &row.association.entry_uuid, kind::ASSOCIATION, *key).await?;
                put::association(tx, *key, row, *n as i64).await?;
            }
            Ok(())
        })
    })
    .await
    .unwrap();
}
