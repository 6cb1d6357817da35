//! A profile of our own, small: every kind of rule of shape once broken. The published corpus is tests/it/preflight.rs.

use super::check::{Checker, Mode};
use super::finding::passes;

const PROFILE: &str = r##"{"resourceType":"StructureDefinition","url":"http://t/P","version":"1","type":"Observation",
"derivation":"constraint","snapshot":{"element":[
{"id":"Observation","path":"Observation","min":0,"max":"*","constraint":[{"key":"t-1","severity":"error","human":"R9999:番号","expression":"code.text.exists()"},{"key":"t-2","severity":"warning","human":"w","expression":"note.empty()"}]},
{"id":"Observation.identifier","path":"Observation.identifier","min":1,"max":"2","slicing":{"discriminator":[{"type":"value","path":"system"}],"rules":"closed","ordered":true}},
{"id":"Observation.identifier:a","path":"Observation.identifier","sliceName":"a","min":1,"max":"1"},
{"id":"Observation.identifier:a.system","path":"Observation.identifier.system","min":1,"max":"1","fixedUri":"urn:a"},
{"id":"Observation.identifier:a.value","path":"Observation.identifier.value","min":1,"max":"1","maxLength":4},
{"id":"Observation.identifier:b","path":"Observation.identifier","sliceName":"b","min":0,"max":"1"},
{"id":"Observation.identifier:b.system","path":"Observation.identifier.system","min":1,"max":"1","fixedUri":"urn:b"},
{"id":"Observation.status","path":"Observation.status","min":1,"max":"1","fixedCode":"final"},
{"id":"Observation.code","path":"Observation.code","min":1,"max":"1","patternCodeableConcept":{"coding":[{"system":"urn:s","code":"c"}]}},
{"id":"Observation.value[x]","path":"Observation.value[x]","min":0,"max":"1","type":[{"code":"Quantity"},{"code":"string"}]},
{"id":"Observation.method","path":"Observation.method","min":0,"max":"0"}
]}}"##;

const GOOD: &str = r##"{"resourceType":"Observation","meta":{"profile":["http://t/P|1"]},"identifier":[{"system":"urn:a","value":"1"},{"system":"urn:b","value":"2"}],"status":"final","code":{"coding":[{"system":"urn:s","code":"c"}],"text":"x"},"valueString":"y"}"##;

fn checker() -> Checker {
    // Ids of processes and threads keep tests that run at once apart.
    let dir = std::env::temp_dir().join(format!(
        "chiren-clins-{}-{:?}",
        std::process::id(),
        std::thread::current().id()
    ));
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("StructureDefinition-p.json"), PROFILE).unwrap();
    let checker = Checker::load(&[&dir]).unwrap();
    std::fs::remove_dir_all(&dir).unwrap();
    checker
}

/// What is put in the place of what; the rule that breaks; where.
const SPOILED: &[(&str, &str, &str, &str)] = &[
    (r#""status":"final""#, r#""status":"amended""#, "fixed", "Observation.status"),
    (r#""status":"final""#, r#""status":"done""#, "binding-base", "Observation.status"),
    (r#""status":"final","#, "", "card-min", "Observation.status"),
    (r#""status":"final""#, r#""status":["final"]"#, "json-single", "Observation.status"),
    (r#""status":"final""#, r#""status":"final","status":"final""#, "json", "$"),
    (r#""status":"final""#, r#""statuz":1,"status":"final""#, "element-unknown", "Observation.statuz"),
    (r#""code":"c""#, r#""code":"d""#, "pattern", "Observation.code"),
    (r#","text":"x""#, "", "t-1", "Observation"),
    (r#""valueString":"y""#, r#""valueBoolean":true"#, "profile-element-type", "Observation.value"),
    (r#""valueString":"y""#, r#""valueString":1"#, "type", "Observation.value"),
    (r#""valueString":"y""#, r#""valueString":"""#, "json-empty", "Observation.value"),
    (r#""valueString":"y""#, r#""valueString":"y","valueInteger":1"#, "choice-many", "Observation"),
    (r#""valueString":"y""#, r#""effectiveDateTime":"2025-13""#, "format", "Observation.effective"),
    (r#""valueString":"y""#, r#""method":{"text":"m"}"#, "card-max", "Observation.method"),
    (r#""valueString":"y""#, r##""subject":{"reference":"#p"}"##, "ref-contained", "Observation.subject"),
    (
        r#""valueString":"y""#,
        r#""contained":[{"resourceType":"Patient","id":"p"}]"#,
        "dom-3",
        "Observation.contained[0]",
    ),
    (
        r#""valueString":"y""#,
        r##""contained":[{"resourceType":"Patience","id":"p"}],"subject":{"reference":"#p"}"##,
        "resource-type",
        "Observation.contained[0]",
    ),
    (r#""valueString":"y""#, r#""valueQuantity":{"value":1.0,"code":"mg"}"#, "qty-3", "Observation.value"),
    (r#""valueString":"y""#, r#""extension":[{"url":"http://e"}]"#, "ext-1", "Observation.extension[0]"),
    (r#""valueString":"y""#, r#""note":[{}]"#, "json-empty", "Observation.note[0]"),
    (r#""valueString":"y""#, r#""note":{"text":"n"}"#, "json-array", "Observation.note"),
    (r#"{"system":"urn:a","value":"1"},"#, "", "slice-min", "Observation.identifier"),
    (
        r#"{"system":"urn:b","value":"2"}"#,
        r#"{"system":"urn:c","value":"2"}"#,
        "slice-closed",
        "Observation.identifier[1]",
    ),
    (
        r#"{"system":"urn:b","value":"2"}"#,
        r#"{"system":"urn:a","value":"2"}"#,
        "slice-max",
        "Observation.identifier",
    ),
    (
        r#"{"system":"urn:a","value":"1"},{"system":"urn:b","value":"2"}"#,
        r#"{"system":"urn:b","value":"2"},{"system":"urn:a","value":"1"}"#,
        "slice-order",
        "Observation.identifier[1]",
    ),
    (r#""urn:a","value":"1""#, r#""urn:a","value":"12345""#, "max-length", "Observation.identifier[0].value"),
    (
        r#"{"system":"urn:b","value":"2"}"#,
        r#"{"system":"urn:b","value":"2"},{"system":"urn:b","value":"3"}"#,
        "card-max",
        "Observation.identifier",
    ),
    ("http://t/P|1", "http://jpfhir.jp/nowhere", "profile-not-loaded", "Observation.meta.profile[0]"),
];

#[test]
fn every_shape_once_broken() {
    let checker = checker();
    let good = checker.check(GOOD.as_bytes(), Mode::Published);
    assert!(good.is_empty(), "{good:#?}");
    let mut wrong = vec![];
    for (what, by, rule, path) in SPOILED {
        assert!(GOOD.contains(what), "{what}");
        let findings = checker.check(GOOD.replacen(what, by, 1).as_bytes(), Mode::Published);
        if !findings.iter().any(|f| f.rule == *rule && f.path == *path) {
            wrong.push(format!("{by}: {rule} at {path} is due, found {findings:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn labels_and_severities() {
    let checker = checker();
    let text = GOOD.replace(r#","text":"x""#, "").replace(r#""valueString":"y""#, r#""note":[{"text":"n"}]"#);
    let findings = checker.check(text.as_bytes(), Mode::Published);
    let label = findings.iter().find(|f| f.rule == "t-1").and_then(|f| f.label.clone());
    assert_eq!(label.as_deref(), Some("R9999"));
    assert!(findings.iter().any(|f| f.rule == "t-2" && !f.is_error()));
    assert!(!passes(&findings));
}
