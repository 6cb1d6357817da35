//! Parameter values as they stand in a `Value`: `'text'`, `('a','b')`, bare numbers and times.
//! ITI TF-2 3.18.4.1.2.3.4 and 3.18.4.1.2.3.5.

/// Why a value could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    #[error("the quote opened at character {0} is never closed; an inner quote is written twice ('')")]
    Unterminated(usize),
    #[error(
        "unexpected '{1}' at character {0}: list items are quoted and separated by commas, as in ('a','b')"
    )]
    Unexpected(usize, char),
    #[error("the list opened by '(' is never closed")]
    OpenList,
    #[error("the value is empty")]
    Empty,
}

/// One `Value`, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Values {
    pub items: Vec<String>,
    /// It stood in parentheses.
    pub parenthesised: bool,
}

/// Reads one `Value`. A bare token (a number, a time, or what lenient peers send unquoted) is one
/// item; white space around items and separators is ignored.
pub fn parse(text: &str) -> Result<Values, ValueError> {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Err(ValueError::Empty);
    }
    let mut cursor = Cursor { rest: trimmed, at: 0 };
    let Some('(') = cursor.peek() else {
        let item = cursor.item(false)?;
        cursor.end()?;
        return Ok(Values { items: vec![item], parenthesised: false });
    };
    cursor.next();
    let mut items = Vec::new();
    cursor.skip_space();
    if cursor.peek() == Some(')') {
        return Err(ValueError::Empty);
    }
    loop {
        cursor.skip_space();
        items.push(cursor.item(true)?);
        cursor.skip_space();
        match cursor.next() {
            Some((_, ',')) => continue,
            Some((_, ')')) => break,
            Some((at, c)) => return Err(ValueError::Unexpected(at, c)),
            None => return Err(ValueError::OpenList),
        }
    }
    cursor.skip_space();
    cursor.end()?;
    Ok(Values { items, parenthesised: true })
}

struct Cursor<'a> {
    rest: &'a str,
    at: usize,
}

impl Cursor<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<(usize, char)> {
        let c = self.peek()?;
        let at = self.at;
        self.rest = &self.rest[c.len_utf8()..];
        self.at += 1;
        Some((at, c))
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.next();
        }
    }

    fn end(&mut self) -> Result<(), ValueError> {
        match self.next() {
            None => Ok(()),
            Some((at, c)) => Err(ValueError::Unexpected(at, c)),
        }
    }

    /// A quoted item, or a bare one (up to `,` or `)` inside a list).
    fn item(&mut self, in_list: bool) -> Result<String, ValueError> {
        if self.peek() == Some('\'') {
            return self.quoted();
        }
        let mut out = String::new();
        while let Some(c) = self.peek() {
            if in_list && matches!(c, ',' | ')') {
                break;
            }
            if c == '\'' {
                return Err(ValueError::Unexpected(self.at, c));
            }
            out.push(c);
            self.next();
        }
        let out = out.trim();
        if out.is_empty() { Err(ValueError::Empty) } else { Ok(out.to_owned()) }
    }

    fn quoted(&mut self) -> Result<String, ValueError> {
        let opened = self.at;
        self.next();
        let mut out = String::new();
        loop {
            match self.next() {
                None => return Err(ValueError::Unterminated(opened)),
                Some((_, '\'')) if self.peek() == Some('\'') => {
                    self.next();
                    out.push('\'');
                }
                Some((_, '\'')) => return Ok(out),
                Some((_, c)) => out.push(c),
            }
        }
    }
}

/// Prints one item the way a strict peer reads it.
pub fn quote(item: &str) -> String {
    format!("'{}'", item.replace('\'', "''"))
}

/// Prints a list the way a strict peer reads it.
pub fn quote_list<S: AsRef<str>>(items: &[S]) -> String {
    let quoted: Vec<String> = items.iter().map(|i| quote(i.as_ref())).collect();
    format!("({})", quoted.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(text: &str) -> Vec<String> {
        parse(text).unwrap().items
    }

    #[test]
    fn single_quoted() {
        assert_eq!(items("'1001^^^&1.2.3&ISO'"), ["1001^^^&1.2.3&ISO"]);
    }

    #[test]
    fn a_doubled_quote_is_one() {
        assert_eq!(items("'O''Brien'"), ["O'Brien"]);
    }

    #[test]
    fn commas_and_parentheses_inside_quotes_are_text() {
        assert_eq!(items("('a,b','c)','d')"), ["a,b", "c)", "d"]);
    }

    #[test]
    fn white_space_around_separators_is_ignored() {
        assert_eq!(items("( 'a' ,\n   'b')"), ["a", "b"]);
    }

    #[test]
    fn bare_times_and_numbers_are_accepted() {
        assert_eq!(items("20250401"), ["20250401"]);
        assert_eq!(items("(1, 2)"), ["1", "2"]);
    }

    #[test]
    fn an_unclosed_quote_is_refused() {
        assert_eq!(parse("'593603''%20and%20611"), Err(ValueError::Unterminated(0)));
    }

    #[test]
    fn an_unclosed_list_is_refused() {
        assert_eq!(parse("('a'"), Err(ValueError::OpenList));
    }

    #[test]
    fn text_after_the_value_is_refused() {
        assert!(matches!(parse("'a' or 1=1"), Err(ValueError::Unexpected(3, ' '))));
    }

    #[test]
    fn japanese_positions_count_characters() {
        assert!(matches!(parse("'名前'x"), Err(ValueError::Unexpected(4, 'x'))));
    }

    #[test]
    fn printing_and_reading_agree() {
        let list = ["a'b", "c,d", "名)"];
        assert_eq!(items(&quote_list(&list)), list);
    }
}
