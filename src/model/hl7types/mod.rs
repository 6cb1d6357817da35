//! The HL7 v2.5 data types that appear inside XDS metadata (ITI TF-3 Table 4.2.3.1.7-2): one parser and
//! one printer each.
//!
//! Metadata always uses the default delimiters `^ & ~ \`. Values are split first and unescaped after, so
//! an escaped delimiter never parts a value; printers escape what they write. HL7's component lengths are
//! not enforced, the 256 characters of a slot value are the caller's concern.

pub mod cx;
pub mod dtm;
pub mod hd;
pub mod xcn;
pub mod xon;
pub mod xtn;

pub use cx::{Cx, Cxi};
pub use dtm::Dtm;
pub use hd::Hd;
pub use xcn::Xcn;
pub use xon::Xon;
pub use xtn::Xtn;

use std::borrow::Cow;
use std::fmt;

/// Why a value is not of its type. Each message continues the sentence "the value …".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Hl7Error {
    #[error("is empty")]
    Empty,
    #[error("has no id in component 1; write id^^^&OID&ISO")]
    MissingId,
    #[error("has no assigning authority; write id^^^&OID&ISO")]
    MissingAuthority,
    #[error("has an assigning authority that is not &OID&ISO")]
    BadAuthority,
    #[error("has text in component {0}, which must be empty")]
    UnexpectedComponent(u8),
    #[error("has no identifier type code in component 5; write id^^^&OID&ISO^type")]
    MissingType,
    #[error("has a homeCommunityId in component 6 that is not urn:oid: and an OID")]
    BadHome,
    #[error("has neither an id (component 1) nor a family name (component 2)")]
    MissingPerson,
    #[error("has no organization name in component 1")]
    MissingName,
    #[error("has an organization id that is no OID, so component 6 must be &OID&ISO")]
    MissingOrganizationAuthority,
    #[error("has no telecommunication type in component 3; write ^^Internet^address or ^use^PH^^^^number")]
    MissingEquipment,
    #[error("has no e-mail address in component 4")]
    MissingAddress,
    #[error("has a use code in component 2 that contradicts Internet in component 3; write NET or nothing")]
    BadUse,
    #[error("has no subscriber number in component 7")]
    MissingNumber,
    #[error("is not of the form YYYY[MM[DD[hh[mm[ss]]]]]")]
    BadTimeForm,
    #[error("is no point in the calendar")]
    BadCalendar,
}

/// The components of a value (parted by `^`), still escaped.
fn components(value: &str) -> impl Iterator<Item = &str> {
    value.split('^')
}

/// Component `number` (counted from 1, as HL7 does), still escaped; empty if absent.
fn component<'a>(parts: &[&'a str], number: usize) -> &'a str {
    parts.get(number.wrapping_sub(1)).copied().unwrap_or_default()
}

/// The first component with text whose number is not in `allowed`.
fn unexpected(parts: &[&str], allowed: &[usize]) -> Option<Hl7Error> {
    let (i, _) = parts.iter().enumerate().find(|(i, p)| !p.is_empty() && !allowed.contains(&(i + 1)))?;
    Some(Hl7Error::UnexpectedComponent(u8::try_from(i + 1).unwrap_or(u8::MAX)))
}

/// Replaces the five delimiter escapes `\F\ \S\ \R\ \T\ \E\`; every other backslash stays as it is.
pub fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let plain = match rest.as_bytes().get(..3) {
            Some(br"\F\") => '|',
            Some(br"\S\") => '^',
            Some(br"\R\") => '~',
            Some(br"\T\") => '&',
            Some(br"\E\") => '\\',
            _ => {
                out.push('\\');
                rest = &rest[1..];
                continue;
            }
        };
        out.push(plain);
        rest = &rest[3..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Writes the delimiters of `text` as escapes.
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(['|', '^', '~', '&', '\\']) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '|' => out.push_str(r"\F\"),
            '^' => out.push_str(r"\S\"),
            '~' => out.push_str(r"\R\"),
            '&' => out.push_str(r"\T\"),
            '\\' => out.push_str(r"\E\"),
            _ => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// Writes components parted by `^` without trailing delimiters. Each entry is already escaped.
fn write_components(f: &mut fmt::Formatter<'_>, parts: &[Cow<'_, str>]) -> fmt::Result {
    let used = parts.iter().rposition(|p| !p.is_empty()).map_or(0, |last| last + 1);
    for (i, part) in parts.iter().take(used).enumerate() {
        if i > 0 {
            f.write_str("^")?;
        }
        f.write_str(part)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn unknown_escapes_and_lone_backslashes_stay() {
        assert_eq!(unescape(r"D\E\TP"), r"D\TP");
        assert_eq!(unescape(r"\X41\"), r"\X41\");
        assert_eq!(unescape(r"a\"), r"a\");
        assert_eq!(unescape(r"\E\S\"), r"\S\");
    }

    proptest! {
        #[test]
        fn escaping_round_trips(text in "[\\PC^&~|\\\\FSRTE]{0,40}") {
            let escaped = escape(&text).into_owned();
            prop_assert!(!escaped.contains(['^', '&', '~', '|']));
            prop_assert_eq!(unescape(&escaped), text.as_str());
        }

        #[test]
        fn no_parser_panics(text in "[\\PC^&|\\\\0-9.]{0,80}") {
            let _ = Cx::parse(&text);
            let _ = Cxi::parse(&text);
            let _ = Xcn::parse(&text);
            let _ = Xon::parse(&text);
            let _ = Xtn::parse(&text);
            let _ = Dtm::parse(&text);
            let _ = Hd::parse(&text);
        }
    }
}
