//! Neighbours that are told of our patients (ITI-44, jahis-profile §1.2): a row of the outbox for each person that
//! changed, in the transaction of the change.

use serde::{Deserialize, Serialize};

use super::feed::Work;
use super::search::load;
use super::settle::Settled;
use super::{FoundPatient, Mpi, Refusal};
use crate::service::database;
use crate::store::db::{DbError, Tx};
use crate::store::mpi::person;
use crate::store::outbox::{self, OutboxRow};

/// `outbox.kind` of such a row.
pub const KIND: &str = "pix-feed";

/// Whose news it is, and whom it is for.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Neighbourly {
    /// Id in the directory.
    pub community: String,
    /// 地連患者ID.
    pub patient: String,
    /// Whether nobody had it before.
    pub new: bool,
    /// Microseconds since 1970.
    pub at: i64,
}

/// Prints no id.
impl std::fmt::Debug for Neighbourly {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Neighbourly(to {})", self.community)
    }
}

pub(super) async fn enqueue(tx: &mut Tx<'_>, work: &Work, settled: &Settled) -> Result<(), DbError> {
    let neighbours = (work.settings.neighbours)();
    for community in &neighbours {
        for (key, (before, after)) in &settled.ids {
            // Whose ids all went was joined to another, or was never anybody.
            if before.is_empty() && after.is_empty() {
                continue;
            }
            let value = match settled.values.get(key) {
                Some(value) => Some(value.clone()),
                None => person::get(tx, *key).await?.map(|p| p.value.0),
            };
            let Some(patient) = value else { continue };
            let at = work.context.micros();
            let news = Neighbourly { community: community.clone(), patient, new: before.is_empty(), at };
            let row = OutboxRow {
                id: work.context.uuid().to_string(),
                kind: KIND,
                stream: format!("community:{community}"),
                payload: super::feed::json_of(&news)?,
                // What is told is what is known when it is sent.
                ordered: false,
                created_at: at,
            };
            outbox::enqueue(tx, &row).await?;
        }
    }
    Ok(())
}

/// What became of an id of the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    Active(FoundPatient),
    /// It belongs to this person now.
    Replaced(FoundPatient),
    Nobody,
}

impl Mpi {
    /// What became of an id of the network.
    pub async fn standing(&self, value: &str) -> Result<Standing, Refusal> {
        let (value, network) = (value.to_owned(), self.settings.domains.network().oid.clone());
        self.db
            .snapshot(move |tx| {
                let (value, network) = (value.clone(), network.clone());
                Box::pin(async move {
                    let Some(mut person) = person::by_value(tx, &value).await? else {
                        return Ok(Standing::Nobody);
                    };
                    let replaced = person.replaced_by.is_some();
                    // A chain of joins is short, and has an end.
                    for _ in 0..64 {
                        let Some(next) = person.replaced_by else { break };
                        let Some(next) = person::get(tx, next).await? else { return Ok(Standing::Nobody) };
                        person = next;
                    }
                    let found = load(tx, &[(person.key, 100)], &[], &network).await?;
                    Ok(match found.into_iter().next() {
                        None => Standing::Nobody,
                        Some((_, patient)) if replaced => Standing::Replaced(patient),
                        Some((_, patient)) => Standing::Active(patient),
                    })
                })
            })
            .await
            .map_err(|e: DbError| Refusal::Error(database(e)))
    }
}
