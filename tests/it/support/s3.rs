//! An S3 server: on a real socket and a thread of its own, over a temporary folder, with faults on demand.
//! Or, where `TEST_S3_URL` names one (with `TEST_S3_BUCKET` and the AWS_ variables), a server elsewhere.
//!
//! Used by unit tests too, which include this file; it must not name anything beside it but `port.rs`.
#![allow(dead_code)]

// Unit tests find it nowhere else.
#[allow(clippy::duplicate_mod)]
#[path = "port.rs"]
mod port;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;

pub const ACCESS_KEY: &str = "TESTACCESSKEY";
pub const SECRET: &str = "test/secret+key";
pub const BUCKET: &str = "documents";

/// What the server does instead of serving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    /// Answers with this status and code.
    Status(u16, &'static str),
    /// Says nothing until the fault is another.
    Silence,
    /// Breaks a document off after so many octets, each time it is asked for.
    Cut(usize),
    /// Changes the octet there of each document that is asked for.
    Alter(usize),
}

/// A server of one's own; it ends when dropped.
pub struct Server {
    pub address: SocketAddr,
    dir: TempDir,
    fault: watch::Sender<Fault>,
    stop: Mutex<Option<watch::Sender<bool>>>,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// With the bucket [`BUCKET`].
    pub fn start() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        std::fs::create_dir(dir.path().join(BUCKET)).expect("a bucket");
        let server = Self {
            // It stops and comes back at the same address.
            address: port::lasting().local_addr().expect("an address"),
            dir,
            fault: watch::channel(Fault::None).0,
            stop: Mutex::default(),
            thread: Mutex::default(),
            requests: Arc::default(),
        };
        server.serve();
        server
    }

    fn serve(&self) {
        let listener = port::bound(self.address);
        let mut builder = S3ServiceBuilder::new(s3s_fs::FileSystem::new(self.dir.path()).expect("a folder"));
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET));
        let state = State {
            service: builder.build(),
            fault: self.fault.subscribe(),
            requests: self.requests.clone(),
            root: self.dir.path().to_owned(),
        };
        let (stop, stopped) = watch::channel(false);
        *self.stop.lock().expect("stop") = Some(stop);
        let run = move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(accept(listener, state, stopped));
        };
        *self.thread.lock().expect("thread") = Some(std::thread::spawn(run));
    }

    /// Ends the server with all its connections; its address refuses from then on.
    pub fn stop(&self) {
        if let Some(stop) = self.stop.lock().expect("stop").take() {
            let _ = stop.send(true);
        }
        if let Some(thread) = self.thread.lock().expect("thread").take() {
            thread.join().expect("the server ends");
        }
    }

    /// Serves again, at the same address.
    pub fn restart(&self) {
        self.serve();
    }

    pub fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }

    /// Method, path and query of every request so far, and with what it was asked to encrypt.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("requests").clone()
    }

    /// Where the bucket's objects lie.
    pub fn bucket(&self) -> PathBuf {
        self.dir.path().join(BUCKET)
    }

    /// Takes the bucket away, or brings it back.
    pub fn set_bucket(&self, there: bool) {
        let aside = self.dir.path().join(".aside");
        let (from, to) = if there { (aside, self.bucket()) } else { (self.bucket(), aside) };
        std::fs::rename(from, to).expect("the bucket");
    }

    pub fn place(&self) -> Place {
        Place {
            endpoint: format!("http://{}", self.address),
            bucket: BUCKET.into(),
            prefix: fresh_prefix(),
            access_key: ACCESS_KEY.into(),
            secret: SECRET.into(),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Where a test keeps its objects.
#[derive(Debug, Clone)]
pub struct Place {
    pub endpoint: String,
    pub bucket: String,
    pub prefix: String,
    pub access_key: String,
    pub secret: String,
}

impl Place {
    /// In the server of this process, or in the one that `TEST_S3_URL` names.
    pub fn fresh() -> Self {
        static SHARED: OnceLock<Server> = OnceLock::new();
        let var = |name: &str| std::env::var(name).unwrap_or_default();
        match std::env::var("TEST_S3_URL") {
            Err(_) => SHARED.get_or_init(Server::start).place(),
            Ok(endpoint) => Self {
                endpoint,
                bucket: var("TEST_S3_BUCKET"),
                prefix: fresh_prefix(),
                access_key: var("AWS_ACCESS_KEY_ID"),
                secret: var("AWS_SECRET_ACCESS_KEY"),
            },
        }
    }

    /// A file of its credentials.
    pub fn credentials(&self, dir: &Path) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let path = dir.join("s3-credentials");
        let text = format!(
            "[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
            self.access_key, self.secret
        );
        std::fs::write(&path, text).expect("credentials");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("a mode");
        path
    }
}

fn fresh_prefix() -> String {
    format!("t{}/", uuid::Uuid::new_v4().simple())
}

#[derive(Clone)]
struct State {
    service: S3Service,
    fault: watch::Receiver<Fault>,
    requests: Arc<Mutex<Vec<String>>>,
    root: PathBuf,
}

type Answer = Response<UnsyncBoxBody<Bytes, std::io::Error>>;

async fn accept(listener: std::net::TcpListener, state: State, mut stopped: watch::Receiver<bool>) {
    let listener = TcpListener::from_std(listener).expect("a listener");
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let socket = tokio::select! {
            socket = listener.accept() => socket,
            _ = stopped.changed() => return,
        };
        let Ok((socket, _)) = socket else { continue };
        let state = state.clone();
        connections.spawn(async move {
            let service = hyper::service::service_fn(move |request| answer(state.clone(), request));
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(socket), service)
                .await;
        });
    }
}

async fn answer(mut state: State, request: Request<Incoming>) -> Result<Answer, Infallible> {
    let encrypted = request.headers().get("x-amz-server-side-encryption");
    let encrypted = encrypted.and_then(|v| v.to_str().ok()).unwrap_or_default();
    let seen = format!("{} {} {encrypted}", request.method(), request.uri());
    state.requests.lock().expect("requests").push(seen.trim_end().to_owned());
    let mut fault = *state.fault.borrow();
    // The server would make a bucket with its first object.
    let bucket = request.uri().path().split('/').nth(1).unwrap_or_default();
    if fault == Fault::None && !state.root.join(bucket).is_dir() {
        fault = Fault::Status(404, "NoSuchBucket");
    }
    let is_get = request.method() == http::Method::GET && request.uri().query().is_none();
    match fault {
        Fault::Status(status, code) => {
            let _ = request.into_body().collect().await;
            let body = format!("<Error><Code>{code}</Code><Message>as asked</Message></Error>");
            let mut response = Response::new(Full::from(body).map_err(|e| match e {}).boxed_unsync());
            *response.status_mut() = StatusCode::from_u16(status).expect("a status");
            return Ok(response);
        }
        Fault::Silence => {
            let _ = state.fault.wait_for(|fault| *fault != Fault::Silence).await;
        }
        Fault::None | Fault::Cut(_) | Fault::Alter(_) => {}
    }
    let response = hyper::service::Service::call(&state.service, request).await;
    let Ok(response) = response else {
        let body = Full::from("failed").map_err(|e| match e {}).boxed_unsync();
        return Ok(Response::builder().status(500).body(body).expect("a response"));
    };
    let (parts, body) = response.into_parts();
    if !is_get || matches!(fault, Fault::None | Fault::Silence | Fault::Status(..)) {
        let body = body.map_err(|e| std::io::Error::other(e.to_string())).boxed_unsync();
        return Ok(Response::from_parts(parts, body));
    }
    let mut whole = match http_body_util::BodyExt::collect(body).await {
        Ok(body) => body.to_bytes().to_vec(),
        Err(_) => vec![],
    };
    let mut pieces = vec![];
    match fault {
        Fault::Cut(at) if at < whole.len() => {
            whole.truncate(at);
            pieces.push(Ok(Frame::data(Bytes::from(whole))));
            pieces.push(Err(std::io::Error::other("cut off, as asked")));
        }
        fault => {
            if let Fault::Alter(at) = fault
                && let Some(octet) = whole.get_mut(at)
            {
                *octet ^= 1;
            }
            pieces.push(Ok(Frame::data(Bytes::from(whole))));
        }
    }
    let body = StreamBody::new(stream::iter(pieces).then(std::future::ready)).boxed_unsync();
    Ok(Response::from_parts(parts, body))
}
