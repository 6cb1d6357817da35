//! FHIRPath (normative release 2.0, with what FHIR R4 adds), over JSON as it was written.
//!
//! An [`Expression`] is parsed once and evaluated often. Elements keep their place: a [`value::Node`] is JSON, what stands
//! beside it (`_member`), its type by [`r4`], and the resource it belongs to. Knows nothing of the rest of the program.

pub mod ast;
pub mod decimal;
pub mod equality;
pub mod eval;
pub mod functions;
pub mod json;
mod lexer;
mod operators;
mod parser;
pub mod quantity;
pub mod r4;
pub mod temporal;
pub mod value;
pub mod xhtml;

#[cfg(test)]
mod tests;

pub use eval::{Alone, Context, EvalError, Fault, Surroundings};
pub use json::{Json, JsonError, JsonLimits, Object};
pub use value::{Collection, Item, Node, System};

use std::fmt;

/// An expression, ready to be evaluated.
#[derive(Debug)]
pub struct Expression {
    text: Box<str>,
    ast: ast::Expr,
}

/// Why a text is no expression, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    pub due: &'static str,
    /// Byte offset in the text.
    pub at: usize,
}

impl Expression {
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        Ok(Self { text: text.into(), ast: parser::parse(text)? })
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// The collection the expression gives for `context.context`.
    pub fn evaluate<'a>(&self, context: &Context<'_, 'a>) -> Result<Collection<'a>, EvalError> {
        let this = [Item::Node(context.context)];
        let env = eval::Env { this: &this, index: None, total: None };
        eval::Evaluator::new(context).eval(&self.ast, env)
    }

    /// Whether an invariant holds: as validators read it, nothing counts as false, and something that is no Boolean as
    /// true.
    pub fn holds(&self, context: &Context<'_, '_>) -> Result<bool, EvalError> {
        let found = self.evaluate(context)?;
        Ok(match &*found {
            [] => false,
            [item] => item.as_bool().unwrap_or(true),
            _ => true,
        })
    }
}

impl ParseError {
    pub(crate) fn new(due: &'static str, at: usize) -> Self {
        Self { due, at }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at byte {}: {}", self.at, self.due)
    }
}

impl std::error::Error for ParseError {}
