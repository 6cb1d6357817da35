//! Every way of not succeeding, in SOAP's words: a fault, or a Failure of the transaction.

use http::{Response, StatusCode};

use super::reply::simple;
use crate::model::error::{Error, ErrorCode, Fault, FaultCode, FaultKind, RegistryError};
use crate::model::transaction::{Actor, Transaction};
use crate::server::http::{Refusal, RespBody, Transacted};
use crate::server::metrics::Outcome;
use crate::wire::soap::write_fault;

/// A fault as a response; faults are plain SOAP for MTOM clients too.
pub fn respond(
    fault: &Fault,
    relates_to: Option<&str>,
    request_id: &str,
    transaction: &'static str,
) -> Response<RespBody> {
    let mut response = simple(write_fault(fault, relates_to, request_id));
    let status = match fault.code {
        // SOAP 1.2 Part 2, 7.5.2.2 Table 20: of the codes we send, Sender alone is a 400.
        FaultCode::VersionMismatch | FaultCode::MustUnderstand => 500,
        FaultCode::Sender | FaultCode::Receiver => fault.status,
    };
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    let outcome = if fault.status == 503 { Outcome::Busy } else { Outcome::Fault };
    response.extensions_mut().insert(Transacted { transaction, outcome });
    response
}

/// A refusal by the HTTP layer, as a fault.
pub fn of_refusal(refusal: Refusal) -> Fault {
    let (code, kind) = match refusal {
        Refusal::Busy | Refusal::Limited(_) | Refusal::Late | Refusal::Failed => {
            (FaultCode::Receiver, FaultKind::Ours)
        }
        Refusal::TooLarge | Refusal::TooSlow => (FaultCode::Sender, FaultKind::Body),
        _ => (FaultCode::Sender, FaultKind::Http),
    };
    Fault { code, ..Fault::sender(refusal.reason()).kind(kind).status(refusal.status().as_u16()) }
}

/// The answer to it.
pub fn refusal(refusal: Refusal, fault: &Fault, request_id: &str) -> Response<RespBody> {
    let mut response = simple(write_fault(fault, None, request_id));
    *response.status_mut() = refusal.status();
    response
}

/// An error before there is an answer to put it into: what a transaction would say of it is the reason of a fault.
pub fn of(error: Error, transaction: Transaction, request_id: &str) -> Fault {
    match failure(error, transaction, request_id) {
        Err(fault) => fault,
        Ok((errors, _)) => Fault::busy(errors.into_iter().next().map(|e| e.context).unwrap_or_default()),
    }
}

/// What a transaction that reached its handler answers with when it failed: its errors, and how
/// it is counted. The cause of our own failures goes to the log, once, and only there.
pub fn failure(
    error: Error,
    transaction: Transaction,
    request_id: &str,
) -> Result<(Vec<RegistryError>, Outcome), Fault> {
    // What a gateway answers to ITI-38 its registry has said.
    let registry = transaction.row().actor == Actor::DocumentRegistry || transaction == Transaction::Iti38;
    let pick = |ours: ErrorCode, theirs: ErrorCode| if registry { ours } else { theirs };
    match error {
        Error::Rejected(errors) => Ok((errors, Outcome::Failure)),
        Error::Fault(fault) => Err(fault),
        Error::Busy(what) => {
            let code = pick(ErrorCode::XDSRegistryBusy, ErrorCode::XDSRepositoryBusy);
            let text = format!("{what}; nothing was changed, send the request again later");
            Ok((vec![RegistryError::new(code, text)], Outcome::Busy))
        }
        Error::NoRoom(cause) => {
            tracing::error!(request_id, cause, "no room left");
            let code = pick(ErrorCode::XDSRegistryOutOfResources, ErrorCode::XDSRepositoryOutOfResources);
            let text = format!("no room left here; nothing was stored (reference {request_id})");
            Ok((vec![RegistryError::new(code, text)], Outcome::Unavailable))
        }
        Error::Away { peer, cause } => {
            tracing::error!(request_id, peer, cause, "not available");
            let code = pick(ErrorCode::XDSRegistryBusy, ErrorCode::XDSRepositoryBusy);
            let text = format!(
                "the {peer} behind this gateway is away; nothing was changed, send the request again later \
                 (reference {request_id})"
            );
            Ok((vec![RegistryError::new(code, text)], Outcome::Unavailable))
        }
        Error::Unavailable { peer, cause } => {
            tracing::error!(request_id, peer, cause, "the outcome is not known");
            let code = pick(ErrorCode::XDSRegistryError, ErrorCode::XDSRepositoryError);
            let text = format!(
                "the {peer} behind this gateway does not answer; whether anything was stored must be looked up \
                 (reference {request_id})"
            );
            Ok((vec![RegistryError::new(code, text)], Outcome::Internal))
        }
        Error::Internal(cause) => {
            tracing::error!(request_id, cause = format!("{cause:#}"), "internal failure");
            let code = pick(ErrorCode::XDSRegistryError, ErrorCode::XDSRepositoryError);
            let text = format!("internal failure; nothing was stored (reference {request_id})");
            Ok((vec![RegistryError::new(code, text)], Outcome::Internal))
        }
    }
}
