//! What operators ask and do: see persons and their history, why two ids are linked or not, link, unlink, join,
//! part, and take back. Every change leaves its events and its audit record with who and why; nothing is
//! overwritten, undoing is another event.

mod change;
mod show;

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use super::admit::Resolved;
use super::feed::Work;
use super::{Mpi, Refusal, cx};
use crate::model::error::Error;
use crate::model::hl7types::Cx;
use crate::model::identity::{Demographics, DomainId, Field, Place};
use crate::service::context::Context;
use crate::service::database;
use crate::store::db::DbError;
use crate::store::mpi::events::{self, Kind};
use crate::store::mpi::{identity, person};
use change::{Change, perform};
use show::{named_events, person_of, shown, why};

/// What a change came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Changed {
    /// The persons concerned, by the network's id: how many ids each has now.
    pub persons: Vec<(String, usize)>,
    /// Objects of the registry, and documents of the repository, that changed their patient.
    pub objects: usize,
    pub documents: usize,
    /// The name of the action in the history.
    pub action: String,
}

/// An identity as an operator sees it.
#[derive(Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IdentityShown {
    /// CX.
    pub id: String,
    pub versions: i64,
    /// Microseconds since 1970.
    pub updated_at: i64,
    pub demographics: Demographics,
}

/// A person as an operator sees it.
#[derive(Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PersonShown {
    /// CX of the network's id.
    pub person: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<String>,
    pub created_at: i64,
    pub documents: bool,
    pub view: Demographics,
    pub identities: Vec<IdentityShown>,
}

/// An event as an operator sees it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EventShown {
    pub id: String,
    pub action: String,
    pub at: i64,
    pub kind: Kind,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    pub manual: bool,
    pub cause: Value,
}

/// Why ids are linked or not.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WhyShown {
    /// Pairs as they were weighed when a decision was taken: with whom, class, fields.
    pub pairs: Vec<Value>,
    /// What somebody said.
    pub verdicts: Vec<Value>,
    /// Weighed now, where two ids were named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub now: Option<Value>,
}

/// A version of what was known.
#[derive(Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VersionShown {
    pub version: i64,
    pub valid_from: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub occurred: Option<String>,
    pub source: Value,
    pub demographics: Demographics,
}

impl Mpi {
    /// The id an operator names: CX, `NAMESPACE:id`, or an id of the network's own.
    pub fn named(&self, text: &str) -> Result<DomainId, String> {
        let domains = &self.settings.domains;
        if let Ok(cx) = Cx::parse(text) {
            let domain = domains
                .by_name(&cx.authority)
                .ok_or_else(|| format!("the assigning authority '{}' is not configured", cx.authority))?;
            return Ok(DomainId { domain: domain.oid.clone(), value: domain.canonical(&cx.id) });
        }
        if let Some((name, value)) = text.split_once(':')
            && let Some(domain) = domains.by_name(name)
        {
            return Ok(DomainId { domain: domain.oid.clone(), value: domain.canonical(value) });
        }
        match text.is_empty() || text.contains(['^', '&', ':']) {
            true => Err("write an id as ID^^^&OID&ISO, NAMESPACE:ID, or as an id of the network".into()),
            false => Ok(DomainId { domain: domains.network().oid.clone(), value: text.to_owned() }),
        }
    }

    fn resolved(&self, id: &DomainId) -> Resolved {
        let kind =
            self.settings.domains.by_name(&id.domain).map_or(crate::config::DomainKind::Facility, |d| d.kind);
        Resolved { id: id.clone(), kind, retired: false, place: Place::of(Field::Identifier) }
    }

    pub(super) async fn operator_work(
        &self,
        context: &Context,
        by: &str,
        reason: &str,
    ) -> Result<Work, Refusal> {
        Ok(Work {
            context: context.clone(),
            settings: self.settings.clone(),
            model: self.model(),
            population: self.population().await.map_err(|e| Refusal::Error(database(e)))?,
            told: json!({ "by": by, "reason": reason }),
            source: String::new(),
            occurred: None,
            raw: vec![],
            noted: super::meter::Noted::default(),
        })
    }

    /// Says that ids are of one person.
    pub async fn link(
        &self,
        context: &Context,
        one: &DomainId,
        other: &DomainId,
        by: &str,
        reason: &str,
    ) -> Result<Changed, Refusal> {
        self.change(context, by, reason, Change::Say(self.resolved(one), self.resolved(other), true)).await
    }

    /// Says that ids are of two persons.
    pub async fn unlink(
        &self,
        context: &Context,
        one: &DomainId,
        other: &DomainId,
        by: &str,
        reason: &str,
    ) -> Result<Changed, Refusal> {
        self.change(context, by, reason, Change::Say(self.resolved(one), self.resolved(other), false)).await
    }

    /// Joins one person to another, which keeps its id.
    pub async fn merge(
        &self,
        context: &Context,
        from: &DomainId,
        into: &DomainId,
        by: &str,
        reason: &str,
    ) -> Result<Changed, Refusal> {
        self.change(context, by, reason, Change::Merge(self.resolved(from), self.resolved(into))).await
    }

    /// Takes a merge back, of an id or of a person.
    pub async fn unmerge(
        &self,
        context: &Context,
        id: &DomainId,
        by: &str,
        reason: &str,
    ) -> Result<Changed, Refusal> {
        self.change(context, by, reason, Change::Unmerge(self.resolved(id))).await
    }

    /// Takes ids out of their person: together they are another.
    pub async fn split(
        &self,
        context: &Context,
        ids: &[DomainId],
        by: &str,
        reason: &str,
    ) -> Result<Changed, Refusal> {
        let ids = ids.iter().map(|id| self.resolved(id)).collect();
        self.change(context, by, reason, Change::Split(ids)).await
    }

    async fn change(
        &self,
        context: &Context,
        by: &str,
        reason: &str,
        change: Change,
    ) -> Result<Changed, Refusal> {
        let work = Arc::new(self.operator_work(context, by, reason).await?);
        let change = Arc::new(change);
        self.db
            .write(move |tx| {
                let (work, change) = (work.clone(), change.clone());
                Box::pin(async move { perform(tx, &work, &change).await })
            })
            .await
            .map_err(Refusal::from)
    }

    /// Persons in order of their ids, after one.
    pub async fn persons(&self, after: &str, limit: i64) -> Result<Vec<PersonShown>, Error> {
        let (after, network) = (after.to_owned(), self.settings.domains.network().oid.clone());
        self.db
            .snapshot(move |tx| {
                let (after, network) = (after.clone(), network.clone());
                Box::pin(async move {
                    let page = person::page(tx, &after, limit).await?;
                    shown(tx, &network, page).await
                })
            })
            .await
            .map_err(|e: DbError| database(e))
    }

    /// The person an id is of; its sight is recorded.
    pub async fn show(&self, context: &Context, id: &DomainId) -> Result<Option<PersonShown>, Error> {
        let (id, network) = (id.clone(), self.settings.domains.network().oid.clone());
        let found = self
            .db
            .snapshot(move |tx| {
                let (id, network) = (id.clone(), network.clone());
                Box::pin(async move {
                    let Some(key) = person_of(tx, &id, &network).await? else { return Ok(None) };
                    let page = person::several(tx, &[key]).await?;
                    Ok(shown(tx, &network, page).await?.pop())
                })
            })
            .await
            .map_err(|e: DbError| database(e))?;
        if let Some(found) = &found {
            self.record_sight(context, vec![found.person.clone()], "mpi show".into()).await?;
        }
        Ok(found)
    }

    /// What happened to an id and to its person, oldest first.
    pub async fn history(&self, context: &Context, id: &DomainId) -> Result<Vec<EventShown>, Error> {
        let (key, network) = (id.clone(), self.settings.domains.network().oid.clone());
        let found = self
            .db
            .snapshot(move |tx| {
                let (id, network) = (key.clone(), network.clone());
                Box::pin(async move {
                    let mut all = vec![];
                    if let Some(i) = identity::by_id(tx, &id).await? {
                        all.extend(events::of_identity(tx, i.key).await?);
                    }
                    if let Some(person) = person_of(tx, &id, &network).await? {
                        all.extend(events::of_person(tx, person).await?);
                    }
                    all.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
                    all.dedup_by(|a, b| a.id == b.id);
                    named_events(tx, &network, all).await
                })
            })
            .await
            .map_err(|e: DbError| database(e))?;
        self.record_sight(context, vec![cx(id)], "mpi history".into()).await?;
        Ok(found)
    }

    /// What was known of an id, version by version.
    pub async fn versions(&self, context: &Context, id: &DomainId) -> Result<Vec<VersionShown>, Error> {
        let key = id.clone();
        let found = self
            .db
            .snapshot(move |tx| {
                let id = key.clone();
                Box::pin(async move {
                    let Some(i) = identity::by_id(tx, &id).await? else { return Ok(vec![]) };
                    let told = identity::versions(tx, i.key).await?;
                    Ok(told
                        .into_iter()
                        .map(|t| VersionShown {
                            version: t.version,
                            valid_from: t.valid_from,
                            occurred: t.occurred,
                            source: serde_json::from_str(&t.source).unwrap_or_default(),
                            demographics: t.demographics,
                        })
                        .collect())
                })
            })
            .await
            .map_err(|e: DbError| database(e))?;
        self.record_sight(context, vec![cx(id)], "mpi versions".into()).await?;
        Ok(found)
    }

    /// Why an id is where it is, or why two are together or not.
    pub async fn why(
        &self,
        context: &Context,
        one: &DomainId,
        other: Option<&DomainId>,
    ) -> Result<Option<WhyShown>, Refusal> {
        let work = Arc::new(self.operator_work(context, "", "").await?);
        let ids = Arc::new((one.clone(), other.cloned()));
        let asked = ids.clone();
        let found = self
            .db
            .snapshot(move |tx| {
                let (work, ids) = (work.clone(), ids.clone());
                Box::pin(async move { why(tx, &work, &ids.0, ids.1.as_ref()).await })
            })
            .await
            .map_err(|e: DbError| Refusal::Error(database(e)))?;
        let patients = std::iter::once(&asked.0).chain(&asked.1).map(cx).collect();
        self.record_sight(context, patients, "mpi why".into()).await?;
        Ok(found)
    }
}
