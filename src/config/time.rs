//! `[time]`: whether our clock is right (ITI-1, Consistent Time).

use super::fault::{Fault, Faults};
use super::section::section;

section! {
    /// The clock of this machine against time servers (SNTP; ITI-1). It is looked at, never set: that is the work of
    /// the system's own time service.
    pub struct TimeConfig {
        /// Time servers, `host` or `host:port`, best those of the network itself. None: nothing is compared.
        servers: Vec<String> = vec![],
        /// Seconds between two looks.
        every_seconds: u64 = 300,
        /// Milliseconds of offset that are an alarm: ITI-1 asks for one second.
        limit_ms: u64 = 1000,
    }
}

impl TimeConfig {
    pub(super) fn check(&self, list: &mut Vec<Fault>) {
        let mut faults = Faults::of("time", list);
        for (i, server) in self.servers.iter().enumerate() {
            if server.parse::<http::uri::Authority>().is_err() {
                faults.add(
                    &format!("servers[{i}]"),
                    format!("{server:?} is not host or host:port"),
                    format!("{server:?} は「ホスト」または「ホスト:ポート」の形式ではありません"),
                );
            }
        }
        faults.range("every_seconds", self.every_seconds, 1, 86_400);
        faults.range("limit_ms", self.limit_ms, 1, 3_600_000);
    }
}
