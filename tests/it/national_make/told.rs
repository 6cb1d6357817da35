//! docs/national-making.md says what the tables say; the command does what it says.

use std::path::PathBuf;

use chiren::clins::make::cda::sections::{DISCHARGE, REFERRAL};
use chiren::clins::make::masters::{FILES, Masters};
use chiren::clins::make::rows::{Fate, ROWS};
use chiren::clins::make::said::{LeftOutReason, NotMadeKey, UnmappedKey, WarningKey};

const PAGE: &str = include_str!("../../../docs/national-making.md");

/// The published tables are not ours to copy: `JP_CLINS_CORPUS` names the folder that has `terminology` and `mapping`.
fn corpus() -> Option<PathBuf> {
    let folder = std::env::var_os("JP_CLINS_CORPUS").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("JP_CLINS_CORPUS is not set: the published tables are not compared");
    }
    folder
}

#[test]
fn the_page_has_every_row() {
    let row = |start: String| assert!(PAGE.contains(&start), "docs/national-making.md lacks the row {start}");
    for r in ROWS {
        let to = if let Fate::To(to) = r.fate { to } else { "" };
        row(format!("| {}-{} | {} | {to}", r.segment, r.field, r.name_ja));
    }
    let keys = NotMadeKey::ALL.iter().map(|k| (k.code(), k.en(), k.ja()));
    let keys = keys.chain(LeftOutReason::ALL.iter().map(|k| (k.code(), k.en(), k.ja())));
    let keys = keys.chain(UnmappedKey::ALL.iter().map(|k| (k.code(), k.en(), k.ja())));
    for (code, en, ja) in keys.chain(WarningKey::ALL.iter().map(|k| (k.code(), k.en(), k.ja()))) {
        row(format!("| `{code}` | {en} | {ja} |"));
    }
    for file in FILES {
        row(format!(
            "| `{}` | {} | {} | {} |",
            file.name,
            file.columns.join(", "),
            file.purpose_en,
            file.purpose_ja
        ));
    }
    for section in REFERRAL.iter().chain(DISCHARGE) {
        row(format!("| {} | {} |", section.code, section.title));
    }
}

/// The listed items against the published tables, where the corpus is at hand.
#[test]
fn listed_items_are_the_published_ones() {
    let Some(folder) = corpus() else { return };
    let read = |name: &str| std::fs::read_to_string(folder.join("terminology").join(name)).unwrap();
    let rows = |text: &str| -> Vec<Vec<String>> {
        let lines = text.trim_start_matches('\u{feff}').lines();
        lines.map(|l| l.split(',').map(str::to_owned).collect()).collect()
    };
    let slices = rows(&read("lab-slices.csv"));
    let masters = Masters::built_in();
    let mut seen = 0;
    for code in rows(&read("lab-codes-jlac10.csv")).iter().skip(1) {
        // Groups that are in a slice, by the slice's display; D-dimer's class is in the slice DD.
        let group = if code[1] == "DD-class" { "DD" } else { &code[1] };
        let slice =
            slices.iter().find(|s| s[1] == code[0] && s[2] == "JLAC10" && s[6] == group && s[4] != "FBS");
        let item = masters.lab_item(&code[2]);
        assert_eq!(item.map(|i| i.display.as_str()), slice.map(|s| s[4].as_str()), "{code:?}");
        seen += usize::from(item.is_some());
    }
    assert_eq!(seen, masters.lab_items().count());
}

/// Every row of the published maps for the messages we read has a row of ours, or a reason.
#[test]
fn the_published_maps_are_covered() {
    let Some(folder) = corpus() else { return };
    let text = std::fs::read_to_string(folder.join("mapping/ssmix2-to-fhir-conceptmaps.csv")).unwrap();
    let mut seen = 0;
    for line in text.lines() {
        let cells: Vec<&str> = line.split(',').collect();
        let ours = ["segment-ppr-01", "segment-adt-61", "segment-oml-11", "segment-omp-01", "segment-pv1"];
        let [map, field, _, target, ..] = cells[..] else { continue };
        let Some((segment, number)) = field.split_once('-') else { continue };
        let number: usize = number.parse().unwrap_or(0);
        // Encounters of ADT messages alone have a place and a discharge; rows without target map nothing.
        let elsewhere =
            matches!(segment, "EVN" | "PV2" | "MSH") || (segment == "PV1" && matches!(number, 17 | 36));
        if number == 0 || target.is_empty() || elsewhere || !ours.iter().any(|o| map.starts_with(o)) {
            continue;
        }
        seen += 1;
        assert!(
            ROWS.iter().any(|r| r.segment == segment && r.field == number),
            "{field} → {target} has no row"
        );
    }
    assert!(seen > 80, "{seen}");
}

#[test]
fn the_command_makes_and_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_string_lossy().into_owned()
    };
    let masters = folder.path().join("masters");
    std::fs::create_dir(&masters).unwrap();
    for (name, text) in super::sources::MASTERS {
        std::fs::write(masters.join(name), text).unwrap();
    }
    let masters = masters.to_string_lossy().into_owned();
    let message = file("PPR-01.hl7", &super::sources::iso_2022_jp(&super::sources::problems()));
    let run = |arguments: &[&str]| {
        let mut all = vec!["national", "make"];
        all.extend(arguments);
        let output = crate::support::process::run(&all);
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let common = [
        "--institution",
        super::INSTITUTION,
        "--insured",
        super::INSURED,
        "--masters",
        &masters,
        "--at",
        "2025-10-01T00:00:05.120Z",
    ];
    let with = |more: &[&str]| run(&[more, &common[..]].concat());
    let (code, out, err) = with(&[&message, "--kind", "conditions"]);
    let expected =
        super::Site::new().make(&super::sources::iso_2022_jp(&super::sources::problems())).unwrap();
    assert_eq!((code, out.trim_end().as_bytes()), (Some(0), expected.bundle.as_slice()), "{err}");
    assert!(err.contains("left-out unconfirmed PRB[5]-13") && err.contains(&expected.bundle_id), "{err}");
    let (code, out, err) = with(&[&message, "--kind", "allergies", "--report"]);
    assert_eq!((code, out.as_str()), (Some(4), ""));
    let report: serde_json::Value = serde_json::from_str(&err).unwrap();
    assert_eq!(report["said"][0]["key"], "kind-mismatch");
    let (letter, rx) = (
        file("letter.xml", super::sources::letter().as_bytes()),
        file("rx.hl7", super::sources::prescription().as_bytes()),
    );
    let (code, out, _) = with(&[&letter, "--with", &rx, "--name", "架空第一診療所"]);
    assert_eq!((code, out.matches("\"MedicationRequest\"").count()), (Some(0), 3));
    let old = file("0000123_-_PPR-01_1_20250930083000000_-_2", super::sources::problems().as_bytes());
    assert_eq!(with(&[&old]).0, Some(4));
    assert_eq!(with(&["/no/such/file"]).0, Some(1));
    assert_eq!(run(&[&message]).0, Some(2));
}
