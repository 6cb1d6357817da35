//! From HL7 v2.5 as SS-MIX2 writes it (national-service.md §10).

mod allergy;
mod condition;
mod laboratory;
mod medication;
mod patient;
mod source;
mod value;

use super::frame::{Entry, Frame};
use super::patient::Patient;
use super::said::{NotMade, NotMadeKey, Notes, Step, Value, WarningKey};
use super::{Context, Kind, Made, rows};
use crate::wire::hl7v2::charset::OddityKind;
use crate::wire::hl7v2::{self, Message, Segment};
use source::{Source, component, place};

/// How places of a message are named.
pub(super) mod places {
    pub use super::source::component;
}

pub(super) use allergy::is_yj;
pub(super) use condition::is_number;
pub(super) use laboratory::jlac10;

/// More segments than are read of one message.
const MOST_SEGMENTS: usize = 2000;

/// Resources of one message, in the order they stand in it.
pub(super) struct Resources {
    /// The resource's type, its identifier, and how it is made once the patient's URL is known.
    pub entries: Vec<Entry>,
    pub corrects: bool,
}

/// Whether bytes are a message rather than a document.
pub fn is_message(bytes: &[u8]) -> bool {
    let start =
        bytes.iter().position(|b| !b.is_ascii_whitespace() && !matches!(b, 0x0b | 0xef | 0xbb | 0xbf));
    bytes.get(start.unwrap_or_default()..).unwrap_or_default().starts_with(b"MSH")
}

/// Makes the unit of a message: PPR^ZD1, ADT^A60 or OUL^R22.
pub fn from_v2(bytes: &[u8], context: &Context<'_>) -> Result<Made, Box<NotMade>> {
    let mut notes = Notes::default();
    let decoded = hl7v2::decoded(bytes, context.options.shift_jis);
    match unit(&decoded, context, &mut notes) {
        Ok(made) => {
            Ok(Made { unmapped: notes.unmapped, left_out: notes.left_out, warnings: notes.warnings, ..made })
        }
        Err(mut refused) => {
            refused.notes.append(notes);
            Err(refused)
        }
    }
}

fn unit(decoded: &hl7v2::charset::Decoded, context: &Context<'_>, notes: &mut Notes) -> Step<Made> {
    let source = open(decoded, context, notes)?;
    let (kind, msh) = kind_of(&source.message)?;
    let Some(kind) = kind else {
        return Err(NotMade::new(NotMadeKey::OnlyInsideLetters, place(&msh, 9), msh.field(9).text()));
    };
    let patient = patient::read(&source, notes)?;
    let pid = patient.id.clone();
    let content = match kind {
        Kind::Laboratory => laboratory::lineage(&source)?,
        _ => format!("{}:{pid}", kind.code()),
    };
    let frame = Frame::new(kind, context, content)?;
    let to = frame.full_url("Patient", &pid);
    let Resources { entries, corrects } = match kind {
        Kind::Conditions => condition::read(&source, &frame, &pid, &to, notes)?,
        Kind::Allergies => allergy::read(&source, &frame, &pid, &to, notes)?,
        Kind::Laboratory => {
            let (resources, listed) = laboratory::read(&source, &frame, &pid, &to, notes)?;
            if !listed && !resources.entries.is_empty() {
                return Err(NotMade::new(NotMadeKey::NoListedItem, "OBX", ""));
            }
            resources
        }
        Kind::Referral | Kind::Discharge => Resources { entries: vec![], corrects: false },
    };
    rows::unread(&source.message, context.options, notes);
    if entries.is_empty() {
        return Err(NotMade::new(NotMadeKey::NothingToSend, "MSH[1]", ""));
    }
    if corrects {
        notes.warn(WarningKey::Corrected, "OBX", "");
    }
    let mut all = vec![patient_entry(&frame, &patient, &source.updated, context)];
    all.extend(entries);
    Ok(Made {
        kind,
        lineage: frame.lineage.clone(),
        bundle_id: frame.bundle_id.clone(),
        insured_id: Value(patient.insured_id),
        patient_id: Value(pid),
        destination: None,
        corrects,
        bundle: frame.bundle(context, all),
        unmapped: vec![],
        left_out: vec![],
        warnings: vec![],
    })
}

pub(super) fn patient_entry(frame: &Frame, patient: &Patient, updated: &str, context: &Context<'_>) -> Entry {
    let uuid = frame.uuid("Patient", &patient.id);
    let full_url = frame.full_url("Patient", &patient.id);
    Entry { full_url, resource: patient.resource(&uuid, updated, &context.institution.number) }
}

/// What a message adds to a letter.
pub(super) enum Enclosed {
    Conditions(Vec<Entry>),
    Allergies(Vec<Entry>),
    Laboratory(Vec<Entry>),
    Medications(Vec<Entry>),
}

/// Resources of a message that travels inside a letter of the patient `pid`, who stands at `to`.
pub(super) fn enclosed(
    bytes: &[u8],
    context: &Context<'_>,
    frame: &Frame,
    pid: &str,
    to: &str,
    notes: &mut Notes,
) -> Step<Enclosed> {
    let decoded = hl7v2::decoded(bytes, context.options.shift_jis);
    let source = open(&decoded, context, notes)?;
    let (kind, _) = kind_of(&source.message)?;
    for segment in source.message.all("PID") {
        let id = patient::id(&segment);
        if id != pid {
            return Err(NotMade::new(NotMadeKey::SeveralPatients, place(&segment, 3), id));
        }
    }
    let made = match kind {
        None => Enclosed::Medications(medication::read(&source, frame, pid, to, notes)?.entries),
        Some(Kind::Conditions) => {
            Enclosed::Conditions(condition::read(&source, frame, pid, to, notes)?.entries)
        }
        Some(Kind::Allergies) => Enclosed::Allergies(allergy::read(&source, frame, pid, to, notes)?.entries),
        Some(_) => Enclosed::Laboratory(laboratory::read(&source, frame, pid, to, notes)?.0.entries),
    };
    rows::unread(&source.message, context.options, notes);
    Ok(made)
}

/// Reads a message as far as its segments.
fn open<'c, 't>(
    decoded: &'t hl7v2::charset::Decoded,
    context: &'c Context<'c>,
    notes: &mut Notes,
) -> Step<Source<'c, 't>> {
    let unreadable = |place: String| NotMade::new(NotMadeKey::Unreadable, place, "");
    let message = Message::read(&decoded.text).ok_or_else(|| unreadable("MSH[1]".into()))?;
    if message.segments.len() > MOST_SEGMENTS {
        return Err(unreadable(format!("more than {MOST_SEGMENTS} segments")));
    }
    if let Some(junk) = message.junk() {
        let before = message.segments.iter().filter(|s| s.offset <= junk.offset).count();
        return Err(unreadable(format!("segment {before}")));
    }
    let at = |offset: usize| match message.place(offset) {
        Some((segment, field)) => format!("{}[{}]-{field}", segment.name, segment.sequence),
        None => "MSH[1]".into(),
    };
    // Bytes outside their character set are a damaged message; a code without a character is one 外字 of it.
    if let Some(fault) = decoded.faults.first() {
        return Err(unreadable(at(fault.at)));
    }
    for oddity in decoded.oddities.iter().filter(|o| matches!(o.kind, OddityKind::Undefined(_))) {
        notes.warn(WarningKey::Characters, at(oddity.at), "");
    }
    Ok(Source::new(context, message))
}

/// MSH-9: what the message makes; `None` for prescriptions.
fn kind_of<'t>(message: &Message<'t>) -> Step<(Option<Kind>, Segment<'t>)> {
    let Some(msh) = message.header() else {
        return Err(NotMade::new(NotMadeKey::Unreadable, "MSH[1]", ""));
    };
    let kind = format!("{}^{}", msh.field(9).component(1).text(), msh.field(9).component(2).text());
    match super::ssmix2::DATA_KINDS.iter().find(|(_, message, _)| *message == kind) {
        Some((.., made)) => Ok((*made, msh)),
        None => Err(NotMade::new(NotMadeKey::UnknownSource, component(&msh, 9, 1, 1), kind)),
    }
}
