//! Assigning authorities that operators add and retire while gateways run. A row of `mpi_domain` each; every gateway
//! over the database looks now and then whether there is something new, and knows it from then on.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde::Serialize;

use super::Mpi;
use super::domains::names_of;
use crate::config::{DomainKind, Fault, MpiDomainConfig};
use crate::model::audit::Outcome;
use crate::model::error::Error;
use crate::service::context::{Context, Subject};
use crate::service::database;
use crate::service::traces::Traces;
use crate::store::db::DbError;
use crate::store::mpi::domain::{self, Kept};

/// How often it is looked whether there is something new.
const LOOK: i64 = 1_000_000;

/// A domain as an operator sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DomainShown {
    pub oid: String,
    pub namespace: String,
    pub name: String,
    pub kind: DomainKind,
    /// Whether it stands in the configuration; else it was added by somebody.
    pub configured: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub added: Option<(i64, String)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retired: Option<(i64, String)>,
}

/// Why a domain is not added or retired.
#[derive(Debug)]
pub enum Unchanged {
    /// What is wrong with it.
    Faults(Vec<Fault>),
    /// This name is another domain's.
    Taken(String),
    /// It stands in the configuration, which is where it can be changed.
    Configured,
    /// There is none, or it is retired already.
    Unknown,
    Error(Error),
}

enum Stop {
    Taken(String),
    Unknown,
    Database(DbError),
}

impl From<DbError> for Stop {
    fn from(e: DbError) -> Self {
        Stop::Database(e)
    }
}

impl From<Stop> for Unchanged {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Taken(name) => Unchanged::Taken(name),
            Stop::Unknown => Unchanged::Unknown,
            Stop::Database(e) => Unchanged::Error(database(e)),
        }
    }
}

fn row_of(kept: &Kept) -> Result<MpiDomainConfig, DbError> {
    serde_json::from_str(&kept.body)
        .map_err(|e| DbError::Sql(format!("mpi_domain {} cannot be read: {e}", kept.oid)))
}

impl Mpi {
    /// Reads what operators added.
    pub(super) async fn read_domains(&self) -> Result<(), DbError> {
        let read: Result<_, DbError> = self
            .db
            .snapshot(|tx| Box::pin(async move { Ok((domain::stamp(tx).await?, domain::all(tx).await?)) }))
            .await;
        let (stamp, kept) = read?;
        let rows = kept
            .iter()
            .map(|k| Ok((k.oid.clone(), row_of(k)?, k.retired.is_some())))
            .collect::<Result<Vec<_>, DbError>>()?;
        for oid in self.settings.domains.follow(&rows) {
            tracing::warn!(
                oid,
                "an added domain has a name that the configuration gives to another; it is not used"
            );
        }
        self.state.domains.store(stamp.0.wrapping_mul(31).wrapping_add(stamp.1), Ordering::Relaxed);
        Ok(())
    }

    /// Looks now and then whether an operator added or retired one. A look that fails changes nothing; the next one
    /// will do.
    pub(super) async fn follow_domains(&self, context: &Context) {
        let (now, last) = (context.micros(), self.state.domains_looked.load(Ordering::Relaxed));
        if now.saturating_sub(last) < LOOK {
            return;
        }
        self.state.domains_looked.store(now, Ordering::Relaxed);
        let stamp: Result<_, DbError> = self.db.read(|tx| Box::pin(domain::stamp(tx))).await;
        let looked = match stamp {
            Ok((count, at))
                if count.wrapping_mul(31).wrapping_add(at) == self.state.domains.load(Ordering::Relaxed) =>
            {
                Ok(())
            }
            Ok(_) => self.read_domains().await,
            Err(e) => Err(e),
        };
        if let Err(e) = looked {
            tracing::warn!(cause = %e, "the domains that operators added cannot be read");
        }
    }

    /// Makes an assigning authority known to every gateway of this database; its OID. A retired one is taken up again.
    pub async fn add_domain(
        &self,
        context: &Context,
        row: MpiDomainConfig,
        examples: bool,
        by: &str,
    ) -> Result<String, Unchanged> {
        let network = self.settings.domains.network().oid.clone();
        let faults: Vec<Fault> = row.faults(&network, examples).into_iter().filter(Fault::refuses).collect();
        let oid = row.oid(&network).filter(|_| faults.is_empty());
        let Some(oid) = oid else { return Err(Unchanged::Faults(faults)) };
        if let Some(name) = names_of(&row, &oid).find(|name| self.settings.domains.is_configured(name)) {
            return Err(Unchanged::Taken(name.to_owned()));
        }
        let body = serde_json::to_string(&row).map_err(|e| Unchanged::Error(Error::Internal(e.into())))?;
        let traces = self.traces(context, format!("mpi domain add {oid} {}", row.namespace))?;
        let work = Arc::new((oid.clone(), row, body, traces, by.to_owned()));
        let at = (self.settings.now)();
        let done: Result<(), Stop> = self
            .db
            .write(move |tx| {
                let work = work.clone();
                Box::pin(async move {
                    let (oid, row, body, traces, by) = &*work;
                    for kept in domain::all(tx).await?.iter().filter(|k| k.oid != *oid || k.retired.is_none())
                    {
                        let other = row_of(kept)?;
                        let taken = names_of(row, oid).find(|n| names_of(&other, &kept.oid).any(|o| o == *n));
                        if let Some(name) = taken {
                            return Err(Stop::Taken(name.to_owned()));
                        }
                    }
                    domain::put(tx, oid, body, at, by).await?;
                    Ok(traces.leave(tx).await?)
                })
            })
            .await;
        done?;
        self.read_domains().await.map_err(|e| Unchanged::Error(database(e)))?;
        Ok(oid)
    }

    /// No feed brings ids of it from now on; those there are stay known and are found.
    pub async fn retire_domain(&self, context: &Context, name: &str, by: &str) -> Result<String, Unchanged> {
        self.read_domains().await.map_err(|e| Unchanged::Error(database(e)))?;
        let known = self.settings.domains.by_name(name).ok_or(Unchanged::Unknown)?;
        if self.settings.domains.is_configured(&known.oid) {
            return Err(Unchanged::Configured);
        }
        let traces = self.traces(context, format!("mpi domain retire {} {}", known.oid, known.namespace))?;
        let work = Arc::new((known.oid.clone(), traces, by.to_owned()));
        let at = (self.settings.now)();
        let done: Result<(), Stop> = self
            .db
            .write(move |tx| {
                let work = work.clone();
                Box::pin(async move {
                    let (oid, traces, by) = &*work;
                    match domain::retire(tx, oid, at, by).await? {
                        true => Ok(traces.leave(tx).await?),
                        false => Err(Stop::Unknown),
                    }
                })
            })
            .await;
        done?;
        self.read_domains().await.map_err(|e| Unchanged::Error(database(e)))?;
        Ok(known.oid.clone())
    }

    /// Every domain that is known, the configured ones first.
    pub async fn list_domains(&self) -> Result<Vec<DomainShown>, Error> {
        self.read_domains().await.map_err(database)?;
        let kept: Vec<Kept> =
            self.db.read(|tx| Box::pin(domain::all(tx))).await.map_err(|e: DbError| database(e))?;
        let domains = &self.settings.domains;
        Ok(domains
            .list()
            .iter()
            .map(|d| {
                let kept = kept.iter().find(|k| k.oid == d.oid && !domains.is_configured(&k.oid));
                DomainShown {
                    oid: d.oid.clone(),
                    namespace: d.namespace.clone(),
                    name: d.name.clone(),
                    kind: d.kind,
                    configured: kept.is_none(),
                    added: kept.map(|k| (k.added_at, k.added_by.clone())),
                    retired: kept.and_then(|k| k.retired.clone()),
                }
            })
            .collect())
    }

    fn traces(&self, context: &Context, what: String) -> Result<Traces, Unchanged> {
        let event = context.audit(Outcome::Success, Subject { query: Some(what), ..Subject::default() });
        Traces::new(vec![event], None).map_err(|e| Unchanged::Error(database(e)))
    }
}
