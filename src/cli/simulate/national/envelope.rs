//! The envelope (national-service.md §6.2, §7): a request read, an answer written.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::contract::{Code, Op, Row, Service, Verb};
use super::validate::Problem;

/// How the patient's consent to be read by the destination stands at registration (national-service.md §1.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConsentStatus {
    /// 現在: given at the sender.
    #[serde(rename = "1")]
    Now,
    /// 後日: to be given.
    #[serde(rename = "2")]
    Later,
}

/// A unit's name at the service: insured person, and Bundle.identifier.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Triple {
    #[serde(rename = "InsuredIdentifier")]
    pub insured: String,
    #[serde(rename = "BundleIdentifierSystem")]
    pub system: String,
    #[serde(rename = "BundleIdentifierValue")]
    pub value: String,
}

/// A request, read.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    pub op: Op,
    /// MessageHeader.MedicalInstitutionCode.
    pub institution: String,
    /// MessageHeader.ArbitraryFileIdentifier.
    pub key: String,
    pub triple: Option<Triple>,
    /// InsuredIdentifier alone narrows a list.
    pub insured: Option<String>,
    pub destination: Option<String>,
    pub consent: Option<ConsentStatus>,
    /// Of `attach-later`: Bundle.identifier.value of the letter.
    pub letter: Option<String>,
    /// The Bundle, byte for byte as it was sent.
    pub bundle: Option<String>,
}

/// Why a request cannot be read: the element, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable(pub String);

impl Request {
    /// Reads the envelope.
    pub fn read(op: Op, body: &[u8]) -> Result<Request, Unreadable> {
        let text =
            std::str::from_utf8(body).map_err(|e| bad(&format!("no UTF-8 at byte {}", e.valid_up_to())))?;
        let whole: Value = serde_json::from_str(text)
            .map_err(|e| bad(&format!("no JSON: line {}, column {}", e.line(), e.column())))?;
        let text_at = |path: &str| match whole.pointer(path) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(s)) if s.is_empty() => Ok(None),
            Some(Value::String(s)) => Ok(Some(s.clone())),
            Some(_) => Err(bad(&format!("{path} is no string"))),
        };
        let needed = |path: &str| text_at(path)?.ok_or_else(|| bad(&format!("{path} is missing")));
        let institution = needed("/MessageHeader/MedicalInstitutionCode")?;
        let key = needed("/MessageHeader/ArbitraryFileIdentifier")?;
        if key.chars().count() > 128 {
            return Err(bad("/MessageHeader/ArbitraryFileIdentifier is longer than 128 characters"));
        }
        let insured = text_at("/MessageBody/InsuredIdentifier")?;
        let names = op.changes() || matches!(op.verb, Verb::Status | Verb::Fetch);
        let triple = match names {
            false => None,
            true => Some(Triple {
                insured: needed("/MessageBody/InsuredIdentifier")?,
                system: needed("/MessageBody/BundleIdentifierSystem")?,
                value: needed("/MessageBody/BundleIdentifierValue")?,
            }),
        };
        let consent = match text_at("/MessageBody/ConsentStatus")?.as_deref() {
            None => None,
            Some("1") => Some(ConsentStatus::Now),
            Some("2") => Some(ConsentStatus::Later),
            Some(_) => return Err(bad("/MessageBody/ConsentStatus is neither \"1\" nor \"2\"")),
        };
        let destination = text_at("/MessageBody/DestinationInstitutionCode")?;
        if op.service == Service::Availability && destination.is_none() {
            return Err(bad("/MessageBody/DestinationInstitutionCode is missing"));
        }
        let bundle = match whole.pointer("/MessageBody/Bundle") {
            Some(Value::Object(_)) if op.brings() => {
                super::json::raw(text, &["MessageBody", "Bundle"]).map(str::to_owned)
            }
            None | Some(Value::Null) if op.brings() => return Err(bad("/MessageBody/Bundle is missing")),
            Some(_) if op.brings() => return Err(bad("/MessageBody/Bundle is no object")),
            _ => None,
        };
        let letter = text_at("/MessageBody/AttachToBundleIdentifierValue")?;
        Ok(Request { op, institution, key, triple, insured, destination, consent, letter, bundle })
    }

    /// What must be the same where a key is used again.
    pub fn digest(&self) -> String {
        let parts = [
            Some(self.op.name),
            self.triple.as_ref().map(|t| t.insured.as_str()),
            self.triple.as_ref().map(|t| t.system.as_str()),
            self.triple.as_ref().map(|t| t.value.as_str()),
            self.destination.as_deref(),
            self.consent.map(|c| if c == ConsentStatus::Now { "1" } else { "2" }),
            self.letter.as_deref(),
            self.bundle.as_deref(),
        ];
        super::json::sha256(parts.map(|p| p.unwrap_or_default()).join("\u{1f}").as_bytes())
    }
}

fn bad(what: &str) -> Unreadable {
    Unreadable(what.to_owned())
}

/// An answer before it is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    pub code: Code,
    /// More than the code says: which element, which value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Problem>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<u64>,
    #[serde(default)]
    pub replayed: bool,
    /// Seconds after which to come again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<u64>,
    /// Further members of MessageBody.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub more: Map<String, Value>,
    /// The Bundle handed out, as it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<String>,
}

impl Answer {
    pub fn of(code: Code) -> Answer {
        Answer {
            code,
            detail: None,
            problems: vec![],
            warnings: vec![],
            receipt: None,
            replayed: false,
            again: None,
            more: Map::new(),
            bundle: None,
        }
    }

    pub fn saying(code: Code, detail: impl Into<String>) -> Answer {
        Answer { detail: Some(detail.into()), ..Answer::of(code) }
    }

    pub fn status(&self) -> u16 {
        self.code.row().2
    }

    /// The envelope. SegmentOfResult: 1 done, 2 processing, 9 failed; ProcessingResultStatus: 1 normal, 2 error.
    pub fn write(&self, institution: &str, key: &str, at: Timestamp) -> String {
        let Row(code, name, _, english, japanese) = self.code.row();
        let segment = match code {
            Code::Processing => "2",
            Code::Busy
            | Code::Internal
            | Code::Unreadable
            | Code::NoCertificate
            | Code::CertificateRefused
            | Code::NoOperation => "9",
            _ => "1",
        };
        let message = match &self.detail {
            Some(detail) => format!("{japanese} ({english}: {detail})"),
            None => format!("{japanese} ({english})"),
        };
        let mut header = json!({
            "MedicalInstitutionCode": institution,
            "ArbitraryFileIdentifier": key,
            "CharacterCodeIdentifier": "UTF-8",
            "SegmentOfResult": segment,
            "ProcessedAt": at.to_string(),
        });
        if segment == "9" {
            header["ErrorCode"] = json!(name);
            header["ErrorMessage"] = json!(message);
        }
        let mut body = self.more.clone();
        body.insert("ProcessingResultCode".into(), json!(name));
        body.insert("ProcessingResultMessage".into(), json!(message));
        if segment == "1" {
            let good = *code == Code::Ok;
            body.insert("ProcessingResultStatus".into(), json!(if good { "1" } else { "2" }));
        }
        if let Some(receipt) = self.receipt {
            body.insert("ReceiptNumber".into(), json!(receipt_number(receipt)));
        }
        if self.replayed {
            body.insert("Replayed".into(), json!(true));
        }
        if let Some(again) = self.again {
            body.insert("AgainAfterSeconds".into(), json!(again));
        }
        for (name, list) in [("CheckResultList", &self.problems), ("WarningList", &self.warnings)] {
            if !list.is_empty() {
                body.insert(name.into(), Value::Array(list.iter().map(Problem::written).collect()));
            }
        }
        let mut body = Value::Object(body).to_string();
        // Byte for byte, so that a hash over it holds.
        if let Some(bundle) = &self.bundle {
            body.truncate(body.len().saturating_sub(1));
            body.push_str(&format!(",\"Bundle\":{bundle}}}"));
        }
        format!("{{\"MessageHeader\":{header},\"MessageBody\":{body}}}")
    }
}

/// A receipt as it is shown: `N0000000001`.
pub fn receipt_number(receipt: u64) -> String {
    format!("N{receipt:010}")
}

#[cfg(test)]
mod tests {
    use super::super::contract::OPERATIONS;
    use super::*;

    fn register(body: Value) -> Result<Request, Unreadable> {
        Request::read(Op::named("info.register").unwrap(), body.to_string().as_bytes())
    }

    fn good() -> Value {
        json!({
            "MessageHeader": { "MedicalInstitutionCode": "1319900018", "ArbitraryFileIdentifier": "k1" },
            "MessageBody": {
                "InsuredIdentifier": "06990011:１:２:01", "BundleIdentifierSystem": "s", "BundleIdentifierValue": "v",
                "Bundle": { "resourceType": "Bundle" },
            }
        })
    }

    #[test]
    fn an_envelope_is_read_and_what_it_lacks_is_named() {
        let read = register(good()).unwrap();
        assert_eq!(
            (read.key.as_str(), read.bundle.as_deref()),
            ("k1", Some("{\"resourceType\":\"Bundle\"}"))
        );
        for path in [
            "/MessageHeader/MedicalInstitutionCode",
            "/MessageHeader/ArbitraryFileIdentifier",
            "/MessageBody/InsuredIdentifier",
            "/MessageBody/BundleIdentifierSystem",
            "/MessageBody/BundleIdentifierValue",
            "/MessageBody/Bundle",
        ] {
            let mut spoiled = good();
            *spoiled.pointer_mut(path).unwrap() = Value::Null;
            assert_eq!(register(spoiled), Err(Unreadable(format!("{path} is missing"))));
        }
        let mut spoiled = good();
        spoiled["MessageBody"]["ConsentStatus"] = json!("3");
        assert!(register(spoiled).is_err());
        assert!(Request::read(OPERATIONS[0], b"{").is_err());
        assert!(Request::read(OPERATIONS[0], b"\xff").is_err());
    }

    #[test]
    fn a_bundle_handed_out_keeps_its_bytes() {
        let mut answer = Answer::of(Code::Ok);
        answer.bundle = Some("{ \"a\" : 1.50 }".into());
        let written = answer.write("1319900018", "k", Timestamp::UNIX_EPOCH);
        assert!(written.contains("\"Bundle\":{ \"a\" : 1.50 }"));
        assert_eq!(
            serde_json::from_str::<Value>(&written).unwrap()["MessageBody"]["Bundle"]["a"],
            json!(1.5)
        );
    }
}
