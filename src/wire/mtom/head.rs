//! The header block of one part (RFC 2045 3; RFC 5322 2.2).

use super::content_type::strip_angles;
use super::split::MtomFault;

/// What the headers of a part say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartHead {
    /// Place in the message, from 1.
    pub part: usize,
    /// Whether this is the part with the envelope.
    pub root: bool,
    /// Without `<>`.
    pub content_id: Option<String>,
    pub content_type: Option<String>,
    pub transfer_encoding: TransferEncoding,
}

/// How the content was written; [`super::split::PartEvent::Data`] is decoded already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferEncoding {
    /// `7bit`, `8bit`, `binary` or none named.
    Identity,
    Base64,
}

/// Reads the lines of a header block, its final CRLF and the empty line left out.
pub(super) fn parse(block: &[u8], part: usize, max_lines: usize) -> Result<PartHead, MtomFault> {
    let fault = |reason| MtomFault::Head { part, reason };
    let text = std::str::from_utf8(block).map_err(|_| fault("they are not UTF-8"))?;
    let mut head = PartHead {
        part,
        root: false,
        content_id: None,
        content_type: None,
        transfer_encoding: TransferEncoding::Identity,
    };
    let mut encoding = None;
    let mut fields: Vec<String> = Vec::new();
    for (number, line) in text.split("\r\n").filter(|_| !text.is_empty()).enumerate() {
        if number == max_lines {
            return Err(MtomFault::TooManyHeaderLines { part, limit: max_lines });
        }
        if line.chars().any(|c| c.is_control() && c != '\t') {
            return Err(fault("a line holds a control character"));
        }
        match fields.last_mut() {
            Some(field) if line.starts_with([' ', '\t']) => {
                field.push(' ');
                field.push_str(line.trim_start_matches([' ', '\t']));
            }
            _ => fields.push(line.to_owned()),
        }
    }
    for field in &fields {
        let (name, value) = field.split_once(':').ok_or(fault("a line has no colon"))?;
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(fault("a header name is not a token"));
        }
        let slot = match name.to_ascii_lowercase().as_str() {
            "content-id" => &mut head.content_id,
            "content-type" => &mut head.content_type,
            "content-transfer-encoding" => &mut encoding,
            _ => continue,
        };
        if slot.is_some() {
            return Err(fault("a header stands there twice"));
        }
        *slot = Some(value.trim_matches([' ', '\t']).to_owned());
    }
    if let Some(id) = &mut head.content_id {
        *id = strip_angles(id).to_owned();
        if id.is_empty() {
            return Err(fault("the Content-ID is empty"));
        }
    }
    if let Some(name) = encoding {
        head.transfer_encoding = match name.to_ascii_lowercase().as_str() {
            "7bit" | "8bit" | "binary" => TransferEncoding::Identity,
            "base64" => TransferEncoding::Base64,
            _ => return Err(MtomFault::TransferEncoding { part, encoding: name }),
        };
    }
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(block: &str) -> Result<PartHead, MtomFault> {
        parse(block.as_bytes(), 2, 4)
    }

    #[test]
    fn reads_and_unfolds() {
        let head =
            read("content-ID:  <a@b> \r\nContent-Type: text/xml;\r\n\tcharset=UTF-8\r\nX-Y: z").unwrap();
        assert_eq!(head.content_id.as_deref(), Some("a@b"));
        assert_eq!(head.content_type.as_deref(), Some("text/xml; charset=UTF-8"));
        assert_eq!(head.transfer_encoding, TransferEncoding::Identity);
        assert_eq!(read("Content-ID: a@b").unwrap().content_id.as_deref(), Some("a@b"));
        assert_eq!(read("").unwrap().content_id, None);
    }

    #[test]
    fn transfer_encodings() {
        for name in ["7bit", "8BIT", "Binary"] {
            let head = read(&format!("Content-Transfer-Encoding: {name}")).unwrap();
            assert_eq!(head.transfer_encoding, TransferEncoding::Identity);
        }
        let head = read("Content-Transfer-Encoding: Base64").unwrap();
        assert_eq!(head.transfer_encoding, TransferEncoding::Base64);
        for name in ["quoted-printable", "gzip", ""] {
            let fault = read(&format!("Content-Transfer-Encoding: {name}")).unwrap_err();
            assert_eq!(fault, MtomFault::TransferEncoding { part: 2, encoding: name.into() });
        }
    }

    #[test]
    fn bad_blocks() {
        for block in [
            "Content-ID <a>",
            ": x",
            "A B: c",
            " folded: first",
            "A: b\nC: d",
            "A: b\0",
            "Content-ID: <>",
            "Content-ID: <a>\r\nContent-Id: <b>",
            "Content-Type: a/b\r\ncontent-type: a/b",
        ] {
            assert!(matches!(read(block), Err(MtomFault::Head { part: 2, .. })), "{block:?}");
        }
        assert!(matches!(parse(b"A: \xFF", 1, 4), Err(MtomFault::Head { .. })));
        let fault = read("A: b\r\n c\r\n d\r\n e\r\n f").unwrap_err();
        assert_eq!(fault, MtomFault::TooManyHeaderLines { part: 2, limit: 4 });
    }
}
