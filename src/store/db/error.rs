//! What can go wrong between us and a database, in one type for both engines.
//!
//! Messages are the engine's own words about tables and constraints. They never hold bound values:
//! SQLite names columns only, and of PostgreSQL's report the `DETAIL` line, which quotes the row, is left out.

/// A database failure. Callers decide on the variant; the text is for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DbError {
    /// No free writer slot, connection or lock in time. Nothing was changed; try again later.
    #[error("the database is busy: {0}")]
    Busy(&'static str),
    /// The database cannot be reached, or the connection was lost. Nothing was changed; try again later.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// The database took the question and does not answer. Nothing was changed; try again later.
    #[error("the database does not answer: {0}")]
    Silent(String),
    /// The database is there and refuses this program: role, password, name of the database.
    #[error("the database refuses this program: {0}")]
    Denied(String),
    /// COMMIT was sent and its answer did not come. Everything was changed or nothing; which, must be looked
    /// up. Not to be repeated blindly.
    #[error("the outcome of COMMIT is unknown: {0}")]
    OutcomeUnknown(String),
    /// The disk under the database is full. Nothing was changed.
    #[error("the database has no room left: {0}")]
    NoSpace(String),
    /// A primary key or unique index refused a row; the text names it.
    #[error("duplicate key: {0}")]
    Unique(String),
    /// Another transaction changed the same rows, and again after several attempts.
    #[error("the transaction kept colliding with others")]
    Conflict,
    /// A row or column is not what the statement's reader expects.
    #[error("column {column}: {message}")]
    Decode { column: usize, message: String },
    /// Exactly one row was expected.
    #[error("a row that must exist is missing")]
    NoRow,
    /// The schema is of another program version; see [`crate::store::migrate`].
    #[error("{0}")]
    Schema(String),
    /// The engine refused the statement.
    #[error("statement refused: {0}")]
    Sql(String),
    /// The configuration cannot be used.
    #[error("{0}")]
    Config(String),
    /// Not to be done beside others, in whose transaction it was tried: to be done by itself.
    #[error("the transaction is to be done by itself")]
    Apart,
    /// A closure broke the rules of a transaction; a defect of this program.
    #[error("a transaction closure misbehaved: {0}")]
    Misuse(&'static str),
    /// A closure panicked; its changes were rolled back.
    #[error("a transaction closure panicked")]
    Panicked,
}

impl DbError {
    /// Is this a primary key or unique index refusing a row?
    pub fn is_unique_violation(&self) -> bool {
        matches!(self, DbError::Unique(_))
    }

    /// May the database be there a moment later without anybody changing anything?
    pub fn is_away(&self) -> bool {
        matches!(self, DbError::Unavailable(_) | DbError::Silent(_))
    }

    /// Is the connection it came over of no more use?
    #[cfg(feature = "postgres")]
    pub(super) fn is_lost_connection(&self) -> bool {
        self.is_away() || matches!(self, DbError::OutcomeUnknown(_))
    }
}

#[cfg(feature = "sqlite")]
impl From<rusqlite::Error> for DbError {
    fn from(e: rusqlite::Error) -> Self {
        use rusqlite::{Error, ErrorCode, ffi};
        match e {
            Error::SqliteFailure(code, message) => {
                let text = message.unwrap_or_else(|| code.to_string());
                match (code.code, code.extended_code) {
                    (_, ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY) => {
                        DbError::Unique(text)
                    }
                    (ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked, _) => {
                        DbError::Busy("another process holds the SQLite file")
                    }
                    (ErrorCode::DiskFull, _) => DbError::NoSpace(text),
                    (
                        ErrorCode::SystemIoFailure
                        | ErrorCode::CannotOpen
                        | ErrorCode::ReadOnly
                        | ErrorCode::PermissionDenied
                        | ErrorCode::FileLockingProtocolFailed
                        | ErrorCode::OutOfMemory,
                        _,
                    ) => DbError::Unavailable(text),
                    _ => DbError::Sql(text),
                }
            }
            Error::QueryReturnedNoRows => DbError::NoRow,
            Error::InvalidColumnType(column, name, kind) => {
                DbError::Decode { column, message: format!("{name} holds {kind}") }
            }
            Error::InvalidColumnIndex(column) => DbError::Decode { column, message: "no such column".into() },
            other => DbError::Sql(other.to_string()),
        }
    }
}

#[cfg(feature = "postgres")]
impl From<sqlx::Error> for DbError {
    fn from(e: sqlx::Error) -> Self {
        use sqlx::Error;
        match e {
            Error::Database(d) => {
                let code = d.code().unwrap_or_default().into_owned();
                match code.as_str() {
                    // Keys and ids of ours, made by chance: another one is free.
                    "23505"
                        if matches!(
                            d.constraint(),
                            Some(
                                "patient_pkey"
                                    | "identity_pkey"
                                    | "person_pkey"
                                    | "patient_pid_key"
                                    | "person_value_key"
                            )
                        ) =>
                    {
                        DbError::Conflict
                    }
                    "23505" => DbError::Unique(d.constraint().unwrap_or("?").to_owned()),
                    "40001" | "40P01" => DbError::Conflict,
                    "55P03" | "57014" => DbError::Busy("a PostgreSQL lock or statement timed out"),
                    "53100" => DbError::NoSpace(d.message().to_owned()),
                    c if c.starts_with("08")
                        || c.starts_with("57P")
                        || c == "25P03"
                        || c.starts_with("53") =>
                    {
                        DbError::Unavailable(format!("{c} {}", d.message()))
                    }
                    c if c.starts_with("28") || c.starts_with("3D") => {
                        DbError::Denied(format!("{c} {}", d.message()))
                    }
                    c => DbError::Sql(format!("{c} {}", d.message())),
                }
            }
            Error::PoolTimedOut => DbError::Busy("no free connection in time"),
            Error::Io(_)
            | Error::Tls(_)
            | Error::Protocol(_)
            | Error::PoolClosed
            | Error::WorkerCrashed
            | Error::BeginFailed => DbError::Unavailable(e.to_string()),
            Error::Configuration(_) => DbError::Config(e.to_string()),
            Error::RowNotFound => DbError::NoRow,
            Error::ColumnDecode { ref index, ref source } => {
                DbError::Decode { column: index.parse().unwrap_or(usize::MAX), message: source.to_string() }
            }
            Error::ColumnIndexOutOfBounds { index, .. } => {
                DbError::Decode { column: index, message: "no such column".into() }
            }
            other => DbError::Sql(other.to_string()),
        }
    }
}
