//! What happened to links, what somebody said of pairs, and which pairs came near each other.

use super::{PARAMETERS, among, rows};
use crate::store::db::{DbError, Row, Tx, Val};

/// `link_event.kind`. The numbers are stored: never reuse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
#[repr(i64)]
pub enum Kind {
    /// A new identity made a new person.
    Created = 1,
    /// An identity came to a person.
    Linked = 2,
    /// An identity left a person.
    Unlinked = 3,
    /// An id was merged into another of its domain (A40).
    Merged = 4,
    /// That was taken back.
    Unmerged = 5,
    /// An id was exchanged for another (A47).
    Renamed = 6,
    /// Two identities are not of one person.
    DoNotLink = 7,
    /// Two identities are of one person.
    Confirmed = 8,
    /// What was said of two identities no longer counts.
    Withdrawn = 9,
    /// A person was joined to another.
    PersonMerged = 10,
    /// That was taken back.
    PersonUnmerged = 11,
}

impl Kind {
    pub const ALL: [Kind; 11] = [
        Kind::Created,
        Kind::Linked,
        Kind::Unlinked,
        Kind::Merged,
        Kind::Unmerged,
        Kind::Renamed,
        Kind::DoNotLink,
        Kind::Confirmed,
        Kind::Withdrawn,
        Kind::PersonMerged,
        Kind::PersonUnmerged,
    ];

    fn of_code(code: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as i64 == code)
    }
}

/// An event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub id: String,
    /// What was asked for once: its events are undone together.
    pub action: String,
    pub at: i64,
    pub kind: Kind,
    pub identity: Option<i64>,
    pub other: Option<i64>,
    pub from: Option<i64>,
    pub to: Option<i64>,
    /// Somebody said so, not the machine.
    pub manual: bool,
    /// JSON.
    pub cause: String,
}

pub async fn append(tx: &mut Tx<'_>, events: &[Event]) -> Result<(), DbError> {
    for e in events {
        tx.later_row(
            "INSERT INTO link_event (id, action, at, kind, identity_key, other_key, person_from, person_to, manual, \
             cause) SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            "INSERT INTO link_event (id, action, at, kind, identity_key, other_key, person_from, person_to, manual, \
             cause) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            &[
                Val::Text(&e.id),
                Val::Text(&e.action),
                e.at.into(),
                Val::I64(e.kind as i64),
                e.identity.into(),
                e.other.into(),
                e.from.into(),
                e.to.into(),
                Val::I64(i64::from(e.manual)),
                Val::Text(&e.cause),
            ],
        )
        .await?;
    }
    Ok(())
}

const COLUMNS: &str = "id, action, at, kind, identity_key, other_key, person_from, person_to, manual, cause";

fn read(row: &Row<'_>) -> Result<Event, DbError> {
    let kind: i64 = row.get(3)?;
    Ok(Event {
        id: row.get(0)?,
        action: row.get(1)?,
        at: row.get(2)?,
        kind: Kind::of_code(kind)
            .ok_or_else(|| DbError::Decode { column: 3, message: format!("no such event: {kind}") })?,
        identity: row.get(4)?,
        other: row.get(5)?,
        from: row.get(6)?,
        to: row.get(7)?,
        manual: row.get(8)?,
        cause: row.get(9)?,
    })
}

pub async fn get(tx: &mut Tx<'_>, id: &str) -> Result<Option<Event>, DbError> {
    tx.fetch_opt(format!("SELECT {COLUMNS} FROM link_event WHERE id = $1"), &[id.into()], read).await
}

/// All that was done by one action, oldest first.
pub async fn of_action(tx: &mut Tx<'_>, action: &str) -> Result<Vec<Event>, DbError> {
    tx.fetch(
        format!("SELECT {COLUMNS} FROM link_event WHERE action = $1 ORDER BY at, id"),
        &[action.into()],
        read,
    )
    .await
}

/// What happened to an identity, oldest first.
pub async fn of_identity(tx: &mut Tx<'_>, key: i64) -> Result<Vec<Event>, DbError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM link_event WHERE identity_key = $1 UNION \
         SELECT {COLUMNS} FROM link_event WHERE other_key = $1 ORDER BY 3, 1"
    );
    tx.fetch(sql, &[key.into()], read).await
}

/// What happened to a person, oldest first.
pub async fn of_person(tx: &mut Tx<'_>, key: i64) -> Result<Vec<Event>, DbError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM link_event WHERE person_from = $1 UNION \
         SELECT {COLUMNS} FROM link_event WHERE person_to = $1 ORDER BY 3, 1"
    );
    tx.fetch(sql, &[key.into()], read).await
}

// === what somebody said of two identities ===

/// Two identities, the smaller key first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Two(pub i64, pub i64);

impl Two {
    pub fn of(one: i64, other: i64) -> Self {
        Self(one.min(other), one.max(other))
    }
}

/// A verdict: whether the two are one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub two: Two,
    pub same: bool,
    pub event: String,
}

/// Keeps what was said last.
pub async fn say(tx: &mut Tx<'_>, two: Two, same: bool, event: &str) -> Result<(), DbError> {
    tx.exec(
        "INSERT INTO verdict (a_key, b_key, same, event_id) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (a_key, b_key) DO UPDATE SET same = excluded.same, event_id = excluded.event_id",
        &[two.0.into(), two.1.into(), Val::I64(i64::from(same)), event.into()],
    )
    .await?;
    Ok(())
}

pub async fn withdraw(tx: &mut Tx<'_>, two: Two) -> Result<bool, DbError> {
    let sql = "DELETE FROM verdict WHERE a_key = $1 AND b_key = $2";
    Ok(tx.exec(sql, &[two.0.into(), two.1.into()]).await? == 1)
}

/// All that was said of these identities.
pub async fn verdicts(tx: &mut Tx<'_>, keys: &[i64]) -> Result<Vec<Verdict>, DbError> {
    let mut found = touching(tx, "SELECT a_key, b_key, same, event_id FROM verdict", keys, |row| {
        Ok(Verdict { two: Two(row.get(0)?, row.get(1)?), same: row.get(2)?, event: row.get(3)? })
    })
    .await?;
    found.sort_by_key(|v| v.two);
    found.dedup();
    Ok(found)
}

// === pairs that came near each other ===

/// What a pair is good for. The numbers are stored: never reuse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
#[repr(i64)]
pub enum Class {
    /// Certain enough to link.
    Links = 1,
    /// To be looked at, and nothing known tells the two apart: what rivals a link.
    Rivals = 2,
    /// To be looked at, though something tells the two apart.
    Doubt = 3,
}

impl Class {
    pub(super) fn of_code(code: i64) -> Self {
        match code {
            1 => Class::Links,
            2 => Class::Rivals,
            _ => Class::Doubt,
        }
    }
}

/// A pair as it was weighed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    pub two: Two,
    pub class: Class,
    /// Thousandths of a bit.
    pub score: i64,
    pub model: String,
    /// JSON.
    pub body: String,
}

pub async fn put_pairs(tx: &mut Tx<'_>, pairs: &[Pair]) -> Result<(), DbError> {
    // Two new identities of one message meet from both sides. PostgreSQL takes no row twice in one statement; what
    // was weighed last stands.
    let last: std::collections::HashMap<Two, usize> =
        pairs.iter().enumerate().map(|(at, pair)| (pair.two, at)).collect();
    let pairs: Vec<&Pair> =
        pairs.iter().enumerate().filter(|(at, p)| last.get(&p.two) == Some(at)).map(|(_, p)| p).collect();
    let again = "ON CONFLICT (a_key, b_key) DO UPDATE SET class = excluded.class, score = excluded.score, \
                 model = excluded.model, body = excluded.body";
    if tx.is_postgres() {
        let numbers = |of: fn(&Pair) -> i64| -> Vec<i64> { pairs.iter().map(|p| of(p)).collect() };
        let (a, b) = (numbers(|p| p.two.0), numbers(|p| p.two.1));
        let (classes, scores) = (numbers(|p| p.class as i64), numbers(|p| p.score));
        let models: Vec<&str> = pairs.iter().map(|p| p.model.as_str()).collect();
        let bodies: Vec<&str> = pairs.iter().map(|p| p.body.as_str()).collect();
        let sql = format!(
            "INSERT INTO pair (a_key, b_key, class, score, model, body) \
             SELECT * FROM unnest($1, $2, $3, $4, $5, $6) {again}"
        );
        let args = [
            Val::I64s(&a),
            Val::I64s(&b),
            Val::I64s(&classes),
            Val::I64s(&scores),
            Val::Texts(&models),
            Val::Texts(&bodies),
        ];
        return tx.insert(sql, &args).await;
    }
    for part in pairs.chunks(PARAMETERS / 6) {
        let sql = format!(
            "INSERT INTO pair (a_key, b_key, class, score, model, body) VALUES {} {again}",
            rows(part.len(), 6)
        );
        let args: Vec<Val<'_>> = part
            .iter()
            .flat_map(|p| {
                [
                    p.two.0.into(),
                    p.two.1.into(),
                    Val::I64(p.class as i64),
                    p.score.into(),
                    Val::Text(&p.model),
                    Val::Text(&p.body),
                ]
            })
            .collect();
        tx.insert(sql, &args).await?;
    }
    Ok(())
}

/// Forgets the pairs of an identity, which has changed, but for those with `kept`: these are written anew.
pub async fn drop_pairs(tx: &mut Tx<'_>, key: i64, kept: &[i64]) -> Result<(), DbError> {
    if tx.is_postgres() {
        // Each side is its own index's.
        let own = vec![key; kept.len()];
        for (own_key, other_key) in [("b_key", "a_key"), ("a_key", "b_key")] {
            let sql = format!(
                "DELETE FROM pair p WHERE p.{own_key} = ANY($1) AND NOT EXISTS (SELECT 1 FROM unnest($2, $3) \
                 AS k(own, other) WHERE k.own = p.{own_key} AND k.other = p.{other_key})"
            );
            tx.later(sql, &[Val::I64s(&[key]), Val::I64s(&own), Val::I64s(kept)]).await?;
        }
        return Ok(());
    }
    let (among, args) = among(tx, "a_key", 2, kept);
    let args: Vec<Val<'_>> = std::iter::once(Val::I64(key)).chain(args).collect();
    let other = among.replace("a_key", "b_key");
    for sql in [
        format!("DELETE FROM pair WHERE b_key = $1 AND NOT ({among})"),
        format!("DELETE FROM pair WHERE a_key = $1 AND NOT ({other})"),
    ] {
        tx.later(sql, &args).await?;
    }
    Ok(())
}

/// The pairs of identities, without their reasons.
pub async fn pairs(tx: &mut Tx<'_>, keys: &[i64]) -> Result<Vec<Pair>, DbError> {
    with_bodies(tx, keys, "''").await
}

/// The same with them.
pub async fn reasons(tx: &mut Tx<'_>, keys: &[i64]) -> Result<Vec<Pair>, DbError> {
    with_bodies(tx, keys, "body").await
}

async fn with_bodies(tx: &mut Tx<'_>, keys: &[i64], body: &str) -> Result<Vec<Pair>, DbError> {
    let select = format!("SELECT a_key, b_key, class, score, model, {body} FROM pair");
    let mut found = touching(tx, &select, keys, |row| {
        Ok(Pair {
            two: Two(row.get(0)?, row.get(1)?),
            class: Class::of_code(row.get(2)?),
            score: row.get(3)?,
            model: row.get(4)?,
            body: row.get(5)?,
        })
    })
    .await?;
    found.sort_by_key(|p| p.two);
    found.dedup_by_key(|p| p.two);
    Ok(found)
}

async fn touching<T: Send>(
    tx: &mut Tx<'_>,
    select: &str,
    keys: &[i64],
    read: impl Fn(&Row<'_>) -> Result<T, DbError> + Send + Copy,
) -> Result<Vec<T>, DbError> {
    let mut found = vec![];
    for part in keys.chunks(PARAMETERS) {
        let (a, args) = among(tx, "a_key", 1, part);
        let (b, _) = among(tx, "b_key", 1, part);
        let sql = format!("{select} WHERE {a} UNION ALL {select} WHERE {b}");
        found.extend(tx.fetch(sql, &args, read).await?);
    }
    Ok(found)
}
