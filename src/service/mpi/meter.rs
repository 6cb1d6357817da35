//! What the index counts, and the names it is counted under: how feeds ended, how many candidates they were weighed
//! against, and how long the worklist is.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use metrics::{counter, gauge, histogram};

use super::{Fed, Mpi, Refusal};
use crate::store::db::DbError;
use crate::store::mpi::review::{self as kept, State};

/// Feeds, by outcome.
pub const FEEDS: &str = "chiren_mpi_feeds_total";
/// Identities a new or changed one was weighed against.
pub const CANDIDATES: &str = "chiren_mpi_candidates";
/// Open review tasks, by state.
pub const REVIEWS: &str = "chiren_mpi_reviews";

/// Upper bounds of [`CANDIDATES`]: budgets are 600 (patient-identity, 6.4), a block is at most `mpi.block_limit`.
pub const BOUNDS: &[f64] =
    &[0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 400.0, 600.0, 1000.0, 2000.0];

/// What a transaction notes while it works. It may be begun anew, and then notes anew.
#[derive(Debug, Default)]
pub(super) struct Noted {
    candidates: AtomicU64,
    weighed: AtomicBool,
    linked: AtomicBool,
    reviewed: AtomicBool,
}

impl Noted {
    pub fn begin(&self) {
        self.candidates.store(0, Ordering::Relaxed);
        for flag in [&self.weighed, &self.linked, &self.reviewed] {
            flag.store(false, Ordering::Relaxed);
        }
    }

    pub fn weighed(&self, candidates: usize) {
        self.candidates.fetch_add(candidates as u64, Ordering::Relaxed);
        self.weighed.store(true, Ordering::Relaxed);
    }

    /// It is of a person that had other ids.
    pub fn linked(&self) {
        self.linked.store(true, Ordering::Relaxed);
    }

    /// Somebody has to look at it.
    pub fn reviewed(&self) {
        self.reviewed.store(true, Ordering::Relaxed);
    }

    /// Counts a feed that is done.
    pub fn count(&self, done: &Result<Fed, Refusal>) {
        let outcome = match done {
            Err(Refusal::Identity(_)) => "refused",
            Err(Refusal::Error(_)) => "failed",
            Ok(_) if self.reviewed.load(Ordering::Relaxed) => "review",
            Ok(fed) if fed.created && self.linked.load(Ordering::Relaxed) => "linked",
            Ok(fed) if fed.created => "new",
            Ok(_) => "known",
        };
        counter!(FEEDS, "outcome" => outcome).increment(1);
        if done.is_ok() && self.weighed.load(Ordering::Relaxed) {
            #[allow(clippy::cast_precision_loss)]
            histogram!(CANDIDATES).record(self.candidates.load(Ordering::Relaxed) as f64);
        }
    }
}

/// The worklist when it was last counted.
#[derive(Debug, Default)]
pub(super) struct Worklist {
    counted: AtomicI64,
}

/// How often the worklist is counted.
const COUNT: i64 = 30_000_000;

impl Mpi {
    /// Counts the worklist, if it is time to. `now`: microseconds since 1970.
    pub async fn count_reviews(&self, now: i64) {
        let last = self.state.worklist.counted.load(Ordering::Relaxed);
        if last != 0 && now.saturating_sub(last) < COUNT {
            return;
        }
        self.state.worklist.counted.store(now, Ordering::Relaxed);
        let counts: Result<_, DbError> = self.db.read(|tx| Box::pin(kept::counts(tx))).await;
        // A database that is away is told elsewhere.
        let Ok(counts) = counts else { return };
        for (state, name) in [(State::Candidate, "candidate"), (State::Waiting, "waiting")] {
            let count = counts.iter().find(|(s, _)| *s == state).map_or(0, |(_, n)| *n);
            #[allow(clippy::cast_precision_loss)]
            gauge!(REVIEWS, "state" => name).set(count as f64);
        }
    }
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    #[test]
    fn feeds_are_counted_by_how_they_ended() {
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            let fed = |created| Ok(Fed { ids: vec![], person: None, created, warnings: vec![] });
            let noted = Noted::default();
            noted.weighed(7);
            noted.count(&fed(true));
            noted.linked();
            noted.count(&fed(true));
            noted.reviewed();
            noted.count(&fed(false));
            noted.begin();
            noted.count(&fed(false));
            noted.count(&Err(Refusal::Identity(vec![])));
        });
        let text = recorder.handle().render();
        for outcome in ["new", "linked", "review", "known", "refused"] {
            let line = format!("{FEEDS}{{outcome=\"{outcome}\"}} 1");
            assert!(text.contains(&line), "{line} in\n{text}");
        }
        assert!(
            text.contains(&format!("{CANDIDATES}_count 3")) && text.contains(&format!("{CANDIDATES}_sum 21")),
            "{text}"
        );
    }
}
