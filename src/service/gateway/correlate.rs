//! Who a patient of ours is in other communities. ITI TF-1 18.3.3 leaves the way open; ours are PIX, XCPD and ids
//! that both networks share.

use std::sync::Arc;

use crate::model::community::{Community, CorrelateBy};
use crate::model::error::Error;
use crate::model::hl7types::Cx;
use crate::model::ids::HomeCommunityId;
use crate::service::context::Context;

/// A patient's id in another community.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Correlation {
    pub home: HomeCommunityId,
    pub patient: Cx<'static>,
}

/// Finds correlations. Clones share what is behind.
#[derive(Clone)]
pub struct Correlations {
    /// `network.patient_id_authority`.
    authority: Arc<str>,
}

impl Correlations {
    pub fn new(authority: &str) -> Self {
        Self { authority: authority.into() }
    }

    /// The patient's ids in these communities as they stand when the request came (`context.received_at`). A
    /// community where the patient is not known, or not known with certainty, is absent. Several ids in one
    /// community are several correlations.
    pub async fn of(
        &self,
        context: &Context,
        patient: &Cx<'_>,
        communities: &[Arc<Community>],
    ) -> Result<Vec<Correlation>, Error> {
        let mut found = vec![];
        for community in communities {
            let ids = match community.correlate {
                CorrelateBy::SharedId => self.shared(patient, community).into_iter().collect(),
                CorrelateBy::Pix | CorrelateBy::Xcpd => self.linked(context, patient, community).await?,
            };
            let home = || community.home.clone();
            found.extend(ids.into_iter().map(|patient| Correlation { home: home(), patient }));
        }
        Ok(found)
    }

    /// The id itself, where its authority is the one that both networks share.
    fn shared(&self, patient: &Cx<'_>, community: &Community) -> Option<Cx<'static>> {
        let shared = community.patient_id_authority.as_deref().unwrap_or(&self.authority);
        (patient.authority == shared).then(|| patient.clone().into_owned())
    }

    /// Links of the index and answers of the community, kept: none yet.
    async fn linked(&self, _: &Context, _: &Cx<'_>, _: &Community) -> Result<Vec<Cx<'static>>, Error> {
        Ok(vec![])
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::model::community::AssertionNeed;

    fn community(correlate: CorrelateBy, authority: Option<&str>) -> Arc<Community> {
        Arc::new(Community {
            id: "b".into(),
            name: "b".into(),
            home: HomeCommunityId::parse("urn:oid:1.2.3").unwrap(),
            stands_for: vec![],
            patient_id_authority: authority.map(str::to_owned),
            correlate,
            endpoints: vec![],
            device: None,
            budget: std::time::Duration::from_secs(1),
            assertion: AssertionNeed::Off,
        })
    }

    #[tokio::test]
    async fn a_shared_id_is_the_same_there() {
        let correlations = Correlations::new("1.2.392.2");
        let context = Context::of_operator("test", None, Timestamp::UNIX_EPOCH);
        let patient = Cx::parse("1001^^^&1.2.392.2&ISO").unwrap();
        for (authority, found) in [(None, 1), (Some("1.2.392.2"), 1), (Some("1.2.392.3"), 0)] {
            let community = community(CorrelateBy::SharedId, authority);
            let ids = correlations.of(&context, &patient, &[community]).await.unwrap();
            assert_eq!(ids.len(), found, "{authority:?}");
            assert!(ids.iter().all(|c| c.patient == patient && c.home.to_string() == "urn:oid:1.2.3"));
        }
    }
}
