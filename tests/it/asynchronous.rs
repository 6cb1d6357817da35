//! Asynchronous exchange: a request is answered 202, and its answer goes to the address it named, whatever
//! happens in between.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use chiren::app::Running;
use chiren::config::UnknownPatients;
use chiren::model::metadata::AvailabilityStatus;
use chiren::model::namespace::{WSA_ANONYMOUS, WSA_NONE};
use chiren::model::transaction::{Packaging, Transaction, Wire};
use chiren::server::clock::Clock;
use chiren::service::outbox::{Now, Waiting};
use chiren::store::db::DbError;
use chiren::wire::ebxml::{remove, remove_documents, retrieve};
use chiren::wire::xml::XmlWriter;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;

use crate::on_demand::on_demand;
use crate::support::process::{Process, run, write_config};
use crate::support::samples::*;
use crate::support::sink::{Arrived, Sink, allowed, url};
use crate::support::soap::{
    Sent, adhoc_query, documents, include, provide_and_register, submit_objects, update_objects,
};
use crate::support::updates::*;
use crate::support::{Gateway, Soap, gateway};

/// A gateway that may send answers to this address.
async fn answering_to(address: SocketAddr) -> Gateway {
    Gateway::start_with(|c| {
        c.asynchronous.reply_to = vec![allowed(address)];
        c.gateway.enabled = true;
    })
    .await
}

impl Gateway {
    /// Runs the outbox once. What it delivers is not told: the gateway's own postman may have been first.
    async fn post(&self) {
        run_outbox(self.running.as_ref().expect("running"), &self.clock).await;
    }

    async fn outbox(&self) -> Vec<Waiting> {
        self.rooms().outbox.list().await.expect("a list")
    }
}

async fn run_outbox(running: &Running, clock: &Clock) {
    let (rooms, clock) = (&running.rooms, clock.clone());
    let now: Now = Arc::new(move || clock.now().as_microsecond());
    rooms.outbox.run(&rooms.couriers, &now, &CancellationToken::new()).await.expect("the outbox runs");
}

fn accepted(sent: &Sent) {
    assert_eq!((sent.answer.status.as_u16(), sent.answer.envelope.as_str()), (202, ""));
    assert_eq!(sent.answer.headers["content-length"], "0");
}

fn fits(arrived: &Arrived, sent: &Sent, sink: &Sink, t: Transaction) {
    let row = t.row();
    assert_eq!((arrived.action.as_str(), arrived.path.as_str()), (row.response_action, "/replies"));
    assert_eq!((&arrived.relates_to, &arrived.to), (&sent.message_id, &sink.url()));
    assert!(arrived.message_id.starts_with("urn:uuid:") && arrived.message_id != sent.message_id);
    assert_eq!(arrived.answer.mtom, row.packaging == Packaging::Mtom, "{}", row.code);
    let content_type = arrived.answer.headers[CONTENT_TYPE].to_str().expect("text");
    let action = content_type.contains(&format!("action=\"{}\"", row.response_action));
    assert_eq!(action, row.action_in_content_type, "{content_type}");
}

#[tokio::test]
async fn every_transaction_is_answered_elsewhere() {
    let mut sink = Sink::start().await;
    let gateway = answering_to(sink.address).await;
    let soap = gateway.soap();
    let mut played = vec![];
    let mut ask = async |t: Transaction, body: String, parts: &[(&str, &[u8])]| {
        let sent = soap.send_to(t, &body, parts, &sink.url()).await;
        accepted(&sent);
        let arrived = sink.next().await;
        fits(&arrived, &sent, &sink, t);
        played.push(t);
        arrived.answer
    };
    let provided = submission();
    let body = provide_and_register(&provided, &include("DE", "doc@test"));
    ask(Transaction::Iti41, body, &[("doc@test", b"test")]).await.assert_success();
    ask(Transaction::Iti42, submit_objects(&submission()), &[]).await.assert_success();

    let found = ask(Transaction::Iti18, adhoc_query(&find_documents(PATIENT)), &[]).await.entries();
    assert_eq!(found.len(), 2);
    let multi = query(
        "urn:uuid:3d1bdb10-39a2-11de-89c2-2f44d94eaa9f",
        vec![list("$XDSDocumentEntryPatientId", &[PATIENT]), find_documents(PATIENT).slots[1].clone()],
    );
    assert_eq!(ask(Transaction::Iti51, adhoc_query(&multi), &[]).await.entries().len(), 2);

    let id = provided.document_entries[0].unique_id.as_str();
    let mut w = XmlWriter::new();
    retrieve::write_request(&mut w, &documents(REPOSITORY, &[id]));
    let given = ask(Transaction::Iti43, w.finish(), &[]).await.documents();
    assert_eq!((given[0].0.as_str(), &given[0].1[..]), (id, &b"test"[..]));

    let there = ask(Transaction::Iti38, adhoc_query(&find_documents(PATIENT)), &[]).await.entries();
    assert!(there.len() == 2 && there.iter().all(|e| e.home_community_id.as_deref() == Some(HOME)));
    let mut w = XmlWriter::new();
    let mut request = documents(REPOSITORY, &[id]);
    request[0].home_community_id = Some(HOME.into());
    retrieve::write_request(&mut w, &request);
    assert_eq!(ask(Transaction::Iti39, w.finish(), &[]).await.documents(), given);

    let entry = found.iter().find(|e| e.unique_id == id).expect("the provided one");
    let deprecated =
        status_of(update(), &entry.entry_uuid, AvailabilityStatus::Approved, AvailabilityStatus::Deprecated);
    ask(Transaction::Iti57, update_objects(&deprecated), &[]).await.assert_success();
    let other = found.iter().find(|e| e.unique_id != id).expect("the registered one");
    let mut next = next_entry(update(), "DE", other);
    next.submission.document_entries[0].title = text("訂正");
    ask(Transaction::Iti92, update_objects(&next), &[]).await.assert_success();

    let ids: Vec<String> = gateway.all(PATIENT).await.iter().map(|o| o.id().to_owned()).collect();
    let mut w = XmlWriter::new();
    remove::write(&mut w, &ids);
    ask(Transaction::Iti62, w.finish(), &[]).await.assert_success();
    let mut w = XmlWriter::new();
    remove_documents::write(&mut w, &documents(REPOSITORY, &[id]));
    ask(Transaction::Iti86, w.finish(), &[]).await.assert_success();

    // Made when it is asked for, and kept nowhere but for this answer.
    let listed = on_demand();
    ask(Transaction::Iti61, submit_objects(&listed), &[]).await.assert_success();
    let mut w = XmlWriter::new();
    retrieve::write_request(&mut w, &documents(REPOSITORY, &[&listed.document_entries[0].unique_id]));
    let made = ask(Transaction::Iti43, w.finish(), &[]).await.documents();
    assert!(made[0].1.starts_with(b"<?xml"));

    // Those of the index are in `mpi_v3`.
    let ours: Vec<Transaction> =
        Transaction::ALL.into_iter().filter(|t| t.row().wire == Wire::Ebxml).collect();
    for t in &ours {
        assert!(played.contains(t), "{t:?}: answer it elsewhere too");
    }
    gateway.post().await;
    assert_eq!(gateway.outbox().await, []);
    // Each is audited once, as ever.
    for t in ours {
        let records = gateway.audit().await;
        let own = records.iter().filter(|r| r.transaction == t.code() && r.errors.is_empty()).count();
        assert!(own >= 1, "{t:?}");
    }
    gateway.assert_verified().await;
}

#[tokio::test]
async fn refusals_go_there_too() {
    let mut sink = Sink::start().await;
    let gateway = answering_to(sink.address).await;
    let mut s = submission();
    s.document_entries[0].class_code = None;
    for (t, body, codes) in [
        (Transaction::Iti42, submit_objects(&s), "XDSRegistryMetadataError"),
        (Transaction::Iti18, adhoc_query(&query("urn:uuid:0", vec![])), "XDSUnknownStoredQuery"),
    ] {
        let sent = gateway.soap().send_to(t, &body, &[], &sink.url()).await;
        accepted(&sent);
        let arrived = sink.next().await;
        fits(&arrived, &sent, &sink, t);
        arrived.answer.assert_failure(&[codes]);
        let records = gateway.audit().await;
        assert!(records.iter().any(|r| r.transaction == t.code() && r.errors == [codes]));
    }
    let mut w = XmlWriter::new();
    remove_documents::write(&mut w, &documents(REPOSITORY, &["2.999.404"]));
    gateway.soap().send_to(Transaction::Iti86, &w.finish(), &[], &sink.url()).await;
    sink.next().await.answer.assert_failure(&["XDSDocumentUniqueIdError"]);
}

/// Whoever may name any address makes us call it.
#[tokio::test]
async fn other_addresses_are_refused() {
    let sink = Sink::start().await;
    let (closed, open) = (Gateway::start().await, answering_to(sink.address).await);
    let port = sink.address.port();
    let reply = |address: &str| format!("<a:ReplyTo><a:Address>{address}</a:Address></a:ReplyTo>");
    let fault = |address: &str| format!("<a:FaultTo><a:Address>{address}</a:Address></a:FaultTo>");
    let id = "<a:MessageID>urn:uuid:1</a:MessageID>".to_owned();
    let only = "wsa:OnlyAnonymousAddressSupported";
    let here = sink.url();
    let cases = [
        (&closed, vec![id.clone(), reply(&here)], only),
        (&closed, vec![id.clone(), reply(WSA_NONE)], only),
        (&open, vec![id.clone(), reply(WSA_NONE)], only),
        (&open, vec![id.clone(), reply(&format!("http://localhost:{port}/replies"))], only),
        (&open, vec![id.clone(), reply(&format!("https://127.0.0.1:{port}/replies"))], only),
        (&open, vec![id.clone(), reply("http://127.0.0.1/replies")], only),
        (&open, vec![id.clone(), reply(&format!("http://127.0.0.1:{port}/admin"))], only),
        (&open, vec![id.clone(), reply(&format!("{here}@10.0.0.1/"))], only),
        (&open, vec![id.clone(), reply("mailto:a@b.example")], only),
        (&open, vec![id.clone(), reply(&here), fault("http://10.0.0.1/")], only),
        (&open, vec![id.clone(), reply(WSA_ANONYMOUS), fault(&here)], only),
        (&open, vec![reply(&here)], "wsa:MessageAddressingHeaderRequired"),
    ];
    for (n, (gateway, headers, subcode)) in cases.into_iter().enumerate() {
        let headers = headers.concat();
        let body = submit_objects(&submission());
        let answer = gateway.soap().send_with_headers(Transaction::Iti42, &body, &[], &headers).await;
        let (code, found) = answer.fault();
        assert_eq!(answer.status, 400, "{n}");
        assert_eq!((code.as_str(), found.as_deref()), ("soap:Sender", Some(subcode)), "{n}: {headers}");
    }
    for gateway in [&closed, &open] {
        assert_eq!(gateway.all(PATIENT).await, []);
        assert_eq!(gateway.outbox().await, []);
        assert!(gateway.audit().await.iter().any(|r| r.errors.contains(&only.to_owned())));
    }
    // Nobody to send faults to is allowed: the answer has its place.
    let headers = [id, reply(&here), fault(WSA_NONE)].concat();
    let body = submit_objects(&submission());
    let answer = open.soap().send_with_headers(Transaction::Iti42, &body, &[], &headers).await;
    assert_eq!(answer.status, 202);
}

/// What cannot be a message of the transaction is told on the connection.
#[tokio::test]
async fn faults_of_form_come_back_at_once() {
    let mut sink = Sink::start().await;
    let gateway = answering_to(sink.address).await;
    let body = submit_objects(&submission());
    let sent = gateway.soap().send_to(Transaction::Iti18, &body, &[], &sink.url()).await;
    assert_eq!(sent.answer.fault().1.as_deref(), Some("wsa:ActionNotSupported"));
    let body = provide_and_register(&submission(), &include("DE", "missing@test"));
    let sent = gateway.soap().send_to(Transaction::Iti41, &body, &[], &sink.url()).await;
    assert_eq!(sent.answer.fault().0, "soap:Sender");
    gateway.post().await;
    assert_eq!(sink.more(), 0);
}

#[tokio::test]
async fn a_sink_that_is_down_gets_its_answer_later() {
    let address = Sink::nowhere();
    let gateway = answering_to(address).await;
    let sent =
        gateway.soap().send_to(Transaction::Iti42, &submit_objects(&submission()), &[], &url(address)).await;
    accepted(&sent);
    // The change is made; its answer waits.
    until_enqueued(&gateway, 1).await;
    gateway.post().await;
    assert_eq!(gateway.soap().query(&find_documents(PATIENT)).await.entries().len(), 1);
    let rows = gateway.outbox().await;
    assert_eq!((rows[0].attempts, rows[0].parked_at), (1, None));
    assert!(rows[0].failure.is_some());
    // Not before its time.
    let mut sink = Sink::at(address).await;
    gateway.post().await;
    assert_eq!((gateway.outbox().await[0].attempts, sink.more()), (1, 0));
    gateway.clock.advance(SignedDuration::from_secs(10));
    sink.answer_with(500);
    gateway.post().await;
    assert_eq!(gateway.outbox().await[0].attempts, 2);
    let first = sink.next().await;
    fits(&first, &sent, &sink, Transaction::Iti42);
    gateway.clock.advance(SignedDuration::from_secs(10));
    sink.answer_with(202);
    gateway.post().await;
    let second = sink.next().await;
    // The very same message.
    assert_eq!(second.message_id, first.message_id);
    assert_eq!(second.answer.envelope, first.answer.envelope);
    gateway.post().await;
    assert_eq!((gateway.outbox().await, sink.more()), (vec![], 0));
}

/// Waits until so many answers are in the outbox: the work goes on after the 202.
async fn until_enqueued(gateway: &Gateway, count: usize) {
    while gateway.outbox().await.len() < count {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_cannot_be_delivered_is_parked_for_people_to_see() {
    let address = Sink::nowhere();
    let gateway = answering_to(address).await;
    for _ in 0..2 {
        let body = submit_objects(&submission());
        accepted(&gateway.soap().send_to(Transaction::Iti42, &body, &[], &url(address)).await);
    }
    until_enqueued(&gateway, 2).await;
    gateway.post().await;
    gateway.clock.advance(SignedDuration::from_hours(25));
    gateway.post().await;
    let outbox = &gateway.rooms().outbox;
    let rows = gateway.outbox().await;
    assert!(rows.iter().all(|r| r.parked_at.is_some() && r.next_attempt.is_none()), "{rows:#?}");
    assert_eq!((outbox.status().waiting, outbox.status().parked), (0, 2));
    // The commands see the same database.
    let config = write_config(gateway.dir.path(), &gateway.config);
    let chiren = |arguments: &[&str]| {
        let all = [&["outbox", "--config", config.to_str().expect("a path")], arguments].concat();
        let output = run(&all);
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (code, listed) = chiren(&["list"]);
    assert_eq!(code, Some(0));
    assert!(listed.contains(&rows[0].id) && listed.contains("parked"), "{listed}");
    assert!(!listed.contains("1001"), "{listed}");
    let json: serde_json::Value = serde_json::from_str(&chiren(&["list", "--json"]).1).expect("JSON");
    assert_eq!(json[1]["to"], format!("http://{address}"));
    assert_eq!(chiren(&["drop", &rows[1].id]).0, Some(0));
    assert_eq!(chiren(&["drop", &rows[1].id]).0, Some(1));
    let records = gateway.audit().await;
    let dropped = records.iter().find(|r| r.transaction == "outbox drop").expect("a record");
    assert_eq!(dropped.objects, [rows[1].id.clone()]);
    // Its clock is the machine's; the gateway's here is set.
    assert_eq!(chiren(&["retry", "--parked"]).0, Some(0));
    outbox.retry(Some(&rows[0].id), gateway.clock.now().as_microsecond()).await.expect("retried");
    let mut sink = Sink::at(address).await;
    gateway.post().await;
    sink.next().await.answer.assert_success();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_than_may_be() {
    let address = Sink::nowhere();
    let gateway = Gateway::start_with(|c| {
        c.asynchronous.reply_to = vec![allowed(address)];
        c.asynchronous.under_way = 1;
        c.asynchronous.waiting = 1;
    })
    .await;
    let ask = async || {
        let body = submit_objects(&submission());
        gateway.soap().send_to(Transaction::Iti42, &body, &[], &url(address)).await
    };
    let busy = |sent: &Sent| {
        assert_eq!((sent.answer.status.as_u16(), sent.answer.fault().0.as_str()), (503, "soap:Receiver"));
        assert!(sent.answer.headers.contains_key(RETRY_AFTER));
    };
    // The first waits for the patient, whom somebody holds.
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = Arc::new(Mutex::new(released));
    let (held, let_go) = (Arc::new(tokio::sync::Notify::new()), Arc::new(tokio::sync::Notify::new()));
    let holder = tokio::spawn({
        let (db, held, let_go) = (gateway.rooms().db.clone(), held.clone(), let_go.clone());
        async move {
            db.write(move |tx| {
                let (released, held, let_go) = (released.clone(), held.clone(), let_go.clone());
                Box::pin(async move {
                    chiren::store::patient::hold(tx, PATIENT).await?;
                    held.notify_one();
                    // A closure over SQLite blocks its thread and never waits; over PostgreSQL it is the other way.
                    if tx.is_postgres() {
                        let_go.notified().await;
                    } else {
                        let _ = released.lock().expect("one holder").recv();
                    }
                    Ok::<(), DbError>(())
                })
            })
            .await
        }
    });
    held.notified().await;
    accepted(&ask().await);
    busy(&ask().await);
    let_go.notify_one();
    let _ = release.send(());
    holder.await.expect("the holder ends").expect("it wrote");
    until_enqueued(&gateway, 1).await;
    // Its place may still be taken for a moment; its answer waits in any case.
    busy(&ask().await);
    let mut sink = Sink::at(address).await;
    gateway.clock.advance(SignedDuration::from_secs(10));
    gateway.post().await;
    sink.next().await.answer.assert_success();
    assert_eq!(gateway.soap().query(&find_documents(PATIENT)).await.entries().len(), 1);
}

/// Two gateways on one database: each answer goes once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_gateways_deliver_each_answer_once() {
    const ANSWERS: usize = 30;
    let address = Sink::nowhere();
    let gateway = answering_to(address).await;
    let other = Running::start(&gateway.config, gateway.clock.clone(), None).await.expect("another gateway");
    for _ in 0..ANSWERS {
        let body = adhoc_query(&find_documents(PATIENT));
        accepted(&gateway.soap().send_to(Transaction::Iti18, &body, &[], &url(address)).await);
    }
    until_enqueued(&gateway, ANSWERS).await;
    gateway.post().await;
    let mut sink = Sink::at(address).await;
    gateway.clock.advance(SignedDuration::from_secs(10));
    tokio::join!(gateway.post(), run_outbox(&other, &gateway.clock));
    let mut arrived = vec![];
    for _ in 0..ANSWERS {
        arrived.push(sink.next().await.message_id);
    }
    arrived.sort();
    arrived.dedup();
    assert_eq!((arrived.len(), sink.more()), (ANSWERS, 0));
    assert_eq!(gateway.outbox().await, []);
    other.drain().await;
}

/// Who stops lets what it accepted come to its end.
#[tokio::test]
async fn a_graceful_stop_answers_what_it_accepted() {
    let mut sink = Sink::start().await;
    let gateway = answering_to(sink.address).await;
    let body = submit_objects(&submission());
    accepted(&gateway.soap().send_to(Transaction::Iti42, &body, &[], &sink.url()).await);
    gateway.stop().await;
    assert_eq!(sink.more(), 1);
}

/// The gateway dies after it has made the change and before it could say so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_gateway_answers_after_its_restart() {
    let address = Sink::nowhere();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut config = gateway::config(&dir).await;
    config.asynchronous.reply_to = vec![allowed(address)];
    config.registry.unknown_patients = UnknownPatients::Accept;
    config.outbox.poll_seconds = 1;
    let path = write_config(dir.path(), &config);
    let process = Process::start(&path, &[]);
    let soap = Soap::new(process.address);
    let body = submit_objects(&submission());
    let sent = soap.send_to(Transaction::Iti42, &body, &[], &url(address)).await;
    accepted(&sent);
    process.wait_for("not delivered yet");
    process.kill();

    let mut sink = Sink::at(address).await;
    let process = Process::start(&path, &[]);
    let arrived = sink.next().await;
    fits(&arrived, &sent, &sink, Transaction::Iti42);
    arrived.answer.assert_success();
    let soap = Soap::new(process.address);
    assert_eq!(soap.query(&find_documents(PATIENT)).await.entries().len(), 1);
    process.stop();
}

/// A document that is removed before its answer could be sent: somebody must know.
#[tokio::test]
async fn a_document_gone_meanwhile() {
    let address = Sink::nowhere();
    let gateway = answering_to(address).await;
    let s = submission();
    gateway.soap().provide(&s, &[("DE", b"test")]).await.assert_success();
    let mut w = XmlWriter::new();
    let id = s.document_entries[0].unique_id.as_str();
    retrieve::write_request(&mut w, &documents(REPOSITORY, &[id]));
    accepted(&gateway.soap().send_to(Transaction::Iti43, &w.finish(), &[], &url(address)).await);
    until_enqueued(&gateway, 1).await;
    gateway.post().await;
    gateway.lose_documents();
    let mut sink = Sink::at(address).await;
    gateway.clock.advance(SignedDuration::from_secs(10));
    gateway.post().await;
    assert!(gateway.outbox().await[0].parked_at.is_some());
    assert_eq!(sink.more(), 0);
}
