//! `chiren move`: a database to another place, of the same engine or the other.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use jiff::Timestamp;

use super::keep::{documents, ended, hear};
use super::{print, runtime};
use crate::config::{Config, DatabaseConfig, Language};
use crate::service::backup::{self, Transferred};

pub const EXAMPLES: &str = "Stop every gateway on the source first. The target must be empty. Rows, their hashes and the seal of the
history are compared on both sides afterwards; the source is left as it is. A place is a configuration file, so
that no password stands in the list of processes, or a database URL.

Documents stay where they are. With --documents they are copied from the store of one configuration to that of
the other.

Examples:
  chiren move --from old.toml --to new.toml
  chiren move --from old.toml --to new.toml --documents
  chiren move --from sqlite:/var/lib/chiren/chiren.db --to 'postgres:///chiren?host=/run/postgresql'";

#[derive(Debug, Args)]
pub struct Arguments {
    /// A configuration file, or sqlite:PATH or postgres://…
    #[arg(long, value_name = "FILE|URL")]
    from: String,

    /// A configuration file, or sqlite:PATH or postgres://…
    #[arg(long, value_name = "FILE|URL")]
    to: String,

    /// Copy the documents too; both places must be configuration files
    #[arg(long)]
    documents: bool,

    /// Do not ask whether a gateway has the source open; that nothing was written is checked all the same
    #[arg(long)]
    even_if_open: bool,

    /// Where rows wait meanwhile, as large as the database [default: the system's temporary folder]
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,

    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

/// One end of a move.
enum End {
    Url(DatabaseConfig),
    File(Box<Config>),
}

impl End {
    fn read(place: &str) -> anyhow::Result<Self> {
        if ["sqlite:", "postgres:", "postgresql:"].iter().any(|scheme| place.starts_with(scheme)) {
            let config = DatabaseConfig::at(place);
            config.engine().map_err(|why| anyhow::anyhow!("{why}"))?;
            return Ok(Self::Url(config));
        }
        let config = Config::load(Path::new(place))
            .map_err(|e| anyhow::anyhow!("{}", e.in_language(Language::En).trim_end()))?;
        Ok(Self::File(Box::new(config)))
    }

    fn database(&self) -> DatabaseConfig {
        match self {
            Self::Url(config) => config.unhurried(),
            Self::File(config) => config.database.unhurried(),
        }
    }

    fn documents(&self) -> anyhow::Result<crate::store::blob::Blobs> {
        match self {
            Self::Url(_) => None,
            Self::File(config) => documents(config)?,
        }
        .context("--documents needs two configuration files with a repository")
    }
}

pub fn run(arguments: &Arguments, language: Language) -> ExitCode {
    let done = runtime()
        .context("the runtime cannot start")
        .and_then(|runtime| runtime.block_on(transfer(arguments, language)));
    let (moved, copied) = match done {
        Ok(done) => done,
        Err(error) => return ended(&error, language),
    };
    if arguments.json {
        return print(&(serde_json::to_string_pretty(&moved).unwrap_or_default() + "\n"));
    }
    let Transferred { tables, rows, seal } = moved;
    let documents = match (copied, language) {
        (None, Language::En) => "documents stay where they are".to_owned(),
        (None, Language::Ja) => "文書は元の場所のままです".to_owned(),
        (Some(n), Language::En) => format!("{n} documents are there"),
        (Some(n), Language::Ja) => format!("文書 {n} 件が移行先にあります"),
    };
    print(&match language {
        Language::En => format!(
            "moved {rows} rows of {tables} tables; rows and history are the same on both sides; {documents}\nseal {seal}\n"
        ),
        Language::Ja => format!(
            "{tables} テーブル {rows} 行を移行し、行と履歴が両側で一致することを確認しました。{documents}\n封印 {seal}\n"
        ),
    })
}

async fn transfer(arguments: &Arguments, language: Language) -> anyhow::Result<(Transferred, Option<u64>)> {
    let (from, to) = (End::read(&arguments.from)?, End::read(&arguments.to)?);
    let stores = match arguments.documents {
        true => Some((from.documents()?, to.documents()?)),
        false => None,
    };
    let (hear, scratch) = (hear(language), arguments.scratch.clone().unwrap_or_else(std::env::temp_dir));
    // Rows refer to documents, so the documents are there first.
    let copied = match &stores {
        Some((from_store, to_store)) => {
            Some(backup::carry(&from.database(), from_store, to_store, &scratch, &hear).await?)
        }
        None => None,
    };
    let (from, to) = (from.database(), to.database());
    let now = Timestamp::now();
    let moved = backup::transfer(&from, &to, arguments.even_if_open, &scratch, now, &hear).await?;
    Ok((moved, copied))
}
