//! Bytes on a connection, as they are: what a client library would never send.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::soap::Answer;

/// One connection, plain or TLS, on which requests and answers take turns.
pub struct Raw<S> {
    pub stream: S,
    held: Vec<u8>,
}

/// An answer as HTTP has it.
#[derive(Debug)]
pub struct RawAnswer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl RawAnswer {
    /// The SOAP in it, held against the schemas.
    pub fn soap(self) -> Answer {
        Answer::read(self.status, self.headers, self.body)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn closes(&self) -> bool {
        self.headers.get(http::header::CONNECTION).is_some_and(|v| v == "close")
    }
}

/// A plain connection.
pub async fn connect(address: std::net::SocketAddr) -> Raw<tokio::net::TcpStream> {
    let stream = tokio::net::TcpStream::connect(address).await.expect("the gateway listens");
    stream.set_nodelay(true).expect("nodelay");
    Raw::new(stream)
}

/// A POST of `body`, head and all.
pub fn post(path: &str, content_type: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

impl<S: AsyncRead + AsyncWrite + Unpin> Raw<S> {
    pub fn new(stream: S) -> Self {
        Self { stream, held: vec![] }
    }

    /// Sends what the other side is willing to take.
    pub async fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
        let _ = self.stream.flush().await;
    }

    /// Sends and reads the answer meanwhile; `None` if the connection ended without one.
    pub async fn exchange(&mut self, bytes: &[u8]) -> Option<RawAnswer> {
        let (mut read, mut write) = tokio::io::split(&mut self.stream);
        let held = &mut self.held;
        let (_, answer) = tokio::join!(
            async move {
                let _ = write.write_all(bytes).await;
                let _ = write.flush().await;
            },
            read_answer(&mut read, held)
        );
        answer
    }

    /// The next answer; `None` if the connection ended without one.
    pub async fn answer(&mut self) -> Option<RawAnswer> {
        read_answer(&mut self.stream, &mut self.held).await
    }

    /// Whether the other side ends the connection without another byte.
    pub async fn ended(&mut self) -> bool {
        let mut byte = [0; 1];
        self.held.is_empty() && matches!(self.stream.read(&mut byte).await, Ok(0) | Err(_))
    }
}

async fn read_answer(stream: &mut (impl AsyncRead + Unpin), held: &mut Vec<u8>) -> Option<RawAnswer> {
    let (status, headers, length) = loop {
        if let Some(head) = head(held) {
            break head;
        }
        more(stream, held).await?;
    };
    while held.len() < length {
        more(stream, held).await?;
    }
    let body = Bytes::from(held.drain(..length).collect::<Vec<u8>>());
    Some(RawAnswer { status, headers, body })
}

async fn more(stream: &mut (impl AsyncRead + Unpin), held: &mut Vec<u8>) -> Option<()> {
    match stream.read_buf(held).await {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(()),
    }
}

/// Status, headers and length of the body, once the head is whole; takes it off `held`.
fn head(held: &mut Vec<u8>) -> Option<(StatusCode, HeaderMap, usize)> {
    let mut lines = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut lines);
    let httparse::Status::Complete(end) = response.parse(held).expect("an HTTP answer") else { return None };
    let status = StatusCode::from_u16(response.code.expect("a status")).expect("a status");
    let mut headers = HeaderMap::new();
    for line in response.headers.iter() {
        let name = HeaderName::from_bytes(line.name.as_bytes()).expect("a name");
        headers.append(name, HeaderValue::from_bytes(line.value).expect("a value"));
    }
    held.drain(..end);
    let length =
        headers.get(http::header::CONTENT_LENGTH).map_or(0, |v| v.to_str().unwrap().parse().unwrap());
    Some((status, headers, length))
}
