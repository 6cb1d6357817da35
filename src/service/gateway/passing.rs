//! Documents of one other system on their way through us. The first of them are read before our own answer begins, so
//! that one which breaks off is an error in the answer; what is larger passes through while it comes, and one that breaks
//! off then is asked for again and goes on where it broke, if its beginning is still the same. Only where that fails too
//! does our answer break off, without its last boundary: a part that was begun cannot be taken back (RFC 2046 5.1.1), and
//! one that was ended would look whole.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Duration, Instant, timeout_at};

use super::HoldSettings;
use super::line::{Line, Place};
use super::retrieve::{Asker, Fetched, Promised};
use super::trouble::Trouble;
use crate::model::community::Step;
use crate::model::error::RegistryError;
use crate::peer::soap::AnswerEvent;
use crate::peer::soap::xca::{self, Retrieving};
use crate::service::repository::DocumentRequest;

/// One step through documents; a number counts [`Incoming::documents`].
pub enum Piece {
    Start(usize),
    Data(Bytes),
    End,
}

/// An answer on its way, its envelope read. Numbers count the documents it promised.
pub(super) struct Flow {
    hrefs: Vec<Option<String>>,
    current: Option<usize>,
    retrieving: Retrieving,
    line: Arc<Line>,
    _place: Place,
}

impl Flow {
    pub fn new(hrefs: Vec<Option<String>>, retrieving: Retrieving, line: Arc<Line>, place: Place) -> Self {
        Self { hrefs, current: None, retrieving, line, _place: place }
    }

    /// The next step. `None` when every document has come; an error when one breaks off, or does not come.
    async fn next(&mut self) -> Result<Option<Piece>, Trouble> {
        loop {
            let event = match self.retrieving.next().await {
                Ok(event) => event,
                Err(e) => return Err(self.broke(e.into())),
            };
            match event {
                Some(AnswerEvent::Start(head)) => {
                    let meant = |h: &Option<String>| h.as_deref().is_some_and(|h| xca::means(h, &head.key));
                    // A part that nothing refers to is let go by.
                    self.current = self.hrefs.iter().position(meant);
                    if let Some(n) = self.current {
                        if let Some(href) = self.hrefs.get_mut(n) {
                            *href = None;
                        }
                        return Ok(Some(Piece::Start(n)));
                    }
                }
                Some(AnswerEvent::Data(bytes)) if self.current.is_some() => {
                    return Ok(Some(Piece::Data(bytes)));
                }
                Some(AnswerEvent::End) if self.current.take().is_some() => return Ok(Some(Piece::End)),
                Some(AnswerEvent::Data(_) | AnswerEvent::End) => {}
                None if self.hrefs.iter().all(Option::is_none) => return Ok(None),
                None => return Err(self.broke(Trouble::bad_answer("a document it names is not in it"))),
            }
        }
    }

    fn broke(&self, trouble: Trouble) -> Trouble {
        tracing::warn!(step = %trouble.step, trouble.detail, "documents of another system broke off");
        self.line.broke(&trouble);
        trouble
    }
}

/// How much may be held, of one source and in all. Clones share the latter.
#[derive(Clone)]
pub(super) struct Hold {
    octets: usize,
    time: Duration,
    /// Places of [`UNIT`] octets.
    pool: Arc<Semaphore>,
}

/// Octets that are reserved at a time.
const UNIT: usize = 64 << 10;

impl Hold {
    pub fn new(settings: &HoldSettings) -> Self {
        let places = (settings.in_all / UNIT).min(Semaphore::MAX_PERMITS);
        Self { octets: settings.octets, time: settings.time, pool: Arc::new(Semaphore::new(places)) }
    }
}

/// How often one source is asked again for what broke off.
const AGAIN: u8 = 2;

/// Documents on their way from one other system.
pub struct Incoming {
    pub documents: Vec<Promised>,
    asker: Asker,
    /// Which document each of the flow's is.
    numbers: Vec<usize>,
    /// `None` once everything has been read.
    flow: Option<Flow>,
    done: HashSet<usize>,
    /// The one under way, as far as it was read.
    current: Option<Read>,
    again: u8,
    held: VecDeque<Piece>,
    /// For what is held.
    reserved: Vec<OwnedSemaphorePermit>,
}

/// As much of a document as was read.
struct Read {
    number: usize,
    beginning: Beginning,
}

/// How a document begins: how long that is, and a hash of some of it. A document of one uniqueId is the same each time
/// (ITI TF-3 4.2.3.2.26), so this is to catch who gives another all the same, and all of it would cost more than it is
/// worth.
#[derive(Clone, Default)]
struct Beginning {
    octets: u64,
    hash: Sha256,
}

/// Of every so many octets, so many are hashed.
const STRIDE: u64 = 64 << 10;
const SAMPLE: u64 = 256;

impl Beginning {
    fn add(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let within = self.octets % STRIDE;
            let until = if within < SAMPLE { SAMPLE } else { STRIDE };
            let count = usize::try_from(until - within).unwrap_or(usize::MAX).min(bytes.len());
            let (now, rest) = bytes.split_at(count);
            if within < SAMPLE {
                self.hash.update(now);
            }
            self.octets += now.len() as u64;
            bytes = rest;
        }
    }

    fn is(&self, other: &Beginning) -> bool {
        self.octets == other.octets && self.hash.clone().finalize() == other.hash.clone().finalize()
    }
}

impl Incoming {
    /// Reads ahead what may be held. What does not come and will not, is left out of the documents, with an error of it.
    pub(super) async fn read_ahead(
        asker: Asker,
        documents: Vec<Promised>,
        flow: Flow,
        hold: &Hold,
        deadline: Instant,
    ) -> (Self, Vec<RegistryError>) {
        let mut this = Self {
            numbers: (0..documents.len()).collect(),
            documents,
            asker,
            flow: Some(flow),
            done: HashSet::new(),
            current: None,
            again: AGAIN,
            held: VecDeque::new(),
            reserved: vec![],
        };
        let until = deadline.min(Instant::now() + hold.time);
        let mut held = 0;
        loop {
            // No room for another piece: it passes through.
            if held >= hold.octets || !this.reserve(held, hold) {
                return (this, vec![]);
            }
            let piece = match timeout_at(until, this.read()).await {
                Ok(piece) => piece,
                Err(_) => return (this, vec![]),
            };
            match piece {
                Ok(Some(piece)) => {
                    if let Piece::Data(bytes) = &piece {
                        held += bytes.len();
                    }
                    this.held.push_back(piece);
                }
                Ok(None) => return (this, vec![]),
                Err(trouble) => {
                    // Nothing of it has left: what came of the one under way is forgotten, and asked for anew.
                    this.forget_current();
                    if this.again == 0 {
                        let lost = this.leave_out(&trouble);
                        return (this, lost);
                    }
                    this.again -= 1;
                    let rest = this.rest();
                    match timeout_at(until, this.asker.ask(&this.requests(&rest), deadline)).await {
                        Ok(Ok(fetched)) if this.promises_the_same(&rest, &fetched) => {
                            this.numbers = rest;
                            this.flow = Some(fetched.flow);
                        }
                        _ => {
                            let lost = this.leave_out(&trouble);
                            return (this, lost);
                        }
                    }
                }
            }
        }
    }

    /// Whether everything is here.
    pub fn is_whole(&self) -> bool {
        self.flow.is_none()
    }

    /// The next step. `None` when every document has come; an error when one breaks off for good.
    pub async fn next(&mut self) -> Result<Option<Piece>, Trouble> {
        loop {
            if self.held.len() <= 1 {
                self.reserved.clear();
            }
            // What was read beyond a break is given out before what is still to come.
            if let Some(piece) = self.held.pop_front() {
                return Ok(Some(piece));
            }
            match self.read().await {
                Ok(piece) => return Ok(piece),
                Err(trouble) if self.again == 0 => return Err(trouble),
                Err(trouble) => {
                    self.again -= 1;
                    if !self.go_on().await {
                        return Err(trouble);
                    }
                    tracing::info!("documents of another system go on where they broke off");
                }
            }
        }
    }

    /// The next step of the flow, its number ours, kept account of.
    async fn read(&mut self) -> Result<Option<Piece>, Trouble> {
        loop {
            let Some(flow) = &mut self.flow else { return Ok(None) };
            let piece = match flow.next().await? {
                None => {
                    self.flow = None;
                    let rest = self.rest();
                    if rest.is_empty() {
                        return Ok(None);
                    }
                    // The one that broke off has come; the others are still to be asked for.
                    let Fetched { flow, .. } = self.ask_same(rest.clone()).await?;
                    self.numbers = rest;
                    self.flow = Some(flow);
                    continue;
                }
                Some(piece) => piece,
            };
            return Ok(Some(match piece {
                Piece::Start(n) => {
                    let number = self.numbers.get(n).copied().unwrap_or_default();
                    self.current = Some(Read { number, beginning: Beginning::default() });
                    Piece::Start(number)
                }
                Piece::Data(bytes) => {
                    if let Some(read) = &mut self.current {
                        read.beginning.add(&bytes);
                    }
                    Piece::Data(bytes)
                }
                Piece::End => {
                    if let Some(read) = self.current.take() {
                        self.done.insert(read.number);
                    }
                    Piece::End
                }
            }));
        }
    }

    /// Asks again, after our own answer has begun: the document under way goes on where it broke, if what came of it is
    /// how it begins. Whether it does.
    async fn go_on(&mut self) -> bool {
        let Some(read) = self.current.take() else {
            let rest = self.rest();
            let Ok(Fetched { flow, .. }) = self.ask_same(rest.clone()).await else { return false };
            self.numbers = rest;
            self.flow = Some(flow);
            return true;
        };
        let Ok(Fetched { mut flow, .. }) = self.ask_same(vec![read.number]).await else { return false };
        let mut left = read.beginning.octets;
        let mut again = Beginning::default();
        loop {
            match flow.next().await {
                Ok(Some(Piece::Start(0))) => {
                    if left == 0 {
                        break;
                    }
                }
                Ok(Some(Piece::Data(mut bytes))) => {
                    let known = bytes.split_to(usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len()));
                    again.add(&known);
                    left -= known.len() as u64;
                    if left == 0 {
                        if !again.is(&read.beginning) {
                            return false;
                        }
                        if !bytes.is_empty() {
                            self.held.push_back(Piece::Data(bytes.clone()));
                        }
                        let mut read = read;
                        read.beginning.add(&bytes);
                        self.numbers = vec![read.number];
                        (self.current, self.flow) = (Some(read), Some(flow));
                        return true;
                    }
                }
                // It is shorter now, or not there.
                _ => return false,
            }
        }
        self.numbers = vec![read.number];
        (self.current, self.flow) = (Some(read), Some(flow));
        true
    }

    /// Asks for these documents again; what is promised must be what was.
    async fn ask_same(&self, numbers: Vec<usize>) -> Result<Fetched, Trouble> {
        let deadline = Instant::now() + Duration::from_secs(600);
        let fetched = self.asker.ask(&self.requests(&numbers), deadline).await?;
        match self.promises_the_same(&numbers, &fetched) {
            true => Ok(fetched),
            false => Err(Trouble::new(Step::BadAnswer, "asked again, it gives other documents")),
        }
    }

    fn requests(&self, numbers: &[usize]) -> Vec<DocumentRequest> {
        numbers.iter().filter_map(|n| self.documents.get(*n)).map(|d| d.request.clone()).collect()
    }

    /// One made at retrieval is another each time.
    fn promises_the_same(&self, numbers: &[usize], fetched: &Fetched) -> bool {
        let known = numbers.iter().filter_map(|n| self.documents.get(*n));
        fetched.documents.len() == numbers.len()
            && known.zip(&fetched.documents).all(|(old, new)| {
                old.request == new.request
                    && old.mime_type == new.mime_type
                    && old.made.is_none()
                    && new.made.is_none()
            })
    }

    /// Documents that have not come whole.
    fn rest(&self) -> Vec<usize> {
        (0..self.documents.len()).filter(|n| !self.done.contains(n)).collect()
    }

    /// Takes back what is held of the document under way.
    fn forget_current(&mut self) {
        if self.current.take().is_some() {
            while let Some(piece) = self.held.pop_back() {
                if matches!(piece, Piece::Start(_)) {
                    break;
                }
            }
        }
    }

    /// Gives up on what has not come: the documents are those that have.
    fn leave_out(&mut self, trouble: &Trouble) -> Vec<RegistryError> {
        self.flow = None;
        let rest = self.rest();
        let errors = self.asker.source.error(trouble, &self.requests(&rest), &self.asker.home);
        let kept: Vec<usize> = (0..self.documents.len()).filter(|n| self.done.contains(n)).collect();
        self.documents = kept.iter().filter_map(|n| self.documents.get(*n)).cloned().collect();
        for piece in &mut self.held {
            if let Piece::Start(n) = piece {
                *n = kept.iter().position(|k| k == n).unwrap_or_default();
            }
        }
        self.done = (0..self.documents.len()).collect();
        errors
    }

    /// Reserves room for what is held and one piece more.
    fn reserve(&mut self, held: usize, hold: &Hold) -> bool {
        while self.reserved.len() * UNIT < held + UNIT {
            match hold.pool.clone().try_acquire_owned() {
                Ok(permit) => self.reserved.push(permit),
                Err(_) => return false,
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beginning(pieces: &[&[u8]]) -> Beginning {
        let mut beginning = Beginning::default();
        pieces.iter().for_each(|piece| beginning.add(piece));
        beginning
    }

    #[test]
    fn beginnings_are_told_apart_however_they_were_cut() {
        let document: Vec<u8> = (0..300_000_u32).map(|n| u8::try_from(n * 31 % 251).unwrap()).collect();
        let whole = beginning(&[&document]);
        for size in [1_000, 4_096, 65_536, 65_537] {
            let pieces: Vec<&[u8]> = document.chunks(size).collect();
            assert!(beginning(&pieces).is(&whole), "{size}");
        }
        assert!(!beginning(&[&document[1..]]).is(&whole), "shorter");
        let mut shifted = document.clone();
        shifted.rotate_left(1);
        assert!(!beginning(&[&shifted]).is(&whole), "another");
        let mut changed = document;
        changed[65_536] ^= 1;
        assert!(!beginning(&[&changed]).is(&whole), "an octet that is looked at");
    }
}
