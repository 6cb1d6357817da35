use super::*;
use crate::store::db::Db;
use crate::store::testing;

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_database_needs_every_step_and_then_none() {
    for (config, _dir) in testing::places().await {
        let before = pending(&config).await.unwrap();
        assert_eq!(before.pending().count(), STEPS.len());
        assert!(matches!(Db::open(&config).await.err(), Some(DbError::Schema(_))));

        let report = apply(&config, 7).await.unwrap();
        assert_eq!((report.applied_now, report.pending().count()), (STEPS.len(), 0));
        assert!(report.migrations.iter().all(|m| m.applied_at == Some(7)));

        let again = apply(&config, 8).await.unwrap();
        assert_eq!(again.applied_now, 0);
        assert_eq!(again.migrations, report.migrations);
        Db::open(&config).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_starting_together_apply_each_step_once() {
    for (config, _dir) in testing::places().await {
        let tasks: Vec<_> = (0..6)
            .map(|n| {
                let config = config.clone();
                tokio::spawn(async move { apply(&config, n).await.unwrap().applied_now })
            })
            .collect();
        let mut applied = 0;
        for task in tasks {
            applied += task.await.unwrap();
        }
        assert_eq!(applied, STEPS.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_database_is_refused() {
    for t in testing::databases().await {
        t.db.write(|tx| {
            Box::pin(async move {
                tx.exec(
                    "INSERT INTO schema_version (id, name, applied_at) VALUES ($1, '9999_later', $1)",
                    &[Val::I64(9999)],
                )
                .await
            })
        })
        .await
        .unwrap();
        assert!(matches!(pending(&t.config).await, Err(DbError::Schema(_))));
        assert!(matches!(apply(&t.config, 1).await, Err(DbError::Schema(_))));
        assert!(matches!(Db::open(&t.config).await.err(), Some(DbError::Schema(_))));
    }
}

/// Tables, columns, types and NOT NULL are the same in both directories.
#[cfg(all(feature = "sqlite", feature = "postgres"))]
#[tokio::test(flavor = "multi_thread")]
async fn both_engines_have_the_same_tables() {
    let all = testing::databases().await;
    let [sqlite, postgres] = &all[..] else { return };
    let lite: Vec<(String, String, String, i64)> = columns(
        &sqlite.db,
        "SELECT m.name, c.name, CASE c.type WHEN 'INTEGER' THEN 'bigint' WHEN 'BLOB' THEN 'bytea' ELSE lower(c.type) END,
                c.\"notnull\"
         FROM sqlite_schema m, pragma_table_info(m.name) c
         WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' ORDER BY 1, c.cid",
    )
    .await;
    let pg = columns(
        &postgres.db,
        "SELECT CAST(table_name AS TEXT), CAST(column_name AS TEXT), CAST(data_type AS TEXT),
                CAST(CASE is_nullable WHEN 'NO' THEN 1 ELSE 0 END AS BIGINT)
         FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)
         WHERE table_schema = current_schema() AND table_type = 'BASE TABLE'
         ORDER BY table_name COLLATE \"C\", ordinal_position",
    )
    .await;
    // SQLite keeps the type of schema_version as it was written.
    let fold = |rows: Vec<(String, String, String, i64)>| -> Vec<_> {
        rows.into_iter().filter(|r| r.0 != "schema_version").collect()
    };
    let (lite, pg) = (fold(lite), fold(pg));
    assert!(lite.len() > 80);
    assert_eq!(lite, pg);

    let names =
        |rows: Vec<(String, String, String, i64)>| -> Vec<_> { rows.into_iter().map(|r| r.0).collect() };
    let lite = names(
        columns(
            &sqlite.db,
            "SELECT name, '', '', 0 FROM sqlite_schema
             WHERE type = 'index' AND name NOT LIKE 'sqlite_%' ORDER BY 1",
        )
        .await,
    );
    let pg = names(
        columns(
            &postgres.db,
            "SELECT CAST(indexname AS TEXT), '', '', CAST(0 AS BIGINT) FROM pg_indexes
             WHERE schemaname = current_schema() AND indexname NOT LIKE '%_pkey' AND indexname NOT LIKE '%_key'
             ORDER BY indexname COLLATE \"C\"",
        )
        .await,
    );
    assert_eq!(lite, pg);
}

#[cfg(all(feature = "sqlite", feature = "postgres"))]
async fn columns(db: &Db, sql: &'static str) -> Vec<(String, String, String, i64)> {
    db.read(move |tx| {
        Box::pin(async move {
            tx.fetch(sql, &[], |r| Ok::<_, DbError>((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?))).await
        })
    })
    .await
    .unwrap_or_else(|e: DbError| panic!("{e}"))
}

/// The frozen statistics do their work: a query that knows the patient starts with the patient.
#[cfg(feature = "sqlite")]
#[tokio::test(flavor = "multi_thread")]
async fn plans_begin_with_the_patient() {
    let (config, _dir) = testing::sqlite();
    apply(&config, 1).await.unwrap();
    let db = Db::open(&config).await.unwrap();
    let plan = async |sql: &'static str| -> String {
        let rows: Result<Vec<String>, DbError> = db
            .read(move |tx| {
                Box::pin(async move {
                    let args: Vec<Val<'_>> = (0..9).map(|_| Val::Text("x")).collect();
                    tx.fetch(sql, &args, |r| r.get::<String>(3)).await
                })
            })
            .await;
        rows.unwrap().join("; ")
    };
    let with_patient = plan(
        "EXPLAIN QUERY PLAN SELECT d.body FROM document_entry d
         WHERE d.patient_key = $1 AND d.status IN ($2, $3) AND d.class_code IN ($4, $5)
           AND d.facility_type_code IN ($6) AND d.creation_time >= $7 AND d.creation_time < $8
           AND EXISTS (SELECT 1 FROM document_code c WHERE c.patient_key = d.patient_key AND c.entry_id = d.id
                       AND c.attribute = 1 AND c.code IN ($9))",
    )
    .await;
    assert!(with_patient.contains("document_entry_time (patient_key=?"), "{with_patient}");
    assert!(with_patient.contains("patient_key=? AND entry_id=?"), "{with_patient}");
    let without = plan(
        "EXPLAIN QUERY PLAN SELECT d.body FROM document_entry d WHERE d.class_code IN ($1, $2) AND d.status = $3",
    )
    .await;
    assert!(without.contains("document_entry_class"), "{without}");
    let events = plan(
        "EXPLAIN QUERY PLAN SELECT d.body FROM document_code c JOIN document_entry d
         ON d.patient_key = c.patient_key AND d.id = c.entry_id WHERE c.attribute = 1 AND c.code IN ($1, $2)",
    )
    .await;
    assert!(events.contains("document_code_event (code=?)"), "{events}");
}
