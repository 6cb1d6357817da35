//! What the guide demands in words, and no expression checks (national-service.md §2, §4): one type in a Bundle,
//! references that lead somewhere, characters of names, listed items by their names.

use super::at::{At, declares, resources};
use super::names::{self, CLINS};
use super::{Kind, Level, Problem, Report};

pub fn check(bundle: &At, kind: Kind, report: &mut Report) {
    if kind == Kind::Info {
        one_type(bundle, report);
    } else if !declares(bundle.value, CLINS, kind.profile()) && kind != Kind::Checkup {
        let message = format!("Bundle は {} を宣言しなければなりません。", kind.profile());
        report.error("bundle-profile", &format!("{}.meta.profile", bundle.path), message, Level::Text);
    }
    references(bundle, report);
    for resource in resources(bundle) {
        if resource.resource_type() == "Observation" && kind == Kind::Info {
            characters(&resource, report);
            listed(&resource, report);
            valued(&resource, report);
        }
    }
}

/// Types are not mixed in a Bundle.
fn one_type(bundle: &At, report: &mut Report) {
    let mut kinds: Vec<&str> =
        resources(bundle).iter().map(At::resource_type).filter(|t| *t != "Patient").collect();
    kinds.sort_unstable();
    kinds.dedup();
    if kinds.len() > 1 {
        let message = format!("1つの Bundle に複数の種別（{}）は収納できません。", kinds.join("、"));
        report.error("mixed-types", &format!("{}.entry", bundle.path), message, Level::Text);
    }
}

/// References to entries must lead to one.
fn references(bundle: &At, report: &mut Report) {
    let urls: Vec<&str> = bundle.strings("entry.fullUrl");
    let mut broken = vec![];
    for resource in resources(bundle).iter().filter(|r| r.resource_type() != "Bundle") {
        resource.walk(&mut |at| {
            if let Some(url) = at.text("reference").filter(|r| r.starts_with("urn:"))
                && !urls.contains(&url)
            {
                broken.push((at.path.clone(), url.to_owned()));
            }
        });
    }
    for (path, url) in broken {
        report.error("ref-unresolved", &path, format!("{url} に該当する entry がありません。"), Level::Text);
    }
}

fn half_width_kana(c: char) -> bool {
    ('\u{ff61}'..='\u{ff9f}').contains(&c)
}

/// Names of items hold no half-width kana, full-width blank or control character.
fn characters(observation: &At, report: &mut Report) {
    let named = observation.all("code.coding.display").into_iter().chain(observation.all("code.text"));
    for at in named {
        let bad = at
            .str()
            .unwrap_or_default()
            .chars()
            .find(|c| half_width_kana(*c) || *c == '\u{3000}' || c.is_control());
        if let Some(bad) = bad {
            let message = format!("使用できない文字 U+{:04X} が含まれています。", u32::from(bad));
            report.error("display-characters", &at.path, message, Level::Text);
        }
    }
}

/// An item is recognised by code system and display; with another display it may not be.
fn listed(observation: &At, report: &mut Report) {
    for coding in observation.list("code").iter().flat_map(|c| c.list("coding")) {
        let system = coding.text("system").unwrap_or_default();
        let ours = names::LAB_LISTED.iter().any(|end| system.ends_with(end));
        let display = coding.text("display").unwrap_or_default();
        if ours && !super::items::known(display) {
            let message = format!(
                "表示名「{display}」は共有項目の一覧になく、項目として認識されない可能性があります。"
            );
            let location = format!("{}.display", coding.path);
            report.warnings.push(Problem::new("unlisted-display", location, message, Level::Text));
        }
    }
}

/// A result has a value, or says why there is none. FHIR leaves it open; whoever reads would miss it.
fn valued(observation: &At, report: &mut Report) {
    let said = observation.value.as_object().is_some_and(|members| {
        let telling = ["dataAbsentReason", "component", "hasMember"];
        members.keys().any(|name| name.starts_with("value") || telling.contains(&name.as_str()))
    });
    if !said {
        let message = "結果値も dataAbsentReason もありません。";
        report.warnings.push(Problem::new("no-value", observation.path.clone(), message, Level::Text));
    }
}
