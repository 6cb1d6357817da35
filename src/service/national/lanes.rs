//! Lanes: what is due is claimed, called, and written down. One lane for each institution; the heads of its queues go at
//! the same time, as many as its cap allows, of all gateways together.

use std::ops::AddAssign;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::deciding::Body;
use super::{National, attached, store};
use crate::model::audit::Outcome as Audited;
use crate::model::error::Error;
use crate::model::national::decide::{Decision, Outcome};
use crate::model::national::{Class, Kind, Op, Verb};
use crate::peer::national::{Answer, Call, Said};
use crate::service::database;
use crate::store::db::{DbError, Tx};
use crate::store::national::decision::{self, Kept, Kind as Kept_};
use crate::store::national::delivery::{Delivery, Settled, State};
use crate::store::national::lane::{self, Lane};
use crate::store::national::lineage::{self, Lineage, State as There};
use crate::store::national::{delivery as rows, entry};

const SECOND: i64 = 1_000_000;
/// Polls of what is being processed: 2 s, then twice as long each time, up to this.
const LONGEST_POLL: i64 = 60 * SECOND;
/// A letter's copy lives six months, or a week after it was fetched (national-service, 1.2).
pub(super) const UNFETCHED_MONTHS: i32 = 6;
pub(super) const FETCHED_DAYS: i64 = 7;

/// What a run did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LaneReport {
    pub done: u64,
    pub processing: u64,
    pub postponed: u64,
    pub held: u64,
    pub parked: u64,
}

impl AddAssign for LaneReport {
    fn add_assign(&mut self, other: Self) {
        self.done += other.done;
        self.processing += other.processing;
        self.postponed += other.postponed;
        self.held += other.held;
        self.parked += other.parked;
    }
}

type Claimed = (Delivery, Option<Vec<u8>>);

/// What is to be written down of an attempt.
#[derive(Debug, Clone)]
struct Verdict {
    state: State,
    unsure: bool,
    not_before: i64,
    code: Option<String>,
    failure: Option<String>,
    problems: Option<String>,
    said: Option<Said>,
    hold: Option<String>,
    /// What it says of the lane: none for a lane that answered.
    trouble: Option<Class>,
    /// Seconds the lane rests, as the service asked.
    after: Option<u64>,
}

impl National {
    /// Delivers for one institution until it is told to stop.
    pub(super) async fn lane(&self, institution: &str, stop: &CancellationToken) {
        let pause = Duration::from_secs(self.config().poll_seconds.max(1));
        let mut said = false;
        while !stop.is_cancelled() {
            // Registered before the look, so that what comes meanwhile is not missed.
            let woken = self.0.woken.notified();
            tokio::pin!(woken);
            woken.as_mut().enable();
            match self.drain_lane(institution, stop).await {
                Ok(_) => said = false,
                Err(e) if !said => {
                    said = true;
                    tracing::warn!(
                        institution,
                        cause = format!("{e:?}"),
                        "a lane cannot be read; it is tried again"
                    );
                }
                Err(_) => {}
            }
            tokio::select! {
                _ = timeout(pause, woken) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// Tries everything of a lane that is due; what becomes due meanwhile too.
    pub(super) async fn drain_lane(
        &self,
        institution: &str,
        stop: &CancellationToken,
    ) -> Result<LaneReport, Error> {
        let mut report = LaneReport::default();
        let mut under_way: JoinSet<Option<State>> = JoinSet::new();
        let mut trouble = None;
        loop {
            let room = usize::try_from(self.config().open_calls).unwrap_or(1).saturating_sub(under_way.len());
            if room > 0 && trouble.is_none() && !stop.is_cancelled() {
                match self.claim(institution, room).await {
                    Ok(claimed) => {
                        for (delivery, bundle) in claimed {
                            let national = self.clone();
                            under_way.spawn(async move { national.attempt(delivery, bundle).await });
                        }
                    }
                    Err(e) => trouble = Some(e),
                }
            }
            match under_way.join_next().await {
                None => break,
                Some(Ok(Some(State::Done))) => report.done += 1,
                Some(Ok(Some(State::Processing))) => report.processing += 1,
                Some(Ok(Some(State::Parked))) => report.parked += 1,
                Some(Ok(Some(State::Held))) => report.held += 1,
                Some(Ok(Some(_))) => report.postponed += 1,
                // The lease was lost, or the end could not be written: another look finds it.
                Some(Ok(None)) => {}
                Some(Err(e)) => tracing::error!(institution, cause = %e, "a delivery ended early"),
            }
        }
        trouble.map_or(Ok(report), |e| Err(database(e)))
    }

    async fn claim(&self, institution: &str, room: usize) -> Result<Vec<Claimed>, DbError> {
        let now = self.now();
        let asked: Arc<(String, String)> = Arc::new((institution.to_owned(), self.0.name.clone()));
        let question = asked.clone();
        // Most looks find nothing, and need not write to say so.
        let due = self.0.db.read(move |tx| {
            let asked = question.clone();
            Box::pin(async move { rows::is_due(tx, &asked.0, now).await })
        });
        if !due.await? {
            return Ok(vec![]);
        }
        let config = self.config();
        let lease = now.saturating_add(seconds(config.lease_seconds));
        let (cap, rate) = (number(config.open_calls), number(config.calls_per_minute));
        let room = i64::try_from(room).unwrap_or(1);
        let claimed = self.0.db.write(move |tx| {
            let asked = asked.clone();
            Box::pin(async move {
                let (institution, name) = &*asked;
                lane::add(tx, institution).await?;
                let Some(mut held) = lane::hold(tx, institution).await? else { return Ok(vec![]) };
                if held.paused_at.is_some() || held.rest_until > now {
                    return Ok(vec![]);
                }
                let open = rows::under_way(tx, institution, now).await?;
                let mut most = room.min(cap - open);
                if held.failures > 0 {
                    // One finds out whether the line is back.
                    most = most.min(1 - open);
                }
                if rate > 0 {
                    if now.saturating_sub(held.window_at) >= 60 * SECOND {
                        (held.window_at, held.window_calls) = (now, 0);
                    }
                    most = most.min(rate - held.window_calls);
                }
                if most <= 0 {
                    return Ok(vec![]);
                }
                let claimed = rows::claim(tx, institution, name, now, lease, most).await?;
                if rate > 0 && !claimed.is_empty() {
                    held.window_calls += i64::try_from(claimed.len()).unwrap_or(most);
                    lane::put(tx, &held).await?;
                }
                Ok(claimed)
            })
        });
        claimed.await
    }

    /// Makes a call and writes down what came of it; `None` if that could not be.
    async fn attempt(&self, delivery: Delivery, bundle: Option<Vec<u8>>) -> Option<State> {
        let port = self.0.ports.get(&delivery.institution)?.clone();
        let answer = match serde_json::from_str::<Call>(&delivery.call) {
            Ok(call) => {
                let call = Call { key: delivery.key.clone(), bundle: bundle.map(Bytes::from), ..call };
                let asked = match delivery.unsure || delivery.state == State::Processing {
                    // It may be there already: a lost answer is asked for before anything is sent again.
                    true => port.call(&call.result(), self.now()).await,
                    false => Answer::Unknown,
                };
                match asked {
                    Answer::Unknown => port.call(&call, self.now()).await,
                    // The question failed, not the call: what is known of the call is what it was.
                    Answer::Failed { class, why, after, .. } => {
                        Answer::Failed { class, why, after, unsure: true }
                    }
                    known => known,
                }
            }
            Err(e) => Answer::Failed {
                class: Class::Permanent,
                why: format!("the call cannot be read: {e}"),
                after: None,
                unsure: false,
            },
        };
        let now = self.now();
        let verdict = self.verdict(&delivery, answer, now);
        let settled = self.write_down(Arc::new(delivery), Arc::new(verdict), port.address(), now).await;
        match settled {
            Ok(state) => state,
            Err(e) => {
                tracing::warn!(cause = %e, "the end of a delivery could not be written down; its lease runs out");
                None
            }
        }
    }

    fn verdict(&self, delivery: &Delivery, answer: Answer, now: i64) -> Verdict {
        let config = self.config();
        let plain = Verdict {
            state: State::Waiting,
            unsure: false,
            not_before: now,
            code: None,
            failure: None,
            problems: None,
            said: None,
            hold: None,
            trouble: None,
            after: None,
        };
        let late = delivery
            .first_attempt_at
            .is_some_and(|first| now.saturating_sub(first) >= 3600 * seconds(config.give_up_hours));
        match answer {
            Answer::Done(said) => {
                Verdict { state: State::Done, code: said.code.clone(), said: Some(said), ..plain }
            }
            Answer::Processing { again_after, .. } if !late => {
                let shift = u32::try_from(delivery.polls.clamp(0, 10)).unwrap_or_default();
                let wait = again_after.map(seconds).unwrap_or((2 * SECOND) << shift).min(LONGEST_POLL);
                Verdict {
                    state: State::Processing,
                    unsure: true,
                    not_before: now.saturating_add(wait),
                    ..plain
                }
            }
            Answer::Processing { .. } => Verdict {
                state: State::Parked,
                unsure: true,
                failure: Some("it was never finished there".into()),
                ..plain
            },
            Answer::Refused { code, class: Class::Hold(reason), problems } => Verdict {
                state: State::Held,
                code: Some(code),
                problems: serde_json::to_string(&problems).ok(),
                hold: Some(reason),
                ..plain
            },
            Answer::Refused { code, problems, .. } => Verdict {
                state: State::Parked,
                failure: Some(format!("refused: {code}")),
                code: Some(code),
                problems: serde_json::to_string(&problems).ok(),
                ..plain
            },
            Answer::Unknown => {
                Verdict { state: State::Parked, failure: Some("nothing usable was answered".into()), ..plain }
            }
            Answer::Failed { class: Class::Permanent, why, unsure, .. } => {
                Verdict { state: State::Parked, failure: Some(why), unsure, ..plain }
            }
            Answer::Failed { class, why, after, unsure } => {
                let state = if late && class != Class::Credential { State::Parked } else { State::Waiting };
                let state = match (state, delivery.state) {
                    // What it has taken it is asked about, not sent again.
                    (State::Waiting, State::Processing) => State::Processing,
                    (state, _) => state,
                };
                let wait = after.map(seconds).unwrap_or_else(|| delay(delivery.attempts, config));
                Verdict {
                    state,
                    unsure: unsure || (delivery.unsure && class != Class::Done),
                    not_before: now.saturating_add(wait),
                    failure: Some(why),
                    trouble: Some(class),
                    after,
                    ..plain
                }
            }
        }
    }

    async fn write_down(
        &self,
        delivery: Arc<Delivery>,
        verdict: Arc<Verdict>,
        address: String,
        now: i64,
    ) -> Result<Option<State>, DbError> {
        let (national, address): (_, Arc<str>) = (self.clone(), address.into());
        let (d, v) = (delivery.clone(), verdict.clone());
        let written = self.0.db.write(move |tx| {
            let (national, address, d, v) = (national.clone(), address.clone(), d.clone(), v.clone());
            Box::pin(async move { national.settle(tx, &d, &v, &address, now).await })
        });
        if !written.await? {
            return Ok(None);
        }
        self.tell(&delivery, &verdict);
        Ok(Some(verdict.state))
    }

    /// Everything that follows from an answer, in one transaction: the delivery, its lineage, its lane, the audit record,
    /// and the rows that have those decided on again who waited for it. False if the lease was lost.
    async fn settle(
        &self,
        tx: &mut Tx<'_>,
        d: &Delivery,
        v: &Verdict,
        address: &str,
        now: i64,
    ) -> Result<bool, DbError> {
        lane::add(tx, &d.institution).await?;
        let lane = lane::hold(tx, &d.institution).await?;
        let settled = Settled {
            state: Some(v.state),
            unsure: v.unsure,
            not_before: v.not_before,
            code: v.code.as_deref(),
            failure: v.failure.as_deref(),
            problems: v.problems.as_deref(),
        };
        if !rows::settle(tx, &d.id, &self.0.name, &settled, now).await? {
            return Ok(false);
        }
        if let Some(mut lane) = lane {
            let back = self.lane_after(&mut lane, v, now);
            lane::put(tx, &lane).await?;
            if back {
                rows::hasten(tx, &d.institution, now).await?;
            }
        }
        let Some(mut lineage) = lineage::hold(tx, &d.lineage).await? else { return Ok(true) };
        let call: Option<Call> = serde_json::from_str(&d.call).ok();
        if let (State::Done, Some(call)) = (v.state, &call) {
            arrived(&mut lineage, d, call, v.said.as_ref(), now);
            attached::follow(tx, &lineage, call.op, now).await?;
        }
        if v.state == State::Held {
            if v.hold.as_deref() == Some("already-received") {
                lineage.state = There::Received;
                lineage.received_at = lineage.received_at.or(Some(now));
                lineage.expires_at = Some(now + FETCHED_DAYS * 86_400 * SECOND);
            }
            self.hold_again(tx, d, v, now).await?;
        }
        if matches!(v.state, State::Done | State::Held | State::Parked) {
            lineage.updated_at = now;
            lineage::put(tx, &lineage).await?;
            self.go_on(tx, &lineage, d, now).await?;
        }
        let mut event = self.event(&d.operation, audited(v.state), now);
        event.patients = vec![lineage.patient_pid.clone()];
        event.objects = vec![
            d.entry_id.clone(),
            format!("key:{}", d.key),
            format!("institution:{}", d.institution),
            format!("bundle:{}", lineage.bundle_value.clone().unwrap_or_default()),
        ];
        if let Some(insured) = call.as_ref().and_then(|c| c.insured_id.as_deref()) {
            use sha2::Digest as _;
            event
                .objects
                .push(format!("insured-sha256:{}", super::deciding::hex(&sha2::Sha256::digest(insured))));
        }
        event.errors = v.code.clone().filter(|_| v.state != State::Done).into_iter().collect();
        event.sent_to = Some(address.to_owned());
        Self::record(tx, event).await?;
        Ok(true)
    }

    /// The lane after an answer, or none; whether it has just come back.
    fn lane_after(&self, lane: &mut Lane, v: &Verdict, now: i64) -> bool {
        let config = self.config();
        let Some(class) = &v.trouble else {
            let back = lane.failures > 0;
            (lane.failures, lane.rest_until) = (0, 0);
            lane.last_done_at = Some(now);
            return back;
        };
        lane.last_failure_at = Some(now);
        lane.last_failure.clone_from(&v.failure);
        let rest = seconds(config.breaker_seconds);
        match class {
            Class::Throttled => {
                let asked = v.after.map(seconds).unwrap_or(rest);
                lane.rest_until = lane.rest_until.max(now.saturating_add(asked));
            }
            Class::Credential => {
                lane.failures = lane.failures.saturating_add(1);
                lane.rest_until = now.saturating_add(rest.saturating_mul(10));
            }
            _ => {
                lane.failures = lane.failures.saturating_add(1);
                if lane.failures >= number(config.breaker_failures) {
                    lane.rest_until = now.saturating_add(rest);
                }
            }
        }
        false
    }

    /// The service said that a fact must change first: a decision of its own, until one does.
    async fn hold_again(&self, tx: &mut Tx<'_>, d: &Delivery, v: &Verdict, now: i64) -> Result<(), DbError> {
        let Some(reason) = v.hold.clone() else { return Ok(()) };
        let Some(last) = decision::current(tx, &d.lid).await? else { return Ok(()) };
        let Ok(mut body) = serde_json::from_str::<Body>(&last.body) else { return Ok(()) };
        let kind = body.facts.kind.unwrap_or(Kind::Info);
        body.decision = Decision {
            outcome: Outcome::Hold { reason: reason.clone() },
            gate: 0,
            rule_set: body.decision.rule_set,
            warnings: body.decision.warnings,
        };
        let kept = Kept {
            id: uuid::Uuid::now_v7().to_string(),
            at: now,
            outcome: Kept_::Hold,
            gate: 0,
            reason: Some(reason),
            operation: None,
            body: serde_json::to_string(&body).unwrap_or_default(),
            expires_at: Some(now + kind.hold_days() * 86_400 * SECOND),
            closed_at: None,
            closed_by: None,
            ..last
        };
        decision::add(tx, &kept).await
    }

    /// Has those decided on again that waited for this delivery, and the document itself if it is no longer Approved.
    pub(super) async fn go_on(
        &self,
        tx: &mut Tx<'_>,
        lineage: &Lineage,
        d: &Delivery,
        now: i64,
    ) -> Result<(), DbError> {
        let mut entries: Vec<String> = decision::behind(tx, &lineage.id)
            .await?
            .into_iter()
            .filter(|k| k.reason.as_deref() == Some("behind-predecessor"))
            .map(|k| k.entry_id)
            .collect();
        let carries = Op::parse(&d.operation).is_some_and(Op::carries);
        if carries && lineage.kind == Kind::Referral.as_str() && lineage.state.is_there() {
            let waiting = decision::without_letter(tx, lineage.patient_key, &lineage.institution).await?;
            entries.extend(waiting);
        }
        if carries && lineage.state.is_there() && !entry::is_approved(tx, &d.lid).await? {
            entries.push(d.entry_id.clone());
        }
        if entries.is_empty() {
            return Ok(());
        }
        store::changed(tx, &store::Changed { patient_key: lineage.patient_key, entries, again: false }, now)
            .await
    }

    fn tell(&self, d: &Delivery, v: &Verdict) {
        let Delivery { id, institution, operation, attempts, .. } = d;
        match (self.0.tallies.get(institution), v.state, &v.failure) {
            (Some(tally), State::Done, _) => tally.delivered(),
            (Some(tally), _, Some(_)) => tally.failed(),
            _ => {}
        }
        match v.state {
            State::Done => {
                tracing::debug!(delivery = id, institution, operation, "delivered to the national service")
            }
            State::Processing => {
                tracing::debug!(delivery = id, institution, operation, "being processed there")
            }
            State::Parked => {
                let cause = v.failure.as_deref().unwrap_or_default();
                tracing::error!(
                    delivery = id,
                    institution,
                    operation,
                    attempts,
                    cause,
                    "parked; see `chiren national list parked`"
                );
            }
            State::Held => {
                let reason = v.hold.as_deref().unwrap_or_default();
                tracing::info!(
                    delivery = id,
                    institution,
                    operation,
                    reason,
                    "the service wants a fact changed first"
                );
            }
            _ => {
                let cause = v.failure.as_deref().unwrap_or_default();
                match v.trouble {
                    Some(Class::Credential) => {
                        tracing::error!(institution, cause, "the certificate is refused; the lane rests");
                    }
                    _ => tracing::debug!(
                        delivery = id,
                        institution,
                        operation,
                        attempts,
                        cause,
                        "not delivered yet"
                    ),
                }
            }
        }
    }
}

/// A lineage after the service has done what was asked.
fn arrived(lineage: &mut Lineage, d: &Delivery, call: &Call, said: Option<&Said>, now: i64) {
    match call.op.verb() {
        Some(verb @ (Verb::Register | Verb::Change | Verb::AttachLater)) => {
            lineage.state = There::Accepted;
            lineage.current_lid = Some(d.lid.clone());
            lineage.current_entry = Some(d.entry_id.clone());
            lineage.insured_id.clone_from(&call.insured_id);
            lineage.bundle_system.clone_from(&call.bundle_system);
            lineage.bundle_value.clone_from(&call.bundle_value);
            lineage.destination.clone_from(&call.destination);
            lineage.consent = call.consent.map(|c| c.as_str().to_owned());
            lineage.receipt = said.and_then(|s| s.receipt.clone());
            if verb != Verb::Change || lineage.registered_at.is_none() {
                lineage.registered_at = Some(now);
            }
            if lineage.kind == Kind::Referral.as_str() {
                lineage.said_state.clone_from(&lineage.consent);
                lineage.received_at = None;
                lineage.warned_at = None;
                lineage.followed_at = None;
                lineage.expires_at = Some(months_after(now, UNFETCHED_MONTHS));
            }
        }
        Some(Verb::Cancel) => {
            lineage.state = There::Cancelled;
            lineage.said_state = Some("cancelled".into());
            lineage.current_lid = None;
            lineage.current_entry = None;
            lineage.expires_at = None;
        }
        Some(Verb::Undo) => {
            lineage.state = There::Accepted;
            lineage.current_lid = Some(d.lid.clone());
            lineage.current_entry = Some(d.entry_id.clone());
        }
        _ => {}
    }
}

fn audited(state: State) -> Audited {
    match state {
        State::Done => Audited::Success,
        State::Processing | State::Waiting => Audited::MinorFailure,
        _ => Audited::SeriousFailure,
    }
}

/// So many calendar months later, in Japan.
pub(super) fn months_after(now: i64, months: i32) -> i64 {
    let later = || {
        let at = jiff::Timestamp::from_microsecond(now).ok()?.in_tz("Asia/Tokyo").ok()?;
        at.checked_add(jiff::Span::new().months(months)).ok().map(|z| z.timestamp().as_microsecond())
    };
    later().unwrap_or(now.saturating_add(i64::from(months) * 30 * 86_400 * SECOND))
}

pub(super) fn seconds(value: u64) -> i64 {
    number(value).saturating_mul(SECOND)
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX / (7200 * SECOND))
}

/// How long after the nth attempt the next one comes: doubling, three quarters to five quarters of it, up to a limit.
fn delay(attempts: i64, config: &crate::config::NationalConfig) -> i64 {
    let doublings = u32::try_from(attempts.clamp(1, 20) - 1).unwrap_or_default();
    let first = seconds(config.retry_seconds);
    let full = first.saturating_mul(1 << doublings).min(60 * seconds(config.retry_limit_minutes));
    let spread = i64::from(uuid::Uuid::new_v4().as_bytes().first().copied().unwrap_or_default());
    (full / 4 * 3).saturating_add(full / 510 * spread)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_doubles_up_to_its_limit() {
        let config = crate::config::NationalConfig::default();
        for (attempts, full) in [(1, 5), (2, 10), (5, 80), (10, 1800), (1000, 1800)] {
            let (least, most) = (full * SECOND * 3 / 4 - SECOND, full * SECOND * 5 / 4 + SECOND);
            let delay = delay(attempts, &config);
            assert!((least..=most).contains(&delay), "{attempts}: {delay}");
        }
    }

    #[test]
    fn months_are_those_of_the_calendar() {
        let at = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_microsecond();
        assert_eq!(months_after(at("2026-08-30T15:00:00Z"), 6), at("2027-02-27T15:00:00Z"));
    }
}
