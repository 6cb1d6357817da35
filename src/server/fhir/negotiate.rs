//! What is accepted and what is sent: JSON, both ways (FHIR R4 3.1.0.1.11).

use http::{StatusCode, header};
use serde_json::Value;

use super::BODY;
use super::answer::Denied;
use crate::model::error::clip;
use crate::server::http::{BodyError, Request};
use crate::wire::fhir::{IssueCode, pairs};

fn is_json(media: &str) -> bool {
    matches!(
        media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str(),
        "application/fhir+json" | "application/json" | "text/json" | "json"
    )
}

/// 406 unless JSON will do: `_format` decides, else `Accept`.
pub fn acceptable(request: &Request) -> Result<(), Denied> {
    let not = |asked: &str| {
        let text =
            format!("'{}' cannot be answered: this service answers application/fhir+json", clip(asked));
        Err(Denied::new(StatusCode::NOT_ACCEPTABLE, IssueCode::NotSupported, text))
    };
    let format = pairs(request.uri.query().unwrap_or_default())
        .ok()
        .and_then(|pairs| pairs.into_iter().find(|(name, _)| name == "_format").map(|(_, value)| value));
    if let Some(format) = format {
        // The + of a media type is a blank in a form.
        return if is_json(&format.replace(' ', "+")) { Ok(()) } else { not(&format) };
    }
    let mut said = vec![];
    for value in request.headers.get_all(header::ACCEPT) {
        let Ok(value) = value.to_str() else { continue };
        said.extend(value.split(',').map(str::trim).filter(|v| !v.is_empty()).map(str::to_owned));
    }
    let will_do = |range: &String| {
        let media = range.split(';').next().unwrap_or_default().trim();
        let refused =
            range.split(';').skip(1).any(|p| matches!(p.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000"));
        !refused && (is_json(media) || matches!(media, "*/*" | "application/*"))
    };
    if said.is_empty() || said.iter().any(will_do) { Ok(()) } else { not(&said.join(", ")) }
}

/// Whether parameters that are not known may be left out (`Prefer: handling=lenient`).
pub fn is_lenient(request: &Request) -> bool {
    let mut prefer = request.headers.get_all("prefer").iter().filter_map(|v| v.to_str().ok());
    prefer.any(|v| v.split([',', ';']).any(|p| p.trim().eq_ignore_ascii_case("handling=lenient")))
}

fn unsupported(content_type: Option<&str>, wanted: &str) -> Denied {
    let text = match content_type {
        Some(other) => format!("Content-Type '{}' is not taken; send {wanted}", clip(other)),
        None => format!("the Content-Type header is required: {wanted}"),
    };
    Denied::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, IssueCode::NotSupported, text)
}

async fn whole(request: Request) -> Result<Vec<u8>, Denied> {
    match request.body.whole(BODY).await {
        Ok(bytes) => Ok(bytes.to_vec()),
        Err(e) => {
            let status = match e {
                BodyError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
                BodyError::TooSlow => StatusCode::REQUEST_TIMEOUT,
                BodyError::Cut(_) => StatusCode::BAD_REQUEST,
            };
            Err(Denied::new(status, IssueCode::Structure, e.to_string()))
        }
    }
}

/// The resource of a request, and its bytes.
pub async fn resource(request: Request) -> Result<(Value, Vec<u8>), Denied> {
    let content_type = request.header(header::CONTENT_TYPE).map(str::to_owned);
    let charset = content_type
        .as_deref()
        .and_then(|c| c.split(';').skip(1).find_map(|p| p.trim().strip_prefix("charset=")))
        .is_none_or(|c| c.trim_matches('"').eq_ignore_ascii_case("utf-8"));
    if !content_type.as_deref().is_some_and(is_json) || !charset {
        return Err(unsupported(content_type.as_deref(), "application/fhir+json in UTF-8"));
    }
    let raw = whole(request).await?;
    match serde_json::from_slice(&raw) {
        Ok(value) => Ok((value, raw)),
        Err(e) => {
            // Its own words may quote the content.
            let text = format!("the content is not JSON (line {}, column {})", e.line(), e.column());
            Err(Denied::new(StatusCode::BAD_REQUEST, IssueCode::Structure, text))
        }
    }
}

/// The form of a search by POST.
pub async fn form(request: Request) -> Result<String, Denied> {
    const FORM: &str = "application/x-www-form-urlencoded";
    let content_type = request.header(header::CONTENT_TYPE).map(str::to_owned);
    let is_form = |c: &str| c.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(FORM);
    if !content_type.as_deref().is_some_and(is_form) {
        return Err(unsupported(content_type.as_deref(), FORM));
    }
    String::from_utf8(whole(request).await?)
        .map_err(|_| Denied::new(StatusCode::BAD_REQUEST, IssueCode::Structure, "the form is not UTF-8"))
}
