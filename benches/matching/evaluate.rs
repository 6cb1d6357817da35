//! The measure: every registration is fed in turn, as the service would; then who is with whom is held against who is
//! who.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Instant;

use chiren::matching::{Features, Index, Model, Outcome, Trainer, Zone};
use chiren::synthetic::population::{Kind, Kinds, Population, Registration, Truth};

/// A registration with what is known of it.
pub struct Row {
    pub features: Features,
    pub domain: String,
    pub truth: Truth,
}

impl Row {
    pub fn of(registration: Registration) -> Self {
        Self {
            features: Features::of(&registration.demographics),
            domain: Population::domain(registration.truth.facility),
            truth: registration.truth,
        }
    }
}

/// Pairs at a weight: one person, or two.
#[derive(Default, Clone, Copy)]
struct Tally {
    right: u64,
    wrong: u64,
}

const LOWEST: i32 = -10;
const STEPS: usize = 61;

fn step(total: f64) -> usize {
    ((total.floor() as i32) - LOWEST).clamp(0, STEPS as i32 - 1) as usize
}

pub fn run(model: &Model, rows: Vec<Row>, options: &BTreeMap<String, String>) -> anyhow::Result<()> {
    let begun = Instant::now();
    let model = match options.get("train") {
        Some(_) => trained(model, &rows),
        None => model.clone(),
    };
    if let Some(path) = options.get("save") {
        std::fs::write(path, serde_json::to_string_pretty(&model)?)?;
    }
    let pairs_wanted = options.get("pairs").is_none_or(|v| v != "no");
    let persons: HashSet<u32> = rows.iter().map(|r| r.truth.person).collect();
    let mut of_person: HashMap<u32, Vec<u32>> = HashMap::new();
    for (at, row) in rows.iter().enumerate() {
        of_person.entry(row.truth.person).or_default().push(at as u32);
    }
    let true_pairs: u64 = of_person.values().map(|v| (v.len() * (v.len() - 1) / 2) as u64).sum();
    println!(
        "model {}: {} registrations of {} persons, {true_pairs} pairs",
        model.id(),
        rows.len(),
        persons.len()
    );

    let mut index = Index::new();
    let mut assigned: Vec<u32> = vec![];
    let mut reviews: Vec<(u32, Vec<u32>)> = vec![];
    let mut reasons: BTreeMap<String, u64> = BTreeMap::new();
    let (mut links, mut wrong_links, mut compared) = (0_u64, 0_u64, 0_u64);
    let (mut by_weight, mut by_rule) = ([Tally::default(); STEPS], [Tally::default(); STEPS]);
    let mut blocked = 0_u64;
    let mut wrong_examples: Vec<(u32, u32)> = vec![];
    for (at, row) in rows.iter().enumerate() {
        if pairs_wanted {
            for other in index.sharing(&row.features) {
                let Some(features) = index.features(other) else { continue };
                // The last size of the index for all: the prior is one, as splink has it.
                let c = model.compare(rows.len() as u64, &row.features, features);
                let same = rows[other as usize].truth.person == row.truth.person;
                compared += 1;
                blocked += u64::from(same);
                let add = |tally: &mut Tally| if same { tally.right += 1 } else { tally.wrong += 1 };
                add(&mut by_weight[step(c.total)]);
                if c.vetoes().is_empty()
                    && (c.total < model.thresholds().link || model.zone(&c) == Zone::Linked)
                {
                    add(&mut by_rule[step(c.total)]);
                }
            }
        }
        let judged = index.judge(&model, &row.domain, &row.features);
        *reasons.entry(format!("{:?} {:?}", kind(judged.outcome), judged.reason)).or_default() += 1;
        match judged.outcome {
            Outcome::Link(_) => {
                links += 1;
                let with = judged.ranked.iter().find(|r| Outcome::Link(r.person) == judged.outcome);
                let with = with.map_or(0, |r| r.identity as usize);
                if rows[with].truth.person != row.truth.person {
                    wrong_links += 1;
                    wrong_examples.push((at as u32, with as u32));
                }
            }
            Outcome::Review => {
                reviews.push((at as u32, judged.ranked.iter().map(|r| r.identity as u32).collect()));
            }
            Outcome::New => {}
        }
        assigned.push(index.add(at as i64, &row.domain, row.features.clone(), judged.outcome));
    }
    let took = begun.elapsed();
    println!(
        "{} persons made; {links} links, {wrong_links} of them wrong ({:.6}); {} reviews: {:.1} per 1,000 persons; {:.0} s, {} MB; {} look-ups skipped",
        index.persons(),
        1.0 - wrong_links as f64 / links.max(1) as f64,
        reviews.len(),
        reviews.len() as f64 * 1000.0 / persons.len() as f64,
        took.as_secs_f64(),
        memory(),
        index.skipped(),
    );
    clusters(&rows, &assigned, &of_person, &reviews, true_pairs);
    println!("\n| outcome | identities |\n| --- | --- |");
    for (reason, n) in &reasons {
        println!("| {reason} | {n} |");
    }
    by_kind(&rows, &assigned, &of_person, &reviews);
    strangers(&rows, &assigned, &reviews);
    if pairs_wanted {
        println!(
            "\npairs compared {compared}: completeness of the keys {:.4}",
            blocked as f64 / true_pairs as f64
        );
        thresholds("weight alone", &by_weight, true_pairs);
        thresholds("weight and rules", &by_rule, true_pairs);
    }
    if options.contains_key("examples") {
        for (at, with) in wrong_examples.iter().take(30) {
            let (a, b) = (&rows[*at as usize], &rows[*with as usize]);
            println!("\n{}\n{}", a.features.store(), b.features.store());
        }
    }
    Ok(())
}

fn trained(start: &Model, rows: &[Row]) -> Model {
    let mut trainer = Trainer::new(start, rows.len() as u64);
    for row in rows {
        trainer.add(&row.features);
    }
    let trained = trainer.finish("the registrations evaluated").model;
    println!("prior {:.2} (before {:.2})", trained.prior(rows.len() as u64), start.prior(rows.len() as u64));
    println!("| field: level | m | weight | before |\n| --- | --- | --- | --- |");
    for (field, levels) in &trained.data().rates {
        for (level, rate) in levels {
            println!(
                "| {field:?}: {level:?} | {:.4} | {:+.1} | {:+.1} |",
                rate.m,
                trained.weight(*field, *level),
                start.weight(*field, *level)
            );
        }
    }
    trained
}

#[derive(Debug)]
enum Word {
    Link,
    Review,
    New,
}

fn kind(outcome: Outcome) -> Word {
    match outcome {
        Outcome::Link(_) => Word::Link,
        Outcome::Review => Word::Review,
        Outcome::New => Word::New,
    }
}

/// Persons as they came out, pair by pair.
fn clusters(
    rows: &[Row],
    assigned: &[u32],
    of_person: &HashMap<u32, Vec<u32>>,
    reviews: &[(u32, Vec<u32>)],
    true_pairs: u64,
) {
    let mut members: HashMap<u32, Vec<u32>> = HashMap::new();
    for (at, person) in assigned.iter().enumerate() {
        members.entry(*person).or_default().push(rows[at].truth.person);
    }
    let (mut together, mut right, mut mixed) = (0_u64, 0_u64, 0_u64);
    for truths in members.values() {
        let n = truths.len() as u64;
        together += n * (n - 1) / 2;
        let mut counts: HashMap<u32, u64> = HashMap::new();
        for truth in truths {
            *counts.entry(*truth).or_default() += 1;
        }
        right += counts.values().map(|n| n * (n - 1) / 2).sum::<u64>();
        mixed += u64::from(counts.len() > 1);
    }
    let edges = edges(assigned, reviews);
    let mut seen = 0_u64;
    for records in of_person.values() {
        for (n, a) in records.iter().enumerate() {
            for b in &records[n + 1..] {
                let pair = (assigned[*a as usize], assigned[*b as usize]);
                seen += u64::from(pair.0 == pair.1 || edges.contains(&ordered(pair)));
            }
        }
    }
    let precision = right as f64 / together.max(1) as f64;
    let recall = right as f64 / true_pairs.max(1) as f64;
    println!(
        "pairs in one person: precision {precision:.6}, recall {recall:.4}, F1 {:.4}; linked or in review {:.4}; mixed persons {mixed}: {:.1} per 100,000",
        2.0 * precision * recall / (precision + recall),
        seen as f64 / true_pairs.max(1) as f64,
        mixed as f64 * 1e5 / of_person.len() as f64,
    );
}

fn ordered((a, b): (u32, u32)) -> (u32, u32) {
    (a.min(b), a.max(b))
}

/// Persons that a review holds side by side.
fn edges(assigned: &[u32], reviews: &[(u32, Vec<u32>)]) -> HashSet<(u32, u32)> {
    let mut edges = HashSet::new();
    for (at, others) in reviews {
        for other in others {
            edges.insert(ordered((assigned[*at as usize], assigned[*other as usize])));
        }
    }
    edges
}

/// Of the pairs that each kind of error befell: linked, in review, lost.
fn by_kind(rows: &[Row], assigned: &[u32], of_person: &HashMap<u32, Vec<u32>>, reviews: &[(u32, Vec<u32>)]) {
    let edges = edges(assigned, reviews);
    let mut counts: BTreeMap<Option<Kind>, [u64; 3]> = BTreeMap::new();
    for records in of_person.values() {
        for (n, a) in records.iter().enumerate() {
            for b in &records[n + 1..] {
                let pair = (assigned[*a as usize], assigned[*b as usize]);
                let zone = match () {
                    () if pair.0 == pair.1 => 0,
                    () if edges.contains(&ordered(pair)) => 1,
                    () => 2,
                };
                let kinds: Kinds = rows[*a as usize].truth.between(&rows[*b as usize].truth);
                for kind in kinds.list() {
                    counts.entry(Some(kind)).or_default()[zone] += 1;
                }
                if kinds.is_empty() {
                    counts.entry(None).or_default()[zone] += 1;
                }
            }
        }
    }
    println!(
        "\n| what befell the pair | pairs | linked | in review | lost |\n| --- | --- | --- | --- | --- |"
    );
    for (kind, zones) in counts {
        let all = zones.iter().sum::<u64>() as f64;
        let share = |n: u64| n as f64 / all;
        let name = kind.map_or("nothing".to_owned(), |k| format!("{k:?}"));
        println!(
            "| {name} | {all} | {:.3} | {:.3} | {:.3} |",
            share(zones[0]),
            share(zones[1]),
            share(zones[2])
        );
    }
}

/// Reviews that join nobody: what they cost.
fn strangers(rows: &[Row], assigned: &[u32], reviews: &[(u32, Vec<u32>)]) {
    let _ = assigned;
    let vain = reviews.iter().filter(|(at, others)| {
        others.iter().all(|o| rows[*o as usize].truth.person != rows[*at as usize].truth.person)
    });
    println!("\nreviews of strangers only: {} of {}", vain.count(), reviews.len());
}

fn thresholds(name: &str, tallies: &[Tally; STEPS], true_pairs: u64) {
    println!("\n| {name}: from | precision | recall | F1 |\n| --- | --- | --- | --- |");
    let mut sum = Tally::default();
    let mut lines = vec![];
    let mut best = (0.0, 0);
    for at in (0..STEPS).rev() {
        sum.right += tallies[at].right;
        sum.wrong += tallies[at].wrong;
        let precision = sum.right as f64 / (sum.right + sum.wrong).max(1) as f64;
        let recall = sum.right as f64 / true_pairs as f64;
        let f1 = 2.0 * precision * recall / (precision + recall).max(1e-9);
        if f1 > best.0 {
            best = (f1, at as i32 + LOWEST);
        }
        lines.push((at as i32 + LOWEST, precision, recall, f1));
    }
    for (from, precision, recall, f1) in
        lines.iter().rev().filter(|l| l.0 % 2 == 0 && (-10..=40).contains(&l.0))
    {
        println!("| {from} | {precision:.5} | {recall:.4} | {f1:.4} |");
    }
    println!("best F1 {:.4} from {}", best.0, best.1);
}

fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.trim().trim_end_matches("kB").trim().parse::<u64>().ok()).unwrap_or(0) / 1024
}
