//! Asks for the Permit that every read wants. When consent rules come, they are loaded here.

use crate::model::caller::Caller;
use crate::model::consent::{Permit, Policy, Purpose, decide};
use crate::model::error::{ErrorCode, RegistryError};
use crate::model::hl7types::Cx;

/// The decision for one request.
pub fn permit(caller: &Caller, purpose: Purpose) -> Permit {
    decide(Policy::AdmittedNodes, caller, purpose)
}

/// Refuses what is about another patient than the user's assertion (resource-id, ITI TF-2 3.40.4.1.2.2).
pub fn bound<'p>(
    caller: &Caller,
    patients: impl IntoIterator<Item = &'p String>,
    code: ErrorCode,
) -> Result<(), RegistryError> {
    let Some(only) = caller.user.as_ref().and_then(|user| user.patient.as_deref()) else { return Ok(()) };
    let whole = |text: &str| Cx::parse(text).map_or_else(|_| text.to_owned(), |cx| cx.to_string());
    let meant = whole(only);
    match patients.into_iter().all(|patient| whole(patient) == meant) {
        true => Ok(()),
        false => Err(RegistryError::new(
            code,
            "authorization denied: the user's assertion is about another patient (resource-id, ITI TF-2 3.40.4.1.2)",
        )),
    }
}
