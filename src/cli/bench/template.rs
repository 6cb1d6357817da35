//! Requests rendered once and patched for each sending, and documents that cost no memory.

use bytes::Bytes;
use memchr::memmem;

use crate::synthetic::SplitMix64;

/// A text with holes.
#[derive(Debug)]
pub struct Template {
    text: Vec<u8>,
    /// Where the text is cut and which value goes there, in order.
    holes: Vec<(usize, usize)>,
}

/// How a hole is written before it is one: no XML escaping changes it.
pub fn mark(hole: usize) -> String {
    format!("@@{hole}@@")
}

impl Template {
    /// Cuts `text` at each mark of the holes 0 to `holes`.
    pub fn new(text: &str, holes: usize) -> Self {
        let marks: Vec<String> = (0..holes).map(mark).collect();
        let mut found: Vec<(usize, usize)> = marks
            .iter()
            .enumerate()
            .flat_map(|(hole, m)| memmem::find_iter(text.as_bytes(), m.as_bytes()).map(move |at| (at, hole)))
            .collect();
        found.sort_unstable();
        let (mut out, mut holes, mut from) = (Vec::with_capacity(text.len()), vec![], 0);
        for (at, hole) in found {
            out.extend_from_slice(text.as_bytes().get(from..at).unwrap_or_default());
            holes.push((out.len(), hole));
            from = at + marks.get(hole).map_or(0, String::len);
        }
        out.extend_from_slice(text.as_bytes().get(from..).unwrap_or_default());
        Self { text: out, holes }
    }

    /// The text with `values` in its holes, after `head` and before `tail`.
    pub fn fill(&self, head: &[u8], values: &[&str], tail: &[u8]) -> Bytes {
        let value = |hole: usize| values.get(hole).copied().unwrap_or_default();
        let patched: usize = self.holes.iter().map(|(_, hole)| value(*hole).len()).sum();
        let mut out = Vec::with_capacity(head.len() + self.text.len() + patched + tail.len());
        out.extend_from_slice(head);
        let mut from = 0;
        for (at, hole) in &self.holes {
            out.extend_from_slice(self.text.get(from..*at).unwrap_or_default());
            out.extend_from_slice(value(*hole).as_bytes());
            from = *at;
        }
        out.extend_from_slice(self.text.get(from..).unwrap_or_default());
        out.extend_from_slice(tail);
        out.into()
    }
}

/// Documents of one size, each its own octets: a tag of its number, then a block over and over.
#[derive(Debug, Clone)]
pub struct Documents {
    block: Bytes,
    run: u32,
    pub size: u64,
}

const BLOCK: usize = 1 << 20;
const TAG: usize = 32;

impl Documents {
    pub fn new(run: u32, size: u64) -> Self {
        let mut rng = SplitMix64::derived(u64::from(run), 0, 0);
        let octets: Vec<u8> = (0..BLOCK / 8).flat_map(|_| rng.next_u64().to_le_bytes()).collect();
        Self { block: octets.into(), run, size: size.max(TAG as u64) }
    }

    fn tag(&self, n: u64) -> String {
        format!("{:08x}{n:023x}\n", self.run)
    }

    /// The document in slices; together they are one block and a tag in memory.
    pub fn pieces(&self, n: u64) -> Vec<Bytes> {
        let mut pieces = vec![Bytes::from(self.tag(n))];
        let mut left = self.size - TAG as u64;
        while left > 0 {
            let take = left.min(BLOCK as u64);
            pieces.push(self.block.slice(..take as usize));
            left -= take;
        }
        pieces
    }

    /// Whether `bytes` stand at `offset` of document `n`.
    pub fn matches(&self, n: u64, mut offset: u64, mut bytes: &[u8]) -> bool {
        if offset + bytes.len() as u64 > self.size {
            return false;
        }
        let tag = self.tag(n);
        while !bytes.is_empty() {
            let expected = match usize::try_from(offset).ok().and_then(|at| tag.as_bytes().get(at..)) {
                Some(rest) if !rest.is_empty() => rest,
                _ => {
                    let at = ((offset - TAG as u64) % BLOCK as u64) as usize;
                    self.block.get(at..).unwrap_or_default()
                }
            };
            let length = expected.len().min(bytes.len());
            let (now, later) = bytes.split_at(length);
            if expected.get(..length) != Some(now) {
                return false;
            }
            offset += length as u64;
            bytes = later;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_filled_wherever_they_are() {
        let text = format!("<{}>{}x{}", mark(1), mark(0), mark(1));
        let template = Template::new(&text, 2);
        assert_eq!(template.fill(b"[", &["A", "bb"], b"]"), "[<bb>Axbb]");
        assert_eq!(Template::new("plain", 2).fill(b"", &[], b""), "plain");
    }

    #[test]
    fn documents_know_their_octets() {
        for size in [1, 100, TAG as u64 + BLOCK as u64, 3 * BLOCK as u64 + 5] {
            let documents = Documents::new(7, size);
            let whole = documents.pieces(3).concat();
            assert_eq!(whole.len() as u64, documents.size);
            for step in [7_777, BLOCK + 3] {
                let mut offset = 0;
                for chunk in whole.chunks(step) {
                    assert!(documents.matches(3, offset, chunk));
                    offset += chunk.len() as u64;
                }
            }
            assert!(!documents.matches(4, 0, &whole));
            assert!(!documents.matches(3, 1, &whole));
            let mut spoiled = whole.clone();
            *spoiled.last_mut().unwrap() ^= 1;
            assert!(!documents.matches(3, 0, &spoiled));
        }
    }
}
