//! Identities, their versions, and the blocking keys they are found by.

use super::review::State;
use super::{PARAMETERS, among, list, rows};
use crate::model::identity::{Demographics, DomainId};
use crate::store::db::{DbError, Row, Tx, Val};

/// `identity.status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Active,
    /// Merged into another id of its domain, or renamed.
    Subsumed,
}

impl Status {
    fn code(self) -> i64 {
        match self {
            Status::Active => 1,
            Status::Subsumed => 2,
        }
    }

    pub(super) fn of_code(code: i64) -> Self {
        if code == 1 { Status::Active } else { Status::Subsumed }
    }
}

/// A row of `identity`. Its `Debug` shows no id of a patient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub key: i64,
    pub id: DomainId,
    pub status: Status,
    pub person_key: i64,
    pub subsumed_into: Option<i64>,
    pub version: i64,
    /// As matching stores them.
    pub features: Stored,
    pub created_at: i64,
    pub updated_at: i64,
}

impl Identity {
    /// Not an identity, but an id that was exchanged for another.
    pub fn is_buried(&self) -> bool {
        self.status == Status::Subsumed && self.version == 0
    }
}

/// Features as stored. Prints nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Stored(pub String);

impl std::fmt::Debug for Stored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stored(…)")
    }
}

pub(super) const COLUMNS: &str = "identity_key, domain, value, status, person_key, subsumed_into, version, features, \
                       created_at, updated_at";

fn read(row: &Row<'_>) -> Result<Identity, DbError> {
    read_from(row, 0)
}

/// The columns from the nth on.
pub(super) fn read_from(row: &Row<'_>, n: usize) -> Result<Identity, DbError> {
    Ok(Identity {
        key: row.get(n)?,
        id: DomainId { domain: row.get(n + 1)?, value: row.get(n + 2)? },
        status: Status::of_code(row.get(n + 3)?),
        person_key: row.get(n + 4)?,
        subsumed_into: row.get(n + 5)?,
        version: row.get(n + 6)?,
        features: Stored(row.get(n + 7)?),
        created_at: row.get(n + 8)?,
        updated_at: row.get(n + 9)?,
    })
}

/// An identity by its id, whatever its status.
pub async fn by_id(tx: &mut Tx<'_>, id: &DomainId) -> Result<Option<Identity>, DbError> {
    let sql = format!("SELECT {COLUMNS} FROM identity WHERE domain = $1 AND value = $2");
    tx.fetch_opt(sql, &[(&id.domain).into(), (&id.value).into()], read).await
}

/// An identity with all that is known of it, and whether a review of it is open.
pub struct Named {
    pub identity: Identity,
    pub known: Option<Demographics>,
    pub reviewed: bool,
}

/// The same with what a feed wants to know.
pub async fn named(tx: &mut Tx<'_>, id: &DomainId) -> Result<Option<Named>, DbError> {
    let columns: Vec<String> = COLUMNS.split(", ").map(|c| format!("i.{c}")).collect();
    let (asked, among, args) = match tx.is_postgres() {
        true => (
            "unnest($1, $2) AS q(d, v) JOIN identity i ON i.domain = q.d AND i.value = q.v",
            "",
            [Val::Texts(&[&id.domain]), Val::Texts(&[&id.value])],
        ),
        false => {
            ("identity i", " WHERE i.domain = $1 AND i.value = $2", [(&id.domain).into(), (&id.value).into()])
        }
    };
    let sql = format!(
        "SELECT v.sent, CAST(CASE WHEN EXISTS (SELECT 1 FROM review_task r WHERE r.identity_key = i.identity_key \
         AND r.state IN ({}, {})) THEN 1 ELSE 0 END AS BIGINT), {} FROM {asked} LEFT JOIN demographic_version v \
         ON v.identity_key = i.identity_key AND v.version = i.version{among}",
        State::Candidate as i64,
        State::Waiting as i64,
        columns.join(", ")
    );
    let found = tx.fetch_ours(sql, &args, |row| {
        if row.text(3)? != id.domain || row.text(4)? != id.value {
            return Ok(None);
        }
        let sent: Option<&str> = row.text_opt(0)?;
        let known = sent.map(serde_json::from_str).transpose();
        Ok(Some(Named {
            known: known.map_err(|e| DbError::Decode { column: 0, message: e.to_string() })?,
            reviewed: row.get(1)?,
            identity: read_from(row, 2)?,
        }))
    });
    Ok(found.await?.pop())
}

pub async fn by_key(tx: &mut Tx<'_>, key: i64) -> Result<Option<Identity>, DbError> {
    let sql = format!("SELECT {COLUMNS} FROM identity WHERE identity_key = $1");
    tx.fetch_opt(sql, &[key.into()], read).await
}

/// Active identities, in order of their keys; held until the transaction ends, if `hold`.
pub async fn active(tx: &mut Tx<'_>, keys: &[i64], hold: bool) -> Result<Vec<Identity>, DbError> {
    by_column(tx, "identity_key", keys, hold).await
}

/// The active identities of persons.
pub async fn of_persons(tx: &mut Tx<'_>, persons: &[i64], hold: bool) -> Result<Vec<Identity>, DbError> {
    by_column(tx, "person_key", persons, hold).await
}

async fn by_column(
    tx: &mut Tx<'_>,
    column: &str,
    keys: &[i64],
    hold: bool,
) -> Result<Vec<Identity>, DbError> {
    let mut keys = keys.to_vec();
    keys.sort_unstable();
    keys.dedup();
    let mut found = vec![];
    let held = if hold && tx.is_postgres() { " FOR NO KEY UPDATE" } else { "" };
    for part in keys.chunks(PARAMETERS) {
        let (among, args) = among(tx, column, 1, part);
        let sql = format!(
            "SELECT {COLUMNS} FROM identity WHERE {among} AND status = 1 ORDER BY identity_key{held}"
        );
        found.extend(match hold || column != "identity_key" {
            true => tx.fetch(sql, &args, read).await?,
            false => tx.fetch_of(sql, &args, part, read).await?,
        });
    }
    Ok(found)
}

/// Identities that share one of the blocking keys with another, whole blocks only: a block larger than `cap`
/// tells too little and is skipped. How many were skipped is told too.
pub async fn sharing(
    tx: &mut Tx<'_>,
    hashes: &[i64],
    cap: usize,
    but: i64,
) -> Result<(Vec<i64>, u64), DbError> {
    if hashes.is_empty() {
        return Ok((vec![], 0));
    }
    let limit = cap.saturating_add(2);
    let mut hashes = hashes.to_vec();
    hashes.sort_unstable();
    hashes.dedup();
    // The same by two ways: SQLite has no LATERAL, and to PostgreSQL a dozen parts are a dozen plans.
    let (sql, args) = match tx.is_postgres() {
        true => (
            format!(
                "SELECT b.hash, k.identity_key FROM unnest($1) AS b(hash) CROSS JOIN LATERAL \
                 (SELECT identity_key FROM mpi_key WHERE hash = b.hash LIMIT {limit}) AS k"
            ),
            vec![Val::I64s(&hashes)],
        ),
        false => {
            let parts: Vec<String> = (1..=hashes.len())
                .map(|n| format!("SELECT * FROM (SELECT hash, identity_key FROM mpi_key WHERE hash = ${n} LIMIT {limit})"))
                .collect();
            (parts.join(" UNION ALL "), hashes.iter().map(|hash| Val::I64(*hash)).collect())
        }
    };
    let mut blocks: Vec<Vec<i64>> = vec![vec![]; hashes.len()];
    tx.fetch_of(sql, &args, &hashes, |row| {
        let (hash, key): (i64, i64) = (row.get(0)?, row.get(1)?);
        let block = hashes.binary_search(&hash).ok().and_then(|b| blocks.get_mut(b));
        if let Some(block) = block.filter(|_| key != but) {
            block.push(key);
        }
        Ok(())
    })
    .await?;
    let skipped = blocks.iter().filter(|block| block.len() > cap).count() as u64;
    let mut found: Vec<i64> = blocks.into_iter().filter(|block| block.len() <= cap).flatten().collect();
    found.sort_unstable();
    found.dedup();
    Ok((found, skipped))
}

/// What is said of an identity at one time. Made before the transaction begins, as far as can be.
pub struct Version<'a> {
    pub number: i64,
    pub at: i64,
    pub occurred: Option<&'a str>,
    /// JSON.
    pub source: &'a str,
    /// JSON.
    pub sent: &'a str,
    pub raw: &'a [u8],
    /// As matching stores them.
    pub features: &'a str,
}

/// A new identity of a person, with its first version.
pub async fn insert(
    tx: &mut Tx<'_>,
    key: i64,
    id: &DomainId,
    person_key: i64,
    version: &Version<'_>,
) -> Result<(), DbError> {
    tx.later_row(
        "INSERT INTO identity (identity_key, domain, value, status, person_key, version, features, created_at, \
         updated_at) SELECT k, d, v, 1, p, n, f, t, t FROM unnest($1, $2, $3, $4, $5, $6, $7) \
         AS r(k, d, v, p, n, f, t)",
        "INSERT INTO identity (identity_key, domain, value, status, person_key, version, features, created_at, \
         updated_at) VALUES ($1, $2, $3, 1, $4, $5, $6, $7, $7)",
        &[
            key.into(),
            (&id.domain).into(),
            (&id.value).into(),
            person_key.into(),
            version.number.into(),
            version.features.into(),
            version.at.into(),
        ],
    )
    .await?;
    append(tx, key, version).await
}

/// The next version of an identity.
pub async fn revise(tx: &mut Tx<'_>, key: i64, version: &Version<'_>) -> Result<(), DbError> {
    tx.later_row(
        "UPDATE identity SET version = r.n, features = r.f, updated_at = r.t FROM unnest($1, $2, $3, $4) \
         AS r(k, n, f, t) WHERE identity_key = r.k",
        "UPDATE identity SET version = $2, features = $3, updated_at = $4 WHERE identity_key = $1",
        &[key.into(), version.number.into(), version.features.into(), version.at.into()],
    )
    .await?;
    append(tx, key, version).await
}

async fn append(tx: &mut Tx<'_>, key: i64, version: &Version<'_>) -> Result<(), DbError> {
    tx.later_row(
        "INSERT INTO demographic_version (identity_key, version, valid_from, occurred, source, sent, raw) \
         SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7)",
        "INSERT INTO demographic_version (identity_key, version, valid_from, occurred, source, sent, raw) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        &[
            key.into(),
            version.number.into(),
            version.at.into(),
            version.occurred.into(),
            version.source.into(),
            version.sent.into(),
            version.raw.into(),
        ],
    )
    .await?;
    Ok(())
}

/// Exchanges the blocking keys of an identity.
pub async fn set_keys(tx: &mut Tx<'_>, key: i64, old: &[i64], new: &[i64]) -> Result<(), DbError> {
    let gone: Vec<i64> = old.iter().copied().filter(|h| !new.contains(h)).collect();
    let mut come: Vec<i64> = new.iter().copied().filter(|h| !old.contains(h)).collect();
    come.sort_unstable();
    come.dedup();
    let of = |hashes: &[i64]| vec![key; hashes.len()];
    if !gone.is_empty() {
        match tx.is_postgres() {
            true => {
                let sql = "DELETE FROM mpi_key k USING unnest($1, $2) AS r(hash, identity) \
                           WHERE k.hash = r.hash AND k.identity_key = r.identity";
                tx.later(sql, &[Val::I64s(&gone), Val::I64s(&of(&gone))]).await?;
            }
            false => {
                let (among, args) = among(tx, "hash", 2, &gone);
                let args: Vec<Val<'_>> = std::iter::once(Val::I64(key)).chain(args).collect();
                tx.later(format!("DELETE FROM mpi_key WHERE identity_key = $1 AND {among}"), &args).await?;
            }
        }
    }
    if come.is_empty() {
        return Ok(());
    }
    match tx.is_postgres() {
        true => {
            let sql = "INSERT INTO mpi_key (hash, identity_key) SELECT * FROM unnest($1, $2) \
                       ON CONFLICT DO NOTHING";
            tx.insert(sql, &[Val::I64s(&come), Val::I64s(&of(&come))]).await
        }
        false => {
            let sql = format!(
                "INSERT INTO mpi_key (hash, identity_key) VALUES {} ON CONFLICT DO NOTHING",
                rows(come.len(), 2)
            );
            let args: Vec<Val<'_>> = come.into_iter().flat_map(|h| [Val::I64(h), Val::I64(key)]).collect();
            tx.insert(sql, &args).await
        }
    }
}

/// Gives identities to another person.
pub async fn set_person(tx: &mut Tx<'_>, keys: &[i64], person_key: i64) -> Result<(), DbError> {
    for part in keys.chunks(PARAMETERS) {
        let sql =
            format!("UPDATE identity SET person_key = $1 WHERE identity_key IN ({})", list(2, part.len()));
        let args: Vec<Val<'_>> =
            std::iter::once(person_key).chain(part.iter().copied()).map(Val::I64).collect();
        tx.exec(sql, &args).await?;
    }
    Ok(())
}

/// Subsumed ids follow the id they were merged into.
pub async fn followers(tx: &mut Tx<'_>, key: i64) -> Result<Vec<i64>, DbError> {
    let sql =
        "SELECT identity_key FROM identity WHERE subsumed_into = $1 AND status = 2 ORDER BY identity_key";
    tx.fetch(sql, &[key.into()], |row| row.get(0)).await
}

/// Exchanges the id of an identity.
pub async fn rename(tx: &mut Tx<'_>, key: i64, value: &str, at: i64) -> Result<(), DbError> {
    tx.exec(
        "UPDATE identity SET value = $2, updated_at = $3 WHERE identity_key = $1",
        &[key.into(), value.into(), at.into()],
    )
    .await?;
    Ok(())
}

/// Keeps an id taken that was exchanged for another: it names the identity no longer, and nobody else.
pub async fn bury(tx: &mut Tx<'_>, key: i64, id: &DomainId, of: &Identity, at: i64) -> Result<(), DbError> {
    tx.exec(
        "INSERT INTO identity (identity_key, domain, value, status, person_key, subsumed_into, version, features, \
         created_at, updated_at) VALUES ($1, $2, $3, 2, $4, $5, 0, '', $6, $6)",
        &[
            key.into(),
            (&id.domain).into(),
            (&id.value).into(),
            of.person_key.into(),
            of.key.into(),
            at.into(),
        ],
    )
    .await?;
    Ok(())
}

/// Frees an id that was exchanged for another.
pub async fn unbury(tx: &mut Tx<'_>, key: i64) -> Result<(), DbError> {
    tx.exec("DELETE FROM identity WHERE identity_key = $1 AND version = 0", &[key.into()]).await?;
    Ok(())
}

/// Merges an id away, or brings it back.
pub async fn set_status(
    tx: &mut Tx<'_>,
    key: i64,
    status: Status,
    into: Option<i64>,
    at: i64,
) -> Result<(), DbError> {
    tx.exec(
        "UPDATE identity SET status = $2, subsumed_into = $3, updated_at = $4 WHERE identity_key = $1",
        &[key.into(), status.code().into(), into.into(), at.into()],
    )
    .await?;
    Ok(())
}

/// All that is known of identities now: (identity_key, demographics).
pub async fn known(tx: &mut Tx<'_>, keys: &[i64]) -> Result<Vec<(i64, Demographics)>, DbError> {
    let mut found = vec![];
    for part in keys.chunks(PARAMETERS) {
        let (among, args) = among(tx, "i.identity_key", 1, part);
        let sql = format!(
            "SELECT v.identity_key, v.sent FROM identity i JOIN demographic_version v \
             ON v.identity_key = i.identity_key AND v.version = i.version WHERE {among} ORDER BY v.identity_key"
        );
        found.extend(tx.fetch(sql, &args, |row| Ok((row.get(0)?, demographics(row, 1)?))).await?);
    }
    Ok(found)
}

fn demographics(row: &Row<'_>, column: usize) -> Result<Demographics, DbError> {
    serde_json::from_str(row.text(column)?).map_err(|e| DbError::Decode { column, message: e.to_string() })
}

/// A version as an operator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub version: i64,
    pub valid_from: i64,
    pub occurred: Option<String>,
    /// JSON.
    pub source: String,
    pub demographics: Demographics,
}

/// The versions of an identity, oldest first.
pub async fn versions(tx: &mut Tx<'_>, key: i64) -> Result<Vec<Told>, DbError> {
    tx.fetch(
        "SELECT version, valid_from, occurred, source, sent FROM demographic_version WHERE identity_key = $1 \
         ORDER BY version",
        &[key.into()],
        |row| {
            Ok(Told {
                version: row.get(0)?,
                valid_from: row.get(1)?,
                occurred: row.get(2)?,
                source: row.get(3)?,
                demographics: demographics(row, 4)?,
            })
        },
    )
    .await
}

/// A page of active identities in order of their keys: key, features as stored.
pub async fn features_after(tx: &mut Tx<'_>, after: i64, limit: i64) -> Result<Vec<(i64, Stored)>, DbError> {
    let sql = "SELECT identity_key, features FROM identity WHERE identity_key > $1 AND status = 1 \
               ORDER BY identity_key LIMIT $2";
    tx.fetch(sql, &[after.into(), limit.into()], |row| Ok((row.get(0)?, Stored(row.get(1)?)))).await
}

/// How many active identities there are.
pub async fn count(tx: &mut Tx<'_>) -> Result<i64, DbError> {
    tx.fetch_one("SELECT COUNT(*) FROM identity WHERE status = 1", &[], |row| row.get(0)).await
}

/// The same and those that were merged into another id of their domain; not what was exchanged for another.
pub async fn every_id_of(tx: &mut Tx<'_>, person_key: i64) -> Result<Vec<DomainId>, DbError> {
    let sql = "SELECT domain, value FROM identity WHERE person_key = $1 AND (status = 1 OR version <> 0) \
               ORDER BY identity_key";
    tx.fetch(sql, &[person_key.into()], |row| Ok(DomainId { domain: row.get(0)?, value: row.get(1)? })).await
}

/// The ids of a person's active identities.
pub async fn ids_of(tx: &mut Tx<'_>, person_key: i64) -> Result<Vec<DomainId>, DbError> {
    let sql = "SELECT domain, value FROM identity WHERE person_key = $1 AND status = 1";
    tx.fetch(sql, &[person_key.into()], |row| Ok(DomainId { domain: row.get(0)?, value: row.get(1)? })).await
}
