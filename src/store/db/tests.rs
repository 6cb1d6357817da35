#[cfg(feature = "postgres")]
mod beside;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::store::testing::{TestDb, databases};

/// A domain's own way of saying no.
#[derive(Debug, PartialEq)]
enum Refusal {
    Rule(&'static str),
    Db(DbError),
}

impl From<DbError> for Refusal {
    fn from(e: DbError) -> Self {
        Refusal::Db(e)
    }
}

const INSERT: &str =
    "INSERT INTO unique_id (unique_id, kind, patient_key, id, hash, size) VALUES ($1, $2, $2, $1, $3, $4)";

async fn put(tx: &mut Tx<'_>, id: &str) -> Result<u64, DbError> {
    tx.exec(INSERT, &[id.into(), Val::I64(1), Val::Null(Ty::Text), Val::Null(Ty::I64)]).await
}

async fn count(t: &TestDb, like: &'static str) -> i64 {
    let n: Result<i64, DbError> =
        t.db.read(move |tx| {
            Box::pin(async move {
                tx.fetch_one("SELECT COUNT(*) FROM unique_id WHERE unique_id LIKE $1", &[like.into()], |r| {
                    r.get(0)
                })
                .await
            })
        })
        .await;
    n.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn values_go_in_and_come_back() {
    for t in databases().await {
        let done: Result<u64, DbError> =
            t.db.write(|tx| {
                Box::pin(async move {
                    put(tx, "名前'; --").await?;
                    // Numbers out of order and used twice, text built at run time.
                    let sql = format!("INSERT INTO unique_id (size, hash, unique_id, id, kind, patient_key) VALUES ($4, $2, $1, $1, $3, {})", "$3");
                    tx.exec(sql, &["k".into(), "h".into(), Val::I64(-3), Val::I64(i64::MAX)]).await
                })
            })
            .await;
        assert_eq!(done, Ok(1));
        type Line = (String, i64, Option<String>, Option<i64>, bool, usize);
        let rows: Result<Vec<Line>, DbError> =
            t.db.snapshot(|tx| {
                Box::pin(async move {
                    tx.fetch(
                        "SELECT unique_id, kind, hash, size FROM unique_id WHERE kind IN ($2, $1) ORDER BY kind",
                        &[Val::I64(1), Val::I64(-3)],
                        |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(1)?, r.text(0)?.len())),
                    )
                    .await
                })
            })
            .await;
        assert_eq!(
            rows.unwrap(),
            [
                ("k".into(), -3, Some("h".into()), Some(i64::MAX), true, 1),
                ("名前'; --".into(), 1, None, None, true, 11)
            ]
        );
        let wrong: Result<Option<i64>, DbError> =
            t.db.read(|tx| Box::pin(tx.fetch_opt("SELECT unique_id FROM unique_id", &[], |r| r.get(0))))
                .await;
        assert!(matches!(wrong, Err(DbError::Decode { .. })), "{wrong:?}");
        let missing: Result<u64, DbError> =
            t.db.write(|tx| Box::pin(tx.exec("DELETE FROM unique_id WHERE id = $2", &[Val::I64(1)]))).await;
        assert!(missing.is_err());
        let none: Result<i64, DbError> =
            t.db.read(|tx| {
                Box::pin(tx.fetch_one("SELECT size FROM unique_id WHERE id = 'no'", &[], |r| r.get(0)))
            })
            .await;
        assert_eq!(none, Err(DbError::NoRow));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_undoes_everything_and_reaches_the_caller() {
    for t in databases().await {
        let runs = Arc::new(AtomicU32::new(0));
        let counter = runs.clone();
        let done: Result<(), Refusal> =
            t.db.write(move |tx| {
                counter.fetch_add(1, Ordering::Relaxed);
                Box::pin(async move {
                    put(tx, "a").await?;
                    Err(Refusal::Rule("no"))
                })
            })
            .await;
        assert_eq!(done, Err(Refusal::Rule("no")));
        assert_eq!(runs.load(Ordering::Relaxed), 1, "refusals are not tried again");
        assert_eq!(count(&t, "%").await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn duplicates_are_told_apart_and_never_half_kept() {
    for t in databases().await {
        let twice = |swallow: bool| {
            t.db.write(move |tx| {
                Box::pin(async move {
                    put(tx, "a").await?;
                    match put(tx, "a").await {
                        Err(_) if swallow => Ok(()),
                        other => other.map(drop),
                    }
                })
            })
        };
        assert!(twice(false).await.is_err_and(|e: DbError| e.is_unique_violation()));
        // Carrying on after a failed statement does not save the rest.
        assert!(twice(true).await.is_err_and(|e: DbError| e.is_unique_violation()));
        assert_eq!(count(&t, "%").await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_holds_a_number_is_waited_for() {
    const SIZE: &str = "SELECT size FROM unique_id WHERE unique_id = 'a'";
    for t in databases().await {
        let db = t.db.clone();
        let added: Result<u64, DbError> = db.write(|tx| Box::pin(put(tx, "a"))).await;
        assert_eq!(added, Ok(1));
        let tasks: Vec<_> = (0..16)
            .map(|_| {
                let db = db.clone();
                tokio::spawn(async move {
                    let done: Result<(), DbError> = db
                        .write_holding(vec![7, -3, 7], |tx| {
                            Box::pin(async move {
                                let size: Option<i64> = tx.fetch_one(SIZE, &[], |row| row.get(0)).await?;
                                let sql = "UPDATE unique_id SET size = $1 WHERE unique_id = 'a'";
                                tx.later(sql, &[Val::I64(size.unwrap_or_default() + 1)]).await
                            })
                        })
                        .await;
                    done
                })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.unwrap(), Ok(()));
        }
        let size: Result<i64, DbError> =
            db.read(|tx| Box::pin(tx.fetch_one(SIZE, &[], |row| row.get(0)))).await;
        assert_eq!(size, Ok(16));
    }
}

/// The sender of a request hangs up while its write waits to begin: what the server has begun meanwhile ends with the
/// connection, and holds nobody up.
#[tokio::test(flavor = "multi_thread")]
async fn who_gives_up_waiting_leaves_nothing_held() {
    const NUMBER: i64 = 4_711_004_711;
    // SQLite's writer has a thread of its own, and nobody waits beside it.
    for t in databases().await.into_iter().filter(|t| !t.db.groups_commits()) {
        let (held, holds) = tokio::sync::oneshot::channel::<()>();
        let (go_on, end) = tokio::sync::oneshot::channel::<()>();
        let (held, end) = (std::sync::Mutex::new(Some(held)), std::sync::Mutex::new(Some(end)));
        let db = t.db.clone();
        let first = tokio::spawn(async move {
            db.write_holding::<(), DbError, _>(vec![NUMBER], move |_| {
                let (held, end) = (held.lock().unwrap().take(), end.lock().unwrap().take());
                Box::pin(async move {
                    let _ = held.map(|held| held.send(()));
                    if let Some(end) = end {
                        let _ = end.await;
                    }
                    Ok(())
                })
            })
            .await
        });
        holds.await.unwrap();
        let waiting: Vec<_> = (0..3)
            .map(|_| {
                let db = t.db.clone();
                tokio::spawn(async move {
                    db.write_holding::<(), DbError, _>(vec![NUMBER], |_| Box::pin(async { Ok(()) })).await
                })
            })
            .collect();
        // All of them wait at the server.
        let waits = "SELECT CAST(COUNT(*) AS BIGINT) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted \
                     AND (classid::bigint << 32 | objid::bigint) = $1";
        until(&t.db, waits, NUMBER, 3).await;
        for task in &waiting {
            task.abort();
        }
        for task in waiting {
            assert!(task.await.is_err_and(|e| e.is_cancelled()));
        }
        go_on.send(()).unwrap();
        assert_eq!(first.await.unwrap(), Ok(()));
        let holds = "SELECT CAST(COUNT(*) AS BIGINT) FROM pg_locks WHERE locktype = 'advisory' \
                     AND (classid::bigint << 32 | objid::bigint) = $1";
        until(&t.db, holds, NUMBER, 0).await;
        let again: Result<(), DbError> =
            t.db.write_holding(vec![NUMBER], |_| Box::pin(async { Ok(()) })).await;
        assert_eq!(again, Ok(()));
    }
}

/// Asks until the count is as wanted.
async fn until(db: &Db, sql: &'static str, of: i64, wanted: i64) {
    for _ in 0..5_000 {
        let found: Result<i64, DbError> = db
            .read(move |tx| {
                Box::pin(async move { tx.fetch_one(sql, &[Val::I64(of)], |row| row.get(0)).await })
            })
            .await;
        if found.unwrap() == wanted {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("never {wanted}: {sql}");
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_do_not_write() {
    for t in databases().await {
        let done: Result<u64, DbError> = t.db.read(|tx| Box::pin(put(tx, "a"))).await;
        assert!(matches!(done, Err(DbError::Misuse(_))));
        let done: Result<Vec<String>, DbError> =
            t.db.snapshot(|tx| Box::pin(tx.fetch("DELETE FROM unique_id RETURNING id", &[], |r| r.get(0))))
                .await;
        assert!(done.is_err());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_writes_at_once_only_the_bad_ones_fail() {
    for t in databases().await {
        let tasks: Vec<_> = (0..400)
            .map(|n| {
                let db = t.db.clone();
                tokio::spawn(async move {
                    db.write(move |tx| {
                        Box::pin(async move {
                            put(tx, &format!("first {n}")).await?;
                            match n % 10 {
                                3 => return Err(Refusal::Rule("no")),
                                4 => put(tx, &format!("first {n}")).await?,
                                5 => panic!("on purpose"),
                                _ => put(tx, &format!("second {n}")).await?,
                            };
                            Ok(n)
                        })
                    })
                    .await
                })
            })
            .collect();
        for (n, task) in tasks.into_iter().enumerate() {
            match (n % 10, task.await) {
                (3, Ok(done)) => assert_eq!(done, Err(Refusal::Rule("no"))),
                (4, Ok(Err(Refusal::Db(e)))) => assert!(e.is_unique_violation()),
                (5, Ok(done)) => assert_eq!(done, Err(Refusal::Db(DbError::Panicked))),
                (0..3 | 6..10, Ok(done)) => assert_eq!(done, Ok(n)),
                (_, other) => panic!("{n}: {other:?}"),
            }
        }
        assert_eq!(count(&t, "first %").await, 280);
        assert_eq!(count(&t, "second %").await, 280);
        let status = t.db.status();
        assert!(status.writes == 0 || status.commits < status.writes, "{status:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_database_says_so() {
    for t in databases().await {
        let waiting: Vec<_> = (0..20)
            .map(|n| {
                let db = t.db.clone();
                tokio::spawn(async move {
                    db.write(move |tx| Box::pin(async move { put(tx, &n.to_string()).await })).await
                })
            })
            .collect();
        t.db.close().await;
        for task in waiting {
            assert!(matches!(task.await.unwrap(), Ok(1) | Err(DbError::Unavailable(_))));
        }
        let done = t.db.write(|tx| Box::pin(put(tx, "a"))).await;
        assert!(matches!(done, Err(DbError::Unavailable(_))), "{done:?}");
        let done: Result<i64, _> =
            t.db.read(|tx| Box::pin(tx.fetch_one("SELECT 1", &[], |r| r.get(0)))).await;
        assert!(matches!(done, Err(DbError::Unavailable(_))), "{done:?}");
    }
}

#[cfg(feature = "sqlite")]
mod lite {
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::mpsc;

    use super::*;
    use crate::store::{migrate, testing};

    async fn open(config: &DatabaseConfig) -> Db {
        migrate::apply(config, 1).await.unwrap();
        Db::open(config).await.unwrap()
    }

    /// Holds the writer thread until the sender is used, and says when it is held.
    async fn hold(db: &Db) -> (mpsc::Sender<()>, tokio::task::JoinHandle<Result<(), DbError>>) {
        let (go, gate) = mpsc::channel::<()>();
        let (held, is_held) = tokio::sync::oneshot::channel::<()>();
        let (gate, held) = (std::sync::Mutex::new(gate), std::sync::Mutex::new(Some(held)));
        let db = db.clone();
        let task = tokio::spawn(async move {
            db.write(move |_| {
                if let Some(held) = held.lock().unwrap().take() {
                    held.send(()).unwrap();
                }
                let _ = gate.lock().unwrap().recv();
                Box::pin(async { Ok(()) })
            })
            .await
        });
        is_held.await.unwrap();
        (go, task)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_full_queue_is_busy() {
        let (config, _dir) = testing::sqlite();
        let db = open(&DatabaseConfig { write_queue: 2, ..config }).await;
        let (go, held) = hold(&db).await;
        // Polled once, each takes its place in the queue.
        let mut queued: Vec<_> =
            ["a", "b"].map(|id| Box::pin(db.write(move |tx| Box::pin(put(tx, id))))).into();
        for write in &mut queued {
            assert!(futures_util::poll!(write.as_mut()).is_pending());
        }
        assert_eq!(db.status().queued, 2);
        let done = db.write(|tx| Box::pin(put(tx, "c"))).await;
        assert!(matches!(done, Err(DbError::Busy(_))));
        go.send(()).unwrap();
        held.await.unwrap().unwrap();
        for write in queued {
            assert_eq!(write.await, Ok(1));
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_write_nobody_waits_for_is_not_begun() {
        let (config, _dir) = testing::sqlite();
        let db = open(&config).await;
        let (go, held) = hold(&db).await;
        let mut given_up = Box::pin(db.write(|tx| Box::pin(put(tx, "a"))));
        assert!(futures_util::poll!(given_up.as_mut()).is_pending());
        drop(given_up);
        go.send(()).unwrap();
        held.await.unwrap().unwrap();
        // The same id again: free only if the first was never written.
        assert_eq!(db.write(|tx| Box::pin(put(tx, "a"))).await, Ok(1));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_closure_that_awaits_elsewhere_is_undone() {
        let (config, _dir) = testing::sqlite();
        let db = open(&config).await;
        let done = db
            .write(|tx| {
                Box::pin(async move {
                    put(tx, "a").await?;
                    tokio::task::yield_now().await;
                    Ok(())
                })
            })
            .await;
        assert!(matches!(done, Err(DbError::Misuse(_))));
        assert_eq!(db.write(|tx| Box::pin(put(tx, "a"))).await, Ok(1));
    }

    #[tokio::test]
    async fn a_current_thread_runtime_will_do() {
        let (config, _dir) = testing::sqlite();
        let db = open(&config).await;
        assert_eq!(db.write(|tx| Box::pin(put(tx, "a"))).await, Ok(1));
        let n: Result<i64, DbError> =
            db.read(|tx| Box::pin(tx.fetch_one("SELECT COUNT(*) FROM unique_id", &[], |r| r.get(0)))).await;
        assert_eq!(n, Ok(1));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_log_is_copied_home_and_reused() {
        let (config, dir) = testing::sqlite();
        let db = open(&config).await;
        let big: Arc<str> = "x".repeat(100_000).into();
        // 400 MB through the log, of which a checkpoint starts at 64 MiB; how much comes while it
        // copies depends on the machine.
        for round in 0..40 {
            let writes = (0..100).map(|n| {
                let big = big.clone();
                db.write(move |tx| {
                    let big = big.clone();
                    Box::pin(async move {
                        let id = format!("{round} {n}");
                        tx.exec(
                            "INSERT INTO audit_event (id, at, transaction_code, outcome, body) VALUES ($1, 1, 'x', 0, $2)",
                            &[(&id).into(), (&*big).into()],
                        )
                        .await
                    })
                })
            });
            for done in futures_util::future::join_all(writes).await {
                assert_eq!(done, Ok(1));
            }
        }
        let log = dir.path().join("test.db-wal").metadata().unwrap().len();
        assert!(log < 250_000_000, "{log}");
        let mode = dir.path().join("test.db").metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[cfg(feature = "postgres")]
mod pg {
    use super::*;
    use crate::store::{migrate, testing};

    async fn open() -> Option<TestDb> {
        let mut all = databases().await;
        testing::postgres().await?;
        all.pop()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn collisions_are_tried_again_but_not_for_ever() {
        let Some(t) = open().await else { return };
        let collide = |times: u32| {
            let left = AtomicU32::new(times);
            t.db.write(move |tx| {
                let collide =
                    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok();
                Box::pin(async move {
                    put(tx, "a").await?;
                    if collide {
                        tx.exec("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '40001'; END $$", &[])
                            .await?;
                    }
                    Ok::<_, DbError>(())
                })
            })
        };
        assert_eq!(collide(1000).await, Err(DbError::Conflict));
        assert_eq!(collide(3).await, Ok(()));
        assert_eq!(count(&t, "%").await, 1);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_lost_connection_is_unavailable_and_the_next_call_works() {
        let Some(t) = open().await else { return };
        let killed: Result<u64, DbError> =
            t.db.write(|tx| {
                Box::pin(async move {
                    put(tx, "a").await?;
                    tx.exec("SELECT pg_terminate_backend(pg_backend_pid())", &[]).await
                })
            })
            .await;
        assert!(matches!(killed, Err(DbError::Unavailable(_))), "{killed:?}");
        assert_eq!(count(&t, "%").await, 0);
        assert_eq!(t.db.write(|tx| Box::pin(put(tx, "a"))).await, Ok(1));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn dead_connections_in_the_pool_are_passed_over() {
        let Some(t) = open().await else { return };
        // Several connections open and idle, told apart by the schema in their start-up options.
        let busy = (0..8).map(|_| {
            t.db.read(|tx| {
                Box::pin(tx.fetch_one("SELECT 1 FROM pg_sleep(0.05)", &[], |_| Ok::<_, DbError>(())))
            })
        });
        futures_util::future::join_all(busy).await;
        let pids: Result<Vec<i64>, DbError> =
            t.db.read(|tx| Box::pin(tx.fetch("SELECT CAST(pg_backend_pid() AS BIGINT)", &[], |r| r.get(0))))
                .await;
        assert_eq!(pids.unwrap().len(), 1);
        let other = Db::open(&t.config).await.unwrap();
        // Ends whoever last wrote with this pool's marker statement.
        let killed: Result<i64, DbError> = other
            .write(|tx| {
                Box::pin(tx.fetch_one(
                    "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity
                     WHERE pid <> pg_backend_pid() AND (query LIKE '%FROM pg_sleep(0.05)%' OR query LIKE '%AS BIGINT)')",
                    &[],
                    |r| r.get(0),
                ))
            })
            .await;
        assert!(killed.unwrap() > 0);
        assert_eq!(count(&t, "%").await, 0);
        assert_eq!(t.db.write(|tx| Box::pin(put(tx, "a"))).await, Ok(1));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn no_server_is_unavailable_and_no_free_connection_is_busy() {
        let Some(t) = open().await else { return };
        let nobody =
            DatabaseConfig { acquire_timeout_s: 1, ..DatabaseConfig::at("postgres://u@127.0.0.1:1/d") };
        assert!(matches!(Db::open_unchecked(&nobody).await.err(), Some(DbError::Unavailable(_))));
        assert!(migrate::pending(&nobody).await.is_err());

        let one = DatabaseConfig { acquire_timeout_s: 1, max_connections: 1, ..t.config.clone() };
        let db = Db::open(&one).await.unwrap();
        let slow =
            db.read(|tx| Box::pin(tx.fetch_one("SELECT 1 FROM pg_sleep(2)", &[], |_| Ok::<_, DbError>(()))));
        let quick = db.write(|tx| Box::pin(put(tx, "a")));
        let (slow, quick) = futures_util::future::join(slow, quick).await;
        assert_eq!(slow, Ok(()));
        assert!(matches!(quick, Err(DbError::Busy(_))), "{quick:?}");
    }
}
