//! Our records to audit repositories (ITI-20): in the order of the chain, at least once, with a cursor for each
//! repository in the database (security.md 2.6-3).
//!
//! Syslog has no acknowledgement. A record counts as delivered when it was written and the connection still stood
//! some seconds later, or when we said goodbye and were answered; after anything else, it is sent again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::trail::Trail;
use crate::config::AuditRepositoryConfig;
use crate::model::audit::AuditEvent;
use crate::model::audit::compose::compose;
use crate::peer::syslog::{Line, SyslogClient, SyslogError};
use crate::store::audit::chain::{self, Chain};
use crate::store::db::DbError;
use crate::store::{audit, lease};

/// Tells the time, in microseconds since 1970.
pub type Now = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Records read and written at once, and looks for new ones.
const TOGETHER: i64 = 200;
const LOOK: Duration = Duration::from_millis(250);
/// How long a gateway that sends to a repository has it for itself without saying so again.
const LEASE: i64 = 30_000_000;
/// Between attempts to reach a repository.
const SHORTEST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(60);
/// Records that were written and do not count as delivered yet: more wait for those.
const UNCONFIRMED: usize = 20_000;

/// How a repository stands.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Standing {
    pub repository: String,
    pub connected: bool,
    /// Records sent since the start, those sent again included.
    pub sent: u64,
    /// Connections that failed or broke.
    pub failures: u64,
    /// Records in the chain that do not count as delivered.
    pub behind: i64,
}

/// Sends to one repository. Clones share it.
#[derive(Clone)]
pub struct Forwarder {
    trail: Trail,
    client: Arc<SyslogClient>,
    name: Arc<str>,
    confirm: Duration,
    /// Names this process among those that hold leases.
    holder: Arc<str>,
    standing: Arc<Mutex<Standing>>,
}

/// Why a connection is given up.
#[derive(Debug, thiserror::Error)]
enum Stop {
    #[error(transparent)]
    Line(#[from] SyslogError),
    #[error("the database: {0}")]
    Database(#[from] DbError),
    /// Another gateway sends.
    #[error("another gateway sends to it")]
    Elsewhere,
}

impl Forwarder {
    pub fn new(trail: Trail, config: &AuditRepositoryConfig, host: &str) -> anyhow::Result<Self> {
        let standing = Standing { repository: config.name.clone(), ..Standing::default() };
        Ok(Self {
            trail,
            client: Arc::new(SyslogClient::new(config, host)?),
            name: config.name.as_str().into(),
            confirm: Duration::from_secs(config.confirm_seconds),
            holder: uuid::Uuid::new_v4().to_string().into(),
            standing: Arc::new(Mutex::new(standing)),
        })
    }

    pub fn standing(&self) -> Standing {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends until `stop`.
    pub async fn run(self, now: Now, stop: CancellationToken) {
        let mut pause = SHORTEST;
        while !stop.is_cancelled() {
            let begun = Instant::now();
            let ended = self.connection(&now, &stop).await;
            self.lock().connected = false;
            match ended {
                Ok(()) => pause = SHORTEST,
                Err(Stop::Elsewhere) => pause = LOOK.max(SHORTEST),
                Err(cause) => {
                    self.lock().failures += 1;
                    tracing::warn!(repository = %self.name, %cause, "audit records wait");
                    // One that stood a while was a good one.
                    pause = if begun.elapsed() > LONGEST { SHORTEST } else { (pause * 2).min(LONGEST) };
                }
            }
            // Gateways that lost the same repository do not come back all at once.
            let jitter = u32::from(uuid::Uuid::new_v4().as_bytes()[0]);
            let wait = pause + pause * jitter / 1024;
            stop.run_until_cancelled(tokio::time::sleep(wait)).await;
        }
        let _ = self.give_back().await;
    }

    /// Waits for something to send, connects, and sends as long as it holds.
    async fn connection(&self, now: &Now, stop: &CancellationToken) -> Result<(), Stop> {
        let mut cursor = loop {
            let (cursor, length) = self.where_we_are().await?;
            if length > cursor {
                break cursor;
            }
            if stop.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_none() {
                // The record of the stop itself.
                match self.where_we_are().await? {
                    (cursor, length) if length > cursor => break cursor,
                    _ => return Ok(()),
                }
            }
        };
        self.keep(cursor, now()).await?;
        // Another gateway may have gone on meanwhile.
        cursor = self.where_we_are().await?.0;
        let mut line = self.client.open().await?;
        self.lock().connected = true;
        let (mut sent, mut unconfirmed) = (cursor, VecDeque::new());
        loop {
            let held = unconfirmed.len() >= UNCONFIRMED;
            let records = if held { vec![] } else { self.next(sent).await? };
            if !records.is_empty() && unconfirmed.is_empty() {
                // The lease may have passed on while there was nothing to do.
                self.keep(cursor, now()).await?;
                let (known, _) = self.where_we_are().await?;
                if known > sent {
                    (sent, cursor) = (known, known);
                    continue;
                }
            }
            let idle = records.is_empty();
            sent = self.write(&mut line, records, sent, &mut unconfirmed).await?;
            let patience = if idle { LOOK } else { Duration::ZERO };
            let stopping = tokio::select! {
                up = line.stands(patience) => { up?; false }
                () = stop.cancelled() => true,
            };
            if stopping {
                loop {
                    let rest = self.next(sent).await?;
                    if rest.is_empty() {
                        break;
                    }
                    sent = self.write(&mut line, rest, sent, &mut unconfirmed).await?;
                }
                if line.goodbye().await {
                    self.advance(sent, now()).await?;
                }
                return Ok(());
            }
            let delivered = match self.client.is_datagram() {
                true => sent,
                false => delivered(&mut unconfirmed, self.confirm).unwrap_or(cursor),
            };
            if delivered > cursor {
                cursor = delivered;
                if self.client.is_datagram() {
                    unconfirmed.clear();
                }
                self.advance(cursor, now()).await?;
            }
        }
    }

    /// The cursor, and the chain's length.
    async fn where_we_are(&self) -> Result<(i64, i64), DbError> {
        let name = self.name.clone();
        let (cursor, length): (i64, i64) = self
            .trail
            .db
            .read::<_, DbError, _>(move |tx| {
                let name = name.clone();
                Box::pin(async move {
                    let cursor = chain::cursor(tx, &name).await?.unwrap_or_default();
                    Ok((cursor, chain::length(tx, Chain::Own).await?))
                })
            })
            .await?;
        self.lock().behind = length - cursor;
        Ok((cursor, length))
    }

    /// The records after `seq`, by their number. Those purged or spoiled are passed over.
    async fn next(&self, seq: i64) -> Result<Vec<(i64, Option<AuditEvent>)>, DbError> {
        self.trail
            .db
            .read::<_, DbError, _>(move |tx| {
                Box::pin(async move {
                    let Some(segment) = chain::beyond(tx, Chain::Own, seq, 1).await?.pop() else {
                        return Ok(vec![]);
                    };
                    if segment.purged_at.is_some() {
                        return Ok(vec![(segment.last_seq, None)]);
                    }
                    let links = (segment.first_seq..).zip(segment.links).skip_while(|(n, _)| *n <= seq);
                    let page = usize::try_from(TOGETHER).unwrap_or(usize::MAX);
                    let links: Vec<(i64, String)> = links.take(page).map(|(n, (id, _))| (n, id)).collect();
                    let ids: Vec<String> = links.iter().map(|(_, id)| id.clone()).collect();
                    let mut found = audit::by_ids(tx, &ids).await?;
                    let mut take = |id: &str| {
                        let at = found.iter().position(|e| e.id == id)?;
                        Some(found.swap_remove(at))
                    };
                    Ok(links.into_iter().map(|(n, id)| (n, take(&id))).collect())
                })
            })
            .await
    }

    /// Writes records; the number of the last.
    async fn write(
        &self,
        line: &mut Line,
        records: Vec<(i64, Option<AuditEvent>)>,
        sent: i64,
        unconfirmed: &mut VecDeque<(i64, Instant)>,
    ) -> Result<i64, Stop> {
        let Some(last) = records.last().map(|(seq, _)| *seq) else { return Ok(sent) };
        let mut messages = vec![];
        for (_, event) in &records {
            for message in event.iter().flat_map(|event| compose(event, self.trail.reporter())) {
                let process = event.as_ref().and_then(|e| e.facts.process).unwrap_or_else(std::process::id);
                messages.push((process, message));
            }
        }
        line.send(&messages).await?;
        let at = Instant::now();
        unconfirmed.extend(records.iter().map(|(seq, _)| (*seq, at)));
        self.lock().sent += records.len() as u64;
        Ok(last)
    }

    /// Moves the cursor on, and keeps the repository for us.
    async fn advance(&self, cursor: i64, now: i64) -> Result<(), Stop> {
        self.keep(cursor, now).await?;
        self.where_we_are().await?;
        Ok(())
    }

    async fn keep(&self, cursor: i64, now: i64) -> Result<(), Stop> {
        let (name, holder) = (self.name.clone(), self.holder.clone());
        let ours: bool = self
            .trail
            .db
            .write::<_, DbError, _>(move |tx| {
                let (name, holder) = (name.clone(), holder.clone());
                Box::pin(async move {
                    let ours =
                        lease::take(tx, &lease_of(&name), &holder, now, now.saturating_add(LEASE)).await?;
                    if ours && cursor > 0 {
                        chain::move_cursor(tx, &name, cursor, now).await?;
                    }
                    Ok(ours)
                })
            })
            .await?;
        if ours { Ok(()) } else { Err(Stop::Elsewhere) }
    }

    async fn give_back(&self) -> Result<(), DbError> {
        let (name, holder) = (self.name.clone(), self.holder.clone());
        self.trail
            .db
            .write(move |tx| {
                let (name, holder) = (name.clone(), holder.clone());
                Box::pin(async move { lease::release(tx, &lease_of(&name), &holder).await })
            })
            .await
    }
}

fn lease_of(repository: &str) -> String {
    format!("audit to {repository}")
}

/// Takes out what has stood long enough; the number of the last.
fn delivered(unconfirmed: &mut VecDeque<(i64, Instant)>, confirm: Duration) -> Option<i64> {
    let mut last = None;
    while let Some((seq, at)) = unconfirmed.front()
        && at.elapsed() >= confirm
    {
        last = Some(*seq);
        unconfirmed.pop_front();
    }
    last
}
