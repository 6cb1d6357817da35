//! Whatever stands in an Authorization header or a JWK Set, what is read of a token was signed as it stands there, and by
//! an algorithm that is none of the confusing ones.
#![no_main]

use chiren_fuzz::model::token::JwsAlgorithm;
use chiren_fuzz::wire::jwt;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = jwt::key_set(text);
    let token = jwt::bearer(text).unwrap_or(text);
    let Ok((read, signed)) = jwt::read(token) else { return };
    // What is verified is the very text up to the signature.
    assert!(token.as_bytes().starts_with(&signed.message));
    assert_eq!(token.as_bytes()[signed.message.len()], b'.');
    assert!(JwsAlgorithm::ALL.contains(&signed.algorithm));
    assert!(read.id.is_none_or(|id| !id.is_empty()));
    // Read again it is the same.
    assert_eq!(jwt::read(token).map(|(_, signed)| signed), Ok(signed));
});
