//! A connection means the same in every split: the same messages, and the same end. None is longer than the limit, and
//! each, framed again, comes out again. The header's reader takes or refuses whatever is in them.
#![no_main]

use chiren_fuzz::chunks;
use chiren_fuzz::wire::atna::frames::{Broken, LONGEST, Splitter, frame};
use chiren_fuzz::wire::atna::syslog;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (whole, end) = split(std::iter::once(data));
    assert_eq!((whole.clone(), end), split(chunks(data)));
    for message in whole {
        assert!(message.len() <= LONGEST);
        if let Ok(read) = syslog::read(&message) {
            assert!(message.ends_with(read.body));
        }
        assert_eq!(split(std::iter::once(frame(&message).as_slice())), (vec![message], None));
    }
});

fn split<'d>(pieces: impl Iterator<Item = &'d [u8]>) -> (Vec<Vec<u8>>, Option<Broken>) {
    let (mut splitter, mut messages) = (Splitter::default(), vec![]);
    for piece in pieces {
        if let Err(broken) = splitter.push(piece, &mut messages) {
            return (messages, Some(broken));
        }
    }
    (messages, None)
}
