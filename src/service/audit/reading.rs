//! What others send us is kept; what is kept is read: by ITI-81, by operators, for a citizen's request.

use super::trail::Trail;
use crate::model::audit::AuditEvent;
use crate::model::error::Error;
use crate::service::database;
use crate::store::audit::chain::{self, Chain};
use crate::store::audit::received::{self, Received};
use crate::store::audit::{self, least_id};
use crate::store::db::DbError;

pub use crate::store::audit::received::Received as ReceivedMessage;

/// A record of ours, or what another system sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    Own(Box<AuditEvent>),
    Received { id: String, at: i64, original: Vec<u8> },
}

impl Kept {
    pub fn id(&self) -> &str {
        match self {
            Kept::Own(event) => &event.id,
            Kept::Received { id, .. } => id,
        }
    }

    pub fn at(&self) -> i64 {
        match self {
            Kept::Own(event) => event.at,
            Kept::Received { at, .. } => *at,
        }
    }
}

/// Between which instants, both within; microseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    pub from: i64,
    pub until: i64,
}

impl Period {
    pub const ALL: Period = Period { from: 0, until: i64::MAX };
}

/// Where a reading goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// At a record of ours, that one included.
    Own(String),
    /// At a message received, by its time and id, that one included.
    Received(i64, String),
}

impl Place {
    pub fn start(period: Period) -> Self {
        Place::Own(least_id(period.from))
    }
}

impl Trail {
    /// Keeps messages of others; they are on disk when this returns.
    pub async fn receive(&self, messages: Vec<Received>) -> Result<(), Error> {
        if messages.is_empty() {
            return Ok(());
        }
        let messages = std::sync::Arc::new(messages);
        let done: Result<(), DbError> = self
            .db
            .write(move |tx| {
                let messages = messages.clone();
                Box::pin(async move {
                    for message in messages.iter() {
                        received::put(tx, message).await?;
                    }
                    Ok(())
                })
            })
            .await;
        done.map_err(database)
    }

    /// Up to `limit` records from a place on: ours, oldest first, and after them what was received; and where it goes
    /// on, if it does.
    pub async fn read(
        &self,
        period: Period,
        place: Place,
        limit: i64,
    ) -> Result<(Vec<Kept>, Option<Place>), Error> {
        let more = limit.saturating_add(1);
        let page = usize::try_from(limit).unwrap_or(usize::MAX);
        match place {
            Place::Own(id) => {
                let found: Result<Vec<AuditEvent>, DbError> = self
                    .db
                    .read(move |tx| {
                        let id = id.clone();
                        Box::pin(async move { audit::after(tx, &id, period.until, more).await })
                    })
                    .await;
                let mut found = found.map_err(database)?;
                let next = match found.len() > page {
                    true => found.pop().map(|event| Place::Own(event.id)),
                    false => Some(Place::Received(period.from, String::new())),
                };
                let within = |e: &AuditEvent| (period.from..=period.until).contains(&e.at);
                let kept = found.into_iter().filter(within).map(|event| Kept::Own(Box::new(event)));
                Ok((kept.collect(), next))
            }
            Place::Received(at, id) => {
                let found: Result<Vec<_>, DbError> = self
                    .db
                    .read(move |tx| {
                        let id = id.clone();
                        Box::pin(async move { received::between(tx, (at, &id), period.until, more).await })
                    })
                    .await;
                let mut found = found.map_err(database)?;
                let over = if found.len() > page { found.pop() } else { None };
                let next = over.map(|(id, at, _)| Place::Received(at, id));
                let kept = found.into_iter().map(|(id, at, original)| Kept::Received { id, at, original });
                Ok((kept.collect(), next))
            }
        }
    }

    /// Everything about a patient in a period, oldest first. What waits for the chain is chained first.
    pub async fn of_patient(
        &self,
        patient: &str,
        period: Period,
        limit: i64,
        now: i64,
    ) -> Result<Vec<Kept>, Error> {
        self.chain(now).await?;
        let patient = patient.to_owned();
        let found: Result<(Vec<AuditEvent>, Vec<_>), DbError> = self
            .db
            .snapshot(move |tx| {
                let patient = patient.clone();
                Box::pin(async move {
                    let named = chain::of_patient(tx, &patient, period.from, period.until, limit).await?;
                    let of = |wanted: Chain| -> Vec<String> {
                        named.iter().filter(|(_, c, _)| *c == wanted).map(|(.., id)| id.clone()).collect()
                    };
                    let own = audit::by_ids(tx, &of(Chain::Own)).await?;
                    Ok((own, received::by_ids(tx, &of(Chain::Received)).await?))
                })
            })
            .await;
        let (own, received) = found.map_err(database)?;
        let mut kept: Vec<Kept> = own.into_iter().map(|event| Kept::Own(Box::new(event))).collect();
        kept.extend(received.into_iter().map(|(id, at, original)| Kept::Received { id, at, original }));
        kept.sort_by(|a, b| (a.at(), a.id()).cmp(&(b.at(), b.id())));
        Ok(kept)
    }
}
