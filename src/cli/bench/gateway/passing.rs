//! A large document of another network through the gateway, beside the same taken from that network directly. The other
//! network is a whole one with the document in its repository, the consumer reads and lets go; each has threads of its
//! own, as on machines of their own, though all share this one's processors.

use std::future::Future;
use std::time::Instant;

use anyhow::{Context as _, anyhow, bail};
use bytes::Bytes;
use tokio::runtime::{Builder, Runtime};

use super::{AUTHORITY, HOME, REPOSITORY, client, home, neighbour, network};
use crate::app::Running;
use crate::cli::submission::{fresh_oid, publish, synthetic_objects};
use crate::model::caller::Caller;
use crate::model::transaction::Transaction;
use crate::peer::http::Client;
use crate::peer::soap::AnswerEvent;
use crate::peer::soap::xca::{self, DocumentRequest};
use crate::server::clock::Clock;
use crate::service::context::Context;
use crate::service::repository::ProvidedDocument;
use crate::synthetic::Network;

const THEIR_AUTHORITY: &str = "2.999.392.200.2";
const THEIR_REPOSITORY: &str = "2.999.392.200.3";

/// Times each way, in turns.
const ROUNDS: usize = 31;

/// What was measured: medians, in octets a second.
pub struct Passed {
    pub direct: f64,
    pub through: f64,
    /// Through by direct, of the median round: what the machine does to both within a second is not in it.
    pub ratio: f64,
    /// KiB by which the process's peak of memory grew while it passed through.
    pub grown: u64,
}

/// Threads with a runtime of their own.
struct Apart(Option<Runtime>);

impl Apart {
    fn new(name: &str, threads: usize) -> std::io::Result<Self> {
        let mut builder = Builder::new_multi_thread();
        Ok(Self(Some(builder.thread_name(name).worker_threads(threads).enable_all().build()?)))
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = anyhow::Result<T>> + Send + 'static,
    ) -> anyhow::Result<T> {
        let runtime = self.0.as_ref().context("the threads have ended")?;
        runtime.spawn(work).await?
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Puts a document of so many octets into the network's repository, and says its uniqueId.
async fn stored(running: &Running, size: u64) -> anyhow::Result<String> {
    let repository = running.rooms.repository.clone().context("there is no repository")?;
    let mut spool = repository.spool();
    // Octets without a pattern, so that nobody finds the end of a part the quicker for it.
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let block: Vec<u8> = (0..1 << 20)
        .map(|_| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            seed.to_le_bytes()[7]
        })
        .collect();
    let block = Bytes::from(block);
    let mut left = size;
    while left > 0 {
        let now = block.slice(..usize::try_from(left).map_or(block.len(), |l| l.min(block.len())));
        left -= now.len() as u64;
        spool.write(now).await?;
    }
    let content = spool.finish().await?;
    let invented = Network::generate(1, 1, jiff::civil::date(2026, 4, 1)).documents(1).next();
    let (mut entry, mut set) = synthetic_objects(&invented.context("an invented document")?);
    let patient = format!("1001^^^&{THEIR_AUTHORITY}&ISO");
    (entry.patient_id, set.patient_id) = (patient.clone(), patient);
    (entry.unique_id, entry.mime_type) = (fresh_oid(), "application/octet-stream".to_owned());
    let (id, unique_id) = (entry.entry_uuid.clone(), entry.unique_id.clone());
    let context = Context {
        transaction: Transaction::Iti41,
        caller: Caller { address: "127.0.0.1".into(), listener: "bench".into(), ..Caller::default() },
        request_id: "bench".into(),
        received_at: Clock::System.now(),
        elsewhere: None,
        exchange: std::sync::Arc::default(),
    };
    let document = ProvidedDocument { id, content };
    let done = repository.provide(&context, publish(entry, set), vec![document], vec![]).await;
    done.map_err(|e| anyhow!("the document is refused: {e:?}"))?;
    Ok(unique_id)
}

/// Fetches the document; octets a second.
async fn fetched(
    client: Client,
    transaction: Transaction,
    document: String,
    size: u64,
) -> anyhow::Result<f64> {
    let request = DocumentRequest {
        home_community_id: Some(home(0)),
        repository_unique_id: THEIR_REPOSITORY.into(),
        document_unique_id: document,
    };
    let begun = Instant::now();
    let mut retrieving = xca::retrieve(&client, transaction, &[request], None).await?;
    let mut octets = 0;
    while let Some(event) = retrieving.next().await? {
        if let AnswerEvent::Data(bytes) = event {
            octets += bytes.len() as u64;
        }
    }
    if octets != size {
        bail!("{octets} octets of {size} came");
    }
    Ok(size as f64 / begun.elapsed().as_secs_f64())
}

/// Has the peak of memory counted from what there is now, where the system can.
fn forget_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// KiB of this process's memory: the most there was.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

pub async fn passed(size: u64) -> anyhow::Result<Passed> {
    let (there, consumer) = (Apart::new("community", 2)?, Apart::new("consumer", 1)?);
    let opened = there.run(async move {
        let opened = network(&home(0), THEIR_AUTHORITY, THEIR_REPOSITORY, |config| {
            config.limits.document_mib = config.limits.document_mib.max(size.div_ceil(1 << 20));
        })
        .await?;
        let document = stored(&opened.0, size).await?;
        Ok((opened, document))
    });
    let ((their_network, their_address, _theirs), document) = opened.await.context("the other network")?;
    let (running, at, _ours) = network(HOME, AUTHORITY, REPOSITORY, |config| {
        config.community = vec![neighbour(0, their_address)];
    })
    .await?;
    let direct = client(their_address, "/xca/iti39")?;
    let through = client(at, "/xca/iti43")?;
    let (mut directly, mut passing, mut ratios, mut grown) = (vec![], vec![], vec![], 0);
    for round in 0..=ROUNDS {
        let fetch = fetched(direct.clone(), Transaction::Iti39, document.clone(), size);
        let rate = consumer.run(fetch).await.context("directly")?;
        forget_peak();
        let before = peak();
        let fetch = fetched(through.clone(), Transaction::Iti43, document.clone(), size);
        let passed = consumer.run(fetch).await.context("through the gateway")?;
        grown = peak().saturating_sub(before).max(grown);
        // The first warms up.
        if round > 0 {
            directly.push(rate);
            passing.push(passed);
            ratios.push(passed / rate);
        }
    }
    running.drain().await;
    there.run(async move { Ok(their_network.drain().await) }).await?;
    Ok(Passed { direct: median(directly), through: median(passing), ratio: median(ratios), grown })
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or_default()
}
