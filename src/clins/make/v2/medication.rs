//! MedicationRequest from RDE^O11 (OMP-01): only inside letters. ORC, then RXE with its TQ1, RXR and NTE.

use super::Resources;
use super::allergy::{is_general, is_yj};
use super::condition::{headed, parts_unique};
use super::source::{Source, Triplet, coded, coded_text, component, place};
use crate::clins::make::frame::{Entry, Frame};
use crate::clins::make::json::{Decimal, Json, Object};
use crate::clins::make::options::{Flag, named};
use crate::clins::make::parts::{self, coding, concept, identifier, meta};
use crate::clins::make::said::{LeftOutReason, NotMade, NotMadeKey, Notes, Step, UnmappedKey, WarningKey};
use crate::clins::make::systems::{code, extension, id, profile};
use crate::clins::make::text::{line, narrow_number};
use crate::clins::make::time::Stamp;
use crate::wire::hl7v2::{Segment, Value};

/// A medicine of an order.
struct Medicine<'t> {
    orc: Option<Segment<'t>>,
    rxe: Segment<'t>,
    tq1: Option<Segment<'t>>,
    rxr: Option<Segment<'t>>,
    segments: Vec<Segment<'t>>,
}

/// An amount and its unit. MERIT-9 has the code, or it stands in words only.
struct Amount {
    number: Decimal,
    unit: String,
    code: Option<String>,
}

impl Amount {
    fn quantity(&self) -> Option<Object> {
        let code = self.code.as_deref()?;
        Some(
            Object::new()
                .set("value", self.number.clone())
                .set("unit", if self.unit.is_empty() { code } else { &self.unit })
                .set("system", code::UNIT_MERIT9)
                .set("code", code),
        )
    }

    fn words(&self) -> String {
        let unit = if self.unit.is_empty() { self.code.as_deref().unwrap_or_default() } else { &self.unit };
        format!("{}{unit}", self.number.as_str())
    }
}

pub fn read(
    source: &Source<'_, '_>,
    frame: &Frame,
    pid: &str,
    to: &str,
    notes: &mut Notes,
) -> Step<Resources> {
    let mut entries: Vec<Entry> = vec![];
    let mut identifiers: Vec<String> = vec![];
    // Rp numbers in the order they appear, each with how many medicines it has.
    let mut groups: Vec<(String, u32)> = vec![];
    for medicine in medicines(source) {
        let name = coded_text(medicine.rxe.field(2)).unwrap_or_default();
        let control = medicine.orc.map(|orc| orc.field(1).text()).unwrap_or_default();
        if matches!(control.as_str(), "CA" | "DC" | "OC" | "OD" | "CR" | "DR") {
            notes.left_out(LeftOutReason::Discontinued, place(&medicine.rxe, 2), name);
            continue;
        }
        let flags = source.flags(&medicine.segments);
        if flags.iter().any(|f| *f != Flag::LongTerm) {
            notes.left_out(LeftOutReason::FlagNotAllowed, place(&medicine.rxe, 2), name);
            continue;
        }
        let rp = rp_number(&medicine, groups.len(), notes);
        let at = match groups.iter().position(|(known, _)| *known == rp) {
            Some(at) => at,
            None => {
                groups.push((rp.clone(), 0));
                groups.len() - 1
            }
        };
        let mut index = 1;
        if let Some((_, count)) = groups.get_mut(at) {
            *count += 1;
            index = *count;
        }
        let order = medicine.orc.and_then(|orc| orc.field(2).component(1).filled()).unwrap_or_default();
        let base = format!("{}-RX-{pid}-{order}-{rp}-{index}", source.context.institution.number);
        let unique = parts_unique(&base, &identifiers);
        identifiers.push(unique.clone());
        let uuid = frame.uuid("MedicationRequest", &unique);
        let numbers = vec![
            identifier(id::RP_NUMBER, &rp).into(),
            identifier(id::RP_INDEX, &index.to_string()).into(),
            identifier(id::RESOURCE, &unique).into(),
        ];
        let resource = one(source, &medicine, &flags, to, notes)?;
        let resource =
            headed("MedicationRequest", &uuid, &unique, resource).replaced("identifier", Json::List(numbers));
        entries.push(Entry { full_url: frame.full_url("MedicationRequest", &unique), resource });
    }
    Ok(Resources { entries, corrects: false })
}

fn medicines<'t>(source: &Source<'_, 't>) -> Vec<Medicine<'t>> {
    let mut all: Vec<Medicine<'t>> = vec![];
    let mut orc = None;
    // TQ1 stands before its RXE in some messages and after it in others.
    let mut early: Option<Segment<'t>> = None;
    for segment in &source.message.segments {
        match (segment.name, all.last_mut()) {
            ("ORC", _) => {
                orc = Some(*segment);
                early = None;
            }
            ("RXE", _) => {
                let tq1 = early.take();
                all.push(Medicine { orc, rxe: *segment, tq1, rxr: None, segments: vec![*segment] });
            }
            ("TQ1", Some(medicine)) if medicine.tq1.is_none() && same(medicine.orc, orc) => {
                medicine.tq1 = Some(*segment)
            }
            ("TQ1", _) => early = Some(*segment),
            ("RXR", Some(medicine)) if medicine.rxr.is_none() => medicine.rxr = Some(*segment),
            (_, Some(medicine)) => medicine.segments.push(*segment),
            _ => {}
        }
    }
    all
}

fn same(a: Option<Segment<'_>>, b: Option<Segment<'_>>) -> bool {
    a.map(|s| s.offset) == b.map(|s| s.offset)
}

/// ORC-4: `order_rp` or `order_rp_medicine`, or the number alone.
fn rp_number(medicine: &Medicine<'_>, before: usize, notes: &mut Notes) -> String {
    let group = medicine.orc.and_then(|orc| orc.field(4).component(1).filled());
    let parts: Vec<&str> = group.as_deref().map(|g| g.split('_').collect()).unwrap_or_default();
    let digits = |text: &str| !text.is_empty() && text.len() <= 5 && text.bytes().all(|b| b.is_ascii_digit());
    let number = match parts[..] {
        [_, rp] | [_, rp, _] if digits(rp) => Some(rp),
        [only] if digits(only) => Some(only),
        _ => None,
    };
    match number.map(|n| n.trim_start_matches('0')) {
        Some(number) if !number.is_empty() => number.to_owned(),
        _ => {
            notes.warn(WarningKey::RpDerived, place(&medicine.rxe, 2), group.unwrap_or_default());
            (before + 1).to_string()
        }
    }
}

fn one(
    source: &Source<'_, '_>,
    medicine: &Medicine<'_>,
    flags: &[Flag],
    to: &str,
    notes: &mut Notes,
) -> Step<Object> {
    let rxe = &medicine.rxe;
    let institution = &source.context.institution.number;
    let medication = medication(source, rxe, notes)?;
    let written =
        source.time(rxe, 32, notes).or_else(|| medicine.orc.and_then(|orc| source.time(&orc, 9, notes)));
    let Some(written) = written else {
        return Err(NotMade::new(NotMadeKey::NoOrderTime, place(rxe, 32), ""));
    };
    let encounter = source.encounter(medicine.orc.map(|orc| (orc, 29)), notes);
    let pv1 = source.message.segment("PV1");
    let department = source.department(&[(medicine.orc, 17), (pv1, 10)], notes);
    let requester = source.doctor(&[(medicine.orc, 12)], notes);
    let contained =
        [encounter.as_ref().map(|e| e.contained()), requester.as_ref().map(|d| d.contained(institution))];
    let extensions = [Some(parts::institution(institution)), department.map(|d| d.extension())];
    let dispensed = amount(source, rxe, 10, 11, notes);
    let days = days(medicine, notes);
    let supply = days.as_ref().map(duration);
    let dispense = Object::new()
        .opt("quantity", dispensed.as_ref().and_then(Amount::quantity))
        .opt("expectedSupplyDuration", supply.clone());
    let dosage = dosage(source, medicine, &written, days.as_ref(), notes)?;
    Ok(Object::new()
        .set("meta", meta(profile::MEDICATION, &source.updated, flags))
        .list("contained", contained.into_iter().flatten())
        .list("extension", extensions.into_iter().flatten())
        .set("status", "completed")
        .set("intent", "order")
        .list("category", categories(source, rxe, notes))
        .set("medicationCodeableConcept", medication)
        .set("subject", parts::reference(to))
        .opt("encounter", encounter.map(|_| parts::reference("#enc1")))
        .set("authoredOn", written.date_time())
        .opt("requester", requester.map(|_| parts::reference("#dr1").set("type", "Practitioner")))
        .list(
            "note",
            source.notes_of(&medicine.segments).into_iter().map(|text| Object::new().set("text", text)),
        )
        .one("dosageInstruction", dosage)
        .set("dispenseRequest", dispense))
}

/// RXE-2 and RXE-31: YJ, by HOT9, 一般名, or the code that says there is none (R3010: exactly one of them).
fn medication(source: &Source<'_, '_>, rxe: &Segment<'_>, notes: &mut Notes) -> Step<Object> {
    let (systems, masters) = (&source.context.options.systems, source.context.masters);
    let triplets: Vec<Triplet> = coded(rxe.field(2)).into_iter().chain(coded(rxe.field(31))).collect();
    let Some(text) = coded_text(rxe.field(2)) else {
        return Err(NotMade::new(
            NotMadeKey::NoMedicineName,
            place(rxe, 2),
            rxe.field(2).component(1).text(),
        ));
    };
    let of = |names: &[String]| triplets.iter().find(|t| !t.code.is_empty() && named(names, &t.system));
    let display = |known: Option<&str>, t: &Triplet| match (known, t.text.is_empty()) {
        (Some(known), _) => known.to_owned(),
        (None, false) => t.text.clone(),
        (None, true) => text.clone(),
    };
    let hot9 = of(&systems.hot9);
    let yj = of(&systems.yj).filter(|t| is_yj(&t.code)).map(|t| (t.code.clone(), t));
    let yj = yj.or_else(|| {
        hot9.and_then(|t| masters.yj_of(&t.code).filter(|c| is_yj(c)).map(|c| (c.to_owned(), t)))
    });
    let general = [&systems.general_name, &systems.yj]
        .into_iter()
        .find_map(|names| of(names).filter(|t| is_general(&t.code)));
    let national = match (&yj, general) {
        (Some((yj, t)), _) => coding(code::YJ, yj, Some(&display(masters.medicine(yj), t))),
        (None, Some(t)) => {
            coding(code::GENERAL_NAME, &t.code, Some(&display(masters.general_name(&t.code), t)))
        }
        (None, None) => {
            if let Some(first) = triplets.iter().find(|t| !t.code.is_empty()) {
                let key = if hot9.is_some() { UnmappedKey::UnknownCode } else { UnmappedKey::UnknownSystem };
                notes.unmapped(key, component(rxe, 2, 1, 1), first.code.as_str());
            }
            coding(code::NOCODED, "NOCODED", Some("標準コードなし"))
        }
    };
    let hot9 = hot9.filter(|t| t.code.len() == 9 && t.code.bytes().all(|b| b.is_ascii_digit()));
    let hot9 = hot9.map(|t| coding(code::HOT9, &t.code, Some(&display(None, t))));
    Ok(concept([Some(national), hot9].into_iter().flatten().collect(), Some(&text)))
}

/// A number and its unit; a unit without MERIT-9 code is said, and the amount stands in words.
fn amount(
    source: &Source<'_, '_>,
    rxe: &Segment<'_>,
    number: usize,
    unit: usize,
    notes: &mut Notes,
) -> Option<Amount> {
    let text = rxe.field(number).component(1).filled()?;
    let Some(number_of) = Decimal::parse(&narrow_number(&text)) else {
        notes.unmapped(UnmappedKey::BadForm, component(rxe, number, 1, 1), text);
        return None;
    };
    let systems = &source.context.options.systems;
    let triplets = coded(rxe.field(unit));
    let name = triplets.iter().map(|t| &t.text).find(|t| !t.is_empty()).cloned().unwrap_or_default();
    let code = triplets
        .iter()
        .find(|t| !t.code.is_empty() && named(&systems.merit9, &t.system))
        .map(|t| t.code.clone());
    let code = code.or_else(|| source.context.masters.unit(&name).map(str::to_owned));
    let first = triplets.iter().map(|t| &t.code).find(|c| !c.is_empty()).cloned().unwrap_or_default();
    let unit_name = if name.is_empty() { first } else { name };
    if code.is_none() {
        notes.unmapped(UnmappedKey::NoUnitCode, component(rxe, unit, 1, 1), unit_name.as_str());
    }
    Some(Amount { number: number_of, unit: unit_name, code })
}

/// TQ1-6 in days.
fn days(medicine: &Medicine<'_>, notes: &mut Notes) -> Option<Decimal> {
    let tq1 = medicine.tq1?;
    let value = tq1.field(6);
    if value.is_hollow() {
        return None;
    }
    let unit = |n: usize| value.component(2).subcomponent(n).text();
    let in_days = [unit(1), unit(2), value.component(3).text()]
        .iter()
        .any(|u| matches!(u.as_str(), "D" | "d" | "日" | "日分"));
    let number = Decimal::parse(&narrow_number(&value.component(1).text()));
    match number.filter(|_| in_days) {
        Some(number) => Some(number),
        None => {
            notes.unmapped(UnmappedKey::BadForm, component(&tq1, 6, 1, 1), value.component(1).text());
            None
        }
    }
}

fn duration(days: &Decimal) -> Object {
    Object::new().set("value", days.clone()).set("unit", "日").set("system", code::UCUM).set("code", "d")
}

/// TQ1-3's first repetition: its code and its words. RPT.1 is a CWE, in subcomponents.
fn usage(value: Value<'_>) -> (String, String, String) {
    let part = |n: usize| line(&value.component(1).subcomponent(n).text());
    (part(1), part(2), part(3))
}

fn dosage(
    source: &Source<'_, '_>,
    medicine: &Medicine<'_>,
    written: &Stamp,
    days: Option<&Decimal>,
    notes: &mut Notes,
) -> Step<Object> {
    let (masters, systems) = (source.context.masters, &source.context.options.systems);
    let rxe = &medicine.rxe;
    let repetitions: Vec<Value<'_>> =
        medicine.tq1.iter().flat_map(|tq1| tq1.field(3).repetitions()).collect();
    let (usage_code, usage_text, usage_system) = repetitions.first().map(|v| usage(*v)).unwrap_or_default();
    let known = masters.usage(&usage_code);
    let instructions = [coded_text(rxe.field(7)), coded_text(rxe.field(21))];
    let words =
        [Some(usage_text.clone()).filter(|t| !t.is_empty()), known.map(line)].into_iter().flatten().next();
    let words = words.or_else(|| instructions.clone().into_iter().flatten().next());
    let Some(words) = words else {
        let at = medicine.tq1.as_ref().map_or_else(|| place(rxe, 7), |tq1| place(tq1, 3));
        return Err(NotMade::new(NotMadeKey::NoUsage, at, usage_code));
    };
    let mut codings = vec![];
    if named(&systems.jami_usage, &usage_system) && !usage_code.is_empty() {
        codings.push(coding(code::USAGE_JAMI, &usage_code, Some(&words)));
    }
    codings.push(match known {
        Some(name) => coding(code::USAGE, &usage_code, Some(name)),
        None => coding(code::USAGE_UNCODED, code::USAGE_DUMMY, Some("ダミー用法コード")),
    });
    if known.is_none()
        && !usage_code.is_empty()
        && let Some(tq1) = &medicine.tq1
    {
        notes.unmapped(UnmappedKey::UnknownCode, component(tq1, 3, 1, 1), usage_code.as_str());
    }
    let dose = amount(source, rxe, 3, 5, notes);
    let more: Vec<String> =
        repetitions.iter().skip(1).map(|v| usage(*v).1).filter(|t| !t.is_empty()).collect();
    let text = [
        Some(words.clone()),
        dose.as_ref().map(|d| format!("1回{}", d.words())),
        days.map(|d| format!("{}日分", d.as_str())),
        Some(more.join(" ")).filter(|t| !t.is_empty()),
    ];
    let text: Vec<String> = text.into_iter().flatten().collect();
    let start = medicine.tq1.and_then(|tq1| source.time(&tq1, 7, notes));
    let end = medicine.tq1.and_then(|tq1| source.time(&tq1, 8, notes));
    let period = Object::new()
        .set("start", start.as_ref().unwrap_or(written).date())
        .opt("end", end.as_ref().map(Stamp::date));
    let strength = parts::coded(code::STRENGTH_TYPE, "1", Some("製剤量"));
    let repeat = days.map(|d| Object::new().set("boundsDuration", duration(d)));
    Ok(Object::new()
        .one("extension", Object::new().set("url", extension::PERIOD_OF_USE).set("valuePeriod", period))
        .set("text", line(&text.join(" ")))
        .set("timing", Object::new().opt("repeat", repeat).set("code", concept(codings, Some(&words))))
        .opt("site", medicine.rxr.and_then(|rxr| coded_text(rxr.field(2))).map(|t| concept(vec![], Some(&t))))
        .opt("route", medicine.rxr.and_then(|rxr| route(source, &rxr)))
        .opt(
            "method",
            medicine.rxr.and_then(|rxr| coded_text(rxr.field(4))).map(|t| concept(vec![], Some(&t))),
        )
        .list(
            "doseAndRate",
            dose.and_then(|d| d.quantity())
                .map(|q| Object::new().set("type", strength).set("doseQuantity", q)),
        ))
}

/// RXR-1: its code where it is one of table 0162.
fn route(source: &Source<'_, '_>, rxr: &Segment<'_>) -> Option<Object> {
    let triplets = coded(rxr.field(1));
    let systems = &source.context.options.systems;
    let code = triplets.iter().find(|t| !t.code.is_empty() && named(&systems.route, &t.system));
    let text = triplets.iter().flat_map(|t| [&t.text, &t.code]).find(|t| !t.is_empty())?;
    let codings = code.map(|t| coding(code::ROUTE, &t.code, Some(t.text.as_str()).filter(|t| !t.is_empty())));
    Some(concept(codings.into_iter().collect(), Some(text)))
}

/// RXE-21: kinds of prescriptions in MERIT-9 codes. Other instructions are words of the dosage.
fn categories(source: &Source<'_, '_>, rxe: &Segment<'_>, notes: &mut Notes) -> Vec<Object> {
    let systems = &source.context.options.systems;
    let mut all = vec![];
    for (i, value) in rxe.field(21).repetitions().enumerate() {
        let [first, _] = coded(value);
        if first.is_empty() {
            continue;
        }
        let text = Some(first.text.as_str()).filter(|t| !t.is_empty());
        match named(&systems.merit9, &first.system) {
            true => all.push(concept(vec![coding(code::CATEGORY_MERIT9, &first.code, text)], text)),
            false => notes.unmapped(UnmappedKey::UnknownSystem, component(rxe, 21, i + 1, 1), first.code),
        }
    }
    all
}
