//! Invariants of FHIR itself that concern what is sent here: of Bundles (bdl-…), contained resources (dom-…), extensions,
//! quantities, periods, and of the resources of the 5情報. The key is FHIR's.

use std::collections::HashSet;

use super::at::{At, resources};
use super::{Level, Report};

fn wrong(report: &mut Report, rule: &'static str, path: &str, message: &str) {
    report.error(rule, path, message, Level::Structure);
}

pub fn check(bundle: &At, report: &mut Report) {
    of_bundle(bundle, report);
    for resource in resources(bundle).iter().filter(|r| r.resource_type() != "Bundle") {
        contained(resource, report);
        of_resource(resource, report);
        resource.walk(&mut |at| of_element(at, report));
    }
}

/// bdl-3, -5, -7, -8; of documents bdl-9, -10, -11.
fn of_bundle(bundle: &At, report: &mut Report) {
    let kind = bundle.text("type").unwrap_or_default();
    let entries = bundle.list("entry");
    let asks = matches!(kind, "batch" | "transaction" | "history");
    if entries.iter().any(|e| e.child("request").is_some() != asks) {
        let message = "entry.request は batch、transaction、history のときだけ必須です。";
        wrong(report, "bdl-3", &bundle.path, message);
    }
    let mut seen = HashSet::new();
    for entry in &entries {
        if ["resource", "request", "response"].iter().all(|name| entry.child(name).is_none()) {
            wrong(report, "bdl-5", &entry.path, "entry には resource が必要です。");
        }
        let Some(url) = entry.text("fullUrl") else { continue };
        if url.contains("/_history/") {
            wrong(report, "bdl-8", &entry.path, "fullUrl に版は指定できません。");
        }
        let version = entry.value.pointer("/resource/meta/versionId").and_then(|v| v.as_str());
        if !seen.insert((url, version)) {
            wrong(report, "bdl-7", &bundle.path, "fullUrl が重複しています。");
        }
    }
    if kind != "document" {
        return;
    }
    if !bundle.child("identifier").is_some_and(|i| i.text("system").is_some() && i.text("value").is_some()) {
        wrong(
            report,
            "bdl-9",
            &bundle.path,
            "文書の Bundle には identifier.system と identifier.value が必要です。",
        );
    }
    if bundle.child("timestamp").is_none() {
        wrong(report, "bdl-10", &bundle.path, "文書の Bundle には timestamp が必要です。");
    }
    let first = entries.first().and_then(|e| e.child("resource"));
    if first.is_none_or(|r| r.resource_type() != "Composition") {
        wrong(
            report,
            "bdl-11",
            &bundle.path,
            "文書の Bundle の最初の entry は Composition でなければなりません。",
        );
    }
}

/// References into the resource lead somewhere; dom-2, dom-3.
fn contained(resource: &At, report: &mut Report) {
    let inside = resource.list("contained");
    let ids: Vec<&str> = inside.iter().filter_map(|c| c.text("id")).collect();
    let (mut used, mut broken) = (vec![], vec![]);
    resource.walk(&mut |at| {
        if let Some(id) = at.text("reference").and_then(|r| r.strip_prefix('#')) {
            used.push(id);
            if !id.is_empty() && !ids.contains(&id) {
                broken.push((at.path.clone(), id));
            }
        }
    });
    for (path, id) in broken {
        wrong(report, "ref-contained", &path, &format!("#{id} に該当する contained がありません。"));
    }
    for one in &inside {
        if one.child("contained").is_some() {
            wrong(report, "dom-2", &one.path, "contained の中に contained は置けません。");
        }
        let mut upwards = false;
        one.walk(&mut |at| upwards |= at.text("reference") == Some("#"));
        if !upwards && one.text("id").is_none_or(|id| !used.contains(&id)) {
            wrong(report, "dom-3", &one.path, "contained がどこからも参照されていません。");
        }
    }
}

/// con-4, con-5, ait-1, ait-2, obs-6.
fn of_resource(resource: &At, report: &mut Report) {
    let code = |path: &str| resource.strings(path).first().copied().unwrap_or_default();
    let clinical = resource.child("clinicalStatus").is_some();
    let in_error = code("verificationStatus.coding.code") == "entered-in-error";
    match resource.resource_type() {
        "Condition" => {
            let abated =
                resource.value.as_object().is_some_and(|m| m.keys().any(|k| k.starts_with("abatement")));
            let over = ["resolved", "remission", "inactive"].contains(&code("clinicalStatus.coding.code"));
            if abated && clinical && !over {
                wrong(
                    report,
                    "con-4",
                    &resource.path,
                    "終了日のある Condition は resolved、remission、inactive のいずれかです。",
                );
            }
            if in_error && clinical {
                wrong(
                    report,
                    "con-5",
                    &resource.path,
                    "entered-in-error のとき clinicalStatus は指定できません。",
                );
            }
        }
        "AllergyIntolerance" if !in_error && !clinical => {
            wrong(report, "ait-1", &resource.path, "clinicalStatus が必要です。");
        }
        "AllergyIntolerance" if in_error && clinical => {
            wrong(
                report,
                "ait-2",
                &resource.path,
                "entered-in-error のとき clinicalStatus は指定できません。",
            );
        }
        "Observation" => {
            let valued = resource.value.as_object().is_some_and(|m| m.keys().any(|k| k.starts_with("value")));
            if valued && resource.child("dataAbsentReason").is_some() {
                wrong(report, "obs-6", &resource.path, "値があるとき dataAbsentReason は指定できません。");
            }
        }
        _ => {}
    }
}

/// ext-1, qty-3, per-1, cmp-1, cmp-2.
fn of_element(at: &At, report: &mut Report) {
    let Some(members) = at.value.as_object() else { return };
    let last = at.path.rsplit('.').next().unwrap_or_default();
    if last.starts_with("extension[") || last.starts_with("modifierExtension[") {
        let valued = members.keys().any(|k| k.trim_start_matches('_').starts_with("value"));
        if valued == members.contains_key("extension") {
            wrong(report, "ext-1", &at.path, "拡張には値か拡張のどちらか一方が必要です。");
        }
    }
    let number = members.get("value").is_some_and(serde_json::Value::is_number);
    if number && members.contains_key("code") && !members.contains_key("system") {
        wrong(report, "qty-3", &at.path, "単位の code には system が必要です。");
    }
    if let (Some(start), Some(end)) = (at.text("start"), at.text("end")) {
        let length = start.len().min(end.len()).min(10);
        if start.get(..length) > end.get(..length) {
            wrong(report, "per-1", &at.path, "期間の始まりが終わりより後です。");
        }
    }
    if last.starts_with("section[") {
        let has = |name: &str| members.contains_key(name);
        if !has("text") && !has("entry") && !has("section") {
            wrong(report, "cmp-1", &at.path, "セクションには text、entry、section のいずれかが必要です。");
        }
        if has("emptyReason") && has("entry") {
            wrong(report, "cmp-2", &at.path, "entry があるとき emptyReason は指定できません。");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn rules(resource: Value) -> Vec<String> {
        let bundle =
            json!({ "type": "collection", "entry": [{ "fullUrl": "urn:uuid:1", "resource": resource }] });
        let mut report = Report::default();
        check(&At::root("B", &bundle), &mut report);
        report.errors.iter().map(|p| p.rule.to_string()).collect()
    }

    #[test]
    fn each_invariant_is_broken_by_what_breaks_it() {
        for (bad, rule) in [
            (json!({ "resourceType": "X", "contained": [{ "id": "a" }] }), "dom-3"),
            (json!({ "resourceType": "X", "r": { "reference": "#a" } }), "ref-contained"),
            (json!({ "resourceType": "X", "extension": [{ "url": "u" }] }), "ext-1"),
            (json!({ "resourceType": "X", "q": { "value": 1, "code": "d" } }), "qty-3"),
            (
                json!({ "resourceType": "X", "p": { "start": "2025-10-02", "end": "2025-10-01T09:00:00Z" } }),
                "per-1",
            ),
            (json!({ "resourceType": "Composition", "section": [{ "title": "t" }] }), "cmp-1"),
            (json!({ "resourceType": "Observation", "valueString": "x", "dataAbsentReason": {} }), "obs-6"),
            (json!({ "resourceType": "AllergyIntolerance" }), "ait-1"),
            (
                json!({
                    "resourceType": "Condition", "abatementDateTime": "2025",
                    "clinicalStatus": { "coding": [{ "code": "active" }] }
                }),
                "con-4",
            ),
        ] {
            assert_eq!(rules(bad.clone()), [rule], "{bad}");
        }
        let good = json!({
            "resourceType": "X", "contained": [{ "id": "a" }], "r": { "reference": "#a" },
            "extension": [{ "url": "u", "valueCode": "c" }], "p": { "start": "2025", "end": "2025-10-01" }
        });
        assert_eq!(rules(good), [""; 0]);
    }
}
