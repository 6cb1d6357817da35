//! Our patients made known to neighbours (ITI-44): what waits in the outbox, and how it is delivered.
//!
//! A row says whose news it is. What is told is what is known when it is sent, so that a row that waited tells the
//! newest, and one sent twice does no harm.

use super::trouble::Trouble;
use super::{Correlations, Directory};
use crate::model::audit::{Act, AuditEvent, Exchange, Facts};
use crate::model::community::Step;
use crate::model::identity::DomainId;
use crate::model::transaction::Transaction;
use crate::peer::soap::discover::{Ack, Between, Told, tell};
use crate::service::context::Context;
use crate::service::mpi::{Mpi, Neighbourly, Sent, Standing, cx};

/// Tells neighbours. Clones share it.
#[derive(Clone)]
pub struct Feeds {
    mpi: Mpi,
    directory: Directory,
    correlations: Correlations,
}

impl Feeds {
    pub fn new(mpi: Mpi, directory: Directory, correlations: Correlations) -> Self {
        Self { mpi, directory, correlations }
    }

    /// What the audit trail is told of sending it.
    pub fn record(&self, id: &str, payload: &str) -> Option<AuditEvent> {
        let news = serde_json::from_str::<Neighbourly>(payload).ok()?;
        let listed = self.directory.now();
        let client = listed.by_id(&news.community)?.client("iti44")?;
        let domain = self.correlations.settings().authority.clone();
        let patient = DomainId { domain, value: news.patient };
        let exchange = Exchange { message_id: Some(id.to_owned()), ..Exchange::default() };
        let act = if news.new { Act::Create } else { Act::Update };
        Some(AuditEvent {
            transaction: Transaction::Iti44.code().into(),
            patients: vec![cx(&patient)],
            sent_to: Some(client.url().to_owned()),
            facts: Facts { exchange, act: Some(act), ..Facts::default() },
            ..AuditEvent::default()
        })
    }

    /// Sends what waits in the outbox under `id`.
    pub async fn deliver(&self, id: &str, payload: &str) -> Sent {
        let Ok(news) = serde_json::from_str::<Neighbourly>(payload) else {
            return Sent::Never("the row is no news of a patient".into());
        };
        let listed = self.directory.now();
        let Some((member, client)) =
            listed.by_id(&news.community).and_then(|m| Some((m, m.client("iti44")?)))
        else {
            return Sent::Never(format!("community {} is told no longer", news.community));
        };
        let (patient, subsumed, person) = match self.mpi.standing(&news.patient).await {
            Ok(Standing::Active(person)) => (person.person.clone(), None, person),
            Ok(Standing::Replaced(person)) => {
                let old = DomainId { domain: person.person.domain.clone(), value: news.patient.clone() };
                (person.person.clone(), Some(old), person)
            }
            // Nobody any more: there is nothing to tell.
            Ok(Standing::Nobody) => return Sent::Done,
            Err(_) => return Sent::Later { why: "the index could not be asked".into(), away: false },
        };
        let at = jiff::Timestamp::from_microsecond(news.at).unwrap_or_default();
        let between = Between {
            home: &self.correlations.settings().home,
            other: &member.community.home,
            device: member.community.device.as_deref(),
            time: &at.strftime("%Y%m%d%H%M%S+0000").to_string(),
        };
        let told = Told {
            id,
            patient: &patient,
            demographics: &person.demographics,
            subsumed: subsumed.as_ref(),
            new: news.new,
        };
        // Nobody in particular is behind what is told.
        let context = Context::of_operator("outbox", None, self.mpi.now());
        let assertion = match self.correlations.people().assertion(&context, &member.community, None) {
            Ok(assertion) => assertion,
            Err(trouble) => return Sent::Later { why: trouble.detail, away: false },
        };
        let telling =
            async { tell(client, &between, &told, assertion.as_deref()).await.map_err(Trouble::from) };
        let deadline = tokio::time::Instant::now() + member.community.budget;
        match member.line.ask(deadline, telling).await {
            Ok((answer, _)) => {
                let codes: Vec<&str> = answer.details.iter().map(|d| d.code).collect();
                match answer.ack {
                    Ack::Accept => Sent::Done,
                    Ack::Reject => Sent::Later { why: format!("refused: {}", codes.join(", ")), away: false },
                    Ack::Error => Sent::Never(format!("refused for its content: {}", codes.join(", "))),
                }
            }
            Err(trouble) => {
                let away = trouble.counts || matches!(trouble.step, Step::Breaker | Step::Queue);
                Sent::Later { why: format!("{}: {}", trouble.step, trouble.detail), away }
            }
        }
    }
}
