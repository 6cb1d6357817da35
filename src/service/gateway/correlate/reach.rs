//! Connections to communities for questions about who a patient is.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::config::CommunityConfig;
use crate::model::community::Community;
use crate::peer::http::{Client, ClientError};

/// Transactions that such questions go by, as [`Community::endpoint`] calls them.
const KEYS: [&str; 4] = ["iti44", "iti45", "iti55", "iti56"];

/// A pool for each community and transaction; another directory replaces them all. Clones share them.
#[derive(Clone, Default)]
pub struct Reach {
    clients: Arc<RwLock<HashMap<(String, &'static str), Client>>>,
}

impl Reach {
    /// Reaches the communities of a directory from now on. A faulty one leaves what there was.
    pub fn use_directory(&self, communities: &[CommunityConfig]) -> Result<(), ClientError> {
        let mut clients = HashMap::new();
        for community in communities {
            for (key, url) in community.endpoint.all().into_iter().filter(|(key, _)| KEYS.contains(key)) {
                clients.insert((community.id.clone(), key), Client::new(&community.peer(url))?);
            }
        }
        *self.clients.write().unwrap_or_else(PoisonError::into_inner) = clients;
        Ok(())
    }

    pub fn client(&self, community: &Community, key: &'static str) -> Option<Client> {
        let clients = self.clients.read().unwrap_or_else(PoisonError::into_inner);
        clients.get(&(community.id.clone(), key)).cloned()
    }

    /// The short names of communities that have an address for this transaction.
    pub fn with(&self, key: &'static str) -> Vec<String> {
        let clients = self.clients.read().unwrap_or_else(PoisonError::into_inner);
        let mut names: Vec<String> =
            clients.keys().filter(|(_, k)| *k == key).map(|(name, _)| name.clone()).collect();
        names.sort();
        names
    }

    /// The address of a community that is known by name alone.
    pub fn named(&self, community: &str, key: &'static str) -> Option<Client> {
        let clients = self.clients.read().unwrap_or_else(PoisonError::into_inner);
        clients.get(&(community.to_owned(), key)).cloned()
    }
}
