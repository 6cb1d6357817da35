//! Asks for the Permit that every read wants. When consent rules come, they are loaded here.

use crate::model::caller::Caller;
use crate::model::consent::{Permit, Policy, Purpose, decide};

/// The decision for one request.
pub fn permit(caller: &Caller, purpose: Purpose) -> Permit {
    decide(Policy::AdmittedNodes, caller, purpose)
}
