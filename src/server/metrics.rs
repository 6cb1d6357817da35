//! What is counted, and its Prometheus text.
//!
//! | metric | labels | unit |
//! | --- | --- | --- |
//! | `chiren_requests_total` | transaction, outcome | |
//! | `chiren_request_duration_seconds` | transaction | s, histogram |
//! | `chiren_request_bytes_total`, `chiren_response_bytes_total` | transaction | bytes |
//! | `chiren_requests_in_flight` | | |
//! | `chiren_answers_elsewhere_total` | transaction, outcome | |
//! | `chiren_outbox_waiting`, `chiren_outbox_parked` | | |
//! | `chiren_outbox_delivered_total`, `chiren_outbox_failed_total` | | |
//! | `chiren_community_breaker` | community | 0 closed, 1 half-open, 2 open |
//! | `chiren_community_requests_in_flight` | community | |
//! | `chiren_community_answers_total` | community | |
//! | `chiren_community_failures_total` | community, step | |
//! | `chiren_community_last_answer_seconds` | community | s |
//! | `chiren_national_lane` | institution | 0 open, 1 failing, 2 resting, 3 paused |
//! | `chiren_national_waiting`, `chiren_national_parked` | institution | |
//! | `chiren_national_oldest_seconds` | institution | s |
//! | `chiren_national_held`, `chiren_national_worklist` | institution | |
//! | `chiren_national_delivered_total`, `chiren_national_failed_total` | institution | |
//! | `chiren_connections` | listener | |
//! | `chiren_connections_refused_total` | listener, limit | |
//! | `chiren_handshakes_failed_total` | listener | |
//! | `chiren_nodes` | | |
//! | `chiren_node_connections` | node | |
//! | `chiren_node_limited_total` | node | |
//! | `chiren_certificate_not_after_seconds` | of, file | s since 1970 |
//! | `chiren_crl_next_update_seconds` | listener, file | s since 1970 |
//! | `chiren_mllp_framing_total` | listener, fault | |
//! | `chiren_audit_received_total` | listener, outcome | |
//! | `chiren_audit_behind`, `chiren_audit_connected` | repository | records; 1 while connected |
//! | `chiren_audit_sent_total`, `chiren_audit_failures_total` | repository | |
//! | `chiren_security_alarms_total` | | |
//! | `chiren_clock_offset_seconds`, `chiren_clock_alarm` | | s; 1 above the limit |
//! | `chiren_mpi_feeds_total` | outcome | |
//! | `chiren_mpi_candidates` | | identities, histogram |
//! | `chiren_mpi_reviews` | state | |
//! | `chiren_database_writes_waiting` | | |
//! | `chiren_database_writes_total`, `chiren_database_commits_total` | | |
//! | `chiren_database_connections`, `chiren_database_connections_idle` | | |
//! | `chiren_store_operations_total` | operation, outcome | |
//! | `chiren_store_operation_duration_seconds` | operation | s, histogram |

use std::sync::Arc;
use std::time::Duration;

use crate::service::audit::forward::Standing as AuditStanding;
use crate::service::gateway::{BreakerState, Scoreboard, Standing};
use crate::service::national::{LaneStanding, LaneState};
use crate::service::outbox::OutboxStatus;
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use crate::service::mpi::meter as mpi;
use crate::service::repository::meter::{DURATION as STORE_DURATION, OPERATIONS as STORE_OPERATIONS};

const REQUESTS: &str = "chiren_requests_total";
const DURATION: &str = "chiren_request_duration_seconds";
const BYTES_IN: &str = "chiren_request_bytes_total";
const BYTES_OUT: &str = "chiren_response_bytes_total";
const IN_FLIGHT: &str = "chiren_requests_in_flight";
const ELSEWHERE: &str = "chiren_answers_elsewhere_total";
const OUTBOX_WAITING: &str = "chiren_outbox_waiting";
const OUTBOX_PARKED: &str = "chiren_outbox_parked";
const OUTBOX_DELIVERED: &str = "chiren_outbox_delivered_total";
const OUTBOX_FAILED: &str = "chiren_outbox_failed_total";
const COMMUNITY_BREAKER: &str = "chiren_community_breaker";
const COMMUNITY_IN_FLIGHT: &str = "chiren_community_requests_in_flight";
const COMMUNITY_ANSWERS: &str = "chiren_community_answers_total";
const COMMUNITY_FAILURES: &str = "chiren_community_failures_total";
const COMMUNITY_LAST: &str = "chiren_community_last_answer_seconds";
const NATIONAL_LANE: &str = "chiren_national_lane";
const NATIONAL_WAITING: &str = "chiren_national_waiting";
const NATIONAL_OLDEST: &str = "chiren_national_oldest_seconds";
const NATIONAL_PARKED: &str = "chiren_national_parked";
const NATIONAL_HELD: &str = "chiren_national_held";
const NATIONAL_WORKLIST: &str = "chiren_national_worklist";
const NATIONAL_DELIVERED: &str = "chiren_national_delivered_total";
const NATIONAL_FAILED: &str = "chiren_national_failed_total";
const CONNECTIONS: &str = "chiren_connections";
const CONNECTIONS_REFUSED: &str = "chiren_connections_refused_total";
const HANDSHAKES_FAILED: &str = "chiren_handshakes_failed_total";
const NODES: &str = "chiren_nodes";
const NODE_CONNECTIONS: &str = "chiren_node_connections";
const NODE_LIMITED: &str = "chiren_node_limited_total";
const NOT_AFTER: &str = "chiren_certificate_not_after_seconds";
const NEXT_UPDATE: &str = "chiren_crl_next_update_seconds";
const MLLP_FRAMING: &str = "chiren_mllp_framing_total";
const AUDIT_RECEIVED: &str = "chiren_audit_received_total";
const AUDIT_BEHIND: &str = "chiren_audit_behind";
const AUDIT_CONNECTED: &str = "chiren_audit_connected";
const AUDIT_SENT: &str = "chiren_audit_sent_total";
const AUDIT_FAILURES: &str = "chiren_audit_failures_total";
const ALARMS: &str = "chiren_security_alarms_total";
const CLOCK_OFFSET: &str = "chiren_clock_offset_seconds";
const CLOCK_ALARM: &str = "chiren_clock_alarm";
const WRITES_WAITING: &str = "chiren_database_writes_waiting";
const WRITES: &str = "chiren_database_writes_total";
const COMMITS: &str = "chiren_database_commits_total";
const DATABASE_CONNECTIONS: &str = "chiren_database_connections";
const DATABASE_IDLE: &str = "chiren_database_connections_idle";

/// Upper bounds in seconds: fine where a query lives, coarse where an upload does.
const BUCKETS: &[f64] = &[
    0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0,
    300.0, 600.0,
];

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Success,
    /// Success, with warnings in the answer.
    Warning,
    /// PartialSuccess.
    Partial,
    /// 202: its answer goes elsewhere.
    Accepted,
    /// A registry response with status Failure.
    Failure,
    /// A SOAP fault of the sender's making.
    Fault,
    /// Refused as HTTP.
    Refused,
    /// Shed: too much to do, or not done in time.
    Busy,
    /// The database or the documents are away, or a disk is full; nothing was changed.
    Unavailable,
    /// Our own failure.
    Internal,
    /// The answer did not go out whole.
    Aborted,
}

impl Outcome {
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Success => "success",
            Outcome::Warning => "warning",
            Outcome::Partial => "partial",
            Outcome::Accepted => "accepted",
            Outcome::Failure => "failure",
            Outcome::Fault => "fault",
            Outcome::Refused => "refused",
            Outcome::Busy => "busy",
            Outcome::Unavailable => "unavailable",
            Outcome::Internal => "internal",
            Outcome::Aborted => "aborted",
        }
    }

    /// Seconds after which the same request may usefully be sent again, where it may: `Retry-After`. Load
    /// passes by itself; a database or a disk somebody has to see to.
    pub fn retry_after(self) -> Option<u32> {
        match self {
            Outcome::Busy => Some(2),
            Outcome::Unavailable => Some(30),
            _ => None,
        }
    }
}

/// The recorder of this process, rendered on ops listeners.
#[derive(Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
    database: Option<Arc<dyn Fn() -> Database + Send + Sync>>,
    outbox: Option<Arc<dyn Fn() -> OutboxStatus + Send + Sync>>,
    communities: Option<Arc<dyn Fn() -> Scoreboard + Send + Sync>>,
    audit: Option<Arc<dyn Fn() -> Audited + Send + Sync>>,
    national: Option<Arc<dyn Fn() -> Vec<LaneStanding> + Send + Sync>>,
}

/// What the audit trail says of itself.
#[derive(Debug, Clone, Default)]
pub struct Audited {
    pub repositories: Vec<AuditStanding>,
    /// Alarms raised since the start.
    pub alarms: u64,
    /// Microseconds that time servers are ahead of us, and whether that is an alarm.
    pub offset: Option<(i64, bool)>,
}

/// What the database says of itself when it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Database {
    pub writes_waiting: u64,
    pub writes: u64,
    pub commits: u64,
    pub connections: u64,
    pub idle: u64,
}

fn builder() -> Option<PrometheusBuilder> {
    let buckets = |builder: PrometheusBuilder, metric: &str, bounds: &[f64]| {
        builder.set_buckets_for_metric(Matcher::Full(metric.into()), bounds).ok()
    };
    let builder = buckets(PrometheusBuilder::new(), DURATION, BUCKETS)?;
    buckets(buckets(builder, STORE_DURATION, BUCKETS)?, mpi::CANDIDATES, mpi::BOUNDS)
}

impl Metrics {
    /// Makes the process's recorder. `None` if there is one already.
    pub fn install() -> Option<Metrics> {
        let handle = builder()?.install_recorder().ok()?;
        describe();
        Some(Metrics { handle, database: None, outbox: None, communities: None, audit: None, national: None })
    }

    /// With the figures of the database, asked for at each scrape.
    pub fn with_database(self, figures: impl Fn() -> Database + Send + Sync + 'static) -> Self {
        Self { database: Some(Arc::new(figures)), ..self }
    }

    /// With the figures of the outbox.
    pub fn with_outbox(self, figures: impl Fn() -> OutboxStatus + Send + Sync + 'static) -> Self {
        Self { outbox: Some(Arc::new(figures)), ..self }
    }

    /// With the scoreboard of communities.
    pub fn with_communities(self, board: impl Fn() -> Scoreboard + Send + Sync + 'static) -> Self {
        Self { communities: Some(Arc::new(board)), ..self }
    }

    /// With the figures of the audit trail.
    pub fn with_audit(self, figures: impl Fn() -> Audited + Send + Sync + 'static) -> Self {
        Self { audit: Some(Arc::new(figures)), ..self }
    }

    /// With the lanes to the national service.
    pub fn with_national(self, lanes: impl Fn() -> Vec<LaneStanding> + Send + Sync + 'static) -> Self {
        Self { national: Some(Arc::new(lanes)), ..self }
    }

    /// Prometheus text, version 0.0.4.
    pub fn render(&self) -> String {
        if let Some(figures) = &self.database {
            tell(figures());
        }
        if let Some(figures) = &self.outbox {
            let OutboxStatus { delivered, failed, waiting, parked } = figures();
            gauge!(OUTBOX_WAITING).set(waiting as f64);
            gauge!(OUTBOX_PARKED).set(parked as f64);
            counter!(OUTBOX_DELIVERED).absolute(delivered);
            counter!(OUTBOX_FAILED).absolute(failed);
        }
        if let Some(board) = &self.communities {
            let Scoreboard { communities, repositories, .. } = board();
            communities.iter().chain(&repositories).for_each(score);
        }
        if let Some(figures) = &self.audit {
            trail(&figures());
        }
        if let Some(lanes) = &self.national {
            lanes().iter().for_each(lane);
        }
        self.handle.render()
    }

    /// Folds what was recorded into the histograms; to be called every few seconds, lest samples
    /// pile up between scrapes.
    pub fn run_upkeep(&self) {
        self.handle.run_upkeep();
    }
}

fn describe() {
    describe_counter!(REQUESTS, "Requests answered, by transaction and outcome");
    describe_histogram!(DURATION, Unit::Seconds, "Time from a request's head to the end of its answer");
    describe_counter!(BYTES_IN, Unit::Bytes, "Bytes of request bodies");
    describe_counter!(BYTES_OUT, Unit::Bytes, "Bytes of answer bodies");
    describe_gauge!(IN_FLIGHT, "Requests under way");
    describe_counter!(ELSEWHERE, "Accepted requests done, by transaction and outcome");
    describe_gauge!(OUTBOX_WAITING, "Rows of the outbox to be delivered");
    describe_gauge!(OUTBOX_PARKED, "Rows of the outbox given up");
    describe_counter!(OUTBOX_DELIVERED, "Rows of the outbox delivered");
    describe_counter!(OUTBOX_FAILED, "Attempts to deliver a row of the outbox that failed");
    describe_gauge!(COMMUNITY_BREAKER, "Breaker of a community: 0 closed, 1 half-open, 2 open");
    describe_gauge!(COMMUNITY_IN_FLIGHT, "Requests to a community under way");
    describe_counter!(COMMUNITY_ANSWERS, "Answers of a community");
    describe_counter!(COMMUNITY_FAILURES, "Requests a community did not answer, by the step that failed");
    describe_gauge!(COMMUNITY_LAST, Unit::Seconds, "Time of a community's last answer");
    describe_gauge!(NATIONAL_LANE, "Lane to the national service: 0 open, 1 failing, 2 resting, 3 paused");
    describe_gauge!(NATIONAL_WAITING, "Deliveries to be sent, or not finished there");
    describe_gauge!(NATIONAL_OLDEST, Unit::Seconds, "Age of the oldest delivery that waits");
    describe_gauge!(NATIONAL_PARKED, "Deliveries given up");
    describe_gauge!(NATIONAL_HELD, "Documents that wait for a fact");
    describe_gauge!(NATIONAL_WORKLIST, "Documents that break rules");
    describe_counter!(NATIONAL_DELIVERED, "Deliveries that arrived");
    describe_counter!(NATIONAL_FAILED, "Attempts to deliver that failed");
    describe_gauge!(CONNECTIONS, "Connections open");
    describe_counter!(CONNECTIONS_REFUSED, "Connections refused because too many were open");
    describe_counter!(HANDSHAKES_FAILED, "TLS handshakes that failed");
    describe_gauge!(NODES, "Nodes of the directory in force");
    describe_gauge!(NODE_CONNECTIONS, "Connections open of a node");
    describe_counter!(NODE_LIMITED, "Requests and connections refused for a node's rate class");
    describe_gauge!(NOT_AFTER, Unit::Seconds, "When a certificate in use ends, since 1970");
    describe_gauge!(NEXT_UPDATE, Unit::Seconds, "By when a revocation list must be replaced, since 1970");
    describe_counter!(MLLP_FRAMING, "Faults of MLLP framing: restarted, noise, endless");
    describe_counter!(mpi::FEEDS, "Feeds of the index of patients, by outcome");
    describe_histogram!(mpi::CANDIDATES, "Identities a new or changed one was weighed against");
    describe_gauge!(mpi::REVIEWS, "Review tasks that are open, by state");
    describe_counter!(AUDIT_RECEIVED, "Audit records of other systems: stored, framing, lost");
    describe_gauge!(AUDIT_BEHIND, "Chained audit records that a repository does not have");
    describe_gauge!(AUDIT_CONNECTED, "Whether a repository is connected: 1 or 0");
    describe_counter!(AUDIT_SENT, "Audit records sent to a repository, repeats included");
    describe_counter!(AUDIT_FAILURES, "Connections to a repository that failed or broke");
    describe_counter!(ALARMS, "Alarms: too many failures within a minute");
    describe_gauge!(CLOCK_OFFSET, Unit::Seconds, "How far time servers are ahead of our clock");
    describe_gauge!(CLOCK_ALARM, "Whether the offset is above its limit: 1 or 0");
    describe_gauge!(WRITES_WAITING, "Writes waiting for their turn (SQLite)");
    describe_counter!(WRITES, "Writes made (SQLite)");
    describe_counter!(COMMITS, "Commits the writes were made in (SQLite)");
    describe_gauge!(DATABASE_CONNECTIONS, "Connections to the database; readers on SQLite");
    describe_gauge!(DATABASE_IDLE, "Connections to the database that nobody uses");
    describe_counter!(STORE_OPERATIONS, "Operations on the document store, by operation and outcome");
    describe_histogram!(STORE_DURATION, Unit::Seconds, "Time of an operation on the document store");
}

fn tell(database: Database) {
    gauge!(WRITES_WAITING).set(database.writes_waiting as f64);
    counter!(WRITES).absolute(database.writes);
    counter!(COMMITS).absolute(database.commits);
    gauge!(DATABASE_CONNECTIONS).set(database.connections as f64);
    gauge!(DATABASE_IDLE).set(database.idle as f64);
}

fn trail(audited: &Audited) {
    for row in &audited.repositories {
        let name = row.repository.clone();
        gauge!(AUDIT_BEHIND, "repository" => name.clone()).set(row.behind as f64);
        gauge!(AUDIT_CONNECTED, "repository" => name.clone()).set(f64::from(u8::from(row.connected)));
        counter!(AUDIT_SENT, "repository" => name.clone()).absolute(row.sent);
        counter!(AUDIT_FAILURES, "repository" => name).absolute(row.failures);
    }
    counter!(ALARMS).absolute(audited.alarms);
    if let Some((micros, alarm)) = audited.offset {
        gauge!(CLOCK_OFFSET).set(micros as f64 / 1e6);
        gauge!(CLOCK_ALARM).set(f64::from(u8::from(alarm)));
    }
}

/// An audit record of another system: stored, or what was wrong.
pub fn audit_received(listener: &Arc<str>, outcome: &'static str) {
    counter!(AUDIT_RECEIVED, "listener" => listener.clone(), "outcome" => outcome).increment(1);
}

/// A community's or a repository's row of the scoreboard.
fn score(row: &Standing) {
    let id = row.id.clone();
    let breaker = match row.breaker {
        BreakerState::Closed => 0.0,
        BreakerState::HalfOpen => 1.0,
        BreakerState::Open => 2.0,
    };
    gauge!(COMMUNITY_BREAKER, "community" => id.clone()).set(breaker);
    gauge!(COMMUNITY_IN_FLIGHT, "community" => id.clone()).set(row.under_way as f64);
    counter!(COMMUNITY_ANSWERS, "community" => id.clone()).absolute(row.answered);
    for (step, count) in &row.failed {
        counter!(COMMUNITY_FAILURES, "community" => id.clone(), "step" => step.as_str()).absolute(*count);
    }
    if let Some(ms) = row.last_answer_took_ms {
        gauge!(COMMUNITY_LAST, "community" => id).set(ms as f64 / 1000.0);
    }
}

/// A lane to the national service.
fn lane(row: &LaneStanding) {
    let institution = row.institution.clone();
    let state = match row.state {
        LaneState::Open => 0.0,
        LaneState::Failing => 1.0,
        LaneState::Resting => 2.0,
        LaneState::Paused => 3.0,
    };
    gauge!(NATIONAL_LANE, "institution" => institution.clone()).set(state);
    for (name, value) in [
        (NATIONAL_WAITING, row.waiting),
        (NATIONAL_OLDEST, row.oldest_seconds),
        (NATIONAL_PARKED, row.parked),
        (NATIONAL_HELD, row.held),
        (NATIONAL_WORKLIST, row.worklist),
    ] {
        gauge!(name, "institution" => institution.clone()).set(value as f64);
    }
    counter!(NATIONAL_DELIVERED, "institution" => institution.clone()).absolute(row.delivered);
    counter!(NATIONAL_FAILED, "institution" => institution).absolute(row.failed);
}

/// One request, answered.
pub fn record(
    transaction: &'static str,
    outcome: Outcome,
    duration: Duration,
    bytes_in: u64,
    bytes_out: u64,
) {
    counter!(REQUESTS, "transaction" => transaction, "outcome" => outcome.as_str()).increment(1);
    histogram!(DURATION, "transaction" => transaction).record(duration);
    counter!(BYTES_IN, "transaction" => transaction).increment(bytes_in);
    counter!(BYTES_OUT, "transaction" => transaction).increment(bytes_out);
}

/// An accepted request, done: its answer is in the outbox.
pub fn answered_elsewhere(transaction: &'static str, outcome: Outcome) {
    counter!(ELSEWHERE, "transaction" => transaction, "outcome" => outcome.as_str()).increment(1);
}

pub fn connection_refused(listener: &Arc<str>, limit: &'static str) {
    counter!(CONNECTIONS_REFUSED, "listener" => listener.clone(), "limit" => limit).increment(1);
}

pub fn handshake_failed(listener: &Arc<str>) {
    counter!(HANDSHAKES_FAILED, "listener" => listener.clone()).increment(1);
}

/// The directory of nodes: how many, and of each its connections and what its limits refused.
pub fn nodes(count: usize, figures: &[(String, u32, u64)]) {
    gauge!(NODES).set(count as f64);
    for (node, connections, limited) in figures {
        gauge!(NODE_CONNECTIONS, "node" => node.clone()).set(f64::from(*connections));
        counter!(NODE_LIMITED, "node" => node.clone()).absolute(*limited);
    }
}

/// When a certificate of a listener, or one we present, ends.
pub fn not_after(of: &str, file: &str, at: i64) {
    gauge!(NOT_AFTER, "of" => of.to_owned(), "file" => file.to_owned()).set(at as f64);
}

/// By when a revocation list has to be replaced.
pub fn next_update(listener: &str, file: &str, at: i64) {
    gauge!(NEXT_UPDATE, "listener" => listener.to_owned(), "file" => file.to_owned()).set(at as f64);
}

/// A sender that does not keep to MLLP.
pub fn mllp_framing(listener: &Arc<str>, fault: &'static str) {
    counter!(MLLP_FRAMING, "listener" => listener.clone(), "fault" => fault).increment(1);
}

/// Counts among the open connections until dropped.
pub struct Connection(Arc<str>);

impl Connection {
    pub fn open(listener: &Arc<str>) -> Self {
        gauge!(CONNECTIONS, "listener" => listener.clone()).increment(1.0);
        Self(listener.clone())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        gauge!(CONNECTIONS, "listener" => self.0.clone()).decrement(1.0);
    }
}

/// Counts among the requests under way until dropped.
pub struct InFlight(());

impl InFlight {
    pub fn begin() -> Self {
        gauge!(IN_FLIGHT).increment(1.0);
        Self(())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        gauge!(IN_FLIGHT).decrement(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_shows_in_every_metric_of_its_transaction() {
        let recorder = builder().unwrap().build_recorder();
        let outbox = || OutboxStatus { delivered: 5, failed: 6, waiting: 7, parked: 1 };
        let figures = || Database { writes_waiting: 3, writes: 40, commits: 10, connections: 4, idle: 2 };
        let metrics = Metrics {
            handle: recorder.handle(),
            database: None,
            outbox: None,
            communities: None,
            audit: None,
            national: None,
        };
        let lanes = || {
            vec![LaneStanding {
                institution: "1319900018".into(),
                state: LaneState::Resting,
                waiting: 4,
                oldest_seconds: 90,
                parked: 2,
                held: 8,
                worklist: 9,
                delivered: 11,
                failed: 12,
            }]
        };
        let metrics = metrics.with_database(figures).with_outbox(outbox).with_national(lanes);
        metrics::with_local_recorder(&recorder, || {
            describe();
            let _under_way = InFlight::begin();
            answered_elsewhere("iti42", Outcome::Failure);
            record("iti18", Outcome::Success, Duration::from_millis(3), 700, 9000);
            metrics.run_upkeep();
            let text = metrics.render();
            for line in [
                "chiren_requests_total{transaction=\"iti18\",outcome=\"success\"} 1",
                "chiren_request_duration_seconds_bucket{transaction=\"iti18\",le=\"0.002\"} 0",
                "chiren_request_duration_seconds_bucket{transaction=\"iti18\",le=\"0.005\"} 1",
                "chiren_request_bytes_total{transaction=\"iti18\"} 700",
                "chiren_response_bytes_total{transaction=\"iti18\"} 9000",
                "chiren_requests_in_flight 1",
                "chiren_answers_elsewhere_total{transaction=\"iti42\",outcome=\"failure\"} 1",
                "chiren_outbox_waiting 7",
                "chiren_outbox_parked 1",
                "chiren_outbox_delivered_total 5",
                "chiren_outbox_failed_total 6",
                "chiren_national_lane{institution=\"1319900018\"} 2",
                "chiren_national_waiting{institution=\"1319900018\"} 4",
                "chiren_national_oldest_seconds{institution=\"1319900018\"} 90",
                "chiren_national_parked{institution=\"1319900018\"} 2",
                "chiren_national_held{institution=\"1319900018\"} 8",
                "chiren_national_worklist{institution=\"1319900018\"} 9",
                "chiren_national_delivered_total{institution=\"1319900018\"} 11",
                "chiren_national_failed_total{institution=\"1319900018\"} 12",
                "chiren_database_writes_waiting 3",
                "chiren_database_writes_total 40",
                "chiren_database_commits_total 10",
                "chiren_database_connections 4",
                "chiren_database_connections_idle 2",
            ] {
                assert!(text.contains(line), "{line} in\n{text}");
            }
        });
    }
}
