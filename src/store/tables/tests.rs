use std::io::Cursor;

use super::*;
use crate::store::db::Db;
use crate::store::{migrate, testing};

async fn tables_of(db: &Db) -> Vec<Table> {
    db.read(|tx| Box::pin(async move { every_table(tx).await }))
        .await
        .unwrap_or_else(|e: DbError| panic!("{e}"))
}

/// Every table that a migration makes is kept, or named with a reason.
#[tokio::test(flavor = "multi_thread")]
async fn no_table_of_the_migrations_is_forgotten() {
    let mut made: Vec<String> = vec![];
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/sqlite")).unwrap() {
        for line in std::fs::read_to_string(entry.unwrap().path()).unwrap().lines() {
            if let Some(rest) = line.strip_prefix("CREATE TABLE ") {
                made.push(rest.split_whitespace().next().unwrap().to_owned());
            }
        }
    }
    made.sort();
    assert!(made.len() > 15, "{made:?}");
    for t in testing::databases().await {
        let kept: Vec<Table> =
            t.db.read(|tx| Box::pin(async move { catalogue(tx).await }))
                .await
                .unwrap_or_else(|e: DbError| panic!("{e}"));
        for name in &made {
            let out = LEFT_OUT.iter().any(|(table, why)| table == name && !why.is_empty());
            assert!(out || kept.iter().any(|t| t.name == *name), "{name}");
        }
        for (name, _) in LEFT_OUT {
            assert!(
                tables_of(&t.db).await.iter().any(|t| t.name == *name),
                "{name} is left out and not there"
            );
        }
        assert!(kept.iter().all(|t| !t.key.is_empty()), "{kept:?}");
    }
}

/// The same rows make the same file on both engines, and the file makes the same rows.
#[tokio::test(flavor = "multi_thread")]
async fn rows_come_back_as_they_were() {
    let mut dumps = vec![];
    for t in testing::databases().await {
        let all = tables_of(&t.db).await;
        let table = all.into_iter().find(|t| t.name == "unique_id").unwrap();
        // More rows than one statement takes, a null in each, and texts that sort by octet.
        let rows: String = (0..200)
            .map(|n| {
                format!(
                    "[\"{n}é\\\"\\n\",1,{},\"i\",{},null]\n",
                    i64::MAX - n,
                    if n % 2 == 0 { "null" } else { "\"h\"" }
                )
            })
            .collect();
        let load = (table.clone(), rows);
        let count =
            t.db.write(move |tx| {
                let (table, rows) = load.clone();
                Box::pin(async move { table.load(tx, "x", &mut Cursor::new(rows)).await })
            })
            .await
            .unwrap();
        assert_eq!(count, 200);
        let dumped =
            t.db.snapshot(move |tx| {
                let table = table.clone();
                Box::pin(async move {
                    let mut out = vec![];
                    table.dump(tx, &mut out).await?;
                    Ok::<_, TableError>(String::from_utf8(out).unwrap())
                })
            })
            .await
            .unwrap();
        assert_eq!(dumped.lines().count(), 200);
        assert!(dumped.contains(&format!("[\"7é\\\"\\n\",1,{},\"i\",\"h\",null]", i64::MAX - 7)), "{dumped}");
        dumps.push(dumped);
    }
    assert!(dumps.windows(2).all(|two| two[0] == two[1]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_is_no_row_is_named() {
    for t in testing::databases().await {
        let table = tables_of(&t.db).await.into_iter().find(|t| t.name == "object_id").unwrap();
        for (line, wanted) in [
            ("nonsense", "JSON"),
            ("[\"a\",1]", "values"),
            ("[1,1,1,null,null]", "id is no Text"),
            ("[\"a\",\"1\",1,null,null]", "kind is no Integer"),
        ] {
            let load = (table.clone(), format!("[\"ok\",1,1,null,null]\n{line}\n"));
            let done =
                t.db.write(move |tx| {
                    let (table, rows) = load.clone();
                    Box::pin(async move { table.load(tx, "object_id.jsonl", &mut Cursor::new(rows)).await })
                })
                .await;
            let Err(TableError::Line { file, line: 2, message }) = done else { panic!("{line}: {done:?}") };
            assert!(file == "object_id.jsonl" && message.contains(wanted), "{message}");
        }
        // Nothing of it stays.
        let count: Result<i64, DbError> =
            t.db.read(|tx| {
                Box::pin(
                    async move { tx.fetch_one("SELECT COUNT(*) FROM object_id", &[], |r| r.get(0)).await },
                )
            })
            .await;
        assert_eq!(count, Ok(0));
    }
}

/// Rows of `object_id` as a database of the first migration has them, and the tables of that time.
async fn old_rows(config: &crate::config::DatabaseConfig) -> (Vec<Applied>, Vec<Table>) {
    migrate::apply_oldest(config, 5, 1).await.unwrap();
    let db = Db::open_unchecked(config).await.unwrap();
    let found = db
        .read(|tx| Box::pin(async move { Ok::<_, DbError>((applied(tx).await?, catalogue(tx).await?)) }))
        .await
        .unwrap();
    db.close().await;
    found
}

fn filling(migrations: Vec<Applied>, tables: Vec<Table>) -> Filling {
    Filling {
        migrations,
        tables,
        source: Box::new(|table| {
            let rows = if table.name == "object_id" { "[\"urn:uuid:1\",1,7]\n" } else { "" };
            Ok(Box::new(Cursor::new(rows)))
        }),
        progress: Box::new(|_, _| {}),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_an_older_schema_are_brought_to_this_one() {
    for ((old, _a), (new, _b)) in testing::places().await.into_iter().zip(testing::places().await) {
        let (migrations, tables) = old_rows(&old).await;
        assert_eq!(migrations.len(), 1);
        is_empty(&new).await.unwrap();
        fill(&new, filling(migrations.clone(), tables.clone()), 9).await.unwrap();
        let db = Db::open(&new).await.unwrap();
        let (row, now) = db
            .read(|tx| {
                Box::pin(async move {
                    let sql = "SELECT patient_key, removed_at FROM object_id";
                    let row = tx.fetch_one(sql, &[], |r| Ok((r.get(0)?, r.get(1)?))).await?;
                    Ok::<(_, Vec<Applied>), DbError>((row, applied(tx).await?))
                })
            })
            .await
            .unwrap();
        db.close().await;
        assert_eq!(row, (7, None::<i64>));
        // The history began when it began there; later steps are of now.
        assert_eq!((now[0].applied_at, now[1].applied_at), (5, 9));
        let again = is_empty(&new).await;
        assert!(
            matches!(again, Err(Refused::Table(TableError::NotEmpty(ref t))) if t == "object_id"),
            "{again:?}"
        );
        // Tables that are further on than the rows are not taken back.
        let ahead = fill(&new, filling(migrations, tables), 9).await;
        assert!(matches!(ahead, Err(Refused::Ahead(_))), "{ahead:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_do_not_fit_are_refused_and_leave_nothing() {
    for ((old, _a), (new, _b)) in testing::places().await.into_iter().zip(testing::places().await) {
        let (migrations, tables) = old_rows(&old).await;
        let later = Applied { id: 9999, name: "9999_later".into(), applied_at: 1 };
        let newer = [migrations.clone(), vec![later]].concat();
        let refused = fill(&new, filling(newer, tables.clone()), 9).await;
        assert!(matches!(refused, Err(Refused::Newer(ref name)) if name == "9999_later"), "{refused:?}");
        // A name that is no table's goes into no statement.
        let mut strange = tables.clone();
        strange.push(Table { name: "x\"; DROP TABLE patient; --".into(), ..tables[0].clone() });
        let refused = fill(&new, filling(migrations, strange), 9).await;
        assert!(matches!(refused, Err(Refused::Shape(_))), "{refused:?}");
        is_empty(&new).await.unwrap();
    }
}
