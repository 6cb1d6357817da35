//! Records of requests that changed nothing, written together on PostgreSQL. Each answer waits for its record to
//! be durable; those that arrive while one commit is under way share the next. SQLite's writer does so by itself.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::store::audit::{self, Noting, TOGETHER};
use crate::store::db::{Db, DbError};

/// Commits under way at a time. One waits for the disk while the next is being put together.
const WRITERS: usize = 2;

#[derive(Clone)]
pub(super) struct Together {
    db: Db,
    queue: Arc<Mutex<Queue>>,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<Record>,
    writers: usize,
}

struct Record {
    noting: Noting,
    written: oneshot::Sender<Result<bool, DbError>>,
}

impl Together {
    pub fn new(db: Db) -> Self {
        Self { db, queue: Arc::default() }
    }

    /// Writes a record; it is on disk when this returns. `false`: its message came before, and nothing is written.
    /// Whoever stops waiting does not stop it, unless SQLite's writer finds nobody waiting when its turn comes: then
    /// no answer left either.
    pub async fn write(&self, noting: Noting) -> Result<bool, DbError> {
        if self.db.groups_commits() {
            let noting = Arc::new(noting);
            let taken = self.db.write(move |tx| {
                let noting = noting.clone();
                Box::pin(async move { audit::append_together(tx, std::slice::from_ref(&*noting)).await })
            });
            return taken.await.map(|taken: Vec<bool>| taken.first().copied().unwrap_or_default());
        }
        let (written, answer) = oneshot::channel();
        let begin = {
            let mut queue = self.queue();
            queue.waiting.push(Record { noting, written });
            let begin = queue.writers < WRITERS;
            queue.writers += usize::from(begin);
            begin
        };
        if begin {
            // A task of its own: its records belong to requests whose senders may hang up.
            tokio::spawn(self.clone().write_waiting());
        }
        answer.await.unwrap_or(Err(DbError::Panicked))
    }

    async fn write_waiting(self) {
        let mut writer = Writer { queue: self.queue.clone(), ended: false };
        while let Some(records) = writer.next() {
            let (notings, waiting): (Vec<_>, Vec<_>) =
                records.into_iter().map(|record| (record.noting, record.written)).unzip();
            let notings = Arc::new(notings);
            let done: Result<Vec<bool>, DbError> = self
                .db
                .write_repeatable(move |tx| {
                    let notings = notings.clone();
                    Box::pin(async move { audit::append_together(tx, &notings).await })
                })
                .await;
            for (n, written) in waiting.into_iter().enumerate() {
                let done = done.as_ref().map(|taken| taken.get(n).copied().unwrap_or_default());
                // Whoever stopped waiting is not told.
                let _ = written.send(done.map_err(Clone::clone));
            }
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place among the writers, given back however the task ends: a place lost would leave records waiting.
struct Writer {
    queue: Arc<Mutex<Queue>>,
    ended: bool,
}

impl Writer {
    /// The records to write next. None: the place is given back, by the same lock that saw nobody waiting.
    fn next(&mut self) -> Option<Vec<Record>> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let some = queue.waiting.len().min(TOGETHER);
        if some == 0 {
            queue.writers -= 1;
            self.ended = true;
            return None;
        }
        Some(queue.waiting.drain(..some).collect())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.ended {
            self.queue.lock().unwrap_or_else(PoisonError::into_inner).writers -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::audit::{AuditEvent, Outcome};
    use crate::model::caller::Caller;
    use crate::store::audit::AuditRow;
    use crate::store::seen::Seen;
    use crate::store::testing;

    fn row(n: usize) -> Noting {
        noting(n, None)
    }

    fn noting(n: usize, seen: Option<Seen>) -> Noting {
        let row = AuditRow::new(AuditEvent {
            id: format!("00000000-0000-7000-8000-{n:012}"),
            at: 1,
            transaction: "ITI-18".into(),
            outcome: Outcome::Success,
            request_id: "r".into(),
            caller: Caller {
                address: "::1".into(),
                listener: "soap".into(),
                certificate: None,
                ..Caller::default()
            },
            ..AuditEvent::default()
        });
        Noting { row: row.unwrap(), seen }
    }

    async fn count(db: &Db) -> usize {
        db.read::<_, DbError, _>(|tx| Box::pin(audit::since(tx, 0, 1000))).await.unwrap().len()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn each_of_many_is_written_once_and_no_writer_stays() {
        for t in testing::databases().await {
            let together = Together::new(t.db.clone());
            let tasks: Vec<_> = (0..100)
                .map(|n| {
                    let together = together.clone();
                    tokio::spawn(async move { together.write(row(n)).await })
                })
                .collect();
            for task in tasks {
                task.await.unwrap().unwrap();
            }
            assert_eq!(count(&t.db).await, 100);
            // The same once more is no second record, and no error.
            together.write(row(7)).await.unwrap();
            assert_eq!(count(&t.db).await, 100);
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn of_two_messages_that_are_one_the_second_leaves_no_record() {
        for t in testing::databases().await {
            let seen = |bearer: u8| Some(Seen::new(&[9; 32], &[bearer; 32], 1));
            let (one, other) = (Together::new(t.db.clone()), Together::new(t.db.clone()));
            let (a, b) = (noting(1, seen(1)), noting(2, seen(2)));
            let (a, b, c) = tokio::join!(one.write(a), other.write(b), one.write(row(3)));
            let (a, b) = (a.unwrap(), b.unwrap());
            assert!(a ^ b && c.unwrap(), "{a} {b}");
            assert_eq!(count(&t.db).await, 2);
            // Run again, a statement knows its own.
            let again = if a { noting(1, seen(1)) } else { noting(2, seen(2)) };
            assert!(other.write(again).await.unwrap());
            assert!(!other.write(noting(4, seen(4))).await.unwrap());
            assert_eq!(count(&t.db).await, 2);
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_record_whose_sender_hung_up_is_written_with_the_others() {
        for t in testing::databases().await {
            let together = Together::new(t.db.clone());
            // Polled once, so that it is queued, and given up.
            let mut gone = Box::pin(together.write(row(1)));
            let _ = futures_util::poll!(&mut gone);
            drop(gone);
            for n in 2..20 {
                together.write(row(n)).await.unwrap();
            }
            let written = count(&t.db).await;
            assert!(written == 19 || written == 18 && t.db.groups_commits(), "{written}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_closed_database_fails_every_waiting_record() {
        for t in testing::databases().await {
            let together = Together::new(t.db.clone());
            t.db.close().await;
            for n in 0..3 {
                assert!(together.write(row(n)).await.is_err());
            }
        }
    }
}
