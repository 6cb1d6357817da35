//! Delivers notices: ITI-10 to consumers that speak HL7 v2 (ITI TF-2 3.10).

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::Domains;
use super::notices::Notice;
use crate::config::MpiConfig;
use crate::peer::mllp::{MllpClient, MllpError, Notification, Verdict};

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

/// The consumers that are told over MLLP.
#[derive(Clone)]
pub struct Notices {
    consumers: Arc<HashMap<String, Consumer>>,
    domains: Arc<Domains>,
    from: Arc<(String, String)>,
}

struct Consumer {
    client: MllpClient,
    to: (String, String),
}

impl Notices {
    /// `None` if nobody is told over MLLP.
    pub fn new(config: &MpiConfig, network: &str) -> Result<Option<Self>, MllpError> {
        let mut consumers = HashMap::new();
        for row in config.consumer.iter().filter(|c| c.is_mllp()) {
            let client = MllpClient::of_consumer(row)?;
            let to = (row.application.clone(), row.facility.clone());
            consumers.insert(row.name.clone(), Consumer { client, to });
        }
        let from = Arc::new((config.application.clone(), config.facility.clone()));
        let domains = Arc::new(Domains::new(config, network));
        Ok((!consumers.is_empty()).then(|| Self { consumers: Arc::new(consumers), domains, from }))
    }

    /// Sends what waits in the outbox under `id`.
    pub async fn deliver(&self, id: &str, payload: &str) -> Sent {
        let Ok(notice) = serde_json::from_str::<Notice>(payload) else {
            return Sent::Never("the row is no notice".into());
        };
        let Some(consumer) = self.consumers.get(&notice.consumer) else {
            return Sent::Never(format!("mpi.consumer {} is configured no longer", notice.consumer));
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
        match consumer.client.notify(&notification).await {
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
