//! Group commit: the one thread that writes to a SQLite file.
//!
//! While one round is at work, new closures gather in the queue; the next round takes them all
//! (up to [`BATCH`]), runs each in its own savepoint and commits once. Callers hear nothing before
//! that commit is durable. One sync then serves many submissions: measured about ten times the rate
//! of a transaction each, without the long tail of connections fighting for the write lock.
//!
//! A commit writes the log and does not sync it; a second thread ([`super::lite_sync`]) does, and answers, while
//! the next round is already being written.
//!
//! Checkpoints run on a second thread so that a commit does not wait for pages being copied home.
//! A checkpoint beside a busy writer can never reach the end of the log, and only a log copied to its
//! end is reused; so afterwards the writer, between two batches, copies the short rest itself.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver as StdReceiver, SyncSender, TrySendError as StdTrySend, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::mpsc::{Receiver, Sender, channel, error::TrySendError};
use tokio::sync::oneshot;

use super::lite::{CLOSED, LiteOptions, poll_once};
use super::lite_sync::{Syncer, WAITING};
use super::{DbError, Tx, TxFuture};

/// Most closures in one commit: bounds how long the first of them waits.
const BATCH: usize = 256;
/// Pages in the log that start a checkpoint (64 MiB of 8 KiB pages). A page that changes often is
/// copied home once for all its changes: a quarter of this cost ITI-42 a tenth of its rate.
const CHECKPOINT_PAGES: i64 = 8192;

/// A queued write. `run` leaves the answer inside, `answer` sends it.
pub(super) trait Job: Send {
    /// False when nobody waits for the answer any more.
    fn wanted(&self) -> bool;
    /// Runs the closure: whether its changes are to be kept, and the first statement error.
    fn run(&mut self, conn: &mut Connection) -> (bool, Option<DbError>);
    /// Replaces whatever `run` left: nothing of the batch was kept.
    fn fail(&mut self, e: DbError);
    fn answer(self: Box<Self>);
}

pub(super) struct WriteJob<T, E, F> {
    f: F,
    done: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
}

impl<T, E, F> WriteJob<T, E, F>
where
    T: Send + 'static,
    E: From<DbError> + Send + 'static,
    F: for<'t, 'c> Fn(&'t mut Tx<'c>) -> TxFuture<'t, T, E> + Send + Sync + 'static,
{
    pub(super) fn new(f: F) -> (Box<Self>, oneshot::Receiver<Result<T, E>>) {
        let (reply, answer) = oneshot::channel();
        (Box::new(Self { f, done: None, reply }), answer)
    }
}

impl<T, E, F> Job for WriteJob<T, E, F>
where
    T: Send + 'static,
    E: From<DbError> + Send + 'static,
    F: for<'t, 'c> Fn(&'t mut Tx<'c>) -> TxFuture<'t, T, E> + Send + Sync + 'static,
{
    fn wanted(&self) -> bool {
        !self.reply.is_closed()
    }

    fn run(&mut self, conn: &mut Connection) -> (bool, Option<DbError>) {
        let (done, failed) = poll_once(&self.f, conn, false);
        let keep = done.is_ok();
        self.done = Some(done);
        (keep, failed)
    }

    fn fail(&mut self, e: DbError) {
        self.done = Some(Err(e.into()));
    }

    fn answer(self: Box<Self>) {
        if let Some(done) = self.done {
            // Whoever stopped waiting is not told.
            let _ = self.reply.send(done);
        }
    }
}

enum Message {
    Job(Box<dyn Job>),
    Stop,
}

pub(super) struct Writer {
    queue: Sender<Message>,
    counters: Arc<Counters>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Counters {
    commits: AtomicU64,
    writes: AtomicU64,
}

impl Writer {
    pub(super) fn start(options: &LiteOptions, queue: usize) -> Result<Self, DbError> {
        let spawn = |e: std::io::Error| DbError::Unavailable(format!("no thread for the writer: {e}"));
        let (sender, receiver) = channel(queue);
        let counters = Arc::new(Counters::default());
        let conn = options.writer()?;
        let (nudge, nudged) = sync_channel(1);
        let near_end = Arc::new(AtomicBool::new(false));

        let checkpointer = options.checkpointer()?;
        let flag = near_end.clone();
        let copier = std::thread::Builder::new()
            .name("db-checkpoint".into())
            .spawn(move || checkpoint_loop(&checkpointer, &nudged, &flag))
            .map_err(spawn)?;
        let (written, to_sync) = sync_channel(WAITING);
        let (syncer, alone) = (Syncer::new(options.log()), Syncer::new(options.log()));
        let unanswered = Arc::new(AtomicUsize::new(0));
        let waiting = unanswered.clone();
        let syncing = std::thread::Builder::new()
            .name("db-sync".into())
            .spawn(move || syncer.run(&to_sync, &waiting))
            .map_err(spawn)?;
        let loop_ = WriterLoop {
            conn,
            written: Some(written),
            unanswered,
            alone,
            nudge: Some(nudge),
            near_end,
            counters: counters.clone(),
        };
        let thread = std::thread::Builder::new()
            .name("db-writer".into())
            .spawn(move || loop_.run(receiver, copier, syncing))
            .map_err(spawn)?;
        Ok(Self { queue: sender, counters, thread: Mutex::new(Some(thread)) })
    }

    pub(super) fn submit(&self, job: Box<dyn Job>) -> Result<(), DbError> {
        self.queue.try_send(Message::Job(job)).map_err(|e| match e {
            TrySendError::Full(_) => DbError::Busy("the write queue is full"),
            TrySendError::Closed(_) => DbError::Unavailable(CLOSED.into()),
        })
    }

    /// Writes waiting, commits made, writes made.
    pub(super) fn counters(&self) -> (u64, u64, u64) {
        let queued = self.queue.max_capacity() - self.queue.capacity();
        let load = |n: &AtomicU64| n.load(Ordering::Relaxed);
        (queued as u64, load(&self.counters.commits), load(&self.counters.writes))
    }

    /// Lets the thread finish what is queued and waits for it.
    pub(super) async fn close(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = self.queue.send(Message::Stop).await;
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

struct WriterLoop {
    conn: Connection,
    /// What is committed goes here to be synced and answered; `None` at the end.
    written: Option<SyncSender<Vec<Box<dyn Job>>>>,
    /// How many rounds are there.
    unanswered: Arc<AtomicUsize>,
    /// For a write that nobody else waits with.
    alone: Syncer,
    /// Wakes the checkpoint thread; `None` once it is told to end.
    nudge: Option<SyncSender<()>>,
    /// Set by the checkpoint thread when only a short rest of the log is left to copy.
    near_end: Arc<AtomicBool>,
    counters: Arc<Counters>,
}

impl WriterLoop {
    fn run(mut self, mut queue: Receiver<Message>, copier: JoinHandle<()>, syncing: JoinHandle<()>) {
        let mut messages = Vec::with_capacity(BATCH);
        let mut jobs: Vec<Box<dyn Job>> = Vec::with_capacity(BATCH);
        let mut open = true;
        while open && queue.blocking_recv_many(&mut messages, BATCH) > 0 {
            for message in messages.drain(..) {
                match message {
                    Message::Job(job) if job.wanted() => jobs.push(job),
                    Message::Job(_) => {}
                    Message::Stop => {
                        // What came before the stop is in hand or still queued; nothing may follow.
                        queue.close();
                        open = false;
                    }
                }
            }
            if !open {
                while let Ok(Message::Job(job)) = queue.try_recv() {
                    jobs.push(job);
                }
            }
            while !jobs.is_empty() {
                let rest = jobs.split_off(jobs.len().min(BATCH));
                self.batch(&mut jobs, queue.is_empty());
                jobs = rest;
            }
            self.mind_the_log();
        }
        self.written = None;
        let _ = syncing.join();
        self.nudge = None;
        let _ = copier.join();
        // Last connection out checkpoints and removes the log; readers may still be open, which
        // only means the next start finds a log to read.
    }

    fn batch(&mut self, jobs: &mut Vec<Box<dyn Job>>, nobody_waits: bool) {
        match self.transaction(jobs) {
            Ok(()) => {
                self.counters.commits.fetch_add(1, Ordering::Relaxed);
                self.counters.writes.fetch_add(jobs.len() as u64, Ordering::Relaxed);
            }
            Err(e) => {
                // Rejections too: they may have been decided on rows that were never kept.
                for job in jobs.iter_mut() {
                    job.fail(e.clone());
                }
                if !self.conn.is_autocommit() {
                    let _ = self.conn.execute_batch("ROLLBACK");
                }
            }
        }
        // What failed goes the same way: it may have been decided on what is still to be synced.
        let jobs = std::mem::take(jobs);
        if jobs.len() == 1 && nobody_waits && self.unanswered.load(Ordering::Acquire) == 0 {
            return self.alone.answer(jobs);
        }
        self.unanswered.fetch_add(1, Ordering::AcqRel);
        if let Some(written) = &self.written
            && let Err(unsent) = written.send(jobs)
        {
            for mut job in unsent.0 {
                job.fail(DbError::OutcomeUnknown("nobody is left to sync the log".into()));
                job.answer();
            }
        }
    }

    fn transaction(&mut self, jobs: &mut [Box<dyn Job>]) -> Result<(), DbError> {
        self.statement("BEGIN IMMEDIATE")?;
        for job in jobs.iter_mut() {
            self.statement("SAVEPOINT job")?;
            let (keep, failed) = job.run(&mut self.conn);
            // A full disk or a read error may end the whole transaction, not just a statement.
            if self.conn.is_autocommit() {
                return Err(
                    failed.unwrap_or_else(|| DbError::Unavailable("SQLite gave the transaction up".into()))
                );
            }
            if !keep {
                self.statement("ROLLBACK TO job")?;
            }
            self.statement("RELEASE job")?;
        }
        self.statement("COMMIT").map_err(|e| match e {
            // What could not be written to its end may still be found in the log after a crash.
            DbError::Unavailable(cause) => DbError::OutcomeUnknown(cause),
            e => e,
        })
    }

    fn statement(&self, sql: &str) -> Result<(), DbError> {
        self.conn.prepare_cached(sql)?.raw_execute()?;
        Ok(())
    }

    /// Between two rounds: finish a checkpoint that is nearly done, or ask for one.
    fn mind_the_log(&self) {
        if self.near_end.swap(false, Ordering::AcqRel) {
            checkpoint(&self.conn, "PASSIVE");
            return;
        }
        if let (Some((log, copied)), Some(nudge)) = (checkpoint(&self.conn, "NOOP"), &self.nudge)
            && log - copied >= CHECKPOINT_PAGES
        {
            match nudge.try_send(()) {
                Ok(()) | Err(StdTrySend::Full(())) => {}
                // Without its thread the writer copies by itself: slower, never unbounded.
                Err(StdTrySend::Disconnected(())) => {
                    checkpoint(&self.conn, "PASSIVE");
                }
            }
        }
    }
}

fn checkpoint_loop(conn: &Connection, nudged: &StdReceiver<()>, near_end: &AtomicBool) {
    while nudged.recv().is_ok() {
        // What SQLite reports is the log as it was at the start; a busy writer has added to it since.
        near_end.store(checkpoint(conn, "PASSIVE").is_some(), Ordering::Release);
    }
}

/// Pages in the log and how many of them are copied home, after a checkpoint in `mode`.
/// `None` when SQLite could not say, which the next round repeats.
fn checkpoint(conn: &Connection, mode: &'static str) -> Option<(i64, i64)> {
    let done = conn
        .prepare_cached(match mode {
            "NOOP" => "PRAGMA wal_checkpoint(NOOP)",
            _ => "PRAGMA wal_checkpoint(PASSIVE)",
        })
        .and_then(|mut s| s.query_row([], |row| Ok((row.get(1)?, row.get(2)?))));
    match done {
        Ok(pages) => Some(pages),
        Err(e) => {
            tracing::warn!(error = %e, "checkpoint failed");
            None
        }
    }
}
