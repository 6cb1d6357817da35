//! An expression as read.

use super::functions::Function;
use super::value::System;
use regex::Regex;

#[derive(Debug)]
pub enum Expr {
    /// `{}`
    Empty,
    Literal(System),
    /// `%name`
    External(Box<str>),
    This,
    Index,
    Total,
    /// `name`, `receiver.name`; without a receiver of what is at hand.
    Member {
        of: Option<Box<Expr>>,
        name: Box<str>,
    },
    Call(Box<Call>),
    /// `list[index]`
    Indexer {
        of: Box<Expr>,
        index: Box<Expr>,
    },
    Negated(Box<Expr>),
    Binary {
        op: Op,
        left: Box<Expr>,
        right: Box<Expr>,
    },
    Is {
        of: Box<Expr>,
        what: TypeName,
    },
    As {
        of: Box<Expr>,
        what: TypeName,
    },
}

#[derive(Debug)]
pub struct Call {
    pub of: Option<Expr>,
    pub function: Function,
    pub arguments: Vec<Expr>,
    /// The type that `is`, `as` and `ofType` name.
    pub what: Option<TypeName>,
    /// The pattern, where it is written out: compiled once.
    pub pattern: Option<Regex>,
}

/// `Patient`, `FHIR.Patient`, `System.String`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeName {
    pub namespace: Option<Box<str>>,
    pub name: Box<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Multiply,
    Divide,
    Div,
    Mod,
    Add,
    Subtract,
    Concatenate,
    Union,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
    Equivalent,
    NotEquivalent,
    In,
    Contains,
    And,
    Or,
    Xor,
    Implies,
}

impl Op {
    /// Operators as written, with how tightly they bind (FHIRPath 2.0 6.8).
    pub const TABLE: &[(&str, u8, Op)] = &[
        ("*", 10, Op::Multiply),
        ("/", 10, Op::Divide),
        ("div", 10, Op::Div),
        ("mod", 10, Op::Mod),
        ("+", 9, Op::Add),
        ("-", 9, Op::Subtract),
        ("&", 9, Op::Concatenate),
        // 8: is, as
        ("|", 7, Op::Union),
        ("<", 6, Op::Less),
        ("<=", 6, Op::LessOrEqual),
        (">", 6, Op::Greater),
        (">=", 6, Op::GreaterOrEqual),
        ("=", 5, Op::Equal),
        ("!=", 5, Op::NotEqual),
        ("~", 5, Op::Equivalent),
        ("!~", 5, Op::NotEquivalent),
        ("in", 4, Op::In),
        ("contains", 4, Op::Contains),
        ("and", 3, Op::And),
        ("or", 2, Op::Or),
        ("xor", 2, Op::Xor),
        ("implies", 1, Op::Implies),
    ];

    /// How tightly `is` and `as` bind.
    pub const TYPE_LEVEL: u8 = 8;

    pub fn name(self) -> &'static str {
        Self::TABLE.iter().find(|(_, _, op)| *op == self).map_or("", |(name, _, _)| name)
    }
}
