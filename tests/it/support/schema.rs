//! Judges messages by the published schemas: SOAP 1.2 envelope, WS-Addressing headers and the body (ebRS 3.0,
//! XDS.b, RMD, HL7 v3), with the very XSDs we serve from `wsdl/` and the few more in `tests/schema/`.
//!
//! SOAP's wildcards are lax, so an element without a declaration would pass unseen. [`validate_soap`] therefore
//! also demands that the payload of the body is declared.

use std::ops::Range;

use roxmltree::{Document, Node};
use xsd_schema::validation::{CollectingValidationSink, SchemaValidator, ValidationFlags, drive_quick_xml};
use xsd_schema::{SchemaSet, SchemaSetBuilder};

const SOAP12: &str = "http://www.w3.org/2003/05/soap-envelope";
const WSA: &str = "http://www.w3.org/2005/08/addressing";
const HL7V3: &str = "urn:hl7-org:v3";
const XOP: &str = "http://www.w3.org/2004/08/xop/include";

/// The root elements a body may hold, by namespace: `soap12:Fault` and what document-sharing declares.
const PAYLOAD_NAMESPACES: &[&str] = &[
    SOAP12,
    "urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0",
    "urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0",
    "urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0",
    "urn:ihe:iti:xds-b:2007",
    "urn:ihe:iti:rmd:2017",
    "urn:ihe:iti:xcpd:2009",
    HL7V3,
];

thread_local! {
    /// Compiled once per thread: a `SchemaSet` is not `Sync`, and compiling takes a few milliseconds.
    static SCHEMAS: SchemaSet = compile(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/schema/envelope.xsd"));
    /// HL7 v3 in a set of its own: CDA declares other things in the same namespace.
    static HL7: SchemaSet = compile(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/schema/hl7v3/messages.xsd"));
    static AUDIT: SchemaSet =
        compile(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/schema/dicom-audit/dicom2017c.xsd"));
    static SAML: SchemaSet =
        compile(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/schema/saml2/sstc-saml-schema-assertion-2.0.xsd"));
    static CDA: SchemaSet =
        compile(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/schema/cda-r2/infrastructure/cda/CDA.xsd"));
}

fn compile(path: &str) -> SchemaSet {
    let compiled = SchemaSetBuilder::new()
        .add("urn:oid:2.999.1.1", path)
        .and_then(SchemaSetBuilder::compile)
        .unwrap_or_else(|e| panic!("{path}: {e}"));
    let missing: Vec<_> = compiled.directive_failures().iter().map(|f| f.schema_location()).collect();
    assert!(missing.is_empty(), "schemas not found: {missing:?}");
    compiled.into_schema_set()
}

/// Validates a SOAP 1.2 envelope with everything in it. `xop:Include` is replaced by base64 text first, because
/// the schemas do not know it. Each problem names the violated constraint (`cvc-…`) and the element.
pub fn validate_soap(envelope: &str) -> Result<(), Vec<String>> {
    let text = without_xop_includes(envelope).map_err(|e| vec![e])?;
    let mut problems = structure(&text);
    match hl7v3_payload(&text) {
        // The envelope by its schemas and the message by its own: types that `xsi:type` names are declared there.
        Some(payload) => {
            let envelope = text.replacen(payload, "", 1);
            problems.extend(validate(&envelope).err().into_iter().flatten());
            problems.extend(validate_hl7v3(payload).err().into_iter().flatten());
        }
        None => problems.extend(validate(&text).err().into_iter().flatten()),
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// Validates one XML document whose root element the schemas declare, such as a body payload alone.
pub fn validate(xml: &str) -> Result<(), Vec<String>> {
    SCHEMAS.with(|schemas| validate_with(schemas, xml))
}

/// Validates an HL7 v3 message alone.
pub fn validate_hl7v3(xml: &str) -> Result<(), Vec<String>> {
    HL7.with(|schemas| validate_with(schemas, xml))
}

/// The message in the body, which must declare its namespaces itself.
fn hl7v3_payload(envelope: &str) -> Option<&str> {
    let document = Document::parse(envelope).ok()?;
    let body = document.root_element().children().find(|n| n.has_tag_name((SOAP12, "Body")))?;
    let payload = body.children().find(Node::is_element)?;
    (payload.tag_name().namespace() == Some(HL7V3)).then(|| &envelope[payload.range()])
}

/// Validates an audit message.
pub fn validate_audit(xml: &str) -> Result<(), Vec<String>> {
    AUDIT.with(|schemas| validate_with(schemas, xml))
}

/// Validates a SAML 2.0 assertion. Types of HL7 v3 that `xsi:type` names are not declared there, and are taken out.
pub fn validate_saml(xml: &str) -> Result<(), Vec<String>> {
    let plain = xml.replace(" xsi:type=\"CE\"", "").replace(" xsi:type=\"II\"", "");
    SAML.with(|schemas| validate_with(schemas, &plain))
}

/// Validates a CDA R2 document.
pub fn validate_cda(xml: &str) -> Result<(), Vec<String>> {
    CDA.with(|schemas| validate_with(schemas, xml))
}

fn validate_with(schemas: &SchemaSet, xml: &str) -> Result<(), Vec<String>> {
    let validator = SchemaValidator::new(schemas, ValidationFlags::default());
    let (mut errors, mut warnings) = (Vec::new(), Vec::new());
    let mut run =
        validator.start_run(CollectingValidationSink { errors: &mut errors, warnings: &mut warnings });
    let driven = drive_quick_xml(xml.as_bytes(), &mut run, schemas);
    drop(run);
    let mut problems: Vec<String> = errors.iter().map(ToString::to_string).collect();
    problems.extend(driven.err().map(|e| e.to_string()));
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// What the lax wildcards of the envelope schema would let pass.
fn structure(envelope: &str) -> Vec<String> {
    let document = match Document::parse(envelope) {
        Ok(document) => document,
        Err(e) => return vec![format!("not well-formed: {e}")],
    };
    let root = document.root_element();
    if !root.has_tag_name((SOAP12, "Envelope")) {
        return vec![format!("root element is {:?}, not a SOAP 1.2 Envelope", root.tag_name())];
    }
    let mut problems = Vec::new();
    let actions = root.descendants().filter(|n| n.has_tag_name((WSA, "Action"))).count();
    if actions != 1 {
        problems.push(format!("{actions} wsa:Action, not one"));
    }
    let body = root.children().find(|n| n.has_tag_name((SOAP12, "Body")));
    let payload: Vec<Node> =
        body.map(|b| b.children().filter(Node::is_element).collect()).unwrap_or_default();
    match payload[..] {
        [one] if one.tag_name().namespace().is_some_and(|ns| PAYLOAD_NAMESPACES.contains(&ns)) => {}
        [one] => problems.push(format!("the schemas do not declare the payload {:?}", one.tag_name())),
        _ => problems.push(format!("{} elements in the Body, not one", payload.len())),
    }
    problems
}

/// Replaces each `xop:Include` by a base64 text, leaving every other byte as it was.
fn without_xop_includes(envelope: &str) -> Result<String, String> {
    let document = Document::parse(envelope).map_err(|e| format!("not well-formed: {e}"))?;
    let includes: Vec<Range<usize>> =
        document.descendants().filter(|n| n.has_tag_name((XOP, "Include"))).map(|n| n.range()).collect();
    let mut text = envelope.to_owned();
    for range in includes.into_iter().rev() {
        text.replace_range(range, "WE9Q");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = r#"<wsa:Action s:mustUnderstand="1">urn:ihe:iti:2007:RegisterDocumentSet-b</wsa:Action>
<wsa:MessageID>urn:uuid:6d296e90-e5dc-43d0-b455-7c1f3eb35d83</wsa:MessageID>
<wsa:ReplyTo><wsa:Address>http://www.w3.org/2005/08/addressing/anonymous</wsa:Address></wsa:ReplyTo>"#;

    fn envelope(body: &str) -> String {
        format!(
            r#"<s:Envelope xmlns:s="{SOAP12}" xmlns:wsa="{WSA}"><s:Header>{HEADER}</s:Header><s:Body>{body}</s:Body></s:Envelope>"#
        )
    }

    /// A submission with what a spoiled copy needs: a slot, a name, a classification and an identifier.
    const SUBMISSION: &str = r#"<lcm:SubmitObjectsRequest xmlns:lcm="urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0" xmlns="urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"><RegistryObjectList>
<ExtrinsicObject id="d1" mimeType="text/xml" objectType="urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1">
<Slot name="sourcePatientInfo"><ValueList><Value>PID-5|架空^花子</Value></ValueList></Slot>
<Name><LocalizedString xml:lang="ja" value="退院時サマリ"/></Name>
<Classification id="c1" classificationScheme="urn:uuid:41a5887f-8865-4c09-adf7-e362475b143a" classifiedObject="d1" nodeRepresentation="34109-9"/>
<ExternalIdentifier id="e1" registryObject="d1" identificationScheme="urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab" value="2.999.7"/>
</ExtrinsicObject>
<Association id="a1" associationType="urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember" sourceObject="s1" targetObject="d1"/>
</RegistryObjectList></lcm:SubmitObjectsRequest>"#;

    const RETRIEVED: &str = r#"<RetrieveDocumentSetResponse xmlns="urn:ihe:iti:xds-b:2007" xmlns:rs="urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0" xmlns:xop="http://www.w3.org/2004/08/xop/include"><rs:RegistryResponse status="urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Success"/>
<DocumentResponse><RepositoryUniqueId>2.999.1</RepositoryUniqueId><DocumentUniqueId>2.999.7</DocumentUniqueId><mimeType>text/xml</mimeType><Document><xop:Include href="cid:1@gw.example"/></Document></DocumentResponse></RetrieveDocumentSetResponse>"#;

    const FAULT: &str = r#"<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>wsa:ActionNotSupported</s:Value></s:Subcode></s:Code><s:Reason><s:Text xml:lang="en">no</s:Text></s:Reason></s:Fault>"#;

    /// `good` with one thing changed; fails when there is nothing to change.
    fn spoiled(good: &str, from: &str, to: &str) -> String {
        assert!(good.contains(from), "nothing to spoil: {from}");
        good.replacen(from, to, 1)
    }

    /// The constraint each problem names, without the prose.
    fn constraints(result: Result<(), Vec<String>>) -> Vec<String> {
        let code = |p: &String| {
            p.strip_prefix('[').and_then(|p| p.split_once(']')).map_or(p.clone(), |(code, _)| code.to_owned())
        };
        result.err().unwrap_or_default().iter().map(code).collect()
    }

    #[test]
    fn good_envelopes_pass() {
        for body in [SUBMISSION, RETRIEVED, FAULT] {
            assert_eq!(validate_soap(&envelope(body)), Ok(()));
        }
    }

    #[test]
    fn a_spoiled_envelope_fails_with_its_constraint() {
        let long = "あ".repeat(257);
        let table: &[(&str, &str, &str, &str)] = &[
            // child order, missing and unknown elements
            (
                SUBMISSION,
                "<Name>",
                "<ExternalIdentifier id=\"e2\" registryObject=\"d1\" identificationScheme=\"urn:x\" value=\"1\"/><Name>",
                "cvc-complex-type.2.4",
            ),
            (SUBMISSION, "<ValueList>", "<Values/><ValueList>", "cvc-complex-type.2.4"),
            (SUBMISSION, "<Name>", "<Bogus/><Name>", "cvc-complex-type.2.4"),
            (SUBMISSION, "<Association ", "<Slot xmlns=\"urn:other\"/><Association ", "cvc-complex-type.2.4"),
            (SUBMISSION, "<Name>", "text<Name>", "cvc-complex-type.2.3"),
            (RETRIEVED, "<RepositoryUniqueId>2.999.1</RepositoryUniqueId>", "", "cvc-complex-type.2.4"),
            (RETRIEVED, "<mimeType>text/xml</mimeType>", "", "cvc-complex-type.2.4"),
            (FAULT, "<s:Reason><s:Text xml:lang=\"en\">no</s:Text></s:Reason>", "", "cvc-complex-type.2.4"),
            // attributes
            (SUBMISSION, " id=\"c1\"", "", "cvc-complex-type.4"),
            (SUBMISSION, " registryObject=\"d1\"", "", "cvc-complex-type.4"),
            (SUBMISSION, " targetObject=\"d1\"", "", "cvc-complex-type.4"),
            (SUBMISSION, " mimeType=", " mimetype=", "cvc-complex-type.3.2.2"),
            (
                RETRIEVED,
                " status=\"urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Success\"",
                "",
                "cvc-complex-type.4",
            ),
            (FAULT, " xml:lang=\"en\"", "", "cvc-complex-type.4"),
            // values
            (SUBMISSION, "PID-5|架空^花子", &long, "cvc-maxLength-valid"),
            (SUBMISSION, "34109-9", &long, "cvc-maxLength-valid"),
            (SUBMISSION, "<ExtrinsicObject ", "<ExtrinsicObject isOpaque=\"maybe\" ", "cvc-datatype-valid"),
            (RETRIEVED, "<xop:Include href=\"cid:1@gw.example\"/>", "!", "cvc-datatype-valid"),
            (FAULT, "s:Sender", "s:Client", "cvc-enumeration-valid"),
        ];
        for (good, from, to, constraint) in table {
            let found = constraints(validate_soap(&envelope(&spoiled(good, from, to))));
            assert!(found.iter().any(|c| c == constraint), "{from} -> {to}: {found:?}");
        }
    }

    #[test]
    fn lengths_are_counted_in_characters() {
        let at_limit = spoiled(SUBMISSION, "PID-5|架空^花子", &"あ".repeat(256));
        assert_eq!(validate_soap(&envelope(&at_limit)), Ok(()));
    }

    #[test]
    fn headers_are_judged() {
        let good = envelope(SUBMISSION);
        let table = [
            (
                "<wsa:Address>http://www.w3.org/2005/08/addressing/anonymous</wsa:Address>",
                "",
                "cvc-complex-type.2.4",
            ),
            ("mustUnderstand=\"1\"", "mustUnderstand=\"yes\"", "cvc-datatype-valid"),
            ("<wsa:MessageID>", "<wsa:MessageID><b/>", "cvc-complex-type.2.4"),
        ];
        for (from, to, constraint) in table {
            let found = constraints(validate_soap(&spoiled(&good, from, to)));
            assert!(found.iter().any(|c| c == constraint), "{from} -> {to}: {found:?}");
        }
    }

    #[test]
    fn what_lax_wildcards_would_miss_is_found() {
        let two_actions =
            spoiled(&envelope(FAULT), "<wsa:MessageID>", "<wsa:Action>x</wsa:Action><wsa:MessageID>");
        assert!(validate_soap(&two_actions).is_err());
        for body in ["", "<x xmlns=\"urn:other\"/>", "<bare/>", &format!("{FAULT}{FAULT}")] {
            assert!(validate_soap(&envelope(body)).is_err(), "{body}");
        }
        assert!(validate_soap(SUBMISSION).is_err(), "a body without its envelope");
        assert!(validate_soap("<s:Envelope").is_err(), "not well-formed");
    }

    #[test]
    fn the_corpus_is_valid_as_its_index_says() {
        let folder = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus/xds"));
        let index = std::fs::read_to_string(folder.join("index.json")).expect("index");
        let index: serde_json::Value = serde_json::from_str(&index).expect("JSON");
        let entries = index["entries"].as_array().expect("entries");
        assert!(entries.len() >= 79, "the corpus shrank");
        for entry in entries {
            let file = entry["file"].as_str().expect("file");
            let xml = std::fs::read_to_string(folder.join(file)).expect(file);
            let verdict = validate(&xml);
            assert_eq!(Some(verdict.is_ok()), entry["schema_valid"].as_bool(), "{file}: {verdict:?}");

            let renamed = xml.replace("Request>", "Reqest>").replace("Request ", "Reqest ");
            assert!(validate(&renamed).is_err(), "{file} with a misspelt root");
        }
    }
}
