//! Feeds of patients to an index and questions to it: ITI-8, ITI-9 and ITI-21 over MLLP, ITI-45 and ITI-47 over
//! SOAP, ITI-78 and ITI-83 by FHIR.

use bytes::{Bytes, BytesMut};
use clap::ValueEnum;
use jiff::Timestamp;
use memchr::memmem;

use super::checks::PARSED;
use super::connection::Pieces;
use super::drive::{Ask, Check, Scenario};
use super::people::{Patient, People};
use super::scenarios::{Run, simple};
use crate::model::identity::{DemographicsQuery, Phone, PhoneUse, Representation};
use crate::model::transaction::Transaction;
use crate::peer::mllp::hl7_time;
use crate::synthetic::SplitMix64;
use crate::wire::hl7v2::Identifier;
use crate::wire::hl7v2::answer::{self, Verdict};
use crate::wire::hl7v2::charset::Label;
use crate::wire::hl7v2::compose::{self, Envelope, Party};
use crate::wire::hl7v3::{Device, Ii, Own, pdq, pix};
use crate::wire::soap::{SoapResponse, read_response, write_request};
use crate::wire::xml::tree;

/// What a feed says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Event {
    /// The table's patients in turn, from a line of this run's own, under ids that no other run uses. Of a table that
    /// was imported they are registered twice then; one of another seed has new patients
    #[value(name = "A01")]
    A01,
    /// A patient drawn from the table has another telephone number
    #[value(name = "A08")]
    A08,
}

/// What is asked, of whom.
pub struct Patients {
    pub run: Run,
    pub transaction: Transaction,
    /// Of feeds.
    pub event: Event,
    pub people: People,
}

const SENDER: &str = "2.999.392.1.9";
const RECEIVER: &str = "2.999.392.1.1";

impl Patients {
    fn drawn(&self, n: u64) -> (Patient, SplitMix64) {
        let mut random = SplitMix64::derived(self.run.seed, 3, n);
        loop {
            // A line that cannot be read or was rejected is no patient to ask for; the first can, as was seen at the
            // start.
            if let Some(patient) = self.people.get(random.below(self.people.len()))
                && patient.is_taken()
            {
                return (patient, random);
            }
        }
    }

    /// Draws until there is someone with a whole name and date of birth.
    fn findable(&self, n: u64) -> (Patient, String, String, String) {
        let mut last = n;
        for _ in 0..1000 {
            let (patient, mut random) = self.drawn(last);
            let birth = patient.known.birth_date.clone().filter(|b| b.len() == 8);
            if let (Some((family, given)), Some(birth)) = (patient.name(), birth) {
                let (family, given) = (family.to_owned(), given.to_owned());
                return (patient, family, given, birth);
            }
            last = random.next_u64();
        }
        let (patient, _) = self.drawn(n);
        (patient, String::new(), String::new(), String::new())
    }

    fn feed(&self, n: u64) -> Option<(Patient, &'static str)> {
        match self.event {
            Event::A01 => {
                let line = u64::from(self.run.id).wrapping_add(n) % self.people.len().max(1);
                let mut patient = self.people.get(line)?;
                if !patient.is_taken() {
                    patient.known.birth_date = None;
                }
                patient.id = format!("B{:x}{n:x}", self.run.id & 0xf_ffff);
                Some((patient, "A01"))
            }
            Event::A08 => {
                let (mut patient, mut random) = self.drawn(n);
                let number = format!("090{:08}", random.below(100_000_000));
                patient.known.phones = Some(vec![Phone { number, usage: PhoneUse::Mobile }]);
                Some((patient, "A08"))
            }
        }
    }

    fn v2(&self, n: u64) -> Option<(Vec<u8>, Said)> {
        let party =
            |application: &str| Party { application: application.to_owned(), facility: String::new() };
        let (from, to) = (party("BENCH"), party("MPI"));
        let control_id = format!("{:08x}{n:x}", self.run.id);
        let (label, time) = (Label::japanese(), hl7_time(Timestamp::now()));
        let envelope = Envelope {
            from: &from,
            to: &to,
            time: &time,
            control_id: &control_id,
            processing: "P",
            label: &label,
        };
        let identifier = |value: &str, oid: &str| Identifier {
            value: value.to_owned(),
            namespace: String::new(),
            oid: oid.to_owned(),
        };
        let (bytes, expected) = match self.transaction {
            Transaction::Iti9 => {
                let (patient, _) = self.drawn(n);
                let wanted = [identifier("", &self.run.authority)];
                let id = identifier(&patient.id, &patient.oid);
                (compose::pix(&envelope, &control_id, &id, &wanted).bytes, self.run.authority.clone())
            }
            Transaction::Iti21 => {
                let (patient, family, given, birth) = self.findable(n);
                let parameters = [("@PID.5.1.1", family), ("@PID.5.2", given), ("@PID.7", birth)]
                    .map(|(name, value)| (name.to_owned(), value));
                let asked = compose::demographics(&envelope, &control_id, &parameters, &[], Some(50), None);
                (asked.bytes, patient.id)
            }
            _ => {
                let (patient, event) = self.feed(n)?;
                let ids = [identifier(&patient.id, &patient.oid)];
                (compose::feed(&envelope, event, &ids, None, &patient.known).bytes, "MSA|AA|".to_owned())
            }
        };
        Some((bytes, self.said(Form::V2, control_id, expected, n)))
    }

    fn v3(&self, n: u64) -> (String, Said) {
        let message = format!("urn:uuid:{:08x}-0000-4000-8000-{n:012x}", self.run.id);
        let device = |oid: &str| Device { id: Ii::of(oid), organization: None };
        let (sender, receiver) = (device(SENDER), device(RECEIVER));
        let query_id = format!("{:08x}-0000-4000-8001-{n:012x}", self.run.id);
        let own = Own { id: query_id.clone(), time: "20260401120000".to_owned() };
        let action = self.transaction.row().request_action;
        let (envelope, expected) = match self.transaction {
            Transaction::Iti45 => {
                let (patient, _) = self.drawn(n);
                let id = Ii::with(patient.oid, patient.id);
                let wanted = [self.run.authority.clone()];
                let asked = pix::Outgoing {
                    sender: &sender,
                    receiver: &receiver,
                    query_id: &query_id,
                    id: &id,
                    wanted: &wanted,
                };
                let body =
                    write_request(action, &message, &self.run.url, |w| pix::write_query(w, &own, &asked));
                (body, self.run.authority.clone())
            }
            _ => {
                let (patient, family, given, birth) = self.findable(n);
                let query = DemographicsQuery {
                    family: vec![(family, Representation::Folded)],
                    given: vec![(given, Representation::Folded)],
                    birth_date: Some(birth),
                    ..DemographicsQuery::default()
                };
                let asked = pdq::Outgoing {
                    sender: &sender,
                    receiver: &receiver,
                    query_id: &query_id,
                    size: Some(50),
                    query: &query,
                };
                let body =
                    write_request(action, &message, &self.run.url, |w| pdq::write_query(w, &own, &asked));
                (body, patient.id)
            }
        };
        (envelope, self.said(Form::V3, message, expected, n))
    }

    fn fhir(&self, n: u64) -> (String, Said) {
        let (path, expected) = match self.transaction {
            Transaction::Iti83 => {
                let (patient, _) = self.drawn(n);
                let asked = format!(
                    "Patient/$ihe-pix?sourceIdentifier=urn:oid:{}%7C{}&targetSystem=urn:oid:{}",
                    patient.oid,
                    percent(&patient.id),
                    self.run.authority
                );
                (asked, self.run.authority.clone())
            }
            _ => {
                let (patient, family, given, birth) = self.findable(n);
                let date = match (birth.get(..4), birth.get(4..6), birth.get(6..8)) {
                    (Some(y), Some(m), Some(d)) => format!("{y}-{m}-{d}"),
                    _ => birth,
                };
                let (family, given) = (percent(&family), percent(&given));
                let asked = format!("Patient?family={family}&given={given}&birthdate={date}&_count=50");
                (asked, patient.id)
            }
        };
        (path, self.said(Form::Fhir, String::new(), expected, n))
    }

    fn said(&self, form: Form, request: String, expected: String, n: u64) -> Said {
        let parse = n.is_multiple_of(PARSED);
        Said { form, transaction: self.transaction, request, expected, parse, body: BytesMut::new() }
    }
}

fn percent(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

impl Scenario for Patients {
    type Check = Said;

    fn ask(&self, n: u64) -> Option<(Ask, Said)> {
        Some(match self.transaction {
            Transaction::Iti45 | Transaction::Iti47 => {
                let (envelope, said) = self.v3(n);
                (Ask::Post { content_type: simple(), body: Pieces::new([Bytes::from(envelope)]) }, said)
            }
            Transaction::Iti78 | Transaction::Iti83 => {
                let (path, said) = self.fhir(n);
                (Ask::Get(path), said)
            }
            _ => {
                let (message, said) = self.v2(n)?;
                (Ask::Message(message), said)
            }
        })
    }
}

#[derive(Debug, Clone, Copy)]
enum Form {
    V2,
    V3,
    Fhir,
}

/// The answer to the very request, good, and with what was looked for.
pub struct Said {
    form: Form,
    transaction: Transaction,
    /// MSH-10, or wsa:MessageID.
    request: String,
    expected: String,
    parse: bool,
    body: BytesMut,
}

impl Said {
    fn has(&self, text: &str) -> bool {
        memmem::find(&self.body, text.as_bytes()).is_some()
    }

    fn parsed(&self) -> Result<(), String> {
        match self.form {
            Form::V2 => {
                let answer = answer::read(&self.body).map_err(|e| e.to_string())?;
                if answer.verdict != Verdict::Accepted || answer.control_id != self.request {
                    return Err("the answer is no acceptance of this message".into());
                }
                if answer.query_status.is_some_and(|status| status != "OK") {
                    return Err("QAK-2 is not OK".into());
                }
            }
            Form::V3 => {
                let text = std::str::from_utf8(&self.body).map_err(|_| "the answer is not UTF-8")?;
                let doc = tree::parse(text).map_err(|_| "the answer is not well-formed XML")?;
                let SoapResponse::Body { body, .. } = read_response(&doc)? else {
                    return Err("a fault".into());
                };
                match self.transaction {
                    Transaction::Iti45 => pix::read_answer(body).map(|_| ())?,
                    _ => pdq::read_answer(body).map(|_| ())?,
                }
            }
            Form::Fhir => {
                let value: serde_json::Value =
                    serde_json::from_slice(&self.body).map_err(|_| "the answer is no JSON")?;
                let kind = value.get("resourceType").and_then(|v| v.as_str());
                if !matches!(kind, Some("Parameters" | "Bundle")) {
                    return Err("the answer is neither Parameters nor Bundle".into());
                }
            }
        }
        Ok(())
    }
}

impl Check for Said {
    fn head(&mut self, _: Option<&str>) -> Result<(), String> {
        Ok(())
    }

    fn data(&mut self, bytes: Bytes) -> Result<(), String> {
        self.body.extend_from_slice(&bytes);
        Ok(())
    }

    fn end(self) -> Result<(), String> {
        let good = match self.form {
            Form::V2 => self.has(&format!("MSA|AA|{}", self.request)),
            Form::V3 => self.has(&self.request) && self.has("queryResponseCode code=\"OK\""),
            Form::Fhir => true,
        };
        if !good {
            return Err("the answer does not say that all is well with this request".into());
        }
        if !self.has(&self.expected) {
            return Err("the patient asked for is not in the answer".into());
        }
        if self.parse { self.parsed() } else { Ok(()) }
    }
}
