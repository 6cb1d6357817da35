//! A connection means the same in every split: the same messages, and the same reports of what was no message. None
//! is longer than the limit, and each, framed again, comes out again.
#![no_main]

use chiren_fuzz::chunks;
use chiren_fuzz::wire::hl7v2::mllp::{Event, Position, Splitter, frame};
use libfuzzer_sys::fuzz_target;

const LIMIT: usize = 200;

fuzz_target!(|data: &[u8]| {
    let whole = split(std::iter::once(data));
    assert_eq!(whole, split(chunks(data)));
    let mut bytes = 0;
    for event in whole {
        match event {
            Event::Message(message) => {
                assert!(message.len() <= LIMIT);
                bytes += message.len() as u64;
                assert_eq!(split(std::iter::once(frame(&message).as_slice())), [Event::Message(message)]);
            }
            Event::TooLong { beginning, bytes: counted } => {
                assert!(counted > LIMIT as u64 && beginning.len() as u64 <= counted);
                bytes += counted;
            }
            Event::Restarted { bytes: counted } | Event::Noise { bytes: counted } => bytes += counted,
            Event::Endless => {}
        }
    }
    assert!(bytes <= data.len() as u64, "more came out than went in");
});

fn split<'d>(pieces: impl Iterator<Item = &'d [u8]>) -> Vec<Event> {
    let (mut splitter, mut events) = (Splitter::new(LIMIT), Vec::new());
    for piece in pieces {
        splitter.push(piece, &mut events);
    }
    splitter.settle(&mut events);
    assert!(splitter.position() != Position::Ending);
    events
}
