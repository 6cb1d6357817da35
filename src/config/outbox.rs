//! `[outbox]`: how what must follow is delivered.

use super::fault::{Fault, Faults};
use super::section::section;

section! {
    /// The outbox: rows of the database that wait to be delivered elsewhere, such as asynchronous answers.
    /// Several gateways on one database share the work; `chiren outbox` shows it.
    pub struct OutboxConfig {
        /// Deliveries at the same time.
        workers: usize = 8,
        /// Seconds between two looks at the database for rows that are due: another gateway's, and those to be
        /// tried again.
        poll_seconds: u64 = 2,
        /// Seconds a delivery may take. A row that a gateway took and left, because it died, is delivered by
        /// another, or after a restart, once as many have passed again.
        delivery_seconds: u64 = 120,
        /// Hours after which a row that could not be delivered is parked: kept, shown, and not tried any more.
        park_hours: u64 = 24,
    }
}

impl OutboxConfig {
    pub(super) fn check(&self, list: &mut Vec<Fault>) {
        let mut faults = Faults::of("outbox", list);
        faults.range("workers", self.workers as u64, 1, 1000);
        faults.range("poll_seconds", self.poll_seconds, 1, 3600);
        faults.range("delivery_seconds", self.delivery_seconds, 1, 3600);
        faults.range("park_hours", self.park_hours, 1, 24 * 365);
    }
}
