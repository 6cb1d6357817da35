//! Identifiers: OIDs, entryUUIDs, document uniqueIds and homeCommunityIds. ITI TF-3 Table 4.2.3.1.7-2.

use std::fmt;
use uuid::Uuid;

/// Longest OID the framework allows (ITI TF-2x Appendix B).
pub const OID_MAX: usize = 64;
/// Longest DocumentEntry.uniqueId we accept.
pub const UNIQUE_ID_MAX: usize = 128;

const UUID_URN: &str = "urn:uuid:";
const OID_URN: &str = "urn:oid:";

/// Whether `s` is written as an OID: at least two arcs of digits parted by dots, no leading zeros, 64
/// characters at most. The first arc's range is not judged: senders in the field use `129.6.58.92.1.1`.
pub fn is_oid(s: &str) -> bool {
    s.len() <= OID_MAX && s.contains('.') && s.split('.').all(is_arc)
}

fn is_arc(arc: &str) -> bool {
    !arc.is_empty() && arc.bytes().all(|b| b.is_ascii_digit()) && (arc == "0" || !arc.starts_with('0'))
}

/// An ISO object identifier.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Oid(String);

impl Oid {
    /// `None` if the text is not an OID; see [`is_oid`].
    pub fn parse(s: &str) -> Option<Self> {
        is_oid(s).then(|| Self(s.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether an object id is an entryUUID: `urn:uuid:` and a UUID. Every other id is symbolic, local to its
/// request. ITI TF-3 4.2.3.1.5.
pub fn is_entry_uuid(id: &str) -> bool {
    EntryUuid::parse(id).is_some()
}

/// The registry's name for one version of one object, ITI TF-3 4.2.3.2.7. Written in lower case (ITI TF-3
/// 4.2.3.1.5) and read in either: upper case is the same UUID (RFC 9562, 4), and taking it for a symbolic
/// id would give the object another name than its sender did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryUuid(Uuid);

impl EntryUuid {
    /// `None` if the id is symbolic.
    pub fn parse(id: &str) -> Option<Self> {
        // Of the forms `Uuid` reads, the one with hyphens alone has this length.
        let hex = id.strip_prefix(UUID_URN).filter(|hex| hex.len() == 36)?;
        Uuid::try_parse(hex).ok().map(Self)
    }

    pub fn uuid(self) -> Uuid {
        self.0
    }
}

impl From<Uuid> for EntryUuid {
    fn from(uuid: Uuid) -> Self {
        Self(uuid)
    }
}

impl fmt::Display for EntryUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{UUID_URN}{}", self.0.hyphenated())
    }
}

/// A community in XCA: `urn:oid:` and an OID. ITI TF-3 4.2.3.2.12.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HomeCommunityId(Oid);

impl HomeCommunityId {
    /// `None` unless the text is `urn:oid:` followed by an OID.
    pub fn parse(s: &str) -> Option<Self> {
        Oid::parse(s.strip_prefix(OID_URN)?).map(Self)
    }

    pub fn oid(&self) -> &Oid {
        &self.0
    }
}

impl From<Oid> for HomeCommunityId {
    fn from(oid: Oid) -> Self {
        Self(oid)
    }
}

impl fmt::Display for HomeCommunityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{OID_URN}{}", self.0)
    }
}

/// Why a text is no DocumentEntry.uniqueId.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UniqueIdError {
    #[error("is empty")]
    Empty,
    #[error("is longer than {UNIQUE_ID_MAX} characters")]
    TooLong,
    #[error("holds a character outside printable ASCII (33 to 126)")]
    Character,
    #[error("looks like a path or hides characters behind percent signs")]
    PathLike,
    #[error("is neither an OID, OID^extension, urn:uuid: nor another URI")]
    Form,
}

/// Checks a DocumentEntry.uniqueId: an OID, `root^extension`, a `urn:uuid:`, or another URI, of at most
/// 128 printable ASCII characters. Anything that could steer a file system is refused, though no file is
/// ever named after it. ITI TF-3 4.2.3.2.26.
pub fn check_unique_id(s: &str) -> Result<(), UniqueIdError> {
    if s.is_empty() {
        return Err(UniqueIdError::Empty);
    }
    if s.chars().count() > UNIQUE_ID_MAX {
        return Err(UniqueIdError::TooLong);
    }
    if !s.bytes().all(|b| (33..=126).contains(&b)) {
        return Err(UniqueIdError::Character);
    }
    if is_path_like(s) {
        return Err(UniqueIdError::PathLike);
    }
    if is_oid(s) || is_root_and_extension(s) || is_uri(s) { Ok(()) } else { Err(UniqueIdError::Form) }
}

/// `..`, a backslash, or either of them or a control character once percent-decoded.
fn is_path_like(s: &str) -> bool {
    let mut decoded = Vec::with_capacity(s.len());
    let mut bytes = s.bytes();
    while let Some(b) = bytes.next() {
        if b != b'%' {
            decoded.push(b);
            continue;
        }
        let hex =
            |b: Option<u8>| b.and_then(|b| char::from(b).to_digit(16)).and_then(|d| u8::try_from(d).ok());
        match (hex(bytes.next()), hex(bytes.next())) {
            (Some(high), Some(low)) => decoded.push(high * 16 + low),
            _ => return true,
        }
    }
    // A percent sign that survives decoding would hide one more layer.
    decoded.iter().any(|b| b.is_ascii_control() || matches!(b, b'\\' | b'%'))
        || decoded.windows(2).any(|pair| pair == b"..")
}

/// HL7 v3 instance identifier: root (OID or UUID) and extension joined by `^`.
fn is_root_and_extension(s: &str) -> bool {
    s.split_once('^').is_some_and(|(root, extension)| {
        !extension.is_empty() && (is_oid(root) || (root.len() == 36 && Uuid::try_parse(root).is_ok()))
    })
}

fn is_uri(s: &str) -> bool {
    let Some((scheme, rest)) = s.split_once(':') else { return false };
    if rest.is_empty() {
        return false;
    }
    match scheme.to_ascii_lowercase().as_str() {
        "urn" => is_urn(rest),
        // A path by another name.
        "file" => false,
        // One letter is a drive, not a scheme.
        name => {
            name.len() > 1
                && name.starts_with(|c: char| c.is_ascii_alphabetic())
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'.' | b'-'))
        }
    }
}

/// The part after `urn:`; the two namespaces that have a syntax of their own are held to it.
fn is_urn(rest: &str) -> bool {
    let Some((namespace, specific)) = rest.split_once(':') else { return false };
    match namespace.to_ascii_lowercase().as_str() {
        "uuid" => specific.len() == 36 && Uuid::try_parse(specific).is_ok(),
        "oid" => is_oid(specific),
        name => !name.is_empty() && !specific.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oids_are_judged_by_their_characters() {
        for good in ["1.2", "2.999.1.1026.1", "1.0.5", "129.6.58.92.1.1"] {
            assert!(is_oid(good), "{good}");
        }
        let long = format!("1.{}", "2".repeat(63));
        for bad in ["", "1", "1.", ".1", "1..2", "1.02", "1.2a", "1.2 ", "urn:oid:1.2", &long] {
            assert!(!is_oid(bad), "{bad}");
        }
    }

    #[test]
    fn entry_uuids_are_written_in_lower_case() {
        let uuid = "urn:uuid:08a15a6f-5b4a-42de-8f95-89474f83abdf";
        let upper = "urn:uuid:08A15A6F-5B4A-42DE-8F95-89474F83ABDF";
        for read in [uuid, upper] {
            assert_eq!(EntryUuid::parse(read).unwrap().to_string(), uuid);
        }
        for symbolic in [
            "Document01",
            "08a15a6f-5b4a-42de-8f95-89474f83abdf",
            "urn:uuid:08a15a6f",
            "urn:uuid:08a15a6f-5b4a-42de-8f95-89474f83abdg",
            "urn:uuid:08a15a6f5b4a42de8f9589474f83abdf",
            "urn:uuid:{08a15a6f-5b4a-42de-8f95-89474f83abdf}",
            "urn:uuid:",
        ] {
            assert!(!is_entry_uuid(symbolic), "{symbolic}");
        }
    }

    #[test]
    fn home_community_ids_are_oid_urns() {
        let home = HomeCommunityId::parse("urn:oid:1.2.392.9.8").unwrap();
        assert_eq!(home.oid().as_str(), "1.2.392.9.8");
        assert_eq!(home.to_string(), "urn:oid:1.2.392.9.8");
        assert_eq!(HomeCommunityId::parse("1.2.392.9.8"), None);
        assert_eq!(HomeCommunityId::parse("urn:oid:x"), None);
    }

    #[test]
    fn unique_ids_take_the_forms_of_the_framework() {
        for good in [
            "1.2.392.9.5.1",
            "2.999.78901.2345.6.7^123456",
            "1.2.3^1234567_20250401_OMP-01_000000000000001_20250401120000000_01_1",
            "08a15a6f-5b4a-42de-8f95-89474f83abdf^ext",
            "urn:uuid:08A15A6F-5B4A-42DE-8F95-89474F83ABDF",
            "urn:ihe:document:1",
            "http://fhir.example.jp/DocumentReference/1",
            "https://example.jp/a%20b",
        ] {
            assert_eq!(check_unique_id(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn unique_ids_that_steer_a_file_system_are_refused() {
        use UniqueIdError::*;
        let long = format!("1.2.3^{}", "x".repeat(123));
        for (bad, why) in [
            ("", Empty),
            (long.as_str(), TooLong),
            ("1.2.3^患者", Character),
            ("1.2.3 ", Character),
            ("../../../tmp/evil", PathLike),
            ("2.999.7.1%00.xml", PathLike),
            ("http://x/%2e%2E/y", PathLike),
            ("http://x/%252e", PathLike),
            ("1.2.3^a\\b", PathLike),
            ("http://x/%zz", PathLike),
            ("file:///etc/passwd", Form),
            ("C:/x", Form),
            ("document-1", Form),
            ("/etc/passwd", Form),
            ("1.2.3^", Form),
            ("urn:uuid:1", Form),
            ("urn:oid:1.02", Form),
            ("08a15a6f-5b4a-42de-8f95-89474f83abdf", Form),
        ] {
            assert_eq!(check_unique_id(bad), Err(why), "{bad}");
        }
    }
}
