//! What a request head must be before its handler hears of it.

use http::{HeaderMap, Method, Version, header};

use super::tap::HeadFault;
use super::{Refusal, Settings};

pub fn of_head(fault: HeadFault) -> Refusal {
    Refusal::Malformed(match fault {
        HeadFault::Pipelined => "a request must not be sent before the answer to the one before it",
        HeadFault::BareLineFeed => "lines must end in CR LF",
        HeadFault::TwoLengths => "Content-Length and Transfer-Encoding exclude each other",
    })
}

/// RFC 9110 and 9112, and the listener's limits. The body is not touched: a sender that waits for
/// `100 Continue` learns the refusal instead.
pub fn check(
    method: &Method,
    version: Version,
    headers: &HeaderMap,
    settings: &Settings,
) -> Result<(), Refusal> {
    if matches!(*method, Method::CONNECT | Method::TRACE) {
        return Err(Refusal::MethodNotAllowed);
    }
    host(version, headers, &settings.hosts)?;
    let every = |name: header::HeaderName, allowed: &str| {
        headers
            .get_all(name)
            .iter()
            .all(|value| value.as_bytes().trim_ascii().eq_ignore_ascii_case(allowed.as_bytes()))
    };
    if !every(header::CONTENT_ENCODING, "identity") {
        return Err(Refusal::ContentEncoding);
    }
    if !every(header::TRANSFER_ENCODING, "chunked") {
        return Err(Refusal::TransferCoding);
    }
    if !every(header::EXPECT, "100-continue") {
        return Err(Refusal::Expectation);
    }
    let length =
        headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > settings.limits.request_bytes()) {
        return Err(Refusal::TooLarge);
    }
    Ok(())
}

/// Exactly one Host (HTTP/1.0: at most one), on the list if there is one. RFC 9112 3.2.
fn host(version: Version, headers: &HeaderMap, allowed: &[String]) -> Result<(), Refusal> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host,
        (None, _) if version < Version::HTTP_11 && allowed.is_empty() => return Ok(()),
        _ => return Err(Refusal::Malformed("exactly one Host header is required")),
    };
    let authority = host
        .to_str()
        .ok()
        .and_then(|text| text.parse::<http::uri::Authority>().ok())
        .filter(|authority| !authority.as_str().contains('@'))
        .ok_or(Refusal::Malformed("the Host header is malformed"))?;
    let known = allowed.is_empty()
        || allowed.iter().any(|name| {
            name.eq_ignore_ascii_case(authority.as_str()) || name.eq_ignore_ascii_case(authority.host())
        });
    if known { Ok(()) } else { Err(Refusal::UnknownHost) }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::super::tests::settings;
    use super::*;

    fn judged(lines: &[(&'static str, &'static str)]) -> Result<(), Refusal> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let mut settings = settings();
        settings.hosts = ["gw.example".to_string()].into();
        check(&Method::POST, Version::HTTP_11, &headers, &settings)
    }

    #[test]
    fn a_good_head_passes_and_each_spoiling_is_refused() {
        assert_eq!(judged(&[("host", "GW.example:8443"), ("expect", "100-Continue")]), Ok(()));
        let cases: &[(&[(&str, &str)], u16)] = &[
            (&[], 400),
            (&[("host", "gw.example"), ("host", "gw.example")], 400),
            (&[("host", "")], 400),
            (&[("host", "a@gw.example")], 400),
            (&[("host", "other.example")], 400),
            (&[("host", "gw.example"), ("content-encoding", "gzip")], 415),
            (&[("host", "gw.example"), ("transfer-encoding", "gzip, chunked")], 501),
            (&[("host", "gw.example"), ("expect", "gold")], 417),
            (&[("host", "gw.example"), ("content-length", "1099511627776")], 413),
        ];
        for (lines, status) in cases {
            let refusal = judged(&lines.iter().map(|(n, v)| (*n, *v)).collect::<Vec<_>>()).unwrap_err();
            assert_eq!(refusal.status().as_u16(), *status, "{lines:?}");
        }
        let refusal = check(&Method::TRACE, Version::HTTP_11, &HeaderMap::new(), &settings());
        assert_eq!(refusal, Err(Refusal::MethodNotAllowed));
    }
}
