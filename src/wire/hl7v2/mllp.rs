//! MLLP frames (HL7 v2 Transport Specification, release 1): `0B` message `1C 0D`. Chunks in, messages out; no I/O.
//!
//! What lies between frames is skipped. A `0B` inside a frame is a sender that began anew: what came before it is
//! dropped, and told. The final `0D` may be missing: then only the next byte, or silence, shows that the frame has
//! ended, so that no message is taken for whole that a stray `1C` cut in two.

use memchr::memchr2;

const START: u8 = 0x0b;
const END: u8 = 0x1c;

/// What came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The bytes of one message.
    Message(Vec<u8>),
    /// A message over the limit: its beginning, for an answer that names it.
    TooLong { beginning: Vec<u8>, bytes: u64 },
    /// Bytes of a frame that another interrupted.
    Restarted { bytes: u64 },
    /// Bytes outside frames, line ends not counted.
    Noise { bytes: u64 },
    /// No end in sight: the connection is not worth keeping.
    Endless,
}

/// Where the connection stands, for whoever keeps the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    Outside,
    Inside,
    /// After `1C`: the next byte, or [`Splitter::settle`], ends the frame.
    Ending,
}

/// How much of a message over the limit is kept.
const BEGINNING: usize = 4096;
/// A message longer than this many limits is no message.
const PATIENCE: u64 = 16;

#[derive(Debug)]
pub struct Splitter {
    limit: usize,
    position: Position,
    message: Vec<u8>,
    /// Bytes of the message, those not kept among them.
    bytes: u64,
    noise: u64,
    strict: bool,
}

impl Splitter {
    /// `limit`: the longest message, in bytes.
    pub fn new(limit: usize) -> Self {
        Self { limit, position: Position::Outside, message: vec![], bytes: 0, noise: 0, strict: false }
    }

    /// The same for a sender that keeps to the specification: a start block within a message, or an end block
    /// without its CR, ends the connection.
    pub fn strict(limit: usize) -> Self {
        Self { strict: true, ..Self::new(limit) }
    }

    pub fn position(&self) -> Position {
        self.position
    }

    /// Takes bytes as they arrived.
    pub fn push(&mut self, chunk: &[u8], events: &mut Vec<Event>) {
        let mut rest = chunk;
        while let Some((&byte, after)) = rest.split_first() {
            rest = match self.position {
                Position::Outside => {
                    self.outside(byte, events);
                    after
                }
                Position::Inside => {
                    let end = memchr2(START, END, rest).unwrap_or(rest.len());
                    let (content, more) = rest.split_at(end);
                    self.keep(content, events);
                    match more.split_first() {
                        Some((&START, more)) => {
                            self.restart(events);
                            more
                        }
                        Some((_, more)) => {
                            self.position = Position::Ending;
                            more
                        }
                        None => more,
                    }
                }
                Position::Ending => {
                    self.ending(byte, events);
                    after
                }
            };
        }
    }

    /// Nothing came for a while, or will come: a frame that only lacks its last byte is whole.
    pub fn settle(&mut self, events: &mut Vec<Event>) {
        if self.position == Position::Ending {
            if self.strict {
                events.push(Event::Endless);
            }
            self.finish(events);
        }
    }

    fn outside(&mut self, byte: u8, events: &mut Vec<Event>) {
        match byte {
            START => {
                self.tell_noise(events);
                self.begin();
            }
            b'\r' | b'\n' => {}
            _ => {
                self.noise += 1;
                if self.noise > self.limit as u64 {
                    self.noise = 0;
                    events.push(Event::Endless);
                }
            }
        }
    }

    fn tell_noise(&mut self, events: &mut Vec<Event>) {
        if self.noise > 0 {
            events.push(Event::Noise { bytes: self.noise });
            self.noise = 0;
        }
    }

    fn begin(&mut self) {
        self.position = Position::Inside;
        self.message.clear();
        self.bytes = 0;
    }

    fn restart(&mut self, events: &mut Vec<Event>) {
        if self.strict {
            events.push(Event::Endless);
        }
        events.push(Event::Restarted { bytes: self.bytes });
        self.begin();
    }

    fn keep(&mut self, content: &[u8], events: &mut Vec<Event>) {
        let before = self.bytes;
        self.bytes += content.len() as u64;
        // What is more is counted only.
        let most = if before > self.limit as u64 { BEGINNING } else { self.limit.max(BEGINNING) };
        let room = most.saturating_sub(self.message.len());
        self.message.extend_from_slice(content.get(..room).unwrap_or(content));
        if self.bytes > self.limit as u64 && self.message.len() > BEGINNING {
            self.message.truncate(BEGINNING);
            self.message.shrink_to_fit();
        }
        let patience = PATIENCE * self.limit as u64;
        if before <= patience && self.bytes > patience {
            events.push(Event::Endless);
        }
    }

    fn ending(&mut self, byte: u8, events: &mut Vec<Event>) {
        match byte {
            b'\r' | b'\n' => self.finish(events),
            START => {
                if self.strict {
                    events.push(Event::Endless);
                }
                self.finish(events);
                self.begin();
            }
            // A stored message that kept its own end: the last one counts.
            END => self.keep(&[END], events),
            _ => {
                self.position = Position::Inside;
                self.keep(&[END, byte], events);
            }
        }
    }

    fn finish(&mut self, events: &mut Vec<Event>) {
        self.position = Position::Outside;
        let message = std::mem::take(&mut self.message);
        events.push(match self.bytes > self.limit as u64 {
            true => Event::TooLong { beginning: message, bytes: self.bytes },
            false => Event::Message(message),
        });
    }
}

/// A message in its frame.
pub fn frame(message: &[u8]) -> Vec<u8> {
    let mut framed = Vec::with_capacity(message.len() + 3);
    framed.push(START);
    framed.extend_from_slice(message);
    framed.extend_from_slice(&[END, b'\r']);
    framed
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(bytes: &[u8], limit: usize, step: usize) -> (Vec<Event>, Position) {
        let (mut splitter, mut events) = (Splitter::new(limit), vec![]);
        for chunk in bytes.chunks(step.max(1)) {
            splitter.push(chunk, &mut events);
        }
        (events, splitter.position())
    }

    fn message(text: &str) -> Event {
        Event::Message(text.as_bytes().to_vec())
    }

    #[test]
    fn frames_come_out_whole_however_they_arrive() {
        let bytes = b"\x0ba\x1c\r\x0bb\x1c\r";
        for step in 1..=bytes.len() {
            assert_eq!(split(bytes, 9, step), (vec![message("a"), message("b")], Position::Outside));
        }
    }

    #[test]
    fn what_is_between_frames_is_skipped_and_told() {
        let (events, _) = split(b"GET /\x0ba\x1c\r\r\n\x0bb\x1c\rrest", 9, 3);
        assert_eq!(events, [Event::Noise { bytes: 5 }, message("a"), message("b")]);
    }

    #[test]
    fn a_start_inside_a_frame_begins_anew() {
        assert_eq!(split(b"\x0bhal\x0bb\x1c\r", 9, 9).0, [Event::Restarted { bytes: 3 }, message("b")]);
    }

    #[test]
    fn a_missing_last_byte_is_settled_by_the_next_or_by_silence() {
        assert_eq!(split(b"\x0ba\x1c\x0bb\x1c\n", 9, 9).0, [message("a"), message("b")]);
        let (mut splitter, mut events) = (Splitter::new(9), vec![]);
        splitter.push(b"\x0ba\x1c", &mut events);
        assert_eq!((events.len(), splitter.position()), (0, Position::Ending));
        splitter.settle(&mut events);
        assert_eq!((events, splitter.position()), (vec![message("a")], Position::Outside));
    }

    #[test]
    fn a_stray_end_does_not_cut_a_message_in_two() {
        assert_eq!(split(b"\x0ba\x1cb\x1c\r", 9, 9).0, [message("a\x1cb")]);
        assert_eq!(split(b"\x0ba\x1c\x1c\r", 9, 1).0, [message("a\x1c")]);
    }

    #[test]
    fn the_beginning_of_a_giant_is_the_same_however_it_arrives() {
        let bytes = [b"\x0b".as_slice(), &[b'x'; 300], &[b'y'; 300], b"\x1c\r"].concat();
        let whole = split(&bytes, 200, bytes.len());
        for step in [1, 3, 64, 250] {
            assert_eq!(split(&bytes, 200, step), whole);
        }
    }

    #[test]
    fn a_giant_is_counted_and_not_kept() {
        let mut bytes = vec![START];
        bytes.extend(vec![b'x'; 10_000]);
        bytes.extend(b"\x1c\r\x0bb\x1c\r");
        for step in [1, 7, 4096, 20_000] {
            let (events, _) = split(&bytes, 5000, step);
            let [Event::TooLong { beginning, bytes }, second] = &events[..] else { panic!("{step}") };
            assert_eq!((beginning.len(), *bytes, second), (BEGINNING, 10_000, &message("b")));
        }
        assert!(split(&[START], 5, 1).0.is_empty());
        let mut endless = vec![START];
        endless.extend(vec![b'x'; 100]);
        assert_eq!(split(&endless, 5, 3).0, [Event::Endless]);
        assert_eq!(split(&[b'x'; 8], 5, 3).0, [Event::Endless]);
    }

    proptest! {
        #[test]
        fn what_is_framed_comes_out(
            messages in prop::collection::vec("[ -~\r]{0,40}", 0..6), step in 1usize..50
        ) {
            let bytes: Vec<u8> = messages.iter().flat_map(|m| frame(m.as_bytes())).collect();
            let expected: Vec<Event> = messages.iter().map(|m| message(m)).collect();
            prop_assert_eq!(split(&bytes, 64, step), (expected, Position::Outside));
        }
    }
}
