//! An assertion as ITI-40 sends it, and its signature: one reference to the assertion, exclusive canonicalization,
//! SHA-256 (XML Signature 1.1; SAML 2.0 Core 5.4). What is to be signed comes out canonical, so the key need not be here.

use ::base64::Engine as _;
use ::base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::{NS_DS, NS_SAML};
use crate::model::assertion::{Algorithm, Assertion, Value, name};
use crate::model::namespace::{NS_HL7V3, NS_WSSE};
use crate::wire::xml::{XmlWriter, c14n, tree};

const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";
const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
const SHA256: &str = "http://www.w3.org/2001/04/xmlenc#sha256";

/// An assertion that waits for its signature.
pub struct Unsigned {
    text: String,
    /// Where the signature goes: behind Issuer (SAML 2.0 Core 2.3.3).
    place: usize,
    info: String,
}

impl Unsigned {
    /// Writes it. An assertion that this cannot be done for has characters no XML holds.
    pub fn new(assertion: &Assertion, algorithm: Algorithm) -> Option<Self> {
        let text = written(assertion);
        let end = "</saml:Issuer>";
        let place = text.find(end)? + end.len();
        let doc = tree::parse(&text).ok()?;
        let digest = Sha256::digest(c14n::exclusive(doc.root_element(), None, &[]).as_bytes());
        Some(Self { info: info(&assertion.id, algorithm, &STANDARD.encode(digest)), text, place })
    }

    /// What the key signs: SignedInfo in its canonical form.
    pub fn message(&self) -> Option<Vec<u8>> {
        let doc = tree::parse(&self.info).ok()?;
        Some(c14n::exclusive(doc.root_element(), None, &[]).into_bytes())
    }

    /// The assertion with this SignatureValue, and the certificate it is of.
    pub fn signed(self, value: &[u8], certificate: &[u8]) -> String {
        let mut w = XmlWriter::new();
        w.open("ds:Signature").attr("xmlns:ds", NS_DS).raw(&self.info);
        w.leaf("ds:SignatureValue", &STANDARD.encode(value));
        w.open("ds:KeyInfo").open("ds:X509Data").leaf("ds:X509Certificate", &STANDARD.encode(certificate));
        let mut text = self.text;
        text.insert_str(self.place, &w.finish());
        text
    }
}

/// An envelope of ours with the assertion in its `wsse:Security` header.
pub fn secured(envelope: &str, assertion: &str) -> String {
    let end = "</soap:Header>";
    let at = envelope.find(end).unwrap_or_default();
    let (head, rest) = envelope.split_at(at);
    let block = format!("<wsse:Security xmlns:wsse=\"{NS_WSSE}\">{assertion}</wsse:Security>");
    [head, &block, rest].concat()
}

fn info(id: &str, algorithm: Algorithm, digest: &str) -> String {
    let mut w = XmlWriter::new();
    // By itself it is canonical within ds:Signature too: nothing but the prefix ds is used.
    w.open("ds:SignedInfo").attr("xmlns:ds", NS_DS);
    w.empty("ds:CanonicalizationMethod", &[("Algorithm", EXCLUSIVE)]);
    w.empty("ds:SignatureMethod", &[("Algorithm", algorithm.uri())]);
    w.open("ds:Reference").attr("URI", &format!("#{id}"));
    w.open("ds:Transforms");
    w.empty("ds:Transform", &[("Algorithm", ENVELOPED)]);
    w.empty("ds:Transform", &[("Algorithm", EXCLUSIVE)]).close();
    w.empty("ds:DigestMethod", &[("Algorithm", SHA256)]);
    w.leaf("ds:DigestValue", digest);
    w.finish()
}

/// xs:dateTime to the millisecond: more is more than common readers take.
fn instant(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

fn written(a: &Assertion) -> String {
    let mut w = XmlWriter::with_capacity(4096);
    w.open("saml:Assertion").attr("xmlns:saml", NS_SAML);
    w.attr("ID", &a.id).attr("IssueInstant", &instant(a.issued)).attr("Version", "2.0");
    w.leaf("saml:Issuer", &a.issuer);
    w.open("saml:Subject");
    w.open("saml:NameID").attr_opt("SPProvidedID", a.provided_id.as_deref()).text(&a.name_id).close();
    for confirmation in &a.confirmations {
        w.open("saml:SubjectConfirmation").attr("Method", &confirmation.method);
        let (from, to) = (confirmation.not_before.map(instant), confirmation.not_on_or_after.map(instant));
        if from.is_some() || to.is_some() || !confirmation.certificates.is_empty() {
            w.open("saml:SubjectConfirmationData");
            if !confirmation.certificates.is_empty() {
                w.attr("xmlns:xsi", XSI).attr("xsi:type", "saml:KeyInfoConfirmationDataType");
            }
            w.attr_opt("NotBefore", from.as_deref()).attr_opt("NotOnOrAfter", to.as_deref());
            for certificate in &confirmation.certificates {
                w.open("ds:KeyInfo").attr("xmlns:ds", NS_DS).open("ds:X509Data");
                w.leaf("ds:X509Certificate", &STANDARD.encode(certificate)).close().close();
            }
            w.close();
        }
        w.close();
    }
    w.close();
    if let Some(conditions) = &a.conditions {
        let (from, to) = (conditions.not_before.map(instant), conditions.not_on_or_after.map(instant));
        w.open("saml:Conditions");
        w.attr_opt("NotBefore", from.as_deref()).attr_opt("NotOnOrAfter", to.as_deref());
        for restriction in &conditions.audiences {
            w.open("saml:AudienceRestriction");
            restriction.iter().for_each(|audience| {
                w.leaf("saml:Audience", audience);
            });
            w.close();
        }
        if conditions.one_time_use {
            w.empty("saml:OneTimeUse", &[]);
        }
        w.close();
    }
    for authenticated in &a.authenticated {
        w.open("saml:AuthnStatement").attr("AuthnInstant", &instant(authenticated.at));
        w.open("saml:AuthnContext").leaf("saml:AuthnContextClassRef", &authenticated.class);
        w.close().close();
    }
    if !a.attributes.is_empty() {
        w.open("saml:AttributeStatement");
        for attribute in &a.attributes {
            w.open("saml:Attribute").attr("Name", &attribute.name);
            w.attr("NameFormat", "urn:oasis:names:tc:SAML:2.0:attrname-format:uri");
            for value in &attribute.values {
                w.open("saml:AttributeValue");
                written_value(&mut w, &attribute.name, value);
                w.close();
            }
            w.close();
        }
    }
    w.finish()
}

/// Codes and ids as HL7 v3 writes them (ITI TF-2 3.40.4.1.2.1, 3.40.4.1.2.3).
fn written_value(w: &mut XmlWriter<'_>, attribute: &str, value: &Value) {
    match value {
        Value::Text(text) => {
            w.text(text);
        }
        Value::Coded { code, system, display } => {
            w.open(if attribute == name::ROLE { "Role" } else { "PurposeOfUse" });
            w.attr("xmlns", NS_HL7V3).attr("xmlns:xsi", XSI).attr("xsi:type", "CE");
            w.attr("code", code).attr("codeSystem", system).attr_opt("displayName", display.as_deref());
            w.close();
        }
        Value::Id { root, extension } => {
            w.open("id").attr("xmlns", NS_HL7V3).attr("xmlns:xsi", XSI).attr("xsi:type", "II");
            w.attr("root", root).attr_opt("extension", extension.as_deref()).close();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::assertion::{Attribute, Authenticated, BEARER, Conditions, Confirmation, UNSPECIFIED};
    use crate::wire::saml::{locate, read, take_apart};

    fn assertion() -> Assertion {
        let at = |text: &str| -> Timestamp { text.parse().unwrap() };
        let coded = |code: &str, display: Option<&str>| Value::Coded {
            code: code.into(),
            system: "1.2.392".into(),
            display: display.map(str::to_owned),
        };
        Assertion {
            id: "_0a".into(),
            issued: at("2026-06-15T03:00:00.123Z"),
            issuer: "https://chiren.example.jp/\"<&>".into(),
            name_id: "dr-<yamada>&'\"".into(),
            provided_id: Some("山田".into()),
            confirmations: vec![
                Confirmation { method: BEARER.into(), ..Confirmation::default() },
                Confirmation {
                    method: "urn:x".into(),
                    not_before: Some(at("2026-06-15T03:00:00Z")),
                    not_on_or_after: Some(at("2026-06-15T03:05:00Z")),
                    certificates: vec![vec![1, 2, 3]],
                },
            ],
            conditions: Some(Conditions {
                not_before: Some(at("2026-06-15T03:00:00Z")),
                not_on_or_after: Some(at("2026-06-15T03:05:00Z")),
                audiences: vec![vec!["urn:a".into(), "urn:b".into()], vec!["urn:a".into()]],
                one_time_use: true,
            }),
            authenticated: vec![Authenticated { at: at("2026-06-15T02:00:00Z"), class: UNSPECIFIED.into() }],
            attributes: vec![
                Attribute {
                    name: name::SUBJECT.into(),
                    values: vec![Value::Text("山田 太郎\u{a0}x".into())],
                },
                Attribute {
                    name: name::ROLE.into(),
                    values: vec![coded("医師", Some("a\tb\nc")), coded("x", None)],
                },
                Attribute { name: name::PURPOSE.into(), values: vec![coded("TREATMENT", None)] },
                Attribute {
                    name: "urn:id".into(),
                    values: vec![Value::Id { root: "1.2".into(), extension: Some("7".into()) }],
                },
            ],
        }
    }

    #[test]
    fn what_is_written_is_read_again_and_fits_its_digest() {
        let assertion = assertion();
        let unsigned = Unsigned::new(&assertion, Algorithm::EcdsaSha256).unwrap();
        let message = unsigned.message().unwrap();
        let xml = unsigned.signed(&[9; 64], &[7; 300]);
        let envelope = "<soap:Envelope xmlns:soap=\"http://www.w3.org/2003/05/soap-envelope\" xmlns=\"urn:d\" \
                        xmlns:ds=\"urn:other\"><soap:Header><x/></soap:Header><soap:Body>\
                        &lt;/soap:Header></soap:Body></soap:Envelope>";
        let envelope = secured(envelope, &xml);
        let doc = tree::parse(&envelope).unwrap();
        let located = locate(doc.root_element()).unwrap().unwrap();
        let signed = take_apart(located).unwrap();
        assert_eq!(signed.message, message);
        assert_eq!((signed.algorithm, signed.value), (Algorithm::EcdsaSha256, vec![9; 64]));
        assert_eq!(read(located.assertion).unwrap(), assertion);
        // One changed letter, and the digest fits no more.
        let changed = envelope.replace("urn:b", "urn:c");
        let doc = tree::parse(&changed).unwrap();
        assert!(take_apart(locate(doc.root_element()).unwrap().unwrap()).is_err());
    }

    /// Canonicalized by hand: the second opinion on what is signed.
    #[test]
    fn the_form_that_is_signed_is_the_one_written_by_hand() {
        let mut assertion = assertion();
        assertion.issuer = "urn:i".into();
        assertion.name_id = "n".into();
        assertion.provided_id = None;
        assertion.confirmations.truncate(1);
        assertion.attributes.clear();
        let conditions = assertion.conditions.as_mut().unwrap();
        (conditions.audiences, conditions.one_time_use) = (vec![vec!["urn:a".into()]], false);
        let by_hand = "<saml:Assertion xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\" ID=\"_0a\" \
             IssueInstant=\"2026-06-15T03:00:00.123Z\" Version=\"2.0\"><saml:Issuer>urn:i</saml:Issuer><saml:Subject>\
             <saml:NameID>n</saml:NameID><saml:SubjectConfirmation \
             Method=\"urn:oasis:names:tc:SAML:2.0:cm:bearer\"></saml:SubjectConfirmation></saml:Subject>\
             <saml:Conditions NotBefore=\"2026-06-15T03:00:00.000Z\" NotOnOrAfter=\"2026-06-15T03:05:00.000Z\">\
             <saml:AudienceRestriction><saml:Audience>urn:a</saml:Audience></saml:AudienceRestriction>\
             </saml:Conditions><saml:AuthnStatement AuthnInstant=\"2026-06-15T02:00:00.000Z\"><saml:AuthnContext>\
             <saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:unspecified\
             </saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement></saml:Assertion>";
        let digest = STANDARD.encode(Sha256::digest(by_hand.as_bytes()));
        let info = format!(
            "<ds:SignedInfo xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"><ds:CanonicalizationMethod \
             Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"></ds:CanonicalizationMethod><ds:SignatureMethod \
             Algorithm=\"http://www.w3.org/2001/04/xmldsig-more#rsa-sha256\"></ds:SignatureMethod><ds:Reference \
             URI=\"#_0a\"><ds:Transforms><ds:Transform \
             Algorithm=\"http://www.w3.org/2000/09/xmldsig#enveloped-signature\"></ds:Transform><ds:Transform \
             Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"></ds:Transform></ds:Transforms><ds:DigestMethod \
             Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha256\"></ds:DigestMethod><ds:DigestValue>{digest}\
             </ds:DigestValue></ds:Reference></ds:SignedInfo>"
        );
        let unsigned = Unsigned::new(&assertion, Algorithm::RsaSha256).unwrap();
        assert_eq!(String::from_utf8(unsigned.message().unwrap()).unwrap(), info);
    }
}
