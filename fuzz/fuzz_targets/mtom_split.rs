//! A multipart body means the same in every split: same parts, same content, same fault.
//! The input is a body; its first line names the boundary if it can.
#![no_main]

use bytes::Bytes;
use chiren_fuzz::chunks;
use chiren_fuzz::wire::mtom::split::{MtomFault, MtomLimits, PartEvent, PartHead, Splitter};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let boundary = boundary(data).unwrap_or("b");
    let body = Bytes::copy_from_slice(data);
    let pieces = chunks(&body).map(|chunk| body.slice_ref(chunk));
    assert_eq!(split(boundary, std::iter::once(body.clone())), split(boundary, pieces));
});

fn boundary(data: &[u8]) -> Option<&str> {
    let line = data.strip_prefix(b"--")?.split(|b| *b == b'\r').next()?;
    std::str::from_utf8(line).ok().filter(|b| b.len() <= 70)
}

fn split(boundary: &str, pieces: impl Iterator<Item = Bytes>) -> Result<Vec<(PartHead, Vec<u8>)>, MtomFault> {
    let limits = MtomLimits {
        parts: 8,
        head_bytes: 512,
        head_lines: 8,
        document_bytes: 1024,
        total_bytes: 16 << 10,
        outside_bytes: 128,
    };
    let (mut splitter, mut events) = (Splitter::new(boundary, limits), Vec::new());
    for piece in pieces {
        splitter.push(piece, &mut events)?;
    }
    splitter.finish(&mut events)?;
    let (mut parts, mut open) = (Vec::<(PartHead, Vec<u8>)>::new(), false);
    for event in events {
        match event {
            PartEvent::Start(head) => {
                assert!(!open, "a part starts inside another");
                open = true;
                parts.push((head, Vec::new()));
            }
            PartEvent::Data(content) => {
                assert!(open && !content.is_empty());
                parts.last_mut().expect("a part is open").1.extend_from_slice(&content);
            }
            PartEvent::End => {
                assert!(open, "a part ends twice");
                open = false;
            }
        }
    }
    assert!(!open, "the last part never ends");
    assert!(parts.iter().filter(|(head, _)| head.root).count() == 1);
    Ok(parts)
}
