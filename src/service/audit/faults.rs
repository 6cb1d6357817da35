//! SOAP faults in the audit trail. Anybody who reaches a listener can make as many as they like, so
//! those of one kind by one peer share records: the first is written at once, what follows is counted
//! and written together when [`WINDOW`] is over. At most [`PLACES`] peers and kinds are told apart;
//! the rest is counted by kind alone. So a flood writes a bounded number of rows, and every fault
//! counts in one of them.

use std::collections::HashMap;
use std::net::IpAddr;

use jiff::Timestamp;

use crate::model::audit::{AuditEvent, Facts, Outcome, Repeated, SECURITY_ALERT};
use crate::model::caller::{Caller, network};
use crate::model::transaction::Transaction;
use crate::service::context::time_uuid;

/// Microseconds between two records of one kind by one peer.
const WINDOW: i64 = 3_600_000_000;
/// Microseconds until a record that could not be written is tried again.
const RETRY: i64 = 60_000_000;
/// Peers and kinds told apart at a time.
const PLACES: usize = 1024;

/// A request that ended as a SOAP fault: what is known of it without its content.
#[derive(Debug, Clone)]
pub struct Faulted {
    /// `None` before the Action was read and known.
    pub transaction: Option<Transaction>,
    /// Code, and subcode or kind.
    pub labels: [&'static str; 2],
    pub outcome: Outcome,
    pub caller: Caller,
    pub request_id: String,
    pub at: Timestamp,
}

/// What faults that share records have in common. `peer` (network and certificate) is `None` once no
/// more are told apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Kin {
    peer: Option<(IpAddr, Option<String>)>,
    listener: String,
    transaction: Option<Transaction>,
    labels: [&'static str; 2],
}

/// Faults without a record yet.
#[derive(Debug)]
struct Waiting {
    times: u64,
    first: i64,
    last: Faulted,
}

#[derive(Debug)]
struct Place {
    /// When its next record may be written.
    next: i64,
    waiting: Option<Waiting>,
}

/// A record to be written now.
#[derive(Debug)]
pub struct Due {
    kin: Kin,
    waiting: Waiting,
    pub event: AuditEvent,
}

/// Decides which faults are recorded when. Time is passed in, as microseconds since 1970.
#[derive(Debug, Default)]
pub struct Faults {
    places: HashMap<Kin, Place>,
}

impl Faults {
    /// Counts a fault. Gives out the record it belongs to, unless that has to wait.
    pub fn note(&mut self, fault: Faulted) -> Option<Due> {
        let now = fault.at.as_microsecond();
        let kin = self.kin(&fault, now);
        let place = self.places.entry(kin.clone()).or_insert(Place { next: now, waiting: None });
        place.add(Waiting { times: 1, first: now, last: fault });
        if place.open(now) { place.take(kin, now) } else { None }
    }

    /// The records whose time has come.
    pub fn due(&mut self, now: i64) -> Vec<Due> {
        self.places.retain(|_, place| place.waiting.is_some() || !place.open(now));
        let open = self.places.iter_mut().filter(|(_, place)| place.open(now));
        open.filter_map(|(kin, place)| place.take(kin.clone(), now)).collect()
    }

    /// Every record there is something for.
    pub fn rest(&mut self, now: i64) -> Vec<Due> {
        self.places.iter_mut().filter_map(|(kin, place)| place.take(kin.clone(), now)).collect()
    }

    /// Takes back a record that could not be written.
    pub fn unwritten(&mut self, due: Due) {
        let next = due.event.at.saturating_add(RETRY);
        let place = self.places.entry(due.kin).or_insert(Place { next, waiting: None });
        place.next = next;
        place.add(due.waiting);
    }

    fn kin(&mut self, fault: &Faulted, now: i64) -> Kin {
        let address = fault.caller.address.parse().ok();
        let kin = Kin {
            peer: address.map(|address| (network(address), fault.caller.certificate.clone())),
            listener: fault.caller.listener.clone(),
            transaction: fault.transaction,
            labels: fault.labels,
        };
        if self.places.len() >= PLACES && !self.places.contains_key(&kin) {
            self.places.retain(|_, place| place.waiting.is_some() || !place.open(now));
            if self.places.len() >= PLACES {
                return Kin { peer: None, ..kin };
            }
        }
        kin
    }
}

impl Place {
    /// A clock set back does not close a place for longer than a window.
    fn open(&self, now: i64) -> bool {
        self.next <= now || self.next.saturating_sub(now) > WINDOW
    }

    fn add(&mut self, more: Waiting) {
        match &mut self.waiting {
            Some(waiting) => {
                waiting.times = waiting.times.saturating_add(more.times);
                waiting.first = waiting.first.min(more.first);
                if more.last.at >= waiting.last.at {
                    waiting.last = more.last;
                }
            }
            none => *none = Some(more),
        }
    }

    fn take(&mut self, kin: Kin, now: i64) -> Option<Due> {
        let waiting = self.waiting.take()?;
        self.next = now.saturating_add(WINDOW);
        let event = event(&kin, &waiting, now);
        Some(Due { kin, waiting, event })
    }
}

fn event(kin: &Kin, waiting: &Waiting, now: i64) -> AuditEvent {
    let Waiting { times, first, last } = waiting;
    let caller = match kin.peer {
        Some(_) => last.caller.clone(),
        None => Caller { listener: kin.listener.clone(), ..Caller::default() },
    };
    AuditEvent {
        id: time_uuid(Timestamp::from_microsecond(now).unwrap_or(last.at)).to_string(),
        at: now,
        transaction: kin.transaction.map_or(SECURITY_ALERT, Transaction::code).to_owned(),
        outcome: last.outcome,
        request_id: last.request_id.clone(),
        caller,
        errors: kin.labels.map(str::to_owned).into(),
        repeated: (*times > 1).then(|| Repeated {
            times: *times,
            first: *first,
            last: last.at.as_microsecond(),
        }),
        facts: Facts { process: Some(std::process::id()), ..Facts::default() },
        ..AuditEvent::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const XML: [&str; 2] = ["Sender", "xml"];
    const MIME: [&str; 2] = ["Sender", "mime"];

    fn fault(address: &str, labels: [&'static str; 2], at: i64) -> Faulted {
        Faulted {
            transaction: None,
            labels,
            outcome: Outcome::SeriousFailure,
            caller: Caller {
                address: address.into(),
                listener: "soap".into(),
                certificate: None,
                ..Caller::default()
            },
            request_id: at.to_string(),
            at: Timestamp::from_microsecond(at).unwrap(),
        }
    }

    fn times(due: &Due) -> u64 {
        due.event.repeated.map_or(1, |r| r.times)
    }

    #[test]
    fn repeats_wait_for_the_end_of_the_window() {
        let mut faults = Faults::default();
        let first = faults.note(fault("10.0.0.1", XML, 0)).unwrap().event;
        assert_eq!(
            (first.transaction.as_str(), first.errors),
            (SECURITY_ALERT, XML.map(String::from).into())
        );
        assert_eq!((first.repeated, first.caller.address.as_str()), (None, "10.0.0.1"));
        for at in 1..100 {
            assert!(faults.note(fault("10.0.0.1", XML, at)).is_none());
        }
        assert!(faults.due(WINDOW - 1).is_empty());
        let due = faults.due(WINDOW);
        assert_eq!(due.len(), 1);
        assert_eq!(due[0].event.repeated, Some(Repeated { times: 99, first: 1, last: 99 }));
        assert_eq!((due[0].event.at, due[0].event.request_id.as_str()), (WINDOW, "99"));
        // The next window began with that record.
        assert!(faults.note(fault("10.0.0.1", XML, WINDOW + 1)).is_none());
        assert_eq!(faults.note(fault("10.0.0.1", XML, 2 * WINDOW)).map(|d| times(&d)), Some(2));
    }

    #[test]
    fn kinds_peers_and_certificates_are_told_apart() {
        let mut faults = Faults::default();
        let mut certified = fault("10.0.0.1", XML, 0);
        certified.caller.certificate = Some("ab".into());
        let mut known = fault("10.0.0.1", XML, 0);
        known.transaction = Some(Transaction::Iti18);
        for other in [
            fault("10.0.0.1", XML, 0),
            fault("10.0.0.1", MIME, 0),
            fault("10.0.0.2", XML, 0),
            fault("2001:db8::1", XML, 0),
            certified,
            known,
        ] {
            assert!(faults.note(other).is_some());
        }
        // One host has a whole /64, and IPv4 addresses have two spellings.
        assert!(faults.note(fault("2001:db8::2", XML, 0)).is_none());
        assert!(faults.note(fault("::ffff:10.0.0.1", XML, 0)).is_none());
    }

    #[test]
    fn beyond_the_places_only_kinds_are_told_apart() {
        let mut faults = Faults::default();
        let peer = |n: usize| format!("10.{}.{}.{}", n >> 16, n >> 8 & 255, n & 255);
        let mut counted = 0;
        let mut records = 0;
        for n in 0..5000 {
            for labels in [XML, MIME] {
                if let Some(due) = faults.note(fault(&peer(n), labels, 0)) {
                    counted += times(&due);
                    records += 1;
                }
            }
        }
        assert_eq!(records, PLACES + 2);
        let rest = faults.rest(1);
        assert!(rest.iter().all(|d| d.event.caller.address.is_empty() && d.event.caller.listener == "soap"));
        assert_eq!(rest.len(), 2);
        assert_eq!(counted + rest.iter().map(times).sum::<u64>(), 10_000);
        // Peers that went quiet make room.
        let due = faults.note(fault("192.0.2.1", XML, 3 * WINDOW)).unwrap();
        assert_eq!(due.event.caller.address, "192.0.2.1");
        assert_eq!(faults.places.len(), 1);
    }

    #[test]
    fn what_could_not_be_written_counts_in_the_next_record() {
        let mut faults = Faults::default();
        let due = faults.note(fault("10.0.0.1", XML, 0)).unwrap();
        assert!(faults.note(fault("10.0.0.1", XML, 1)).is_none());
        faults.unwritten(due);
        assert!(faults.note(fault("10.0.0.1", XML, 2)).is_none());
        assert!(faults.due(RETRY - 1).is_empty());
        let due = faults.due(RETRY);
        assert_eq!(due[0].event.repeated, Some(Repeated { times: 3, first: 0, last: 2 }));
    }

    #[test]
    fn a_clock_set_back_does_not_silence_the_trail() {
        let mut faults = Faults::default();
        assert!(faults.note(fault("10.0.0.1", XML, 10 * WINDOW)).is_some());
        assert!(faults.note(fault("10.0.0.1", XML, 0)).is_some());
        assert!(faults.note(fault("10.0.0.1", XML, 1)).is_none());
    }
}
