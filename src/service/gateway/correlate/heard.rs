//! What another network's index tells of its own accord (ITI-46): the ids of a patient are these from now on.

use std::sync::Arc;

use super::Correlations;
use super::learn::{Keep, Lesson, Theirs, learn, said};
use crate::model::audit::Outcome;
use crate::model::community::{Community, CorrelateBy};
use crate::model::error::Error;
use crate::model::hl7types::Cx;
use crate::model::identity::{DomainId, Way};
use crate::service::context::{Context, Subject};
use crate::service::database;
use crate::service::traces::Traces;
use crate::store::db::{DbError, Tx};
use crate::store::mpi::correlation::{self as kept, Link};
use crate::store::mpi::review::State;
use crate::store::patient;

/// Why a notice was not taken.
#[derive(Debug)]
pub enum Unheard {
    /// No community of the directory is its sender.
    Stranger,
    Error(Error),
}

struct Notice {
    context: Context,
    authority: String,
    communities: Vec<Arc<Community>>,
    ids: Vec<DomainId>,
    by_hand: bool,
}

impl Correlations {
    /// Takes a notice from the device with these OIDs. A community tells of its own ids; a hub of its members' too.
    /// Durable, and recorded, when this returns.
    pub async fn heard(&self, context: &Context, sender: &[&str], ids: Vec<DomainId>) -> Result<(), Unheard> {
        let directory = self.communities();
        let is_sender = |c: &&Arc<Community>| {
            let own = [c.device.as_deref(), Some(c.home.oid().as_str()), c.patient_id_authority.as_deref()];
            own.into_iter().flatten().any(|oid| sender.contains(&oid))
        };
        let Some(sender) = directory.iter().find(is_sender) else { return Err(Unheard::Stranger) };
        let told = |c: &&Arc<Community>| {
            c.correlate == CorrelateBy::Pix && (c.home == sender.home || sender.stands_for.contains(&c.home))
        };
        let notice = Arc::new(Notice {
            context: context.clone(),
            authority: self.inner.settings.authority.clone(),
            communities: directory.iter().filter(told).cloned().collect(),
            ids,
            by_hand: self.inner.settings.by_hand,
        });
        self.inner
            .db
            .write(move |tx| {
                let notice = notice.clone();
                Box::pin(async move { take(tx, &notice).await })
            })
            .await
            .map_err(|e: DbError| Unheard::Error(database(e)))
    }
}

async fn take(tx: &mut Tx<'_>, notice: &Notice) -> Result<(), DbError> {
    let pid = |value: &str| Cx::new(value, notice.authority.as_str()).map(|cx| cx.to_string());
    let mut ours = vec![];
    for id in notice.ids.iter().filter(|id| id.domain == notice.authority) {
        if let Some(pid) = pid(&id.value)
            && let Some(key) = patient::key(tx, &pid).await?
        {
            ours.push((key, pid));
        }
    }
    ours.sort();
    for community in &notice.communities {
        let own = community.patient_id_authority.as_deref();
        let theirs: Vec<&DomainId> = notice.ids.iter().filter(|id| Some(id.domain.as_str()) == own).collect();
        // Whom these ids were linked with before, and are not now.
        for id in &theirs {
            for link in kept::of_foreign(tx, &id.domain, &id.value).await? {
                let still = ours.iter().any(|(key, _)| *key == link.patient);
                if !still && !link.manual && link.way == Way::Pix && link.state == State::Confirmed {
                    let link = Link {
                        state: State::Obsolete,
                        valid_until: None,
                        updated_at: notice.context.micros(),
                        ..link
                    };
                    kept::put(tx, &link).await?;
                    let reason = "the community says that it is another patient's";
                    kept::say(tx, &link.id, &said(&notice.context, &link, &community.id, reason)).await?;
                }
            }
        }
        // Of two patients of ours it is one, or neither: somebody must look.
        let certain = ours.len() == 1;
        for (key, _) in &ours {
            let lesson = Lesson {
                context: notice.context.clone(),
                patient: *key,
                community: community.clone(),
                way: Way::Pix,
                theirs: theirs
                    .iter()
                    .filter_map(|id| Cx::new(id.value.clone(), id.domain.clone()))
                    .map(|patient| Theirs { patient, certain, score: None })
                    .collect(),
                // Until it is told otherwise, which it promises to do.
                keep: Keep::On,
                by_hand: notice.by_hand,
            };
            learn(tx, &lesson).await?;
        }
    }
    let subject = Subject {
        patients: ours.into_iter().map(|(_, pid)| pid).collect(),
        home_community_id: notice.communities.first().map(|c| c.home.to_string()),
        ..Subject::default()
    };
    Traces::new(vec![notice.context.audit(Outcome::Success, subject)], None)?.leave(tx).await
}
