//! Matching models of the network's own: trained on its identities, tried, and accepted. Nothing changes until
//! somebody accepts, and what was decided before stays as it is.

use std::sync::atomic::Ordering;

use serde::Serialize;

use super::Mpi;
use super::weigh;
use crate::matching::{Features, Model, Trainer, Trial, Zone};
use crate::model::audit::Outcome;
use crate::model::error::Error;
use crate::service::context::{Context, Subject};
use crate::service::database;
use crate::service::traces::Traces;
use crate::store::db::DbError;
use crate::store::mpi::{identity, review};

/// Identities read at a time.
const PAGE: i64 = 2000;
/// How often it is looked whether another gateway, or an operator, has accepted a model.
const LOOK: i64 = 60_000_000;

/// What training gave.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Learned {
    /// The model's id: `chiren mpi accept` takes it.
    pub id: String,
    pub identities: u64,
    /// The model itself.
    pub model: serde_json::Value,
}

/// What another model would do, pair by pair; each zone under the model in force and under the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tried {
    pub in_force: String,
    pub tried: String,
    pub identities: u64,
    pub pairs: u64,
    /// (zone now, zone then, pairs)
    pub zones: Vec<(String, String, u64)>,
}

impl Mpi {
    /// Looks now and then whether another model was accepted, unless `mpi.model` names one. A look that fails
    /// changes nothing; the next one will do.
    pub(super) async fn follow_model(&self, context: &Context) {
        let (now, last) = (context.micros(), self.state.looked.load(Ordering::Relaxed));
        if self.settings.config.model.is_some() || now.saturating_sub(last) < LOOK {
            return;
        }
        self.state.looked.store(now, Ordering::Relaxed);
        match super::accepted(&self.db).await {
            Ok(Some(model)) if model.id() != self.model().id() => {
                tracing::info!(
                    model = model.id(),
                    "another matching model was accepted; decisions follow it"
                );
                self.use_model(model);
            }
            Ok(_) => {}
            Err(e) => tracing::warn!(cause = format!("{e:#}"), "the accepted matching model cannot be read"),
        }
    }

    /// Estimates weights from the identities there are, and keeps the model. `progress` hears how many it has
    /// seen.
    pub async fn train(
        &self,
        context: &Context,
        origin: &str,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Learned, Error> {
        let expected = self.identities().await?;
        let mut trainer = Trainer::new(&self.model(), expected);
        let (mut after, mut seen) = (i64::MIN, 0_u64);
        loop {
            let page = self.page(after).await?;
            let Some((last, _)) = page.last() else { break };
            after = *last;
            seen += page.len() as u64;
            page.iter().for_each(|(_, features)| trainer.add(features));
            progress(seen);
        }
        let model = trainer.finish(origin).model;
        let body = serde_json::to_value(&model).map_err(|e| Error::Internal(e.into()))?;
        self.keep(context, &model, None).await?;
        Ok(Learned { id: model.id().to_owned(), identities: seen, model: body })
    }

    /// What another model would do with one in `sample` of the identities and everybody they share a key with.
    pub async fn try_model(
        &self,
        other: &Model,
        sample: u64,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Tried, Error> {
        let force = self.model();
        let population = self.population().await.map_err(database)?;
        let cap = usize::try_from(self.settings.config.block_limit).unwrap_or(usize::MAX);
        let mut trial = Trial::default();
        let (mut after, mut seen) = (i64::MIN, 0_u64);
        loop {
            let page = self.page(after).await?;
            let Some((last, _)) = page.last() else { break };
            after = *last;
            for (key, features) in page {
                seen += 1;
                if !seen.is_multiple_of(sample.max(1)) {
                    continue;
                }
                let hashes: Vec<i64> = features
                    .keys()
                    .into_iter()
                    .filter(|k| k.kind.asked(population))
                    .map(|k| k.hash())
                    .collect();
                let near: Vec<Features> = self
                    .db
                    .read(move |tx| {
                        let hashes = hashes.clone();
                        Box::pin(async move {
                            let (near, _) = identity::sharing(tx, &hashes, cap, key).await?;
                            // Each pair once.
                            let later: Vec<i64> = near.into_iter().filter(|k| *k > key).collect();
                            let rows = identity::active(tx, &later, false).await?;
                            rows.iter().map(|i| weigh::features(&i.features)).collect()
                        })
                    })
                    .await
                    .map_err(|e: DbError| database(e))?;
                for candidate in &near {
                    trial.add(&force, other, population, &features, candidate);
                }
            }
            progress(seen);
        }
        let mut zones = vec![];
        for now in Zone::ALL {
            for then in Zone::ALL {
                let count = trial.count(now, then);
                if count > 0 {
                    zones.push((format!("{now:?}"), format!("{then:?}"), count));
                }
            }
        }
        Ok(Tried {
            in_force: force.id().to_owned(),
            tried: other.id().to_owned(),
            identities: seen,
            pairs: trial.pairs(),
            zones,
        })
    }

    /// A model that was trained here.
    pub async fn kept_model(&self, id: &str) -> Result<Option<Model>, Error> {
        let id = id.to_owned();
        let body = self
            .db
            .read(move |tx| {
                let id = id.clone();
                Box::pin(async move { review::model(tx, &id).await })
            })
            .await
            .map_err(|e: DbError| database(e))?;
        body.map(|text| serde_json::from_str(&text).map_err(|e| Error::Internal(e.into()))).transpose()
    }

    /// Decides by this model from now on, here and in every gateway on the database within a minute.
    pub async fn accept_model(&self, context: &Context, model: &Model, by: &str) -> Result<(), Error> {
        self.keep(context, model, Some(by)).await?;
        self.use_model(model.clone());
        Ok(())
    }

    async fn keep(&self, context: &Context, model: &Model, by: Option<&str>) -> Result<(), Error> {
        let id = model.id().to_owned();
        let body = serde_json::to_string(model).map_err(|e| Error::Internal(e.into()))?;
        let what = if by.is_some() { "accepted" } else { "trained" };
        let subject = Subject { query: Some(format!("matching model {id} {what}")), ..Subject::default() };
        let traces = Traces::new(vec![context.audit(Outcome::Success, subject)], None).map_err(database)?;
        let kept = std::sync::Arc::new((id, body, by.map(str::to_owned), traces, context.micros()));
        self.db
            .write(move |tx| {
                let kept = kept.clone();
                Box::pin(async move {
                    let (id, body, by, traces, at) = &*kept;
                    review::put_model(tx, id, body, *at, by.as_deref()).await?;
                    traces.leave(tx).await
                })
            })
            .await
            .map_err(|e: DbError| database(e))
    }

    async fn identities(&self) -> Result<u64, Error> {
        let count: i64 =
            self.db.read(|tx| Box::pin(identity::count(tx))).await.map_err(|e: DbError| database(e))?;
        Ok(u64::try_from(count).unwrap_or_default())
    }

    async fn page(&self, after: i64) -> Result<Vec<(i64, Features)>, Error> {
        self.db
            .read(move |tx| {
                Box::pin(async move {
                    let rows = identity::features_after(tx, after, PAGE).await?;
                    rows.into_iter().map(|(key, stored)| Ok((key, weigh::features(&stored)?))).collect()
                })
            })
            .await
            .map_err(|e: DbError| database(e))
    }
}
