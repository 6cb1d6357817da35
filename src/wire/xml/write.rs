//! XML written by hand: escaping, and a builder that cannot forget to.
//!
//! Whatever a database or a peer put into a value, the output is well-formed XML 1.0: characters
//! that XML cannot carry (2.2) become U+FFFD, and white space that a parser would change (2.11,
//! 3.3.3) is written as character references.

/// How each byte is written; 0 stands for itself.
const PLAIN: u8 = 0;
const MARKUP: u8 = 1;
const WHITE: u8 = 2;
const CONTROL: u8 = 3;
/// Lead byte that U+FFFE and U+FFFF share with common characters such as full-width forms.
const LEAD_EF: u8 = 4;

static TEXT: [u8; 256] = class_table(false);
static ATTRIBUTE: [u8; 256] = class_table(true);

const fn class_table(attribute: bool) -> [u8; 256] {
    let mut table = [PLAIN; 256];
    let mut i = 0;
    while i < 0x20 {
        table[i] = CONTROL;
        i += 1;
    }
    table[b'\t' as usize] = if attribute { WHITE } else { PLAIN };
    table[b'\n' as usize] = if attribute { WHITE } else { PLAIN };
    table[b'\r' as usize] = WHITE;
    table[b'&' as usize] = MARKUP;
    table[b'<' as usize] = MARKUP;
    table[b'>' as usize] = MARKUP;
    if attribute {
        table[b'"' as usize] = MARKUP;
    }
    table[0xEF] = LEAD_EF;
    table
}

/// Appends `value` as element content.
pub fn push_text(out: &mut String, value: &str) {
    push_escaped(out, value, &TEXT);
}

/// Appends `value` as the inside of a double-quoted attribute value.
pub fn push_attr(out: &mut String, value: &str) {
    push_escaped(out, value, &ATTRIBUTE);
}

/// Bytes judged at once.
const BLOCK: usize = 16;

/// Whether a block may hold a byte that is not plain. Too strict rather than too lax, and without
/// branches, so that it becomes a few vector instructions.
fn suspect(block: &[u8; BLOCK]) -> bool {
    let mut suspect = false;
    for &b in block {
        suspect |= (b < 0x20) | (b == b'&') | (b == b'<') | (b == b'>') | (b == b'"') | (b == 0xEF);
    }
    suspect
}

/// The first byte that is not plain. Most values hold none, so whole blocks are judged first, the
/// last of them overlapping the one before it.
fn find_special(bytes: &[u8], class: &[u8; 256]) -> Option<usize> {
    let (blocks, rest) = bytes.as_chunks::<BLOCK>();
    let clean = match bytes.last_chunk::<BLOCK>() {
        Some(last) => !blocks.iter().any(suspect) && (rest.is_empty() || !suspect(last)),
        None => false,
    };
    if clean { None } else { bytes.iter().position(|b| class[usize::from(*b)] != PLAIN) }
}

fn push_escaped(out: &mut String, value: &str, class: &[u8; 256]) {
    out.reserve(value.len());
    let mut rest = value;
    while let Some(at) = find_special(rest.as_bytes(), class) {
        let (clean, from) = rest.split_at(at);
        out.push_str(clean);
        let mut chars = from.chars();
        let Some(c) = chars.next() else { break };
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' => out.push_str("&#9;"),
            '\n' => out.push_str("&#10;"),
            '\r' => out.push_str("&#13;"),
            '\0'..='\x1F' | '\u{FFFE}' | '\u{FFFF}' => out.push('\u{FFFD}'),
            other => out.push(other),
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
}

/// Writes elements one after another into a `String`.
///
/// Names are our own constants and are not checked; values are escaped. Elements left open are
/// closed by [`XmlWriter::finish`].
#[derive(Debug, Default)]
pub struct XmlWriter<'n> {
    out: String,
    open: Vec<&'n str>,
    /// The start tag still lacks its `>`.
    in_tag: bool,
}

impl<'n> XmlWriter<'n> {
    pub fn new() -> Self {
        Self::with_capacity(1024)
    }

    pub fn with_capacity(bytes: usize) -> Self {
        Self { out: String::with_capacity(bytes), open: Vec::with_capacity(16), in_tag: false }
    }

    /// Starts an element. Attributes may follow until content does.
    pub fn open(&mut self, name: &'n str) -> &mut Self {
        self.end_tag();
        self.out.push('<');
        self.out.push_str(name);
        self.open.push(name);
        self.in_tag = true;
        self
    }

    /// Adds an attribute to the element just opened; after content there is no tag to add it to,
    /// and the call does nothing.
    pub fn attr(&mut self, name: &str, value: &str) -> &mut Self {
        debug_assert!(self.in_tag, "attribute {name} after content");
        if self.in_tag {
            self.out.push(' ');
            self.out.push_str(name);
            self.out.push_str("=\"");
            push_attr(&mut self.out, value);
            self.out.push('"');
        }
        self
    }

    /// Adds the attribute if there is a value.
    pub fn attr_opt(&mut self, name: &str, value: Option<&str>) -> &mut Self {
        match value {
            Some(value) => self.attr(name, value),
            None => self,
        }
    }

    pub fn text(&mut self, value: &str) -> &mut Self {
        self.end_tag();
        push_text(&mut self.out, value);
        self
    }

    /// Adds markup that is already XML.
    pub fn raw(&mut self, xml: &str) -> &mut Self {
        self.end_tag();
        self.out.push_str(xml);
        self
    }

    /// Adds what stands inside the double quotes of an attribute that [`raw`](Self::raw) markup left
    /// open.
    pub fn raw_value(&mut self, value: &str) -> &mut Self {
        push_attr(&mut self.out, value);
        self
    }

    /// Ends the innermost element, as `<a/>` if nothing was put into it.
    pub fn close(&mut self) -> &mut Self {
        let Some(name) = self.open.pop() else { return self };
        if self.in_tag {
            self.out.push_str("/>");
            self.in_tag = false;
        } else {
            self.out.push_str("</");
            self.out.push_str(name);
            self.out.push('>');
        }
        self
    }

    /// An element with attributes only.
    pub fn empty(&mut self, name: &'n str, attributes: &[(&str, &str)]) -> &mut Self {
        self.open(name);
        for (name, value) in attributes {
            self.attr(name, value);
        }
        self.close()
    }

    /// An element with text only.
    pub fn leaf(&mut self, name: &'n str, text: &str) -> &mut Self {
        self.open(name).text(text).close()
    }

    /// Closes what is open and gives out the text.
    pub fn finish(mut self) -> String {
        while !self.open.is_empty() {
            self.close();
        }
        self.out
    }

    fn end_tag(&mut self) {
        if self.in_tag {
            self.out.push('>');
            self.in_tag = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(value: &str) -> String {
        let mut out = String::new();
        push_text(&mut out, value);
        out
    }

    fn attr(value: &str) -> String {
        let mut out = String::new();
        push_attr(&mut out, value);
        out
    }

    #[test]
    fn text_is_escaped() {
        assert_eq!(text("a<b>&\"c'"), "a&lt;b&gt;&amp;\"c'");
        assert_eq!(text("x]]>y"), "x]]&gt;y");
        assert_eq!(text("1\r\n\t2"), "1&#13;\n\t2");
        assert_eq!(text("診療情報提供書"), "診療情報提供書");
    }

    #[test]
    fn attributes_are_escaped() {
        assert_eq!(attr("1^^^&1.2&ISO"), "1^^^&amp;1.2&amp;ISO");
        assert_eq!(attr("<\">'"), "&lt;&quot;&gt;'");
        assert_eq!(attr("\r\n\t"), "&#13;&#10;&#9;");
    }

    #[test]
    fn illegal_characters_are_replaced() {
        assert_eq!(text("a\0b\u{1F}c\u{FFFE}\u{FFFF}d"), "a\u{FFFD}b\u{FFFD}c\u{FFFD}\u{FFFD}d");
        assert_eq!(attr("\u{B}"), "\u{FFFD}");
        assert_eq!(text("ＡＢ\u{FFFD}😀"), "ＡＢ\u{FFFD}😀", "neighbours of the replaced stay");
    }

    #[test]
    fn open_attr_text_close() {
        let mut w = XmlWriter::new();
        w.open("rim:Slot").attr("name", "a&b").open("rim:ValueList").leaf("rim:Value", "<").close().close();
        assert_eq!(
            w.finish(),
            r#"<rim:Slot name="a&amp;b"><rim:ValueList><rim:Value>&lt;</rim:Value></rim:ValueList></rim:Slot>"#
        );
    }

    #[test]
    fn empty_raw_and_optional() {
        let mut w = XmlWriter::with_capacity(10);
        w.open("a").attr_opt("x", None).attr_opt("y", Some("1"));
        w.empty("b", &[("c", "\"")]).raw("<d/>").open("e").close();
        assert_eq!(w.finish(), r#"<a y="1"><b c="&quot;"/><d/><e/></a>"#);
    }

    #[test]
    fn finish_closes_and_close_alone_does_nothing() {
        let mut w = XmlWriter::new();
        w.close().open("a").open("b");
        assert_eq!(w.finish(), "<a><b/></a>");
    }

    proptest! {
        #[test]
        fn whatever_is_written_reads_back(value in any::<String>()) {
            let legal: String = value
                .chars()
                .map(|c| match c {
                    '\t' | '\n' | '\r' => c,
                    '\0'..='\x1F' | '\u{FFFE}' | '\u{FFFF}' => '\u{FFFD}',
                    c => c,
                })
                .collect();
            let mut w = XmlWriter::new();
            w.open("a").attr("v", &value).text(&value);
            let xml = w.finish();
            let doc = roxmltree::Document::parse(&xml).unwrap();
            prop_assert_eq!(doc.root_element().attribute("v").unwrap(), &legal);
            prop_assert_eq!(doc.root_element().text().unwrap_or_default(), &legal);
        }
    }
}
