//! Every face of the index under TLS: HL7 v2 over MLLPS, HL7 v3 over HTTPS, FHIR over HTTPS; with a known node's
//! certificate, with none, with a stranger's, and in the clear.

use chiren::config::{Role, TlsMode, TlsProfile};
use chiren::wire::hl7v2::mllp::frame;

use crate::mpi_v3::{gateway_with, message, person};
use crate::support::Gateway;
use crate::support::mllp::{HOSPA, Mllp};
use crate::support::raw::{connect, post};
use crate::support::soap::{SIMPLE, envelope};
use crate::support::tls::{Client, Pki, fingerprint};
use chiren::wire::hl7v3::{Ii, feed};

async fn gateway(pki: &Pki, tls: TlsMode) -> Gateway {
    gateway_with(|c| {
        for listener in c.listener.iter_mut().filter(|l| l.role != Role::Ops) {
            pki.secure(listener, tls, TlsProfile::JpHigh);
        }
    })
    .await
}

/// The three faces, and a feed for each.
const FACES: [(Role, &str); 3] = [(Role::Mllp, "ITI-30"), (Role::Soap, "ITI-44"), (Role::Fhir, "ITI-104")];

/// Feeds over a face as `client`; whether it was taken.
async fn fed(gateway: &Gateway, role: Role, client: &Client) -> bool {
    let address = gateway.running.as_ref().expect("running").listening.address(role).expect("a listener");
    match role {
        Role::Mllp => {
            let plain = Client { alpn: &[], ..client.clone() };
            let Ok(stream) = plain.stream(address).await else { return false };
            let mut mllp = Mllp::over(stream);
            let text = format!(
                "MSH|^~\\&|HIS|X|MPI|N|20250401||ADT^A28|T1|P|2.5\rEVN||20250401\rPID|1||t1^^^&{HOSPA}&ISO||A^B\rPV1||N\r"
            );
            use tokio::io::AsyncWriteExt as _;
            let _ = mllp.stream.write_all(&frame(text.as_bytes())).await;
            // A certificate that is refused shows when we read (TLS 1.3).
            let mut byte = [0; 1];
            match tokio::io::AsyncReadExt::read(&mut mllp.stream, &mut byte).await {
                Ok(1) => {
                    let rest = mllp.next_bytes_after(byte[0]).await;
                    String::from_utf8_lossy(&rest).contains("MSA|AA|T1")
                }
                _ => false,
            }
        }
        role => {
            let Ok(mut connection) = client.connect(address).await else { return false };
            let request = match role {
                Role::Soap => {
                    let who = person(("山本", "ヤマモト"), ("花子", "ハナコ"), "19500101");
                    let add = message(feed::ADDED, &[Ii::with(HOSPA, "t2")], &who, None);
                    let action = format!("urn:hl7-org:v3:{}", feed::ADDED);
                    post("/mpi/iti44", SIMPLE, envelope(&action, &add).as_bytes())
                }
                _ => {
                    let body = format!(
                        "{{\"resourceType\":\"Patient\",\"identifier\":[{{\"system\":\"urn:oid:{HOSPA}\",\"value\":\"t3\"}}]}}"
                    );
                    format!(
                        "PUT /fhir/Patient?identifier=urn:oid:{HOSPA}%7Ct3 HTTP/1.1\r\nHost: localhost\r\n\
                         Content-Type: application/fhir+json\r\nContent-Length: {}\r\n\r\n{body}",
                        body.len()
                    )
                    .into_bytes()
                }
            };
            match connection.exchange(&request).await {
                Some(answer) => answer.status.is_success() && !answer.text().contains("typeCode code=\"AE\""),
                None => false,
            }
        }
    }
}

#[tokio::test]
async fn mutual_tls_lets_known_nodes_feed_and_nobody_else() {
    let pki = Pki::new();
    let gateway = gateway(&pki, TlsMode::Mutual).await;
    let stranger = Pki::new();
    let theirs = Client { ca: pki.path("ca"), ..stranger.client(Some("node")) };
    for (role, transaction) in FACES {
        assert!(!fed(&gateway, role, &pki.client(None)).await, "{role:?}: no certificate");
        assert!(!fed(&gateway, role, &theirs).await, "{role:?}: another authority's");
        assert!(gateway.audit().await.iter().all(|e| e.transaction != transaction), "{role:?}");
        assert!(fed(&gateway, role, &pki.client(Some("node"))).await, "{role:?}: a known node");
        let trail = gateway.audit().await;
        let record = trail.iter().find(|e| e.transaction == transaction).expect("a record");
        let node = fingerprint(&pki.path("node"));
        assert_eq!(record.caller.certificate.as_deref(), Some(node.as_str()), "{role:?}");
    }
}

#[tokio::test]
async fn server_tls_lets_anybody_in_and_nothing_in_the_clear() {
    let pki = Pki::new();
    let gateway = gateway(&pki, TlsMode::Server).await;
    for (role, transaction) in FACES {
        let address = gateway.running.as_ref().expect("running").listening.address(role).expect("a listener");
        if role == Role::Mllp {
            let mut plain = Mllp::connect(address).await;
            plain.raw(&frame(b"MSH|^~\\&|HIS|F|M|N|20250401||ADT^A10|1|P|2.5\r")).await;
            assert!(plain.closed().await, "{role:?}");
        } else {
            let mut plain = connect(address).await;
            let answer = plain.exchange(b"GET /fhir/metadata HTTP/1.1\r\nHost: localhost\r\n\r\n");
            // A TLS alert is no HTTP.
            let answer = futures_util::FutureExt::catch_unwind(std::panic::AssertUnwindSafe(answer)).await;
            assert!(!matches!(answer, Ok(Some(_))), "{role:?}");
        }
        assert!(fed(&gateway, role, &pki.client(None)).await, "{role:?}");
        let trail = gateway.audit().await;
        let record = trail.iter().find(|e| e.transaction == transaction).expect("a record");
        assert_eq!(record.caller.certificate, None, "{role:?}");
    }
}
