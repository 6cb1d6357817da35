//! FHIR R4 document bundles: 健康診断結果報告書 (HS037) and 診療情報提供書 (HS038), in their outline: identifier,
//! Composition, Patient, Organization, Practitioner and what the composition tells.

use jiff::civil::DateTime;
use serde_json::{Value, json};

use super::codes::{Kind, KindRow};
use super::people::{Hospital, Patient, Physician};
use super::rng::SplitMix64;

pub(super) struct Report<'a> {
    pub row: &'a KindRow,
    pub unique_id: &'a str,
    pub title: &'a str,
    pub hospital: &'a Hospital,
    pub physician: &'a Physician,
    pub patient: &'a Patient,
    pub local_id: &'a str,
    /// Japanese Standard Time.
    pub at: DateTime,
    /// Addressee of a referral.
    pub recipient: Option<&'a Hospital>,
}

/// JLAC10 or local code, name, unit, range and decimals.
type Item = (&'static str, &'static str, &'static str, (f64, f64), i32);

/// The items of a check-up.
const ITEMS: &[Item] = &[
    ("9N001000000000001", "身長", "cm", (145.0, 185.0), 1),
    ("9N006000000000001", "体重", "kg", (42.0, 92.0), 1),
    ("9N011000000000001", "ＢＭＩ", "kg/m2", (17.0, 31.0), 1),
    ("9N016160100000001", "腹囲", "cm", (62.0, 104.0), 1),
    ("9A751000000000001", "収縮期血圧", "mmHg", (98.0, 158.0), 0),
    ("9A761000000000001", "拡張期血圧", "mmHg", (56.0, 98.0), 0),
    ("3F015000002327101", "中性脂肪", "mg/dL", (40.0, 240.0), 0),
    ("3F070000002327101", "ＨＤＬコレステロール", "mg/dL", (34.0, 92.0), 0),
    ("3F077000002327101", "ＬＤＬコレステロール", "mg/dL", (62.0, 178.0), 0),
    ("3B035000002327201", "ＡＳＴ", "U/L", (12.0, 48.0), 0),
    ("3B045000002327201", "ＡＬＴ", "U/L", (8.0, 56.0), 0),
    ("3D046000001906202", "ＨｂＡ１ｃ", "%", (4.8, 7.2), 1),
];

/// The bundle as JSON octets.
pub(super) fn bundle(report: &Report<'_>, rng: &mut SplitMix64) -> Vec<u8> {
    let at = report.at.strftime("%Y-%m-%dT%H:%M:%S+09:00").to_string();
    let reference = |id: &str| json!({ "reference": format!("urn:uuid:{id}") });
    let (composition, patient, author, organization) = (rng.uuid(), rng.uuid(), rng.uuid(), rng.uuid());
    let code = report.row.type_code;
    let document_code = json!({
        "coding": [{ "system": "http://jpfhir.jp/fhir/Common/CodeSystem/doc-typecodes", "code": code.code, "display": code.display }]
    });

    let mut contents: Vec<(String, Value)> = Vec::new();
    let section = if report.row.kind == Kind::HealthCheckup {
        for (item, name, unit, (low, high), decimals) in ITEMS {
            let value = low + (high - low) * (rng.range(0, 1000) as f64 / 1000.0);
            let scale = 10f64.powi(*decimals);
            contents.push((
                rng.uuid(),
                json!({
                    "resourceType": "Observation",
                    "status": "final",
                    "code": { "coding": [{ "system": "urn:oid:1.2.392.200119.4.504", "code": item, "display": name }] },
                    "subject": reference(&patient),
                    "effectiveDateTime": at,
                    "valueQuantity": { "value": (value * scale).round() / scale, "unit": unit }
                }),
            ));
        }
        json!({ "title": "検査・問診結果", "entry": references(&contents) })
    } else {
        for name in ["本態性高血圧症", "２型糖尿病", "脂質異常症"].iter().take(rng.range(1, 3) as usize)
        {
            contents.push((
                rng.uuid(),
                json!({
                    "resourceType": "Condition",
                    "code": { "text": name },
                    "subject": reference(&patient),
                    "recordedDate": at
                }),
            ));
        }
        json!({
            "title": "傷病名・主訴",
            "text": { "status": "additional", "div": "<div xmlns=\"http://www.w3.org/1999/xhtml\">御高診のほどよろしくお願い申し上げます。</div>" },
            "entry": references(&contents)
        })
    };

    let mut sections = vec![section];
    let mut entries = Vec::with_capacity(contents.len() + 5);
    let mut extra = Vec::new();
    if let Some(to) = report.recipient {
        let id = rng.uuid();
        sections.push(json!({ "title": "紹介先情報", "entry": [reference(&id)] }));
        extra.push((id, hospital(to)));
    }
    let head = [
        (
            composition,
            json!({
                "resourceType": "Composition",
                "status": "final",
                "type": document_code,
                "subject": reference(&patient),
                "date": at,
                "author": [reference(&author), reference(&organization)],
                "title": report.title,
                "custodian": reference(&organization),
                "section": sections
            }),
        ),
        (patient, person(report)),
        (
            author,
            json!({
                "resourceType": "Practitioner",
                "identifier": [{
                    "system": format!("urn:oid:{}", report.hospital.physician_authority()),
                    "value": report.physician.id
                }],
                "name": [{ "text": report.physician.name.kanji() }]
            }),
        ),
        (organization, hospital(report.hospital)),
    ];
    for (id, resource) in head.into_iter().chain(extra).chain(contents) {
        entries.push(json!({ "fullUrl": format!("urn:uuid:{id}"), "resource": resource }));
    }
    let bundle = json!({
        "resourceType": "Bundle",
        "identifier": { "system": "urn:ietf:rfc:3986", "value": format!("urn:oid:{}", report.unique_id) },
        "type": "document",
        "timestamp": at,
        "entry": entries
    });
    format!("{bundle:#}\n").into_bytes()
}

fn references(contents: &[(String, Value)]) -> Vec<Value> {
    contents.iter().map(|(id, _)| json!({ "reference": format!("urn:uuid:{id}") })).collect()
}

fn person(report: &Report<'_>) -> Value {
    let p = report.patient;
    let name = |representation: &str, family: &str, given: &str| {
        json!({
            "extension": [{ "url": "http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation", "valueCode": representation }],
            "use": "official",
            "text": format!("{family} {given}"),
            "family": family,
            "given": [given]
        })
    };
    json!({
        "resourceType": "Patient",
        "identifier": [{ "system": format!("urn:oid:{}", report.hospital.patient_authority()), "value": report.local_id }],
        "name": [
            name("IDE", p.name.family, p.name.given),
            name("SYL", p.name.family_kana, p.name.given_kana)
        ],
        "gender": p.sex.fhir(),
        "birthDate": p.birth_date.to_string(),
        "telecom": [{ "system": "phone", "value": p.phone }],
        "address": [{ "text": p.address, "postalCode": p.postcode, "country": "JP" }]
    })
}

fn hospital(hospital: &Hospital) -> Value {
    json!({
        "resourceType": "Organization",
        "identifier": [{
            "system": "http://jpfhir.jp/fhir/core/IdSystem/insurance-medical-institution-no",
            "value": hospital.facility_code
        }],
        "name": hospital.name,
        "telecom": [{ "system": "phone", "value": hospital.phone }],
        "address": [{ "text": hospital.address, "country": "JP" }]
    })
}
