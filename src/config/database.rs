//! `[database]`: where metadata, the audit trail and the outbox are kept.

use std::fmt;
use std::path::PathBuf;

use super::fault::{Fault, Faults};
use super::section::section;

section! {
    private:
    /// The database behind registry, repository index, audit trail and outbox.
    pub struct DatabaseConfig {
        /// `sqlite:PATH` (a file beside the program, made when absent) or
        /// `postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full`.
        url: String = "sqlite:chiren.db".into(),
        /// Connections held open: readers on SQLite, the whole pool on PostgreSQL.
        /// 0 chooses from the number of cores (SQLite 1 each, PostgreSQL 4 each).
        max_connections: u32 = 0,
        /// Page cache of the SQLite writer in MiB; each reader gets a quarter of it. SQLite only:
        /// PostgreSQL has its own `shared_buffers`.
        cache_mib: u32 = 64,
        /// How much of the SQLite file is read through a memory map, in MiB; 0 turns mapping off.
        /// Mapped pages belong to the system's file cache, but tools count them as memory of the
        /// program.
        mmap_mib: u32 = 0,
        /// Writes that may wait at once; one more is refused as busy. SQLite only.
        write_queue: usize = 4096,
        /// Seconds a request waits for a free connection before it is refused as busy.
        acquire_timeout_s: u64 = 5,
        /// Seconds PostgreSQL may take for one statement, waiting for locks included, before the request is
        /// answered as busy; a transaction that stands idle so long is ended too. 0: no limit. PostgreSQL only.
        statement_timeout_s: u64 = 30,
        /// Seconds `chiren serve` waits at its start for a PostgreSQL that does not answer yet, trying again
        /// and again; 0: it ends at once. PostgreSQL only.
        start_timeout_s: u64 = 60,
    }
}

/// The password inside `url` never reaches a log.
impl fmt::Debug for DatabaseConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseConfig")
            .field("url", &self.public_url())
            .field("max_connections", &self.max_connections)
            .field("cache_mib", &self.cache_mib)
            .field("mmap_mib", &self.mmap_mib)
            .field("write_queue", &self.write_queue)
            .field("acquire_timeout_s", &self.acquire_timeout_s)
            .field("statement_timeout_s", &self.statement_timeout_s)
            .field("start_timeout_s", &self.start_timeout_s)
            .finish()
    }
}

/// What [`DatabaseConfig::url`] asks for.
#[derive(Clone, PartialEq, Eq)]
pub enum Engine {
    Sqlite(PathBuf),
    /// The URL whole, password included: never print it.
    Postgres(String),
}

impl DatabaseConfig {
    /// Every setting at its default but the place.
    pub fn at(url: impl Into<String>) -> Self {
        Self { url: url.into(), ..Self::default() }
    }

    /// Reads `url`; the error is one sentence naming the key.
    pub fn engine(&self) -> Result<Engine, String> {
        if self.url.starts_with("postgres://") || self.url.starts_with("postgresql://") {
            return Ok(Engine::Postgres(self.url.clone()));
        }
        let path = match self.url.strip_prefix("sqlite:") {
            Some(path) => path.strip_prefix("//").unwrap_or(path),
            None => return Err("database.url must begin with sqlite: or postgres://".into()),
        };
        match path {
            "" => Err("database.url names no file after sqlite:".into()),
            ":memory:" => Err("database.url must name a file: a database in memory is not durable".into()),
            path => Ok(Engine::Sqlite(path.into())),
        }
    }

    pub(super) fn check(&self, list: &mut Vec<Fault>) {
        let mut faults = Faults::of("database", list);
        if self.engine().is_err() {
            // The value may hold a password: it is not repeated.
            faults.add(
                "url",
                "must be sqlite:PATH (not :memory:) or postgres://USER:PASSWORD@HOST:PORT/DATABASE",
                "sqlite:パス（:memory: は不可）または postgres://ユーザー:パスワード@ホスト:ポート/データベース としてください",
            );
        }
        faults.range("max_connections", self.max_connections.into(), 0, 1000);
        faults.range("write_queue", self.write_queue as u64, 1, 1_000_000);
        faults.range("acquire_timeout_s", self.acquire_timeout_s, 1, 600);
        faults.range("statement_timeout_s", self.statement_timeout_s, 0, 3600);
        faults.range("start_timeout_s", self.start_timeout_s, 0, 3600);
    }

    /// `url` without user and password, fit for logs and `chiren check`.
    pub fn public_url(&self) -> String {
        match self.url.split_once("://") {
            Some((scheme, rest)) if scheme.starts_with("postgres") => {
                let (authority, tail) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
                let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
                let path = tail.split('?').next().unwrap_or_default();
                format!("{scheme}://{host}{path}")
            }
            _ => self.url.clone(),
        }
    }

    /// For commands that read everything: one statement may take hours.
    pub fn unhurried(&self) -> Self {
        Self { statement_timeout_s: 0, ..self.clone() }
    }

    /// [`max_connections`](Self::max_connections), with 0 resolved.
    pub fn connections(&self) -> u32 {
        let cores = std::thread::available_parallelism().map_or(2, |n| n.get() as u32);
        match (self.max_connections, self.engine()) {
            (0, Ok(Engine::Postgres(_))) => (cores * 4).clamp(8, 64),
            (0, _) => cores.clamp(2, 64),
            (n, _) => n,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_an_engine() {
        let sqlite = |p: &str| Ok(Engine::Sqlite(p.into()));
        assert!(DatabaseConfig::at("sqlite:data/x.db").engine() == sqlite("data/x.db"));
        assert!(DatabaseConfig::at("sqlite:///var/lib/x.db").engine() == sqlite("/var/lib/x.db"));
        assert!(matches!(DatabaseConfig::at("postgres://h/d").engine(), Ok(Engine::Postgres(_))));
        for bad in ["", "sqlite:", "mysql://h/d", "sqlite::memory:"] {
            assert!(DatabaseConfig::at(bad).engine().is_err_and(|e| e.contains("database.url")), "{bad}");
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        let c =
            DatabaseConfig::at("postgres://gw:s3cr@t/e@db.example:5432/chiren?sslmode=require&password=s3cr");
        assert!(!format!("{c:?}").contains("s3cr"), "{c:?}");
        let c = DatabaseConfig::at("postgres://gw:secret@db.example:5432/chiren?sslmode=require");
        assert_eq!(c.public_url(), "postgres://db.example:5432/chiren");
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(toml::from_str::<DatabaseConfig>("urll = 'sqlite:x'").is_err());
        assert_eq!(
            toml::from_str::<DatabaseConfig>("url = 'sqlite:x'").unwrap(),
            DatabaseConfig::at("sqlite:x")
        );
    }
}
