//! Bytes to text, the whole message before anything is split.

use super::{CharacterSet, jis};

/// What makes a message unreadable; where it stands in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Offset into the text decoded.
    pub at: usize,
    pub kind: FaultKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// A byte from 0x80 where the set has none.
    HighByte(u8),
    /// The segment, or the message, ends while a set other than ASCII is designated.
    Unterminated,
    /// Two bytes that are no code.
    BadPair(u8, u8),
    /// An escape sequence that is not known.
    Escape,
    /// A control character.
    Control(u8),
    /// Not UTF-8.
    Utf8(u8),
}

impl std::fmt::Display for FaultKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            FaultKind::HighByte(b) => write!(f, "byte {b:02X} does not occur in the character set of MSH-18"),
            FaultKind::Unterminated => f.write_str("the segment ends before ESC ( B returned to ASCII"),
            FaultKind::BadPair(a, b) => {
                write!(f, "bytes {a:02X} {b:02X} are no character; is ESC ( B missing?")
            }
            FaultKind::Escape => f.write_str("an escape sequence that is not known"),
            FaultKind::Control(b) => write!(f, "control character {b:02X}"),
            FaultKind::Utf8(b) => write!(f, "byte {b:02X} is not UTF-8"),
        }
    }
}

/// What is odd but harms nothing: kept, and told the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Oddity {
    pub at: usize,
    pub kind: OddityKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OddityKind {
    /// A code without a character, read as 〓.
    Undefined(u16),
    /// JIS X 0201 katakana, which JAHIS forbids.
    HalfWidthKana,
    /// JIS X 0212 or 0213, beyond what SS-MIX2 and JAHIS allow.
    Supplement,
    /// Shift_JIS under another label, read as its sender is known to mean it.
    EightBit,
}

impl std::fmt::Display for OddityKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            OddityKind::Undefined(code) => write!(f, "JIS code {code:04X} has no character; read as 〓"),
            OddityKind::HalfWidthKana => f.write_str("half-width katakana"),
            OddityKind::Supplement => f.write_str("characters beyond JIS X 0208"),
            OddityKind::EightBit => f.write_str("Shift_JIS under another label"),
        }
    }
}

/// A message as text. Segments end in CR.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    pub text: String,
    /// What it really was: the set asked for, or ISO-2022-JP, UTF-8 or CP932 found under a poorer label.
    pub set: CharacterSet,
    pub faults: Vec<Fault>,
    pub oddities: Vec<Oddity>,
}

/// Faults and oddities kept of one message: enough to mend it, and no list that grows with it.
const MOST: usize = 16;

const GETA: char = '〓';

/// Decodes `bytes`. `eight_bit`: the sender is known to send Shift_JIS whatever it says.
pub fn decode(bytes: &[u8], labelled: CharacterSet, eight_bit: bool) -> Decoded {
    let (bytes, bom) = match bytes.strip_prefix(b"\xef\xbb\xbf") {
        Some(rest) => (rest, true),
        None => (bytes, false),
    };
    let set = match labelled {
        CharacterSet::Ascii if bom => CharacterSet::Utf8,
        CharacterSet::Ascii if bytes.windows(2).any(|w| w == b"\x1b$") => CharacterSet::Iso2022Jp,
        set => set,
    };
    let decoder = Decoder {
        bytes,
        position: 0,
        eight_bit: eight_bit || set == CharacterSet::Cp932,
        decoded: Decoded { text: String::with_capacity(bytes.len()), set, faults: vec![], oddities: vec![] },
    };
    decoder.run(set)
}

/// What two (or one) bytes mean at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Designated {
    Ascii,
    Kana,
    Jis,
    Supplement,
    /// JIS X 0213: its first plane is JIS X 0208 with more; nothing is known here of its second.
    Extended,
    ExtendedSecond,
}

struct Decoder<'b> {
    bytes: &'b [u8],
    position: usize,
    eight_bit: bool,
    decoded: Decoded,
}

impl Decoder<'_> {
    fn run(mut self, set: CharacterSet) -> Decoded {
        match set {
            CharacterSet::Utf8 => self.utf8(),
            CharacterSet::Ascii | CharacterSet::Iso2022Jp | CharacterSet::Cp932 => {
                self.iso_2022(set == CharacterSet::Iso2022Jp);
            }
        }
        let odd = |o: &Oddity| o.kind == OddityKind::EightBit;
        if self.decoded.oddities.iter().any(odd) && !self.bytes.windows(2).any(|w| w == b"\x1b$") {
            self.decoded.set = CharacterSet::Cp932;
        }
        self.decoded
    }

    fn fault(&mut self, kind: FaultKind) {
        if self.decoded.faults.len() < MOST {
            self.decoded.faults.push(Fault { at: self.decoded.text.len(), kind });
        }
    }

    fn oddity(&mut self, kind: OddityKind) {
        let known = &mut self.decoded.oddities;
        if known.len() < MOST && !known.iter().any(|o| o.kind == kind) {
            known.push(Oddity { at: self.decoded.text.len(), kind });
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.position).copied()
    }

    /// A byte that means itself in every set: a printable one, a tabulator, or the end of a segment. CR LF and
    /// LF end segments too in files and old senders.
    fn plain(&mut self, byte: u8) {
        match byte {
            b'\r' => {
                self.decoded.text.push('\r');
                if self.peek() == Some(b'\n') {
                    self.position += 1;
                }
            }
            b'\n' => self.decoded.text.push('\r'),
            // A tabulator is a blank to whoever types one.
            b'\t' => self.decoded.text.push(' '),
            0x20..=0x7e => self.decoded.text.push(char::from(byte)),
            other => {
                self.fault(FaultKind::Control(other));
                self.decoded.text.push('\u{fffd}');
            }
        }
    }

    fn utf8(&mut self) {
        while let Some(byte) = self.peek() {
            if byte < 0x80 {
                self.position += 1;
                self.plain(byte);
                continue;
            }
            let rest = self
                .bytes
                .get(self.position..self.position + 4)
                .unwrap_or_else(|| self.bytes.get(self.position..).unwrap_or_default());
            let valid = match std::str::from_utf8(rest) {
                Ok(text) => text.chars().next(),
                Err(e) => {
                    rest.get(..e.valid_up_to()).and_then(|b| std::str::from_utf8(b).ok()?.chars().next())
                }
            };
            match valid {
                Some(c) if u32::from(c) >= 0xa0 => {
                    self.position += c.len_utf8();
                    if matches!(c, '\u{ff61}'..='\u{ff9f}') {
                        self.oddity(OddityKind::HalfWidthKana);
                    }
                    self.decoded.text.push(c);
                }
                // C1 controls, or no UTF-8 at all.
                _ => {
                    self.position += valid.map_or(1, char::len_utf8);
                    self.fault(FaultKind::Utf8(byte));
                    self.decoded.text.push('\u{fffd}');
                }
            }
        }
    }

    fn iso_2022(&mut self, escapes: bool) {
        let mut designated = Designated::Ascii;
        while let Some(byte) = self.peek() {
            self.position += 1;
            match byte {
                b'\r' | b'\n' => {
                    if designated != Designated::Ascii {
                        self.fault(FaultKind::Unterminated);
                        designated = Designated::Ascii;
                    }
                    self.plain(byte);
                }
                0x1b if escapes => match self.escape() {
                    Some(now) => designated = now.unwrap_or(designated),
                    None => {
                        self.fault(FaultKind::Escape);
                        self.decoded.text.push('\u{fffd}');
                    }
                },
                0x80.. => self.high(byte),
                0x21..=0x7e => match designated {
                    Designated::Ascii => self.plain(byte),
                    Designated::Kana => self.kana(byte),
                    _ => self.pair(designated, byte),
                },
                // A blank, and what should not be there at all.
                _ => self.plain(byte),
            }
        }
        if designated != Designated::Ascii {
            self.fault(FaultKind::Unterminated);
        }
    }

    /// What follows an ESC: `None` if it is not known, `Some(None)` if it changes nothing.
    fn escape(&mut self) -> Option<Option<Designated>> {
        use Designated::{Ascii, Extended, ExtendedSecond, Jis, Kana, Supplement};
        const KNOWN: &[(&[u8], Option<Designated>)] = &[
            (b"(B", Some(Ascii)),
            // JIS X 0201 Roman: read as ASCII, lest ~ and \ become an overline and a yen sign.
            (b"(J", Some(Ascii)),
            (b"(H", Some(Ascii)),
            (b"(I", Some(Kana)),
            (b"$B", Some(Jis)),
            (b"$@", Some(Jis)),
            (b"$(B", Some(Jis)),
            (b"$(@", Some(Jis)),
            (b"$(D", Some(Supplement)),
            (b"$(O", Some(Extended)),
            (b"$(Q", Some(Extended)),
            (b"$(P", Some(ExtendedSecond)),
            // Announces the revision of 1990 of the set that follows.
            (b"&@", None),
        ];
        let rest = self.bytes.get(self.position..)?;
        let (sequence, designated) = KNOWN.iter().find(|(sequence, _)| rest.starts_with(sequence))?;
        self.position += sequence.len();
        Some(*designated)
    }

    fn kana(&mut self, byte: u8) {
        match byte {
            0x21..=0x5f => {
                self.oddity(OddityKind::HalfWidthKana);
                let c = char::from_u32(0xff61 + u32::from(byte - 0x21)).unwrap_or(GETA);
                self.decoded.text.push(c);
            }
            other => {
                self.fault(FaultKind::BadPair(b'I', other));
                self.decoded.text.push('\u{fffd}');
            }
        }
    }

    fn pair(&mut self, designated: Designated, first: u8) {
        let second = self.peek().unwrap_or(b'\r');
        if !(0x21..=0x7e).contains(&second) {
            self.fault(FaultKind::BadPair(first, second));
            // Most likely a delimiter before which ESC ( B is missing: as such it keeps the fields in their places.
            self.decoded.text.push(char::from(first));
            return;
        }
        self.position += 1;
        let (row, cell) = (first - 0x20, second - 0x20);
        let c = match designated {
            Designated::Supplement => jis::read_supplement(row, cell),
            Designated::ExtendedSecond => None,
            _ => jis::read(row, cell),
        };
        if matches!(designated, Designated::Supplement | Designated::Extended | Designated::ExtendedSecond) {
            self.oddity(OddityKind::Supplement);
        }
        if c.is_none() {
            self.oddity(OddityKind::Undefined(u16::from_be_bytes([first, second])));
        }
        self.decoded.text.push(c.unwrap_or(GETA));
    }

    fn high(&mut self, byte: u8) {
        if !self.eight_bit {
            self.fault(FaultKind::HighByte(byte));
            self.decoded.text.push('\u{fffd}');
            return;
        }
        self.oddity(OddityKind::EightBit);
        if (0xa1..=0xdf).contains(&byte) {
            self.oddity(OddityKind::HalfWidthKana);
            self.decoded.text.push(char::from_u32(0xff61 + u32::from(byte - 0xa1)).unwrap_or(GETA));
            return;
        }
        let trail = self.peek().unwrap_or(b'\r');
        match jis::of_shift_jis(byte, trail) {
            Some((row, cell)) => {
                self.position += 1;
                let c = jis::read(row, cell);
                if c.is_none() {
                    self.oddity(OddityKind::Undefined(u16::from_be_bytes([byte, trail])));
                }
                self.decoded.text.push(c.unwrap_or(GETA));
            }
            None => {
                self.fault(FaultKind::BadPair(byte, trail));
                self.decoded.text.push('\u{fffd}');
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jis(bytes: &[u8]) -> Decoded {
        decode(bytes, CharacterSet::Iso2022Jp, false)
    }

    #[test]
    fn kanji_whose_bytes_are_delimiters_are_kanji() {
        let decoded = jis(b"\x1b$B;3K\\\x1b(B^\x1b$BH~:i\x1b(B|");
        assert_eq!((decoded.text.as_str(), decoded.faults.len()), ("山本^美咲|", 0));
        // The old escapes, and Roman letters that leave ~ and \ alone.
        assert_eq!(jis(b"\x1b$@K\\\x1b(J~\\^a").text, "本~\\^a");
    }

    #[test]
    fn half_width_kana_gaiji_and_supplements_are_read_and_told() {
        let decoded = jis(b"\x1b(I\\@EM^\x1b(B^");
        assert_eq!(decoded.text, "ﾜﾀﾅﾍﾞ^");
        assert_eq!(decoded.oddities, [Oddity { at: 0, kind: OddityKind::HalfWidthKana }]);
        let decoded = jis(b"\x1b$Bu!ED-!\x1b(B");
        assert_eq!(decoded.text, "〓田①");
        assert_eq!(decoded.oddities, [Oddity { at: 0, kind: OddityKind::Undefined(0x7521) }]);
        let decoded = jis(b"\x1b$(Dk6\x1b(B");
        assert_eq!(decoded.text.chars().count(), 1);
        assert_eq!(decoded.oddities[0].kind, OddityKind::Supplement);
    }

    #[test]
    fn a_missing_return_to_ascii_is_a_fault_that_ends_with_its_segment() {
        let decoded = jis(b"a|\x1b$B;3\rPV1|\x1b$B;3\x1b(B\r");
        assert_eq!(decoded.faults, [Fault { at: 5, kind: FaultKind::Unterminated }]);
        assert_eq!(decoded.text, "a|山\rPV1|山\r");
        let decoded = jis(b"\x1b$BK\\^\x1b$BH~\x1b(B^x");
        assert_eq!(decoded.text, "本^美^x");
        assert_eq!(decoded.faults, [Fault { at: 3, kind: FaultKind::BadPair(b'^', 0x1b) }]);
    }

    #[test]
    fn what_a_set_does_not_hold_is_a_fault() {
        assert_eq!(jis(b"\x95\\").faults[0].kind, FaultKind::HighByte(0x95));
        assert_eq!(jis(b"\x1b%G").faults[0].kind, FaultKind::Escape);
        assert_eq!(jis(b"a\x0eb").faults[0].kind, FaultKind::Control(0x0e));
        assert_eq!(decode(b"\xc4", CharacterSet::Ascii, false).faults[0].kind, FaultKind::HighByte(0xc4));
        let utf8 = decode(b"a\xe3\x81|", CharacterSet::Utf8, false);
        assert_eq!((utf8.text.as_str(), utf8.faults[0].at), ("a\u{fffd}\u{fffd}|", 1));
        assert_eq!(decode(b"a\x1b$B", CharacterSet::Utf8, false).faults[0].kind, FaultKind::Control(0x1b));
    }

    #[test]
    fn the_switch_reads_shift_jis_and_eight_bit_kana() {
        let decoded = decode(b"\x95\\^\x94\\\x94\xfc", CharacterSet::Iso2022Jp, true);
        assert_eq!(
            (decoded.text.as_str(), decoded.set, decoded.faults.len()),
            ("表^能美", CharacterSet::Cp932, 0)
        );
        let mixed = decode(b"\x1b$B;3\x1b(B~\xdc\xc0", CharacterSet::Iso2022Jp, true);
        assert_eq!((mixed.text.as_str(), mixed.set), ("山~ﾜﾀ", CharacterSet::Iso2022Jp));
    }

    #[test]
    fn a_poor_label_does_not_hide_what_is_there() {
        let decoded = decode(b"\x1b$B;3\x1b(B", CharacterSet::Ascii, false);
        assert_eq!((decoded.text.as_str(), decoded.set), ("山", CharacterSet::Iso2022Jp));
        let decoded = decode("\u{feff}MSH|𠮷".as_bytes(), CharacterSet::Ascii, false);
        assert_eq!((decoded.text.as_str(), decoded.set), ("MSH|𠮷", CharacterSet::Utf8));
    }

    #[test]
    fn tabulators_are_blanks() {
        assert_eq!(decode(b"a\tb", CharacterSet::Ascii, false).text, "a b");
        assert_eq!(decode(b"a\tb", CharacterSet::Utf8, false).text, "a b");
        assert_eq!(jis(b"\x1b$B;3\t;3\x1b(B").text, "山 山");
    }

    #[test]
    fn segments_end_in_cr_whatever_they_ended_in() {
        assert_eq!(decode(b"a\r\nb\nc\rd", CharacterSet::Ascii, false).text, "a\rb\rc\rd");
        assert_eq!(jis(b"\x1b$B;3\x1b(B\r\n\n").text, "山\r\r");
    }
}
