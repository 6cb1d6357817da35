//! From a change of the registry, or of what is known, to a decision ([`contents`] reads the document where it needs
//! to), and to what follows from it ([`deliveries`]).

mod contents;
mod deliveries;

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use self::deliveries::Written;
pub(super) use self::deliveries::{delivery_key, letter_of};
use super::gather::{self, Seen};
use super::preflight::Finding;
use super::{National, nesting, store};
use crate::config::national::InsuredSource;
use crate::model::error::Error;
use crate::model::national::Kind;
use crate::model::national::decide::{Decision, Event, Facts, Outcome, Predecessor, RuleSet, decide};
use crate::service::access::decide_for_export;
use crate::service::database;
use crate::store::db::DbError;
use crate::store::national::decision::{self, Kept, Kind as Kept_};
use crate::store::national::delivery::{self, Delivery};
use crate::store::national::entry;
use crate::store::national::lineage::{self, Lineage};

/// How often a decision is made anew that another one overtook.
const ROUNDS: usize = 8;

/// What is kept of a decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Body {
    pub facts: Facts,
    pub decision: Decision,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// Of a Bundle made here: what was not taken over, left out, or odd.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub made: Vec<Finding>,
}

/// Why a decision is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// The registry changed.
    Change,
    /// A fact may have changed; nothing is written if none has.
    Review,
    /// Somebody wants it: whatever was decided before.
    Hand,
}

/// A decision as it is written.
pub(super) struct Plan {
    pub(super) seen: Seen,
    pub(super) facts: Facts,
    pub(super) decision: Decision,
    pub(super) findings: Vec<Finding>,
    pub(super) made: Vec<Finding>,
    pub(super) digest: String,
    pub(super) lineage_id: Option<String>,
    /// Deliveries that nobody has begun and that go no more.
    pub(super) withdraw: Vec<String>,
    pub(super) bundle: Option<Bytes>,
    /// Discharge summaries that go inside this letter.
    pub(super) riders: Vec<Kept>,
    pub(super) why: Why,
    pub(super) now: i64,
}

impl National {
    /// Decides on the entries of an outbox row. Its error is nobody's data.
    pub async fn changed(&self, payload: &str) -> Result<(), String> {
        let changed: store::Changed =
            serde_json::from_str(payload).map_err(|e| format!("the row cannot be read: {e}"))?;
        let why = if changed.again { Why::Review } else { Why::Change };
        for entry in &changed.entries {
            self.consider(entry, why).await.map_err(|e| format!("{e:?}"))?;
        }
        Ok(())
    }

    /// Decides on one entry, and on those its decision concerns.
    pub(super) async fn consider(&self, entry: &str, why: Why) -> Result<Option<Decision>, Error> {
        let decided = self.consider_one(entry, why).await?;
        if let Some((decision, seen)) = &decided
            && matches!(decision.outcome, Outcome::Skip { .. })
        {
            self.leave_nothing_behind(seen).await?;
        }
        Ok(decided.map(|(decision, _)| decision))
    }

    async fn consider_one(&self, entry: &str, why: Why) -> Result<Option<(Decision, Seen)>, Error> {
        for _ in 0..ROUNDS {
            let Some(plan) = self.plan(entry, why).await? else { return Ok(None) };
            if why == Why::Review && service_holds(&plan) {
                return Ok(None);
            }
            let plan = Arc::new(plan);
            match self.write(plan.clone()).await? {
                Written::Done => {
                    if matches!(plan.decision.outcome, Outcome::Send { .. }) {
                        self.wake();
                    }
                    return Ok(Some((plan.decision.clone(), plan.seen.clone())));
                }
                Written::Overtaken => {}
            }
        }
        Err(Error::Busy("decisions on one lineage overtake each other"))
    }

    /// What the service holds of a lineage must be a document that is Approved here: where a replacement does not go
    /// itself, or was removed, what it replaced is withdrawn.
    async fn leave_nothing_behind(&self, seen: &Seen) -> Result<(), Error> {
        let Some(id) = seen.lineage_id.clone() else { return Ok(()) };
        let id: Arc<str> = id.into();
        let stale: Option<String> = self
            .0
            .db
            .snapshot(move |tx| {
                let id = id.clone();
                Box::pin(async move {
                    let Some(lineage) = lineage::get(tx, &id).await? else { return Ok(None) };
                    let (true, Some(lid)) = (lineage.state.is_there(), lineage.current_lid) else {
                        return Ok(None);
                    };
                    if entry::is_approved(tx, &lid).await? {
                        return Ok(None);
                    }
                    // What is on its way, or still may go, takes its place then.
                    if delivery::of_lineage(tx, &id).await?.iter().any(|d| d.state.is_open()) {
                        return Ok(None);
                    }
                    for other in lineage::members(tx, &id).await? {
                        let waits = decision::current(tx, &other).await?.is_some_and(|k| {
                            matches!(k.outcome, Kept_::Hold | Kept_::Fail)
                                && k.closed_at.is_none()
                                && other != lid
                        });
                        if waits && entry::is_approved(tx, &other).await? {
                            return Ok(None);
                        }
                    }
                    Ok(lineage.current_entry)
                })
            })
            .await
            .map_err(|e: DbError| database(e))?;
        match stale {
            Some(entry) if seen.placed.as_ref().is_none_or(|p| p.entry.entry_uuid != entry) => {
                self.consider_one(&entry, Why::Change).await.map(|_| ())
            }
            _ => Ok(()),
        }
    }

    /// Gathers the facts and decides; `None` if there is nothing to say.
    async fn plan(&self, entry: &str, why: Why) -> Result<Option<Plan>, Error> {
        let now = self.now();
        let Some(mut seen) = self.see(entry, None).await? else { return Ok(None) };
        let never = seen.placed.is_none() && seen.current.is_none() && seen.lineage.is_none();
        // Of an old version its newest one speaks.
        if never || seen.placed.as_ref().is_some_and(|p| p.status == 3) {
            return Ok(None);
        }
        if why == Why::Review && seen.current.is_none() {
            return Ok(None);
        }
        let (config, home) = (self.config(), &self.0.settings.home);
        let mut facts = seen.facts(config, &self.facts(), home, now);
        // Rows come again: what is decided and on its way, or there, stays so, unless it is permitted no more.
        if why != Why::Hand && !facts.is_denied() && is_settled(&seen, entry) {
            return Ok(None);
        }
        // A letter's lineage is its first document's; that of a 5情報 unit is known when the Bundle is.
        if seen.lineage_id.is_none() && facts.kind.is_some_and(|k| k != Kind::Info) {
            let root = format!("doc:{}", seen.root);
            match self.see(entry, Some(&root)).await? {
                Some(again) => seen = again,
                None => return Ok(None),
            }
            facts = seen.facts(config, &self.facts(), home, now);
        }
        let mut plan = Plan {
            lineage_id: seen.lineage_id.clone(),
            withdraw: vec![],
            findings: vec![],
            made: vec![],
            bundle: None,
            riders: vec![],
            digest: String::new(),
            decision: decide(&facts, &self.0.policy),
            facts: facts.clone(),
            seen,
            why,
            now,
        };
        match nesting::aside(&plan.seen, self.0.policy.rule_set) {
            Some(None) => return Ok(None),
            Some(Some(inside)) => {
                plan.decision = inside;
                return Ok(Some(self.digested(plan)));
            }
            None => {}
        }
        if let Some(early) = aside(&plan.seen, self.0.policy.rule_set) {
            plan.decision = early;
            return Ok(Some(self.digested(plan)));
        }
        // There as it is: whatever was said of it meanwhile, nothing of it is to be sent.
        if why != Why::Hand && !facts.is_denied() && stands(&plan.seen, entry) {
            plan.decision = skip("no-content-change", 3, self.0.policy.rule_set);
            return Ok(Some(self.digested(plan)));
        }
        // What nobody has begun to send does not stand in the way of what withdraws or replaces it.
        let untouched = plan.seen.untouched(now);
        if facts.predecessor == Some(Predecessor::InFlight)
            && !untouched.is_empty()
            && (facts.event.withdraws()
                || facts.event == Event::Replace
                || (facts.is_denied() && facts.own == Some(Predecessor::InFlight)))
        {
            facts.predecessor = plan.seen.predecessor(true);
            facts.own = plan.seen.own(true);
            plan.withdraw = untouched;
            plan.decision = decide(&facts, &self.0.policy);
        }
        if reads_document(&plan.decision, config.insured_id) && !facts.event.withdraws() {
            self.with_document(&mut plan, &mut facts).await?;
        }
        plan.facts = facts;
        Ok(Some(self.digested(plan)))
    }

    fn digested(&self, mut plan: Plan) -> Plan {
        let text = serde_json::to_vec(&plan.facts).unwrap_or_default();
        plan.digest = hex(&Sha256::digest(text));
        plan
    }

    pub(super) async fn see(&self, entry: &str, lineage: Option<&str>) -> Result<Option<Seen>, Error> {
        let asked: Arc<(String, Option<String>)> = Arc::new((entry.to_owned(), lineage.map(str::to_owned)));
        let (access, now) = (self.0.settings.access.clone(), (self.0.settings.now)());
        self.0
            .db
            .snapshot(move |tx| {
                let (asked, access) = (asked.clone(), access.clone());
                Box::pin(async move {
                    let mut seen = gather::read(tx, &asked.0, asked.1.as_deref()).await?;
                    if let Some(seen) = &mut seen
                        && let Some(placed) = &seen.placed
                    {
                        let (pid, entry) = (&seen.patient_pid, &placed.entry);
                        let decision = decide_for_export(tx, &access, now, "national", pid, entry).await?;
                        seen.withheld = !decision.permits();
                    }
                    Ok(seen)
                })
            })
            .await
            .map_err(|e: DbError| database(e))
    }

    /// Whether the network or the patient is against it now.
    pub(super) async fn is_denied(&self, entry: &str, now: i64) -> Result<bool, Error> {
        let Some(seen) = self.see(entry, None).await? else { return Ok(false) };
        Ok(seen.facts(self.config(), &self.facts(), &self.0.settings.home, now).is_denied())
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

pub(super) fn entry_of(seen: &Seen) -> String {
    match (&seen.placed, &seen.current) {
        (Some(placed), _) => placed.entry.entry_uuid.clone(),
        (None, Some(kept)) => kept.entry_id.clone(),
        (None, None) => seen.lid.clone(),
    }
}

fn hold(reason: &str, gate: u8, rule_set: RuleSet) -> Decision {
    Decision { outcome: Outcome::Hold { reason: reason.into() }, gate, rule_set, warnings: vec![] }
}

fn skip(reason: &str, gate: u8, rule_set: RuleSet) -> Decision {
    Decision { outcome: Outcome::Skip { reason: reason.into() }, gate, rule_set, warnings: vec![] }
}

/// Whether the last decision on an entry was carried out, or is being, and nothing has happened since.
fn is_settled(seen: &Seen, entry: &str) -> bool {
    let Some(kept) = &seen.current else { return false };
    if kept.outcome != Kept_::Send || kept.entry_id != entry {
        return false;
    }
    let withdrew = kept.operation.as_deref().is_some_and(|op| op.ends_with(".cancel"));
    let approved = seen.placed.as_ref().is_some_and(|p| p.status == 1);
    if withdrew == approved {
        // It was withdrawn and is Approved again, or the other way round.
        return false;
    }
    let own = |d: &&Delivery| d.entry_id == entry;
    let moving = seen.open().any(|d| own(&d));
    let there = seen.lineage.as_ref().is_some_and(|l| l.current_lid.as_deref() == Some(seen.lid.as_str()));
    let gone = seen.lineage.as_ref().is_some_and(|l| !l.state.is_there());
    moving || if withdrew { gone } else { there }
}

/// Whether the service holds this very version of an Approved document, and nothing of it is on its way.
fn stands(seen: &Seen, entry: &str) -> bool {
    let there = |l: &Lineage| l.state.is_there() && l.current_entry.as_deref() == Some(entry);
    seen.placed.as_ref().is_some_and(|p| p.status == 1)
        && seen.lineage.as_ref().is_some_and(there)
        && seen.open().all(|d| d.lid != seen.lid)
}

/// Decisions about documents that others speak for.
fn aside(seen: &Seen, rule_set: RuleSet) -> Option<Decision> {
    if !seen.event().withdraws() {
        return None;
    }
    if !seen.related.replaced_by.is_empty() && !seen.heir_skipped {
        return Some(skip("replaced", 4, rule_set));
    }
    let current = seen.lineage.as_ref().filter(|l| l.state.is_there()).and_then(|l| l.current_lid.as_deref());
    match current {
        Some(lid) if lid != seen.lid && seen.open().all(|d| d.lid != seen.lid) => {
            Some(skip("not-current", 4, rule_set))
        }
        _ => None,
    }
}

/// Whether a decision is of the gates that look into the document, or would be if the Bundle said whom it is about.
fn reads_document(decision: &Decision, source: InsuredSource) -> bool {
    let insured_by_bundle = source != InsuredSource::Index && decision.reason() == Some("no-insured-id");
    decision.gate == 16 || insured_by_bundle
}

/// Whether the service itself has said that it waits for something, and no fact is another since.
fn service_holds(plan: &Plan) -> bool {
    let current = plan.seen.current.as_ref();
    current.is_some_and(|k| k.outcome == Kept_::Hold && k.gate == 0 && k.digest == plan.digest)
}
