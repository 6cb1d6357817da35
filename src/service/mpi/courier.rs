//! Delivers notices: ITI-10 to consumers that speak HL7 v2 (ITI TF-2 3.10), ITI-46 to those that speak HL7 v3 (3.46).

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::notices::Notice;
use super::{Domains, cx};
use crate::config::MpiConfig;
use crate::model::audit::{AuditEvent, Exchange, Facts};
use crate::model::identity::DomainId;
use crate::model::transaction::Transaction;
use crate::peer::http::{Client, PeerError};
use crate::peer::mllp::{MllpClient, MllpError, Notification, Verdict};
use crate::peer::soap::SoapError;
use crate::peer::soap::notify::{self, Ack};

/// How a delivery ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    Done,
    /// To be tried again; `away`: nobody was there.
    Later {
        why: String,
        away: bool,
    },
    Never(String),
}

/// The consumers that are told.
#[derive(Clone)]
pub struct Notices {
    consumers: Arc<HashMap<String, Consumer>>,
    domains: Domains,
    from: Arc<(String, String)>,
    /// OID of our device: the network's.
    device: Arc<str>,
}

struct Consumer {
    line: Line,
    url: String,
    /// MSH-5 and MSH-6.
    to: (String, String),
    /// OID of its device.
    device: Option<String>,
}

enum Line {
    Mllp(Box<MllpClient>),
    Soap(Client),
}

impl Notices {
    /// `None` if nobody is told.
    pub fn new(config: &MpiConfig, domains: &Domains) -> anyhow::Result<Option<Self>> {
        let mut consumers = HashMap::new();
        for row in &config.consumer {
            let line = match row.is_mllp() {
                true => Line::Mllp(Box::new(MllpClient::of_consumer(row)?)),
                false => Line::Soap(Client::new(&notify::peer(row))?),
            };
            let to = (row.application.clone(), row.facility.clone());
            consumers.insert(
                row.name.clone(),
                Consumer { line, url: row.url.clone(), to, device: row.device.clone() },
            );
        }
        let from = Arc::new((config.application.clone(), config.facility.clone()));
        Ok((!consumers.is_empty()).then(|| Self {
            consumers: Arc::new(consumers),
            domains: domains.clone(),
            from,
            device: domains.network().oid.as_str().into(),
        }))
    }

    /// What the audit trail is told of sending it.
    pub fn record(&self, id: &str, payload: &str) -> Option<AuditEvent> {
        let notice = serde_json::from_str::<Notice>(payload).ok()?;
        let consumer = self.consumers.get(&notice.consumer)?;
        let mllp = matches!(consumer.line, Line::Mllp(_));
        let party = |(application, facility): &(String, String)| format!("{facility}|{application}");
        let exchange = Exchange {
            sender: mllp.then(|| party(&self.from)),
            receiver: mllp.then(|| party(&consumer.to)),
            message_id: Some(if mllp { control_id(id) } else { id.to_owned() }),
            ..Exchange::default()
        };
        Some(AuditEvent {
            transaction: if mllp { Transaction::Iti10 } else { Transaction::Iti46 }.code().into(),
            patients: notice.ids.into_iter().map(|(domain, value)| cx(&DomainId { domain, value })).collect(),
            sent_to: Some(consumer.url.clone()),
            facts: Facts { exchange, ..Facts::default() },
            ..AuditEvent::default()
        })
    }

    /// Sends what waits in the outbox under `id`.
    pub async fn deliver(&self, id: &str, payload: &str) -> Sent {
        let Ok(notice) = serde_json::from_str::<Notice>(payload) else {
            return Sent::Never("the row is no notice".into());
        };
        let Some(consumer) = self.consumers.get(&notice.consumer) else {
            return Sent::Never(format!("mpi.consumer {} is configured no longer", notice.consumer));
        };
        let client = match &consumer.line {
            Line::Mllp(client) => client,
            Line::Soap(client) => return self.by_soap(client, consumer, id, notice).await,
        };
        let ids: Vec<(String, String, String)> = notice
            .ids
            .into_iter()
            .map(|(oid, value)| {
                let namespace = self.domains.by_name(&oid).map(|d| d.namespace.clone());
                (value, namespace.unwrap_or_default(), oid)
            })
            .collect();
        let control_id = control_id(id);
        let notification = Notification {
            from: (&self.from.0, &self.from.1),
            to: (&consumer.to.0, &consumer.to.1),
            ids: &ids,
            at: Timestamp::from_microsecond(notice.at).unwrap_or_default(),
            control_id: &control_id,
        };
        match client.notify(&notification).await {
            Ok(answer) if answer.verdict == Verdict::Accepted => Sent::Done,
            Ok(answer) if answer.verdict == Verdict::Rejected => {
                // AR may be temporary (HL7 2.5, 2.9.2.2).
                Sent::Later { why: format!("refused: {}", codes(&answer.errors)), away: false }
            }
            // AE: not to be sent again unchanged.
            Ok(answer) => Sent::Never(format!("refused for its content: {}", codes(&answer.errors))),
            Err(e) => {
                let away = matches!(e, MllpError::Unreached { .. } | MllpError::Connecting { .. });
                Sent::Later { why: e.to_string(), away }
            }
        }
    }
}

impl Notices {
    /// ITI-46, under the row's id as that of the message.
    async fn by_soap(&self, client: &Client, consumer: &Consumer, id: &str, notice: Notice) -> Sent {
        let ids: Vec<DomainId> =
            notice.ids.into_iter().map(|(domain, value)| DomainId { domain, value }).collect();
        let at = Timestamp::from_microsecond(notice.at).unwrap_or_default();
        let notice = notify::Notice {
            id,
            time: &at.strftime("%Y%m%d%H%M%S+0000").to_string(),
            ids: &ids,
            sender: &self.device,
            receiver: consumer.device.as_deref(),
        };
        match notify::notify(client, &notice).await {
            Ok(answer) => {
                let codes: Vec<&str> = answer.details.iter().map(|d| d.code).collect();
                match answer.ack {
                    Ack::Accept => Sent::Done,
                    Ack::Reject => Sent::Later { why: format!("refused: {}", codes.join(", ")), away: false },
                    Ack::Error => Sent::Never(format!("refused for its content: {}", codes.join(", "))),
                }
            }
            // The reason may quote the patient.
            Err(SoapError::Fault { code, .. }) => Sent::Later { why: format!("fault {code}"), away: false },
            Err(SoapError::Peer(e)) => {
                let away = matches!(
                    e,
                    PeerError::Resolve { .. }
                        | PeerError::Connect { .. }
                        | PeerError::Tls { .. }
                        | PeerError::Timeout { .. }
                );
                Sent::Later { why: e.to_string(), away }
            }
            Err(_) => Sent::Later { why: "its answer cannot be used".into(), away: false },
        }
    }
}

/// What an answer says is wrong, by code alone: its text may quote the patient.
fn codes(errors: &[crate::peer::mllp::ErrorSaid]) -> String {
    let codes: Vec<&str> = errors.iter().map(|e| e.code.as_str()).collect();
    codes.join(", ")
}

/// MSH-10 of a notice: the same in every attempt, and twenty characters.
fn control_id(id: &str) -> String {
    let digits: Vec<char> = id.chars().filter(char::is_ascii_alphanumeric).collect();
    let from = digits.len().saturating_sub(20);
    digits.into_iter().skip(from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_id_is_short_and_stays() {
        let id = "019ac0de-5e2f-7cc1-9a5e-3f6c6c1f0a11";
        assert_eq!(control_id(id), "7cc19a5e3f6c6c1f0a11");
        assert_eq!(control_id("x"), "x");
    }
}
