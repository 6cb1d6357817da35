//! Many queries at a time to many communities of which three do not answer: whether answers come at the deadline with
//! what the others gave, and whether anything is left behind.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use futures_util::future::join_all;
use serde_json::json;

use super::{Measured, Stage, Way, client, find};
use crate::cli::bench::histogram::Histogram;
use crate::model::error::ErrorCode;
use crate::model::transaction::Transaction;
use crate::peer::http::Client;
use crate::peer::soap::{Call, Discard};
use crate::wire::ebxml::query;

/// The three, among so many.
const FAULTY: [Way; 3] = [Way::Hangs, Way::Resets, Way::Drips];

/// What of the system this process holds.
#[derive(Debug, Clone, Copy, Default)]
struct Held {
    memory_kib: u64,
    files: usize,
}

impl Held {
    fn now() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let memory_kib = line.and_then(|l| l.split_whitespace().next()?.parse().ok()).unwrap_or_default();
        Self { memory_kib, files: std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count) }
    }
}

struct Figures {
    communities: usize,
    /// From the deadline to the whole answer.
    after: Histogram,
    answers: u64,
    /// Each tenth of the time.
    held: Vec<Held>,
}

/// Asks, and holds the answer against what those that answer gave; how long it took.
async fn ask(client: &Client, good: usize) -> anyhow::Result<Duration> {
    let call = Call::new(client, Transaction::Iti18, vec![], |w| query::write_request(w, &find()));
    let begun = Instant::now();
    let answer = call.send(client, &mut Discard).await?;
    // Until it was here: what is made of it then is not the gateway's.
    let took = begun.elapsed();
    let (_, result, errors) = answer.body(query::read_response)?;
    let told = errors.iter().filter(|e| e.code == ErrorCode::XDSUnavailableCommunity).count();
    if result.len() != good || told != FAULTY.len() || errors.len() != told {
        bail!("{} objects and {} errors, not {good} and {}", result.len(), errors.len(), FAULTY.len());
    }
    Ok(took)
}

async fn measured(what: &Measured, clients: usize, count: usize) -> anyhow::Result<Figures> {
    let good = count.checked_sub(FAULTY.len()).context("more communities than fail")?;
    let ways: Vec<Way> = FAULTY.into_iter().chain(std::iter::repeat_n(Way::Well, good)).collect();
    let stage = Stage::set(&ways, Duration::from_millis(what.think), what.deadline).await?;
    let deadline = Duration::from_millis(what.deadline);
    let ends = Instant::now() + Duration::from_secs(what.duration);
    let asking = (0..clients.max(1)).map(|n| {
        let stage = &stage;
        async move {
            let asker = client(stage.at, "/xca/iti18")?;
            // Not all in step: queries do not come so.
            tokio::time::sleep(deadline.mul_f64(n as f64 / clients as f64)).await;
            let mut took = vec![];
            while Instant::now() < ends {
                took.push(ask(&asker, good).await?);
            }
            anyhow::Ok(took)
        }
    });
    let looking = async {
        let mut held = vec![];
        let step = Duration::from_secs(what.duration).max(deadline * 20) / 10;
        // The first once everything has been opened that is kept open.
        while Instant::now() + step <= ends + Duration::from_millis(100) {
            tokio::time::sleep(step).await;
            held.push(Held::now());
        }
        held
    };
    let (asked, held) = tokio::join!(join_all(asking), looking);
    let mut figures = Figures { communities: count, after: Histogram::default(), answers: 0, held };
    for took in asked {
        for took in took? {
            if took < deadline {
                bail!("an answer after {took:?} did not wait for the deadline");
            }
            figures.after.record(took - deadline);
            figures.answers += 1;
        }
    }
    stage.end().await;
    Ok(figures)
}

pub async fn run(what: &Measured, clients: usize) -> anyhow::Result<String> {
    let mut rows = vec![];
    let label = what.label.as_deref().unwrap_or_default();
    let mut out = format!(
        "gateway, one hangs, one resets, one drips; {clients} queries at a time for {} s, deadline {} ms {label}\n",
        what.duration, what.deadline
    );
    for count in &what.communities {
        let f = measured(what, clients, *count).await.with_context(|| format!("{count} communities"))?;
        let ms = |d: Duration| d.as_secs_f64() * 1e3;
        let (p50, p99, most) =
            (ms(f.after.quantile(0.5)), ms(f.after.quantile(0.99)), ms(f.after.quantile(1.0)));
        out.push_str(&format!(
            "  {:4} communities  {} answers, after the deadline p50 {p50:.1} ms, p99 {p99:.1} ms, at most {most:.1} ms\n",
            f.communities, f.answers
        ));
        for (n, held) in f.held.iter().enumerate() {
            out.push_str(&format!(
                "       {:2}  {} MiB, {} open files\n",
                n + 1,
                held.memory_kib >> 10,
                held.files
            ));
        }
        let held = f.held.iter().map(|h| json!({ "memoryKib": h.memory_kib, "openFiles": h.files }));
        rows.push(json!({
            "communities": f.communities,
            "answers": f.answers,
            "afterDeadlineP50Ms": p50,
            "afterDeadlineP99Ms": p99,
            "afterDeadlineMaxMs": most,
            "held": held.collect::<Vec<_>>(),
        }));
    }
    if what.json {
        let all =
            json!({ "label": what.label, "deadlineMs": what.deadline, "clients": clients, "crowd": rows });
        return Ok(format!("{all:#}\n"));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        measured: Measured,
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_crowd_is_answered_at_the_deadline_without_the_three() {
        let line = "bench --communities 5 --crowd 3 --think 0 --deadline 300 --duration 1 --json";
        let line = Line::try_parse_from(line.split(' ')).unwrap();
        let told: serde_json::Value =
            serde_json::from_str(&super::super::run(&line.measured).await.unwrap()).unwrap();
        let crowd = &told["crowd"][0];
        assert!(crowd["answers"].as_u64() >= Some(3), "{told}");
        assert!(crowd["held"].as_array().is_some_and(|held| !held.is_empty()), "{told}");
    }
}
