//! A consent as a BPPC document: CDA R2 whose service event is the policy acknowledged, for as long as it holds.
//! ITI TF-3 5.1.2. A withdrawal is told by replacing the document, so only consents in force are written.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::{Offset, TimeZone};

use crate::content::Custodian;
use crate::model::codes::{CONFIDENTIALITY, LOINC};
use crate::model::consent::record::{Consent, Effect, Relation};
use crate::model::hl7types::Cx;
use crate::model::ids::is_oid;
use crate::wire::xml::XmlWriter;

/// BPPC without a scanned part, and its service event (ITI TF-3 5.1.2, 5.1.2.1.1.1).
const TEMPLATE: &str = "1.3.6.1.4.1.19376.1.5.3.1.1.7";
const SERVICE_EVENT: &str = "1.3.6.1.4.1.19376.1.5.3.1.2.6";
/// 57016-8 of LOINC.
const PRIVACY_POLICY: &str = "57016-8";

type Writer = XmlWriter<'static>;

/// The document of a consent of `patient` (CX) under `id`, an OID.
pub fn bppc(consent: &Consent, patient: &str, id: &str, at: Timestamp, custodian: Custodian<'_>) -> String {
    let japan = TimeZone::fixed(Offset::constant(9));
    let time = at.to_zoned(japan).strftime("%Y%m%d%H%M%S+0900").to_string();
    let mut w = Writer::with_capacity(4096);
    w.raw("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    w.open("ClinicalDocument").attr("xmlns", "urn:hl7-org:v3");
    w.empty("typeId", &[("root", "2.16.840.1.113883.1.3"), ("extension", "POCD_HD000040")]);
    w.empty("templateId", &[("root", TEMPLATE)]);
    w.empty("id", &[("root", id)]);
    let code = [("code", PRIVACY_POLICY), ("codeSystem", LOINC), ("codeSystemName", "LOINC")];
    w.empty("code", &code);
    w.leaf("title", "診療情報の共有に関する同意");
    w.empty("effectiveTime", &[("value", &time)]);
    w.empty("confidentialityCode", &[("code", "N"), ("codeSystem", CONFIDENTIALITY)]);
    w.empty("languageCode", &[("code", "ja-JP")]);
    person(&mut w, patient);
    w.open("author");
    w.empty("time", &[("value", &time)]);
    w.open("assignedAuthor");
    w.empty("id", &[("root", custodian.oid)]);
    w.open("assignedAuthoringDevice").leaf("softwareName", "Chiren Gateway").close();
    if let Some(facility) = consent.obtained_at.as_deref() {
        w.open("representedOrganization");
        if is_oid(facility) {
            w.empty("id", &[("root", facility)]);
        }
        w.leaf("name", facility).close();
    }
    w.close().close();
    w.open("custodian").open("assignedCustodian").open("representedCustodianOrganization");
    w.empty("id", &[("root", custodian.oid)]);
    w.leaf("name", custodian.name);
    w.close().close().close();
    w.open("documentationOf").attr("typeCode", "DOC");
    w.open("serviceEvent").attr("classCode", "ACT").attr("moodCode", "EVN");
    w.empty("templateId", &[("root", SERVICE_EVENT)]);
    w.empty("id", &[("root", id), ("extension", &consent.id)]);
    match consent.policy.is_empty() {
        true => w.empty("code", &[("nullFlavor", "UNK")]),
        false => w.empty("code", &[("code", &consent.policy), ("codeSystemName", custodian.name)]),
    };
    w.open("effectiveTime");
    bound(&mut w, "low", consent.valid_from.or(consent.signed_on));
    bound(&mut w, "high", consent.valid_to);
    w.close().close().close();
    w.open("component").open("structuredBody").open("component").open("section");
    w.leaf("title", "同意の内容").open("text").open("list");
    for line in lines(consent) {
        w.leaf("item", &line);
    }
    let mut text = w.finish();
    text.push('\n');
    text
}

fn person(w: &mut Writer, patient: &str) {
    w.open("recordTarget").open("patientRole");
    match Cx::parse(patient) {
        Ok(cx) => w.empty("id", &[("root", &*cx.authority), ("extension", &*cx.id)]),
        Err(_) => w.empty("id", &[("nullFlavor", "NI")]),
    };
    w.close().close();
}

fn bound(w: &mut Writer, name: &'static str, day: Option<Date>) {
    match day {
        Some(day) => {
            let day = day.strftime("%Y%m%d").to_string();
            w.empty(name, &[("value", &day)]);
        }
        None => {
            w.empty(name, &[("nullFlavor", "NA")]);
        }
    }
}

/// What people read.
fn lines(consent: &Consent) -> Vec<String> {
    let mut lines =
        vec![format!("同意方針: {}", consent.policy), format!("状態: {}", consent.status.japanese())];
    if let Some(signer) = &consent.signer {
        let relation = match consent.relation {
            Relation::Oneself => "本人",
            Relation::Proxy => "代理",
        };
        lines.push(format!("署名: {signer}（{relation}）"));
    }
    if let Some(day) = consent.signed_on {
        lines.push(format!("署名日: {day}"));
    }
    for rule in &consent.rules {
        let effect = match rule.effect {
            Effect::Permit => "許可",
            Effect::Deny => "拒否",
        };
        lines.push(format!("{effect}: 提供元 {} / 閲覧者 {} / 情報 {}", rule.source, rule.viewer, rule.data));
    }
    lines
}
