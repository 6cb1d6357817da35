//! Work that one gateway does at a time: whoever has the row, until its time is over. Times are passed in,
//! microseconds since 1970; the gateways' clocks must agree to well within a lease.

use crate::store::db::{DbError, Tx, Val};

/// Takes or keeps a lease; false while another holds it.
pub async fn take(tx: &mut Tx<'_>, name: &str, holder: &str, now: i64, until: i64) -> Result<bool, DbError> {
    let done = tx
        .exec(
            "INSERT INTO lease (name, holder, until) VALUES ($1, $2, $3) \
             ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until \
             WHERE lease.holder = excluded.holder OR lease.until <= $4",
            &[Val::Text(name), Val::Text(holder), Val::I64(until), Val::I64(now)],
        )
        .await?;
    Ok(done == 1)
}

/// Gives a lease back, if it is ours.
pub async fn release(tx: &mut Tx<'_>, name: &str, holder: &str) -> Result<(), DbError> {
    let sql = "DELETE FROM lease WHERE name = $1 AND holder = $2";
    tx.exec(sql, &[Val::Text(name), Val::Text(holder)]).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::db::Db;
    use crate::store::testing;

    async fn taken(db: &Db, holder: &'static str, now: i64) -> bool {
        let took: Result<bool, DbError> =
            db.write(move |tx| Box::pin(take(tx, "work", holder, now, now + 100))).await;
        took.unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn one_holds_until_its_time_is_over_or_it_lets_go() {
        for t in testing::databases().await {
            assert!(taken(&t.db, "a", 0).await);
            assert!(!taken(&t.db, "b", 99).await);
            assert!(taken(&t.db, "a", 99).await, "kept on");
            assert!(!taken(&t.db, "b", 198).await);
            assert!(taken(&t.db, "b", 199).await);
            let let_go = |holder: &'static str| {
                t.db.write(move |tx| Box::pin(async move { release(tx, "work", holder).await }))
            };
            let done: Result<(), DbError> = let_go("a").await;
            done.unwrap();
            assert!(!taken(&t.db, "a", 200).await, "it is not a's to give back");
            let done: Result<(), DbError> = let_go("b").await;
            done.unwrap();
            assert!(taken(&t.db, "a", 200).await);
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn of_many_at_once_one_gets_it() {
        for t in testing::databases().await {
            const NAMES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];
            let tasks: Vec<_> = NAMES
                .map(|name| {
                    let db = t.db.clone();
                    tokio::spawn(async move { taken(&db, name, 5).await })
                })
                .into();
            let mut holders = 0;
            for task in tasks {
                holders += usize::from(task.await.unwrap());
            }
            assert_eq!(holders, 1);
        }
    }
}
