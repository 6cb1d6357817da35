//! Decisions: kept whole with the facts they rest on, the last of each document current.

use crate::store::db::{DbError, Row, Tx};

/// `national_decision.outcome`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Send,
    Skip,
    Hold,
    Fail,
}

impl Kind {
    pub const ALL: [Kind; 4] = [Self::Send, Self::Skip, Self::Hold, Self::Fail];

    pub fn code(self) -> i64 {
        match self {
            Self::Send => 1,
            Self::Skip => 2,
            Self::Hold => 3,
            Self::Fail => 4,
        }
    }

    pub fn of_code(code: i64) -> Self {
        Self::ALL.into_iter().find(|k| k.code() == code).unwrap_or(Self::Fail)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Skip => "skip",
            Self::Hold => "hold",
            Self::Fail => "fail",
        }
    }
}

/// A row of `national_decision`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub id: String,
    pub entry_id: String,
    pub lid: String,
    pub patient_key: i64,
    pub lineage: Option<String>,
    pub institution: Option<String>,
    pub at: i64,
    pub outcome: Kind,
    pub gate: i64,
    pub reason: Option<String>,
    pub operation: Option<String>,
    pub digest: String,
    /// JSON.
    pub body: String,
    pub current: bool,
    pub expires_at: Option<i64>,
    pub closed_at: Option<i64>,
    pub closed_by: Option<String>,
}

const COLUMNS: &str = "id, entry_id, lid, patient_key, lineage, institution, at, outcome, gate, reason, operation, \
                       digest, body, current, expires_at, closed_at, closed_by";

fn read(row: &Row<'_>) -> Result<Kept, DbError> {
    Ok(Kept {
        id: row.get(0)?,
        entry_id: row.get(1)?,
        lid: row.get(2)?,
        patient_key: row.get(3)?,
        lineage: row.get(4)?,
        institution: row.get(5)?,
        at: row.get(6)?,
        outcome: Kind::of_code(row.get(7)?),
        gate: row.get(8)?,
        reason: row.get(9)?,
        operation: row.get(10)?,
        digest: row.get(11)?,
        body: row.get(12)?,
        current: row.get(13)?,
        expires_at: row.get(14)?,
        closed_at: row.get(15)?,
        closed_by: row.get(16)?,
    })
}

/// Adds a decision, which is the current one of its document from now on.
pub async fn add(tx: &mut Tx<'_>, k: &Kept) -> Result<(), DbError> {
    tx.exec("UPDATE national_decision SET current = 0 WHERE lid = $1 AND current = 1", &[(&k.lid).into()])
        .await?;
    tx.exec(
        format!(
            "INSERT INTO national_decision ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, \
             $13, 1, $14, $15, $16)"
        ),
        &[
            (&k.id).into(),
            (&k.entry_id).into(),
            (&k.lid).into(),
            k.patient_key.into(),
            (&k.lineage).into(),
            (&k.institution).into(),
            k.at.into(),
            k.outcome.code().into(),
            k.gate.into(),
            (&k.reason).into(),
            (&k.operation).into(),
            (&k.digest).into(),
            (&k.body).into(),
            k.expires_at.into(),
            k.closed_at.into(),
            (&k.closed_by).into(),
        ],
    )
    .await?;
    Ok(())
}

/// What was decided of a document, oldest first.
pub async fn of_lid(tx: &mut Tx<'_>, lid: &str) -> Result<Vec<Kept>, DbError> {
    let sql = format!("SELECT {COLUMNS} FROM national_decision WHERE lid = $1 ORDER BY id");
    tx.fetch(sql, &[lid.into()], read).await
}

pub async fn current(tx: &mut Tx<'_>, lid: &str) -> Result<Option<Kept>, DbError> {
    let sql = format!("SELECT {COLUMNS} FROM national_decision WHERE lid = $1 AND current = 1 LIMIT 1");
    tx.fetch_opt(sql, &[lid.into()], read).await
}

/// The logicalID under which something was decided of an entry.
pub async fn lid_of(tx: &mut Tx<'_>, entry: &str) -> Result<Option<String>, DbError> {
    let sql = "SELECT lid FROM national_decision WHERE entry_id = $1 ORDER BY id DESC LIMIT 1";
    tx.fetch_opt(sql, &[entry.into()], |row| row.get(0)).await
}

/// Current decisions of one outcome that nobody has closed, after `after`, in order of id; of one institution if named.
pub async fn open(
    tx: &mut Tx<'_>,
    outcome: Kind,
    institution: Option<&str>,
    after: &str,
    limit: i64,
) -> Result<Vec<Kept>, DbError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM national_decision WHERE current = 1 AND outcome = $1 AND id > $2 AND closed_at IS NULL \
         AND (CAST($3 AS TEXT) IS NULL OR institution = $3) ORDER BY id LIMIT $4"
    );
    tx.fetch(sql, &[outcome.code().into(), after.into(), institution.into(), limit.into()], read).await
}

/// Holds of a lineage that wait for what went before.
pub async fn behind(tx: &mut Tx<'_>, lineage: &str) -> Result<Vec<Kept>, DbError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM national_decision WHERE lineage = $1 AND current = 1 AND outcome = 3 \
         AND closed_at IS NULL ORDER BY id"
    );
    tx.fetch(sql, &[lineage.into()], read).await
}

/// The reason of a discharge summary that waits for a letter, and of one that went inside a letter; its row is of the
/// letter's lineage then.
pub const WAITING: &str = "waiting-for-referral";
pub const NESTED: &str = "nested-in-letter";

/// The last words on discharge summaries of a patient and an institution that wait for a letter, or went inside one.
pub async fn summaries(tx: &mut Tx<'_>, patient_key: i64, institution: &str) -> Result<Vec<Kept>, DbError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM national_decision WHERE current = 1 AND closed_at IS NULL AND patient_key = $1 \
         AND institution = $2 AND reason IN ($3, $4) ORDER BY id"
    );
    tx.fetch(sql, &[patient_key.into(), institution.into(), WAITING.into(), NESTED.into()], read).await
}

/// The lineage of the letter that a document went inside of last.
pub async fn letter_of(tx: &mut Tx<'_>, lid: &str) -> Result<Option<String>, DbError> {
    let sql = "SELECT lineage FROM national_decision WHERE lid = $1 AND reason = $2 AND lineage IS NOT NULL \
               ORDER BY id DESC LIMIT 1";
    tx.fetch_opt(sql, &[lid.into(), NESTED.into()], |row| row.get(0)).await
}

/// The last words on documents that ever went inside the letter of a lineage.
pub async fn carried_by(tx: &mut Tx<'_>, letter: &str) -> Result<Vec<Kept>, DbError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM national_decision WHERE current = 1 AND lid IN (SELECT lid FROM national_decision \
         WHERE lineage = $1 AND reason = $2) ORDER BY id"
    );
    tx.fetch(sql, &[letter.into(), NESTED.into()], read).await
}

/// Documents whose letter is not there, after `after` in order of the decision's id, which is given with each: it was
/// taken back, or has not gone yet, or never will.
pub async fn left_by_letter(
    tx: &mut Tx<'_>,
    after: &str,
    limit: i64,
) -> Result<Vec<(String, String)>, DbError> {
    let sql = "SELECT n.id, n.entry_id FROM national_lineage l JOIN national_decision n ON n.lineage = l.id \
               AND n.current = 1 WHERE l.state IN (0, 3) AND l.kind = 'referral' AND n.reason = $1 AND n.id > $2 \
               ORDER BY n.id LIMIT $3";
    tx.fetch(sql, &[NESTED.into(), after.into(), limit.into()], |row| Ok((row.get(0)?, row.get(1)?))).await
}

/// Discharge summaries of a patient and an institution that wait for a letter.
pub async fn without_letter(
    tx: &mut Tx<'_>,
    patient_key: i64,
    institution: &str,
) -> Result<Vec<String>, DbError> {
    let sql = "SELECT entry_id FROM national_decision WHERE current = 1 AND outcome = 3 AND closed_at IS NULL \
               AND patient_key = $1 AND institution = $2 AND reason = 'waiting-for-referral' ORDER BY id";
    tx.fetch(sql, &[patient_key.into(), institution.into()], |row| row.get(0)).await
}

/// Whether another document of a lineage waits or failed and was never sent.
pub async fn pending_others(tx: &mut Tx<'_>, lineage: &str, but: &str) -> Result<bool, DbError> {
    let sql = "SELECT id FROM national_decision WHERE lineage = $1 AND current = 1 AND outcome IN (3, 4) \
               AND lid <> $2 LIMIT 1";
    Ok(tx.fetch_opt(sql, &[lineage.into(), but.into()], |row| row.get::<String>(0)).await?.is_some())
}

/// The last words on other documents of a lineage that wait: they go no more.
pub async fn supersede_others(tx: &mut Tx<'_>, lineage: &str, but: &str, now: i64) -> Result<u64, DbError> {
    let sql = "UPDATE national_decision SET closed_at = $3, closed_by = 'superseded' WHERE lineage = $1 \
               AND current = 1 AND outcome IN (3, 4) AND lid <> $2 AND closed_at IS NULL";
    tx.exec(sql, &[lineage.into(), but.into(), now.into()]).await
}

/// Somebody has dealt with it.
pub async fn close(tx: &mut Tx<'_>, id: &str, by: &str, now: i64) -> Result<bool, DbError> {
    let sql =
        "UPDATE national_decision SET closed_at = $2, closed_by = $3 WHERE id = $1 AND closed_at IS NULL";
    Ok(tx.exec(sql, &[id.into(), now.into(), by.into()]).await? == 1)
}

/// How many documents of each institution wait for a fact, or break rules.
pub async fn pending(tx: &mut Tx<'_>) -> Result<Vec<(String, Kind, i64)>, DbError> {
    let sql = "SELECT COALESCE(institution, ''), outcome, CAST(COUNT(*) AS BIGINT) FROM national_decision \
               WHERE current = 1 AND outcome IN (3, 4) AND closed_at IS NULL GROUP BY institution, outcome";
    tx.fetch(sql, &[], |row| Ok((row.get(0)?, Kind::of_code(row.get(1)?), row.get(2)?))).await
}

/// How many current decisions of an institution are open, by outcome.
pub async fn counts(tx: &mut Tx<'_>, institution: &str) -> Result<Vec<(Kind, i64)>, DbError> {
    tx.fetch(
        "SELECT outcome, CAST(COUNT(*) AS BIGINT) FROM national_decision WHERE institution = $1 AND current = 1 \
         AND closed_at IS NULL GROUP BY outcome ORDER BY outcome",
        &[institution.into()],
        |row| Ok((Kind::of_code(row.get(0)?), row.get(1)?)),
    )
    .await
}
