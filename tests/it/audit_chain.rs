//! The chain over the audit trail: every alteration is found and named; gateways beside each other make one chain;
//! purging leaves a chain that holds; commands say so.

use chiren::app::trail_of;
use chiren::model::audit::{AuditEvent, kinds};
use chiren::service::audit::trail::{Broken, Trail, Verified};
use chiren::service::context::{Context, time_uuid};
use chiren::store::db::{DbError, Val};
use tempfile::TempDir;

use crate::support::Gateway;
use crate::support::process::{chiren, write_config};
use crate::support::samples::*;

fn key_file(dir: &std::path::Path) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let path = dir.join("audit.keys");
    std::fs::write(&path, "07".repeat(32)).expect("a key");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("a mode");
    path
}

/// A gateway with a key and checkpoints, and some chained records.
async fn chained() -> (Gateway, TempDir) {
    let outside = tempfile::tempdir().expect("a directory");
    let gateway = Gateway::start_with(|c| {
        c.audit.key_file = Some(key_file(outside.path()));
        c.audit.checkpoints = Some(outside.path().join("checkpoints"));
    })
    .await;
    for _ in 0..5 {
        gateway.soap().query(&find_documents(PATIENT)).await.assert_success();
        gateway.tick();
        chain(&gateway).await;
    }
    (gateway, outside)
}

async fn chain(gateway: &Gateway) {
    trail(gateway).chain(gateway.clock.now().as_microsecond()).await.expect("chained");
}

fn trail(gateway: &Gateway) -> Trail {
    gateway.rooms().trail.clone()
}

async fn verified(gateway: &Gateway) -> Verified {
    trail(gateway).verify().await.expect("verified")
}

/// What somebody does to the database behind our back.
async fn tamper(gateway: &Gateway, sql: &'static str, args: Vec<String>) {
    let done: Result<u64, DbError> = gateway
        .rooms()
        .db
        .write(move |tx| {
            let args = args.clone();
            Box::pin(async move {
                let args: Vec<Val<'_>> = args.iter().map(|a| Val::Text(a)).collect();
                tx.exec(sql, &args).await
            })
        })
        .await;
    assert!(done.expect("done") > 0, "{sql}");
}

/// Notes a record as one of ours that is to be chained.
async fn wait_for_chain(gateway: &Gateway, id: &str) {
    tamper(gateway, "INSERT INTO audit_waiting (chain, id) VALUES ('own', $1)", vec![id.into()]).await;
}

/// The third query's id.
async fn third(gateway: &Gateway) -> String {
    gateway.audit().await.into_iter().filter(|e| e.transaction == "ITI-18").nth(2).expect("a third").id
}

#[tokio::test]
async fn a_whole_chain_holds_and_a_key_vouches_for_it() {
    let (gateway, _outside) = chained().await;
    let found = verified(&gateway).await;
    assert_eq!(found.broken, []);
    let own = &found.chains[0];
    assert_eq!((own.chain, own.waiting), ("own", 0));
    assert!(own.records >= 7 && own.segments >= 5 && own.vouched == own.segments, "{own:?}");
    assert!(found.checkpoints > 0);
}

#[tokio::test]
async fn what_is_altered_deleted_or_inserted_is_named() {
    let (gateway, _outside) = chained().await;
    let id = third(&gateway).await;
    let sql = "UPDATE audit_event SET body = replace(body, 'Success', 'MinorFailure') WHERE id = $1";
    tamper(&gateway, sql, vec![id.clone()]).await;
    let broken = verified(&gateway).await.broken;
    assert_eq!(broken.len(), 1, "{broken:?}");
    assert_eq!((broken[0].broken, broken[0].id.as_deref()), (Broken::Altered, Some(id.as_str())));
    let seq = broken[0].seq;

    let (gateway, _outside) = chained().await;
    let id = third(&gateway).await;
    tamper(&gateway, "DELETE FROM audit_event WHERE id = $1", vec![id.clone()]).await;
    let broken = verified(&gateway).await.broken;
    assert_eq!(broken.len(), 1);
    assert_eq!(
        (broken[0].broken, broken[0].id.as_deref(), broken[0].seq),
        (Broken::Deleted, Some(id.as_str()), seq)
    );

    let (gateway, _outside) = chained().await;
    let event = AuditEvent { id: time_uuid(gateway.clock.now()).to_string(), ..AuditEvent::default() };
    let (id, body) = (event.id.clone(), serde_json::to_string(&event).expect("JSON"));
    let sql =
        "INSERT INTO audit_event (id, at, transaction_code, outcome, body) VALUES ($1, 1, 'ITI-43', 0, $2)";
    tamper(&gateway, sql, vec![id.clone(), body]).await;
    let broken = verified(&gateway).await.broken;
    assert_eq!(broken.len(), 1);
    assert_eq!(
        (broken[0].broken, broken[0].id.as_deref(), broken[0].seq),
        (Broken::Inserted, Some(id.as_str()), None)
    );
}

#[tokio::test]
async fn who_rewrites_the_chain_itself_has_not_the_key() {
    let (gateway, _outside) = chained().await;
    // A segment in the middle, with its records.
    tamper(
        &gateway,
        "DELETE FROM audit_segment WHERE chain = 'own' AND first_seq = (SELECT MAX(first_seq) FROM audit_segment \
         WHERE chain = $1 AND first_seq < (SELECT MAX(first_seq) FROM audit_segment WHERE chain = $1))",
        vec!["own".into()],
    )
    .await;
    assert!(verified(&gateway).await.broken.iter().any(|b| b.broken == Broken::Torn));

    let (gateway, _outside) = chained().await;
    tamper(
        &gateway,
        "UPDATE audit_segment SET mac = NULL WHERE chain = $1 AND first_seq > 1",
        vec!["own".into()],
    )
    .await;
    assert!(verified(&gateway).await.broken.iter().any(|b| b.broken == Broken::Unvouched));
    let sql = "UPDATE audit_segment SET mac = $2 WHERE chain = $1";
    tamper(&gateway, sql, vec!["own".into(), "00".repeat(32)]).await;
    assert!(verified(&gateway).await.broken.iter().all(|b| b.broken == Broken::Unvouched));
}

#[tokio::test]
async fn an_end_that_was_cut_off_is_seen_from_outside() {
    let (gateway, _outside) = chained().await;
    gateway.clock.advance(jiff::SignedDuration::from_mins(11));
    gateway.soap().query(&find_documents(PATIENT)).await.assert_success();
    chain(&gateway).await;
    assert_eq!(verified(&gateway).await.broken, []);
    let last = gateway.audit().await.pop().expect("a record").id;
    tamper(&gateway, "DELETE FROM audit_event WHERE id = $1", vec![last]).await;
    let sql = "DELETE FROM audit_segment WHERE chain = $1 AND first_seq = (SELECT MAX(first_seq) FROM audit_segment \
               WHERE chain = $1)";
    tamper(&gateway, sql, vec!["own".into()]).await;
    let broken = verified(&gateway).await.broken;
    assert!(broken.iter().any(|b| b.broken == Broken::OtherThanCheckpoint), "{broken:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn gateways_beside_each_other_make_one_chain_and_late_commits_come_in() {
    let gateway = Gateway::start().await;
    let trails: Vec<Trail> =
        (0..3).map(|_| trail_of(&gateway.config, &gateway.rooms().db).expect("a trail")).collect();
    let writing = async {
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..120 {
            let soap = gateway.soap();
            tasks
                .spawn(async move { soap.query(&find_documents(&format!("q{n}^^^&{AUTHORITY}&ISO"))).await });
            if n % 8 == 7 {
                while tasks.join_next().await.is_some() {}
            }
        }
        while tasks.join_next().await.is_some() {}
    };
    let chaining = async {
        for n in 0..60 {
            let (a, b, c) = tokio::join!(trails[0].chain(n), trails[1].chain(n), trails[2].chain(n));
            a.expect("a");
            b.expect("b");
            c.expect("c");
            tokio::task::yield_now().await;
        }
    };
    tokio::join!(writing, chaining);
    // One whose id is older than all that is chained.
    let old = AuditEvent {
        id: "00000000-0001-7000-8000-000000000001".into(),
        transaction: "ITI-43".into(),
        ..AuditEvent::default()
    };
    let body = serde_json::to_string(&old).expect("JSON");
    let sql = "INSERT INTO audit_event (id, at, transaction_code, outcome, body) \
               VALUES ($1, 1, 'ITI-43', 0, $2)";
    tamper(&gateway, sql, vec![old.id.clone(), body]).await;
    wait_for_chain(&gateway, &old.id).await;
    chain(&gateway).await;
    let found = verified(&gateway).await;
    assert_eq!(found.broken, []);
    let rows: i64 = gateway
        .rooms()
        .db
        .read::<_, DbError, _>(|tx| {
            Box::pin(async move {
                tx.fetch_one("SELECT CAST(COUNT(*) AS BIGINT) FROM audit_event", &[], |row| row.get(0)).await
            })
        })
        .await
        .expect("a count");
    assert_eq!((found.chains[0].records, found.chains[0].waiting), (u64::try_from(rows).expect("some"), 0));
}

#[tokio::test]
async fn whole_segments_are_purged_and_the_purge_is_told() {
    let (gateway, _outside) = chained().await;
    let context = Context::of_operator("audit purge", Some("root"), gateway.clock.now());
    let before = third(&gateway).await;
    let at = gateway.audit().await.into_iter().find(|e| e.id == before).expect("it").at;
    let purged = trail(&gateway).purge(&context, at).await.expect("purged");
    assert!(purged[0].1 >= 4, "{purged:?}");
    chain(&gateway).await;
    let found = verified(&gateway).await;
    assert_eq!(found.broken, []);
    assert_eq!(found.chains[0].purged, purged[0].1);
    assert!(gateway.audit().await.iter().any(|e| e.transaction == "audit purge"));
    // A purge that nobody told of.
    let sql = "UPDATE audit_segment SET purged_at = 1, links = '' WHERE chain = $1 AND first_seq = (SELECT MIN(first_seq) \
               FROM audit_segment WHERE chain = $1 AND purged_at IS NULL)";
    tamper(&gateway, sql, vec!["own".into()]).await;
    let broken = verified(&gateway).await.broken;
    assert!(broken.iter().any(|b| b.broken == Broken::PurgedUnsaid), "{broken:?}");
}

#[tokio::test]
async fn records_of_older_programs_are_chained_and_read() {
    let gateway = Gateway::start().await;
    let json = r#"{"id":"019ac0de-5e2f-7cc1-9a5e-3f6c6c1f0a11","at":1764000000000000,"transaction":"ITI-43",
        "outcome":"Success","requestId":"r","caller":{"address":"10.0.0.1","listener":"soap"},"documents":["1.1"]}"#;
    let sql = "INSERT INTO audit_event (id, at, transaction_code, outcome, body) \
               VALUES ('019ac0de-5e2f-7cc1-9a5e-3f6c6c1f0a11', 1764000000000000, 'ITI-43', 0, $1)";
    tamper(&gateway, sql, vec![json.into()]).await;
    wait_for_chain(&gateway, "019ac0de-5e2f-7cc1-9a5e-3f6c6c1f0a11").await;
    chain(&gateway).await;
    assert_eq!(verified(&gateway).await.broken, []);
    assert!(gateway.audit().await.iter().any(|e| e.documents == ["1.1"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_verify_tell_and_export() {
    let (gateway, _outside) = chained().await;
    let config = write_config(gateway.dir.path(), &gateway.config);
    let run = |arguments: &[&str]| {
        let mut command = chiren();
        command.arg("audit").args(arguments).arg("--config").arg(&config);
        command.output().expect("the program runs")
    };
    let text = |output: &std::process::Output| String::from_utf8_lossy(&output.stdout).into_owned();
    let verified = run(&["verify"]);
    assert_eq!(verified.status.code(), Some(0), "{}", text(&verified));
    let bare = PATIENT.split('^').next().expect("an id");
    let told = run(&["patient", bare]);
    let told = text(&told);
    assert!(
        told.contains("文書の一覧を検索した") && told.contains("何のために") && !told.contains("ITI-18"),
        "{told}"
    );
    let csv = gateway.dir.path().join("audit.csv");
    let path = csv.to_str().expect("a path");
    assert!(run(&["export", "--transaction", "ITI-18", "--output", path]).status.success());
    let csv = std::fs::read_to_string(&csv).expect("a file");
    assert_eq!(csv.lines().count(), 1 + 5, "{csv}");
    assert!(csv.starts_with("\u{feff}time_utc,time_jst,"));
    let json = text(&run(&["export", "--format", "json", "--transaction", "ITI-18"]));
    assert_eq!(json.lines().filter(|l| l.starts_with('{')).count(), 5);
    let list = text(&run(&["list", "--transaction", "ITI-18", "--json", "--limit", "2"]));
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&list).expect("JSON").as_array().map(Vec::len),
        Some(2)
    );
    // Whoever read left a record.
    let read = gateway.audit().await.iter().filter(|e| e.transaction == kinds::AUDIT_READ).count();
    assert_eq!(read, 4);
    let id = third(&gateway).await;
    tamper(&gateway, "UPDATE audit_event SET body = '{}' WHERE id = $1", vec![id.clone()]).await;
    let broken = run(&["verify"]);
    assert_eq!(broken.status.code(), Some(4));
    assert!(text(&broken).contains(&id));
}

/// A citizen knows one number of theirs; what is told is of all of them.
#[tokio::test(flavor = "multi_thread")]
async fn who_looked_is_told_for_every_id_of_a_person() {
    use crate::mpi_v3::{fed, gateway_with, message, misaki};
    use crate::support::mllp::{HOSPA, HOSPB};
    use chiren::wire::hl7v3::{Ii, feed};
    let gateway = gateway_with(|_| {}).await;
    let ids = [Ii::with(HOSPA, "A1"), Ii::with(HOSPB, "B1")];
    assert_eq!(fed(&gateway, &message(feed::ADDED, &ids, &misaki(), None)).await.code, "AA");
    let other = [Ii::with(HOSPA, "A2")];
    assert_eq!(fed(&gateway, &message(feed::ADDED, &other, &misaki(), None)).await.code, "AA");
    gateway.tick();
    let merge = message(feed::RESOLVED, &ids[..1], &misaki(), Some(&other[0]));
    assert_eq!(fed(&gateway, &merge).await.code, "AA");
    let network = crate::xcpd::network_id(&gateway, HOSPA, "A1").await;
    gateway.soap().query(&find_documents(&format!("{network}^^^&{AUTHORITY}&ISO"))).await;
    let config = write_config(gateway.dir.path(), &gateway.config);
    for asked in [network.clone(), format!("A1^^^&{HOSPA}&ISO"), format!("A2^^^&{HOSPA}&ISO")] {
        let mut command = chiren();
        command.args(["audit", "patient", &asked]).arg("--config").arg(&config);
        let output = command.output().expect("the program runs");
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        for id in [format!("A1^^^&{HOSPA}&ISO"), format!("A2^^^&{HOSPA}&ISO"), format!("B1^^^&{HOSPB}&ISO")] {
            assert!(told.contains(&id), "{asked}: {told}");
        }
        assert!(told.contains("文書の一覧を検索した"), "{asked}: {told}");
    }
}
