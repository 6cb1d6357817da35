//! A PDF 1.4 file written by hand: one page or more of Helvetica text, and a Japanese title in the document
//! information as UTF-16. No fonts are embedded, so the visible text is ASCII.

use std::fmt::Write as _;

/// Lines that fit on a page.
const LINES: usize = 60;

/// A PDF with `title` as metadata and `lines` of ASCII text.
pub(super) fn write(title: &str, author: &str, lines: &[String]) -> Vec<u8> {
    let pages: Vec<&[String]> = lines.chunks(LINES).collect();
    // Objects: 1 catalog, 2 page tree, 3 font, 4 information, then a page and its content in turn.
    let mut objects: Vec<String> = Vec::with_capacity(4 + 2 * pages.len());
    objects.push("<< /Type /Catalog /Pages 2 0 R /Lang (ja-JP) >>".to_owned());
    let kids: String = (0..pages.len()).map(|n| format!("{} 0 R ", 5 + 2 * n)).collect();
    objects.push(format!("<< /Type /Pages /Kids [ {kids}] /Count {} >>", pages.len()));
    objects.push("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_owned());
    objects.push(format!("<< /Title {} /Author {} /Producer (synthetic) >>", utf16(title), utf16(author)));
    for (n, page) in pages.iter().enumerate() {
        let content = 6 + 2 * n;
        objects.push(format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 3 0 R >> >> /Contents {content} 0 R >>"
        ));
        let mut text = String::from("BT /F1 10 Tf 12 TL 50 790 Td\n");
        for line in *page {
            let _ = writeln!(text, "({}) Tj T*", escape(line));
        }
        text.push_str("ET\n");
        objects.push(format!("<< /Length {} >>\nstream\n{text}endstream", text.len()));
    }

    let mut out = b"%PDF-1.4\n%\xE2\xE3\xCF\xD3\n".to_vec();
    let mut xref = format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
    for (n, object) in objects.iter().enumerate() {
        let _ = writeln!(xref, "{:010} 00000 n ", out.len());
        out.extend_from_slice(format!("{} 0 obj\n{object}\nendobj\n", n + 1).as_bytes());
    }
    let start = out.len();
    out.extend_from_slice(xref.as_bytes());
    out.extend_from_slice(
        format!(
            "trailer\n<< /Size {} /Root 1 0 R /Info 4 0 R >>\nstartxref\n{start}\n%%EOF\n",
            objects.len() + 1
        )
        .as_bytes(),
    );
    out
}

/// A text string object in UTF-16BE with byte order mark, as hexadecimal.
fn utf16(text: &str) -> String {
    let mut out = String::from("<FEFF");
    for unit in text.encode_utf16() {
        let _ = write!(out, "{unit:04X}");
    }
    out.push('>');
    out
}

fn escape(line: &str) -> String {
    line.replace('\\', "\\\\").replace('(', "\\(").replace(')', "\\)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_lead_to_their_objects() {
        let lines: Vec<String> = (0..150).map(|n| format!("line {n} (with) \\ signs")).collect();
        let pdf = write("ＣＴ検査報告書", "架空中央病院", &lines);
        assert!(pdf.starts_with(b"%PDF-1.4\n") && pdf.ends_with(b"%%EOF\n"));
        let text: String = pdf.iter().map(|b| if b.is_ascii() { *b as char } else { '?' }).collect();
        let start: usize = text
            .rsplit("startxref\n")
            .next()
            .expect("startxref")
            .lines()
            .next()
            .expect("n")
            .parse()
            .expect("n");
        assert!(text[start..].starts_with("xref\n0 11\n0000000000 65535 f \n"));
        let entries: Vec<&str> = text[start..].lines().skip(3).take_while(|l| l.ends_with(" n ")).collect();
        assert_eq!(entries.len(), 10, "catalog, pages, font, info and three pages");
        for (n, entry) in entries.iter().enumerate() {
            let offset: usize = entry[..10].parse().expect("offset");
            assert!(text[offset..].starts_with(&format!("{} 0 obj\n", n + 1)), "object {}", n + 1);
            assert_eq!(entry.len() + 1, 20, "an xref entry has 20 octets");
        }
        for stream in text.split("/Length ").skip(1) {
            let length: usize = stream.split(' ').next().expect("n").parse().expect("length");
            let body = stream.split_once("stream\n").expect("stream").1;
            assert!(body[length..].starts_with("endstream"));
        }
        assert!(text.contains("/Title <FEFFFF23FF34"));
    }
}
