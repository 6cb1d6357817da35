//! An invented regional network for the demonstration and the benches: three hospitals, patients, documents.
//!
//! Everything follows from a seed: [`Network::generate`] makes hospitals and patients, and [`Network::document`]
//! makes the document of any number without those before it, so that a million documents need no memory. The
//! same seed gives the same octets on every machine. Nothing here reads a clock, a file or a socket.
//!
//! Persons, places, telephone numbers, facility codes and drug codes are fictitious. What identifies the network
//! lies under 2.999, the arc of examples.

mod cda;
mod codes;
mod fhir;
mod hl7;
mod jis;
mod pdf;
mod people;
pub mod population;
mod rng;

use jiff::Span;
use jiff::civil::{Date, DateTime};

pub use codes::{Code, KINDS, Kind, KindRow};
pub use hl7::Charset;
pub use people::{Hospital, LocalId, Name, Patient, Physician, Sex, romaji};
pub use rng::SplitMix64;

/// The network's own OID; `urn:oid:` before it is its homeCommunityId.
pub const NETWORK_OID: &str = "2.999.392.1";
/// Assigning authority of the network's patient identifiers (the XDS affinity domain).
pub const PATIENT_AUTHORITY: &str = "2.999.392.1.1";
/// repositoryUniqueId of the network's document repository.
pub const REPOSITORY_OID: &str = "2.999.392.1.2.1";

/// Groups of [`SplitMix64::derived`].
const HOSPITALS: u64 = 1;
const PATIENTS: u64 = 2;
const DOCUMENTS: u64 = 3;

/// Hospitals and patients; documents on demand.
#[derive(Debug, Clone)]
pub struct Network {
    seed: u64,
    until: Date,
    oid: String,
    pub hospitals: Vec<Hospital>,
    pub patients: Vec<Patient>,
}

/// A document and everything its DocumentEntry and SubmissionSet say about it, in the forms of ITI TF-3 4.2.3.2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntheticDocument {
    pub kind: Kind,
    /// Index into [`Network::patients`].
    pub patient: usize,
    /// Index into [`Network::hospitals`] of the author.
    pub hospital: usize,
    pub bytes: Vec<u8>,
    pub mime_type: &'static str,
    /// Japanese, with the date of care.
    pub title: String,
    pub type_code: Code,
    pub class_code: Code,
    pub format_code: Code,
    pub confidentiality_code: Code,
    pub facility_type: Code,
    pub practice_setting: Code,
    /// eventCodeList.
    pub event_codes: Vec<Code>,
    pub language: &'static str,
    /// DTM in UTC, to the second.
    pub creation_time: String,
    /// DTM: a day without time is a calendar day in Japan and is not moved to UTC.
    pub service_start: String,
    pub service_stop: String,
    /// OID.
    pub unique_id: String,
    /// patientId, CX in the affinity domain.
    pub patient_id: String,
    /// sourcePatientId, CX of the author's hospital.
    pub source_patient_id: String,
    /// Values of sourcePatientInfo: PID-3, 5, 7, 8, 11.
    pub source_patient_info: Vec<String>,
    /// authorInstitution, XON.
    pub author_institution: String,
    /// authorPerson, XCN.
    pub author_person: String,
    pub author_role: &'static str,
    /// legalAuthenticator, XCN, of letters and summaries.
    pub legal_authenticator: Option<String>,
    /// referenceIdList, CXi: the order number of results, prescriptions and images.
    pub reference_ids: Vec<String>,
    /// The SS-MIX2 DataKind of a wrapped HL7 message (jahis-profile: kept as an extra slot).
    pub data_kind: Option<&'static str>,
    /// The character set of a wrapped HL7 message.
    pub charset: Option<Charset>,
    /// SubmissionSet.sourceId, OID of the submitting hospital.
    pub source_id: String,
}

impl Network {
    /// Three hospitals and `patients` patients. Documents are written in the five years before `until`.
    pub fn generate(seed: u64, patients: usize, until: Date) -> Self {
        let hospitals = Hospital::invent(&mut SplitMix64::derived(seed, HOSPITALS, 0));
        let patients = (1..=patients as u64)
            .map(|n| Patient::invent(&mut SplitMix64::derived(seed, PATIENTS, n), n, hospitals.len(), until))
            .collect();
        Self { seed, until, oid: NETWORK_OID.to_owned(), hospitals, patients }
    }

    /// Another network, in which the same people are known by ids of its own.
    #[must_use]
    pub fn of(mut self, oid: &str) -> Self {
        oid.clone_into(&mut self.oid);
        for patient in &mut self.patients {
            patient.network_id = format!("7{}", patient.network_id.get(1..).unwrap_or_default());
        }
        self
    }

    /// The network's own OID.
    pub fn oid(&self) -> &str {
        &self.oid
    }

    /// Assigning authority of its patient identifiers.
    pub fn patient_authority(&self) -> String {
        format!("{}.1", self.oid)
    }

    /// repositoryUniqueId of its document repository.
    pub fn repository_id(&self) -> String {
        format!("{}.2.1", self.oid)
    }

    /// patientId of a patient: CX in the affinity domain.
    pub fn patient_cx(&self, patient: &Patient) -> String {
        format!("{}^^^&{}&ISO", patient.network_id, self.patient_authority())
    }

    /// The document of number `index`, or nothing when the network has no patients. Some patients have many
    /// documents, most have few.
    pub fn document(&self, index: u64) -> Option<SyntheticDocument> {
        self.write(index, index, false)
    }

    /// The patient of the document of number `index`: the index into [`Network::patients`].
    pub fn patient_of(&self, index: u64) -> Option<usize> {
        let mut rng = SplitMix64::derived(self.seed, DOCUMENTS, index);
        usize::try_from(rng.skewed(self.patients.len() as u64)).ok()
    }

    /// The document of number `index` as its author corrected it two hours later; it bears the number `number`. For
    /// submissions that replace (RPLC).
    pub fn correction(&self, index: u64, number: u64) -> Option<SyntheticDocument> {
        self.write(index, number, true)
    }

    fn write(&self, index: u64, number: u64, corrected: bool) -> Option<SyntheticDocument> {
        let mut rng = SplitMix64::derived(self.seed, DOCUMENTS, index);
        let at = usize::try_from(rng.skewed(self.patients.len() as u64)).ok()?;
        let patient = self.patients.get(at)?;
        let local = patient.local_ids.get(rng.below(patient.local_ids.len() as u64) as usize)?;
        let hospital = self.hospitals.get(local.hospital)?;
        let row = row_of(rng.below(100));
        let physician = rng.pick(&hospital.physicians);
        // The last entry, radiology, writes reports only.
        let practice_setting = match (row.kind, codes::PRACTICE_SETTINGS) {
            (Kind::ImagingReport, [.., radiology]) => *radiology,
            (_, [clinical @ .., _]) => *rng.pick(clinical),
            (_, []) => return None,
        };
        let day = self.until.saturating_sub(Span::new().days(rng.range(1, 5 * 365)));
        let written = day.at(rng.range(8, 18) as i8, rng.range(0, 59) as i8, rng.range(0, 59) as i8, 0);
        let stay = if row.kind == Kind::DischargeSummary { rng.range(2, 40) } else { 0 };
        let admitted = day.saturating_sub(Span::new().days(stay));
        let version = if corrected { "訂正版" } else { "" };
        let title = format!("{}{version}（{}年{}月{}日）", row.title, day.year(), day.month(), day.day());
        let unique_id = format!("{}.4.{}.{}", self.oid, local.hospital + 1, number + 1);
        let order = format!("{}{:07}", day.strftime("%Y%m%d"), index % 10_000_000);
        let recipient = matches!(row.kind, Kind::Referral | Kind::FhirReferral)
            .then(|| self.hospitals.get((local.hospital + 1) % self.hospitals.len()))
            .flatten();
        let charset = row.data_kind.map(|_| if rng.chance(70) { Charset::Iso2022Jp } else { Charset::Utf8 });

        let header = cda::Header {
            row,
            unique_id: &unique_id,
            title: &title,
            hospital,
            physician,
            patient,
            local_id: &local.id,
            at: written,
            service: (admitted, day),
            recipient,
        };
        let bytes = match row.kind {
            Kind::Referral | Kind::DischargeSummary => {
                let paragraphs = 2 + rng.skewed(12);
                cda::narrative(&header, paragraphs, &mut rng)
            }
            Kind::ProgressNote => {
                let paragraphs = 1 + rng.skewed(4);
                cda::narrative(&header, paragraphs, &mut rng)
            }
            Kind::Laboratory | Kind::Prescription => {
                let visit = hl7::Visit {
                    hospital,
                    physician,
                    patient,
                    local_id: &local.id,
                    department: (practice_setting.code, practice_setting.display),
                    order: &order,
                    at: written,
                    charset: charset.unwrap_or(Charset::Utf8),
                };
                let message = if row.kind == Kind::Laboratory {
                    hl7::laboratory(&visit, &mut rng)
                } else {
                    hl7::prescription(&visit, &mut rng)
                };
                cda::wrap(&header, &message)
            }
            Kind::ImagingReport => {
                pdf::write(&title, hospital.name, &imaging_text(&unique_id, patient, &mut rng))
            }
            Kind::HealthCheckup | Kind::FhirReferral => {
                let report = fhir::Report {
                    row,
                    unique_id: &unique_id,
                    title: &title,
                    hospital,
                    physician,
                    patient,
                    local_id: &local.id,
                    at: written,
                    recipient,
                };
                fhir::bundle(&report, &mut rng)
            }
        };

        let author_person = hospital.xcn(physician);
        let signed = matches!(row.kind, Kind::Referral | Kind::DischargeSummary | Kind::FhirReferral);
        let ordered = matches!(row.kind, Kind::Laboratory | Kind::Prescription | Kind::ImagingReport);
        let number_type = if row.kind == Kind::ImagingReport { "accession" } else { "order" };
        // A result has an instant, everything else is about days.
        let (service_start, service_stop) = if row.kind == Kind::Laboratory {
            (utc(written), utc(written))
        } else {
            (admitted.strftime("%Y%m%d").to_string(), day.strftime("%Y%m%d").to_string())
        };
        Some(SyntheticDocument {
            kind: row.kind,
            patient: at,
            hospital: local.hospital,
            bytes,
            mime_type: row.mime_type,
            title,
            type_code: row.type_code,
            class_code: row.class_code,
            format_code: row.format_code,
            confidentiality_code: codes::NORMAL,
            facility_type: codes::MEDICAL,
            practice_setting,
            event_codes: if row.kind == Kind::ImagingReport { vec![codes::CT] } else { Vec::new() },
            language: "ja-JP",
            creation_time: utc(written.saturating_add(Span::new().hours(2 * i64::from(corrected)))),
            service_start,
            service_stop,
            unique_id,
            patient_id: self.patient_cx(patient),
            source_patient_id: format!("{}^^^&{}&ISO", local.id, hospital.patient_authority()),
            source_patient_info: source_patient_info(patient, &local.id, hospital),
            author_institution: hospital.xon(),
            legal_authenticator: signed.then(|| author_person.clone()),
            author_person,
            author_role: "医師",
            reference_ids: ordered
                .then(|| {
                    format!(
                        "{order}^^^&{}.6.{}&ISO^urn:ihe:iti:xds:2013:{number_type}",
                        self.oid,
                        local.hospital + 1
                    )
                })
                .into_iter()
                .collect(),
            data_kind: row.data_kind,
            charset,
            source_id: format!("{}.3.{}", self.oid, local.hospital + 1),
        })
    }

    /// The documents of numbers 0 to `count`.
    pub fn documents(&self, count: u64) -> impl Iterator<Item = SyntheticDocument> {
        (0..count).map_while(|index| self.document(index))
    }
}

/// The kind that the `draw`th of 100 documents has.
fn row_of(draw: u64) -> &'static KindRow {
    let mut left = draw;
    for row in KINDS {
        if left < row.share {
            return row;
        }
        left -= row.share;
    }
    &KINDS[0]
}

/// Japanese Standard Time as DTM in UTC.
fn utc(at: DateTime) -> String {
    at.saturating_sub(Span::new().hours(9)).strftime("%Y%m%d%H%M%S").to_string()
}

fn source_patient_info(patient: &Patient, local_id: &str, hospital: &Hospital) -> Vec<String> {
    vec![
        format!("PID-3|{local_id}^^^&{}&ISO", hospital.patient_authority()),
        format!("PID-5|{}", patient.name.pid5()),
        format!("PID-7|{}", patient.birth_dtm()),
        format!("PID-8|{}", patient.sex.hl7()),
        format!("PID-11|^^^^{}^JPN^H^{}", patient.postcode, patient.address),
    ]
}

/// An imaging report in English, because the PDF embeds no Japanese font.
fn imaging_text(unique_id: &str, patient: &Patient, rng: &mut SplitMix64) -> Vec<String> {
    const FINDINGS: &[&str] = &[
        "No pulmonary nodule or mass is seen.",
        "Mild emphysematous change is present in both upper lobes.",
        "No pleural effusion. The heart is not enlarged.",
        "The liver shows slightly low attenuation, suggesting fatty change.",
        "A simple cyst of 12 mm is noted in the left kidney.",
        "No lymphadenopathy by size criteria.",
        "Degenerative change of the lumbar spine.",
    ];
    let mut lines = vec![
        "CT REPORT (synthetic)".to_owned(),
        format!("Document {unique_id}"),
        format!(
            "Patient {} {}, born {}",
            patient.name.family_romaji(),
            patient.name.given_romaji(),
            patient.birth_date
        ),
        String::new(),
    ];
    let count = 30 + rng.skewed(500);
    lines.extend((1..=count).map(|n| format!("{n:03} {}", rng.pick(FINDINGS))));
    lines
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    const UNTIL: Date = jiff::civil::date(2026, 4, 1);

    fn network() -> Network {
        Network::generate(42, 50, UNTIL)
    }

    #[test]
    fn the_same_seed_gives_the_same_octets() {
        let (a, b) = (network(), network());
        assert_eq!((&a.hospitals, &a.patients), (&b.hospitals, &b.patients));
        assert!(a.documents(100).eq(b.documents(100)));
        assert_eq!(a.document(77), a.documents(78).last(), "a document does not depend on those before it");
        let other = Network::generate(43, 50, UNTIL);
        assert_ne!(a.patients, other.patients);
        assert!(!a.documents(10).eq(other.documents(10)));
        assert_eq!(Network::generate(42, 0, UNTIL).document(0), None);
    }

    #[test]
    fn a_correction_is_of_the_same_care_under_its_own_number() {
        let network = network();
        for index in 0..20 {
            let (first, corrected) = (network.document(index), network.correction(index, 900 + index));
            let (Some(first), Some(corrected)) = (first, corrected) else { panic!("no document") };
            assert_eq!(
                (first.kind, first.patient, first.hospital),
                (corrected.kind, corrected.patient, corrected.hospital)
            );
            assert_eq!(network.patient_of(index), Some(first.patient));
            assert_eq!(first.service_start, corrected.service_start);
            assert!(corrected.creation_time > first.creation_time && corrected.title.contains("訂正版"));
            assert!(corrected.unique_id.ends_with(&format!(".{}", 901 + index)));
        }
    }

    #[test]
    fn every_kind_occurs_and_is_well_formed() {
        let network = network();
        let mut seen = BTreeMap::new();
        for document in network.documents(600) {
            *seen.entry(document.kind as u8).or_insert(0) += 1;
            let size = document.bytes.len();
            assert!((1_500..=48_000).contains(&size), "{:?} of {size} octets", document.kind);
            match document.mime_type {
                "text/xml" => {
                    let text = std::str::from_utf8(&document.bytes).expect("UTF-8");
                    let xml = roxmltree::Document::parse(text).expect("well-formed");
                    assert!(xml.root_element().has_tag_name(("urn:hl7-org:v3", "ClinicalDocument")));
                    let id =
                        xml.descendants().find(|n| n.has_tag_name(("urn:hl7-org:v3", "id"))).expect("id");
                    assert_eq!(id.attribute("root"), Some(&*document.unique_id));
                }
                "application/fhir+json" => {
                    let json: serde_json::Value = serde_json::from_slice(&document.bytes).expect("JSON");
                    assert_eq!(
                        (&json["resourceType"], &json["type"]),
                        (&"Bundle".into(), &"document".into())
                    );
                    assert_eq!(json["identifier"]["value"], format!("urn:oid:{}", document.unique_id));
                    assert_eq!(json["entry"][0]["resource"]["resourceType"], "Composition");
                }
                _ => assert!(document.bytes.starts_with(b"%PDF-")),
            }
        }
        assert_eq!(seen.len(), KINDS.len(), "{seen:?}");
    }

    #[test]
    fn wrapped_messages_come_out_whole() {
        let network = network();
        let (mut kanji, mut utf8) = (0, 0);
        for document in network.documents(200).filter(|d| d.data_kind.is_some()) {
            let text = std::str::from_utf8(&document.bytes).expect("UTF-8");
            let xml = roxmltree::Document::parse(text).expect("well-formed");
            let body =
                xml.descendants().find(|n| n.attribute("representation") == Some("B64")).expect("body");
            let message = STANDARD.decode(body.text().expect("base64")).expect("base64");
            assert!(message.starts_with(b"MSH|^~\\&|") && message.ends_with(b"\r"));
            assert!(!message.contains(&b'\n'));
            let name = network.patients[document.patient].name;
            let mut encoded = Vec::new();
            match document.charset {
                Some(Charset::Iso2022Jp) => {
                    kanji += 1;
                    assert!(message.is_ascii(), "ISO-2022-JP has seven bits");
                    jis::encode(name.family, &mut encoded);
                }
                Some(Charset::Utf8) => {
                    utf8 += 1;
                    encoded.extend_from_slice(name.family.as_bytes());
                }
                None => panic!("no character set"),
            }
            assert!(message.windows(encoded.len()).any(|w| w == encoded), "the name stands in PID-5");
            assert!(!message.windows(2).any(|w| w == b"\"#"), "no replaced character");
        }
        assert!(kanji > 0 && utf8 > 0);
    }

    #[test]
    fn metadata_agrees_with_the_patient_and_fits_its_slots() {
        let network = network();
        let mut ids = BTreeSet::new();
        let mut per_patient = BTreeMap::new();
        for document in network.documents(500) {
            let patient = &network.patients[document.patient];
            let hospital = &network.hospitals[document.hospital];
            assert!(ids.insert(document.unique_id.clone()), "uniqueId twice");
            *per_patient.entry(document.patient).or_insert(0) += 1;
            assert_eq!(document.patient_id, format!("{}^^^&{PATIENT_AUTHORITY}&ISO", patient.network_id));
            let local = patient.local_id(document.hospital).expect("known at the hospital");
            assert_eq!(
                document.source_patient_id,
                format!("{local}^^^&{}&ISO", hospital.patient_authority())
            );
            assert_eq!(document.author_institution, hospital.xon());
            assert!(document.service_start <= document.service_stop);
            assert_eq!(document.creation_time.len(), 14);
            assert!(document.title.chars().count() <= 128);
            let values = document.source_patient_info.iter().chain(&document.reference_ids);
            let values = values.chain([&document.author_person, &document.author_institution]);
            for value in values.chain(&document.legal_authenticator) {
                assert!(value.chars().count() <= 256, "{value}");
            }
        }
        let most = per_patient.values().max().expect("documents");
        assert!(*most > 3 * 500 / network.patients.len(), "uneven: the richest patient has {most}");
    }

    #[test]
    fn time_is_moved_to_utc() {
        assert_eq!(utc(jiff::civil::date(2026, 1, 1).at(8, 30, 0, 0)), "20251231233000");
    }
}
