//! The syslog message around an audit message (RFC 5424; ITI TF-2 3.20.4.1.2).

use crate::model::audit::message::AuditMessage;

/// The literal MSGID of ITI-20.
pub const MSGID: &str = "IHE+RFC-3881";

/// Facility 10 (security), severity 5 (notice); 4 (warning) for what failed.
const NOTICE: u8 = 85;
const WARNING: u8 = 84;

/// Who sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    pub host: String,
    pub app: String,
    pub process: u32,
}

/// The message's octets. The time is the event's, so that a record sent again is the same.
pub fn write(sender: &Sender, message: &AuditMessage, xml: &str) -> Vec<u8> {
    let priority = if message.outcome == 0 { NOTICE } else { WARNING };
    let at = jiff::Timestamp::from_microsecond(message.at).map(|t| format!("{t:.6}"));
    format!(
        "<{priority}>1 {} {} {} {} {MSGID} - {xml}",
        at.as_deref().unwrap_or("-"),
        field(&sender.host, 255),
        field(&sender.app, 48),
        field(&sender.process.to_string(), 128),
    )
    .into_bytes()
}

/// Printable ASCII without blanks, `-` for nothing (RFC 5424 6).
fn field(text: &str, longest: usize) -> String {
    let plain: String = text.chars().filter(char::is_ascii_graphic).take(longest).collect();
    if plain.is_empty() { "-".into() } else { plain }
}

/// A syslog message taken apart. Empty where it says `-`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message<'m> {
    pub priority: u8,
    pub host: &'m str,
    pub app: &'m str,
    pub process: &'m str,
    pub message_id: &'m str,
    /// MSG, a byte order mark included.
    pub body: &'m [u8],
}

/// Not by RFC 5424.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a syslog message of RFC 5424")]
pub struct NoSyslog;

/// Longest of the header's fields (RFC 5424 6.2), and of the whole header with structured data.
const HEADER: usize = 8192;

pub fn read(bytes: &[u8]) -> Result<Message<'_>, NoSyslog> {
    let rest = bytes.strip_prefix(b"<").ok_or(NoSyslog)?;
    let close = rest.iter().take(4).position(|b| *b == b'>').ok_or(NoSyslog)?;
    let digits = rest.get(..close).and_then(|d| std::str::from_utf8(d).ok()).ok_or(NoSyslog)?;
    let priority: u8 = digits.parse().ok().filter(|p| *p <= 191).ok_or(NoSyslog)?;
    let mut rest = rest.get(close + 1..).ok_or(NoSyslog)?;
    let mut fields = [""; 6];
    for place in &mut fields {
        let end = rest.iter().take(HEADER).position(|b| *b == b' ').ok_or(NoSyslog)?;
        let field = rest.get(..end).and_then(|f| std::str::from_utf8(f).ok()).ok_or(NoSyslog)?;
        if field.is_empty() || !field.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(NoSyslog);
        }
        *place = if field == "-" { "" } else { field };
        rest = rest.get(end + 1..).ok_or(NoSyslog)?;
    }
    let [version, _time, host, app, process, message_id] = fields;
    if version != "1" {
        return Err(NoSyslog);
    }
    let body = after_structured_data(rest)?;
    Ok(Message { priority, host, app, process, message_id, body })
}

/// `-`, or elements in brackets whose quoted values may hold brackets (RFC 5424 6.3).
fn after_structured_data(bytes: &[u8]) -> Result<&[u8], NoSyslog> {
    let end = match bytes.first() {
        Some(b'-') => 1,
        Some(b'[') => {
            let (mut quoted, mut escaped, mut inside) = (false, false, false);
            let mut end = None;
            for (at, byte) in bytes.iter().enumerate().take(HEADER) {
                match byte {
                    _ if escaped => escaped = false,
                    b'\\' if quoted => escaped = true,
                    b'"' if inside => quoted = !quoted,
                    b'[' if !inside => inside = true,
                    b']' if inside && !quoted => {
                        inside = false;
                        end = Some(at + 1);
                    }
                    _ if inside => {}
                    _ => break,
                }
            }
            end.filter(|_| !inside).ok_or(NoSyslog)?
        }
        _ => return Err(NoSyslog),
    };
    match bytes.get(end..) {
        Some([]) => Ok(&[]),
        Some([b' ', body @ ..]) => Ok(body),
        _ => Err(NoSyslog),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_that_of_iti_20() {
        let sender = Sender { host: "gw 病院.example.jp".into(), app: "a".repeat(60), process: 42 };
        let message = AuditMessage { at: 1_700_000_000_123_456, ..AuditMessage::default() };
        let text = String::from_utf8(write(&sender, &message, "<A/>")).unwrap();
        let app = "a".repeat(48);
        assert_eq!(
            text,
            format!("<85>1 2023-11-14T22:13:20.123456Z gw.example.jp {app} 42 IHE+RFC-3881 - <A/>")
        );
        let failed = AuditMessage { outcome: 8, ..message };
        assert!(write(&sender, &failed, "").starts_with(b"<84>1 "));
        let read = read(text.as_bytes()).unwrap();
        assert_eq!(
            (read.priority, read.host, read.process, read.message_id),
            (85, "gw.example.jp", "42", MSGID)
        );
        assert_eq!(read.body, b"<A/>");
    }

    #[test]
    fn structured_data_is_passed_over() {
        let head = "<85>1 - - - - - ";
        for (rest, body) in [
            ("- x y", "x y"),
            ("-", ""),
            ("[a b=\"c\"] x", "x"),
            ("[a b=\"] \\\" [\"][d] x", "x"),
            ("[a]", ""),
        ] {
            assert_eq!(read(format!("{head}{rest}").as_bytes()).unwrap().body, body.as_bytes(), "{rest}");
        }
        for bad in ["", "x", "[a", "[a b=\"c] x", "-x", "[a]x"] {
            assert_eq!(read(format!("{head}{bad}").as_bytes()), Err(NoSyslog), "{bad}");
        }
    }

    #[test]
    fn anything_else_is_no_syslog() {
        for bad in [
            "",
            "<",
            "<85",
            "<999>1 - - - - - -",
            "<85>2 - - - - - -",
            "<85>1  - - - - -",
            "85>1",
            "<85>1 - - -",
        ] {
            assert_eq!(read(bad.as_bytes()), Err(NoSyslog), "{bad}");
        }
        assert_eq!(read(b"<34>Oct 11 22:14:15 mymachine su: old"), Err(NoSyslog));
    }
}
