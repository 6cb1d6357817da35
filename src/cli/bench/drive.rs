//! The closed loop: each client sends its next request when it has checked the answer to the last.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::connection::{Connection, Pieces, Target};
use super::histogram::Histogram;

/// What is asked, and what the answers must be.
pub trait Scenario: Send + Sync + 'static {
    type Check: Check;

    /// The `n`th request, with the check of its answer; `None` when there is no more to ask.
    fn ask(&self, n: u64) -> Option<(Ask, Self::Check)>;
}

pub enum Ask {
    Post {
        content_type: HeaderValue,
        body: Pieces,
    },
    /// Path and query below the endpoint.
    Get(String),
    /// A message for MLLP.
    Message(Vec<u8>),
}

impl Ask {
    fn len(&self) -> u64 {
        match self {
            Ask::Post { body, .. } => body.len(),
            Ask::Get(path) => path.len() as u64,
            Ask::Message(message) => message.len() as u64,
        }
    }
}

/// Judges one answer as it arrives. The error is a sentence; equal sentences are counted together,
/// so it names no ids.
pub trait Check: Send {
    fn head(&mut self, content_type: Option<&str>) -> Result<(), String>;
    fn data(&mut self, bytes: Bytes) -> Result<(), String>;
    fn end(self) -> Result<(), String>;
}

/// How long, and by how many.
#[derive(Debug, Clone)]
pub struct Plan {
    pub clients: usize,
    /// Not measured.
    pub warm_up: Duration,
    pub until: Until,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// No request begins later than this after the warm-up.
    Elapsed(Duration),
    Requests(u64),
    /// Until the scenario has no more to ask.
    Done,
}

/// So many errors end a run: what it would measure is not what was asked for.
const MAX_ERRORS: u64 = 1000;

/// What was measured.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Of right answers only.
    pub latency: Histogram,
    pub errors: BTreeMap<String, u64>,
    pub warm_up_errors: u64,
    pub sent: u64,
    pub received: u64,
    /// From the end of the warm-up to the last answer.
    pub elapsed: Duration,
    pub stopped_early: bool,
}

impl Outcome {
    pub fn error_count(&self) -> u64 {
        self.errors.values().sum()
    }

    fn merge(&mut self, other: Outcome) {
        self.latency.merge(&other.latency);
        for (sentence, count) in other.errors {
            *self.errors.entry(sentence).or_default() += count;
        }
        self.warm_up_errors += other.warm_up_errors;
        self.sent += other.sent;
        self.received += other.received;
        self.elapsed = self.elapsed.max(other.elapsed);
    }
}

struct Shared {
    plan: Plan,
    next: AtomicU64,
    /// Requests that may still be measured.
    budget: AtomicU64,
    errors: AtomicU64,
    done: AtomicU64,
    stop: AtomicBool,
}

/// Runs the scenario. Fails only if the endpoint cannot be reached at the start.
pub async fn drive<S: Scenario>(
    scenario: Arc<S>,
    target: Arc<Target>,
    plan: Plan,
    progress: Option<fn(u64)>,
) -> Result<Outcome, String> {
    let mut connections = vec![];
    for _ in 0..plan.clients {
        let mut connection = Connection::new(target.clone());
        connection.open().await?;
        connections.push(connection);
    }
    let budget = match plan.until {
        Until::Requests(n) => n,
        Until::Elapsed(_) | Until::Done => u64::MAX,
    };
    let shared = Arc::new(Shared {
        plan,
        next: AtomicU64::new(0),
        budget: AtomicU64::new(budget),
        errors: AtomicU64::new(0),
        done: AtomicU64::new(0),
        stop: AtomicBool::new(false),
    });
    let measured_from = Instant::now() + shared.plan.warm_up;
    let reporter = progress.map(|report| {
        let shared = shared.clone();
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(Duration::from_secs(10));
            ticks.tick().await;
            loop {
                ticks.tick().await;
                report(shared.done.load(Relaxed));
            }
        })
    });
    let clients: Vec<_> = connections
        .into_iter()
        .map(|connection| {
            let timeout = target.timeout();
            tokio::spawn(client(scenario.clone(), connection, shared.clone(), measured_from, timeout))
        })
        .collect();
    let mut all = Outcome::default();
    for client in clients {
        all.merge(client.await.map_err(|e| format!("a client ended: {e}"))?);
    }
    if let Some(reporter) = reporter {
        reporter.abort();
    }
    all.stopped_early = shared.stop.load(Relaxed);
    Ok(all)
}

async fn client<S: Scenario>(
    scenario: Arc<S>,
    mut connection: Connection,
    shared: Arc<Shared>,
    measured_from: Instant,
    timeout: Duration,
) -> Outcome {
    let mut mine = Outcome::default();
    while !shared.stop.load(Relaxed) {
        let begun = Instant::now();
        let measured = begun >= measured_from;
        if measured {
            if let Until::Elapsed(length) = shared.plan.until
                && begun >= measured_from + length
            {
                break;
            }
            if shared.budget.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_err() {
                break;
            }
        }
        let Some((ask, check)) = scenario.ask(shared.next.fetch_add(1, Relaxed)) else { break };
        let length = ask.len();
        // Rendering the request is the driver's own time.
        let begun = Instant::now();
        let mut received = 0;
        let exchange = exchange(&mut connection, ask, check, &mut received);
        let result = match tokio::time::timeout(timeout, exchange).await {
            Ok(result) => result,
            Err(_) => Err("no whole answer in time".to_owned()),
        };
        let took = begun.elapsed();
        shared.done.fetch_add(1, Relaxed);
        let failed = result.is_err();
        if measured {
            mine.sent += length;
            mine.received += received;
            mine.elapsed = measured_from.elapsed();
        }
        match result {
            Ok(()) if measured => mine.latency.record(took),
            Ok(()) => {}
            Err(sentence) if measured => *mine.errors.entry(sentence).or_default() += 1,
            Err(_) => mine.warm_up_errors += 1,
        }
        if failed {
            connection.abandon();
            if shared.errors.fetch_add(1, Relaxed) + 1 >= MAX_ERRORS {
                shared.stop.store(true, Relaxed);
            }
            // A server that refuses everything at once is not to be hammered.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    mine
}

pub async fn exchange(
    connection: &mut Connection,
    ask: Ask,
    mut check: impl Check,
    received: &mut u64,
) -> Result<(), String> {
    let answer = match ask {
        Ask::Post { content_type, body } => connection.post(&content_type, body).await?,
        Ask::Get(path) => connection.get(&path).await?,
        Ask::Message(message) => {
            let answer = connection.exchange(&message).await?;
            *received += answer.len() as u64;
            check.data(answer)?;
            return check.end();
        }
    };
    let (head, mut body) = answer.into_parts();
    let content_type = head.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
    if head.status != StatusCode::OK {
        return Err(refused(head.status, &mut body).await);
    }
    check.head(content_type)?;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| format!("the answer was cut off: {e}"))?;
        if let Ok(bytes) = frame.into_data() {
            *received += bytes.len() as u64;
            check.data(bytes)?;
        }
    }
    check.end()
}

/// The status, and the reason if the body is a fault.
async fn refused(status: StatusCode, body: &mut Incoming) -> String {
    let mut text = vec![];
    while let Some(Ok(frame)) = body.frame().await {
        if let Ok(bytes) = frame.into_data()
            && text.len() < 64 << 10
        {
            text.extend_from_slice(&bytes);
        }
    }
    let text = String::from_utf8_lossy(&text);
    let reason = text.split_once("Text").and_then(|(_, rest)| rest.split_once('>'));
    let reason = reason.and_then(|(_, rest)| rest.split_once('<')).map_or("", |(reason, _)| reason);
    format!("HTTP {status} {}", reason.chars().take(200).collect::<String>()).trim_end().to_owned()
}
