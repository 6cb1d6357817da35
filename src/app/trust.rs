//! What is looked after while the gateway serves: the directory of nodes, certificates, authorities and revocation
//! lists. They are read again when they change; what is about to end is said in time.

use std::path::PathBuf;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::config::{Config, Fault, tls, x509};
use crate::model::audit::Outcome;
use crate::server::clock::Clock;
use crate::server::gate::Gate;
use crate::server::metrics;
use crate::server::tls::{Acceptor, Dated, DatedKind, TlsError};
use crate::service::nodes::Reading;

/// See the module.
#[derive(Clone)]
pub struct Trust {
    pub gate: Gate,
    pub acceptors: Vec<Acceptor>,
    /// Certificates we present to others: the section that names them, and the file.
    pub outbound: Vec<(String, PathBuf)>,
    pub clock: Clock,
}

/// Days before its end at which a certificate is spoken of, and how loudly.
const WARNINGS: [i64; 3] = [7, 30, 60];

/// How often open connections are looked at for certificates and lists that have come to their end.
const REVIEW_EVERY: std::time::Duration = std::time::Duration::from_secs(600);

/// Certificates that a configuration presents to others.
pub fn outbound(config: &Config) -> Vec<(String, PathBuf)> {
    let mut all = vec![];
    let mut add = |section: String, file: &Option<PathBuf>| {
        all.extend(file.iter().map(|file| (section.clone(), file.clone())));
    };
    if let Some(peer) = &config.repository.remote_registry {
        add("repository.remote_registry".into(), &peer.certificate);
    }
    for (i, peer) in config.asynchronous.reply_to.iter().enumerate() {
        add(format!("asynchronous.reply_to[{i}]"), &peer.certificate);
    }
    for community in &config.community {
        add(format!("community {}", community.id), &community.certificate);
    }
    for foreign in &config.foreign_repository {
        add(format!("foreign_repository {}", foreign.id), &foreign.peer.certificate);
    }
    for (i, consumer) in config.mpi.consumer.iter().enumerate() {
        add(format!("mpi.consumer[{i}]"), &consumer.certificate);
    }
    all
}

impl Trust {
    /// Looks until `stop`.
    pub async fn watch(self, stop: CancellationToken) {
        let mut said: Option<Date> = None;
        let mut reviewed = std::time::Instant::now();
        loop {
            let day = self.clock.now().to_zoned(TimeZone::UTC).date();
            let fresh_day = said != Some(day);
            self.deadlines(fresh_day).await;
            said = Some(day);
            let pause = tokio::time::sleep(self.gate.nodes.look_every());
            if stop.run_until_cancelled(pause).await.is_none() {
                return;
            }
            self.look().await;
            if reviewed.elapsed() >= REVIEW_EVERY {
                reviewed = std::time::Instant::now();
                self.acceptors.iter().for_each(|acceptor| _ = acceptor.review());
            }
        }
    }

    /// Reads what has changed, and closes what may not stay open.
    pub async fn look(&self) {
        let now = Timestamp::now();
        match self.gate.nodes.look(now) {
            Some(read) => self.directory(read).await,
            // Nodes come to their last day without a change of the file.
            None => _ = self.gate.nodes.review(now),
        }
        for acceptor in &self.acceptors {
            if let Some(read) = acceptor.look() {
                let (listener, read) = crate::server::told(acceptor, read);
                self.certificates(&listener, &read).await;
            }
        }
    }

    /// Reads everything again: SIGHUP.
    pub async fn reload(&self) {
        if self.gate.nodes.kept() {
            self.directory(self.gate.nodes.reload(Timestamp::now())).await;
        }
        for acceptor in &self.acceptors {
            let (listener, read) = crate::server::told(acceptor, acceptor.reload());
            self.certificates(&listener, &read).await;
        }
    }

    async fn directory(&self, read: Result<Reading, Vec<Fault>>) {
        match read {
            Ok(Reading { nodes, closed }) => {
                info!(nodes, closed, "directory of nodes read");
                self.gate.configuration("directory of nodes", "directory-read", Outcome::Success).await;
            }
            Err(faults) => {
                for fault in faults.iter().filter(|f| f.refuses()) {
                    warn!(%fault, "directory of nodes not read; the one before stays in force");
                }
                let outcome = Outcome::MinorFailure;
                self.gate.configuration("directory of nodes", "directory-not-read", outcome).await;
            }
        }
    }

    async fn certificates(&self, listener: &str, read: &Result<usize, TlsError>) {
        let (label, outcome) = match read {
            Ok(_) => ("certificates-read", Outcome::Success),
            Err(_) => ("certificates-not-read", Outcome::MinorFailure),
        };
        self.gate.configuration(listener, label, outcome).await;
    }

    /// Tells the metrics how long everything is good, and once a day the log what is about to end.
    async fn deadlines(&self, say: bool) {
        let now = self.clock.now();
        metrics::nodes(self.gate.nodes.now().entries().len(), &self.gate.nodes.figures());
        for acceptor in &self.acceptors {
            for dated in acceptor.dated() {
                let file = dated.path.display().to_string();
                match dated.kind {
                    DatedKind::RevocationList => {
                        metrics::next_update(acceptor.name(), &file, dated.to.as_second());
                        if say {
                            self.list(acceptor, &dated, now).await;
                        }
                    }
                    DatedKind::Certificate | DatedKind::Authority => {
                        metrics::not_after(acceptor.name(), &file, dated.to.as_second());
                        if say {
                            ending(acceptor.name(), &file, dated.to, now);
                        }
                    }
                }
            }
        }
        for (section, path) in &self.outbound {
            let leaf = tls::certificates(path).ok().and_then(|chain| chain.into_iter().next());
            if let Some(validity) = leaf.and_then(|leaf| x509::validity(&leaf)) {
                let file = path.display().to_string();
                metrics::not_after(section, &file, validity.not_after.as_second());
                if say {
                    ending(section, &file, validity.not_after, now);
                }
            }
        }
    }

    /// A revocation list past half its time, in its grace, or over: then its authority's nodes are refused.
    async fn list(&self, acceptor: &Acceptor, dated: &Dated, now: Timestamp) {
        let (listener, file, until) = (acceptor.name(), dated.path.display(), dated.to);
        let grace = acceptor.grace();
        let end = until.saturating_add(grace).unwrap_or(Timestamp::MAX);
        let label = if now > end {
            error!(listener, %file, %until, "revocation list too old: nodes of its authority are refused");
            "revocation-list-over"
        } else if now > until {
            warn!(listener, %file, %until, refused_from = %end, "revocation list too old, used by grace");
            "revocation-list-in-grace"
        } else if now.duration_since(dated.from) > until.duration_since(now) {
            warn!(listener, %file, %until, "more than half of a revocation list's time is over");
            return;
        } else {
            return;
        };
        self.gate.configuration(listener, label, Outcome::MinorFailure).await;
    }
}

/// Days that are left, where that is worth a word.
pub fn days_left(until: Timestamp, now: Timestamp) -> Option<i64> {
    let left = until.duration_since(now);
    let most = SignedDuration::from_hours(WARNINGS[2] * 24);
    (left < most).then(|| left.as_hours().div_euclid(24))
}

fn ending(of: &str, file: &str, until: Timestamp, now: Timestamp) {
    match days_left(until, now) {
        None => {}
        Some(days) if days < 0 => error!(of, file, %until, "certificate is over"),
        Some(days) if days <= WARNINGS[0] => error!(of, file, %until, days, "certificate ends within 7 days"),
        Some(days) if days <= WARNINGS[1] => warn!(of, file, %until, days, "certificate ends within 30 days"),
        Some(days) => warn!(of, file, %until, days, "certificate ends within 60 days"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_down_from_sixty() {
        let now: Timestamp = "2026-11-22T00:00:00Z".parse().unwrap();
        let after = |hours| days_left(now + SignedDuration::from_hours(hours), now);
        assert_eq!(after(24 * 61), None);
        assert_eq!(after(24 * 60 - 1), Some(59));
        assert_eq!(after(25), Some(1));
        assert_eq!(after(-1), Some(-1));
    }

    /// What is logged, at this many hours before a certificate's end.
    fn logged(hours: i64) -> String {
        use std::io::{Result, Write};
        use std::sync::{Arc, Mutex};
        #[derive(Clone, Default)]
        struct Said(Arc<Mutex<Vec<u8>>>);
        impl Write for Said {
            fn write(&mut self, bytes: &[u8]) -> Result<usize> {
                self.0.lock().unwrap().write(bytes)
            }
            fn flush(&mut self) -> Result<()> {
                Ok(())
            }
        }
        let now: Timestamp = "2026-11-22T00:00:00Z".parse().unwrap();
        let said = Said::default();
        let writer = said.clone();
        let log = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .with_ansi(false)
            .without_time()
            .finish();
        tracing::subscriber::with_default(log, || {
            ending("soap", "gw.pem", now + SignedDuration::from_hours(hours), now);
        });
        let bytes = said.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn an_end_is_said_at_sixty_thirty_and_seven_days() {
        assert_eq!(logged(24 * 61), "");
        for (hours, level, words) in [
            (24 * 60 - 1, "WARN", "within 60 days"),
            (24 * 31 - 1, "WARN", "within 30 days"),
            (24 * 8 - 1, "ERROR", "within 7 days"),
            (-1, "ERROR", "is over"),
        ] {
            let said = logged(hours);
            assert!(said.trim_start().starts_with(level) && said.contains(words), "{hours}: {said}");
            assert!(said.contains("gw.pem"), "{said}");
        }
    }
}
