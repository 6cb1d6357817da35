//! What happened to objects, answers as of a moment, and the proof that nobody rewrote them.

use std::sync::Arc;

use chiren::model::caller::Caller;
use chiren::model::ebrim::{ObjectKind, Slot};
use chiren::model::metadata::{AssociationType, AvailabilityStatus, MetadataObject, Submission};
use chiren::model::query::{QUERIES, QueryRequest, QueryResult, ReturnType, StoredQuery, View, plain};
use chiren::model::transaction::Transaction;
use chiren::service::context::Context;
use chiren::service::registry::Operation;
use chiren::service::verify::{Fault, Report, Scope, Seal, Verify};
use chiren::store::blob::Blobs;
use chiren::store::db::{DbError, Tx, TxFuture};
use chiren::store::patient;
use chiren::store::registry::change::{Cause, Change};

use crate::support::Gateway;
use crate::support::process::{chiren, write_config};
use crate::support::raw::connect;
use crate::support::samples::*;

fn context(gateway: &Gateway) -> Context {
    Context {
        transaction: Transaction::Iti18,
        caller: Caller { listener: "test".into(), ..Caller::default() },
        request_id: "test".into(),
        received_at: gateway.clock.now(),
        elsewhere: None,
        exchange: std::sync::Arc::default(),
    }
}

fn now(gateway: &Gateway) -> i64 {
    gateway.clock.now().as_microsecond()
}

/// One thing done to a patient's registry as a transaction does it.
async fn change<F>(gateway: &Gateway, pid: &'static str, f: F)
where
    F: for<'t, 'c> Fn(&'t mut Change, &'t mut Tx<'c>) -> TxFuture<'t, bool> + Send + Sync + 'static,
{
    let (f, at) = (Arc::new(f), now(gateway));
    let changed: Result<bool, DbError> = gateway
        .rooms()
        .db
        .write(move |tx| {
            let f = f.clone();
            Box::pin(async move {
                let held = patient::hold(tx, pid).await?.expect("a patient");
                let mut change = Change::begin(tx, held, at).await?;
                let changed = f(&mut change, tx).await?;
                let mut cause = Cause::new("test", "request-1", &Caller::default())?;
                cause.reason = Some("入力誤り".into());
                change.finish(tx, &cause).await?;
                Ok(changed)
            })
        })
        .await;
    assert_eq!(changed, Ok(true));
}

async fn set_status(gateway: &Gateway, kind: ObjectKind, id: &str, status: AvailabilityStatus) {
    let id = id.to_owned();
    change(gateway, PATIENT, move |change, tx| {
        let id = id.clone();
        Box::pin(async move { change.set_status(tx, kind, &id, status).await })
    })
    .await;
}

async fn remove(gateway: &Gateway, kind: ObjectKind, id: &str) {
    let id = id.to_owned();
    change(gateway, PATIENT, move |change, tx| {
        let id = id.clone();
        Box::pin(async move { change.remove(tx, kind, &id).await })
    })
    .await;
}

fn slot(name: &str, values: &[&str]) -> Slot {
    Slot { name: name.into(), slot_type: None, values: values.iter().map(|v| (*v).to_owned()).collect() }
}

/// Every stored query, asked about these objects.
fn questions(entries: &[&str], folder: &str, set: &str) -> Vec<QueryRequest> {
    let urn = |name: &str| QUERIES.iter().find(|q| q.name == name).expect("a query");
    let both = format!(
        "('{}','{}')",
        chiren::model::uuids::status::APPROVED,
        chiren::model::uuids::status::DEPRECATED
    );
    let mut asked = vec![];
    let mut ask = |name: &str, patients: &[&str], more: &[Slot]| {
        let row = urn(name);
        let patients: Vec<String> = patients.iter().map(|p| (*p).to_owned()).collect();
        let mut slots = plain::slots(Some(row), &patients, &[]).expect("slots");
        for slot in more {
            slots.retain(|s| s.name != slot.name);
            slots.push(slot.clone());
        }
        let query = StoredQuery::from_slots(row.urn, row.multi_patient, &slots).expect("a query");
        for return_type in [ReturnType::LeafClass, ReturnType::ObjectRef] {
            asked.push(QueryRequest { query: query.clone(), return_type, home: None, view: View::default() });
        }
    };
    let statuses = [
        slot("$XDSDocumentEntryStatus", &[&both]),
        slot("$XDSSubmissionSetStatus", &[&both]),
        slot("$XDSFolderStatus", &[&both]),
    ];
    for pid in [PATIENT, OTHER_PATIENT] {
        ask("GetAll", &[pid], &[]);
        ask("GetAll", &[pid], &statuses);
        ask("FindDocuments", &[pid], &[]);
        ask("FindDocuments", &[pid], &statuses[..1]);
        ask("FindDocuments", &[pid], &[slot("$XDSDocumentEntryAuthorPerson", &["('%医師%')"])]);
        ask("FindSubmissionSets", &[pid], &[]);
        ask("FindFolders", &[pid], &[]);
        ask("FindFolders", &[pid], &statuses[2..]);
    }
    let class = slot("$XDSDocumentEntryClassCode", &["('57133-1^^2.16.840.1.113883.6.1')"]);
    ask("FindDocumentsForMultiplePatients", &[PATIENT, OTHER_PATIENT], std::slice::from_ref(&class));
    ask(
        "FindDocumentsForMultiplePatients",
        &[],
        &[class, slot("$XDSDocumentEntryAuthorPerson", &["('%医師%')"])],
    );
    let code = slot("$XDSFolderCodeList", &["('57133-1^^2.16.840.1.113883.6.1')"]);
    ask("FindFoldersForMultiplePatients", &[], &[code]);
    let (folder, set) = (format!("'{folder}'"), format!("'{set}'"));
    for id in entries {
        let (one, list) = (format!("'{id}'"), format!("('{id}')"));
        ask("GetDocuments", &[], &[slot("$XDSDocumentEntryUniqueId", &[&list])]);
        ask("GetDocumentsAndAssociations", &[], &[slot("$XDSDocumentEntryUniqueId", &[&list])]);
        ask("GetFoldersForDocument", &[], &[slot("$XDSDocumentEntryUniqueId", &[&one])]);
        let types = slot(
            "$AssociationTypes",
            &["('urn:ihe:iti:2007:AssociationType:RPLC','urn:ihe:iti:2007:AssociationType:APND')"],
        );
        ask("GetRelatedDocuments", &[], &[slot("$XDSDocumentEntryUniqueId", &[&one]), types]);
    }
    ask("GetFolders", &[], &[slot("$XDSFolderUniqueId", &[&format!("({folder})")])]);
    ask("GetFolderAndContents", &[], &[slot("$XDSFolderUniqueId", &[&folder])]);
    ask("GetSubmissionSetAndContents", &[], &[slot("$XDSSubmissionSetUniqueId", &[&set])]);
    asked
}

async fn answers(gateway: &Gateway, questions: &[QueryRequest], moment: Option<i64>) -> Vec<QueryResult> {
    let registry = gateway.rooms().registry.as_ref().expect("a registry");
    let mut all = vec![];
    for question in questions {
        let answer = registry.query_as_of(&context(gateway), question.clone(), moment).await;
        let answer = answer.unwrap_or_else(|e| panic!("{question:?}: {e:?}"));
        all.push(answer.found.read().expect("objects"));
    }
    all
}

async fn objects(gateway: &Gateway, pid: &str) -> Vec<MetadataObject> {
    gateway.soap().query(&get_all(pid)).await.objects()
}

/// entryUUID of what has this uniqueId.
async fn id_of(gateway: &Gateway, unique_id: &str) -> String {
    let all = objects(gateway, PATIENT).await;
    let found = all.iter().find(|o| match o {
        MetadataObject::DocumentEntry(e) => e.unique_id == unique_id,
        MetadataObject::SubmissionSet(s) => s.unique_id == unique_id,
        MetadataObject::Folder(f) => f.unique_id == unique_id,
        MetadataObject::Association(_) => false,
    });
    found.expect("registered").id().to_owned()
}

async fn verified(gateway: &Gateway, moment: i64, expect: Option<Seal>) -> Report {
    let blobs = Blobs::of(&gateway.config.repository).expect("documents");
    let verify = Verify::new(gateway.rooms().db.clone(), Some((blobs, REPOSITORY.to_owned())));
    verify.run(&Scope { moment, expect, documents: true, limit: 100 }, &|_| {}).await.expect("a report")
}

async fn faults(gateway: &Gateway) -> Vec<Fault> {
    verified(gateway, now(gateway), None).await.findings.into_iter().map(|f| f.fault).collect()
}

/// Statements of someone who should not be there.
async fn spoil(gateway: &Gateway, statements: &'static [&'static str]) {
    gateway
        .rooms()
        .db
        .write::<_, DbError, _>(move |tx| {
            Box::pin(async move {
                for sql in statements {
                    assert!(tx.exec(*sql, &[]).await? > 0, "{sql}");
                }
                Ok(())
            })
        })
        .await
        .expect("spoiled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_can_be_asked_again() {
    let gateway = Gateway::start().await;
    gateway.add_patient(OTHER_PATIENT).await;
    let first = submission_with_folder();
    let unique = |s: &Submission| s.document_entries[0].unique_id.clone();
    let (a, folder, set) =
        (unique(&first), first.folders[0].unique_id.clone(), first.submission_set.unique_id.clone());
    let mut replacing = submission();
    let mut appending = submission();
    let (b, c) = (unique(&replacing), unique(&appending));
    let questions = questions(&[&a, &b, &c], &folder, &set);
    let mut seen = vec![(now(&gateway), answers(&gateway, &questions, None).await)];
    macro_rules! then {
        ($what:expr) => {
            gateway.tick();
            $what;
            gateway.tick();
            seen.push((now(&gateway), answers(&gateway, &questions, None).await));
        };
    }

    then!(gateway.soap().register(&first).await.assert_success());
    let target = id_of(&gateway, &a).await;
    replacing.associations.push(chiren::model::metadata::Association::new(
        AssociationType::Replace,
        "A-REL".into(),
        "DE",
        &target,
    ));
    then!(gateway.soap().register(&replacing).await.assert_success());
    let b_id = id_of(&gateway, &b).await;
    // Another patient's set holds the document by reference.
    let mut other = of_patient(submission(), OTHER_PATIENT);
    other.associations.push(has_member("A-REF", "SS", &b_id));
    other.associations[1].submission_set_status =
        Some(chiren::model::metadata::SubmissionSetStatus::Reference);
    then!(gateway.soap().register(&other).await.assert_success());
    appending.associations.push(chiren::model::metadata::Association::new(
        AssociationType::Append,
        "A-REL".into(),
        "DE",
        &b_id,
    ));
    then!(gateway.soap().register(&appending).await.assert_success());
    let folder_id = id_of(&gateway, &folder).await;
    then!(set_status(&gateway, ObjectKind::Folder, &folder_id, AvailabilityStatus::Deprecated).await);
    let append = objects(&gateway, PATIENT).await.into_iter().find_map(|o| match o {
        MetadataObject::Association(a) if a.association_type == AssociationType::Append => Some(a.entry_uuid),
        _ => None,
    });
    let append = append.expect("APND");
    then!(set_status(&gateway, ObjectKind::Association, &append, AvailabilityStatus::Deprecated).await);
    then!(remove(&gateway, ObjectKind::Association, &append).await);
    let c_id = id_of(&gateway, &c).await;
    then!(remove(&gateway, ObjectKind::DocumentEntry, &c_id).await);
    then!(remove(&gateway, ObjectKind::Folder, &folder_id).await);
    let set_id = id_of(&gateway, &set).await;
    then!(remove(&gateway, ObjectKind::SubmissionSet, &set_id).await);
    then!(set_status(&gateway, ObjectKind::DocumentEntry, &target, AvailabilityStatus::Approved).await);
    // uniqueIds of what was removed are free again.
    let mut again = submission_with_folder();
    again.document_entries[0].unique_id.clone_from(&c);
    again.folders[0].unique_id.clone_from(&folder);
    again.submission_set.unique_id.clone_from(&set);
    then!(gateway.soap().register(&again).await.assert_success());

    for (step, (moment, recorded)) in seen.iter().enumerate() {
        let again = answers(&gateway, &questions, Some(*moment)).await;
        for ((question, recorded), again) in questions.iter().zip(recorded).zip(&again) {
            assert_eq!(recorded, again, "step {step}: {question:?}");
        }
    }
    // The steps differ, or nothing was shown by that; only a Deprecated association goes unseen.
    assert_eq!(seen.windows(2).filter(|pair| pair[0].1 == pair[1].1).count(), 1);
    let report = verified(&gateway, now(&gateway), None).await;
    assert_eq!(report.findings, []);
    assert_eq!((report.counts.patients, report.counts.changes, report.counts.before_history), (2, 13, 0));
    assert!(report.counts.past_states >= 8);
}

#[tokio::test]
async fn a_history_says_who_when_and_why() {
    let gateway = Gateway::start().await;
    let first = submission();
    gateway.soap().provide(&with_document(first.clone()), &[("DE", b"test")]).await.assert_success();
    let unique_id = &first.document_entries[0].unique_id;
    let id = id_of(&gateway, unique_id).await;
    gateway.tick();
    let replacing = related(AssociationType::Replace, &id);
    gateway.soap().register(&replacing).await.assert_success();
    let set_id = id_of(&gateway, &replacing.submission_set.unique_id).await;
    gateway.tick();
    set_status(&gateway, ObjectKind::DocumentEntry, &id, AvailabilityStatus::Approved).await;
    gateway.tick();
    remove(&gateway, ObjectKind::DocumentEntry, &id).await;

    let registry = gateway.rooms().registry.clone().unwrap();
    let histories = registry.history(&context(&gateway), unique_id).await.unwrap();
    assert_eq!(histories, registry.history(&context(&gateway), &id.to_uppercase()).await.unwrap());
    assert_eq!(histories.iter().map(|h| h.kind).collect::<Vec<_>>(), ["DocumentEntry", "Document"]);
    let entry = &histories[0];
    assert_eq!((entry.id.as_str(), entry.patient_id.as_deref()), (id.as_str(), Some(PATIENT)));
    use AvailabilityStatus::{Approved, Deprecated};
    use Operation::{Registered, Removed, Status};
    let steps: Vec<_> = entry.steps.iter().map(|s| (s.operation, s.availability_status)).collect();
    assert_eq!(
        steps,
        [(Registered, Some(Approved)), (Status, Some(Deprecated)), (Status, Some(Approved)), (Removed, None)]
    );
    let codes: Vec<_> = entry.steps.iter().map(|s| s.transaction.as_deref().unwrap()).collect();
    assert_eq!(codes, ["ITI-41", "ITI-42", "test", "test"]);
    assert_eq!(entry.steps[1].submission_set.as_deref(), Some(set_id.as_str()));
    assert_eq!(entry.steps[1].caller.as_ref().map(|c| c.listener.as_str()), Some("soap"));
    assert_eq!(entry.steps[3].reason.as_deref(), Some("入力誤り"));
    assert!(entry.steps.windows(2).all(|pair| pair[0].at < pair[1].at && pair[0].seq < pair[1].seq));
    let audited: Vec<_> = gateway.audit().await.into_iter().map(|e| e.request_id).collect();
    assert!(audited.contains(entry.steps[0].request_id.as_ref().unwrap()));
    assert_eq!(histories[1].steps.len(), 1);
    assert!(registry.history(&context(&gateway), "2.999.1").await.unwrap().is_empty());
    assert_eq!(faults(&gateway).await, []);
}

/// ITI-41 of a document: its hash and size are the repository's to say.
fn with_document(mut s: Submission) -> Submission {
    (s.document_entries[0].hash, s.document_entries[0].size) = (None, None);
    s
}

/// A document, replaced by a second one; then a third alone.
async fn small_world() -> Gateway {
    let gateway = Gateway::start().await;
    let first = submission();
    let document = [("DE", b"test".as_slice())];
    gateway.soap().provide(&with_document(first.clone()), &document).await.assert_success();
    let id = id_of(&gateway, &first.document_entries[0].unique_id).await;
    gateway.tick();
    let second = with_document(related(AssociationType::Replace, &id));
    gateway.soap().provide(&second, &[("DE", b"second")]).await.assert_success();
    gateway.tick();
    gateway.soap().register(&submission()).await.assert_success();
    gateway.tick();
    gateway
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_writes_into_the_database_is_found() {
    use Fault::*;
    let gateway = small_world().await;
    assert_eq!(faults(&gateway).await, []);
    let cases: &[(&'static [&'static str], &[Fault])] = &[
        (&["UPDATE document_entry SET body = REPLACE(body, '診療', '紹介') WHERE status = 2"], &[Altered]),
        (&["UPDATE document_entry SET status = 1 WHERE status = 2"], &[Altered]),
        (&["UPDATE document_entry SET class_code = 'x' WHERE status = 2"], &[Altered]),
        (&["UPDATE submission_set SET registered_at = registered_at - 1"], &[Altered, Altered, Altered]),
        (&["DELETE FROM document_entry WHERE status = 2"], &[Missing]),
        (&["UPDATE document_entry_past SET body = '{}'"], &[Altered]),
        (&["DELETE FROM document_entry_past"], &[Missing]),
        (&["UPDATE document_entry_past SET valid_to = valid_to + 1"], &[Unrecorded]),
        (
            &[
                "UPDATE document_author SET person = 'x' WHERE entry_id = (SELECT id FROM document_entry WHERE status = 2)",
            ],
            // Its past state had the same author.
            &[Altered, Altered],
        ),
        (&["DELETE FROM submission_author"], &[Altered, Altered, Altered]),
        (&["DELETE FROM change WHERE seq = 2"], &[ChainGap, Altered, Unrecorded]),
        (&["UPDATE change SET reason = 'x' WHERE seq = 2"], &[ChainHash]),
        (&["UPDATE change SET at = at + 1 WHERE seq = 3"], &[ChainHash]),
        (&["UPDATE change SET contents = '[]' WHERE seq = 3"], &[ChainHash, Unrecorded]),
        (&["UPDATE change SET hash = 'x' WHERE seq = 3"], &[ChainHash]),
        (&["UPDATE object_id SET kind = 3 WHERE kind = 2"], &[Identity, Identity, Identity]),
        (&["UPDATE association SET patient_key = 5 WHERE assoc_type LIKE '%RPLC'"], &[Missing, Orphans]),
        (&["UPDATE patient SET patient_key = 5"], &[Orphans, Orphans, Orphans, Orphans, Orphans]),
        (&["UPDATE repository_document SET mime_type = 'x'"], &[DocumentIndex, DocumentIndex]),
        (&["UPDATE repository_document SET blob_key = 'x' WHERE size = 4"], &[DocumentIndex, DocumentIndex]),
        (&["DELETE FROM repository_document WHERE size = 4"], &[Missing]),
        (
            &["INSERT INTO document_author SELECT patient_key, id, 'x' FROM document_entry WHERE status = 2"],
            &[Altered, Altered],
        ),
        (
            &[
                "INSERT INTO association SELECT patient_key, 'urn:uuid:forged', assoc_type, source_id, target_id, status, \
               registered_at, body FROM association WHERE assoc_type LIKE '%RPLC'",
            ],
            &[Unrecorded, Identity],
        ),
    ];
    for (statements, expected) in cases {
        let gateway = small_world().await;
        spoil(&gateway, statements).await;
        let mut found = faults(&gateway).await;
        for fault in *expected {
            let at = found.iter().position(|f| f == fault);
            assert!(at.is_some(), "{statements:?}: no {fault:?} in {found:?}");
            found.remove(at.unwrap());
        }
        // A missing link leaves more behind than is worth listing.
        if !expected.contains(&ChainGap) && !statements[0].contains("contents") {
            assert_eq!(found, [], "{statements:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_octet_of_a_document_is_found() {
    let gateway = small_world().await;
    let mut files = vec![];
    let mut folders = vec![gateway.config.repository.documents.join("objects")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            if entry.path().is_dir() { folders.push(entry.path()) } else { files.push(entry.path()) }
        }
    }
    let small = files.iter().find(|f| std::fs::read(f).unwrap() == b"test").unwrap();
    // Objects are read-only; whoever alters one replaces it.
    let put = |bytes: &[u8]| {
        std::fs::remove_file(small).unwrap();
        std::fs::write(small, bytes).unwrap();
    };
    for bytes in [b"tesT".as_slice(), b"tests", b""] {
        put(bytes);
        assert_eq!(faults(&gateway).await, [Fault::DocumentAltered]);
    }
    std::fs::remove_file(small).unwrap();
    assert_eq!(faults(&gateway).await, [Fault::DocumentMissing]);
    std::fs::write(small, b"test").unwrap();
    let report = verified(&gateway, now(&gateway), None).await;
    assert_eq!((report.faults, report.counts.documents, report.counts.octets), (0, 2, 10));
}

#[tokio::test]
async fn a_seal_tells_what_the_rest_cannot() {
    let gateway = small_world().await;
    let seal = verified(&gateway, now(&gateway), None).await.seal;
    gateway.tick();
    gateway.soap().register(&submission()).await.assert_success();
    // What came later does not matter to it.
    let report = verified(&gateway, now(&gateway), Some(seal)).await;
    assert_eq!(report.findings, []);
    assert_ne!(report.seal.digest, seal.digest);
    assert_eq!(verified(&gateway, seal.moment, None).await.seal, seal);
    // The newest change, with all it did.
    spoil(
        &gateway,
        &[
            "DELETE FROM document_entry WHERE registered_at = (SELECT MAX(at) FROM change)",
            "DELETE FROM submission_set WHERE registered_at = (SELECT MAX(at) FROM change)",
            "DELETE FROM association WHERE registered_at = (SELECT MAX(at) FROM change)",
            "DELETE FROM change WHERE at = (SELECT MAX(at) FROM change)",
        ],
    )
    .await;
    assert_eq!(verified(&gateway, now(&gateway), Some(seal)).await.findings, []);
    let last = report.seal;
    let found = verified(&gateway, now(&gateway), Some(last)).await.findings;
    assert_eq!(found.iter().map(|f| f.fault).collect::<Vec<_>>(), [Fault::Digest]);
    // The whole patient.
    spoil(
        &gateway,
        &[
            "DELETE FROM document_entry",
            "DELETE FROM document_entry_past",
            "DELETE FROM submission_set",
            "DELETE FROM association",
            "DELETE FROM change",
            "DELETE FROM patient",
        ],
    )
    .await;
    assert_eq!(faults(&gateway).await, []);
    let found = verified(&gateway, now(&gateway), Some(seal)).await.findings;
    assert_eq!(found.iter().map(|f| f.fault).collect::<Vec<_>>(), [Fault::Digest]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_patients_changes_are_one_chain_whoever_writes() {
    let gateway = Gateway::start().await;
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let soap = gateway.soap();
            tokio::spawn(async move { soap.register(&submission()).await.assert_success() })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let report = verified(&gateway, now(&gateway) + 1_000_000, None).await;
    assert_eq!((report.findings, report.counts.changes), (vec![], 16));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_ask_by_command() {
    let gateway = small_world().await;
    let file = write_config(gateway.dir.path(), &gateway.config);
    let run = |arguments: &[&str]| {
        let output = chiren().args(arguments).arg("--config").arg(&file).output().unwrap();
        (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    // The gateway began at 03:00:00, registered then, replaced a second later.
    let ask = |time: &str| {
        let (code, text) = run(&["query", "--as-of", time, "--patient", PATIENT, "--json"]);
        assert_eq!(code, Some(0), "{text}");
        json(&text)["documentEntries"].as_array().unwrap().clone()
    };
    let first = ask("2026-11-22T03:00:00.5Z");
    let second = ask("2026-11-22T12:00:01.5");
    assert_eq!((first.len(), second.len()), (1, 1));
    assert_ne!(first[0]["uniqueId"], second[0]["uniqueId"]);
    assert_eq!(ask("2026-11-22T04:00:00Z").len(), 2);
    let (code, text) =
        run(&["query", "--as-of", "2026-11-22T03:00:00.5Z", "--query", "GetAll", "--patient", PATIENT]);
    assert!(code == Some(0) && text.contains("as of 2026-11-22T03:00:00.5Z: 3 object(s)"), "{text}");
    assert_eq!(run(&["query", "--query", "Nonsense"]).0, Some(1));

    let name = first[0]["uniqueId"].as_str().unwrap();
    let (code, text) = run(&["history", name, "--json"]);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(json(&text)[0]["steps"].as_array().unwrap().len(), 2);
    let (code, text) = run(&["history", name, "--lang", "ja"]);
    assert!(code == Some(0) && text.contains("状態変更") && text.contains("Deprecated"), "{text}");
    assert_eq!(run(&["history", "2.999.1"]).0, Some(1));
    let asked: Vec<_> = gateway
        .audit()
        .await
        .into_iter()
        .filter(|e| e.caller.address == "local")
        .map(|e| (e.query.unwrap(), e.patients))
        .collect();
    assert!(asked.contains(&(format!("history {name}"), vec![PATIENT.to_owned()])), "{asked:?}");
    assert_eq!(asked.len(), 8);

    let (code, text) = run(&["verify", "--as-of", "2026-11-22T03:00:01.5Z"]);
    assert!(code == Some(0) && text.contains("no faults"), "{text}");
    let seal = text.lines().find_map(|l| l.strip_prefix("seal ")).unwrap();
    let (code, text) = run(&["verify", "--expect", seal, "--json"]);
    assert_eq!((code, &json(&text)["faults"]), (Some(0), &0.into()), "{text}");
    spoil(&gateway, &["UPDATE document_entry SET status = 1 WHERE status = 2"]).await;
    let (code, text) = run(&["verify", "--no-documents"]);
    assert!(code == Some(4) && text.contains("altered DocumentEntry urn:uuid:"), "{text}");
}

#[tokio::test]
async fn operators_ask_by_http_where_that_is_configured() {
    let gateway = Gateway::start_with(|config| config.registry.as_of = true).await;
    gateway.soap().register(&submission()).await.assert_success();
    let ask = async |address, query: &str| {
        let request = format!("GET /registry/as-of?{query} HTTP/1.1\r\nHost: x\r\n\r\n");
        connect(address).await.exchange(request.as_bytes()).await.expect("an answer")
    };
    let patient = "1001%5E%5E%5E%262.999.392.1.2%26ISO";
    let answer = ask(gateway.ops, &format!("time=2026-11-22T03:00:00.5Z&patient={patient}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let found: serde_json::Value = serde_json::from_str(&answer.text()).unwrap();
    assert_eq!(found["documentEntries"].as_array().unwrap().len(), 1);
    let before =
        ask(gateway.ops, &format!("time=2026-11-22T02:59:59Z&patient={patient}&return=ObjectRef")).await;
    assert!(before.status == 200 && before.text().contains("\"objectRefs\": []"), "{}", before.text());
    for wrong in ["", "time=2026-11-22&query=Nonsense", "time=2026-11-22&query=GetDocuments"] {
        assert_eq!(ask(gateway.ops, wrong).await.status, 400, "{wrong}");
    }
    let records = gateway.audit().await.into_iter().filter(|e| e.caller.listener == "ops");
    let patients: Vec<_> = records.filter(|e| e.transaction == "ITI-18").map(|e| e.patients).collect();
    // Refused questions are on record too, but for the one without a moment.
    assert_eq!(patients.iter().filter(|p| **p == [PATIENT]).count(), 2);
    assert_eq!(patients.len(), 4);
    assert_eq!(ask(gateway.address, "time=2026-11-22").await.status, 404);

    let gateway = Gateway::start().await;
    assert_eq!(ask(gateway.ops, "time=2026-11-22").await.status, 404);
}
