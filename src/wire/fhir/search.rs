//! Search parameters of ITI-78, and the pairs of any URL's query (FHIR R4 3.1.1; ITI PDQm 3.78.4.1.2).

use super::authority_of;
use super::outcome::{Issue, IssueCode};
use super::patient::{date_digits, is_id, sex_of};
use crate::model::error::clip;
use crate::model::identity::text::joined;
use crate::model::identity::{DemographicsQuery, Field, Place, Representation, SentId};

/// Parameters of one request at most, and bytes of a query.
const MOST: usize = 100;
const LONGEST: usize = 64 * 1024;

/// A search as it was read.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Search {
    pub query: DemographicsQuery,
    /// `_id`: our ids of persons, all of which must be the one.
    pub persons: Vec<String>,
    /// `_count`.
    pub size: Option<u64>,
    /// The rest of an earlier answer: its search, and from which result on.
    pub page: Option<(String, u64)>,
    /// `active=false`: persons that are found are active.
    pub inactive: bool,
    /// The parameters understood, for the self link.
    pub said: String,
    /// Those that are not known, left out because the client wants it so.
    pub ignored: Vec<String>,
}

impl std::fmt::Debug for Search {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Search(…)")
    }
}

/// Percent-decoded, with `+` for blanks.
pub fn decoded(text: &str) -> Result<String, String> {
    let mut out = Vec::with_capacity(text.len());
    let mut octets = text.bytes();
    while let Some(octet) = octets.next() {
        match octet {
            b'+' => out.push(b' '),
            b'%' => {
                let digit = |octet: Option<u8>| char::from(octet?).to_digit(16);
                match (digit(octets.next()), digit(octets.next())) {
                    (Some(high), Some(low)) => out.extend(u8::try_from(high * 16 + low)),
                    _ => return Err("% is not followed by two hexadecimal digits".into()),
                }
            }
            octet => out.push(octet),
        }
    }
    String::from_utf8(out).map_err(|_| "a value is not UTF-8".into())
}

/// The reverse.
pub fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, octet| {
        match octet {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(octet))
            }
            octet => out.push_str(&format!("%{octet:02X}")),
        }
        out
    })
}

/// Names and values of a query.
pub fn pairs(query: &str) -> Result<Vec<(String, String)>, Issue> {
    let wrong = |text: String| Issue::error(IssueCode::Structure, text);
    if query.len() > LONGEST {
        return Err(wrong(format!("the query is longer than {LONGEST} bytes")));
    }
    let mut found = vec![];
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        found.push((decoded(name).map_err(wrong)?, decoded(value).map_err(wrong)?));
        if found.len() > MOST {
            return Err(wrong(format!("more than {MOST} parameters")));
        }
    }
    Ok(found)
}

/// A value at its commas, and the `|` of a token: `\` makes either mean itself (FHIR R4 3.1.1.4.0.1).
fn split(value: &str, at: char) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        let Some(last) = parts.last_mut() else { break };
        match c {
            '\\' => {
                last.push('\\');
                last.extend(chars.next());
            }
            c if c == at => parts.push(String::new()),
            c => last.push(c),
        }
    }
    parts
}

fn unescaped(part: &str) -> String {
    let mut out = String::with_capacity(part.len());
    let mut chars = part.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next()),
            c => out.push(c),
        }
    }
    out
}

/// System and value of `system|value`.
pub fn identifier_of(token: &str) -> Option<(String, String)> {
    let parts = split(token, '|');
    let [system, value] = parts.as_slice() else { return None };
    let (system, value) = (unescaped(system).trim().to_owned(), unescaped(value).trim().to_owned());
    (!system.is_empty() && !value.is_empty()).then_some((system, value))
}

/// Parts of an address asked for, largest first.
#[derive(Default)]
struct Parts {
    state: Option<String>,
    city: Option<String>,
    text: Option<String>,
}

/// Reads a search. `lenient`: what is not known is left out (`Prefer: handling=lenient`); else it is refused, since
/// to leave out what somebody asks for would show people they did not ask for.
pub fn read(pairs: &[(String, String)], lenient: bool) -> Result<Search, Vec<Issue>> {
    let mut search = Search::default();
    let mut issues = vec![];
    let mut parts = Parts::default();
    let (mut page, mut from) = (None, None);
    for (name, value) in pairs {
        let (base, modifier) = name.split_once(':').map_or((name.as_str(), None), |(b, m)| (b, Some(m)));
        let done = match base {
            "_format" | "_pretty" => continue,
            "_page" => {
                page = Some(value.clone());
                Ok(())
            }
            "_from" => number(value, 1).map(|n| from = Some(n)),
            _ => parameter(&mut search, &mut parts, base, modifier, value),
        };
        match done {
            Ok(()) => {
                let and = if search.said.is_empty() { "" } else { "&" };
                let pair = format!("{and}{}={}", encoded(name).replace("%3A", ":"), encoded(value));
                search.said.push_str(&pair);
            }
            Err((IssueCode::NotSupported, _)) if lenient => search.ignored.push(name.clone()),
            Err((code, text)) => issues.push(Issue::error(code, text).at(name)),
        }
    }
    let Parts { state, city, text } = parts;
    let whole = joined([&state, &city, &text].into_iter().flatten().map(String::as_str));
    search.query.address = Some(whole).filter(|t| !t.is_empty());
    search.page = page.map(|page| (page, from.unwrap_or(1)));
    match issues.is_empty() {
        true => Ok(search),
        false => Err(issues),
    }
}

type Wrong = (IssueCode, String);

fn number(value: &str, least: u64) -> Result<u64, Wrong> {
    let number = value.parse::<u64>().ok().filter(|n| *n >= least && *n <= 1_000_000_000);
    number.ok_or_else(|| (IssueCode::Value, format!("'{}' is no number from {least} on", clip(value))))
}

fn parameter(
    search: &mut Search,
    parts: &mut Parts,
    base: &str,
    modifier: Option<&str>,
    value: &str,
) -> Result<(), Wrong> {
    let query = &mut search.query;
    let unsupported = |text: String| (IssueCode::NotSupported, text);
    let exact = match (base, modifier) {
        (_, None) => false,
        ("family" | "given" | "mothersMaidenName", Some("exact")) => true,
        (base, Some(modifier)) => {
            return Err(unsupported(format!("{base}:{} is not supported", clip(modifier))));
        }
    };
    // Several values are alternatives, which the index does not search.
    let values = split(value, ',');
    let one = || match values.as_slice() {
        [only] if !unescaped(only).trim().is_empty() => Ok(unescaped(only).trim().to_owned()),
        [_] => Err((IssueCode::Value, format!("{base} has no value"))),
        _ => Err(unsupported(format!("{base}: alternatives (,) are not supported"))),
    };
    fn once<T>(place: &mut Option<T>, value: T, base: &str) -> Result<(), Wrong> {
        match place.replace(value) {
            None => Ok(()),
            Some(_) => Err((IssueCode::NotSupported, format!("{base} stands twice; once is supported"))),
        }
    }
    let how = if exact { Representation::Exact } else { Representation::Prefix };
    match base {
        "family" => query.family.push((one()?, how)),
        "given" => query.given.push((one()?, how)),
        "mothersMaidenName" => once(&mut query.mother_maiden_name, (one()?, how), base)?,
        "_count" => once(&mut search.size, number(value, 0)?, base)?,
        "_id" => {
            let id = one()?;
            if !is_id(&id) {
                return Err((IssueCode::Value, format!("_id '{}' is no logical id", clip(&id))));
            }
            search.persons.push(id);
        }
        "active" => match one()?.rsplit('|').next() {
            Some("true") => {}
            Some("false") => search.inactive = true,
            _ => return Err((IssueCode::Value, "active is true or false".into())),
        },
        "gender" => {
            let said = one()?;
            let code = said.rsplit('|').next().and_then(sex_of);
            let Some(code) = code else {
                let text = format!("gender '{}' is not in administrative-gender", clip(&said));
                return Err((IssueCode::CodeInvalid, text));
            };
            once(&mut query.sex, code.to_owned(), base)?;
        }
        "birthdate" => {
            let said = one()?;
            let date = said.strip_prefix("eq").unwrap_or(&said);
            if ["ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"].iter().any(|p| date.starts_with(p)) {
                return Err(unsupported("birthdate: only equality (eq) is supported".into()));
            }
            let Some(digits) = date_digits(date) else {
                let text =
                    format!("'{}' is no date of the calendar (YYYY, YYYY-MM or YYYY-MM-DD)", clip(date));
                return Err((IssueCode::Value, text));
            };
            once(&mut query.birth_date, digits, base)?;
        }
        "telecom" => {
            let said = one()?;
            let number = said.rsplit('|').next().unwrap_or_default();
            let number = number.strip_prefix("tel:").unwrap_or(number).trim().to_owned();
            once(&mut query.phone, number, base)?;
        }
        "address" => once(&mut parts.text, one()?, base)?,
        "address-state" => once(&mut parts.state, one()?, base)?,
        "address-city" => once(&mut parts.city, one()?, base)?,
        "address-postalcode" => once(&mut query.postal_code, one()?, base)?,
        "identifier" => identifiers(query, &values)?,
        other => return Err(unsupported(format!("parameter '{}' is not supported", clip(other)))),
    }
    Ok(())
}

/// `system|value`, an id that must be the patient's; `system|`, domains whose ids are wanted (ITI PDQm
/// 3.78.4.1.2.3).
fn identifiers(query: &mut DemographicsQuery, values: &[String]) -> Result<(), Wrong> {
    let tokens: Vec<(String, String)> = values
        .iter()
        .map(|token| {
            let parts = split(token, '|');
            match parts.as_slice() {
                [system, value] if !system.trim().is_empty() => {
                    Ok((unescaped(system).trim().to_owned(), unescaped(value).trim().to_owned()))
                }
                _ => {
                    Err((IssueCode::Value, "identifier is system|value, or system| for a domain".to_owned()))
                }
            }
        })
        .collect::<Result<_, _>>()?;
    if tokens.iter().all(|(_, value)| value.is_empty()) {
        query.returned.extend(tokens.iter().map(|(system, _)| authority_of(system)));
        return Ok(());
    }
    let [(system, value)] = tokens.as_slice() else {
        return Err((
            IssueCode::NotSupported,
            "identifier: alternatives (,) of ids are not supported".into(),
        ));
    };
    let n = u32::try_from(query.ids.len() + 1).unwrap_or(u32::MAX);
    query.ids.push(SentId {
        value: value.clone(),
        authority: authority_of(system),
        type_code: None,
        place: Place::nth(Field::QueryParameter, n),
    });
    Ok(())
}
