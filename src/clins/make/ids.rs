//! Identifiers: the Bundle's, its entries', the institution's. All are told from the content, so that a retry makes
//! the same bytes.

use sha1::Sha1;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::Kind;

/// The namespace of our UUIDs of version 5.
const NAMESPACE: Uuid = Uuid::from_bytes([
    0x6d, 0x2f, 0x3b, 0x0e, 0x5a, 0x51, 0x4c, 0x0e, 0x9d, 0x3a, 0x1f, 0x7c, 0x42, 0x90, 0xe8, 0x15,
]);

/// RFC 4648, without padding: letters and digits that the local part of a Bundle-ID takes.
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Characters of 130 bits.
const LETTERS: usize = 26;

/// `[0-4][0-9][1-3][0-9]{7}`: prefecture, 点数表番号, seven digits (R9012).
pub fn is_institution(number: &str) -> bool {
    let bytes = number.as_bytes();
    bytes.len() == 10
        && bytes.iter().all(u8::is_ascii_digit)
        && matches!(bytes.first(), Some(b'0'..=b'4'))
        && matches!(bytes.get(2), Some(b'1'..=b'3'))
}

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

/// The local part of a Bundle-ID: the letter of its kind and 130 bits of (institution, lineage id).
pub fn local_part(kind: Kind, institution: &str, lineage: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(institution.as_bytes());
    hash.update([0]);
    hash.update(lineage.as_bytes());
    let digest = hash.finalize();
    let mut out = String::with_capacity(1 + LETTERS);
    out.push(kind.letter());
    let (mut bits, mut held) = (0u32, 0u32);
    for byte in digest.iter() {
        if out.len() > LETTERS {
            break;
        }
        bits = (bits << 8) | u32::from(*byte);
        held += 8;
        while held >= 5 && out.len() <= LETTERS {
            held -= 5;
            let index = (bits >> held) & 31;
            let at = usize::try_from(index).unwrap_or_default();
            let letter = BASE32.get(at).copied().unwrap_or(b'A');
            out.push(char::from(letter));
        }
        bits &= (1 << held) - 1;
    }
    out
}

/// 文書ID: `<institution>^<year>^<local part>`; the year is that of first creation, in Japan.
pub fn bundle_id(kind: Kind, institution: &str, lineage: &str, year: i16) -> String {
    format!("{institution}^{year}^{}", local_part(kind, institution, lineage))
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
        for good in ["1319900018", "0110000000", "4739999999"] {
            assert!(is_institution(good), "{good}");
        }
        for bad in ["131990001", "13199000181", "5319900018", "1349900018", "131990001x", "１319900018"] {
            assert!(!is_institution(bad), "{bad}");
        }
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
    fn a_bundle_id_is_the_same_for_the_same_lineage() {
        let id = bundle_id(Kind::Conditions, "1319900018", "conditions:1", 2026);
        assert_eq!(id, bundle_id(Kind::Conditions, "1319900018", "conditions:1", 2026));
        let (head, local) = id.rsplit_once('^').unwrap();
        assert_eq!((head, local.len()), ("1319900018^2026", 27));
        assert!(local.bytes().all(|b| b.is_ascii_alphanumeric()) && local.starts_with('C'));
        assert_ne!(id, bundle_id(Kind::Conditions, "1319900018", "conditions:2", 2026));
        assert_ne!(id, bundle_id(Kind::Conditions, "1319900026", "conditions:1", 2026));
        // RFC 4648 by hand: the first five bits of the digest are the first letter.
        let digest = {
            let mut hash = Sha256::new();
            hash.update(b"1319900018\0conditions:1");
            hash.finalize()
        };
        assert_eq!(local.as_bytes()[1], BASE32[usize::from(digest[0] >> 3)]);
        assert_eq!(local.as_bytes()[2], BASE32[usize::from((digest[0] & 7) << 2 | digest[1] >> 6)]);
    }

    #[test]
    fn uuids_are_of_version_five() {
        let id = uuid("a");
        assert_eq!((id.get_version_num(), id, derived(&["a", "b"]).len()), (5, uuid("a"), 17));
        assert_ne!(derived(&["a", "b"]), derived(&["ab"]));
    }
}
