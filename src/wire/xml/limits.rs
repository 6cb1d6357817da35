//! What XML may cost and contain, and how a breach is told to whoever sent it.

use crate::wire::base64::Base64Fault;

/// Limits on one XML message, enforced while it arrives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XmlLimits {
    /// Bytes of the envelope, inline documents not counted. A SubmitObjectsRequest needs about
    /// 12 KiB per DocumentEntry; a registry that takes large ones raises this.
    pub envelope_bytes: usize,
    /// Elements open at once.
    pub depth: usize,
    /// Elements in all.
    pub elements: usize,
    /// Attributes of one element, namespace declarations not counted.
    pub attributes: usize,
    /// Namespace declarations of one element.
    pub namespaces: usize,
    /// Namespace declarations in scope at once: every element looks its prefix up among them.
    pub namespaces_in_scope: usize,
    /// Bytes of an element or attribute name, prefix included.
    pub name_bytes: usize,
    /// Bytes of an attribute value as written.
    pub attribute_bytes: usize,
    /// Bytes of character data between two tags, as written.
    pub text_bytes: usize,
    /// Octets of one document sent as inline base64, decoded.
    pub document_bytes: u64,
}

impl Default for XmlLimits {
    fn default() -> Self {
        Self {
            envelope_bytes: 4 << 20,
            depth: 64,
            elements: 200_000,
            attributes: 64,
            namespaces: 32,
            namespaces_in_scope: 256,
            name_bytes: 256,
            attribute_bytes: 64 << 10,
            text_bytes: 1 << 20,
            document_bytes: 256 << 20,
        }
    }
}

/// Why a message was refused at the door. `offset` counts bytes of the SOAP part from 0.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum XmlFault {
    #[error("the SOAP envelope is larger than {limit} bytes, inline documents not counted")]
    EnvelopeTooLarge { limit: usize },
    #[error("elements are nested deeper than {limit} at byte {offset}")]
    TooDeep { limit: usize, offset: u64 },
    #[error("the message has more than {limit} elements; the first too many is at byte {offset}")]
    TooManyElements { limit: usize, offset: u64 },
    #[error("the element at byte {offset} has more than {limit} attributes")]
    TooManyAttributes { limit: usize, offset: u64 },
    #[error("the element at byte {offset} has more than {limit} namespace declarations")]
    TooManyNamespaces { limit: usize, offset: u64 },
    #[error("more than {limit} namespace declarations are in scope at byte {offset}")]
    TooManyNamespacesInScope { limit: usize, offset: u64 },
    #[error("the name at byte {offset} is longer than {limit} bytes")]
    NameTooLong { limit: usize, offset: u64 },
    #[error("the attribute value at byte {offset} is longer than {limit} bytes")]
    AttributeTooLong { limit: usize, offset: u64 },
    #[error("the text around byte {offset} is longer than {limit} bytes")]
    TextTooLong { limit: usize, offset: u64 },
    #[error("the document inline in the Document element at byte {offset} is larger than {limit} bytes")]
    DocumentTooLarge { limit: u64, offset: u64 },

    #[error("the message is UTF-16; send UTF-8")]
    Utf16,
    #[error("the message is not UTF-8 at byte {offset}")]
    InvalidUtf8 { offset: u64 },
    #[error("there is a NUL byte at byte {offset}; XML has none, and only UTF-8 is accepted")]
    Nul { offset: u64 },
    #[error("the XML declaration names the encoding {declared:?}; only UTF-8 is accepted")]
    Encoding { declared: String },
    #[error("the XML declaration names version {declared:?}; only 1.0 is accepted")]
    Version { declared: String },

    #[error("there is a DOCTYPE at byte {offset}; SOAP forbids it (SOAP 1.2 Part 1, 5)")]
    Doctype { offset: u64 },
    #[error("there is a processing instruction at byte {offset}; SOAP forbids it (SOAP 1.2 Part 1, 5)")]
    ProcessingInstruction { offset: u64 },
    #[error(
        "the reference at byte {offset} is none of &amp; &lt; &gt; &apos; &quot; nor a character reference to a legal character"
    )]
    Reference { offset: u64 },

    #[error("the message is not well-formed XML at byte {offset}: {reason}")]
    Malformed { offset: u64, reason: &'static str },
    #[error("the message ends inside the XML: {reason}")]
    Unfinished { reason: &'static str },

    #[error("the Document element at byte {offset} holds both base64 text and a child element; send one")]
    MixedDocument { offset: u64 },
    #[error("the Document element at byte {offset} stands inside another")]
    NestedDocument { offset: u64 },
    #[error("the href at byte {offset} begins with \"inline:\"; only cid: is accepted from outside")]
    InlineHref { offset: u64 },
    #[error(
        "the document inline in the Document element at byte {document} is not base64 at byte {offset}: {fault}"
    )]
    Base64 { document: u64, offset: u64, fault: Base64Fault },
}
