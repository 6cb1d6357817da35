//! How lanes stand, for metrics: what a look at the database found last, and what was counted here since the start.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

use super::National;
use crate::model::error::Error;
use crate::service::database;
use crate::store::db::DbError;
use crate::store::national::decision::{self, Kind};
use crate::store::national::delivery::{self, State};
use crate::store::national::lane::{self, Lane};

/// Microseconds between two looks.
pub(super) const EVERY: i64 = 5_000_000;

/// Whether a lane sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LaneState {
    #[default]
    Open,
    /// One call at a time finds out whether the line is back.
    Failing,
    /// Nothing is tried for a while.
    Resting,
    /// By an operator's word.
    Paused,
}

impl LaneState {
    pub fn of(lane: &Lane, now: i64) -> Self {
        match (lane.paused_at, lane.rest_until > now, lane.failures > 0) {
            (Some(_), ..) => Self::Paused,
            (None, true, _) => Self::Resting,
            (None, false, true) => Self::Failing,
            (None, false, false) => Self::Open,
        }
    }
}

/// One institution's lane. Counted over all gateways of the database, but for the last two.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LaneStanding {
    pub institution: String,
    pub state: LaneState,
    /// To be sent, or not finished there.
    pub waiting: i64,
    /// Since when the oldest of them waits.
    pub oldest_seconds: i64,
    /// Given up.
    pub parked: i64,
    /// Documents that wait for a fact.
    pub held: i64,
    /// Documents that break rules: the facility's worklist.
    pub worklist: i64,
    /// By this gateway since its start.
    pub delivered: u64,
    /// Attempts of this gateway that failed.
    pub failed: u64,
}

/// What one gateway counts of a lane.
#[derive(Debug, Default)]
pub(super) struct Tally {
    delivered: AtomicU64,
    failed: AtomicU64,
}

/// Tallies by institution.
pub(super) type Tallies = BTreeMap<String, Tally>;

impl Tally {
    pub fn delivered(&self) {
        self.delivered.fetch_add(1, Ordering::Relaxed);
    }

    pub fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }
}

impl National {
    /// How the lanes stood at the last look.
    pub fn standing(&self) -> Vec<LaneStanding> {
        let mut all = self.0.board.read().unwrap_or_else(PoisonError::into_inner).clone();
        for one in &mut all {
            if let Some(tally) = self.0.tallies.get(&one.institution) {
                one.delivered = tally.delivered.load(Ordering::Relaxed);
                one.failed = tally.failed.load(Ordering::Relaxed);
            }
        }
        all
    }

    /// Looks how they stand.
    pub(super) async fn survey(&self) -> Result<(), Error> {
        let now = self.now();
        let mut all = vec![];
        let pending = self.0.db.read(|tx| Box::pin(decision::pending(tx)));
        let pending = pending.await.map_err(|e: DbError| database(e))?;
        for (institution, _) in self.institutions() {
            let asked: std::sync::Arc<str> = institution.as_str().into();
            let seen = self.0.db.snapshot(move |tx| {
                let asked = asked.clone();
                Box::pin(async move { Ok((lane::get(tx, &asked).await?, delivery::open(tx, &asked).await?)) })
            });
            let (lane, open) = seen.await.map_err(|e: DbError| database(e))?;
            let count =
                |states: &[State]| open.iter().filter(|(s, ..)| states.contains(s)).map(|(_, n, _)| n).sum();
            let under_way = [State::Waiting, State::Processing];
            let oldest = open.iter().filter(|(s, ..)| under_way.contains(s)).map(|(.., at)| *at).min();
            let of = |kind: Kind| {
                pending.iter().find(|(i, k, _)| i == institution && *k == kind).map_or(0, |(.., n)| *n)
            };
            all.push(LaneStanding {
                institution: institution.clone(),
                state: lane.map(|l| LaneState::of(&l, now)).unwrap_or_default(),
                waiting: count(&under_way),
                oldest_seconds: oldest.map_or(0, |at| now.saturating_sub(at) / 1_000_000),
                parked: count(&[State::Parked]),
                held: of(Kind::Hold),
                worklist: of(Kind::Fail),
                ..LaneStanding::default()
            });
        }
        *self.0.board.write().unwrap_or_else(PoisonError::into_inner) = all;
        Ok(())
    }
}
