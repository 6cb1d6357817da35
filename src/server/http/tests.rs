//! The listener over real sockets: one good exchange, then each way of spoiling it.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;
use crate::config::{Config, ListenerConfig, TlsMode, TlsProfile};
use crate::service::nodes::Nodes;

/// Answers with what it was sent; some paths misbehave.
#[derive(Default)]
struct Echo {
    reached: Notify,
    go_on: Notify,
}

impl Handler for Echo {
    async fn handle(&self, request: Request) -> Response<RespBody> {
        match request.uri.path() {
            "/panic" => panic!("as asked"),
            "/never" => std::future::pending().await,
            "/wait" => {
                self.reached.notify_one();
                self.go_on.notified().await;
                text(http::StatusCode::OK, "waited")
            }
            "/unread" => text(http::StatusCode::OK, "unread"),
            "/subject" => {
                let subject = request.conn.tls.as_ref().map(|tls| tls.subject.clone());
                text(http::StatusCode::OK, subject.unwrap_or_else(|| "nobody".into()))
            }
            "/stream" => {
                let chunks = (0..3).map(|i| Ok::<_, BoxError>(bytes::Bytes::from(format!("chunk{i} "))));
                Response::new(stream(futures_util::stream::iter(chunks)))
            }
            _ => match request.body.whole(1 << 20).await {
                Ok(bytes) => Response::new(full(bytes)),
                Err(cause) => text(http::StatusCode::BAD_REQUEST, cause.to_string()),
            },
        }
    }
}

pub fn settings() -> Settings {
    Settings {
        name: "test".into(),
        tls: None,
        hosts: Arc::new([]),
        max_connections: 20,
        max_connections_per_address: 10,
        limits: Arc::new(Config::default().limits),
        turns: None,
        gate: Gate::new(Nodes::none(), None, Arc::new(Config::default().limits), Clock::System),
        clock: Clock::System,
    }
}

fn limited(change: impl FnOnce(&mut LimitsConfig)) -> Settings {
    let mut limits = LimitsConfig::default();
    change(&mut limits);
    let limits = Arc::new(limits);
    let gate = Gate::new(Nodes::none(), None, limits.clone(), Clock::System);
    Settings { limits, gate, ..settings() }
}

struct Server {
    address: SocketAddr,
    echo: Arc<Echo>,
    stop: CancellationToken,
    task: JoinHandle<usize>,
}

async fn start(settings: Settings) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (echo, stop) = (Arc::new(Echo::default()), CancellationToken::new());
    let task = tokio::spawn(serve(listener, settings, echo.clone(), stop.clone()));
    Server { address, echo, stop, task }
}

impl Server {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends bytes and reads until the server closes.
    async fn raw(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut socket = self.connect().await;
        socket.write_all(bytes.as_ref()).await.unwrap();
        to_end(&mut socket).await
    }
}

async fn to_end(socket: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut all = vec![];
    // A reset after the answer is as good as an end.
    let _ = timeout(Duration::from_secs(20), socket.read_to_end(&mut all)).await.expect("the server closes");
    String::from_utf8_lossy(&all).into_owned()
}

/// Reads one answer of known length, leaving the connection open.
async fn one_answer(socket: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut all = vec![];
    loop {
        all.push(socket.read_u8().await.unwrap());
        if let Some(head) = all.windows(4).position(|w| w == b"\r\n\r\n") {
            let text = String::from_utf8(all.clone()).unwrap();
            let length: usize = text
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |n| n.parse().unwrap());
            if all.len() == head + 4 + length {
                return text;
            }
        }
    }
}

fn status(answer: &str) -> &str {
    answer.get(9..12).unwrap_or("none")
}

const GOOD: &str = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";

#[tokio::test]
async fn a_request_is_answered_and_the_connection_kept() {
    let server = start(settings()).await;
    let mut socket = server.connect().await;
    let mut ids = vec![];
    for _ in 0..3 {
        socket.write_all(GOOD.as_bytes()).await.unwrap();
        let answer = one_answer(&mut socket).await;
        assert_eq!(status(&answer), "200");
        assert!(answer.ends_with("hello") && answer.contains("cache-control: no-store"), "{answer}");
        let id = answer.lines().find_map(|line| line.strip_prefix("x-request-id: ")).unwrap();
        ids.push(uuid::Uuid::parse_str(id).unwrap());
    }
    assert!(ids.is_sorted() && ids.iter().all(|id| id.get_version_num() == 7));
    // A stream, then another request: the tap must see the end of chunked answers too.
    let mut socket = server.connect().await;
    for _ in 0..2 {
        socket.write_all(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let mut all = vec![];
        while !all.ends_with(b"0\r\n\r\n") {
            all.push(socket.read_u8().await.unwrap());
        }
        assert!(String::from_utf8(all).unwrap().contains("chunk2 "));
    }
}

#[tokio::test]
async fn http_1_0_is_answered_and_closed() {
    let server = start(settings()).await;
    let answer = server.raw("POST /echo HTTP/1.0\r\nContent-Length: 2\r\n\r\nok").await;
    assert!(status(&answer) == "200" && answer.ends_with("ok"), "{answer}");
}

#[tokio::test]
async fn malformed_heads_are_refused_and_the_connection_closed() {
    let server = start(limited(|l| l.request_mib = 1)).await;
    let many = "X: y\r\n".repeat(3000);
    let long = "y".repeat(100_000);
    let next = "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n";
    let cases = [
        ("400", "POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n".to_string()),
        ("400", format!("POST / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n{next}")),
        ("400", "POST / HTTP/1.1\nHost: a\nContent-Length: 0\n\n".into()),
        (
            "400",
            format!(
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{next}"
            ),
        ),
        (
            "400",
            format!(
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n{next}"
            ),
        ),
        ("400", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello".into()),
        ("400", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n".into()),
        ("400", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, x\r\n\r\n".into()),
        ("501", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n".into()),
        (
            "415",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello".into(),
        ),
        ("417", "POST / HTTP/1.1\r\nHost: a\r\nExpect: more\r\nContent-Length: 5\r\n\r\nhello".into()),
        ("405", "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n".into()),
        ("405", "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n".into()),
        ("431", format!("POST / HTTP/1.1\r\nHost: a\r\n{many}\r\n")),
        ("431", format!("POST / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n")),
        ("413", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\n\r\nhello".into()),
    ];
    for (expected, request) in cases {
        let answer = server.raw(&request).await;
        let head: String = request.chars().take(120).collect();
        assert_eq!(status(&answer), expected, "{head}\n{answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "one answer only: {answer}");
    }
}

#[tokio::test]
async fn a_pipelined_request_is_refused() {
    let server = start(settings()).await;
    let answer = server.raw(format!("{GOOD}{GOOD}")).await;
    let second = answer.rfind("HTTP/1.1 ").unwrap();
    assert_eq!((status(&answer), status(&answer[second..])), ("200", "400"));
}

#[tokio::test]
async fn too_large_is_said_before_the_body_is_asked_for() {
    let server = start(settings()).await;
    let mut socket = server.connect().await;
    let head = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1099511627776\r\n\r\n";
    socket.write_all(head.as_bytes()).await.unwrap();
    let answer = to_end(&mut socket).await;
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("connection: close"), "{answer}");
    // A length we accept is asked for.
    let mut socket = server.connect().await;
    socket
        .write_all(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        .await
        .unwrap();
    assert!(one_answer(&mut socket).await.starts_with("HTTP/1.1 100"));
    socket.write_all(b"ok").await.unwrap();
    assert!(one_answer(&mut socket).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_chunked_body_beyond_the_limit_is_413_whatever_the_handler_says() {
    let server = start(limited(|l| l.request_mib = 1)).await;
    let chunk = "x".repeat(0x20000);
    let request = format!(
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n",
        format!("20000\r\n{chunk}\r\n").repeat(9)
    );
    assert_eq!(status(&server.raw(request).await), "413");
}

#[tokio::test]
async fn an_unread_body_ends_the_connection() {
    let server = start(settings()).await;
    let answer = server.raw("POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n").await;
    assert!(status(&answer) == "200" && answer.contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn upgrades_are_ignored() {
    let server = start(settings()).await;
    let mut socket = server.connect().await;
    let head = "POST /echo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
                HTTP2-Settings: AAMAAABkAAQAAP__\r\nContent-Length: 2\r\n\r\nok";
    socket.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(status(&one_answer(&mut socket).await), "200");
}

#[tokio::test]
async fn slow_senders_are_cut() {
    let server = start(limited(|l| {
        (l.header_seconds, l.rate_window_seconds) = (1, 1);
    }))
    .await;
    let (silent, slow_head, slow_body) = tokio::join!(
        server.raw(""),
        server.raw("POST / HT"),
        server.raw("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nx"),
    );
    assert_eq!((silent.as_str(), slow_head.as_str()), ("", ""));
    assert_eq!(status(&slow_body), "408");
}

#[tokio::test]
async fn resting_connections_end_after_the_idle_time() {
    let server = start(limited(|l| (l.header_seconds, l.idle_seconds) = (30, 1))).await;
    let start = Instant::now();
    let answer = server.raw(GOOD).await;
    assert!(status(&answer) == "200" && start.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn late_answers_panics_and_missing_turns_are_worded() {
    let mut settings = limited(|l| (l.request_seconds, l.queue_milliseconds) = (1, 1));
    let turns = Turns::new(1, &settings.limits);
    settings.turns = Some(Queues { long: turns.clone(), short: turns, workshop: Workshop::open().unwrap() });
    let server = start(settings).await;
    let answer = server.raw("GET /never HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(status(&answer) == "503" && answer.contains("retry-after"), "{answer}");
    let answer = server.raw("GET /panic HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(status(&answer) == "500" && !answer.contains("as asked"), "{answer}");
    let mut first = server.connect().await;
    first.write_all(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    server.echo.reached.notified().await;
    let answer = server.raw(GOOD.replace("Host: a", "Host: a\r\nConnection: close")).await;
    assert_eq!(status(&answer), "503");
    server.echo.go_on.notify_one();
    assert_eq!(status(&one_answer(&mut first).await), "200");
}

#[tokio::test]
async fn connections_are_limited_in_all_and_by_address() {
    let server = start(Settings { max_connections_per_address: 1, ..settings() }).await;
    let mut first = server.connect().await;
    first.write_all(GOOD.as_bytes()).await.unwrap();
    one_answer(&mut first).await;
    assert_eq!(to_end(&mut server.connect().await).await, "");
    first.write_all(GOOD.as_bytes()).await.unwrap();
    assert_eq!(status(&one_answer(&mut first).await), "200");
}

#[tokio::test]
async fn a_drain_finishes_what_is_under_way() {
    let server = start(settings()).await;
    let mut idle = server.connect().await;
    idle.write_all(GOOD.as_bytes()).await.unwrap();
    one_answer(&mut idle).await;
    let mut busy = server.connect().await;
    busy.write_all(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    server.echo.reached.notified().await;
    server.stop.cancel();
    assert_eq!(to_end(&mut idle).await, "");
    server.echo.go_on.notify_one();
    assert!(to_end(&mut busy).await.ends_with("waited"));
    assert_eq!(server.task.await.unwrap(), 0);
}

#[tokio::test]
async fn a_drain_cuts_what_does_not_finish() {
    let server = start(limited(|l| l.drain_seconds = 0)).await;
    let mut busy = server.connect().await;
    busy.write_all(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    server.echo.reached.notified().await;
    server.stop.cancel();
    assert_eq!(server.task.await.unwrap(), 1);
    assert_eq!(to_end(&mut busy).await, "");
}

// === TLS ===

/// An authority with a server and a client certificate, in files.
struct Pki {
    dir: tempfile::TempDir,
    authority: rcgen::CertifiedIssuer<'static, rcgen::KeyPair>,
}

impl Pki {
    fn new() -> Pki {
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "nodes");
        let authority =
            rcgen::CertifiedIssuer::self_signed(params, rcgen::KeyPair::generate().unwrap()).unwrap();
        let pki = Pki { dir: tempfile::tempdir().unwrap(), authority };
        std::fs::write(pki.path("ca"), pki.authority.pem()).unwrap();
        pki.issue("server", rcgen::ExtendedKeyUsagePurpose::ServerAuth);
        pki.issue("client", rcgen::ExtendedKeyUsagePurpose::ClientAuth);
        pki
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(format!("{name}.pem"))
    }

    fn issue(&self, name: &str, usage: rcgen::ExtendedKeyUsagePurpose) {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.extended_key_usages = vec![usage];
        let certificate = params.signed_by(&key, &self.authority).unwrap();
        std::fs::write(self.path(name), certificate.pem()).unwrap();
        std::fs::write(self.path(&format!("{name}-key")), key.serialize_pem()).unwrap();
    }

    fn acceptor(&self, tls: TlsMode, tls_profile: TlsProfile) -> Acceptor {
        let listener = ListenerConfig {
            name: "tls".into(),
            tls,
            tls_profile,
            certificate: Some(self.path("server")),
            private_key: Some(self.path("server-key")),
            client_ca: vec![self.path("ca")],
            ..Default::default()
        };
        Acceptor::new(&listener).unwrap().unwrap()
    }

    fn connector(&self, certificate: Option<&str>, profile: TlsProfile) -> tokio_rustls::TlsConnector {
        let builder = rustls::ClientConfig::builder_with_provider(profile.provider())
            .with_protocol_versions(profile.versions())
            .unwrap()
            .with_root_certificates(crate::config::tls::anchors(&[self.path("ca")]).unwrap());
        let mut config = match certificate {
            None => builder.with_no_client_auth(),
            Some(name) => {
                let key = self.path(&format!("{name}-key"));
                let identity = crate::config::tls::identity(&self.path(name), &key).unwrap();
                builder.with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(identity)))
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Arc::new(config).into()
    }
}

/// Asks who we are; `None` if the connection was refused.
async fn who(server: &Server, connector: &tokio_rustls::TlsConnector) -> Option<String> {
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    let mut stream = connector.connect(name, server.connect().await).await.ok()?;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    assert_eq!(stream.get_ref().1.handshake_kind(), Some(rustls::HandshakeKind::Full));
    stream.write_all(b"GET /subject HTTP/1.1\r\nHost: localhost\r\n\r\n").await.ok()?;
    let mut head = [0u8; 12];
    // With TLS 1.3 a refusal of our certificate only shows when we read.
    stream.read_exact(&mut head).await.ok()?;
    stream.write_all(b"GET /subject HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.ok()?;
    Some(to_end(&mut stream).await.lines().last().unwrap_or_default().to_string())
}

#[tokio::test]
async fn mutual_tls_wants_a_client_certificate_and_never_resumes() {
    let pki = Pki::new();
    for profile in [TlsProfile::JpHigh, TlsProfile::JpHigh12, TlsProfile::AtnaBcp195] {
        let tls = Some(pki.acceptor(TlsMode::Mutual, profile));
        let server = start(Settings { tls, ..settings() }).await;
        let connector = pki.connector(Some("client"), profile);
        for _ in 0..2 {
            // `who` asserts a full handshake: the second is the one that could be resumed.
            assert_eq!(who(&server, &connector).await.as_deref(), Some("client"));
        }
        assert_eq!(who(&server, &pki.connector(None, profile)).await, None);
        assert_eq!(who(&server, &pki.connector(Some("server"), profile)).await, None);
        assert_eq!(who(&server, &Pki { ..Pki::new() }.connector_to(&pki, profile)).await, None);
    }
}

impl Pki {
    /// Trusts `other`'s server, and presents a certificate of its own authority.
    fn connector_to(&self, other: &Pki, profile: TlsProfile) -> tokio_rustls::TlsConnector {
        std::fs::copy(other.path("ca"), self.path("ca")).unwrap();
        self.connector(Some("client"), profile)
    }
}

#[tokio::test]
async fn optional_tls_takes_clients_without_certificate() {
    let pki = Pki::new();
    let tls = Some(pki.acceptor(TlsMode::Optional, TlsProfile::JpHigh));
    let server = start(Settings { tls, ..settings() }).await;
    let nobody = pki.connector(None, TlsProfile::JpHigh);
    assert_eq!(who(&server, &nobody).await.as_deref(), Some("nobody"));
    let client = pki.connector(Some("client"), TlsProfile::JpHigh12);
    assert_eq!(who(&server, &client).await.as_deref(), Some("client"));
    let old = tokio_rustls::TlsConnector::from(Arc::new(
        rustls::ClientConfig::builder_with_provider(TlsProfile::JpHigh12.provider())
            .with_protocol_versions(&[&rustls::version::TLS12])
            .unwrap()
            .with_root_certificates(crate::config::tls::anchors(&[pki.path("ca")]).unwrap())
            .with_no_client_auth(),
    ));
    assert_eq!(who(&server, &old).await, None, "jp-high speaks TLS 1.3 only");
}

#[tokio::test]
async fn certificates_are_reloaded_and_a_bad_set_leaves_the_old() {
    let pki = Pki::new();
    let acceptor = pki.acceptor(TlsMode::Server, TlsProfile::JpHigh);
    let server = start(Settings { tls: Some(acceptor.clone()), ..settings() }).await;
    let connector = pki.connector(None, TlsProfile::JpHigh);
    std::fs::copy(pki.path("client-key"), pki.path("server-key")).unwrap();
    assert!(acceptor.reload().is_err());
    assert!(who(&server, &connector).await.is_some());
    let fresh = Pki::new();
    for name in ["server", "server-key"] {
        std::fs::copy(fresh.path(name), pki.path(name)).unwrap();
    }
    acceptor.reload().unwrap();
    assert_eq!(who(&server, &connector).await, None);
    assert!(who(&server, &fresh.connector(None, TlsProfile::JpHigh)).await.is_some());
}

#[tokio::test]
async fn a_handshake_may_not_take_for_ever() {
    let pki = Pki::new();
    let tls = Some(pki.acceptor(TlsMode::Server, TlsProfile::JpHigh));
    let server = start(Settings { tls, ..limited(|l| l.handshake_seconds = 1) }).await;
    assert_eq!(server.raw("").await, "");
}
