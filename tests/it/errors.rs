//! Every error code this program may answer with is seen in a real answer, and has its trace in
//! the audit trail.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chiren::config::PeerConfig;
use chiren::model::audit::Outcome;
use chiren::model::ebrim::LocalizedString;
use chiren::model::error::ErrorCode;
use chiren::model::metadata::{AssociationType, EntryType, MetadataObject, Submission, Update};
use chiren::model::query::ReturnType;
use chiren::store::db::DbError;
use chiren::wire::ebxml::retrieve::{self, DocumentRequest};
use chiren::wire::xml::XmlWriter;

use crate::support::samples::*;
use crate::support::updates::*;
use crate::support::{Answer, Gateway};
use chiren::model::transaction::Transaction;

/// Codes of transactions and roles this program does not play, or that nothing can call forth.
const NOT_PROVOKED: &[(ErrorCode, &str)] = &[
    (ErrorCode::DocumentQueued, "of recipients that hold documents for later matching; we have none"),
    (ErrorCode::InvalidDocumentContent, "of recipients that look into documents; we keep them as they are"),
    (ErrorCode::PartialAppendContentNotProcessed, "of XDR recipients; we process addenda"),
    (ErrorCode::PartialFolderContentNotProcessed, "of XDR recipients; we process folders"),
    (ErrorCode::PartialRelationshipContentNotProcessed, "of XDR recipients; we process relationships"),
    (ErrorCode::PartialReplaceContentNotProcessed, "of XDR recipients; we process replacement"),
    (ErrorCode::PartialTransformNotProcessed, "of XDR recipients; we process transformation"),
    (ErrorCode::PartialTransformReplaceNotProcessed, "of XDR recipients; we process transform-and-replace"),
    (ErrorCode::UnknownRecipient, "of recipients that forward to intendedRecipient; we do not forward"),
    (ErrorCode::UnavailableRecipient, "of recipients that forward to intendedRecipient; we do not forward"),
    (ErrorCode::XDSExtraMetadataNotSaved, "all extra metadata is kept"),
    (ErrorCode::XDSMissingHomeCommunityId, "of gateways between communities: seen in `xca`"),
    (ErrorCode::XDSUnavailableCommunity, "of gateways between communities: seen in `xca`"),
];

type Scenario = fn() -> Pin<Box<dyn Future<Output = (Gateway, Answer)>>>;

macro_rules! scenarios {
    ($($code:ident => $scenario:expr),+ $(,)?) => {
        &[$((ErrorCode::$code, (|| Box::pin($scenario)) as Scenario)),+]
    };
}

const SCENARIOS: &[(ErrorCode, Scenario)] = scenarios! {
    LocalPolicyRestrictionError => updating(true, |u| u.submission.document_entries[0].size = Some("5".into())),
    ReferencesExistException => removing(|o| matches!(o, MetadataObject::DocumentEntry(_))),
    UnmodifiableMetadataError => updating(true, |u| {
        u.submission.document_entries[0].repository_unique_id = Some("2.999.404".into());
    }),
    XDSInvalidRequestException => updating(false, |u| u.submission.document_entries[0].logical_id = None),
    XDSMetadataAnnotationError => updating(true, |u| u.submission.associations[0].extra.slots.clear()),
    XDSMetadataIdentifierError => updating(false, |u| u.submission.document_entries[0].unique_id = new_oid()),
    XDSMetadataUpdateError => updating(false, |u| u.submission_sets = 0),
    XDSMetadataUpdateOperationError => updating(false, |u| u.submission.associations[0].extra.slots.clear()),
    XDSMetadataVersionError => updating(false, |u| {
        annotate(&mut u.submission.associations[0], "PreviousVersion", "2");
    }),
    XDSObjectTypeError => updating(true, |u| {
        let e = &mut u.submission.document_entries[0];
        e.object_type = EntryType::OnDemand;
        (e.hash, e.size, e.creation_time) = (None, None, None);
    }),
    XDSPatientIDReconciliationError => updating(false, |u| {
        u.submission.document_entries[0].patient_id = OTHER_PATIENT.into();
    }),
    XDSUnreferencedObjectException => removing(|o| matches!(o, MetadataObject::Association(_))),
    UnresolvedReferenceException => registering(|s| *s = related(AssociationType::Append, UNKNOWN)),
    XDSDocumentUniqueIdError => retrieving(None, REPOSITORY, "2.999.404"),
    XDSDuplicateUniqueIdInRegistry => registering_again(|s, first| {
        s.submission_set.unique_id = first.submission_set.unique_id.clone();
    }),
    XDSMissingDocument => providing(&[], |_| {}),
    XDSMissingDocumentMetadata => providing(&[("DE", b"test"), ("DE2", b"two")], |_| {}),
    XDSNonIdenticalHash => registering_again(|s, first| {
        s.document_entries[0].unique_id = first.document_entries[0].unique_id.clone();
        s.document_entries[0].hash = Some("da39a3ee5e6b4b0d3255bfef95601890afd80709".into());
    }),
    XDSNonIdenticalSize => registering_again(|s, first| {
        s.document_entries[0].unique_id = first.document_entries[0].unique_id.clone();
        s.document_entries[0].size = Some("5".into());
    }),
    XDSPatientIdDoesNotMatch => registering(|s| s.document_entries[0].patient_id = OTHER_PATIENT.into()),
    XDSRegistryBusy => busy(Transaction::Iti18),
    XDSRegistryDeprecatedDocumentError => replacing_twice(),
    XDSRegistryDuplicateUniqueIdInMessage => registering(|s| {
        s.submission_set.unique_id = s.document_entries[0].unique_id.clone();
    }),
    XDSRegistryError => querying(|q| q.slots.push(list("$XDSDocumentEntryClassCode", &["no scheme"]))),
    XDSRegistryMetadataError => registering(|s| s.document_entries[0].class_code = None),
    XDSRegistryNotAvailable => registry_gone(),
    XDSRegistryOutOfResources => disk_full(Transaction::Iti42),
    XDSRemoveDocumentsError => removing_documents(),
    XDSRepositoryBusy => busy(Transaction::Iti43),
    XDSRepositoryDuplicateUniqueIdInMessage => providing(&[("DE", b"test")], |s| {
        s.submission_set.unique_id = s.document_entries[0].unique_id.clone();
    }),
    XDSRepositoryError => retrieving(None, "", "2.999.404"),
    XDSRepositoryMetadataError => providing(&[("DE", b"another")], |_| {}),
    XDSRepositoryOutOfResources => disk_full(Transaction::Iti41),
    XDSResultNotSinglePatient => several_patients(),
    XDSStoredQueryMissingParam => querying(|q| drop(q.slots.pop())),
    XDSStoredQueryParamNumber => querying(|q| q.slots.push(q.slots[0].clone())),
    XDSTooManyResults => too_many_results(),
    XDSUnknownCommunity => retrieving(Some("urn:oid:2.999.404"), REPOSITORY, "2.999.404"),
    XDSUnknownPatientId => registering(|s| *s = of_patient(submission(), OTHER_PATIENT)),
    XDSUnknownRepositoryId => retrieving(None, "2.999.404", "2.999.404"),
    XDSUnknownStoredQuery => querying(|q| q.id = UNKNOWN.into()),
};

const UNKNOWN: &str = "urn:uuid:00000000-0000-4000-8000-000000000000";

async fn registering(spoil: impl FnOnce(&mut Submission)) -> (Gateway, Answer) {
    let gateway = Gateway::start().await;
    let mut s = submission();
    spoil(&mut s);
    let answer = gateway.soap().register(&s).await;
    (gateway, answer)
}

/// ITI-57, or ITI-92, of a new version.
async fn updating(restricted: bool, spoil: impl FnOnce(&mut Update)) -> (Gateway, Answer) {
    let gateway = Gateway::start_with(|c| c.registry.restricted_update_keeps = vec!["size".into()]).await;
    gateway.soap().register(&submission()).await.assert_success();
    let mut u = next_entry(update(), "DE", &gateway.entry(PATIENT).await);
    spoil(&mut u);
    let answer = match restricted {
        true => gateway.soap().update_restricted(&u).await,
        false => gateway.soap().update(&u).await,
    };
    (gateway, answer)
}

/// ITI-62 of some of a submission's objects.
async fn removing(which: impl Fn(&MetadataObject) -> bool) -> (Gateway, Answer) {
    let gateway = Gateway::start().await;
    gateway.soap().register(&submission()).await.assert_success();
    let all = gateway.all(PATIENT).await;
    let ids: Vec<&str> = all.iter().filter(|o| which(o)).map(MetadataObject::id).collect();
    let answer = gateway.soap().remove(&ids).await;
    (gateway, answer)
}

/// ITI-86 of a document that is still registered.
async fn removing_documents() -> (Gateway, Answer) {
    let gateway = Gateway::start().await;
    let s = submission();
    gateway.soap().provide(&s, &[("DE", b"test")]).await.assert_success();
    let answer = gateway.soap().remove_documents(REPOSITORY, &[&s.document_entries[0].unique_id]).await;
    (gateway, answer)
}

async fn registering_again(spoil: impl FnOnce(&mut Submission, &Submission)) -> (Gateway, Answer) {
    let gateway = Gateway::start().await;
    let first = submission();
    gateway.soap().register(&first).await.assert_success();
    let mut s = submission();
    spoil(&mut s, &first);
    let answer = gateway.soap().register(&s).await;
    (gateway, answer)
}

async fn providing(documents: &[(&str, &[u8])], spoil: impl FnOnce(&mut Submission)) -> (Gateway, Answer) {
    let gateway = Gateway::start().await;
    let mut s = submission();
    spoil(&mut s);
    let answer = gateway.soap().provide(&s, documents).await;
    (gateway, answer)
}

async fn retrieving(home: Option<&str>, repository: &str, document: &str) -> (Gateway, Answer) {
    let gateway = Gateway::start().await;
    let mut w = XmlWriter::new();
    let request = DocumentRequest {
        home_community_id: home.map(str::to_owned),
        repository_unique_id: repository.into(),
        document_unique_id: document.into(),
    };
    retrieve::write_request(&mut w, &[request]);
    let answer = gateway.soap().send(Transaction::Iti43, &w.finish(), &[]).await;
    (gateway, answer)
}

async fn querying(
    spoil: impl FnOnce(&mut chiren::wire::ebxml::query::AdhocQueryRequest),
) -> (Gateway, Answer) {
    let gateway = Gateway::start().await;
    let mut request = find_documents(PATIENT);
    spoil(&mut request);
    let answer = gateway.soap().query(&request).await;
    (gateway, answer)
}

async fn replacing_twice() -> (Gateway, Answer) {
    let gateway = Gateway::start().await;
    gateway.soap().register(&submission()).await.assert_success();
    let old = gateway.soap().query(&find_documents(PATIENT)).await.entries().remove(0).entry_uuid;
    gateway.soap().register(&related(AssociationType::Replace, &old)).await.assert_success();
    let answer = gateway.soap().register(&related(AssociationType::Replace, &old)).await;
    (gateway, answer)
}

async fn several_patients() -> (Gateway, Answer) {
    let gateway = Gateway::start().await;
    gateway.add_patient(OTHER_PATIENT).await;
    let (ours, theirs) = (submission(), of_patient(submission(), OTHER_PATIENT));
    gateway.soap().register(&ours).await.assert_success();
    gateway.soap().register(&theirs).await.assert_success();
    let ids = [&*ours.document_entries[0].unique_id, &*theirs.document_entries[0].unique_id];
    let request = query(GET_DOCUMENTS, vec![list("$XDSDocumentEntryUniqueId", &ids)]);
    assert_eq!(request.return_type, ReturnType::LeafClass);
    let answer = gateway.soap().query(&request).await;
    (gateway, answer)
}

async fn too_many_results() -> (Gateway, Answer) {
    let gateway = Gateway::start_with(|c| c.limits.query_results = 1).await;
    for _ in 0..2 {
        gateway.soap().register(&submission()).await.assert_success();
    }
    let answer = gateway.soap().query(&find_documents(PATIENT)).await;
    (gateway, answer)
}

async fn registry_gone() -> (Gateway, Answer) {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/xds/iti42", nobody.local_addr().unwrap());
    drop(nobody);
    let gateway = Gateway::start_with(|c| {
        c.registry.enabled = false;
        c.repository.remote_registry = Some(PeerConfig { url, ..PeerConfig::default() });
    })
    .await;
    let answer = gateway.soap().provide(&submission(), &[("DE", b"test")]).await;
    (gateway, answer)
}

/// The only connection for reading is held past the time a request waits for it. On PostgreSQL the
/// audit record needs it too, so it comes free in time for that.
async fn busy(t: Transaction) -> (Gateway, Answer) {
    let gateway = Gateway::start_with(|c| {
        c.database.max_connections = 1;
        c.database.acquire_timeout_s = 1;
    })
    .await;
    // A closure over SQLite blocks its thread and never waits; over PostgreSQL it is the other way.
    let postgres = gateway.config.database.url.starts_with("postgres");
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = Arc::new(Mutex::new(released));
    let release_postgres = Arc::new(tokio::sync::Notify::new());
    let held = Arc::new(tokio::sync::Notify::new());
    let holder = tokio::spawn({
        let (db, held, let_go) = (gateway.rooms().db.clone(), held.clone(), release_postgres.clone());
        async move {
            db.read(move |_| {
                let (released, held, let_go) = (released.clone(), held.clone(), let_go.clone());
                Box::pin(async move {
                    held.notify_one();
                    if postgres {
                        let_go.notified().await;
                    } else {
                        let _ = released.lock().expect("one holder").recv();
                    }
                    Ok::<(), DbError>(())
                })
            })
            .await
        }
    });
    held.notified().await;
    let soap = gateway.soap();
    let asking = async {
        match t {
            Transaction::Iti18 => soap.query(&find_documents(PATIENT)).await,
            _ => soap.retrieve(REPOSITORY, &["2.999.404"]).await,
        }
    };
    let letting_go = async {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        release_postgres.notify_one();
        let _ = release.send(());
    };
    let (answer, ()) = tokio::join!(asking, letting_go);
    holder.await.expect("the holder ends").expect("it read");
    (gateway, answer)
}

/// No room for a submission, but for its audit record. SQLite is given a largest size; PostgreSQL,
/// whose disk cannot be filled from here, answers as it would.
async fn disk_full(t: Transaction) -> (Gateway, Answer) {
    let gateway = Gateway::start().await;
    let postgres = gateway.config.database.url.starts_with("postgres");
    gateway
        .rooms()
        .db
        .write(move |tx| {
            Box::pin(async move {
                if postgres {
                    tx.exec(
                        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS \
                         'BEGIN RAISE EXCEPTION USING ERRCODE = ''53100'', MESSAGE = ''disk full''; END'",
                        &[],
                    )
                    .await?;
                    tx.exec(
                        "CREATE TRIGGER full_disk BEFORE INSERT ON submission_set \
                         FOR EACH ROW EXECUTE FUNCTION full_disk()",
                        &[],
                    )
                    .await?;
                } else {
                    let pages: i64 = tx.fetch_one("PRAGMA max_page_count = 1", &[], |row| row.get(0)).await?;
                    let most = format!("PRAGMA max_page_count = {}", pages + 6);
                    let _: i64 = tx.fetch_one(most, &[], |row| row.get(0)).await?;
                }
                Ok::<(), DbError>(())
            })
        })
        .await
        .expect("the disk is made full");
    let mut s = submission();
    s.document_entries[0].comments = (0..100)
        .map(|n| LocalizedString { value: "長".repeat(1000), lang: Some(format!("x-{n}")), charset: None })
        .collect();
    let answer = match t {
        Transaction::Iti41 => gateway.soap().provide(&s, &[("DE", b"test")]).await,
        _ => gateway.soap().register(&s).await,
    };
    assert_eq!(gateway.soap().query(&find_documents(PATIENT)).await.entries(), []);
    (gateway, answer)
}

#[test]
fn every_code_has_a_scenario_or_a_reason() {
    for code in ErrorCode::ALL {
        let seen = SCENARIOS.iter().filter(|(c, _)| c == code).count();
        let excused = NOT_PROVOKED.iter().filter(|(c, reason)| c == code && !reason.is_empty()).count();
        assert_eq!(seen + excused, 1, "{code}: give it a scenario in SCENARIOS, or a reason in NOT_PROVOKED");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_code_is_seen() {
    for (code, scenario) in SCENARIOS {
        let (gateway, answer) = scenario().await;
        let (_, errors) = answer.registry();
        assert!(errors.iter().any(|(c, _)| c == code.as_str()), "{code}: {}", answer.envelope);
        assert!(answer.envelope.contains("ErrorSeverityType:Error"), "{code}");
        // Those that pass by themselves say when to come again; a 200 has the header too.
        let temporary = code.as_str().ends_with("Busy") || code.as_str().ends_with("OutOfResources");
        let retry_after = answer.headers.contains_key(http::header::RETRY_AFTER);
        assert_eq!(retry_after, temporary, "{code}: {:?}", answer.headers);
        // One record says so, without what the answer says to its reader.
        let records = gateway.audit().await;
        let failures: Vec<_> = records.iter().filter(|r| r.outcome != Outcome::Success).collect();
        assert_eq!(failures.len(), 1, "{code}");
        let said = match code {
            ErrorCode::XDSRegistryBusy | ErrorCode::XDSRepositoryBusy => "busy",
            ErrorCode::XDSRegistryOutOfResources | ErrorCode::XDSRepositoryOutOfResources => "no room",
            code => code.as_str(),
        };
        assert!(failures[0].errors.iter().any(|e| e == said), "{code}: {:?}", failures[0].errors);
    }
}
