//! JSON as it was written: numbers keep their text (`1.00` stays `1.00`), members keep their order, a key may stand
//! once (FHIR R4 2.6.2; RFC 8259 4). What is read and written again is the same but for white space between tokens.

use std::collections::HashSet;
use std::fmt;

/// A value. Numbers are text until somebody counts with them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Json {
    Null,
    Bool(bool),
    Number(Box<str>),
    Text(Box<str>),
    List(Vec<Json>),
    Object(Object),
}

/// Members in the order they were written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Object {
    members: Vec<(Box<str>, Json)>,
}

/// Where reading ended: line and column from 1, the column in characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonError {
    pub kind: JsonErrorKind,
    pub line: usize,
    pub column: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JsonErrorKind {
    /// Not UTF-8.
    Encoding,
    /// The text ends inside a value.
    Ended,
    /// Another character is due here.
    Unexpected(&'static str),
    /// The member's name was there before.
    DuplicateKey(String),
    /// More levels than allowed.
    Depth(usize),
    /// More bytes than allowed.
    Size(usize),
    /// Something after the value.
    Trailing,
}

/// What a reader bears.
#[derive(Clone, Copy, Debug)]
pub struct JsonLimits {
    pub depth: usize,
    pub bytes: usize,
}

impl Default for JsonLimits {
    fn default() -> Self {
        // A Bundle in a Bundle with contained resources is about 30 levels deep.
        Self { depth: 96, bytes: 64 << 20 }
    }
}

// === impl Json ===

impl Json {
    /// One value and nothing after it.
    pub fn parse(bytes: &[u8]) -> Result<Self, JsonError> {
        Self::parse_within(bytes, JsonLimits::default())
    }

    pub fn parse_within(bytes: &[u8], limits: JsonLimits) -> Result<Self, JsonError> {
        if bytes.len() > limits.bytes {
            return Err(JsonError { kind: JsonErrorKind::Size(limits.bytes), line: 1, column: 1 });
        }
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(e) => {
                let good = std::str::from_utf8(&bytes[..e.valid_up_to()]).unwrap_or_default();
                return Err(place(good, good.len(), JsonErrorKind::Encoding));
            }
        };
        let mut reader = Reader { text, at: 0, limits };
        // A byte order mark is no part of JSON (RFC 8259 8.1) and yet common.
        if text.starts_with('\u{feff}') {
            reader.at = 3;
        }
        let value = reader.value(0).and_then(|value| {
            reader.space();
            if reader.at < text.len() { Err(JsonErrorKind::Trailing) } else { Ok(value) }
        });
        value.map_err(|kind| place(text, reader.at, kind))
    }

    pub fn text(text: impl Into<Box<str>>) -> Self {
        Self::Text(text.into())
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_object(&self) -> Option<&Object> {
        match self {
            Self::Object(object) => Some(object),
            _ => None,
        }
    }

    pub fn as_object_mut(&mut self) -> Option<&mut Object> {
        match self {
            Self::Object(object) => Some(object),
            _ => None,
        }
    }

    pub fn as_list(&self) -> Option<&[Json]> {
        match self {
            Self::List(list) => Some(list),
            _ => None,
        }
    }

    pub fn as_list_mut(&mut self) -> Option<&mut Vec<Json>> {
        match self {
            Self::List(list) => Some(list),
            _ => None,
        }
    }

    /// The member of that name, where this is an object.
    pub fn get(&self, name: &str) -> Option<&Json> {
        self.as_object()?.get(name)
    }

    pub fn get_mut(&mut self, name: &str) -> Option<&mut Json> {
        self.as_object_mut()?.get_mut(name)
    }

    /// The text of the member of that name.
    pub fn str(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }

    /// The items of the member of that name; none where it is absent or no list.
    pub fn items(&self, name: &str) -> &[Json] {
        self.get(name).and_then(Json::as_list).unwrap_or_default()
    }

    /// The value at a path of member names and indexes.
    pub fn at(&self, path: &[&str]) -> Option<&Json> {
        path.iter().try_fold(self, |here, step| match here {
            Json::List(list) => step.parse::<usize>().ok().and_then(|i| list.get(i)),
            _ => here.get(step),
        })
    }

    /// Without white space between tokens.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(1024);
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.extend_from_slice(b"null"),
            Self::Bool(true) => out.extend_from_slice(b"true"),
            Self::Bool(false) => out.extend_from_slice(b"false"),
            Self::Number(text) => out.extend_from_slice(text.as_bytes()),
            Self::Text(text) => write_text(text, out),
            Self::List(list) => {
                out.push(b'[');
                for (i, item) in list.iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    item.write(out);
                }
                out.push(b']');
            }
            Self::Object(object) => {
                out.push(b'{');
                for (i, (name, value)) in object.members.iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    write_text(name, out);
                    out.push(b':');
                    value.write(out);
                }
                out.push(b'}');
            }
        }
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.to_bytes()))
    }
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for c in text.chars() {
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            c if (c as u32) < 0x20 => out.extend_from_slice(format!("\\u{:04x}", c as u32).as_bytes()),
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

// === impl Object ===

impl Object {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn get(&self, name: &str) -> Option<&Json> {
        self.members.iter().find(|(key, _)| &**key == name).map(|(_, value)| value)
    }

    pub fn get_mut(&mut self, name: &str) -> Option<&mut Json> {
        self.members.iter_mut().find(|(key, _)| &**key == name).map(|(_, value)| value)
    }

    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Replaces the member where it stands, or puts it at the end.
    pub fn set(&mut self, name: &str, value: Json) {
        match self.get_mut(name) {
            Some(old) => *old = value,
            None => self.members.push((name.into(), value)),
        }
    }

    pub fn remove(&mut self, name: &str) -> Option<Json> {
        let at = self.members.iter().position(|(key, _)| &**key == name)?;
        Some(self.members.remove(at).1)
    }

    pub fn len(&self) -> usize {
        self.members.len()
    }

    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Json)> {
        self.members.iter().map(|(key, value)| (&**key, value))
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&str, &mut Json)> {
        self.members.iter_mut().map(|(key, value)| (&**key, value))
    }
}

impl FromIterator<(Box<str>, Json)> for Object {
    fn from_iter<T: IntoIterator<Item = (Box<str>, Json)>>(members: T) -> Self {
        let mut object = Self::new();
        for (name, value) in members {
            object.set(&name, value);
        }
        object
    }
}

// === impl JsonError ===

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: ", self.line, self.column)?;
        match &self.kind {
            JsonErrorKind::Encoding => f.write_str("not UTF-8"),
            JsonErrorKind::Ended => f.write_str("the text ends inside a value"),
            JsonErrorKind::Unexpected(due) => write!(f, "{due} is due here"),
            // A member's name is what FHIR names, no patient's value; it is cut all the same.
            JsonErrorKind::DuplicateKey(name) => {
                write!(f, "member {} stands twice", name.chars().take(64).collect::<String>())
            }
            JsonErrorKind::Depth(limit) => write!(f, "more than {limit} levels"),
            JsonErrorKind::Size(limit) => write!(f, "more than {limit} bytes"),
            JsonErrorKind::Trailing => f.write_str("something follows the value"),
        }
    }
}

impl std::error::Error for JsonError {}

fn place(text: &str, at: usize, kind: JsonErrorKind) -> JsonError {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    let before = &text[..at];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    JsonError { kind, line, column }
}

// === reading ===

struct Reader<'a> {
    text: &'a str,
    at: usize,
    limits: JsonLimits,
}

/// From how many members on a set remembers the names; below, looking along them is faster.
const MANY: usize = 24;

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn due(&mut self, byte: u8, name: &'static str) -> Result<(), JsonErrorKind> {
        match self.peek() {
            Some(found) if found == byte => {
                self.at += 1;
                Ok(())
            }
            Some(_) => Err(JsonErrorKind::Unexpected(name)),
            None => Err(JsonErrorKind::Ended),
        }
    }

    fn value(&mut self, depth: usize) -> Result<Json, JsonErrorKind> {
        self.space();
        match self.peek() {
            None => Err(JsonErrorKind::Ended),
            Some(b'{' | b'[') if depth >= self.limits.depth => Err(JsonErrorKind::Depth(self.limits.depth)),
            Some(b'{') => self.object(depth),
            Some(b'[') => self.list(depth),
            Some(b'"') => Ok(Json::Text(self.string()?.into())),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(b'n') => self.word("null", Json::Null),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(_) => Err(JsonErrorKind::Unexpected("a value")),
        }
    }

    fn word(&mut self, word: &'static str, value: Json) -> Result<Json, JsonErrorKind> {
        if self.text[self.at..].starts_with(word) {
            self.at += word.len();
            return Ok(value);
        }
        Err(JsonErrorKind::Unexpected("a value"))
    }

    fn digits(&mut self) -> Result<usize, JsonErrorKind> {
        let from = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at > from {
            return Ok(self.at - from);
        }
        Err(if self.peek().is_none() { JsonErrorKind::Ended } else { JsonErrorKind::Unexpected("a digit") })
    }

    fn number(&mut self) -> Result<Json, JsonErrorKind> {
        let from = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let zero = self.peek() == Some(b'0');
        if self.digits()? > 1 && zero {
            return Err(JsonErrorKind::Unexpected("a number without leading zeros"));
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(Json::Number(self.text[from..self.at].into()))
    }

    fn list(&mut self, depth: usize) -> Result<Json, JsonErrorKind> {
        self.at += 1;
        let mut list = vec![];
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Json::List(list));
        }
        loop {
            list.push(self.value(depth + 1)?);
            self.space();
            if self.peek() == Some(b',') {
                self.at += 1;
                continue;
            }
            self.due(b']', "a comma or ]")?;
            return Ok(Json::List(list));
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, JsonErrorKind> {
        self.at += 1;
        let mut members: Vec<(Box<str>, Json)> = vec![];
        let mut seen: HashSet<Box<str>> = HashSet::new();
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Json::Object(Object { members }));
        }
        loop {
            self.space();
            let start = self.at;
            if self.peek().is_some_and(|b| b != b'"') {
                return Err(JsonErrorKind::Unexpected("a member's name"));
            }
            let name: Box<str> = self.string()?.into();
            if members.len() == MANY {
                seen.extend(members.iter().map(|(key, _)| key.clone()));
            }
            let twice = if members.len() < MANY {
                members.iter().any(|(key, _)| *key == name)
            } else {
                !seen.insert(name.clone())
            };
            if twice {
                self.at = start;
                return Err(JsonErrorKind::DuplicateKey(name.into()));
            }
            self.space();
            self.due(b':', "a colon")?;
            members.push((name, self.value(depth + 1)?));
            self.space();
            if self.peek() == Some(b',') {
                self.at += 1;
                continue;
            }
            self.due(b'}', "a comma or }")?;
            return Ok(Json::Object(Object { members }));
        }
    }

    fn string(&mut self) -> Result<String, JsonErrorKind> {
        self.due(b'"', "a text")?;
        let mut out = String::new();
        loop {
            let from = self.at;
            while self.peek().is_some_and(|b| b != b'"' && b != b'\\' && b >= 0x20) {
                self.at += 1;
            }
            out.push_str(&self.text[from..self.at]);
            match self.peek() {
                None => return Err(JsonErrorKind::Ended),
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => {
                    self.at += 1;
                    out.push(self.escape()?);
                }
                Some(_) => return Err(JsonErrorKind::Unexpected("an escaped control character")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonErrorKind> {
        let byte = self.peek().ok_or(JsonErrorKind::Ended)?;
        self.at += 1;
        Ok(match byte {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(),
            _ => {
                self.at -= 1;
                return Err(JsonErrorKind::Unexpected("an escape"));
            }
        })
    }

    fn unicode(&mut self) -> Result<char, JsonErrorKind> {
        let bad = JsonErrorKind::Unexpected("a Unicode escape of a character");
        let high = self.hex()?;
        if !(0xd800..0xe000).contains(&high) {
            return char::from_u32(high).ok_or(bad);
        }
        // A character outside the basic plane is two escapes; half of one is no character.
        if high >= 0xdc00 || !self.text[self.at..].starts_with("\\u") {
            return Err(bad);
        }
        self.at += 2;
        let low = self.hex()?;
        if !(0xdc00..0xe000).contains(&low) {
            return Err(bad);
        }
        char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)).ok_or(bad)
    }

    fn hex(&mut self) -> Result<u32, JsonErrorKind> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4).ok_or(JsonErrorKind::Ended)?;
        let mut value = 0;
        for byte in digits {
            let digit =
                (*byte as char).to_digit(16).ok_or(JsonErrorKind::Unexpected("a hexadecimal digit"))?;
            value = value * 16 + digit;
        }
        self.at += 4;
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_order_stay() {
        let text = r#"{"b":1.00,"a":[-0.0,1E+2,12345678901234567890.123],"_b":null,"字":"\"\\\n\u0001"}"#;
        assert_eq!(Json::parse(text.as_bytes()).unwrap().to_string(), text);
    }

    #[test]
    fn faults_have_a_place() {
        let cases: &[(&str, JsonErrorKind, usize, usize)] = &[
            ("{\"a\":1,\n \"a\":2}", JsonErrorKind::DuplicateKey("a".into()), 2, 2),
            ("{\"a\":01}", JsonErrorKind::Unexpected("a number without leading zeros"), 1, 8),
            ("[1,2", JsonErrorKind::Ended, 1, 5),
            ("\"\\ud800\"", JsonErrorKind::Unexpected("a Unicode escape of a character"), 1, 8),
            ("{} x", JsonErrorKind::Trailing, 1, 4),
            ("\"あ\t\"", JsonErrorKind::Unexpected("an escaped control character"), 1, 3),
        ];
        for (text, kind, line, column) in cases {
            let error = Json::parse(text.as_bytes()).unwrap_err();
            assert_eq!((&error.kind, error.line, error.column), (kind, *line, *column), "{text}");
        }
        let deep = "[".repeat(200);
        assert_eq!(Json::parse(deep.as_bytes()).unwrap_err().kind, JsonErrorKind::Depth(96));
        assert_eq!(Json::parse(b"\"\xff\"").unwrap_err().kind, JsonErrorKind::Encoding);
        let many: String = (0..60).map(|i| format!("\"k{i}\":0,")).collect();
        let twice = format!("{{{many}\"k30\":1}}");
        assert_eq!(
            Json::parse(twice.as_bytes()).unwrap_err().kind,
            JsonErrorKind::DuplicateKey("k30".into())
        );
    }

    #[test]
    fn surrogates_pair() {
        assert_eq!(Json::parse(br#""\ud842\udfb7""#).unwrap(), Json::text("𠮷"));
    }
}
