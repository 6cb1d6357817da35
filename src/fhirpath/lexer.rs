//! Tokens of FHIRPath (FHIRPath 2.0, appendix B).

use super::ParseError;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// A name, also a word that is an operator in its place.
    Name(String),
    /// A name in backquotes: never an operator.
    Quoted(String),
    Text(String),
    Number(String),
    /// Without `@`.
    Date(String),
    DateTime(String),
    /// Without `@T`.
    Time(String),
    /// `%name`, `` %`name` ``, `%'name'`.
    External(String),
    /// `$this`, `$index`, `$total`.
    Dollar(String),
    Symbol(&'static str),
}

#[derive(Clone, Debug)]
pub struct Placed {
    pub token: Token,
    /// Byte offset in the expression.
    pub at: usize,
}

/// Longest first.
const SYMBOLS: &[&str] = &[
    "<=", ">=", "!=", "!~", ".", "[", "]", "(", ")", "{", "}", ",", "+", "-", "*", "/", "&", "|", "<", ">",
    "=", "~",
];

pub fn tokens(text: &str) -> Result<Vec<Placed>, ParseError> {
    let mut out = vec![];
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        if c.is_whitespace() {
            at += c.len_utf8();
        } else if rest.starts_with("//") {
            at += rest.find('\n').unwrap_or(rest.len());
        } else if rest.starts_with("/*") {
            let end = rest.find("*/").ok_or_else(|| ParseError::new("a comment does not end", at))?;
            at += end + 2;
        } else {
            let (token, length) = token(rest, at)?;
            out.push(Placed { token, at });
            at += length;
        }
    }
    Ok(out)
}

fn token(rest: &str, at: usize) -> Result<(Token, usize), ParseError> {
    let first = rest.chars().next().unwrap_or(' ');
    let word = |from: usize| {
        let tail = &rest[from..];
        from + tail.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(tail.len())
    };
    if first.is_ascii_alphabetic() || first == '_' {
        let end = word(0);
        return Ok((Token::Name(rest[..end].to_owned()), end));
    }
    if first.is_ascii_digit() {
        return Ok(number(rest));
    }
    match first {
        '\'' | '"' => {
            let (text, length) = quoted(rest, first, at)?;
            Ok((Token::Text(text), length))
        }
        '`' => {
            let (text, length) = quoted(rest, '`', at)?;
            Ok((Token::Quoted(text), length))
        }
        '%' => match rest[1..].chars().next() {
            Some(mark @ ('`' | '\'')) => {
                let (text, length) = quoted(&rest[1..], mark, at + 1)?;
                Ok((Token::External(text), length + 1))
            }
            _ => {
                // Grammars differ on hyphens; FHIR's names are %vs-name and %ext-name.
                let tail = &rest[1..];
                let end =
                    1 + tail.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(tail.len());
                let end = if matches!(&rest[1..end], "vs" | "ext") && rest[end..].starts_with('-') {
                    let tail = &rest[end..];
                    end + tail
                        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-')
                        .unwrap_or(tail.len())
                } else {
                    end
                };
                if end == 1 {
                    return Err(ParseError::new("a name is due after %", at));
                }
                Ok((Token::External(rest[1..end].to_owned()), end))
            }
        },
        '$' => {
            let end = word(1);
            Ok((Token::Dollar(rest[1..end].to_owned()), end))
        }
        '@' => Ok(moment(rest)),
        _ => match SYMBOLS.iter().find(|s| rest.starts_with(**s)) {
            Some(symbol) => Ok((Token::Symbol(symbol), symbol.len())),
            None => Err(ParseError::new("no token begins here", at)),
        },
    }
}

fn number(rest: &str) -> (Token, usize) {
    let digits = |from: usize| rest[from..].bytes().take_while(u8::is_ascii_digit).count();
    let mut end = digits(0);
    if rest[end..].starts_with('.') && digits(end + 1) > 0 {
        end += 1 + digits(end + 1);
    }
    (Token::Number(rest[..end].to_owned()), end)
}

fn moment(rest: &str) -> (Token, usize) {
    let part = |c: char| c.is_ascii_digit() || matches!(c, '-' | ':' | '.' | '+' | 'T' | 'Z');
    let mut end = 1 + rest[1..].find(|c| !part(c)).unwrap_or(rest.len() - 1);
    // `@2014.toString()`: a point belongs to a moment only between digits.
    while let Some(point) = rest[..end].rfind('.') {
        if rest[point + 1..end].starts_with(|c: char| c.is_ascii_digit()) {
            break;
        }
        end = point;
    }
    // `@2014-01-01-1 day` is no moment, but a minus after a date is a sum.
    let text = rest[1..end].trim_end_matches(['+', '-']);
    let end = 1 + text.len();
    match text.strip_prefix('T') {
        Some(time) => (Token::Time(time.to_owned()), end),
        None if text.contains('T') => (Token::DateTime(text.to_owned()), end),
        None => (Token::Date(text.to_owned()), end),
    }
}

fn quoted(rest: &str, mark: char, at: usize) -> Result<(String, usize), ParseError> {
    let mut out = String::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((i, c)) = chars.next() {
        if c == mark {
            return Ok((out, i + 1));
        }
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next().map(|(_, c)| c) {
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('f') => out.push('\u{c}'),
            Some('u') => {
                let digits: String = chars.by_ref().take(4).map(|(_, c)| c).collect();
                let value = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32);
                out.push(value.ok_or_else(|| ParseError::new("a Unicode escape needs four digits", at + i))?);
            }
            // `\.` is no escape of the standard; published expressions have it, and mean the character.
            Some(c) => out.push(c),
            None => break,
        }
    }
    Err(ParseError::new("a text does not end", at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_of_all_kinds() {
        let found: Vec<Token> =
            tokens("a.`b c` = 'x\\'y' and @2014-01-25T10:00 > @T09 or %vs-x // end\n 1.5 1.toString()")
                .unwrap()
                .into_iter()
                .map(|p| p.token)
                .collect();
        let name = |n: &str| Token::Name(n.to_owned());
        assert_eq!(
            found,
            [
                name("a"),
                Token::Symbol("."),
                Token::Quoted("b c".into()),
                Token::Symbol("="),
                Token::Text("x'y".into()),
                name("and"),
                Token::DateTime("2014-01-25T10:00".into()),
                Token::Symbol(">"),
                Token::Time("09".into()),
                name("or"),
                Token::External("vs-x".into()),
                Token::Number("1.5".into()),
                Token::Number("1".into()),
                Token::Symbol("."),
                name("toString"),
                Token::Symbol("("),
                Token::Symbol(")"),
            ]
        );
        assert!(tokens("'open").is_err());
        assert!(tokens("a # b").is_err());
        assert_eq!(tokens("'　'").unwrap()[0].token, Token::Text("\u{3000}".into()));
    }
}
