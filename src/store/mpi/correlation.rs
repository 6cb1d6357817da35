//! Links between a patient of ours and ids of other communities, and what was said of them.

use super::person::Secret;
use super::review::State;
use super::{PARAMETERS, list};
use crate::model::identity::Way;
use crate::store::db::{DbError, Row, Tx, Val};
use crate::store::patient;

/// A row of `correlation`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    pub id: String,
    pub patient: i64,
    /// `urn:oid:…`
    pub home: String,
    /// OID.
    pub domain: String,
    pub value: Secret,
    pub way: Way,
    pub state: State,
    /// Somebody said so: no machine says otherwise.
    pub manual: bool,
    /// Microseconds since 1970; none: until something else is said.
    pub valid_until: Option<i64>,
    pub score: Option<i64>,
    pub created_at: i64,
    pub updated_at: i64,
}

impl Link {
    /// Whether questions go there at this moment.
    pub fn holds(&self, now: i64) -> bool {
        self.state == State::Confirmed && self.valid_until.is_none_or(|until| until > now)
    }
}

/// A row of `correlation_event`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    pub id: String,
    pub at: i64,
    pub state: State,
    pub way: Way,
    pub valid_until: Option<i64>,
    pub who: String,
    pub reason: String,
    pub request_id: String,
}

const COLUMNS: &str = "id, patient_key, home, domain, value, way, state, manual, valid_until, score, created_at, \
                       updated_at";

fn read(row: &Row<'_>) -> Result<Link, DbError> {
    Ok(Link {
        id: row.get(0)?,
        patient: row.get(1)?,
        home: row.get(2)?,
        domain: row.get(3)?,
        value: Secret(row.get(4)?),
        way: Way::of_code(row.get(5)?),
        state: State::of_code(row.get(6)?),
        manual: row.get::<i64>(7)? == 1,
        valid_until: row.get(8)?,
        score: row.get(9)?,
        created_at: row.get(10)?,
        updated_at: row.get(11)?,
    })
}

/// The keys a patient's links may stand under: its own, and those of patients merged into it.
pub async fn keys(tx: &mut Tx<'_>, patient_key: i64) -> Result<Vec<i64>, DbError> {
    let mut all = vec![patient_key];
    let mut at = 0;
    while let Some(key) = all.get(at).copied().filter(|_| all.len() < PARAMETERS) {
        let more = patient::subsumed_by(tx, key).await?;
        let new: Vec<i64> = more.into_iter().filter(|k| !all.contains(k)).collect();
        all.extend(new);
        at += 1;
    }
    Ok(all)
}

/// The links of these patients, oldest first.
pub async fn of_patients(tx: &mut Tx<'_>, keys: &[i64]) -> Result<Vec<Link>, DbError> {
    let mut found = vec![];
    for part in keys.chunks(PARAMETERS) {
        let sql = format!(
            "SELECT {COLUMNS} FROM correlation WHERE patient_key IN ({}) ORDER BY id",
            list(1, part.len())
        );
        let args: Vec<Val<'_>> = part.iter().map(|k| Val::I64(*k)).collect();
        found.extend(tx.fetch(sql, &args, read).await?);
    }
    Ok(found)
}

/// The links with an id of another community.
pub async fn of_foreign(tx: &mut Tx<'_>, domain: &str, value: &str) -> Result<Vec<Link>, DbError> {
    let sql = format!("SELECT {COLUMNS} FROM correlation WHERE domain = $1 AND value = $2 ORDER BY id");
    tx.fetch(sql, &[domain.into(), value.into()], read).await
}

/// A page of links in one state, oldest first, after one already seen.
pub async fn page(tx: &mut Tx<'_>, state: State, after: &str, limit: i64) -> Result<Vec<Link>, DbError> {
    let sql = format!("SELECT {COLUMNS} FROM correlation WHERE state = $1 AND id > $2 ORDER BY id LIMIT $3");
    tx.fetch(sql, &[Val::I64(state as i64), after.into(), limit.into()], read).await
}

/// Writes a link, in place of one of the same ids.
pub async fn put(tx: &mut Tx<'_>, link: &Link) -> Result<(), DbError> {
    tx.exec(
        "INSERT INTO correlation (id, patient_key, home, domain, value, way, state, manual, valid_until, score, \
         created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) \
         ON CONFLICT (patient_key, home, domain, value) DO UPDATE SET way = excluded.way, state = excluded.state, \
         manual = excluded.manual, valid_until = excluded.valid_until, score = excluded.score, \
         updated_at = excluded.updated_at",
        &[
            (&link.id).into(),
            link.patient.into(),
            (&link.home).into(),
            (&link.domain).into(),
            (&link.value.0).into(),
            Val::I64(link.way as i64),
            Val::I64(link.state as i64),
            Val::I64(i64::from(link.manual)),
            link.valid_until.into(),
            link.score.into(),
            link.created_at.into(),
            link.updated_at.into(),
        ],
    )
    .await?;
    Ok(())
}

/// Adds what was said of a link.
pub async fn say(tx: &mut Tx<'_>, link: &str, said: &Said) -> Result<(), DbError> {
    tx.exec(
        "INSERT INTO correlation_event (id, correlation_id, at, state, way, valid_until, who, reason, request_id) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        &[
            (&said.id).into(),
            link.into(),
            said.at.into(),
            Val::I64(said.state as i64),
            Val::I64(said.way as i64),
            said.valid_until.into(),
            (&said.who).into(),
            (&said.reason).into(),
            (&said.request_id).into(),
        ],
    )
    .await?;
    Ok(())
}

/// What was said of a link, oldest first.
pub async fn history(tx: &mut Tx<'_>, link: &str) -> Result<Vec<Said>, DbError> {
    let sql = "SELECT id, at, state, way, valid_until, who, reason, request_id FROM correlation_event \
               WHERE correlation_id = $1 ORDER BY at, id";
    tx.fetch(sql, &[link.into()], |row| {
        Ok(Said {
            id: row.get(0)?,
            at: row.get(1)?,
            state: State::of_code(row.get(2)?),
            way: Way::of_code(row.get(3)?),
            valid_until: row.get(4)?,
            who: row.get(5)?,
            reason: row.get(6)?,
            request_id: row.get(7)?,
        })
    })
    .await
}
