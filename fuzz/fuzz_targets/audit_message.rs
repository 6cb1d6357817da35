//! Whatever is sent as an audit message is refused or read; what was read, written and read again, is the same.
#![no_main]

use chiren_fuzz::wire::atna::{read, write};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(message) = read(data) else { return };
    let written = write(&message);
    let again = read(written.as_bytes()).expect("what we write can be read");
    // Once written, nothing changes any more.
    assert_eq!(write(&again), written);
});
