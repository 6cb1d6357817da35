//! `[asynchronous]`: answers sent to an address of their own (WS-Addressing).

use super::fault::{Fault, Faults};
use super::peer::PeerConfig;
use super::section::section;

section! {
    /// Asynchronous Web Services Exchange (ITI TF-2 V.3, WS-Addressing): a request whose `wsa:ReplyTo` is an
    /// address is answered 202, and its answer is sent to that address. Addresses must be allowed below:
    /// whoever may name any address makes this gateway call it. None allowed: such requests are refused.
    pub struct AsynchronousConfig {
        /// Such requests worked on at the same time; one more is answered 503 with Retry-After.
        under_way: usize = 64,
        /// Answers that may wait for one server; with as many, a request for more is answered 503 too.
        waiting: u64 = 1000,
        /// Addresses that answers may be sent to, a `[[asynchronous.reply_to]]` each: `url` is an address or the
        /// beginning of one. Scheme, host and port must be the same, the path must begin with this one's. The
        /// other keys say how it is spoken to.
        reply_to: Vec<PeerConfig> = vec![]; table,
    }
}

impl AsynchronousConfig {
    pub(super) fn check(&self, list: &mut Vec<Fault>) {
        let mut faults = Faults::of("asynchronous", list);
        faults.range("under_way", self.under_way as u64, 1, 100_000);
        faults.range("waiting", self.waiting, 1, 10_000_000);
        for (i, peer) in self.reply_to.iter().enumerate() {
            peer.check(&format!("asynchronous.reply_to[{i}]"), list);
        }
    }
}
