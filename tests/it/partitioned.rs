//! PostgreSQL tables split by patient (deploy/postgres/partition.sql). The whole suite runs on such tables too:
//! `TEST_PARTITIONS=4` beside `TEST_DATABASE_URL`.

use chiren::model::metadata::AssociationType;

use crate::support::Gateway;
use crate::support::gateway::partition;
use crate::support::samples::*;
use crate::support::updates::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_is_partitioned_and_goes_on() {
    if std::env::var("TEST_DATABASE_URL").is_err() || std::env::var("TEST_PARTITIONS").is_ok() {
        return; // one file is not partitioned; and nothing is twice
    }
    let gateway = Gateway::start().await;
    gateway.soap().register(&submission_with_folder()).await.assert_success();
    let before = gateway.all(PATIENT).await;
    let old = gateway.entry(PATIENT).await;
    let (dir, config) = gateway.stop().await;

    partition(&config, "4").await;

    let gateway = Gateway::start_in(dir, config).await;
    assert_eq!(gateway.all(PATIENT).await, before);
    gateway.soap().register(&related(AssociationType::Replace, &old.entry_uuid)).await.assert_success();
    let entry = gateway.soap().query(&find_documents(PATIENT)).await.entries().remove(0);
    assert_ne!(entry.entry_uuid, old.entry_uuid);
    gateway.soap().update(&next_entry(update(), "E2", &entry)).await.assert_success();
    assert_eq!(gateway.versions(&entry).await.len(), 2);
    gateway.assert_verified().await;
}
