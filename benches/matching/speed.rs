//! What a comparison and a decision cost.

use std::hint::black_box;
use std::time::Instant;

use chiren::matching::{Candidate, Features, Known, Model, Subject};
use chiren::synthetic::population::{Population, Settings};

const ROUNDS: usize = 15;

pub fn run() -> anyhow::Result<()> {
    let model = Model::shipped();
    let population = Population::generate(Settings::of(5, 20_000));
    let registrations: Vec<_> = population.registrations().collect();
    let features: Vec<Features> = registrations.iter().map(|r| Features::of(&r.demographics)).collect();
    let lines: Vec<String> = features.iter().map(|f| f.store().to_owned()).collect();
    let json: Vec<String> =
        registrations.iter().map(|r| serde_json::to_string(&r.demographics).unwrap_or_default()).collect();
    // Pairs that share a key, as in a feed.
    let mut index = chiren::matching::Index::new();
    let mut pairs = vec![];
    for (at, f) in features.iter().enumerate() {
        pairs.extend(index.sharing(f).into_iter().map(|other| (at, other as usize)));
        index.add(at as i64, "1.2.3", f.clone(), chiren::matching::Outcome::New);
    }
    println!(
        "{} pairs that share a key, {} identities; {ROUNDS} rounds, medians\n",
        pairs.len(),
        features.len()
    );
    println!("| what | took |\n| --- | --- |");
    let n = features.len() as u64;
    measure("compare a pair", pairs.len(), || {
        for (a, b) in &pairs {
            black_box(model.compare(n, &features[*a], &features[*b]));
        }
    });
    measure("score a pair, with its reasons", 20_000, || {
        for (a, b) in pairs.iter().take(20_000) {
            black_box(model.score(n, &features[*a], &features[*b]));
        }
    });
    measure("features of demographics", features.len(), || {
        for r in &registrations {
            black_box(Features::of(&r.demographics));
        }
    });
    measure("keys of features", features.len(), || {
        for f in &features {
            black_box(f.keys());
        }
    });
    measure("read stored features", lines.len(), || {
        for line in &lines {
            black_box(Features::read(line).is_ok());
        }
    });
    measure("beside it: read demographics as JSON", json.len(), || {
        for text in &json {
            black_box(serde_json::from_str::<chiren::model::identity::Demographics>(text).is_ok());
        }
    });
    // 600 persons of one identity each, as at ten millions.
    measure("decide among 600, stored", 1, || {
        let read: Vec<Features> =
            lines.iter().skip(1).take(600).filter_map(|l| Features::read(l).ok()).collect();
        let candidates: Vec<Candidate<'_>> = read
            .iter()
            .enumerate()
            .map(|(at, features)| {
                let known = Known { key: at as i64, domain: "1.2.3", features, do_not_link: false };
                Candidate { person: at as i64, identities: vec![known] }
            })
            .collect();
        black_box(model.decide(n, &Subject { domain: "1.2.4", features: &features[0] }, &candidates));
    });
    let octets: usize = lines.iter().map(String::len).sum();
    println!("| a stored line | {} octets |", octets / lines.len());
    Ok(())
}

fn measure(what: &str, times: usize, mut work: impl FnMut()) {
    work();
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let begun = Instant::now();
            work();
            begun.elapsed().as_secs_f64() / times as f64
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    let median = rounds[ROUNDS / 2] * 1e6;
    println!("| {what} | {median:.2} µs |");
}
