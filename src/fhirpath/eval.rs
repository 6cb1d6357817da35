//! Walking an expression over a resource.

use super::ast::{Expr, Op, TypeName};
use super::functions;
use super::json::Json;
use super::operators::{self, one, truth};
use super::value::{Collection, Item, Node, System};
use std::cell::Cell;
use std::fmt;

/// What an expression is evaluated in.
pub struct Context<'c, 'a> {
    /// `%resource`: the resource the element stands in.
    pub resource: Node<'a>,
    /// `%rootResource`: its container, where it is contained.
    pub root: Node<'a>,
    /// `%context`: the element itself.
    pub context: Node<'a>,
    pub surroundings: &'c dyn Surroundings<'a>,
    /// Milliseconds since 1970, for `now()`.
    pub now: i64,
    /// Minutes east of UTC, of moments that name no offset.
    pub offset: i32,
}

/// What lies outside the resource.
pub trait Surroundings<'a> {
    /// The resource a reference (not `#id`) of `owner` points at.
    fn resolve(&self, reference: &str, owner: Option<&'a Json>) -> Option<Node<'a>>;

    /// Whether a code is in a value set; `None` where the value set is not known.
    fn member_of(&self, value_set: &str, system: Option<&str>, code: &str) -> Option<bool>;

    /// Whether an element conforms to a profile; `None` where the profile is not known.
    fn conforms_to(&self, node: &Node<'a>, profile: &str) -> Option<bool>;
}

/// No Bundle around, no value sets, no profiles.
pub struct Alone;

impl<'a> Surroundings<'a> for Alone {
    fn resolve(&self, _: &str, _: Option<&'a Json>) -> Option<Node<'a>> {
        None
    }
    fn member_of(&self, _: &str, _: Option<&str>, _: &str) -> Option<bool> {
        None
    }
    fn conforms_to(&self, _: &Node<'a>, _: &str) -> Option<bool> {
        None
    }
}

/// Why there is no result. Says what of the expression, never what of the resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvalError {
    pub fault: Fault,
    /// The function, operator or name concerned.
    pub at: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Several items where one at most is due.
    Many,
    /// A value of another type is due.
    Types,
    /// No such variable.
    Unknown,
    /// What is looked up (a value set, a profile) is not loaded.
    NotLoaded,
    /// A regular expression that is none.
    Pattern,
    /// More steps than allowed.
    Budget,
}

impl EvalError {
    pub fn of(fault: Fault, at: &str) -> Self {
        Self { fault, at: at.to_owned() }
    }
}

impl fmt::Display for EvalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.fault {
            Fault::Many => "several items where one at most is due",
            Fault::Types => "a value of another type is due",
            Fault::Unknown => "no such variable",
            Fault::NotLoaded => "not loaded",
            Fault::Pattern => "not a regular expression known here",
            Fault::Budget => "too many steps",
        };
        write!(f, "{}: {what}", self.at)
    }
}

impl std::error::Error for EvalError {}

/// What `$this`, `$index` and `$total` are.
#[derive(Clone, Copy)]
pub struct Env<'e, 'a> {
    pub this: &'e [Item<'a>],
    pub index: Option<usize>,
    pub total: Option<&'e [Item<'a>]>,
}

pub struct Evaluator<'c, 'a> {
    pub context: &'c Context<'c, 'a>,
    steps: Cell<u32>,
}

/// Steps one evaluation may take: a letter of ten thousand elements needs a hundredth.
const BUDGET: u32 = 20_000_000;

pub type Evaluated<'a> = Result<Collection<'a>, EvalError>;

impl<'c, 'a> Evaluator<'c, 'a> {
    pub fn new(context: &'c Context<'c, 'a>) -> Self {
        Self { context, steps: Cell::new(0) }
    }

    /// One step more; an error where there were too many.
    pub fn step(&self, count: usize) -> Result<(), EvalError> {
        let steps = self.steps.get().saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
        self.steps.set(steps);
        if steps > BUDGET { Err(EvalError::of(Fault::Budget, "expression")) } else { Ok(()) }
    }

    pub fn eval(&self, expr: &Expr, env: Env<'_, 'a>) -> Evaluated<'a> {
        self.step(1)?;
        match expr {
            Expr::Empty => Ok(vec![]),
            Expr::Literal(value) => Ok(vec![Item::System(value.clone())]),
            Expr::External(name) => self.variable(name),
            Expr::This => Ok(env.this.to_vec()),
            Expr::Index => match env.index {
                Some(index) => Ok(vec![Item::integer(i64::try_from(index).unwrap_or(i64::MAX))]),
                None => Err(EvalError::of(Fault::Unknown, "$index")),
            },
            Expr::Total => match env.total {
                Some(total) => Ok(total.to_vec()),
                None => Err(EvalError::of(Fault::Unknown, "$total")),
            },
            Expr::Member { of: None, name } => self.first_member(name, env.this),
            Expr::Member { of: Some(of), name } => {
                let list = self.eval(of, env)?;
                self.members(name, &list)
            }
            Expr::Call(call) => {
                let input = match &call.of {
                    Some(of) => self.eval(of, env)?,
                    None => env.this.to_vec(),
                };
                functions::call(self, call, input, env)
            }
            Expr::Indexer { of, index } => {
                let list = self.eval(of, env)?;
                let index = self.eval(index, env)?;
                let Some(index) = one(&index, "[]")? else { return Ok(vec![]) };
                let Some(System::Integer(index)) = index.system() else {
                    return Err(EvalError::of(Fault::Types, "[]"));
                };
                Ok(usize::try_from(index).ok().and_then(|i| list.into_iter().nth(i)).into_iter().collect())
            }
            Expr::Negated(of) => {
                let list = self.eval(of, env)?;
                let Some(item) = one(&list, "-")? else { return Ok(vec![]) };
                let value = match item.system() {
                    Some(System::Integer(value)) => value.checked_neg().map(System::Integer),
                    Some(System::Decimal(value)) => Some(System::Decimal(value.negated())),
                    Some(System::Quantity(mut quantity)) => {
                        quantity.value = quantity.value.negated();
                        Some(System::Quantity(quantity))
                    }
                    _ => return Err(EvalError::of(Fault::Types, "-")),
                };
                Ok(value.map(Item::System).into_iter().collect())
            }
            Expr::Binary { op: op @ (Op::And | Op::Or | Op::Xor | Op::Implies), left, right } => {
                let a = truth(&self.eval(left, env)?, op.name())?;
                let decided = match (op, a) {
                    (Op::And, Some(false)) => Some(false),
                    (Op::Or, Some(true)) | (Op::Implies, Some(false)) => Some(true),
                    _ => {
                        let b = truth(&self.eval(right, env)?, op.name())?;
                        operators::logic(*op, a, b)
                    }
                };
                Ok(decided.map(Item::boolean).into_iter().collect())
            }
            Expr::Binary { op, left, right } => {
                let (left, right) = (self.eval(left, env)?, self.eval(right, env)?);
                self.step(left.len() * right.len())?;
                operators::binary(*op, left, right, self.context.offset)
            }
            Expr::Is { of, what } => {
                let list = self.eval(of, env)?;
                Ok(one(&list, "is")?.map(|item| Item::boolean(is_of(item, what))).into_iter().collect())
            }
            Expr::As { of, what } => {
                let list = self.eval(of, env)?;
                one(&list, "as")?;
                Ok(list.into_iter().filter(|item| is_of(item, what)).collect())
            }
        }
    }

    /// A name at the beginning: the type of what is at hand, or an element of it.
    fn first_member(&self, name: &str, this: &[Item<'a>]) -> Evaluated<'a> {
        if name.starts_with(|c: char| c.is_ascii_uppercase()) {
            let typed: Collection<'a> =
                this.iter().filter(|item| item.node().is_some_and(|node| node.is_a(name))).cloned().collect();
            if !typed.is_empty() {
                return Ok(typed);
            }
        }
        self.members(name, this)
    }

    fn members(&self, name: &str, list: &[Item<'a>]) -> Evaluated<'a> {
        let mut out = vec![];
        for item in list {
            self.step(1)?;
            match item {
                Item::Node(node) => node.children(name, &mut out),
                Item::TypeInfo { namespace, name: type_name } => match name {
                    "namespace" => out.push(Item::string(*namespace)),
                    "name" => out.push(Item::string(type_name.clone())),
                    _ => {}
                },
                Item::System(System::Quantity(quantity)) => match name {
                    "value" => out.push(Item::System(System::Decimal(quantity.value))),
                    "unit" | "code" => out.push(Item::string(&*quantity.unit)),
                    _ => {}
                },
                Item::System(_) | Item::Text(_) => {}
            }
        }
        Ok(out)
    }

    fn variable(&self, name: &str) -> Evaluated<'a> {
        let text = |text: &str| Ok(vec![Item::string(text)]);
        match name {
            "context" => Ok(vec![Item::Node(self.context.context)]),
            "resource" => Ok(vec![Item::Node(self.context.resource)]),
            "rootResource" => Ok(vec![Item::Node(self.context.root)]),
            // FHIR R4 2.9.1.6.4
            "sct" => text("http://snomed.info/sct"),
            "loinc" => text("http://loinc.org"),
            "ucum" => text("http://unitsofmeasure.org"),
            _ => match (name.strip_prefix("vs-"), name.strip_prefix("ext-")) {
                (Some(name), _) => text(&format!("http://hl7.org/fhir/ValueSet/{name}")),
                (_, Some(name)) => text(&format!("http://hl7.org/fhir/StructureDefinition/{name}")),
                _ => Err(EvalError::of(Fault::Unknown, &format!("%{name}"))),
            },
        }
    }
}

/// Whether an item is of a type or of one made of it (FHIRPath 2.0 6.3).
pub fn is_of(item: &Item<'_>, what: &TypeName) -> bool {
    let space = what.namespace.as_deref();
    match item {
        Item::Node(node) => space.is_none_or(|s| s == "FHIR") && node.is_a(&what.name),
        _ => space.is_none_or(|s| s == "System") && *item.type_info().1 == *what.name,
    }
}
