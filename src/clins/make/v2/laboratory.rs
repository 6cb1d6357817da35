//! Observation from OUL^R22 (OML-11): one report is one unit. SPM, then OBR with its ORC and its OBX, each with NTE.

use super::Resources;
use super::condition::{headed, parts_unique};
use super::source::{Source, Triplet, coded, component, place};
use super::value::{self, Absent};
use crate::clins::make::frame::{Entry, Frame};
use crate::clins::make::json::Object;
use crate::clins::make::masters::{LabKind, Masters};
use crate::clins::make::options::{Flag, named};
use crate::clins::make::parts::{self, coding, concept, identifier, meta};
use crate::clins::make::said::{LeftOutReason, NotMade, NotMadeKey, Notes, Step, UnmappedKey, WarningKey};
use crate::clins::make::systems::{code, id, profile};
use crate::clins::make::time::Stamp;
use crate::wire::hl7v2::Segment;

/// A result and where it stands.
struct Reported<'t> {
    obx: Segment<'t>,
    spm: Option<Segment<'t>>,
    obr: Option<Segment<'t>>,
    orc: Option<Segment<'t>>,
    /// The OBX and the NTE after it.
    segments: Vec<Segment<'t>>,
}

/// The item: its codings and names.
struct Item {
    /// With the specimen's code, as it is sent.
    local: String,
    text: String,
    codings: Vec<Object>,
    listed: bool,
}

struct Specimen {
    code: Option<String>,
    text: Option<String>,
}

/// Institution and order or report number (national-service.md §9).
pub fn lineage(source: &Source<'_, '_>) -> Step<String> {
    let of = |name: &str, field: usize| {
        source.message.all(name).find_map(|segment| segment.field(field).component(1).filled())
    };
    let order = of("ORC", 2).or_else(|| of("OBR", 2));
    let report = of("OBR", 3);
    match (order, report) {
        (None, None) => Err(NotMade::new(NotMadeKey::NoReportNumber, "OBR[1]-2", "")),
        (order, report) => {
            Ok(format!("laboratory:{}:{}", order.unwrap_or_default(), report.unwrap_or_default()))
        }
    }
}

/// The results, and whether one of them is of a listed item.
pub fn read(
    source: &Source<'_, '_>,
    frame: &Frame,
    pid: &str,
    to: &str,
    notes: &mut Notes,
) -> Step<(Resources, bool)> {
    let mut entries: Vec<Entry> = vec![];
    let mut identifiers: Vec<String> = vec![];
    let (mut listed, mut corrects) = (false, false);
    for result in results(source, notes) {
        let shown = super::source::coded_text(result.obx.field(3)).unwrap_or_default();
        let Some((status, absent)) = status(&result.obx, &shown, notes) else { continue };
        let flags = source.flags(&result.segments);
        if flags.iter().any(|f| *f != Flag::LongTerm) {
            notes.left_out(LeftOutReason::FlagNotAllowed, place(&result.obx, 3), shown);
            continue;
        }
        corrects |= status == "corrected";
        let (resource, item) = one(source, &result, status, absent, &flags, to, notes)?;
        listed |= item.listed;
        let order = order_number(&result).unwrap_or_default();
        let sub = result.obx.field(4).component(1).text();
        let parts = [order.as_str(), &item.local, &sub];
        let key: Vec<&str> = parts.into_iter().filter(|p| !p.is_empty()).collect();
        let base = format!("{}-LAB-{pid}-{}", source.context.institution.number, key.join("-"));
        let name = parts_unique(&base, &identifiers);
        identifiers.push(name.clone());
        let uuid = frame.uuid("Observation", &name);
        entries.push(Entry {
            full_url: frame.full_url("Observation", &name),
            resource: headed("Observation", &uuid, &name, resource),
        });
    }
    Ok((Resources { entries, corrects }, listed))
}

/// The results of the message with their specimen and order. ORC stands before its OBR or after it.
fn results<'t>(source: &Source<'_, 't>, notes: &mut Notes) -> Vec<Reported<'t>> {
    let mut results: Vec<Reported<'t>> = vec![];
    let (mut spm, mut obr, mut orc, mut pending) = (None, None, None, None);
    let mut last = "";
    for segment in &source.message.segments {
        match segment.name {
            "SPM" => {
                spm = Some(*segment);
                (obr, orc, pending) = (None, None, None);
            }
            "ORC" if obr.is_some() && orc.is_none() && last == "OBR" => orc = Some(*segment),
            "ORC" => pending = Some(*segment),
            "OBR" => {
                obr = Some(*segment);
                orc = pending.take();
            }
            "OBX" if obr.is_none() => {
                // Results of the specimen itself belong to no report.
                notes.unmapped(UnmappedKey::NoRow, place(segment, 3), segment.field(3).text());
            }
            "OBX" => results.push(Reported { obx: *segment, spm, obr, orc, segments: vec![*segment] }),
            "NTE" if matches!(last, "OBX" | "NTE") => {
                if let Some(result) = results.last_mut() {
                    result.segments.push(*segment);
                }
            }
            "NTE" => notes.unmapped(UnmappedKey::NoRow, place(segment, 3), segment.field(3).text()),
            _ => {}
        }
        // Notes after notes belong to the same.
        if segment.name != "NTE" || last != "OBX" {
            last = segment.name;
        }
    }
    results
}

/// OBX-11 (HL7 table 0085): status, and why there is no value. `None`: left out, and said.
fn status(obx: &Segment<'_>, shown: &str, notes: &mut Notes) -> Option<(&'static str, Option<Absent>)> {
    let text = obx.field(11).component(1).text();
    let reason = match text.as_str() {
        "F" | "U" => return Some(("final", None)),
        "C" => return Some(("corrected", None)),
        "X" => return Some(("final", Some(Absent::Unknown))),
        "N" => return Some(("final", Some(Absent::NotAsked))),
        "" => {
            notes.warn(WarningKey::StatusAssumed, place(obx, 11), "");
            return Some(("final", None));
        }
        "P" | "I" | "R" | "S" => LeftOutReason::NotFinal,
        "D" | "W" => LeftOutReason::ResultDeleted,
        "O" => LeftOutReason::NoResult,
        _ => {
            notes.unmapped(UnmappedKey::UnknownCode, component(obx, 11, 1, 1), text);
            LeftOutReason::StatusUnknown
        }
    };
    notes.left_out(reason, place(obx, 11), shown);
    None
}

fn order_number(result: &Reported<'_>) -> Option<String> {
    let of = |segment: Option<Segment<'_>>, field: usize| segment?.field(field).component(1).filled();
    of(result.orc, 2).or_else(|| of(result.obr, 2)).or_else(|| of(result.obr, 3))
}

fn one(
    source: &Source<'_, '_>,
    result: &Reported<'_>,
    status: &'static str,
    absent: Option<Absent>,
    flags: &[Flag],
    to: &str,
    notes: &mut Notes,
) -> Step<(Object, Item)> {
    let obx = &result.obx;
    let specimen = specimen(source, result, notes);
    let item = item(source, obx, specimen.as_ref().and_then(|s| s.code.as_deref()), notes)?;
    // The material is part of a JLAC10 code: where no SPM says it, that does.
    let specimen = match specimen {
        Some(specimen) => specimen,
        None => jlac10_of(source, obx, None)
            .and_then(|(code, _)| code.get(9..12).map(str::to_owned))
            .map(|code| Specimen { text: Masters::material(&code).map(str::to_owned), code: Some(code) })
            .ok_or_else(|| NotMade::new(NotMadeKey::NoSpecimen, "SPM[1]-4", item.local.as_str()))?,
    };
    let doctor = source.doctor(&[(result.obr, 16), (result.orc, 12)], notes);
    let Some(doctor) = doctor else {
        let at = result.obr.as_ref().map_or_else(|| "OBR[1]-16".to_owned(), |obr| place(obr, 16));
        return Err(NotMade::new(NotMadeKey::NoPerformer, at, ""));
    };
    let order_type = result.orc.map(|orc| (orc, 29));
    let Some(encounter) = source.encounter(order_type, notes) else {
        return Err(NotMade::new(NotMadeKey::NoEncounterClass, "PV1[1]-2", ""));
    };
    let pv1 = source.message.segment("PV1");
    let Some(department) = source.department(&[(result.orc, 17), (pv1, 10)], notes) else {
        return Err(NotMade::new(NotMadeKey::NoDepartment, "ORC[1]-17", ""));
    };
    let collected = result.spm.and_then(|spm| source.time(&spm, 17, notes));
    let observed = source.time(obx, 14, notes);
    let requested = result.obr.and_then(|obr| source.time(&obr, 7, notes));
    let Some(effective) = collected.clone().or(observed).or(requested) else {
        return Err(NotMade::new(NotMadeKey::NoTime, place(obx, 14), item.local.as_str()));
    };
    let issued = result.obr.and_then(|obr| {
        let stamp = source.time(&obr, 22, notes)?;
        if stamp.instant().is_none() {
            notes.unmapped(UnmappedKey::NotPrecise, place(&obr, 22), obr.field(22).component(1).text());
        }
        stamp.instant()
    });
    let institution = &source.context.institution.number;
    let order = order(result, to);
    let contained = [
        Some(encounter.contained()),
        Some(doctor.contained(institution)),
        Some(specimen_resource(&specimen, collected.as_ref())),
        order.clone(),
    ];
    let named_specimen = specimen.text.as_deref();
    let resource = Object::new()
        .set("meta", meta(profile::OBSERVATION, &source.updated, flags))
        .list("contained", contained.into_iter().flatten())
        .list("extension", [parts::institution(institution), department.extension()])
        .opt(
            "basedOn",
            order.map(|_| crate::clins::make::json::Json::List(vec![parts::reference("#ord1").into()])),
        )
        .set("status", status)
        .one("category", parts::coded(code::OBSERVATION_CATEGORY, "laboratory", None))
        .set("code", concept(item.codings.clone(), Some(&item.text)))
        .set("subject", parts::reference(to))
        .set("encounter", parts::reference("#enc1"))
        .set("effectiveDateTime", effective.date_time())
        .opt("issued", issued)
        .one("performer", parts::reference("#dr1").set("type", "Practitioner"));
    let resource = value::add(resource, source, obx, absent, notes)
        .list("interpretation", value::interpretations(obx, notes))
        .list(
            "note",
            source.notes_of(&result.segments).into_iter().map(|text| Object::new().set("text", text)),
        )
        .set("specimen", parts::reference("#sp1").set("type", "Specimen").opt("display", named_specimen))
        .list("referenceRange", value::reference_range(obx));
    Ok((resource, item))
}

/// OBX-3: the institution's own code, then the listed or general JLAC10 code, or the code that says there is none.
fn item(source: &Source<'_, '_>, obx: &Segment<'_>, specimen: Option<&str>, notes: &mut Notes) -> Step<Item> {
    let (options, masters) = (source.context.options, source.context.masters);
    let [first, second] = coded(obx.field(3));
    let is_jlac = |t: &Triplet| named(&options.systems.jlac10, &t.system);
    let jlac = jlac10_of(source, obx, specimen);
    let is_jlac11 = |t: &Triplet| named(&options.systems.jlac11, &t.system);
    let both = [&first, &second];
    let own = both.into_iter().find(|t| !t.code.is_empty() && !is_jlac(t) && !is_jlac11(t)).cloned();
    for (i, t) in both.into_iter().enumerate().filter(|(_, t)| is_jlac11(t)) {
        // The published JLAC11 code systems hold JLAC10 codes: there is none to send a JLAC11 code in.
        notes.unmapped(UnmappedKey::UnknownSystem, component(obx, 3, 1, 1 + 3 * i), t.code.as_str());
    }
    let own = match own {
        Some(own) => own,
        None => {
            let only = [&first, &second].into_iter().find(|t| !t.code.is_empty()).cloned();
            let Some(only) = only else {
                return Err(NotMade::new(NotMadeKey::NoItemCode, place(obx, 3), first.text));
            };
            notes.warn(WarningKey::LocalIsJlac10, place(obx, 3), only.code.as_str());
            only
        }
    };
    let texts = [&own.text, &first.text, &second.text];
    let Some(text) = texts.into_iter().find(|t| !t.is_empty()).cloned() else {
        return Err(NotMade::new(NotMadeKey::NoItemName, place(obx, 3), own.code));
    };
    let local = match specimen {
        Some(specimen) if options.local_code_with_specimen && !is_jlac(&own) => {
            format!("{}_{specimen}", own.code)
        }
        _ => own.code.clone(),
    };
    let mut codings = vec![coding(code::LAB_LOCAL, &local, Some(&text))];
    let mut listed = false;
    match &jlac {
        Some((code_of, name)) => match masters.lab_item(code_of) {
            Some(item) => {
                listed = true;
                let system = match item.kind {
                    LabKind::Core => code::LAB_CORE,
                    LabKind::Infection => code::LAB_INFECTION,
                };
                codings.push(coding(system, code_of, Some(&item.display)));
            }
            None => codings.push(coding(code::LAB_JLAC10, code_of, Some(name.as_deref().unwrap_or(&text)))),
        },
        None => {
            for (i, t) in [&first, &second].into_iter().enumerate() {
                if is_jlac(t) && !t.code.is_empty() {
                    notes.unmapped(UnmappedKey::BadForm, component(obx, 3, 1, 1 + 3 * i), t.code.as_str());
                }
            }
            codings.push(coding(code::LAB_UNCODED, "99999999999999999", Some("未標準化コード項目(JLAC)")));
        }
    }
    Ok(Item { local, text, codings, listed })
}

/// The JLAC10 code of an item and its name: in OBX-3, else by the institution's own code in `lab-local.csv`.
fn jlac10_of(
    source: &Source<'_, '_>,
    obx: &Segment<'_>,
    specimen: Option<&str>,
) -> Option<(String, Option<String>)> {
    let (options, masters) = (source.context.options, source.context.masters);
    let triplets = coded(obx.field(3));
    let said = triplets.iter().filter(|t| named(&options.systems.jlac10, &t.system)).find_map(|t| {
        let name = Some(t.text.clone()).filter(|n| !n.is_empty());
        jlac10(&t.code).map(|code| (code, name))
    });
    said.or_else(|| {
        let found = triplets.iter().find_map(|t| masters.lab_local(&t.code, specimen.unwrap_or_default()))?;
        jlac10(found).map(|code| (code, None))
    })
}

/// 17 digits and letters, hyphens between the parts taken out.
pub fn jlac10(text: &str) -> Option<String> {
    let code: String = text.chars().filter(|c| *c != '-').collect();
    let form = code.len() == 17 && code.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase());
    form.then_some(code)
}

/// SPM-4. Its code is sent where it is one of JLAC10's material codes.
fn specimen(source: &Source<'_, '_>, result: &Reported<'_>, notes: &mut Notes) -> Option<Specimen> {
    let spm = result.spm?;
    let triplets = coded(spm.field(4));
    let options = source.context.options;
    let is_material = |t: &&Triplet| {
        let form = t.code.len() == 3 && t.code.bytes().all(|b| b.is_ascii_alphanumeric());
        form && named(&options.systems.jlac10, &t.system)
    };
    let code = triplets.iter().find(is_material).map(|t| t.code.clone());
    let text = triplets.iter().map(|t| &t.text).find(|t| !t.is_empty()).cloned();
    let text = text.or_else(|| code.as_deref().and_then(Masters::material).map(str::to_owned));
    if code.is_none()
        && let Some(first) = triplets.iter().find(|t| !t.code.is_empty())
    {
        notes.unmapped(UnmappedKey::UnknownSystem, component(&spm, 4, 1, 1), first.code.as_str());
    }
    (code.is_some() || text.is_some()).then_some(Specimen { code, text })
}

fn specimen_resource(specimen: &Specimen, collected: Option<&Stamp>) -> Object {
    let text = specimen.text.as_deref();
    let codings = specimen.code.iter().map(|c| coding(code::SPECIMEN, c, text)).collect();
    let collection = collected.map(|at| Object::new().set("collectedDateTime", at.date_time()));
    Object::resource("Specimen")
        .set("id", "sp1")
        .set("meta", Object::new().one("profile", profile::CONTAINED_SPECIMEN))
        .set("type", concept(codings, text))
        .opt("collection", collection)
}

/// The order the result answers. Its state is ORC-5's, or unknown.
fn order(result: &Reported<'_>, to: &str) -> Option<Object> {
    let of = |segment: Option<Segment<'_>>, field: usize| segment?.field(field).component(1).filled();
    let number = of(result.orc, 2).or_else(|| of(result.obr, 2))?;
    let status = match of(result.orc, 5).as_deref() {
        Some("CM") => "completed",
        Some("CA" | "DC") => "revoked",
        Some("HD") => "on-hold",
        Some("A" | "IP" | "SC") => "active",
        _ => "unknown",
    };
    let panel = result.obr.and_then(|obr| super::source::coded_text(obr.field(4)));
    Some(
        Object::resource("ServiceRequest")
            .set("id", "ord1")
            .set("meta", Object::new().one("profile", profile::CONTAINED_ORDER))
            .one("identifier", identifier(id::RESOURCE, &number))
            .set("status", status)
            .set("intent", "order")
            .set("code", concept(vec![], panel.as_deref()))
            .set("subject", parts::reference(to)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jlac10_codes_have_seventeen_characters() {
        assert_eq!(jlac10("3H015-0000-023-261-01").as_deref(), Some("3H015000002326101"));
        for bad in ["3H0150000023261", "3h015000002326101", "", "3H015000002326101x"] {
            assert_eq!(jlac10(bad), None, "{bad}");
        }
    }
}
