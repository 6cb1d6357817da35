//! Frames of syslog over TLS: `MSG-LEN SP SYSLOG-MSG`, the length in octets (RFC 5425 4.3). Chunks in, messages out;
//! no I/O. A length that is none ends the connection: nothing after it can be told from garbage.

/// The longest message taken, and digits of its length (security.md 2.5).
pub const LONGEST: usize = 1 << 20;
const DIGITS: usize = 7;

/// What a frame begins with is no length: octet counting is the only framing there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    #[error("a frame does not begin with its length in octets (RFC 5425 4.3)")]
    NoLength,
    #[error("a frame is longer than {LONGEST} octets")]
    TooLong,
}

/// A frame around a message.
pub fn frame(message: &[u8]) -> Vec<u8> {
    let mut out = format!("{} ", message.len()).into_bytes();
    out.extend_from_slice(message);
    out
}

#[derive(Debug, Default)]
pub struct Splitter {
    /// Digits of a length under way.
    digits: Vec<u8>,
    /// Octets of the message still to come.
    wanted: Option<usize>,
    message: Vec<u8>,
}

impl Splitter {
    /// Whether a frame has begun and not ended.
    pub fn is_inside(&self) -> bool {
        self.wanted.is_some() || !self.digits.is_empty()
    }

    /// Adds a chunk; whole messages are put into `out`. After an error nothing more can be made of the connection,
    /// but what is in `out` came whole.
    pub fn push(&mut self, mut chunk: &[u8], out: &mut Vec<Vec<u8>>) -> Result<(), Broken> {
        while let Some(&byte) = chunk.first() {
            let Some(wanted) = self.wanted else {
                chunk = chunk.get(1..).unwrap_or_default();
                match byte {
                    b'0' if self.digits.is_empty() => return Err(Broken::NoLength),
                    b'0'..=b'9' if self.digits.len() < DIGITS => self.digits.push(byte),
                    b'0'..=b'9' => return Err(Broken::TooLong),
                    b' ' if !self.digits.is_empty() => {
                        let length = self.digits.drain(..).fold(0, |n, d| n * 10 + usize::from(d - b'0'));
                        if length > LONGEST {
                            return Err(Broken::TooLong);
                        }
                        // Room grows with what comes, not with what is announced.
                        self.wanted = Some(length);
                    }
                    _ => return Err(Broken::NoLength),
                }
                continue;
            };
            let take = chunk.len().min(wanted - self.message.len());
            let (now, later) = chunk.split_at(take);
            self.message.extend_from_slice(now);
            chunk = later;
            if self.message.len() == wanted {
                out.push(std::mem::take(&mut self.message));
                self.wanted = None;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(chunks: &[&[u8]]) -> (Vec<Vec<u8>>, Result<(), Broken>) {
        let (mut splitter, mut out) = (Splitter::default(), vec![]);
        for chunk in chunks {
            if let Err(e) = splitter.push(chunk, &mut out) {
                return (out, Err(e));
            }
        }
        (out, Ok(()))
    }

    #[test]
    fn messages_come_whole_however_they_are_cut() {
        let two = [frame(b"hello \n<85>"), frame("日本".as_bytes())].concat();
        for size in 1..two.len() {
            let chunks: Vec<&[u8]> = two.chunks(size).collect();
            assert_eq!(split(&chunks), (vec![b"hello \n<85>".to_vec(), "日本".as_bytes().to_vec()], Ok(())));
        }
        let mut splitter = Splitter::default();
        assert!(!splitter.is_inside());
        splitter.push(b"3 ab", &mut vec![]).unwrap();
        assert!(splitter.is_inside());
    }

    #[test]
    fn what_is_no_length_ends_it() {
        assert_eq!(split(&[b"<85>1 x\n"]), (vec![], Err(Broken::NoLength)));
        assert_eq!(split(&[b"02 ab"]), (vec![], Err(Broken::NoLength)));
        assert_eq!(split(&[b" 2 ab"]), (vec![], Err(Broken::NoLength)));
        assert_eq!(split(&[b"2 abcd"]), (vec![b"ab".to_vec()], Err(Broken::NoLength)));
        assert_eq!(split(&[b"10000000000000000000 x"]), (vec![], Err(Broken::TooLong)));
        assert_eq!(split(&[b"1048577 x"]), (vec![], Err(Broken::TooLong)));
        let longest = frame(&vec![b'x'; LONGEST]);
        assert_eq!(split(&[&longest]).0.len(), 1);
    }
}
