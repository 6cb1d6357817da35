//! The floors that face bytes, compiled without the rest of the house.
//!
//! `wire` imports only `model`, `clins` these and `fhirpath`, so they are included by path: a fuzz build then takes seconds and
//! needs no TLS or database library under the sanitizer.
#![forbid(unsafe_code)]

#[path = "../../src/clins/mod.rs"]
pub mod clins;
#[path = "../../src/fhirpath/mod.rs"]
pub mod fhirpath;
#[path = "../../src/model/mod.rs"]
pub mod model;
#[path = "../../src/wire/mod.rs"]
pub mod wire;

/// Cuts `data` into chunks of one to a few bytes, or now and then many. The sizes follow from the
/// data, so that seeds are plain messages and every finding can be repeated.
pub fn chunks(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut seed = data.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    }) | 1;
    let mut rest = data;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let size = if seed.is_multiple_of(8) { 64 } else { 1 + (seed >> 32) as usize % 6 };
        let (chunk, tail) = rest.split_at(size.min(rest.len()));
        rest = tail;
        Some(chunk)
    })
}
