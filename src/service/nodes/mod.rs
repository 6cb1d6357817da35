//! The directory of nodes as it stands now, read anew without a restart; who of it is connected, and how much each
//! has asked (ITI-19, ITI TF-2 3.19).
//!
//! A node is found by its certificate once a connection, and sits in a [`Seat`] from then on. When the directory or
//! a revocation list changes, every seat is looked at again: it keeps its connection with what the directory says
//! now, or is closed.

pub mod check;
mod listed;
mod meter;
mod seat;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;

use crate::config::{Fault, NodeFile, NodesConfig};
use crate::model::node::{Entry, Shown, Stranger};

pub use listed::{Listed, shown};
pub use meter::Meter;
pub use seat::{Refused, Seat};

/// A file's age and size: another is another file.
type Stamp = Option<(SystemTime, u64)>;

/// Clones share it.
#[derive(Clone)]
pub struct Nodes(Arc<Inner>);

struct Inner {
    path: Option<PathBuf>,
    look_every: Duration,
    listed: RwLock<Arc<Listed>>,
    seen: Mutex<Stamp>,
    /// What was wrong with the file when it was last read.
    faults: Mutex<Vec<Fault>>,
    seats: Mutex<HashMap<u64, Weak<Seat>>>,
    next_seat: AtomicU64,
    meters: Mutex<HashMap<String, Arc<Meter>>>,
}

impl std::fmt::Debug for Nodes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Nodes({:?})", self.0.path)
    }
}

/// What a reading changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    pub nodes: usize,
    /// Connections that were closed for it.
    pub closed: usize,
}

impl Nodes {
    /// No directory: every certificate an authority vouches for is let in.
    pub fn none() -> Self {
        Self::over(None, Duration::from_secs(5))
    }

    fn over(path: Option<PathBuf>, look_every: Duration) -> Self {
        Self(Arc::new(Inner {
            path,
            look_every,
            listed: RwLock::default(),
            seen: Mutex::default(),
            faults: Mutex::default(),
            seats: Mutex::default(),
            next_seat: AtomicU64::new(0),
            meters: Mutex::default(),
        }))
    }

    /// The directory of a configuration.
    pub fn open(config: &NodesConfig, now: Timestamp) -> Result<Self, Vec<Fault>> {
        let nodes = Self::over(config.directory.clone(), Duration::from_secs(config.look_seconds.max(1)));
        nodes.reload(now)?;
        Ok(nodes)
    }

    /// Whether there is a directory.
    pub fn kept(&self) -> bool {
        self.0.path.is_some()
    }

    pub fn now(&self) -> Arc<Listed> {
        self.0.listed.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Faults that keep the file from being in force.
    pub fn faults(&self) -> Vec<Fault> {
        self.0.faults.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn look_every(&self) -> Duration {
        self.0.look_every
    }

    /// Reads the file again if it has changed; `None`: it has not.
    pub fn look(&self, now: Timestamp) -> Option<Result<Reading, Vec<Fault>>> {
        let path = self.0.path.as_deref()?;
        let last = *self.0.seen.lock().unwrap_or_else(PoisonError::into_inner);
        (stamp(path) != last).then(|| self.reload(now))
    }

    /// Reads the file again. Faulty, the directory stays as it was.
    pub fn reload(&self, now: Timestamp) -> Result<Reading, Vec<Fault>> {
        let Some(path) = &self.0.path else { return Ok(Reading { nodes: 0, closed: 0 }) };
        // Before reading: what changes meanwhile is seen by the next look.
        let stamp = stamp(path);
        let read = NodeFile::load(path);
        *self.0.seen.lock().unwrap_or_else(PoisonError::into_inner) = stamp;
        let faults = match &read {
            Ok(_) => vec![],
            Err(faults) => faults.iter().filter(|f| f.refuses()).cloned().collect(),
        };
        *self.0.faults.lock().unwrap_or_else(PoisonError::into_inner) = faults;
        let listed = Listed::new(read?.0);
        let nodes = listed.entries().len();
        *self.0.listed.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(listed);
        Ok(Reading { nodes, closed: self.review(now) })
    }

    /// The node a certificate names, if it may connect at `now`.
    pub fn identify(&self, shown: &Shown, now: Timestamp) -> Result<Arc<Entry>, Stranger> {
        let entry = self.now().find(shown).ok_or(Stranger::Unknown)?;
        entry.admitted(now).map(|()| entry)
    }

    /// The meter of a node; it outlives readings of the directory.
    fn meter(&self, id: &str) -> Arc<Meter> {
        let mut meters = self.0.meters.lock().unwrap_or_else(PoisonError::into_inner);
        match meters.get(id) {
            Some(meter) => meter.clone(),
            None => meters.entry(id.to_owned()).or_default().clone(),
        }
    }
}

fn stamp(path: &Path) -> Stamp {
    let data = std::fs::metadata(path).ok()?;
    Some((data.modified().ok()?, data.len()))
}
