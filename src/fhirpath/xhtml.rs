//! Narrative (FHIR R4 2.6.5, txt-1 and txt-2): one `div` of well-formed XHTML with formatting alone, and something in it.

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XhtmlError {
    /// Not one `div` of the XHTML namespace.
    Root,
    /// Tags do not pair, an entity is unknown, a comment or declaration stands where none may.
    Form,
    /// An element that is no formatting.
    Element,
    /// An attribute that acts, or one twice.
    Attribute,
    /// Nothing but white space.
    Blank,
}

/// FHIR R4 2.6.5: HTML 4.0 chapters 7-11 (without 4 of 9) and 15, `a`, images, `style`.
const ELEMENTS: &[&str] = &[
    "a",
    "abbr",
    "acronym",
    "address",
    "b",
    "big",
    "blockquote",
    "br",
    "caption",
    "center",
    "cite",
    "code",
    "col",
    "colgroup",
    "dd",
    "dfn",
    "div",
    "dl",
    "dt",
    "em",
    "font",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "i",
    "img",
    "kbd",
    "li",
    "ol",
    "p",
    "pre",
    "q",
    "rb",
    "rp",
    "rt",
    "ruby",
    "s",
    "samp",
    "small",
    "span",
    "strike",
    "strong",
    "sub",
    "sup",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "tr",
    "tt",
    "u",
    "ul",
    "var",
    "bdo",
    "del",
    "ins",
];

const ATTRIBUTES: &[&str] = &[
    "abbr",
    "accesskey",
    "align",
    "alt",
    "axis",
    "bgcolor",
    "border",
    "cellpadding",
    "cellspacing",
    "char",
    "charoff",
    "charset",
    "cite",
    "class",
    "clear",
    "color",
    "cols",
    "colspan",
    "compact",
    "coords",
    "dir",
    "face",
    "frame",
    "headers",
    "height",
    "href",
    "hreflang",
    "hspace",
    "id",
    "lang",
    "longdesc",
    "name",
    "nowrap",
    "rel",
    "rev",
    "rowspan",
    "rules",
    "scope",
    "shape",
    "size",
    "span",
    "src",
    "start",
    "style",
    "summary",
    "tabindex",
    "title",
    "type",
    "valign",
    "value",
    "vspace",
    "width",
    "xml:lang",
    "xmlns",
];

/// Holds a narrative's `div` against the rules.
pub fn check(text: &str) -> Result<(), XhtmlError> {
    let text = text.trim();
    let mut open: Vec<&str> = vec![];
    let mut rest = text;
    let mut filled = false;
    let mut rooted = false;
    while !rest.is_empty() {
        let Some(at) = rest.find('<') else {
            return Err(if open.is_empty() { XhtmlError::Root } else { XhtmlError::Form });
        };
        let (before, tail) = rest.split_at(at);
        characters(before)?;
        if !before.trim().is_empty() {
            if open.is_empty() {
                return Err(XhtmlError::Root);
            }
            filled = true;
        }
        if let Some(comment) = tail.strip_prefix("<!--") {
            rest = &comment[comment.find("-->").ok_or(XhtmlError::Form)? + 3..];
            continue;
        }
        let end = tag_end(tail).ok_or(XhtmlError::Form)?;
        let tag = &tail[1..end];
        rest = &tail[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            if open.pop() != Some(name.trim_end()) {
                return Err(XhtmlError::Form);
            }
            continue;
        }
        let (tag, closed) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
        let name_end = tag.find(char::is_whitespace).unwrap_or(tag.len());
        let name = &tag[..name_end];
        let names = attributes(&tag[name_end..])?;
        if open.is_empty() {
            let is_div = name == "div" && names.contains(&("xmlns", "http://www.w3.org/1999/xhtml"));
            if rooted || !is_div {
                return Err(XhtmlError::Root);
            }
            rooted = true;
        }
        if !ELEMENTS.contains(&name) {
            return Err(XhtmlError::Element);
        }
        for (i, (attribute, value)) in names.iter().enumerate() {
            let acts = value.trim().to_ascii_lowercase().starts_with("javascript:");
            if !ATTRIBUTES.contains(attribute)
                || acts
                || names[..i].iter().any(|(other, _)| other == attribute)
            {
                return Err(XhtmlError::Attribute);
            }
        }
        filled |= name == "img";
        if !closed {
            open.push(name);
        }
    }
    match (open.is_empty(), rooted, filled) {
        (_, false, _) => Err(XhtmlError::Root),
        (false, ..) => Err(XhtmlError::Form),
        (.., false) => Err(XhtmlError::Blank),
        _ => Ok(()),
    }
}

/// Where the tag ends, quotes heeded.
fn tag_end(tail: &str) -> Option<usize> {
    let mut quote = None;
    for (i, c) in tail.char_indices().skip(1) {
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (None, '>') => return Some(i),
            (None, '<') => return None,
            (Some(mark), c) if mark == c => quote = None,
            _ => {}
        }
    }
    None
}

fn attributes(mut rest: &str) -> Result<Vec<(&str, &str)>, XhtmlError> {
    let mut found = vec![];
    loop {
        let trimmed = rest.trim_start();
        if trimmed.is_empty() {
            return Ok(found);
        }
        if trimmed.len() == rest.len() {
            return Err(XhtmlError::Form);
        }
        let (name, value) = trimmed.split_once('=').ok_or(XhtmlError::Form)?;
        let value = value.trim_start();
        let mark = value.chars().next().filter(|c| matches!(c, '"' | '\'')).ok_or(XhtmlError::Form)?;
        let end = value[1..].find(mark).ok_or(XhtmlError::Form)? + 1;
        characters(&value[1..end])?;
        found.push((name.trim(), &value[1..end]));
        rest = &value[end + 1..];
    }
}

/// Entities are numbers, XML's own five, or names of HTML.
fn characters(text: &str) -> Result<(), XhtmlError> {
    for (at, _) in text.match_indices('&') {
        let rest = &text[at + 1..];
        let end = rest.find(';').filter(|end| (1..=10).contains(end)).ok_or(XhtmlError::Form)?;
        let name = &rest[..end];
        let good = match name.strip_prefix('#') {
            Some(number) => match number.strip_prefix('x') {
                Some(hex) => u32::from_str_radix(hex, 16).is_ok(),
                None => number.parse::<u32>().is_ok(),
            },
            None => name.chars().all(|c| c.is_ascii_alphanumeric()),
        };
        if !good {
            return Err(XhtmlError::Form);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narratives() {
        let cases: &[(&str, Result<(), XhtmlError>)] = &[
            ("<div xmlns=\"http://www.w3.org/1999/xhtml\">文<br/><b>a</b> &lt; &nbsp;</div>", Ok(())),
            ("<div>x</div>", Err(XhtmlError::Root)),
            ("x", Err(XhtmlError::Root)),
            ("<div xmlns='http://www.w3.org/1999/xhtml'> \n</div>", Err(XhtmlError::Blank)),
            ("<div xmlns='http://www.w3.org/1999/xhtml'><b>x</div>", Err(XhtmlError::Form)),
            ("<div xmlns='http://www.w3.org/1999/xhtml'>a & b</div>", Err(XhtmlError::Form)),
            ("<div xmlns='http://www.w3.org/1999/xhtml'><script>x</script></div>", Err(XhtmlError::Element)),
            (
                "<div xmlns='http://www.w3.org/1999/xhtml'><b onclick='x'>x</b></div>",
                Err(XhtmlError::Attribute),
            ),
            (
                "<div xmlns='http://www.w3.org/1999/xhtml'><a href=' JavaScript:x'>x</a></div>",
                Err(XhtmlError::Attribute),
            ),
            ("<div xmlns='http://www.w3.org/1999/xhtml'>x</div><div/>", Err(XhtmlError::Root)),
            ("<div xmlns='http://www.w3.org/1999/xhtml'>x", Err(XhtmlError::Form)),
        ];
        for (text, outcome) in cases {
            assert_eq!(check(text), *outcome, "{text}");
        }
    }
}
