//! From a decision to its row, and from one to send to the deliveries: in one transaction, which counts only if the
//! lineage is as it was when the facts were read.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::super::{National, nesting, store};
use super::{Body, Plan, Why, entry_of, hex};
use crate::model::error::Error;
use crate::model::national::decide::{BundleFacts, Outcome};
use crate::model::national::{Kind, Op, Verb, bundle, bundle_id};
use crate::peer::national::Call;
use crate::service::database;
use crate::store::db::{DbError, Tx};
use crate::store::national::decision::{self, Kept, Kind as Kept_};
use crate::store::national::delivery::{self, Delivery, State as Going};
use crate::store::national::lane;
use crate::store::national::lineage::{self, Lineage};

pub(super) enum Written {
    Done,
    /// Another decision on the lineage came first.
    Overtaken,
}

impl National {
    pub(super) async fn write(&self, plan: Arc<Plan>) -> Result<Written, Error> {
        let national = self.clone();
        let done = self.0.db.write(move |tx| {
            let (plan, national) = (plan.clone(), national.clone());
            Box::pin(async move { national.write_in(tx, &plan).await })
        });
        done.await.map_err(|e: DbError| database(e))
    }

    async fn write_in(&self, tx: &mut Tx<'_>, plan: &Plan) -> Result<Written, DbError> {
        let institution = plan.facts.institution.clone().unwrap_or_default();
        let sends = matches!(plan.decision.outcome, Outcome::Send { .. });
        if sends || !plan.withdraw.is_empty() {
            // Whoever fills or empties a lane holds it, before anything else.
            lane::add(tx, &institution).await?;
            lane::hold(tx, &institution).await?;
        }
        let mut held = None;
        if let Some(id) = &plan.lineage_id {
            if !institution.is_empty() && sends {
                lineage::add(tx, &fresh(plan, id, &institution)).await?;
            }
            held = lineage::hold(tx, id).await?;
            let known = plan.seen.lineage.as_ref().map_or(0, |l| l.revision);
            if held.as_ref().map_or(0, |l| l.revision) != known {
                return Ok(Written::Overtaken);
            }
            if sends || plan.seen.placed.is_some() {
                lineage::join(tx, &plan.seen.lid, id, plan.seen.patient_key).await?;
            }
        }
        for delivery in &plan.withdraw {
            if !delivery::withdraw(tx, delivery, plan.now).await? {
                return Ok(Written::Overtaken);
            }
        }
        // Whoever's delivery was taken back is looked at once more.
        let back =
            plan.seen.deliveries.iter().filter(|d| plan.withdraw.contains(&d.id) && d.lid != plan.seen.lid);
        let entries: Vec<String> = back.map(|d| d.entry_id.clone()).collect();
        if !entries.is_empty() {
            let changed = store::Changed { patient_key: plan.seen.patient_key, entries, again: false };
            store::changed(tx, &changed, plan.now).await?;
        }
        let said = self.kept(plan);
        if plan.why == Why::Review && is_same(plan.seen.current.as_ref(), &said) {
            return Ok(Written::Done);
        }
        if sends
            && let Some(letter) = plan.lineage_id.as_deref().filter(|_| !plan.riders.is_empty())
            && !nesting::take(tx, &plan.riders, letter, plan.now).await?
        {
            return Ok(Written::Overtaken);
        }
        decision::add(tx, &said).await?;
        if let (Outcome::Send { operation, supersedes_pending, .. }, Some(mut lineage)) =
            (&plan.decision.outcome, held)
        {
            if *supersedes_pending {
                decision::supersede_others(tx, &lineage.id, &plan.seen.lid, plan.now).await?;
            }
            let calls = self.calls(plan, *operation, &mut lineage);
            for call in calls {
                self.enqueue(tx, plan, &lineage, call).await?;
            }
            lineage.updated_at = plan.now;
            lineage::put(tx, &lineage).await?;
        } else if !plan.withdraw.is_empty()
            && let Some(id) = &plan.lineage_id
            && let Some(lineage) = lineage::get(tx, id).await?
        {
            lineage::put(tx, &lineage).await?;
        }
        Ok(Written::Done)
    }

    /// The row of a decision.
    fn kept(&self, plan: &Plan) -> Kept {
        let outcome = match &plan.decision.outcome {
            Outcome::Send { .. } => Kept_::Send,
            Outcome::Skip { .. } => Kept_::Skip,
            Outcome::Hold { .. } => Kept_::Hold,
            Outcome::Fail { .. } => Kept_::Fail,
        };
        let operation = match &plan.decision.outcome {
            Outcome::Send { operation, .. } => Some(operation.to_string()),
            _ => None,
        };
        let body = Body {
            facts: plan.facts.clone(),
            decision: plan.decision.clone(),
            findings: plan.findings.clone(),
            made: plan.made.clone(),
        };
        let reason = plan.decision.reason().map(str::to_owned);
        let days = plan.facts.kind.unwrap_or(Kind::Info).hold_days();
        // A hold that goes on for the same reason does not begin anew.
        let since = plan.seen.current.as_ref().filter(|k| k.outcome == Kept_::Hold && k.reason == reason);
        let expires = since.and_then(|k| k.expires_at).unwrap_or(plan.now + days * 86_400_000_000);
        Kept {
            id: uuid::Uuid::now_v7().to_string(),
            entry_id: entry_of(&plan.seen),
            lid: plan.seen.lid.clone(),
            patient_key: plan.seen.patient_key,
            lineage: plan.lineage_id.clone(),
            institution: plan.facts.institution.clone(),
            at: plan.now,
            outcome,
            gate: i64::from(plan.decision.gate),
            reason,
            operation,
            digest: plan.digest.clone(),
            body: serde_json::to_string(&body).unwrap_or_default(),
            current: true,
            expires_at: (outcome == Kept_::Hold).then_some(expires),
            closed_at: None,
            closed_by: None,
        }
    }

    /// The calls of a decision to send, in order. A lineage keeps its Bundle-ID; where it cannot, or where the insured
    /// id has become another, what is there is cancelled under the old key and registered under the new one.
    fn calls(&self, plan: &Plan, op: Op, lineage: &mut Lineage) -> Vec<Call> {
        let key = |op: Op| self.key(plan, lineage, op);
        let verb = op.verb().unwrap_or(Verb::Register);
        let family = plan.facts.kind.or_else(|| Kind::parse(&lineage.kind)).unwrap_or(Kind::Info).family();
        let there = |verb: Verb| Call {
            insured_id: lineage.insured_id.clone(),
            bundle_system: lineage.bundle_system.clone(),
            bundle_value: lineage.bundle_value.clone(),
            destination: lineage.destination.clone(),
            ..Call::new(Op::Of(family, verb), &lineage.institution, &key(Op::Of(family, verb)))
        };
        if !verb.carries() {
            return vec![there(verb)];
        }
        let empty = BundleFacts::default();
        let bundle = plan.facts.bundle.as_ref().unwrap_or(&empty);
        let mut bytes = plan.bundle.clone().unwrap_or_default();
        let insured = bundle.insured_id.clone().or_else(|| plan.facts.insured_id.clone());
        let said = bundle.identifier_value.clone().filter(|v| !v.is_empty());
        let made = || {
            let year =
                jiff::Timestamp::from_microsecond(plan.now).ok().and_then(|at| at.in_tz("Asia/Tokyo").ok());
            let kind = plan.facts.kind.unwrap_or(Kind::Info);
            bundle_id::make(&lineage.institution, year.map_or(2026, |y| y.year()), kind.letter(), &lineage.id)
        };
        let mut another_id = false;
        let value = match (&lineage.bundle_value, &said) {
            (Some(fixed), Some(said)) if fixed != said => match bundle::with_identifier(&bytes, fixed) {
                Some(rewritten) if !bundle.signed => {
                    bytes = rewritten.into();
                    fixed.clone()
                }
                // What is signed cannot be changed: the lineage goes on under the id that was signed.
                _ => {
                    another_id = true;
                    said.clone()
                }
            },
            (Some(fixed), _) => fixed.clone(),
            (None, Some(said)) => said.clone(),
            (None, None) => made(),
        };
        let new_key = verb == Verb::Change && (another_id || lineage.insured_id != insured);
        let mut calls = vec![];
        if new_key {
            calls.push(there(Verb::Cancel));
        }
        let is_attached = plan.facts.kind == Some(Kind::Discharge);
        let verb = match new_key {
            true if is_attached => Verb::AttachLater,
            true => Verb::Register,
            false => verb,
        };
        let op = Op::Of(family, verb);
        let system = bundle.identifier_system.clone().unwrap_or_else(|| bundle_id::SYSTEM.into());
        let consent = (plan.facts.kind == Some(Kind::Referral)).then_some(plan.facts.view_consent);
        let destination = match plan.facts.kind {
            Some(Kind::Referral) => plan.facts.recipient.clone(),
            Some(Kind::Discharge) => plan.seen.letter.as_ref().and_then(|l| l.destination.clone()),
            _ => None,
        };
        // Another version stays with the letter that the first went with.
        let before = (verb == Verb::Change).then(|| letter_of(&plan.seen.deliveries)).flatten();
        let newest = || plan.seen.letter.as_ref().and_then(|l| l.bundle_value.clone());
        let letter = if is_attached { before.or_else(newest) } else { None };
        calls.push(Call {
            insured_id: insured,
            bundle_system: Some(system.clone()),
            bundle_value: Some(value.clone()),
            destination,
            consent,
            letter,
            bundle: Some(bytes),
            ..Call::new(op, &lineage.institution, &key(op))
        });
        lineage.bundle_system = Some(system);
        lineage.bundle_value = Some(value);
        calls
    }

    /// The idempotency key: of lineage, version, operation and institution (national-service, 9); counted on where the
    /// same was done before and is to be done again.
    fn key(&self, plan: &Plan, lineage: &Lineage, op: Op) -> String {
        let version = entry_of(&plan.seen);
        let before =
            plan.seen.deliveries.iter().filter(|d| d.entry_id == version && d.operation == op.to_string());
        delivery_key(&lineage.id, &version, op, &lineage.institution, before.count())
    }

    async fn enqueue(
        &self,
        tx: &mut Tx<'_>,
        plan: &Plan,
        lineage: &Lineage,
        call: Call,
    ) -> Result<(), DbError> {
        let unit = lineage.resource_type.clone().unwrap_or_else(|| lineage.kind.clone());
        let text = serde_json::to_string(&call)
            .map_err(|e| DbError::Sql(format!("a call cannot be written as JSON: {e}")))?;
        let delivery = Delivery {
            id: uuid::Uuid::now_v7().to_string(),
            key: call.key.clone(),
            institution: lineage.institution.clone(),
            queue: format!("{}|{}|{unit}", lineage.institution, lineage.patient_key),
            lineage: lineage.id.clone(),
            entry_id: entry_of(&plan.seen),
            lid: plan.seen.lid.clone(),
            operation: call.op.to_string(),
            call: text,
            bundle_hash: call.bundle.as_ref().map(|b| hex(&Sha256::digest(b))),
            state: Going::Waiting,
            unsure: false,
            attempts: 0,
            polls: 0,
            not_before: plan.now,
            created_at: plan.now,
            first_attempt_at: None,
            settled_at: None,
            lease_until: 0,
            code: None,
            failure: None,
            problems: None,
        };
        delivery::enqueue(tx, &delivery, call.bundle.as_deref()).await.map(|_| ())
    }
}

/// The letter that a discharge summary was attached to last, by its deliveries.
pub(in super::super) fn letter_of(deliveries: &[Delivery]) -> Option<String> {
    let arrived = |d: &&Delivery| d.state == Going::Done && Op::parse(&d.operation).is_some_and(Op::carries);
    let last = deliveries.iter().rev().find(arrived)?;
    serde_json::from_str::<Call>(&last.call).ok()?.letter
}

/// The idempotency key of a delivery.
pub(in super::super) fn delivery_key(
    lineage: &str,
    version: &str,
    op: Op,
    institution: &str,
    before: usize,
) -> String {
    let text = format!("{lineage}\n{version}\n{op}\n{institution}\n{before}");
    hex(Sha256::digest(text).get(..16).unwrap_or_default())
}

fn fresh(plan: &Plan, id: &str, institution: &str) -> Lineage {
    Lineage {
        id: id.to_owned(),
        institution: institution.to_owned(),
        patient_key: plan.seen.patient_key,
        patient_pid: plan.seen.patient_pid.clone(),
        kind: plan.facts.kind.unwrap_or(Kind::Info).as_str().into(),
        resource_type: plan.facts.bundle.as_ref().and_then(|b| b.resource_type.clone()),
        updated_at: plan.now,
        ..Lineage::default()
    }
}

fn is_same(current: Option<&Kept>, said: &Kept) -> bool {
    current.is_some_and(|k| {
        k.closed_at.is_none()
            && (k.outcome, &k.reason, &k.digest) == (said.outcome, &said.reason, &said.digest)
    })
}
