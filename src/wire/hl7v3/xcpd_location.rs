//! ITI-56 Patient Location Query (trial): where else a patient is known (`urn:ihe:iti:xcpd:2009`, ITI TF-2 3.56), both
//! ways. Its ids are II of HL7 v3.

use roxmltree::Node;

use super::{Ii, attr};
use crate::model::identity::{Authority, Field, Place, SentId};
use crate::model::ids::{HomeCommunityId, is_oid};
use crate::model::namespace::NS_XCPD;
use crate::wire::xml::{XmlWriter, tree};

pub const REQUEST: &str = "PatientLocationQueryRequest";
pub const RESPONSE: &str = "PatientLocationQueryResponse";

/// Places of an answer that are read, at most.
const MOST: usize = 1000;

/// Where a patient is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    pub home: HomeCommunityId,
    /// As it is known there.
    pub corresponding: Ii,
    /// As it was asked for.
    pub requested: Ii,
}

/// Reads a request; the error is a sentence about what is not as it should be.
pub fn read(node: Node<'_, '_>) -> Result<SentId, String> {
    let id = tree::child(node, NS_XCPD, "RequestedPatientId")
        .ok_or_else(|| format!("RequestedPatientId is missing from {REQUEST} (ITI TF-2 3.56.4.1.2)"))?;
    if tree::elements(node).count() > 1 {
        return Err(format!("{REQUEST} holds more than one RequestedPatientId"));
    }
    let ii = ii(id).ok_or("RequestedPatientId has no root that is an OID, or no extension")?;
    Ok(SentId {
        value: ii.extension.unwrap_or_default(),
        authority: Authority::oid(ii.root.unwrap_or_default()),
        place: Place::of(Field::QueriedIdentifier),
        ..SentId::default()
    })
}

fn ii(node: Node<'_, '_>) -> Option<Ii> {
    let root = attr(node, "root").filter(|root| is_oid(root))?;
    let extension = attr(node, "extension").filter(|e| e.chars().count() <= super::datatypes::ID)?;
    Some(Ii::with(root, extension))
}

pub fn write_request(w: &mut XmlWriter<'static>, id: &Ii) {
    w.open("xcpd:PatientLocationQueryRequest").attr("xmlns:xcpd", NS_XCPD);
    id.write(w, "xcpd:RequestedPatientId");
    w.close();
}

/// Writes an answer. The schema wants one place at least.
pub fn write(w: &mut XmlWriter<'static>, locations: &[Location]) {
    w.open("xcpd:PatientLocationQueryResponse").attr("xmlns:xcpd", NS_XCPD);
    for at in locations {
        w.open("xcpd:PatientLocationResponse");
        w.leaf("xcpd:HomeCommunityId", &at.home.to_string());
        at.corresponding.write(w, "xcpd:CorrespondingPatientId");
        at.requested.write(w, "xcpd:RequestedPatientId");
        w.close();
    }
    w.close();
}

/// Reads an answer; the error is a sentence about what is not as it should be.
pub fn read_answer(node: Node<'_, '_>) -> Result<Vec<Location>, String> {
    if !tree::is(node, NS_XCPD, RESPONSE) {
        return Err(format!("the answer is '{}', not {RESPONSE}", node.tag_name().name()));
    }
    let mut locations = vec![];
    for at in tree::children(node, NS_XCPD, "PatientLocationResponse") {
        if locations.len() == MOST {
            return Err(format!("more than {MOST} places in one answer"));
        }
        let part = |name: &str| tree::child(at, NS_XCPD, name);
        let home = part("HomeCommunityId")
            .and_then(|home| HomeCommunityId::parse(tree::text_of(home).trim()))
            .ok_or("a place has no HomeCommunityId of the form urn:oid:…")?;
        let corresponding = part("CorrespondingPatientId")
            .and_then(ii)
            .ok_or("a place has no CorrespondingPatientId with root and extension")?;
        let requested = part("RequestedPatientId")
            .and_then(ii)
            .ok_or("a place has no RequestedPatientId with root and extension")?;
        locations.push(Location { home, corresponding, requested });
    }
    Ok(locations)
}
