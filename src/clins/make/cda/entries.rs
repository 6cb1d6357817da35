//! Coded entries of sections: diagnoses, medicines and laboratory results in national codes become resources; the
//! rest keeps its text, and is said.

use roxmltree::Node;

use super::header::period;
use super::{HL7, attr, decoded, encoded, find, flat};
use crate::clins::make::Context;
use crate::clins::make::frame::{Entry, Frame};
use crate::clins::make::ids::derived;
use crate::clins::make::json::{Decimal, Object};
use crate::clins::make::masters::{LabKind, Masters};
use crate::clins::make::parts::{self, Doctor, Encounter, coding, concept, identifier, meta};
use crate::clins::make::said::{LeftOutReason, Notes, UnmappedKey};
use crate::clins::make::systems::{code, extension, id, profile};
use crate::clins::make::text::{line, narrow_number};
use crate::clins::make::time::Stamp;
use crate::clins::make::v2::{is_number, is_yj, jlac10};
use crate::wire::xml::tree;

const DISEASE_KEY: &str = "1.2.392.200119.4.101.2";
const DISEASE_EXCHANGE: &str = "1.2.392.200119.4.101.6";
const YJ: &str = "1.2.392.100495.20.2.73";
const HOT9: &[&str] = &["1.2.392.100495.20.2.74", "1.2.392.200119.4.403.1"];
const JLAC10: &str = "1.2.392.200119.4.504";

/// What the entries of a document are made with.
pub struct Making<'a> {
    pub context: &'a Context<'a>,
    pub frame: &'a Frame,
    pub patient_id: &'a str,
    pub patient: &'a str,
    pub updated: &'a str,
    pub written: &'a Stamp,
    pub author: &'a Doctor,
    pub department: Option<&'a parts::Department>,
    pub encounter: Option<&'a Encounter>,
}

/// A code and where it is from: `code` or one of its `translation`s.
struct Coded {
    code: String,
    system: String,
    name: Option<String>,
}

fn codes(node: Node<'_, '_>) -> Vec<Coded> {
    let own = std::iter::once(node).chain(tree::children(node, HL7, "translation"));
    own.filter_map(|n| {
        let part =
            |name: &str| tree::attr(n, name).map(str::trim).filter(|v| !v.is_empty()).map(str::to_owned);
        let text = tree::child(n, HL7, "originalText").map(flat).filter(|t| !t.is_empty());
        Some(Coded { code: part("code")?, system: part("codeSystem")?, name: part("displayName").or(text) })
    })
    .collect()
}

/// The statements below a section that stand for themselves: not in a section below it.
fn statements<'a, 'i>(section: Node<'a, 'i>, name: &'static str) -> Vec<Node<'a, 'i>> {
    tree::children(section, HL7, "entry")
        .flat_map(|entry| entry.descendants())
        .filter(|n| tree::is(*n, HL7, name))
        .collect()
}

impl Making<'_> {
    fn institution(&self) -> &str {
        &self.context.institution.number
    }

    fn extensions(&self) -> Vec<Object> {
        [Some(parts::institution(self.institution())), self.department.map(|d| d.extension())]
            .into_iter()
            .flatten()
            .collect()
    }

    fn entry(&self, kind: &'static str, name: &str, resource: Object) -> Entry {
        let head = Object::resource(kind).set("id", self.frame.uuid(kind, name));
        Entry { full_url: self.frame.full_url(kind, name), resource: resource.before(head) }
    }

    fn name(&self, kind: &str, node: Node<'_, '_>, content: &[&str]) -> String {
        let key = attr(node, &["id"], "extension").unwrap_or_else(|| derived(content));
        format!("{}-{kind}-{}-{key}", self.institution(), self.patient_id)
    }

    /// Diagnoses of a section, those with a 病名管理番号 or an exchange code that is one row of the master.
    pub fn conditions(&self, section: Node<'_, '_>, at: &str, notes: &mut Notes) -> Vec<Entry> {
        let mut entries: Vec<Entry> = vec![];
        for observation in statements(section, "observation") {
            if tree::attr(observation, "negationInd") == Some("true") {
                continue;
            }
            let value =
                tree::child(observation, HL7, "value").or_else(|| tree::child(observation, HL7, "code"));
            let found = value.map(codes).unwrap_or_default();
            let masters = self.context.masters;
            let number =
                found.iter().find(|c| c.system == DISEASE_KEY && is_number(&c.code)).map(|c| c.code.clone());
            let exchange = found.iter().find(|c| c.system == DISEASE_EXCHANGE);
            let number =
                number.or_else(|| exchange.and_then(|c| masters.disease_of(&c.code)).map(|d| d.key.clone()));
            let said = found.iter().find_map(|c| c.name.clone());
            let Some(number) = number else {
                if let Some(first) = found.first() {
                    notes.unmapped(
                        UnmappedKey::NotNational,
                        format!("{at}/observation/value"),
                        first.code.as_str(),
                    );
                }
                continue;
            };
            let display = masters.disease(&number).map(|d| d.name.clone()).or_else(|| said.clone());
            let Some(display) = display else {
                notes.unmapped(UnmappedKey::NoDisplay, format!("{at}/observation/value"), number);
                continue;
            };
            let text = said.unwrap_or_else(|| display.clone());
            if text.ends_with("疑い") && !self.context.options.keep_unconfirmed {
                // The letter's own words still say it.
                notes.left_out(LeftOutReason::Unconfirmed, format!("{at}/observation"), text);
                continue;
            }
            let (onset, end) = period(observation, notes);
            let clinical = if end.is_some() { ("inactive", "Inactive") } else { ("active", "Active") };
            let exchange = exchange.map(|c| coding(code::DISEASE_EXCHANGE, &c.code, Some(&display)));
            let codings = [Some(coding(code::DISEASE_KEY, &number, Some(&display))), exchange];
            let onset_text = onset.as_ref().map(Stamp::date_time).unwrap_or_default();
            let name = self.name("COND", observation, &[at, &number, &onset_text]);
            let verification = if text.ends_with("疑い") {
                ("unconfirmed", "Unconfirmed")
            } else {
                ("confirmed", "Confirmed")
            };
            let resource = Object::new()
                .set("meta", meta(profile::CONDITION, self.updated, &[]))
                .list("contained", self.encounter.map(|e| e.contained()))
                .list("extension", self.extensions())
                .one("identifier", identifier(id::RESOURCE, &name))
                .set("clinicalStatus", parts::coded(code::CONDITION_CLINICAL, clinical.0, Some(clinical.1)))
                .set(
                    "verificationStatus",
                    parts::coded(code::CONDITION_VERIFICATION, verification.0, Some(verification.1)),
                )
                .one(
                    "category",
                    parts::coded(
                        code::CONDITION_CATEGORY,
                        "encounter-diagnosis",
                        Some("Encounter Diagnosis"),
                    ),
                )
                .set("code", concept(codings.into_iter().flatten().collect(), Some(&text)))
                .set("subject", parts::reference(self.patient))
                .opt("encounter", self.encounter.map(|_| parts::reference("#enc1")))
                .opt("onsetDateTime", onset.as_ref().map(Stamp::date_time))
                .opt("abatementDateTime", end.as_ref().map(Stamp::date_time));
            push(&mut entries, self.entry("Condition", &name, resource));
        }
        entries
    }

    /// Medicines of a section in YJ or HOT9 codes whose usage stands in words.
    pub fn medications(&self, section: Node<'_, '_>, at: &str, notes: &mut Notes) -> Vec<Entry> {
        let mut entries: Vec<Entry> = vec![];
        for (i, given) in statements(section, "substanceAdministration").into_iter().enumerate() {
            let product = find(given, &["consumable", "manufacturedProduct"]);
            let code_of = product.and_then(|p| {
                ["manufacturedLabeledDrug", "manufacturedMaterial"].iter().find_map(|n| find(p, &[n, "code"]))
            });
            let found = code_of.map(codes).unwrap_or_default();
            let yj = found.iter().find(|c| c.system == YJ && is_yj(&c.code)).map(|c| c.code.clone());
            let hot9 = found.iter().find(|c| HOT9.contains(&c.system.as_str()));
            let masters = self.context.masters;
            let yj = yj.or_else(|| hot9.and_then(|c| masters.yj_of(&c.code)).map(str::to_owned));
            let said = found.iter().find_map(|c| c.name.clone());
            let name = said.or_else(|| product.map(flat).filter(|t| !t.is_empty()));
            let usage = tree::child(given, HL7, "text").map(flat).filter(|t| !t.is_empty());
            let (Some(yj), Some(name), Some(usage)) = (yj, name, usage) else {
                if let Some(first) = found.first() {
                    let at = format!("{at}/substanceAdministration[{}]", i + 1);
                    notes.unmapped(UnmappedKey::NotNational, at, first.code.as_str());
                }
                continue;
            };
            let (start, end) = period(given, notes);
            let start = start.unwrap_or_else(|| self.written.clone());
            let rp = (entries.len() + 1).to_string();
            let key = self.name("RX", given, &[at, &yj, &rp]);
            let display = masters.medicine(&yj).unwrap_or(&name);
            let used = Object::new().set("start", start.date()).opt("end", end.as_ref().map(Stamp::date));
            let uncoded = coding(code::USAGE_UNCODED, code::USAGE_DUMMY, Some("ダミー用法コード"));
            let dosage = Object::new()
                .one("extension", Object::new().set("url", extension::PERIOD_OF_USE).set("valuePeriod", used))
                .set("text", usage.as_str())
                .set("timing", Object::new().set("code", concept(vec![uncoded], Some(&usage))));
            let resource = Object::new()
                .set("meta", meta(profile::MEDICATION, self.updated, &[]))
                .list("contained", self.encounter.map(|e| e.contained()))
                .list("extension", self.extensions())
                .list(
                    "identifier",
                    [
                        identifier(id::RP_NUMBER, &rp),
                        identifier(id::RP_INDEX, "1"),
                        identifier(id::RESOURCE, &key),
                    ],
                )
                .set("status", "completed")
                .set("intent", "order")
                .set(
                    "medicationCodeableConcept",
                    concept(vec![coding(code::YJ, &yj, Some(display))], Some(&name)),
                )
                .set("subject", parts::reference(self.patient))
                .opt("encounter", self.encounter.map(|_| parts::reference("#enc1")))
                .set("authoredOn", self.written.date_time())
                .one("dosageInstruction", dosage);
            push(&mut entries, self.entry("MedicationRequest", &key, resource));
        }
        entries
    }

    /// Results of a section in JLAC10 codes.
    pub fn results(&self, section: Node<'_, '_>, at: &str, notes: &mut Notes) -> Vec<Entry> {
        let mut entries: Vec<Entry> = vec![];
        for observation in statements(section, "observation") {
            let code_of = tree::child(observation, HL7, "code");
            let found = code_of.map(codes).unwrap_or_default();
            let national = found.iter().find(|c| c.system == JLAC10);
            let jlac = national.and_then(|c| jlac10(&c.code));
            let own = found.iter().find(|c| c.system != JLAC10);
            let text = found.iter().find_map(|c| c.name.clone());
            let (time, _) = period(observation, notes);
            let (Some(jlac), Some(text), Some(time)) = (jlac, text, time) else {
                if let Some(first) = found.first() {
                    notes.unmapped(
                        UnmappedKey::NotNational,
                        format!("{at}/observation/code"),
                        first.code.as_str(),
                    );
                }
                continue;
            };
            let material = jlac.get(9..12).unwrap_or_default().to_owned();
            let local = own.map_or(jlac.clone(), |c| format!("{}_{material}", c.code));
            let name = self.name("LAB", observation, &[at, &local, &time.date_time()]);
            let (system, display) = match self.context.masters.lab_item(&jlac) {
                Some(item) if item.kind == LabKind::Core => (code::LAB_CORE, item.display.as_str()),
                Some(item) => (code::LAB_INFECTION, item.display.as_str()),
                None => (code::LAB_JLAC10, text.as_str()),
            };
            let codings =
                vec![coding(code::LAB_LOCAL, &local, Some(&text)), coding(system, &jlac, Some(display))];
            let material_name = Masters::material(&material);
            let specimen = Object::resource("Specimen")
                .set("id", "sp1")
                .set("meta", Object::new().one("profile", profile::CONTAINED_SPECIMEN))
                .set("type", concept(vec![coding(code::SPECIMEN, &material, material_name)], material_name));
            let contained = [
                self.encounter.map(|e| e.contained()),
                Some(self.author.contained(self.institution())),
                Some(specimen),
            ];
            let resource = Object::new()
                .set("meta", meta(profile::OBSERVATION, self.updated, &[]))
                .list("contained", contained.into_iter().flatten())
                .list("extension", self.extensions())
                .one("identifier", identifier(id::RESOURCE, &name))
                .set("status", "final")
                .one("category", parts::coded(code::OBSERVATION_CATEGORY, "laboratory", None))
                .set("code", concept(codings, Some(&text)))
                .set("subject", parts::reference(self.patient))
                .opt("encounter", self.encounter.map(|_| parts::reference("#enc1")))
                .set("effectiveDateTime", time.date_time())
                .one("performer", parts::reference("#dr1").set("type", "Practitioner"));
            let resource = self.value(resource, observation, at, notes);
            let resource = resource.set(
                "specimen",
                parts::reference("#sp1").set("type", "Specimen").opt("display", material_name),
            );
            push(&mut entries, self.entry("Observation", &name, resource));
        }
        entries
    }

    fn value(&self, of: Object, observation: Node<'_, '_>, at: &str, notes: &mut Notes) -> Object {
        let absent = parts::coded(code::ABSENT, "unknown", Some("Unknown"));
        let Some(value) = tree::child(observation, HL7, "value") else {
            return of.set("dataAbsentReason", absent);
        };
        let kind = value.attributes().find(|a| a.name() == "type").map(|a| a.value()).unwrap_or_default();
        let number = tree::attr(value, "value").and_then(|v| Decimal::parse(&narrow_number(v)));
        let shown = tree::attr(value, "displayName").or_else(|| tree::attr(value, "code")).map(line);
        match (kind, number, shown) {
            ("PQ" | "INT" | "REAL", Some(number), _) => {
                let unit = tree::attr(value, "unit").unwrap_or_default();
                let ucum = self.context.masters.ucum(unit);
                let quantity = Object::new()
                    .set("value", number)
                    .set("unit", unit)
                    .opt("system", ucum.map(|_| code::UCUM))
                    .opt("code", ucum);
                of.set("valueQuantity", quantity)
            }
            ("CD" | "CE" | "CV" | "CO", _, Some(text)) => {
                of.set("valueCodeableConcept", concept(vec![], Some(&text)))
            }
            _ => match flat(value) {
                text if !text.is_empty() => of.set("valueString", text),
                _ => {
                    notes.unmapped(UnmappedKey::BadForm, format!("{at}/observation/value"), kind);
                    of.set("dataAbsentReason", absent)
                }
            },
        }
    }

    /// Entries of a section that nothing is made of.
    pub fn said(&self, section: Node<'_, '_>, at: &str, notes: &mut Notes) {
        for name in ["observation", "act", "procedure", "substanceAdministration"] {
            for statement in statements(section, name) {
                if let Some(first) =
                    tree::child(statement, HL7, "code").map(codes).and_then(|c| c.into_iter().next())
                {
                    notes.unmapped(UnmappedKey::NotNational, format!("{at}/{name}/code"), first.code);
                }
            }
        }
    }

    /// Pictures and files of the whole document. `pdf`: for the section of PDFs, the rest are attachments.
    pub fn media(&self, root: Node<'_, '_>, notes: &mut Notes) -> (Vec<Entry>, Vec<Entry>) {
        let (mut pdfs, mut others) = (vec![], vec![]);
        for (i, media) in root.descendants().filter(|n| tree::is(*n, HL7, "observationMedia")).enumerate() {
            let at = format!("observationMedia[{}]", i + 1);
            let Some(value) = tree::child(media, HL7, "value") else { continue };
            let kind = tree::attr(value, "mediaType").unwrap_or_default();
            let bytes = match tree::attr(value, "representation") {
                Some("B64") => decoded(&tree::text_of(value)),
                _ => None,
            };
            match (kind, bytes) {
                ("application/pdf", Some(bytes)) => pdfs.push(self.document(&at, kind, "PDF", &bytes)),
                ("image/jpeg" | "image/png" | "image/gif" | "image/tiff", Some(bytes)) => {
                    others.push(self.document(&at, kind, "画像", &bytes));
                }
                (kind, _) => notes.unmapped(UnmappedKey::Medium, at, kind),
            }
        }
        (pdfs, others)
    }

    /// A DocumentReference of these bytes.
    pub fn document(&self, key: &str, content_type: &str, title: &str, bytes: &[u8]) -> Entry {
        self.document_as(profile::DOCUMENT, key, content_type, title, bytes)
    }

    pub fn document_as(
        &self,
        profile: &str,
        key: &str,
        content_type: &str,
        title: &str,
        bytes: &[u8],
    ) -> Entry {
        let attachment =
            Object::new().set("contentType", content_type).set("data", encoded(bytes)).set("title", title);
        let resource = Object::new()
            .set("meta", meta(profile, self.updated, &[]))
            .set("status", "current")
            .set("description", title)
            .one("content", Object::new().set("attachment", attachment));
        self.entry("DocumentReference", key, resource)
    }
}

/// Unless it is there already: two entries of one id are one.
fn push(entries: &mut Vec<Entry>, entry: Entry) {
    if !entries.iter().any(|e| e.full_url == entry.full_url) {
        entries.push(entry);
    }
}
