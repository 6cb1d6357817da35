//! Pairs of identities, weighed.

use serde::Serialize;

use crate::config::DomainKind;
use crate::matching::{Candidate, Features, Known, Model, Outcome, Reason, Score, Subject, Thresholds, Veto};
use crate::model::identity::DomainId;
use crate::service::mpi::domains::Domains;
use crate::store::db::DbError;
use crate::store::mpi::events::{Class, Pair, Two};
use crate::store::mpi::identity::Stored;

/// What weighing goes by.
pub(super) struct Scales<'s> {
    pub model: &'s Model,
    pub population: u64,
    pub domains: &'s Domains,
}

/// An identity on the scales.
pub(super) struct Weighed<'w> {
    pub key: i64,
    pub id: &'w DomainId,
    pub features: &'w Features,
}

/// A pair as it is kept: why it is of its class, field by field.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'b> {
    /// Of `left` in the fields.
    left: String,
    right: String,
    reason: Reason,
    thresholds: Thresholds,
    population: u64,
    score: &'b Score,
}

/// Thousandths.
pub(super) fn milli(bits: f64) -> i64 {
    // A weight is a few dozen bits.
    (bits * 1000.0).round().clamp(-1e9, 1e9) as i64
}

pub(super) fn features(stored: &Stored) -> Result<Features, DbError> {
    Features::read(&stored.0).map_err(|e| DbError::Decode { column: 0, message: e.to_string() })
}

impl Scales<'_> {
    /// Weighs two identities; none if nobody need look at them. The same whichever of the two is first.
    pub fn pair(&self, one: &Weighed<'_>, other: &Weighed<'_>) -> Result<Option<Pair>, DbError> {
        let thresholds = self.model.thresholds();
        let (left, right) = if one.id <= other.id { (one, other) } else { (other, one) };
        let compared = self.model.compare(self.population, left.features, right.features);
        // Far below, the number of an insured person could still make the pair certain; not without some weight.
        if compared.total < thresholds.review.min(0.0) {
            return Ok(None);
        }
        let subject = Subject { domain: &left.id.domain, features: left.features };
        let known =
            Known { key: right.key, domain: &right.id.domain, features: right.features, do_not_link: false };
        let candidates = [Candidate { person: 0, identities: vec![known] }];
        let judgement = self.model.decide(self.population, &subject, &candidates);
        let Some(best) = judgement.ranked.first() else { return Ok(None) };
        let told_apart = best.score.vetoes.iter().any(|v| v.is_conflict() && *v != Veto::SameDomain);
        let class = match judgement.outcome {
            Outcome::New => return Ok(None),
            // Links across networks are automatic only where they are certain.
            Outcome::Link(_) if self.across(left.id, right.id) && !is_certain(judgement.reason) => {
                Class::Rivals
            }
            Outcome::Link(_) => Class::Links,
            Outcome::Review if told_apart => Class::Doubt,
            Outcome::Review => Class::Rivals,
        };
        let body = Body {
            left: super::cx(left.id),
            right: super::cx(right.id),
            reason: judgement.reason,
            thresholds,
            population: self.population,
            score: &best.score,
        };
        let body = serde_json::to_string(&body)
            .map_err(|e| DbError::Sql(format!("a pair cannot be written as JSON: {e}")))?;
        Ok(Some(Pair {
            two: Two::of(left.key, right.key),
            class,
            score: milli(best.score.total),
            model: self.model.id().to_owned(),
            body,
        }))
    }

    /// Whether something known of the two speaks against one person, whatever they weigh.
    pub fn are_against(&self, one: &Weighed<'_>, other: &Weighed<'_>) -> bool {
        one.id.domain == other.id.domain
            || self
                .model
                .compare(self.population, one.features, other.features)
                .vetoes()
                .into_iter()
                .any(Veto::is_conflict)
    }

    /// Whether two ids are of two networks.
    pub fn across(&self, one: &DomainId, other: &DomainId) -> bool {
        let neighbour =
            |id: &DomainId| self.domains.by_name(&id.domain).is_some_and(|d| d.kind == DomainKind::Neighbour);
        neighbour(one) || neighbour(other)
    }
}

fn is_certain(reason: Reason) -> bool {
    reason == Reason::StrongIdentifier
}
