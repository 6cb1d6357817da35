//! Consents in and out: JSON lines, CSV, APPC; BPPC.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, anyhow, bail};
use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Format, Opened, refused};
use crate::cli::patient::csv;
use crate::config::Language;
use crate::content::Custodian;
use crate::content::consent::{appc, bppc};
use crate::model::consent::Known;
use crate::model::consent::record::{Consent, Effect, Kind, Relation, Rule};
use crate::model::consent::terms::plain_oid;
use crate::service::consent::{Change, Word};

/// A line of JSON.
#[derive(Serialize, Deserialize)]
struct Line {
    /// CX.
    patient: String,
    #[serde(flatten)]
    known: Known,
}

const COLUMNS: [&str; 19] = [
    "patient",
    "policy",
    "pattern",
    "signed_on",
    "valid_from",
    "valid_to",
    "signer",
    "relation",
    "obtained_at",
    "document",
    "effect",
    "source",
    "viewer",
    "data",
    "documents_from",
    "documents_to",
    "rule_from",
    "rule_to",
    "purpose",
];

/// What a file says: for each patient a change, with the line it stands on.
type Told = Vec<(usize, String, Change)>;

pub(super) async fn import(
    opened: &Opened<'_>,
    file: &Path,
    format: Option<Format>,
    patient: Option<&str>,
    check: bool,
    reason: &str,
) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let format = match (format, file.extension().and_then(|e| e.to_str())) {
        (Some(format), _) => format,
        (None, Some("csv")) => Format::Csv,
        (None, Some("xml")) => Format::Appc,
        (None, _) => Format::Json,
    };
    let told = match format {
        Format::Json => json(&text)?,
        Format::Csv => from_csv(&text, opened.language)?,
        Format::Appc => from_appc(opened, &text, patient)?,
    };
    let (mut taken, mut lines) = (0, String::new());
    for (line, patient, change) in told {
        if check {
            let _ = writeln!(lines, "{line}: {} {patient}", change.operation());
            taken += 1;
            continue;
        }
        let word = Word { who: opened.desk.by(), reason: reason.to_owned() };
        match opened.consents.change(&opened.context, &patient, change, word).await {
            Ok(_) => taken += 1,
            Err(e) => {
                let _ = writeln!(lines, "{line}: {}", refused(e, opened.language));
            }
        }
    }
    let _ = match opened.language {
        Language::En => writeln!(lines, "{taken} taken"),
        Language::Ja => writeln!(lines, "{taken} 件を取り込みました"),
    };
    Ok(lines)
}

fn json(text: &str) -> anyhow::Result<Told> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(n, line)| {
            let Line { patient, known } =
                serde_json::from_str(line).with_context(|| format!("line {}", n + 1))?;
            let change = match known {
                Known::Consent(consent) => Change::Grant(consent),
                Known::Reservation(reservation) => Change::Reserve(reservation),
                Known::Vip { team, .. } => Change::Vip(team),
                known => bail!("line {}: a {} is not imported", n + 1, known.kind().as_str()),
            };
            Ok((n + 1, patient, change))
        })
        .collect()
}

/// A row is a consent; rows of one patient, policy and day of signing are one, with a rule each.
fn from_csv(text: &str, language: Language) -> anyhow::Result<Told> {
    let rows = csv::read(text, &COLUMNS, &["patient", "policy"])
        .map_err(|(line, fault)| anyhow!("line {line}: {}", fault.sentence(language)))?;
    let mut consents: BTreeMap<(String, String, Option<Date>), (usize, Consent)> = BTreeMap::new();
    for (line, row) in rows {
        let at = || format!("line {line}");
        let value = |name: &str| {
            let place = COLUMNS.iter().position(|c| *c == name);
            place.and_then(|n| row.get(n)).and_then(|v| v.as_deref()).map(str::trim).filter(|v| !v.is_empty())
        };
        let day = |name: &str| value(name).map(|v| v.parse::<Date>().with_context(at)).transpose();
        let patient = value("patient").with_context(at)?.to_owned();
        let signed_on = day("signed_on")?;
        let policy = plain_oid(value("policy").unwrap_or_default()).to_owned();
        let pattern = match value("pattern") {
            None => Default::default(),
            Some(name) => serde_json::from_value(name.into()).with_context(at)?,
        };
        let relation = match value("relation") {
            Some("proxy" | "代理") => Relation::Proxy,
            _ => Relation::Oneself,
        };
        let consent = Consent {
            policy: policy.clone(),
            pattern,
            signed_on,
            valid_from: day("valid_from")?,
            valid_to: day("valid_to")?,
            signer: value("signer").map(str::to_owned),
            relation,
            obtained_at: value("obtained_at").map(|v| plain_oid(v).to_owned()),
            document: value("document").map(str::to_owned),
            ..Consent::default()
        };
        let effect = match value("effect") {
            None => None,
            Some("permit" | "許可") => Some(Effect::Permit),
            Some("deny" | "拒否") => Some(Effect::Deny),
            Some(other) => bail!("line {line}: effect '{other}' is neither permit nor deny"),
        };
        let rule = match effect {
            None => None,
            Some(effect) => Some(Rule {
                source: value("source").unwrap_or("*").parse().with_context(at)?,
                viewer: value("viewer").unwrap_or("*").parse().with_context(at)?,
                data: value("data").unwrap_or("*").parse().with_context(at)?,
                documents_from: day("documents_from")?,
                documents_to: day("documents_to")?,
                valid_from: day("rule_from")?,
                valid_to: day("rule_to")?,
                purpose: value("purpose").map(str::to_owned),
                ..Rule::new(effect)
            }),
        };
        let (_, one) = consents.entry((patient, policy, signed_on)).or_insert((line, consent));
        one.rules.extend(rule);
    }
    // Of one patient the form signed first is written down first.
    Ok(consents.into_iter().map(|((patient, ..), (line, c))| (line, patient, Change::Grant(c))).collect())
}

fn from_appc(opened: &Opened<'_>, text: &str, patient: Option<&str>) -> anyhow::Result<Told> {
    let read = appc::read(text)?;
    let named = read.patient.clone();
    let patient = match (named.as_deref(), patient) {
        (Some(named), Some(said)) if named != said => {
            bail!("the document is about {named}")
        }
        (named, said) => {
            named.or(said).ok_or_else(|| anyhow!("the document names no patient: say --patient"))?
        }
    };
    let network = opened.consents.access().network();
    let consent = read.consent(&network, crate::model::consent::facts::today(opened.context.micros()));
    Ok(vec![(1, patient.to_owned(), Change::Grant(consent))])
}

/// Records in a page.
const PAGE: i64 = 500;

pub(super) async fn export(
    opened: &Opened<'_>,
    patient: Option<&str>,
    as_bppc: Option<&Path>,
    as_appc: Option<&Path>,
) -> anyhow::Result<String> {
    let (mut out, mut written) = (String::new(), 0);
    for kind in [Kind::Consent, Kind::Reservation, Kind::Vip] {
        let mut after = String::new();
        loop {
            let page = opened.consents.list(&opened.context, kind, &after, PAGE).await;
            let page = page.map_err(|e| refused(e, opened.language))?;
            let Some((_, last)) = page.last() else { break };
            after = last.known.id().to_owned();
            for (of, kept) in page.into_iter().filter(|(of, _)| patient.is_none_or(|p| p == of)) {
                match (as_bppc, as_appc, &kept.known) {
                    (None, None, _) => {
                        let line = Line { patient: of, known: kept.known };
                        let _ = writeln!(out, "{}", serde_json::to_string(&line)?);
                    }
                    (_, _, Known::Consent(consent)) if consent.status.holds() => {
                        if let Some(dir) = as_bppc {
                            let text = document(opened, consent, &of)?;
                            put(dir, &format!("{}.bppc.xml", consent.id), &text)?;
                            written += 1;
                        }
                        if let Some(dir) = as_appc {
                            match appc::write(consent, &of) {
                                Ok(text) => {
                                    put(dir, &format!("{}.appc.xml", consent.id), &text)?;
                                    written += 1;
                                }
                                Err(e) => {
                                    let _ = writeln!(out, "{}: {e}", consent.id);
                                }
                            }
                        }
                    }
                    _ => {}
                }
            }
        }
    }
    if as_bppc.is_some() || as_appc.is_some() {
        let _ = match opened.language {
            Language::En => writeln!(out, "{written} document(s) written"),
            Language::Ja => writeln!(out, "{written} 件の文書を書き出しました"),
        };
    }
    Ok(out)
}

fn document(opened: &Opened<'_>, consent: &Consent, patient: &str) -> anyhow::Result<String> {
    let network = &opened.config.network;
    let custodian = Custodian { name: &network.name, oid: plain_oid(&network.home_community_id) };
    let id = Uuid::try_parse(&consent.id).context("a record's id")?;
    let id = format!("2.25.{}", id.as_u128());
    Ok(bppc(consent, patient, &id, Timestamp::now(), custodian))
}

fn put(dir: &Path, name: &str, text: &str) -> anyhow::Result<()> {
    std::fs::create_dir_all(dir)?;
    std::fs::write(dir.join(name), text).with_context(|| format!("{} cannot be written", dir.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_one_form_are_one_consent() {
        let text = "patient,policy,pattern,signed_on,effect,viewer\n\
                    p1,urn:oid:1.2,list,2026-04-01,permit,facility:1.1\n\
                    p1,1.2,list,2026-04-01,deny,facility:1.3\n\
                    p2,1.2,bulk,,,\n";
        let told = from_csv(text, Language::En).unwrap();
        assert_eq!(told.len(), 2);
        let Change::Grant(consent) = &told[0].2 else { panic!() };
        assert_eq!((consent.rules.len(), consent.policy.as_str(), told[0].0), (2, "1.2", 2));
        for wrong in ["effect,perhaps", "signed_on,yesterday", "pattern,some", "viewer,nobody"] {
            let (column, value) = wrong.split_once(',').unwrap();
            let effect = if column == "effect" { "" } else { ",effect" };
            let permit = if column == "effect" { "" } else { ",permit" };
            let text = format!("patient,policy,{column}{effect}\np,1.2,{value}{permit}\n");
            assert!(from_csv(&text, Language::En).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_exported_is_imported() {
        let known = Known::Consent(Consent { id: "1".into(), policy: "1.2".into(), ..Consent::default() });
        let line = serde_json::to_string(&Line { patient: "p".into(), known }).unwrap();
        let told = json(&line).unwrap();
        assert!(matches!(&told[0], (1, p, Change::Grant(c)) if p == "p" && c.policy == "1.2"));
    }
}
