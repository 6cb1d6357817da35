//! Writes beside each other in one transaction of PostgreSQL. Its locks are the whole database's, so each test has
//! numbers of its own.

use super::*;

#[derive(Clone)]
enum Act {
    /// Puts a row there, if nobody else in the transaction claims the number.
    Put(&'static str, i64),
    /// Says no, having put something.
    Refuse(&'static str),
    /// Runs what is not made for several.
    Exec(&'static str),
    Panic(&'static str),
}

async fn put_later(tx: &mut Tx<'_>, id: &str) -> Result<(), DbError> {
    tx.later_row(
        "INSERT INTO unique_id (unique_id, kind, patient_key, id, hash, size) SELECT u, 1, 1, u, h, s \
         FROM unnest($1, $2, $3) AS r(u, h, s)",
        "",
        &[id.into(), Val::Null(Ty::Text), Val::Null(Ty::I64)],
    )
    .await
}

async fn act(tx: &mut Tx<'_>, act: &Act) -> Result<usize, Refusal> {
    match act {
        Act::Put(id, number) => {
            tx.lock(vec![*number]).await?;
            // Both questions are asked once for all who ask them, and each hears of its own only.
            let sql = "SELECT v, n FROM unnest($1, $2) AS r(v, n)";
            let heard = tx
                .fetch_ours(sql, &[Val::Texts(&[id]), Val::I64s(&[*number])], |row| {
                    let ours = row.text(0)? == *id;
                    ours.then(|| row.get::<i64>(1)).transpose()
                })
                .await?;
            assert_eq!(heard, [*number]);
            put_later(tx, id).await?;
            Ok(heard.len())
        }
        Act::Refuse(id) => {
            put_later(tx, id).await?;
            Err(Refusal::Rule("no"))
        }
        Act::Exec(id) => Ok(put(tx, id).await? as usize),
        Act::Panic(id) => {
            put_later(tx, id).await?;
            panic!("as expected of {id}")
        }
    }
}

fn write(
    what: Act,
) -> impl for<'t, 'c> Fn(&'t mut Tx<'c>) -> TxFuture<'t, usize, Refusal> + Send + Sync + 'static {
    move |tx| {
        let what = what.clone();
        Box::pin(async move { act(tx, &what).await })
    }
}

async fn beside(t: &TestDb, acts: &[(i64, Act)]) -> Vec<Option<Result<usize, Refusal>>> {
    t.db.write_beside(acts.iter().map(|(number, what)| (vec![*number], write(what.clone()))).collect()).await
}

async fn postgres() -> Option<TestDb> {
    databases().await.into_iter().find(|t| !t.db.groups_commits())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_several_beside_each_other_ends_by_itself() {
    let Some(t) = postgres().await else { return };
    let ends = beside(
        &t,
        &[
            (71_001, Act::Put("b1", 71_101)),
            (71_002, Act::Refuse("b2")),
            (71_003, Act::Exec("b3")),
            (71_004, Act::Put("b4", 71_102)),
            (71_005, Act::Put("b5", 71_101)),
            (71_006, Act::Panic("b6")),
            (71_004, Act::Put("b7", 71_103)),
        ],
    )
    .await;
    assert_eq!(
        ends,
        [Some(Ok(1)), Some(Err(Refusal::Rule("no"))), None, Some(Ok(1)), None, None, None],
        "who comes second, or does more than several may do beside each other, is to be done by itself"
    );
    assert_eq!(count(&t, "b%").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_what_cannot_be_written_together_nothing_is_written() {
    let Some(t) = postgres().await else { return };
    assert_eq!(beside(&t, &[(72_001, Act::Put("c1", 72_001))]).await, [Some(Ok(1))]);
    // A row that is there already spoils the others' as well, but no refusal.
    let ends = beside(
        &t,
        &[(72_002, Act::Put("c2", 72_002)), (72_001, Act::Put("c1", 72_001)), (72_003, Act::Refuse("c3"))],
    )
    .await;
    assert_eq!(ends, [None, None, Some(Err(Refusal::Rule("no")))]);
    assert_eq!(count(&t, "c%").await, 1);
    // The connection is of use again.
    assert_eq!(beside(&t, &[(72_002, Act::Put("c2", 72_002))]).await, [Some(Ok(1))]);
    t.db.close().await;
    let ends = beside(&t, &[(72_002, Act::Put("c4", 72_002))]).await;
    assert!(matches!(ends.as_slice(), [Some(Err(Refusal::Db(e)))] if e.is_away()), "{ends:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_beside_others_waits_for_a_lock_that_another_transaction_holds() {
    let Some(t) = postgres().await else { return };
    let (held, let_go) = (Arc::new(tokio::sync::Notify::new()), Arc::new(tokio::sync::Notify::new()));
    let holding = {
        let (db, held, let_go) = (t.db.clone(), held.clone(), let_go.clone());
        tokio::spawn(async move {
            db.write_holding::<_, DbError, _>(vec![73_007], move |_| {
                let (held, let_go) = (held.clone(), let_go.clone());
                Box::pin(async move {
                    held.notify_one();
                    let_go.notified().await;
                    Ok(())
                })
            })
            .await
        })
    };
    held.notified().await;
    let acts = [
        (73_007, Act::Put("d1", 73_001)),
        (73_008, Act::Put("d2", 73_002)),
        (73_009, Act::Put("d3", 73_007)),
    ];
    assert_eq!(beside(&t, &acts).await, [None, Some(Ok(1)), None]);
    let_go.notify_one();
    holding.await.unwrap().unwrap();
    assert_eq!(count(&t, "d%").await, 1);
}
