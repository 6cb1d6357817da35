//! Deliveries: what is to be sent, claimed by lease, in order within a queue, each under one key for ever.

use crate::store::db::{DbError, Row, Tx};

/// Where a delivery is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Waiting,
    /// Taken by the service, which has not finished.
    Processing,
    Done,
    /// For a person to look at.
    Parked,
    /// By a person's word.
    Dropped,
    /// A fact must change first; decided anew then.
    Held,
}

impl State {
    pub const ALL: [State; 6] =
        [Self::Waiting, Self::Processing, Self::Done, Self::Parked, Self::Dropped, Self::Held];

    pub fn code(self) -> i64 {
        match self {
            Self::Waiting => 1,
            Self::Processing => 2,
            Self::Done => 3,
            Self::Parked => 4,
            Self::Dropped => 5,
            Self::Held => 6,
        }
    }

    pub fn of_code(code: i64) -> Self {
        Self::ALL.into_iter().find(|s| s.code() == code).unwrap_or(Self::Parked)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Processing => "processing",
            Self::Done => "done",
            Self::Parked => "parked",
            Self::Dropped => "dropped",
            Self::Held => "held",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == text)
    }

    /// Whether those behind it in its queue wait for it.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Waiting | Self::Processing | Self::Parked)
    }
}

/// A row of `national_delivery`, without the Bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    pub id: String,
    pub key: String,
    pub institution: String,
    pub queue: String,
    pub lineage: String,
    pub entry_id: String,
    pub lid: String,
    pub operation: String,
    /// JSON.
    pub call: String,
    pub bundle_hash: Option<String>,
    pub state: State,
    pub unsure: bool,
    pub attempts: i64,
    pub polls: i64,
    pub not_before: i64,
    pub created_at: i64,
    pub first_attempt_at: Option<i64>,
    pub settled_at: Option<i64>,
    pub lease_until: i64,
    pub code: Option<String>,
    pub failure: Option<String>,
    /// JSON.
    pub problems: Option<String>,
}

const COLUMNS: &str = "id, key, institution, queue, lineage, entry_id, lid, operation, call, bundle_hash, state, unsure, \
                       attempts, polls, not_before, created_at, first_attempt_at, settled_at, lease_until, code, \
                       failure, problems";

fn read(row: &Row<'_>) -> Result<Delivery, DbError> {
    Ok(Delivery {
        id: row.get(0)?,
        key: row.get(1)?,
        institution: row.get(2)?,
        queue: row.get(3)?,
        lineage: row.get(4)?,
        entry_id: row.get(5)?,
        lid: row.get(6)?,
        operation: row.get(7)?,
        call: row.get(8)?,
        bundle_hash: row.get(9)?,
        state: State::of_code(row.get(10)?),
        unsure: row.get(11)?,
        attempts: row.get(12)?,
        polls: row.get(13)?,
        not_before: row.get(14)?,
        created_at: row.get(15)?,
        first_attempt_at: row.get(16)?,
        settled_at: row.get(17)?,
        lease_until: row.get(18)?,
        code: row.get(19)?,
        failure: row.get(20)?,
        problems: row.get(21)?,
    })
}

/// Adds a delivery at the end of its queue; false if there is one under its key.
pub async fn enqueue(tx: &mut Tx<'_>, d: &Delivery, bundle: Option<&[u8]>) -> Result<bool, DbError> {
    let sql = "SELECT CAST(COALESCE(MAX(ordinal), 0) + 1 AS BIGINT) FROM national_delivery WHERE queue = $1";
    let ordinal: i64 = tx.fetch_one(sql, &[(&d.queue).into()], |row| row.get(0)).await?;
    let bundle = bundle.map_or(crate::store::db::Val::Null(crate::store::db::Ty::Blob), Into::into);
    let done = tx
        .exec(
            "INSERT INTO national_delivery (id, key, institution, queue, ordinal, lineage, entry_id, lid, operation, \
             call, bundle, bundle_hash, state, unsure, attempts, polls, not_before, created_at, lease_until) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 1, 0, 0, 0, $13, $13, 0) \
             ON CONFLICT (key) DO NOTHING",
            &[
                (&d.id).into(),
                (&d.key).into(),
                (&d.institution).into(),
                (&d.queue).into(),
                ordinal.into(),
                (&d.lineage).into(),
                (&d.entry_id).into(),
                (&d.lid).into(),
                (&d.operation).into(),
                (&d.call).into(),
                bundle,
                (&d.bundle_hash).into(),
                d.created_at.into(),
            ],
        )
        .await?;
    Ok(done == 1)
}

/// Leases up to `most` deliveries of a lane that are due, the heads of their queues. The caller holds the lane, so
/// that no two claim from it at once. An attempt that is begun may arrive: from here on it is unsure.
pub async fn claim(
    tx: &mut Tx<'_>,
    institution: &str,
    by: &str,
    now: i64,
    lease_until: i64,
    most: i64,
) -> Result<Vec<(Delivery, Option<Vec<u8>>)>, DbError> {
    let due: Vec<(String, Option<Vec<u8>>, bool)> = tx
        .fetch(
            "SELECT d.id, d.bundle, d.unsure FROM national_delivery d WHERE d.institution = $1 AND d.state IN (1, 2) \
             AND d.not_before <= $2 AND d.lease_until <= $2 AND NOT EXISTS (SELECT 1 FROM national_delivery e \
             WHERE e.queue = d.queue AND e.ordinal < d.ordinal AND e.state IN (1, 2, 4)) \
             ORDER BY d.not_before, d.id LIMIT $3",
            &[institution.into(), now.into(), most.into()],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .await?;
    let mut claimed = vec![];
    for (id, bundle, unsure) in due {
        let sql = format!(
            "UPDATE national_delivery SET leased_by = $2, lease_until = $3, attempts = attempts + 1, unsure = 1, \
             first_attempt_at = COALESCE(first_attempt_at, $4) WHERE id = $1 RETURNING {COLUMNS}"
        );
        let delivery =
            tx.fetch_one(sql, &[(&id).into(), by.into(), lease_until.into(), now.into()], read).await?;
        claimed.push((Delivery { unsure, ..delivery }, bundle));
    }
    Ok(claimed)
}

/// How many deliveries of a lane are leased now.
pub async fn under_way(tx: &mut Tx<'_>, institution: &str, now: i64) -> Result<i64, DbError> {
    let sql = "SELECT CAST(COUNT(*) AS BIGINT) FROM national_delivery WHERE institution = $1 AND state IN (1, 2) \
               AND lease_until > $2";
    tx.fetch_one(sql, &[institution.into(), now.into()], |row| row.get(0)).await
}

/// Whether a claim may find something in a lane.
pub async fn is_due(tx: &mut Tx<'_>, institution: &str, now: i64) -> Result<bool, DbError> {
    let sql = "SELECT id FROM national_delivery WHERE institution = $1 AND state IN (1, 2) AND not_before <= $2 \
               AND lease_until <= $2 LIMIT 1";
    Ok(tx.fetch_opt(sql, &[institution.into(), now.into()], |row| row.get::<String>(0)).await?.is_some())
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settled<'s> {
    pub state: Option<State>,
    pub unsure: bool,
    pub not_before: i64,
    pub code: Option<&'s str>,
    pub failure: Option<&'s str>,
    pub problems: Option<&'s str>,
}

/// Writes down what came of an attempt; false if the lease was lost meanwhile.
pub async fn settle(tx: &mut Tx<'_>, id: &str, by: &str, s: &Settled<'_>, now: i64) -> Result<bool, DbError> {
    let state = s.state.unwrap_or(State::Waiting);
    let over = matches!(state, State::Done | State::Dropped | State::Held | State::Parked);
    let done = tx
        .exec(
            "UPDATE national_delivery SET state = $3, unsure = $4, not_before = $5, code = $6, failure = $7, \
             problems = $8, lease_until = 0, leased_by = NULL, settled_at = $9, polls = polls + $10 \
             WHERE id = $1 AND leased_by = $2",
            &[
                id.into(),
                by.into(),
                state.code().into(),
                i64::from(s.unsure).into(),
                s.not_before.into(),
                s.code.into(),
                s.failure.into(),
                s.problems.into(),
                over.then_some(now).into(),
                i64::from(state == State::Processing).into(),
            ],
        )
        .await?;
    if done == 1 && matches!(state, State::Done | State::Held) {
        tx.exec("UPDATE national_delivery SET bundle = NULL WHERE id = $1", &[id.into()]).await?;
    }
    Ok(done == 1)
}

pub async fn get(tx: &mut Tx<'_>, id: &str) -> Result<Option<Delivery>, DbError> {
    tx.fetch_opt(format!("SELECT {COLUMNS} FROM national_delivery WHERE id = $1"), &[id.into()], read).await
}

/// Deliveries of a lineage, oldest first.
pub async fn of_lineage(tx: &mut Tx<'_>, lineage: &str) -> Result<Vec<Delivery>, DbError> {
    let sql = format!("SELECT {COLUMNS} FROM national_delivery WHERE lineage = $1 ORDER BY ordinal, id");
    tx.fetch(sql, &[lineage.into()], read).await
}

/// Deliveries of a document by logicalID, oldest first.
pub async fn of_entry(tx: &mut Tx<'_>, entry: &str) -> Result<Vec<Delivery>, DbError> {
    let sql = format!("SELECT {COLUMNS} FROM national_delivery WHERE entry_id = $1 ORDER BY ordinal, id");
    tx.fetch(sql, &[entry.into()], read).await
}

/// A page of deliveries in a state, in order of id; of one institution if named.
pub async fn page(
    tx: &mut Tx<'_>,
    state: State,
    institution: Option<&str>,
    after: &str,
    limit: i64,
) -> Result<Vec<Delivery>, DbError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM national_delivery WHERE state = $1 AND id > $2 \
         AND (CAST($3 AS TEXT) IS NULL OR institution = $3) ORDER BY id LIMIT $4"
    );
    tx.fetch(sql, &[state.code().into(), after.into(), institution.into(), limit.into()], read).await
}

/// What is open in a lane: state, how many, since when the oldest.
pub async fn open(tx: &mut Tx<'_>, institution: &str) -> Result<Vec<(State, i64, i64)>, DbError> {
    let sql = "SELECT state, CAST(COUNT(*) AS BIGINT), MIN(created_at) FROM national_delivery WHERE institution = $1 \
               AND state IN (1, 2, 4) GROUP BY state ORDER BY state";
    tx.fetch(sql, &[institution.into()], |row| Ok((State::of_code(row.get(0)?), row.get(1)?, row.get(2)?)))
        .await
}

/// How many deliveries of a lane are in each state, and when the oldest open one was made.
pub async fn counts(tx: &mut Tx<'_>, institution: &str) -> Result<Vec<(State, i64, i64)>, DbError> {
    tx.fetch(
        "SELECT state, CAST(COUNT(*) AS BIGINT), MIN(created_at) FROM national_delivery WHERE institution = $1 \
         GROUP BY state ORDER BY state",
        &[institution.into()],
        |row| Ok((State::of_code(row.get(0)?), row.get(1)?, row.get(2)?)),
    )
    .await
}

/// Takes a delivery out that no attempt has been made of; false if one has, or it is under way.
pub async fn withdraw(tx: &mut Tx<'_>, id: &str, now: i64) -> Result<bool, DbError> {
    let sql = "UPDATE national_delivery SET state = 5, settled_at = $2, bundle = NULL WHERE id = $1 AND state = 1 \
               AND attempts = 0 AND lease_until <= $2";
    Ok(tx.exec(sql, &[id.into(), now.into()]).await? == 1)
}

/// An operator's word: it does not go. False if it is over already, or under way.
pub async fn discard(tx: &mut Tx<'_>, id: &str, now: i64) -> Result<bool, DbError> {
    let sql = "UPDATE national_delivery SET state = 5, settled_at = $2, bundle = NULL WHERE id = $1 \
               AND state IN (1, 2, 4) AND lease_until <= $2";
    Ok(tx.exec(sql, &[id.into(), now.into()]).await? == 1)
}

/// An operator's word: it is tried now, under another key if the service has answered for the old one. False if it is
/// over, or under way.
pub async fn retry(tx: &mut Tx<'_>, id: &str, key: &str, now: i64) -> Result<bool, DbError> {
    let sql = "UPDATE national_delivery SET state = CASE WHEN state = 2 THEN 2 ELSE 1 END, key = $2, not_before = $3, \
               first_attempt_at = NULL, attempts = 0, settled_at = NULL, failure = NULL WHERE id = $1 \
               AND state IN (1, 2, 4) AND lease_until <= $3";
    Ok(tx.exec(sql, &[id.into(), key.into(), now.into()]).await? == 1)
}

/// What waits in a lane and has not been answered is due now: the line is back.
pub async fn hasten(tx: &mut Tx<'_>, institution: &str, now: i64) -> Result<u64, DbError> {
    let sql = "UPDATE national_delivery SET not_before = $2 WHERE institution = $1 AND state = 1 AND not_before > $2 \
               AND lease_until <= $2";
    tx.exec(sql, &[institution.into(), now.into()]).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::db::Db;
    use crate::store::testing;

    fn delivery(n: u32, queue: &str) -> Delivery {
        Delivery {
            id: format!("{n:04}"),
            key: format!("k{n}"),
            institution: "1319900018".into(),
            queue: queue.into(),
            lineage: "l".into(),
            entry_id: "e".into(),
            lid: "e".into(),
            operation: "info.register".into(),
            call: "{}".into(),
            bundle_hash: None,
            state: State::Waiting,
            unsure: false,
            attempts: 0,
            polls: 0,
            not_before: 0,
            created_at: i64::from(n),
            first_attempt_at: None,
            settled_at: None,
            lease_until: 0,
            code: None,
            failure: None,
            problems: None,
        }
    }

    async fn add(db: &Db, n: u32, queue: &'static str) -> bool {
        let done = db.write::<_, DbError, _>(move |tx| {
            Box::pin(async move { enqueue(tx, &delivery(n, queue), Some(b"{}")).await })
        });
        done.await.unwrap()
    }

    /// Ids claimed; with a question mark those that may have arrived.
    async fn claimed(db: &Db, by: &'static str, now: i64) -> Vec<String> {
        let done = db.write::<_, DbError, _>(move |tx| {
            Box::pin(async move { claim(tx, "1319900018", by, now, now + 100, 9).await })
        });
        done.await.unwrap().into_iter().map(|(d, _)| d.id + if d.unsure { "?" } else { "" }).collect()
    }

    async fn settled(db: &Db, id: &'static str, by: &'static str, state: State) -> bool {
        let done = db.write::<_, DbError, _>(move |tx| {
            Box::pin(async move {
                let s = Settled { state: Some(state), not_before: 50, ..Settled::default() };
                settle(tx, id, by, &s, 50).await
            })
        });
        done.await.unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_queue_goes_in_order_and_others_beside_it() {
        for t in testing::databases().await {
            assert!(add(&t.db, 1, "a").await && add(&t.db, 2, "a").await && add(&t.db, 3, "b").await);
            assert!(!add(&t.db, 1, "c").await, "a key stands once");
            let first = claimed(&t.db, "one", 10).await;
            assert_eq!(first, ["0001", "0003"]);
            assert_eq!(claimed(&t.db, "two", 10).await, [""; 0]);
            // Parked, it holds up those behind it; settled, it does not.
            assert!(settled(&t.db, "0001", "one", State::Parked).await);
            assert_eq!(claimed(&t.db, "two", 60).await, [""; 0]);
            let dropped =
                t.db.write::<_, DbError, _>(|tx| Box::pin(async move { discard(tx, "0001", 60).await }));
            assert!(dropped.await.unwrap());
            assert_eq!(claimed(&t.db, "two", 60).await, ["0002"]);
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_somebody_left_may_have_arrived() {
        for t in testing::databases().await {
            add(&t.db, 1, "a").await;
            assert_eq!(claimed(&t.db, "one", 10).await, ["0001"]);
            assert_eq!(claimed(&t.db, "two", 109).await, [""; 0]);
            assert_eq!(claimed(&t.db, "two", 110).await, ["0001?"]);
            assert!(!settled(&t.db, "0001", "one", State::Done).await, "its lease is lost");
            assert!(settled(&t.db, "0001", "two", State::Done).await);
            // Begun, it cannot be taken back as if it had not been.
            let back =
                t.db.write::<_, DbError, _>(|tx| Box::pin(async move { withdraw(tx, "0001", 500).await }));
            assert!(!back.await.unwrap());
        }
    }
}
