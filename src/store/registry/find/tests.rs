//! A small world of two patients, and every query over it on each engine at hand. Objects are numbers:
//! 11-19 entries, 21-29 sets, 41-49 folders, 3x and 6x associations; see [`world`].

use std::sync::Arc;

use super::*;
use crate::model::caller::Caller;
use crate::model::consent::{Policy, Purpose, decide};
use crate::model::metadata::AssociationType::{Append, HasMember, Replace, Transform};
use crate::model::metadata::AvailabilityStatus::{self, Approved, Deprecated};
use crate::model::metadata::EntryType::{OnDemand, Stable};
use crate::model::metadata::{
    Association, AssociationType, Author, Code, DocumentEntry, Folder, MetadataObject, SubmissionSet,
};
use crate::model::query::{
    ContentFilter, FindDocuments, FindFolders, FindSubmissionSets, GetAll, Ids, TimeRange,
};
use crate::store::db::{Db, Tx, TxFuture};
use crate::store::registry::{kind, put};
use crate::store::testing::databases;

const NONE: [u64; 0] = [];
const PID1: &str = "1001^^^&1.2.392.9.4&ISO";
const PID2: &str = "1002^^^&1.2.392.9.4&ISO";
const BOTH: [AvailabilityStatus; 2] = [Approved, Deprecated];
const YAMADA: &str = "D1^山田^Taro^^^^^^&1.2.9&ISO";
const REFERRAL: &str = "R_1^^^&1.2.3&ISO^urn:ihe:iti:xds:2013:referral";
const ORDER: &str = "O1^^^&1.2.3&ISO^urn:ihe:iti:xds:2013:order";

// === asking ===

pub(super) fn options(return_type: ReturnType, limit: usize) -> FindOptions {
    FindOptions { return_type, limit }
}

/// Runs a query as a service does.
pub(super) async fn found(
    db: &Db,
    query: StoredQuery,
    options: FindOptions,
) -> Result<FindOutcome, FindError> {
    let permit = Arc::new(decide(Policy::AdmittedNodes, &Caller::default(), Purpose::Query));
    let snapshot = needs_snapshot(&query);
    let query = Arc::new(query);
    let work = closure(move |tx| {
        let (query, permit) = (query.clone(), permit.clone());
        Box::pin(async move { run(tx, &query, &options, &permit).await })
    });
    if snapshot { db.snapshot(work).await } else { db.read(work).await }
}

/// Tells the compiler what kind of closure it is.
fn closure<F>(f: F) -> F
where
    F: for<'t, 'c> Fn(&'t mut Tx<'c>) -> TxFuture<'t, FindOutcome, FindError>,
{
    f
}

fn numbers(found: &Found) -> Vec<u64> {
    let number = |id: &str| id[id.len() - 12..].parse().unwrap();
    match found {
        Found::Objects(objects) => objects.iter().map(|o| number(&o.id)).collect(),
        Found::Refs(refs) => refs.iter().map(|r| number(&r.id)).collect(),
    }
}

async fn refs(db: &Db, query: StoredQuery) -> Vec<u64> {
    numbers(&found(db, query, options(ReturnType::ObjectRef, 100)).await.unwrap().found)
}

/// Asks in both forms, which must agree.
async fn ask(db: &Db, query: StoredQuery) -> Vec<u64> {
    let objects = found(db, query.clone(), options(ReturnType::LeafClass, 100)).await.unwrap();
    let numbers = numbers(&objects.found);
    assert_eq!(refs(db, query).await, numbers);
    numbers
}

fn uuid(n: u64) -> String {
    format!("urn:uuid:abcdef00-0000-4000-8000-{n:012}")
}

fn by_uuid(n: u64) -> Ids {
    Ids::EntryUuid(vec![uuid(n)])
}

fn by_unique_id(n: u64) -> Ids {
    Ids::UniqueId(vec![format!("1.2.3.{n}")])
}

fn text(s: &str) -> Vec<String> {
    vec![s.to_owned()]
}

fn within(from: &str, to: &str) -> TimeRange {
    let some = |s: &str| (!s.is_empty()).then(|| s.to_owned());
    TimeRange { from: some(from), to: some(to) }
}

fn documents() -> FindDocuments {
    FindDocuments {
        patient_ids: text(PID1),
        status: vec![Approved],
        entry_types: vec![Stable],
        ..Default::default()
    }
}

fn stable() -> ContentFilter {
    ContentFilter { entry_types: vec![Stable], ..Default::default() }
}

fn any_type() -> ContentFilter {
    ContentFilter { entry_types: vec![Stable, OnDemand], ..Default::default() }
}

// === the world ===

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
async fn world(db: &Db) {
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

// === FindDocuments ===

#[tokio::test]
async fn find_documents_by_status_and_type() {
    for t in databases().await {
        world(&t.db).await;
        let ask = async |status: &[AvailabilityStatus], types: &[_]| {
            let (status, entry_types) = (status.to_vec(), types.to_vec());
            ask(&t.db, StoredQuery::FindDocuments(FindDocuments { status, entry_types, ..documents() })).await
        };
        assert_eq!(ask(&[Approved], &[Stable]).await, [11, 14]);
        assert_eq!(ask(&[Deprecated], &[Stable]).await, [12]);
        assert_eq!(ask(&[Approved], &[OnDemand]).await, [13]);
        assert_eq!(ask(&BOTH, &[Stable, OnDemand]).await, [13, 12, 11, 14]);
        assert_eq!(ask(&BOTH, &[]).await, NONE);
    }
}

/// Each parameter: a value that selects entry 11, and one that does not.
#[tokio::test]
async fn find_documents_parameters() {
    type Set = fn(&mut FindDocuments, &str);
    let cases: &[(&str, Set, &str, &str)] = &[
        ("patientId", |q, v| q.patient_ids = text(v), PID1, PID2),
        ("unknown patientId", |q, v| q.patient_ids = text(v), PID1, "9^^^&1.2.392.9.4&ISO"),
        ("classCode", |q, v| q.class_code = vec!["x^^S".into(), v.into()], "c1^^S", "c1^^T"),
        ("typeCode", |q, v| q.type_code = text(v), "t1^^S", "t2^^S"),
        ("practiceSettingCode", |q, v| q.practice_setting_code = text(v), "p1^^S", "p2^^S"),
        ("facilityTypeCode", |q, v| q.healthcare_facility_type_code = text(v), "h1^^S", "h2^^S"),
        ("formatCode", |q, v| q.format_code = text(v), "f1^^S", "F1^^S"),
        ("eventCodeList", |q, v| q.event_code_list = vec![text(v)], "e2^^S", "e3^^S"),
        ("eventCodeList AND", |q, v| q.event_code_list = vec![text("e1^^S"), text(v)], "e2^^S", "e3^^S"),
        ("confidentialityCode", |q, v| q.confidentiality_code = vec![text(v)], "R^^S", "V^^S"),
        ("author, whole", |q, v| q.author_person = text(v), YAMADA, "D1^山田^Taro"),
        ("author, LIKE", |q, v| q.author_person = text(v), "%^山_^Taro%", "%^山_^taro%"),
        ("author, one of two", |q, v| q.author_person = vec!["%x".into(), v.into()], "D1%", "d1%"),
        ("creationTimeFrom", |q, v| q.creation_time = within(v, ""), "20250401100000", "20250401100001"),
        ("creationTimeTo", |q, v| q.creation_time = within("", v), "20250401100001", "20250401100000"),
        (
            "serviceStartTimeFrom",
            |q, v| q.service_start_time = within(v, ""),
            "20250401000000",
            "20250401000001",
        ),
        (
            "serviceStartTimeTo",
            |q, v| q.service_start_time = within("", v),
            "20250401000001",
            "20250401000000",
        ),
        (
            "serviceStopTimeFrom",
            |q, v| q.service_stop_time = within(v, ""),
            "20250402000000",
            "20250402000001",
        ),
        ("serviceStopTimeTo", |q, v| q.service_stop_time = within("", v), "20250402000001", "20250402000000"),
        ("referenceIdList", |q, v| q.reference_id_list = vec![text(v)], ORDER, "O1"),
        ("referenceIdList, case", |q, v| q.reference_id_list = vec![text(v)], REFERRAL, "r_1%"),
        ("referenceIdList, LIKE", |q, v| q.reference_id_list = vec![text(v)], "O%order", "O%referral"),
        ("referenceIdList AND", |q, v| q.reference_id_list = vec![text("R%"), text(v)], ORDER, "O2%"),
    ];
    for t in databases().await {
        world(&t.db).await;
        for (name, set, hit, miss) in cases {
            for (value, expected) in [(hit, true), (miss, false)] {
                let mut q = documents();
                set(&mut q, value);
                let found = ask(&t.db, StoredQuery::FindDocumentsByReferenceId(q)).await;
                assert_eq!(found.contains(&11), expected, "{name} {value}: {found:?}");
            }
        }
    }
}

#[tokio::test]
async fn times_do_not_exclude_what_has_none() {
    for t in databases().await {
        world(&t.db).await;
        let never = || within("20300101000000", "20310101000000");
        let mut q = documents();
        q.service_start_time = never();
        assert_eq!(ask(&t.db, StoredQuery::FindDocuments(q.clone())).await, [14], "14 has no service times");
        q.service_start_time = TimeRange::default();
        q.service_stop_time = never();
        assert_eq!(ask(&t.db, StoredQuery::FindDocuments(q)).await, [14]);
        let q = FindDocuments { creation_time: never(), entry_types: vec![Stable, OnDemand], ..documents() };
        assert_eq!(ask(&t.db, StoredQuery::FindDocuments(q)).await, [13], "13 is on demand");
    }
}

#[tokio::test]
async fn find_documents_for_multiple_patients() {
    for t in databases().await {
        world(&t.db).await;
        let base = || FindDocuments { patient_ids: vec![], ..documents() };
        let several = FindDocuments { patient_ids: vec![PID1.into(), PID2.into(), "x".into()], ..base() };
        let class = FindDocuments { class_code: text("c1^^S"), ..base() };
        let facility = FindDocuments { healthcare_facility_type_code: text("h1^^S"), ..base() };
        let event = FindDocuments { event_code_list: vec![text("e1^^S")], ..base() };
        let events = FindDocuments { event_code_list: vec![text("e1^^S"), text("e2^^S")], ..base() };
        let author = FindDocuments { author_person: text("%山田%"), ..class.clone() };
        let nothing = FindDocuments { class_code: text("c9^^S"), ..base() };
        for (query, expected) in [
            (several, vec![11, 14, 51]),
            (class, vec![11, 51]),
            (facility, vec![11, 51]),
            (event, vec![11, 51]),
            (events, vec![11]),
            (author, vec![11]),
            (nothing, vec![]),
        ] {
            let query = StoredQuery::FindDocumentsForMultiplePatients(query);
            assert_eq!(ask(&t.db, query).await, expected);
        }
    }
}

// === FindSubmissionSets, FindFolders, GetAll ===

#[tokio::test]
async fn find_submission_sets_parameters() {
    type Set = fn(&mut FindSubmissionSets, &str);
    let cases: &[(&str, Set, &str, &str)] = &[
        ("patientId", |q, v| q.patient_id = v.into(), PID1, PID2),
        ("sourceId", |q, v| q.source_id = text(v), "1.5.21", "1.5.29"),
        ("contentType", |q, v| q.content_type = text(v), "ct21^^S", "ct22^^S"),
        ("author", |q, v| q.author_person = Some(v.into()), "A21^佐藤", "A21"),
        ("author, LIKE", |q, v| q.author_person = Some(v.into()), "%21^佐_", "a21%"),
        ("submissionTimeFrom", |q, v| q.submission_time = within(v, ""), "20250401120000", "20250401120001"),
        ("submissionTimeTo", |q, v| q.submission_time = within("", v), "20250401120001", "20250401120000"),
    ];
    for t in databases().await {
        world(&t.db).await;
        for (name, set, hit, miss) in cases {
            for (value, expected) in [(hit, true), (miss, false)] {
                let status = vec![Approved];
                let mut q = FindSubmissionSets { patient_id: PID1.into(), status, ..Default::default() };
                set(&mut q, value);
                let found = ask(&t.db, StoredQuery::FindSubmissionSets(q)).await;
                assert_eq!(found.contains(&21), expected, "{name} {value}: {found:?}");
            }
        }
        let status = vec![Deprecated];
        let none = FindSubmissionSets { patient_id: PID1.into(), status, ..Default::default() };
        assert_eq!(ask(&t.db, StoredQuery::FindSubmissionSets(none)).await, NONE);
    }
}

#[tokio::test]
async fn find_folders_parameters() {
    type Set = fn(&mut FindFolders, &str);
    let cases: &[(&str, Set, &str, &str)] = &[
        ("patientId", |q, v| q.patient_ids = text(v), PID1, PID2),
        ("codeList", |q, v| q.code_list = vec![vec!["x^^S".into(), v.into()]], "k1^^S", "k2^^S"),
        ("codeList AND", |q, v| q.code_list = vec![text("k1^^S"), text(v)], "k3^^S", "k2^^S"),
        ("lastUpdateTimeFrom", |q, v| q.last_update_time = within(v, ""), "20250401120000", "20250401120001"),
        ("lastUpdateTimeTo", |q, v| q.last_update_time = within("", v), "20250401120001", "20250401120000"),
    ];
    for t in databases().await {
        world(&t.db).await;
        for (name, set, hit, miss) in cases {
            for (value, expected) in [(hit, true), (miss, false)] {
                let mut q =
                    FindFolders { patient_ids: text(PID1), status: vec![Approved], ..Default::default() };
                set(&mut q, value);
                let found = ask(&t.db, StoredQuery::FindFolders(q)).await;
                assert_eq!(found.contains(&41), expected, "{name} {value}: {found:?}");
            }
        }
        let q = FindFolders { patient_ids: text(PID1), status: BOTH.to_vec(), ..Default::default() };
        assert_eq!(ask(&t.db, StoredQuery::FindFolders(q)).await, [42, 41]);
        let everyone =
            FindFolders { status: vec![Approved], code_list: vec![text("k1^^S")], ..Default::default() };
        let query = StoredQuery::FindFoldersForMultiplePatients(everyone.clone());
        assert_eq!(ask(&t.db, query).await, [41, 43]);
        let narrow = FindFolders { code_list: vec![text("k1^^S"), text("k3^^S")], ..everyone };
        assert_eq!(ask(&t.db, StoredQuery::FindFoldersForMultiplePatients(narrow)).await, [41]);
    }
}

#[tokio::test]
async fn get_all() {
    for t in databases().await {
        world(&t.db).await;
        let all = GetAll {
            patient_id: PID1.into(),
            document_status: BOTH.to_vec(),
            submission_set_status: BOTH.to_vec(),
            folder_status: BOTH.to_vec(),
            contents: any_type(),
        };
        let expected = [21, 22, 13, 12, 11, 14, 42, 41, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 62];
        assert_eq!(ask(&t.db, StoredQuery::GetAll(all.clone())).await, expected);
        // Only the replaced entry: its associations dangle.
        let old = GetAll {
            document_status: vec![Deprecated],
            submission_set_status: vec![Deprecated],
            folder_status: vec![Deprecated],
            contents: stable(),
            ..all.clone()
        };
        assert_eq!(ask(&t.db, StoredQuery::GetAll(old)).await, [12, 42, 35, 39]);
        let contents = ContentFilter {
            format_code: text("f1^^S"),
            confidentiality_code: vec![text("R^^S"), text("N^^S")],
            ..stable()
        };
        let narrow = GetAll { contents, folder_status: vec![Approved], ..all };
        let expected = [21, 22, 11, 41, 31, 32, 33, 34, 35, 36, 37, 38, 40, 62];
        assert_eq!(ask(&t.db, StoredQuery::GetAll(narrow.clone())).await, expected);
        let nobody = GetAll { patient_id: "nobody".into(), ..narrow };
        assert_eq!(ask(&t.db, StoredQuery::GetAll(nobody)).await, NONE);
    }
}

// === Get… ===

#[tokio::test]
async fn get_documents_of_any_status_and_type() {
    for t in databases().await {
        world(&t.db).await;
        let ids = Ids::EntryUuid(vec![uuid(12).to_uppercase(), uuid(13), uuid(13), uuid(99), uuid(41)]);
        assert_eq!(ask(&t.db, StoredQuery::GetDocuments(ids)).await, [13, 12]);
        assert_eq!(ask(&t.db, StoredQuery::GetDocuments(by_unique_id(11))).await, [11, 14]);
        assert_eq!(ask(&t.db, StoredQuery::GetDocuments(by_unique_id(41))).await, NONE);
    }
}

#[tokio::test]
async fn get_folders() {
    for t in databases().await {
        world(&t.db).await;
        let ids = Ids::EntryUuid(vec![uuid(41), uuid(42), uuid(11)]);
        assert_eq!(ask(&t.db, StoredQuery::GetFolders(ids)).await, [41], "42 is Deprecated");
        assert_eq!(ask(&t.db, StoredQuery::GetFolders(by_unique_id(43))).await, [43]);
        assert_eq!(ask(&t.db, StoredQuery::GetFolders(by_unique_id(21))).await, NONE);
    }
}

#[tokio::test]
async fn get_associations_at_either_end() {
    for t in databases().await {
        world(&t.db).await;
        let ask = async |n: &[u64]| {
            let uuids = n.iter().map(|n| uuid(*n)).collect();
            ask(&t.db, StoredQuery::GetAssociations { uuids }).await
        };
        assert_eq!(ask(&[11]).await, [31, 34, 35, 37, 62]);
        assert_eq!(ask(&[14]).await, [36, 37], "63 is Deprecated");
        assert_eq!(ask(&[23]).await, [61, 62]);
        assert_eq!(ask(&[34]).await, [33], "an association may be an end");
        assert_eq!(ask(&[12, 42]).await, [35, 39]);
        assert_eq!(ask(&[99]).await, NONE);
    }
}

#[tokio::test]
async fn get_documents_and_associations() {
    for t in databases().await {
        world(&t.db).await;
        let query = |ids| StoredQuery::GetDocumentsAndAssociations(ids);
        assert_eq!(ask(&t.db, query(by_uuid(13))).await, [13, 38, 40]);
        assert_eq!(ask(&t.db, query(by_unique_id(11))).await, [11, 14, 31, 34, 35, 36, 37, 62]);
        assert_eq!(ask(&t.db, query(by_uuid(41))).await, NONE, "a folder is no entry");
    }
}

#[tokio::test]
async fn get_submission_sets() {
    for t in databases().await {
        world(&t.db).await;
        let query =
            |n: &[u64]| StoredQuery::GetSubmissionSets { uuids: n.iter().map(|n| uuid(*n)).collect() };
        assert_eq!(ask(&t.db, query(&[14])).await, [22, 36]);
        assert_eq!(ask(&t.db, query(&[13, 14])).await, [22, 36, 38]);
        assert_eq!(ask(&t.db, query(&[41])).await, [21, 32]);
        assert_eq!(ask(&t.db, query(&[12])).await, NONE, "only a folder holds it");
        assert_eq!(refs(&t.db, query(&[11])).await, [21, 23, 31, 62], "by reference too");
    }
}

#[tokio::test]
async fn get_submission_set_and_contents() {
    for t in databases().await {
        world(&t.db).await;
        let query = |id, contents| StoredQuery::GetSubmissionSetAndContents { id, contents };
        let whole = [21, 11, 41, 31, 32, 33, 34];
        assert_eq!(ask(&t.db, query(by_uuid(21), stable())).await, whole);
        assert_eq!(ask(&t.db, query(by_unique_id(21), any_type())).await, whole);
        // Without the entry, its association to the folder and the set's to that go too.
        let other_format = ContentFilter { format_code: text("f2^^S"), ..stable() };
        assert_eq!(ask(&t.db, query(by_uuid(21), other_format)).await, [21, 41, 32]);
        let secret = ContentFilter { confidentiality_code: vec![text("V^^S")], ..stable() };
        assert_eq!(ask(&t.db, query(by_uuid(21), secret)).await, [21, 41, 32]);
        assert_eq!(ask(&t.db, query(by_uuid(22), stable())).await, [22, 14, 36]);
        assert_eq!(ask(&t.db, query(by_uuid(22), any_type())).await, [22, 13, 14, 36, 38]);
        assert_eq!(refs(&t.db, query(by_uuid(23), stable())).await, [23, 11, 51, 61, 62]);
        assert_eq!(ask(&t.db, query(by_uuid(41), stable())).await, NONE);
    }
}

#[tokio::test]
async fn get_folder_and_contents() {
    for t in databases().await {
        world(&t.db).await;
        let query = |id, contents| StoredQuery::GetFolderAndContents { id, contents };
        assert_eq!(ask(&t.db, query(by_uuid(41), stable())).await, [41, 11, 34]);
        assert_eq!(ask(&t.db, query(by_unique_id(41), any_type())).await, [41, 13, 11, 34, 40]);
        let other_format = ContentFilter { format_code: text("f9^^S"), ..stable() };
        assert_eq!(ask(&t.db, query(by_uuid(41), other_format)).await, [41]);
        assert_eq!(ask(&t.db, query(by_uuid(42), any_type())).await, NONE, "Deprecated");
    }
}

#[tokio::test]
async fn get_folders_for_document() {
    for t in databases().await {
        world(&t.db).await;
        let query = StoredQuery::GetFoldersForDocument;
        assert_eq!(ask(&t.db, query(by_uuid(11))).await, [41]);
        assert_eq!(ask(&t.db, query(by_unique_id(13))).await, [41]);
        assert_eq!(ask(&t.db, query(by_uuid(12))).await, NONE, "the folder is Deprecated");
        assert_eq!(ask(&t.db, query(by_uuid(14))).await, NONE, "the association is Deprecated");
    }
}

#[tokio::test]
async fn get_related_documents() {
    for t in databases().await {
        world(&t.db).await;
        let ask = async |id: Ids, types: &[AssociationType], entry_types: &[_]| {
            let (types, entry_types) = (types.to_vec(), entry_types.to_vec());
            ask(&t.db, StoredQuery::GetRelatedDocuments { id, types, entry_types }).await
        };
        assert_eq!(ask(by_uuid(11), &[Replace], &[Stable]).await, [11, 12, 35]);
        assert_eq!(ask(by_uuid(12), &[Replace], &[Stable]).await, [12, 11, 35]);
        assert_eq!(ask(by_uuid(11), &[Replace, Transform], &[Stable]).await, [11, 12, 14, 35, 37]);
        assert_eq!(ask(by_unique_id(11), &[Transform], &[Stable]).await, [11, 14, 37]);
        assert_eq!(ask(by_uuid(11), &[Append], &[Stable]).await, NONE, "alone is nothing");
        assert_eq!(ask(by_uuid(11), &[Replace], &[OnDemand]).await, NONE);
        assert_eq!(ask(by_uuid(11), &[HasMember], &[Stable]).await, NONE, "folders are no documents");
    }
}

// === what all share ===

#[tokio::test]
async fn columns_rule_over_bodies() {
    for t in databases().await {
        world(&t.db).await;
        t.db.write::<_, DbError, _>(|tx| {
            Box::pin(async move {
                put::deprecate_entry(tx, 1, &uuid(14)).await?;
                put::touch_folder(tx, 1, &uuid(41), "20260101000000").await?;
                tx.exec("UPDATE document_entry SET version = 7 WHERE id = $1", &[(&uuid(14)).into()]).await
            })
        })
        .await
        .unwrap();
        let objects = async |query| match found(&t.db, query, options(ReturnType::LeafClass, 9)).await {
            Ok(FindOutcome { found: Found::Objects(objects), .. }) => {
                objects.iter().map(|o| o.read().unwrap()).collect::<Vec<_>>()
            }
            other => panic!("{other:?}"),
        };
        match &objects(StoredQuery::GetDocuments(by_uuid(14))).await[..] {
            [MetadataObject::DocumentEntry(e)] => {
                assert_eq!((e.availability_status, e.version), (Deprecated, 7));
                assert_eq!(e.creation_time.as_deref(), Some("20250501"), "as sent");
            }
            other => panic!("{other:?}"),
        }
        match &objects(StoredQuery::GetFolders(by_uuid(41))).await[..] {
            [MetadataObject::Folder(f)] => {
                assert_eq!(f.last_update_time.as_deref(), Some("20260101000000"));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn patients_of_an_answer() {
    for t in databases().await {
        world(&t.db).await;
        for form in [ReturnType::LeafClass, ReturnType::ObjectRef] {
            let patients = async |q| found(&t.db, q, options(form, 100)).await.unwrap().patients;
            assert_eq!(patients(StoredQuery::FindDocuments(documents())).await, [PID1]);
            assert_eq!(patients(StoredQuery::GetDocuments(by_uuid(51))).await, [PID2]);
            let class = FindDocuments { patient_ids: vec![], class_code: text("c1^^S"), ..documents() };
            let class = StoredQuery::FindDocumentsForMultiplePatients(class);
            assert_eq!(patients(class).await, [PID1, PID2]);
            let nothing = FindDocuments { class_code: text("c9^^S"), ..documents() };
            assert!(patients(StoredQuery::FindDocuments(nothing)).await.is_empty());
        }
    }
}

#[tokio::test]
async fn several_patients_are_refused_in_full_only() {
    let two = Ids::EntryUuid(vec![uuid(11), uuid(51)]);
    let queries = [
        StoredQuery::GetDocuments(two.clone()),
        StoredQuery::GetFolders(Ids::EntryUuid(vec![uuid(41), uuid(43)])),
        StoredQuery::GetDocumentsAndAssociations(two),
        StoredQuery::GetSubmissionSets { uuids: vec![uuid(11)] },
        StoredQuery::GetSubmissionSetAndContents { id: by_uuid(23), contents: stable() },
    ];
    for t in databases().await {
        world(&t.db).await;
        for query in queries.clone() {
            let full = found(&t.db, query.clone(), options(ReturnType::LeafClass, 100)).await;
            assert_eq!(full, Err(FindError::SeveralPatients), "{query:?}");
            let refs = found(&t.db, query, options(ReturnType::ObjectRef, 100)).await.unwrap();
            assert_eq!(refs.patients, [PID1, PID2]);
        }
    }
}

#[tokio::test]
async fn one_object_too_many() {
    let all = GetAll {
        patient_id: PID1.into(),
        document_status: BOTH.to_vec(),
        submission_set_status: BOTH.to_vec(),
        folder_status: BOTH.to_vec(),
        contents: any_type(),
    };
    for t in databases().await {
        world(&t.db).await;
        for form in [ReturnType::LeafClass, ReturnType::ObjectRef] {
            for (query, size) in [
                (StoredQuery::FindDocuments(documents()), 2),
                (StoredQuery::GetAll(all.clone()), 19),
                (StoredQuery::GetSubmissionSetAndContents { id: by_uuid(21), contents: stable() }, 7),
            ] {
                let exact = found(&t.db, query.clone(), options(form, size)).await.unwrap();
                assert_eq!(numbers(&exact.found).len(), size);
                for limit in 0..size {
                    let less = found(&t.db, query.clone(), options(form, limit)).await;
                    assert_eq!(less, Err(FindError::TooManyResults(limit)));
                }
            }
        }
    }
}

#[tokio::test]
async fn a_spoiled_body_names_the_id_only() {
    for t in databases().await {
        world(&t.db).await;
        t.db.write::<_, DbError, _>(|tx| {
            let sql = "UPDATE document_entry SET body = '{\"patientId\": 5' WHERE id = $1";
            Box::pin(async move { tx.exec(sql, &[(&uuid(11)).into()]).await })
        })
        .await
        .unwrap();
        let query = StoredQuery::GetDocuments(by_uuid(11));
        let full = found(&t.db, query.clone(), options(ReturnType::LeafClass, 9)).await.unwrap();
        assert_eq!(full.found.read(), Err(CorruptBody { id: uuid(11) }));
        assert_eq!(refs(&t.db, query).await, [11]);
    }
}

#[tokio::test]
async fn long_lists() {
    for t in databases().await {
        world(&t.db).await;
        let uuids: Vec<String> = (0..600).map(uuid).collect();
        let query = StoredQuery::GetDocuments(Ids::EntryUuid(uuids));
        assert_eq!(refs(&t.db, query).await, [13, 12, 11, 14, 51]);
    }
}

// === plans ===

/// How SQLite runs a query: nothing may be read from end to end.
#[cfg(feature = "sqlite")]
async fn plan(db: &Db, query: StoredQuery, return_type: ReturnType) -> Vec<String> {
    let query = Arc::new(query);
    db.read::<_, FindError, _>(move |tx| {
        let query = query.clone();
        Box::pin(async move {
            let mut reading = Reading::new(tx, &options(return_type, 100));
            reading.plans = Some(vec![]);
            hits(&mut reading, &query).await?;
            Ok(reading.plans.take().unwrap_or_default())
        })
    })
    .await
    .unwrap()
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn every_plan_begins_at_a_patient_or_an_id() {
    let t = databases().await.swap_remove(0);
    world(&t.db).await;
    let everyone = || FindDocuments { patient_ids: vec![], ..documents() };
    let contents = || ContentFilter {
        format_code: text("f0^^S"),
        confidentiality_code: vec![text("N^^S")],
        entry_types: vec![Stable],
    };
    let mut rich = documents();
    rich.class_code = text("c1^^S");
    rich.healthcare_facility_type_code = text("h1^^S");
    rich.event_code_list = vec![text("e1^^S"), text("e2^^S")];
    rich.confidentiality_code = vec![text("N^^S")];
    rich.reference_id_list = vec![text("R%")];
    rich.author_person = text("%山田%");
    rich.creation_time = within("20200101000000", "20300101000000");
    let queries = [
        StoredQuery::FindDocuments(documents()),
        StoredQuery::FindDocuments(rich.clone()),
        StoredQuery::FindDocumentsForMultiplePatients(FindDocuments {
            class_code: text("c1^^S"),
            ..everyone()
        }),
        StoredQuery::FindDocumentsForMultiplePatients(FindDocuments {
            healthcare_facility_type_code: text("h1^^S"),
            ..everyone()
        }),
        StoredQuery::FindDocumentsForMultiplePatients(FindDocuments {
            event_code_list: vec![text("e1^^S"), text("e2^^S")],
            author_person: text("%山田%"),
            ..everyone()
        }),
        StoredQuery::FindDocumentsForMultiplePatients(FindDocuments {
            patient_ids: vec![PID1.into(), PID2.into()],
            ..rich
        }),
        StoredQuery::FindSubmissionSets(FindSubmissionSets {
            patient_id: PID1.into(),
            status: vec![Approved],
            author_person: Some("A21%".into()),
            ..Default::default()
        }),
        StoredQuery::FindFolders(FindFolders {
            patient_ids: text(PID1),
            status: vec![Approved],
            code_list: vec![text("k1^^S")],
            ..Default::default()
        }),
        StoredQuery::FindFoldersForMultiplePatients(FindFolders {
            status: vec![Approved],
            code_list: vec![text("k1^^S")],
            ..Default::default()
        }),
        StoredQuery::GetAll(GetAll {
            patient_id: PID1.into(),
            document_status: BOTH.to_vec(),
            submission_set_status: BOTH.to_vec(),
            folder_status: BOTH.to_vec(),
            contents: contents(),
        }),
        StoredQuery::GetDocuments(by_uuid(11)),
        StoredQuery::GetDocuments(by_unique_id(11)),
        StoredQuery::GetFolders(by_uuid(41)),
        StoredQuery::GetFolders(by_unique_id(41)),
        StoredQuery::GetAssociations { uuids: vec![uuid(11), uuid(12)] },
        StoredQuery::GetDocumentsAndAssociations(by_unique_id(11)),
        StoredQuery::GetSubmissionSets { uuids: vec![uuid(11)] },
        StoredQuery::GetSubmissionSetAndContents { id: by_uuid(21), contents: contents() },
        StoredQuery::GetSubmissionSetAndContents { id: by_unique_id(21), contents: contents() },
        StoredQuery::GetFolderAndContents { id: by_uuid(41), contents: contents() },
        StoredQuery::GetFoldersForDocument(by_uuid(11)),
        StoredQuery::GetFoldersForDocument(by_unique_id(11)),
        StoredQuery::GetRelatedDocuments {
            id: by_uuid(11),
            types: vec![Replace, Transform],
            entry_types: vec![Stable],
        },
        StoredQuery::GetRelatedDocuments {
            id: by_unique_id(11),
            types: vec![Replace],
            entry_types: vec![Stable],
        },
    ];
    for form in [ReturnType::LeafClass, ReturnType::ObjectRef] {
        for query in &queries {
            let plan = plan(&t.db, query.clone(), form).await;
            assert!(!plan.is_empty());
            for step in &plan {
                // Of our aliases these four name sub-selects; the others name tables.
                let table = step.strip_prefix("SCAN ").is_some_and(|of| !["k", "r", "m", "n"].contains(&of));
                assert!(!table && !step.contains("AUTOMATIC"), "{:?}: {step}\n{plan:#?}", query.id());
            }
        }
    }
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn find_documents_reads_one_index() {
    let t = databases().await.swap_remove(0);
    world(&t.db).await;
    let plan = plan(&t.db, StoredQuery::FindDocuments(documents()), ReturnType::LeafClass).await;
    let by_patient = "SEARCH d USING INDEX document_entry_time (patient_key=? AND status=?";
    let mut narrow = documents();
    narrow.class_code = text("c1^^S");
    narrow.healthcare_facility_type_code = text("h1^^S");
    narrow.event_code_list = vec![text("e1^^S")];
    narrow.author_person = text(YAMADA);
    let narrow = self::plan(&t.db, StoredQuery::FindDocuments(narrow), ReturnType::LeafClass).await;
    assert!(narrow[0].starts_with(by_patient), "{narrow:#?}");
    assert_eq!(
        plan,
        [
            "SEARCH d USING INDEX document_entry_time (patient_key=? AND status=?)",
            "SCALAR SUBQUERY 1",
            "SEARCH p USING COVERING INDEX sqlite_autoindex_patient_1 (pid=?)",
        ]
    );
}
