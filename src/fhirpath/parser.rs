//! Tokens to an expression (FHIRPath 2.0, appendix B), by how tightly operators bind.

use super::ParseError;
use super::ast::{Call, Expr, Op, TypeName};
use super::decimal::Decimal;
use super::functions::Function;
use super::lexer::{Placed, Token, tokens};
use super::quantity::{Quantity, calendar_word};
use super::temporal::Temporal;
use super::value::System;

/// Levels of parentheses and operators inside one another; more is an attack.
const MAX_DEPTH: usize = 200;

pub fn parse(text: &str) -> Result<Expr, ParseError> {
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens: &tokens, at: 0, end: text.len(), depth: 0 };
    let expr = parser.expression(0)?;
    match parser.peek() {
        None => Ok(expr),
        Some(_) => Err(parser.error("an operator or the end is due here")),
    }
}

struct Parser<'t> {
    tokens: &'t [Placed],
    at: usize,
    end: usize,
    depth: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|p| &p.token)
    }

    fn error(&self, due: &'static str) -> ParseError {
        ParseError::new(due, self.tokens.get(self.at).map_or(self.end, |p| p.at))
    }

    fn take(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Symbol(s)) if *s == symbol);
        self.at += usize::from(found);
        found
    }

    fn due(&mut self, symbol: &str, what: &'static str) -> Result<(), ParseError> {
        if self.take(symbol) { Ok(()) } else { Err(self.error(what)) }
    }

    fn expression(&mut self, least: u8) -> Result<Expr, ParseError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.error("the expression is nested too deeply"));
        }
        let mut left = self.unary()?;
        loop {
            let word = match self.peek() {
                Some(Token::Symbol(symbol)) => *symbol,
                Some(Token::Name(name)) => name.as_str(),
                _ => break,
            };
            if matches!(word, "is" | "as") {
                if Op::TYPE_LEVEL < least {
                    break;
                }
                let is = word == "is";
                self.at += 1;
                let (of, what) = (Box::new(left), self.type_name()?);
                left = if is { Expr::Is { of, what } } else { Expr::As { of, what } };
                continue;
            }
            let Some((_, level, op)) = Op::TABLE.iter().find(|(name, _, _)| *name == word) else { break };
            if *level < least {
                break;
            }
            self.at += 1;
            let right = self.expression(level + 1)?;
            left = Expr::Binary { op: *op, left: Box::new(left), right: Box::new(right) };
        }
        self.depth -= 1;
        Ok(left)
    }

    fn unary(&mut self) -> Result<Expr, ParseError> {
        let mut negated = false;
        loop {
            if self.take("-") {
                negated = !negated;
            } else if !self.take("+") {
                break;
            }
        }
        let term = self.term()?;
        Ok(if negated { Expr::Negated(Box::new(term)) } else { term })
    }

    fn term(&mut self) -> Result<Expr, ParseError> {
        let mut left = self.head()?;
        loop {
            if self.take(".") {
                left = self.invocation(Some(left))?;
            } else if self.take("[") {
                let index = self.expression(0)?;
                self.due("]", "a ] is due here")?;
                left = Expr::Indexer { of: Box::new(left), index: Box::new(index) };
            } else {
                return Ok(left);
            }
        }
    }

    fn head(&mut self) -> Result<Expr, ParseError> {
        let Some(token) = self.peek().cloned() else {
            return Err(self.error("the expression ends too early"));
        };
        let bad = |what| ParseError::new(what, self.tokens.get(self.at).map_or(self.end, |p| p.at));
        let literal = match token {
            Token::Symbol("(") => {
                self.at += 1;
                let inner = self.expression(0)?;
                self.due(")", "a ) is due here")?;
                return Ok(inner);
            }
            Token::Symbol("{") => {
                self.at += 1;
                self.due("}", "a } is due here")?;
                return Ok(Expr::Empty);
            }
            Token::External(name) => {
                self.at += 1;
                return Ok(Expr::External(name.into()));
            }
            Token::Name(name) if name == "true" || name == "false" => System::Boolean(name == "true"),
            Token::Name(_) | Token::Quoted(_) | Token::Dollar(_) => return self.invocation(None),
            Token::Text(text) => System::String(text.into()),
            Token::Number(number) => return self.number(&number),
            Token::Date(text) => System::Temporal(Temporal::date(&text).ok_or_else(|| bad("no date"))?),
            Token::DateTime(text) => {
                System::Temporal(Temporal::date_time(&text).ok_or_else(|| bad("no date and time"))?)
            }
            Token::Time(text) => System::Temporal(Temporal::time(&text).ok_or_else(|| bad("no time"))?),
            Token::Symbol(_) => return Err(bad("a term is due here")),
        };
        self.at += 1;
        Ok(Expr::Literal(literal))
    }

    /// A number, and the quantity it becomes by a unit after it.
    fn number(&mut self, text: &str) -> Result<Expr, ParseError> {
        let value = Decimal::parse(text).ok_or_else(|| self.error("the number has too many digits"))?;
        self.at += 1;
        let unit = match self.peek() {
            Some(Token::Text(unit)) => Some(unit.clone()),
            Some(Token::Name(word)) => calendar_word(word).map(str::to_owned),
            _ => None,
        };
        if let Some(unit) = unit {
            self.at += 1;
            return Ok(Expr::Literal(System::Quantity(Quantity::new(value, &unit))));
        }
        Ok(Expr::Literal(match text.parse() {
            Ok(integer) if !text.contains('.') => System::Integer(integer),
            _ => System::Decimal(value),
        }))
    }

    fn invocation(&mut self, of: Option<Expr>) -> Result<Expr, ParseError> {
        let Some(token) = self.peek().cloned() else { return Err(self.error("a name is due here")) };
        let at = self.at;
        self.at += 1;
        let name = match token {
            Token::Name(name) => name,
            Token::Quoted(name) => return Ok(Expr::Member { of: of.map(Box::new), name: name.into() }),
            Token::Dollar(name) => {
                return match (&*name, of.is_none()) {
                    ("this", true) => Ok(Expr::This),
                    ("index", true) => Ok(Expr::Index),
                    ("total", true) => Ok(Expr::Total),
                    _ => {
                        self.at = at;
                        Err(self.error("$this, $index and $total stand at the beginning"))
                    }
                };
            }
            _ => {
                self.at = at;
                return Err(self.error("a name is due here"));
            }
        };
        if !self.take("(") {
            return Ok(Expr::Member { of: of.map(Box::new), name: name.into() });
        }
        let Some((function, min, max)) = Function::find(&name) else {
            self.at = at;
            return Err(self.error("no such function"));
        };
        let mut what = None;
        let mut arguments = vec![];
        if function.takes_type() {
            what = Some(self.type_name()?);
        } else if !matches!(self.peek(), Some(Token::Symbol(")"))) {
            loop {
                arguments.push(self.expression(0)?);
                if !self.take(",") {
                    break;
                }
            }
        }
        self.due(")", "a comma or ) is due here")?;
        let count = arguments.len() + usize::from(what.is_some());
        if count < min || count > max {
            self.at = at;
            return Err(self.error("the function takes another number of arguments"));
        }
        let pattern = match arguments.first() {
            Some(Expr::Literal(System::String(text))) if function.takes_pattern() => {
                Some(function.pattern(text).map_err(|_| {
                    self.at = at;
                    self.error("not a regular expression that is known here")
                })?)
            }
            _ => None,
        };
        Ok(Expr::Call(Box::new(Call { of, function, arguments, what, pattern })))
    }

    fn type_name(&mut self) -> Result<TypeName, ParseError> {
        let mut parts: Vec<Box<str>> = vec![];
        loop {
            match self.peek().cloned() {
                Some(Token::Name(name) | Token::Quoted(name)) => parts.push(name.into()),
                _ => return Err(self.error("the name of a type is due here")),
            }
            self.at += 1;
            // In `x is Patient.name` the point ends the type only where more than two parts come together.
            if parts.len() == 2 || !self.take(".") {
                break;
            }
        }
        let name = parts.pop().unwrap_or_default();
        Ok(TypeName { namespace: parts.pop(), name })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binds_as_tightly_as_the_standard_says() {
        let show = |text: &str| fold(&parse(text).unwrap());
        assert_eq!(show("a or b and c"), "(a or (b and c))");
        assert_eq!(show("a implies b or c"), "(a implies (b or c))");
        assert_eq!(show("1 + 2 * 3 = 7"), "((1 + (2 * 3)) = 7)");
        assert_eq!(show("a | b = c"), "((a | b) = c)");
        assert_eq!(show("a is b and c"), "((a is b) and c)");
        assert_eq!(show("-1 + 2"), "(-1 + 2)");
        assert_eq!(show("a - b - c"), "((a - b) - c)");
        assert_eq!(show("a.contains(b) and c contains d"), "(a.contains(b) and (c contains d))");
        assert_eq!(show("x in y = z"), "(x in (y = z))");
    }

    fn fold(expr: &Expr) -> String {
        match expr {
            Expr::Member { of: None, name } => name.to_string(),
            Expr::Member { of: Some(of), name } => format!("{}.{name}", fold(of)),
            Expr::Literal(value) => value.text(),
            Expr::Negated(of) => format!("-{}", fold(of)),
            Expr::Binary { op, left, right } => format!("({} {} {})", fold(left), op.name(), fold(right)),
            Expr::Is { of, what } => format!("({} is {})", fold(of), what.name),
            Expr::Call(call) => format!(
                "{}{}({})",
                call.of.as_ref().map(|of| fold(of) + ".").unwrap_or_default(),
                call.function.name(),
                call.arguments.iter().map(fold).collect::<Vec<_>>().join(", ")
            ),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        for text in [
            "",
            "a.",
            "a b",
            "(a",
            "a.nothing()",
            "a.where()",
            "a.first(1)",
            "1 +",
            "$that",
            "a.$this",
            "@2014-13",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse("'a'.matches('(?<=x)')").is_err());
        assert!(parse(&"(".repeat(5000)).is_err());
    }
}
