//! From a change of the registry to a decision, and from a decision to send to deliveries: in one transaction, which
//! counts only if the lineage is as it was when the facts were read.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::gather::{self, Seen};
use super::making::{self, Order};
use super::preflight::Finding;
use super::{National, store};
use crate::config::national::InsuredSource;
use crate::model::error::Error;
use crate::model::hl7types::Cx;
use crate::model::identity::Demographics;
use crate::model::national::bundle;
use crate::model::national::decide::{
    BundleFacts, Decision, Event, Facts, Outcome, Predecessor, RuleSet, decide,
};
use crate::model::national::{Family, Kind, Op, Verb, bundle_id};
use crate::peer::national::Call;
use crate::service::access::decide_for_export;
use crate::service::mpi::insured::demographics;
use crate::service::{database, storage};
use crate::store::db::{DbError, Tx};
use crate::store::national::decision::{self, Kept, Kind as Kept_};
use crate::store::national::delivery::{self, Delivery, State as Going};
use crate::store::national::lineage::{self, Lineage};
use crate::store::national::{entry, lane};

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
struct Plan {
    seen: Seen,
    facts: Facts,
    decision: Decision,
    findings: Vec<Finding>,
    made: Vec<Finding>,
    digest: String,
    lineage_id: Option<String>,
    /// Deliveries that nobody has begun and that go no more.
    withdraw: Vec<String>,
    bundle: Option<Bytes>,
    why: Why,
    now: i64,
}

/// What a conversion needs beside the document.
#[derive(Default)]
struct Beside {
    patient: Option<Demographics>,
    enclosed: Vec<Bytes>,
}

enum Written {
    Done,
    /// Another decision on the lineage came first.
    Overtaken,
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
            digest: String::new(),
            decision: decide(&facts, &self.0.policy),
            facts: facts.clone(),
            seen,
            why,
            now,
        };
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

    async fn see(&self, entry: &str, lineage: Option<&str>) -> Result<Option<Seen>, Error> {
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

    /// Reads the document, finds its lineage where the Bundle names the unit, checks it, and decides again.
    async fn with_document(&self, plan: &mut Plan, facts: &mut Facts) -> Result<(), Error> {
        let Some(bytes) = self.document(plan.seen.blob.as_deref()).await? else {
            plan.decision = hold("document-not-here", 16, self.0.policy.rule_set);
            return Ok(());
        };
        let beside = match bundle::read(&bytes) {
            Some(_) => Beside::default(),
            None => self.beside(&plan.seen, facts).await?,
        };
        let made = self.bundle_of(plan, facts, bytes, &beside);
        let (bytes, read) = match made {
            Ok(made) => made,
            Err(findings) if findings.iter().any(|f| f.rule == "nothing-to-send") => {
                plan.decision = skip("nothing-to-send", 16, self.0.policy.rule_set);
                return Ok(());
            }
            Err(findings) => {
                facts.findings = findings.iter().map(|f| f.rule.clone()).collect();
                plan.findings = findings;
                plan.decision = decide(facts, &self.0.policy);
                // Whom it is about it should have said itself.
                if self.config().insured_id != InsuredSource::Index && plan.decision.gate == 10 {
                    let outcome = Outcome::Fail { rules: facts.findings.clone() };
                    plan.decision = Decision { outcome, gate: 16, ..plan.decision.clone() };
                }
                return Ok(());
            }
        };
        let bytes = self.0.preflight.normalised(&bytes).map_or(bytes, Bytes::from);
        if facts.insured_id.is_none() && self.config().insured_id != InsuredSource::Index {
            facts.insured_id.clone_from(&read.insured_id);
        }
        let institution = facts.institution.clone().unwrap_or_default();
        let kind = facts.kind.unwrap_or(Kind::Info);
        // Of 5情報 the unit is the lineage, whatever document brings it (national-service, 9).
        let own =
            plan.lineage_id.clone().unwrap_or_else(|| lineage_of(&plan.seen, kind, &institution, &read));
        if plan.lineage_id.as_deref() != Some(own.as_str())
            && let Some(seen) = self.see(&entry_of(&plan.seen), Some(&own)).await?
        {
            plan.seen = seen;
            let again = plan.seen.facts(self.config(), &self.facts(), &self.0.settings.home, plan.now);
            facts.predecessor = again.predecessor;
        }
        plan.lineage_id = Some(own);
        facts.bundle = Some(read);
        let before = decide(facts, &self.0.policy);
        // The checks take the longest: only for what would go.
        if matches!(before.outcome, Outcome::Send { .. }) {
            plan.findings = self.0.preflight.check(&bytes, facts.kind);
            facts.findings = plan.findings.iter().map(|f| f.rule.clone()).collect();
            facts.findings.dedup();
        }
        plan.decision = decide(facts, &self.0.policy);
        plan.bundle = Some(bytes);
        Ok(())
    }

    /// What a conversion needs beside the document: who the patient is, and what came with a letter.
    async fn beside(&self, seen: &Seen, facts: &Facts) -> Result<Beside, Error> {
        let Some(placed) = &seen.placed else { return Ok(Beside::default()) };
        let first = if placed.version > 1 { placed.lid.clone() } else { placed.entry.entry_uuid.clone() };
        let is_letter = facts.kind.is_some_and(|k| k.family() == Family::Referral);
        let asked = Arc::new((placed.patient_key, first, placed.entry.patient_id.clone(), is_letter));
        let read = self.0.db.snapshot(move |tx| {
            let asked = asked.clone();
            Box::pin(async move {
                let (key, first, pid, is_letter) = &*asked;
                let patient = match Cx::parse(pid) {
                    Ok(cx) => demographics(tx, &cx.id).await?,
                    Err(_) => None,
                };
                let mut enclosed = vec![];
                if *is_letter {
                    for entry in entry::beside(tx, *key, first).await? {
                        let format = entry.format_code.map(|c| c.code).unwrap_or_default();
                        enclosed.push((format, entry::blob(tx, &entry.unique_id).await?));
                    }
                }
                Ok((patient, enclosed))
            })
        });
        let (patient, found) = read.await.map_err(|e: DbError| database(e))?;
        let config = self.config();
        let patient = patient.map(|p| match config.insured_id {
            // Then the index has no word in who is insured.
            InsuredSource::Bundle => Demographics { insurances: None, ..p },
            _ => p,
        });
        let mut enclosed = vec![];
        for (_, blob) in found.iter().filter(|(format, _)| config.enclose.contains(format)) {
            enclosed.extend(self.document(blob.as_deref()).await?);
        }
        Ok(Beside { patient, enclosed })
    }

    async fn document(&self, blob: Option<&str>) -> Result<Option<Bytes>, Error> {
        let (Some(repository), Some(blob)) = (&self.0.repository, blob) else { return Ok(None) };
        let mut reader = repository.open(blob).await.map_err(storage)?;
        let mut all = vec![];
        while let Some(chunk) = reader.next().await {
            all.extend_from_slice(&chunk.map_err(storage)?);
        }
        Ok(Some(all.into()))
    }

    /// The Bundle that goes for a document: itself, or one made of it.
    fn bundle_of(
        &self,
        plan: &mut Plan,
        facts: &Facts,
        bytes: Bytes,
        beside: &Beside,
    ) -> Result<(Bytes, BundleFacts), Vec<Finding>> {
        if let Some(read) = bundle::read(&bytes) {
            return Ok((bytes, read));
        }
        if facts.mime_type.contains("json") || facts.format_code.starts_with("jp:fhir:") {
            return Err(vec![Finding {
                rule: "bundle-unreadable".into(),
                path: "Bundle".into(),
                ..Finding::default()
            }]);
        }
        let lineage = plan.lineage_id.as_deref().filter(|_| facts.kind != Some(Kind::Info));
        let enclosed: Vec<&[u8]> = beside.enclosed.iter().map(|b| b.as_ref()).collect();
        let order = Order {
            institution: facts.institution.as_deref().unwrap_or_default(),
            insured_id: facts.insured_id.as_deref(),
            lineage,
            bundle_id: plan.seen.lineage.as_ref().and_then(|l| l.bundle_value.as_deref()),
            patient: beside.patient.as_ref(),
            enclosed: &enclosed,
            now: plan.now,
        };
        let made = self.0.making.make(&bytes, &order).map_err(|refused| vec![making::refused(&refused)])?;
        plan.made = making::told(&made);
        let bytes = Bytes::from(made.bundle);
        match bundle::read(&bytes) {
            Some(read) => {
                let converted_from = Some(facts.format_code.clone());
                Ok((bytes, BundleFacts { converted_from, unit: Some(made.lineage), ..read }))
            }
            None => Err(vec![Finding {
                rule: "not-convertible".into(),
                path: "Bundle".into(),
                ..Finding::default()
            }]),
        }
    }

    async fn write(&self, plan: Arc<Plan>) -> Result<Written, Error> {
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
pub(super) fn letter_of(deliveries: &[Delivery]) -> Option<String> {
    let arrived = |d: &&Delivery| d.state == Going::Done && Op::parse(&d.operation).is_some_and(Op::carries);
    let last = deliveries.iter().rev().find(arrived)?;
    serde_json::from_str::<Call>(&last.call).ok()?.letter
}

/// The idempotency key of a delivery.
pub(super) fn delivery_key(lineage: &str, version: &str, op: Op, institution: &str, before: usize) -> String {
    let text = format!("{lineage}\n{version}\n{op}\n{institution}\n{before}");
    hex(Sha256::digest(text).get(..16).unwrap_or_default())
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

/// Of which lineage a document is that replaces none: the unit's, of 5情報.
fn lineage_of(seen: &Seen, kind: Kind, institution: &str, read: &BundleFacts) -> String {
    match (kind, read.resource_type.as_deref()) {
        (Kind::Info, Some(unit @ ("Condition" | "AllergyIntolerance"))) => {
            format!("unit:{institution}:{}:{unit}", seen.patient_key)
        }
        (Kind::Info, _) if read.unit.is_some() => {
            format!("unit:{institution}:{}:{}", seen.patient_key, read.unit.as_deref().unwrap_or_default())
        }
        (Kind::Info, unit) if read.identifier_value.is_some() => format!(
            "unit:{institution}:{}:{}:{}",
            seen.patient_key,
            unit.unwrap_or_default(),
            read.identifier_value.as_deref().unwrap_or_default()
        ),
        _ => format!("doc:{}", seen.root),
    }
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

/// Whether the service itself has said that it waits for something, and no fact is another since.
fn service_holds(plan: &Plan) -> bool {
    let current = plan.seen.current.as_ref();
    current.is_some_and(|k| k.outcome == Kept_::Hold && k.gate == 0 && k.digest == plan.digest)
}

fn is_same(current: Option<&Kept>, said: &Kept) -> bool {
    current.is_some_and(|k| {
        k.closed_at.is_none()
            && (k.outcome, &k.reason, &k.digest) == (said.outcome, &said.reason, &said.digest)
    })
}
