//! What is JSON is written as it was read and reads the same again, numbers and order included. The checker finds an end
//! of everything, and the same twice; what it finds names an element. The input is a Bundle, or a resource.
#![no_main]

use std::sync::LazyLock;

use chiren_fuzz::clins::bundle;
use chiren_fuzz::clins::check::{Checker, Mode};
use chiren_fuzz::clins::normalise::{EntryProfiles, normalise};
use chiren_fuzz::fhirpath::{Expression, Json};
use libfuzzer_sys::fuzz_target;

/// The packages of `CHIREN_NATIONAL_PACKAGES`; without them FHIR R4 alone is checked.
static CHECKER: LazyLock<Option<Checker>> = LazyLock::new(|| {
    let paths: Vec<_> = std::env::split_paths(&std::env::var_os("CHIREN_NATIONAL_PACKAGES")?).collect();
    Checker::load(&paths).ok()
});

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = Expression::parse(text);
    }
    let Ok(mut json) = Json::parse(data) else { return };
    let written = json.to_bytes();
    assert_eq!(Json::parse(&written).as_ref(), Ok(&json), "what is written reads the same");
    let _ = bundle::facts(&json);
    if let Some(checker) = &*CHECKER {
        for mode in [Mode::Published, Mode::Intended] {
            let found = checker.check_value(&json, mode);
            assert!(found.iter().all(|f| !f.path.is_empty() && !f.rule.is_empty()));
            assert_eq!(found, checker.check(&written, mode), "the same is found twice");
        }
    }
    normalise(&mut json, EntryProfiles::Unversioned);
    assert!(normalise(&mut json, EntryProfiles::Unversioned).is_empty(), "normalising once is enough");
});
