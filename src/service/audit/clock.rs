//! Whether our clock is right (ITI-1): the offset to the configured time servers, looked at now and then. It is shown
//! and told, never set.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::config::TimeConfig;
use crate::peer::sntp::{self, Offset, SntpError};

/// How far off we are, by the server whose answer came fastest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Latest {
    pub server: String,
    /// Microseconds that the server is ahead of us.
    pub micros: i64,
    /// Above the limit by more than the way to the server may hide.
    pub alarm: bool,
}

#[derive(Clone)]
pub struct Offsets {
    servers: Arc<[String]>,
    every: Duration,
    /// Microseconds.
    limit: i64,
    latest: Arc<Mutex<Option<Latest>>>,
}

impl Offsets {
    pub fn new(config: &TimeConfig) -> Self {
        Self {
            servers: config.servers.clone().into(),
            every: Duration::from_secs(config.every_seconds),
            limit: i64::try_from(config.limit_ms).unwrap_or(i64::MAX).saturating_mul(1000),
            latest: Arc::default(),
        }
    }

    pub fn latest(&self) -> Option<Latest> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks every server, and takes the answer with the shortest way. What each said is given back, too.
    pub async fn look(&self) -> Vec<(String, Result<Offset, SntpError>)> {
        let mut answers = vec![];
        for server in self.servers.iter() {
            answers.push((server.clone(), sntp::ask(server, Timestamp::now).await));
        }
        let heard = answers.iter().filter_map(|(server, answer)| Some((server, answer.as_ref().ok()?)));
        let best = heard.min_by_key(|(_, offset)| offset.delay);
        let latest = best.map(|(server, offset)| Latest {
            server: server.clone(),
            micros: offset.micros,
            alarm: offset.micros.saturating_abs() - offset.delay / 2 > self.limit,
        });
        if let Some(latest) = latest {
            *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = Some(latest);
        }
        answers
    }

    /// Looks until `stop`, and says when it is wrong.
    pub async fn watch(self, stop: CancellationToken) {
        if self.servers.is_empty() {
            return;
        }
        loop {
            let answers = self.look().await;
            for (server, answer) in &answers {
                if let Err(cause) = answer {
                    tracing::warn!(server, %cause, "a time server cannot be used");
                }
            }
            if let Some(Latest { server, micros, alarm: true }) = self.latest() {
                let seconds = micros as f64 / 1e6;
                tracing::error!(
                    server,
                    seconds,
                    "the clock of this machine is wrong: audit records are, too (ITI-1)"
                );
            }
            if stop.run_until_cancelled(tokio::time::sleep(self.every)).await.is_none() {
                return;
            }
        }
    }
}
