//! Identifiers of entries, and the forms of others. All are told from the content, so that a retry makes
//! the same bytes.

use sha1::{Digest as _, Sha1};
use uuid::Uuid;

/// The namespace of our UUIDs of version 5.
const NAMESPACE: Uuid = Uuid::from_bytes([
    0x6d, 0x2f, 0x3b, 0x0e, 0x5a, 0x51, 0x4c, 0x0e, 0x9d, 0x3a, 0x1f, 0x7c, 0x42, 0x90, 0xe8, 0x15,
]);

/// `保険者番号8:記号:番号:枝番`, three colons always (R1013).
pub fn is_insured_id(id: &str) -> bool {
    let parts: Vec<&str> = id.split(':').collect();
    let [insurer, symbol, number, branch] = parts[..] else { return false };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    // The published expression forbids `^` too.
    let free = |text: &str| !text.chars().any(|c| c.is_whitespace() || c == '^' || c == '\u{3000}');
    insurer.len() == 8
        && digits(insurer)
        && free(symbol)
        && free(number)
        && (branch.is_empty() || branch.len() == 2 && digits(branch))
}

/// A UUID of version 5 (RFC 9562 5.5) of `name`.
pub fn uuid(name: &str) -> Uuid {
    let mut hash = Sha1::new();
    hash.update(NAMESPACE.as_bytes());
    hash.update(name.as_bytes());
    let digest = hash.finalize();
    let mut bytes = [0u8; 16];
    for (to, from) in bytes.iter_mut().zip(digest.iter()) {
        *to = *from;
    }
    uuid::Builder::from_sha1_bytes(bytes).into_uuid()
}

/// A short name for content that has no key of its own.
pub fn derived(parts: &[&str]) -> String {
    let text = parts.join("\u{0}");
    let id = uuid(&text).simple().to_string();
    format!("x{}", id.get(..16).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_forms() {
        for good in ["06990011:１２３:４５６７:01", "00012345::１８７:", "39990019::90012345:"] {
            assert!(is_insured_id(good), "{good}");
        }
        for bad in [
            "6990011:1:2:01",
            "06990011:1:2",
            "06990011:1 :2:",
            "06990011:1:2:1",
            "06990011:1　:2:01",
            "a:b:c:",
        ] {
            assert!(!is_insured_id(bad), "{bad}");
        }
    }

    #[test]
    fn uuids_are_of_version_five() {
        let id = uuid("a");
        assert_eq!((id.get_version_num(), id, derived(&["a", "b"]).len()), (5, uuid("a"), 17));
        assert_ne!(derived(&["a", "b"]), derived(&["ab"]));
    }
}
