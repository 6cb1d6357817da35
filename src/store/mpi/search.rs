//! Persons by demographics, through columns that are folded and indexed.

use super::{among, list, rows};
use crate::store::db::{DbError, Tx, Val};

/// A name of an identity as it is searched.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    pub family: String,
    pub given: String,
}

/// `mpi_term.kind`. The numbers are stored: never reuse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i64)]
pub enum TermKind {
    Postal = 1,
    Phone = 2,
    Account = 3,
    /// The mother's family name, and whole name.
    Mother = 4,
}

/// What of an identity can be searched.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Terms {
    pub names: Vec<Name>,
    pub birth: String,
    pub terms: Vec<(TermKind, String)>,
}

/// Exchanges what an identity is found by. `before`: what that was, if it is known; what stays the same is not written
/// again.
pub async fn put(
    tx: &mut Tx<'_>,
    identity: i64,
    before: Option<&Terms>,
    terms: &Terms,
) -> Result<(), DbError> {
    put_names(tx, identity, before, terms).await?;
    put_terms(tx, identity, before, terms).await
}

async fn put_names(
    tx: &mut Tx<'_>,
    identity: i64,
    before: Option<&Terms>,
    terms: &Terms,
) -> Result<(), DbError> {
    if before.is_some_and(|b| b.names == terms.names && (b.birth == terms.birth || b.names.is_empty())) {
        return Ok(());
    }
    if tx.is_postgres() {
        return exchange_names(tx, identity, before, terms).await;
    }
    if before.is_none_or(|b| !b.names.is_empty()) {
        // At once: rows of the same numbers follow.
        tx.exec("DELETE FROM mpi_name WHERE identity_key = $1", &[identity.into()]).await?;
    }
    if terms.names.is_empty() {
        return Ok(());
    }
    let numbers: Vec<i64> = (0_i64..).take(terms.names.len()).collect();
    let families: Vec<&str> = terms.names.iter().map(|n| n.family.as_str()).collect();
    let givens: Vec<&str> = terms.names.iter().map(|n| n.given.as_str()).collect();
    let sql = format!(
        "INSERT INTO mpi_name (identity_key, n, family, given, birth) VALUES {}",
        rows(numbers.len(), 5)
    );
    let birth = Val::Text(&terms.birth);
    let args: Vec<Val<'_>> = numbers
        .into_iter()
        .zip(families.into_iter().zip(givens))
        .flat_map(|(n, (family, given))| [identity.into(), n.into(), family.into(), given.into(), birth])
        .collect();
    tx.insert(sql, &args).await
}

/// PostgreSQL's way: with others of its kind, and nothing at once.
async fn exchange_names(
    tx: &mut Tx<'_>,
    identity: i64,
    before: Option<&Terms>,
    terms: &Terms,
) -> Result<(), DbError> {
    let count = terms.names.len();
    if before.is_none_or(|b| b.names.len() > count) {
        let sql = "DELETE FROM mpi_name m USING unnest($1, $2) AS r(k, n) WHERE m.identity_key = r.k AND m.n >= r.n";
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        tx.later(sql, &[Val::I64s(&[identity]), Val::I64s(&[count])]).await?;
    }
    if terms.names.is_empty() {
        return Ok(());
    }
    let numbers: Vec<i64> = (0_i64..).take(count).collect();
    let families: Vec<&str> = terms.names.iter().map(|n| n.family.as_str()).collect();
    let givens: Vec<&str> = terms.names.iter().map(|n| n.given.as_str()).collect();
    let sql = "INSERT INTO mpi_name (identity_key, n, family, given, birth) SELECT * FROM unnest($1, $2, $3, $4, $5) \
               ON CONFLICT (identity_key, n) DO UPDATE SET family = excluded.family, given = excluded.given, \
               birth = excluded.birth";
    let args = [
        Val::I64s(&vec![identity; count]),
        Val::I64s(&numbers),
        Val::Texts(&families),
        Val::Texts(&givens),
        Val::Texts(&vec![terms.birth.as_str(); count]),
    ];
    tx.insert(sql, &args).await
}

async fn put_terms(
    tx: &mut Tx<'_>,
    identity: i64,
    before: Option<&Terms>,
    terms: &Terms,
) -> Result<(), DbError> {
    if before.is_some_and(|b| b.terms == terms.terms) {
        return Ok(());
    }
    let kinds: Vec<i64> = terms.terms.iter().map(|(kind, _)| *kind as i64).collect();
    let values: Vec<&str> = terms.terms.iter().map(|(_, value)| value.as_str()).collect();
    if !tx.is_postgres() {
        tx.exec("DELETE FROM mpi_term WHERE identity_key = $1", &[identity.into()]).await?;
        if values.is_empty() {
            return Ok(());
        }
        let sql =
            format!("INSERT INTO mpi_term (kind, value, identity_key) VALUES {}", rows(values.len(), 3));
        let args: Vec<Val<'_>> = kinds
            .into_iter()
            .zip(values)
            .flat_map(|(kind, value)| [kind.into(), value.into(), identity.into()])
            .collect();
        return tx.insert(sql, &args).await;
    }
    let own = vec![identity; values.len()];
    let [kinds, values, own] = [Val::I64s(&kinds), Val::Texts(&values), Val::I64s(&own)];
    if before.is_none_or(|b| !b.terms.is_empty()) {
        let sql = "DELETE FROM mpi_term t WHERE t.identity_key = ANY($1) AND NOT EXISTS (SELECT 1 FROM \
                   unnest($2, $3, $4) AS k(kind, value, own) WHERE k.own = t.identity_key AND k.kind = t.kind \
                   AND k.value = t.value)";
        tx.later(sql, &[Val::I64s(&[identity]), kinds, values, own]).await?;
    }
    if terms.terms.is_empty() {
        return Ok(());
    }
    let sql = "INSERT INTO mpi_term (kind, value, identity_key) SELECT * FROM unnest($1, $2, $3) \
               ON CONFLICT DO NOTHING";
    tx.insert(sql, &[kinds, values, own]).await
}

/// A folded value, whole or its beginning.
#[derive(Clone, PartialEq, Eq)]
pub struct Wanted {
    pub value: String,
    pub prefix: bool,
}

/// A question: everything must agree, though it may be said by different identities of a person.
#[derive(Clone, Default)]
pub struct Question {
    pub families: Vec<Wanted>,
    pub givens: Vec<Wanted>,
    /// `YYYY[MM[DD]]`.
    pub birth: Option<String>,
    pub terms: Vec<(TermKind, Wanted)>,
    /// The person must be one of these.
    pub persons: Option<Vec<i64>>,
}

impl Question {
    /// Whether an index knows the way.
    pub fn is_narrow(&self) -> bool {
        !self.families.is_empty()
            || !self.givens.is_empty()
            || self.birth.is_some()
            || !self.terms.is_empty()
            || self.persons.is_some()
    }
}

/// After every text that begins with something.
const LAST: char = '\u{10FFFF}';

#[derive(Default)]
struct Statement {
    sql: String,
    args: Vec<Arg>,
}

enum Arg {
    Text(String),
    I64(i64),
}

impl Statement {
    fn bind(&mut self, arg: Arg) -> String {
        self.args.push(arg);
        format!("${}", self.args.len())
    }

    fn text(&mut self, column: &str, wanted: &Wanted) -> String {
        let value = self.bind(Arg::Text(wanted.value.clone()));
        if !wanted.prefix {
            return format!("{column} = {value}");
        }
        let end = self.bind(Arg::Text(format!("{}{LAST}", wanted.value)));
        format!("{column} >= {value} AND {column} < {end}")
    }

    fn birth(&mut self, column: &str, birth: &str) -> String {
        self.text(column, &Wanted { value: birth.to_owned(), prefix: birth.len() < 8 })
    }
}

/// Keys of active persons that fit, each once, at most `limit`; in no order.
pub async fn persons(tx: &mut Tx<'_>, question: &Question, limit: usize) -> Result<Vec<i64>, DbError> {
    let mut s = Statement::default();
    let mut conditions: Vec<String> = vec!["i.status = 1".into()];
    // The order of the tables is the order they are looked into: the narrowest first.
    let named = !question.families.is_empty() || !question.givens.is_empty() || question.birth.is_some();
    let mut terms = question.terms.iter();
    let first = terms.next();
    s.sql.push_str("SELECT i.person_key FROM ");
    match (&question.persons, first) {
        (Some(keys), term) => {
            s.sql.push_str("identity i");
            let marks: Vec<String> = keys.iter().map(|k| s.bind(Arg::I64(*k))).collect();
            conditions.push(match marks.is_empty() {
                true => "1 = 0".into(),
                false => format!("i.person_key IN ({})", marks.join(",")),
            });
            if let Some(term) = term {
                let condition = said(&mut s, term);
                conditions.push(condition);
            }
            if named {
                s.sql.push_str(" CROSS JOIN mpi_name m");
                conditions.push("m.identity_key = i.identity_key".into());
            }
        }
        (None, Some((kind, wanted))) => {
            s.sql.push_str("mpi_term t CROSS JOIN identity j CROSS JOIN identity i");
            let kind = s.bind(Arg::I64(*kind as i64));
            let value = s.text("t.value", wanted);
            conditions.push(format!(
                "t.kind = {kind} AND {value} AND j.identity_key = t.identity_key AND j.status = 1 \
                 AND i.person_key = j.person_key"
            ));
            if named {
                s.sql.push_str(" CROSS JOIN mpi_name m");
                conditions.push("m.identity_key = i.identity_key".into());
            }
        }
        (None, None) => {
            s.sql.push_str("mpi_name m CROSS JOIN identity i");
            conditions.push("i.identity_key = m.identity_key".into());
        }
    }
    match (question.families.first(), question.givens.first()) {
        (Some(family), Some(given)) => {
            let (f, g) = (s.text("m.family", family), s.text("m.given", given));
            // Some systems send the name in one piece.
            let whole = Wanted { value: format!("{}{}", family.value, given.value), prefix: given.prefix };
            let piece = match family.prefix {
                true => "1 = 0".to_owned(),
                false => format!("{} AND m.given = ''", s.text("m.family", &whole)),
            };
            conditions.push(format!("(({f} AND {g}) OR ({piece}))"));
        }
        (Some(family), None) => {
            let condition = s.text("m.family", family);
            conditions.push(condition);
        }
        (None, Some(given)) => {
            let condition = s.text("m.given", given);
            conditions.push(condition);
        }
        (None, None) => {}
    }
    if let Some(birth) = &question.birth {
        let condition = s.birth("m.birth", birth);
        conditions.push(condition);
    }
    for (column, wanted) in question
        .families
        .iter()
        .skip(1)
        .map(|w| ("x.family", w))
        .chain(question.givens.iter().skip(1).map(|w| ("x.given", w)))
    {
        let condition = s.text(column, wanted);
        conditions.push(format!(
            "EXISTS (SELECT 1 FROM mpi_name x JOIN identity k ON k.identity_key = x.identity_key \
             WHERE k.person_key = i.person_key AND k.status = 1 AND {condition})"
        ));
    }
    for term in terms {
        let condition = said(&mut s, term);
        conditions.push(condition);
    }
    s.sql.push_str(" WHERE ");
    s.sql.push_str(&conditions.join(" AND "));
    // A person may be found by several names.
    let most = i64::try_from(limit.saturating_mul(6)).unwrap_or(i64::MAX);
    let most = s.bind(Arg::I64(most));
    s.sql.push_str(&format!(" LIMIT {most}"));
    let args: Vec<Val<'_>> = s
        .args
        .iter()
        .map(|a| match a {
            Arg::Text(t) => Val::Text(t),
            Arg::I64(n) => Val::I64(*n),
        })
        .collect();
    let mut found: Vec<i64> = tx.fetch(s.sql, &args, |row| row.get(0)).await?;
    found.sort_unstable();
    found.dedup();
    found.truncate(limit);
    Ok(found)
}

/// Whether an identity of the person says so.
fn said(s: &mut Statement, (kind, wanted): &(TermKind, Wanted)) -> String {
    let kind = s.bind(Arg::I64(*kind as i64));
    let value = s.text("t.value", wanted);
    format!(
        "EXISTS (SELECT 1 FROM mpi_term t JOIN identity k ON k.identity_key = t.identity_key \
         WHERE k.person_key = i.person_key AND k.status = 1 AND t.kind = {kind} AND {value})"
    )
}

/// Ids of persons' active identities in these domains (none: all), by person: (person, domain, value).
pub async fn ids(
    tx: &mut Tx<'_>,
    persons: &[i64],
    domains: &[String],
) -> Result<Vec<(i64, String, String)>, DbError> {
    if persons.is_empty() {
        return Ok(vec![]);
    }
    let (among, mut args) = among(tx, "person_key", 1, persons);
    let mut sql = format!("SELECT person_key, domain, value FROM identity WHERE {among} AND status = 1");
    if !domains.is_empty() {
        sql.push_str(&format!(" AND domain IN ({})", list(args.len() + 1, domains.len())));
        args.extend(domains.iter().map(|d| Val::Text(d)));
    }
    sql.push_str(" ORDER BY person_key, domain, value");
    tx.fetch(sql, &args, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).await
}
