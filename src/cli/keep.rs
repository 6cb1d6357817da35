//! What the commands share that back up, restore and move: the configured stores, progress, refusals.

use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use serde::Serialize;

use super::{failed, print};
use crate::config::database::Engine;
use crate::config::{Config, Language};
use crate::service::backup::{Hear, Origin, Progress, Refusal};
use crate::store::blob::Blobs;
use crate::store::db::Db;

/// Exit status of a command that was done and found faults, as of `chiren verify`.
pub const FAULTS: u8 = 4;

/// Prints what was done, for people or as JSON; the exit status tells whether there were faults.
pub fn report(json: bool, done: &impl Serialize, lines: impl FnOnce() -> String, faults: bool) -> ExitCode {
    let text = match json {
        true => serde_json::to_string_pretty(done).unwrap_or_default() + "\n",
        false => lines(),
    };
    match print(&text) {
        ExitCode::SUCCESS if faults => ExitCode::from(FAULTS),
        code => code,
    }
}

/// The configuration as a command wants it that reads everything: one statement may take hours.
pub fn unhurried(config: &Config) -> Config {
    Config { database: config.database.unhurried(), ..config.clone() }
}

/// The configured store of documents, if there is a repository.
pub fn documents(config: &Config) -> anyhow::Result<Option<Blobs>> {
    match config.repository.enabled {
        true => Blobs::of(&config.repository).map(Some).context("the document store cannot be opened"),
        false => Ok(None),
    }
}

/// Whose rows the configured database has.
pub fn origin(config: &Config, db: &Db) -> Origin {
    Origin {
        db: db.clone(),
        engine: match config.database.engine() {
            Ok(Engine::Postgres(_)) => "postgresql".into(),
            _ => "sqlite".into(),
        },
        network: config.network.name.clone(),
        repository_unique_id: config.repository.enabled.then(|| config.repository.unique_id.clone()),
    }
}

/// Says on standard error every few seconds how far things are.
pub fn hear(language: Language) -> Hear {
    let spoken = Mutex::new(Instant::now());
    Arc::new(move |progress: Progress| {
        if let Ok(mut last) = spoken.lock()
            && last.elapsed() >= Duration::from_secs(5)
        {
            *last = Instant::now();
            let Progress { what, done, octets } = progress;
            match language {
                Language::En => eprintln!("{what}: {done} ({octets} octets)"),
                Language::Ja => eprintln!("{what}: {done} 件（{octets} バイト）"),
            }
        }
    })
}

/// A command that was not done.
pub fn ended(error: &anyhow::Error, language: Language) -> ExitCode {
    match (error.downcast_ref::<Refusal>(), language) {
        (Some(refusal), Language::En) => {
            eprintln!("error: {}", refusal.in_language(language));
            ExitCode::FAILURE
        }
        (Some(refusal), Language::Ja) => {
            eprintln!("エラー: {}", refusal.in_language(language));
            ExitCode::FAILURE
        }
        (None, _) => failed(error),
    }
}
