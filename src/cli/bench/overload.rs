//! What becomes of those let in while four times as many ask as there is room for.
//!
//! Saturation is the most clients that are all answered: one more request under way, and some are refused. Clients
//! are doubled until that happens, or throughput stops growing. Then three phases are measured: as many clients as
//! that; four times as many at four times the rate, for a minute, where what is refused (503) is asked again at its
//! next turn; and as many as before. The first second of the last phase in which nothing is refused and p99 is within
//! twice that of the first ends the recovery.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;

use super::connection::{Connection, Target};
use super::drive::{Scenario, exchange};
use super::histogram::Histogram;

#[derive(Debug, Clone, Args)]
pub struct Shape {
    /// Clients that saturate the server; else found by doubling
    #[arg(long, value_name = "CLIENTS")]
    saturating: Option<u32>,
    /// Seconds of overload
    #[arg(long, default_value_t = 60)]
    overload: u64,
    /// How many times as much is asked then
    #[arg(long, default_value_t = 4)]
    times: u32,
    /// Seconds of the phases before and after
    #[arg(long, default_value_t = 15)]
    calm: u64,
}

/// One second of a phase, or all of it.
#[derive(Debug, Default, Clone)]
struct Measured {
    admitted: Histogram,
    /// How long a refusal took.
    refused: Histogram,
    wrong: u64,
    why: Option<String>,
}

impl Measured {
    fn merge(&mut self, other: &Measured) {
        self.admitted.merge(&other.admitted);
        self.refused.merge(&other.refused);
        self.wrong += other.wrong;
        self.why = self.why.take().or_else(|| other.why.clone());
    }
}

/// A phase: by second of its beginning.
struct Phase {
    seconds: Vec<Measured>,
    elapsed: Duration,
}

impl Phase {
    fn all(&self) -> Measured {
        let mut all = Measured::default();
        self.seconds.iter().for_each(|second| all.merge(second));
        all
    }

    fn rate(&self) -> f64 {
        self.all().admitted.count() as f64 / self.elapsed.as_secs_f64()
    }
}

/// A shared counter of requests, and where every client has its connection.
struct Line<S> {
    scenario: Arc<S>,
    target: Arc<Target>,
    next: AtomicU64,
}

impl<S: Scenario> Line<S> {
    /// Runs `clients` for a time: each as fast as it is answered, or at `rate` requests a second all together.
    async fn phase(
        self: &Arc<Self>,
        clients: u32,
        length: Duration,
        rate: Option<f64>,
    ) -> Result<Phase, String> {
        let mut connections = vec![];
        for _ in 0..clients {
            let mut connection = Connection::new(self.target.clone());
            connection.open().await?;
            connections.push(connection);
        }
        let seconds: Arc<Mutex<Vec<Measured>>> = Arc::default();
        let stop = Arc::new(AtomicBool::new(false));
        let begun = Instant::now();
        let interval = rate.map(|rate| Duration::from_secs_f64(f64::from(clients) / rate));
        let mut tasks = vec![];
        for (n, connection) in connections.into_iter().enumerate() {
            let offset = interval.map(|i| i.mul_f64(n as f64 / f64::from(clients.max(1))));
            let (line, seconds, stop) = (self.clone(), seconds.clone(), stop.clone());
            tasks.push(tokio::spawn(async move {
                line.client(connection, interval, offset, begun, &seconds, &stop).await;
            }));
        }
        tokio::time::sleep(length).await;
        stop.store(true, Relaxed);
        let elapsed = begun.elapsed();
        for task in tasks {
            task.await.map_err(|e| e.to_string())?;
        }
        let seconds = std::mem::take(&mut *seconds.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(Phase { seconds, elapsed })
    }

    async fn client(
        &self,
        mut connection: Connection,
        interval: Option<Duration>,
        offset: Option<Duration>,
        begun: Instant,
        seconds: &Mutex<Vec<Measured>>,
        stop: &AtomicBool,
    ) {
        let mut due = begun + offset.unwrap_or_default();
        while !stop.load(Relaxed) {
            if let Some(interval) = interval {
                tokio::time::sleep_until(due.into()).await;
                // One that is behind does not make up for it: others are there to ask.
                due = (due + interval).max(Instant::now());
            }
            let Some((ask, check)) = self.scenario.ask(self.next.fetch_add(1, Relaxed)) else { return };
            let sent = Instant::now();
            let mut received = 0;
            let work = exchange(&mut connection, ask, check, &mut received);
            let result = match tokio::time::timeout(self.target.timeout(), work).await {
                Ok(result) => result,
                Err(_) => Err("no whole answer in time".to_owned()),
            };
            let took = sent.elapsed();
            let refused = matches!(&result, Err(why) if why.starts_with("HTTP 503"));
            if result.is_err() && !refused {
                connection.abandon();
            }
            let second = sent.duration_since(begun).as_secs() as usize;
            let mut all = seconds.lock().unwrap_or_else(PoisonError::into_inner);
            if all.len() <= second {
                all.resize(second + 1, Measured::default());
            }
            let Some(mine) = all.get_mut(second) else { return };
            match result {
                Ok(()) => mine.admitted.record(took),
                Err(_) if refused => mine.refused.record(took),
                Err(why) => {
                    mine.wrong += 1;
                    mine.why = Some(why);
                }
            }
        }
    }

    /// The most clients that are all answered, and throughput does not fall for: see the module.
    async fn saturation(self: &Arc<Self>) -> Result<u32, String> {
        let (mut best, mut clients, mut flat) = (1, 1, 0);
        let mut rate = 0.0_f64;
        while clients <= 1024 {
            let phase = self.phase(clients, Duration::from_secs(3), None).await?;
            let all = phase.all();
            eprintln!(
                "  {clients} clients: {:.0}/s, p99 {:.2} ms, refused {}",
                phase.rate(),
                all.admitted.quantile(0.99).as_secs_f64() * 1000.0,
                all.refused.count()
            );
            if all.wrong > 0 {
                return Err(format!("{} answers were wrong: {}", all.wrong, all.why.unwrap_or_default()));
            }
            if all.refused.count() > 0 {
                break;
            }
            flat = if phase.rate() < rate * 1.02 { flat + 1 } else { 0 };
            rate = rate.max(phase.rate());
            best = clients;
            // Far beyond its best: it takes in more than it can answer, and refuses nobody.
            if flat >= 6 {
                break;
            }
            clients *= 2;
        }
        Ok(best)
    }
}

/// Measures and reports; whether p99 kept within twice and recovered within five seconds.
pub async fn run<S: Scenario>(
    name: &str,
    scenario: S,
    target: Arc<Target>,
    shape: &Shape,
    label: Option<&str>,
    as_json: bool,
) -> Result<bool, String> {
    let line = Arc::new(Line { scenario: Arc::new(scenario), target, next: AtomicU64::new(0) });
    let clients = match shape.saturating {
        Some(clients) => clients.max(1),
        None => line.saturation().await?,
    };
    let calm = Duration::from_secs(shape.calm.max(1));
    let before = line.phase(clients, calm, None).await?;
    let wanted = before.rate() * f64::from(shape.times);
    let length = Duration::from_secs(shape.overload.max(1));
    let during = line.phase(clients * shape.times, length, Some(wanted)).await?;
    let after = line.phase(clients, calm, None).await?;

    let p99 = |m: &Measured| m.admitted.quantile(0.99);
    let limit = p99(&before.all()) * 2;
    let recovered = after
        .seconds
        .iter()
        .position(|second| second.refused.count() == 0 && second.wrong == 0 && p99(second) <= limit);
    let kept = p99(&during.all()) <= limit;
    let in_time = recovered.is_some_and(|second| second < 5);
    let all = during.all();
    let asked = (all.admitted.count() + all.refused.count()) as f64 / during.elapsed.as_secs_f64();
    let ms = |d: Duration| d.as_secs_f64() * 1000.0;
    let row = |phase: &Phase| {
        let all = phase.all();
        json!({
            "perSecond": phase.rate(),
            "p50Ms": ms(all.admitted.quantile(0.5)),
            "p99Ms": ms(p99(&all)),
            "maxMs": ms(all.admitted.max()),
            "refused": all.refused.count(),
            "refusedP99Ms": ms(all.refused.quantile(0.99)),
            "wrong": all.wrong,
            "why": all.why,
        })
    };
    let ratio = ms(p99(&all)) / ms(p99(&before.all())).max(f64::MIN_POSITIVE);
    if as_json {
        let report = json!({
            "what": name, "label": label, "saturatingClients": clients, "times": shape.times,
            "askedPerSecond": asked, "wantedPerSecond": wanted,
            "before": row(&before), "during": row(&during), "after": row(&after),
            "p99Ratio": ratio, "recoveredWithinSeconds": recovered.map(|s| s + 1),
        });
        println!("{report}");
        return Ok(kept && in_time && all.wrong == 0);
    }
    let label = label.map(|l| format!(" ({l})")).unwrap_or_default();
    println!("overload by {name}{label}");
    println!(
        "  saturated by {clients} clients; then {} at {wanted:.0}/s, {asked:.0}/s reached",
        clients * shape.times
    );
    for (what, phase) in [("before", &before), ("during", &during), ("after", &after)] {
        let all = phase.all();
        println!(
            "  {what:<7} {:>8.0}/s admitted, p50 {:.2} ms, p99 {:.2} ms; {} refused (p99 {:.2} ms); {} wrong{}",
            phase.rate(),
            ms(all.admitted.quantile(0.5)),
            ms(p99(&all)),
            all.refused.count(),
            ms(all.refused.quantile(0.99)),
            all.wrong,
            all.why.map(|why| format!(" ({why})")).unwrap_or_default()
        );
    }
    println!("  p99 during / before: {ratio:.2}{}", if kept { "" } else { " (more than 2)" });
    match recovered {
        Some(second) => println!("  recovered within {} s", second + 1),
        None => println!("  not recovered within {} s", shape.calm),
    }
    Ok(kept && in_time && all.wrong == 0)
}
