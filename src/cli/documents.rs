//! `chiren documents`: the store of documents, looked after.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::{Args, Subcommand};

use super::{ConfigFile, print};
use crate::config::{Config, Language};
use crate::store::blob::{BlobError, Blobs, Rekeyed};

pub const EXAMPLES: &str = "To change keys: put a new one before the others in repository.encryption.key_file, restart every gateway, run
`chiren documents rekey`, and take the old one out when it counts no document left under another key.

Works beside a running gateway. Exit status: 0 all is well, 1 not done, 4 some documents could not be brought
under the key.

Examples:
  chiren documents rekey
  chiren documents rekey --encrypt";

/// Some documents stay as they were.
const LEFT: u8 = 4;

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Bring every encrypted document under the first key of the key file
    #[command(after_help = EXAMPLES)]
    Rekey(Rekey),
}

#[derive(Debug, Args)]
struct Rekey {
    #[command(flatten)]
    file: ConfigFile,

    /// Encrypt those too that lie there as they came
    #[arg(long)]
    encrypt: bool,
}

/// Documents by what was found and done.
#[derive(Debug, Default)]
struct Counts {
    wrapped: u64,
    encrypted: u64,
    current: u64,
    clear: u64,
    failed: u64,
}

pub fn run(arguments: Arguments, lang: Option<Language>) -> ExitCode {
    let Command::Rekey(rekey) = arguments.command;
    match rekey.file.work(lang, async |config: &_, language| all(config, rekey.encrypt, language).await) {
        Ok((counts, language)) => match (print(&line(&counts, language)), counts.failed) {
            (ExitCode::SUCCESS, 1..) => ExitCode::from(LEFT),
            (code, _) => code,
        },
        Err(code) => code,
    }
}

async fn all(config: &Config, encrypt: bool, language: Language) -> anyhow::Result<Counts> {
    let blobs = Blobs::of(&config.repository).context("the document store cannot be opened")?;
    let mut counts = Counts::default();
    let mut spoken = Instant::now();
    for prefix in 0..=u8::MAX {
        for object in blobs.list(prefix).await? {
            let done = match blobs.rekey(&object.key).await {
                Ok(Rekeyed::Clear) if encrypt => blobs.encrypt(&object.key).await.map(|()| {
                    counts.encrypted += 1;
                }),
                done => done.map(|rekeyed| match rekeyed {
                    Rekeyed::Absent => {}
                    Rekeyed::Clear => counts.clear += 1,
                    Rekeyed::Current => counts.current += 1,
                    Rekeyed::Wrapped => counts.wrapped += 1,
                }),
            };
            match done {
                Ok(()) | Err(BlobError::NotFound(_)) => {}
                Err(e @ (BlobError::Damaged { .. } | BlobError::NoKey { .. })) => {
                    counts.failed += 1;
                    eprintln!("{e}");
                }
                // The store itself: the rest would fail too.
                Err(e) => return Err(e.into()),
            }
            if spoken.elapsed() >= Duration::from_secs(5) {
                spoken = Instant::now();
                eprint!("{}", line(&counts, language));
            }
        }
    }
    Ok(counts)
}

fn line(counts: &Counts, language: Language) -> String {
    let Counts { wrapped, encrypted, current, clear, failed } = counts;
    match language {
        Language::En => format!(
            "{wrapped} documents brought under the first key, {encrypted} encrypted, {current} were under it, \
             {clear} not encrypted, {failed} failed\n"
        ),
        Language::Ja => format!(
            "先頭の鍵へ移した文書 {wrapped}、新たに暗号化 {encrypted}、移行済み {current}、暗号化なし {clear}、失敗 {failed}\n"
        ),
    }
}
