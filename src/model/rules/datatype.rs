//! What each [`DataType`] accepts. Lenient where senders are known to stray without harm (size with leading
//! zeros, `en-us`, odd sourcePatientInfo), exact where a wrong value would be found by nobody later.

use super::table::{Column, DataType};
use crate::model::hl7types::{Cx, Cxi, Dtm, Xcn, Xon, Xtn};
use crate::model::ids::{HomeCommunityId, check_unique_id, is_oid};
use crate::model::metadata::AssociationType;
use crate::model::uuids::{document_availability, object_type};

/// What is wrong with a value, as the end of the sentence "the value …".
pub(super) type Fault = String;

/// Checks one value that is text in itself. Codes, authors and flags are structures and checked where
/// their structure is; they pass here.
pub(super) fn check(data_type: DataType, value: &str, column: Column) -> Result<(), Fault> {
    match data_type {
        DataType::Text(max) => length(value, max),
        DataType::EntryId
        | DataType::Ignored
        | DataType::Code(_)
        | DataType::Author
        | DataType::Flag
        | DataType::SourcePatientInfo => Ok(()),
        DataType::DocumentEntryType => document_entry_type(value, column),
        DataType::Oid => {
            holds(is_oid(value), "is not an OID (digits and dots, no leading zeros, 64 characters at most)")
        }
        DataType::OidUrn => holds(HomeCommunityId::parse(value).is_some(), "is not urn:oid: and an OID"),
        DataType::UniqueId => check_unique_id(value).map_err(|e| e.to_string()),
        DataType::Cx => Cx::parse(value).map(drop).map_err(|e| e.to_string()),
        DataType::Cxi => Cxi::parse(value).map(drop).map_err(|e| e.to_string()),
        DataType::Xcn => Xcn::parse(value).map(drop).map_err(|e| e.to_string()),
        DataType::Dtm => Dtm::parse(value).map(drop).map_err(|e| e.to_string()),
        DataType::Sha1Hex => holds(
            value.len() == 40 && value.bytes().all(|b| b.is_ascii_hexdigit()),
            "is not a SHA-1 hash of 40 hexadecimal digits",
        ),
        DataType::Size => holds(is_number(value), "is not a number of octets in decimal digits"),
        DataType::Language => holds(is_language(value), "is not a language tag of RFC 5646 such as ja-JP"),
        DataType::MimeType => holds(is_mime_type(value), "is not a media type such as application/pdf"),
        DataType::Uri => holds(
            !value.chars().any(|c| c.is_whitespace() || c.is_control()),
            "is not a URI: it holds blanks or control characters",
        ),
        DataType::Version => holds(
            is_number(value) && value.bytes().any(|b| b != b'0'),
            "is not a version number of 1 or more",
        ),
        DataType::IntendedRecipient => intended_recipient(value),
        DataType::DocumentAvailability => holds(
            document_availability::ALL.contains(&value),
            "is not urn:ihe:iti:2010:DocumentAvailability:Online or …:Offline",
        ),
        DataType::AssociationType => holds(
            AssociationType::from_urn(value).is_some(),
            "is not an association type of the framework; types are whole URNs such as \
             urn:ihe:iti:2007:AssociationType:RPLC",
        ),
        DataType::SubmissionSetStatus => {
            holds(matches!(value, "Original" | "Reference"), "is neither Original nor Reference")
        }
    }
}

fn holds(condition: bool, fault: &str) -> Result<(), Fault> {
    if condition { Ok(()) } else { Err(fault.to_owned()) }
}

/// Counted in characters, as XML Schema counts.
pub(super) fn length(value: &str, max: usize) -> Result<(), Fault> {
    // Bytes are never fewer than characters, so most values are settled without counting.
    if value.len() <= max {
        return Ok(());
    }
    let characters = value.chars().count();
    if characters <= max {
        Ok(())
    } else {
        Err(format!("has {characters} characters; at most {max} are allowed"))
    }
}

/// ITI-41 and ITI-42 carry stable entries only, ITI-61 on-demand entries only.
fn document_entry_type(value: &str, column: Column) -> Result<(), Fault> {
    let (right, name) = match column {
        Column::OnDemand => (object_type::ON_DEMAND, "an on-demand"),
        _ => (object_type::STABLE, "a stable"),
    };
    if value == right {
        Ok(())
    } else {
        Err(format!("is not {name} DocumentEntry ({right}), as {} sends", column.label()))
    }
}

fn is_number(value: &str) -> bool {
    value.bytes().all(|b| b.is_ascii_digit()) && value.parse::<u64>().is_ok()
}

fn is_language(value: &str) -> bool {
    let mut tags = value.split('-');
    let subtag = |t: &str| (1..=8).contains(&t.len()) && t.bytes().all(|b| b.is_ascii_alphanumeric());
    tags.next().is_some_and(|t| subtag(t) && t.bytes().all(|b| b.is_ascii_alphabetic())) && tags.all(subtag)
}

/// The type and subtype of a media type, without its parameters.
pub(super) fn mime_essence(value: &str) -> &str {
    value.split(';').next().unwrap_or_default().trim()
}

fn is_mime_type(value: &str) -> bool {
    let token = |t: &str| {
        !t.is_empty() && t.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
    };
    mime_essence(value).split_once('/').is_some_and(|(kind, sub)| token(kind) && token(sub))
        && !value.chars().any(char::is_control)
}

/// `XON|XCN|XTN` with at least one of the three. ITI TF-3 4.2.3.3.7.
fn intended_recipient(value: &str) -> Result<(), Fault> {
    let parts: Vec<&str> = value.split('|').collect();
    if parts.len() > 3 {
        return Err("has more than the three parts organization|person|telecommunication".to_owned());
    }
    if parts.iter().all(|p| p.is_empty()) {
        return Err("names no organization, person or telecommunication address".to_owned());
    }
    let part = |i: usize| parts.get(i).copied().filter(|p| !p.is_empty());
    if let Some(organization) = part(0) {
        Xon::parse(organization).map_err(|e| format!("names an organization that {e}"))?;
    }
    if let Some(person) = part(1) {
        Xcn::parse(person).map_err(|e| format!("names a person that {e}"))?;
    }
    if let Some(address) = part(2) {
        Xtn::parse(address).map_err(|e| format!("gives a telecommunication address that {e}"))?;
    }
    Ok(())
}

/// What is odd about sourcePatientInfo: never an error, for senders vary and nobody computes with it.
/// ITI TF-3 4.2.3.2.23.
pub(super) fn source_patient_info<'v>(values: &[&'v str]) -> Vec<(&'v str, &'static str)> {
    let mut odd = vec![];
    let (mut birth_dates, mut sexes) = (0, 0);
    for value in values {
        let number = value
            .split_once('|')
            .and_then(|(field, _)| field.strip_prefix("PID-"))
            .and_then(|n| n.parse::<u8>().ok())
            .filter(|n| (1..=39).contains(n));
        match number {
            None => odd.push((*value, "is not of the form PID-n|value; kept as it is")),
            Some(7) => {
                birth_dates += 1;
                if birth_dates == 2 {
                    odd.push((*value, "gives PID-7 (date of birth) again; once is allowed"));
                }
            }
            Some(8) => {
                sexes += 1;
                if sexes == 2 {
                    odd.push((*value, "gives PID-8 (sex) again; once is allowed"));
                }
            }
            Some(2 | 4 | 12 | 19) => {
                odd.push((*value, "gives a PID field that should not be sent (2, 4, 12, 19)"))
            }
            Some(_) => {}
        }
    }
    odd
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(data_type: DataType, value: &str) -> bool {
        check(data_type, value, Column::DocumentSource).is_ok()
    }

    #[test]
    fn what_stray_senders_write_is_accepted() {
        assert!(accepts(DataType::Size, "061224"));
        assert!(accepts(DataType::Language, "en-us"));
        assert!(accepts(DataType::Oid, "129.6.58.92.1.1"));
        assert!(accepts(DataType::Sha1Hex, "E543712C0E10501972DE13A5BFCBE826C49FEB75"));
        assert!(accepts(DataType::MimeType, "text/xml; charset=UTF-8"));
    }

    #[test]
    fn each_type_refuses_what_is_not_of_it() {
        for (data_type, bad) in [
            (DataType::Text(3), "四文字で"),
            (DataType::Oid, "1.02"),
            (DataType::OidUrn, "1.2.3"),
            (DataType::UniqueId, "../x"),
            (DataType::Cx, "1^^^&1.2&ISO^PI"),
            (DataType::Cxi, "1^^^&1.2&ISO"),
            (DataType::Xcn, "^^x"),
            (DataType::Dtm, "2025-04-01"),
            (DataType::Sha1Hex, "e543"),
            (DataType::Size, "-1"),
            (DataType::Size, "+1"),
            (DataType::Size, "99999999999999999999"),
            (DataType::Language, "日本語"),
            (DataType::Language, "ja_JP"),
            (DataType::MimeType, "pdf"),
            (DataType::MimeType, "text/"),
            (DataType::Uri, "a b"),
            (DataType::Version, "0"),
            (DataType::Version, "1.1"),
            (DataType::IntendedRecipient, "||"),
            (DataType::IntendedRecipient, "A|^B|^^Internet^a@b|x"),
            (DataType::IntendedRecipient, "A|^^x"),
            (DataType::IntendedRecipient, "A^L"),
            (DataType::IntendedRecipient, "||03-1234"),
            (DataType::DocumentAvailability, "Online"),
            (DataType::AssociationType, "RPLC"),
            (DataType::SubmissionSetStatus, "original"),
            (DataType::DocumentEntryType, object_type::ON_DEMAND),
        ] {
            assert!(!accepts(data_type, bad), "{data_type:?} accepted {bad}");
        }
    }

    #[test]
    fn intended_recipients_may_leave_parts_out() {
        for good in [
            "Some Hospital^^^^^^^^^1.2.3.9.1789.45|^Wel^Marcus^^^Dr^MD|^^Internet^a@b",
            "Some Hospital",
            "|12345^John^Smith^^^Dr^^^&1.2.3.9.1&ISO",
            "||^^Internet^a@b",
        ] {
            assert!(accepts(DataType::IntendedRecipient, good), "{good}");
        }
    }

    #[test]
    fn odd_patient_info_is_only_noted() {
        let ok = [
            "PID-3|1^^^&1.2&ISO",
            "PID-5|山田^太郎^^^^^L^I",
            "PID-5|ヤマダ^タロウ^^^^^L^P",
            "PID-7|19560527",
            "PID-8|M",
        ];
        assert!(source_patient_info(&ok).is_empty());
        assert_eq!(source_patient_info(&["PID-7|1", "PID-7|2", "PID-7|3", "x", "PID-19|9"]).len(), 3);
    }
}
