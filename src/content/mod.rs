//! What documents made here say: a generator per file, pure: metadata in, bytes out.
//!
//! A generator gets all it may use in [`About`], and no clock: for one state of the registry it writes the
//! same octets every time, so that equal content is known by being equal. A further one is a file with an
//! `impl Generator` and a line in [`GENERATORS`]; docs/on-demand.md lists them.

pub mod consent;
mod document_list;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use uuid::{Builder, Uuid};

use crate::model::codes::JP_FORMAT_CODES;
use crate::model::metadata::DocumentEntry;
use crate::model::patient::Patient;

/// All that a document may tell.
#[derive(Debug, Clone)]
pub struct About<'a> {
    /// uniqueId of the document; empty while its content is not known. See [`make`].
    pub id: &'a str,
    /// The on-demand entry it is made for: title, codes and language are taken from it.
    pub entry: &'a DocumentEntry,
    pub patient: &'a Patient,
    /// The patient's Approved stable documents.
    pub documents: &'a [DocumentEntry],
    /// When the registry took on the state that is described.
    pub at: Timestamp,
    pub custodian: Custodian<'a>,
}

/// Who answers for the document.
#[derive(Debug, Clone, Copy)]
pub struct Custodian<'a> {
    /// `network.name`.
    pub name: &'a str,
    /// `repository.unique_id`.
    pub oid: &'a str,
}

/// How an entry asks for a generator: by its formatCode and mimeType.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    pub code: &'static str,
    pub scheme: &'static str,
    pub display: &'static str,
    pub mime_type: &'static str,
}

/// Writes one kind of document in one format.
pub trait Generator: Sync {
    fn format(&self) -> Format;
    fn write(&self, about: &About<'_>) -> Vec<u8>;
}

/// Every generator; of those with one media type the first is taken by entries whose formatCode says no more
/// than the mimeType does.
pub const GENERATORS: &[&dyn Generator] = &[&document_list::Cda, &document_list::Fhir];

const fn local(code: &'static str, display: &'static str, mime_type: &'static str) -> Format {
    Format { code, scheme: JP_FORMAT_CODES, display, mime_type }
}

/// formatCode of entries whose mimeType tells all.
const MIME_TYPE_SUFFICIENT: &str = "urn:ihe:iti:xds:2017:mimeTypeSufficient";

/// The generator that an on-demand entry asks for.
pub fn generator_for(entry: &DocumentEntry) -> Option<&'static dyn Generator> {
    let code = entry.format_code.as_ref()?;
    let mime_type = entry.mime_type.split(';').next().unwrap_or_default().trim();
    GENERATORS.iter().copied().find(|generator| {
        let format = generator.format();
        let named = (code.code.as_str(), code.scheme.as_str()) == (format.code, format.scheme);
        (named || code.code == MIME_TYPE_SUFFICIENT) && mime_type.eq_ignore_ascii_case(format.mime_type)
    })
}

/// A document with its uniqueId.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    pub unique_id: String,
    pub bytes: Vec<u8>,
}

/// Makes the document that `about` describes, but for its id, which follows from the content: the same
/// document under the same id, by whatever gateway, and nothing else under it (ITI TF-2 3.43.4.2.3).
pub fn make(generator: &dyn Generator, about: &About<'_>) -> Made {
    let content = generator.write(&About { id: "", ..about.clone() });
    let uuid = uuid_of(&[about.entry.unique_id.as_bytes(), &content]);
    let unique_id = format!("2.25.{}", uuid.as_u128());
    let bytes = generator.write(&About { id: &unique_id, ..about.clone() });
    Made { unique_id, bytes }
}

/// A UUID that stands for these octets (RFC 9562, version 8).
fn uuid_of(parts: &[&[u8]]) -> Uuid {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let digest = hash.finalize();
    let mut octets = [0; 16];
    octets.copy_from_slice(&digest[..16]);
    Builder::from_custom_bytes(octets).into_uuid()
}

#[cfg(test)]
mod tests;
