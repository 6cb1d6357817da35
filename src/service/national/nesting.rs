//! Discharge summaries inside the letter that they go with, where the operator wants that (national-service, 8, gate 14;
//! rule set 1.2.0): those that wait for a letter of their patient by their institution are put into its section 210 when
//! it goes. From then on they are where it is.

use std::sync::Arc;

use bytes::Bytes;

use super::National;
use super::deciding::{Body, Plan};
use super::gather::Seen;
use crate::config::national::InsuredSource;
use crate::model::error::Error;
use crate::model::national::decide::{BundleFacts, Decision, Facts, Outcome, RuleSet, decide};
use crate::model::national::{Kind, Verb, bundle};
use crate::service::database;
use crate::store::db::{DbError, Tx};
use crate::store::national::decision::{self, Kept, NESTED, WAITING};
use crate::store::national::{delivery, entry, lineage};

/// The reason of a summary that was withdrawn and is inside a letter all the same.
const INSIDE: &str = "inside-letter";

impl National {
    /// A letter with the summaries in it that wait for one, and those that went with it before. What does not hold by
    /// itself, or would make the letter too large, goes on waiting; a signed letter stays as it is.
    pub(super) async fn with_summaries(
        &self,
        plan: &mut Plan,
        facts: &Facts,
        letter: Bytes,
        read: BundleFacts,
    ) -> Result<(Bytes, BundleFacts), Error> {
        let wanted = self.config().nest_summaries && self.0.policy.rule_set == RuleSet::V1_2_0;
        if !wanted || facts.kind != Some(Kind::Referral) || read.signed {
            return Ok((letter, read));
        }
        let (mut letter, mut read) = (letter, read);
        for kept in self.riders(plan, facts).await? {
            let Some(summary) = self.summary(&kept.entry_id, &read).await? else { continue };
            let inside = bundle::with_nested(&letter, &summary).map(Bytes::from);
            let Some(inside) = inside.filter(|b| b.len() as u64 <= self.0.policy.size_limit_bytes) else {
                continue;
            };
            if let Some(facts) = bundle::read(&inside) {
                (letter, read) =
                    (inside, BundleFacts { converted_from: read.converted_from, unit: read.unit, ..facts });
                plan.riders.push(kept);
            }
        }
        Ok((letter, read))
    }

    /// The last words on summaries that may go with a letter.
    async fn riders(&self, plan: &Plan, facts: &Facts) -> Result<Vec<Kept>, Error> {
        let institution = facts.institution.clone().unwrap_or_default();
        let own = plan.lineage_id.clone().unwrap_or_else(|| format!("doc:{}", plan.seen.root));
        let now = plan.now;
        let asked = Arc::new((plan.seen.patient_key, institution, own));
        let found = self.0.db.snapshot(move |tx| {
            let asked = asked.clone();
            Box::pin(async move {
                let (patient_key, institution, own) = &*asked;
                let mut found = vec![];
                for kept in decision::summaries(tx, *patient_key, institution).await? {
                    let may = match kept.reason.as_deref() {
                        Some(NESTED) => kept.lineage.as_ref() == Some(own),
                        // It waits for 30 days at most, looked at or not.
                        _ => kept.expires_at.is_some_and(|end| end > now),
                    };
                    if may && entry::is_approved(tx, &kept.lid).await? {
                        found.push(kept);
                    }
                }
                Ok(found)
            })
        });
        found.await.map_err(|e: DbError| database(e))
    }

    /// The Bundle of a summary that may go now, of the person whom the letter is about.
    async fn summary(&self, entry: &str, letter: &BundleFacts) -> Result<Option<Bytes>, Error> {
        let now = self.now();
        let Some(seen) = self.see(entry, None).await? else { return Ok(None) };
        let mut facts = seen.facts(self.config(), &self.facts(), &self.0.settings.home, now);
        let Some((bytes, read)) = self.bundle_alone(&seen, &facts, now).await? else { return Ok(None) };
        if facts.insured_id.is_none() && self.config().insured_id != InsuredSource::Index {
            facts.insured_id.clone_from(&read.insured_id);
        }
        let whose = read.insured_id.as_ref().or(facts.insured_id.as_ref());
        // It waits for its letter and for nothing else.
        let fits = decide(&facts, &self.0.policy).reason() == Some(WAITING)
            && read.kind == Some(Kind::Discharge)
            && letter.insured_id.as_ref().is_none_or(|id| whose == Some(id))
            && self.0.preflight.check(&bytes, Some(Kind::Discharge)).is_empty();
        Ok(fits.then_some(bytes))
    }
}

/// Notes that summaries are in a letter from now on. Whether they were still as they had been read.
pub(super) async fn take(tx: &mut Tx<'_>, riders: &[Kept], letter: &str, now: i64) -> Result<bool, DbError> {
    for rider in riders {
        let current = decision::current(tx, &rider.lid).await?;
        if current.is_none_or(|current| current.id != rider.id) || !entry::is_approved(tx, &rider.lid).await?
        {
            return Ok(false);
        }
    }
    for rider in riders.iter().filter(|rider| rider.reason.as_deref() != Some(NESTED)) {
        put(tx, rider, letter, now).await?;
    }
    Ok(true)
}

async fn put(tx: &mut Tx<'_>, rider: &Kept, letter: &str, now: i64) -> Result<(), DbError> {
    let mut body: Body = serde_json::from_str(&rider.body)
        .map_err(|e| DbError::Decode { column: 0, message: format!("a decision's body: {e}") })?;
    let outcome = Outcome::Skip { reason: NESTED.into() };
    body.decision = Decision { outcome, gate: 14, ..body.decision };
    let kept = Kept {
        id: uuid::Uuid::now_v7().to_string(),
        lineage: Some(letter.to_owned()),
        at: now,
        outcome: decision::Kind::Skip,
        gate: 14,
        reason: Some(NESTED.into()),
        operation: None,
        body: serde_json::to_string(&body).unwrap_or_default(),
        expires_at: None,
        ..rider.clone()
    };
    decision::add(tx, &kept).await
}

/// Whether a document went inside a letter that is there, was until its time was over, or may be; by the last words on
/// it.
pub(super) async fn is_carried(tx: &mut Tx<'_>, said: Option<&Kept>) -> Result<bool, DbError> {
    let Some(said) = said.filter(|k| matches!(k.reason.as_deref(), Some(NESTED | INSIDE))) else {
        return Ok(false);
    };
    let Some(letter) = decision::letter_of(tx, &said.lid).await? else { return Ok(false) };
    let there = |state: lineage::State| state.is_there() || state == lineage::State::Expired;
    let there = lineage::get(tx, &letter).await?.is_some_and(|l| there(l.state));
    Ok(there || delivery::of_lineage(tx, &letter).await?.iter().any(|d| d.state.is_open()))
}

/// What becomes of the summaries inside a letter that is taken back, or that comes back.
pub(super) async fn follow(tx: &mut Tx<'_>, letter: &str, verb: Verb, now: i64) -> Result<(), DbError> {
    let inside = decision::carried_by(tx, letter).await?;
    match verb {
        // They wait for another letter.
        Verb::Cancel => {
            let Some(first) = inside.first() else { return Ok(()) };
            let (patient_key, entries) =
                (first.patient_key, inside.iter().map(|k| k.entry_id.clone()).collect());
            super::store::changed(tx, &super::store::Changed { patient_key, entries, again: false }, now)
                .await
        }
        Verb::Undo => {
            for kept in inside.iter().filter(|kept| kept.reason.as_deref() == Some(WAITING)) {
                put(tx, kept, letter, now).await?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Whether nothing is to be said of a document because it is inside a letter; or that it is withdrawn and still there.
pub(super) fn aside(seen: &Seen, rule_set: RuleSet) -> Option<Option<Decision>> {
    if !seen.carried {
        return None;
    }
    if !seen.event().withdraws() {
        return Some(None);
    }
    let outcome = Outcome::Hold { reason: INSIDE.into() };
    let alone = seen.related.replaced_by.is_empty();
    alone.then_some(Some(Decision { outcome, gate: 4, rule_set, warnings: vec![] }))
}
