//! 文書一覧 as a FHIR R4 document: a Bundle that begins with its Composition, whose section holds the table
//! and refers to a DocumentReference for each document.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use super::{HEADS, NOTHING, Row, SOFTWARE, japan, language, organization, parts, rows, title};
use crate::content::{About, Format, Generator, local, uuid_of};
use crate::model::codes::{CONFIDENTIALITY, LOINC};
use crate::model::hl7types::dtm::Precision;
use crate::model::hl7types::{Cx, Dtm, Xon};
use crate::model::metadata::Code;
use crate::wire::xml::XmlWriter;

pub struct Fhir;

impl Generator for Fhir {
    fn format(&self) -> Format {
        local("jp:chiren:document-list:fhir", "文書一覧HL7 FHIR", "application/fhir+json")
    }

    fn write(&self, about: &About<'_>) -> Vec<u8> {
        let rows = rows(about);
        let mut resources = vec![
            ("composition", composition(about, &rows)),
            ("patient", patient(about)),
            (
                "device",
                json!({
                    "resourceType": "Device",
                    "deviceName": [{ "name": SOFTWARE, "type": "user-friendly-name" }]
                }),
            ),
            (
                "custodian",
                json!({
                    "resourceType": "Organization",
                    "identifier": [{ "system": "urn:ietf:rfc:3986", "value": format!("urn:oid:{}", about.custodian.oid) }],
                    "name": about.custodian.name
                }),
            ),
        ];
        if let Some(organization) = author(about) {
            resources.push(("author", organization));
        }
        let named = resources.into_iter().map(|(name, resource)| (url(about, name), resource));
        let listed = rows.iter().map(|row| (row.entry.entry_uuid.clone(), document(about, row)));
        let entries: Vec<Value> = named
            .chain(listed)
            .map(|(url, resource)| json!({ "fullUrl": url, "resource": resource }))
            .collect();
        let bundle = json!({
            "resourceType": "Bundle",
            "identifier": { "system": "urn:ietf:rfc:3986", "value": format!("urn:oid:{}", about.id) },
            "type": "document",
            "timestamp": instant(about),
            "entry": entries
        });
        format!("{bundle:#}\n").into_bytes()
    }
}

/// A name of this document's own for one of its resources.
fn url(about: &About<'_>, name: &str) -> String {
    uuid_of(&[about.id.as_bytes(), name.as_bytes()]).urn().to_string()
}

fn reference(url: &str) -> Value {
    json!({ "reference": url })
}

fn instant(about: &About<'_>) -> String {
    about.at.to_zoned(japan()).strftime("%Y-%m-%dT%H:%M:%S+09:00").to_string()
}

fn composition(about: &About<'_>, rows: &[Row<'_>]) -> Value {
    let mut authors = vec![reference(&url(about, "device"))];
    if author(about).is_some() {
        authors.push(reference(&url(about, "author")));
    }
    let mut section = json!({
        "title": title(about),
        "text": { "status": "generated", "div": narrative(rows) }
    });
    if rows.is_empty() {
        section["emptyReason"] = json!({
            "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/list-empty-reason", "code": "nilknown" }]
        });
    } else {
        section["entry"] = rows.iter().map(|row| reference(&row.entry.entry_uuid)).collect();
    }
    let mut composition = json!({
        "resourceType": "Composition",
        "language": language(about),
        "status": "final",
        "type": concept(about.entry.type_code.as_ref()),
        "subject": reference(&url(about, "patient")),
        "date": instant(about),
        "author": authors,
        "title": title(about),
        "custodian": reference(&url(about, "custodian")),
        "section": [section]
    });
    if let Some(code) = about.entry.confidentiality_code.iter().find(|c| c.scheme == CONFIDENTIALITY) {
        composition["confidentiality"] = code.code.as_str().into();
    }
    composition
}

/// The table as XHTML.
fn narrative(rows: &[Row<'_>]) -> String {
    let mut w = XmlWriter::with_capacity(256 + 256 * rows.len());
    w.open("div").attr("xmlns", "http://www.w3.org/1999/xhtml");
    if rows.is_empty() {
        w.leaf("p", NOTHING);
        return w.finish();
    }
    w.open("table").open("thead").open("tr");
    for head in HEADS {
        w.leaf("th", head);
    }
    w.close().close().open("tbody");
    for row in rows {
        w.open("tr");
        for cell in row.cells() {
            w.leaf("td", cell);
        }
        w.close();
    }
    w.finish()
}

fn patient(about: &About<'_>) -> Value {
    let p = about.patient;
    let mut resource = Map::new();
    resource.insert("resourceType".into(), "Patient".into());
    if let Ok(cx) = Cx::parse(&p.patient_id) {
        resource.insert(
            "identifier".into(),
            json!([{ "system": format!("urn:oid:{}", cx.authority), "value": cx.id }]),
        );
    }
    let names = [("IDE", &p.name_kanji), ("SYL", &p.name_kana), ("ABC", &p.name_romaji)];
    let names: Vec<Value> = names
        .into_iter()
        .filter_map(|(representation, name)| name.as_deref().map(|name| (representation, name)))
        .map(|(representation, name)| {
            let mut human = json!({
                "extension": [{
                    "url": "http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation",
                    "valueCode": representation
                }],
                "use": "official",
                "text": name
            });
            if let Some((family, given)) = parts(name) {
                human["family"] = family.into();
                human["given"] = json!([given]);
            }
            human
        })
        .collect();
    if !names.is_empty() {
        resource.insert("name".into(), names.into());
    }
    let gender = match p.sex.as_deref() {
        Some("M") => "male",
        Some("F") => "female",
        Some("O") => "other",
        _ => "unknown",
    };
    resource.insert("gender".into(), gender.into());
    if let Some(birth) = p.birth_date.as_deref().and_then(date_time) {
        resource.insert("birthDate".into(), birth.into());
    }
    resource.into()
}

/// The institution that the on-demand entry names as its author.
fn author(about: &About<'_>) -> Option<Value> {
    let institution = about.entry.author.iter().flat_map(|a| &a.author_institution).next()?;
    let mut resource = json!({ "resourceType": "Organization", "name": organization(institution) });
    if let Ok(Xon { authority: Some(authority), id: Some(id), .. }) = Xon::parse(institution) {
        resource["identifier"] = json!([{ "system": format!("urn:oid:{authority}"), "value": id }]);
    }
    Some(resource)
}

fn document(about: &About<'_>, row: &Row<'_>) -> Value {
    let e = row.entry;
    let (system, value) = match e.unique_id.split_once('^') {
        Some((root, extension)) => (format!("urn:oid:{root}"), extension.to_owned()),
        None if e.unique_id.contains(':') => ("urn:ietf:rfc:3986".to_owned(), e.unique_id.clone()),
        None => ("urn:ietf:rfc:3986".to_owned(), format!("urn:oid:{}", e.unique_id)),
    };
    let mut attachment = Map::new();
    attachment.insert("contentType".into(), e.mime_type.as_str().into());
    if let Some(language) = &e.language_code {
        attachment.insert("language".into(), language.as_str().into());
    }
    if let Some(size) = e.size.as_deref().and_then(|s| s.trim().parse::<u32>().ok()) {
        attachment.insert("size".into(), size.into());
    }
    if let Some(hash) = e.hash.as_deref().and_then(octets) {
        attachment.insert("hash".into(), STANDARD.encode(hash).into());
    }
    if !row.title.is_empty() {
        attachment.insert("title".into(), row.title.into());
    }
    if let Some(creation) = e.creation_time.as_deref().and_then(date_time) {
        attachment.insert("creation".into(), creation.into());
    }
    let mut content = json!({ "attachment": attachment });
    if let Some(code) = &e.format_code {
        content["format"] = coding(code);
    }
    let mut resource = json!({
        "resourceType": "DocumentReference",
        "masterIdentifier": { "system": system, "value": value },
        "status": "current",
        "type": concept(e.type_code.as_ref()),
        "subject": reference(&url(about, "patient")),
        "content": [content]
    });
    if let Some(class) = &e.class_code {
        resource["category"] = json!([concept(Some(class))]);
    }
    if !row.institution.is_empty() {
        resource["author"] = json!([{ "display": row.institution }]);
    }
    if let Some(repository) = &e.repository_unique_id {
        // Where ITI-43 finds it.
        resource["identifier"] = json!([{ "system": format!("urn:oid:{repository}"), "value": e.unique_id }]);
    }
    resource
}

fn concept(code: Option<&Code>) -> Value {
    match code {
        Some(code) => json!({ "coding": [coding(code)] }),
        // An entry of limited metadata may have none.
        None => json!({ "text": "種別なし" }),
    }
}

fn coding(code: &Code) -> Value {
    let system = match code.scheme.as_str() {
        LOINC => "http://loinc.org".to_owned(),
        scheme if scheme.contains(':') => scheme.to_owned(),
        scheme => format!("urn:oid:{scheme}"),
    };
    let mut coding = json!({ "system": system, "code": code.code });
    if let Some(display) = code.display.first() {
        coding["display"] = display.value.as_str().into();
    }
    coding
}

/// A DTM as FHIR's dateTime, which knows no hours without minutes and no minutes without seconds.
fn date_time(text: &str) -> Option<String> {
    let dtm = Dtm::parse(text).ok()?;
    let at = Timestamp::from_microsecond(dtm.to_micros_floor()).ok()?;
    let utc = |format: &str| at.to_zoned(TimeZone::UTC).strftime(format).to_string();
    Some(match dtm.precision() {
        Precision::Year => utc("%Y"),
        Precision::Month => utc("%Y-%m"),
        Precision::Day => utc("%Y-%m-%d"),
        _ => at.to_zoned(japan()).strftime("%Y-%m-%dT%H:%M:%S+09:00").to_string(),
    })
}

/// Octets written in hexadecimal digits.
fn octets(hex: &str) -> Option<Vec<u8>> {
    let hex = hex.trim();
    if !hex.len().is_multiple_of(2) || !hex.is_ascii() {
        return None;
    }
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).ok()).collect()
}
