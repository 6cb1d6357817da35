//! Plain text for a terminal: columns that line up with Japanese in them, and nothing from a peer
//! that could command the terminal.

/// Columns a terminal gives the character.
fn columns(c: char) -> usize {
    match u32::from(c) {
        0x0300..=0x036f | 0x200b..=0x200f | 0xfe00..=0xfe0f => 0,
        // East Asian Wide and Fullwidth (UAX #11), in the coarse.
        0x1100..=0x115f
        | 0x2e80..=0x303e
        | 0x3041..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1f64f
        | 0x1f900..=0x1f9ff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

/// Columns a terminal gives the text.
pub fn width(text: &str) -> usize {
    text.chars().map(columns).sum()
}

/// `text` without characters that command a terminal or reorder what it shows; lines stay lines.
pub fn printable(text: &str) -> String {
    let commands = |c: char| {
        (c.is_control() && c != '\n' && c != '\t')
            || matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if commands(c) { '\u{fffd}' } else { c }).collect()
}

/// [`printable`] in one line.
pub fn line(text: &str) -> String {
    printable(text).replace(['\n', '\t'], " ")
}

/// Rows under headings, each column as wide as its widest value.
pub fn render(headings: &[&str], rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> = rows.iter().map(|r| r.iter().map(|cell| line(cell)).collect()).collect();
    let widths: Vec<usize> = headings
        .iter()
        .enumerate()
        .map(|(i, heading)| {
            let cells = rows.iter().filter_map(|r| r.get(i)).map(|cell| width(cell));
            cells.chain([width(heading)]).max().unwrap_or_default()
        })
        .collect();
    let mut out = String::new();
    let mut push = |cells: &[&str]| {
        let mut written = String::new();
        for (cell, wide) in cells.iter().zip(&widths) {
            written.push_str(cell);
            written.push_str(&" ".repeat(wide.saturating_sub(width(cell)) + 2));
        }
        out.push_str(written.trim_end());
        out.push('\n');
    };
    push(headings);
    for row in &rows {
        push(&row.iter().map(String::as_str).collect::<Vec<_>>());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn japanese_lines_up() {
        let rows = [vec!["紹介状".into(), "1".into()], vec!["CT".into(), "2".into()]];
        assert_eq!(render(&["title", "n"], &rows), "title   n\n紹介状  1\nCT      2\n");
    }

    #[test]
    fn a_peer_cannot_command_the_terminal() {
        assert_eq!(line("a\u{9b}2J\u{202e}\nb"), "a\u{fffd}2J\u{fffd} b");
    }
}
