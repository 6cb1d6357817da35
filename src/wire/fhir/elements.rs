//! What elements a type has, in the order XML writes them, how often, and of which type: FHIR R4, as far as resources
//! are read and written here. JSON says of itself what is a list and what a number; XML does not (FHIR R4 2.6.1).

/// What an element holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Is {
    /// A primitive that JSON writes as a string.
    Text,
    Flag,
    Number,
    /// An attribute of its element in XML.
    Attribute,
    /// A type of this table.
    Of(&'static str),
    /// A whole resource.
    Resource,
}

/// An element of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Element {
    pub name: &'static str,
    pub is: Is,
    pub repeats: bool,
}

const fn one(name: &'static str, is: Is) -> Element {
    Element { name, is, repeats: false }
}

const fn many(name: &'static str, is: Is) -> Element {
    Element { name, is, repeats: true }
}

use Is::{Attribute, Flag, Number, Of, Resource, Text};

const EXTENSION: Element = many("extension", Of("Extension"));

/// Resources first, then types; what stands nowhere here is not looked at.
pub const TYPES: &[(&str, &[Element])] = &[
    (
        "Patient",
        &[
            one("id", Text),
            one("meta", Of("Meta")),
            EXTENSION,
            many("identifier", Of("Identifier")),
            one("active", Flag),
            many("name", Of("HumanName")),
            many("telecom", Of("ContactPoint")),
            one("gender", Text),
            one("birthDate", Text),
            one("deceasedBoolean", Flag),
            one("deceasedDateTime", Text),
            many("address", Of("Address")),
            one("multipleBirthBoolean", Flag),
            one("multipleBirthInteger", Number),
            many("link", Of("Patient.link")),
        ],
    ),
    ("Patient.link", &[one("other", Of("Reference")), one("type", Text)]),
    (
        "Parameters",
        &[one("id", Text), one("meta", Of("Meta")), many("parameter", Of("Parameters.parameter"))],
    ),
    (
        "Parameters.parameter",
        &[
            one("name", Text),
            one("valueBoolean", Flag),
            one("valueCode", Text),
            one("valueInteger", Number),
            one("valueString", Text),
            one("valueUri", Text),
            one("valueUrl", Text),
            one("valueIdentifier", Of("Identifier")),
            one("valueReference", Of("Reference")),
            one("resource", Resource),
        ],
    ),
    (
        "Bundle",
        &[
            one("id", Text),
            one("meta", Of("Meta")),
            one("type", Text),
            one("total", Number),
            many("link", Of("Bundle.link")),
            many("entry", Of("Bundle.entry")),
        ],
    ),
    ("Bundle.link", &[one("relation", Text), one("url", Text)]),
    (
        "Bundle.entry",
        &[one("fullUrl", Text), one("resource", Resource), one("search", Of("Bundle.entry.search"))],
    ),
    ("Bundle.entry.search", &[EXTENSION, one("mode", Text), one("score", Number)]),
    ("OperationOutcome", &[many("issue", Of("OperationOutcome.issue"))]),
    (
        "OperationOutcome.issue",
        &[one("severity", Text), one("code", Text), one("diagnostics", Text), many("expression", Text)],
    ),
    (
        "CapabilityStatement",
        &[
            one("status", Text),
            one("date", Text),
            one("kind", Text),
            one("software", Of("CapabilityStatement.software")),
            one("implementation", Of("CapabilityStatement.implementation")),
            one("fhirVersion", Text),
            many("format", Text),
            many("rest", Of("CapabilityStatement.rest")),
        ],
    ),
    ("CapabilityStatement.software", &[one("name", Text), one("version", Text)]),
    ("CapabilityStatement.implementation", &[one("description", Text), one("url", Text)]),
    (
        "CapabilityStatement.rest",
        &[
            one("mode", Text),
            one("documentation", Text),
            many("resource", Of("CapabilityStatement.rest.resource")),
        ],
    ),
    (
        "CapabilityStatement.rest.resource",
        &[
            one("type", Text),
            many("supportedProfile", Text),
            many("interaction", Of("CapabilityStatement.rest.resource.interaction")),
            one("versioning", Text),
            one("updateCreate", Flag),
            one("conditionalCreate", Flag),
            one("conditionalUpdate", Flag),
            one("conditionalDelete", Text),
            many("searchParam", Of("CapabilityStatement.rest.resource.searchParam")),
            many("operation", Of("CapabilityStatement.rest.resource.operation")),
        ],
    ),
    ("CapabilityStatement.rest.resource.interaction", &[one("code", Text), one("documentation", Text)]),
    (
        "CapabilityStatement.rest.resource.searchParam",
        &[one("name", Text), one("type", Text), one("documentation", Text)],
    ),
    (
        "CapabilityStatement.rest.resource.operation",
        &[one("name", Text), one("definition", Text), one("documentation", Text)],
    ),
    ("Meta", &[many("profile", Text)]),
    (
        "Extension",
        &[
            one("url", Attribute),
            EXTENSION,
            one("valueBoolean", Flag),
            one("valueCode", Text),
            one("valueString", Text),
        ],
    ),
    (
        "Identifier",
        &[
            EXTENSION,
            one("use", Text),
            one("type", Of("CodeableConcept")),
            one("system", Text),
            one("value", Text),
        ],
    ),
    ("CodeableConcept", &[many("coding", Of("Coding")), one("text", Text)]),
    ("Coding", &[one("system", Text), one("version", Text), one("code", Text), one("display", Text)]),
    (
        "HumanName",
        &[
            EXTENSION,
            one("use", Text),
            one("text", Text),
            one("family", Text),
            many("given", Text),
            many("prefix", Text),
            many("suffix", Text),
        ],
    ),
    (
        "ContactPoint",
        &[EXTENSION, one("system", Text), one("value", Text), one("use", Text), one("rank", Number)],
    ),
    (
        "Address",
        &[
            EXTENSION,
            one("use", Text),
            one("type", Text),
            one("text", Text),
            many("line", Text),
            one("city", Text),
            one("district", Text),
            one("state", Text),
            one("postalCode", Text),
            one("country", Text),
        ],
    ),
    (
        "Reference",
        &[
            one("reference", Text),
            one("type", Text),
            one("identifier", Of("Identifier")),
            one("display", Text),
        ],
    ),
];

/// A type by its name, which is then as long-lived as the table.
pub fn find(name: &str) -> Option<(&'static str, &'static [Element])> {
    TYPES.iter().find(|(known, _)| *known == name).map(|(known, elements)| (*known, *elements))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_that_is_named_is_here_and_each_element_once() {
        for (name, elements) in TYPES {
            for (n, element) in elements.iter().enumerate() {
                if let Of(other) = element.is {
                    assert!(find(other).is_some(), "a row for {other} is missing in wire/fhir/elements.rs");
                }
                assert!(!elements[..n].iter().any(|e| e.name == element.name), "{name}.{}", element.name);
            }
        }
    }
}
