//! How fast FindDocuments is, by hand and never in CI:
//!
//! ```text
//! MEASURE_DB=/tmp/measure.db MEASURE_ENTRIES=1000000 \
//!   cargo test --config 'profile.dev.package.chiren.opt-level=3' --lib find::measure -- --ignored --nocapture
//! ```
//!
//! The database is kept for the next run. The entries of a patient are spread over the whole file, as they
//! are when years of visits have filled it.

use std::time::{Duration, Instant};

use super::tests::{found, options};
use super::*;
use crate::config::database::DatabaseConfig;
use crate::model::metadata::{Author, AvailabilityStatus, Code, DocumentEntry, EntryType};
use crate::model::query::FindDocuments;
use crate::store::db::Db;
use crate::store::migrate;
use crate::store::registry::{kind, put};

const PER_PATIENT: i64 = 25;

fn pid(key: i64) -> String {
    format!("{key:08}^^^&1.2.392.200250.2.1.100&ISO")
}

fn code(code: &str, scheme: &str, display: &str) -> Option<Code> {
    let display = vec![crate::model::ebrim::LocalizedString {
        value: display.into(),
        lang: Some("ja-JP".into()),
        charset: Some("UTF-8".into()),
    }];
    Some(Code { code: code.into(), scheme: scheme.into(), display, extra_slots: vec![] })
}

/// An entry as hospitals send it: about 2 KB as JSON.
fn entry(key: i64, n: i64) -> DocumentEntry {
    let id = format!("urn:uuid:{:08x}-0000-4000-8000-{key:012x}", n);
    DocumentEntry {
        logical_id: Some(id.clone()),
        entry_uuid: id,
        version: 1,
        unique_id: format!("1.2.392.200250.2.1.{key}.{n}"),
        patient_id: pid(key),
        mime_type: "text/xml".into(),
        repository_unique_id: Some("1.2.392.200250.2.1.7".into()),
        hash: Some("da39a3ee5e6b4b0d3255bfef95601890afd80709".into()),
        size: Some("20480".into()),
        title: vec![crate::model::ebrim::LocalizedString {
            value: "診療情報提供書（内科）".into(),
            lang: Some("ja-JP".into()),
            charset: Some("UTF-8".into()),
        }],
        author: vec![Author {
            author_person: vec!["D000123^山田^太郎^^^^^^&1.2.392.200250.2.1.9&ISO".into()],
            author_institution: vec!["中央病院^^^^^&1.2.392.100495.20.3.21&ISO^^^^1312345678".into()],
            author_role: vec!["医師".into()],
            author_specialty: vec!["内科".into()],
            ..Author::default()
        }],
        class_code: code("11488-4", "2.16.840.1.113883.6.1", "診療録"),
        type_code: code("57133-1", "2.16.840.1.113883.6.1", "診療情報提供書"),
        format_code: code("urn:ihe:iti:xds-sd:text:2008", "1.3.6.1.4.1.19376.1.2.3", "XDS-SD"),
        healthcare_facility_type_code: code("1", "1.2.392.200250.2.2.3", "病院"),
        practice_setting_code: code("01", "1.2.392.200250.2.2.4", "内科"),
        confidentiality_code: code("N", "2.16.840.1.113883.5.25", "通常").into_iter().collect(),
        event_code_list: code("E11", "2.16.840.1.113883.6.3", "２型糖尿病").into_iter().collect(),
        creation_time: Some(format!("20{:02}0401{:02}3000", n % 25, n % 24)),
        service_start_time: Some("20250401090000".into()),
        service_stop_time: Some("20250401100000".into()),
        language_code: Some("ja-JP".into()),
        source_patient_id: Some(format!("{key}^^^&1.2.392.200250.2.1.8&ISO")),
        source_patient_info: vec![
            format!("PID-3|{key}^^^&1.2.392.200250.2.1.8&ISO"),
            "PID-5|山田^花子^^^^^L^I".into(),
            "PID-7|19560527".into(),
            "PID-8|F".into(),
        ],
        ..DocumentEntry::default()
    }
}

async fn fill(db: &Db, entries: i64) {
    let patients = (entries / PER_PATIENT).max(1);
    let have: i64 = db
        .read(|tx| Box::pin(tx.fetch_one("SELECT COUNT(*) FROM patient", &[], |r| r.get(0))))
        .await
        .unwrap();
    assert!(have == 0 || have == patients, "MEASURE_DB holds {have} patients, not {patients}");
    if have > 0 {
        return;
    }
    for n in 0..PER_PATIENT {
        for first in (0..patients).step_by(2000) {
            db.write::<_, DbError, _>(move |tx| {
                Box::pin(async move {
                    for key in first..(first + 2000).min(patients) {
                        if n == 0 {
                            tx.exec(
                                "INSERT INTO patient VALUES ($1, $2, 'x', 1, '{}', 1)",
                                &[key.into(), (&pid(key)).into()],
                            )
                            .await?;
                        }
                        let row = put::EntryRow::new(entry(key, n))?;
                        put::claim_id(tx, &row.entry.entry_uuid, kind::DOCUMENT_ENTRY, key).await?;
                        put::document_entry(tx, key, &row, 1).await?;
                    }
                    Ok(())
                })
            })
            .await
            .unwrap();
        }
    }
}

/// Work on this thread, by the wall and by the processor: a busy machine stretches only the former.
struct Watch(Instant, u64);

impl Watch {
    fn start() -> Self {
        Self(Instant::now(), processor_ns())
    }

    fn report(&self, what: &str, rounds: u32) {
        let wall = self.0.elapsed() / rounds;
        let busy = Duration::from_nanos(processor_ns() - self.1) / rounds;
        println!("{what:<42} wall {wall:>9.1?}, processor {busy:>9.1?}, {:>8.0}/s", 1.0 / busy.as_secs_f64());
    }
}

/// Linux's first figure: time on the processor.
fn processor_ns() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    stat.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or_default()
}

#[tokio::test]
#[ignore = "minutes and gigabytes; run by hand"]
async fn find_documents() {
    let entries: i64 = std::env::var("MEASURE_ENTRIES").ok().and_then(|n| n.parse().ok()).unwrap_or(100_000);
    let dir = tempfile::tempdir().unwrap();
    let path = std::env::var("MEASURE_DB").unwrap_or(dir.path().join("m.db").display().to_string());
    let mmap_mib = std::env::var("MEASURE_MMAP_MIB").ok().and_then(|n| n.parse().ok()).unwrap_or(0);
    let config = DatabaseConfig { mmap_mib, ..DatabaseConfig::at(format!("sqlite:{path}")) };
    migrate::apply(&config, 1).await.unwrap();
    let db = Db::open(&config).await.unwrap();
    let started = Instant::now();
    fill(&db, entries).await;
    println!("filled in {:?}", started.elapsed());

    const ROUNDS: u32 = 4000;
    let patients = (entries / PER_PATIENT).max(1);
    let nth = |i: u32| (i64::from(i) * 7919) % patients;
    let query = |key: i64| {
        StoredQuery::FindDocuments(FindDocuments {
            patient_ids: vec![pid(key)],
            status: vec![AvailabilityStatus::Approved],
            entry_types: vec![EntryType::Stable],
            ..FindDocuments::default()
        })
    };
    for round in ["cold", "warm"] {
        for return_type in [ReturnType::LeafClass, ReturnType::ObjectRef] {
            let o = options(return_type, 10_000);
            let watch = Watch::start();
            for i in 0..ROUNDS {
                let found = found(&db, query(nth(i)), o).await.unwrap();
                assert_eq!(found.result.len(), PER_PATIENT as usize);
            }
            watch.report(&format!("run, {round}, {}", return_type.as_str()), ROUNDS);
        }
    }

    let sql = "SELECT d.patient_key, d.id, d.body, d.status, d.version FROM document_entry d \
               WHERE d.patient_key = (SELECT p.patient_key FROM patient p WHERE p.pid = $1) AND d.status IN (1)";
    for (what, sql) in [
        ("SQL alone, unordered", sql.to_owned()),
        ("SQL alone, ordered", { format!("{sql} ORDER BY d.creation_time NULLS FIRST, d.id LIMIT 10001") }),
    ] {
        let (sql, watch) = (std::sync::Arc::new(sql), Watch::start());
        let mut bytes = 0;
        for i in 0..ROUNDS {
            let (sql, pid) = (sql.clone(), std::sync::Arc::new(pid(nth(i))));
            let rows: Vec<usize> = db
                .read::<_, DbError, _>(move |tx| {
                    let (sql, pid) = (sql.clone(), pid.clone());
                    Box::pin(async move {
                        tx.fetch(sql.to_string(), &[pid.as_str().into()], |r| Ok(r.text(2)?.len())).await
                    })
                })
                .await
                .unwrap();
            bytes = rows.iter().sum::<usize>() / rows.len();
        }
        watch.report(&format!("{what} ({bytes} bytes a body)"), ROUNDS);
    }

    let body = serde_json::to_string(&entry(1, 1)).unwrap();
    let watch = Watch::start();
    for _ in 0..ROUNDS * 25 {
        std::hint::black_box(serde_json::from_str::<DocumentEntry>(std::hint::black_box(&body)).unwrap());
    }
    watch.report("JSON of 25 bodies", ROUNDS);
}
