//! 文書一覧 as a CDA R2 document: a table for people, and under it a reference to each document for
//! programs. Valid by CDA.xsd whatever the metadata holds, which is why codes and identifiers are written
//! only in the form the schema has for them.

use super::{
    HEADS, NOTHING, Row, SOFTWARE, instance_identifier, is_root, japan, language, organization, parts, rows,
    title,
};
use crate::content::{About, Format, Generator, local};
use crate::model::codes::{CONFIDENTIALITY, LOINC};
use crate::model::hl7types::{Cx, Xon};
use crate::model::metadata::Code;
use crate::wire::xml::XmlWriter;

pub struct Cda;

type Writer = XmlWriter<'static>;

impl Generator for Cda {
    fn format(&self) -> Format {
        local("jp:chiren:document-list:cda", "文書一覧CDA", "text/xml")
    }

    fn write(&self, about: &About<'_>) -> Vec<u8> {
        let rows = rows(about);
        let mut w = Writer::with_capacity(4096 + 1024 * rows.len());
        w.raw("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        w.open("ClinicalDocument").attr("xmlns", "urn:hl7-org:v3");
        header(&mut w, about);
        w.open("component").open("structuredBody").open("component").open("section");
        w.leaf("title", title(about));
        w.open("text");
        if rows.is_empty() {
            w.leaf("paragraph", NOTHING);
        } else {
            table(&mut w, &rows);
        }
        w.close();
        for row in &rows {
            reference(&mut w, row);
        }
        let mut text = w.finish();
        text.push('\n');
        text.into_bytes()
    }
}

fn header(w: &mut Writer, about: &About<'_>) {
    let entry = about.entry;
    let time = about.at.to_zoned(japan()).strftime("%Y%m%d%H%M%S+0900").to_string();
    w.empty("typeId", &[("root", "2.16.840.1.113883.1.3"), ("extension", "POCD_HD000040")]);
    id(w, instance_identifier(about.id));
    code(w, "code", entry.type_code.as_ref());
    w.leaf("title", title(about));
    w.empty("effectiveTime", &[("value", &time)]);
    let confidentiality = entry.confidentiality_code.iter().find(|c| c.scheme == CONFIDENTIALITY);
    let confidentiality = confidentiality.map_or("N", |c| c.code.as_str());
    w.empty("confidentialityCode", &[("code", confidentiality), ("codeSystem", CONFIDENTIALITY)]);
    w.empty("languageCode", &[("code", language(about))]);
    patient(w, about);
    w.open("author");
    w.empty("time", &[("value", &time)]);
    w.open("assignedAuthor");
    w.empty("id", &[("root", about.custodian.oid)]);
    w.open("assignedAuthoringDevice").leaf("softwareName", SOFTWARE).close();
    if let Some(institution) = entry.author.iter().flat_map(|a| &a.author_institution).next() {
        w.open("representedOrganization");
        if let Ok(xon) = Xon::parse(institution) {
            match (&xon.authority, &xon.id) {
                (Some(root), Some(extension)) if is_root(root) => id(w, Some((root, Some(extension)))),
                (None, Some(root)) if is_root(root) => id(w, Some((root, None))),
                _ => {}
            }
        }
        w.leaf("name", &organization(institution)).close();
    }
    w.close().close();
    w.open("custodian").open("assignedCustodian").open("representedCustodianOrganization");
    w.empty("id", &[("root", about.custodian.oid)]);
    w.leaf("name", about.custodian.name);
    w.close().close().close();
}

fn patient(w: &mut Writer, about: &About<'_>) {
    let patient = about.patient;
    w.open("recordTarget").open("patientRole");
    let cx = Cx::parse(&patient.patient_id).ok();
    id(w, cx.as_ref().filter(|cx| is_root(&cx.authority)).map(|cx| (&*cx.authority, Some(&*cx.id))));
    w.open("patient");
    let names = [("IDE", &patient.name_kanji), ("SYL", &patient.name_kana), ("ABC", &patient.name_romaji)];
    for (representation, name) in names {
        let Some(name) = name else { continue };
        w.open("name").attr("use", representation);
        match parts(name) {
            Some((family, given)) => w.leaf("family", family).leaf("given", given),
            None => w.text(name),
        };
        w.close();
    }
    match patient.sex.as_deref() {
        Some(sex @ ("M" | "F")) => {
            w.empty("administrativeGenderCode", &[("code", sex), ("codeSystem", "2.16.840.1.113883.5.1")]);
        }
        Some("O") => {
            w.empty("administrativeGenderCode", &[("code", "UN"), ("codeSystem", "2.16.840.1.113883.5.1")]);
        }
        _ => {
            w.empty("administrativeGenderCode", &[("nullFlavor", "UNK")]);
        }
    }
    let birth = patient.birth_date.as_deref().filter(|d| d.len() <= 8 && digits(d));
    if let Some(birth) = birth {
        w.empty("birthTime", &[("value", birth)]);
    }
    w.close().close().close();
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn table(w: &mut Writer, rows: &[Row<'_>]) {
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
    w.close().close();
}

/// A document whose uniqueId is no instance identifier stands in the table alone.
fn reference(w: &mut Writer, row: &Row<'_>) {
    let Some(identifier) = instance_identifier(&row.entry.unique_id) else { return };
    w.open("entry").open("act").attr("classCode", "ACT").attr("moodCode", "EVN");
    code(w, "code", row.entry.type_code.as_ref());
    w.open("reference").attr("typeCode", "REFR");
    w.open("externalDocument").attr("classCode", "DOC").attr("moodCode", "EVN");
    id(w, Some(identifier));
    code(w, "code", row.entry.type_code.as_ref());
    w.close().close().close().close();
}

fn id(w: &mut Writer, identifier: Option<(&str, Option<&str>)>) {
    match identifier {
        Some((root, extension)) => {
            w.open("id").attr("root", root).attr_opt("extension", extension).close();
        }
        None => {
            w.empty("id", &[("nullFlavor", "NI")]);
        }
    }
}

/// A code; of a coding scheme that is no OID only its name can be said.
fn code(w: &mut Writer, element: &'static str, code: Option<&Code>) {
    w.open(element);
    match code.filter(|c| !c.code.is_empty() && !c.code.contains(char::is_whitespace)) {
        Some(code) => {
            w.attr("code", &code.code);
            match code.scheme.as_str() {
                LOINC => w.attr("codeSystem", LOINC).attr("codeSystemName", "LOINC"),
                scheme if is_root(scheme) => w.attr("codeSystem", scheme),
                scheme => w.attr("codeSystemName", scheme),
            };
            let display = code.display.first().map(|d| d.value.as_str());
            w.attr_opt("displayName", display.filter(|d| !d.is_empty()));
        }
        None => {
            w.attr("nullFlavor", "UNK");
        }
    }
    w.close();
}
