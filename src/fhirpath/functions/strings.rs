//! Strings (FHIRPath 2.0 5.6). Places count characters, as the standard does.

use super::super::ast::Call;
use super::super::eval::{Env, EvalError, Evaluated, Evaluator, Fault};
use super::super::operators::one;
use super::super::value::{Item, System};
use super::Function as F;
use super::collections::argument;
use std::borrow::Cow;

pub fn call<'a>(ev: &Evaluator<'_, 'a>, call: &Call, input: &[Item<'a>], env: Env<'_, 'a>) -> Evaluated<'a> {
    let name = call.function.name();
    if call.function == F::Join {
        let between = text_argument(ev, call, 0, env)?.unwrap_or_default();
        let parts: Option<Vec<&str>> = input.iter().map(Item::as_str).collect();
        return match parts {
            Some(parts) if parts.is_empty() => Ok(vec![]),
            Some(parts) => Ok(vec![Item::string(parts.join(&between))]),
            None => Err(EvalError::of(Fault::Types, name)),
        };
    }
    let Some(item) = one(input, name)? else { return Ok(vec![]) };
    let written;
    let text = match item.as_str() {
        Some(text) => text,
        // What is no string is converted where that says the same (FHIRPath 2.0 6.6, implicit conversion).
        None => match item.system() {
            Some(System::Temporal(moment)) => {
                written = moment.to_string();
                &written
            }
            _ if item.node().is_some_and(|node| node.json.is_none()) => return Ok(vec![]),
            _ => return Err(EvalError::of(Fault::Types, name)),
        },
    };
    ev.step(text.len() / 64)?;
    let boolean = |value: bool| Ok(vec![Item::boolean(value)]);
    let string = |value: String| Ok(vec![Item::string(value)]);
    let integer = |value: usize| Ok(vec![Item::integer(i64::try_from(value).unwrap_or(i64::MAX))]);
    match call.function {
        F::Upper => return string(text.to_uppercase()),
        F::Lower => return string(text.to_lowercase()),
        F::Length => return integer(text.chars().count()),
        F::Trim => return string(text.trim().to_owned()),
        F::ToChars => return Ok(text.chars().map(|c| Item::string(c.to_string())).collect()),
        F::Substring => return substring(ev, call, text, env),
        F::Matches | F::MatchesFull | F::ReplaceMatches => {
            let pattern = match &call.pattern {
                Some(pattern) => Cow::Borrowed(pattern),
                None => {
                    let Some(pattern) = text_argument(ev, call, 0, env)? else { return Ok(vec![]) };
                    Cow::Owned(
                        call.function.pattern(&pattern).map_err(|_| EvalError::of(Fault::Pattern, name))?,
                    )
                }
            };
            if call.function != F::ReplaceMatches {
                return boolean(pattern.is_match(text));
            }
            let Some(by) = text_argument(ev, call, 1, env)? else { return Ok(vec![]) };
            // `$1` and `${name}` name groups in both worlds; `$1abc` must not be read as one long name.
            return string(pattern.replace_all(text, braced(&by)).into_owned());
        }
        _ => {}
    }
    let Some(other) = text_argument(ev, call, 0, env)? else { return Ok(vec![]) };
    let other = &*other;
    match call.function {
        F::IndexOf | F::LastIndexOf => {
            let at = if call.function == F::IndexOf { text.find(other) } else { text.rfind(other) };
            match at {
                Some(at) => integer(text[..at].chars().count()),
                None => Ok(vec![Item::integer(-1)]),
            }
        }
        F::StartsWith => boolean(text.starts_with(other)),
        F::EndsWith => boolean(text.ends_with(other)),
        F::Contains => boolean(text.contains(other)),
        F::Replace => {
            let Some(by) = text_argument(ev, call, 1, env)? else { return Ok(vec![]) };
            if other.is_empty() {
                // Around every character (FHIRPath 2.0 5.6.8).
                let mut out = by.to_string();
                for c in text.chars() {
                    out.push(c);
                    out.push_str(&by);
                }
                return string(out);
            }
            string(text.replace(other, &by))
        }
        F::Split => Ok(text.split(other).map(Item::string).collect()),
        F::Encode => match other {
            "hex" => string(text.bytes().map(|b| format!("{b:02x}")).collect()),
            "base64" => string(base64(text.as_bytes(), STANDARD, true)),
            "urlbase64" => string(base64(text.as_bytes(), URL, true)),
            _ => Ok(vec![]),
        },
        F::Decode => {
            let bytes = match other {
                "hex" => unhex(text),
                "base64" => unbase64(text, STANDARD),
                "urlbase64" => unbase64(text, URL),
                _ => None,
            };
            Ok(bytes.and_then(|bytes| String::from_utf8(bytes).ok()).map(Item::string).into_iter().collect())
        }
        F::Escape => match other {
            "html" => string(HTML.iter().fold(text.to_owned(), |text, (raw, name)| text.replace(raw, name))),
            "json" => string(text.replace('\\', "\\\\").replace('"', "\\\"")),
            _ => Ok(vec![]),
        },
        F::Unescape => match other {
            "html" => {
                string(HTML.iter().rev().fold(text.to_owned(), |text, (raw, name)| text.replace(name, raw)))
            }
            "json" => string(text.replace("\\\"", "\"").replace("\\\\", "\\")),
            _ => Ok(vec![]),
        },
        _ => Err(EvalError::of(Fault::Unknown, name)),
    }
}

/// Characters with names, the ampersand first.
const HTML: &[(&str, &str)] =
    &[("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\"", "&quot;"), ("'", "&#39;")];

/// The argument as text; `None` where it is empty or absent.
fn text_argument<'a>(
    ev: &Evaluator<'_, 'a>,
    call: &Call,
    at: usize,
    env: Env<'_, 'a>,
) -> Result<Option<String>, EvalError> {
    let Some(argument) = call.arguments.get(at) else { return Ok(None) };
    let found = ev.eval(argument, env)?;
    match one(&found, call.function.name())? {
        None => Ok(None),
        Some(item) => match item.as_str() {
            Some(text) => Ok(Some(text.to_owned())),
            None => Err(EvalError::of(Fault::Types, call.function.name())),
        },
    }
}

fn substring<'a>(ev: &Evaluator<'_, 'a>, call: &Call, text: &str, env: Env<'_, 'a>) -> Evaluated<'a> {
    let number = |at: usize| -> Result<Option<i64>, EvalError> {
        let found = ev.eval(argument(call, at)?, env)?;
        match one(&found, "substring")?.map(Item::system) {
            None => Ok(None),
            Some(Some(System::Integer(value))) => Ok(Some(value)),
            Some(_) => Err(EvalError::of(Fault::Types, "substring")),
        }
    };
    let Some(start) = number(0)? else { return Ok(vec![]) };
    let Ok(start) = usize::try_from(start) else { return Ok(vec![]) };
    if start >= text.chars().count() {
        return Ok(vec![]);
    }
    let length = match call.arguments.len() {
        // An empty length counts as none (FHIRPath 2.0 5.6.2).
        2 => number(1)?.map_or(usize::MAX, |length| usize::try_from(length).unwrap_or(0)),
        _ => usize::MAX,
    };
    Ok(vec![Item::string(text.chars().skip(start).take(length).collect::<String>())])
}

fn braced(by: &str) -> String {
    let mut out = String::with_capacity(by.len() + 4);
    let mut rest = by;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits > 0 {
            out.push_str(&format!("${{{}}}", &rest[..digits]));
            rest = &rest[digits..];
        } else {
            out.push('$');
        }
    }
    out.push_str(rest);
    out
}

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn base64(bytes: &[u8], alphabet: &[u8; 64], padded: bool) -> String {
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let value = chunk.iter().fold(0_u32, |v, b| v << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for i in 0..4 {
            if i <= chunk.len() {
                out.push(char::from(alphabet[(value >> (18 - 6 * i) & 63) as usize]));
            } else if padded {
                out.push('=');
            }
        }
    }
    out
}

fn unbase64(text: &str, alphabet: &[u8; 64]) -> Option<Vec<u8>> {
    let mut out = vec![];
    let (mut value, mut bits) = (0_u32, 0);
    for byte in text.bytes().filter(|b| *b != b'=') {
        value = value << 6 | u32::try_from(alphabet.iter().position(|a| *a == byte)?).ok()?;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push(u8::try_from(value >> bits & 255).ok()?);
        }
    }
    Some(out)
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).ok()).collect()
}
