//! Snapshots: what was made is kept and registered before the answer.

use super::*;

#[tokio::test]
async fn a_snapshot_is_kept_and_registered_before_the_answer() {
    let (gateway, unique_id) = with(on_demand(), persisting).await;
    let (response, document) = retrieved(&gateway, &unique_id).await;
    let made = response.new_document_unique_id.expect("NewDocumentUniqueId");
    assert_eq!(response.new_repository_unique_id.as_deref(), Some(REPOSITORY));
    // What was given out can be had again, by any ITI-43.
    let answer = gateway.soap().retrieve(REPOSITORY, &[&made]).await;
    answer.assert_success();
    assert_eq!(answer.documents(), [(made.clone(), document.clone().into())]);
    assert_eq!(answer.responses()[0].new_document_unique_id, None);

    let changing = in_force(&gateway).await;
    let snapshot = of_type(&gateway, EntryType::Stable).await.remove(0);
    assert_eq!((&snapshot.unique_id, snapshot.availability_status), (&made, Approved));
    assert_eq!(snapshot.size.as_deref(), Some(document.len().to_string().as_str()));
    assert_eq!(snapshot.creation_time.as_deref(), Some("20261122030000"));
    assert_eq!((&snapshot.title, &snapshot.mime_type), (&changing.title, &changing.mime_type));
    let relations = gateway.associations(&snapshot.entry_uuid).await;
    let of = relations.iter().find(|a| a.association_type == AssociationType::IsSnapshotOf);
    assert_eq!(of.map(|a| a.target_object.as_str()), Some(changing.entry_uuid.as_str()));
    assert_eq!(relations.len(), 2, "the SubmissionSet's, and that one");

    // One request, two records: the registration committed with its own, before the retrieval's.
    let audit = gateway.audit().await;
    let (registered, retrievals): (Vec<_>, Vec<_>) =
        audit.iter().filter(|r| r.transaction == "ITI-43").partition(|r| r.submission_set.is_some());
    assert_eq!((registered.len(), retrievals.len()), (1, 2));
    let record = registered[0];
    assert_eq!((&record.documents, record.outcome), (&vec![made.clone()], Outcome::Success));
    let same = retrievals.iter().filter(|r| r.request_id == record.request_id);
    assert_eq!(same.map(|r| &r.documents).collect::<Vec<_>>(), [&vec![unique_id, made]]);
}

#[tokio::test]
async fn identical_content_is_registered_once_and_other_content_replaces_it() {
    let (gateway, unique_id) = with(on_demand(), persisting).await;
    let first = made_id(&gateway, &unique_id).await;
    for _ in 0..3 {
        gateway.tick();
        assert_eq!(made_id(&gateway, &unique_id).await, first);
    }
    assert_eq!(of_type(&gateway, EntryType::Stable).await.len(), 1);
    assert_eq!(gateway.files().0, 1);

    let other = submission();
    gateway.soap().register(&other).await.assert_success();
    let second = made_id(&gateway, &unique_id).await;
    assert_ne!(second, first);
    assert_eq!(made_id(&gateway, &unique_id).await, second);
    let entries = of_type(&gateway, EntryType::Stable).await;
    assert_eq!(entries.len(), 3);
    let of = |id: &str| entries.iter().find(|e| e.unique_id == id).expect("an entry");
    assert_eq!(of(&first).availability_status, Deprecated);
    assert_eq!(of(&second).availability_status, Approved);
    let relations = gateway.associations(&of(&second).entry_uuid).await;
    let replaced = relations.iter().find(|a| a.association_type == AssociationType::Replace);
    assert_eq!(replaced.map(|a| &a.target_object), Some(&of(&first).entry_uuid));
    // Both can still be had; neither lists itself or the other.
    for id in [&first, &second] {
        let bytes = gateway.soap().retrieve(REPOSITORY, &[id]).await.documents().remove(0).1;
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        assert_eq!(text.matches("<tr>").count(), if id == &first { 0 } else { 2 }, "{text}");
    }
    everything_verified(&gateway).await;
}

#[tokio::test]
async fn two_lists_of_one_patient_do_not_list_each_other() {
    let (gateway, cda) = with(on_demand(), persisting).await;
    let s = fhir();
    gateway.soap().register_on_demand(&s).await.assert_success();
    let fhir = s.document_entries[0].unique_id.clone();
    let first = [made_id(&gateway, &cda).await, made_id(&gateway, &fhir).await];
    assert_ne!(first[0], first[1]);
    assert_eq!([made_id(&gateway, &cda).await, made_id(&gateway, &fhir).await], first);
    assert_eq!(of_type(&gateway, EntryType::Stable).await.len(), 2);
    // Their snapshots do not replace each other.
    assert!(of_type(&gateway, EntryType::Stable).await.iter().all(|e| e.availability_status == Approved));
}

/// Another system's snapshot of our entry is its document: listed, and left alone.
#[tokio::test]
async fn a_snapshot_that_another_system_made() {
    let (gateway, unique_id) = with(on_demand(), persisting).await;
    let of = in_force(&gateway).await.entry_uuid;
    let mut theirs = relating(submission(), AssociationType::IsSnapshotOf, &of);
    theirs.document_entries[0].repository_unique_id = Some("2.999.404".into());
    gateway.soap().register(&theirs).await.assert_success();
    let (_, document) = retrieved(&gateway, &unique_id).await;
    assert!(document.contains(&format!("<td>{}</td>", theirs.document_entries[0].unique_id)));
    let entries = of_type(&gateway, EntryType::Stable).await;
    assert_eq!(entries.len(), 2);
    assert!(entries.iter().all(|e| e.availability_status == Approved));
}

/// A snapshot goes where the one before it lay, as every replacement does.
#[tokio::test]
async fn a_snapshot_inherits_the_folder() {
    let (gateway, unique_id) = with(on_demand(), persisting).await;
    made_id(&gateway, &unique_id).await;
    let first = of_type(&gateway, EntryType::Stable).await.remove(0);
    let mut s = submission();
    s.folders.push(folder("FD"));
    s.associations.push(has_member("A-FD", "SS", "FD"));
    s.associations.push(has_member("A-FD-S", "FD", &first.entry_uuid));
    s.associations.push(has_member("A-SS-HM", "SS", "A-FD-S"));
    gateway.soap().register(&s).await.assert_success();
    let second = made_id(&gateway, &unique_id).await;
    let entries = of_type(&gateway, EntryType::Stable).await;
    let second = entries.iter().find(|e| e.unique_id == second).expect("a snapshot");
    let folder = gateway.folder(PATIENT).await;
    let filed = gateway.associations(&folder.entry_uuid).await;
    assert!(filed.iter().any(|a| a.target_object == second.entry_uuid), "{filed:#?}");
    everything_verified(&gateway).await;
}

/// Withdrawn snapshots come back as new entries of the same document.
#[tokio::test]
async fn a_snapshot_that_was_withdrawn() {
    let (gateway, unique_id) = with(on_demand(), persisting).await;
    let first = made_id(&gateway, &unique_id).await;
    let entry = of_type(&gateway, EntryType::Stable).await.remove(0);
    let withdrawn = status_of(update(), &entry.entry_uuid, Approved, Deprecated);
    gateway.soap().update(&withdrawn).await.assert_success();
    let second = made_id(&gateway, &unique_id).await;
    let entries = of_type(&gateway, EntryType::Stable).await;
    let approved: Vec<_> = entries.iter().filter(|e| e.availability_status == Approved).collect();
    assert_eq!((entries.len(), approved.len()), (2, 1));
    // Within a second of the update the list is the same, and so is its id: now of two entries.
    assert_eq!((&approved[0].unique_id, &second), (&first, &first));
    assert_eq!(gateway.files().0, 1);
    everything_verified(&gateway).await;
}

/// Its document was removed and its entry not: the next retrieval keeps the document again.
#[tokio::test]
async fn a_snapshot_whose_document_is_gone() {
    let (gateway, unique_id) = with(on_demand(), persisting).await;
    let made = made_id(&gateway, &unique_id).await;
    let (gone, at) = (made.clone(), gateway.clock.now().as_microsecond());
    let removed: Result<bool, DbError> = gateway
        .rooms()
        .db
        .write(move |tx| {
            let gone = gone.clone();
            Box::pin(async move {
                let held = patient::hold(tx, PATIENT).await?.expect("a patient");
                let mut change = Change::begin(tx, held, at).await?;
                let removed = change.remove_document(tx, &gone).await?;
                change.finish(tx, &Cause::new("ITI-43", "test", &Caller::default())?).await?;
                Ok(removed)
            })
        })
        .await;
    assert_eq!(removed, Ok(true));
    gateway.soap().retrieve(REPOSITORY, &[&made]).await.assert_failure(&["XDSDocumentUniqueIdError"]);
    assert_eq!(made_id(&gateway, &unique_id).await, made);
    gateway.soap().retrieve(REPOSITORY, &[&made]).await.assert_success();
    let entries = of_type(&gateway, EntryType::Stable).await;
    assert_eq!(entries.iter().filter(|e| e.availability_status == Approved).count(), 1);
    everything_verified(&gateway).await;
}

/// A new version of either end leaves the snapshot what it is.
#[tokio::test]
async fn a_snapshot_and_its_entry_have_new_versions() {
    let (gateway, unique_id) = with(on_demand(), persisting).await;
    made_id(&gateway, &unique_id).await;
    let snapshot = of_type(&gateway, EntryType::Stable).await.remove(0);
    for entry in [snapshot, in_force(&gateway).await] {
        let mut u = next_entry(update(), "DE", &entry);
        u.submission.document_entries[0].title = text("訂正した一覧");
        gateway.soap().update(&u).await.assert_success();
    }
    let again = made_id(&gateway, &unique_id).await;
    let entries = of_type(&gateway, EntryType::Stable).await;
    let approved: Vec<_> = entries.iter().filter(|e| e.availability_status == Approved).collect();
    assert_eq!(approved.len(), 1, "{entries:#?}");
    assert_eq!((&approved[0].unique_id, &approved[0].title), (&again, &text("訂正した一覧")));
    let answer = gateway.soap().retrieve(REPOSITORY, &[&again]).await;
    let text = String::from_utf8(answer.documents()[0].1.to_vec()).unwrap();
    assert!(text.contains("登録されている文書はありません"), "snapshots are not listed: {text}");
    everything_verified(&gateway).await;
}

#[tokio::test]
async fn snapshots_survive_a_restart() {
    let (gateway, unique_id) = with(on_demand(), persisting).await;
    let first = made_id(&gateway, &unique_id).await;
    let (dir, config) = gateway.stop().await;
    let gateway = Gateway::start_in(dir, config).await;
    assert_eq!(made_id(&gateway, &unique_id).await, first);
    assert_eq!(of_type(&gateway, EntryType::Stable).await.len(), 1);
}

/// Several at one instant: one snapshot, and the same answer to everybody.
async fn at_one_instant(gateways: &[&Gateway], unique_id: &str) {
    let ask_all = async || {
        let mut tasks = JoinSet::new();
        for n in 0..16 {
            let soap = gateways[n % gateways.len()].soap();
            let id = unique_id.to_owned();
            tasks.spawn(async move {
                let answer = soap.retrieve(REPOSITORY, &[&id]).await;
                answer.assert_success();
                let bytes = answer.documents().remove(0).1;
                (answer.responses().remove(0).new_document_unique_id.expect("an id"), bytes)
            });
        }
        tasks.join_all().await.into_iter().collect::<HashSet<_>>()
    };
    for round in 1..=3 {
        let made = ask_all().await;
        assert_eq!(made.len(), 1, "round {round}");
        let entries = of_type(gateways[0], EntryType::Stable).await;
        let snapshots: Vec<_> =
            entries.iter().filter(|e| e.mime_type == "text/xml").map(|e| e.availability_status).collect();
        assert_eq!(snapshots.len(), round, "{entries:#?}");
        assert_eq!(snapshots.iter().filter(|s| **s == Approved).count(), 1);
        gateways[0].soap().register(&submission()).await.assert_success();
    }
    everything_verified(gateways[0]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_retrievals_at_one_instant() {
    let (gateway, unique_id) = with(on_demand(), persisting).await;
    at_one_instant(&[&gateway], &unique_id).await;
}

/// Two gateways on one PostgreSQL and one document store.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retrievals_from_two_gateways_at_one_instant() {
    if std::env::var("TEST_DATABASE_URL").is_err() {
        return;
    }
    let (gateway, unique_id) = with(on_demand(), persisting).await;
    let other = Gateway::start_in(tempfile::tempdir().unwrap(), gateway.config.clone()).await;
    at_one_instant(&[&gateway, &other], &unique_id).await;
}

/// While others register, each answer is what the registry held at some moment, and every snapshot but the
/// last is replaced.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retrievals_while_others_register() {
    let (gateway, unique_id) = with(on_demand(), persisting).await;
    let mut tasks = JoinSet::new();
    for n in 0..24 {
        let (soap, id) = (gateway.soap(), unique_id.clone());
        tasks.spawn(async move {
            match n % 3 {
                0 => soap.register(&submission()).await.assert_success(),
                _ => soap.retrieve(REPOSITORY, &[&id]).await.assert_success(),
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("an answer");
    }
    let last = made_id(&gateway, &unique_id).await;
    let entries = of_type(&gateway, EntryType::Stable).await;
    let approved: Vec<_> = entries
        .iter()
        .filter(|e| e.mime_type == "text/xml" && e.availability_status == Approved)
        .map(|e| e.unique_id.clone())
        .collect();
    assert_eq!(approved, [last]);
    everything_verified(&gateway).await;
}

/// The documents' folder cannot be written: nothing is given out, nothing registered, and the next try works.
#[tokio::test]
async fn a_snapshot_that_cannot_be_stored_is_not_given_out() {
    let (gateway, unique_id) = with(on_demand(), persisting).await;
    let objects = gateway.config.repository.documents.join("objects");
    let away = objects.with_file_name("away");
    std::fs::rename(&objects, &away).unwrap();
    std::fs::write(&objects, b"in the way").unwrap();
    let answer = gateway.soap().retrieve(REPOSITORY, &[&unique_id]).await;
    answer.assert_failure(&["XDSRepositoryBusy"]);
    assert!(answer.parts.is_empty());
    assert_eq!(of_type(&gateway, EntryType::Stable).await, []);
    std::fs::remove_file(&objects).unwrap();
    std::fs::rename(&away, &objects).unwrap();
    let made = made_id(&gateway, &unique_id).await;
    gateway.soap().retrieve(REPOSITORY, &[&made]).await.assert_success();
    everything_verified(&gateway).await;
}

/// The audit trail cannot be written: nothing is given out and nothing registered.
#[tokio::test]
async fn a_snapshot_that_cannot_be_recorded_is_not_given_out() {
    let (gateway, unique_id) = with(on_demand(), persisting).await;
    let refuse = |sql: &'static str| {
        gateway.rooms().db.write::<_, DbError, _>(move |tx| Box::pin(async move { tx.exec(sql, &[]).await }))
    };
    refuse("ALTER TABLE audit_event RENAME TO audit_event_away").await.expect("renamed");
    let answer = gateway.soap().retrieve(REPOSITORY, &[&unique_id]).await;
    assert!(answer.parts.is_empty());
    refuse("ALTER TABLE audit_event_away RENAME TO audit_event").await.expect("renamed");
    assert_eq!(of_type(&gateway, EntryType::Stable).await, []);
    made_id(&gateway, &unique_id).await;
    assert_eq!(of_type(&gateway, EntryType::Stable).await.len(), 1);
}
