//! What is recorded that is no transaction (security.md 2.4; DICOM PS3.15 A.5.3, PS3.16 CID 403): the program's own
//! life, alerts, changes by operators, the audit trail being read.
//!
//! A record names its row in `AuditEvent::transaction`. Old rows that name none are the operator's doings
//! ([`OPERATOR`]).

use super::rows::{DCM, Ev, IHE_TRANSACTIONS};

pub const APPLICATION_START: &str = "110120";
pub const APPLICATION_STOP: &str = "110121";
pub const LOGIN: &str = "110122";
pub const LOGOUT: &str = "110123";
pub const NODE_AUTHENTICATION: &str = "110126";
pub const EMERGENCY_OVERRIDE_STARTED: &str = "110127";
pub const NETWORK_CONFIGURATION: &str = "110128";
pub const SECURITY_CONFIGURATION: &str = "110129";
pub const SOFTWARE_CONFIGURATION: &str = "110131";
pub const RESTRICTED_FUNCTION: &str = "110132";
pub const AUDIT_RECORDING_STOPPED: &str = "110133";
pub const AUDIT_RECORDING_STARTED: &str = "110134";
pub const OBJECT_SECURITY_ATTRIBUTES: &str = "110135";
pub const SECURITY_ROLES: &str = "110136";
pub const USER_SECURITY_ATTRIBUTES: &str = "110137";
pub const EMERGENCY_OVERRIDE_STOPPED: &str = "110138";
/// The trail was read: by ITI-81, by an operator, as an export.
pub const AUDIT_READ: &str = "ITI-81";
/// A delivery to the national service.
pub const NATIONAL_EXPORT: &str = "national";
/// What the records of calls begin with: `national info.register`.
pub const NATIONAL_CALL: &str = "national ";
/// What an operator did, where no row says more: its own name is the detail `operation`.
pub const OPERATOR: &str = "operator";

/// Who takes part, and what it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Exactly one application; its launcher where a person did it.
    Life,
    /// Who came in, and our node.
    Login,
    /// Our node reports a peer.
    Alert,
    /// A person who asserts an emergency, for a patient, with a reason.
    Emergency,
    /// Who changed what.
    Change,
    /// Who read the trail.
    Trail,
    /// Documents of a patient to a service.
    Disclosure,
}

pub struct Kind {
    pub key: &'static str,
    pub id: Ev,
    pub event_type: Ev,
    /// `EventActionCode`.
    pub action: &'static str,
    pub shape: Shape,
}

const ACTIVITY: Ev = ("110100", DCM, "Application Activity");
const TRAIL: Ev = ("110101", DCM, "Audit Log Used");
const EXPORT: Ev = super::rows::EXPORT;
pub const ALERT: Ev = ("110113", DCM, "Security Alert");
const USER_AUTHENTICATION: Ev = ("110114", DCM, "User Authentication");

const fn kind(key: &'static str, id: Ev, text: &'static str, shape: Shape) -> Kind {
    Kind { key, id, event_type: (key, DCM, text), action: "E", shape }
}

pub const KINDS: &[Kind] = &[
    kind(APPLICATION_START, ACTIVITY, "Application Start", Shape::Life),
    kind(APPLICATION_STOP, ACTIVITY, "Application Stop", Shape::Life),
    kind(LOGIN, USER_AUTHENTICATION, "Login", Shape::Login),
    kind(LOGOUT, USER_AUTHENTICATION, "Logout", Shape::Login),
    kind(NODE_AUTHENTICATION, ALERT, "Node Authentication", Shape::Alert),
    kind(EMERGENCY_OVERRIDE_STARTED, ALERT, "Emergency Override Started", Shape::Emergency),
    kind(NETWORK_CONFIGURATION, ALERT, "Network Configuration", Shape::Change),
    kind(SECURITY_CONFIGURATION, ALERT, "Security Configuration", Shape::Change),
    kind(SOFTWARE_CONFIGURATION, ALERT, "Software Configuration", Shape::Change),
    kind(RESTRICTED_FUNCTION, ALERT, "Use of Restricted Function", Shape::Alert),
    kind(AUDIT_RECORDING_STOPPED, ALERT, "Audit Recording Stopped", Shape::Change),
    kind(AUDIT_RECORDING_STARTED, ALERT, "Audit Recording Started", Shape::Change),
    kind(OBJECT_SECURITY_ATTRIBUTES, ALERT, "Object Security Attributes Changed", Shape::Change),
    kind(SECURITY_ROLES, ALERT, "Security Roles Changed", Shape::Change),
    kind(USER_SECURITY_ATTRIBUTES, ALERT, "User Security Attributes Changed", Shape::Change),
    kind(EMERGENCY_OVERRIDE_STOPPED, ALERT, "Emergency Override Stopped", Shape::Emergency),
    Kind {
        key: AUDIT_READ,
        id: TRAIL,
        event_type: ("ITI-81", IHE_TRANSACTIONS, "Retrieve ATNA AuditEvent"),
        action: "R",
        shape: Shape::Trail,
    },
    Kind {
        key: NATIONAL_EXPORT,
        id: EXPORT,
        event_type: ("national", "Chiren", "Delivery to the national service"),
        action: "R",
        shape: Shape::Disclosure,
    },
    Kind {
        key: OPERATOR,
        id: ALERT,
        event_type: (SOFTWARE_CONFIGURATION, DCM, "Software Configuration"),
        action: "E",
        shape: Shape::Change,
    },
];

pub fn find(key: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.key == key)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CID 403 between 110120 and 110138, but for what no program without screens and hardware can see.
    #[test]
    fn every_event_has_a_row_and_one_only() {
        for code in (110_120..=110_138).filter(|c| !matches!(c, 110_124 | 110_125 | 110_130)) {
            let key = code.to_string();
            assert_eq!(KINDS.iter().filter(|k| k.key == key).count(), 1, "{key}: see model/audit/kinds.rs");
        }
        for key in [AUDIT_READ, NATIONAL_EXPORT, OPERATOR] {
            assert!(find(key).is_some(), "{key}");
        }
    }
}
