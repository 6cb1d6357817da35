//! On-demand entries updated, removed, and read as of a moment.

use super::*;

#[tokio::test]
async fn an_update_keeps_the_type() {
    let (gateway, unique_id) = with(on_demand(), |_| {}).await;
    let v1 = in_force(&gateway).await;
    let mut u = next_entry(update(), "DE", &v1);
    u.submission.document_entries[0].title = text("訂正した一覧");
    gateway.soap().update(&u).await.assert_success();
    let v2 = in_force(&gateway).await;
    assert_eq!((v2.version, v2.object_type), (2, EntryType::OnDemand));
    let (_, document) = retrieved(&gateway, &unique_id).await;
    assert!(document.contains("<title>訂正した一覧</title>"));

    // The code of ITI-57, of ITI-92.
    type Spoil = fn(&mut DocumentEntry);
    let spoiled: [(&str, &str, Spoil); 3] = [
        ("XDSMetadataIdentifierError", "XDSObjectTypeError", |e| {
            e.object_type = EntryType::Stable;
            (e.creation_time, e.size) = (Some("20260401".into()), Some("4".into()));
            e.hash = Some("a94a8fe5ccb19ba61c4c0873d391e987982fbbd3".into());
        }),
        ("XDSRegistryMetadataError", "XDSRegistryMetadataError", |e| e.creation_time = Some("2026".into())),
        ("XDSRegistryMetadataError", "XDSRegistryMetadataError", |e| e.size = Some("4".into())),
    ];
    for (code, restricted, spoil) in spoiled {
        let mut u = next_entry(update(), "DE", &v2);
        spoil(&mut u.submission.document_entries[0]);
        gateway.soap().update(&u).await.assert_failure(&[code]);
        gateway.soap().update_restricted(&u).await.assert_failure(&[restricted]);
    }
    let mut u = next_entry(update(), "DE", &v2);
    u.submission.document_entries[0].confidentiality_code = vec![code("R", "2.16.840.1.113883.5.25", "制限")];
    gateway.soap().update_restricted(&u).await.assert_success();
    assert_eq!(in_force(&gateway).await.version, 3);
    gateway.assert_verified().await;
}

/// A relationship that an update adds is judged as one that is submitted.
#[tokio::test]
async fn an_update_joins_what_may_be_joined() {
    let (gateway, _) = with(on_demand(), |_| {}).await;
    gateway.soap().register(&submission()).await.assert_success();
    let changing = in_force(&gateway).await.entry_uuid;
    let stable = of_type(&gateway, EntryType::Stable).await.remove(0).entry_uuid;
    let joined = |kind, source: &str, target: &str| submit(update(), kind, "A", source, target);
    for refused in [
        joined(AssociationType::Append, &stable, &changing),
        joined(AssociationType::IsSnapshotOf, &changing, &stable),
    ] {
        gateway.soap().update(&refused).await.assert_failure(&["XDSMetadataUpdateError"]);
    }
    let snapshot = joined(AssociationType::IsSnapshotOf, &stable, &changing);
    gateway.soap().update(&snapshot).await.assert_success();
    gateway.assert_verified().await;
}

#[tokio::test]
async fn an_entry_is_removed_with_what_points_at_it() {
    let (gateway, unique_id) = with(on_demand(), persisting).await;
    made_id(&gateway, &unique_id).await;
    gateway.tick();
    let moment = gateway.clock.now().as_microsecond() - 1;
    let changing = in_force(&gateway).await.entry_uuid;
    let all = gateway.soap().query(&everything(of_both_types(get_all(PATIENT)))).await.objects();
    let announced: Vec<&str> = all
        .iter()
        .filter(|o| match o {
            MetadataObject::Association(a) => {
                a.target_object == changing && a.association_type == AssociationType::HasMember
            }
            o => o.id() == changing,
        })
        .map(MetadataObject::id)
        .collect();
    gateway
        .soap()
        .remove(&announced)
        .await
        .assert_failure(&["ReferencesExistException", "XDSUnreferencedObjectException"]);
    let ids: Vec<&str> = all.iter().map(MetadataObject::id).collect();
    gateway.soap().remove(&ids).await.assert_success();
    assert_eq!(everything_of(&gateway, PATIENT).await, []);
    let answer = gateway.soap().retrieve(REPOSITORY, &[&unique_id]).await;
    answer.assert_failure(&["XDSDocumentUniqueIdError"]);
    gateway.assert_verified().await;
    // Its uniqueId is free again, its past is not forgotten.
    assert_eq!(as_of(&gateway, moment).await, (1, 1));
    let mut again = on_demand();
    again.document_entries[0].unique_id = unique_id;
    gateway.soap().register_on_demand(&again).await.assert_success();
}

/// How many stable and on-demand entries FindDocuments gave at a moment.
async fn as_of(gateway: &Gateway, moment: i64) -> (usize, usize) {
    use chiren::model::query::{QueryRequest, QueryResult, StoredQuery, View};
    let request = of_both_types(find_documents(PATIENT));
    let query = StoredQuery::from_slots(&request.id, false, &request.slots).expect("a query");
    let asked = QueryRequest { query, return_type: ReturnType::LeafClass, home: None, view: View::default() };
    let context = chiren::service::context::Context::of_operator("test", None, gateway.clock.now());
    let registry = gateway.rooms().registry.as_ref().expect("a registry");
    let answer = registry.query_as_of(&context, asked, Some(moment)).await.expect("an answer");
    let QueryResult::Objects(objects) = answer.found.read().expect("objects") else { panic!("references") };
    let count = |wanted| {
        objects
            .iter()
            .filter(|o| matches!(o, MetadataObject::DocumentEntry(e) if e.object_type == wanted))
            .count()
    };
    (count(EntryType::Stable), count(EntryType::OnDemand))
}

#[tokio::test]
async fn the_past_has_entries_and_snapshots() {
    let gateway = Gateway::start_with(persisting).await;
    let mut moments = vec![(gateway.clock.now().as_microsecond() - 1, (0, 0))];
    let s = on_demand();
    let unique_id = s.document_entries[0].unique_id.clone();
    gateway.soap().register_on_demand(&s).await.assert_success();
    let mut remember = |gateway: &Gateway, counts| {
        gateway.tick();
        moments.push((gateway.clock.now().as_microsecond() - 1, counts));
    };
    remember(&gateway, (0, 1));
    made_id(&gateway, &unique_id).await;
    remember(&gateway, (1, 1));
    gateway.soap().register(&submission()).await.assert_success();
    remember(&gateway, (2, 1));
    // A snapshot replaces the one before it.
    made_id(&gateway, &unique_id).await;
    remember(&gateway, (2, 1));
    let entry = in_force(&gateway).await.entry_uuid;
    gateway.soap().update(&status_of(update(), &entry, Approved, Deprecated)).await.assert_success();
    remember(&gateway, (2, 0));
    for (moment, counts) in moments {
        assert_eq!(as_of(&gateway, moment).await, counts);
    }
    everything_verified(&gateway).await;
    // What happened to the entry, and by whom to its last snapshot.
    let steps = history(&gateway, &entry).await;
    assert_eq!(steps, [("ITI-61", Operation::Registered), ("ITI-57", Operation::Status)].map(step));
    let snapshots = of_type(&gateway, EntryType::Stable).await;
    let snapshot =
        snapshots.iter().find(|e| e.mime_type == "text/xml" && e.availability_status == Deprecated);
    let steps = history(&gateway, &snapshot.expect("the first snapshot").entry_uuid).await;
    assert_eq!(steps, [("ITI-43", Operation::Registered), ("ITI-43", Operation::Status)].map(step));
}

fn step((transaction, operation): (&str, Operation)) -> (String, Operation) {
    (transaction.to_owned(), operation)
}

/// Transaction and operation of each change of an object.
async fn history(gateway: &Gateway, id: &str) -> Vec<(String, Operation)> {
    let context = chiren::service::context::Context::of_operator("test", None, gateway.clock.now());
    let registry = gateway.rooms().registry.as_ref().expect("a registry");
    let mut found = registry.history(&context, id).await.expect("a history");
    // Beside a snapshot's entry stands the document itself.
    found.retain(|h| h.kind == "DocumentEntry");
    assert_eq!(found.len(), 1, "{found:#?}");
    found.remove(0).steps.into_iter().map(|s| (s.transaction.expect("a change"), s.operation)).collect()
}
