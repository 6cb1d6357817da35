//! A message taken apart: segments, and in them fields, repetitions, components, subcomponents (HL7 v2.5 2.5).
//!
//! Nothing is copied until its text is asked for. Escapes are resolved after the split, so that an escaped
//! delimiter never parts a value.

use super::escape;

/// The delimiters a message declares (MSH-1, MSH-2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delimiters {
    pub field: char,
    pub component: char,
    pub repetition: char,
    pub escape: char,
    pub subcomponent: char,
}

impl Delimiters {
    /// `|^~\&`.
    pub const STANDARD: Delimiters =
        Delimiters { field: '|', component: '^', repetition: '~', escape: '\\', subcomponent: '&' };

    /// Of a message that begins with MSH. Those that MSH-2 leaves out are the standard's.
    pub fn read(text: &str) -> Option<Delimiters> {
        let mut rest = text.strip_prefix("MSH")?.chars();
        let field = rest.next().filter(|c| c.is_ascii_punctuation())?;
        let declared: Vec<char> = rest.take_while(|c| *c != field && *c != '\r').take(6).collect();
        let at = |index: usize, standard: char| declared.get(index).copied().unwrap_or(standard);
        let standard = Self::STANDARD;
        let read = Delimiters {
            field,
            component: at(0, standard.component),
            repetition: at(1, standard.repetition),
            escape: at(2, standard.escape),
            subcomponent: at(3, standard.subcomponent),
        };
        // A fifth is 2.7's truncation character.
        let distinct = read.all().iter().enumerate().all(|(i, c)| !read.all()[..i].contains(c));
        let plain = declared.iter().all(char::is_ascii_punctuation) && (1..=5).contains(&declared.len());
        (distinct && plain).then_some(read)
    }

    /// Field, component, repetition, escape, subcomponent.
    pub fn all(self) -> [char; 5] {
        [self.field, self.component, self.repetition, self.escape, self.subcomponent]
    }

    /// MSH-2.
    pub fn encoding_characters(self) -> String {
        [self.component, self.repetition, self.escape, self.subcomponent].iter().collect()
    }
}

/// A message as text, read but not copied.
#[derive(Debug, Clone)]
pub struct Message<'t> {
    pub delimiters: Delimiters,
    pub segments: Vec<Segment<'t>>,
}

impl<'t> Message<'t> {
    /// `None`: it does not begin with a usable MSH.
    pub fn read(text: &'t str) -> Option<Self> {
        let delimiters = Delimiters::read(text)?;
        let mut segments: Vec<Segment<'t>> = vec![];
        let mut at = 0;
        for line in text.split('\r') {
            let offset = at;
            at += line.len() + 1;
            if line.trim_matches([' ', '\t']).is_empty() {
                continue;
            }
            let name = line.split(delimiters.field).next().unwrap_or_default();
            // Counted among the segments of its name that stand before it; few stand there.
            let sequence = segments.iter().rev().find(|s| s.name == name).map_or(1, |s| s.sequence + 1);
            segments.push(Segment { name, text: line, offset, sequence, delimiters });
            if segments.len() > MOST_SEGMENTS {
                break;
            }
        }
        Some(Self { delimiters, segments })
    }

    pub fn header(&self) -> Option<Segment<'t>> {
        self.segments.first().copied()
    }

    /// The first segment of this name.
    pub fn segment(&self, name: &str) -> Option<Segment<'t>> {
        self.all(name).next()
    }

    pub fn all<'m>(&'m self, name: &'m str) -> impl Iterator<Item = Segment<'t>> + 'm {
        self.segments.iter().filter(move |s| s.name == name).copied()
    }

    /// The first line that is no segment: three letters or digits and a field separator, a letter first.
    pub fn junk(&self) -> Option<Segment<'t>> {
        let named = |s: &&Segment<'_>| {
            let mut name = s.name.bytes();
            s.name.len() == 3
                && name.next().is_some_and(|b| b.is_ascii_uppercase())
                && name.all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
        };
        self.segments.iter().find(|s| !named(s)).copied()
    }

    /// The segment and field that `offset` of the text falls in.
    pub fn place(&self, offset: usize) -> Option<(Segment<'t>, u32)> {
        let segment = self.segments.iter().rev().find(|s| s.offset <= offset)?;
        let before = segment.text.get(..offset - segment.offset).unwrap_or(segment.text);
        let separators = u32::try_from(before.matches(self.delimiters.field).count()).unwrap_or(u32::MAX);
        Some((*segment, separators.saturating_add(u32::from(segment.name == "MSH"))))
    }
}

/// More than any message of ours has; a bound on what a hostile one makes us do.
pub const MOST_SEGMENTS: usize = 2000;

#[derive(Debug, Clone, Copy)]
pub struct Segment<'t> {
    pub name: &'t str,
    pub text: &'t str,
    /// Where it stands in the text.
    pub offset: usize,
    /// Which of its name it is, from 1.
    pub sequence: u32,
    delimiters: Delimiters,
}

impl<'t> Segment<'t> {
    /// Field `n`; an absent one is empty. In MSH, field 1 is the separator itself.
    pub fn field(&self, n: usize) -> Value<'t> {
        let skipped = match self.name {
            "MSH" => n.checked_sub(1),
            _ => Some(n),
        };
        let raw = match skipped {
            Some(0) | None => "",
            Some(skipped) => self.text.split(self.delimiters.field).nth(skipped).unwrap_or_default(),
        };
        Value { raw, delimiters: self.delimiters }
    }
}

/// A field or any part of one. It holds patients' data: `Debug` says nothing of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Value<'t> {
    pub raw: &'t str,
    pub delimiters: Delimiters,
}

impl std::fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Value(…)")
    }
}

impl<'t> Value<'t> {
    fn part(self, raw: &'t str) -> Value<'t> {
        Value { raw, ..self }
    }

    /// The repetitions of a field that holds something.
    pub fn repetitions(self) -> impl Iterator<Item = Value<'t>> {
        let raw = Some(self.raw).filter(|raw| !raw.is_empty());
        raw.into_iter().flat_map(move |raw| raw.split(self.delimiters.repetition)).map(move |r| self.part(r))
    }

    /// Component `n` from 1.
    pub fn component(self, n: usize) -> Value<'t> {
        self.nth(self.delimiters.component, n)
    }

    /// Subcomponent `n` from 1.
    pub fn subcomponent(self, n: usize) -> Value<'t> {
        self.nth(self.delimiters.subcomponent, n)
    }

    fn nth(self, delimiter: char, n: usize) -> Value<'t> {
        self.part(n.checked_sub(1).and_then(|n| self.raw.split(delimiter).nth(n)).unwrap_or_default())
    }

    /// Nothing, or blanks: what is known stays.
    pub fn is_empty(self) -> bool {
        self.raw.trim_matches(' ').is_empty()
    }

    /// HL7's `""`: what is known is to go.
    pub fn is_null(self) -> bool {
        self.raw.trim_matches(' ') == "\"\""
    }

    /// Nothing in any of its parts: `&&`, `^^^`.
    pub fn is_hollow(self) -> bool {
        let delimiters = self.delimiters;
        self.raw.chars().all(|c| {
            c == ' '
                || c == delimiters.component
                || c == delimiters.subcomponent
                || c == delimiters.repetition
        })
    }

    /// Its text, escapes resolved, without blanks around it. Nothing for `""`.
    pub fn text(self) -> String {
        if self.is_null() {
            return String::new();
        }
        match escape::resolve(self.raw, self.delimiters).trim_matches(' ') {
            // However it is written.
            "\"\"" => String::new(),
            text => text.to_owned(),
        }
    }

    /// The text, if there is any.
    pub fn filled(self) -> Option<String> {
        Some(self.text()).filter(|text| !text.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "MSH|^~\\&|A^B|F\rPID|1||x\\T\\y^^^N&1.2&ISO~\"\"^^^&2.7&ISO||||\"\"| \r\rPID|2\rab\r";

    #[test]
    fn parts_are_found_by_their_numbers() {
        let message = Message::read(TEXT).unwrap();
        let header = message.header().unwrap();
        assert_eq!((header.field(1).raw, header.field(2).raw), ("", "^~\\&"));
        assert_eq!(
            (header.field(3).component(2).raw, header.field(4).raw, header.field(9).raw),
            ("B", "F", "")
        );
        let pid = message.segment("PID").unwrap();
        let ids: Vec<Value<'_>> = pid.field(3).repetitions().collect();
        assert_eq!((ids.len(), ids[0].component(1).text()), (2, "x&y".to_owned()));
        assert_eq!(ids[0].component(4).subcomponent(2).text(), "1.2");
        assert!(ids[1].component(1).is_null() && ids[1].component(1).text().is_empty());
        assert!(pid.field(7).is_null() && pid.field(8).is_empty() && pid.field(40).is_empty());
        assert_eq!(pid.field(40).repetitions().count(), 0);
        assert_eq!(message.all("PID").map(|s| s.sequence).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(message.junk().unwrap().text, "ab");
    }

    #[test]
    fn a_place_is_found_by_its_offset() {
        let message = Message::read(TEXT).unwrap();
        let at = |what: &str| {
            let (segment, field) = message.place(TEXT.find(what).unwrap()).unwrap();
            (segment.name, segment.sequence, field)
        };
        assert_eq!(at("A^B"), ("MSH", 1, 3));
        assert_eq!(at("ISO"), ("PID", 1, 3));
        assert_eq!(at("2\rab"), ("PID", 2, 1));
    }

    #[test]
    fn delimiters_are_the_ones_declared() {
        let read = |text| Delimiters::read(text);
        assert_eq!(read("MSH|^~\\&|x"), Some(Delimiters::STANDARD));
        let others = read("MSH$%*!+$x").unwrap();
        assert_eq!(others.all(), ['$', '%', '*', '!', '+']);
        assert_eq!(others.encoding_characters(), "%*!+");
        assert_eq!(read("MSH|^~|x").map(|d| d.escape), Some('\\'));
        assert!(read("MSH|^~\\&#|x").is_some());
        for bad in [
            "",
            "MSH",
            "MSX|^~\\&|",
            "MSHA^~\\&A",
            "MSH|^^\\&|",
            "MSH||",
            "MSH|^~\\&#!|",
            "MSH|abc|",
            "MSH ^~",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn hollow_is_not_absent() {
        let value = |raw| Value { raw, delimiters: Delimiters::STANDARD };
        assert!(value("&&").is_hollow() && !value("&&").is_empty());
        assert!(value("").is_hollow() && !value("&1.2&ISO").is_hollow());
    }
}
