//! Records and decisions as a terminal shows them.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::{Offset, TimeZone};
use serde_json::{Value, json};

use crate::config::Language;
use crate::model::consent::record::{Effect, Kind, Pattern};
use crate::model::consent::{Known, Tongue};
use crate::service::consent::{Explained, Shown};
use crate::store::consent::record::Kept;

fn text(value: &Value) -> anyhow::Result<String> {
    Ok(format!("{}\n", serde_json::to_string_pretty(value)?))
}

fn time(micros: i64) -> String {
    let at = Timestamp::from_microsecond(micros).unwrap_or_default();
    at.to_zoned(TimeZone::fixed(Offset::constant(9))).strftime("%Y-%m-%d %H:%M").to_string()
}

pub(super) fn tongue(language: Language) -> Tongue {
    match language {
        Language::En => Tongue::English,
        Language::Ja => Tongue::Japanese,
    }
}

/// Decisions, a document each.
pub(super) fn explained(found: &Explained, as_json: bool, language: Language) -> anyhow::Result<String> {
    let tongue = tongue(language);
    if as_json {
        let documents: Vec<Value> = found
            .documents
            .iter()
            .map(|judged| {
                json!({
                    "document": judged.facts.unique_id,
                    "title": judged.title,
                    "approved": judged.approved,
                    "permit": judged.decision.permits(),
                    "rule": judged.decision.ground.number(),
                    "by": judged.decision.by,
                    "en": judged.decision.explained(Tongue::English),
                    "ja": judged.decision.explained(Tongue::Japanese),
                })
            })
            .collect();
        return text(&json!({
            "documents": documents,
            "patient": { "permit": found.patient.permits(), "rule": found.patient.ground.number() },
            "rules": found.rules,
            "records": found.records,
        }));
    }
    let mut out = String::new();
    for judged in &found.documents {
        let title = judged.title.as_deref().unwrap_or_default();
        let _ = writeln!(out, "{}  {title}\n  {}", judged.facts.unique_id, judged.decision.explained(tongue));
    }
    let seen = found.documents.iter().filter(|j| j.decision.permits()).count();
    let patient = found.patient.explained(tongue);
    let (rules, records) = (&found.rules, found.records);
    let _ = match language {
        Language::En => {
            writeln!(
                out,
                "{seen} document(s) permitted; about the patient: {patient} (rules {rules}, change {records})"
            )
        }
        Language::Ja => {
            writeln!(
                out,
                "閲覧可能な文書 {seen} 件、患者として: {patient}（規則 {rules}、変更 {records} 回）"
            )
        }
    };
    Ok(out)
}

fn as_json(kept: &Kept) -> Value {
    let mut value = serde_json::to_value(&kept.known).unwrap_or_default();
    if let Value::Object(fields) = &mut value {
        for (name, at) in [
            ("createdAt", Some(kept.created_at)),
            ("endedAt", kept.ended_at),
            ("reviewedAt", kept.reviewed_at),
        ] {
            if let Some(at) = at.and_then(|at| Timestamp::from_microsecond(at).ok()) {
                fields.insert(name.into(), at.to_string().into());
            }
        }
    }
    value
}

/// A record in a line or more.
fn lines(kept: &Kept, language: Language) -> String {
    let japanese = language == Language::Ja;
    let kind = kept.known.kind();
    let kind = if japanese { kind.japanese() } else { kind.as_str() };
    let mut out = format!("{}  {kind}", kept.known.id());
    match &kept.known {
        Known::Consent(c) => {
            let pattern = match (c.pattern, japanese) {
                (Pattern::Bulk, true) => "一括",
                (Pattern::List, true) => "リスト",
                (Pattern::PerFacility, true) => "施設別",
                (Pattern::Bulk, false) => "bulk",
                (Pattern::List, false) => "list",
                (Pattern::PerFacility, false) => "per facility",
            };
            let status = match japanese {
                true => c.status.japanese().to_owned(),
                false => format!("{:?}", c.status),
            };
            let day = |day: Option<Date>| day.map_or("-".to_owned(), |d| d.to_string());
            let (signed, from, to) = (day(c.signed_on), day(c.valid_from), day(c.valid_to));
            let _ = write!(out, "  {status} {pattern} {}  {signed} ({from} … {to})", c.policy);
            for rule in &c.rules {
                let effect = if rule.effect == Effect::Deny { "deny" } else { "permit" };
                let _ = write!(
                    out,
                    "\n    {effect} source={} viewer={} data={}",
                    rule.source, rule.viewer, rule.data
                );
                for (name, day) in [
                    ("from", rule.documents_from),
                    ("to", rule.documents_to),
                    ("valid-from", rule.valid_from),
                    ("valid-to", rule.valid_to),
                ] {
                    if let Some(day) = day {
                        let _ = write!(out, " {name}={day}");
                    }
                }
            }
        }
        Known::Reservation(r) => {
            let _ = write!(out, "  source={} viewer={} data={}", r.source, r.viewer, r.data);
        }
        Known::Attestation(a) => {
            let _ = write!(out, "  {}  {} … {}", a.viewer, time(a.from), time(a.until));
        }
        Known::BreakGlass(b) => {
            let reviewed = match (kept.reviewed_at, japanese) {
                (Some(at), _) => time(at),
                (None, true) => "未確認".into(),
                (None, false) => "not reviewed".into(),
            };
            let _ = write!(out, "  {}  {} … {}  {reviewed}", b.user, time(b.from), time(b.until));
        }
        Known::Vip { team, .. } => {
            let team: Vec<String> = team.iter().map(ToString::to_string).collect();
            let _ = write!(out, "  {}", team.join(", "));
        }
    }
    if let Some(at) = kept.ended_at {
        let _ = write!(out, "  {} {}", if japanese { "終了" } else { "ended" }, time(at));
    }
    out.push('\n');
    out
}

pub(super) fn listed(found: &[(String, Kept)], json: bool, language: Language) -> anyhow::Result<String> {
    if json {
        let all: Vec<Value> = found
            .iter()
            .map(|(patient, kept)| json!({ "patient": patient, "record": as_json(kept) }))
            .collect();
        return text(&all.into());
    }
    Ok(found.iter().map(|(patient, kept)| format!("{patient}  {}", lines(kept, language))).collect())
}

pub(super) fn shown(shown: &Shown, as_json_wanted: bool, language: Language) -> anyhow::Result<String> {
    if as_json_wanted {
        let history: Vec<Value> = shown
            .history
            .iter()
            .map(|c| {
                let said: Option<Value> = c.body.as_deref().and_then(|b| serde_json::from_str(b).ok());
                let at = Timestamp::from_microsecond(c.at).unwrap_or_default().to_string();
                json!({ "at": at, "operation": c.operation, "record": c.record_id, "who": c.who,
                        "reason": c.reason, "requestId": c.request_id, "said": said })
            })
            .collect();
        let ties: Vec<Value> = shown
            .ties
            .iter()
            .map(|(patient, joined)| json!({ "patient": patient, "joined": joined }))
            .collect();
        let records: Vec<Value> = shown.records.iter().map(as_json).collect();
        return text(&json!({ "records": records, "unconfirmed": ties, "history": history }));
    }
    let mut out: String = shown.records.iter().map(|kept| lines(kept, language)).collect();
    for (patient, joined) in &shown.ties {
        let _ = match (joined, language) {
            (true, Language::En) => writeln!(
                out,
                "joined with {patient}, not confirmed: nothing is permitted that either does not permit"
            ),
            (false, Language::En) => writeln!(
                out,
                "parted from {patient}, not confirmed: nothing is permitted that either does not permit"
            ),
            (true, Language::Ja) => {
                writeln!(out, "{patient} と統合済み・未確認（双方が許可した範囲のみ閲覧可）")
            }
            (false, Language::Ja) => {
                writeln!(out, "{patient} から分離済み・未確認（双方が許可した範囲のみ閲覧可）")
            }
        };
    }
    for c in &shown.history {
        let _ = writeln!(out, "{}  {} {}  {}: {}", time(c.at), c.operation, c.record_id, c.who, c.reason);
    }
    Ok(out)
}

/// Those 一括同意 that were signed before a facility joined: who signed must hear of it (jahis-profile.md §7).
pub(super) fn signed_before(found: &mut Vec<(String, Kept)>, joined: Date) {
    found.retain(|(_, kept)| match &kept.known {
        Known::Consent(c) => {
            c.pattern == Pattern::Bulk && c.status.holds() && c.signed_on.is_none_or(|day| day < joined)
        }
        known => known.kind() != Kind::Consent,
    });
}
