//! What is done again and again while the gateway runs.

use std::sync::Arc;
use std::time::Duration;

use super::Rooms;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::Fault;
use crate::server::clock::Clock;
use crate::service::audit::Audit;
use crate::service::audit::trail::Trail;
use crate::service::gateway::Directory;
use crate::service::outbox::Now;
use crate::service::repository::Repository;
use crate::service::xua::Memory;

/// How often notes of what was brought are looked through for those that are over.
const FORGET: Duration = Duration::from_secs(300);

pub(super) async fn forget(memory: Arc<Memory>, clock: Clock, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(FORGET)).await.is_some() {
        if let Err(e) = memory.forget(clock.now().as_microsecond()).await {
            warn!(
                cause = format!("{e:?}"),
                "what was brought could not be forgotten; the next look will try again"
            );
        }
    }
}

/// How often it is looked whether repeated faults are due for a record.
const FAULT_RECORDS: Duration = Duration::from_secs(60);

/// Looks whether the directory of communities has changed.
pub(super) async fn watch(directory: Directory, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(directory.look_every())).await.is_some() {
        if let Some(read) = directory.look() {
            told(read);
        }
    }
}

pub(super) fn told(read: Result<usize, Vec<Fault>>) {
    match read {
        Ok(communities) => info!(communities, "directory of communities read"),
        Err(faults) => {
            for fault in faults.iter().filter(|f| f.refuses()) {
                warn!(%fault, "directory of communities not read; the one before stays in force");
            }
        }
    }
}

pub(super) async fn record_faults(audit: Audit, clock: Clock, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(FAULT_RECORDS)).await.is_some() {
        audit.write_due_faults(clock.now()).await;
    }
}

/// Chains the audit records, as they come.
pub(super) async fn chain(trail: Trail, often: Duration, clock: Clock, stop: CancellationToken) {
    let mut said = false;
    while stop.run_until_cancelled(tokio::time::sleep(often)).await.is_some() {
        match trail.chain(clock.now().as_microsecond()).await {
            Ok(_) => said = false,
            Err(e) if !said => {
                warn!(cause = format!("{e:?}"), "audit records cannot be chained yet");
                said = true;
            }
            Err(_) => {}
        }
    }
}

pub(super) fn micros(clock: &Clock) -> Now {
    let clock = clock.clone();
    Arc::new(move || clock.now().as_microsecond())
}

/// Delivers what the outbox holds, until it is told to stop.
pub(super) async fn deliver(rooms: Rooms, clock: Clock, stop: CancellationToken) {
    let now = micros(&clock);
    while !stop.is_cancelled() {
        if let Some(mpi) = &rooms.mpi {
            mpi.count_reviews(now()).await;
        }
        if let Err(e) = rooms.outbox.run(&rooms.couriers, &now, &stop).await {
            warn!(cause = format!("{e:?}"), "the outbox cannot be read; the next look will try again");
        }
        stop.run_until_cancelled(rooms.outbox.idle()).await;
    }
}

/// What a crash left can wait until the gateway has come up.
const FIRST_SWEEP: Duration = Duration::from_secs(60);

pub(super) async fn sweep(
    repository: Repository,
    clock: Clock,
    interval: Duration,
    age: Duration,
    stop: CancellationToken,
) {
    let mut pause = FIRST_SWEEP;
    while stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_some() {
        match repository.sweep(clock.now().into(), age).await {
            Ok(swept) if swept.objects + swept.spool_files > 0 => info!(
                objects = swept.objects,
                bytes = swept.object_bytes,
                spool_files = swept.spool_files,
                "swept what nothing refers to"
            ),
            Ok(_) => {}
            Err(e) => warn!(cause = format!("{e:?}"), "the sweep failed; the next one will try again"),
        }
        pause = interval;
    }
}
