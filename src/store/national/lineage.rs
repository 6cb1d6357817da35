//! Lineages: what is one document at the service, whatever replaced it here.

use super::decision::NESTED;
use crate::store::db::{DbError, Row, Tx, Val};

/// Where a lineage is, as we believe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    #[default]
    Nothing,
    Accepted,
    /// Fetched by its destination.
    Received,
    Cancelled,
    Expired,
}

impl State {
    pub const ALL: [State; 5] =
        [Self::Nothing, Self::Accepted, Self::Received, Self::Cancelled, Self::Expired];

    pub fn code(self) -> i64 {
        match self {
            Self::Nothing => 0,
            Self::Accepted => 1,
            Self::Received => 2,
            Self::Cancelled => 3,
            Self::Expired => 4,
        }
    }

    pub fn of_code(code: i64) -> Self {
        Self::ALL.into_iter().find(|s| s.code() == code).unwrap_or_default()
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Accepted => "accepted",
            Self::Received => "received",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    /// Whether the service should hold it now.
    pub fn is_there(self) -> bool {
        matches!(self, Self::Accepted | Self::Received)
    }
}

/// A row of `national_lineage`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lineage {
    pub id: String,
    pub institution: String,
    pub patient_key: i64,
    pub patient_pid: String,
    pub kind: String,
    pub resource_type: Option<String>,
    pub bundle_system: Option<String>,
    pub bundle_value: Option<String>,
    pub insured_id: Option<String>,
    pub destination: Option<String>,
    pub consent: Option<String>,
    pub state: State,
    pub current_lid: Option<String>,
    pub current_entry: Option<String>,
    pub revision: i64,
    pub receipt: Option<String>,
    pub registered_at: Option<i64>,
    pub said_state: Option<String>,
    pub followed_at: Option<i64>,
    pub received_at: Option<i64>,
    pub expires_at: Option<i64>,
    pub warned_at: Option<i64>,
    pub updated_at: i64,
}

const COLUMNS: &str = "id, institution, patient_key, patient_pid, kind, resource_type, bundle_system, bundle_value, \
                       insured_id, destination, consent, state, current_lid, current_entry, revision, receipt, \
                       registered_at, said_state, followed_at, received_at, expires_at, warned_at, updated_at";

fn read(row: &Row<'_>) -> Result<Lineage, DbError> {
    Ok(Lineage {
        id: row.get(0)?,
        institution: row.get(1)?,
        patient_key: row.get(2)?,
        patient_pid: row.get(3)?,
        kind: row.get(4)?,
        resource_type: row.get(5)?,
        bundle_system: row.get(6)?,
        bundle_value: row.get(7)?,
        insured_id: row.get(8)?,
        destination: row.get(9)?,
        consent: row.get(10)?,
        state: State::of_code(row.get(11)?),
        current_lid: row.get(12)?,
        current_entry: row.get(13)?,
        revision: row.get(14)?,
        receipt: row.get(15)?,
        registered_at: row.get(16)?,
        said_state: row.get(17)?,
        followed_at: row.get(18)?,
        received_at: row.get(19)?,
        expires_at: row.get(20)?,
        warned_at: row.get(21)?,
        updated_at: row.get(22)?,
    })
}

pub async fn get(tx: &mut Tx<'_>, id: &str) -> Result<Option<Lineage>, DbError> {
    tx.fetch_opt(format!("SELECT {COLUMNS} FROM national_lineage WHERE id = $1"), &[id.into()], read).await
}

/// The same, held until the transaction ends.
pub async fn hold(tx: &mut Tx<'_>, id: &str) -> Result<Option<Lineage>, DbError> {
    let held = if tx.is_postgres() { " FOR UPDATE" } else { "" };
    tx.fetch_opt(format!("SELECT {COLUMNS} FROM national_lineage WHERE id = $1{held}"), &[id.into()], read)
        .await
}

/// Adds a lineage; nothing happens if it is there.
pub async fn add(tx: &mut Tx<'_>, l: &Lineage) -> Result<(), DbError> {
    tx.exec(
        "INSERT INTO national_lineage (id, institution, patient_key, patient_pid, kind, resource_type, state, \
         revision, updated_at) VALUES ($1, $2, $3, $4, $5, $6, 0, 0, $7) ON CONFLICT DO NOTHING",
        &[
            (&l.id).into(),
            (&l.institution).into(),
            l.patient_key.into(),
            (&l.patient_pid).into(),
            (&l.kind).into(),
            (&l.resource_type).into(),
            l.updated_at.into(),
        ],
    )
    .await?;
    Ok(())
}

/// Writes a lineage that is held; its revision grows.
pub async fn put(tx: &mut Tx<'_>, l: &Lineage) -> Result<(), DbError> {
    tx.exec(
        "UPDATE national_lineage SET bundle_system = $2, bundle_value = $3, insured_id = $4, destination = $5, \
         consent = $6, state = $7, current_lid = $8, current_entry = $9, revision = revision + 1, receipt = $10, \
         registered_at = $11, said_state = $12, followed_at = $13, received_at = $14, expires_at = $15, \
         warned_at = $16, updated_at = $17, patient_key = $18, patient_pid = $19 WHERE id = $1",
        &[
            (&l.id).into(),
            (&l.bundle_system).into(),
            (&l.bundle_value).into(),
            (&l.insured_id).into(),
            (&l.destination).into(),
            (&l.consent).into(),
            l.state.code().into(),
            (&l.current_lid).into(),
            (&l.current_entry).into(),
            (&l.receipt).into(),
            l.registered_at.into(),
            (&l.said_state).into(),
            l.followed_at.into(),
            l.received_at.into(),
            l.expires_at.into(),
            l.warned_at.into(),
            l.updated_at.into(),
            l.patient_key.into(),
            (&l.patient_pid).into(),
        ],
    )
    .await?;
    Ok(())
}

/// The lineage of a document by its logicalID.
pub async fn of_lid(tx: &mut Tx<'_>, lid: &str) -> Result<Option<String>, DbError> {
    tx.fetch_opt("SELECT lineage FROM national_member WHERE lid = $1", &[lid.into()], |row| row.get(0)).await
}

/// Says of which lineage a document is, once and for all.
pub async fn join(tx: &mut Tx<'_>, lid: &str, lineage: &str, patient_key: i64) -> Result<(), DbError> {
    tx.exec(
        "INSERT INTO national_member (lid, lineage, patient_key) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        &[lid.into(), lineage.into(), patient_key.into()],
    )
    .await?;
    Ok(())
}

/// Documents of a lineage.
pub async fn members(tx: &mut Tx<'_>, lineage: &str) -> Result<Vec<String>, DbError> {
    let sql = "SELECT lid FROM national_member WHERE lineage = $1 ORDER BY lid";
    tx.fetch(sql, &[lineage.into()], |row| row.get(0)).await
}

/// A page of an institution's lineages in order of id.
pub async fn page(
    tx: &mut Tx<'_>,
    institution: &str,
    after: &str,
    limit: i64,
) -> Result<Vec<Lineage>, DbError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM national_lineage WHERE institution = $1 AND id > $2 ORDER BY id LIMIT $3"
    );
    tx.fetch(sql, &[institution.into(), after.into(), limit.into()], read).await
}

/// Letters that are there, and whose state was last asked for before `before` (or never); the longest unasked first.
pub async fn to_follow(tx: &mut Tx<'_>, before: i64, limit: i64) -> Result<Vec<Lineage>, DbError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM national_lineage WHERE state = 1 AND kind = 'referral' AND \
         COALESCE(followed_at, registered_at, 0) <= $1 ORDER BY COALESCE(followed_at, registered_at, 0), id LIMIT $2"
    );
    tx.fetch(sql, &[before.into(), limit.into()], read).await
}

/// Letters that are or were there.
pub async fn letters(tx: &mut Tx<'_>, after: &str, limit: i64) -> Result<Vec<Lineage>, DbError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM national_lineage WHERE kind = 'referral' AND state > 0 AND id > $1 ORDER BY id LIMIT $2"
    );
    tx.fetch(sql, &[after.into(), limit.into()], read).await
}

/// Letters whose copy is over at `now`, or that nobody has been warned of though it is at `soon`.
pub async fn expiring(tx: &mut Tx<'_>, now: i64, soon: i64, limit: i64) -> Result<Vec<Lineage>, DbError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM national_lineage WHERE state IN (1, 2) AND kind = 'referral' AND (expires_at <= $1 \
         OR (expires_at <= $2 AND warned_at IS NULL)) ORDER BY expires_at, id LIMIT $3"
    );
    tx.fetch(sql, &[now.into(), soon.into(), limit.into()], read).await
}

/// How many lineages of an institution are in each state.
pub async fn counts(tx: &mut Tx<'_>, institution: &str) -> Result<Vec<(State, i64)>, DbError> {
    tx.fetch(
        "SELECT state, CAST(COUNT(*) AS BIGINT) FROM national_lineage WHERE institution = $1 GROUP BY state \
         ORDER BY state",
        &[institution.into()],
        |row| Ok((State::of_code(row.get(0)?), row.get(1)?)),
    )
    .await
}

/// Of these logicalIDs, those whose document is the one the service holds.
pub async fn national(tx: &mut Tx<'_>, lids: &[String]) -> Result<Vec<String>, DbError> {
    const PART: usize = 500;
    let mut found = vec![];
    for part in lids.chunks(PART) {
        let list: Vec<String> = (1..=part.len()).map(|n| format!("${n}")).collect();
        let sql = format!(
            "SELECT m.lid FROM national_member m JOIN national_lineage l ON l.id = m.lineage \
             AND l.current_lid = m.lid WHERE m.lid IN ({0}) AND l.state IN (1, 2) \
             UNION SELECT n.lid FROM national_decision n JOIN national_lineage l ON l.id = n.lineage \
             AND l.state IN (1, 2) WHERE n.lid IN ({0}) AND n.current = 1 AND n.reason = '{NESTED}'",
            list.join(", ")
        );
        let args: Vec<Val<'_>> = part.iter().map(Val::from).collect();
        found.extend(tx.fetch(sql, &args, |row| row.get::<String>(0)).await?);
    }
    Ok(found)
}

/// Discharge summaries of a patient by an institution that are or were there.
pub async fn summaries(
    tx: &mut Tx<'_>,
    patient_key: i64,
    institution: &str,
) -> Result<Vec<Lineage>, DbError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM national_lineage WHERE patient_key = $1 AND institution = $2 AND kind = 'discharge' \
         AND state > 0 ORDER BY id"
    );
    tx.fetch(sql, &[patient_key.into(), institution.into()], read).await
}

/// Whether a letter of a patient by an institution is there, for a summary that follows it.
pub async fn letter_of(
    tx: &mut Tx<'_>,
    patient_key: i64,
    institution: &str,
) -> Result<Option<Lineage>, DbError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM national_lineage WHERE patient_key = $1 AND institution = $2 AND kind = 'referral' \
         AND state IN (1, 2) ORDER BY registered_at DESC LIMIT 1"
    );
    tx.fetch_opt(sql, &[patient_key.into(), institution.into()], read).await
}
