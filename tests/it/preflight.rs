//! Bundles checked before they are sent (docs/preflight.md): the corpus of JP-CLINS, what its publisher gives out as
//! examples, an oracle of FHIRPath, and `chiren national check`.
//!
//! The corpus may not be copied into the repository (its definitions are under terms that forbid altered copies); it
//! lies beside it, or where `CHIREN_JP_CLINS` says. Without it these tests say so and check nothing.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::OnceLock;

use chiren::clins::bundle::{self, Kind};
use chiren::clins::check::{Checker, Mode, Options};
use chiren::clins::finding::{Finding, passes};
use chiren::clins::normalise::{EntryProfiles, normalise};
use chiren::fhirpath::{Alone, Context, Expression, Json, Node};

use crate::support::process::chiren;

fn corpus() -> Option<PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/corpus/jp-clins");
    let path = std::env::var_os("CHIREN_JP_CLINS").map_or_else(|| PathBuf::from(beside), PathBuf::from);
    if !path.is_dir() {
        eprintln!("no corpus at {}: nothing checked", path.display());
        return None;
    }
    Some(path)
}

/// The definitions, for gateways that check what leaves.
pub fn packages() -> Option<PathBuf> {
    Some(corpus()?.join("definitions"))
}

/// Loaded once for all tests: the definitions take a moment.
fn checker() -> Option<&'static Checker> {
    static CHECKER: OnceLock<Option<Checker>> = OnceLock::new();
    CHECKER.get_or_init(|| Some(Checker::load(&[packages()?]).expect("definitions"))).as_ref()
}

fn read(name: &str) -> Vec<u8> {
    std::fs::read(corpus().expect("a corpus").join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn errors(findings: &[Finding]) -> Vec<&Finding> {
    findings.iter().filter(|f| f.is_error()).collect()
}

/// `None`: as due; otherwise what was found.
fn against(findings: &[Finding], due: &str) -> Option<String> {
    let errors = errors(findings);
    let holds = match due.strip_prefix("reject:") {
        Some(rule) => errors.iter().any(|f| f.rule == rule || f.label.as_deref() == Some(rule)),
        None if due.contains("warning") => errors.is_empty() && !findings.is_empty(),
        None => errors.is_empty(),
    };
    (!holds).then(|| format!("{findings:#?}"))
}

#[test]
fn every_case_of_the_corpus_comes_out_as_its_index_says() {
    let Some(checker) = checker() else { return };
    let index = Json::parse(&read("index.json")).unwrap();
    let mut wrong = vec![];
    let mut count = 0;
    for case in index.items("cases") {
        let text = |name: &str| case.str(name).unwrap_or_default().to_owned();
        let (published, intended) = match case.str("expect") {
            Some("accept") => ("accept".to_owned(), "accept".to_owned()),
            Some("reject") => (format!("reject:{}", text("rule")), format!("reject:{}", text("rule"))),
            _ => (text("published_rules"), text("project")),
        };
        let bytes = read(&text("file"));
        for (mode, due) in [(Mode::Published, published), (Mode::Intended, intended)] {
            count += 1;
            let kind = Kind::find(&text("bundle"));
            assert!(kind.is_some(), "{}", text("bundle"));
            for kind in [None, kind] {
                if let Some(found) = against(&checker.check(&bytes, Options { mode, kind }), &due) {
                    wrong.push(format!("{} {mode:?} {kind:?}: {due} is due, found {found}", text("file")));
                }
            }
        }
    }
    assert!(count > 100, "the index has few cases: {count}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Published Bundles that break published rules: the file and its rules (docs/preflight.md). None does.
const EXAMPLES_THAT_BREAK: &[(&str, &[&str])] = &[];

#[test]
fn published_bundles_pass_or_break_what_is_documented() {
    let (Some(checker), Some(corpus)) = (checker(), corpus()) else { return };
    let mut wrong = vec![];
    let mut bundles = 0;
    for folder in ["jp-clins", "jp-echeckup"] {
        for entry in std::fs::read_dir(corpus.join("examples-upstream").join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if !name.starts_with("Bundle-") {
                continue;
            }
            bundles += 1;
            let findings = checker.check(&std::fs::read(&path).unwrap(), Mode::Published);
            let due = EXAMPLES_THAT_BREAK
                .iter()
                .find(|(file, _)| *file == name)
                .map_or(&[] as &[&str], |(_, rules)| rules);
            let mut rules: Vec<&str> = errors(&findings).iter().map(|f| f.rule.as_str()).collect();
            rules.sort_unstable();
            rules.dedup();
            if rules != due {
                wrong.push(format!("{name}: {due:?} is due, found {:#?}", errors(&findings)));
            }
        }
    }
    assert_eq!(bundles, 7);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn expressions_give_what_the_oracle_gives() {
    let Some(corpus) = corpus() else { return };
    const ORACLE: &str = include_str!("../fixtures/fhirpath-oracle.tsv");
    const BASE: &str = include_str!("../../src/clins/base/invariants.txt");
    let documents: Vec<Json> = ORACLE
        .lines()
        .filter_map(|l| l.strip_prefix("# "))
        .filter(|l| l.ends_with(".json"))
        .map(|name| Json::parse(&std::fs::read(corpus.join(name)).unwrap()).unwrap())
        .collect();
    let rules = Json::parse(&read("rules.json")).unwrap();
    let base: BTreeMap<(&str, &str), &str> = BASE
        .lines()
        .filter(|l| !l.starts_with('#'))
        .map(|l| l.split('\t').collect::<Vec<_>>())
        .map(|row| ((row[0], row[1]), row[3]))
        .collect();
    let mut wrong = vec![];
    let mut count = 0;
    for line in ORACLE.lines().filter(|l| !l.starts_with('#')) {
        let row: Vec<&str> = line.split('\t').collect();
        let text = match row[0] {
            "rules" => rules.as_list().unwrap()[row[1].parse::<usize>().unwrap()].str("expression").unwrap(),
            _ => base[&(row[1], row[2])],
        };
        let expression = Expression::parse(text).unwrap_or_else(|e| panic!("{}: {e}", row[2]));
        for (json, due) in documents.iter().zip(row[3].chars()) {
            count += 1;
            let node = Node::resource(json);
            let context = Context {
                resource: node,
                root: node,
                context: node,
                surroundings: &Alone,
                now: 0,
                offset: 540,
            };
            let found = match expression.evaluate(&context) {
                Err(_) => 'E',
                Ok(found) => match &*found {
                    [] => '-',
                    [item] => item.as_bool().map_or('N', |value| if value { 'T' } else { 'F' }),
                    _ => 'N',
                },
            };
            // An item without a unit compared with a number: the oracle refuses, the standard converts (6.6).
            if found != due && (row[2], due, found) != ("age-1", 'E', 'T') {
                wrong.push(format!("{} on {:?}: {due} is due, found {found}", row[2], json.str("id")));
            }
        }
    }
    assert!(count > 20_000, "few results: {count}");
    assert!(wrong.is_empty(), "{} of {count}\n{}", wrong.len(), wrong.join("\n"));
}

/// Every `step`th leaf of a document, by its path.
fn leaves(json: &Json, path: &mut Vec<String>, out: &mut Vec<Vec<String>>) {
    match json {
        Json::Object(object) => {
            for (key, value) in object.iter() {
                path.push(key.to_owned());
                leaves(value, path, out);
                path.pop();
            }
        }
        Json::List(list) => {
            for (i, item) in list.iter().enumerate() {
                path.push(i.to_string());
                leaves(item, path, out);
                path.pop();
            }
        }
        _ => out.push(path.clone()),
    }
}

fn at_mut<'a>(json: &'a mut Json, path: &[String]) -> &'a mut Json {
    path.iter().fold(json, |here, step| match here {
        Json::List(list) => &mut list[step.parse::<usize>().unwrap()],
        other => other.get_mut(step).unwrap(),
    })
}

#[test]
fn whatever_element_is_spoiled_something_is_said() {
    let Some(checker) = checker() else { return };
    let mut silent = vec![];
    let mut count = 0;
    for name in [
        "g01-condition",
        "g02-allergy",
        "g04-infection",
        "g06-ereferral-text",
        "g10-epcs",
        "g11-echeckup-tokutei",
    ] {
        let good = Json::parse(&read(&format!("cases/good/{name}.json"))).unwrap();
        let mut all = vec![];
        leaves(&good, &mut vec![], &mut all);
        for path in all.iter().step_by(all.len() / 40 + 1) {
            for by in [Json::List(vec![Json::Bool(true)]), Json::text(""), Json::Null] {
                let mut spoiled = good.clone();
                *at_mut(&mut spoiled, path) = by.clone();
                count += 1;
                if passes(&checker.check_value(&spoiled, Mode::Intended)) {
                    silent.push(format!("{name} {} = {by}", path.join(".")));
                }
            }
        }
    }
    assert!(count > 500, "{count}");
    assert!(silent.is_empty(), "{}", silent.join("\n"));
}

/// Nothing that comes by ITI-41 may end the adapter: odd pieces anywhere in a Bundle, inside its values or its marks.
#[test]
fn whatever_comes_is_checked_to_its_end() {
    const ODD: &[&str] = &[
        "",
        "é",
        "吉",
        "\u{3000}",
        "𠮷",
        "&",
        "<",
        ">",
        "\"",
        "'",
        "\\",
        "\\u0000",
        "\\ud800",
        "-",
        "+",
        ":",
        "^",
        "T",
        "Z",
        "#",
        "%",
        "/",
        "[",
        "{",
        "99999999999999999999",
        "1e999999999",
        "T25:61:61.9+99:99",
        "2025-13-99",
        "--->",
    ];
    let Some(checker) = checker() else { return };
    let mut seed = 7u64;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap() % below
    };
    for name in
        ["g01-condition", "g02-allergy", "g05-ereferral-structured", "g10-epcs", "g11-echeckup-tokutei"]
    {
        let good = String::from_utf8(read(&format!("cases/good/{name}.json"))).unwrap();
        let places: Vec<usize> = good.char_indices().map(|(at, _)| at).collect();
        for _ in 0..120 {
            let from = random(places.len());
            let to = (from + random(4)).min(places.len() - 1);
            let odd = ODD[random(ODD.len())];
            let spoiled = [&good[..places[from]], odd, &good[places[to]..]].concat();
            let mode = if random(2) == 0 { Mode::Intended } else { Mode::Published };
            let _ = checker.check(spoiled.as_bytes(), mode);
        }
        let mut bytes = good.into_bytes();
        let at = random(bytes.len());
        bytes[at] = 0xff;
        assert!(!passes(&checker.check(&bytes[..], Mode::Intended)), "{name}: no UTF-8");
    }
}

#[test]
fn two_editions_stand_beside_each_other() {
    let Some(corpus) = corpus() else { return };
    let older = Checker::load(&[corpus.join("packages")]).expect("packages as published");
    let names: Vec<(&str, &str)> =
        older.packages().iter().map(|p| (p.name.as_str(), p.version.as_str())).collect();
    assert_eq!(names, [("jp-eCSCLINS.r4", "1.x.x-temp"), ("jp-core.r4", "1.1.2-url")]);
    // 1.5.2 had the same constraints on the five informations.
    for (case, good) in
        [("good/g01-condition", true), ("good/g03-lab", true), ("bad/b12", false), ("bad/b27", false)]
    {
        let findings = older.check(&read(&format!("cases/{case}.json")), Mode::Intended);
        assert_eq!(passes(&findings), good, "{case}: {findings:#?}");
    }
    let both = Checker::load(&[corpus.join("definitions"), corpus.join("packages")]).expect("both");
    assert!(passes(&both.check(&read("cases/good/g05-ereferral-structured.json"), Mode::Intended)));
}

#[test]
fn facts_are_read_of_a_bundle() {
    if corpus().is_none() {
        return;
    }
    let json = |name: &str| Json::parse(&read(&format!("cases/{name}.json"))).unwrap();
    let unit = bundle::facts(&json("good/g01-condition")).unwrap();
    assert_eq!(
        (unit.kind, unit.resource_type.as_deref(), unit.institution.as_deref()),
        (Kind::Clins, Some("Condition"), Some("1319900018"))
    );
    assert_eq!(unit.insured.as_deref(), Some("06990011:１２３:４５６７:01"));
    assert!(
        unit.flags.iter().any(|(code, _)| code == "UNINFORMED")
            && unit.flags.iter().any(|(code, _)| code == "LTS")
    );
    let letter = bundle::facts(&json("good/g06-ereferral-text")).unwrap();
    assert_eq!(letter.kind, Kind::Referral);
    assert_eq!(letter.custodian, letter.institution);
    assert!(
        letter
            .destination
            .is_some_and(|number| number.len() == 10 && Some(&number) != letter.institution.as_ref())
    );
    // An older name of the profile does not hide what it is.
    assert_eq!(bundle::facts(&json("bad/b45")).unwrap().kind, Kind::Checkup);
}

#[test]
fn what_is_normalised_still_passes() {
    let Some(checker) = checker() else { return };
    let mut json = Json::parse(&read("cases/ambiguous/a01-versioned-entry-profile.json")).unwrap();
    assert!(!passes(&checker.check_value(&json, Mode::Published)));
    assert!(!normalise(&mut json, EntryProfiles::Unversioned).is_empty());
    assert!(passes(&checker.check_value(&json, Mode::Published)));
}

#[test]
fn numbers_leave_as_they_came() {
    if corpus().is_none() {
        return;
    }
    let bytes = read("cases/good/g03-lab.json");
    let json = Json::parse(&bytes).unwrap();
    assert_eq!(Json::parse(&json.to_bytes()).unwrap(), json);
    let text = String::from_utf8(json.to_bytes()).unwrap();
    let squeezed = |t: &str| t.chars().filter(|c| !c.is_whitespace()).collect::<String>();
    assert_eq!(squeezed(&text), squeezed(&String::from_utf8(bytes).unwrap()));
}

#[test]
fn vendors_check_their_files_by_a_command() {
    let Some(corpus) = corpus() else { return };
    let check = |arguments: &[&str]| {
        let output = chiren()
            .arg("national")
            .arg("check")
            .args(arguments)
            .arg("--packages")
            .arg(corpus.join("definitions"))
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let file = |name: &str| corpus.join("cases").join(name).display().to_string();
    let (code, text) = check(&[&file("good/g01-condition.json")]);
    assert_eq!(code, Some(0), "{text}");
    let (code, text) = check(&[&file("bad/b19.json"), "--lang", "ja"]);
    assert_eq!(code, Some(4), "{text}");
    for due in ["R1013", "Bundle.entry[0].resource", "保険者番号", "対処"] {
        assert!(text.contains(due), "{due}: {text}");
    }
    let (code, text) = check(&[&file("bad/b19.json"), "--json"]);
    assert_eq!(code, Some(4));
    let first: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(first["layer"], "profile-invariant");
    let (code, _) = check(&[&file("ambiguous/a06-mixed-types.json"), "--mode", "published"]);
    assert_eq!(code, Some(0));
    assert_eq!(check(&["/no/such/file.json"]).0, Some(1));
}
