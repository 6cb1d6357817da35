//! The WSDLs and schemas of `wsdl/`, embedded, as they are served at `?wsdl` and under `/wsdl/`.
//!
//! The files name each other relatively, so they resolve in the folder and in an editor. On the wire the same
//! names must also resolve from an endpoint's `?wsdl`, which lives elsewhere: [`served`] therefore makes
//! them absolute and fills the address of the service.

use std::borrow::Cow;

/// Where the files are served: `GET /wsdl/<name>`.
pub const PATH: &str = "/wsdl/";

/// The placeholder of the service address in the WSDLs.
const LOCATION: &str = "{{location}}";

/// Name and text of every file.
const FILES: &[(&str, &str)] = &[
    ("registry.wsdl", include_str!("../../wsdl/registry.wsdl")),
    ("repository.wsdl", include_str!("../../wsdl/repository.wsdl")),
    ("pixv3.wsdl", include_str!("../../wsdl/pixv3.wsdl")),
    ("pdqv3.wsdl", include_str!("../../wsdl/pdqv3.wsdl")),
    ("iti18.wsdl", include_str!("../../wsdl/iti18.wsdl")),
    ("iti38.wsdl", include_str!("../../wsdl/iti38.wsdl")),
    ("iti39.wsdl", include_str!("../../wsdl/iti39.wsdl")),
    ("iti41.wsdl", include_str!("../../wsdl/iti41.wsdl")),
    ("iti42.wsdl", include_str!("../../wsdl/iti42.wsdl")),
    ("iti43.wsdl", include_str!("../../wsdl/iti43.wsdl")),
    ("iti44.wsdl", include_str!("../../wsdl/iti44.wsdl")),
    ("iti45.wsdl", include_str!("../../wsdl/iti45.wsdl")),
    ("iti46.wsdl", include_str!("../../wsdl/iti46.wsdl")),
    ("iti47.wsdl", include_str!("../../wsdl/iti47.wsdl")),
    ("iti51.wsdl", include_str!("../../wsdl/iti51.wsdl")),
    ("iti55.wsdl", include_str!("../../wsdl/iti55.wsdl")),
    ("iti56.wsdl", include_str!("../../wsdl/iti56.wsdl")),
    ("iti57.wsdl", include_str!("../../wsdl/iti57.wsdl")),
    ("iti61.wsdl", include_str!("../../wsdl/iti61.wsdl")),
    ("iti62.wsdl", include_str!("../../wsdl/iti62.wsdl")),
    ("iti86.wsdl", include_str!("../../wsdl/iti86.wsdl")),
    ("iti92.wsdl", include_str!("../../wsdl/iti92.wsdl")),
    ("rim.xsd", include_str!("../../wsdl/rim.xsd")),
    ("rs.xsd", include_str!("../../wsdl/rs.xsd")),
    ("lcm.xsd", include_str!("../../wsdl/lcm.xsd")),
    ("query.xsd", include_str!("../../wsdl/query.xsd")),
    ("xml.xsd", include_str!("../../wsdl/xml.xsd")),
    ("XDS.b_DocumentRepository.xsd", include_str!("../../wsdl/XDS.b_DocumentRepository.xsd")),
    ("rmd.xsd", include_str!("../../wsdl/rmd.xsd")),
    ("xcpd.xsd", include_str!("../../wsdl/xcpd.xsd")),
    ("hl7v3.xsd", include_str!("../../wsdl/hl7v3.xsd")),
];

/// The text of a file of `wsdl/` as it stands in the folder.
pub fn file(name: &str) -> Option<&'static str> {
    FILES.iter().find(|(n, _)| *n == name).map(|(_, text)| *text)
}

/// The names of all files.
pub fn names() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|(name, _)| *name)
}

/// A file as it goes on the wire (`text/xml; charset=utf-8`): locations absolute under [`PATH`], and
/// `location`, the URL of the endpoint, written into the service address. A schema is unchanged but for its
/// import locations.
pub fn served(name: &str, location: &str) -> Option<String> {
    let text = file(name)?;
    let mut out = String::with_capacity(text.len() + 256);
    let mut rest = text;
    while let Some((before, value, after)) = next_location(rest) {
        out.push_str(before);
        if file(value).is_some() {
            out.push_str(PATH);
        }
        out.push_str(value);
        rest = after;
    }
    out.push_str(rest);
    Some(out.replace(LOCATION, &escape(location)))
}

/// Splits at the value of the next `schemaLocation="…"` or `location="…"`: what precedes the value (with the
/// opening quote), the value, and the remainder beginning with the closing quote.
fn next_location(text: &str) -> Option<(&str, &str, &str)> {
    const NAMES: [&str; 2] = [" schemaLocation=\"", " location=\""];
    let start = NAMES.iter().filter_map(|n| text.find(n).map(|at| at + n.len())).min()?;
    let (before, tail) = text.split_at(start);
    let (value, after) = tail.split_at(tail.find('"')?);
    Some((before, value, after))
}

/// `location` comes partly from the Host header of the request, so it is escaped like any other value.
fn escape(value: &str) -> Cow<'_, str> {
    if !value.contains(['&', '<', '>', '"', '\'']) {
        return Cow::Borrowed(value);
    }
    let mut out = String::with_capacity(value.len() + 8);
    for c in value.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Every location in a file that is not a URL or the placeholder.
    fn relative_locations(text: &str) -> Vec<&str> {
        let mut found = Vec::new();
        let mut rest = text;
        while let Some((_, value, after)) = next_location(rest) {
            if !value.contains("://") && value != LOCATION {
                found.push(value);
            }
            rest = after;
        }
        found
    }

    #[test]
    fn the_table_is_the_folder() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/wsdl");
        let on_disk: BTreeSet<String> = std::fs::read_dir(folder)
            .expect("wsdl/")
            .map(|entry| entry.expect("entry").file_name().into_string().expect("name"))
            .filter(|name| name != "README.md")
            .collect();
        let embedded: BTreeSet<String> = names().map(str::to_owned).collect();
        assert_eq!(embedded, on_disk, "add the file to FILES in src/server/wsdl.rs");
    }

    #[test]
    fn every_relative_location_is_embedded() {
        let mut seen = 0;
        for (name, text) in FILES {
            for location in relative_locations(text) {
                assert!(file(location).is_some(), "{name} refers to {location}");
                seen += 1;
            }
        }
        assert!(seen >= 15, "only {seen} locations found");
    }

    #[test]
    fn the_locations_found_are_those_of_the_parsed_files() {
        for (name, text) in FILES {
            let document = roxmltree::Document::parse(text).expect(name);
            let parsed: Vec<&str> = document
                .descendants()
                .filter(|n| matches!(n.tag_name().name(), "import" | "include"))
                .filter_map(|n| n.attribute("schemaLocation").or(n.attribute("location")))
                .collect();
            assert_eq!(relative_locations(text), parsed, "{name}");
        }
    }

    #[test]
    fn every_message_element_is_declared() {
        for (name, text) in FILES.iter().filter(|(n, _)| n.starts_with("iti")) {
            let document = roxmltree::Document::parse(text).expect(name);
            let parts: Vec<_> = document.descendants().filter(|n| n.has_tag_name(part())).collect();
            assert!(parts.len() >= 2, "{name}");
            for part in parts {
                let (prefix, local) =
                    part.attribute("element").expect("element").split_once(':').expect("QName");
                let ns = part.lookup_namespace_uri(Some(prefix)).expect("prefix");
                let declared = FILES.iter().filter(|(n, _)| n.ends_with(".xsd")).any(|(_, xsd)| {
                    let xsd = roxmltree::Document::parse(xsd).expect("schema");
                    let root = xsd.root_element();
                    root.attribute("targetNamespace") == Some(ns)
                        && root
                            .children()
                            .any(|c| c.tag_name().name() == "element" && c.attribute("name") == Some(local))
                });
                assert!(declared, "{name}: {{{ns}}}{local}");
            }
        }
    }

    fn part() -> (&'static str, &'static str) {
        ("http://schemas.xmlsoap.org/wsdl/", "part")
    }

    #[test]
    fn served_files_are_filled() {
        let text = served("iti41.wsdl", "https://gw.example/iti41?a=1&b=2").expect("file");
        let document = roxmltree::Document::parse(&text).expect("well-formed");
        let address = document.descendants().find(|n| n.tag_name().name() == "address").expect("address");
        assert_eq!(address.attribute("location"), Some("https://gw.example/iti41?a=1&b=2"));
        assert!(text.contains("schemaLocation=\"/wsdl/XDS.b_DocumentRepository.xsd\""));
        assert!(!text.contains(LOCATION));

        let actor = served("registry.wsdl", "http://127.0.0.1/registry").expect("file");
        assert!(actor.contains(" location=\"/wsdl/iti18.wsdl\""));
        assert_eq!(actor.matches("http://127.0.0.1/registry").count(), 8);

        assert!(served("xml.xsd", "").expect("file").contains("\"http://www.w3.org/2001/xml.xsd\""));
        assert_eq!(served("../Cargo.toml", ""), None);
    }
}
