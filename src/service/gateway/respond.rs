//! What other communities are told of our patients: who one is (ITI-55), where else they are known (ITI-56).

use super::Correlations;
use crate::model::audit::Outcome;
use crate::model::error::Error;
use crate::model::hl7types::Cx;
use crate::model::identity::{
    Demographics, Discovery, DomainId, IdentityError, SentId, TimeToLive, Unable, Wanted,
};
use crate::model::ids::HomeCommunityId;
use crate::service::audit::Audit;
use crate::service::context::{Context, Subject};
use crate::service::mpi::{Discovered, Mpi, Refusal, cx};

/// The responding side of discovery. Clones share it.
#[derive(Clone)]
pub struct Responder {
    mpi: Mpi,
    audit: Audit,
    correlations: Correlations,
}

/// A patient as another community is told of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// 地連患者ID.
    pub id: DomainId,
    /// Names, birth date and sex; what else was said of them in the question, as we know it.
    pub demographics: Demographics,
    pub score: u8,
}

/// What is answered.
#[derive(Debug)]
pub enum Answer {
    Matches(Vec<Told>),
    Wanted(Vec<Wanted>),
    Unable(Unable, Vec<IdentityError>),
}

/// Who asks, and how they know the patient.
#[derive(Debug, Clone)]
pub struct Asker<'a> {
    pub home: &'a HomeCommunityId,
    /// The authority of the id to ask them by.
    pub authority: Option<&'a str>,
    /// How long we may keep it.
    pub time_to_live: Option<&'a TimeToLive>,
}

/// Where a patient is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub home: HomeCommunityId,
    pub patient: Cx<'static>,
}

impl Responder {
    pub fn new(mpi: Mpi, audit: Audit, correlations: Correlations) -> Self {
        Self { mpi, audit, correlations }
    }

    pub fn correlations(&self) -> &Correlations {
        &self.correlations
    }

    /// Our community.
    pub fn home(&self) -> &HomeCommunityId {
        &self.correlations.settings().home
    }

    pub fn mpi(&self) -> &Mpi {
        &self.mpi
    }

    /// How long others may keep what we answer.
    pub fn time_to_live(&self) -> Option<&TimeToLive> {
        self.correlations.settings().time_to_live.as_ref()
    }

    /// Who is meant. `query` is the question as the audit record keeps it, of which there is one for each patient told
    /// (security, ITI-55).
    pub async fn discover(
        &self,
        context: &Context,
        discovery: &Discovery,
        asker: &Asker<'_>,
        query: &str,
    ) -> Result<Answer, Error> {
        let (answer, outcome) = match self.mpi.discover(context, discovery).await {
            Ok(Discovered::Found(found)) => {
                let told = |p: crate::service::mpi::FoundPatient| Told {
                    id: p.person,
                    demographics: shown(p.demographics, &discovery.described),
                    score: p.score,
                };
                (Answer::Matches(found.into_iter().map(told).collect()), Outcome::Success)
            }
            Ok(Discovered::Wanted(wanted)) => (Answer::Wanted(wanted), Outcome::Success),
            Ok(Discovered::NotAvailable) => {
                (Answer::Unable(Unable::NotAvailable, vec![]), Outcome::SeriousFailure)
            }
            // What may not be said here is kept nowhere.
            Err(Refusal::Identity(errors)) => {
                let subject = Subject {
                    home_community_id: Some(asker.home.to_string()),
                    errors: errors.iter().map(|e| format!("{:?} {:?}", e.trouble, e.place.field)).collect(),
                    ..Subject::default()
                };
                let event = context.audit(Outcome::SeriousFailure, subject);
                self.audit.settle(self.audit.of_query(event)).await?;
                return Ok(Answer::Unable(Unable::NotAvailable, errors));
            }
            Err(Refusal::Error(error)) => {
                let unable = match &error {
                    Error::Busy(_) | Error::NoRoom(_) | Error::Away { .. } => Unable::Busy,
                    _ => Unable::Internal,
                };
                let request_id = &context.request_id;
                tracing::error!(request_id, cause = format!("{error:?}"), "a community cannot be answered");
                (Answer::Unable(unable, vec![]), Outcome::SeriousFailure)
            }
        };
        let patients: Vec<Vec<String>> = match &answer {
            Answer::Matches(told) if !told.is_empty() => told.iter().map(|t| vec![cx(&t.id)]).collect(),
            _ => vec![vec![]],
        };
        for patients in patients {
            let errors = match &answer {
                Answer::Unable(unable, _) => vec![unable.code().to_owned()],
                _ => vec![],
            };
            let subject = Subject {
                patients,
                home_community_id: Some(asker.home.to_string()),
                query: Some(query.to_owned()),
                errors,
                ..Subject::default()
            };
            self.audit.settle(self.audit.of_query(context.audit(outcome, subject))).await?;
        }
        Ok(answer)
    }

    /// Keeps how the asker knows the patient it was told of, if it says for how long (ITI TF-2 3.55.4.1.3: the question
    /// is an announcement too).
    pub async fn announced(
        &self,
        context: &Context,
        discovery: &Discovery,
        asker: &Asker<'_>,
        answer: &Answer,
    ) -> Result<(), Error> {
        let directory = self.correlations.communities();
        let (Answer::Matches(told), Some(time), Some(authority)) =
            (answer, asker.time_to_live, asker.authority)
        else {
            return Ok(());
        };
        let community = directory
            .iter()
            .find(|c| c.home == *asker.home && c.patient_id_authority.as_deref() == Some(authority));
        let theirs = |id: &&SentId| id.authority.universal_id.as_deref() == Some(authority);
        let (Some(community), [told], Some(theirs)) =
            (community, told.as_slice(), discovery.ids.iter().find(theirs))
        else {
            return Ok(());
        };
        let (Some(ours), Some(theirs)) = (
            Cx::new(told.id.value.clone(), told.id.domain.clone()),
            Cx::new(theirs.value.clone(), authority.to_owned()),
        ) else {
            return Ok(());
        };
        self.correlations.announced(context, &ours, community, theirs, time.until(context.received_at)).await
    }

    /// Where a patient is known by an id of ours: here, and where links hold. `None`: no such patient is known here.
    /// Leaves its audit record.
    pub async fn locate(
        &self,
        context: &Context,
        patient: &SentId,
        query: &str,
    ) -> Result<Option<Vec<Place>>, Error> {
        let directory = self.correlations.communities();
        let authority = patient.authority.universal_id.clone().unwrap_or_default();
        let found = match Cx::new(patient.value.clone(), authority) {
            Some(cx) => {
                let id = DomainId { domain: cx.authority.to_string(), value: cx.id.to_string() };
                // Of whom the asker may not be told is nobody.
                let mut places = match self.mpi.may_tell(context, &id).await? {
                    true => self.correlations.places(context, &cx, &directory).await?,
                    false => None,
                };
                if let Some(places) = &mut places {
                    let here = Place { home: self.home().clone(), patient: cx.clone() };
                    places.insert(0, here);
                }
                (Some(cx), places)
            }
            None => (None, None),
        };
        let (cx, places) = found;
        let subject = Subject {
            patients: cx.iter().map(ToString::to_string).collect(),
            errors: if places.is_none() { vec!["unknown patient".to_owned()] } else { vec![] },
            query: Some(query.to_owned()),
            ..Subject::default()
        };
        let outcome = if places.is_some() { Outcome::Success } else { Outcome::SeriousFailure };
        self.audit.settle(self.audit.of_query(context.audit(outcome, subject))).await?;
        Ok(places)
    }
}

/// What a community is told of a match: enough to judge it by, and nothing that it did not speak of itself.
fn shown(of: Demographics, asked: &Demographics) -> Demographics {
    Demographics {
        names: of.names,
        birth_date: of.birth_date,
        sex: of.sex,
        addresses: of.addresses.filter(|_| asked.addresses.is_some()),
        phones: of.phones.filter(|_| asked.phones.is_some()),
        mother_maiden_name: of.mother_maiden_name.filter(|_| asked.mother_maiden_name.is_some()),
        ..Demographics::default()
    }
}
