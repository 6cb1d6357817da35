//! Whether a message says what its node may say: whose patients it feeds, in whose name, from which source.

use crate::model::identity::{Feed, FeedMessage, SentId};
use crate::model::node::{Grants, Trespass};
use crate::service::mpi::Domains;

/// The assigning authorities of a feed (ITI-8, ITI-30, ITI-44, ITI-104). One that is not known here is left to the
/// index, which refuses it by name.
pub fn feed(grants: &Grants, domains: &Domains, message: &FeedMessage) -> Result<(), Trespass> {
    let all: Vec<&SentId> = match &message.feed {
        Feed::Upsert { ids, .. } | Feed::Nothing { ids } => ids.iter().collect(),
        Feed::Merge { surviving, subsumed } => surviving.iter().chain(subsumed).collect(),
        Feed::Rename { from, to } => vec![from, to],
        Feed::Link { one, other, .. } | Feed::Unlink { one, other } => vec![one, other],
    };
    for id in all {
        let domain = match domains.resolve(&id.authority) {
            Some(domain) => Some(domain),
            None if names_nobody(id) => domains.of_sender(&message.source),
            None => None,
        };
        if let Some(domain) = domain {
            grants.authority(&domain.oid)?;
        }
    }
    Ok(())
}

fn names_nobody(id: &SentId) -> bool {
    [&id.authority.universal_id, &id.authority.namespace].into_iter().flatten().all(|name| name.is_empty())
}
