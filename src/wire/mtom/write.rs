//! The framing of multipart messages we send (RFC 2387; MTOM 3.2).
//!
//! A message is `root_head`, envelope, `part_end`, then for each document `part_head`, octets,
//! `part_end`, and `closing`. The pieces are `Bytes`, so a server adds up their lengths and the
//! documents' sizes for Content-Length and then streams.

use bytes::Bytes;
use uuid::Uuid;

/// The boundary and the ids of one multipart message.
#[derive(Debug, Clone)]
pub struct Multipart {
    /// Random and unique to the message, so that no document can contain the boundary.
    token: String,
}

impl Multipart {
    /// A message with a fresh random boundary (122 bits).
    pub fn fresh() -> Self {
        Self { token: Uuid::new_v4().simple().to_string() }
    }

    fn boundary(&self) -> String {
        format!("chiren-{}", self.token)
    }

    fn root_id(&self) -> String {
        format!("root.{}@chiren", self.token)
    }

    /// Content-ID, without `<>`, for the `n`th document. It needs no escaping in a `cid:` URL;
    /// [`super::cid::href`] makes that URL.
    pub fn document_id(&self, n: usize) -> String {
        format!("doc{n}.{}@chiren", self.token)
    }

    /// The Content-Type header of the message. `action` is set where a transaction requires it
    /// (ITI-86), since some peers refuse one they do not expect.
    pub fn content_type(&self, action: Option<&str>) -> String {
        let (boundary, root) = (self.boundary(), self.root_id());
        let mut header = format!(
            "multipart/related; boundary=\"{boundary}\"; type=\"application/xop+xml\"; \
             start=\"<{root}>\"; start-info=\"application/soap+xml\""
        );
        push_action(&mut header, action);
        header
    }

    /// Delimiter and headers before the envelope.
    pub fn root_head(&self) -> Bytes {
        let content_type = "application/xop+xml; charset=UTF-8; type=\"application/soap+xml\"";
        self.head(content_type, &self.root_id())
    }

    /// Delimiter and headers before a document. A `mime` that is not a media type becomes
    /// `application/octet-stream`: it comes from metadata and must not add headers of its own.
    pub fn part_head(&self, content_id: &str, mime: &str) -> Bytes {
        let is_type = |t: &str| {
            let name = |s: &str| {
                !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b))
            };
            t.split_once('/').is_some_and(|(kind, sub)| name(kind) && name(sub))
        };
        let content_type = if is_type(mime) { mime } else { "application/octet-stream" };
        self.head(content_type, &visible(content_id).replace(['<', '>'], ""))
    }

    fn head(&self, content_type: &str, content_id: &str) -> Bytes {
        Bytes::from(format!(
            "--{}\r\nContent-Type: {content_type}\r\nContent-Transfer-Encoding: binary\r\nContent-ID: <{content_id}>\r\n\r\n",
            self.boundary()
        ))
    }

    /// What follows the content of every part.
    pub fn part_end(&self) -> Bytes {
        Bytes::from_static(b"\r\n")
    }

    /// What follows the last part.
    pub fn closing(&self) -> Bytes {
        Bytes::from(format!("--{}--\r\n", self.boundary()))
    }

    /// A message of known token, for tests that compare bytes.
    #[cfg(test)]
    pub fn with_token(token: &str) -> Self {
        Self { token: token.to_owned() }
    }
}

/// Content-Type of a message that is an envelope alone, without action.
pub const SOAP_TYPE: &str = "application/soap+xml; charset=UTF-8";

/// Content-Type of a message that is an envelope alone. `action` as in [`Multipart::content_type`].
pub fn soap_type(action: Option<&str>) -> String {
    let mut header = SOAP_TYPE.to_owned();
    push_action(&mut header, action);
    header
}

fn push_action(header: &mut String, action: Option<&str>) {
    if let Some(action) = action {
        header.push_str("; action=\"");
        header.push_str(&visible(action).replace('\\', "\\\\").replace('"', "\\\""));
        header.push('"');
    }
}

fn visible(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_graphic()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::content_type::{ContentType, Packaging, check_root, is_boundary};
    use super::super::split::{MtomLimits, PartEvent, Splitter};
    use super::*;

    #[test]
    fn frames_are_as_the_reference_shows() {
        let m = Multipart::with_token("t");
        assert_eq!(
            m.content_type(None),
            "multipart/related; boundary=\"chiren-t\"; type=\"application/xop+xml\"; \
             start=\"<root.t@chiren>\"; start-info=\"application/soap+xml\""
        );
        assert_eq!(
            m.root_head(),
            "--chiren-t\r\nContent-Type: application/xop+xml; charset=UTF-8; type=\"application/soap+xml\"\r\n\
             Content-Transfer-Encoding: binary\r\nContent-ID: <root.t@chiren>\r\n\r\n"
        );
        assert_eq!(
            m.part_head(&m.document_id(1), "application/pdf"),
            "--chiren-t\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: binary\r\n\
             Content-ID: <doc1.t@chiren>\r\n\r\n"
        );
        assert_eq!((m.part_end(), m.closing()), ("\r\n".into(), "--chiren-t--\r\n".into()));
    }

    #[test]
    fn action_is_quoted() {
        let header = Multipart::fresh().content_type(Some("urn:\"x\r\n"));
        let parsed = ContentType::parse(&header).unwrap();
        assert_eq!(parsed.param("action"), Some("urn:\"x"));
    }

    #[test]
    fn metadata_adds_no_headers() {
        let head = Multipart::with_token("t").part_head("a>\r\nX: y", "text/plain\r\nX: y");
        let head = String::from_utf8(head.to_vec()).unwrap();
        assert!(head.contains("Content-Type: application/octet-stream\r\n"));
        assert_eq!(head.lines().count(), 5);
    }

    #[test]
    fn what_we_write_we_split() {
        let m = Multipart::fresh();
        assert!(is_boundary(&m.boundary()));
        let Ok(Packaging::Mtom(related)) = ContentType::parse(&m.content_type(None)).unwrap().packaging()
        else {
            panic!("not MTOM")
        };
        let mut splitter = Splitter::for_related(&related, MtomLimits::default());
        let mut events = Vec::new();
        let id = m.document_id(1);
        for piece in [
            m.root_head(),
            "<e/>".into(),
            m.part_end(),
            m.part_head(&id, "text/xml"),
            m.part_end(),
            m.closing(),
        ] {
            splitter.push(piece, &mut events).unwrap();
        }
        splitter.finish(&mut events).unwrap();
        let heads: Vec<_> =
            events.iter().filter_map(|e| if let PartEvent::Start(h) = e { Some(h) } else { None }).collect();
        assert!(heads[0].root && !heads[1].root);
        assert_eq!(check_root(heads[0].content_type.as_deref()), Ok(()));
        assert_eq!(heads[1].content_id.as_deref(), Some(id.as_str()));
    }
}
