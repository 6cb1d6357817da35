//! Submissions at one instant.

use chiren::model::metadata::{AssociationType, AvailabilityStatus, Submission};
use chiren::wire::ebxml::response::ResponseStatus;
use tokio::task::JoinSet;

use crate::support::Gateway;
use crate::support::samples::*;

/// Registers all at once; how many were accepted, and the codes the others got.
async fn all_at_once(gateway: &Gateway, submissions: Vec<Submission>) -> (usize, Vec<String>) {
    let mut tasks = JoinSet::new();
    for s in submissions {
        let soap = gateway.soap();
        tasks.spawn(async move { soap.register(&s).await.registry() });
    }
    let (mut accepted, mut codes) = (0, vec![]);
    while let Some(done) = tasks.join_next().await {
        match done.expect("an answer") {
            (ResponseStatus::Success, _) => accepted += 1,
            (_, errors) => codes.extend(errors.into_iter().map(|(code, _)| code)),
        }
    }
    codes.sort_unstable();
    codes.dedup();
    (accepted, codes)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_submission_set_many_times() {
    let gateway = Gateway::start().await;
    let unique_id = new_oid();
    let copies = (0..32)
        .map(|_| {
            let mut s = submission();
            s.submission_set.unique_id = unique_id.clone();
            s
        })
        .collect();
    let (accepted, codes) = all_at_once(&gateway, copies).await;
    assert_eq!((accepted, codes), (1, vec!["XDSDuplicateUniqueIdInRegistry".to_owned()]));
    assert_eq!(gateway.soap().query(&get_all(PATIENT)).await.objects().len(), 3);
    assert_eq!(gateway.audit().await.len(), 33);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_document_replaced_many_times() {
    let gateway = Gateway::start().await;
    gateway.soap().register(&submission_with_folder()).await.assert_success();
    let old = gateway.soap().query(&find_documents(PATIENT)).await.entries().remove(0).entry_uuid;
    let replacements = (0..16).map(|_| related(AssociationType::Replace, &old)).collect();
    let (accepted, codes) = all_at_once(&gateway, replacements).await;
    assert_eq!((accepted, codes), (1, vec!["XDSRegistryDeprecatedDocumentError".to_owned()]));
    let entries = gateway.soap().query(&get_all(PATIENT)).await.entries();
    let count = |status| entries.iter().filter(|e| e.availability_status == status).count();
    assert_eq!((count(AvailabilityStatus::Approved), count(AvailabilityStatus::Deprecated)), (1, 1));
}

/// Nobody may hang an addendum on a document while it is being replaced.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addenda_while_their_document_is_replaced() {
    let gateway = Gateway::start().await;
    for _ in 0..4 {
        let first = submission();
        gateway.soap().register(&first).await.assert_success();
        let by_id =
            |unique_id: &str| query(GET_DOCUMENTS, vec![list("$XDSDocumentEntryUniqueId", &[unique_id])]);
        let found = gateway.soap().query(&by_id(&first.document_entries[0].unique_id)).await.entries();
        let old = &found[0].entry_uuid;
        let mut submissions: Vec<Submission> =
            (0..7).map(|_| related(AssociationType::Append, old)).collect();
        submissions.insert(3, related(AssociationType::Replace, old));
        let addenda: Vec<String> = submissions
            .iter()
            .filter(|s| s.associations[1].association_type == AssociationType::Append)
            .map(|s| s.document_entries[0].unique_id.clone())
            .collect();
        let (accepted, codes) = all_at_once(&gateway, submissions).await;
        assert!(accepted >= 1);
        assert!(codes.is_empty() || codes == ["XDSRegistryDeprecatedDocumentError"], "{codes:?}");
        for id in &addenda {
            for addendum in gateway.soap().query(&by_id(id)).await.entries() {
                assert_eq!(addendum.availability_status, AvailabilityStatus::Deprecated);
            }
        }
    }
}

/// The first of several with other bytes under one uniqueId wins.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_document_unique_id_with_many_contents() {
    let gateway = Gateway::start().await;
    let unique_id = new_oid();
    let submissions = (0..16)
        .map(|n| {
            let mut s = submission();
            s.document_entries[0].unique_id = unique_id.clone();
            s.document_entries[0].hash = Some(format!("{n:040x}"));
            s
        })
        .collect();
    let (accepted, codes) = all_at_once(&gateway, submissions).await;
    assert_eq!((accepted, codes), (1, vec!["XDSNonIdenticalHash".to_owned()]));
}
