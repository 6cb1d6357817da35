//! May they? Whether somebody may see a patient's documents: what the patient allowed, what the network and its
//! facilities release, who asks. jahis-profile.md §7, security.md §4.
//!
//! [`decide`] is the one decision, a pure function: the network's rules ([`network`]), what the patient and the office
//! have said ([`record`]), one document ([`facts`]), and who asks ([`viewer`]). [`Permit`] carries the first and the last
//! of these to the store, whose reads all want one and leave out what it does not let pass; so a read that nobody
//! decided about does not compile. Docs: docs/consent.md.

mod decide;
mod explain;
pub mod facts;
pub mod network;
mod permit;
pub mod record;
pub mod terms;
pub mod viewer;

#[cfg(test)]
mod tests;

pub use decide::{Decision, Ground, decide, decide_about_patient};
pub use explain::Tongue;
pub use facts::Facts;
pub use network::{Mode, Network};
pub use permit::{Action, Permit, Tally, admit};
pub use record::{Known, Standing};
pub use terms::{Attribute, Audience, Data};
pub use viewer::Viewer;
