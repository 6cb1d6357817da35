//! Registry, repository, gateway, operators, export: what is hidden leaves no trace on any of them.

use chiren::model::audit::Outcome;
use chiren::model::consent::Audience;
use chiren::model::consent::record::{Effect, Rule};
use chiren::model::metadata::AssociationType;
use chiren::model::query::ReturnType;
use chiren::model::transaction::Transaction;
use chiren::service::access::decide_for_export;
use chiren::service::consent::Change;
use chiren::store::db::DbError;
use chiren::wire::ebxml::query::AdhocQueryRequest;

use super::*;

const FIND_SETS: &str = "urn:uuid:f26abbcb-ac74-4422-8a30-edb644bbc1a9";
const FIND_FOLDERS: &str = "urn:uuid:958f3006-baad-4929-a4de-ff1114824431";
const GET_FOLDERS: &str = "urn:uuid:5737b14c-8a1a-4539-b659-e03a34a5e1e4";
const GET_ASSOCIATIONS: &str = "urn:uuid:a7ae438b-4bc2-4642-93e9-be891f7bb155";
const GET_DOCUMENTS_AND_ASSOCIATIONS: &str = "urn:uuid:bab9529a-4a10-40b3-a01f-f68a615d247a";
const GET_SETS: &str = "urn:uuid:51224314-5390-4169-9b91-b1980040715a";
const GET_SET_AND_CONTENTS: &str = "urn:uuid:e8e3cb2c-e39c-46b9-99e4-c12f57260b83";
const GET_FOLDER_AND_CONTENTS: &str = "urn:uuid:b909a503-523d-4517-8acf-8e5834dfc4c7";
const GET_FOLDERS_FOR_DOCUMENT: &str = "urn:uuid:10cae35a-c7f9-4cf5-b61e-fc3278ffb578";
const GET_RELATED: &str = "urn:uuid:d90e5407-b356-4d91-a89f-873917b4b0e6";
const APPROVED: &str = "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved";
const PSYCHIATRY: &str = "18842-5";

/// Two documents, related, in a Folder; the second is of psychiatry. entryUUIDs are given.
struct Objects {
    open: String,
    closed: String,
    folder: String,
    set: String,
    open_id: String,
    closed_id: String,
}

async fn publish(world: &World) -> Objects {
    let fresh = || format!("urn:uuid:{}", uuid::Uuid::new_v4());
    let objects = Objects {
        open: fresh(),
        closed: fresh(),
        folder: fresh(),
        set: fresh(),
        open_id: new_oid(),
        closed_id: new_oid(),
    };
    let mut s = submission();
    s.submission_set.entry_uuid = objects.set.clone();
    s.document_entries = vec![document_entry(&objects.open), document_entry(&objects.closed)];
    s.document_entries[0].unique_id = objects.open_id.clone();
    s.document_entries[1].unique_id = objects.closed_id.clone();
    s.document_entries[1].type_code = Some(code(PSYCHIATRY, "2.16.840.1.113883.6.1", "退院時サマリ"));
    s.folders = vec![folder(&objects.folder)];
    let member = |id: &str, source: &str, target: &str| has_member(id, source, target);
    s.associations = vec![
        original("A1", "x"),
        original("A2", "x"),
        member("A3", &objects.set, &objects.folder),
        member("A4", &objects.folder, &objects.open),
        member("A5", &objects.folder, &objects.closed),
        member("A6", &objects.set, "A4"),
        member("A7", &objects.set, "A5"),
    ];
    for (n, target) in [&objects.open, &objects.closed].into_iter().enumerate() {
        s.associations[n].source_object = objects.set.clone();
        s.associations[n].target_object = target.clone();
    }
    world.publish(&s).await;
    // A transformation of the closed document, by another submission.
    let mut t = submission();
    t.document_entries[0].type_code = Some(code(PSYCHIATRY, "2.16.840.1.113883.6.1", "退院時サマリ"));
    t.associations.push(chiren::model::metadata::Association::new(
        AssociationType::Transform,
        "A8".into(),
        "DE",
        &objects.closed,
    ));
    world.publish(&t).await;
    objects
}

/// Every stored query about a patient, or about objects of theirs.
fn queries(patient: &str, entry: &str, unique_id: &str, folder: &str, set: &str) -> Vec<AdhocQueryRequest> {
    let approved = |name: &str| list(name, &[APPROVED]);
    vec![
        find(patient),
        query(
            FIND_SETS,
            vec![single("$XDSSubmissionSetPatientId", patient), approved("$XDSSubmissionSetStatus")],
        ),
        query(FIND_FOLDERS, vec![single("$XDSFolderPatientId", patient), approved("$XDSFolderStatus")]),
        query(
            GET_ALL,
            vec![
                single("$patientId", patient),
                approved("$XDSDocumentEntryStatus"),
                approved("$XDSSubmissionSetStatus"),
                approved("$XDSFolderStatus"),
            ],
        ),
        query(GET_DOCUMENTS, vec![list("$XDSDocumentEntryEntryUUID", &[entry])]),
        query(GET_DOCUMENTS, vec![list("$XDSDocumentEntryUniqueId", &[unique_id])]),
        query(GET_FOLDERS, vec![list("$XDSFolderEntryUUID", &[folder])]),
        query(GET_ASSOCIATIONS, vec![list("$uuid", &[entry])]),
        query(GET_ASSOCIATIONS, vec![list("$uuid", &[folder])]),
        query(GET_DOCUMENTS_AND_ASSOCIATIONS, vec![list("$XDSDocumentEntryEntryUUID", &[entry])]),
        query(GET_SETS, vec![list("$uuid", &[entry])]),
        query(GET_SET_AND_CONTENTS, vec![single("$XDSSubmissionSetEntryUUID", set)]),
        query(GET_FOLDER_AND_CONTENTS, vec![single("$XDSFolderEntryUUID", folder)]),
        query(GET_FOLDERS_FOR_DOCUMENT, vec![single("$XDSDocumentEntryEntryUUID", entry)]),
        query(
            GET_RELATED,
            vec![
                single("$XDSDocumentEntryEntryUUID", entry),
                list("$AssociationTypes", &["urn:ihe:iti:2007:AssociationType:XFRM"]),
            ],
        ),
    ]
}

#[tokio::test]
async fn without_a_consent_every_stored_query_answers_as_if_there_were_nothing() {
    let world = world().await;
    let o = publish(&world).await;
    let absent = format!("urn:uuid:{}", uuid::Uuid::new_v4());
    let hidden = queries(PATIENT, &o.closed, &o.closed_id, &o.folder, &o.set);
    let nothing = queries(OTHER_PATIENT, &absent, "2.999.5.5.5", &absent, &absent);
    let owner = Person::doctor("owner", HERE);
    for (mut one, mut other) in hidden.into_iter().zip(nothing) {
        for form in [ReturnType::LeafClass, ReturnType::ObjectRef] {
            (one.return_type, other.return_type) = (form, form);
            let (there, not_there) =
                (world.query(&world.doctor(), &one).await, world.query(&world.doctor(), &other).await);
            there.assert_success();
            assert_eq!(bare(&there), bare(&not_there), "{} {form:?}", one.id);
            // It is there for who may see it.
            let own = world.query(&owner, &one).await;
            own.assert_success();
            assert_ne!(bare(&own), bare(&not_there), "{} {form:?}", one.id);
        }
    }
}

#[tokio::test]
async fn what_is_kept_back_among_others_is_named_by_no_answer() {
    let world = world().await;
    let o = publish(&world).await;
    world.grant(vec![Rule { data: "@psychiatry".parse().unwrap(), ..Rule::new(Effect::Deny) }]).await;
    let mut all = queries(PATIENT, &o.open, &o.open_id, &o.folder, &o.set);
    all.extend(queries(PATIENT, &o.closed, &o.closed_id, &o.folder, &o.set));
    let mut shown = 0;
    for mut request in all {
        for form in [ReturnType::LeafClass, ReturnType::ObjectRef] {
            request.return_type = form;
            let answer = world.query(&world.doctor(), &request).await;
            answer.assert_success();
            for trace in [&o.closed, &o.closed_id] {
                assert!(
                    !answer.envelope.contains(trace.as_str()),
                    "{} {form:?}: {}",
                    request.id,
                    answer.envelope
                );
            }
            shown += usize::from(answer.envelope.contains(&o.open));
        }
    }
    assert!(shown > 15, "{shown}");
    // The Folder is shown with what is shown of it.
    let contents = query(GET_FOLDER_AND_CONTENTS, vec![single("$XDSFolderEntryUUID", &o.folder)]);
    let answer = world.query(&world.doctor(), &contents).await;
    assert_eq!((answer.folders().len(), answer.entries().len(), answer.associations().len()), (1, 1, 1));
    // The set of what is closed alone is not.
    let sets = query(
        FIND_SETS,
        vec![single("$XDSSubmissionSetPatientId", PATIENT), list("$XDSSubmissionSetStatus", &[APPROVED])],
    );
    assert_eq!(world.query(&world.doctor(), &sets).await.objects().len(), 1);
}

#[tokio::test]
async fn query_and_retrieve_agree_and_a_denied_document_is_as_one_that_is_not_there() {
    let world = world().await;
    let o = publish(&world).await;
    world.grant(vec![Rule { data: "@psychiatry".parse().unwrap(), ..Rule::new(Effect::Deny) }]).await;
    let seen = world.sees(&world.doctor()).await;
    assert_eq!(seen, std::slice::from_ref(&o.open_id));
    world.retrieve(&world.doctor(), &o.open_id).await.assert_success();
    let denied = world.retrieve(&world.doctor(), &o.closed_id).await;
    denied.assert_failure(&["XDSDocumentUniqueIdError"]);
    let absent = world.retrieve(&world.doctor(), "2.999.5.5.5").await;
    assert_eq!(bare(&denied).replace(&o.closed_id, "ID"), bare(&absent).replace("2.999.5.5.5", "ID"));
    let last = world.gateway.audit().await.into_iter().filter(|e| e.transaction == "ITI-43").count();
    assert_eq!(last, 3, "every retrieval is on record");
}

#[tokio::test]
async fn what_is_hidden_does_not_count_towards_the_limit() {
    let world = world_with(|c| c.limits.query_results = 2).await;
    for hidden in [true, true, true, false] {
        let mut s = submission();
        if hidden {
            s.document_entries[0].type_code = Some(code(PSYCHIATRY, "2.16.840.1.113883.6.1", "x"));
        }
        world.publish(&s).await;
    }
    world.grant(vec![Rule { data: "@psychiatry".parse().unwrap(), ..Rule::new(Effect::Deny) }]).await;
    assert_eq!(world.sees(&world.doctor()).await.len(), 1);
    world.query(&Person::doctor("owner", HERE), &find(PATIENT)).await.assert_failure(&["XDSTooManyResults"]);
}

#[tokio::test]
async fn several_patients_are_each_decided_on() {
    let world = world().await;
    world.publish(&submission()).await;
    world.publish(&of_patient(submission(), OTHER_PATIENT)).await;
    world.grant(vec![]).await;
    let mut request = query(
        "urn:uuid:3d1bdb10-39a2-11de-89c2-2f44d94eaa9f",
        vec![
            list("$XDSDocumentEntryStatus", &[APPROVED]),
            list("$XDSDocumentEntryClassCode", &["57133-1^^2.16.840.1.113883.6.1"]),
        ],
    );
    request.return_type = ReturnType::LeafClass;
    let answer = world.ask(&world.doctor(), Transaction::Iti51, &adhoc_query(&request)).await;
    answer.assert_success();
    let patients: Vec<String> = answer.entries().into_iter().map(|e| e.patient_id).collect();
    assert_eq!(patients, [PATIENT]);
}

#[tokio::test]
async fn a_caller_nobody_knows_is_shown_nothing() {
    let world = world().await;
    world.publish(&submission()).await;
    world.grant(vec![]).await;
    let answer = world.gateway.soap().query(&find(PATIENT)).await;
    answer.assert_success();
    assert!(answer.entries().is_empty(), "neither facility nor user");
    assert_eq!(world.sees(&world.doctor()).await.len(), 1);
}

#[tokio::test]
async fn other_communities_see_what_reaches_them() {
    let world = world_with(|c| c.gateway.enabled = true).await;
    world.publish(&submission()).await;
    let theirs = Person { home: Some("urn:oid:2.999.7".into()), ..Person::doctor("far", "2.999.7.1") };
    let sees = async || {
        let answer = world.ask(&theirs, Transaction::Iti38, &adhoc_query(&find(PATIENT))).await;
        answer.assert_success();
        answer.entries()
    };
    assert!(sees().await.is_empty());
    // 一括同意 covers this network alone, unless its policy says otherwise.
    world.grant(vec![]).await;
    assert!(sees().await.is_empty());
    let viewer = Audience::Community("urn:oid:2.999.7".into());
    world.grant(vec![Rule { viewer, ..Rule::new(Effect::Permit) }]).await;
    let entries = sees().await;
    assert_eq!(entries.len(), 1);
    let body = |home: &str| {
        let mut w = chiren::wire::xml::XmlWriter::new();
        let request = chiren::wire::ebxml::retrieve::DocumentRequest {
            home_community_id: Some(home.into()),
            repository_unique_id: REPOSITORY.into(),
            document_unique_id: entries[0].unique_id.clone(),
        };
        chiren::wire::ebxml::retrieve::write_request(&mut w, &[request]);
        w.finish()
    };
    world.ask(&theirs, Transaction::Iti39, &body(HOME)).await.assert_success();
    world.said(Change::Withdraw(None)).await;
    world.ask(&theirs, Transaction::Iti39, &body(HOME)).await.assert_failure(&["XDSDocumentUniqueIdError"]);
}

#[tokio::test]
async fn operators_see_everything_on_record_and_nothing_where_the_rules_say_so() {
    let world = world().await;
    world.publish(&submission()).await;
    let registry = world.gateway.rooms().registry.clone().unwrap();
    let asked = || chiren::service::registry::AsOf {
        moment: world.gateway.clock.now(),
        query: "FindDocuments".into(),
        patients: vec![PATIENT.into()],
        params: vec!["XDSDocumentEntryStatus=Approved".into()],
        return_type: ReturnType::LeafClass,
    };
    let audit = world.gateway.rooms().audit.clone();
    let count = async || {
        let answer = registry.as_of(&audit, &world.context(), asked()).await.unwrap();
        match answer.result {
            chiren::model::query::QueryResult::Objects(objects) => objects.len(),
            _ => panic!("objects were asked for"),
        }
    };
    assert_eq!(count().await, 1);
    let access = world.gateway.rooms().access.clone();
    let mut network = (*access.network()).clone();
    network.operators = false;
    access.use_rules(network);
    assert_eq!(count().await, 0);
}

#[tokio::test]
async fn a_document_leaves_for_a_service_by_the_same_decision() {
    let world = world().await;
    world.publish(&submission()).await;
    let entry = world.query(&Person::doctor("o", HERE), &find(PATIENT)).await.entries().remove(0);
    let rooms = world.gateway.rooms().clone();
    let now = world.gateway.clock.now().as_microsecond();
    let decided = async || {
        let (access, entry) = (rooms.access.clone(), std::sync::Arc::new(entry.clone()));
        let decision = rooms
            .db
            .read::<_, DbError, _>(move |tx| {
                let (access, entry) = (access.clone(), entry.clone());
                Box::pin(
                    async move { decide_for_export(tx, &access, now, "national", PATIENT, &entry).await },
                )
            })
            .await
            .unwrap();
        decision.ground.number()
    };
    assert_eq!(decided().await, 12, "the national service asks for no consent to register");
    world.grant(vec![Rule { viewer: "service:national".parse().unwrap(), ..Rule::new(Effect::Deny) }]).await;
    assert_eq!(decided().await, 7);
    world.said(Change::Hold(entry.unique_id.clone())).await;
    assert_eq!(decided().await, 3);
}

#[tokio::test]
async fn an_older_version_is_as_confidential_as_the_one_that_followed() {
    use crate::support::updates::{next_entry, update};
    let world = world().await;
    world.publish(&submission()).await;
    world.grant(vec![]).await;
    let owner = Person::doctor("owner", HERE);
    let mut entry = world.query(&owner, &find(PATIENT)).await.entries().remove(0);
    let mut history = query(
        GET_DOCUMENTS,
        vec![
            list("$XDSDocumentEntryLogicalID", &[entry.logical_id.as_deref().unwrap()]),
            crate::support::samples::single("$MetadataLevel", "2"),
        ],
    );
    // A number, not a text.
    history.slots[1].values = vec!["2".into()];
    assert_eq!(world.query(&world.doctor(), &history).await.entries().len(), 1);
    let first = entry.clone();
    entry.confidentiality_code = vec![code("V", "2.16.840.1.113883.5.25", "極秘")];
    world.gateway.tick();
    world.gateway.soap().update(&next_entry(update(), "DE2", &entry)).await.assert_success();
    assert_eq!(world.query(&owner, &history).await.entries().len(), 2);
    let answer = world.query(&world.doctor(), &history).await;
    answer.assert_success();
    assert!(answer.entries().is_empty() && !answer.envelope.contains(&first.entry_uuid));
    let found = world.gateway.audit().await;
    assert!(found.iter().all(|e| e.outcome != Outcome::MajorFailure));
}
