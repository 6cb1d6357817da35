//! The configuration as an operator meets it: the file, the environment over it, and what is said of faults.

use std::collections::BTreeSet;

use chiren::config::{Config, Language, Weight, example};

use crate::support::gateway;

fn load(text: &str, vars: &[(&str, &str)]) -> Result<Config, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("chiren.toml");
    std::fs::write(&path, text).unwrap();
    Config::load_with(&path, vars.iter().map(|(k, v)| (k.to_string(), v.to_string())))
        .map_err(|e| e.to_string())
}

#[test]
fn the_example_is_the_shipped_file_and_loads() {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/config/chiren.toml");
    assert_eq!(std::fs::read_to_string(shipped).unwrap(), example());
    let config = load(&example(), &[]).unwrap();
    assert!(!config.check().is_empty(), "the example's OIDs are to be replaced");
}

#[tokio::test]
async fn a_configuration_survives_being_written() {
    let dir = tempfile::tempdir().unwrap();
    let config = gateway::config(&dir).await;
    assert_eq!(load(&toml::to_string(&config).unwrap(), &[]).unwrap(), config);
    let refusing: Vec<_> = config.check().into_iter().filter(|f| f.refuses()).collect();
    assert_eq!(refusing, []);
}

#[test]
fn the_environment_lies_over_the_file() {
    let file = "[network]\nname = 'file'\n[limits]\nparts = 5\n";
    let config = load(
        file,
        &[
            ("CHIREN__NETWORK__NAME", "environment"),
            ("CHIREN__LISTENER__0__ADDRESS", "127.0.0.1:1234"),
            ("CHIREN__REPOSITORY__UNIQUE_ID", "1.2.392.3"),
            ("CHIREN_LANG", "ja"),
            ("PATH", "/bin"),
        ],
    )
    .unwrap();
    assert_eq!(config.network.name, "environment");
    assert_eq!(config.limits.parts, 5);
    assert_eq!(config.listener[0].address.port(), 1234);
    assert_eq!(config.repository.unique_id, "1.2.392.3");
}

#[test]
fn unknown_keys_are_named() {
    for (text, vars, named) in [
        ("[limits]\npart = 5\n", vec![], "part"),
        ("[limit]\n", vec![], "limit"),
        ("[repository.remote_registry]\nurll = 'x'\n", vec![], "urll"),
        ("", vec![("CHIREN__LIMITS__PART", "5")], "part"),
        ("", vec![("CHIREN__LIMITS__PARTS", "many")], "many"),
    ] {
        let error = load(text, &vars).expect_err(text);
        assert!(error.contains(named), "{named} is not in: {error}");
    }
}

/// Every fault bears its key and a sentence in each language.
#[test]
fn faults_name_their_keys_in_both_languages() {
    let text = "
        [network]
        home_community_id = '1.2.3'
        [[listener]]
        name = 'a'
        [[listener]]
        name = 'a'
        [registry]
        vocabularies = ['/no/such/file']
        [database]
        url = 'mysql://user:secret@host/db'
        [limits]
        parts = 1
        document_mib = 4096
        [log]
        level = 'loud'
    ";
    let faults = load(text, &[]).unwrap().check();
    let keys: BTreeSet<&str> = faults.iter().map(|f| f.key.as_str()).collect();
    for key in [
        "network.home_community_id",
        "network.patient_id_authority",
        "listener[0].certificate",
        "listener[1].name",
        "listener[1].address",
        "repository.unique_id",
        "registry.vocabularies[0]",
        "database.url",
        "limits.parts",
        "limits.document_mib",
        "log.level",
    ] {
        assert!(keys.contains(key), "{key} is not in {keys:?}");
    }
    for fault in &faults {
        for language in [Language::En, Language::Ja] {
            let sentence = fault.in_language(language);
            assert!(sentence.starts_with(&fault.key), "{sentence}");
            assert!(!sentence.contains("secret"), "{sentence}");
        }
        assert!(fault.ja.chars().any(|c| c > '\u{3000}'), "not Japanese: {}", fault.ja);
        assert_eq!(fault.weight, Weight::Refuse, "{fault}");
    }
}
