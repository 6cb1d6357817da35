//! The service at work: a call comes in as bytes, is decided about, made durable, and answered.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::Serialize;

use super::contract::{Code, Op, Service};
use super::decide::{Checked, decide};
use super::directory::Entry;
use super::envelope::{Answer, Request, Triple, Unreadable};
use super::fault::{Faults, Mode};
use super::journal::Journal;
use super::world::{Effect, Known, Settings, World, wake};
use crate::server::clock::Clock;

/// Calls that are remembered for showing.
const REMEMBERED: usize = 200;

/// A call as it is shown.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Call {
    pub at: Timestamp,
    pub institution: String,
    pub op: String,
    pub key: String,
    pub unit: String,
    pub code: String,
    pub replayed: bool,
    pub fault: Option<Mode>,
    pub milliseconds: u64,
}

/// What is held, and where it is kept.
struct Hall {
    world: World,
    journal: Option<Journal>,
}

impl Hall {
    /// Durable first, then true.
    fn commit(&mut self, effects: Vec<Effect>) -> io::Result<()> {
        if effects.is_empty() {
            return Ok(());
        }
        if let Some(journal) = &mut self.journal {
            journal.append(&effects)?;
        }
        effects.into_iter().for_each(|effect| self.world.apply(effect));
        Ok(())
    }
}

pub struct Engine {
    hall: Mutex<Hall>,
    pub faults: Faults,
    calls: Mutex<VecDeque<Call>>,
    clock: Clock,
    /// Octets of a Bundle at most.
    pub limit: usize,
}

impl Engine {
    pub fn open(clock: Clock, limit: usize, settings: Settings, store: Option<&Path>) -> io::Result<Engine> {
        let mut world = World::default();
        world.settings = settings;
        let journal = match store {
            None => None,
            Some(path) => {
                let (journal, effects) = Journal::open(path)?;
                effects.into_iter().for_each(|effect| world.apply(effect));
                Some(journal)
            }
        };
        let hall = Mutex::new(Hall { world, journal });
        Ok(Engine { hall, faults: Faults::default(), calls: Mutex::default(), clock, limit })
    }

    fn hall(&self) -> MutexGuard<'_, Hall> {
        self.hall.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The service's time.
    pub fn now(&self) -> Timestamp {
        self.hall().world.now(self.clock.now())
    }

    /// Looks at what is held.
    pub fn look<T>(&self, see: impl FnOnce(&World, Timestamp) -> T) -> T {
        let hall = self.hall();
        see(&hall.world, hall.world.now(self.clock.now()))
    }

    /// A call of this institution. Blocks until it is durable.
    pub fn call(&self, op: Op, body: &[u8], institution: &str) -> (Option<Request>, Answer) {
        let request = match Request::read(op, body) {
            Ok(request) => request,
            Err(Unreadable(what)) => return (None, Answer::saying(Code::Unreadable, what)),
        };
        if request.bundle.as_ref().is_some_and(|bundle| bundle.len() > self.limit) {
            let what = format!("the Bundle has more than {} bytes", self.limit);
            return (Some(request), Answer::saying(Code::TooLarge, what));
        }
        let answer = self.work(request.clone(), body, institution).unwrap_or_else(|error| {
            tracing::error!(%error, "the journal cannot be written");
            Answer::saying(Code::Internal, "the journal cannot be written")
        });
        (Some(request), answer)
    }

    fn work(&self, request: Request, body: &[u8], institution: &str) -> io::Result<Answer> {
        let waits = self.waiting(&request);
        if let Some((op, _)) = &waits
            && self.unfinished(op, institution)
        {
            return Ok(processing());
        }
        if let Some((op, body)) = waits {
            return self.finish(&op, &body, institution);
        }
        if request.op.changes() && request.institution == institution {
            let known = self.look(|world, _| world.known(institution, &request.key).is_some());
            if !known && self.unfinished(request.op.name, institution) {
                let (op, digest) = (request.op.name.to_owned(), request.digest());
                let body = String::from_utf8_lossy(body).into_owned();
                let waiting =
                    Effect::Waiting { institution: request.institution, key: request.key, digest, op, body };
                self.hall().commit(vec![waiting])?;
                return Ok(processing());
            }
            self.settle(institution, request.triple.as_ref())?;
        }
        let settings = self.look(|world, _| world.settings);
        let checked = Checked::new(request, settings);
        let mut hall = self.hall();
        let now = hall.world.now(self.clock.now());
        let (answer, effects) = decide(&hall.world, &checked, institution, now);
        hall.commit(effects)?;
        Ok(answer)
    }

    fn unfinished(&self, op: &str, institution: &str) -> bool {
        self.faults.strike(&[Mode::Processing], op, institution, self.now()).is_some()
    }

    /// The call that waits under this request's key, if this asks for it or is it once more.
    fn waiting(&self, request: &Request) -> Option<(String, String)> {
        let asks = request.op.service == Service::Result;
        self.look(|world, _| match world.known(&request.institution, &request.key) {
            Some(Known::Waiting { op, body, digest }) if asks || *digest == request.digest() => {
                Some((op.clone(), body.clone()))
            }
            _ => None,
        })
    }

    /// Works on a call that waited.
    fn finish(&self, op: &str, body: &str, institution: &str) -> io::Result<Answer> {
        let Some(request) = wake(op, body) else { return Ok(Answer::of(Code::Internal)) };
        let checked = Checked::new(request, self.look(|world, _| world.settings));
        let mut hall = self.hall();
        let now = hall.world.now(self.clock.now());
        let (answer, effects) = decide(&hall.world, &checked, institution, now);
        hall.commit(effects)?;
        Ok(answer)
    }

    /// Works first on what waits about the same unit, so that calls take effect in the order they came.
    fn settle(&self, institution: &str, triple: Option<&Triple>) -> io::Result<()> {
        let waiting = self.look(|world, _| {
            let mine = world.waiting().into_iter().filter(|(of, _)| of == institution);
            mine.filter_map(|(of, key)| match world.known(&of, &key) {
                Some(Known::Waiting { op, body, .. }) => Some((op.clone(), body.clone())),
                _ => None,
            })
            .collect::<Vec<_>>()
        });
        for (op, body) in waiting {
            if wake(&op, &body).is_some_and(|r| r.triple.as_ref() == triple) {
                self.finish(&op, &body, institution)?;
            }
        }
        Ok(())
    }

    /// The patient agrees to a letter's being read; says how many letters that concerns.
    pub fn consent(&self, insured: &str, value: Option<&str>) -> io::Result<usize> {
        let mut hall = self.hall();
        let now = hall.world.now(self.clock.now());
        let fits = hall.world.units().filter(|u| {
            u.service == Service::Referral
                && u.triple.insured == insured
                && value.is_none_or(|v| v == u.triple.value)
                && hall.world.state(u, now).live()
        });
        let effects: Vec<Effect> = fits.map(|u| Effect::Consented { receipt: u.receipt }).collect();
        let count = effects.len();
        hall.commit(effects)?;
        Ok(count)
    }

    pub fn enter(&self, entries: Vec<Entry>) -> io::Result<()> {
        self.hall().commit(entries.into_iter().map(Effect::Directory).collect())
    }

    pub fn configure(&self, change: impl FnOnce(Settings) -> Settings) -> io::Result<()> {
        let mut hall = self.hall();
        let settings = change(hall.world.settings);
        hall.commit(vec![Effect::Settings(settings)])
    }

    /// Moves the service's clock by so many microseconds.
    pub fn advance(&self, micros: i64) -> io::Result<()> {
        let mut hall = self.hall();
        let ahead = hall.world.ahead().saturating_add(micros);
        hall.commit(vec![Effect::Clock(ahead)])
    }

    pub fn remember(&self, call: Call) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        if calls.len() >= REMEMBERED {
            calls.pop_back();
        }
        calls.push_front(call);
    }

    /// The last calls, the newest first.
    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

fn processing() -> Answer {
    Answer { again: Some(2), ..Answer::of(Code::Processing) }
}
