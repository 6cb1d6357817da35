//! Durability of what SQLite's writer commits: the log is synced here, beside the next round of writing, and
//! only then is anybody answered. One sync serves all rounds that were written before it began. A write that is
//! alone is synced by the writer itself, which saves waking a thread: a fifth of its time.
//!
//! What stands in the log is whole up to the last commit that reached the disk (frames carry salted checksums), so
//! a power cut takes nothing that was answered. What a read saw a moment before may be taken, unless its answer
//! waits for its audit record, which stands later in the same log.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Receiver;

use super::DbError;
use super::lite_writer::Job;

/// Rounds written and waiting for a sync before the writer waits too, so that more gather in the next round.
pub(super) const WAITING: usize = 2;

type Sync = Box<dyn FnMut() -> Result<(), Unsynced> + Send>;
type GiveUp = Box<dyn FnMut(&io::Error) + Send>;

/// Why nobody knows whether what was written is on disk.
#[derive(Debug)]
enum Unsynced {
    /// The log could not be opened, so nothing was asked of the disk: the next round may be luckier, and its sync
    /// serves this one too.
    Open(io::Error),
    Sync(io::Error),
}

/// Syncs a log and answers those whose changes stand in it.
pub(super) struct Syncer {
    sync: Sync,
    give_up: GiveUp,
}

impl Syncer {
    /// Of the log at `path`, which the writer's connection has made by its first commit.
    pub fn new(path: PathBuf) -> Self {
        let mut log = None;
        Self { sync: Box::new(move || sync(&path, &mut log)), give_up: Box::new(end) }
    }

    /// What is written is synced and answered here until nobody writes any more. `waiting` counts the rounds
    /// that are not answered yet.
    pub fn run(mut self, written: &Receiver<Vec<Box<dyn Job>>>, waiting: &AtomicUsize) {
        while let Ok(mut jobs) = written.recv() {
            let mut rounds = 1;
            for more in written.try_iter() {
                jobs.extend(more);
                rounds += 1;
            }
            self.answer(jobs);
            waiting.fetch_sub(rounds, Ordering::AcqRel);
        }
    }

    /// Syncs, then answers.
    pub fn answer(&mut self, jobs: Vec<Box<dyn Job>>) {
        let synced = (self.sync)();
        for mut job in jobs {
            if let Err(Unsynced::Open(e) | Unsynced::Sync(e)) = &synced {
                job.fail(DbError::OutcomeUnknown(format!("the log could not be synced: {e}")));
            }
            job.answer();
        }
        match synced {
            Ok(()) => {}
            Err(Unsynced::Open(e)) => {
                tracing::error!(cause = %e, "the database log could not be opened to be synced")
            }
            Err(Unsynced::Sync(e)) => (self.give_up)(&e),
        }
    }
}

fn sync(path: &Path, log: &mut Option<File>) -> Result<(), Unsynced> {
    if let Some(log) = log {
        return log.sync_data().map_err(Unsynced::Sync);
    }
    let file = File::open(path).map_err(Unsynced::Open)?;
    // Its name as well, once.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = File::open(folder).map_err(Unsynced::Open)?;
    file.sync_data().and_then(|()| folder.sync_all()).map_err(Unsynced::Sync)?;
    *log = Some(file);
    Ok(())
}

/// After a failed sync the system may take its pages for written, so that a second sync says nothing, and what
/// was committed can no longer be trusted to be there. The next start reads the log by its checksums: what it
/// finds is whole. PostgreSQL does the same for the same reason.
fn end(e: &io::Error) {
    tracing::error!(cause = %e, "the database log could not be synced; the program ends, to start again from what is on disk");
    std::process::abort();
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::{channel, sync_channel};

    use super::super::lite_writer::WriteJob;
    use super::*;
    use crate::store::db::{Tx, TxFuture};
    use tokio::sync::oneshot;

    type Answer = oneshot::Receiver<Result<i64, DbError>>;

    fn one<'t>(_: &'t mut Tx<'_>) -> TxFuture<'t, i64> {
        Box::pin(async { Ok(1) })
    }

    /// A job whose closure has run.
    fn done() -> (Box<dyn Job>, Answer) {
        let (mut job, answer) = WriteJob::new(one);
        let mut conn = rusqlite::Connection::open_in_memory().unwrap();
        assert!(job.run(&mut conn).0);
        (job, answer)
    }

    #[test]
    fn nobody_is_answered_before_the_sync_and_one_sync_serves_all_that_waits() {
        let (begun, begins) = channel();
        let (allow, allowed) = channel::<Result<(), Unsynced>>();
        let syncer = Syncer {
            sync: Box::new(move || {
                begun.send(()).unwrap();
                allowed.recv().unwrap()
            }),
            give_up: Box::new(|_| panic!("no sync failed")),
        };
        let (written, to_sync) = sync_channel(WAITING);
        let thread = std::thread::spawn(move || syncer.run(&to_sync, &AtomicUsize::new(3)));
        let (jobs, mut answers): (Vec<_>, Vec<_>) = (0..3).map(|_| done()).unzip();
        let mut jobs = jobs.into_iter();
        written.send(vec![jobs.next().unwrap()]).unwrap();
        begins.recv().unwrap();
        // Two more rounds wait while the first is being synced.
        for job in jobs {
            written.send(vec![job]).unwrap();
        }
        assert!(answers.iter_mut().all(|answer| answer.try_recv().is_err()));
        allow.send(Ok(())).unwrap();
        begins.recv().unwrap();
        assert_eq!(answers.remove(0).blocking_recv().unwrap(), Ok(1));
        assert!(answers.iter_mut().all(|answer| answer.try_recv().is_err()));
        allow.send(Ok(())).unwrap();
        drop(written);
        thread.join().unwrap();
        for answer in answers {
            assert_eq!(answer.blocking_recv().unwrap(), Ok(1));
        }
        assert!(begins.try_recv().is_err(), "two syncs for three rounds");
    }

    #[test]
    fn after_a_failed_sync_nobody_is_told_that_all_is_well() {
        let ended = Arc::new(AtomicUsize::new(0));
        let count = ended.clone();
        let mut syncer = Syncer {
            sync: Box::new(|| Err(Unsynced::Sync(io::Error::other("no disk")))),
            give_up: Box::new(move |_| {
                count.fetch_add(1, Ordering::SeqCst);
            }),
        };
        let (job, answer) = done();
        syncer.answer(vec![job]);
        assert!(matches!(answer.blocking_recv().unwrap(), Err(DbError::OutcomeUnknown(_))));
        assert_eq!(ended.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_log_that_cannot_be_opened_is_no_answer_and_not_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("no-wal");
        let mut log = None;
        let mut syncer = Syncer {
            sync: Box::new(move || sync(&path, &mut log)),
            give_up: Box::new(|_| panic!("nothing was asked of the disk")),
        };
        let (job, answer) = done();
        syncer.answer(vec![job]);
        assert!(matches!(answer.blocking_recv().unwrap(), Err(DbError::OutcomeUnknown(_))));
        // Once it is there, all of it is synced.
        std::fs::write(folder.path().join("no-wal"), "a log").unwrap();
        let (job, answer) = done();
        syncer.answer(vec![job]);
        assert_eq!(answer.blocking_recv().unwrap(), Ok(1));
    }
}
