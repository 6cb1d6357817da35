//! A PostgreSQL that is away, hangs, is slow, refuses or loses connections, at the worst of moments: what is answered
//! is true, nothing acknowledged is lost, nothing half-done stays, and work goes on by itself.

use std::time::Duration;

use chiren::config::Config;
use chiren::model::audit::Outcome;
use chiren::model::metadata::{AvailabilityStatus, Submission};
use http::{StatusCode, header};
use sqlx::{Connection as _, Executor as _, PgConnection, Row as _};

use crate::support::postgres::Server;
use crate::support::process::{Process, write_config};
use crate::support::proxy::{Mode, Proxy};
use crate::support::raw::connect;
use crate::support::samples::*;
use crate::support::updates::{status_of, update};
use crate::support::{Answer, Gateway, Soap, gateway};

/// A configuration for PostgreSQL behind a proxy; none, which is said, where the suite runs on SQLite.
async fn behind_proxy(dir: &tempfile::TempDir) -> Option<(Config, Proxy)> {
    let mut config = gateway::config(dir).await;
    if !config.database.url.starts_with("postgres") {
        eprintln!("skipped: SQLite has no connection to lose; TEST_DATABASE_URL names a PostgreSQL");
        return None;
    }
    let (proxy, url) = Proxy::before(&config.database.url).await;
    config.database.url = url;
    config.database.acquire_timeout_s = 1;
    Some((config, proxy))
}

async fn start() -> Option<(Gateway, Proxy)> {
    start_with(|_| {}).await
}

async fn start_with(change: impl FnOnce(&mut Config)) -> Option<(Gateway, Proxy)> {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut config, proxy) = behind_proxy(&dir).await?;
    // Cuts are meant for requests.
    config.audit.chain_milliseconds = 3_600_000;
    change(&mut config);
    Some((Gateway::start_in(dir, config).await, proxy))
}

/// A connection of a test's own to the gateway's tables.
async fn beside(gateway: &Gateway) -> PgConnection {
    PgConnection::connect(&gateway.config.database.url).await.expect("a connection")
}

fn bare() -> Submission {
    let mut s = submission();
    (s.document_entries[0].hash, s.document_entries[0].size) = (None, None);
    s
}

async fn ready(gateway: &Gateway) -> (StatusCode, String) {
    let mut connection = connect(gateway.ops).await;
    let answer = connection.exchange(b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let answer = answer.expect("an answer");
    (answer.status, answer.text())
}

/// Refused for now: nothing was changed, and when to come again.
#[track_caller]
fn assert_later(answer: &Answer, code: &str, seconds: &str) {
    answer.assert_failure(&[code]);
    assert!(answer.envelope.contains("nothing was changed"), "{}", answer.envelope);
    assert_eq!(answer.headers.get(header::RETRY_AFTER).map(|v| v.as_bytes()), Some(seconds.as_bytes()));
}

/// Nobody knows: whoever asked must look, and finds the reference in our log.
#[track_caller]
fn assert_unknown(answer: &Answer, code: &str) {
    answer.assert_failure(&[code]);
    let reference = answer.headers["x-request-id"].to_str().expect("an id");
    let said = &answer.envelope;
    assert!(said.contains("must be looked up") && said.contains(reference), "{said}");
    assert!(!answer.headers.contains_key(header::RETRY_AFTER));
}

async fn successes(gateway: &Gateway, set: &str) -> usize {
    let events = gateway.audit().await;
    let of_set = |e: &&chiren::model::audit::AuditEvent| e.submission_set.as_deref() == Some(set);
    events.iter().filter(of_set).filter(|e| e.outcome == Outcome::Success).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_is_lost_is_reported_as_unknown() {
    let Some((gateway, proxy)) = start().await else { return };
    let soap = gateway.soap();
    for (mode, done) in [(Mode::CutBeforeCommit, false), (Mode::CutAfterCommit, true)] {
        let registered = submission();
        proxy.set(mode);
        assert_unknown(&soap.register(&registered).await, "XDSRegistryError");
        let provided = bare();
        proxy.set(mode);
        assert_unknown(&soap.provide(&provided, &[("DE", b"octets")]).await, "XDSRepositoryError");
        // Looked up: it is there whole, or not at all.
        for s in [&registered, &provided] {
            let entry = &s.document_entries[0].unique_id;
            let found = soap.query(&find_documents(PATIENT)).await.entries();
            assert_eq!(found.iter().filter(|e| &e.unique_id == entry).count(), usize::from(done));
            assert_eq!(successes(&gateway, &s.submission_set.unique_id).await, usize::from(done));
        }
        let document = soap.retrieve(REPOSITORY, &[&provided.document_entries[0].unique_id]).await;
        assert_eq!(document.documents().len(), usize::from(done));
        // Sent again, it is stored, or known as the one that was.
        let again = soap.register(&registered).await;
        match done {
            true => again.assert_failure(&["XDSDuplicateUniqueIdInRegistry"]),
            false => again.assert_success(),
        }

        // An update, and a removal.
        let entry = soap.query(&find_documents(PATIENT)).await.entries().remove(0);
        let (approved, deprecated) = (AvailabilityStatus::Approved, AvailabilityStatus::Deprecated);
        let deprecate = status_of(update(), &entry.entry_uuid, approved, deprecated);
        proxy.set(mode);
        assert_unknown(&soap.update(&deprecate).await, "XDSRegistryError");
        let left = soap.query(&find_documents(PATIENT)).await.entries();
        assert_eq!(left.iter().any(|e| e.entry_uuid == entry.entry_uuid), !done);
        let all: Vec<String> = gateway.all(PATIENT).await.iter().map(|o| o.id().to_owned()).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        proxy.set(mode);
        assert_unknown(&soap.remove(&all).await, "XDSRegistryError");
        assert_eq!(gateway.all(PATIENT).await.len(), if done { 0 } else { all.len() });
    }
    assert_eq!(proxy.cuts_at_commit(), 8);
    let unknown = gateway.audit().await.into_iter().filter(|e| e.errors == ["unavailable: database"]).count();
    assert_eq!(unknown, 8);
    gateway.assert_verified().await;
}

/// Holds the patient's row so that whoever writes waits there.
async fn hold(connection: &mut PgConnection) {
    connection.execute("BEGIN").await.expect("BEGIN");
    let sql = format!("SELECT 1 FROM patient WHERE pid = '{PATIENT}' FOR UPDATE");
    connection.execute(sqlx::AssertSqlSafe(sql)).await.expect("the patient is held");
}

/// Waits until a session waits for this one; its process.
async fn waiter(connection: &mut PgConnection, other: &mut PgConnection) -> i32 {
    let me: i32 = connection.fetch_one("SELECT pg_backend_pid()").await.expect("a pid").get(0);
    let sql = format!("SELECT pid FROM pg_stat_activity WHERE {me} = ANY(pg_blocking_pids(pid))");
    loop {
        let found = other.fetch_optional(sqlx::AssertSqlSafe(sql.clone())).await.expect("an answer");
        if let Some(row) = found {
            return row.get(0);
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_loses_its_connection_before_commit_is_begun_anew() {
    let Some((gateway, proxy)) = start_with(|c| c.database.acquire_timeout_s = 30).await else { return };
    let direct = gateway.config.database.url.clone();
    let (mut holder, mut other) = (beside(&gateway).await, beside(&gateway).await);
    // By an administrator, and by the network.
    let s = submission();
    hold(&mut holder).await;
    let sent = tokio::spawn({
        let (soap, s) = (gateway.soap(), s.clone());
        async move { soap.register(&s).await }
    });
    let victim = waiter(&mut holder, &mut other).await;
    let end = format!("SELECT pg_terminate_backend({victim})");
    other.execute(sqlx::AssertSqlSafe(end)).await.expect("ended");
    while waiter(&mut holder, &mut other).await == victim {}
    assert!(!sent.is_finished());
    // Everything through the proxy falls, this test's connections among it.
    drop((holder, other));
    proxy.cut();
    sent.await.expect("an answer").assert_success();
    assert_eq!(successes(&gateway, &s.submission_set.unique_id).await, 1);
    assert_eq!(gateway.soap().query(&find_documents(PATIENT)).await.entries().len(), 1);
    assert_eq!(direct, gateway.config.database.url);
}

/// A real deadlock: we hold a uniqueId the submission will claim, it holds the patient we then ask for. PostgreSQL
/// ends the submission's transaction (40P01), for we have more patience; it is tried again when we are gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadlock_is_tried_again() {
    let Some((gateway, _proxy)) = start().await else { return };
    let (mut holder, mut other) = (beside(&gateway).await, beside(&gateway).await);
    let s = submission();
    let unique_id = &s.submission_set.unique_id;
    holder.execute("SET deadlock_timeout = '60s'").await.expect("a superuser");
    holder.execute("BEGIN").await.expect("BEGIN");
    let claim = format!(
        "INSERT INTO unique_id (unique_id, kind, patient_key, id) VALUES ('{unique_id}', 2, 1, 'urn:uuid:x')"
    );
    holder.execute(sqlx::AssertSqlSafe(claim)).await.expect("claimed");
    let sent = tokio::spawn({
        let (soap, s) = (gateway.soap(), s.clone());
        async move { soap.register(&s).await }
    });
    waiter(&mut holder, &mut other).await;
    let ask = format!("SELECT 1 FROM patient WHERE pid = '{PATIENT}' FOR UPDATE");
    // That this comes back shows that the submission's transaction was ended; its second waits for us now.
    holder.execute(sqlx::AssertSqlSafe(ask)).await.expect("the patient is ours");
    waiter(&mut holder, &mut other).await;
    assert!(!sent.is_finished());
    holder.execute("ROLLBACK").await.expect("gone");
    sent.await.expect("an answer").assert_success();
    assert_eq!(successes(&gateway, unique_id).await, 1);
}

/// Serialization failures (40001) as PostgreSQL reports them, three in a row; a sequence counts them, for it keeps
/// its number when a transaction is undone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serialization_failures_are_tried_again_but_not_for_ever() {
    let Some((gateway, _proxy)) = start().await else { return };
    let mut connection = beside(&gateway).await;
    let prepare = "CREATE SEQUENCE tries;
        CREATE TABLE failing (times BIGINT);
        INSERT INTO failing VALUES (3);
        CREATE FUNCTION collide() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF nextval('tries') <= (SELECT times FROM failing) THEN
                RAISE EXCEPTION 'could not serialize access' USING ERRCODE = '40001';
            END IF; RETURN NEW; END $$;
        CREATE TRIGGER collide BEFORE INSERT ON submission_set FOR EACH ROW EXECUTE FUNCTION collide()";
    sqlx::raw_sql(prepare).execute(&mut connection).await.expect("prepared");
    let s = submission();
    gateway.soap().register(&s).await.assert_success();
    let tries: i64 = connection.fetch_one("SELECT last_value FROM tries").await.unwrap().get(0);
    assert_eq!((tries, successes(&gateway, &s.submission_set.unique_id).await), (4, 1));
    connection.execute("UPDATE failing SET times = 1000000").await.expect("endless");
    assert_later(&gateway.soap().register(&submission()).await, "XDSRegistryBusy", "2");
    assert_eq!(gateway.soap().query(&find_documents(PATIENT)).await.entries().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_away_is_said_so_and_work_goes_on_when_it_is_back() {
    let Some((gateway, mut proxy)) = start().await else { return };
    let (soap, before) = (gateway.soap(), bare());
    soap.provide(&before, &[("DE", b"before")]).await.assert_success();
    let id = before.document_entries[0].unique_id.as_str();
    proxy.close().await;
    let (status, said) = ready(&gateway).await;
    assert_eq!(status, 503);
    assert!(said.contains("database: "), "{said}");
    let (registered, provided) = (submission(), bare());
    assert_later(&soap.query(&find_documents(PATIENT)).await, "XDSRegistryBusy", "30");
    assert_later(&soap.register(&registered).await, "XDSRegistryBusy", "30");
    assert_later(&soap.provide(&provided, &[("DE", b"in vain")]).await, "XDSRepositoryBusy", "30");
    assert_later(&soap.retrieve(REPOSITORY, &[id]).await, "XDSRepositoryBusy", "30");
    proxy.open().await;
    assert_eq!(ready(&gateway).await, (StatusCode::OK, "ready\n".into()));
    assert_eq!(soap.query(&find_documents(PATIENT)).await.entries().len(), 1);
    assert_eq!(soap.retrieve(REPOSITORY, &[id]).await.documents().len(), 1);
    soap.register(&registered).await.assert_success();
    soap.provide(&provided, &[("DE", b"in vain")]).await.assert_success();
    gateway.assert_verified().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_swallows_everything_is_not_waited_for_for_ever() {
    let Some((gateway, proxy)) = start_with(|c| c.database.statement_timeout_s = 1).await else { return };
    gateway.soap().register(&submission()).await.assert_success();
    proxy.set(Mode::Stall);
    let refused = submission();
    assert_later(&gateway.soap().register(&refused).await, "XDSRegistryBusy", "30");
    assert_later(&gateway.soap().query(&find_documents(PATIENT)).await, "XDSRegistryBusy", "30");
    assert_eq!(ready(&gateway).await.0, 503);
    proxy.set(Mode::Pass);
    assert_eq!(gateway.soap().query(&find_documents(PATIENT)).await.entries().len(), 1);
    gateway.soap().register(&refused).await.assert_success();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_database_is_waited_for_until_its_time_is_up() {
    let Some((gateway, proxy)) = start_with(|c| c.database.statement_timeout_s = 1).await else { return };
    // Slow, but in time.
    proxy.set(Mode::Delay(Duration::from_millis(20)));
    gateway.soap().register(&submission()).await.assert_success();
    proxy.set(Mode::Pass);
    // A lock that somebody holds too long.
    let mut holder = beside(&gateway).await;
    hold(&mut holder).await;
    let refused = submission();
    assert_later(&gateway.soap().register(&refused).await, "XDSRegistryBusy", "2");
    assert_eq!(gateway.soap().query(&find_documents(PATIENT)).await.entries().len(), 1);
    holder.execute("ROLLBACK").await.expect("let go");
    gateway.soap().register(&refused).await.assert_success();
    // A session that stands still in a transaction, as one whose machine has died: the server ends it.
    let limit = beside_as_the_gateway(&gateway, "SHOW idle_in_transaction_session_timeout").await;
    assert_eq!(limit, "1s");
}

/// What the gateway's own connections have set.
async fn beside_as_the_gateway(gateway: &Gateway, show: &'static str) -> String {
    let db = gateway.rooms().db.clone();
    let shown: Result<String, chiren::store::db::DbError> =
        db.read(move |tx| Box::pin(tx.fetch_one(show, &[], |row| row.get(0)))).await;
    shown.expect("it is shown")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_waits_for_the_database_but_not_for_ever() {
    let dir = tempfile::tempdir().expect("a directory");
    let Some((config, mut proxy)) = behind_proxy(&dir).await else { return };
    let url = config.database.url.clone();
    proxy.close().await;
    let file = write_config(dir.path(), &config);
    let begin = || Process::begin(&file);

    let mut waiting = begin();
    waiting.wait_for("waiting for the database");
    proxy.open().await;
    waiting.wait_until_ready();
    assert_eq!(Soap::new(waiting.address).query(&find_documents(PATIENT)).await.objects(), []);
    assert!(waiting.stop().0.success());

    // Told to stop while it waits.
    proxy.close().await;
    let waiting = begin();
    waiting.wait_for("waiting for the database");
    assert!(waiting.stop().0.success());

    // Not for ever.
    let mut impatient = config.clone();
    impatient.database.start_timeout_s = 1;
    write_config(dir.path(), &impatient);
    let (status, log) = begin().ended();
    assert_eq!(status.code(), Some(1));
    assert!(log.iter().any(|line| line.contains("the database is unavailable")), "{log:#?}");

    // And not for what does not pass by itself.
    proxy.open().await;
    let mut wrong = config;
    wrong.database.url = url.replacen("options", "dbname=nosuch&options", 1);
    write_config(dir.path(), &wrong);
    let (status, log) = begin().ended();
    assert_eq!(status.code(), Some(1));
    assert!(log.iter().any(|line| line.contains("the database refuses this program")), "{log:#?}");
    assert!(!log.iter().any(|line| line.contains("waiting")), "{log:#?}");
}

/// Not a proxy: a PostgreSQL that is stopped, started, and killed under the gateway.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stops_and_starts_again() {
    let Some(server) = Server::start("fsync = on\nsynchronous_commit = on\n") else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let mut config = gateway::config(&dir).await;
    config.database.url = server.url();
    config.database.acquire_timeout_s = 1;
    let gateway = Gateway::start_in(dir, config).await;
    let mut acknowledged = 0;
    for stop in [Server::down, Server::kill] {
        gateway.soap().register(&submission()).await.assert_success();
        stop(&server);
        assert_eq!(ready(&gateway).await.0, 503);
        assert_later(&gateway.soap().register(&submission()).await, "XDSRegistryBusy", "30");
        server.up();
        assert_eq!(ready(&gateway).await.0, 200);
        gateway.soap().register(&submission()).await.assert_success();
        acknowledged += 2;
        assert_eq!(gateway.soap().query(&find_documents(PATIENT)).await.entries().len(), acknowledged);
    }
    gateway.assert_verified().await;
    gateway.stop().await;
}
