//! Text as the service takes it: no half-width kana, no full-width space, no control characters in names and texts
//! (national-service.md §2.4); and narrative as XHTML.

use crate::wire::hl7v2::charset::full_width;

/// A name or a short text: one line.
pub fn line(text: &str) -> String {
    let wide = wide(text);
    let mut out = String::with_capacity(wide.len());
    for c in wide.chars() {
        let c = if c == '\u{3000}' || c.is_control() || c == '\u{feff}' { ' ' } else { c };
        if c != ' ' || !out.ends_with(' ') {
            out.push(c);
        }
    }
    out.trim().to_owned()
}

/// Half-width katakana as full width, voicing marks joined.
pub fn wide(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match full_width(c, chars.peek().copied()) {
            Some((wide, joined)) => {
                out.push(wide);
                if joined {
                    chars.next();
                }
            }
            None => out.push(c),
        }
    }
    out
}

/// Full-width digits and signs of a number as ASCII.
pub fn narrow_number(text: &str) -> String {
    let narrow = |c: char| match c {
        '０'..='９' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        '．' => '.',
        '－' | '−' => '-',
        '＋' => '+',
        '＜' => '<',
        '＞' => '>',
        '≦' => '≤',
        '≧' => '≥',
        '＝' => '=',
        c => c,
    };
    text.chars().map(narrow).collect::<String>().trim().to_owned()
}

/// Escaped for the text of XHTML; control characters that XML does not know go.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' | '\r' => out.push(' '),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => out.push(c),
        }
    }
    out
}

/// Plain text as the `div` of a Narrative, its lines kept.
pub fn div(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(|l| escaped(&wide(l))).collect();
    wrapped(&lines.join("<br/>"))
}

/// XHTML content as the `div` of a Narrative.
pub fn wrapped(xhtml: &str) -> String {
    format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{xhtml}</div>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_clean_line() {
        assert_eq!(line("ｶﾞﾝ　ﾊﾟﾝ\r\nﾌｧｲﾙ "), "ガン パン ファイル");
        assert_eq!(line("\u{feff}総蛋白\u{7}(TP)"), "総蛋白 (TP)");
        assert_eq!(narrow_number("＜０．１０"), "<0.10");
    }

    #[test]
    fn narrative_is_escaped() {
        assert_eq!(
            div("a<b>\n&ｱ\u{0}"),
            "<div xmlns=\"http://www.w3.org/1999/xhtml\">a&lt;b&gt;<br/>&amp;ア</div>"
        );
    }
}
