//! Documents in a bucket of an S3-compatible store.
//!
//! A document is spooled here like any other and then goes up: in one request, or in parts when it is
//! larger than one. Each request carries the SHA-256 of its octets, which the store compares before it
//! acknowledges. Coming down, a document is hashed again, or opened frame by frame where it is
//! encrypted, and its last octets are withheld until that agrees: an answer may break off, but never
//! looks whole and is not.

use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, Checksum, S3ConditionalPut};
use object_store::client::{HttpClient, HttpConnector};
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientOptions, GetOptions, GetRange, ObjectMeta, ObjectStore as _, ObjectStoreExt as _,
    PutMode, PutPayload, RetryConfig, WriteMultipart,
};
use sha2::{Digest as _, Sha256};
use tokio::task::spawn_blocking;

use super::envelope::{self, HEAD, Opener, SLOTS};
use super::fs::Over;
use super::keys::{KeyRing, WRAPPED};
use super::read::{BlobReader, CHUNK, opener};
use super::s3_fault::sort;
use super::spool::{Body, Spooled, hex};
use super::spool_dir::{Removal, SpoolDir};
use super::{BlobError, BlobKey, Rekeyed, Stored, doing, task_lost};
use crate::config::limits::MIB;
use crate::config::s3::{S3Config, ServerEncryption};
use crate::config::tls::{anchors, install_provider};

/// Parts of one document on their way at a time; with the one being read, what is in memory.
const PARTS: usize = 2;

pub(super) struct S3 {
    store: AmazonS3,
    prefix: String,
    part: usize,
    conditional_put: bool,
    spool: Arc<SpoolDir>,
}

impl S3 {
    /// Without asking the store anything.
    pub(super) fn open(config: &S3Config, spool: Arc<SpoolDir>) -> Result<Self, BlobError> {
        Ok(Self {
            store: client(config)
                .map_err(|cause| BlobError::Refused { what: "open the document store", cause })?,
            prefix: config.prefix.clone(),
            part: usize::try_from(config.part_mib.max(5) * MIB).unwrap_or(usize::MAX),
            conditional_put: config.conditional_put,
            spool,
        })
    }

    fn object(&self, key: &BlobKey) -> Path {
        let hex = key.as_str();
        Path::from(format!("{}objects/{}/{}/{hex}", self.prefix, &hex[..2], &hex[2..4]))
    }

    /// Documents one after the other: each is a stream of its own.
    pub(super) async fn commit_all(&self, documents: &[Spooled], over: Over) -> Result<(), BlobError> {
        for document in documents {
            self.place(document, over).await?;
        }
        Ok(())
    }

    async fn place(&self, document: &Spooled, over: Over) -> Result<(), BlobError> {
        let key = document.key();
        match &document.body {
            Body::Memory(octets) => {
                let octets = match &self.spool.keys {
                    Some(ring) => envelope::seal(octets, &key, ring)?,
                    None => octets.clone(),
                };
                self.put(&key, octets.into(), document.size, over).await
            }
            Body::File(file, _) => {
                let stored = file.metadata().map_err(doing("read a spool file"))?.len();
                if stored <= self.part as u64 {
                    let octets = read_at(file, 0, stored).await?;
                    self.put(&key, octets, document.size, over).await
                } else if over == Over::Nothing && self.is_there(&key, document.size).await? {
                    Ok(())
                } else {
                    self.put_parts(&key, file, stored).await
                }
            }
        }
    }

    /// One request. With `If-None-Match` first; where that fails for a reason that may pass, it is not
    /// known whether the object was written, and plain puts may be repeated.
    async fn put(&self, key: &BlobKey, octets: Bytes, size: u64, over: Over) -> Result<(), BlobError> {
        let path = self.object(key);
        if over == Over::Nothing && self.conditional_put {
            match self.store.put_opts(&path, octets.clone().into(), PutMode::Create.into()).await {
                Ok(_) => return Ok(()),
                Err(object_store::Error::AlreadyExists { .. }) => {
                    if self.is_there(key, size).await? {
                        return Ok(());
                    }
                }
                Err(e) => match sort("store a document", key, e) {
                    BlobError::Busy { .. } | BlobError::Away { .. } => {}
                    e => return Err(e),
                },
            }
        }
        let put = self.store.put(&path, octets.into()).await;
        put.map(|_| ()).map_err(|e| sort("store a document", key, e))
    }

    async fn put_parts(
        &self,
        key: &BlobKey,
        file: &Arc<std::fs::File>,
        stored: u64,
    ) -> Result<(), BlobError> {
        let sorted = |e| sort("store a document", key, e);
        let upload = self.store.put_multipart(&self.object(key)).await.map_err(sorted)?;
        let mut upload = WriteMultipart::new_with_chunk_size(upload, self.part);
        let mut at = 0;
        while at < stored {
            let octets = read_at(file, at, (stored - at).min(self.part as u64)).await;
            let sent = match octets {
                Ok(octets) => {
                    at += octets.len() as u64;
                    let waited = upload.wait_for_capacity(PARTS).await.map_err(sorted);
                    waited.map(|()| upload.put(octets))
                }
                Err(e) => Err(e),
            };
            if let Err(e) = sent {
                // What cannot be taken back now, the bucket's lifecycle will.
                let _ = upload.abort().await;
                return Err(e);
            }
        }
        upload.finish().await.map(|_| ()).map_err(sorted)
    }

    /// Whether the object is there in its full size.
    async fn is_there(&self, key: &BlobKey, size: u64) -> Result<bool, BlobError> {
        let Some(meta) = self.head(key).await? else { return Ok(false) };
        let whole = super::fits(meta.size, size);
        if !whole {
            let there = meta.size;
            tracing::error!(key = %key, there, size, "a stored document was damaged and is replaced by a new copy");
        }
        Ok(whole)
    }

    async fn head(&self, key: &BlobKey) -> Result<Option<ObjectMeta>, BlobError> {
        match self.store.head(&self.object(key)).await.map_err(|e| sort("look for a document", key, e)) {
            Ok(meta) => Ok(Some(meta)),
            Err(BlobError::NotFound(_)) => Ok(None),
            Err(e) => Err(e),
        }
    }

    pub(super) async fn exists(&self, key: &BlobKey) -> Result<bool, BlobError> {
        Ok(self.head(key).await?.is_some())
    }

    /// Does the bucket answer? Asked for any object: whoever waits for readiness waits a little only.
    pub(super) async fn reach(&self) -> Result<(), BlobError> {
        let what = "look for the document store";
        let Some(any) = BlobKey::parse(&"0".repeat(64)) else { return Ok(()) };
        match tokio::time::timeout(Duration::from_secs(3), self.exists(&any)).await {
            Ok(answer) => answer.map(drop),
            Err(_) => Err(BlobError::Busy { what, cause: "no answer within 3 s".into() }),
        }
    }

    pub(super) async fn delete(&self, key: &BlobKey) -> Result<bool, BlobError> {
        if self.head(key).await?.is_none() {
            return Ok(false);
        }
        let done = self.store.delete(&self.object(key)).await;
        done.map(|()| true).map_err(|e| sort("remove a document", key, e))
    }

    pub(super) async fn delete_if_old(
        &self,
        key: &BlobKey,
        cutoff: SystemTime,
    ) -> Result<Removal, BlobError> {
        match self.head(key).await? {
            None => return Ok(Removal::Absent),
            Some(meta) if SystemTime::from(meta.last_modified) >= cutoff => return Ok(Removal::Young),
            Some(_) => {}
        }
        let done = self.store.delete(&self.object(key)).await;
        done.map(|()| Removal::Gone).map_err(|e| sort("remove a document", key, e))
    }

    pub(super) async fn list(&self, prefix: u8) -> Result<Vec<Stored>, BlobError> {
        let folder = Path::from(format!("{}objects/{prefix:02x}", self.prefix));
        let stored = |meta: ObjectMeta| {
            let key = BlobKey::parse(meta.location.filename()?)?;
            Some(Stored { key, size: meta.size, modified: meta.last_modified.into() })
        };
        let mut found: Vec<Stored> = self
            .store
            .list(Some(&folder))
            .try_filter_map(|meta| std::future::ready(Ok(stored(meta))))
            .try_collect()
            .await
            .map_err(|e| super::s3_fault::sort_bucket("list documents", e))?;
        found.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(found)
    }

    pub(super) async fn read(&self, key: &BlobKey) -> Result<BlobReader, BlobError> {
        let mut coming = self.get(key).await?;
        coming.gather(HEAD).await?;
        if envelope::is_sealed(&coming.held) {
            match opener(&coming.held, coming.stored, key, self.spool.keys.as_ref())? {
                Ok(opener) => {
                    let _ = coming.held.split_to(HEAD);
                    coming.how = How::Sealed(opener);
                }
                // No key fits: a document that begins like an encrypted one, or one that cannot be read.
                Err(why) => {
                    if !self.is_clear(key).await? {
                        return Err(why);
                    }
                }
            }
        }
        let size = coming.size();
        let key = key.clone();
        let pieces = stream::try_unfold(coming, |mut coming| async move {
            Ok(coming.next().await?.map(|piece| (piece, coming)))
        });
        if size > CHUNK {
            return Ok(BlobReader::coming(key, size, pieces.boxed()));
        }
        let whole = pieces.try_fold(BytesMut::new(), |mut all, piece| {
            all.extend_from_slice(&piece);
            std::future::ready(Ok(all))
        });
        Ok(BlobReader::at_hand(key, whole.await?.freeze()))
    }

    async fn get(&self, key: &BlobKey) -> Result<Coming, BlobError> {
        let got = self.store.get(&self.object(key)).await.map_err(|e| sort("read a document", key, e))?;
        let stored = got.meta.size;
        Ok(Coming {
            key: key.clone(),
            stored,
            left: stored,
            held: BytesMut::new(),
            how: How::Clear(Sha256::new()),
            raw: got.into_stream(),
        })
    }

    /// Whether an object's octets are those its name says, as they lie there.
    async fn is_clear(&self, key: &BlobKey) -> Result<bool, BlobError> {
        let mut coming = self.get(key).await?;
        loop {
            match coming.next().await {
                Ok(Some(_)) => {}
                Ok(None) => return Ok(true),
                Err(BlobError::Damaged { .. }) => return Ok(false),
                Err(e) => return Err(e),
            }
        }
    }

    /// Wraps a document's key under the first key. An object cannot be changed in its place: it comes
    /// down as it is and goes up with another head.
    pub(super) async fn rekey(&self, key: &BlobKey, ring: &KeyRing) -> Result<Rekeyed, BlobError> {
        let options = GetOptions { range: Some(GetRange::Bounded(0..HEAD as u64)), ..GetOptions::default() };
        let head = match self.store.get_opts(&self.object(key), options).await {
            Ok(got) => got.bytes().await.map_err(|e| sort("read a document", key, e))?,
            Err(e) => match sort("read a document", key, e) {
                BlobError::NotFound(_) => return Ok(Rekeyed::Absent),
                e => return Err(e),
            },
        };
        if !envelope::is_sealed(&head) {
            return Ok(Rekeyed::Clear);
        }
        let wrapped = match envelope::rewrapped(&head, key, ring) {
            Ok(None) => return Ok(Rekeyed::Current),
            Ok(Some(wrapped)) => wrapped,
            Err(_) if self.is_clear(key).await? => return Ok(Rekeyed::Clear),
            Err(locked) => return Err(envelope::locked(key, locked)),
        };
        let (file, _temp) = self.spool.temp_file()?;
        let file = Arc::new(file);
        let mut coming = self.get(key).await?;
        let mut at = 0;
        while let Some(octets) = coming.raw_next().await? {
            let (file, end) = (file.clone(), at + octets.len() as u64);
            spawn_blocking(move || file.write_all_at(&octets, at))
                .await
                .map_err(task_lost)?
                .map_err(doing("write a document"))?;
            at = end;
        }
        for slot in SLOTS {
            debug_assert!(slot + WRAPPED <= HEAD);
            file.write_all_at(&wrapped, slot as u64).map_err(doing("write a document"))?;
        }
        match at <= self.part as u64 {
            true => self.put(key, read_at(&file, 0, at).await?, at, Over::Anything).await?,
            false => self.put_parts(key, &file, at).await?,
        }
        Ok(Rekeyed::Wrapped)
    }

    /// Puts, reads and removes an object of no meaning.
    pub(super) async fn probe(&self) -> Result<(), BlobError> {
        let path = Path::from(format!("{}probe/{}", self.prefix, uuid::Uuid::new_v4().simple()));
        let probe = async {
            self.store.put(&path, PutPayload::from_static(b"probe")).await?;
            let read = self.store.get(&path).await?.bytes().await?;
            self.store.delete(&path).await?;
            Ok(read)
        };
        match probe.await.map_err(|e| super::s3_fault::sort_bucket("try the document store", e))? {
            read if read == b"probe"[..] => Ok(()),
            _ => Err(BlobError::Refused {
                what: "try the document store",
                cause: "it gave back other octets than were put".into(),
            }),
        }
    }
}

/// A document coming down.
struct Coming {
    key: BlobKey,
    /// Octets of the object.
    stored: u64,
    /// Of them, those not taken from `raw` yet.
    left: u64,
    /// Taken from `raw` and not given out yet.
    held: BytesMut,
    how: How,
    raw: BoxStream<'static, object_store::Result<Bytes>>,
}

enum How {
    Clear(Sha256),
    Sealed(Opener),
}

impl Coming {
    fn size(&self) -> u64 {
        match &self.how {
            How::Clear(_) => self.stored,
            How::Sealed(opener) => opener.size,
        }
    }

    /// The next octets of the object, which must be as many as it said.
    async fn raw_next(&mut self) -> Result<Option<Bytes>, BlobError> {
        loop {
            match self.raw.next().await {
                Some(Ok(octets)) if octets.is_empty() => {}
                Some(Ok(octets)) => {
                    let left = self.left.checked_sub(octets.len() as u64);
                    self.left =
                        left.ok_or_else(|| envelope::damaged(&self.key, "it became longer".into()))?;
                    return Ok(Some(octets));
                }
                Some(Err(e)) => return Err(sort("read a document", &self.key, e)),
                None if self.left == 0 => return Ok(None),
                None => return Err(envelope::damaged(&self.key, "it became shorter".into())),
            }
        }
    }

    /// Holds at least so many octets, or all there are.
    async fn gather(&mut self, octets: usize) -> Result<(), BlobError> {
        while self.held.len() < octets {
            let Some(more) = self.raw_next().await? else { break };
            self.held.extend_from_slice(&more);
        }
        Ok(())
    }

    async fn next(&mut self) -> Result<Option<Bytes>, BlobError> {
        match &self.how {
            How::Clear(_) => self.next_clear().await,
            How::Sealed(opener) => {
                let frame = opener.next();
                self.gather(frame.max(1)).await?;
                self.next_frame(frame)
            }
        }
    }

    async fn next_clear(&mut self) -> Result<Option<Bytes>, BlobError> {
        let octets = match self.held.is_empty() {
            false => Some(self.held.split().freeze()),
            true => self.raw_next().await?,
        };
        let How::Clear(hash) = &mut self.how else { return Ok(None) };
        if let Some(octets) = &octets {
            hash.update(octets);
        }
        // The last octets are given out when all of them are known to be right.
        if self.left == 0 && octets.is_some() || self.stored == 0 {
            if hex(&std::mem::take(hash).finalize()) != self.key.as_str() {
                return Err(envelope::damaged(&self.key, "its SHA-256 is another".into()));
            }
            // Nothing may follow.
            self.raw_next().await?;
        }
        Ok(octets)
    }

    fn next_frame(&mut self, frame: usize) -> Result<Option<Bytes>, BlobError> {
        let How::Sealed(opener) = &mut self.how else { return Ok(None) };
        if frame == 0 {
            return match self.held.is_empty() {
                true => Ok(None),
                false => Err(envelope::damaged(&self.key, "it became longer".into())),
            };
        }
        if self.held.len() < frame {
            return Err(envelope::damaged(&self.key, "it became shorter".into()));
        }
        let mut sealed = self.held.split_to(frame);
        let octets = opener.open(&mut sealed)?;
        sealed.truncate(octets);
        // An empty document has a frame, but a stream has no empty pieces.
        Ok((octets > 0).then(|| sealed.freeze()))
    }
}

async fn read_at(file: &Arc<std::fs::File>, at: u64, len: u64) -> Result<Bytes, BlobError> {
    let file = file.clone();
    let read = move || {
        let mut octets = vec![0; len as usize];
        file.read_exact_at(&mut octets, at).map_err(doing("read a spool file"))?;
        Ok(Bytes::from(octets))
    };
    spawn_blocking(read).await.map_err(task_lost)?
}

/// Sends with a client of ours: the trust, the versions and the limits that the configuration names.
#[derive(Debug)]
struct Ours(reqwest::Client);

impl HttpConnector for Ours {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.0.clone()))
    }
}

fn client(config: &S3Config) -> Result<AmazonS3, String> {
    let credentials = config.credentials().map_err(|e| e.to_string())?;
    let retry = RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(5),
            base: 2.0,
        },
        max_retries: config.retries,
        retry_timeout: Duration::from_secs(config.retry_seconds),
    };
    let mut builder = AmazonS3Builder::new()
        .with_region(&config.region)
        .with_bucket_name(&config.bucket)
        .with_access_key_id(credentials.access_key)
        .with_secret_access_key(credentials.secret)
        .with_virtual_hosted_style_request(!config.path_style)
        .with_allow_http(true)
        .with_checksum_algorithm(Checksum::SHA256)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        // One object at a time is what every store can remove.
        .with_disable_bulk_delete(true)
        .with_retry(retry)
        .with_http_connector(Ours(http(config)?));
    if let Some(session) = credentials.session {
        builder = builder.with_token(session);
    }
    if let Some(endpoint) = &config.endpoint {
        builder = builder.with_endpoint(match (config.path_style, endpoint.split_once("://")) {
            (false, Some((scheme, host))) => format!("{scheme}://{}.{host}", config.bucket),
            _ => endpoint.clone(),
        });
    }
    let encrypted: AmazonS3ConfigKey =
        "aws_server_side_encryption".parse().map_err(|e: object_store::Error| e.to_string())?;
    builder = match (config.server_encryption, &config.kms_key) {
        (ServerEncryption::None, _) => builder,
        (ServerEncryption::SseS3, _) => builder.with_config(encrypted, "AES256"),
        (ServerEncryption::SseKms, None) => builder.with_config(encrypted, "aws:kms"),
        (ServerEncryption::SseKms, Some(id)) => builder.with_sse_kms_encryption(id),
    };
    builder.build().map_err(|e| e.to_string())
}

fn http(config: &S3Config) -> Result<reqwest::Client, String> {
    install_provider();
    let tls = rustls::ClientConfig::builder_with_provider(config.tls_profile.provider())
        .with_protocol_versions(config.tls_profile.versions())
        .map_err(|e| e.to_string())?
        .with_root_certificates(anchors(&config.server_ca).map_err(|e| e.to_string())?)
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .http1_only()
        .tcp_nodelay(true)
        .connect_timeout(Duration::from_secs(config.connect_seconds))
        .read_timeout(Duration::from_secs(config.answer_seconds))
        // Below the idle time of common servers, so that we hang up first.
        .pool_idle_timeout(Duration::from_secs(15))
        .user_agent("chiren")
        .build()
        .map_err(|e| e.to_string())
}
