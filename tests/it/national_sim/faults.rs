//! Each way the service can be told to misbehave, seen from the caller; and that afterwards it holds the unit once.

use std::time::{Duration, Instant};

use chiren::cli::simulate::national::fault::{Fault, Mode};
use serde_json::json;

use crate::support::national::{Caller, DESTINATION, Heard, National, SENDER};

const FILE: &str = "cases/good/g03-lab.json";

async fn bring(caller: &Caller) -> Result<Heard, reqwest::Error> {
    use crate::support::national::{case, envelope, named, text};
    caller.send("info.register", envelope(SENDER, "k1", named(&case(FILE)), Some(&text(FILE)))).await
}

/// Brings the unit against a fault that strikes once, then again without: what the first call came to, and the second.
async fn struck(fault: Fault) -> (Result<Heard, reqwest::Error>, Heard, u64) {
    let national = National::start().await;
    national.running.fault(fault);
    let sender = national.caller(SENDER);
    let first = bring(&sender).await;
    let second = bring(&sender).await.expect("the fault has passed");
    let units = national.running.state()["Counts"]["Units"].as_u64().unwrap();
    assert!(national.running.faults().all().is_empty(), "it is counted");
    (first, second, units)
}

#[tokio::test]
async fn every_fault_strikes_once_and_leaves_one_unit() {
    for mode in Mode::ALL {
        // A window closes by the clock; the server's own certificate concerns connections: both below.
        if matches!(mode, Mode::Maintenance | Mode::ServerCertExpired) {
            continue;
        }
        let fault = Fault { delay_ms: Some(300), ..Fault::times(mode, 1) };
        let begun = Instant::now();
        let (first, second, units) = struck(fault).await;
        assert_eq!((second.code(), units), ("OK", 1), "{mode:?}");
        let replayed = second.body["MessageBody"]["Replayed"] == true;
        let first = first.map(|h| (h.status, h.code().to_owned(), h));
        match (mode, first) {
            (Mode::Processing, Ok((200, code, h))) => {
                assert_eq!(
                    (code.as_str(), &h.body["MessageHeader"]["SegmentOfResult"]),
                    ("PROCESSING", &json!("2"))
                );
            }
            (Mode::Delay, Ok((200, _, _))) => assert!(begun.elapsed() >= Duration::from_millis(300)),
            (Mode::DropResponse, Err(_)) => assert!(replayed, "it was done"),
            (Mode::DropRequest, Err(_)) => assert!(!replayed, "it was not"),
            (Mode::Http429, Ok((429, code, h))) => assert!(code == "BUSY" && h.retry_after.is_some()),
            (Mode::Http503 | Mode::Busy, Ok((503, code, h))) => {
                assert!(code == "BUSY" && h.retry_after.is_some())
            }
            (Mode::Internal, Ok((500, code, _))) => assert_eq!(code, "INTERNAL"),
            (Mode::CertExpired, Ok((401, code, _))) => assert_eq!(code, "CERTIFICATE_REFUSED"),
            (Mode::CorruptJson, Ok((200, _, h))) => {
                assert!(serde_json::from_str::<serde_json::Value>(&h.text).is_err() && replayed);
            }
            (Mode::Duplicate, Ok((200, _, _))) => assert!(replayed),
            (mode, other) => panic!("{mode:?}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_doubled_answer_is_two_answers_on_the_wire() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let national = National::with(|o| o.tls = None).await;
    national.running.fault(Fault::times(Mode::Duplicate, 1));
    let mut socket = tokio::net::TcpStream::connect(national.address()).await.unwrap();
    let body =
        json!({ "MessageHeader": { "MedicalInstitutionCode": SENDER, "ArbitraryFileIdentifier": "k" } })
            .to_string();
    let request = format!(
        "POST /v1/result HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut heard = String::new();
    socket.read_to_string(&mut heard).await.unwrap();
    assert_eq!(heard.matches("HTTP/1.1 200").count(), 2, "{heard}");
}

#[tokio::test]
async fn a_maintenance_window_closes_with_the_clock() {
    let national = National::start().await;
    national.running.fault(Fault { seconds: Some(600), ..Fault::of(Mode::Maintenance) });
    let sender = national.caller(SENDER);
    for _ in 0..2 {
        let heard = bring(&sender).await.unwrap();
        assert_eq!((heard.status, heard.retry_after.as_deref()), (503, Some("600")));
    }
    national.running.advance(jiff::SignedDuration::from_mins(10)).unwrap();
    assert_eq!(bring(&sender).await.unwrap().code(), "OK");
}

#[tokio::test]
async fn the_server_can_show_a_certificate_that_has_expired() {
    let national = National::start().await;
    national.running.fault(Fault::times(Mode::ServerCertExpired, 1));
    let heard = bring(&national.caller(SENDER)).await;
    assert!(heard.is_err_and(|e| e.is_connect()), "the handshake fails");
    assert_eq!(bring(&national.caller(SENDER)).await.unwrap().code(), "OK");
}

#[tokio::test]
async fn a_fault_strikes_the_operation_and_institution_it_names() {
    let national = National::start().await;
    let fault = Fault {
        institution: Some(DESTINATION.into()),
        op: Some("referral.list".into()),
        ..Fault::of(Mode::Http503)
    };
    national.running.fault(fault);
    let (sender, destination) = (national.caller(SENDER), national.caller(DESTINATION));
    assert_eq!(bring(&sender).await.unwrap().status, 200);
    assert_eq!(sender.call("referral.list", "a", json!({}), None).await.status, 200);
    assert_eq!(destination.call("referral.list", "a", json!({}), None).await.status, 503);
    assert_eq!(
        destination
            .call("availability", "a", json!({ "DestinationInstitutionCode": SENDER }), None)
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn what_waits_takes_effect_in_the_order_it_came() {
    use crate::support::national::{case, named};
    let national = National::start().await;
    let sender = national.caller(SENDER);
    national.running.fault(Fault::times(Mode::Processing, 1));
    assert_eq!(bring(&sender).await.unwrap().code(), "PROCESSING");
    assert_eq!(national.running.state()["Counts"]["Waiting"], 1);
    let heard = sender.bring("info.change", "cases/good/g13-lab-update.json", "k2").await;
    assert_eq!(heard.code(), "OK", "the registration was worked on first: {}", heard.text);
    let heard = sender.call("result", "k1", json!({}), None).await;
    assert_eq!(heard.code(), "OK");
    let heard = sender.call("info.cancel", "k3", named(&case(FILE)), None).await;
    assert_eq!(heard.code(), "OK");
    let state = national.running.state();
    assert_eq!((&state["Counts"]["Units"], &state["Counts"]["Past"]), (&json!(0), &json!(2)));
}
