//! Why somebody else gave no answer, in words that may go into a log, a scoreboard, and the consumer's answer:
//! nothing the other side wrote is in them but statuses and codes.

use crate::model::community::Step;
use crate::model::error::{ErrorCode, RegistryError};
use crate::peer::http::PeerError;
use crate::peer::soap::SoapError;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    pub step: Step,
    pub detail: String,
    /// It was not there: enough of that, and it is not asked for a while.
    pub counts: bool,
}

impl Trouble {
    pub fn new(step: Step, detail: impl Into<String>) -> Self {
        let counts = matches!(step, Step::Resolve | Step::Connect | Step::Tls | Step::Timeout);
        Self { step, detail: detail.into(), counts }
    }

    /// It answered, and not what the transaction answers.
    pub fn bad_answer(detail: impl Into<String>) -> Self {
        Self::new(Step::BadAnswer, detail)
    }

    /// What the consumer reads of it: XDSUnavailableCommunity (ITI TF-3 Table 4.2.4.1-2), located by
    /// homeCommunityId.
    pub fn error(&self, who: &str, home: &str) -> RegistryError {
        let context = format!("{who} ({home}) gave no answer. {}: {}", self.step, self.detail);
        RegistryError::new(ErrorCode::XDSUnavailableCommunity, context).at(home)
    }
}

/// Letters of a code as standards have them; anything else could be text about a patient.
fn code(text: &str) -> &str {
    let fits = text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b":._-".contains(&b));
    if fits { text } else { "of no known kind" }
}

impl From<SoapError> for Trouble {
    fn from(error: SoapError) -> Self {
        match error {
            SoapError::Peer(e) => {
                let step = match &e {
                    PeerError::Resolve { .. } => Step::Resolve,
                    PeerError::Connect { .. } => Step::Connect,
                    PeerError::Tls { .. } => Step::Tls,
                    PeerError::Timeout { .. } => Step::Timeout,
                    PeerError::Request { .. } => Step::Request,
                    PeerError::Status { .. } | PeerError::BadAnswer { .. } | PeerError::TooLarge { .. } => {
                        Step::BadAnswer
                    }
                };
                // A proxy's error page, a connection cut in the middle: it is not there either.
                let cut = matches!(&e, PeerError::Status { status, .. } if status.is_server_error())
                    || matches!(&e, PeerError::BadAnswer { .. });
                let trouble = Trouble::new(step, e.to_string());
                Trouble { counts: trouble.counts || cut, ..trouble }
            }
            SoapError::NotSoap { status, .. } => {
                Trouble::bad_answer(format!("HTTP {status} with something that is not SOAP 1.2"))
            }
            SoapError::Fault { code: of, subcode, .. } => {
                let subcode = subcode.map(|s| format!(", {}", code(&s))).unwrap_or_default();
                // A Sender fault says that it is there and dislikes what we sent.
                let counts = of.ends_with("Receiver");
                let trouble = Trouble::new(Step::Fault, format!("SOAP fault {}{subcode}", code(&of)));
                Trouble { counts, ..trouble }
            }
            SoapError::Action { expected, .. } => {
                Trouble::bad_answer(format!("its wsa:Action is not {expected}"))
            }
            SoapError::RelatesTo { .. } => Trouble::bad_answer("it relates to another request"),
            SoapError::Body(_) => Trouble::bad_answer("its body is none of this transaction"),
            SoapError::Sink(e) => Trouble::new(Step::Request, e.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_other_side_wrote_is_left_out() {
        let fault = |code: &str, reason: &str| SoapError::Fault {
            code: code.into(),
            subcode: Some("patient 山本".into()),
            reason: reason.into(),
        };
        for error in [
            fault("s:Receiver", "山本 is dead"),
            SoapError::Body("山本".into()),
            SoapError::Action { expected: "x", found: "山本".into() },
            SoapError::RelatesTo { sent: "a".into(), found: "山本".into() },
        ] {
            let trouble = Trouble::from(error);
            assert!(!trouble.detail.contains("山本"), "{}", trouble.detail);
        }
        assert!(Trouble::from(fault("s:Receiver", "")).counts);
        assert!(!Trouble::from(fault("s:Sender", "")).counts);
    }
}
