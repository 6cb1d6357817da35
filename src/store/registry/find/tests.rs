//! A small world of two patients, and every query over it on each engine at hand. Objects are numbers:
//! 11-19 entries, 21-29 sets, 41-49 folders, 3x and 6x associations; see [`world::world`].

mod find;
mod get;
mod world;

use std::sync::Arc;

use super::*;
use crate::model::caller::Caller;
use crate::model::consent::{Action, Network, admit};
use crate::model::metadata::AssociationType::{Append, HasMember, Replace, Transform};
use crate::model::metadata::AvailabilityStatus::{self, Approved, Deprecated};
use crate::model::metadata::EntryType::{OnDemand, Stable};
use crate::model::metadata::{Association, AssociationType, MetadataObject};
use crate::model::query::{
    ContentFilter, FindDocuments, FindFolders, FindSubmissionSets, GetAll, Ids, TimeRange,
};
use crate::store::db::{Db, Tx, TxFuture};
use crate::store::registry::{kind, put};
use crate::store::testing::databases;
use world::world;

const NONE: [u64; 0] = [];
const PID1: &str = "1001^^^&1.2.392.9.4&ISO";
const PID2: &str = "1002^^^&1.2.392.9.4&ISO";
const BOTH: [AvailabilityStatus; 2] = [Approved, Deprecated];
const YAMADA: &str = "D1^山田^Taro^^^^^^&1.2.9&ISO";
const REFERRAL: &str = "R_1^^^&1.2.3&ISO^urn:ihe:iti:xds:2013:referral";
const ORDER: &str = "O1^^^&1.2.3&ISO^urn:ihe:iti:xds:2013:order";

// === asking ===

pub(super) fn options(return_type: ReturnType, limit: usize) -> FindOptions {
    FindOptions { return_type, limit, view: Default::default(), as_of: None }
}

/// Runs a query as a service does.
pub(super) async fn found(
    db: &Db,
    query: StoredQuery,
    options: FindOptions,
) -> Result<FindOutcome, FindError> {
    let permit = Arc::new(admit(&Arc::new(Network::default()), &Caller::default(), Action::Query, 0));
    let snapshot = needs_snapshot(&query, &permit);
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

// === what all share ===

#[tokio::test]
async fn columns_rule_over_bodies() {
    for t in databases().await {
        world(&t.db).await;
        t.db.write::<_, DbError, _>(|tx| {
            Box::pin(async move {
                let entry = "UPDATE document_entry SET status = 2, version = 7 WHERE id = $1";
                tx.exec(entry, &[(&uuid(14)).into()]).await?;
                let folder = "UPDATE folder SET last_update_time = '20260101000000' WHERE id = $1";
                tx.exec(folder, &[(&uuid(41)).into()]).await
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
async fn plan(db: &Db, query: StoredQuery, options: FindOptions) -> Vec<String> {
    let query = Arc::new(query);
    db.read::<_, FindError, _>(move |tx| {
        let query = query.clone();
        Box::pin(async move {
            let permit = admit(&Arc::new(Network::default()), &Caller::default(), Action::Query, 0);
            let mut reading = Reading::new(tx, &options, &permit);
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
        for (query, as_of) in queries.iter().flat_map(|q| [(q, None), (q, Some(9))]) {
            let plan = plan(&t.db, query.clone(), FindOptions { as_of, ..options(form, 100) }).await;
            assert!(!plan.is_empty());
            for step in &plan {
                // Of our aliases these name sub-selects; the others name tables.
                let table = step
                    .strip_prefix("SCAN ")
                    .is_some_and(|of| !["k", "r", "m", "n", "u", "CONSTANT ROW"].contains(&of));
                assert!(
                    !table && !step.contains("AUTOMATIC"),
                    "{:?} {as_of:?}: {step}\n{plan:#?}",
                    query.id()
                );
            }
        }
    }
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn find_documents_reads_one_index() {
    let t = databases().await.swap_remove(0);
    world(&t.db).await;
    let plan =
        plan(&t.db, StoredQuery::FindDocuments(documents()), options(ReturnType::LeafClass, 100)).await;
    let by_patient = "SEARCH d USING INDEX document_entry_time (patient_key=? AND status=?";
    let mut narrow = documents();
    narrow.class_code = text("c1^^S");
    narrow.healthcare_facility_type_code = text("h1^^S");
    narrow.event_code_list = vec![text("e1^^S")];
    narrow.author_person = text(YAMADA);
    let narrow =
        self::plan(&t.db, StoredQuery::FindDocuments(narrow), options(ReturnType::LeafClass, 100)).await;
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
