//! AllergyIntolerance from ADT^A60 (ADT-61): the patient's whole list. IAM with the NTE after it.

use super::Resources;
use super::condition::{headed, parts_unique};
use super::source::{Source, Triplet, coded, coded_text, component, place};
use crate::clins::make::frame::{Entry, Frame};
use crate::clins::make::ids::derived;
use crate::clins::make::json::Object;
use crate::clins::make::options::{Flag, named};
use crate::clins::make::parts::{self, coding, concept, meta};
use crate::clins::make::said::{LeftOutReason, NotMade, NotMadeKey, Notes, Step, UnmappedKey, WarningKey};
use crate::clins::make::systems::{code, profile};
use crate::clins::make::text::line;
use crate::clins::make::time::Stamp;
use crate::wire::hl7v2::Segment;

/// `AllergyIntolerance.category`; none is その他 as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Category {
    Medication,
    Food,
    Environment,
    None,
}

impl Category {
    /// HL7 table 0127. Animals are `biologic` in the published map, which the service does not use.
    fn of(code: &str) -> Option<Category> {
        match code {
            "DA" => Some(Category::Medication),
            "FA" => Some(Category::Food),
            "EA" | "PA" | "LA" | "AA" => Some(Category::Environment),
            "MA" | "MC" => Some(Category::None),
            _ => None,
        }
    }

    fn code(self) -> Option<&'static str> {
        match self {
            Category::Medication => Some("medication"),
            Category::Food => Some("food"),
            Category::Environment => Some("environment"),
            Category::None => None,
        }
    }
}

/// An allergen in a national code.
struct Allergen {
    system: &'static str,
    code: String,
    display: String,
    /// What its code says it is.
    category: Category,
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
    for (iam, segments) in allergies(source) {
        let Some((resource, key)) = one(source, &iam, &segments, to, notes)? else { continue };
        let base = format!("{}-ALG-{pid}-{key}", source.context.institution.number);
        if seen.contains(&resource) && identifiers.contains(&base) {
            let name = coded_text(iam.field(3)).unwrap_or_default();
            notes.left_out(LeftOutReason::Duplicate, place(&iam, 3), name);
            continue;
        }
        seen.push(resource.clone());
        let name = parts_unique(&base, &identifiers);
        let uuid = frame.uuid("AllergyIntolerance", &name);
        identifiers.push(name.clone());
        entries.push(Entry {
            full_url: frame.full_url("AllergyIntolerance", &name),
            resource: headed("AllergyIntolerance", &uuid, &name, resource),
        });
    }
    Ok(Resources { entries, corrects: false })
}

fn allergies<'t>(source: &Source<'_, 't>) -> Vec<(Segment<'t>, Vec<Segment<'t>>)> {
    let mut all: Vec<(Segment<'t>, Vec<Segment<'t>>)> = vec![];
    for segment in &source.message.segments {
        match (segment.name, all.last_mut()) {
            ("IAM", _) => all.push((*segment, vec![*segment])),
            (_, Some((_, segments))) => segments.push(*segment),
            _ => {}
        }
    }
    all
}

fn one(
    source: &Source<'_, '_>,
    iam: &Segment<'_>,
    segments: &[Segment<'_>],
    to: &str,
    notes: &mut Notes,
) -> Step<Option<(Object, String)>> {
    let options = source.context.options;
    let text = coded_text(iam.field(3));
    let shown = text.clone().unwrap_or_default();
    if iam.field(6).component(1).text() == "D" {
        notes.left_out(LeftOutReason::Deleted, place(iam, 6), shown);
        return Ok(None);
    }
    let (clinical, verification) = match iam.field(17).component(1).text().as_str() {
        "" => ("active", None),
        "C" => ("active", Some(("confirmed", "Confirmed"))),
        "I" => ("inactive", Some(("confirmed", "Confirmed"))),
        // Pending, suspect, doubted: nobody has confirmed it.
        "U" | "P" | "S" | "D" => ("active", Some(("unconfirmed", "Unconfirmed"))),
        "E" => {
            notes.left_out(LeftOutReason::EnteredInError, place(iam, 17), shown);
            return Ok(None);
        }
        other => {
            notes.unmapped(UnmappedKey::UnknownCode, component(iam, 17, 1, 1), other);
            ("active", None)
        }
    };
    let Some(text) = text.filter(|t| !t.is_empty()) else {
        return Err(NotMade::new(NotMadeKey::NoAllergen, place(iam, 3), iam.field(3).component(1).text()));
    };
    if options.no_allergy.iter().any(|none| line(none) == text) {
        notes.left_out(LeftOutReason::NoAllergy, place(iam, 3), shown);
        return Ok(None);
    }
    // Whoever confirmed it (IAM-18) asserts it; without one, the reporter does.
    let by_patient = iam.field(18).is_hollow()
        && coded(iam.field(15))
            .iter()
            .any(|t| named(&options.self_reported, &t.code) || named(&options.self_reported, &t.text));
    if by_patient && !options.keep_patient_asserted {
        notes.left_out(LeftOutReason::PatientAsserted, place(iam, 15), shown);
        return Ok(None);
    }
    let flags = source.flags(segments);
    if flags.iter().any(|f| *f != Flag::LongTerm) {
        notes.left_out(LeftOutReason::FlagNotAllowed, place(iam, 3), shown);
        return Ok(None);
    }
    let said = iam.field(2).component(1).text();
    let category = Category::of(&said).unwrap_or_else(|| {
        if !said.is_empty() {
            notes.unmapped(UnmappedKey::UnknownCode, component(iam, 2, 1, 1), said.as_str());
        }
        Category::None
    });
    let allergen = allergen(source, iam, &text, notes);
    let category = match (&allergen, category) {
        // Kinds that say nothing are what the code says.
        (Some(found), Category::None) => found.category,
        (Some(found), said) => {
            if found.category != said && !(found.category == Category::Environment && said == Category::None)
            {
                notes.warn(WarningKey::CategoryDiffers, place(iam, 2), found.code.as_str());
            }
            said
        }
        (None, said) => said,
    };
    let allergen = allergen.unwrap_or_else(|| dummy(category));
    let criticality = match (category, iam.field(4).component(1).text().as_str()) {
        // R2011: medicines are sent as high.
        (Category::Medication, _) | (_, "SV") => Some("high"),
        (_, "MI") => Some("low"),
        (_, "" | "MO" | "U") => None,
        (_, other) => {
            notes.unmapped(UnmappedKey::UnknownCode, component(iam, 4, 1, 1), other);
            None
        }
    };
    let kind = match iam.field(9).component(1).text().as_str() {
        "AL" => Some("allergy"),
        "IN" => Some("intolerance"),
        "" => None,
        other => {
            notes.unmapped(UnmappedKey::UnknownCode, component(iam, 9, 1, 1), other);
            None
        }
    };
    let reactions: Vec<String> =
        iam.field(5).repetitions().map(|r| line(&r.text())).filter(|t| !t.is_empty()).collect();
    let reaction = (!reactions.is_empty()).then(|| {
        Object::new().list("manifestation", reactions.iter().map(|text| concept(vec![], Some(text))))
    });
    let onset = source.time(iam, 11, notes);
    let onset_text = iam.field(12).filled().map(|t| line(&t)).filter(|_| onset.is_none());
    if onset.is_some()
        && let Some(text) = iam.field(12).filled()
    {
        notes.unmapped(UnmappedKey::NotCarried, component(iam, 12, 1, 1), text);
    }
    let recorded = source.time(iam, 13, notes);
    let encounter = source.encounter(None, notes);
    let department = source.department(&[(source.message.segment("PV1"), 10)], notes);
    let institution = &source.context.institution.number;
    let key = match iam.field(7).component(1).filled() {
        Some(key) => key,
        None => {
            notes.warn(WarningKey::NoLocalKey, place(iam, 7), "");
            derived(&[&allergen.code, &text])
        }
    };
    let extensions = [Some(parts::institution(institution)), department.map(|d| d.extension())];
    let display_of = |code: &str| match code {
        "active" => "Active",
        _ => "Inactive",
    };
    let resource = Object::new()
        .set("meta", meta(profile::ALLERGY, &source.updated, &flags))
        .list("contained", encounter.as_ref().map(|e| e.contained()))
        .list("extension", extensions.into_iter().flatten())
        .set("clinicalStatus", parts::coded(code::ALLERGY_CLINICAL, clinical, Some(display_of(clinical))))
        .opt(
            "verificationStatus",
            verification.map(|(c, display)| parts::coded(code::ALLERGY_VERIFICATION, c, Some(display))),
        )
        .opt("type", kind)
        .list("category", category.code())
        .opt("criticality", criticality)
        .set(
            "code",
            concept(vec![coding(allergen.system, &allergen.code, Some(&allergen.display))], Some(&text)),
        )
        .set("patient", parts::reference(to))
        .opt("encounter", encounter.map(|_| parts::reference("#enc1")))
        .opt("onsetDateTime", onset.as_ref().map(Stamp::date_time))
        .opt("onsetString", onset_text)
        .opt("recordedDate", recorded.as_ref().map(Stamp::date_time))
        .list("note", source.notes_of(segments).into_iter().map(|text| Object::new().set("text", text)))
        .list("reaction", reaction);
    Ok(Some((resource, key)))
}

/// The code that says its allergen cannot be coded: the text carries it.
fn dummy(category: Category) -> Allergen {
    let (system, code) = match category {
        Category::Medication => (code::ALLERGEN_BRAND, "D9M000000000"),
        Category::Food => (code::ALLERGEN_FOOD, "D9F000000000"),
        Category::Environment | Category::None => (code::ALLERGEN_OTHER, "D9N000000000"),
    };
    Allergen { system, code: code.to_owned(), display: "コード指定不可".to_owned(), category }
}

/// IAM-3 in a national code, if either of its triplets is one.
fn allergen(source: &Source<'_, '_>, iam: &Segment<'_>, text: &str, notes: &mut Notes) -> Option<Allergen> {
    let mut refused = None;
    for (i, triplet) in coded(iam.field(3)).into_iter().enumerate() {
        if triplet.code.is_empty() {
            continue;
        }
        match national(source, &triplet, text) {
            Ok(Some(found)) => return Some(found),
            Ok(None) => refused = refused.or(Some((UnmappedKey::UnknownSystem, i, triplet.code))),
            Err(key) => refused = Some((key, i, triplet.code)),
        }
    }
    if let Some((key, i, code)) = refused {
        notes.unmapped(key, component(iam, 3, 1, 1 + 3 * i), code);
    }
    None
}

/// YJ or HOT9 → `YCM`, 一般名 → `GCM`, J-FAGY as it is. `None`: another code system.
fn national(source: &Source<'_, '_>, triplet: &Triplet, text: &str) -> Result<Option<Allergen>, UnmappedKey> {
    let (systems, masters) = (&source.context.options.systems, source.context.masters);
    let named_by = |name: Option<&str>| match (name, triplet.text.is_empty()) {
        (Some(name), _) => name.to_owned(),
        (None, false) => triplet.text.clone(),
        (None, true) => text.to_owned(),
    };
    let code = triplet.code.as_str();
    let medicine = |system: &'static str, prefix: &str, code: &str, name: Option<&str>| Allergen {
        system,
        code: format!("{prefix}{code}"),
        display: named_by(name),
        category: Category::Medication,
    };
    if named(&systems.yj, &triplet.system) || named(&systems.hot9, &triplet.system) {
        let yj = match named(&systems.hot9, &triplet.system) {
            true => masters.yj_of(code).ok_or(UnmappedKey::UnknownCode)?,
            false => code,
        };
        return match (is_yj(yj), is_general(yj)) {
            (true, _) => Ok(Some(medicine(code::ALLERGEN_BRAND, "YCM", yj, masters.medicine(yj)))),
            (_, true) => Ok(Some(medicine(code::ALLERGEN_GENERAL, "GCM", yj, masters.general_name(yj)))),
            _ => Err(UnmappedKey::BadForm),
        };
    }
    if named(&systems.general_name, &triplet.system) {
        return match is_general(code) {
            true => Ok(Some(medicine(code::ALLERGEN_GENERAL, "GCM", code, masters.general_name(code)))),
            false => Err(UnmappedKey::BadForm),
        };
    }
    if !named(&systems.jfagy, &triplet.system) {
        return Ok(None);
    }
    let (system, category, rest) = match code.get(..3) {
        Some("J9F" | "D9F") => (code::ALLERGEN_FOOD, Category::Food, code.get(3..)),
        Some("J9N" | "D9N") => (code::ALLERGEN_OTHER, Category::Environment, code.get(3..)),
        Some("YCM") => (code::ALLERGEN_BRAND, Category::Medication, code.get(3..).filter(|c| is_yj(c))),
        Some("GCM") => {
            (code::ALLERGEN_GENERAL, Category::Medication, code.get(3..).filter(|c| is_general(c)))
        }
        _ => return Err(UnmappedKey::BadForm),
    };
    let form = rest.is_some_and(|r| r.len() >= 9 && r.bytes().all(|b| b.is_ascii_alphanumeric()));
    match form {
        true => Ok(Some(Allergen {
            system,
            code: code.to_owned(),
            display: named_by(masters.jfagy(code)),
            category,
        })),
        false => Err(UnmappedKey::BadForm),
    }
}

/// 12 characters: seven digits, a letter, four digits.
pub fn is_yj(code: &str) -> bool {
    let bytes = code.as_bytes();
    bytes.len() == 12
        && bytes
            .iter()
            .enumerate()
            .all(|(i, b)| if i == 7 { b.is_ascii_uppercase() } else { b.is_ascii_digit() })
}

/// Nine characters of a YJ code and `ZZZ`.
pub fn is_general(code: &str) -> bool {
    let Some(head) = code.strip_suffix("ZZZ") else { return false };
    let bytes = head.as_bytes();
    bytes.len() == 9
        && bytes
            .iter()
            .enumerate()
            .all(|(i, b)| if i == 7 { b.is_ascii_uppercase() } else { b.is_ascii_digit() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_their_forms() {
        assert!(is_yj("1141007F1063") && is_general("2260701F1ZZZ"));
        for bad in ["", "1141007F106", "11410070F1063", "1141007f1063", "2260701F1ZZZZ", "ZZZ"] {
            assert!(!is_yj(bad) && !is_general(bad), "{bad}");
        }
    }
}
