//! A message under conversion: its segments by place, its coded elements, its doctors, departments and visit.

use crate::clins::make::Context;
use crate::clins::make::options::{Class, Field, Flag, Marked, named};
use crate::clins::make::parts::{Department, Doctor, Encounter};
use crate::clins::make::said::{Notes, UnmappedKey, WarningKey};
use crate::clins::make::text::line;
use crate::clins::make::time::{self, Stamp};
use crate::wire::hl7v2::{Message, Segment, Value};

/// `PRB[2]-3`.
pub fn place(segment: &Segment<'_>, field: usize) -> String {
    format!("{}[{}]-{field}", segment.name, segment.sequence)
}

/// `PRB[2]-3[1].2`, as unmapped values are named.
pub fn component(segment: &Segment<'_>, field: usize, repetition: usize, component: usize) -> String {
    format!("{}[{repetition}].{component}", place(segment, field))
}

/// One triplet of a CWE.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Triplet {
    pub code: String,
    pub text: String,
    pub system: String,
}

impl Triplet {
    fn read(value: Value<'_>, from: usize) -> Triplet {
        let part = |n: usize| line(&value.component(from + n).text());
        Triplet { code: part(0), text: part(1), system: part(2) }
    }

    pub fn is_empty(&self) -> bool {
        self.code.is_empty() && self.text.is_empty()
    }
}

/// Both triplets of a CWE (HL7 v2.5 2.A.13).
pub fn coded(value: Value<'_>) -> [Triplet; 2] {
    [Triplet::read(value, 1), Triplet::read(value, 4)]
}

/// The text of a CWE: of its first triplet that has one, else the original text (CWE.9).
pub fn coded_text(value: Value<'_>) -> Option<String> {
    let [first, second] = coded(value);
    let original = line(&value.component(9).text());
    [first.text, second.text, original].into_iter().find(|text| !text.is_empty())
}

pub struct Source<'c, 't> {
    pub context: &'c Context<'c>,
    pub message: Message<'t>,
    /// `lastUpdated` of the resources: MSH-7, else now.
    pub updated: String,
}

impl<'c, 't> Source<'c, 't> {
    pub fn new(context: &'c Context<'c>, message: Message<'t>) -> Self {
        let written = message.header().and_then(|msh| Stamp::hl7(&msh.field(7).component(1).text()));
        let updated = written.and_then(|s| s.instant()).unwrap_or_else(|| time::instant(context.now));
        Source { context, message, updated }
    }

    /// A field's time; one that is none is said.
    pub fn time(&self, segment: &Segment<'_>, field: usize, notes: &mut Notes) -> Option<Stamp> {
        let text = segment.field(field).component(1).filled()?;
        let stamp = Stamp::hl7(&text);
        match &stamp {
            None => notes.unmapped(UnmappedKey::BadForm, component(segment, field, 1, 1), text),
            Some(stamp) if stamp.lacks_seconds() => {
                notes.warn(WarningKey::TimeZero, place(segment, field), text)
            }
            Some(_) => {}
        }
        stamp
    }

    /// The first department named in one of these fields.
    pub fn department(
        &self,
        fields: &[(Option<Segment<'t>>, usize)],
        notes: &mut Notes,
    ) -> Option<Department> {
        let options = self.context.options;
        for (segment, field) in fields {
            let Some(segment) = segment else { continue };
            let value = segment.field(*field);
            let triplets: Vec<Triplet> = coded(value).into_iter().filter(|t| !t.is_empty()).collect();
            let Some(first) = triplets.first() else { continue };
            let name = triplets.iter().map(|t| &t.text).find(|text| !text.is_empty()).cloned();
            if let Some(mapped) = triplets.iter().find_map(|t| self.context.masters.department(&t.code)) {
                let name = name.or(Some(mapped.name.clone()));
                return Some(Department { code: Some(mapped.code.clone()), name });
            }
            let of_table = |t: &&Triplet| {
                let form = matches!(t.code.len(), 2 | 3) && t.code.bytes().all(|b| b.is_ascii_alphanumeric());
                form && (t.system.is_empty() || named(&options.systems.department, &t.system))
            };
            let code = triplets.iter().find(of_table).map(|t| t.code.clone());
            if code.is_none() {
                notes.unmapped(
                    UnmappedKey::UnknownSystem,
                    component(segment, *field, 1, 1),
                    first.code.as_str(),
                );
            }
            if code.is_some() || name.is_some() {
                return Some(Department { code, name });
            }
        }
        let fallback = options.default_department.as_ref()?;
        Some(Department { code: Some(fallback.code.clone()), name: Some(fallback.name.clone()) })
    }

    /// The first doctor (XCN) named in one of these fields.
    pub fn doctor(&self, fields: &[(Option<Segment<'t>>, usize)], notes: &mut Notes) -> Option<Doctor> {
        for (segment, field) in fields {
            let Some(segment) = segment else { continue };
            // Names in kanji stand beside the same in kana.
            let mut found = Doctor::default();
            for value in segment.field(*field).repetitions() {
                let text = |n: usize| line(&value.component(n).subcomponent(1).text());
                if found.id.is_none() {
                    found.id = Some(text(1)).filter(|id| !id.is_empty());
                }
                if found.name().is_empty() {
                    found = Doctor { family: text(2), given: text(3), ..found };
                }
            }
            if !found.is_nobody() {
                if found.id.is_none() {
                    notes.warn(WarningKey::DoctorWithoutId, place(segment, *field), found.name());
                }
                return Some(found);
            }
        }
        None
    }

    /// The visit or stay: PV1, or the class configured where no PV1 says it.
    pub fn encounter(
        &self,
        order_type: Option<(Segment<'t>, usize)>,
        notes: &mut Notes,
    ) -> Option<Encounter> {
        let pv1 = self.message.segment("PV1");
        let said = |segment: &Segment<'_>, field: usize, notes: &mut Notes| {
            let text = segment.field(field).component(1).filled()?;
            match text.as_str() {
                "O" | "E" => Some(Class::Outpatient),
                "I" => Some(Class::Inpatient),
                _ => {
                    notes.unmapped(UnmappedKey::UnknownCode, component(segment, field, 1, 1), text);
                    None
                }
            }
        };
        let class = pv1.and_then(|pv1| said(&pv1, 2, notes));
        let class = class.or_else(|| order_type.and_then(|(segment, field)| said(&segment, field, notes)));
        let class = class.or(self.context.options.default_class)?;
        let id = pv1.and_then(|pv1| pv1.field(19).component(1).filled());
        let mut at = |field: usize| pv1.and_then(|pv1| self.time(&pv1, field, notes));
        let (start, end) = (at(44), at(45));
        let end = end.filter(|_| class == Class::Inpatient);
        Some(Encounter { class, id, start, end })
    }

    /// The flags that configured fields of these segments carry.
    pub fn flags(&self, segments: &[Segment<'t>]) -> Vec<Flag> {
        let mut flags = vec![];
        for rule in &self.context.options.flags {
            if has(segments, &rule.field, std::slice::from_ref(&rule.value)) && !flags.contains(&rule.flag) {
                flags.push(rule.flag);
            }
        }
        flags
    }

    pub fn marked(&self, segments: &[Segment<'t>], mark: Option<&Marked>) -> bool {
        mark.is_some_and(|mark| has(segments, &mark.field, &mark.values))
    }

    /// The texts of the NTE segments among these, those that hold something.
    pub fn notes_of(&self, segments: &[Segment<'t>]) -> Vec<String> {
        let texts = segments.iter().filter(|s| s.name == "NTE").flat_map(|nte| nte.field(3).repetitions());
        texts.map(|text| line(&text.text())).filter(|text| !text.is_empty()).collect()
    }
}

/// Whether a field of these segments has one of these values, in any repetition.
fn has(segments: &[Segment<'_>], field: &Field, values: &[String]) -> bool {
    segments.iter().filter(|s| s.name == field.segment).any(|segment| {
        segment
            .field(field.field)
            .repetitions()
            .any(|value| values.contains(&value.component(field.component).text()))
    })
}
