//! The Content-Type header: its grammar (RFC 2045 5.1) and what it says about the packaging of a
//! SOAP message (RFC 2387; SOAP 1.2 media type, RFC 3902; MTOM 3.2).

/// A media type with its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentType {
    /// `type/subtype` in lower case.
    pub essence: String,
    /// Names in lower case and values as sent, quotes removed, in order.
    pub params: Vec<(String, String)>,
}

/// How a SOAP 1.2 message is packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packaging {
    /// The body is the envelope.
    Simple,
    /// The body is multipart/related, the envelope its root part.
    Mtom(Related),
}

/// The parameters of multipart/related (RFC 2387 3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Related {
    pub boundary: String,
    /// Content-ID of the root part without `<>`; the first part is the root if absent.
    pub start: Option<String>,
    /// Essence of `type`, the media type of the root part.
    pub root_type: Option<String>,
    /// Essence of `start-info`, the media type inside the root part's XOP.
    pub start_info: Option<String>,
    /// `action`, whether of the header or inside `start-info`; asked for by ITI-86 only.
    pub action: Option<String>,
}

/// What is wrong with a Content-Type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContentTypeFault {
    #[error("the Content-Type header is missing")]
    Missing,
    #[error("the Content-Type is malformed: {reason}")]
    Malformed { reason: &'static str },
    #[error("the Content-Type has the parameter {name:?} twice")]
    Duplicate { name: String },
    /// Answered by a VersionMismatch fault.
    #[error("the Content-Type {essence:?} means SOAP 1.1; send SOAP 1.2 (application/soap+xml)")]
    Soap11 { essence: String },
    #[error("the Content-Type names the charset {charset:?}; only UTF-8 is accepted")]
    Charset { charset: String },
    #[error(
        "the Content-Type {essence:?} is not one for SOAP; send application/soap+xml or multipart/related"
    )]
    Unsupported { essence: String },
    #[error("the multipart/related Content-Type has no boundary")]
    NoBoundary,
    #[error("the boundary must be 1 to 70 characters of RFC 2046, the last no blank")]
    Boundary,
    #[error("the multipart message is not MTOM: its type is {found:?}, not application/xop+xml")]
    NotXop { found: String },
    #[error("the start parameter is empty")]
    Start,
}

const SOAP12: &str = "application/soap+xml";
const SOAP11: &str = "text/xml";
const XOP: &str = "application/xop+xml";

impl ContentType {
    /// Reads a header value. Values may stand unquoted even where RFC 2045 asks for quotes, as
    /// `type=application/xop+xml` does in the wild; comments in parentheses are not read.
    pub fn parse(header: &str) -> Result<Self, ContentTypeFault> {
        let malformed = |reason| ContentTypeFault::Malformed { reason };
        let (essence, mut rest) = match header.find(';') {
            Some(at) => header.split_at(at),
            None => (header, ""),
        };
        let essence = essence.trim_matches(BLANK).to_ascii_lowercase();
        match essence.split_once('/') {
            Some((kind, sub)) if is_token(kind) && is_token(sub) => {}
            _ => return Err(malformed("it is not of the form type/subtype")),
        }
        let mut params: Vec<(String, String)> = Vec::new();
        while let Some(after) = rest.strip_prefix(';') {
            rest = after.trim_start_matches(BLANK);
            if rest.is_empty() || rest.starts_with(';') {
                continue;
            }
            let (name, value) = rest.split_once('=').ok_or(malformed("a parameter has no value"))?;
            let name = name.trim_matches(BLANK).to_ascii_lowercase();
            if !is_token(&name) {
                return Err(malformed("a parameter name is not a token"));
            }
            let (value, tail) = value_of(value.trim_start_matches(BLANK)).map_err(malformed)?;
            if params.iter().any(|(n, _)| *n == name) {
                return Err(ContentTypeFault::Duplicate { name });
            }
            params.push((name, value));
            rest = tail.trim_start_matches(BLANK);
        }
        match rest {
            "" => Ok(Self { essence, params }),
            _ => Err(malformed("parameters are separated by semicolons")),
        }
    }

    /// The value of a parameter, named in lower case.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// What the header of a request or response says about the message.
    pub fn packaging(&self) -> Result<Packaging, ContentTypeFault> {
        match self.essence.as_str() {
            SOAP12 => self.utf8().map(|()| Packaging::Simple),
            SOAP11 => Err(ContentTypeFault::Soap11 { essence: self.essence.clone() }),
            "multipart/related" => self.related().map(Packaging::Mtom),
            _ => Err(ContentTypeFault::Unsupported { essence: self.essence.clone() }),
        }
    }

    /// The parameters of a multipart/related header; SOAP 1.1 and non-XOP packaging are refused.
    pub fn related(&self) -> Result<Related, ContentTypeFault> {
        let boundary = self.param("boundary").ok_or(ContentTypeFault::NoBoundary)?;
        if !is_boundary(boundary) {
            return Err(ContentTypeFault::Boundary);
        }
        let root_type = self.param("type").map(essence_of);
        let start_info = self.param("start-info");
        soap_version(root_type.as_deref())?;
        soap_version(start_info.map(essence_of).as_deref())?;
        if let Some(found) = root_type.as_deref().filter(|t| *t != XOP) {
            return Err(ContentTypeFault::NotXop { found: found.to_owned() });
        }
        self.utf8()?;
        let start = self.param("start").map(|s| strip_angles(s).to_owned());
        if start.as_deref() == Some("") {
            return Err(ContentTypeFault::Start);
        }
        let inner_action = || Self::parse(start_info?).ok()?.param("action").map(str::to_owned);
        Ok(Related {
            boundary: boundary.to_owned(),
            start,
            root_type,
            start_info: start_info.map(essence_of),
            action: self.param("action").map(str::to_owned).or_else(inner_action),
        })
    }

    fn utf8(&self) -> Result<(), ContentTypeFault> {
        match self.param("charset") {
            Some(charset) if !charset.eq_ignore_ascii_case("utf-8") => {
                Err(ContentTypeFault::Charset { charset: charset.to_owned() })
            }
            _ => Ok(()),
        }
    }
}

/// Checks the Content-Type of the root part of an MTOM message: XOP of SOAP 1.2 in UTF-8.
/// The header may be absent, `type` too.
pub fn check_root(header: Option<&str>) -> Result<(), ContentTypeFault> {
    let Some(header) = header else { return Ok(()) };
    let root = ContentType::parse(header)?;
    soap_version(Some(&root.essence))?;
    soap_version(root.param("type").map(essence_of).as_deref())?;
    match root.essence.as_str() {
        XOP => root.utf8(),
        _ => Err(ContentTypeFault::NotXop { found: root.essence }),
    }
}

/// An id without the `<>` around it.
pub(super) fn strip_angles(id: &str) -> &str {
    let id = id.trim_matches(BLANK);
    id.strip_prefix('<').and_then(|i| i.strip_suffix('>')).unwrap_or(id)
}

/// `boundary` of RFC 2046 5.1.1.
pub(super) fn is_boundary(boundary: &str) -> bool {
    (1..=70).contains(&boundary.len())
        && !boundary.ends_with(' ')
        && boundary.bytes().all(|b| b.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&b))
}

fn soap_version(essence: Option<&str>) -> Result<(), ContentTypeFault> {
    match essence {
        Some(SOAP11) => Err(ContentTypeFault::Soap11 { essence: SOAP11.to_owned() }),
        _ => Ok(()),
    }
}

const BLANK: [char; 4] = [' ', '\t', '\r', '\n'];

fn essence_of(value: &str) -> String {
    value.split(';').next().unwrap_or_default().trim_matches(BLANK).to_ascii_lowercase()
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&b))
}

/// A parameter's value and what follows it.
fn value_of(text: &str) -> Result<(String, &str), &'static str> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([';', ' ', '\t', '\r', '\n']).unwrap_or(text.len());
        let (value, tail) = text.split_at(end);
        return match value {
            "" => Err("a parameter has no value"),
            _ if value.bytes().all(|b| b.is_ascii_graphic() && b != b'"') => Ok((value.to_owned(), tail)),
            _ => Err("a parameter value holds characters that need quotes"),
        };
    };
    let mut value = String::new();
    let mut chars = quoted.chars();
    loop {
        match chars.next() {
            Some('"') => return Ok((value, chars.as_str())),
            Some('\\') => value.push(chars.next().ok_or("a quoted value is not closed")?),
            Some(c) if c.is_control() && c != '\t' => return Err("a quoted value holds a control character"),
            Some(c) => value.push(c),
            None => return Err("a quoted value is not closed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "multipart/related; boundary=\"b1\"; type=\"application/xop+xml\"; \
                        start=\"<root@gw.example>\"; start-info=\"application/soap+xml\"";

    fn packaging(header: &str) -> Result<Packaging, ContentTypeFault> {
        ContentType::parse(header)?.packaging()
    }

    #[test]
    fn the_usual_mtom_header() {
        let Packaging::Mtom(related) = packaging(GOOD).unwrap() else { panic!("not MTOM") };
        assert_eq!(related.boundary, "b1");
        assert_eq!(related.start.as_deref(), Some("root@gw.example"));
        assert_eq!(related.root_type.as_deref(), Some("application/xop+xml"));
        assert_eq!(related.start_info.as_deref(), Some("application/soap+xml"));
        assert_eq!(related.action, None);
    }

    #[test]
    fn spelling_varies() {
        for header in [
            "Multipart/Related;BOUNDARY=b1;Type=application/xop+xml;start=<root@gw.example>;start-info=application/soap+xml",
            "multipart/related;\r\n\tboundary=b1 ; ; type=\"application\\/xop+xml\";\n start=\"root@gw.example\" ;start-info=\"application/soap+xml\";",
        ] {
            assert_eq!(packaging(header), packaging(GOOD), "{header}");
        }
        let inner =
            "multipart/related; boundary=b; start-info=\"application/soap+xml; action=\\\"urn:x\\\"\"";
        let Ok(Packaging::Mtom(related)) = packaging(inner) else { panic!("not MTOM") };
        assert_eq!(related.action.as_deref(), Some("urn:x"));
        assert_eq!(related.start_info.as_deref(), Some("application/soap+xml"));
    }

    #[test]
    fn simple_soap() {
        for header in [
            "application/soap+xml",
            "application/soap+xml; charset=UTF-8; action=\"urn:ihe:iti:2007:RegistryStoredQuery\"",
            "Application/SOAP+XML;charset=\"utf-8\"",
        ] {
            assert_eq!(packaging(header), Ok(Packaging::Simple), "{header}");
        }
    }

    #[test]
    fn soap11_is_told_apart() {
        for header in [
            "text/xml; charset=utf-8",
            "multipart/related; boundary=b; type=\"text/xml\"; start=\"<a>\"",
            "multipart/related; boundary=b; type=\"application/xop+xml\"; start-info=\"text/xml\"",
        ] {
            assert!(matches!(packaging(header), Err(ContentTypeFault::Soap11 { .. })), "{header}");
        }
        let root = "application/xop+xml; charset=UTF-8; type=\"text/xml\"";
        assert!(matches!(check_root(Some(root)), Err(ContentTypeFault::Soap11 { .. })));
        assert!(matches!(check_root(Some("text/xml")), Err(ContentTypeFault::Soap11 { .. })));
    }

    #[test]
    fn root_parts() {
        assert_eq!(check_root(None), Ok(()));
        let root = "application/xop+xml; charset=UTF-8; type=\"application/soap+xml\"";
        assert_eq!(check_root(Some(root)), Ok(()));
        assert!(matches!(check_root(Some("image/png")), Err(ContentTypeFault::NotXop { .. })));
        let root = "application/xop+xml; charset=Shift_JIS";
        assert!(matches!(check_root(Some(root)), Err(ContentTypeFault::Charset { .. })));
    }

    #[test]
    fn each_fault_is_earned() {
        use ContentTypeFault::*;
        for (header, fault) in [
            ("application/json", Unsupported { essence: "application/json".into() }),
            ("multipart/form-data; boundary=b", Unsupported { essence: "multipart/form-data".into() }),
            ("application/soap+xml; charset=ISO-2022-JP", Charset { charset: "ISO-2022-JP".into() }),
            ("multipart/related; boundary=b; charset=utf-16", Charset { charset: "utf-16".into() }),
            ("multipart/related; type=\"application/xop+xml\"", NoBoundary),
            ("multipart/related; boundary=\"\"", Boundary),
            ("multipart/related; boundary=\"b \"", Boundary),
            ("multipart/related; boundary=\"b*\"", Boundary),
            ("multipart/related; boundary=b; start=\"<>\"", Start),
            ("multipart/related; boundary=b; boundary=c", Duplicate { name: "boundary".into() }),
            (
                "multipart/related; boundary=b; type=\"application/soap+xml\"",
                NotXop { found: "application/soap+xml".into() },
            ),
        ] {
            assert_eq!(packaging(header), Err(fault), "{header}");
        }
        for header in [
            "",
            "text",
            "a/b/c",
            "a/b; c",
            "a/b; c=",
            "a/b; c=\"d",
            "a/b; c=\"d\"e",
            "a/b; (c)=d",
            "a/b; c=d\"",
            "a/b c=d",
        ] {
            assert!(matches!(packaging(header), Err(Malformed { .. })), "{header}");
        }
    }

    #[test]
    fn boundaries() {
        assert!(is_boundary("uuid:4f-a'()+_,-./:=? x"));
        assert!(is_boundary(&"b".repeat(70)) && !is_boundary(&"b".repeat(71)));
    }
}
