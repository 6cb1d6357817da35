//! Text to bytes, in the set its reader used. What the set lacks gets a substitute, and is counted.

use super::{CharacterSet, jis};

/// A message as bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    pub bytes: Vec<u8>,
    /// Characters that are not what they were.
    pub substituted: usize,
}

/// Encodes `text`. In ISO-2022-JP ASCII stands in ASCII, delimiters and CR among it, so that every component and
/// every segment ends there.
pub fn encode(text: &str, set: CharacterSet) -> Encoded {
    let mut encoder =
        Encoder { bytes: Vec::with_capacity(text.len() + 64), substituted: 0, two_bytes: false };
    match set {
        CharacterSet::Utf8 => encoder.bytes.extend_from_slice(text.as_bytes()),
        CharacterSet::Ascii => text.chars().for_each(|c| encoder.ascii(c)),
        CharacterSet::Iso2022Jp | CharacterSet::Cp932 => encoder.japanese(text, set),
    }
    encoder.single_byte();
    Encoded { bytes: encoder.bytes, substituted: encoder.substituted }
}

struct Encoder {
    bytes: Vec<u8>,
    substituted: usize,
    /// JIS X 0208 is designated.
    two_bytes: bool,
}

impl Encoder {
    fn ascii(&mut self, c: char) {
        match u8::try_from(u32::from(c)) {
            Ok(byte) if byte < 0x80 => self.bytes.push(byte),
            _ => {
                self.substituted += 1;
                self.bytes.push(b'?');
            }
        }
    }

    fn japanese(&mut self, text: &str, set: CharacterSet) {
        let mut characters = text.chars().peekable();
        while let Some(c) = characters.next() {
            if self.one(c, set) {
                continue;
            }
            // Variation selectors only choose a shape.
            if matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}') {
                self.substituted += 1;
                continue;
            }
            self.substituted += 1;
            if let Some((full, joined)) = jis::full_width(c, characters.peek().copied()) {
                if joined {
                    characters.next();
                }
                self.one(full, set);
                continue;
            }
            match jis::substitute(c) {
                Some(instead) => instead.chars().for_each(|c| {
                    self.one(c, set);
                }),
                None => {
                    self.one('〓', set);
                }
            }
        }
    }

    /// Writes what the set has.
    fn one(&mut self, c: char, set: CharacterSet) -> bool {
        if c.is_ascii() {
            self.single_byte();
            self.ascii(c);
            return true;
        }
        if set == CharacterSet::Cp932 {
            return self.shift_jis(c);
        }
        let Some((row, cell)) = jis::write(c) else { return false };
        if !self.two_bytes {
            self.bytes.extend_from_slice(b"\x1b$B");
            self.two_bytes = true;
        }
        self.bytes.extend_from_slice(&[row + 0x20, cell + 0x20]);
        true
    }

    fn shift_jis(&mut self, c: char) -> bool {
        if let Some(kana) = u32::from(c).checked_sub(0xff61).and_then(|n| u8::try_from(n).ok())
            && kana < 63
        {
            self.bytes.push(0xa1 + kana);
            return true;
        }
        let Some((row, cell)) = jis::write(c).or_else(|| jis::write_vendor(c)) else { return false };
        let (lead, trail) = jis::to_shift_jis(row, cell);
        self.bytes.extend_from_slice(&[lead, trail]);
        true
    }

    fn single_byte(&mut self) {
        if self.two_bytes {
            self.bytes.extend_from_slice(b"\x1b(B");
            self.two_bytes = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::decode;
    use super::*;

    fn jis(text: &str) -> Encoded {
        encode(text, CharacterSet::Iso2022Jp)
    }

    #[test]
    fn components_end_in_ascii() {
        assert_eq!(jis("山本^美咲|\r").bytes, b"\x1b$B;3K\\\x1b(B^\x1b$BH~:i\x1b(B|\r");
        assert_eq!(jis("山").bytes, b"\x1b$B;3\x1b(B");
    }

    #[test]
    fn gaiji_get_substitutes_that_are_counted() {
        let read = |text: &str| {
            let encoded = jis(text);
            (decode(&encoded.bytes, CharacterSet::Iso2022Jp, false).text, encoded.substituted)
        };
        assert_eq!(read("髙橋"), ("高橋".into(), 1));
        assert_eq!(read("𠮷田葛\u{e0100}子"), ("吉田葛子".into(), 2));
        assert_eq!(read("ﾜﾀﾅﾍﾞ"), ("ワタナベ".into(), 4));
        assert_eq!(read("㈱①㎏\u{fa19}"), ("(株)(1)kg神".into(), 4));
        assert_eq!(read("𪚥"), ("〓".into(), 1));
        assert_eq!(read("－～∥"), ("−〜‖".into(), 0));
        assert_eq!(read("Nguyễn"), ("Nguyen".into(), 1));
        assert_eq!(encode("山é", CharacterSet::Ascii), Encoded { bytes: b"??".into(), substituted: 2 });
        assert_eq!(encode("髙ﾜ表", CharacterSet::Cp932).bytes, b"\xfb\xfc\xdc\x95\\");
    }

    #[test]
    fn every_character_of_jis_x_0208_comes_back_from_between_delimiters() {
        for row in (1..=8).chain(16..=84) {
            for cell in 1..=94 {
                let Some(c) = super::super::jis::read(row, cell) else { continue };
                let text = format!("|{c}^{c}~&{c}\\\r");
                for set in [CharacterSet::Iso2022Jp, CharacterSet::Cp932, CharacterSet::Utf8] {
                    let encoded = encode(&text, set);
                    let decoded = decode(&encoded.bytes, set, set == CharacterSet::Cp932);
                    assert_eq!((decoded.text, encoded.substituted), (text.clone(), 0), "{set:?}");
                    assert!(decoded.faults.is_empty());
                }
            }
        }
    }

    /// Characters of JIS X 0208, those whose bytes are delimiters among them, and the delimiters themselves.
    fn japanese() -> impl Strategy<Value = String> {
        let kanji =
            (1u8..=84, 1u8..=94).prop_map(|(row, cell)| super::super::jis::read(row, cell).unwrap_or('本'));
        let hostile =
            prop::sample::select("本宮美京満日万厚五笠まマ愛右ウ・榮樂渕".chars().collect::<Vec<_>>());
        let delimiter = prop::sample::select("|^~\\&\rA 1".chars().collect::<Vec<_>>());
        let one = prop_oneof![2 => kanji, 2 => hostile, 2 => delimiter];
        prop::collection::vec(
            one.prop_filter("written as itself", |c| {
                encode(&c.to_string(), CharacterSet::Iso2022Jp).substituted == 0
            }),
            0..60,
        )
        .prop_map(|characters| characters.into_iter().collect())
    }

    proptest! {
        #[test]
        fn japanese_among_delimiters_comes_back_as_it_was(text in japanese()) {
            for set in [CharacterSet::Iso2022Jp, CharacterSet::Cp932, CharacterSet::Utf8] {
                let encoded = encode(&text, set);
                let decoded = decode(&encoded.bytes, set, set == CharacterSet::Cp932);
                prop_assert!(decoded.faults.is_empty());
                prop_assert_eq!(&decoded.text, &text);
            }
            // Every delimiter stands in ASCII: a peer that splits bytes finds as many, once the kanji are gone.
            let bytes = encode(&text, CharacterSet::Iso2022Jp).bytes;
            let (mut ascii, mut rest) = (vec![], bytes.as_slice());
            while let Some(at) = rest.windows(3).position(|w| w == b"\x1b$B") {
                ascii.extend_from_slice(&rest[..at]);
                let end = rest.windows(3).position(|w| w == b"\x1b(B").unwrap();
                rest = &rest[end + 3..];
            }
            ascii.extend_from_slice(rest);
            let plain: Vec<u8> = text.bytes().filter(u8::is_ascii).collect();
            prop_assert_eq!(ascii, plain);
        }

        #[test]
        fn whatever_is_written_reads_without_fault(text in "\\PC*") {
            for set in [CharacterSet::Iso2022Jp, CharacterSet::Utf8, CharacterSet::Ascii] {
                let encoded = encode(&text, set);
                let decoded = decode(&encoded.bytes, set, false);
                prop_assert!(decoded.faults.is_empty(), "{:?}", decoded.faults);
                if encoded.substituted == 0 && set == CharacterSet::Utf8 {
                    prop_assert_eq!(&decoded.text, text.strip_prefix('\u{feff}').unwrap_or(&text));
                }
                // What came out once goes through unchanged.
                let again = encode(&decoded.text, set);
                prop_assert_eq!(again.bytes, encoded.bytes);
            }
        }
    }
}
