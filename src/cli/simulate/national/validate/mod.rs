//! The service's own look at a Bundle: the published rules, written out by hand over the JSON.
//!
//! Nothing here knows the gateway's checker or the published package: whoever sends through that checker is checked here
//! by other eyes. In four levels (national-service.md §7): `structure`, `rules`, `text`, `service`; the last is decided in
//! [`super::decide`].

pub mod at;
mod base;
mod items;
pub mod names;
mod primitive;
mod profile;
mod profiles;
pub mod rules;
mod shape;
mod structure;
mod text;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::at::{At, declares};
use super::directory::institution_code as directory_code;

/// Kinds of Bundle (national-service.md §2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// 5情報.
    Info,
    /// 診療情報提供書.
    Referral,
    /// 退院時サマリー.
    Discharge,
    /// 患者サマリー.
    Summary,
    /// 健康診断結果報告書.
    Checkup,
}

impl Kind {
    pub const ALL: [Kind; 5] = [Kind::Info, Kind::Referral, Kind::Discharge, Kind::Summary, Kind::Checkup];

    /// The end of the Bundle's profile, after [`names::CLINS`].
    pub fn profile(self) -> &'static str {
        match self {
            Kind::Info => "JP_Bundle_CLINS",
            Kind::Referral => "JP_Bundle_eReferral",
            Kind::Discharge => "JP_Bundle_eDischargeSummary",
            Kind::Summary => "JP_Bundle_ePCS",
            Kind::Checkup => "JP_Bundle_eCheckupGeneral",
        }
    }

    /// The kind that a Bundle says it is.
    pub fn of(bundle: &Value) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| declares(bundle, names::CLINS, kind.profile()))
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Info => "info",
            Kind::Referral => "referral",
            Kind::Discharge => "discharge",
            Kind::Summary => "summary",
            Kind::Checkup => "checkup",
        }
    }

    pub fn japanese(self) -> &'static str {
        match self {
            Kind::Info => "5情報",
            Kind::Referral => "診療情報提供書",
            Kind::Discharge => "退院時サマリー",
            Kind::Summary => "患者サマリー",
            Kind::Checkup => "健康診断結果報告書",
        }
    }
}

/// How the rules are read where they contradict themselves (national-service.md §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Expressions to the letter, and only those that a profile uses.
    Published,
    #[default]
    Intended,
}

impl Mode {
    pub fn as_str(self) -> &'static str {
        match self {
            Mode::Published => "published",
            Mode::Intended => "intended",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    Structure,
    Rules,
    Text,
    Service,
}

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Key of the rule; for structure `card-min`, `fixed` and the like.
    pub rule: Cow<'static, str>,
    /// R-number, where the rule has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Cow<'static, str>>,
    /// FHIRPath.
    pub location: String,
    pub message: String,
    pub level: Level,
}

impl Problem {
    pub fn new(
        rule: &'static str,
        location: impl Into<String>,
        message: impl Into<String>,
        level: Level,
    ) -> Self {
        Problem { rule: rule.into(), label: None, location: location.into(), message: message.into(), level }
    }

    /// As CheckResultList has it.
    pub fn written(&self) -> Value {
        json!({
            "ResultCode": self.label.as_ref().unwrap_or(&self.rule),
            "ResultMessage": self.message,
            "Location": self.location,
            "Rule": self.rule,
            "Level": self.level,
        })
    }
}

/// Everything found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    pub errors: Vec<Problem>,
    pub warnings: Vec<Problem>,
}

impl Report {
    pub fn error(&mut self, rule: &'static str, location: &str, message: impl Into<String>, level: Level) {
        self.errors.push(Problem::new(rule, location, message, level));
    }
}

/// Looks at a Bundle as one of this kind, and at a Bundle nested in it as the kind that it declares.
pub fn validate(bundle: &Value, kind: Kind, mode: Mode) -> Report {
    let mut report = Report::default();
    bundle_at(&At::root("Bundle", bundle), kind, mode, &mut report);
    report
}

fn bundle_at(bundle: &At, kind: Kind, mode: Mode, report: &mut Report) {
    if bundle.value["resourceType"] != "Bundle" {
        report.error("type", &bundle.path, "resourceType は Bundle でなければなりません。", Level::Structure);
        return;
    }
    shape::check(bundle, report);
    base::check(bundle, report);
    structure::check(bundle, kind, report);
    rules::check(bundle, kind, mode, report);
    if mode == Mode::Intended {
        text::check(bundle, kind, report);
    }
    for resource in bundle.list("entry").iter().filter_map(|e| e.child("resource")) {
        if resource.value["resourceType"] == "Bundle"
            && let Some(kind) = Kind::of(resource.value)
        {
            bundle_at(&resource, kind, mode, report);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus/jp-clins");

    fn read(file: &str) -> Value {
        serde_json::from_str(&std::fs::read_to_string(format!("{CORPUS}/{file}")).unwrap()).unwrap()
    }

    fn kind(name: &str) -> Kind {
        let kinds = ["clins", "ereferral", "edischarge", "epcs", "echeckup"];
        Kind::ALL[kinds.iter().position(|k| *k == name).unwrap()]
    }

    #[test]
    fn every_case_of_the_corpus_comes_out_as_it_says() {
        let index = read("index.json");
        let cases = index["cases"].as_array().unwrap();
        assert_eq!(cases.len(), 69);
        for case in cases {
            let file = case["file"].as_str().unwrap();
            let bundle = read(file);
            for (mode, outcome) in [(Mode::Intended, "project"), (Mode::Published, "published_rules")] {
                let report = validate(&bundle, kind(case["bundle"].as_str().unwrap()), mode);
                let wanted = match case["expect"].as_str().unwrap() {
                    "accept" => "accept".to_owned(),
                    "reject" => format!("reject:{}", case["rule"].as_str().unwrap()),
                    _ => case[outcome].as_str().unwrap().to_owned(),
                };
                let told = |p: &Problem, rule: &str| p.rule == rule || p.label.as_deref() == Some(rule);
                match wanted.strip_prefix("reject:") {
                    Some(rule) => assert!(
                        report.errors.iter().any(|p| told(p, rule)),
                        "{file} {mode:?}: {rule} is not among {:?}",
                        report.errors
                    ),
                    None => assert_eq!(report.errors, [], "{file} {mode:?}"),
                }
                if wanted == "accept with warning" {
                    assert!(!report.warnings.is_empty(), "{file}");
                }
            }
        }
    }

    #[test]
    fn all_problems_are_told_and_not_the_first_only() {
        let mut bundle = read("cases/good/g03-lab.json");
        bundle["timestamp"] = json!("yesterday");
        bundle["entry"][1]["resource"]["colour"] = json!("red");
        bundle["entry"][2]["resource"].as_object_mut().unwrap().remove("performer");
        bundle["entry"][3]["resource"]["code"]["text"] = json!("ｶﾘｳﾑ");
        let report = validate(&bundle, Kind::Info, Mode::Intended);
        let mut rules: Vec<&str> = report.errors.iter().map(|p| &*p.rule).collect();
        rules.sort_unstable();
        assert_eq!(
            rules,
            ["display-characters", "dom-3", "observation-needs-performer", "type", "unknown-element"]
        );
    }

    #[test]
    fn a_nested_summary_is_looked_at_too() {
        let mut bundle = read("cases/good/g08-ereferral-with-discharge.json");
        let entries = bundle["entry"].as_array_mut().unwrap();
        let nested = entries.iter_mut().find(|e| e["resource"]["resourceType"] == "Bundle").unwrap();
        nested["resource"]["entry"][0]["resource"]["title"] = json!("別の題");
        let report = validate(&bundle, Kind::Referral, Mode::Intended);
        let found: Vec<&str> = report.errors.iter().map(|p| &*p.rule).collect();
        assert_eq!(found, ["fixed"]);
        assert!(report.errors[0].location.ends_with("resource.entry[0].resource.title"));
    }
}
