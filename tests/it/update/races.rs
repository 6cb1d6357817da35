//! Several writers at once.

use super::*;

/// Sends all at once; how many were accepted, and the codes the others got.
async fn all_at_once(gateway: &Gateway, updates: Vec<Update>) -> (usize, Vec<String>) {
    let mut tasks = JoinSet::new();
    for u in updates {
        let soap = gateway.soap();
        tasks.spawn(async move { soap.update(&u).await.registry() });
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
async fn sixteen_writers_of_one_lineage() {
    let (gateway, v1, f1) = with_folder().await;
    let versions = (0..16).map(|n| titled(next_entry(update(), "DE", &v1), &format!("版{n}"))).collect();
    assert_eq!(all_at_once(&gateway, versions).await, (1, vec!["XDSMetadataVersionError".to_owned()]));
    let v2 = gateway.entry(PATIENT).await;
    assert_eq!((v2.version, v2.availability_status), (2, Approved));
    assert_eq!(gateway.versions(&v1).await.len(), 2);
    assert_eq!(gateway.associations(&v2.entry_uuid).await.len(), 2);

    let folders = (0..16).map(|_| next_folder(update(), "FD", &f1)).collect();
    assert_eq!(all_at_once(&gateway, folders).await, (1, vec!["XDSMetadataVersionError".to_owned()]));
    assert_eq!(gateway.folder_versions(&f1).await.len(), 2);

    let id = &v2.entry_uuid;
    let statuses = (0..16).map(|_| status_of(update(), id, Approved, Deprecated)).collect();
    assert_eq!(all_at_once(&gateway, statuses).await, (1, vec!["XDSMetadataUpdateError".to_owned()]));
    gateway.assert_verified().await;
}

/// Documents of two patients change places, again and again, in both directions at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_across_patients_do_not_block_each_other() {
    let (gateway, here) = with_document().await;
    gateway.add_patient(OTHER_PATIENT).await;
    gateway.soap().register(&of_patient(submission(), OTHER_PATIENT)).await.assert_success();
    let there = gateway.entry(OTHER_PATIENT).await;
    let mut updates = vec![];
    for _ in 0..8 {
        updates.push(of_other(next_entry(update(), "DE", &here)));
        updates.push(next_entry(update(), "DE", &there).with_patient(PATIENT));
    }
    let (accepted, codes) = all_at_once(&gateway, updates).await;
    assert_eq!((accepted, codes), (2, vec!["XDSMetadataVersionError".to_owned()]));
    assert_eq!(gateway.entry(PATIENT).await.logical_id, there.logical_id);
    assert_eq!(gateway.entry(OTHER_PATIENT).await.logical_id, here.logical_id);
    gateway.assert_verified().await;
}

/// Nobody loses a membership to a version made at the same instant.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_added_while_their_folder_is_updated() {
    let (gateway, _, f1) = with_folder().await;
    let mut tasks: JoinSet<Answer> = JoinSet::new();
    for n in 0..9 {
        let soap = gateway.soap();
        let f1 = f1.clone();
        tasks.spawn(async move {
            if n == 4 {
                return soap.update(&next_folder(update(), "FD", &f1)).await;
            }
            let mut s = submission();
            s.associations.push(has_member("A-FD-DE", &f1.entry_uuid, "DE"));
            s.associations.push(has_member("A-SS-HM", "SS", "A-FD-DE"));
            soap.register(&s).await
        });
    }
    let mut added = 0;
    while let Some(done) = tasks.join_next().await {
        let (status, errors) = done.expect("an answer").registry();
        match status {
            ResponseStatus::Success => added += 1,
            _ => assert_eq!(errors[0].0, "XDSRegistryDeprecatedDocumentError"),
        }
    }
    let f2 = gateway.folder(PATIENT).await;
    assert_eq!(f2.version, 2);
    // The document it began with, and each that was accepted beside the update; and the SubmissionSet's.
    let members = gateway.associations(&f2.entry_uuid).await;
    assert_eq!(members.iter().filter(|a| a.source_object == f2.entry_uuid).count(), added);
    gateway.assert_verified().await;
}
