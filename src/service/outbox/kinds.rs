//! What the outbox delivers, and who does it. A new effect is a variant here and its courier.

use crate::model::audit::{AuditEvent, Outcome};
use crate::service::answers::Answers;
use crate::service::context::time_uuid;
use crate::service::gateway::Feeds;
use crate::service::mpi::{self, Notices, Sent};
use crate::service::national::{self, National};
use crate::store::outbox::Claimed;

/// What a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An asynchronous answer.
    Answer,
    /// The ids of a patient have changed (ITI-10, ITI-46).
    PixUpdate,
    /// A patient of ours is new, or another (ITI-44 to neighbours).
    PixFeed,
    /// Documents changed: whether they go to the national service.
    NationalChange,
}

impl Kind {
    pub const ALL: [Kind; 4] = [Self::Answer, Self::PixUpdate, Self::PixFeed, Self::NationalChange];

    /// `outbox.kind`
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Answer => "answer",
            Kind::PixUpdate => mpi::NOTICE,
            Kind::PixFeed => mpi::NEWS,
            Kind::NationalChange => national::CHANGE,
        }
    }

    /// Whether what follows in an ordered stream waits for a row of this kind that is given up. Not for a notice that
    /// its consumer refuses for good: the next ones are about other patients, or say more of this one.
    pub fn keeps_place(kind: &str) -> bool {
        kind != Kind::PixUpdate.as_str()
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    Done,
    /// To be tried again. `why` is kept and logged: nobody's data. `away`: nobody was there, which the rest
    /// of the stream need not find out one by one.
    Later {
        why: String,
        away: bool,
    },
    /// It will never go; somebody must look at it.
    Never(String),
}

impl Delivery {
    /// To be tried again for a reason of its own.
    pub fn later(why: impl Into<String>) -> Self {
        Delivery::Later { why: why.into(), away: false }
    }
}

fn delivery(sent: Sent) -> Delivery {
    match sent {
        Sent::Done => Delivery::Done,
        Sent::Later { why, away } => Delivery::Later { why, away },
        Sent::Never(why) => Delivery::Never(why),
    }
}

/// Those who deliver, as configured.
#[derive(Clone, Default)]
pub struct Couriers {
    pub answers: Option<Answers>,
    pub notices: Option<Notices>,
    pub feeds: Option<Feeds>,
    pub national: Option<National>,
}

impl Couriers {
    /// The audit record of an attempt that reached somebody: of notices and feeds, which nobody else records.
    pub(super) fn record(&self, row: &Claimed, delivery: &Delivery, at: i64) -> Option<AuditEvent> {
        let outcome = match delivery {
            Delivery::Done => Outcome::Success,
            Delivery::Later { away: true, .. } => return None,
            Delivery::Later { .. } | Delivery::Never(_) => Outcome::SeriousFailure,
        };
        let event = match Kind::ALL.into_iter().find(|kind| kind.as_str() == row.kind)? {
            Kind::Answer => None,
            Kind::PixUpdate => self.notices.as_ref()?.record(&row.id, &row.payload),
            Kind::PixFeed => self.feeds.as_ref()?.record(&row.id, &row.payload),
            // The adapter records its calls itself.
            Kind::NationalChange => None,
        }?;
        let time = jiff::Timestamp::from_microsecond(at).unwrap_or_default();
        let mut event =
            AuditEvent { id: time_uuid(time).to_string(), at, outcome, request_id: row.id.clone(), ..event };
        event.caller.address = "local".into();
        event.caller.listener = "outbox".into();
        event.facts.process = Some(std::process::id());
        Some(event)
    }

    pub(super) async fn deliver(&self, row: &Claimed) -> Delivery {
        let kind = Kind::ALL.into_iter().find(|kind| kind.as_str() == row.kind);
        match kind {
            Some(Kind::Answer) => match &self.answers {
                Some(answers) => answers.deliver(&row.payload).await,
                None => Delivery::Never("no address is allowed (any more)".into()),
            },
            Some(Kind::PixUpdate) => match &self.notices {
                Some(notices) => delivery(notices.deliver(&row.id, &row.payload).await),
                None => Delivery::Never("no consumer is configured (any more)".into()),
            },
            Some(Kind::PixFeed) => match &self.feeds {
                Some(feeds) => delivery(feeds.deliver(&row.id, &row.payload).await),
                None => Delivery::Never("no neighbour is told (any more)".into()),
            },
            Some(Kind::NationalChange) => match &self.national {
                Some(national) => match national.changed(&row.payload).await {
                    Ok(()) => Delivery::Done,
                    Err(why) => Delivery::later(why),
                },
                None => Delivery::later("this gateway sends nothing to the national service (any more)"),
            },
            // A newer gateway on the same database may know it.
            None => Delivery::later("this version knows no such kind"),
        }
    }
}
