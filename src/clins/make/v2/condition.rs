//! Condition from PPR^ZD1 (PPR-01): one file is the patient's whole list. PRB with the ZPR, ORC and NTE after it.

use super::Resources;
use super::source::{Source, Triplet, coded, coded_text, component, place};
use crate::clins::make::Kind;
use crate::clins::make::frame::{Entry, Frame};
use crate::clins::make::ids::derived;
use crate::clins::make::json::{Json, Object};
use crate::clins::make::options::{Flag, Options, Undelivered, named};
use crate::clins::make::parts::{self, coding, concept, identifier, meta};
use crate::clins::make::said::{LeftOutReason, NotMade, NotMadeKey, Notes, Step, UnmappedKey, WarningKey};
use crate::clins::make::systems::{code, extension, id, profile};
use crate::clins::make::time::Stamp;
use crate::wire::hl7v2::{Segment, Value};

/// Kept after their end (national-service.md §2.1).
const YEARS_KEPT: i16 = 5;

/// PRB and what belongs to it.
struct Problem<'t> {
    prb: Segment<'t>,
    /// With the PRB itself, up to the next.
    segments: Vec<Segment<'t>>,
}

impl<'t> Problem<'t> {
    fn segment(&self, name: &str) -> Option<Segment<'t>> {
        self.segments.iter().find(|s| s.name == name).copied()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Prefix,
    Postfix,
}

#[derive(Clone)]
struct Modifier {
    side: Side,
    key: String,
    exchange: Option<String>,
    name: String,
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
    let mut seen: Vec<Object> = vec![];
    for problem in problems(source) {
        let Some((resource, key)) = one(source, &problem, to, frame.kind, notes)? else { continue };
        let base = format!("{}-COND-{pid}-{key}", source.context.institution.number);
        if seen.contains(&resource) && identifiers.contains(&base) {
            let name = coded_text(problem.prb.field(3)).unwrap_or_default();
            notes.left_out(LeftOutReason::Duplicate, place(&problem.prb, 3), name);
            continue;
        }
        seen.push(resource.clone());
        let name = parts_unique(&base, &identifiers);
        let uuid = frame.uuid("Condition", &name);
        identifiers.push(name.clone());
        entries.push(Entry {
            full_url: frame.full_url("Condition", &name),
            resource: headed("Condition", &uuid, &name, resource),
        });
    }
    Ok(Resources { entries, corrects: false })
}

/// A resource with its id and identifier in front of the rest.
pub(super) fn headed(kind: &'static str, uuid: &str, name: &str, rest: Object) -> Object {
    rest.before(Object::resource(kind).set("id", uuid)).set_after(
        "extension",
        "identifier",
        Json::List(vec![identifier(id::RESOURCE, name).into()]),
    )
}

/// `name`, or with a number behind it where it is taken.
pub(super) fn parts_unique(name: &str, taken: &[String]) -> String {
    if !taken.iter().any(|t| t == name) {
        return name.to_owned();
    }
    let mut n = 2;
    loop {
        let numbered = format!("{name}-{n}");
        if !taken.contains(&numbered) {
            return numbered;
        }
        n += 1;
    }
}

fn problems<'t>(source: &Source<'_, 't>) -> Vec<Problem<'t>> {
    let mut problems: Vec<Problem<'t>> = vec![];
    for segment in &source.message.segments {
        match (segment.name, problems.last_mut()) {
            ("PRB", _) => problems.push(Problem { prb: *segment, segments: vec![*segment] }),
            (_, Some(problem)) => problem.segments.push(*segment),
            _ => {}
        }
    }
    problems
}

/// The resource without its id and identifier, and its key. `None`: left out, and said.
fn one(
    source: &Source<'_, '_>,
    problem: &Problem<'_>,
    to: &str,
    kind: Kind,
    notes: &mut Notes,
) -> Step<Option<(Object, String)>> {
    let (options, prb) = (source.context.options, &problem.prb);
    let name = coded_text(prb.field(3));
    let shown = name.clone().unwrap_or_default();
    if prb.field(1).text() == "DE" {
        notes.left_out(LeftOutReason::Deleted, place(prb, 1), shown);
        return Ok(None);
    }
    let ended = source.time(prb, 9, notes);
    let outcome = outcome(prb, options, notes);
    let ended = ended.or_else(|| outcome.and_then(|_| source.time(prb, 15, notes)));
    if ended.as_ref().is_some_and(|end| end.older_than(YEARS_KEPT, source.context.now)) {
        notes.left_out(LeftOutReason::EndedLongAgo, place(prb, 9), shown);
        return Ok(None);
    }
    let zpr = problem.segment("ZPR");
    let suspected = match verification(prb, options, notes) {
        Verification::Unknown => {
            notes.left_out(LeftOutReason::VerificationUnknown, place(prb, 13), shown);
            return Ok(None);
        }
        Verification::Suspected => true,
        Verification::Confirmed => is_suspicion(zpr.as_ref(), &shown, options),
    };
    if suspected && !options.keep_unconfirmed {
        notes.left_out(LeftOutReason::Unconfirmed, place(prb, 13), shown);
        return Ok(None);
    }
    let flags = source.flags(&problem.segments);
    if flags.contains(&Flag::Undelivered) {
        if options.undelivered == Undelivered::Drop {
            notes.left_out(LeftOutReason::Undelivered, place(prb, 3), shown);
            return Ok(None);
        }
        if matches!(kind, Kind::Referral | Kind::Discharge) {
            notes.warn(WarningKey::UndeliveredInLetter, place(prb, 3), shown.as_str());
        }
    }
    let modifiers = modifiers(source, zpr.as_ref(), notes)?;
    let (code, key_number) = disease(source, prb, zpr.as_ref(), name.as_deref(), &modifiers, notes)?;
    let onset = source.time(prb, 16, notes).or_else(|| source.time(prb, 7, notes));
    let Some(onset) = onset else { return Err(NotMade::new(NotMadeKey::NoOnset, place(prb, 16), shown)) };
    let recorded = source.time(prb, 7, notes);
    let orc = problem.segment("ORC").or_else(|| source.message.segment("ORC"));
    let Some(encounter) = source.encounter(orc.map(|orc| (orc, 29)), notes) else {
        return Err(NotMade::new(NotMadeKey::NoEncounterClass, "PV1[1]-2", ""));
    };
    let pv1 = source.message.segment("PV1");
    let Some(department) = source.department(&[(orc, 17), (pv1, 10)], notes) else {
        return Err(NotMade::new(NotMadeKey::NoDepartment, place(prb, 3), shown));
    };
    let recorder = source.doctor(&[(orc, 12), (pv1, 7)], notes);
    let institution = &source.context.institution.number;
    let principal = source.marked(&problem.segments, options.principal.as_ref());
    if !principal {
        unmarked(prb, options, notes);
    }
    let clinical = match (&ended, outcome) {
        (Some(_), Some(true)) => ("resolved", "Resolved"),
        (Some(_), _) | (None, Some(false)) => ("inactive", "Inactive"),
        // Healed, and no date: it is over, but since when is not said.
        (None, Some(true)) => ("resolved", "Resolved"),
        (None, None) => ("active", "Active"),
    };
    let verification = if suspected { ("unconfirmed", "Unconfirmed") } else { ("confirmed", "Confirmed") };
    let key = match prb.field(4).component(1).filled() {
        Some(key) => key,
        None => {
            notes.warn(WarningKey::NoLocalKey, place(prb, 4), "");
            let modifiers: Vec<&str> = modifiers.iter().map(|m| m.key.as_str()).collect();
            derived(&[&key_number, &modifiers.join(","), &onset.date_time()])
        }
    };
    let main = principal.then(|| {
        Object::new()
            .set("url", extension::DIAGNOSIS_TYPE)
            .set("valueCodeableConcept", parts::coded(code::DIAGNOSIS_TYPE, "principal", Some("主病名")))
    });
    let contained = [Some(encounter.contained()), recorder.as_ref().map(|d| d.contained(institution))];
    let extensions = [Some(parts::institution(institution)), Some(department.extension()), main];
    let comments = source.notes_of(&problem.segments).into_iter();
    let comments =
        comments.chain(zpr.and_then(|zpr| zpr.field(7).filled()).map(|c| crate::clins::make::text::line(&c)));
    let resource = Object::new()
        .set("meta", meta(profile::CONDITION, &source.updated, &flags))
        .list("contained", contained.into_iter().flatten())
        .list("extension", extensions.into_iter().flatten())
        .set("clinicalStatus", parts::coded(code::CONDITION_CLINICAL, clinical.0, Some(clinical.1)))
        .set(
            "verificationStatus",
            parts::coded(code::CONDITION_VERIFICATION, verification.0, Some(verification.1)),
        )
        .one(
            "category",
            parts::coded(code::CONDITION_CATEGORY, "encounter-diagnosis", Some("Encounter Diagnosis")),
        )
        .set("code", code)
        .set("subject", parts::reference(to))
        .set("encounter", parts::reference("#enc1"))
        .set("onsetDateTime", onset.date_time())
        .opt("abatementDateTime", ended.as_ref().map(Stamp::date_time))
        .opt("recordedDate", recorded.as_ref().map(Stamp::date_time))
        .opt("recorder", recorder.map(|_| parts::reference("#dr1")))
        .list("note", comments.map(|text| Object::new().set("text", text)));
    Ok(Some((resource, key)))
}

/// 病名管理番号 and 修飾語管理番号: eight digits.
pub fn is_number(code: &str) -> bool {
    code.len() == 8 && code.bytes().all(|b| b.is_ascii_digit())
}

/// 交換用コード: four letters and digits.
fn is_exchange_code(code: &str) -> bool {
    code.len() == 4 && code.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase())
}

enum Verification {
    Confirmed,
    Suspected,
    Unknown,
}

/// PRB-13. A site that leaves it empty lists its diagnoses, and suspicion shows in the name.
fn verification(prb: &Segment<'_>, options: &Options, notes: &mut Notes) -> Verification {
    let value = prb.field(13);
    let said: Vec<String> = texts(value);
    if said.is_empty() {
        return Verification::Confirmed;
    }
    // A value that is in both tables is a suspicion.
    if said.iter().any(|v| named(&options.suspected, v)) {
        Verification::Suspected
    } else if said.iter().any(|v| named(&options.confirmed, v)) {
        Verification::Confirmed
    } else {
        notes.unmapped(UnmappedKey::UnknownCode, component(prb, 13, 1, 1), value.component(1).text());
        Verification::Unknown
    }
}

/// PRB-14: `Some(true)` healed or better, `Some(false)` ended otherwise.
fn outcome(prb: &Segment<'_>, options: &Options, notes: &mut Notes) -> Option<bool> {
    let value = prb.field(14);
    let said = texts(value);
    if said.iter().any(|v| named(&options.resolved, v)) {
        return Some(true);
    }
    if said.iter().any(|v| named(&options.ended, v)) {
        return Some(false);
    }
    if let Some(first) = said.first() {
        notes.unmapped(UnmappedKey::UnknownCode, component(prb, 14, 1, 1), first.as_str());
    }
    None
}

/// Codes and names of a CWE.
fn texts(value: Value<'_>) -> Vec<String> {
    let parts = coded(value).into_iter().flat_map(|t| [t.code, t.text]);
    parts.filter(|text| !text.is_empty()).collect()
}

/// の疑い: by the modifier, or by the name as displayed.
fn is_suspicion(zpr: Option<&Segment<'_>>, name: &str, options: &Options) -> bool {
    let by_modifier = zpr.is_some_and(|zpr| {
        [3, 6].iter().flat_map(|field| zpr.field(*field).repetitions()).any(|value| {
            coded(value)
                .iter()
                .any(|t| named(&options.suspected_modifiers, &t.code) || t.text.ends_with("疑い"))
        })
    });
    by_modifier || name.ends_with("疑い") || name.ends_with("(疑)") || name.ends_with("（疑）")
}

/// What the field of the principal diagnosis says besides, where the site's rule does not know it.
fn unmarked(prb: &Segment<'_>, options: &Options, notes: &mut Notes) {
    if options.principal.is_none()
        && let Some(text) = prb.field(10).component(1).filled()
    {
        notes.unmapped(UnmappedKey::UnknownCode, component(prb, 10, 1, 1), text);
    }
}

/// ZPR-1 and ZPR-3 with ZPR-4 and ZPR-6 beside them, in order.
fn modifiers(source: &Source<'_, '_>, zpr: Option<&Segment<'_>>, notes: &mut Notes) -> Step<Vec<Modifier>> {
    let masters = source.context.masters;
    let mut all = vec![];
    let Some(zpr) = zpr else { return Ok(all) };
    for (side, keys, exchanges) in [(Side::Prefix, 1, 4), (Side::Postfix, 3, 6)] {
        let exchange_of: Vec<[Triplet; 2]> = zpr.field(exchanges).repetitions().map(coded).collect();
        let key_of: Vec<[Triplet; 2]> = zpr.field(keys).repetitions().map(coded).collect();
        for i in 0..exchange_of.len().max(key_of.len()) {
            let [key, _] = key_of.get(i).cloned().unwrap_or_default();
            let [exchange, _] = exchange_of.get(i).cloned().unwrap_or_default();
            if key.is_empty() && exchange.is_empty() {
                continue;
            }
            let number = match is_number(&key.code) {
                true => key.code.clone(),
                false => match masters.modifier_of(&exchange.code) {
                    Some(number) => number.to_owned(),
                    None => {
                        // Without its number the profile takes no modifier; the name keeps it.
                        let (field, code) = match key.code.is_empty() {
                            true => (exchanges, exchange.code),
                            false => (keys, key.code),
                        };
                        notes.unmapped(UnmappedKey::UnknownCode, component(zpr, field, i + 1, 1), code);
                        continue;
                    }
                },
            };
            let known = masters.modifier(&number);
            let names = [key.text, exchange.text, known.map(|k| k.name.clone()).unwrap_or_default()];
            let Some(name) = names.into_iter().find(|n| !n.is_empty()) else {
                return Err(NotMade::new(NotMadeKey::NoModifierName, component(zpr, keys, i + 1, 2), number));
            };
            let exchange = Some(exchange.code).filter(|c| is_exchange_code(c));
            all.push(Modifier { side, key: number, exchange, name });
        }
    }
    Ok(all)
}

/// Condition.code, and the 病名管理番号 in it.
fn disease(
    source: &Source<'_, '_>,
    prb: &Segment<'_>,
    zpr: Option<&Segment<'_>>,
    name: Option<&str>,
    modifiers: &[Modifier],
    notes: &mut Notes,
) -> Step<(Object, String)> {
    let masters = source.context.masters;
    let triplet = |field: usize| zpr.map(|zpr| coded(zpr.field(field))[0].clone()).unwrap_or_default();
    let (key, exchange) = (triplet(2), triplet(5));
    let [problem, _] = coded(prb.field(3));
    let exchange_code = [&exchange.code, &problem.code].into_iter().find(|c| !c.is_empty()).cloned();
    let number = match is_number(&key.code) {
        true => key.code.clone(),
        false => {
            if !key.code.is_empty()
                && let Some(zpr) = zpr
            {
                notes.unmapped(UnmappedKey::BadForm, component(zpr, 2, 1, 1), key.code.as_str());
            }
            let found = exchange_code.as_deref().and_then(|c| masters.disease_of(c));
            let Some(found) = found else {
                let at = zpr.map_or_else(|| place(prb, 3), |zpr| place(zpr, 2));
                return Err(NotMade::new(NotMadeKey::NoDiseaseKey, at, exchange_code.unwrap_or_default()));
            };
            notes.warn(WarningKey::KeyLookedUp, place(prb, 3), found.key.as_str());
            found.key.clone()
        }
    };
    let known = masters.disease(&number);
    if known.is_none() && masters.has_diseases() {
        notes.warn(WarningKey::KeyNotInMaster, place(prb, 3), number.as_str());
    }
    // The name of the disease itself: the master's, the key's own, or what is left of the whole name.
    let bare = name.map(|name| {
        let mut rest = name;
        for modifier in modifiers {
            rest = match modifier.side {
                Side::Prefix => rest.strip_prefix(modifier.name.as_str()).unwrap_or(rest),
                Side::Postfix => rest,
            };
        }
        for modifier in modifiers.iter().rev().filter(|m| m.side == Side::Postfix) {
            rest = rest.strip_suffix(modifier.name.as_str()).unwrap_or(rest);
        }
        rest.to_owned()
    });
    let displays = [known.map(|d| d.name.clone()), Some(key.text), bare];
    let display = displays.into_iter().flatten().find(|d| !d.is_empty());
    let Some(display) = display else {
        return Err(NotMade::new(NotMadeKey::NoDiseaseName, place(prb, 3), number));
    };
    let text = match name {
        Some(name) => name.to_owned(),
        None => {
            let side = |side: Side| modifiers.iter().filter(move |m| m.side == side).map(|m| m.name.as_str());
            side(Side::Prefix).chain([display.as_str()]).chain(side(Side::Postfix)).collect()
        }
    };
    // An exchange code of PRB-3 is one only where the master says so.
    let is_exchange =
        |code: &&String| is_exchange_code(&exchange.code) || known.is_some_and(|d| d.exchange == **code);
    let exchange_coding = exchange_code.as_ref().filter(is_exchange);
    let icd10 = known.filter(|d| !d.icd10.is_empty() && !d.icd10_name.is_empty());
    let codings = [
        Some(coding(code::DISEASE_KEY, &number, Some(&display))),
        exchange_coding.map(|c| coding(code::DISEASE_EXCHANGE, c, Some(&display))),
        icd10.map(|d| coding(code::ICD10, &d.icd10, Some(&d.icd10_name))),
    ];
    let concept_of = concept(codings.into_iter().flatten().collect(), Some(&text));
    let extensions = modifiers.iter().map(|m| {
        let url = if m.side == Side::Prefix { extension::PREFIX } else { extension::POSTFIX };
        let codings = [
            m.exchange.as_ref().map(|c| coding(code::MODIFIER_EXCHANGE, c, Some(&m.name))),
            Some(coding(code::MODIFIER_KEY, &m.key, Some(&m.name))),
        ];
        Object::new()
            .set("url", url)
            .set("valueCodeableConcept", concept(codings.into_iter().flatten().collect(), None))
    });
    let with = Object::new().list("extension", extensions);
    Ok((concept_of.before(with), number))
}
