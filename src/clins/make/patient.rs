//! The patient: JP_Patient_eCS from what the source says, completed from what the MPI knows (national-service.md
//! §2.2, §10).

use super::Context;
use super::ids;
use super::json::Object;
use super::parts::{human_name, identifier, institution, meta};
use super::said::{NotMade, NotMadeKey, Notes, Step, WarningKey};
use super::systems::{id, profile};
use super::text::line;
use super::time::Stamp;
use crate::model::identity::{Demographics, Insurance, NameScript, NameUse};

/// What a source says of its patient.
#[derive(Default)]
pub struct Facts {
    /// As the institution writes it, leading zeros kept.
    pub id: String,
    pub names: Vec<Name>,
    pub birth: Option<Stamp>,
    /// FHIR's code.
    pub gender: Option<&'static str>,
    pub address: Option<Address>,
    /// Where the source has an insurance card.
    pub insurance: Option<Insurance>,
}

#[derive(Clone, PartialEq, Eq)]
pub struct Name {
    pub family: String,
    pub given: String,
    pub script: Option<&'static str>,
}

#[derive(Clone, Default, PartialEq, Eq)]
pub struct Address {
    pub text: String,
    pub postal_code: String,
    pub city: String,
    pub state: String,
}

/// The patient, read and completed.
pub struct Patient {
    pub id: String,
    pub insured_id: String,
    names: Vec<Name>,
    birth: Stamp,
    gender: &'static str,
    address: Address,
}

/// `place` names the patient in the source: `PID`, `recordTarget`.
pub fn complete(facts: Facts, context: &Context<'_>, place: &str, notes: &mut Notes) -> Step<Patient> {
    let none = Demographics::default();
    let known = context.patient.unwrap_or(&none);
    if facts.id.is_empty() {
        return Err(NotMade::new(NotMadeKey::NoPatientId, place, ""));
    }
    let said = facts.names.clone();
    let names = names(facts.names, known);
    if names.is_empty() {
        return Err(NotMade::new(NotMadeKey::NoName, place, ""));
    }
    if !names.iter().any(|n| n.script == Some("SYL")) {
        notes.warn(WarningKey::NoKana, place, "");
    }
    if names.iter().any(|n| !said.iter().any(|s| s.script == n.script)) {
        notes.warn(WarningKey::FromIndex, "Patient.name", "");
    }
    let birth = facts.birth.or_else(|| {
        let known = known.birth_date.as_deref().and_then(Stamp::hl7)?;
        notes.warn(WarningKey::FromIndex, "Patient.birthDate", "");
        Some(known)
    });
    let birth = birth.ok_or_else(|| NotMade::new(NotMadeKey::NoBirthDate, place, ""))?;
    let of_index = known.sex.as_deref().and_then(gender).filter(|_| facts.gender.is_none());
    if of_index.is_some() {
        notes.warn(WarningKey::FromIndex, "Patient.gender", "");
    }
    let gender = facts.gender.or(of_index).unwrap_or_else(|| {
        notes.warn(WarningKey::GenderUnknown, place, "");
        "unknown"
    });
    let address = facts.address.filter(|a| !line(&a.text).is_empty()).or_else(|| {
        let known = known.addresses.iter().flatten().find(|a| !line(&a.text).is_empty())?;
        notes.warn(WarningKey::FromIndex, "Patient.address", "");
        Some(Address {
            text: known.text.clone(),
            postal_code: known.postal_code.clone(),
            ..Address::default()
        })
    });
    let address = address.ok_or_else(|| NotMade::new(NotMadeKey::NoAddress, place, ""))?;
    let insured_id = insured(context, facts.insurance.as_ref(), place, notes)?;
    Ok(Patient { id: facts.id, insured_id, names, birth, gender, address })
}

impl Patient {
    pub fn resource(&self, id: &str, updated: &str, institution_number: &str) -> Object {
        let arc = format!("{}{institution_number}", id::PATIENT_ARC);
        let address = Object::new()
            .set("text", line(&self.address.text))
            .set("postalCode", line(&self.address.postal_code))
            .set("city", line(&self.address.city))
            .set("state", line(&self.address.state))
            .set("country", "JP");
        Object::resource("Patient")
            .set("id", id)
            .set("meta", meta(profile::PATIENT, updated, &[]))
            .one("extension", institution(institution_number))
            .list("identifier", [identifier(arc, &self.id), identifier(id::INSURED, &self.insured_id)])
            .list("name", self.names.iter().filter_map(|n| human_name(&n.family, &n.given, n.script, true)))
            .set("gender", self.gender)
            .set("birthDate", self.birth.date())
            .one("address", address)
    }
}

/// HL7 table 0001 by the published map; other values say nothing that FHIR's codes say.
pub fn gender(sex: &str) -> Option<&'static str> {
    match sex {
        "M" => Some("male"),
        "F" => Some("female"),
        "O" => Some("other"),
        "U" => Some("unknown"),
        _ => None,
    }
}

/// One name in each script: the source's, else the one known. The profile wants family and given.
fn names(said: Vec<Name>, known: &Demographics) -> Vec<Name> {
    let known = known.names.iter().flatten().filter(|n| matches!(n.usage, NameUse::Legal)).map(|n| Name {
        family: n.family.clone(),
        given: n.given.clone(),
        script: n.script.map(|script| match script {
            NameScript::Ideographic => "IDE",
            NameScript::Phonetic => "SYL",
            NameScript::Alphabetic => "ABC",
        }),
    });
    let mut names: Vec<Name> = vec![];
    for name in said.into_iter().chain(known).filter_map(parted) {
        if !names.iter().any(|n| n.script == name.script) {
            names.push(name);
        }
    }
    let rank = |n: &Name| match n.script {
        Some("IDE") => 0,
        Some("SYL") => 1,
        _ => 2,
    };
    names.sort_by_key(rank);
    names
}

/// A name written in one piece is parted at its space; one that has none is no family and given name.
fn parted(name: Name) -> Option<Name> {
    let (family, given) = (line(&name.family), line(&name.given));
    let (family, given) = match (family.is_empty(), given.is_empty()) {
        (false, false) => (family, given),
        (false, true) => family.split_once(' ').map(|(f, g)| (f.to_owned(), g.trim().to_owned()))?,
        _ => return None,
    };
    Some(Name { family, given, script: name.script })
}

/// 被保険者個人識別子: from online qualification; only without it from the card in the source (national-service.md §10).
fn insured(context: &Context<'_>, card: Option<&Insurance>, place: &str, notes: &mut Notes) -> Step<String> {
    let known = context.patient.and_then(|p| p.insurances.as_ref()).and_then(|i| i.first());
    let id = match (context.insured_id, card.or(known)) {
        (Some(id), _) => id.to_owned(),
        (None, Some(said)) => {
            match card {
                Some(_) => notes.warn(WarningKey::InsuredFromMessage, place, ""),
                None => notes.warn(WarningKey::FromIndex, "Patient.identifier", ""),
            }
            let Insurance { insurer, symbol, number, branch } = said;
            format!("{insurer:0>8}:{symbol}:{number}:{}", branch.as_deref().unwrap_or_default())
        }
        (None, None) => return Err(NotMade::new(NotMadeKey::NoInsuredId, place, "")),
    };
    if !ids::is_insured_id(&id) {
        return Err(NotMade::new(NotMadeKey::InsuredId, place, id));
    }
    if id.ends_with(':') {
        notes.warn(WarningKey::NoBranch, place, id.as_str());
    }
    Ok(id)
}
