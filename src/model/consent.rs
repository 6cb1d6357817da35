//! May they? [`decide`] is the only maker of a [`Permit`], and every read of a patient's entries
//! or bytes wants one, so a read that nobody decided about does not compile.

use super::caller::Caller;

/// Proof that a decision was taken and was yes.
#[derive(Debug, Clone)]
pub struct Permit {
    reason: &'static str,
}

impl Permit {
    /// Why; goes to the audit record.
    pub fn reason(&self) -> &'static str {
        self.reason
    }
}

/// Which rules a network applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// No consent rules are configured: whoever a listener admitted may read what the network holds.
    #[default]
    AdmittedNodes,
}

/// What the caller wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    Query,
    Retrieve,
    /// Chiren's own work: reindexing, sweeping, the command line on the same machine.
    Upkeep,
}

/// Decides. Refusals will carry their rule; with [`Policy::AdmittedNodes`] there are none, because
/// refusing happened at the listener.
pub fn decide(policy: Policy, _caller: &Caller, purpose: Purpose) -> Permit {
    match (policy, purpose) {
        (_, Purpose::Upkeep) => Permit { reason: "upkeep by the gateway itself" },
        (Policy::AdmittedNodes, _) => {
            Permit { reason: "node admitted by its listener; no consent rules configured" }
        }
    }
}
