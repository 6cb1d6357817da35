//! How long the check before sending takes: a typical referral, and a laboratory unit of a hundred results made of a
//! good one. `cargo bench --bench preflight`; `CHIREN_JP_CLINS` names the folder of the corpus, otherwise beside the
//! repository. Without it nothing is measured, and that is said.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use chiren::clins::check::{Checker, Mode};
use chiren::fhirpath::Json;

/// As in the program itself.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 301;

fn main() {
    if !std::env::args().any(|a| a == "--bench") {
        return;
    }
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/corpus/jp-clins");
    let corpus = std::env::var_os("CHIREN_JP_CLINS").map_or_else(|| PathBuf::from(beside), PathBuf::from);
    if !corpus.is_dir() {
        println!("no corpus at {}: nothing measured", corpus.display());
        return;
    }
    let begun = Instant::now();
    let checker = match Checker::load(&[corpus.join("definitions")]) {
        Ok(checker) => checker,
        Err(error) => return println!("{error}"),
    };
    println!("definitions loaded once: {:?}", begun.elapsed());
    println!("| Bundle | bytes | p50 | p95 | findings |\n| --- | --- | --- | --- | --- |");
    let read = |name: &str| std::fs::read(corpus.join("cases/good").join(name)).unwrap_or_default();
    measure(&checker, "referral, structured", &read("g05-ereferral-structured.json"));
    measure(&checker, "100 laboratory results", &hundred(&read("g03-lab.json")));
}

/// The results again and again, each with a fullUrl of its own.
fn hundred(bytes: &[u8]) -> Vec<u8> {
    let Ok(mut json) = Json::parse(bytes) else { return vec![] };
    let Some(entries) = json.get_mut("entry").and_then(Json::as_list_mut) else { return vec![] };
    let results = entries[1..].to_vec();
    for (i, result) in results.iter().cycle().take(100 - results.len()).enumerate() {
        let mut result = result.clone();
        if let Some(object) = result.as_object_mut() {
            object.set("fullUrl", Json::text(format!("urn:uuid:00000000-0000-4000-8000-{i:012x}")));
        }
        entries.push(result);
    }
    json.to_bytes()
}

fn measure(checker: &Checker, name: &str, bytes: &[u8]) {
    let mut took: Vec<Duration> = vec![];
    let mut findings = 0;
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        findings = checker.check(bytes, Mode::Intended).len();
        took.push(begun.elapsed());
    }
    took.sort();
    println!(
        "| {name} | {} | {:?} | {:?} | {findings} |",
        bytes.len(),
        took[ROUNDS / 2],
        took[ROUNDS * 95 / 100]
    );
}
