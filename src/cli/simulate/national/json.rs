//! JSON as bytes: the text of one member as it stands, and hashes of it.

use sha2::{Digest as _, Sha256};

/// SHA-256, lower-case hex.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The text of the member that `path` leads to, exactly as written. `text` must be JSON, as a parser has found; where a
/// name is repeated the last one counts, as with that parser.
pub fn raw<'a>(text: &'a str, path: &[&str]) -> Option<&'a str> {
    let Some((name, rest)) = path.split_first() else { return Some(text.trim()) };
    let mut at = Cursor { text, at: 0 };
    at.space();
    at.take('{')?;
    let mut found = None;
    loop {
        at.space();
        if at.peek()? == '}' {
            break;
        }
        let key: String = serde_json::from_str(at.value()?).ok()?;
        at.space();
        at.take(':')?;
        at.space();
        let value = at.value()?;
        if key == *name {
            found = Some(value);
        }
        at.space();
        if at.take(',').is_none() {
            break;
        }
    }
    raw(found?, rest)
}

struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn peek(&self) -> Option<char> {
        self.text.as_bytes().get(self.at).map(|b| char::from(*b))
    }

    fn take(&mut self, wanted: char) -> Option<()> {
        (self.peek()? == wanted).then(|| self.at += 1)
    }

    fn space(&mut self) {
        while self.peek().is_some_and(|c| c.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    /// The value that begins here.
    fn value(&mut self) -> Option<&'a str> {
        let start = self.at;
        let mut depth = 0_usize;
        loop {
            match self.peek()? {
                '"' => {
                    self.string()?;
                    if depth == 0 {
                        break;
                    }
                }
                '{' | '[' => {
                    depth += 1;
                    self.at += 1;
                }
                '}' | ']' => {
                    if depth == 0 {
                        break;
                    }
                    depth -= 1;
                    self.at += 1;
                    if depth == 0 {
                        break;
                    }
                }
                ',' | ':' if depth == 0 => break,
                c if c.is_ascii_whitespace() && depth == 0 => break,
                _ => {
                    self.at += 1;
                    if self.at >= self.text.len() {
                        break;
                    }
                }
            }
        }
        self.text.get(start..self.at)
    }

    fn string(&mut self) -> Option<()> {
        self.take('"')?;
        loop {
            match self.peek()? {
                '"' => {
                    self.at += 1;
                    return Some(());
                }
                '\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_keeps_its_spelling() {
        let text = r#" { "a\"}" : [1, {"B":"}"}] , "M" : { "n" : null, "B" : { "x" : 1.50, "y":"\"}" } } } "#;
        assert_eq!(raw(text, &["M", "B"]), Some(r#"{ "x" : 1.50, "y":"\"}" }"#));
        assert_eq!(raw(text, &["M", "n"]), Some("null"));
        assert_eq!(raw(text, &["M", "z"]), None);
        assert_eq!(raw(r#"{"M":{"B":1,"B":2}}"#, &["M", "B"]), Some("2"));
        assert_eq!(raw(r#"{"É":"日本","B":"語"}"#, &["B"]), Some("\"語\""));
    }
}
