//! The line to one other system: how many requests at a time, until when, whether at all; and what came of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::breaker::{Breaker, Leave, Seen};
use super::trouble::Trouble;
use crate::model::community::Step;

/// What a line is held to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    pub budget: Duration,
    pub at_once: usize,
    pub failures: u64,
    pub pause: Duration,
}

/// Counted since the start of the program.
#[derive(Debug, Default)]
pub struct Figures {
    pub answered: u64,
    /// By [`Step::ALL`].
    pub failed: [u64; Step::ALL.len()],
    pub last_answer: Option<Instant>,
    /// How long the last answer took.
    pub last_took: Option<Duration>,
    pub last_failure: Option<(Instant, Trouble)>,
}

pub struct Line {
    /// Of the community or repository.
    name: String,
    bounds: Bounds,
    places: Arc<Semaphore>,
    breaker: Mutex<Breaker>,
    figures: Arc<Mutex<Figures>>,
}

/// A place on the line, until dropped.
pub struct Place(#[allow(dead_code)] OwnedSemaphorePermit);

impl Line {
    /// Another line's `figures` go on being counted.
    pub fn new(name: &str, bounds: Bounds, figures: Option<Arc<Mutex<Figures>>>) -> Self {
        Self {
            name: name.to_owned(),
            bounds,
            places: Arc::new(Semaphore::new(bounds.at_once)),
            breaker: Mutex::new(Breaker::new(bounds.failures, bounds.pause)),
            figures: figures.unwrap_or_default(),
        }
    }

    pub fn counted(&self) -> Arc<Mutex<Figures>> {
        self.figures.clone()
    }

    /// Asks by `asking`, if the breaker lets us, when there is a place, until `deadline` or the budget's end. The
    /// place comes with the answer, for what is still to be read of it.
    pub async fn ask<T>(
        &self,
        deadline: Instant,
        asking: impl Future<Output = Result<T, Trouble>>,
    ) -> Result<(T, Place), Trouble> {
        let begun = Instant::now();
        let deadline = deadline.min(begun + self.bounds.budget);
        let leave = self.breaker().admit(begun).map_err(|left| self.refused(left))?;
        // Who asked may go away at any await.
        let mut open = Asking { line: self, leave, done: false };
        let place = match timeout_at(deadline, self.places.clone().acquire_owned()).await {
            Ok(Ok(place)) => Place(place),
            _ => {
                let detail =
                    format!("{} requests were under way and none ended in time", self.bounds.at_once);
                let trouble = Trouble::new(Step::Queue, detail);
                self.count(&trouble);
                return Err(trouble);
            }
        };
        let answer = match timeout_at(deadline, asking).await {
            Ok(answer) => answer,
            Err(_) => {
                let waited = deadline.saturating_duration_since(begun).as_millis();
                Err(Trouble::new(Step::Timeout, format!("no answer within {waited} ms")))
            }
        };
        open.done = true;
        match answer {
            Ok(answer) => {
                self.answered(begun);
                Ok((answer, place))
            }
            Err(trouble) => {
                self.failed(leave, &trouble);
                Err(trouble)
            }
        }
    }

    /// An answer that broke off after it had begun well.
    pub fn broke(&self, trouble: &Trouble) {
        self.count(trouble);
    }

    fn answered(&self, begun: Instant) {
        let now = Instant::now();
        if self.breaker().succeeded() {
            tracing::info!(to = self.name, "answers again");
        }
        let mut figures = self.figures();
        figures.answered += 1;
        figures.last_answer = Some(now);
        figures.last_took = Some(now - begun);
    }

    fn failed(&self, leave: Leave, trouble: &Trouble) {
        let now = Instant::now();
        if !trouble.counts {
            // It answered, if badly: it is there.
            self.breaker().succeeded();
        } else if self.breaker().failed(leave, now) {
            tracing::warn!(to = self.name, step = %trouble.step, trouble.detail, "does not answer; it is not asked for a while");
        }
        self.count(trouble);
    }

    fn refused(&self, left: Duration) -> Trouble {
        let why = match left.as_millis() {
            0 => "it failed before, and one request is trying it now".to_owned(),
            ms => format!("it failed before; it is tried again in {ms} ms"),
        };
        let trouble = Trouble::new(Step::Breaker, why);
        self.count_only(trouble.step);
        trouble
    }

    fn count(&self, trouble: &Trouble) {
        self.count_only(trouble.step);
        self.figures().last_failure = Some((Instant::now(), trouble.clone()));
    }

    fn count_only(&self, step: Step) {
        let index = Step::ALL.iter().position(|s| *s == step);
        let mut figures = self.figures();
        if let Some(count) = index.and_then(|i| figures.failed.get_mut(i)) {
            *count += 1;
        }
    }

    pub fn breaker_seen(&self, now: Instant) -> Seen {
        self.breaker().seen(now)
    }

    /// Requests under way, and how many there may be.
    pub fn load(&self) -> (usize, usize) {
        (self.bounds.at_once.saturating_sub(self.places.available_permits()), self.bounds.at_once)
    }

    pub fn figures(&self) -> MutexGuard<'_, Figures> {
        self.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives a trial back if its end is never known.
struct Asking<'l> {
    line: &'l Line,
    leave: Leave,
    done: bool,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        if !self.done {
            self.line.breaker().abandoned(self.leave, Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(at_once: usize, failures: u64) -> Line {
        let bounds =
            Bounds { budget: Duration::from_secs(1), at_once, failures, pause: Duration::from_secs(10) };
        Line::new("b", bounds, None)
    }

    fn far() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    async fn step_of(line: &Line, asking: impl Future<Output = Result<(), Trouble>>) -> Option<Step> {
        line.ask(far(), asking).await.err().map(|t| t.step)
    }

    #[tokio::test(start_paused = true)]
    async fn the_budget_ends_a_request_and_failures_open_the_breaker() {
        let line = line(1, 2);
        let begun = Instant::now();
        assert_eq!(step_of(&line, std::future::pending()).await, Some(Step::Timeout));
        assert_eq!(begun.elapsed(), Duration::from_secs(1));
        assert_eq!(step_of(&line, std::future::pending()).await, Some(Step::Timeout));
        assert_eq!(step_of(&line, async { Ok(()) }).await, Some(Step::Breaker));
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(step_of(&line, async { Ok(()) }).await, None);
        assert_eq!(line.figures().answered, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_is_kept_until_the_answer_is_dropped() {
        let line = line(1, 9);
        let (_, place) = line.ask(far(), async { Ok(()) }).await.unwrap();
        assert_eq!(line.load(), (1, 1));
        assert_eq!(step_of(&line, async { Ok(()) }).await, Some(Step::Queue));
        drop(place);
        assert_eq!(step_of(&line, async { Ok(()) }).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_trial_that_goes_away_leaves_the_next() {
        let line = line(4, 1);
        assert_eq!(step_of(&line, std::future::pending()).await, Some(Step::Timeout));
        tokio::time::advance(Duration::from_secs(10)).await;
        let trial = step_of(&line, std::future::pending());
        assert!(tokio::time::timeout(Duration::from_millis(1), trial).await.is_err());
        assert_eq!(step_of(&line, async { Ok(()) }).await, None);
    }

    #[tokio::test]
    async fn bad_answers_do_not_open_it() {
        let line = line(1, 1);
        for _ in 0..3 {
            let bad = async { Err(Trouble::bad_answer("x")) };
            assert_eq!(step_of(&line, bad).await, Some(Step::BadAnswer));
        }
    }
}
