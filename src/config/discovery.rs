//! `[discovery]`: who a patient is in other communities, and how long that holds.

use super::fault::{Fault, Faults};
use super::section::section;

section! {
    /// Discovery of patients between communities (XCPD, PIX), where `gateway.enabled` and `mpi.enabled`.
    pub struct DiscoveryConfig {
        /// Hours for which other communities may keep who a patient is here, and for which they are told to let us
        /// keep it: `CorrelationTimeToLive` of ITI-55. 0: it is not said, and nobody keeps it.
        time_to_live_hours: u64 = 168,
        /// Hours for which the answer of a neighbour's index (ITI-45) is kept; a notice (ITI-46) changes it at once.
        pix_hours: u64 = 24,
        /// Whether links to patients of other networks wait for a person's word, however certain they are
        /// (`chiren community confirm`).
        confirm_by_hand: bool = false,
    }
}

impl DiscoveryConfig {
    pub(super) fn check(&self, list: &mut Vec<Fault>) {
        let mut faults = Faults::of("discovery", list);
        faults.range("time_to_live_hours", self.time_to_live_hours, 0, 8784);
        faults.range("pix_hours", self.pix_hours, 1, 8784);
    }
}
