//! What goes wrong when it is asked to.

use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// A way to misbehave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// The answer is that it is not finished: of an operation that changes, and of `result` about it.
    Processing,
    /// The answer comes `delay_ms` later.
    Delay,
    /// Done and durable, and the connection ends without an answer.
    DropResponse,
    /// The connection ends, and nothing is done.
    DropRequest,
    /// 429 with Retry-After.
    #[serde(rename = "http-429")]
    Http429,
    #[serde(rename = "http-503")]
    Http503,
    /// 503 with Retry-After until `seconds` after it was switched on, by the simulator's clock.
    Maintenance,
    /// Done, and the answer is cut in its middle.
    CorruptJson,
    /// Done, and the answer is sent twice.
    Duplicate,
    /// The client's certificate is refused as if it had expired.
    CertExpired,
    /// The server shows a certificate that has expired, to so many connections.
    ServerCertExpired,
    /// Code BUSY.
    Busy,
    /// Code INTERNAL.
    Internal,
}

impl Mode {
    pub const ALL: [Mode; 13] = [
        Mode::Processing,
        Mode::Delay,
        Mode::DropResponse,
        Mode::DropRequest,
        Mode::Http429,
        Mode::Http503,
        Mode::Maintenance,
        Mode::CorruptJson,
        Mode::Duplicate,
        Mode::CertExpired,
        Mode::ServerCertExpired,
        Mode::Busy,
        Mode::Internal,
    ];
}

/// One that is switched on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    pub mode: Mode,
    /// For so many requests; none: until it is switched off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// Of this operation only: `info.register`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub op: Option<String>,
    /// Of this institution only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub institution: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    /// How long a maintenance window is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<i64>,
    /// Strikes so often: between 0 and 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    /// When it ends: set when it is switched on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl Fault {
    pub fn of(mode: Mode) -> Fault {
        Fault {
            mode,
            times: None,
            op: None,
            institution: None,
            retry_after_s: None,
            delay_ms: None,
            seconds: None,
            probability: None,
            until: None,
        }
    }

    pub fn times(mode: Mode, times: u64) -> Fault {
        Fault { times: Some(times), ..Fault::of(mode) }
    }

    pub fn retry_after(&self, now: Timestamp) -> u64 {
        let left = self.until.map(|until| until.duration_since(now).as_secs().max(1).unsigned_abs());
        self.retry_after_s.or(left).unwrap_or(2)
    }

    pub fn delay(&self) -> u64 {
        self.delay_ms.unwrap_or(3000)
    }
}

/// Those switched on.
#[derive(Debug, Default)]
pub struct Faults {
    list: Mutex<Vec<Fault>>,
    dice: Mutex<u64>,
}

impl Faults {
    fn list(&self) -> MutexGuard<'_, Vec<Fault>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn add(&self, mut fault: Fault, now: Timestamp) {
        if fault.mode == Mode::Maintenance && fault.until.is_none() {
            let length = SignedDuration::from_secs(fault.seconds.unwrap_or(60));
            fault.until = Some(now.saturating_add(length).unwrap_or(Timestamp::MAX));
        }
        self.list().push(fault);
    }

    pub fn clear(&self) {
        self.list().clear();
    }

    pub fn all(&self) -> Vec<Fault> {
        self.list().clone()
    }

    /// The first fault of those `wanted` that strikes this call, which counts it.
    pub fn strike(&self, wanted: &[Mode], op: &str, institution: &str, now: Timestamp) -> Option<Fault> {
        let mut list = self.list();
        list.retain(|f| f.until.is_none_or(|until| now < until));
        let fits = |f: &Fault| {
            wanted.contains(&f.mode)
                && f.op.as_deref().is_none_or(|o| o == op)
                && f.institution.as_deref().is_none_or(|i| i == institution)
                && f.probability.is_none_or(|p| self.roll() < p)
        };
        let at = list.iter().position(fits)?;
        let fault = list.get_mut(at)?;
        let struck = fault.clone();
        if let Some(times) = &mut fault.times {
            *times = times.saturating_sub(1);
            if *times == 0 {
                list.remove(at);
            }
        }
        Some(struck)
    }

    /// The same numbers at each start: xorshift64* from a fixed seed.
    fn roll(&self) -> f64 {
        let mut state = self.dice.lock().unwrap_or_else(PoisonError::into_inner);
        if *state == 0 {
            *state = 0x9e37_79b9_7f4a_7c15;
        }
        *state ^= *state >> 12;
        *state ^= *state << 25;
        *state ^= *state >> 27;
        let out = state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32;
        f64::from(u32::try_from(out).unwrap_or(u32::MAX)) / (f64::from(u32::MAX) + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    #[test]
    fn faults_strike_whom_they_name_and_as_often_as_they_may() {
        let faults = Faults::default();
        faults.add(Fault { op: Some("info.register".into()), ..Fault::times(Mode::Http429, 2) }, NOW);
        faults.add(Fault { institution: Some("1".into()), ..Fault::of(Mode::Http503) }, NOW);
        let strike = |op: &str, who: &str| faults.strike(&Mode::ALL, op, who, NOW).map(|f| f.mode);
        assert_eq!(strike("info.change", "2"), None);
        assert_eq!(strike("info.change", "1"), Some(Mode::Http503));
        assert_eq!([strike("info.register", "2"), strike("info.register", "2")], [Some(Mode::Http429); 2]);
        assert_eq!(strike("info.register", "2"), None);
        faults.clear();
        assert_eq!(strike("info.change", "1"), None);
    }

    #[test]
    fn a_window_closes_and_chance_strikes_about_as_often_as_it_says() {
        let faults = Faults::default();
        faults.add(Fault { seconds: Some(30), ..Fault::of(Mode::Maintenance) }, NOW);
        let later = |s| NOW + SignedDuration::from_secs(s);
        let struck = faults.strike(&Mode::ALL, "x", "y", later(10)).unwrap();
        assert_eq!(struck.retry_after(later(10)), 20);
        assert_eq!(faults.strike(&Mode::ALL, "x", "y", later(30)), None);
        faults.add(Fault { probability: Some(0.25), ..Fault::of(Mode::Delay) }, NOW);
        let hits = (0..1000).filter(|_| faults.strike(&Mode::ALL, "x", "y", NOW).is_some()).count();
        assert!((180..320).contains(&hits), "{hits}");
    }

    #[test]
    fn a_fault_is_read_from_json_and_modes_are_spelled_as_documented() {
        let fault: Fault =
            serde_json::from_str(r#"{"mode":"http-429","times":1,"retry_after_s":2}"#).unwrap();
        assert_eq!((fault.mode, fault.times, fault.retry_after(NOW)), (Mode::Http429, Some(1), 2));
        assert!(serde_json::from_str::<Fault>(r#"{"mode":"lie"}"#).is_err());
        for (mode, name) in [(Mode::DropResponse, "drop-response"), (Mode::Http503, "http-503")] {
            assert_eq!(serde_json::to_value(mode).unwrap(), name);
        }
    }
}
