//! From the registry to the national record-sharing service: what is decided, what is delivered, by which way, and what
//! is left when somebody dies on the way. The service is `chiren simulate national`, over TLS with the institutions' own
//! certificates.

mod cases;
mod crash;
mod flow;
mod later;
mod making;
mod nesting;
mod scenarios;
mod ways;

use std::path::Path;

use chiren::config::national::{Agreement, InsuredSource, Validation, Via};
use chiren::config::{Config, EgressConfig, PeerConfig, TlsProfile};
use chiren::model::metadata::{AssociationType, DocumentEntry, Submission};
use chiren::model::national::ConsentStatus;
use chiren::service::national::operator::{DecisionKind, DeliveryState, KeptDecision, Story};
use chiren::service::national::{LaneReport, National};
use chiren::service::outbox::Now;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::support::Gateway;
use crate::support::national as simulated;
use crate::support::national::{DESTINATION, SENDER};
use crate::support::samples::*;

/// A peer's TLS with an institution's certificate.
pub fn peer(pki: &Path, port: u16, institution: &str) -> PeerConfig {
    PeerConfig {
        url: format!("https://localhost:{port}/"),
        server_ca: vec![pki.join("authority.pem")],
        certificate: Some(pki.join(format!("{institution}.pem"))),
        private_key: Some(pki.join(format!("{institution}.key"))),
        tls_profile: TlsProfile::JpHigh12,
        connect_seconds: 2,
        answer_seconds: 3,
        ..PeerConfig::default()
    }
}

/// A gateway's national side: documents say who is insured, agreement is given, and only our own looks deliver.
pub fn adapter(config: &mut Config) {
    let n = &mut config.national;
    n.enabled = true;
    n.validation = Validation::Off;
    n.insured_id = InsuredSource::Bundle;
    n.send_agreement = Agreement::Agreed;
    n.view_consent = ConsentStatus::Viewable;
    n.poll_seconds = 3600;
    n.lease_seconds = 60;
    config.outbox.poll_seconds = 3600;
}

/// Sends for these institutions straight to the service.
pub fn direct(config: &mut Config, pki: &Path, port: u16, institutions: &[&str]) {
    adapter(config);
    for institution in institutions {
        let egress = EgressConfig {
            via: Via::Direct,
            peer: Some(peer(pki, port, institution)),
            ..EgressConfig::default()
        };
        config.national.egress.insert((*institution).to_owned(), egress);
    }
}

/// A gateway and the service behind it.
pub struct Scene {
    pub gateway: Gateway,
    pub service: simulated::National,
}

impl Scene {
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let service = simulated::National::start().await;
        let (pki, port) = (service.pki(), service.address().port());
        let gateway = Gateway::start_with(|c| {
            direct(c, &pki, port, &[SENDER, DESTINATION]);
            change(c);
        })
        .await;
        Self { gateway, service }
    }

    pub fn national(&self) -> National {
        self.gateway.rooms().national.clone().expect("the adapter")
    }

    /// Publishes a document by ITI-41 and gives back its entryUUID.
    pub async fn publish(&self, submission: &Submission, text: &str) -> String {
        publish(&self.gateway, submission, text).await
    }

    /// Decides on everything that has changed and delivers what is due.
    pub async fn settle(&self) -> LaneReport {
        settle(&self.gateway).await
    }

    pub async fn story(&self, entry: &str) -> Story {
        self.national().story(entry).await.expect("a story").expect("decided on")
    }

    /// The last word on a document: outcome, and reason or operation.
    pub async fn word(&self, entry: &str) -> (DecisionKind, String) {
        word(self.story(entry).await.decisions.last().expect("a decision"))
    }

    /// Units that the service holds.
    pub fn units(&self) -> Vec<Value> {
        self.service.running.state()["Units"].as_array().cloned().unwrap_or_default()
    }

    pub async fn parked(&self) -> usize {
        self.national().deliveries(DeliveryState::Parked, None).await.expect("a list").len()
    }
}

pub fn word(kept: &KeptDecision) -> (DecisionKind, String) {
    (kept.outcome, kept.operation.clone().or_else(|| kept.reason.clone()).unwrap_or_default())
}

pub async fn publish(gateway: &Gateway, submission: &Submission, text: &str) -> String {
    let unique = submission.document_entries[0].unique_id.clone();
    gateway.soap().provide(submission, &[("DE", text.as_bytes())]).await.assert_success();
    let entries = gateway.entries(&submission.submission_set.patient_id).await;
    entries.into_iter().find(|e| e.unique_id == unique).expect("registered").entry_uuid
}

/// Until nothing changes any more: what was delivered may have others decided on again.
pub async fn settle(gateway: &Gateway) -> LaneReport {
    let rooms = gateway.rooms();
    let national = rooms.national.clone().expect("the adapter");
    let clock = gateway.clock.clone();
    let now: Now = std::sync::Arc::new(move || clock.now().as_microsecond());
    let stop = CancellationToken::new();
    let mut all = LaneReport::default();
    // Changes of one patient follow each other by a microsecond where the clock stands.
    gateway.tick();
    let mut idle = 0;
    loop {
        let decided = rooms.outbox.run(&rooms.couriers, &now, &stop).await.expect("the outbox runs");
        let report = national.run(&stop).await.expect("the lanes run");
        all += report;
        // A decision wakes the lanes' own tasks: what they have in hand is waited for.
        let busy = under_way(&national, &now).await;
        // Between two deliveries of a queue a task has nothing in hand for a moment.
        let nothing = decided.delivered == 0 && report == LaneReport::default() && !busy;
        idle = if nothing { idle + 1 } else { 0 };
        if idle == 4 {
            return all;
        }
        tokio::task::yield_now().await;
    }
}

/// Whether a lane's own task has a delivery in hand.
async fn under_way(national: &National, now: &Now) -> bool {
    for state in [DeliveryState::Waiting, DeliveryState::Processing] {
        let rows = national.deliveries(state, None).await.expect("a list");
        if rows.iter().any(|d| d.lease_until > now()) {
            return true;
        }
    }
    false
}

/// A document of an institution, of one kind.
pub fn document(format: &str, type_code: &str, institution: &str) -> Submission {
    let mut s = submission();
    for author in s.submission_set.author.iter_mut().chain(&mut s.document_entries[0].author) {
        author.author_institution = vec![xon(institution)];
    }
    let entry: &mut DocumentEntry = &mut s.document_entries[0];
    (entry.hash, entry.size, entry.repository_unique_id) = (None, None, None);
    entry.mime_type = "application/fhir+json".into();
    entry.format_code = Some(code(format, "2.999.1", format));
    entry.type_code = Some(code(type_code, "2.999.2", type_code));
    s
}

pub fn xon(institution: &str) -> String {
    format!("試験病院^^^^^&1.2.392.200119.6.102&ISO^^^^{institution}")
}

/// A letter to the other institution.
pub fn letter() -> Submission {
    let mut s = document("jp:fhir:hs038", "57133-1", SENDER);
    s.submission_set.intended_recipient = vec![xon(DESTINATION)];
    s
}

/// Laboratory results of an institution.
pub fn lab(institution: &str) -> Submission {
    document("jp:fhir:clins", "11502-2", institution)
}

/// The same in the place of another document.
pub fn replacing(mut s: Submission, target: &str) -> Submission {
    s.associations.push(chiren::model::metadata::Association::new(
        AssociationType::Replace,
        "A-REL".into(),
        "DE",
        target,
    ));
    s
}

/// Laboratory results under another number, of one institution.
pub fn results(institution: &str, number: &str) -> String {
    simulated::text("cases/good/g03-lab.json")
        .replace("ORDLAB-20250930-0001", number)
        .replace(SENDER, institution)
}
