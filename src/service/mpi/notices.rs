//! Who is told that the ids of a patient changed: ITI-10 and ITI-46, through the outbox.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::feed::Work;
use super::settle::Settled;
use crate::config::MpiConsumerConfig;
use crate::model::identity::DomainId;
use crate::store::db::{DbError, Tx};
use crate::store::outbox::{self, OutboxRow};

/// `outbox.kind` of a notice.
pub const KIND: &str = "pix-update";

/// What a consumer is told, as it waits in the outbox: all ids of one person in the domains it wants to hear of.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notice {
    /// Name of its `[[mpi.consumer]]`.
    pub consumer: String,
    /// (OID, id), in order.
    pub ids: Vec<(String, String)>,
    /// Microseconds since 1970: when the ids became so.
    pub at: i64,
}

/// Prints no ids.
impl std::fmt::Debug for Notice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Notice(to {}, {} ids)", self.consumer, self.ids.len())
    }
}

/// The notices to one consumer: one for each resulting set of ids that differs from what it was (ITI TF-2 3.10).
/// A patient with one id has nothing cross-referenced.
fn to(consumer: &MpiConsumerConfig, work: &Work, settled: &Settled) -> Vec<Notice> {
    let domains = &work.settings.domains;
    let wanted: Vec<String> =
        consumer.domains.iter().filter_map(|name| domains.by_name(name)).map(|d| d.oid.clone()).collect();
    let wants = |oid: &str| wanted.is_empty() || wanted.iter().any(|w| w == oid);
    let network = &domains.network().oid;
    let mut notices = vec![];
    let plain = |ids: &BTreeSet<DomainId>| -> BTreeSet<(String, String)> {
        ids.iter().filter(|id| wants(&id.domain)).map(|id| (id.domain.clone(), id.value.clone())).collect()
    };
    for (person, (before, after)) in &settled.ids {
        // An id that leaves others is a set of its own, which has to be told, too.
        let left = plain(after);
        let parted = settled.ids.iter().any(|(other, (before, _))| {
            let before = plain(before);
            other != person && before.len() > 1 && !before.is_disjoint(&left)
        });
        let set = |ids: &BTreeSet<DomainId>| {
            let mut set = plain(ids);
            // The network's id stands for whoever has any other.
            if let (false, true, Some(value)) = (ids.is_empty(), wants(network), settled.values.get(person)) {
                set.insert((network.clone(), value.clone()));
            }
            set
        };
        let (before, after) = (set(before), set(after));
        if before != after && !after.is_empty() && (after.len() > 1 || before.len() > 1 || parted) {
            notices.push(Notice {
                consumer: consumer.name.clone(),
                ids: after.into_iter().collect(),
                at: work.context.micros(),
            });
        }
    }
    notices
}

pub(super) async fn enqueue(tx: &mut Tx<'_>, work: &Work, settled: &Settled) -> Result<(), DbError> {
    for consumer in &work.settings.config.consumer {
        for notice in to(consumer, work, settled) {
            let row = OutboxRow {
                id: work.context.uuid().to_string(),
                kind: KIND,
                stream: format!("mpi:{}", consumer.name),
                payload: super::feed::json_of(&notice)?,
                // An id leaves one patient before it is another's.
                ordered: true,
                created_at: work.context.micros(),
            };
            outbox::enqueue(tx, &row).await?;
        }
    }
    Ok(())
}
