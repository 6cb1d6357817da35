//! What may go wrong, and what goes wrong now.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

/// A way to misbehave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The answer comes so many milliseconds later.
    Delay,
    /// No answer ever comes, and the connection stays.
    Hang,
    /// The connection ends without an answer.
    Drop,
    /// A SOAP fault (Receiver).
    Fault,
    /// Half of the answer, with a whole message's head.
    Malformed,
    /// The answer says that another community gives it.
    WrongHome,
    /// The answer comes a byte at a time, each so many milliseconds after the last.
    Drip,
    /// The answer goes on for so many MiB.
    Huge,
    /// Of ITI-55 and ITI-45: whoever is found is found twice, under two ids.
    Several,
}

impl Kind {
    pub const ALL: [Kind; 9] = [
        Kind::Delay,
        Kind::Hang,
        Kind::Drop,
        Kind::Fault,
        Kind::Malformed,
        Kind::WrongHome,
        Kind::Drip,
        Kind::Huge,
        Kind::Several,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Delay => "delay",
            Kind::Hang => "hang",
            Kind::Drop => "drop",
            Kind::Fault => "fault",
            Kind::Malformed => "malformed",
            Kind::WrongHome => "wrong-home",
            Kind::Drip => "drip",
            Kind::Huge => "huge",
            Kind::Several => "several",
        }
    }

    /// The number where none is said.
    fn default(self) -> u64 {
        match self {
            Kind::Delay => 3000,
            Kind::Drip => 100,
            Kind::Huge => 1024,
            _ => 0,
        }
    }
}

/// One that is switched on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    pub kind: Kind,
    /// Milliseconds, or MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<u64>,
    /// Of this address only: `/xca/iti55`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// For so many requests; none: until it is switched off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
}

impl Fault {
    pub fn of(kind: Kind) -> Self {
        Self { kind, n: None, path: None, times: None }
    }

    pub fn at(kind: Kind, path: &str) -> Self {
        Self { path: Some(path.to_owned()), ..Self::of(kind) }
    }

    /// `KIND[=N][@PATH]`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (what, path) = match text.split_once('@') {
            Some((what, path)) => (what, Some(path.to_owned())),
            None => (text, None),
        };
        let (name, n) = match what.split_once('=') {
            Some((name, n)) => (name, Some(n.parse::<u64>().map_err(|_| format!("'{n}' is no number"))?)),
            None => (what, None),
        };
        let kind = Kind::ALL.into_iter().find(|k| k.as_str() == name).ok_or_else(|| {
            let all: Vec<&str> = Kind::ALL.into_iter().map(Kind::as_str).collect();
            format!("'{name}' is none of {}", all.join(", "))
        })?;
        if path.as_deref().is_some_and(|p| !p.starts_with('/')) {
            return Err("the path begins with /".into());
        }
        Ok(Self { kind, n, path, times: None })
    }

    pub fn number(&self) -> u64 {
        self.n.unwrap_or(self.kind.default())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.as_str())?;
        if let Some(n) = self.n {
            write!(f, "={n}")?;
        }
        if let Some(path) = &self.path {
            write!(f, "@{path}")?;
        }
        Ok(())
    }
}

/// Those switched on. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Mutex<Vec<Fault>>>);

impl Faults {
    fn list(&self) -> MutexGuard<'_, Vec<Fault>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn add(&self, fault: Fault) {
        self.list().push(fault);
    }

    pub fn clear(&self) {
        self.list().clear();
    }

    pub fn all(&self) -> Vec<Fault> {
        self.list().clone()
    }

    /// What goes wrong with a request to this path, which counts it: the fault switched on first.
    pub fn strike(&self, path: &str) -> Option<Fault> {
        let mut list = self.list();
        let at = list.iter().position(|f| f.path.as_deref().is_none_or(|p| p == path))?;
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_reads_as_it_is_written() {
        for text in ["delay=50@/xca/iti55", "hang", "wrong-home@/xca/iti38", "huge=3"] {
            assert_eq!(Fault::parse(text).unwrap().to_string(), text);
        }
        for bad in ["slow", "delay=x", "hang@iti55", ""] {
            assert!(Fault::parse(bad).is_err(), "{bad}");
        }
        assert!(Kind::ALL.into_iter().all(|k| Fault::parse(k.as_str()).unwrap().kind == k));
    }

    #[test]
    fn faults_strike_their_path_and_as_often_as_they_may() {
        let faults = Faults::default();
        faults.add(Fault { times: Some(2), ..Fault::at(Kind::Drop, "/a") });
        faults.add(Fault::of(Kind::Hang));
        let kind = |path: &str| faults.strike(path).map(|f| f.kind);
        assert_eq!(kind("/b"), Some(Kind::Hang));
        assert_eq!(
            [kind("/a"), kind("/a"), kind("/a")],
            [Some(Kind::Drop), Some(Kind::Drop), Some(Kind::Hang)]
        );
        faults.clear();
        assert_eq!(kind("/a"), None);
    }
}
