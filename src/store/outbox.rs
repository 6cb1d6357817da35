//! Effects still to happen: rows written in the transaction of what they follow from, delivered by whoever
//! claims them, at least once each.
//!
//! A row is claimed by a lease: who holds it has until `lease_until` to deliver it and to say so. When a
//! gateway dies, its leases run out and another takes over. Rows of an ordered stream (`ordinal` > 0) are
//! claimed one at a time, the first first; one that is parked holds up those behind it, until somebody
//! retries or drops it, or leaves its place where the kind says so.

use crate::store::db::{DbError, Row, Tx};

/// `not_before` of what is parked.
const NEVER: i64 = i64::MAX;

/// A row to be enqueued. Made before the transaction begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRow {
    /// UUIDv7.
    pub id: String,
    pub kind: &'static str,
    /// Where it goes: rows of a stream are ordered, if they are, and wait together when nobody is there.
    pub stream: String,
    /// JSON, as its kind wants it.
    pub payload: String,
    /// Whether it waits for the rows enqueued before it in its stream.
    pub ordered: bool,
    /// Microseconds since 1970.
    pub created_at: i64,
}

/// A row in hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    pub id: String,
    pub kind: String,
    pub stream: String,
    pub payload: String,
    pub created_at: i64,
    /// This one counted.
    pub attempts: i64,
}

/// A row as an operator sees it: without what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    pub id: String,
    pub kind: String,
    pub stream: String,
    pub created_at: i64,
    pub attempts: i64,
    /// `None`: parked.
    pub next_attempt: Option<i64>,
    pub lease_until: i64,
    pub parked_at: Option<i64>,
    pub failure: Option<String>,
}

/// How many rows there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Depth {
    pub waiting: i64,
    pub parked: i64,
}

/// Adds a row. Writers of one ordered stream must wait for each other by other means (the patient's row, say)
/// if the order among them matters.
pub async fn enqueue(tx: &mut Tx<'_>, row: &OutboxRow) -> Result<(), DbError> {
    let ordinal = match row.ordered {
        true => {
            let sql = "SELECT CAST(COALESCE(MAX(ordinal), 0) + 1 AS BIGINT) FROM outbox WHERE stream = $1";
            tx.fetch_one(sql, &[(&row.stream).into()], |r| r.get::<i64>(0)).await?
        }
        false => 0,
    };
    tx.insert(
        "INSERT INTO outbox (id, kind, stream, payload, created_at, not_before, attempts, lease_until, ordinal) \
         VALUES ($1, $2, $3, $4, $5, $5, 0, 0, $6)",
        &[
            (&row.id).into(),
            row.kind.into(),
            (&row.stream).into(),
            (&row.payload).into(),
            row.created_at.into(),
            ordinal.into(),
        ],
    )
    .await
}

/// Leases up to `most` rows that are due to `by`, oldest first.
///
/// The conditions stand twice. PostgreSQL looks again at a row another claim has just changed, but only at
/// the outer ones: with them inside the subquery alone, two gateways deliver one row.
pub async fn claim(
    tx: &mut Tx<'_>,
    by: &str,
    now: i64,
    lease_until: i64,
    most: i64,
) -> Result<Vec<Claimed>, DbError> {
    let skip = skip_locked(tx, "o");
    // However many rows wait: of ordered streams only the heads are looked at, stream by stream, and of the rest only
    // what is due.
    let mut claimed = tx
        .fetch(
            format!(
                "WITH RECURSIVE streams (stream) AS (SELECT MIN(stream) FROM outbox WHERE ordinal > 0 UNION ALL \
                 SELECT (SELECT MIN(n.stream) FROM outbox n WHERE n.ordinal > 0 AND n.stream > s.stream) \
                 FROM streams s WHERE s.stream IS NOT NULL) \
                 UPDATE outbox SET leased_by = $1, lease_until = $2, attempts = attempts + 1 WHERE id IN \
                 (SELECT id FROM (SELECT id FROM (SELECT o.id FROM streams s JOIN outbox o ON o.stream = s.stream \
                 AND o.ordinal = (SELECT MIN(e.ordinal) FROM outbox e WHERE e.stream = s.stream AND e.ordinal > 0) \
                 WHERE o.not_before <= $3 AND o.lease_until <= $3{skip}) AS heads \
                 UNION ALL \
                 SELECT id FROM (SELECT o.id FROM outbox o WHERE o.ordinal = 0 AND o.not_before <= $3 \
                 AND o.lease_until <= $3 ORDER BY o.not_before, o.id LIMIT $4{skip}) AS free) AS due LIMIT $4) \
                 AND not_before <= $3 AND lease_until <= $3 \
                 RETURNING id, kind, stream, payload, created_at, attempts"
            ),
            &[by.into(), lease_until.into(), now.into(), most.into()],
            |row| {
                Ok(Claimed {
                    id: row.get(0)?,
                    kind: row.get(1)?,
                    stream: row.get(2)?,
                    payload: row.get(3)?,
                    created_at: row.get(4)?,
                    attempts: row.get(5)?,
                })
            },
        )
        .await?;
    claimed.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
    Ok(claimed)
}

/// Whether a claim may find something.
pub async fn is_due(tx: &mut Tx<'_>, now: i64) -> Result<bool, DbError> {
    let sql = "SELECT id FROM outbox WHERE not_before <= $1 AND lease_until <= $1 LIMIT 1";
    Ok(tx.fetch_opt(sql, &[now.into()], |row| row.get::<String>(0)).await?.is_some())
}

/// Delivered: the row goes. False if the lease was lost meanwhile; then it may be delivered again.
pub async fn done(tx: &mut Tx<'_>, id: &str, by: &str) -> Result<bool, DbError> {
    let sql = "DELETE FROM outbox WHERE id = $1 AND leased_by = $2";
    Ok(tx.exec(sql, &[id.into(), by.into()]).await? == 1)
}

/// Not delivered: to be tried again from `not_before` on.
pub async fn postpone(
    tx: &mut Tx<'_>,
    id: &str,
    by: &str,
    not_before: i64,
    failure: &str,
) -> Result<bool, DbError> {
    let done = tx
        .exec(
            "UPDATE outbox SET not_before = $3, failure = $4, lease_until = 0, leased_by = NULL \
             WHERE id = $1 AND leased_by = $2",
            &[id.into(), by.into(), not_before.into(), failure.into()],
        )
        .await?;
    Ok(done == 1)
}

/// Nobody is there: what else waits for the same stream waits too.
pub async fn postpone_stream(tx: &mut Tx<'_>, stream: &str, not_before: i64) -> Result<u64, DbError> {
    let skip = skip_locked(tx, "o");
    tx.exec(
        format!(
            "UPDATE outbox SET not_before = $2 WHERE id IN (SELECT o.id FROM outbox o WHERE o.stream = $1 \
             AND o.not_before < $2 AND o.leased_by IS NULL{skip})"
        ),
        &[stream.into(), not_before.into()],
    )
    .await
}

/// On PostgreSQL, where several write at once: rows that somebody has in hand are passed over, so that nobody
/// waits for whoever waits for him.
fn skip_locked(tx: &Tx<'_>, alias: &str) -> String {
    match tx.is_postgres() {
        true => format!(" FOR UPDATE OF {alias} SKIP LOCKED"),
        false => String::new(),
    }
}

/// Given up: it stays, for people to see. `keeps_place`: those behind it in an ordered stream wait for it.
pub async fn park(
    tx: &mut Tx<'_>,
    id: &str,
    by: &str,
    now: i64,
    failure: &str,
    keeps_place: bool,
) -> Result<bool, DbError> {
    let done = tx
        .exec(
            "UPDATE outbox SET parked_at = $3, failure = $4, not_before = $5, lease_until = 0, leased_by = NULL, \
             ordinal = ordinal * $6 WHERE id = $1 AND leased_by = $2",
            &[id.into(), by.into(), now.into(), failure.into(), NEVER.into(), i64::from(keeps_place).into()],
        )
        .await?;
    Ok(done == 1)
}

/// A page of rows in order of id, after `after`.
pub async fn list(tx: &mut Tx<'_>, after: &str, limit: i64) -> Result<Vec<Waiting>, DbError> {
    tx.fetch(
        "SELECT id, kind, stream, created_at, attempts, not_before, lease_until, parked_at, failure FROM outbox \
         WHERE id > $1 ORDER BY id LIMIT $2",
        &[after.into(), limit.into()],
        waiting,
    )
    .await
}

fn waiting(row: &Row<'_>) -> Result<Waiting, DbError> {
    let not_before: i64 = row.get(5)?;
    Ok(Waiting {
        id: row.get(0)?,
        kind: row.get(1)?,
        stream: row.get(2)?,
        created_at: row.get(3)?,
        attempts: row.get(4)?,
        next_attempt: (not_before != NEVER).then_some(not_before),
        lease_until: row.get(6)?,
        parked_at: row.get(7)?,
        failure: row.get(8)?,
    })
}

/// An operator's word: try this row now, or every parked one. How many rows that are; what is in delivery
/// stays in it.
pub async fn retry(tx: &mut Tx<'_>, id: Option<&str>, now: i64) -> Result<u64, DbError> {
    // Its time to be given up begins anew.
    let sql = "UPDATE outbox SET not_before = $1, created_at = $1, attempts = 0, parked_at = NULL \
               WHERE lease_until <= $1 AND";
    match id {
        Some(id) => tx.exec(format!("{sql} id = $2"), &[now.into(), id.into()]).await,
        None => tx.exec(format!("{sql} parked_at IS NOT NULL"), &[now.into()]).await,
    }
}

/// An operator's word: this row is not to be delivered. False if there is none, or it is in delivery.
pub async fn discard(tx: &mut Tx<'_>, id: &str, now: i64) -> Result<bool, DbError> {
    let sql = "DELETE FROM outbox WHERE id = $1 AND lease_until <= $2";
    Ok(tx.exec(sql, &[id.into(), now.into()]).await? == 1)
}

pub async fn depth(tx: &mut Tx<'_>) -> Result<Depth, DbError> {
    tx.fetch_one(
        "SELECT CAST(COUNT(*) AS BIGINT), CAST(COUNT(parked_at) AS BIGINT) FROM outbox",
        &[],
        |row| {
            let (all, parked): (i64, i64) = (row.get(0)?, row.get(1)?);
            Ok(Depth { waiting: all - parked, parked })
        },
    )
    .await
}

/// Whether a stream has at least `most` rows.
pub async fn is_full(tx: &mut Tx<'_>, stream: &str, most: i64) -> Result<bool, DbError> {
    let count: i64 = tx
        .fetch_one(
            "SELECT CAST(COUNT(*) AS BIGINT) FROM (SELECT id FROM outbox WHERE stream = $1 LIMIT $2) o",
            &[stream.into(), most.into()],
            |row| row.get(0),
        )
        .await?;
    Ok(count >= most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::db::Db;
    use crate::store::testing;

    fn row(n: u32, stream: &str, ordered: bool) -> OutboxRow {
        OutboxRow {
            id: format!("{n:04}"),
            kind: "test",
            stream: stream.into(),
            payload: "{}".into(),
            ordered,
            created_at: i64::from(n),
        }
    }

    async fn add(db: &Db, rows: Vec<OutboxRow>) {
        for row in rows {
            db.write::<_, DbError, _>(move |tx| {
                let row = row.clone();
                Box::pin(async move { enqueue(tx, &row).await })
            })
            .await
            .unwrap();
        }
    }

    async fn ids(db: &Db, by: &'static str, now: i64, most: i64) -> Vec<String> {
        let claimed = db.write::<_, DbError, _>(move |tx| Box::pin(claim(tx, by, now, now + 100, most)));
        claimed.await.unwrap().into_iter().map(|c| c.id).collect()
    }

    async fn finish(db: &Db, id: &'static str, by: &'static str) -> bool {
        db.write::<_, DbError, _>(move |tx| Box::pin(done(tx, id, by))).await.unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_lease_keeps_others_away_until_it_runs_out() {
        for t in testing::databases().await {
            add(&t.db, vec![row(1, "s", false), row(2, "s", false)]).await;
            assert_eq!(ids(&t.db, "a", 10, 1).await, ["0001"]);
            assert_eq!(ids(&t.db, "b", 10, 5).await, ["0002"]);
            assert_eq!(ids(&t.db, "b", 109, 5).await, [""; 0]);
            // Nobody has said anything: whoever comes next takes over, and the first is too late.
            assert_eq!(ids(&t.db, "c", 110, 1).await, ["0001"]);
            assert!(!finish(&t.db, "0001", "a").await);
            assert!(finish(&t.db, "0001", "c").await);
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_ordered_stream_goes_one_by_one() {
        for t in testing::databases().await {
            add(&t.db, vec![row(3, "s", true), row(1, "s", true), row(2, "other", true)]).await;
            assert_eq!(ids(&t.db, "a", 10, 5).await, ["0002", "0003"]);
            assert_eq!(ids(&t.db, "a", 10, 5).await, [""; 0]);
            // One that is parked holds up the rest.
            let parked = t.db.write::<_, DbError, _>(|tx| Box::pin(park(tx, "0003", "a", 11, "no", true)));
            assert!(parked.await.unwrap());
            assert_eq!(ids(&t.db, "a", 12, 5).await, [""; 0]);
            let retried = t.db.write::<_, DbError, _>(|tx| Box::pin(retry(tx, None, 13)));
            assert_eq!(retried.await, Ok(1));
            assert_eq!(ids(&t.db, "a", 13, 5).await, ["0003"]);
            assert!(finish(&t.db, "0003", "a").await);
            assert_eq!(ids(&t.db, "a", 14, 5).await, ["0001"]);
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_failed_waits_and_what_is_parked_is_seen() {
        for t in testing::databases().await {
            add(&t.db, vec![row(1, "s", false), row(2, "s", false), row(3, "other", false)]).await;
            assert_eq!(ids(&t.db, "a", 10, 1).await, ["0001"]);
            let later = t.db.write::<_, DbError, _>(|tx| {
                Box::pin(async move {
                    assert!(postpone(tx, "0001", "a", 50, "away").await?);
                    postpone_stream(tx, "s", 20).await
                })
            });
            assert_eq!(later.await, Ok(1));
            assert_eq!(ids(&t.db, "a", 19, 5).await, ["0003"]);
            assert_eq!(ids(&t.db, "a", 20, 5).await, ["0002"]);
            assert_eq!(ids(&t.db, "a", 50, 5).await, ["0001"]);
            let seen = t.db.write::<_, DbError, _>(|tx| {
                Box::pin(async move {
                    assert!(park(tx, "0001", "a", 51, "away for good", true).await?);
                    Ok((list(tx, "", 10).await?, depth(tx).await?, is_full(tx, "s", 2).await?))
                })
            });
            let (rows, depth, full) = seen.await.unwrap();
            assert_eq!((rows[0].attempts, rows[0].next_attempt, rows[0].parked_at), (2, None, Some(51)));
            assert_eq!(rows[0].failure.as_deref(), Some("away for good"));
            assert_eq!((depth, full), (Depth { waiting: 2, parked: 1 }, true));
            // In delivery it cannot be dropped.
            let dropped = t.db.write::<_, DbError, _>(|tx| {
                Box::pin(async move { Ok((discard(tx, "0002", 60).await?, discard(tx, "0001", 60).await?)) })
            });
            assert_eq!(dropped.await, Ok((false, true)));
        }
    }

    /// Architecture choice 5: with the guard in the subquery alone, rows are claimed several times.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn eight_workers_claim_each_row_once() {
        for t in testing::databases().await {
            t.db.write::<_, DbError, _>(|tx| {
                Box::pin(async move {
                    for n in 0..400 {
                        enqueue(tx, &row(n, "s", false)).await?;
                    }
                    Ok(())
                })
            })
            .await
            .unwrap();
            let workers = (0..8).map(|n| {
                let db = t.db.clone();
                tokio::spawn(async move {
                    let by: &'static str = ["a", "b", "c", "d", "e", "f", "g", "h"][n];
                    let mut mine = vec![];
                    loop {
                        match ids(&db, by, 1000, 7).await {
                            none if none.is_empty() => return mine,
                            some => mine.extend(some),
                        }
                    }
                })
            });
            let mut all = vec![];
            for worker in workers.collect::<Vec<_>>() {
                all.extend(worker.await.unwrap());
            }
            // A worker that waited for others' rows may come away with none and stop early.
            all.extend(ids(&t.db, "z", 1000, 400).await);
            let claimed = all.len();
            all.sort();
            all.dedup();
            assert_eq!((claimed, all.len()), (400, 400));
        }
    }
}
