//! HTTP to one peer: a streaming POST and a streaming answer, each with its limits. Redirects are
//! not followed and the environment's proxy settings are ignored: a peer is where the
//! configuration says it is.

use std::error::Error as StdError;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use tokio::time::{Instant, sleep_until, timeout};

use super::tls::{TlsError, client_config};
use crate::config::PeerConfig;
use crate::config::limits::MIB;

/// Why a peer gave no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    #[error("the name of {peer} cannot be resolved: {cause}")]
    Resolve { peer: String, cause: String },
    #[error("{peer} cannot be reached: {cause}")]
    Connect { peer: String, cause: String },
    /// A handshake refused by either side; with TLS 1.3 a refusal of our certificate comes late.
    #[error("TLS with {peer} failed: {cause}")]
    Tls { peer: String, cause: String },
    #[error("{peer} did not answer within {seconds} s")]
    Timeout { peer: String, seconds: u64 },
    #[error("{peer} answered HTTP {status}")]
    Status { peer: String, status: StatusCode },
    #[error("the answer of {peer} cannot be used: {cause}")]
    BadAnswer { peer: String, cause: String },
    #[error("the answer of {peer} is larger than {limit} bytes")]
    TooLarge { peer: String, limit: u64 },
    /// What we were sending failed on our own side.
    #[error("the request to {peer} could not be produced: {cause}")]
    Request { peer: String, cause: String },
}

/// A peer's address and connection pool. Clones share the pool.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    /// Scheme, host and port: what errors and logs call the peer.
    name: Arc<str>,
    url: reqwest::Url,
    answer: Duration,
    limit: u64,
}

/// Why there is no client for a peer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("url {0:?} is not an http or https address")]
    Url(String),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("HTTP cannot be configured: {0}")]
    Http(#[from] reqwest::Error),
}

impl Client {
    pub fn new(peer: &PeerConfig) -> Result<Client, ClientError> {
        Self::with_pool(peer, Duration::from_secs(peer.connect_seconds), usize::MAX)
    }

    /// The same with another time to connect, and at most so many connections kept while nobody uses them.
    pub fn with_pool(peer: &PeerConfig, connect: Duration, idle: usize) -> Result<Client, ClientError> {
        let url = reqwest::Url::parse(&peer.url)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or_else(|| ClientError::Url(peer.url.clone()))?;
        crate::config::tls::install_provider();
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(client_config(peer)?)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .http1_only()
            .tcp_nodelay(true)
            .connect_timeout(connect)
            .pool_max_idle_per_host(idle)
            // Below the idle time of common servers, so that we hang up first.
            .pool_idle_timeout(Duration::from_secs(25))
            .user_agent("chiren");
        if let Some(proxy) = &peer.proxy {
            builder = builder.proxy(reqwest::Proxy::all(proxy)?);
        }
        Ok(Client {
            http: builder.build()?,
            name: url.origin().ascii_serialization().into(),
            url,
            answer: Duration::from_secs(peer.answer_seconds),
            limit: peer.answer_mib.saturating_mul(MIB),
        })
    }

    /// The same peer on the same connections, with another silence borne and another size of answers.
    pub fn bearing(&self, silence: Duration, limit: u64) -> Client {
        Client { answer: silence, limit, ..self.clone() }
    }

    /// Scheme, host and port.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole address, as it stands in `wsa:To`.
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// A client for another address of this peer, on the same connections: scheme, host and port are the same
    /// and the path begins with this one's. `None` if it is no such address.
    pub fn at(&self, address: &str) -> Option<Client> {
        let url = reqwest::Url::parse(address).ok()?;
        let plain = url.username().is_empty() && url.password().is_none();
        let below = url
            .path()
            .strip_prefix(self.url.path())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || self.url.path().ends_with('/'));
        (plain && below && url.origin() == self.url.origin()).then(|| Client { url, ..self.clone() })
    }

    /// Sends `body`, as it is produced, with `length` as its Content-Length if known and chunked
    /// otherwise. The answer may have any status: SOAP faults come with 400 and 500.
    ///
    /// Fails when neither a byte of ours went out nor the answer began for `answer_seconds`.
    pub async fn post<S, E>(
        &self,
        mut headers: HeaderMap,
        length: Option<u64>,
        body: S,
    ) -> Result<Answer, PeerError>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<Box<dyn StdError + Send + Sync>> + 'static,
    {
        if let Some(length) = length {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        let sending = Arc::new(Mutex::new(Sending { moved: Instant::now(), failed: None }));
        let body = watched(body, sending.clone());
        let sent =
            self.http.post(self.url.clone()).headers(headers).body(reqwest::Body::wrap_stream(body)).send();
        let response = tokio::select! {
            sent = sent => sent.map_err(|e| {
                // reqwest does not tell a body that failed here from one that failed there.
                match sending.lock().unwrap_or_else(PoisonError::into_inner).failed.take() {
                    Some(cause) => PeerError::Request { peer: self.name.to_string(), cause },
                    None => self.failed(&e),
                }
            })?,
            () = stalled(&sending, self.answer) => return Err(self.timeout()),
        };
        Ok(Answer {
            status: response.status(),
            headers: response.headers().clone(),
            response,
            client: self.clone(),
            bytes: 0,
        })
    }

    /// [`post`](Self::post) of a body at hand.
    pub async fn post_bytes(&self, headers: HeaderMap, body: Bytes) -> Result<Answer, PeerError> {
        let length = body.len() as u64;
        let body = futures_util::stream::iter([Ok::<_, io::Error>(body)]);
        self.post(headers, Some(length), body).await
    }

    /// Sends a body at hand by any method.
    pub async fn send(&self, method: Method, headers: HeaderMap, body: Bytes) -> Result<Answer, PeerError> {
        let mut request = self.http.request(method, self.url.clone()).headers(headers);
        if !body.is_empty() {
            request = request.body(body);
        }
        let sent = timeout(self.answer, request.send());
        let response = sent.await.map_err(|_| self.timeout())?.map_err(|e| self.failed(&e))?;
        let (status, headers) = (response.status(), response.headers().clone());
        Ok(Answer { status, headers, response, client: self.clone(), bytes: 0 })
    }

    /// Asks for what is at the peer's address.
    pub async fn get(&self) -> Result<Answer, PeerError> {
        let sent = timeout(self.answer, self.http.get(self.url.clone()).send());
        let response = sent.await.map_err(|_| self.timeout())?.map_err(|e| self.failed(&e))?;
        let (status, headers) = (response.status(), response.headers().clone());
        Ok(Answer { status, headers, response, client: self.clone(), bytes: 0 })
    }

    fn timeout(&self) -> PeerError {
        PeerError::Timeout { peer: self.name.to_string(), seconds: self.answer.as_secs() }
    }

    /// Sorts reqwest's errors by their causes.
    fn failed(&self, error: &reqwest::Error) -> PeerError {
        let peer = self.name.to_string();
        let chain = || std::iter::successors(error.source(), |e| (*e).source());
        // The innermost text says the most; the outer ones name the URL again.
        let cause = chain().last().unwrap_or(error).to_string();
        let dns = chain().any(|e| e.to_string().starts_with("dns error"));
        if let Some(cause) = chain().find_map(tls_cause) {
            PeerError::Tls { peer, cause: cause.to_string() }
        } else if error.is_timeout() && !error.is_connect() {
            self.timeout()
        } else if dns {
            PeerError::Resolve { peer, cause }
        } else if error.is_connect() {
            PeerError::Connect { peer, cause }
        } else {
            PeerError::BadAnswer { peer, cause }
        }
    }
}

fn tls_cause<'e>(error: &'e (dyn StdError + 'static)) -> Option<&'e rustls::Error> {
    // An io::Error hides what it wraps from `source`, and layers wrap it more than once.
    match error.downcast_ref::<io::Error>() {
        Some(wrapper) => tls_cause(wrapper.get_ref()?),
        None => error.downcast_ref(),
    }
}

/// How the sending of a body goes.
struct Sending {
    moved: Instant,
    failed: Option<String>,
}

/// The same body, saying in `sending` how it goes.
fn watched<E: Into<Box<dyn StdError + Send + Sync>>>(
    body: impl Stream<Item = Result<Bytes, E>>,
    sending: Arc<Mutex<Sending>>,
) -> impl Stream<Item = Result<Bytes, Box<dyn StdError + Send + Sync>>> {
    body.map(move |chunk| {
        let chunk = chunk.map_err(Into::into);
        let mut sending = sending.lock().unwrap_or_else(PoisonError::into_inner);
        sending.moved = Instant::now();
        sending.failed = chunk.as_ref().err().map(ToString::to_string);
        chunk
    })
}

/// Ends when nothing has moved for `patience`.
async fn stalled(sending: &Mutex<Sending>, patience: Duration) {
    loop {
        let end = sending.lock().unwrap_or_else(PoisonError::into_inner).moved + patience;
        if end <= Instant::now() {
            return;
        }
        sleep_until(end).await;
    }
}

/// A peer's answer; its body is yet to come.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    response: reqwest::Response,
    client: Client,
    bytes: u64,
}

impl Answer {
    /// This answer, unless its status is an error.
    pub fn success(self) -> Result<Answer, PeerError> {
        if self.status.is_success() {
            Ok(self)
        } else {
            Err(PeerError::Status { peer: self.client.name.to_string(), status: self.status })
        }
    }

    pub fn content_type(&self) -> Option<&str> {
        self.headers.get(header::CONTENT_TYPE)?.to_str().ok()
    }

    /// The next bytes of the body; `None` at its end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, PeerError> {
        let chunk = timeout(self.client.answer, self.response.chunk())
            .await
            .map_err(|_| self.client.timeout())?
            .map_err(|e| self.client.failed(&e))?;
        self.bytes += chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
        if self.bytes > self.client.limit {
            return Err(PeerError::TooLarge { peer: self.client.name.to_string(), limit: self.client.limit });
        }
        Ok(chunk)
    }

    /// The whole body, held in memory.
    pub async fn whole(mut self) -> Result<Bytes, PeerError> {
        let mut all = BytesMut::new();
        while let Some(chunk) = self.chunk().await? {
            all.extend_from_slice(&chunk);
        }
        Ok(all.freeze())
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// A peer that answers every connection with these bytes, once a request has begun.
    async fn peer(answer: impl Into<Vec<u8>>) -> PeerConfig {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answer = answer.into();
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                respond(&mut socket, &answer).await;
            }
        });
        PeerConfig { url: format!("http://{address}/x"), answer_seconds: 1, ..Default::default() }
    }

    async fn respond(socket: &mut TcpStream, answer: &[u8]) {
        let mut buffer = [0; 4096];
        let _ = socket.read(&mut buffer).await;
        let _ = socket.write_all(answer).await;
        // Holds the connection until the client is done with it.
        while matches!(socket.read(&mut buffer).await, Ok(1..)) {}
    }

    async fn asked(config: &PeerConfig) -> Result<(StatusCode, Bytes), PeerError> {
        let answer = Client::new(config).unwrap().post_bytes(HeaderMap::new(), "ask".into()).await?;
        Ok((answer.status, answer.whole().await?))
    }

    #[tokio::test]
    async fn any_status_is_an_answer_and_redirects_are_not_followed() {
        let config = peer("HTTP/1.1 500 x\r\nContent-Length: 5\r\n\r\nfault").await;
        let (status, body) = asked(&config).await.unwrap();
        assert_eq!((status.as_u16(), &body[..]), (500, &b"fault"[..]));
        let to = peer("HTTP/1.1 200 x\r\nContent-Length: 2\r\n\r\nno").await.url;
        let config = peer(format!("HTTP/1.1 307 x\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n")).await;
        assert_eq!(asked(&config).await.unwrap().0.as_u16(), 307);
    }

    #[tokio::test]
    async fn each_way_of_failing_has_its_name() {
        let silent = peer("").await;
        assert!(matches!(asked(&silent).await, Err(PeerError::Timeout { seconds: 1, .. })));
        let stalls = peer("HTTP/1.1 200 x\r\nContent-Length: 9\r\n\r\nhalf").await;
        assert!(matches!(asked(&stalls).await, Err(PeerError::Timeout { .. })));
        let garbage = peer("SSH-2.0-x\r\n\r\n").await;
        assert!(matches!(asked(&garbage).await, Err(PeerError::BadAnswer { .. })));
        let closed = {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            PeerConfig { url: format!("http://{}/", listener.local_addr().unwrap()), ..Default::default() }
        };
        assert!(matches!(asked(&closed).await, Err(PeerError::Connect { .. })));
        let unknown = PeerConfig { url: "http://no-such-host.invalid/".into(), ..Default::default() };
        assert!(matches!(asked(&unknown).await, Err(PeerError::Resolve { .. })));
        let plain = peer("HTTP/1.1 400 x\r\n\r\n").await;
        let tls = PeerConfig { url: plain.url.replace("http:", "https:"), ..plain };
        assert!(matches!(asked(&tls).await, Err(PeerError::Tls { .. })));
        let big = format!("HTTP/1.1 200 x\r\nContent-Length: 2000000\r\n\r\n{}", "x".repeat(2_000_000));
        let big = PeerConfig { answer_mib: 1, ..peer(big).await };
        assert!(matches!(asked(&big).await, Err(PeerError::TooLarge { .. })));
    }

    #[tokio::test]
    async fn a_request_that_fails_on_our_side_says_so() {
        let client = Client::new(&peer("").await).unwrap();
        let body = futures_util::stream::iter([Ok(Bytes::from("a")), Err(io::Error::other("disk"))]);
        let result = client.post(HeaderMap::new(), None, body).await;
        assert!(matches!(result, Err(PeerError::Request { cause, .. }) if cause == "disk"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_upload_that_moves_is_not_cut() {
        let patience = Duration::from_secs(30);
        let pause = |n: u64| async move {
            tokio::time::sleep(Duration::from_secs(if n < 10 { 29 } else { 31 })).await;
            Ok::<_, io::Error>(Bytes::from("x"))
        };
        let begun = Instant::now();
        let sending = Arc::new(Mutex::new(Sending { moved: begun, failed: None }));
        let body = watched(futures_util::stream::iter(0..).then(pause), sending.clone());
        tokio::select! {
            _ = body.count() => unreachable!("it has no end"),
            () = stalled(&sending, patience) => {}
        }
        // Ten chunks, each in time, and then none.
        assert_eq!(begun.elapsed().as_secs(), 10 * 29 + 30);
    }

    #[test]
    fn other_addresses_of_a_peer() {
        let config = PeerConfig { url: "http://h.example:8080/replies".into(), ..Default::default() };
        let client = Client::new(&config).unwrap();
        for good in ["http://h.example:8080/replies", "HTTP://H.EXAMPLE:8080/replies/7?x=1"] {
            assert!(client.at(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "/replies",
            "https://h.example:8080/replies",
            "http://h.example/replies",
            "http://h.example.org:8080/replies",
            "http://h.example:8080@10.0.0.1/replies",
            "http://user@h.example:8080/replies",
            "http://h.example:8080/repliesx",
            "http://h.example:8080/replies/../admin",
            "http://h.example:8080/",
        ] {
            assert!(client.at(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn addresses_other_than_http_are_refused() {
        for url in ["", "ftp://x/", "https://", "registry"] {
            let config = PeerConfig { url: url.into(), ..Default::default() };
            assert!(matches!(Client::new(&config), Err(ClientError::Url(_))), "{url}");
        }
    }
}
