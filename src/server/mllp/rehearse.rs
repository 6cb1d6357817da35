//! Feeds that are not for this gateway's kind of data (MSH-11 `T` or `D` on a gateway in production): what can be
//! checked without touching what it holds.

use crate::model::identity::{Feed, FeedMessage, IdentityError, SentId, Trouble};
use crate::service::mpi::Domains;

/// What is wrong with the ids of a feed: of domains nobody knows, or of none; a merge with itself, or across
/// domains.
pub fn check(domains: &Domains, message: &FeedMessage) -> Vec<IdentityError> {
    let mut errors = vec![];
    let mut resolved = |id: &SentId| -> Option<(String, String)> {
        let domain = match id.authority.is_empty() {
            true => domains.of_sender(&message.source),
            false => domains.resolve(&id.authority),
        };
        match domain {
            Some(domain) => Some((domain.oid.clone(), domain.canonical(&id.value))),
            None => {
                let (trouble, text) = match id.authority.is_empty() {
                    true => {
                        (Trouble::NoAuthority, "no assigning authority, and none is known for the sender")
                    }
                    false => (Trouble::UnknownAuthority, "the assigning authority is not known here"),
                };
                errors.push(IdentityError { trouble, place: id.place, text: text.to_owned() });
                None
            }
        }
    };
    let pair = match &message.feed {
        Feed::Upsert { ids, .. } | Feed::Nothing { ids } => {
            ids.iter().for_each(|id| {
                resolved(id);
            });
            None
        }
        Feed::Merge { surviving, subsumed } => {
            let surviving: Vec<_> = surviving.iter().filter_map(&mut resolved).collect();
            subsumed
                .first()
                .and_then(|id| Some((id, resolved(id)?)))
                .map(|(id, prior)| (id, prior, surviving))
        }
        Feed::Rename { from: id, to: other }
        | Feed::Link { one: other, other: id, .. }
        | Feed::Unlink { one: other, other: id } => {
            let other = resolved(other).into_iter().collect();
            resolved(id).map(|prior| (id, prior, other))
        }
    };
    if let Some((id, prior, others)) = pair
        && others.contains(&prior)
    {
        errors.push(IdentityError {
            trouble: Trouble::SameId,
            place: id.place,
            text: "both identifiers are the same".to_owned(),
        });
    }
    errors
}
