//! 文書ID (Bundle-ID): `<institution>^<YYYY>^<1–36 of A-Z a-z 0-9 ->`, unique per institution and year
//! (national-service, 2.2). Made once for a lineage and kept; never made anew.

use sha2::{Digest as _, Sha256};

use super::is_institution;

/// `Bundle.identifier.system`.
pub const SYSTEM: &str = "http://jpfhir.jp/fhir/clins/bundle-identifier";

/// RFC 4648, without padding: letters and digits that the local part takes.
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The id of a lineage first sent in `year` (JST): a letter for its kind and 130 bits of a hash, in base32.
pub fn make(institution: &str, year: i16, letter: char, lineage: &str) -> String {
    let hash = Sha256::digest(format!("{institution}\0{lineage}"));
    let mut local = String::with_capacity(27);
    local.push(letter);
    let (mut bits, mut held) = (0u32, 0u32);
    for byte in hash.iter() {
        bits = (bits << 8) | u32::from(*byte);
        held += 8;
        while held >= 5 && local.len() < 27 {
            held -= 5;
            local.push(BASE32.get(((bits >> held) & 31) as usize).copied().map_or('A', char::from));
        }
        bits &= 0xff;
    }
    format!("{institution}^{year:04}^{local}")
}

/// The institution of a well-formed id.
pub fn institution(value: &str) -> Option<&str> {
    let mut parts = value.split('^');
    let (Some(institution), Some(year), Some(local), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    let year_fits = year.len() == 4
        && (year.starts_with("202") || year.starts_with("203"))
        && year.bytes().all(|b| b.is_ascii_digit());
    let local_fits =
        (1..=36).contains(&local.len()) && local.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    (is_institution(institution) && year_fits && local_fits).then_some(institution)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_well_formed_and_always_the_same() {
        let id = make("1319900018", 2026, 'R', "doc:urn:uuid:1");
        assert_eq!(id, make("1319900018", 2026, 'R', "doc:urn:uuid:1"));
        assert_ne!(id, make("1319900018", 2026, 'R', "doc:urn:uuid:2"));
        assert_eq!(institution(&id), Some("1319900018"));
        assert_eq!(id.len(), 10 + 1 + 4 + 1 + 27, "{id}");
        assert_ne!(id, make("1319900026", 2026, 'R', "doc:urn:uuid:1"));
    }

    /// RFC 4648 by hand: the first five bits of the digest are the first letter.
    #[test]
    fn the_hash_is_written_in_base32() {
        let id = make("1319900018", 2026, 'C', "conditions:1");
        let (head, local) = id.rsplit_once('^').unwrap();
        assert_eq!((head, &local[..1]), ("1319900018^2026", "C"));
        let digest = Sha256::digest(b"1319900018\0conditions:1");
        assert_eq!(local.as_bytes()[1], BASE32[usize::from(digest[0] >> 3)]);
        assert_eq!(local.as_bytes()[2], BASE32[usize::from((digest[0] & 7) << 2 | digest[1] >> 6)]);
    }

    #[test]
    fn ids_of_another_form_are_not_taken() {
        assert_eq!(institution("1319900018^2025^REF-0001"), Some("1319900018"));
        for bad in [
            "1319900018^1999^A",
            "1319900018^2025^",
            "1319900018^2025^A^B",
            "131990001^2025^A",
            "1319900018^2025^あ",
        ] {
            assert_eq!(institution(bad), None, "{bad}");
        }
    }
}
