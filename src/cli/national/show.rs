//! How `chiren national` shows what it found: tables for people, JSON for programs.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::cli::send::table;
use crate::config::Language;
use crate::model::national::decide::gates;
use crate::model::national::{Kind, reasons};
use crate::service::national::operator::{
    DecisionBody, KeptDecision, KeptDelivery, KeptFact, KeptLineage, LaneShown, Story,
};
use crate::service::national::{LaneState, Reconciled};

fn time(micros: i64) -> String {
    Timestamp::from_microsecond(micros).map(|t| format!("{t:.0}")).unwrap_or_default()
}

fn maybe(micros: Option<i64>) -> String {
    micros.map(time).unwrap_or_default()
}

/// The table, or a sentence where there is nothing.
fn rows(en: &[&str], ja: &[&str], rows: &[Vec<String>], language: Language) -> String {
    match (rows.is_empty(), language) {
        (true, Language::En) => "nothing\n".into(),
        (true, Language::Ja) => "ありません\n".into(),
        (false, Language::En) => table::render(en, rows),
        (false, Language::Ja) => table::render(ja, rows),
    }
}

/// A reason's sentence.
fn sentence(reason: &str, language: Language) -> String {
    match (reasons::find(reason), language) {
        (Some(r), Language::En) => r.en.to_owned(),
        (Some(r), Language::Ja) => r.ja.to_owned(),
        (None, _) => String::new(),
    }
}

fn cure(reason: &str, language: Language) -> String {
    match (reasons::find(reason), language) {
        (Some(r), Language::En) => r.cure_en.to_owned(),
        (Some(r), Language::Ja) => r.cure_ja.to_owned(),
        (None, Language::En) => "correct the document at its source and replace it (RPLC)".to_owned(),
        (None, Language::Ja) => "元の文書を修正し、置換（RPLC）で登録し直してください".to_owned(),
    }
}

pub fn lanes(all: &[LaneShown], now: i64, language: Language) -> String {
    let lines: Vec<Vec<String>> = all
        .iter()
        .map(|shown| {
            let count = |name: &str| {
                let found = shown.deliveries.iter().find(|(state, ..)| state.as_str() == name);
                found.map_or(0, |(_, n, _)| *n).to_string()
            };
            let decided = |name: &str| {
                let found = shown.decisions.iter().find(|(kind, _)| kind.as_str() == name);
                found.map_or(0, |(_, n)| *n).to_string()
            };
            let there: i64 = shown.lineages.iter().filter(|(s, _)| s.is_there()).map(|(_, n)| n).sum();
            let lane = &shown.lane;
            let condition = match (LaneState::of(lane, now), language) {
                (LaneState::Paused, Language::En) => "paused".to_owned(),
                (LaneState::Paused, Language::Ja) => "停止中".to_owned(),
                (LaneState::Resting, Language::En) => format!("rests until {}", time(lane.rest_until)),
                (LaneState::Resting, Language::Ja) => format!("休止中（{} まで）", time(lane.rest_until)),
                (LaneState::Failing, Language::En) => "failing".to_owned(),
                (LaneState::Failing, Language::Ja) => "障害中".to_owned(),
                (LaneState::Open, Language::En) => "open".to_owned(),
                (LaneState::Open, Language::Ja) => "正常".to_owned(),
            };
            vec![
                shown.institution.clone(),
                shown.way.to_owned(),
                condition,
                count("waiting"),
                count("processing"),
                count("parked"),
                decided("hold"),
                decided("fail"),
                there.to_string(),
                maybe(lane.last_done_at),
                lane.last_failure.clone().filter(|_| lane.failures > 0).unwrap_or_default(),
            ]
        })
        .collect();
    rows(
        &[
            "institution",
            "via",
            "lane",
            "waiting",
            "processing",
            "parked",
            "held",
            "failed",
            "there",
            "last done",
            "why",
        ],
        &[
            "医療機関",
            "経路",
            "状態",
            "送信待ち",
            "処理中",
            "送信断念",
            "保留",
            "要修正",
            "登録済み",
            "最終成功",
            "理由",
        ],
        &lines,
        language,
    )
}

pub fn lanes_json(all: &[LaneShown]) -> Value {
    let one = |shown: &LaneShown| {
        json!({
            "institution": shown.institution,
            "via": shown.way,
            "pausedAt": shown.lane.paused_at.map(time),
            "pausedBy": shown.lane.paused_by,
            "failures": shown.lane.failures,
            "restUntil": (shown.lane.rest_until > 0).then(|| time(shown.lane.rest_until)),
            "lastDone": shown.lane.last_done_at.map(time),
            "lastFailure": shown.lane.last_failure,
            "deliveries": shown.deliveries.iter().map(|(s, n, _)| (s.as_str().to_owned(), json!(n))).collect::<serde_json::Map<_, _>>(),
            "decisions": shown.decisions.iter().map(|(k, n)| (k.as_str().to_owned(), json!(n))).collect::<serde_json::Map<_, _>>(),
            "lineages": shown.lineages.iter().map(|(s, n)| (s.as_str().to_owned(), json!(n))).collect::<serde_json::Map<_, _>>(),
        })
    };
    Value::Array(all.iter().map(one).collect())
}

/// One decision told whole: outcome, gate, reason, cure, warnings, findings.
fn told(kept: &KeptDecision, language: Language) -> String {
    let mut out = String::new();
    let mut line = |en: &str, ja: &str, text: &str| {
        if !text.is_empty() {
            let label = if language == Language::En { en } else { ja };
            out.push_str(&format!("  {label}: {text}\n"));
        }
    };
    let outcome = match (kept.outcome.as_str(), language) {
        (outcome, Language::En) => outcome,
        ("send", Language::Ja) => "送信",
        ("skip", Language::Ja) => "対象外",
        ("hold", Language::Ja) => "保留",
        (_, Language::Ja) => "要修正",
    };
    let what = kept.operation.as_deref().or(kept.reason.as_deref()).unwrap_or_default();
    line("decision", "判定", &format!("{outcome} {what}"));
    line("at", "日時", &time(kept.at));
    let Ok(body) = serde_json::from_str::<DecisionBody>(&kept.body) else { return out };
    if let Some(gate) = gates(body.decision.rule_set).iter().find(|g| i64::from(g.number) == kept.gate) {
        let text = if language == Language::En { gate.en } else { gate.ja };
        line("gate", "関門", &format!("{} {text} ({})", gate.number, body.decision.rule_set.as_str()));
    }
    if let Some(reason) = &kept.reason {
        line("why", "理由", &sentence(reason, language));
        line("what to do", "対応", &cure(reason, language));
    }
    if let Some(kind) = body.facts.kind {
        line("kind", "種別", if language == Language::En { kind.as_str() } else { kind.japanese() });
    }
    line("waits until", "保留期限", &maybe(kept.expires_at));
    for warning in &body.decision.warnings {
        line("warning", "注意", &format!("{warning}: {}", sentence(warning, language)));
        line("what to do", "対応", &cure(warning, language));
    }
    for finding in body.findings.iter().chain(&body.made) {
        let ja = language == Language::Ja && !finding.message_ja.is_empty();
        let message = if ja { &finding.message_ja } else { &finding.message };
        line("rule", "規則", &finding.rule);
        line("  element", "  要素", &finding.path);
        line("  value", "  値", &finding.value);
        line("  message", "  内容", message);
        let ready = if ja { &finding.hint_ja } else { &finding.hint };
        let hint = if ready.is_empty() { cure(&finding.rule, language) } else { ready.clone() };
        line("  what to do", "  対応", &hint);
    }
    out
}

pub fn story(story: &Story, language: Language) -> String {
    let mut out = String::new();
    for kept in &story.decisions {
        let now = if kept.current { " *" } else { "" };
        out.push_str(&format!("{}{now}\n{}", kept.entry_id, told(kept, language)));
    }
    if story.decisions.is_empty() {
        out.push_str(match language {
            Language::En => "nothing has been decided yet\n",
            Language::Ja => "まだ判定されていません\n",
        });
    }
    if let Some(lineage) = &story.lineage {
        let kind = Kind::parse(&lineage.kind).map_or("", Kind::japanese);
        out.push_str(&match language {
            Language::En => format!(
                "at the service: {} {}\n",
                lineage.state.as_str(),
                lineage.bundle_value.clone().unwrap_or_default()
            ),
            Language::Ja => format!(
                "全国側：{} {} {kind}\n",
                lineage.state.as_str(),
                lineage.bundle_value.clone().unwrap_or_default()
            ),
        });
    }
    for d in &story.deliveries {
        let end = d.failure.clone().or_else(|| d.code.clone()).unwrap_or_default();
        out.push_str(&format!(
            "  {} {} {} {} {end}\n",
            d.id,
            d.operation,
            d.state.as_str(),
            time(d.settled_at.unwrap_or(d.created_at))
        ));
    }
    out
}

pub fn story_json(story: &Story) -> Value {
    json!({
        "logicalID": story.lid,
        "decisions": decisions_json(&story.decisions),
        "lineage": story.lineage.as_ref().map(|l| json!({
            "id": l.id,
            "institution": l.institution,
            "kind": l.kind,
            "bundle": l.bundle_value,
            "state": l.state.as_str(),
            "saidState": l.said_state,
            "registeredAt": l.registered_at.map(time),
            "expiresAt": l.expires_at.map(time),
            "currentEntry": l.current_entry,
        })),
        "deliveries": deliveries_json(&story.deliveries),
    })
}

pub fn decisions(all: &[KeptDecision], language: Language) -> String {
    let lines: Vec<Vec<String>> = all
        .iter()
        .map(|kept| {
            let body = serde_json::from_str::<DecisionBody>(&kept.body).ok();
            let findings: Vec<String> = body
                .iter()
                .flat_map(|b| &b.findings)
                .map(|f| format!("{} {} {}", f.rule, f.path, f.value).trim_end().to_owned())
                .collect();
            let reason = kept.reason.clone().unwrap_or_default();
            let hint = body.iter().flat_map(|b| &b.findings).map(|f| f.hint.clone()).find(|h| !h.is_empty());
            vec![
                kept.institution.clone().unwrap_or_default(),
                kept.entry_id.clone(),
                time(kept.at),
                reason.clone(),
                if findings.is_empty() { sentence(&reason, language) } else { findings.join("; ") },
                hint.unwrap_or_else(|| cure(&reason, language)),
            ]
        })
        .collect();
    rows(
        &["institution", "document", "since", "reason", "what", "what to do"],
        &["医療機関", "文書", "日時", "理由", "内容", "対応"],
        &lines,
        language,
    )
}

pub fn decisions_json(all: &[KeptDecision]) -> Value {
    let one = |kept: &KeptDecision| {
        json!({
            "id": kept.id,
            "entry": kept.entry_id,
            "institution": kept.institution,
            "at": time(kept.at),
            "outcome": kept.outcome.as_str(),
            "gate": kept.gate,
            "reason": kept.reason,
            "operation": kept.operation,
            "current": kept.current,
            "expiresAt": kept.expires_at.map(time),
            "closedBy": kept.closed_by,
            "body": serde_json::from_str::<Value>(&kept.body).unwrap_or_default(),
        })
    };
    Value::Array(all.iter().map(one).collect())
}

pub fn deliveries(all: &[KeptDelivery], language: Language) -> String {
    let lines: Vec<Vec<String>> = all
        .iter()
        .map(|d| {
            let problems: Vec<Value> =
                d.problems.as_deref().and_then(|p| serde_json::from_str(p).ok()).unwrap_or_default();
            let first = problems.first().map(|p| {
                let member = |name: &str| p.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
                format!("{} {} {}", member("rule"), member("location"), member("text"))
            });
            vec![
                d.id.clone(),
                d.institution.clone(),
                d.operation.clone(),
                d.entry_id.clone(),
                d.attempts.to_string(),
                time(d.not_before.max(d.created_at)),
                first.or_else(|| d.failure.clone()).or_else(|| d.code.clone()).unwrap_or_default(),
            ]
        })
        .collect();
    rows(
        &["id", "institution", "operation", "document", "attempts", "next", "why"],
        &["id", "医療機関", "操作", "文書", "試行回数", "次回", "理由"],
        &lines,
        language,
    )
}

pub fn deliveries_json(all: &[KeptDelivery]) -> Value {
    let one = |d: &KeptDelivery| {
        json!({
            "id": d.id,
            "key": d.key,
            "institution": d.institution,
            "operation": d.operation,
            "entry": d.entry_id,
            "lineage": d.lineage,
            "state": d.state.as_str(),
            "attempts": d.attempts,
            "createdAt": time(d.created_at),
            "settledAt": d.settled_at.map(time),
            "code": d.code,
            "failure": d.failure,
            "problems": d.problems.as_deref().and_then(|p| serde_json::from_str::<Value>(p).ok()),
        })
    };
    Value::Array(all.iter().map(one).collect())
}

pub fn letters(all: &[KeptLineage], language: Language) -> String {
    let lines: Vec<Vec<String>> = all
        .iter()
        .map(|l| {
            vec![
                l.institution.clone(),
                l.destination.clone().unwrap_or_default(),
                l.bundle_value.clone().unwrap_or_default(),
                l.current_entry.clone().unwrap_or_default(),
                l.said_state.clone().unwrap_or_else(|| l.state.as_str().to_owned()),
                maybe(l.registered_at),
                maybe(l.received_at),
                maybe(l.expires_at),
            ]
        })
        .collect();
    rows(
        &["from", "to", "Bundle-ID", "document", "state", "registered", "fetched", "expires"],
        &["紹介元", "紹介先", "文書ID", "文書", "状態", "登録", "取得", "期限"],
        &lines,
        language,
    )
}

pub fn letters_json(all: &[KeptLineage]) -> Value {
    let one = |l: &KeptLineage| {
        json!({
            "institution": l.institution,
            "destination": l.destination,
            "bundle": l.bundle_value,
            "entry": l.current_entry,
            "state": l.state.as_str(),
            "saidState": l.said_state,
            "registeredAt": l.registered_at.map(time),
            "receivedAt": l.received_at.map(time),
            "expiresAt": l.expires_at.map(time),
            "warnedAt": l.warned_at.map(time),
        })
    };
    Value::Array(all.iter().map(one).collect())
}

pub fn reconciled(reports: &[Reconciled], language: Language) -> String {
    let mut out = String::new();
    for report in reports {
        let listed = report.listed.map_or_else(|| "-".to_owned(), |n| n.to_string());
        out.push_str(&match language {
            Language::En => format!(
                "{}: {} believed there, {listed} listed by the service, {} letters asked, {} differences\n",
                report.institution,
                report.believed,
                report.asked,
                report.differences.len()
            ),
            Language::Ja => format!(
                "{}：台帳 {} 件、全国側一覧 {listed} 件、紹介状照会 {} 件、相違 {} 件\n",
                report.institution,
                report.believed,
                report.asked,
                report.differences.len()
            ),
        });
        if let Some(trouble) = &report.trouble {
            out.push_str(&format!("  ! {trouble}\n"));
        }
        for found in &report.differences {
            let mended = match (found.mended, language) {
                (true, Language::En) => "mended",
                (true, Language::Ja) => "修復",
                (false, _) => "",
            };
            let entry = found.entry.clone().unwrap_or_default();
            out.push_str(&format!("  {} {} {entry} {mended}\n", found.difference.as_str(), found.bundle));
        }
    }
    out
}

pub fn facts(all: &[KeptFact], language: Language) -> String {
    let lines: Vec<Vec<String>> =
        all.iter().map(|f| vec![f.name.clone(), f.value.clone(), time(f.at), f.said_by.clone()]).collect();
    rows(&["fact", "value", "at", "by"], &["項目", "値", "日時", "記録者"], &lines, language)
}
