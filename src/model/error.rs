//! What can go wrong, in the words of the standards.
//!
//! [`ErrorCode`] is the closed list of IHE codes (ITI TF-3 Table 4.2.4.1-2 and the supplements),
//! [`RegistryError`] one row of a `RegistryErrorList`, and [`Error`] every way of not succeeding.
//! Each face of the server turns `Error` into its own language in one file
//! (`server/soap/fault.rs` for SOAP).

use std::fmt;

/// Generates [`ErrorCode`] so that the Rust name, the wire name and the meaning stand in one row.
macro_rules! error_codes {
    ($($name:ident $default:ident $meaning:literal),+ $(,)?) => {
        /// An IHE error code, spelled as on the wire. ITI TF-3 4.2.4.1, Table 4.2.4.1-2.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum ErrorCode { $(#[doc = $meaning] $name),+ }

        impl ErrorCode {
            /// Every code, in table order.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$name),+];

            /// The code as it stands in `RegistryError/@errorCode`.
            pub fn as_str(self) -> &'static str {
                match self { $(ErrorCode::$name => stringify!($name)),+ }
            }

            /// What the code means, in one line for people.
            pub fn meaning(self) -> &'static str {
                match self { $(ErrorCode::$name => $meaning),+ }
            }

            /// The severity the code carries unless the raiser says otherwise.
            pub fn severity(self) -> Severity {
                match self { $(ErrorCode::$name => Severity::$default),+ }
            }
        }
    };
}

error_codes! {
    DocumentQueued Warning "the document is held for later matching",
    InvalidDocumentContent Error "the document's content contradicts its metadata",
    LocalPolicyRestrictionError Error "the registry's own policy forbids this change",
    PartialAppendContentNotProcessed Warning "the recipient does not support appending",
    PartialFolderContentNotProcessed Warning "the recipient does not support folders",
    PartialRelationshipContentNotProcessed Warning "the recipient does not support relationships",
    PartialReplaceContentNotProcessed Warning "the recipient does not support replacement",
    PartialTransformNotProcessed Warning "the recipient does not support transformation",
    PartialTransformReplaceNotProcessed Warning "the recipient does not support transform-and-replace",
    ReferencesExistException Error "the object to be removed is still referred to",
    UnknownRecipient Error "an intendedRecipient is not known here",
    UnavailableRecipient Error "an intendedRecipient cannot be reached",
    UnmodifiableMetadataError Error "the attribute cannot be changed by a restricted update",
    UnresolvedReferenceException Error "a referenced object does not exist",
    XDSDocumentUniqueIdError Error "the repository holds no such document",
    XDSDuplicateUniqueIdInRegistry Error "a SubmissionSet or Folder uniqueId is already in the registry",
    XDSExtraMetadataNotSaved Warning "extra metadata was not kept",
    XDSInvalidRequestException Error "an update brings the initial version of an object",
    XDSMetadataAnnotationError Error "an annotation of a restricted update is absent or cannot be read",
    XDSMetadataIdentifierError Error "an identifier contradicts the object that is updated",
    XDSMetadataUpdateError Error "the update cannot be made",
    XDSMetadataUpdateOperationError Error "what the update asks for cannot be told",
    XDSMetadataVersionError Error "the version to be updated is not the current one",
    XDSMissingDocument Error "a DocumentEntry came without its document",
    XDSMissingDocumentMetadata Error "a document came without its DocumentEntry",
    XDSMissingHomeCommunityId Error "homeCommunityId is needed and absent",
    XDSNonIdenticalHash Error "the uniqueId is registered with another hash",
    XDSNonIdenticalSize Error "the uniqueId is registered with another size",
    XDSObjectTypeError Error "the objectType differs from that of the object that is updated",
    XDSPatientIDReconciliationError Error "an update would join objects of different patients",
    XDSPatientIdDoesNotMatch Error "patient ids that must agree do not",
    XDSRegistryBusy Error "the registry is overloaded",
    XDSRegistryDeprecatedDocumentError Error "an association points at a deprecated object",
    XDSRegistryDuplicateUniqueIdInMessage Error "one uniqueId on two objects of the message",
    XDSRegistryError Error "the registry failed",
    XDSRegistryMetadataError Error "the metadata breaks a rule",
    XDSRegistryNotAvailable Error "the repository cannot reach its registry",
    XDSRegistryOutOfResources Error "the registry has no room left",
    XDSRemoveDocumentsError Error "the repository cannot remove the document",
    XDSRepositoryBusy Error "the repository is overloaded",
    XDSRepositoryDuplicateUniqueIdInMessage Error "one uniqueId on two documents of the message",
    XDSRepositoryError Error "the repository failed",
    XDSRepositoryMetadataError Error "the metadata contradicts the document",
    XDSRepositoryOutOfResources Error "the repository has no room left",
    XDSResultNotSinglePatient Error "LeafClass results would span several patients",
    XDSStoredQueryMissingParam Error "a required query parameter is absent",
    XDSStoredQueryParamNumber Error "a query parameter has too many values",
    XDSTooManyResults Error "the query selects more than the registry will return",
    XDSUnavailableCommunity Error "a community did not answer",
    XDSUnknownCommunity Error "the homeCommunityId is not known here",
    XDSUnknownPatientId Error "the patient id is not known to the registry",
    XDSUnknownRepositoryId Error "the repositoryUniqueId is not this repository's",
    XDSUnknownStoredQuery Error "the stored query id is not known",
    XDSUnreferencedObjectException Error "the removal would leave an object outside every SubmissionSet",
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `RegistryError/@severity`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Warning,
    Error,
}

/// One problem as its sender will read it: rule, element and value.
///
/// `context` becomes `@codeContext`, `location` becomes `@location`. The context may hold the
/// offending value, patient ids included: it goes back to whoever sent it and nowhere else, so
/// neither `Debug` nor a log may print it.
#[derive(Clone, PartialEq, Eq)]
pub struct RegistryError {
    pub code: ErrorCode,
    pub severity: Severity,
    pub context: String,
    pub location: Option<String>,
}

impl RegistryError {
    pub fn new(code: ErrorCode, context: impl Into<String>) -> Self {
        Self { code, severity: code.severity(), context: context.into(), location: None }
    }

    /// The same problem reported without failing the request.
    pub fn warning(code: ErrorCode, context: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::new(code, context) }
    }

    pub fn at(mut self, location: impl Into<String>) -> Self {
        self.location = Some(location.into());
        self
    }

    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Debug for RegistryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {} at {}", self.severity, self.code, self.location.as_deref().unwrap_or("-"))
    }
}

/// A broken rule about one attribute of one submitted object, before it becomes a
/// [`RegistryError`]. Keeping the pieces apart makes every message the same shape.
#[derive(Clone, PartialEq, Eq)]
pub struct Problem<'a> {
    pub code: ErrorCode,
    /// `id` of the offending object as submitted.
    pub object: &'a str,
    /// Attribute by its IHE name, e.g. `DocumentEntry.classCode`.
    pub attribute: &'a str,
    /// The offending value, if there is one.
    pub value: Option<&'a str>,
    /// What is wrong and what would be right.
    pub message: &'a str,
    /// The clause that says so, e.g. `ITI TF-3 4.2.3.2.3`.
    pub clause: &'a str,
}

impl Problem<'_> {
    /// `DocumentEntry.classCode of DE1: 'x' is not … (ITI TF-3 4.2.3.2.3)`.
    pub fn error(&self) -> RegistryError {
        let value = match self.value {
            Some(v) => format!("'{}' ", clip(v)),
            None => String::new(),
        };
        RegistryError::new(
            self.code,
            format!("{} of {}: {}{} ({})", self.attribute, self.object, value, self.message, self.clause),
        )
        .at(format!("{}/{}", self.object, self.attribute))
    }

    pub fn warning(&self) -> RegistryError {
        RegistryError { severity: Severity::Warning, ..self.error() }
    }
}

/// Values are echoed whole up to this many characters: enough to recognise, too few to flood.
const ECHO_LIMIT: usize = 200;

/// `value` cut to what an error message may carry.
pub fn clip(value: &str) -> std::borrow::Cow<'_, str> {
    match value.char_indices().nth(ECHO_LIMIT) {
        Some((end, _)) => format!("{}…", &value[..end]).into(),
        None => value.into(),
    }
}

/// SOAP 1.2 fault codes (SOAP 1.2 Part 1, 5.4.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultCode {
    VersionMismatch,
    MustUnderstand,
    Sender,
    Receiver,
}

impl FaultCode {
    /// Its local name in the namespace of SOAP 1.2.
    pub fn as_str(self) -> &'static str {
        match self {
            FaultCode::VersionMismatch => "VersionMismatch",
            FaultCode::MustUnderstand => "MustUnderstand",
            FaultCode::Sender => "Sender",
            FaultCode::Receiver => "Receiver",
        }
    }
}

/// What a fault is about where SOAP has no subcode for it: for the audit trail, which cannot have the
/// reason, because that may quote the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum FaultKind {
    /// The envelope, or what the transaction makes of it.
    #[default]
    Message,
    /// Not well-formed, forbidden, or beyond a limit of `[limits]`.
    Xml,
    ContentType,
    /// The multipart structure.
    Mime,
    /// An `xop:Include`.
    Include,
    /// The HTTP head.
    Http,
    /// The body did not come whole, in time, or within its limit.
    Body,
    /// Of our own making: too much to do, or a failure.
    Ours,
    /// Something the node is not granted in the directory of nodes, by the label of a `Trespass`.
    Trespass(&'static str),
}

impl FaultKind {
    pub fn as_str(self) -> &'static str {
        match self {
            FaultKind::Message => "message",
            FaultKind::Xml => "xml",
            FaultKind::ContentType => "content-type",
            FaultKind::Mime => "mime",
            FaultKind::Include => "include",
            FaultKind::Http => "http",
            FaultKind::Body => "body",
            FaultKind::Ours => "ours",
            FaultKind::Trespass(label) => label,
        }
    }
}

/// A request that never became a transaction: it is answered by a SOAP fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub code: FaultCode,
    /// Qualified subcode such as `wsa:ActionNotSupported`.
    pub subcode: Option<&'static str>,
    pub kind: FaultKind,
    pub reason: String,
    /// Header blocks not understood, as `(namespace, local name)`.
    pub not_understood: Vec<(String, String)>,
    /// HTTP status to answer with.
    pub status: u16,
}

impl Fault {
    /// The sender must change the message; HTTP 400.
    pub fn sender(reason: impl Into<String>) -> Self {
        Self {
            code: FaultCode::Sender,
            subcode: None,
            kind: FaultKind::Message,
            reason: reason.into(),
            not_understood: vec![],
            status: 400,
        }
    }

    /// The same message may succeed later; HTTP 503.
    pub fn busy(reason: impl Into<String>) -> Self {
        Self { code: FaultCode::Receiver, kind: FaultKind::Ours, status: 503, ..Self::sender(reason) }
    }

    pub fn subcode(mut self, subcode: &'static str) -> Self {
        self.subcode = Some(subcode);
        self
    }

    pub fn kind(mut self, kind: FaultKind) -> Self {
        self.kind = kind;
        self
    }

    pub fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// What the audit trail says of it: the code, and the subcode or else the kind. Never anything of
    /// the message.
    pub fn labels(&self) -> [&'static str; 2] {
        let code = match self.kind {
            FaultKind::Trespass(_) => crate::model::node::alert::RESTRICTED_FUNCTION,
            _ => self.code.as_str(),
        };
        [code, self.subcode.unwrap_or(self.kind.as_str())]
    }
}

/// Every way of not succeeding.
#[derive(Debug)]
pub enum Error {
    /// Understood and refused by rule: a `RegistryResponse` with status Failure.
    Rejected(Vec<RegistryError>),
    /// Not understood, or not allowed to ask.
    Fault(Fault),
    /// Too much at once; nothing was changed, and the same request may succeed later.
    Busy(&'static str),
    /// No room on a disk; nothing was changed.
    NoRoom(String),
    /// Something behind us is away; nothing was changed, and the same request may succeed later.
    Away { peer: &'static str, cause: String },
    /// Something behind us was told and did not answer: all was done or nothing.
    Unavailable { peer: String, cause: String },
    /// Our own failure. The cause goes to the log once, with the request id the caller also gets.
    Internal(anyhow::Error),
}

impl From<anyhow::Error> for Error {
    fn from(cause: anyhow::Error) -> Self {
        Error::Internal(cause)
    }
}

impl From<RegistryError> for Error {
    fn from(e: RegistryError) -> Self {
        Error::Rejected(vec![e])
    }
}

impl From<Fault> for Error {
    fn from(f: Fault) -> Self {
        Error::Fault(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_spelled_as_on_the_wire() {
        assert_eq!(ErrorCode::XDSPatientIdDoesNotMatch.as_str(), "XDSPatientIdDoesNotMatch");
        assert_eq!(ErrorCode::ALL.len(), 54);
    }

    #[test]
    fn debug_never_shows_the_context() {
        let e = RegistryError::new(ErrorCode::XDSUnknownPatientId, "1001^^^&1.2.3&ISO");
        assert!(!format!("{e:?}").contains("1001"));
    }

    #[test]
    fn long_values_are_clipped_at_a_character_boundary() {
        let long = "名".repeat(300);
        assert_eq!(clip(&long).chars().count(), 201);
    }
}
