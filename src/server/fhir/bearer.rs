//! Who asks: the access token of a request (ITI-72, Incorporate Access Token). What is wrong with it is answered 401 with
//! a challenge (RFC 6750 3; ITI TF-2 3.72.7) and an OperationOutcome.

use http::{HeaderMap, StatusCode, header};
use jiff::Timestamp;

use super::FhirFace;
use super::answer::Denied;
use crate::config::XuaMode;
use crate::model::caller::Caller;
use crate::model::token::{TokenKind, TokenTrouble};
use crate::model::transaction::Transaction;
use crate::server::http::Request;
use crate::service::xua::{Admitted, Node, alarm};
use crate::wire::fhir::IssueCode;
use crate::wire::jwt;

/// What a request presents, read and judged; nothing of it is kept.
pub(super) struct Presented {
    caller: Caller,
    request_id: String,
    at: Timestamp,
    /// `None` where no token is there, or none is looked at.
    examined: Result<Option<Admitted>, TokenTrouble>,
}

impl FhirFace {
    pub(super) fn presented(&self, transaction: Transaction, request: &Request) -> Presented {
        let (caller, at) = (request.conn.caller(), request.received_at);
        let examined = || {
            let Some(iua) = self.iua.as_ref().filter(|iua| iua.mode(transaction) != XuaMode::Off) else {
                return Ok(None);
            };
            let Some(token) = token(&request.headers)? else {
                return iua.absent(transaction).map(|()| None);
            };
            let (token, signed) = jwt::read(token)?;
            let certificate = request.conn.tls.as_ref().map(|tls| tls.certificate.as_slice());
            let node = Node { caller: &caller, certificate, community: None };
            iua.examine(&token, &signed, transaction, node, at).map(Some)
        };
        let examined = examined();
        Presented { request_id: request.id.clone(), at, examined, caller }
    }

    /// The caller, with the user of a token that holds.
    pub(super) async fn who(&self, presented: Presented) -> Result<Caller, Denied> {
        let Presented { caller, request_id: id, at, examined } = presented;
        let Some(iua) = &self.iua else { return Ok(caller) };
        let examined = match examined {
            Ok(Some(Admitted { user, note })) => {
                let unknown = |_| {
                    let text = format!("whose the token is cannot be looked up now (reference {id})");
                    Denied::new(StatusCode::SERVICE_UNAVAILABLE, IssueCode::Transient, text)
                };
                iua.bring(note, at).await.map_err(unknown)?.map(|()| Some(user))
            }
            Ok(None) => Ok(None),
            Err(trouble) => Err(trouble),
        };
        match examined {
            Ok(None) => Ok(caller),
            Ok(Some(user)) => {
                alarm::examined("jwt", "held");
                Ok(Caller { user: Some(Box::new(user)), ..caller })
            }
            Err(trouble) => {
                iua.refused(&self.audit, &trouble, &caller, &id, at).await;
                Err(challenged(&trouble, iua.shown(&trouble, &id)))
            }
        }
    }
}

/// The token of the one `Authorization` header; `None` without one.
fn token(headers: &HeaderMap) -> Result<Option<&str>, TokenTrouble> {
    let invalid = |text: &str| TokenTrouble::new(TokenKind::InvalidRequest, text);
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    match (all.next(), all.next()) {
        (None, _) => Ok(None),
        (Some(_), Some(_)) => Err(invalid("Authorization stands more than once")),
        (Some(value), None) => {
            let text = value.to_str().map_err(|_| invalid("Authorization is not ASCII"))?;
            let token =
                jwt::bearer(text).ok_or_else(|| invalid("Authorization is not of the scheme Bearer"))?;
            Ok(Some(token))
        }
    }
}

/// 401 for all of them: so ITI TF-2 3.72.7 has it, also where the scope does not suffice.
fn challenged(trouble: &TokenTrouble, text: String) -> Denied {
    let (status, code) = match trouble.kind {
        TokenKind::InvalidRequest => (StatusCode::BAD_REQUEST, IssueCode::Structure),
        TokenKind::Absent | TokenKind::InvalidToken | TokenKind::InsufficientScope => {
            (StatusCode::UNAUTHORIZED, IssueCode::Login)
        }
    };
    // error_description has no quotes, no backslash, and ASCII alone (RFC 6750 3).
    let plain: String = text
        .chars()
        .map(|c| if matches!(c, ' '..='~') && !matches!(c, '"' | '\\') { c } else { '?' })
        .collect();
    let challenge = match trouble.kind.code() {
        Some(error) => format!("Bearer realm=\"chiren\", error=\"{error}\", error_description=\"{plain}\""),
        None => "Bearer realm=\"chiren\"".to_owned(),
    };
    Denied { challenge: Some(challenge), ..Denied::new(status, code, text) }
}
