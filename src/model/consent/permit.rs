//! Proof that somebody was asked about, carried to the store, which shows nothing it does not let pass.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::decide::{Decision, Ground, decide, decide_about_patient};
use super::facts::Facts;
use super::network::{Function, Mode, Network};
use super::record::Standing;
use super::viewer::Viewer;
use crate::model::caller::Caller;

/// What the caller wants to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// ITI-18, ITI-38, ITI-51.
    Query,
    /// ITI-39, ITI-43.
    Retrieve,
    /// ITI-45, ITI-47, ITI-55, ITI-78.
    Discover,
    /// Handing documents to a service outside.
    Export(String),
    /// Operators at the gateway's own machine or its private listener.
    Operator,
    /// Chiren's own work: reindexing, sweeping, exporting the whole.
    Upkeep,
}

/// Who may see what. Made by [`admit`] alone; every read of a patient's entries or bytes wants one.
#[derive(Debug, Clone)]
pub struct Permit(Arc<Scope>);

#[derive(Debug)]
enum Scope {
    Everything(&'static str),
    Narrow(Box<Narrow>),
}

#[derive(Debug)]
struct Narrow {
    network: Arc<Network>,
    viewer: Viewer,
    function: Function,
    now: i64,
    tally: Tally,
}

/// How many documents each ground decided.
#[derive(Debug, Default)]
pub struct Tally([AtomicU64; Ground::ALL.len()]);

impl Tally {
    fn count(&self, ground: Ground) {
        if let Some(counted) = self.0.get(usize::from(ground.number())) {
            counted.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// `8:3 12:5`: number of the ground, and how often; for logs and audit records, never for callers.
    pub fn text(&self) -> String {
        let counts = self.0.iter().map(|n| n.load(Ordering::Relaxed)).enumerate().filter(|(_, n)| *n > 0);
        counts.map(|(ground, n)| format!("{ground}:{n}")).collect::<Vec<_>>().join(" ")
    }
}

/// Who may see what, for one request at `now` (microseconds since 1970).
pub fn admit(network: &Arc<Network>, caller: &Caller, action: Action, now: i64) -> Permit {
    let everything = |why| Permit(Arc::new(Scope::Everything(why)));
    let function = match (&action, network.mode) {
        (Action::Upkeep, _) => return everything("upkeep by the gateway itself"),
        (_, Mode::Off) => return everything("node admitted by its listener; no consent rules configured"),
        (Action::Operator, _) if network.operators => return everything("an operator of the gateway"),
        // Nobody by whom a rule could permit anything.
        (Action::Operator, _) => Function::Query,
        (Action::Query, _) => Function::Query,
        (Action::Retrieve, _) => Function::Retrieve,
        (Action::Discover, _) => Function::Discover,
        (Action::Export(_), _) => Function::Export,
    };
    let viewer = match action {
        Action::Export(service) => Viewer::service(&service),
        Action::Operator => Viewer::default(),
        _ => Viewer::of(caller, network),
    };
    Permit::narrow(network.clone(), viewer, function, now)
}

impl Permit {
    /// For a viewer that is described and not connected: to explain.
    pub fn narrow(network: Arc<Network>, viewer: Viewer, function: Function, now: i64) -> Self {
        Permit(Arc::new(Scope::Narrow(Box::new(Narrow {
            network,
            viewer,
            function,
            now,
            tally: Tally::default(),
        }))))
    }

    /// Why; goes to the log.
    pub fn reason(&self) -> &'static str {
        match &*self.0 {
            Scope::Everything(why) => why,
            Scope::Narrow(_) => "what the patient, the network and the facilities permit",
        }
    }

    /// Whether there is anything to leave out, so that the patient's records must be known.
    pub fn is_narrow(&self) -> bool {
        matches!(*self.0, Scope::Narrow(_))
    }

    /// One document of a patient (CX).
    pub fn judge(&self, patient: &str, standing: &Standing, facts: &Facts) -> Decision {
        match &*self.0 {
            Scope::Everything(_) => Decision { ground: Ground::Unasked, by: None },
            Scope::Narrow(n) => {
                let mut held = None;
                let facts = match standing.held.contains(&facts.unique_id) {
                    false => facts,
                    true => &*held.insert(Facts { held: true, ..facts.clone() }),
                };
                let decision = decide(&n.network, &n.viewer, n.function, n.now, patient, standing, facts);
                n.tally.count(decision.ground);
                decision
            }
        }
    }

    /// What cannot be read is decided like this.
    pub fn unreadable(&self) -> Decision {
        if let Scope::Narrow(n) = &*self.0 {
            n.tally.count(Ground::Error);
        }
        Decision { ground: Ground::Error, by: None }
    }

    /// The patient (CX), and no document.
    pub fn judge_patient(&self, patient: &str, standing: &Standing) -> Decision {
        match &*self.0 {
            Scope::Everything(_) => Decision { ground: Ground::Unasked, by: None },
            Scope::Narrow(n) => {
                decide_about_patient(&n.network, &n.viewer, n.function, n.now, patient, standing)
            }
        }
    }

    /// What was decided so far, and by which version of the network's rules; none where nothing was to decide.
    pub fn decided(&self) -> Option<(String, &str)> {
        match &*self.0 {
            Scope::Everything(_) => None,
            Scope::Narrow(n) => Some((n.tally.text(), &n.network.version)),
        }
    }

    pub fn viewer(&self) -> Option<&Viewer> {
        match &*self.0 {
            Scope::Everything(_) => None,
            Scope::Narrow(n) => Some(&n.viewer),
        }
    }

    /// Whether ids of a domain (OID) are those of one of the viewer's facilities, whose patients are its own: the domain,
    /// or the facility code at its end, is an alias of the facility in the policy file.
    pub fn owns_domain(&self, domain: &str) -> bool {
        let Scope::Narrow(n) = &*self.0 else { return true };
        let code = domain.len().checked_sub(10).and_then(|at| domain.get(at..));
        let facility = n.network.listed(domain).or_else(|| code.and_then(|code| n.network.listed(code)));
        facility.is_some_and(|f| n.viewer.facilities.contains(&f.oid))
    }

    /// The moment decided for, in microseconds since 1970; nobody asks it of a permit to everything.
    pub fn now(&self) -> Option<i64> {
        match &*self.0 {
            Scope::Everything(_) => None,
            Scope::Narrow(n) => Some(n.now),
        }
    }
}
