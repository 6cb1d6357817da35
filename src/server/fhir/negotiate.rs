//! What is accepted and what is sent: JSON and XML, both ways (FHIR R4 3.1.0.1.11).

use http::{StatusCode, header};
use serde_json::Value;

use super::BODY;
use super::answer::Denied;
use crate::model::error::clip;
use crate::server::http::{BodyError, Request};
use crate::wire::fhir::{Format, IssueCode, pairs};

/// The format of the answer, or 406: `_format` decides, else `Accept`; where neither prefers one, the format the
/// request came in.
pub fn format(request: &Request) -> Result<Format, Denied> {
    let not = |asked: &str| {
        let text = format!(
            "'{}' cannot be answered: this service answers application/fhir+json and application/fhir+xml",
            clip(asked)
        );
        Denied::new(StatusCode::NOT_ACCEPTABLE, IssueCode::NotSupported, text)
    };
    let said = pairs(request.uri.query().unwrap_or_default())
        .ok()
        .and_then(|pairs| pairs.into_iter().find(|(name, _)| name == "_format").map(|(_, value)| value));
    if let Some(said) = said {
        // The + of a media type is a blank in a form.
        return Format::of(&said.replace(' ', "+")).ok_or_else(|| not(&said));
    }
    let own = request.header(header::CONTENT_TYPE).and_then(Format::of).unwrap_or_default();
    let mut ranges = vec![];
    for value in request.headers.get_all(header::ACCEPT) {
        let Ok(value) = value.to_str() else { continue };
        ranges.extend(value.split(',').map(str::trim).filter(|v| !v.is_empty()).map(str::to_owned));
    }
    if ranges.is_empty() {
        return Ok(own);
    }
    preferred(&ranges, own).ok_or_else(|| not(&ranges.join(", ")))
}

/// Of media ranges with their weights (RFC 9110 12.5.1), the one that weighs most; of equals the first.
fn preferred(ranges: &[String], own: Format) -> Option<Format> {
    let mut best: Option<(f32, Format)> = None;
    for range in ranges {
        let weight = range.split(';').skip(1).find_map(|p| p.trim().strip_prefix("q="));
        let weight = weight.map_or(1.0, |q| q.trim().parse::<f32>().unwrap_or(0.0));
        let media = range.split(';').next().unwrap_or_default().trim();
        let format = match media {
            "*/*" | "application/*" => Some(own),
            media => Format::of(media),
        };
        if let Some(format) = format.filter(|_| weight > 0.0)
            && best.is_none_or(|(most, _)| weight > most)
        {
            best = Some((weight, format));
        }
    }
    best.map(|(_, format)| format)
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
    let Some(format) = content_type.as_deref().and_then(Format::of).filter(|_| charset) else {
        let wanted = "application/fhir+json or application/fhir+xml in UTF-8";
        return Err(unsupported(content_type.as_deref(), wanted));
    };
    let raw = whole(request).await?;
    match format.read(&raw) {
        Ok(value) => Ok((value, raw)),
        Err(issue) => Err(Denied {
            issues: vec![issue],
            ..Denied::new(StatusCode::BAD_REQUEST, IssueCode::Structure, "")
        }),
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
