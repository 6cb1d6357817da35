//! Narrative blocks (CDA R2 4.3.5) as the XHTML that FHIR takes (FHIR R4 narrative: no scripts, forms, links out).

use roxmltree::Node;

use crate::clins::make::text::{escaped, wide};
use crate::wire::xml::tree;

/// Deeper markup is shown as its text.
const DEEPEST: usize = 24;

/// CDA's element and XHTML's; an empty name shows the content alone.
const ELEMENTS: &[(&str, &str)] = &[
    ("paragraph", "p"),
    ("item", "li"),
    ("table", "table"),
    ("thead", "thead"),
    ("tbody", "tbody"),
    ("tfoot", "tfoot"),
    ("tr", "tr"),
    ("th", "th"),
    ("td", "td"),
    ("sub", "sub"),
    ("sup", "sup"),
    ("caption", "b"),
    ("content", ""),
    ("linkHtml", ""),
    ("footnote", ""),
    ("text", ""),
];

/// A narrative: its XHTML, without the `div`, its plain text, and whether markup was lost.
#[derive(Default, Clone, PartialEq, Eq)]
pub struct Narrative {
    pub xhtml: String,
    pub plain: String,
    pub reduced: bool,
}

impl Narrative {
    pub fn of(text: Node<'_, '_>) -> Narrative {
        let mut narrative = Narrative::default();
        let plain = tree::elements(text).next().is_none();
        if plain {
            // Senders without markup part their lines by line feeds.
            let written = tree::text_of(text);
            let lines: Vec<String> = written.lines().map(|l| wide(l.trim())).collect();
            let lines: Vec<&str> = trimmed(&lines);
            narrative.xhtml = lines.iter().map(|l| escaped(l)).collect::<Vec<_>>().join("<br/>");
            narrative.plain = lines.join("\n");
            return narrative;
        }
        narrative.children(text, 0);
        narrative.xhtml = narrative.xhtml.trim().to_owned();
        narrative.plain = tidy(&narrative.plain);
        narrative
    }

    pub fn is_empty(&self) -> bool {
        self.plain.trim().is_empty()
    }

    /// Another behind it, under a heading where it has one.
    pub fn append(&mut self, heading: Option<&str>, other: &Narrative) {
        let (mut xhtml, mut plain) = (String::new(), String::new());
        if let Some(heading) = heading.filter(|h| !h.is_empty()) {
            xhtml.push_str(&format!("<b>{}</b><br/>", escaped(&wide(heading))));
            plain.push_str(&format!("{}\n", wide(heading)));
        }
        xhtml.push_str(&other.xhtml);
        plain.push_str(&other.plain);
        if self.is_empty() {
            (self.xhtml, self.plain) = (xhtml, plain);
        } else {
            self.xhtml.push_str("<br/>");
            self.xhtml.push_str(&xhtml);
            self.plain.push('\n');
            self.plain.push_str(&plain);
        }
        self.reduced |= other.reduced;
    }

    fn children(&mut self, node: Node<'_, '_>, depth: usize) {
        for child in node.children() {
            if child.is_text() {
                let text = wide(child.text().unwrap_or_default());
                // Space between the rows of a table is no content.
                if !text.trim().is_empty() || !text.contains('\n') {
                    self.xhtml.push_str(&escaped(&text));
                    self.plain.push_str(&text.replace(['\n', '\r'], " "));
                }
            } else if child.is_element() {
                self.element(child, depth + 1);
            }
        }
    }

    fn element(&mut self, node: Node<'_, '_>, depth: usize) {
        let name = node.tag_name().name();
        match name {
            "br" => {
                self.xhtml.push_str("<br/>");
                self.plain.push('\n');
                return;
            }
            "renderMultiMedia" | "footnoteRef" | "col" | "colgroup" => {
                self.reduced |= name == "renderMultiMedia";
                return;
            }
            _ => {}
        }
        let known = ELEMENTS.iter().find(|(cda, _)| *cda == name).map(|(_, xhtml)| *xhtml);
        let element = match (name, known) {
            ("list", _) if tree::attr(node, "listType") == Some("ordered") => "ol",
            ("list", _) => "ul",
            (_, Some(element)) => element,
            (_, None) => {
                self.reduced = true;
                ""
            }
        };
        if depth > DEEPEST {
            self.reduced = true;
            let text: String = node.descendants().filter(|n| n.is_text()).filter_map(|n| n.text()).collect();
            self.xhtml.push_str(&escaped(&wide(&text)));
            self.plain.push_str(&text);
            return;
        }
        self.reduced |= name == "linkHtml" || tree::attr(node, "styleCode").is_some();
        if !element.is_empty() {
            self.xhtml.push('<');
            self.xhtml.push_str(element);
            for span in ["colspan", "rowspan"] {
                let number = tree::attr(node, span).and_then(|v| v.trim().parse::<u16>().ok());
                if let Some(number) = number.filter(|_| matches!(element, "td" | "th")) {
                    self.xhtml.push_str(&format!(" {span}=\"{number}\""));
                }
            }
            self.xhtml.push('>');
        }
        self.children(node, depth);
        if !element.is_empty() {
            self.xhtml.push_str(&format!("</{element}>"));
        }
        match element {
            "td" | "th" => self.plain.push('\t'),
            "p" | "li" | "tr" | "b" => self.plain.push('\n'),
            _ => {}
        }
    }
}

/// Without empty lines around.
fn trimmed(lines: &[String]) -> Vec<&str> {
    let start = lines.iter().position(|l| !l.is_empty()).unwrap_or(lines.len());
    let end = lines.iter().rposition(|l| !l.is_empty()).map_or(start, |last| last + 1);
    lines.get(start..end).unwrap_or_default().iter().map(String::as_str).collect()
}

fn tidy(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(|l| l.trim().to_owned()).filter(|l| !l.is_empty()).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(xml: &str) -> Narrative {
        let document = roxmltree::Document::parse(xml).unwrap();
        Narrative::of(document.root_element())
    }

    #[test]
    fn markup_becomes_what_fhir_takes() {
        let n = read(
            "<text xmlns='urn:hl7-org:v3'><paragraph>ｱ&lt;b&gt;</paragraph><list listType='ordered'><item>1</item></list>\
             <table border='1'>\n<tr><td colspan='2' onclick='x'>a</td><td colspan='x'>b</td></tr></table><script>bad</script></text>",
        );
        assert_eq!(
            n.xhtml,
            "<p>ア&lt;b&gt;</p><ol><li>1</li></ol><table><tr><td colspan=\"2\">a</td><td>b</td></tr></table>bad"
        );
        assert!(n.reduced);
        assert_eq!(n.plain, "ア<b>\n1\na\tb\nbad");
    }

    #[test]
    fn lines_without_markup_stay_lines() {
        let n = read("<text>\n 一行目\n二行目\n\n</text>");
        assert_eq!(
            (n.xhtml.as_str(), n.plain.as_str(), n.reduced),
            ("一行目<br/>二行目", "一行目\n二行目", false)
        );
        assert!(read("<text> \n </text>").is_empty());
    }

    #[test]
    fn depth_ends_in_text() {
        let deep = format!("<text>{}x{}</text>", "<content>".repeat(200), "</content>".repeat(200));
        let n = read(&deep);
        assert_eq!((n.xhtml.as_str(), n.reduced), ("x", true));
    }
}
