//! Pieces that every resource has.

use super::json::Object;
use super::options::{Class, Flag};
use super::systems::{code, extension, id, profile};
use super::text::line;
use super::time::Stamp;

pub fn coding(system: &str, code: &str, display: Option<&str>) -> Object {
    Object::new().set("system", system).set("code", code).opt("display", display.map(line))
}

pub fn concept(codings: Vec<Object>, text: Option<&str>) -> Object {
    Object::new().list("coding", codings).opt("text", text.map(line))
}

/// A concept of one code.
pub fn coded(system: &str, code: &str, display: Option<&str>) -> Object {
    concept(vec![coding(system, code, display)], None)
}

pub fn identifier(system: impl Into<String>, value: &str) -> Object {
    Object::new().set("system", system.into()).set("value", value)
}

pub fn reference(to: &str) -> Object {
    Object::new().set("reference", to)
}

/// `meta` of an entry. The tag slices are closed: our flags and nothing else.
pub fn meta(profile: &str, updated: &str, flags: &[Flag]) -> Object {
    let tag = |flag: &Flag| Object::new().set("system", code::INDICATION).set("code", flag.code());
    Object::new().set("lastUpdated", updated).one("profile", profile).list("tag", flags.iter().map(tag))
}

/// JP_eCS_InstitutionNumber (R9011, R9012).
pub fn institution(number: &str) -> Object {
    Object::new()
        .set("url", extension::INSTITUTION)
        .set("valueIdentifier", identifier(id::INSTITUTION, number))
}

/// A department as the source names it; its code where it is one of the SS-MIX2 table.
#[derive(Clone, PartialEq, Eq)]
pub struct Department {
    pub code: Option<String>,
    pub name: Option<String>,
}

impl Department {
    /// JP_eCS_Department (R9014C, R9014O).
    pub fn extension(&self) -> Object {
        let name = self.name.as_deref();
        let codings = self.code.iter().map(|c| coding(code::DEPARTMENT, c, name)).collect();
        Object::new().set("url", extension::DEPARTMENT).set("valueCodeableConcept", concept(codings, name))
    }
}

/// What is known of a visit or stay.
#[derive(Clone, PartialEq, Eq)]
pub struct Encounter {
    pub class: Class,
    pub id: Option<String>,
    pub start: Option<Stamp>,
    pub end: Option<Stamp>,
}

impl Encounter {
    pub fn class_coding(&self) -> Object {
        let (class, display) = match self.class {
            Class::Outpatient => ("AMB", "外来"),
            Class::Inpatient => ("IMP", "入院"),
        };
        coding(code::ACT_CODE, class, Some(display))
    }

    /// The contained JP_Encounter of R9013C and R9013O. A stay without an end goes on.
    pub fn contained(&self) -> Object {
        let going_on = self.class == Class::Inpatient && self.end.is_none();
        Object::resource("Encounter")
            .set("id", "enc1")
            .set("meta", Object::new().one("profile", profile::CONTAINED_ENCOUNTER))
            .list("identifier", self.id.iter().map(|i| identifier(id::RESOURCE, i)))
            .set("status", if going_on { "in-progress" } else { "finished" })
            .set("class", self.class_coding())
            .set("period", self.period())
    }

    pub fn period(&self) -> Object {
        Object::new()
            .opt("start", self.start.as_ref().map(Stamp::date_time))
            .opt("end", self.end.as_ref().map(Stamp::date_time))
    }
}

/// A doctor as the source names them.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Doctor {
    pub id: Option<String>,
    pub family: String,
    pub given: String,
}

impl Doctor {
    pub fn name(&self) -> String {
        line(&format!("{} {}", self.family, self.given))
    }

    pub fn is_nobody(&self) -> bool {
        self.id.is_none() && self.name().is_empty()
    }

    pub fn contained(&self, institution: &str) -> Object {
        Object::resource("Practitioner")
            .set("id", "dr1")
            .set("meta", Object::new().one("profile", profile::CONTAINED_PRACTITIONER))
            .list("identifier", self.identifier(institution))
            .list("name", self.names())
    }

    pub fn identifier(&self, institution: &str) -> Option<Object> {
        self.id.as_ref().map(|i| identifier(format!("{}{institution}", id::DOCTOR_ARC), i))
    }

    pub fn names(&self) -> Option<Object> {
        human_name(&self.family, &self.given, script_of(&self.name()), false)
    }
}

/// `IDE`, `SYL` or `ABC` by the characters of a name.
pub fn script_of(name: &str) -> Option<&'static str> {
    let letters = || name.chars().filter(|c| c.is_alphanumeric());
    let kana = |c: char| matches!(u32::from(c), 0x3041..=0x30ff | 0xff66..=0xff9f);
    if letters().next().is_none() {
        None
    } else if letters().all(|c| c.is_ascii()) {
        Some("ABC")
    } else if letters().all(kana) {
        Some("SYL")
    } else {
        Some("IDE")
    }
}

/// A HumanName, family and given parted by a half-width space in its text (R1113).
pub fn human_name(family: &str, given: &str, script: Option<&str>, official: bool) -> Option<Object> {
    let (family, given) = (line(family), line(given));
    let text = line(&format!("{family} {given}"));
    let representation = script
        .map(|script| Object::new().set("url", extension::NAME_REPRESENTATION).set("valueCode", script));
    (!text.is_empty()).then(|| {
        let name = Object::new().list("extension", representation);
        let name = if official { name.set("use", "official") } else { name };
        name.set("text", text).set("family", family).list("given", [given])
    })
}
