//! What questions share: their id and parameters, and how an answer acknowledges them (`QueryAck`, ITI TF-2
//! 3.45.4.2.2, 3.47.4.2.2).

use std::fmt;

use roxmltree::Node;

use super::datatypes::{CS, Ii, write_code, write_number};
use super::problem::code;
use super::{Findings, attr, child, descend};
use crate::model::error::clip;
use crate::wire::xml::XmlWriter;

/// A question, as its answer repeats it. `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Asked {
    pub id: Ii,
    /// `queryByParameter`, ready to be written. Empty: it cannot be repeated.
    pub echo: String,
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Asked(…)")
    }
}

/// `queryResponseCode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryAck {
    Found,
    NothingFound,
    Error,
    /// The question is not understood.
    QueryError,
}

impl QueryAck {
    pub fn code(self) -> &'static str {
        match self {
            QueryAck::Found => "OK",
            QueryAck::NothingFound => "NF",
            QueryAck::Error => "AE",
            QueryAck::QueryError => "QE",
        }
    }

    pub(super) fn of(code: &str) -> Option<Self> {
        [Self::Found, Self::NothingFound, Self::Error, Self::QueryError]
            .into_iter()
            .find(|q| q.code() == code)
    }
}

/// How many patients in all, in this answer, and after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    pub total: u64,
    pub current: u64,
    pub remaining: u64,
}

/// `queryAck`, and the question after it.
pub(super) fn write(w: &mut XmlWriter<'static>, asked: &Asked, ack: QueryAck, totals: Option<Totals>) {
    w.open("queryAck");
    if !asked.id.is_empty() {
        asked.id.write(w, "queryId");
    }
    let status =
        if matches!(ack, QueryAck::Error | QueryAck::QueryError) { "aborted" } else { "deliveredResponse" };
    write_code(w, "statusCode", status);
    write_code(w, "queryResponseCode", ack.code());
    if let Some(Totals { total, current, remaining }) = totals {
        write_number(w, "resultTotalQuantity", total);
        write_number(w, "resultCurrentQuantity", current);
        write_number(w, "resultRemainingQuantity", remaining);
    }
    w.close();
    w.raw(&asked.echo);
}

/// `queryId` and the codes that say how the answer is wanted; `deferred`: whether it may come later (`D`).
pub(super) fn asked<'a, 'i>(findings: &mut Findings<'a, 'i>, query: Node<'a, 'i>, deferred: bool) -> Ii {
    let mut id = Ii::default();
    if let Some(node) = child(query, "queryId") {
        id = findings.ii(node);
        if id.root.is_none() {
            findings.problem(
                code::REQUIRED,
                node,
                "queryId has no root; without it no answer can name the question",
            );
        }
    }
    let mut is = |name: &str, only: &str, why: &str| {
        let Some(node) = child(query, name) else { return };
        findings.typed(node, CS);
        let said = attr(node, "code").unwrap_or_default();
        if said != only && !(deferred && is_deferred(query) && name == PRIORITY) {
            let text = format!("{name} '{}' is not {only}: {why}", clip(said));
            findings.problem(code::TABLE_VALUE, node, text);
        }
    };
    is("statusCode", "new", "this is a question");
    is(PRIORITY, "I", "only immediate answers are given");
    is("responseModalityCode", "R", "answers come whole, at once");
    id
}

const PRIORITY: &str = "responsePriorityCode";

/// Whether the answer may come later.
pub(super) fn is_deferred(query: Node<'_, '_>) -> bool {
    child(query, PRIORITY).and_then(|code| attr(code, "code")) == Some("D")
}

/// `queryAck` of an answer: the code, and the totals where they are told.
pub(super) fn read(message: Node<'_, '_>) -> Result<(QueryAck, Option<Totals>), String> {
    let node = descend(message, &["controlActProcess", "queryAck"]).ok_or("the answer holds no queryAck")?;
    let said = child(node, "queryResponseCode").and_then(|c| attr(c, "code")).unwrap_or_default();
    let ack = QueryAck::of(said).ok_or_else(|| format!("queryResponseCode '{said}' is unknown"))?;
    let number = |name| child(node, name).and_then(|n| attr(n, "value")).and_then(|v| v.parse::<u64>().ok());
    let totals = number("resultTotalQuantity").map(|total| Totals {
        total,
        current: number("resultCurrentQuantity").unwrap_or(total),
        remaining: number("resultRemainingQuantity").unwrap_or(0),
    });
    Ok((ack, totals))
}
