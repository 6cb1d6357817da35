//! What time brings: holds whose facts have changed, or that have waited too long; destinations nobody has asked about;
//! letters that are fetched, or expire.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::deciding::{Body, Why, delivery_key};
use super::lanes::{FETCHED_DAYS, seconds};
use super::{National, attached};
use crate::model::error::Error;
use crate::model::national::decide::{Decision, Outcome};
use crate::model::national::{Family, Op, Verb};
use crate::peer::national::{Answer, Call};
use crate::service::database;
use crate::store::db::DbError;
use crate::store::national::decision::{self, Kept, Kind};
use crate::store::national::lineage::{self, Lineage, State};
use crate::store::national::{fact, lane};

const DAY: i64 = 86_400_000_000;
const PAGE: i64 = 200;
/// Questions to the service in one look.
const QUESTIONS: i64 = 500;
/// How long an answer about a destination is not asked for again.
const ASKED: i64 = DAY / 24;

impl National {
    /// Decides anew on what waits for facts.
    pub(super) async fn review(&self, stop: &CancellationToken) -> Result<(), Error> {
        self.ask_destinations(stop).await?;
        let now = self.now();
        let mut after = String::new();
        while !stop.is_cancelled() {
            let page = self.holds(&after).await?;
            let Some(last) = page.last() else { break };
            after.clone_from(&last.id);
            for kept in page {
                if kept.expires_at.is_some_and(|at| at <= now) {
                    self.expire(kept, now).await?;
                } else {
                    self.consider(&kept.entry_id, Why::Review).await?;
                }
            }
        }
        self.review_left(stop).await
    }

    /// What went inside a letter that is not there waits for another, however the letter came not to be.
    async fn review_left(&self, stop: &CancellationToken) -> Result<(), Error> {
        let mut after = String::new();
        while !stop.is_cancelled() {
            let from: Arc<str> = after.as_str().into();
            let page = self.0.db.read(move |tx| {
                let from = from.clone();
                Box::pin(async move { decision::left_by_letter(tx, &from, PAGE).await })
            });
            let page = page.await.map_err(|e: DbError| database(e))?;
            let Some((last, _)) = page.last() else { break };
            after.clone_from(last);
            for (_, entry) in page {
                self.consider(&entry, Why::Review).await?;
            }
        }
        Ok(())
    }

    async fn holds(&self, after: &str) -> Result<Vec<Kept>, Error> {
        let after: Arc<str> = after.into();
        let page = self.0.db.read(move |tx| {
            let after = after.clone();
            Box::pin(async move { decision::open(tx, Kind::Hold, None, &after, PAGE).await })
        });
        page.await.map_err(|e: DbError| database(e))
    }

    /// A hold that has lasted too long is a skip.
    async fn expire(&self, kept: Kept, now: i64) -> Result<(), Error> {
        let Ok(mut body) = serde_json::from_str::<Body>(&kept.body) else { return Ok(()) };
        let reason = "hold-expired".to_owned();
        let warnings = kept.reason.clone().into_iter().collect();
        let rule_set = body.decision.rule_set;
        body.decision = Decision {
            outcome: Outcome::Skip { reason: reason.clone() },
            gate: body.decision.gate,
            rule_set,
            warnings,
        };
        let row = Arc::new(Kept {
            id: uuid::Uuid::now_v7().to_string(),
            at: now,
            outcome: Kind::Skip,
            reason: Some(reason),
            operation: None,
            body: serde_json::to_string(&body).unwrap_or_default(),
            expires_at: None,
            ..kept
        });
        let done = self.0.db.write(move |tx| {
            let row = row.clone();
            Box::pin(async move { decision::add(tx, &row).await })
        });
        done.await.map_err(|e: DbError| database(e))
    }

    /// Asks whether the destinations take part that letters wait for.
    async fn ask_destinations(&self, stop: &CancellationToken) -> Result<(), Error> {
        let now = self.now();
        let mut wanted: BTreeSet<(String, String)> = BTreeSet::new();
        let mut after = String::new();
        loop {
            let page = self.holds(&after).await?;
            let Some(last) = page.last() else { break };
            after.clone_from(&last.id);
            for kept in page.iter().filter(|k| k.reason.as_deref() == Some("destination-unknown")) {
                let Ok(body) = serde_json::from_str::<Body>(&kept.body) else { continue };
                if let (Some(institution), Some(recipient)) = (body.facts.institution, body.facts.recipient) {
                    wanted.insert((recipient, institution));
                }
            }
        }
        for (recipient, institution) in wanted {
            if stop.is_cancelled() {
                break;
            }
            let Some(port) = self.0.ports.get(&institution) else { continue };
            if self.rests(&institution, now).await? || self.was_asked(&recipient, now).await? {
                continue;
            }
            let op = Op::Availability;
            let key = delivery_key(&recipient, &now.to_string(), op, &institution, 0);
            let call = Call { destination: Some(recipient.clone()), ..Call::new(op, &institution, &key) };
            // What cannot be found out now is asked again at another look.
            if let Answer::Done(said) = port.call(&call, now).await {
                let recipient: Arc<str> = recipient.into();
                let done = self.0.db.write(move |tx| {
                    let recipient = recipient.clone();
                    Box::pin(
                        async move { fact::put_destination(tx, &recipient, said.participates, now).await },
                    )
                });
                done.await.map_err(|e: DbError| database(e))?;
            }
        }
        Ok(())
    }

    async fn rests(&self, institution: &str, now: i64) -> Result<bool, Error> {
        let institution: Arc<str> = institution.into();
        let lane = self.0.db.read(move |tx| {
            let institution = institution.clone();
            Box::pin(async move { lane::get(tx, &institution).await })
        });
        let lane = lane.await.map_err(|e: DbError| database(e))?;
        Ok(lane.is_some_and(|l| l.paused_at.is_some() || l.rest_until > now))
    }

    async fn was_asked(&self, recipient: &str, now: i64) -> Result<bool, Error> {
        let recipient: Arc<str> = recipient.into();
        let asked = self.0.db.read(move |tx| {
            let recipient = recipient.clone();
            Box::pin(async move { fact::destination(tx, &recipient).await })
        });
        let asked = asked.await.map_err(|e: DbError| database(e))?;
        Ok(asked.is_some_and(|(said, at)| said.is_some() && now.saturating_sub(at) < ASKED))
    }

    /// Asks where letters are, and says which copies are about to expire.
    pub(super) async fn follow(&self, stop: &CancellationToken) -> Result<(), Error> {
        let now = self.now();
        let hours = self.config().follow_hours;
        if hours > 0 {
            let before = now.saturating_sub(3600 * seconds(hours));
            let due = self.0.db.read(move |tx| Box::pin(lineage::to_follow(tx, before, QUESTIONS)));
            for letter in due.await.map_err(|e: DbError| database(e))? {
                if stop.is_cancelled() {
                    return Ok(());
                }
                if !self.rests(&letter.institution, now).await? {
                    self.follow_one(letter, now).await?;
                }
            }
        }
        self.expiries(now).await
    }

    /// Asks where one letter is; what the service said, in our words, if it said anything.
    pub(super) async fn follow_one(&self, letter: Lineage, now: i64) -> Result<Option<String>, Error> {
        let Some(port) = self.0.ports.get(&letter.institution) else { return Ok(None) };
        let op = Op::Of(Family::Referral, Verb::Status);
        let call = Call {
            insured_id: letter.insured_id.clone(),
            bundle_system: letter.bundle_system.clone(),
            bundle_value: letter.bundle_value.clone(),
            ..Call::new(
                op,
                &letter.institution,
                &delivery_key(&letter.id, &now.to_string(), op, &letter.institution, 0),
            )
        };
        let state = match port.call(&call, now).await {
            Answer::Done(said) => said.state,
            _ => None,
        };
        let (id, said): (Arc<str>, Arc<Option<String>>) = (letter.id.into(), Arc::new(state.clone()));
        let done = self.0.db.write(move |tx| {
            let (id, said) = (id.clone(), said.clone());
            Box::pin(async move {
                let Some(mut letter) = lineage::hold(tx, &id).await? else { return Ok(()) };
                letter.followed_at = Some(now);
                if let Some(word) = said.as_deref() {
                    note(&mut letter, word, now);
                }
                letter.updated_at = now;
                lineage::put(tx, &letter).await?;
                attached::end(tx, &letter, now).await
            })
        });
        done.await.map_err(|e: DbError| database(e))?;
        Ok(state)
    }

    /// Letters whose national copy is over, or nearly so. The regional document stays as it is.
    async fn expiries(&self, now: i64) -> Result<(), Error> {
        let days = i64::try_from(self.config().warn_days).unwrap_or(14);
        let soon = now.saturating_add(days.saturating_mul(DAY));
        let due = self.0.db.read(move |tx| Box::pin(lineage::expiring(tx, now, soon, QUESTIONS)));
        let due = due.await.map_err(|e: DbError| database(e))?;
        let mut warned = 0;
        for letter in due {
            let over = letter.expires_at.is_some_and(|at| at <= now);
            // A letter that was fetched lives a week: said when little of it is left.
            let last =
                letter.state == State::Received && letter.expires_at.is_some_and(|at| at > now + 2 * DAY);
            if !over && last {
                continue;
            }
            warned += usize::from(!over);
            let id: Arc<str> = letter.id.into();
            let done = self.0.db.write(move |tx| {
                let id = id.clone();
                Box::pin(async move {
                    let Some(mut letter) = lineage::hold(tx, &id).await? else { return Ok(()) };
                    match over {
                        true => {
                            letter.state = State::Expired;
                            letter.said_state = Some("expired".into());
                        }
                        false => letter.warned_at = Some(now),
                    }
                    letter.updated_at = now;
                    lineage::put(tx, &letter).await?;
                    attached::end(tx, &letter, now).await
                })
            });
            done.await.map_err(|e: DbError| database(e))?;
        }
        if warned > 0 {
            tracing::warn!(
                letters = warned,
                "national copies of letters are about to expire; see `chiren national referrals`"
            );
        }
        Ok(())
    }
}

/// What the service's word means for a letter.
fn note(letter: &mut Lineage, word: &str, now: i64) {
    letter.said_state = Some(word.to_owned());
    match word {
        "received" if letter.state != State::Received => {
            letter.state = State::Received;
            letter.received_at = Some(now);
            letter.expires_at = Some(now + FETCHED_DAYS * DAY);
            letter.warned_at = None;
        }
        "expired" => letter.state = State::Expired,
        "cancelled" => {
            letter.state = State::Cancelled;
            letter.current_lid = None;
            letter.current_entry = None;
        }
        _ => {}
    }
}
