//! `[hl7v2]`: how messages over MLLP are read.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::fault::{Fault, Faults};
use super::section::section;

/// MSH-11: what messages are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProcessingId {
    /// Production.
    P,
    /// Training.
    T,
    /// Debugging.
    D,
}

impl ProcessingId {
    pub fn as_str(self) -> &'static str {
        match self {
            ProcessingId::P => "P",
            ProcessingId::T => "T",
            ProcessingId::D => "D",
        }
    }
}

section! {
    /// HL7 v2 messages on listeners of role mllp.
    pub struct Hl7v2Config {
        /// What this gateway is: `P` production, `T` training, `D` debugging (MSH-11). Feeds for another kind are
        /// checked and acknowledged, and change nothing; questions for another kind are refused.
        processing_id: ProcessingId = ProcessingId::P,
        /// Whether feeds without a name (PID-5) are refused, as ITI-8 has it. Newborns have none yet.
        require_name: bool = false,
        /// ADT events that are acknowledged and change no identity (discharges, cancelled admissions …). Events
        /// neither here nor feeds are refused (AR 201).
        acknowledged_events: Vec<String> = ["A03", "A11", "A13"].map(str::to_owned).to_vec(),
        /// Component of IN1-10 in which the 枝番 stands; 0: in none.
        insurance_branch: usize = 8,
        /// Senders (`MSH-3|MSH-4`, either may be `*`) that send Shift_JIS or 8-bit katakana, whatever MSH-18
        /// says. From others such bytes are refused (AE 102).
        shift_jis_senders: Vec<String> = vec![],
        /// Size of a message, in KiB.
        message_kib: usize = 1024,
        /// Seconds a sender may be silent within a message.
        message_seconds: u64 = 30,
        /// Minutes a connection may rest between messages.
        idle_minutes: u64 = 60,
        /// Milliseconds after which a frame whose final carriage return does not come counts as whole.
        settle_milliseconds: u64 = 300,
    }
}

impl Hl7v2Config {
    pub(super) fn check(&self, list: &mut Vec<Fault>) {
        let mut faults = Faults::of("hl7v2", list);
        let event =
            |e: &String| e.len() == 3 && e.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        if let Some(bad) = self.acknowledged_events.iter().find(|e| !event(e)) {
            faults.add(
                "acknowledged_events",
                format!("{bad:?} is no trigger event, such as A03"),
                format!("{bad:?} はトリガイベント（A03 など）ではありません"),
            );
        }
        if let Some(bad) = self.shift_jis_senders.iter().find(|s| s.split('|').count() != 2) {
            faults.add(
                "shift_jis_senders",
                format!("{bad:?} is not of the form MSH-3|MSH-4"),
                format!("{bad:?} は MSH-3|MSH-4 の形式ではありません"),
            );
        }
        faults.range("insurance_branch", self.insurance_branch as u64, 0, 20);
        faults.range("message_kib", self.message_kib as u64, 16, 64 * 1024);
        faults.range("message_seconds", self.message_seconds, 1, 3600);
        faults.range("idle_minutes", self.idle_minutes, 1, 7 * 24 * 60);
        faults.range("settle_milliseconds", self.settle_milliseconds, 1, 10_000);
    }

    pub fn message_bytes(&self) -> usize {
        self.message_kib * 1024
    }

    pub fn message_silence(&self) -> Duration {
        Duration::from_secs(self.message_seconds)
    }

    pub fn rest(&self) -> Duration {
        Duration::from_secs(self.idle_minutes * 60)
    }

    pub fn settle(&self) -> Duration {
        Duration::from_millis(self.settle_milliseconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_spoiling_is_named() {
        let keys = |spoil: fn(&mut Hl7v2Config)| {
            let (mut config, mut list) = (Hl7v2Config::default(), vec![]);
            spoil(&mut config);
            config.check(&mut list);
            list.into_iter().map(|f| f.key).collect::<Vec<_>>()
        };
        assert_eq!(keys(|_| {}), Vec::<String>::new());
        type Spoiling = (&'static str, fn(&mut Hl7v2Config));
        let cases: &[Spoiling] = &[
            ("hl7v2.acknowledged_events", |c| c.acknowledged_events = vec!["ADT^A03".into()]),
            ("hl7v2.shift_jis_senders", |c| c.shift_jis_senders = vec!["HIS".into()]),
            ("hl7v2.insurance_branch", |c| c.insurance_branch = 21),
            ("hl7v2.message_kib", |c| c.message_kib = 1),
            ("hl7v2.message_seconds", |c| c.message_seconds = 0),
            ("hl7v2.idle_minutes", |c| c.idle_minutes = 0),
            ("hl7v2.settle_milliseconds", |c| c.settle_milliseconds = 0),
        ];
        for (key, spoil) in cases {
            assert_eq!(keys(*spoil), [*key]);
        }
    }
}
