//! What a bucket's errors mean to us. Of what the store says only status and code are kept: its
//! sentences may quote names and signatures.

use std::error::Error as StdError;

use http::StatusCode;
use object_store::Error;
use object_store::client::{HttpError, HttpErrorKind};

use super::{BlobError, BlobKey};

/// Codes of a store that has no room, beside HTTP 507.
const FULL: &[&str] = &["QuotaExceeded", "StorageFull", "InsufficientCapacity", "StorageQuotaExceeded"];

/// An error about one object.
pub(super) fn sort(what: &'static str, key: &BlobKey, error: Error) -> BlobError {
    let answer = Answer::of(&error);
    match error {
        // Of a HEAD nothing but the status is known; the bucket may be the one that is not found.
        Error::NotFound { .. } if answer.code.as_deref() != Some("NoSuchBucket") => {
            BlobError::NotFound(key.clone())
        }
        _ => answer.sort(what),
    }
}

/// An error about the bucket.
pub(super) fn sort_bucket(what: &'static str, error: Error) -> BlobError {
    Answer::of(&error).sort(what)
}

/// What is known of a request that failed.
struct Answer {
    status: Option<StatusCode>,
    /// `<Code>` of the store's answer.
    code: Option<String>,
    http: Option<HttpErrorKind>,
    /// The innermost cause, where the store did not answer.
    cause: String,
}

impl Answer {
    fn of(error: &Error) -> Self {
        let chain = || std::iter::successors(Some(error as &(dyn StdError + 'static)), |e| (*e).source());
        let innermost = chain().last().map(ToString::to_string).unwrap_or_default();
        let status = status(&innermost);
        Self {
            code: code(&innermost),
            http: chain().find_map(|e| e.downcast_ref::<HttpError>()).map(HttpError::kind),
            cause: if status.is_some() { String::new() } else { innermost },
            status,
        }
    }

    fn sort(self, what: &'static str) -> BlobError {
        let code = self.code.as_deref().unwrap_or_default();
        let full = FULL.iter().any(|f| code.ends_with(f));
        let cause = match self.status {
            Some(status) => format!("HTTP {} {code}", status.as_u16()).trim_end().to_owned(),
            None => self.cause,
        };
        match self.status {
            _ if full => BlobError::NoSpace,
            Some(StatusCode::INSUFFICIENT_STORAGE) => BlobError::NoSpace,
            Some(
                StatusCode::TOO_MANY_REQUESTS
                | StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::GATEWAY_TIMEOUT
                | StatusCode::REQUEST_TIMEOUT,
            ) => BlobError::Busy { what, cause },
            Some(_) if matches!(code, "SlowDown" | "RequestTimeout") => BlobError::Busy { what, cause },
            Some(status) if status.is_server_error() => BlobError::Away { what, cause },
            Some(_) => BlobError::Refused { what, cause },
            None if self.http == Some(HttpErrorKind::Timeout) => BlobError::Busy { what, cause },
            None => BlobError::Away { what, cause },
        }
    }
}

/// The crate keeps its type for an answer that was no success to itself; its text begins so.
fn status(text: &str) -> Option<StatusCode> {
    let (_, rest) = text.split_once("non-2xx status code: ")?;
    rest.get(..3)?.parse().ok()
}

/// `<Code>` of the store's answer.
fn code(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("<Code>")?;
    let (code, _) = rest.split_once("</Code>")?;
    code.bytes().all(|b| b.is_ascii_alphanumeric()).then(|| code.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> BlobError {
        sort_bucket("try", Error::Generic { store: "S3", source: text.into() })
    }

    #[test]
    fn answers_are_sorted_by_status_and_code_and_quoted_by_nothing_else() {
        let answer = |status: &str, code: &str| {
            told(&format!(
                "Server returned non-2xx status code: {status}: <Error><Code>{code}</Code><Message>secret</Message></Error>"
            ))
        };
        assert!(matches!(answer("503 Service Unavailable", "SlowDown"), BlobError::Busy { .. }));
        assert!(matches!(answer("429 Too Many Requests", "TooMany"), BlobError::Busy { .. }));
        assert!(matches!(answer("400 Bad Request", "RequestTimeout"), BlobError::Busy { .. }));
        assert!(matches!(answer("500 Internal Server Error", "InternalError"), BlobError::Away { .. }));
        assert!(matches!(answer("403 Forbidden", "QuotaExceeded"), BlobError::NoSpace));
        assert!(matches!(answer("507 Insufficient Storage", "XMinioStorageFull"), BlobError::NoSpace));
        let refused = answer("404 Not Found", "NoSuchBucket");
        assert!(matches!(&refused, BlobError::Refused { cause, .. } if cause == "HTTP 404 NoSuchBucket"));
        assert!(matches!(answer("403 Forbidden", "SignatureDoesNotMatch"), BlobError::Refused { .. }));
        assert!(
            matches!(told("connection refused"), BlobError::Away { cause, .. } if cause == "connection refused")
        );
    }
}
