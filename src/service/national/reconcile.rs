//! What we believe was delivered, held against what the service says it holds and what the registry has: differences,
//! and what mends them.

use std::collections::HashSet;
use std::sync::Arc;

use serde::Serialize;

use super::National;
use super::deciding::Why;
use crate::model::audit::Outcome;
use crate::model::error::Error;
use crate::peer::national::Held;
use crate::service::context::{Context, Subject};
use crate::service::database;
use crate::store::db::DbError;
use crate::store::national::decision;
use crate::store::national::delivery::{self, State as Going};
use crate::store::national::entry;
use crate::store::national::lineage::{self, Lineage, State};

/// How two of the three differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Difference {
    /// Accepted, and not there. Mended by registering it again.
    MissingThere,
    /// There under an id of ours, and cancelled or never known as accepted. Mended by cancelling, or by taking note where
    /// the document is Approved here.
    UnknownHere,
    /// There under the institution's id, by another system of theirs. Listed only.
    NotOurs,
    /// Accepted, and no longer Approved here. Mended by cancelling.
    Withdrawn,
    /// Accepted, and not permitted any more: a consent that ended by itself. Mended by cancelling.
    Denied,
    /// Decided to go, and neither there nor on its way. Mended by deciding anew.
    Undelivered,
    /// A letter is elsewhere than we believed. Mended by the question itself.
    Moved,
}

impl Difference {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MissingThere => "missing-there",
            Self::UnknownHere => "unknown-here",
            Self::NotOurs => "not-ours",
            Self::Withdrawn => "withdrawn",
            Self::Denied => "denied",
            Self::Undelivered => "undelivered",
            Self::Moved => "moved",
        }
    }
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Found {
    pub difference: Difference,
    pub bundle: String,
    pub lineage: Option<String>,
    pub entry: Option<String>,
    /// Whether something was set going to mend it.
    pub mended: bool,
}

/// What came of an institution's reconciliation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reconciled {
    pub institution: String,
    /// Lineages that should be there.
    pub believed: usize,
    /// What the service lists; none where it does not.
    pub listed: Option<usize>,
    /// Why it could not be asked.
    pub trouble: Option<String>,
    /// Letters asked for one by one.
    pub asked: usize,
    pub differences: Vec<Found>,
}

/// A lineage with what reconciliation asks of it.
struct Looked {
    lineage: Lineage,
    /// Something of it is on its way, or parked.
    open: bool,
    /// The document there is Approved here.
    approved: bool,
    /// A document of it is Approved, and the last decision on it was to send.
    wanted: Option<String>,
    /// The last document that was tried.
    last_entry: Option<String>,
}

impl National {
    /// Compares one institution's, and mends if `mend`.
    pub async fn reconcile(
        &self,
        context: &Context,
        institution: &str,
        mend: bool,
    ) -> Result<Reconciled, Error> {
        let now = self.now();
        let looked = self.look(institution).await?;
        let mut report = Reconciled {
            institution: institution.to_owned(),
            believed: looked.iter().filter(|l| l.lineage.state.is_there()).count(),
            listed: None,
            trouble: None,
            asked: 0,
            differences: vec![],
        };
        let held: Option<Vec<Held>> = match self.0.ports.get(institution) {
            Some(port) => match port.holdings(institution, now).await {
                Ok(held) => held,
                Err(why) => {
                    report.trouble = Some(why);
                    None
                }
            },
            None => None,
        };
        report.listed = held.as_ref().map(Vec::len);
        if let Some(held) = &held {
            self.against_list(&looked, held, mend, &mut report).await?;
        }
        for one in &looked {
            let lineage = &one.lineage;
            if lineage.state.is_there() && !one.approved && !one.open {
                let mended = match (&lineage.current_entry, mend) {
                    (Some(entry), true) => self.consider(entry, Why::Change).await?.is_some(),
                    _ => false,
                };
                push(&mut report, Difference::Withdrawn, lineage, mended);
            } else if let (State::Accepted, false, Some(entry)) =
                (lineage.state, one.open, &lineage.current_entry)
                && self.is_denied(entry, now).await?
            {
                let mended = mend && self.consider(entry, Why::Review).await?.is_some();
                push(&mut report, Difference::Denied, lineage, mended);
            } else if !lineage.state.is_there()
                && !one.open
                && let Some(entry) = &one.wanted
                && lineage.state != State::Expired
                && !report.differences.iter().any(|d| d.lineage.as_ref() == Some(&lineage.id))
            {
                let mended = mend && self.consider(entry, Why::Hand).await?.is_some();
                push(&mut report, Difference::Undelivered, lineage, mended);
            }
        }
        // Where the service lists nothing, letters can still be asked for.
        if held.is_none() && report.trouble.is_none() {
            for one in
                looked.iter().filter(|l| l.lineage.kind == "referral" && l.lineage.state == State::Accepted)
            {
                report.asked += 1;
                let before = one.lineage.said_state.clone();
                let after = self.follow_one(one.lineage.clone(), now).await?;
                if after.is_some() && after != before {
                    push(&mut report, Difference::Moved, &one.lineage, true);
                }
            }
        }
        self.wake();
        let subject = Subject { objects: vec![format!("institution:{institution}")], ..Subject::default() };
        let event = Arc::new(crate::model::audit::AuditEvent {
            transaction: "national reconcile".into(),
            ..context.audit(Outcome::Success, subject)
        });
        let done = self.0.db.write(move |tx| {
            let event = event.clone();
            Box::pin(async move { Self::record(tx, (*event).clone()).await })
        });
        done.await.map_err(|e: DbError| database(e))?;
        Ok(report)
    }

    async fn against_list(
        &self,
        looked: &[Looked],
        held: &[Held],
        mend: bool,
        report: &mut Reconciled,
    ) -> Result<(), Error> {
        let there: HashSet<(&str, &str)> =
            held.iter().map(|h| (h.value.as_str(), h.insured_id.as_str())).collect();
        let key = |l: &Lineage| {
            (l.bundle_value.clone().unwrap_or_default(), l.insured_id.clone().unwrap_or_default())
        };
        for one in looked.iter().filter(|l| l.lineage.state.is_there() && !l.open) {
            let (value, insured) = key(&one.lineage);
            if there.contains(&(value.as_str(), insured.as_str())) {
                continue;
            }
            let mended = mend && one.approved && self.register_again(&one.lineage).await?;
            push(report, Difference::MissingThere, &one.lineage, mended);
        }
        for unit in held {
            let same = |l: &&Looked| l.lineage.bundle_value.as_deref() == Some(unit.value.as_str());
            match looked.iter().find(same) {
                Some(one) if one.open => {}
                Some(one) if one.lineage.state.is_there() && key(&one.lineage).1 == unit.insured_id => {}
                Some(one) => {
                    let mended = mend && self.adopt(one, unit).await?;
                    push(report, Difference::UnknownHere, &one.lineage, mended);
                }
                None => report.differences.push(Found {
                    difference: Difference::NotOurs,
                    bundle: unit.value.clone(),
                    lineage: None,
                    entry: None,
                    mended: false,
                }),
            }
        }
        Ok(())
    }

    async fn look(&self, institution: &str) -> Result<Vec<Looked>, Error> {
        const PAGE: i64 = 200;
        let mut all: Vec<Looked> = vec![];
        loop {
            let after = all.last().map_or(String::new(), |l| l.lineage.id.clone());
            let asked: Arc<(String, String)> = Arc::new((institution.to_owned(), after));
            let page = self.0.db.snapshot(move |tx| {
                let asked = asked.clone();
                Box::pin(async move {
                    let mut page = vec![];
                    for lineage in lineage::page(tx, &asked.0, &asked.1, PAGE).await? {
                        let deliveries = delivery::of_lineage(tx, &lineage.id).await?;
                        let approved = match &lineage.current_lid {
                            Some(lid) => entry::is_approved(tx, lid).await?,
                            None => false,
                        };
                        let mut wanted = None;
                        for lid in lineage::members(tx, &lineage.id).await? {
                            let Some(kept) = decision::current(tx, &lid).await? else { continue };
                            let sends = kept.operation.as_deref().is_some_and(|op| !op.ends_with(".cancel"));
                            if sends && entry::is_approved(tx, &lid).await? {
                                wanted = Some(kept.entry_id);
                            }
                        }
                        page.push(Looked {
                            open: deliveries.iter().any(|d| {
                                matches!(d.state, Going::Waiting | Going::Processing | Going::Parked)
                            }),
                            last_entry: deliveries.last().map(|d| d.entry_id.clone()),
                            approved,
                            wanted,
                            lineage,
                        });
                    }
                    Ok(page)
                })
            });
            let page = page.await.map_err(|e: DbError| database(e))?;
            let more = page.len() == PAGE as usize;
            all.extend(page);
            if !more {
                return Ok(all);
            }
        }
    }

    /// The service has lost it: it is registered again, under the same id.
    async fn register_again(&self, lineage: &Lineage) -> Result<bool, Error> {
        let Some(entry) = lineage.current_entry.clone() else { return Ok(false) };
        if !self
            .set(lineage, |l| {
                l.state = State::Nothing;
                l.current_lid = None;
                l.current_entry = None;
            })
            .await?
        {
            return Ok(false);
        }
        Ok(self.consider(&entry, Why::Hand).await?.is_some())
    }

    /// The service has something we do not count on: taken note of; and then decided anew, which cancels what is not
    /// Approved here.
    async fn adopt(&self, one: &Looked, unit: &Held) -> Result<bool, Error> {
        let Some(entry) = one.last_entry.clone() else { return Ok(false) };
        let placed: Arc<str> = entry.as_str().into();
        let found = self.0.db.read(move |tx| {
            let placed = placed.clone();
            Box::pin(async move { entry::get(tx, &placed).await })
        });
        let lid = match found.await.map_err(|e: DbError| database(e))? {
            Some(placed) => placed.lid,
            None => entry.clone(),
        };
        let (insured, current) = (unit.insured_id.clone(), entry.clone());
        let noted = self
            .set(&one.lineage, move |l| {
                l.state = State::Accepted;
                l.insured_id = Some(insured.clone());
                l.current_lid = Some(lid.clone());
                l.current_entry = Some(current.clone());
            })
            .await?;
        if noted {
            self.consider(&entry, Why::Change).await?;
        }
        Ok(noted)
    }

    /// Changes a lineage unless something else has meanwhile.
    async fn set(
        &self,
        lineage: &Lineage,
        change: impl Fn(&mut Lineage) + Send + Sync + 'static,
    ) -> Result<bool, Error> {
        let (seen, now, change) = (Arc::new(lineage.clone()), self.now(), Arc::new(change));
        let done = self.0.db.write(move |tx| {
            let (seen, change) = (seen.clone(), change.clone());
            Box::pin(async move {
                let Some(mut lineage) = lineage::hold(tx, &seen.id).await? else { return Ok(false) };
                if lineage.revision != seen.revision {
                    return Ok(false);
                }
                change(&mut lineage);
                lineage.updated_at = now;
                lineage::put(tx, &lineage).await?;
                Ok(true)
            })
        });
        done.await.map_err(|e: DbError| database(e))
    }
}

fn push(report: &mut Reconciled, difference: Difference, lineage: &Lineage, mended: bool) {
    report.differences.push(Found {
        difference,
        bundle: lineage.bundle_value.clone().unwrap_or_default(),
        lineage: Some(lineage.id.clone()),
        entry: lineage.current_entry.clone(),
        mended,
    });
}
