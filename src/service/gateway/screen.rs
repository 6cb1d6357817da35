//! What our patients allow our own people to see of what other communities hold (jahis-profile.md 7): the decision that
//! every read passes, asked here of their answers. What those communities released to us they decided themselves.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::model::community::{Community, CorrelateBy};
use crate::model::consent::{Action, Permit};
use crate::model::error::{Error, ErrorCode};
use crate::model::hl7types::Cx;
use crate::model::identity::DomainId;
use crate::model::metadata::MetadataObject;
use crate::model::query::{ObjectRef, QueryResult, ReturnType};
use crate::service::access::{self, Access};
use crate::service::context::Context;
use crate::service::database;
use crate::store::consent::{Gate, foreign};
use crate::store::db::{Db, DbError, Tx};
use crate::store::mpi::{correlation, identity};
use crate::store::{documents, patient};

/// Clones share what is behind.
#[derive(Clone)]
pub struct Screen {
    db: Db,
    access: Access,
    /// `network.patient_id_authority`.
    authority: Arc<str>,
    /// Whether there is an index of patients.
    index: bool,
}

/// An answer, and all that decides what of it is shown.
struct Work {
    permit: Permit,
    community: Arc<Community>,
    /// Ours, where the question was about one.
    patient: Option<String>,
    objects: Vec<MetadataObject>,
    now: i64,
}

impl Screen {
    pub fn new(db: Db, access: Access, authority: &str, index: bool) -> Self {
        Self { db, access, authority: authority.into(), index }
    }

    /// The decision for one request.
    pub fn permit(&self, context: &Context, action: Action) -> Permit {
        self.access.permit(context, action)
    }

    /// What of a community's answer may be shown, in the form that was asked for.
    pub async fn let_through(
        &self,
        context: &Context,
        permit: &Permit,
        (community, patient): (&Arc<Community>, Option<&Cx<'_>>),
        result: QueryResult,
        form: ReturnType,
    ) -> Result<QueryResult, Error> {
        let objects = match result {
            QueryResult::Objects(objects) if permit.is_narrow() => objects,
            result => return Ok(result),
        };
        let work = Arc::new(Work {
            permit: permit.clone(),
            community: community.clone(),
            patient: patient.map(Cx::to_string),
            objects,
            now: context.micros(),
        });
        let (reading, this) = (work.clone(), self.clone());
        let shown: HashSet<String> = self
            .db
            .snapshot(move |tx| {
                let (work, this) = (reading.clone(), this.clone());
                Box::pin(async move { this.shown(tx, &work).await })
            })
            .await
            .map_err(|e: DbError| database(e))?;
        let kept = work.objects.iter().filter(|o| shown.contains(o.id()));
        Ok(match form {
            ReturnType::LeafClass => QueryResult::Objects(kept.cloned().collect()),
            ReturnType::ObjectRef => QueryResult::Refs(
                kept.map(|o| ObjectRef {
                    id: o.id().to_owned(),
                    home_community_id: o.home_community_id().map(str::to_owned),
                })
                .collect(),
            ),
        })
    }

    /// Of documents of our own domain (uniqueId) those that may be shown, by what our registry knows of them.
    pub async fn here(
        &self,
        context: &Context,
        permit: &Permit,
        unique_ids: Vec<String>,
    ) -> Result<HashSet<String>, Error> {
        let work = Arc::new((permit.clone(), context.caller.clone(), unique_ids));
        self.db
            .snapshot(move |tx| {
                let work = work.clone();
                Box::pin(async move {
                    let (permit, caller, unique_ids) = &*work;
                    let (mut gate, mut shown) = (Gate::new(permit), HashSet::new());
                    for id in unique_ids {
                        let whose = documents::whose_if_shown(tx, id, &mut gate).await?;
                        let fits = |whose: Vec<String>| {
                            access::bound(caller, &whose, ErrorCode::XDSRepositoryError).is_ok()
                        };
                        if whose.is_some_and(fits) {
                            shown.insert(id.clone());
                        }
                    }
                    Ok(shown)
                })
            })
            .await
            .map_err(|e: DbError| database(e))
    }

    async fn shown(&self, tx: &mut Tx<'_>, work: &Work) -> Result<HashSet<String>, DbError> {
        let mut whose: HashMap<String, i64> = HashMap::new();
        for object in &work.objects {
            let id = match object {
                MetadataObject::DocumentEntry(o) => &o.patient_id,
                MetadataObject::SubmissionSet(o) => &o.patient_id,
                MetadataObject::Folder(o) => &o.patient_id,
                MetadataObject::Association(_) => continue,
            };
            if whose.contains_key(id) {
                continue;
            }
            let key = match &work.patient {
                Some(ours) => patient::key(tx, ours).await?,
                None => self.known(tx, work, id).await?,
            };
            whose.extend(key.map(|key| (id.clone(), key)));
        }
        let keys: Vec<i64> = whose.values().copied().collect();
        let mut gate = Gate::new(&work.permit);
        gate.meet(tx, &keys).await?;
        Ok(foreign::shown(&gate, &work.objects, &whose))
    }

    /// Who of ours has this id there: by a link that holds, by the index, or by an id that both share.
    async fn known(&self, tx: &mut Tx<'_>, work: &Work, theirs: &str) -> Result<Option<i64>, DbError> {
        let Ok(cx) = Cx::parse(theirs) else { return Ok(None) };
        let home = work.community.home.to_string();
        let links = correlation::of_foreign(tx, &cx.authority, &cx.id).await?;
        if let Some(link) = links.iter().find(|l| l.home == home && l.holds(work.now)) {
            return patient::survivor(tx, link.patient).await.map(Some);
        }
        if cx.authority == *self.authority && work.community.correlate == CorrelateBy::SharedId {
            return patient::key(tx, &cx.to_string()).await;
        }
        if !self.index {
            return Ok(None);
        }
        let id = DomainId { domain: cx.authority.to_string(), value: cx.id.to_string() };
        let found = identity::by_id(tx, &id).await?;
        Ok(found.filter(|i| i.status == identity::Status::Active).map(|i| i.person_key))
    }
}
