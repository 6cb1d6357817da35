//! The catalogue is the one list of transactions: descriptions, corpus, README and vocabulary agree with it.

use std::collections::BTreeSet;
use std::path::Path;

use chiren::model::codes::{CodeCheck, CodedAttribute, Membership, Vocabulary};
use chiren::model::transaction::{CATALOGUE, TransactionRow, Wire};
use chiren::server::wsdl;
use chiren::synthetic::{KINDS, Network};
use serde_json::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The rows whose messages are ebRIM: the others have corpus and tables of their own.
fn ebxml() -> impl Iterator<Item = &'static TransactionRow> {
    CATALOGUE.iter().filter(|row| row.wire == Wire::Ebxml)
}

#[test]
fn every_transaction_has_its_description_and_no_other_has_one() {
    let described: BTreeSet<String> =
        wsdl::names().filter(|n| n.starts_with("iti")).map(str::to_owned).collect();
    let served: BTreeSet<String> = CATALOGUE
        .iter()
        .filter(|r| !r.path.is_empty())
        .map(|r| format!("{}.wsdl", r.path.rsplit('/').next().unwrap()))
        .collect();
    assert_eq!(described, served);
}

#[test]
fn rows_are_distinct_and_name_their_number() {
    let mut seen = BTreeSet::new();
    for row in CATALOGUE {
        let number = row.code.strip_prefix("ITI-").unwrap();
        assert!(row.path.is_empty() || row.path.ends_with(&format!("/iti{number}")), "{}", row.code);
        assert!(row.clause.ends_with(&format!("3.{number}")), "{}", row.code);
        for value in [row.code, row.name] {
            assert!(seen.insert(value), "{value} stands twice");
        }
        if row.wire == Wire::Ebxml {
            for value in [row.path, row.request_action, row.response_action] {
                assert!(seen.insert(value), "{value} stands twice");
            }
        }
    }
}

#[test]
fn every_transaction_has_corpus_messages() {
    let index = std::fs::read_to_string(root().join("tests/corpus/xds/index.json")).unwrap();
    let index: Value = serde_json::from_str(&index).unwrap();
    let entries = index["entries"].as_array().unwrap();
    for row in ebxml() {
        assert!(entries.iter().any(|e| e["transaction"] == row.code), "no message of {}", row.code);
    }
}

/// A line of the README's conformance table for each row, and for no transaction besides.
#[test]
fn the_readme_says_what_is_served() {
    let Ok(readme) = std::fs::read_to_string(root().join("README.md")) else { return };
    let lines: Vec<&str> = readme.lines().filter(|l| l.trim_start().starts_with('|')).collect();
    for row in ebxml() {
        let found = lines.iter().any(|l| l.contains(row.code) && l.contains(row.name));
        assert!(found, "README.md has no table line with {} and {}", row.code, row.name);
    }
}

#[test]
fn synthetic_codes_are_in_the_vocabulary() {
    let vocabulary = Vocabulary::japan(CodeCheck::Strict).unwrap();
    let known = |attribute: CodedAttribute, code: &str, scheme: &str| {
        let found = vocabulary.membership(attribute, code, scheme);
        assert_ne!(found, Membership::Unknown, "{attribute:?} {code}^^{scheme}");
    };
    for row in KINDS {
        known(CodedAttribute::TypeCode, row.type_code.code, row.type_code.scheme);
        known(CodedAttribute::ClassCode, row.class_code.code, row.class_code.scheme);
        known(CodedAttribute::FormatCode, row.format_code.code, row.format_code.scheme);
        known(CodedAttribute::MimeType, row.mime_type, "");
    }
    let network = Network::generate(1, 20, jiff::civil::date(2026, 11, 22));
    for d in network.documents(200) {
        known(
            CodedAttribute::ConfidentialityCode,
            d.confidentiality_code.code,
            d.confidentiality_code.scheme,
        );
        known(CodedAttribute::HealthcareFacilityTypeCode, d.facility_type.code, d.facility_type.scheme);
        known(CodedAttribute::PracticeSettingCode, d.practice_setting.code, d.practice_setting.scheme);
        for event in &d.event_codes {
            known(CodedAttribute::EventCodeList, event.code, event.scheme);
        }
    }
}
