//! Base64 as a stream: characters in any split, octets out (RFC 4648 4; XML Schema base64Binary;
//! RFC 2045 6.8).
//!
//! The crate `base64` decodes whole strings and knows no white space; documents arrive in chunks,
//! in lines of 76 characters, and an error must name its place. White space is skipped, padding is
//! required, nothing may follow it, and the unused bits before it must be zero.

use bytes::{BufMut, BytesMut};

/// Where and why the text is not base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Base64Fault {
    /// A byte outside the alphabet, or padding where none may stand. `at` counts from the first
    /// byte fed to the decoder, white space included.
    #[error("byte 0x{byte:02X} is not allowed there")]
    Character { at: u64, byte: u8 },
    /// Characters follow the padding.
    #[error("there are characters after the padding")]
    AfterPadding { at: u64 },
    /// The bits that padding makes unused are not zero.
    #[error("the last character before the padding has stray bits")]
    StrayBits { at: u64 },
    /// The text ends inside a group of four characters.
    #[error("it ends inside a group of four characters")]
    Truncated { at: u64 },
}

impl Base64Fault {
    /// Position in the fed bytes, counted from 0.
    pub fn at(&self) -> u64 {
        match *self {
            Self::Character { at, .. }
            | Self::AfterPadding { at }
            | Self::StrayBits { at }
            | Self::Truncated { at } => at,
        }
    }
}

const SPACE: u8 = 64;
const PAD: u8 = 65;
const BAD: u8 = 66;

/// Value of each byte: 0–63, or one of the marks above.
static VALUE: [u8; 256] = value_table();

const fn value_table() -> [u8; 256] {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut table = [BAD; 256];
    let mut i = 0;
    while i < alphabet.len() {
        table[alphabet[i] as usize] = i as u8;
        i += 1;
    }
    table[b' ' as usize] = SPACE;
    table[b'\t' as usize] = SPACE;
    table[b'\r' as usize] = SPACE;
    table[b'\n' as usize] = SPACE;
    table[b'=' as usize] = PAD;
    table
}

/// A streaming decoder; holds at most one group of four.
#[derive(Debug, Default)]
pub struct Decoder {
    /// Bits of the group under way, six per character.
    group: u32,
    /// Characters of the group under way, padding included.
    filled: u8,
    /// Padding characters seen; the stream is complete once a padded group is.
    pads: u8,
    /// Bytes fed so far.
    at: u64,
}

impl Decoder {
    pub fn new() -> Self {
        Self::default()
    }

    /// Decodes `text` and appends the octets to `out`.
    pub fn feed(&mut self, text: &[u8], out: &mut BytesMut) -> Result<(), Base64Fault> {
        out.reserve(text.len() / 4 * 3 + 3);
        let mut rest = text;
        while !rest.is_empty() {
            if self.filled == 0 && self.pads == 0 {
                let taken = decode_groups(rest, out);
                self.at += taken as u64;
                rest = rest.get(taken..).unwrap_or_default();
            }
            let Some((&byte, tail)) = rest.split_first() else { break };
            self.one(byte, out)?;
            self.at += 1;
            rest = tail;
        }
        Ok(())
    }

    fn one(&mut self, byte: u8, out: &mut BytesMut) -> Result<(), Base64Fault> {
        let at = self.at;
        match VALUE[byte as usize] {
            SPACE => return Ok(()),
            _ if self.pads > 0 && self.filled == 0 => return Err(Base64Fault::AfterPadding { at }),
            PAD if self.filled < 2 => return Err(Base64Fault::Character { at, byte }),
            PAD => {
                let unused = if self.filled == 2 { 0b1111 } else { 0b11 };
                if self.pads == 0 && self.group & unused != 0 {
                    return Err(Base64Fault::StrayBits { at });
                }
                self.pads += 1;
                self.group <<= 6;
            }
            BAD => return Err(Base64Fault::Character { at, byte }),
            _ if self.pads > 0 => return Err(Base64Fault::AfterPadding { at }),
            value => self.group = self.group << 6 | u32::from(value),
        }
        self.filled += 1;
        if self.filled == 4 {
            let [_, a, b, c] = self.group.to_be_bytes();
            match self.pads {
                0 => out.put_slice(&[a, b, c]),
                1 => out.put_slice(&[a, b]),
                _ => out.put_u8(a),
            }
            (self.group, self.filled) = (0, 0);
        }
        Ok(())
    }

    /// Proves that no group was left open.
    pub fn finish(&self) -> Result<(), Base64Fault> {
        match self.filled {
            0 => Ok(()),
            _ => Err(Base64Fault::Truncated { at: self.at }),
        }
    }
}

/// Decodes whole groups until one holds anything but alphabet; returns the bytes used.
fn decode_groups(text: &[u8], out: &mut BytesMut) -> usize {
    /// Groups decoded before they are appended: appending three bytes at a time is slow.
    const BATCH: usize = 64;
    let mut used = 0;
    loop {
        let mut block = [0u8; BATCH * 3];
        let mut groups = 0;
        let rest = text.get(used..).unwrap_or_default();
        for (quad, octets) in rest.chunks_exact(4).zip(block.chunks_exact_mut(3)) {
            let [a, b, c, d] = [quad[0], quad[1], quad[2], quad[3]].map(|byte| VALUE[byte as usize]);
            if (a | b | c | d) >= SPACE {
                break;
            }
            let group = u32::from(a) << 18 | u32::from(b) << 12 | u32::from(c) << 6 | u32::from(d);
            octets.copy_from_slice(&group.to_be_bytes()[1..]);
            groups += 1;
        }
        out.put_slice(&block[..groups * 3]);
        used += groups * 4;
        if groups < BATCH {
            return used;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::prelude::{BASE64_STANDARD, Engine};
    use proptest::prelude::*;

    fn decode(pieces: &[&[u8]]) -> Result<Vec<u8>, Base64Fault> {
        let (mut decoder, mut out) = (Decoder::new(), BytesMut::new());
        for piece in pieces {
            decoder.feed(piece, &mut out)?;
        }
        decoder.finish()?;
        Ok(out.to_vec())
    }

    #[test]
    fn rfc4648_vectors() {
        for (text, octets) in [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYg==", "foob"),
            ("Zm9vYmE=", "fooba"),
            ("Zm9vYmFy", "foobar"),
            (" Z g\r\n=\t= ", "f"),
        ] {
            assert_eq!(decode(&[text.as_bytes()]).unwrap(), octets.as_bytes(), "{text:?}");
        }
    }

    #[test]
    fn faults_name_their_place() {
        use Base64Fault::*;
        for (text, fault) in [
            ("Zm9v*g==", Character { at: 4, byte: b'*' }),
            ("Zm9v\n\u{e9}", Character { at: 5, byte: 0xC3 }),
            ("Z===", Character { at: 1, byte: b'=' }),
            ("=", Character { at: 0, byte: b'=' }),
            ("Zg==Zg==", AfterPadding { at: 4 }),
            ("Zg===", AfterPadding { at: 4 }),
            ("Zg=A", AfterPadding { at: 3 }),
            ("Zh==", StrayBits { at: 2 }),
            ("Zm9=", StrayBits { at: 3 }),
            ("Zm9vZ", Truncated { at: 5 }),
            ("Zg=", Truncated { at: 3 }),
        ] {
            assert_eq!(decode(&[text.as_bytes()]).unwrap_err(), fault, "{text:?}");
            assert_eq!(fault.at(), decode(&[text.as_bytes()]).unwrap_err().at());
        }
    }

    proptest! {
        #[test]
        fn any_split_decodes_alike(octets in prop::collection::vec(any::<u8>(), 0..2000), line in 1usize..100,
                                   piece in 1usize..50) {
            let text = BASE64_STANDARD.encode(&octets);
            let lines: Vec<_> = text.as_bytes().chunks(line).collect();
            let text = lines.join(&b"\r\n"[..]);
            let pieces: Vec<_> = text.chunks(piece).collect();
            prop_assert_eq!(decode(&pieces).unwrap(), octets);
        }
    }
}
