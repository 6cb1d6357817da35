//! ITI-81 Retrieve ATNA AuditEvent: `GET [base]/AuditEvent?date=…` for those the configuration names. Each search is
//! itself recorded (110101) before its answer leaves. ITI TF-2 3.81.

use std::borrow::Cow;

use http::{Method, Response, StatusCode};
use serde_json::Value;

use super::answer::{Answer, Denied, denied};
use super::{BASE, base, wrong};
use crate::config::AuditConfig;
use crate::model::audit::compose::compose;
use crate::model::audit::{AuditEvent, Facts, Outcome as AuditOutcome, kinds};
use crate::model::caller::Caller;
use crate::model::error::Error;
use crate::server::http::{Handler, Refused, Request, RespBody};
use crate::server::metrics::Outcome;
use crate::service::audit::reading::{Kept, Period, Place};
use crate::service::audit::trail::Trail;
use crate::service::audit::{Audit, Audited};
use crate::service::context::time_uuid;
use crate::wire::atna::{self, syslog};
use crate::wire::fhir::audit_event::{self, AuditSearch};
use crate::wire::fhir::{self, Format, IssueCode};

const PATH: &str = "/fhir/AuditEvent";
/// Records looked at for one page at most: what is beyond is on the next.
const LOOKED_AT: usize = 50_000;
const TOGETHER: i64 = 500;

pub struct TrailFace {
    pub trail: Trail,
    pub audit: Audit,
    pub config: AuditConfig,
}

/// The FHIR listeners' face where the trail can be searched: with the index of patients, or without one.
pub struct WithTrail<H> {
    pub inner: Option<std::sync::Arc<H>>,
    pub trail: Option<std::sync::Arc<TrailFace>>,
    pub audit: Audit,
}

impl TrailFace {
    /// By the listener, the node or a role of the user.
    fn may(&self, caller: &Caller) -> bool {
        let AuditConfig { search_listeners, search_nodes, search_roles, .. } = &self.config;
        let node = caller.node.as_ref().is_some_and(|node| search_nodes.contains(&node.id));
        let certificate = caller.certificate.as_ref().is_some_and(|c| search_nodes.contains(c));
        let roles = caller.user.iter().flat_map(|user| &user.roles);
        let role = roles.into_iter().any(|r| search_roles.contains(&format!("{}|{}", r.system, r.code)));
        search_listeners.contains(&caller.listener) || node || certificate || role
    }

    async fn search(&self, request: Request) -> Result<Answer, Denied> {
        if !matches!(request.method, Method::GET | Method::HEAD) {
            let text = "audit records are searched by GET and never changed";
            return Err(
                Denied::new(StatusCode::METHOD_NOT_ALLOWED, IssueCode::NotSupported, text).allow("GET, HEAD")
            );
        }
        let caller = request.conn.caller();
        if !self.may(&caller) {
            let text = "you may not read audit records (audit.search_listeners, search_nodes, search_roles)";
            return Err(Denied::new(StatusCode::FORBIDDEN, IssueCode::BusinessRule, text));
        }
        let query = request.uri.query().unwrap_or_default().to_owned();
        let pairs = fhir::pairs(&query).map_err(|issue| wrong(vec![issue]))?;
        let search = audit_event::read_search(&pairs).map_err(wrong)?;
        let id = request.id.clone();
        let away = |e: Error| {
            tracing::error!(request_id = id, cause = format!("{e:?}"), "audit records cannot be read");
            let text = format!("the audit trail cannot be read now (reference {id})");
            Denied::new(StatusCode::SERVICE_UNAVAILABLE, IssueCode::Transient, text)
        };
        // Before the first record is read.
        let (event, base, now) =
            (event(&request, caller), base(&request), request.received_at.as_microsecond());
        drop(request);
        self.audit.settle(Audited::Due(Box::new(event))).await.map_err(&away)?;
        let (found, next) = self.page(&search, now).await.map_err(&away)?;
        let address = |page: Option<&str>| {
            let page = page.map(|p| format!("&_page={}", fhir::encoded(p))).unwrap_or_default();
            format!("{base}/AuditEvent?{}{page}", search.said)
        };
        let mut links = vec![("self", address(search.page.as_deref()))];
        links.extend(next.map(|next| ("next", address(Some(&next)))));
        let bundle = audit_event::bundle(&links, &base, found);
        Ok(Answer::new("ITI-81", StatusCode::OK, bundle, Outcome::Success))
    }

    /// Resources of a page, and where the next begins.
    async fn page(&self, search: &AuditSearch, now: i64) -> Result<(Vec<Value>, Option<String>), Error> {
        let period = Period { from: search.from.max(0), until: search.until };
        let (start, mut skip) = match search.page.as_deref().and_then(read_place) {
            Some((place, skip)) => (Some(place), skip),
            None => (None, 0),
        };
        let mut found = vec![];
        if !search.patients.is_empty() {
            // Few enough to be read whole; a page begins at a number.
            let mut all = vec![];
            for patient in &search.patients {
                all.extend(self.trail.of_patient(patient, period, i64::MAX, now).await?);
            }
            all.sort_by(|a, b| (a.at(), a.id()).cmp(&(b.at(), b.id())));
            all.dedup_by(|a, b| a.id() == b.id());
            let mut matching = all.iter().flat_map(|kept| self.resources(kept)).filter(|r| search.meets(r));
            found.extend(matching.by_ref().skip(skip).take(search.count));
            let next = matching.next().map(|_| format!("p.{}", skip + found.len()));
            return Ok((found, next));
        }
        let mut place = Some(start.unwrap_or_else(|| Place::start(period)));
        let mut looked_at = 0;
        while let Some(from) = place.take() {
            if looked_at >= LOOKED_AT {
                return Ok((found, Some(said(&from, 0))));
            }
            let (kept, next) = self.trail.read(period, from, TOGETHER).await?;
            looked_at += kept.len();
            for one in &kept {
                let here = match one {
                    Kept::Own(event) => Place::Own(event.id.clone()),
                    Kept::Received { id, at, .. } => Place::Received(*at, id.clone()),
                };
                let matching = self.resources(one).into_iter().filter(|r| search.meets(r)).enumerate();
                for (n, resource) in matching.skip(std::mem::take(&mut skip)) {
                    if found.len() == search.count {
                        return Ok((found, Some(said(&here, n))));
                    }
                    found.push(resource);
                }
            }
            place = next;
        }
        Ok((found, None))
    }

    fn resources(&self, kept: &Kept) -> Vec<Value> {
        match kept {
            Kept::Own(event) => {
                let messages = compose(event, self.trail.reporter());
                let id = |n: usize| if n == 0 { event.id.clone() } else { format!("{}-{n}", event.id) };
                messages.iter().enumerate().map(|(n, m)| audit_event::write(&id(n), m)).collect()
            }
            Kept::Received { id, original, .. } => {
                let read = syslog::read(original).ok().and_then(|m| atna::read(m.body).ok());
                read.iter().map(|m| audit_event::write(id, m)).collect()
            }
        }
    }
}

/// The record of a search.
fn event(request: &Request, caller: Caller) -> AuditEvent {
    let at = request.received_at;
    let query = request.uri.query().unwrap_or_default();
    AuditEvent {
        id: time_uuid(at).to_string(),
        at: at.as_microsecond(),
        transaction: kinds::AUDIT_READ.into(),
        outcome: AuditOutcome::Success,
        request_id: request.id.clone(),
        caller,
        query: Some(format!("{}/AuditEvent?{query}", base(request))),
        facts: Facts { exchange: request.exchange(), process: Some(std::process::id()), ..Facts::default() },
        ..AuditEvent::default()
    }
}

/// A place in a link: `o.<id>.<n>`, `r.<time>.<id>.<n>`; `p.<n>` among a patient's.
fn said(place: &Place, n: usize) -> String {
    match place {
        Place::Own(id) => format!("o.{id}.{n}"),
        Place::Received(at, id) => format!("r.{at}.{id}.{n}"),
    }
}

fn read_place(text: &str) -> Option<(Place, usize)> {
    let parts: Vec<&str> = text.split('.').collect();
    match parts.as_slice() {
        ["o", id, n] => Some((Place::Own((*id).to_owned()), n.parse().ok()?)),
        ["r", at, id, n] => Some((Place::Received(at.parse().ok()?, (*id).to_owned()), n.parse().ok()?)),
        ["p", n] => Some((Place::Own(String::new()), n.parse().ok()?)),
        _ => None,
    }
}

impl<H: Handler> Handler for WithTrail<H> {
    async fn handle(&self, request: Request) -> Response<RespBody> {
        let ours = request.uri.path().trim_end_matches('/') == PATH;
        let (caller, id, at) = (request.conn.caller(), request.id.clone(), request.received_at);
        let answer = match (&self.trail, &self.inner) {
            (Some(trail), _) if ours => trail.search(request).await,
            (_, Some(inner)) => return inner.handle(request).await,
            _ => {
                let text = "nothing is served at this path";
                Err(Denied::new(StatusCode::NOT_FOUND, IssueCode::NotFound, text))
            }
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(refused) => denied(&self.audit, refused, None, caller, &id, at).await,
        };
        answer.respond(Format::Json)
    }

    async fn refuse(&self, refused: Refused<'_>) -> Response<RespBody> {
        match &self.inner {
            Some(inner) => inner.refuse(refused).await,
            None => refused.refusal.plain(refused.request_id),
        }
    }

    fn shown<'p>(&self, path: &'p str) -> Cow<'p, str> {
        match &self.inner {
            _ if path.trim_end_matches('/') == PATH => Cow::Owned(format!("{BASE}/AuditEvent")),
            Some(inner) => inner.shown(path),
            None => Cow::Borrowed("[not served]"),
        }
    }
}
