//! Whatever arrives: no panic, nothing that breaks the rules, and no code that was not in the source or a master.

use std::collections::HashSet;

use chiren::clins::make::from_any;
use proptest::prelude::*;
use proptest::sample::Index;

use super::{Site, holds, json, sources};

/// Codes that our tables say, whatever the source holds.
const OURS: &[&str] = &[
    "active",
    "inactive",
    "resolved",
    "confirmed",
    "unconfirmed",
    "encounter-diagnosis",
    "principal",
    "AMB",
    "IMP",
    "laboratory",
    "99999999999999999",
    "NOCODED",
    "0X0XXXXXXXXX0000",
    "D9M000000000",
    "D9F000000000",
    "D9N000000000",
    "unknown",
    "not-asked",
    "unsupported",
    "d",
    "1",
    "Condition",
    "AllergyIntolerance",
    "Observation",
    "57133-1",
    "18842-5",
    "OUTPATIENT",
    "INPATIENT",
    "DISCHARGE",
    "200",
    "210",
    "220",
    "230",
    "300",
    "prov",
    "PO",
];

fn sources_() -> Vec<(String, Vec<String>)> {
    vec![
        (sources::problems(), vec![]),
        (sources::allergies(), vec![]),
        (sources::report(), vec![]),
        (sources::letter(), vec![sources::prescription(), sources::report()]),
        (sources::summary(), vec![sources::prescription()]),
    ]
}

/// Takes out, doubles, or replaces a piece.
fn spoil(text: &str, edits: &[(Index, Index, u8)]) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for (at, to, how) in edits {
        if chars.is_empty() {
            break;
        }
        let (mut a, mut b) = (at.index(chars.len()), to.index(chars.len()));
        if a > b {
            std::mem::swap(&mut a, &mut b);
        }
        b = b.min(a + 40);
        match how % 6 {
            0 => drop(chars.drain(a..b)),
            1 => {
                let piece: Vec<char> = chars[a..b].to_vec();
                chars.splice(a..a, piece);
            }
            2 => chars[a] = '|',
            3 => chars[a] = '^',
            4 => chars[a] = '\u{ff71}',
            _ => {
                let last = chars.len() - 1;
                chars.swap(a, b.min(last));
            }
        }
    }
    chars.into_iter().collect()
}

fn codes_of(value: &serde_json::Value, out: &mut HashSet<String>) {
    match value {
        serde_json::Value::Object(map) => {
            // UCUM codes are of units, by a table.
            let system =
                map.get("system").and_then(|s| s.as_str()).filter(|s| *s != "http://unitsofmeasure.org");
            if let (Some(code), Some(_)) = (map.get("code").and_then(|c| c.as_str()), system) {
                out.insert(code.to_owned());
            }
            map.values().for_each(|v| codes_of(v, out));
        }
        serde_json::Value::Array(list) => list.iter().for_each(|v| codes_of(v, out)),
        _ => {}
    }
}

/// A code may be put together of what the source or the masters hold: a prefix, a specimen, without hyphens.
fn is_known(code: &str, source: &str) -> bool {
    let bare = code.strip_prefix("YCM").or(code.strip_prefix("GCM")).unwrap_or(code);
    let parts = bare.split('_');
    let master = |part: &str| sources::MASTERS.iter().any(|(_, text)| text.contains(part));
    let section = code.len() == 3 && code.bytes().all(|b| b.is_ascii_digit());
    let institution = super::INSTITUTION.contains(code) || "2719900026".contains(code);
    section
        || institution
        || OURS.contains(&code)
        || parts.clone().all(|p| source.contains(p) || source.replace('-', "").contains(p) || master(p))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn spoiled_sources_are_refused_or_make_what_holds(
        which in 0usize..5,
        edits in proptest::collection::vec((any::<Index>(), any::<Index>(), any::<u8>()), 0..6),
        inside in any::<bool>(),
    ) {
        let site = Site::new();
        let (main, beside) = sources_().swap_remove(which);
        let (main, beside) = match inside && !beside.is_empty() {
            true => (main, beside.iter().map(|b| spoil(b, &edits)).collect()),
            false => (spoil(&main, &edits), beside),
        };
        let enclosed: Vec<&[u8]> = beside.iter().map(|b| b.as_bytes()).collect();
        if let Ok(made) = from_any(main.as_bytes(), &site.context(&enclosed)) {
            holds::check(&made);
            let mut all = HashSet::new();
            codes_of(&json(&made), &mut all);
            let mut source = format!("{main}{}", beside.concat());
            source = source.replace('\r', "\n").replace('\u{ff71}', "ア");
            for code in all {
                prop_assert!(is_known(&code, &source), "{} stands nowhere", code);
            }
        }
    }

    #[test]
    fn bytes_of_any_kind_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400), head in 0usize..3) {
        let site = Site::new();
        let head: &[u8] = [&b"MSH|^~\\&|"[..], b"<ClinicalDocument xmlns='urn:hl7-org:v3'>", b""][head];
        prop_assert!(from_any(&[head, &bytes].concat(), &site.context(&[])).is_err());
    }
}
