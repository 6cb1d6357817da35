//! FHIR JSON as it is written: elements in the order they are set, decimals with the digits they came with.
//!
//! Only written here, never read; `serde_json` would sort the elements and write 4.40 as 4.4.

/// A value that is to be written.
#[derive(Clone, PartialEq, Eq)]
pub enum Json {
    Text(String),
    Number(Decimal),
    Flag(bool),
    List(Vec<Json>),
    Object(Object),
}

/// An object under construction. What is empty is left out: FHIR has no empty strings, lists or objects.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Object(Vec<(&'static str, Json)>);

/// A number with the digits of its source, in the form of FHIR's `decimal`.
#[derive(Clone, PartialEq, Eq)]
pub struct Decimal(String);

impl Decimal {
    /// Signs, leading zeros and bare points are put right; trailing zeros are the sender's precision and stay.
    pub fn parse(text: &str) -> Option<Decimal> {
        let (sign, rest) = match text.strip_prefix(['-', '+']) {
            Some(rest) => (if text.starts_with('-') { "-" } else { "" }, rest),
            None => ("", text),
        };
        let (whole, fraction) = match rest.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (rest, None),
        };
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        let fraction = fraction.unwrap_or_default();
        if !digits(whole) || !digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
            return None;
        }
        // More than any measurement has; a bound on what a sender makes others compute with.
        if whole.len() + fraction.len() > 18 {
            return None;
        }
        let whole = match whole.trim_start_matches('0') {
            "" => "0",
            whole => whole,
        };
        let point = if fraction.is_empty() { "" } else { "." };
        Some(Decimal(format!("{sign}{whole}{point}{fraction}")))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Object {
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins a resource.
    pub fn resource(kind: &'static str) -> Self {
        Self::new().set("resourceType", kind)
    }

    #[must_use]
    pub fn set(mut self, name: &'static str, value: impl Into<Json>) -> Self {
        let value = value.into();
        if !value.is_empty() {
            self.0.push((name, value));
        }
        self
    }

    #[must_use]
    pub fn opt(self, name: &'static str, value: Option<impl Into<Json>>) -> Self {
        match value {
            Some(value) => self.set(name, value),
            None => self,
        }
    }

    /// A list of one.
    #[must_use]
    pub fn one(self, name: &'static str, value: impl Into<Json>) -> Self {
        self.list(name, [value])
    }

    #[must_use]
    pub fn list(self, name: &'static str, values: impl IntoIterator<Item = impl Into<Json>>) -> Self {
        self.set(
            name,
            Json::List(values.into_iter().map(Into::into).filter(|v: &Json| !v.is_empty()).collect()),
        )
    }

    /// With the elements of `head` in front.
    #[must_use]
    pub fn before(self, mut head: Object) -> Self {
        head.0.extend(self.0);
        head
    }

    /// With an element after the one called `after`, or at the end.
    #[must_use]
    pub fn set_after(mut self, after: &str, name: &'static str, value: Json) -> Self {
        let at = self.0.iter().position(|(n, _)| *n == after).map_or(self.0.len(), |at| at + 1);
        self.0.insert(at, (name, value));
        self
    }

    /// With another value for an element.
    #[must_use]
    pub fn replaced(mut self, name: &str, value: Json) -> Self {
        if let Some((_, old)) = self.0.iter_mut().find(|(n, _)| *n == name) {
            *old = value;
        }
        self
    }
}

impl Json {
    fn is_empty(&self) -> bool {
        match self {
            Json::Text(text) => text.is_empty(),
            Json::List(list) => list.is_empty(),
            Json::Object(object) => object.0.is_empty(),
            Json::Number(_) | Json::Flag(_) => false,
        }
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut out = String::with_capacity(16 << 10);
        self.write(&mut out);
        out.into_bytes()
    }

    fn write(&self, out: &mut String) {
        match self {
            Json::Text(text) => quoted(text, out),
            Json::Number(number) => out.push_str(&number.0),
            Json::Flag(flag) => out.push_str(if *flag { "true" } else { "false" }),
            Json::List(list) => {
                out.push('[');
                for (i, value) in list.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    value.write(out);
                }
                out.push(']');
            }
            Json::Object(object) => {
                out.push('{');
                for (i, (name, value)) in object.0.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    quoted(name, out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

fn quoted(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                let code = u32::from(c);
                out.push_str(&format!("\\u{code:04x}"));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Json::Text(text.to_owned())
    }
}

impl From<&String> for Json {
    fn from(text: &String) -> Self {
        Json::Text(text.clone())
    }
}

impl From<String> for Json {
    fn from(text: String) -> Self {
        Json::Text(text)
    }
}

impl From<bool> for Json {
    fn from(flag: bool) -> Self {
        Json::Flag(flag)
    }
}

impl From<Decimal> for Json {
    fn from(number: Decimal) -> Self {
        Json::Number(number)
    }
}

impl From<Vec<Json>> for Json {
    fn from(list: Vec<Json>) -> Self {
        Json::List(list)
    }
}

impl From<Object> for Json {
    fn from(object: Object) -> Self {
        Json::Object(object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_keep_their_digits() {
        let read = |text: &str| Decimal::parse(text).map(|d| d.as_str().to_owned());
        for (text, kept) in [
            ("4.40", "4.40"),
            ("0.10", "0.10"),
            ("007", "7"),
            ("+3", "3"),
            ("-0.5", "-0.5"),
            (".5", "0.5"),
            ("5.", "5"),
            ("0", "0"),
        ] {
            assert_eq!(read(text).as_deref(), Some(kept), "{text}");
        }
        for none in ["", ".", "-", "1e3", "1,000", "4.4.0", "<1", "１", "1234567890123456789"] {
            assert_eq!(read(none), None, "{none}");
        }
    }

    #[test]
    fn elements_stand_as_set_and_nothing_is_empty() {
        let object = Object::resource("X")
            .set("b", "x\"\\\n\u{1}")
            .set("a", true)
            .set("none", "")
            .opt("value", Decimal::parse("4.40"))
            .list("list", Vec::<Json>::new())
            .one("one", Object::new());
        let json = Json::Object(object);
        assert_eq!(
            String::from_utf8(json.bytes()).unwrap(),
            r#"{"resourceType":"X","b":"x\"\\\n\u0001","a":true,"value":4.40}"#
        );
    }
}
