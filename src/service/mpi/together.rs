//! Feeds written together on PostgreSQL: those that arrive while others are being written share the next transaction
//! ([`Db::write_beside`]). One that arrives while none is being written is written at once, by itself. SQLite's writer
//! does so by itself.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::Fed;
use super::feed::{Stop, Task, Work, perform};
use crate::store::db::{Db, Tx, TxFuture};

/// Transactions under way at a time. One waits for the disk or the database while the next is being decided.
const WRITERS: usize = 2;
/// Feeds that are worth a transaction while another is under way: fewer wait for its end, and for more.
const WORTH: usize = 4;
/// How long others wait for one that is written by itself: it may be waiting for somebody's lock.
const PATIENCE: Duration = Duration::from_millis(50);
/// Feeds in one transaction at most.
const TOGETHER: usize = 16;

#[derive(Clone)]
pub(super) struct Together {
    db: Db,
    queue: Arc<Mutex<Queue>>,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<Waiting>,
    writers: usize,
}

impl Queue {
    /// Whether a writer beside so many others has something to do.
    fn is_worth(&self, others: usize) -> bool {
        match others {
            0 => !self.waiting.is_empty(),
            _ => others < WRITERS && self.waiting.len() >= WORTH,
        }
    }
}

/// A feed that waits for its turn.
struct Waiting {
    feed: Feeding,
    /// None: it is to be written by itself.
    done: oneshot::Sender<Option<Result<Fed, Stop>>>,
}

/// What is to be done, and the numbers to be held meanwhile.
#[derive(Clone)]
pub(super) struct Feeding {
    pub locks: Vec<i64>,
    pub work: Arc<Work>,
    pub task: Arc<Task>,
}

impl Together {
    pub fn new(db: Db) -> Self {
        Self { db, queue: Arc::default() }
    }

    /// Does what a feed says. Whoever stops waiting does not stop what has begun.
    pub async fn write(&self, feed: Feeding) -> Result<Fed, Stop> {
        // What moves documents or parts persons holds much for long, and is rare.
        if self.db.groups_commits() || !feed.task.is_upsert() {
            return self.alone(feed).await;
        }
        let (done, answer) = oneshot::channel();
        let (at_once, group) = {
            let mut queue = self.queue();
            let at_once = queue.writers == 0;
            if !at_once {
                queue.waiting.push(Waiting { feed: feed.clone(), done });
            }
            let group = !at_once && queue.is_worth(queue.writers);
            queue.writers += usize::from(at_once || group);
            (at_once, group)
        };
        if at_once {
            let place = Place { together: self.clone(), begun: true };
            let mut work = std::pin::pin!(self.alone(feed));
            return match timeout(PATIENCE, &mut work).await {
                Ok(done) => done,
                Err(_elapsed) => {
                    drop(place);
                    work.await
                }
            };
        }
        if group {
            // A task of its own: it is the others' as well.
            let place = Place { together: self.clone(), begun: false };
            tokio::spawn(self.clone().write_waiting(place));
        }
        match answer.await {
            Ok(Some(done)) => done,
            Ok(None) | Err(_) => self.alone(feed).await,
        }
    }

    async fn alone(&self, feed: Feeding) -> Result<Fed, Stop> {
        self.db.write_holding(feed.locks.clone(), closure(feed)).await
    }

    /// Writes those that wait, until it is not worth it any more.
    async fn write_waiting(self, mut place: Place) {
        place.begun = true;
        while let Some(waiting) = self.next() {
            let (feeds, answers): (Vec<_>, Vec<_>) = waiting.into_iter().map(|w| (w.feed, w.done)).unzip();
            let writes = feeds.into_iter().map(|feed| (feed.locks.clone(), closure(feed))).collect();
            for (answer, done) in answers.into_iter().zip(self.db.write_beside(writes).await) {
                // Whoever stopped waiting is not told.
                let _ = answer.send(done);
            }
        }
        drop(place);
    }

    /// The feeds to write next, no two of the same ids. None: few wait, or nobody.
    fn next(&self) -> Option<Vec<Waiting>> {
        let mut queue = self.queue();
        if !queue.is_worth(queue.writers - 1) {
            return None;
        }
        let (mut next, mut left, mut taken) = (vec![], vec![], HashSet::new());
        for waiting in queue.waiting.drain(..) {
            // No answer leaves for whom nobody waits.
            if waiting.done.is_closed() {
                continue;
            }
            let locks = &waiting.feed.locks;
            if next.len() == TOGETHER || locks.iter().any(|lock| taken.contains(lock)) {
                left.push(waiting);
                continue;
            }
            taken.extend(locks.iter().copied());
            next.push(waiting);
        }
        queue.waiting = left;
        Some(next).filter(|next| !next.is_empty())
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn closure(
    Feeding { work, task, .. }: Feeding,
) -> impl for<'t, 'c> Fn(&'t mut Tx<'c>) -> TxFuture<'t, Fed, Stop> + Send + Sync + 'static {
    move |tx| {
        let (work, task) = (work.clone(), task.clone());
        Box::pin(async move { perform(tx, &work, &task).await })
    }
}

/// A place among the writers, handed on or given back however its work ends: one that is lost would leave feeds
/// waiting.
struct Place {
    together: Together,
    begun: bool,
}

impl Drop for Place {
    fn drop(&mut self) {
        let runtime = tokio::runtime::Handle::try_current().ok().filter(|_| self.begun);
        let mut queue = self.together.queue();
        match runtime {
            Some(runtime) if queue.is_worth(queue.writers - 1) => {
                drop(queue);
                let together = self.together.clone();
                let place = Place { together: together.clone(), begun: false };
                runtime.spawn(together.write_waiting(place));
            }
            // Nothing begins any more where a task handed on did not: whoever waits sees to itself.
            None => {
                queue.writers -= 1;
                queue.waiting.clear();
            }
            Some(_) => queue.writers -= 1,
        }
    }
}
