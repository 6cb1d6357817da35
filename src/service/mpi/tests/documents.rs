//! Whose documents are whose, when persons are joined and parted.

use super::*;
use crate::model::metadata::{Association, AssociationType, DocumentEntry, SubmissionSet};
use crate::service::verify::{Scope, Verify};
use crate::store::documents::{self, StoredDocument};
use crate::store::patient;
use crate::store::registry::change::{Cause, Change};
use crate::store::registry::{kind, put};

fn uuid(n: u64) -> String {
    format!("urn:uuid:00000000-0000-4000-8000-{n:012}")
}

impl World {
    /// A SubmissionSet with one document for a patient, published under a facility's id; all in the history.
    async fn publish(&self, n: u64, person: &str, source: &str) {
        let pid = cx(&at(NETWORK, person));
        let entry = put::EntryRow::new(DocumentEntry {
            entry_uuid: uuid(n),
            logical_id: Some(uuid(n)),
            version: 1,
            unique_id: format!("1.2.3.{n}"),
            patient_id: pid.clone(),
            source_patient_id: Some(source.to_owned()),
            repository_unique_id: Some("1.2.3".into()),
            hash: Some("ab".into()),
            size: Some("2".into()),
            confidentiality_code: vec![crate::model::metadata::Code {
                code: "N".into(),
                scheme: "S".into(),
                ..Default::default()
            }],
            ..DocumentEntry::default()
        })
        .unwrap();
        let set = put::SetRow::new(SubmissionSet {
            entry_uuid: uuid(n + 1),
            unique_id: format!("1.2.3.{}", n + 1),
            patient_id: pid.clone(),
            source_id: "1.2.3".into(),
            submission_time: Some("20261129".into()),
            ..SubmissionSet::default()
        })
        .unwrap();
        let (set_id, entry_id) = (uuid(n + 1), uuid(n));
        let joins = Association::new(AssociationType::HasMember, uuid(n + 2), &set_id, &entry_id);
        let joins = put::AssociationRow::new(joins).unwrap();
        let document = StoredDocument {
            unique_id: format!("1.2.3.{n}"),
            blob_key: format!("{n:064}"),
            mime_type: "text/plain".into(),
            size: 2,
            hash: "ab".into(),
            patient_id: pid.clone(),
        };
        let caller = context().caller;
        let all = Arc::new((pid, entry, set, joins, document, Cause::new("ITI-41", "r", &caller).unwrap()));
        let now = (self.mpi.settings.now)();
        self.t
            .db
            .write::<_, DbError, _>(move |tx| {
                let all = all.clone();
                Box::pin(async move {
                    let (pid, entry, set, joins, document, cause) = &*all;
                    let held = patient::hold(tx, pid).await?.ok_or(DbError::NoRow)?;
                    let mut change = Change::begin(tx, held, now).await?;
                    let key = change.patient_key();
                    for (id, of) in [
                        (&entry.entry.entry_uuid, kind::DOCUMENT_ENTRY),
                        (&set.set.entry_uuid, kind::SUBMISSION_SET),
                        (&joins.association.entry_uuid, kind::ASSOCIATION),
                    ] {
                        assert!(put::claim_id(tx, id, of, key).await?);
                    }
                    let (unique, id) = (&set.set.unique_id, &set.set.entry_uuid);
                    put::claim_unique_id(tx, unique, kind::SUBMISSION_SET, key, id, None, None).await?;
                    let (unique, id) = (&entry.entry.unique_id, &entry.entry.entry_uuid);
                    put::claim_unique_id(tx, unique, kind::DOCUMENT_ENTRY, key, id, Some("ab"), Some(2))
                        .await?;
                    change.register_set(tx, set).await?;
                    change.register_entry(tx, entry).await?;
                    change.register_association(tx, joins).await?;
                    let _ = change.store_document(tx, document).await?;
                    change.finish(tx, cause).await
                })
            })
            .await
            .unwrap();
    }

    /// uniqueIds of a patient's current entries, each with the patientId in it.
    async fn entries(&self, person: &str) -> Vec<(String, String)> {
        let pid = cx(&at(NETWORK, person));
        self.t
            .db
            .read(move |tx| {
                let pid = pid.clone();
                Box::pin(async move {
                    tx.fetch(
                        "SELECT d.unique_id, d.body FROM document_entry d JOIN patient p \
                         ON p.patient_key = d.patient_key WHERE p.pid = $1 ORDER BY d.unique_id",
                        &[pid.as_str().into()],
                        |row| {
                            let body: DocumentEntry = serde_json::from_str(row.text(1)?).unwrap();
                            Ok((row.get(0)?, body.patient_id))
                        },
                    )
                    .await
                })
            })
            .await
            .unwrap_or_else(|e: DbError| panic!("{e}"))
    }

    async fn verify(&self) {
        let scope = Scope { moment: i64::MAX, expect: None, documents: false, limit: 10 };
        let report = Verify::new(self.t.db.clone(), None).run(&scope, &|_| {}).await.unwrap();
        assert_eq!(report.faults, 0, "{:?}", report.findings);
    }

    async fn document_of(&self, n: u64) -> String {
        let unique_id = format!("1.2.3.{n}");
        let found = self
            .t
            .db
            .read(move |tx| {
                let unique_id = unique_id.clone();
                Box::pin(async move { documents::find(tx, &unique_id).await })
            })
            .await
            .unwrap_or_else(|e: DbError| panic!("{e}"));
        found.unwrap().patient_id
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_moves_the_documents_and_its_undoing_brings_them_back() {
    for w in worlds().await {
        let elder = w.add(A, "1", &HANAKO).await;
        let younger = w.add(A, "2", &TARO).await;
        w.publish(100, &elder, "1^^^&1.2.392.100495.20.3.51.11310000001&ISO").await;
        w.publish(200, &younger, "2^^^&1.2.392.100495.20.3.51.11310000001&ISO").await;
        w.verify().await;
        let merge = Feed::Merge { surviving: vec![id(A, "1")], subsumed: vec![id(A, "2")] };
        w.feed("A", merge).await.unwrap();
        let survivor = cx(&at(NETWORK, &elder));
        assert_eq!(
            w.entries(&elder).await,
            [("1.2.3.100".to_owned(), survivor.clone()), ("1.2.3.200".to_owned(), survivor.clone())]
        );
        assert_eq!(w.entries(&younger).await, []);
        assert_eq!(w.document_of(200).await, survivor);
        w.verify().await;
        // The subsumed id takes no more documents.
        let pid = cx(&at(NETWORK, &younger));
        let unknown = crate::service::patients::Patients::new(w.t.db.clone());
        assert_eq!(unknown.unknown(vec![pid.clone()]).await.unwrap(), std::slice::from_ref(&pid));

        w.publish(300, &elder, "9^^^&1.2.392.100495.20.3.51.11310000001&ISO").await;
        let changed = w.mpi.unmerge(&context(), &at(A, "2"), "clerk", "wrong").await.unwrap();
        assert_eq!((changed.objects, changed.documents), (3, 1));
        assert_eq!(w.entries(&younger).await, [("1.2.3.200".to_owned(), pid.clone())]);
        assert_eq!(w.entries(&elder).await.len(), 2);
        assert_eq!(w.document_of(200).await, pid);
        w.verify().await;
        // And once more.
        let (from, into) = (at(NETWORK, &younger), at(NETWORK, &elder));
        w.mpi.merge(&context(), &from, &into, "clerk", "after all").await.unwrap();
        assert_eq!(w.entries(&elder).await.len(), 3);
        w.verify().await;
        w.mpi.unmerge(&context(), &from, "clerk", "no").await.unwrap();
        assert_eq!(w.entries(&younger).await.len(), 1);
        w.verify().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_of_merges_is_taken_back_from_either_end() {
    for w in worlds().await {
        let c = w.add(A, "1", &HANAKO).await;
        let b = w.add(A, "2", &TARO).await;
        let other =
            Who {
                family: "渡邊", given: "健一", family_kana: "ワタナベ", given_kana: "ケンイチ", ..TARO
            };
        let a = w.add(A, "3", &Who { birth: "19700101", phone: "", address: "", ..other }).await;
        for (n, person) in [(100, &c), (200, &b), (300, &a)] {
            w.publish(n, person, "x^^^&1.2.3&ISO").await;
        }
        let net = |p: &str| at(NETWORK, p);
        w.mpi.merge(&context(), &net(&a), &net(&b), "clerk", "").await.unwrap();
        w.mpi.merge(&context(), &net(&b), &net(&c), "clerk", "").await.unwrap();
        assert_eq!(w.entries(&c).await.len(), 3);
        w.verify().await;
        w.mpi.unmerge(&context(), &net(&a), "clerk", "").await.unwrap();
        assert_eq!((w.entries(&a).await.len(), w.entries(&c).await.len()), (1, 2));
        w.verify().await;
        w.mpi.unmerge(&context(), &net(&b), "clerk", "").await.unwrap();
        assert_eq!((w.entries(&b).await.len(), w.entries(&c).await.len()), (1, 1));
        w.verify().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_published_under_an_id_leaves_with_it() {
    for w in worlds().await {
        let person = w.add(A, "1", &HANAKO).await;
        assert_eq!(w.add(B, "2", &HANAKO).await, person);
        w.publish(100, &person, &cx(&at(A, "1"))).await;
        w.publish(200, &person, &cx(&at(B, "2"))).await;
        let changed = w.mpi.split(&context(), &[at(B, "2")], "clerk", "another").await.unwrap();
        assert_eq!((changed.objects, changed.documents), (3, 1));
        let other = w.person(B, "2").await;
        assert_eq!(w.entries(&person).await, [("1.2.3.100".to_owned(), cx(&at(NETWORK, &person)))]);
        assert_eq!(w.entries(&other).await, [("1.2.3.200".to_owned(), cx(&at(NETWORK, &other)))]);
        w.verify().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_machine_does_not_join_two_patients_with_documents() {
    for w in worlds().await {
        let bare = Who { phone: "", address: "", family: "", given: "", ..HANAKO };
        let one = w.add(A, "1", &HANAKO).await;
        let two = w.add(B, "2", &Who { birth: "19700101", ..bare }).await;
        assert_ne!(one, two);
        w.publish(100, &one, "1^^^&1.2.3&ISO").await;
        w.publish(200, &two, "2^^^&1.2.3&ISO").await;
        // Now the data say it is one patient.
        w.feed("B", upsert(vec![id(B, "2")], &HANAKO)).await.unwrap();
        assert_ne!(w.person(A, "1").await, w.person(B, "2").await);
        let open = w.mpi.reviews(ReviewState::Candidate, None, None, 10).await.unwrap();
        assert_eq!(open.len(), 1);
        let task = &open[0].id;
        // Both own documents: two reviewers say the same.
        let first = w.mpi.decide(&context(), task, Verdict::Same, None, "sato", "").await.unwrap();
        assert_eq!(first, Decided::SecondReviewer);
        let again = w.mpi.decide(&context(), task, Verdict::Same, None, "sato", "").await.unwrap();
        assert_eq!(again, Decided::SecondReviewer);
        let done = w.mpi.decide(&context(), task, Verdict::Same, None, "suzuki", "").await.unwrap();
        assert_eq!(done, Decided::Done);
        assert_eq!(w.person(A, "1").await, w.person(B, "2").await);
        assert_eq!(w.entries(&w.person(A, "1").await).await.len(), 2);
        w.verify().await;
    }
}
