//! HL7 v3 messages of the MPI and of gateways, the payload of ITI-44 to ITI-47 and ITI-55: transmission wrapper, control act and what is in
//! it, both ways. ITI TF-2 3.44 to 3.47 and Appendix O; schemas of the 2008 normative edition.
//!
//! A message is read by name, held against [`shape`] (what may stand where, how often), and every problem is
//! kept with the XPath of its element, so that one answer names all. What is answered is written in the order of
//! the schemas, whatever order the question had.

pub mod ack;
mod datatypes;
mod echo;
pub mod feed;
pub mod pdq;
mod person;
pub mod pix;
mod problem;
mod query;
mod shape;
pub mod transmission;
pub mod xcpd;
pub mod xcpd_answer;
pub mod xcpd_location;

pub use datatypes::Ii;
pub use problem::{Paths, Problem, code};
pub use query::{Asked, QueryAck, Totals};
pub use transmission::{Device, Header, Own};

use roxmltree::Node;

use crate::model::identity::Warning;
use crate::model::namespace::NS_HL7V3;
use crate::wire::xml::tree;

/// The code system of interaction and trigger event ids.
pub const INTERACTIONS: &str = "2.16.840.1.113883.1.6";

/// A message that is answered with an application error.
#[derive(Clone, PartialEq, Eq)]
pub struct Refused {
    pub header: Header,
    pub problems: Vec<Problem>,
    /// Of a question: its id and its parameters, as far as they could be read.
    pub query: Option<Asked>,
}

impl std::fmt::Debug for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Refused({:?})", self.problems)
    }
}

/// Why a message cannot even be answered in its own language: nothing names it.
pub type Unanswerable = String;

/// How a message is read, where it is not [`Unanswerable`].
pub type Reading<T> = Result<Result<T, Box<Refused>>, Unanswerable>;

/// The first child element of this name.
fn child<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    tree::child(node, NS_HL7V3, name)
}

/// The child elements of this name.
fn children<'a, 'i>(node: Node<'a, 'i>, name: &'a str) -> impl Iterator<Item = Node<'a, 'i>> + 'a
where
    'i: 'a,
{
    tree::children(node, NS_HL7V3, name)
}

/// The element at the end of a path of first children.
fn descend<'a, 'i>(node: Node<'a, 'i>, path: &[&str]) -> Option<Node<'a, 'i>> {
    path.iter().try_fold(node, |node, name| child(node, name))
}

/// An attribute that says something.
fn attr<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    tree::attr(node, name).map(str::trim).filter(|value| !value.is_empty())
}

/// What is found while a message is read.
pub(crate) struct Findings<'a, 'i> {
    message: Node<'a, 'i>,
    problems: Vec<Problem>,
    warnings: Vec<Warning>,
    paths: Paths,
}

/// Problems told of one message; who sends more has learnt enough.
const MOST_PROBLEMS: usize = 20;

impl<'a, 'i> Findings<'a, 'i> {
    fn new(message: Node<'a, 'i>) -> Self {
        Self { message, problems: vec![], warnings: vec![], paths: Paths::new(message.tag_name().name()) }
    }

    fn problem(&mut self, code: &'static str, at: Node<'a, 'i>, text: impl Into<String>) {
        if self.problems.len() < MOST_PROBLEMS {
            let location = self.path(at);
            self.problems.push(Problem::error(code, text, location));
        }
    }

    /// XPath of an element from the message on.
    fn path(&self, at: Node<'a, 'i>) -> String {
        problem::path(self.message, at)
    }
}

#[cfg(test)]
mod tests;
