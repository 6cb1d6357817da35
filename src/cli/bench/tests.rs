//! The driver against a peer over a real socket.

use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::*;
use crate::wire::ebxml::response::{ResponseStatus, write};
use crate::wire::soap::write_response;

/// A registry that says Success to every ITI-42 but those whose number `wrong` picks.
async fn registry(wrong: fn(u64) -> bool) -> Endpoint {
    use http_body_util::BodyExt;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let count = Arc::new(std::sync::atomic::AtomicU64::new(0));
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let count = count.clone();
            let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
                let n = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                async move {
                    assert_eq!(request.uri().path(), "/xds/iti42");
                    let body = request.into_body().collect().await?.to_bytes();
                    let text = String::from_utf8_lossy(&body);
                    let id = text.split_once("<wsa:MessageID>").unwrap().1.split_once('<').unwrap().0;
                    let status = if wrong(n) { ResponseStatus::Failure } else { ResponseStatus::Success };
                    let action = Transaction::Iti42.row().response_action;
                    let answer = write_response(action, Some(id), 0, |w| write(w, status, &[]));
                    let answer = http::Response::builder()
                        .header("content-type", "application/soap+xml")
                        .body(Full::new(bytes::Bytes::from(answer)));
                    Ok::<_, hyper::Error>(answer.unwrap())
                }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(socket), service));
        }
    });
    Endpoint { url, ca: vec![], cert: None, key: None, timeout: 5 }
}

fn scenario() -> Arc<Register> {
    let run = Run {
        id: 1,
        seed: 1,
        url: "http://h/".into(),
        authority: "2.999.1".into(),
        repository: "2.999.2".into(),
        assertion: None,
    };
    Arc::new(Register::new(run, 10, 0))
}

async fn driven(endpoint: &Endpoint, requests: u64) -> Outcome {
    let target = Target::new(endpoint, Transaction::Iti42).map(Arc::new).unwrap();
    let plan = Plan { clients: 3, warm_up: Duration::ZERO, until: Until::Requests(requests) };
    drive(scenario(), target, plan, None).await.unwrap()
}

#[tokio::test]
async fn so_many_requests_are_sent_and_checked() {
    let outcome = driven(&registry(|_| false).await, 250).await;
    assert_eq!((outcome.latency.count(), outcome.error_count()), (250, 0));
    assert!(outcome.sent > 250 * 1000 && outcome.received > 250 * 100);
    assert!(outcome.latency.quantile(0.5) > Duration::ZERO && !outcome.stopped_early);
}

#[tokio::test]
async fn a_wrong_answer_is_an_error_and_shown() {
    let outcome = driven(&registry(|n| n % 10 == 3).await, 50).await;
    assert_eq!((outcome.latency.count(), outcome.error_count()), (45, 5));
    assert_eq!(outcome.errors.len(), 1, "{:?}", outcome.errors);
}

#[tokio::test]
async fn nobody_there_is_not_a_measurement() {
    let endpoint = registry(|_| false).await;
    let nobody = Endpoint { url: "http://127.0.0.1:1".into(), ..endpoint };
    let target = Target::new(&nobody, Transaction::Iti42).map(Arc::new).unwrap();
    let plan = Plan { clients: 1, warm_up: Duration::ZERO, until: Until::Done };
    assert!(drive(scenario(), target, plan, None).await.is_err());
    let not_http = Endpoint { url: "ftp://h/x".into(), ..nobody };
    assert!(Target::new(&not_http, Transaction::Iti42).is_err());
}

#[test]
fn sizes() {
    assert_eq!(size("20KiB"), Ok(20 << 10));
    assert_eq!(size("100MB"), Ok(100_000_000));
    assert_eq!(size("7"), Ok(7));
    for bad in ["", "KiB", "1TiB", "-1", "99999999999GiB"] {
        assert!(size(bad).is_err(), "{bad}");
    }
}
