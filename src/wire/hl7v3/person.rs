//! `patientPerson` both ways: what a feed says of a patient, and what an answer says of one (`PRPA_MT201301UV02`,
//! `PRPA_MT201310UV02`).

use roxmltree::Node;

use super::datatypes::{
    CE, Ii, write_address, write_flag, write_name, write_number, write_phone, write_time,
};
use super::problem::code;
use super::shape::{self, OTHER_IDS, PERSON};
use super::{Findings, attr, child, children, descend};
use crate::model::error::clip;
use crate::model::identity::{Demographics, Field, Sent, SentId, Update};
use crate::wire::xml::XmlWriter;

/// Identifiers of one message at most.
pub const MOST_IDS: usize = 100;

/// Repetitions of a name, an address or a telephone at most.
const MOST: usize = 100;

/// `personalRelationship/code` of a mother, in RoleCode (2.16.840.1.113883.5.111).
const MOTHER: &str = "MTH";

/// An id as an element holds it. `None`: none, or one that is null, which is never an id. Without root or authority
/// it is of `scope`, the organization whose ids stand there.
pub(super) fn id<'a, 'i>(
    findings: &mut Findings<'a, 'i>,
    node: Node<'a, 'i>,
    field: Field,
    scope: Option<&Ii>,
) -> Option<SentId> {
    let ii = findings.ii(node);
    let value = ii.extension.clone()?;
    let mut authority = ii.authority();
    if authority.is_empty()
        && let Some(scope) = scope
    {
        authority = scope.authority();
    }
    let path = findings.path(node);
    let place = findings.paths.note(field, path);
    Some(SentId { value, authority, type_code: None, place })
}

/// The ids of a patient: of `Patient/id`, whose scope is `providerOrganization`, then of `asOtherIDs`.
pub(super) fn ids<'a, 'i>(findings: &mut Findings<'a, 'i>, patient: Node<'a, 'i>) -> Vec<SentId> {
    let provider = descend(patient, &["providerOrganization", "id"]).map(Ii::read);
    let mut nodes: Vec<(Node<'a, 'i>, Option<Ii>)> =
        children(patient, "id").map(|node| (node, provider.clone())).collect();
    for other in children(patient, "patientPerson").flat_map(|person| children(person, "asOtherIDs")) {
        shape::check(findings, other, OTHER_IDS);
        let scope = descend(other, &["scopingOrganization", "id"]).map(Ii::read);
        nodes.extend(children(other, "id").map(|node| (node, scope.clone())));
    }
    if let Some((node, _)) = nodes.get(MOST_IDS) {
        findings.problem(code::SEQUENCE, *node, format!("more than {MOST_IDS} identifiers of one patient"));
        nodes.truncate(MOST_IDS);
    }
    nodes
        .into_iter()
        .filter_map(|(node, scope)| id(findings, node, Field::Identifier, scope.as_ref()))
        .collect()
}

/// What is said of the patient beside the ids.
pub(super) fn sent<'a, 'i>(findings: &mut Findings<'a, 'i>, person: Node<'a, 'i>) -> Sent {
    shape::check(findings, person, PERSON);
    let mother = children(person, "personalRelationship")
        .find(|r| child(*r, "code").and_then(|c| attr(c, "code")) == Some(MOTHER));
    Sent {
        names: list(findings, person, "name", Findings::name),
        birth_date: one(findings, person, "birthTime", |f, n| f.time(n, super::datatypes::TS, true)),
        sex: one(findings, person, "administrativeGenderCode", sex),
        addresses: list(findings, person, "addr", Findings::address),
        phones: list(findings, person, "telecom", Findings::phone),
        insurances: Update::Keep,
        mother_maiden_name: mother
            .and_then(|m| descend(m, &["relationshipHolder1", "name"]))
            .and_then(|name| findings.name(name))
            .map_or(Update::Keep, Update::Set),
        mother_id: mother
            .and_then(|m| descend(m, &["relationshipHolder1", "id"]).or_else(|| child(m, "id")))
            .and_then(|id| cx(&Ii::read(id)))
            .map_or(Update::Keep, Update::Set),
        multiple_birth: one(findings, person, "multipleBirthInd", Findings::boolean),
        birth_order: one(findings, person, "multipleBirthOrderNumber", |f, n| {
            let number = f.number(n)?;
            match i64::try_from(number).ok().filter(|n| (1..=99).contains(n)) {
                Some(order) => Some(order),
                None => {
                    f.problem(code::DATA_TYPE, n, format!("'{number}' is no order of birth"));
                    None
                }
            }
        }),
        account: Update::Keep,
        deceased: deceased(findings, person),
        unknown: Update::Keep,
        updated: Update::Keep,
    }
}

/// What is not said leaves what is known; `updateMode="D"` deletes (`PRPA_MT201302UV02`).
fn deleted(node: Node<'_, '_>) -> bool {
    attr(node, "updateMode") == Some("D")
}

fn one<'a, 'i, T>(
    findings: &mut Findings<'a, 'i>,
    person: Node<'a, 'i>,
    name: &str,
    read: impl FnOnce(&mut Findings<'a, 'i>, Node<'a, 'i>) -> Option<T>,
) -> Update<T> {
    match child(person, name) {
        Some(node) if deleted(node) => Update::Delete,
        Some(node) => read(findings, node).map_or(Update::Keep, Update::Set),
        None => Update::Keep,
    }
}

fn list<'a, 'i, T>(
    findings: &mut Findings<'a, 'i>,
    person: Node<'a, 'i>,
    name: &str,
    mut read: impl FnMut(&mut Findings<'a, 'i>, Node<'a, 'i>) -> Option<T>,
) -> Update<Vec<T>> {
    let nodes: Vec<Node<'a, 'i>> = person
        .children()
        .filter(|n| crate::wire::xml::tree::is(*n, crate::model::namespace::NS_HL7V3, name))
        .collect();
    if let Some(node) = nodes.get(MOST) {
        findings.problem(code::SEQUENCE, *node, format!("{name} stands more than {MOST} times"));
    }
    let values: Vec<T> =
        nodes.iter().take(MOST).filter(|n| !deleted(**n)).filter_map(|n| read(findings, *n)).collect();
    match (values.is_empty(), nodes.iter().any(|n| deleted(*n))) {
        (false, _) => Update::Set(values),
        (true, true) => Update::Delete,
        (true, false) => Update::Keep,
    }
}

/// AdministrativeGender (2.16.840.1.113883.5.1) in table 0001, whose other codes senders put there too.
pub(super) fn sex<'a, 'i>(findings: &mut Findings<'a, 'i>, node: Node<'a, 'i>) -> Option<String> {
    findings.typed(node, CE);
    match attr(node, "code")? {
        "UN" => Some("O".to_owned()),
        known @ ("M" | "F" | "O" | "U" | "A" | "N") => Some(known.to_owned()),
        other => {
            let text = format!("'{}' is not in AdministrativeGender (M F UN)", clip(other));
            findings.problem(code::TABLE_VALUE, node, text);
            None
        }
    }
}

fn deceased<'a, 'i>(findings: &mut Findings<'a, 'i>, person: Node<'a, 'i>) -> Update<String> {
    let when = one(findings, person, "deceasedTime", |f, n| f.time(n, super::datatypes::TS, true));
    match (one(findings, person, "deceasedInd", Findings::boolean), when) {
        (Update::Set(false) | Update::Delete, _) => Update::Delete,
        (_, Update::Set(when)) => Update::Set(when),
        (Update::Set(true), _) => Update::Set(String::new()),
        (Update::Keep, when) => when,
    }
}

/// An id as CX text, as the contract carries ids of other people.
pub(super) fn cx(ii: &Ii) -> Option<String> {
    let plain = |text: &str| !text.contains(['^', '&', '~', '|', '\\']);
    let extension = ii.extension.as_deref().filter(|e| plain(e))?;
    Some(match &ii.root {
        Some(root) if plain(root) => format!("{extension}^^^&{root}&ISO"),
        _ => extension.to_owned(),
    })
}

/// What of a patient's ids stands in `Patient/id`: those of the first domain. The others are `asOtherIDs`.
fn scoped(ids: &[Ii]) -> (Vec<&Ii>, Vec<&Ii>) {
    let first = ids.first().and_then(|id| id.root.as_ref());
    ids.iter().partition(|id| id.root.as_ref() == first)
}

/// Names where there are any; the schema demands one.
fn write_names(w: &mut XmlWriter<'static>, of: &Demographics) {
    let names = of.names.as_deref().unwrap_or_default();
    for name in names {
        write_name(w, "name", name);
    }
    if names.is_empty() {
        w.empty("name", &[("nullFlavor", "NA")]);
    }
}

/// How much of a patient is told.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// Ids and names: ITI-45, ITI-46.
    Ids,
    /// Everything: ITI-44, ITI-47.
    Whole,
}

/// Writes `patient`, from its ids to its `providerOrganization`, and leaves it open. `without`: domains asked for
/// in which it has no id (ITI TF-2 3.47.4.2.2.3).
pub(super) fn open_patient(
    w: &mut XmlWriter<'static>,
    ids: &[Ii],
    without: &[String],
    of: &Demographics,
    extent: Extent,
) {
    let (own, others) = scoped(ids);
    w.open("patient").attr("classCode", "PAT");
    if own.is_empty() {
        w.empty("id", &[("nullFlavor", "NA")]);
    }
    for id in &own {
        id.write(w, "id");
    }
    w.empty("statusCode", &[("code", "active")]);
    w.open("patientPerson").attr("classCode", "PSN").attr("determinerCode", "INSTANCE");
    write_names(w, of);
    if extent == Extent::Whole {
        particulars(w, of);
    }
    for id in others {
        other_id(w, id, id.root.as_deref());
    }
    for domain in without {
        other_id(w, &Ii::default(), Some(domain));
    }
    if extent == Extent::Whole
        && let Some(name) = &of.mother_maiden_name
    {
        w.open("personalRelationship").attr("classCode", "PRS");
        w.empty("code", &[("code", MOTHER), ("codeSystem", "2.16.840.1.113883.5.111")]);
        w.open("relationshipHolder1").attr("classCode", "PSN").attr("determinerCode", "INSTANCE");
        write_name(w, "name", name);
        w.close().close();
    }
    w.close();
    w.open("providerOrganization").attr("classCode", "ORG").attr("determinerCode", "INSTANCE");
    match own.first().and_then(|id| id.root.as_deref()) {
        Some(root) => w.empty("id", &[("root", root)]),
        None => w.empty("id", &[("nullFlavor", "NA")]),
    };
    w.empty("contactParty", &[("classCode", "CON")]);
    w.close();
}

/// How well a patient fits, 0 to 100 (ITI TF-2 3.47.4.2.2.2).
pub(super) fn write_score(w: &mut XmlWriter<'static>, score: u8) {
    w.open("subjectOf1").open("queryMatchObservation").attr("classCode", "COND").attr("moodCode", "EVN");
    w.empty("code", &[("code", "IHE_PDQ")]);
    w.open("value").attr("xmlns:xsi", super::datatypes::NS_XSI).attr("xsi:type", "INT");
    w.attr("value", &score.to_string()).close();
    w.close().close();
}

fn other_id(w: &mut XmlWriter<'static>, id: &Ii, scope: Option<&str>) {
    w.open("asOtherIDs").attr("classCode", "PAT");
    match id.is_empty() {
        true => {
            w.empty("id", &[("nullFlavor", "NA")]);
        }
        false => id.write(w, "id"),
    }
    w.open("scopingOrganization").attr("classCode", "ORG").attr("determinerCode", "INSTANCE");
    match scope {
        Some(root) => w.empty("id", &[("root", root)]),
        None => w.empty("id", &[("nullFlavor", "NA")]),
    };
    w.close().close();
}

fn particulars(w: &mut XmlWriter<'static>, of: &Demographics) {
    for phone in of.phones.iter().flatten().filter(|p| !p.number.is_empty()) {
        write_phone(w, "telecom", phone);
    }
    match of.sex.as_deref() {
        Some(code @ ("M" | "F")) => {
            w.empty("administrativeGenderCode", &[("code", code), ("codeSystem", GENDER)]);
        }
        Some("O" | "A" | "N") => {
            w.empty("administrativeGenderCode", &[("code", "UN"), ("codeSystem", GENDER)]);
        }
        Some(_) => {
            w.empty("administrativeGenderCode", &[("nullFlavor", "UNK")]);
        }
        None => {}
    }
    if let Some(date) = &of.birth_date {
        write_time(w, "birthTime", date);
    }
    if let Some(when) = &of.deceased {
        write_flag(w, "deceasedInd", true);
        if !when.is_empty() {
            write_time(w, "deceasedTime", when);
        }
    }
    if let Some(multiple) = of.multiple_birth {
        write_flag(w, "multipleBirthInd", multiple);
    }
    if let Some(order) = of.birth_order.and_then(|n| u64::try_from(n).ok()) {
        write_number(w, "multipleBirthOrderNumber", order);
    }
    for address in of.addresses.iter().flatten() {
        write_address(w, "addr", address);
    }
}

const GENDER: &str = "2.16.840.1.113883.5.1";
