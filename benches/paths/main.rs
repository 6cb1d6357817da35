//! Hot paths of the crate, each beside a plain limit: the least that has to happen to the same bytes
//! on this machine, measured in turns with the path, so that a slow minute slows both.
//!
//! `cargo bench` for all, `cargo bench -- wire blob registry socket` for some. What reaches the disk
//! goes to `TMPDIR`. Runs that only want to see it build and start (`cargo test --benches`) end at once.

mod blob;
mod gateway;
#[allow(dead_code)]
#[path = "../../tests/it/support/samples.rs"]
mod samples;
mod wire;

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::Context as _;

/// As in the program itself.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measured after the warm-up; odd, for the median.
const ROUNDS: usize = 15;
/// A round repeats what is quicker until it takes this long.
const ROUND: Duration = Duration::from_millis(20);

fn main() -> anyhow::Result<()> {
    let (options, wanted): (Vec<_>, Vec<_>) = std::env::args().skip(1).partition(|a| a.starts_with("--"));
    if !options.iter().any(|o| o == "--bench") || options.iter().any(|o| o == "--test") {
        return Ok(());
    }
    let wanted = |room: &str| wanted.is_empty() || wanted.iter().any(|w| w == room);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("the runtime")?;
    println!("{} rounds, medians; disk: {}\n", ROUNDS, std::env::temp_dir().display());
    println!("| path | took | beside | took | ratio | least to most |");
    println!("| --- | --- | --- | --- | --- | --- |");
    if wanted("wire") {
        wire::run();
    }
    if wanted("blob") {
        blob::run(&runtime)?;
    }
    if wanted("registry") || wanted("socket") {
        gateway::run(&runtime, wanted("registry"), wanted("socket"))?;
    }
    Ok(())
}

/// One side of a comparison: does its work so many times, and says how long the work took.
trait Side: FnMut(usize) -> Duration {}
impl<F: FnMut(usize) -> Duration> Side for F {}

/// A side that is nothing but work.
fn each<T>(mut work: impl FnMut() -> T) -> impl Side {
    move |times| {
        let begun = Instant::now();
        for _ in 0..times {
            black_box(work());
        }
        begun.elapsed()
    }
}

/// Measures both sides in turns and prints their row; `octets` gives a rate too, unless 0.
fn compare(path: &str, mut ours: impl Side, limit: &str, mut plain: impl Side, octets: usize) {
    let (n, m) = (warm_up(&mut ours), warm_up(&mut plain));
    let rounds: Vec<(f64, f64)> = (0..ROUNDS).map(|_| (once(&mut ours, n), once(&mut plain, m))).collect();
    let ours = median(rounds.iter().map(|r| r.0));
    let plain = median(rounds.iter().map(|r| r.1));
    let ratios = || rounds.iter().map(|(a, b)| a / b);
    println!(
        "| {path} | {} | {limit} | {} | {:.2} | {:.2}–{:.2} |",
        told(ours, octets),
        told(plain, octets),
        ours / plain,
        ratios().fold(f64::MAX, f64::min),
        ratios().fold(0.0, f64::max),
    );
}

/// Runs until a round is long enough; returns how many times that takes.
fn warm_up(side: &mut impl Side) -> usize {
    let mut times = 1;
    while side(times) < ROUND {
        times *= 2;
    }
    times
}

/// Seconds for one time.
fn once(side: &mut impl Side, times: usize) -> f64 {
    side(times).as_secs_f64() / times as f64
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn told(seconds: f64, octets: usize) -> String {
    let time = match seconds * 1e6 {
        us if us < 1e3 => format!("{us:.1} µs"),
        us => format!("{:.2} ms", us / 1e3),
    };
    match octets {
        0 => time,
        _ => format!("{time}, {:.0} MB/s", octets as f64 / seconds / 1e6),
    }
}

/// Octets that do not compress, none of them zero: the same each time.
fn noise(octets: usize) -> Vec<u8> {
    let mut random = chiren::synthetic::SplitMix64::derived(1, 9, 0);
    (0..octets).map(|_| (random.below(255) + 1) as u8).collect()
}

/// A submission of one patient that keeps every rule, with so many DocumentEntries as the national
/// network's hospitals fill them in.
fn submission(patient: &str, entries: usize) -> chiren::model::metadata::Submission {
    let mut submission = samples::submission();
    submission.document_entries.clear();
    submission.associations.clear();
    for n in 0..entries {
        let id = format!("Document{n:02}");
        let mut entry = samples::document_entry(&id);
        entry.service_start_time = Some("20250401010000".into());
        entry.service_stop_time = Some("20250401013000".into());
        entry.legal_authenticator = samples::author().author_person.pop();
        entry.reference_id_list = vec![format!("{n:06}^^^&2.999.392.1.7&ISO^urn:ihe:iti:xds:2013:order")];
        entry.source_patient_info.extend(["PID-5|試験^太郎".into(), "PID-7|19600101".into()]);
        submission.associations.push(samples::original(&format!("Member{n:02}"), &id));
        submission.document_entries.push(entry);
    }
    samples::of_patient(submission, patient)
}
