//! What becomes of records after they are written: the chain over them, its proof, its purging by policy.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::hmac;
use serde::Serialize;

use crate::model::audit::compose::Reporter;
use crate::model::audit::{AuditEvent, Outcome};
use crate::model::error::Error;
use crate::service::context::{Context, Subject};
use crate::service::database;
use crate::service::traces::Traces;
use crate::store::audit::chain::{self, Chain, Hash, Record, Segment};
use crate::store::db::{Db, DbError};

/// Records of one segment at most.
const TOGETHER: i64 = 1000;
/// A checkpoint is written after so many records, or microseconds (security.md 2.7).
const CHECKPOINT_RECORDS: i64 = 10_000;
const CHECKPOINT_AGE: i64 = 600_000_000;
/// Segments verified, and records looked at, at a time.
const PAGE: i64 = 8;
const ROWS: i64 = 2000;

/// `transaction` of the record that a purge leaves.
pub const PURGE: &str = "audit purge";

/// What the configuration says.
#[derive(Clone, Default)]
pub struct Settings {
    pub reporter: Reporter,
    /// Vouches for segments: kept outside the database.
    pub key: Option<Key>,
    /// The file of checkpoints.
    pub checkpoints: Option<PathBuf>,
    /// Names of the repositories that must have a record before it may go.
    pub repositories: Vec<String>,
}

/// Keys of HMAC-SHA-256: the first signs, all verify. Not to be printed.
#[derive(Clone)]
pub struct Key(Arc<(hmac::Key, Vec<hmac::Key>)>);

impl Key {
    /// `None` of none.
    pub fn new<'k>(keys: impl IntoIterator<Item = &'k [u8]>) -> Option<Self> {
        let mut keys = keys.into_iter().map(|octets| hmac::Key::new(hmac::HMAC_SHA256, octets));
        Some(Self(Arc::new((keys.next()?, keys.collect()))))
    }

    fn sign(&self, text: &str) -> String {
        let tag = hmac::sign(&self.0.0, text.as_bytes());
        tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn holds(&self, text: &str, mac: &str) -> bool {
        let Some(mac) = Hash::from_hex(mac) else { return false };
        let mut keys = std::iter::once(&self.0.0).chain(&self.0.1);
        keys.any(|key| hmac::verify(key, text.as_bytes(), &mac.0).is_ok())
    }
}

/// The trail at rest. Clones share it.
#[derive(Clone)]
pub struct Trail {
    pub(super) db: Db,
    pub(super) settings: Arc<Settings>,
    state: Arc<Mutex<State>>,
}

/// Of each chain: number and time of the last checkpoint.
#[derive(Default)]
struct State {
    checkpoints: BTreeMap<Chain, (i64, i64)>,
}

/// A line of the file of checkpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Checkpoint {
    chain: Chain,
    seq: i64,
    hash: Hash,
    mac: Option<String>,
}

impl Checkpoint {
    fn said(&self) -> String {
        format!("{} {} {}", self.chain.as_str(), self.seq, self.hash.hex())
    }

    fn read(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let name = words.next()?;
        Some(Self {
            chain: Chain::ALL.into_iter().find(|c| c.as_str() == name)?,
            seq: words.next()?.parse().ok()?,
            hash: Hash::from_hex(words.next()?)?,
            mac: words.next().map(str::to_owned),
        })
    }
}

/// What is wrong at a place of the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Broken {
    /// The record is not what was chained.
    Altered,
    /// It was chained and is not there.
    Deleted,
    /// It is there, and was never chained nor waits to be.
    Inserted,
    /// A segment is missing, or does not follow the one before.
    Torn,
    /// Our key does not vouch for a segment.
    Unvouched,
    /// A checkpoint outside the database says otherwise.
    OtherThanCheckpoint,
    /// Records were taken out, and no purge says so.
    PurgedUnsaid,
}

impl Broken {
    pub fn as_str(self) -> &'static str {
        match self {
            Broken::Altered => "altered",
            Broken::Deleted => "deleted",
            Broken::Inserted => "inserted",
            Broken::Torn => "torn",
            Broken::Unvouched => "unvouched",
            Broken::OtherThanCheckpoint => "other than a checkpoint",
            Broken::PurgedUnsaid => "purged, and no purge says so",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Link {
    pub chain: &'static str,
    /// Its number, from 1; of what was inserted none.
    pub seq: Option<i64>,
    pub id: Option<String>,
    pub broken: Broken,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verified {
    pub chains: Vec<VerifiedChain>,
    /// In the order of the chain; what was inserted last.
    pub broken: Vec<Link>,
    /// Checkpoints outside the database that were compared.
    pub checkpoints: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VerifiedChain {
    pub chain: &'static str,
    pub records: u64,
    pub segments: u64,
    /// Records that a purge took out.
    pub purged: u64,
    /// Records not yet chained.
    pub waiting: i64,
    /// Segments our key vouches for.
    pub vouched: u64,
    pub head: String,
}

impl Trail {
    pub fn new(db: Db, settings: Settings) -> Self {
        Self { db, settings: Arc::new(settings), state: Arc::default() }
    }

    pub fn reporter(&self) -> &Reporter {
        &self.settings.reporter
    }

    /// Chains what is committed and waits, in segments. How many records that were. What comes meanwhile waits for the
    /// next time: while the gateway is busy, chaining a few records at once would never end. Several gateways may do so
    /// at once: of two that append, one begins anew.
    pub async fn chain(&self, now: i64) -> Result<u64, Error> {
        let pending = self.db.read::<_, DbError, _>(|tx| Box::pin(chain::is_pending(tx))).await;
        if !pending.map_err(database)? {
            return Ok(0);
        }
        let mut done = 0;
        for chain in Chain::ALL {
            let mut collisions = 0;
            loop {
                match self.append(chain, now).await {
                    Ok(None) => break,
                    Ok(Some(segment)) => {
                        done += segment.links.len() as u64;
                        collisions = 0;
                        self.checkpoint(chain, &segment);
                        if i64::try_from(segment.links.len()).unwrap_or(i64::MAX) < TOGETHER {
                            break;
                        }
                    }
                    Err(DbError::Unique(_) | DbError::Conflict) if collisions < 20 => collisions += 1,
                    Err(e) => return Err(database(e)),
                }
            }
        }
        Ok(done)
    }

    async fn append(&self, chain: Chain, now: i64) -> Result<Option<Segment>, DbError> {
        let settings = self.settings.clone();
        self.db
            .write(move |tx| {
                let settings = settings.clone();
                Box::pin(async move {
                    let (seq, hash) = chain::tip(tx, chain).await?;
                    let records = chain::pending(tx, chain, TOGETHER).await?;
                    let Some(mut segment) = Segment::over(&records, seq, hash, now) else { return Ok(None) };
                    segment.mac = settings.key.as_ref().map(|key| key.sign(&segment.vouched(chain)));
                    chain::append(tx, chain, &segment, &records).await?;
                    Ok(Some(segment))
                })
            })
            .await
    }

    /// Says outside the database how far the chain is, every so often.
    fn checkpoint(&self, chain: Chain, segment: &Segment) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let due = state.checkpoints.get(&chain).is_none_or(|(seq, at)| {
            segment.last_seq - seq >= CHECKPOINT_RECORDS || segment.made_at - at >= CHECKPOINT_AGE
        });
        if !due {
            return;
        }
        state.checkpoints.insert(chain, (segment.last_seq, segment.made_at));
        drop(state);
        let said = Checkpoint { chain, seq: segment.last_seq, hash: segment.hash, mac: None };
        let mac = self.settings.key.as_ref().map(|key| key.sign(&said.said()));
        let (seq, hash) = (said.seq, said.hash.hex());
        tracing::info!(chain = chain.as_str(), seq, hash, "audit checkpoint");
        if let Some(path) = &self.settings.checkpoints {
            let line = format!("{} {}\n", said.said(), mac.unwrap_or_default());
            let written =
                std::fs::OpenOptions::new().create(true).append(true).open(path).and_then(|mut file| {
                    file.write_all(line.as_bytes())?;
                    file.sync_data()
                });
            if let Err(cause) = written {
                tracing::error!(file = %path.display(), %cause, "a checkpoint of the audit trail could not be written");
            }
        }
    }

    /// Goes through both chains from their beginnings.
    pub async fn verify(&self) -> Result<Verified, Error> {
        let mut verified = Verified::default();
        let mut checkpoints = self.read_checkpoints();
        let mut purges: HashMap<Chain, i64> = HashMap::new();
        let mut purged: HashMap<Chain, i64> = HashMap::new();
        for chain in Chain::ALL {
            let mut walk = Walk::new(chain);
            self.walk(&mut walk, &mut checkpoints, &mut purges).await.map_err(database)?;
            self.strangers(&mut walk).await.map_err(database)?;
            walk.seen.head = walk.hash.hex();
            purged.insert(chain, walk.purged_to);
            verified.broken.append(&mut walk.broken);
            verified.chains.push(walk.seen);
        }
        for chain in Chain::ALL {
            let to = purged.get(&chain).copied().unwrap_or_default();
            if to > purges.get(&chain).copied().unwrap_or_default() {
                let link =
                    Link { chain: chain.as_str(), seq: Some(to), id: None, broken: Broken::PurgedUnsaid };
                verified.broken.insert(0, link);
            }
        }
        verified.checkpoints = checkpoints.compared;
        // Those beyond the end of a chain: its end was cut off.
        for (checkpoint, _) in checkpoints.left.into_values().flatten().filter(|(_, met)| !met) {
            let broken = Broken::OtherThanCheckpoint;
            let (chain, seq) = (checkpoint.chain.as_str(), Some(checkpoint.seq));
            verified.broken.push(Link { chain, seq, id: None, broken });
        }
        Ok(verified)
    }

    fn read_checkpoints(&self) -> Checkpoints {
        let mut read = Checkpoints::default();
        let text = self.settings.checkpoints.as_ref().and_then(|path| std::fs::read_to_string(path).ok());
        for checkpoint in text.iter().flat_map(|t| t.lines()).filter_map(Checkpoint::read) {
            // Whoever can write the file but has not the key convinces nobody.
            let vouched = self.settings.key.as_ref().is_none_or(|key| {
                checkpoint.mac.as_ref().is_some_and(|mac| key.holds(&checkpoint.said(), mac))
            });
            if vouched {
                read.left.entry((checkpoint.chain, checkpoint.seq)).or_default().push((checkpoint, false));
            }
        }
        read
    }

    async fn walk(
        &self,
        walk: &mut Walk,
        checkpoints: &mut Checkpoints,
        purges: &mut HashMap<Chain, i64>,
    ) -> Result<(), DbError> {
        let chain = walk.chain;
        loop {
            let from = walk.seq;
            let segments: Vec<Segment> = self
                .db
                .read::<_, DbError, _>(move |tx| Box::pin(chain::beyond(tx, chain, from, PAGE)))
                .await?;
            if segments.is_empty() {
                return Ok(());
            }
            for segment in segments {
                self.segment(walk, segment, checkpoints, purges).await?;
            }
        }
    }

    async fn segment(
        &self,
        walk: &mut Walk,
        segment: Segment,
        checkpoints: &mut Checkpoints,
        purges: &mut HashMap<Chain, i64>,
    ) -> Result<(), DbError> {
        let chain = walk.chain;
        walk.seen.segments += 1;
        if segment.first_seq != walk.seq + 1 || segment.previous != walk.hash {
            walk.breaks(Some(walk.seq + 1), None, Broken::Torn);
        }
        match (&self.settings.key, &segment.mac) {
            (Some(key), Some(mac)) if key.holds(&segment.vouched(chain), mac) => walk.seen.vouched += 1,
            (Some(_), Some(_)) => walk.breaks(Some(segment.first_seq), None, Broken::Unvouched),
            // Those made before there was a key; after one that has it, all have.
            (Some(_), None) if walk.seen.vouched > 0 => {
                walk.breaks(Some(segment.first_seq), None, Broken::Unvouched);
            }
            _ => {}
        }
        if segment.purged_at.is_some() {
            // Only a beginning can be purged.
            if walk.seen.records > 0 {
                walk.breaks(Some(segment.first_seq), None, Broken::Torn);
            }
            walk.seen.purged += u64::try_from(segment.last_seq - segment.first_seq + 1).unwrap_or_default();
            walk.purged_to = segment.last_seq;
        } else {
            let ids: Vec<String> = segment.links.iter().map(|(id, _)| id.clone()).collect();
            let found: Vec<Record> = self
                .db
                .read::<_, DbError, _>(move |tx| {
                    let ids = ids.clone();
                    Box::pin(async move {
                        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
                        chain::records(tx, chain, &ids).await
                    })
                })
                .await?;
            let found: HashMap<&str, &Record> = found.iter().map(|r| (r.id.as_str(), r)).collect();
            let mut hash = segment.previous;
            for (seq, (id, chained)) in (segment.first_seq..).zip(&segment.links) {
                walk.seen.records += 1;
                walk.ids.insert(number(id));
                match found.get(id.as_str()) {
                    None => walk.breaks(Some(seq), Some(id), Broken::Deleted),
                    Some(record) if hash.next(seq, &record.octets) != *chained => {
                        walk.breaks(Some(seq), Some(id), Broken::Altered);
                    }
                    Some(record) => said(record, purges),
                }
                // From what was chained, so that one fault is one.
                hash = *chained;
                checkpoints.meet(chain, seq, hash, walk);
            }
            let count = i64::try_from(segment.links.len()).unwrap_or(i64::MAX);
            if hash != segment.hash || segment.first_seq + count - 1 != segment.last_seq {
                walk.breaks(Some(segment.last_seq), None, Broken::Torn);
            }
        }
        walk.seq = segment.last_seq;
        walk.hash = segment.hash;
        checkpoints.meet(chain, walk.seq, walk.hash, walk);
        Ok(())
    }

    /// Rows that are in no segment and wait for none; and how many wait.
    async fn strangers(&self, walk: &mut Walk) -> Result<(), DbError> {
        let chain = walk.chain;
        let mut after = String::new();
        loop {
            let from = after.clone();
            let page: Vec<String> = self
                .db
                .read::<_, DbError, _>(move |tx| {
                    let from = from.clone();
                    Box::pin(async move { chain::settled_ids(tx, chain, &from, ROWS).await })
                })
                .await?;
            let Some(end) = page.last() else { break };
            after.clone_from(end);
            let unknown: Vec<String> =
                page.into_iter().filter(|id| !walk.ids.contains(&number(id))).collect();
            // One chained since the walk went by is none.
            let from = walk.seq;
            let newer: Vec<Segment> = self
                .db
                .read::<_, DbError, _>(move |tx| Box::pin(chain::beyond(tx, chain, from, 1000)))
                .await?;
            let newer: HashSet<&str> =
                newer.iter().flat_map(|s| &s.links).map(|(id, _)| id.as_str()).collect();
            for id in unknown.iter().filter(|id| !newer.contains(id.as_str())) {
                walk.breaks(None, Some(id), Broken::Inserted);
            }
        }
        walk.seen.waiting =
            self.db.read::<_, DbError, _>(move |tx| Box::pin(chain::waiting(tx, chain))).await?;
        Ok(())
    }

    /// Takes out whole segments from the beginning whose newest record is older than `before`, and that every
    /// repository has; each with the record of it in one transaction. How many records of which chain.
    pub async fn purge(&self, context: &Context, before: i64) -> Result<Vec<(Chain, u64)>, Error> {
        let mut done = vec![];
        for chain in Chain::ALL {
            let mut records = 0;
            while let Some(count) = self.purge_one(context, chain, before).await.map_err(database)? {
                records += count;
            }
            done.push((chain, records));
        }
        Ok(done)
    }

    async fn purge_one(&self, context: &Context, chain: Chain, before: i64) -> Result<Option<u64>, DbError> {
        let (context, settings) = (Arc::new(context.clone()), self.settings.clone());
        self.db
            .write(move |tx| {
                let (context, settings) = (context.clone(), settings.clone());
                Box::pin(async move {
                    let Some(segment) = chain::purgeable(tx, chain, before, 1).await?.pop() else {
                        return Ok(None);
                    };
                    if chain == Chain::Own {
                        for name in &settings.repositories {
                            if chain::cursor(tx, name).await?.unwrap_or_default() < segment.last_seq {
                                return Ok(None);
                            }
                        }
                    }
                    let now = context.micros();
                    chain::purge(tx, chain, &segment, now).await?;
                    let what = format!("{} {}-{}", chain.as_str(), segment.first_seq, segment.last_seq);
                    let mut event = context
                        .audit(Outcome::Success, Subject { objects: vec![what], ..Subject::default() });
                    event.transaction = PURGE.into();
                    event.facts.details = vec![
                        ("chain".into(), chain.as_str().into()),
                        ("lastSeq".into(), segment.last_seq.to_string()),
                    ];
                    Traces::new(vec![event], None)?.leave(tx).await?;
                    Ok(Some(segment.links.len() as u64))
                })
            })
            .await
    }
}

/// What purges say that they took out.
fn said(record: &Record, purges: &mut HashMap<Chain, i64>) {
    let mentions = record.octets.windows(PURGE.len()).any(|w| w == PURGE.as_bytes());
    if !mentions {
        return;
    }
    let Ok(event) = serde_json::from_slice::<AuditEvent>(&record.octets) else { return };
    let detail = |name: &str| event.facts.details.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
    let chain = Chain::ALL.into_iter().find(|c| Some(c.as_str()) == detail("chain"));
    let to = detail("lastSeq").and_then(|n| n.parse::<i64>().ok());
    if let (true, Some(chain), Some(to)) = (event.transaction == PURGE, chain, to) {
        let known = purges.entry(chain).or_default();
        *known = to.max(*known);
    }
}

/// An id in sixteen octets.
fn number(id: &str) -> u128 {
    uuid::Uuid::parse_str(id).map_or_else(
        |_| {
            let hash = Hash::default().next(0, id.as_bytes()).0;
            hash.iter().take(16).fold(0, |n, byte| n << 8 | u128::from(*byte))
        },
        |uuid| uuid.as_u128(),
    )
}

struct Walk {
    chain: Chain,
    seq: i64,
    hash: Hash,
    seen: VerifiedChain,
    ids: HashSet<u128>,
    purged_to: i64,
    broken: Vec<Link>,
}

impl Walk {
    fn new(chain: Chain) -> Self {
        Self {
            chain,
            seq: 0,
            hash: Hash::default(),
            seen: VerifiedChain { chain: chain.as_str(), ..VerifiedChain::default() },
            ids: HashSet::new(),
            purged_to: 0,
            broken: vec![],
        }
    }

    fn breaks(&mut self, seq: Option<i64>, id: Option<&str>, broken: Broken) {
        self.broken.push(Link { chain: self.chain.as_str(), seq, id: id.map(str::to_owned), broken });
    }
}

#[derive(Default)]
struct Checkpoints {
    left: BTreeMap<(Chain, i64), Vec<(Checkpoint, bool)>>,
    compared: u64,
}

impl Checkpoints {
    fn meet(&mut self, chain: Chain, seq: i64, hash: Hash, walk: &mut Walk) {
        let Some(of_seq) = self.left.get_mut(&(chain, seq)) else { return };
        for (checkpoint, met) in of_seq.iter_mut().filter(|(_, met)| !*met) {
            *met = true;
            self.compared += 1;
            if checkpoint.hash != hash {
                walk.breaks(Some(seq), None, Broken::OtherThanCheckpoint);
            }
        }
    }
}

/// A record of the program's own life: start, stop, recording on and off.
pub fn of_life(kind: &str, id: String, at: i64, request_id: &str) -> AuditEvent {
    let mut event = AuditEvent {
        id,
        at,
        transaction: kind.to_owned(),
        request_id: request_id.to_owned(),
        ..AuditEvent::default()
    };
    event.caller.listener = "chiren serve".into();
    event.facts.process = Some(std::process::id());
    event
}
