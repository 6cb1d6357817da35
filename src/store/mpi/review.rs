//! What somebody has to look at, and the models that decide what need not be looked at.

use super::among;
use crate::store::db::{DbError, Row, Tx, Val};

/// `review_task.state`: 候補 → 確認待ち → 確定 / 却下 / 解除. The numbers are stored: never reuse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
#[repr(i64)]
pub enum State {
    /// 候補: found by the machine.
    Candidate = 1,
    /// 確認待ち: somebody has taken it up.
    Waiting = 2,
    /// 確定: one person.
    Confirmed = 3,
    /// 却下: two.
    Refused = 4,
    /// 解除: was one person, and is no longer said to be.
    Released = 5,
    /// Nothing to look at any more.
    Obsolete = 6,
}

impl State {
    pub const ALL: [State; 6] = [
        State::Candidate,
        State::Waiting,
        State::Confirmed,
        State::Refused,
        State::Released,
        State::Obsolete,
    ];

    pub(super) fn of_code(code: i64) -> Self {
        Self::ALL.into_iter().find(|s| *s as i64 == code).unwrap_or(State::Obsolete)
    }

    pub fn is_open(self) -> bool {
        matches!(self, State::Candidate | State::Waiting)
    }

    /// As people in the secretariat call it.
    pub fn japanese(self) -> &'static str {
        match self {
            State::Candidate => "候補",
            State::Waiting => "確認待ち",
            State::Confirmed => "確定",
            State::Refused => "却下",
            State::Released => "解除",
            State::Obsolete => "終了",
        }
    }
}

/// A row of `review_task`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    pub id: String,
    pub identity: i64,
    /// Whether it joins ids of two networks.
    pub across: bool,
    pub state: State,
    pub priority: i64,
    pub assignee: Option<String>,
    pub created_at: i64,
    pub updated_at: i64,
    /// JSON.
    pub body: String,
}

const COLUMNS: &str = "id, identity_key, kind, state, priority, assignee, created_at, updated_at, body";

fn read(row: &Row<'_>) -> Result<Task, DbError> {
    Ok(Task {
        id: row.get(0)?,
        identity: row.get(1)?,
        across: row.get::<i64>(2)? == 2,
        state: State::of_code(row.get(3)?),
        priority: row.get(4)?,
        assignee: row.get(5)?,
        created_at: row.get(6)?,
        updated_at: row.get(7)?,
        body: row.get(8)?,
    })
}

pub async fn insert(tx: &mut Tx<'_>, task: &Task) -> Result<(), DbError> {
    tx.later_row(
        "INSERT INTO review_task (id, identity_key, kind, state, priority, assignee, created_at, updated_at, body) \
         SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        "INSERT INTO review_task (id, identity_key, kind, state, priority, assignee, created_at, updated_at, body) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        &[
            (&task.id).into(),
            task.identity.into(),
            Val::I64(if task.across { 2 } else { 1 }),
            Val::I64(task.state as i64),
            task.priority.into(),
            (&task.assignee).into(),
            task.created_at.into(),
            task.updated_at.into(),
            (&task.body).into(),
        ],
    )
    .await
}

/// Writes what may change of a task.
pub async fn update(tx: &mut Tx<'_>, task: &Task) -> Result<(), DbError> {
    tx.later_row(
        "UPDATE review_task t SET state = r.s, priority = r.p, assignee = r.a, updated_at = r.u, body = r.b \
         FROM unnest($1, $2, $3, $4, $5, $6) AS r(i, s, p, a, u, b) WHERE t.id = r.i",
        "UPDATE review_task SET state = $2, priority = $3, assignee = $4, updated_at = $5, body = $6 WHERE id = $1",
        &[
            (&task.id).into(),
            Val::I64(task.state as i64),
            task.priority.into(),
            (&task.assignee).into(),
            task.updated_at.into(),
            (&task.body).into(),
        ],
    )
    .await
}

pub async fn get(tx: &mut Tx<'_>, id: &str, hold: bool) -> Result<Option<Task>, DbError> {
    let held = if hold && tx.is_postgres() { " FOR UPDATE" } else { "" };
    tx.fetch_opt(format!("SELECT {COLUMNS} FROM review_task WHERE id = $1{held}"), &[id.into()], read).await
}

/// The tasks about an identity, newest first.
pub async fn of_identity(tx: &mut Tx<'_>, identity: i64) -> Result<Vec<Task>, DbError> {
    let (among, args) = among(tx, "identity_key", 1, std::slice::from_ref(&identity));
    let sql = format!("SELECT {COLUMNS} FROM review_task WHERE {among} ORDER BY id DESC");
    tx.fetch_ours(sql, &args, |row| (row.get::<i64>(1)? == identity).then(|| read(row)).transpose()).await
}

/// A page of tasks in one state: the most urgent first, then the oldest; after one already seen.
pub async fn page(
    tx: &mut Tx<'_>,
    state: State,
    assignee: Option<&str>,
    after: Option<(i64, &str)>,
    limit: i64,
) -> Result<Vec<Task>, DbError> {
    let (priority, id) = after.unwrap_or((i64::MAX, ""));
    let whose = if assignee.is_some() { "AND assignee = $5" } else { "" };
    let sql = format!(
        "SELECT {COLUMNS} FROM review_task WHERE state = $1 AND (priority < $2 OR (priority = $2 AND id > $3)) \
         {whose} ORDER BY priority DESC, id LIMIT $4"
    );
    let mut args = vec![Val::I64(state as i64), priority.into(), id.into(), limit.into()];
    args.extend(assignee.map(Val::Text));
    tx.fetch(sql, &args, read).await
}

/// How many tasks there are in each state that has any.
pub async fn counts(tx: &mut Tx<'_>) -> Result<Vec<(State, i64)>, DbError> {
    tx.fetch("SELECT state, COUNT(*) FROM review_task GROUP BY state ORDER BY state", &[], |row| {
        Ok((State::of_code(row.get(0)?), row.get(1)?))
    })
    .await
}

/// The accepted model's JSON; none: the shipped one counts.
pub async fn accepted_model(tx: &mut Tx<'_>) -> Result<Option<String>, DbError> {
    let sql =
        "SELECT body FROM mpi_model WHERE accepted_at IS NOT NULL ORDER BY accepted_at DESC, id LIMIT 1";
    tx.fetch_opt(sql, &[], |row| row.get(0)).await
}

/// A model that is kept, by its id.
pub async fn model(tx: &mut Tx<'_>, id: &str) -> Result<Option<String>, DbError> {
    tx.fetch_opt("SELECT body FROM mpi_model WHERE id = $1", &[id.into()], |row| row.get(0)).await
}

/// Keeps a model, and makes it the one used if `by` accepts it.
pub async fn put_model(
    tx: &mut Tx<'_>,
    id: &str,
    body: &str,
    at: i64,
    by: Option<&str>,
) -> Result<(), DbError> {
    tx.exec(
        "INSERT INTO mpi_model (id, body, created_at, accepted_at, accepted_by) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (id) DO UPDATE SET accepted_at = COALESCE(excluded.accepted_at, mpi_model.accepted_at), \
         accepted_by = COALESCE(excluded.accepted_by, mpi_model.accepted_by)",
        &[id.into(), body.into(), at.into(), by.map(|_| at).into(), by.into()],
    )
    .await?;
    Ok(())
}
