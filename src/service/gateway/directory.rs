//! The directory of communities and foreign repositories, as it stands now; read anew without a restart.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use super::line::{Bounds, Line};
use crate::config::limits::MIB;
use crate::config::{
    CommunityConfig, CommunityFile, Config, Fault, ForeignRepositoryConfig, GatewayConfig, plain_fingerprint,
};
use crate::model::caller::Caller;
use crate::model::community::Community;
use crate::peer::http::Client;

/// A community and the line to it.
pub struct Member {
    pub community: Arc<Community>,
    pub line: Arc<Line>,
    pub config: CommunityConfig,
    clients: HashMap<&'static str, Client>,
}

impl Member {
    /// A client of its address for a transaction, by key (`iti38`).
    pub fn client(&self, key: &str) -> Option<&Client> {
        self.clients.get(key)
    }

    pub fn home(&self) -> String {
        self.community.home.to_string()
    }
}

/// A repository of another system within our domain.
pub struct Foreign {
    pub config: ForeignRepositoryConfig,
    pub line: Arc<Line>,
    pub client: Client,
}

/// Who is there.
#[derive(Default)]
pub struct Listed {
    pub members: Vec<Arc<Member>>,
    pub foreign: Vec<Arc<Foreign>>,
}

impl Listed {
    pub fn by_id(&self, id: &str) -> Option<&Arc<Member>> {
        self.members.iter().find(|m| m.community.id == id)
    }

    /// Who answers for a homeCommunityId: the community itself before a hub.
    pub fn by_home(&self, home: &str) -> Option<&Arc<Member>> {
        let own = self.members.iter().find(|m| m.home() == home);
        own.or_else(|| self.members.iter().find(|m| m.community.speaks_for(home)))
    }

    /// The community whose gateway a node is: as the directory of nodes has it, or else by its certificate.
    pub fn whose(&self, caller: &Caller) -> Option<&Arc<Member>> {
        match caller.node.as_ref().and_then(|node| node.home_community_id.as_deref()) {
            Some(home) => self.members.iter().find(|m| m.home() == home),
            None => {
                let shown = caller.certificate.as_deref()?;
                self.members.iter().find(|m| {
                    m.config.client_certificates.iter().any(|known| plain_fingerprint(known) == shown)
                })
            }
        }
    }

    pub fn repository(&self, unique_id: &str) -> Option<&Arc<Foreign>> {
        self.foreign.iter().find(|f| f.config.unique_id == unique_id)
    }
}

/// A file's age and size: another is another file.
type Stamp = Option<(SystemTime, u64)>;

/// Clones share it.
#[derive(Clone)]
pub struct Directory(Arc<Inner>);

struct Inner {
    gateway: GatewayConfig,
    written: CommunityFile,
    home: String,
    authority: String,
    examples: bool,
    listed: RwLock<Arc<Listed>>,
    seen: Mutex<Stamp>,
    /// What was wrong with the file when it was last read.
    faults: Mutex<Vec<Fault>>,
}

impl Directory {
    /// The directory of a configuration that was checked.
    pub fn open(config: &Config) -> Result<Self, Vec<Fault>> {
        let network = &config.network;
        let directory = Self(Arc::new(Inner {
            gateway: config.gateway.clone(),
            written: config.communities(),
            home: network.home_community_id.clone(),
            authority: network.patient_id_authority.clone(),
            examples: network.allow_example_oids,
            listed: RwLock::default(),
            seen: Mutex::default(),
            faults: Mutex::default(),
        }));
        directory.reload(true)?;
        Ok(directory)
    }

    pub fn now(&self) -> Arc<Listed> {
        self.0.listed.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The community whose gateway a node is.
    pub fn whose(&self, caller: &Caller) -> Option<Arc<Member>> {
        self.now().whose(caller).cloned()
    }

    /// Faults that keep the file from being in force.
    pub fn faults(&self) -> Vec<Fault> {
        self.0.faults.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn look_every(&self) -> Duration {
        Duration::from_secs(self.0.gateway.look_seconds.max(1))
    }

    /// Reads the file again if it has changed; `None`: it has not.
    pub fn look(&self) -> Option<Result<usize, Vec<Fault>>> {
        let path = self.0.gateway.communities.as_deref()?;
        let last = *self.0.seen.lock().unwrap_or_else(PoisonError::into_inner);
        (stamp(path) != last).then(|| self.reload(false))
    }

    /// Reads everything again; with `fresh`, certificates too. Faulty, the directory stays as it was. Gives how many
    /// communities there are.
    pub fn reload(&self, fresh: bool) -> Result<usize, Vec<Fault>> {
        let inner = &self.0;
        // Before reading: what changes meanwhile is seen by the next look.
        let stamp = inner.gateway.communities.as_deref().and_then(stamp);
        let read = inner
            .gateway
            .directory(&inner.written, &inner.home, &inner.authority, inner.examples)
            .and_then(|(all, _)| self.listed(all, fresh));
        *inner.seen.lock().unwrap_or_else(PoisonError::into_inner) = stamp;
        let faults = match &read {
            Ok(_) => vec![],
            Err(faults) => faults.iter().filter(|f| f.refuses()).cloned().collect(),
        };
        *inner.faults.lock().unwrap_or_else(PoisonError::into_inner) = faults;
        let listed = read?;
        let count = listed.members.len();
        *inner.listed.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(listed);
        Ok(count)
    }

    /// What did not change goes on with its connections and its breaker.
    fn listed(&self, all: CommunityFile, fresh: bool) -> Result<Listed, Vec<Fault>> {
        let before = self.now();
        let mut faults = vec![];
        let mut listed = Listed::default();
        for (i, config) in all.community.into_iter().enumerate() {
            let old = before.by_id(&config.id);
            match old.filter(|m| !fresh && m.config == config) {
                Some(same) => listed.members.push(same.clone()),
                None => match member(config, old, &format!("community[{i}]")) {
                    Ok(member) => listed.members.push(Arc::new(member)),
                    Err(fault) => faults.push(fault),
                },
            }
        }
        for (i, config) in all.foreign_repository.into_iter().enumerate() {
            let old = before.foreign.iter().find(|f| f.config.id == config.id);
            match old.filter(|f| !fresh && f.config == config) {
                Some(same) => listed.foreign.push(same.clone()),
                None => match foreign(config, old, &format!("foreign_repository[{i}]")) {
                    Ok(foreign) => listed.foreign.push(Arc::new(foreign)),
                    Err(fault) => faults.push(fault),
                },
            }
        }
        if faults.is_empty() { Ok(listed) } else { Err(faults) }
    }
}

fn stamp(path: &Path) -> Stamp {
    let data = std::fs::metadata(path).ok()?;
    Some((data.modified().ok()?, data.len()))
}

fn unusable(section: &str, cause: impl std::fmt::Display) -> Fault {
    Fault::new(section, format!("cannot be spoken to: {cause}"), format!("接続を準備できません: {cause}"))
}

fn member(config: CommunityConfig, old: Option<&Arc<Member>>, section: &str) -> Result<Member, Fault> {
    let community = config.community().ok_or_else(|| unusable(section, "its ids are faulty"))?;
    let bounds = Bounds {
        budget: community.budget,
        at_once: at_once(config.at_once),
        failures: config.breaker_failures,
        pause: Duration::from_millis(config.breaker_pause_ms),
    };
    let mut clients = HashMap::new();
    for (key, url) in config.endpoint.all() {
        let connect = Duration::from_millis(config.connect_ms);
        let client = Client::with_pool(&config.peer(url), connect, bounds.at_once)
            .map_err(|e| unusable(&format!("{section}.endpoint.{key}"), e))?;
        let limit = if key == "iti39" { config.documents_mib } else { config.answer_mib };
        let silence = Duration::from_millis(config.stall_ms.max(config.budget_ms));
        clients.insert(key, client.bearing(silence, limit.saturating_mul(MIB)));
    }
    let line = Arc::new(Line::new(&community.id, bounds, old.map(|m| m.line.counted())));
    Ok(Member { community: Arc::new(community), line, config, clients })
}

fn foreign(
    config: ForeignRepositoryConfig,
    old: Option<&Arc<Foreign>>,
    section: &str,
) -> Result<Foreign, Fault> {
    let bounds = Bounds {
        budget: Duration::from_millis(config.budget_ms),
        at_once: at_once(config.at_once),
        failures: config.breaker_failures,
        pause: Duration::from_millis(config.breaker_pause_ms),
    };
    let client = Client::new(&config.peer).map_err(|e| unusable(&format!("{section}.peer"), e))?;
    let line = Arc::new(Line::new(&config.id, bounds, old.map(|f| f.line.counted())));
    Ok(Foreign { config, line, client })
}

fn at_once(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX).clamp(1, 10_000)
}
