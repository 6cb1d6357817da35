//! `MCCI_IN000002UV01`: the acknowledgement of a feed, of a notification, of a cancel (ITI TF-2 3.44.4.2, O.1).

use std::fmt;

use roxmltree::Node;

use super::problem::{self, Problem};
use super::transmission::{self, Header, Own};
use super::{Ii, attr, child, descend};
pub use crate::model::hl7tables::Ack;
use crate::model::namespace::NS_HL7V3;
use crate::wire::xml::{XmlWriter, tree};

pub const INTERACTION: &str = "MCCI_IN000002UV01";

/// An acknowledgement as it was read.
#[derive(Clone, PartialEq, Eq)]
pub struct Acknowledgement {
    pub ack: Ack,
    /// As sent: `AA`, `CA` …
    pub code: String,
    /// The message acknowledged.
    pub target: Ii,
    pub details: Vec<Problem>,
}

impl fmt::Debug for Acknowledgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Acknowledgement({}, {:?})", self.code, self.details)
    }
}

/// Writes the answer to `header`.
pub fn write(w: &mut XmlWriter<'static>, header: &Header, own: &Own, ack: Ack, details: &[Problem]) {
    transmission::open_answer(w, INTERACTION, header, own);
    transmission::acknowledge(w, ack.code(), header, details);
    w.close();
}

/// Reads one; the error is a sentence about what is not as it should be.
pub fn read(node: Node<'_, '_>) -> Result<Acknowledgement, String> {
    if !tree::is(node, NS_HL7V3, INTERACTION) {
        return Err(format!("the answer is '{}', not {INTERACTION}", node.tag_name().name()));
    }
    of(node)
}

/// The acknowledgement in the wrapper of any answer.
pub(super) fn of(message: Node<'_, '_>) -> Result<Acknowledgement, String> {
    let node = child(message, "acknowledgement").ok_or("the answer holds no acknowledgement")?;
    let code = child(node, "typeCode").and_then(|c| attr(c, "code")).unwrap_or_default();
    let ack = Ack::of(code).ok_or_else(|| format!("acknowledgement/typeCode '{code}' is unknown"))?;
    let target = descend(node, &["targetMessage", "id"]).map(Ii::read).unwrap_or_default();
    Ok(Acknowledgement { ack, code: code.to_owned(), target, details: problem::read(node) })
}
