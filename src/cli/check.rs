//! `chiren check`: what is wrong with a configuration, before it is used.

use std::process::ExitCode;

use clap::Args;

use super::{ConfigFile, EX_CONFIG, node, runtime, sentence};
use crate::config::{self, Config, Fault, Language, NodeFile};
use crate::service::audit::clock::Offsets;
use crate::store::blob::{BlobError, Blobs};

pub const EXAMPLES: &str = "Every fault is one sentence that names its key; the exit code is then 78.

Examples:
  chiren check --config /etc/chiren/chiren.toml
  chiren check --lang ja
  chiren check --connect
  chiren check --example > chiren.toml";

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    file: ConfigFile,

    /// Also try whether documents can be written, read and removed, and ask the time servers
    #[arg(long)]
    connect: bool,

    /// Print the example configuration, every key with its meaning and default
    #[arg(long)]
    example: bool,
}

pub fn run(arguments: Arguments, lang: Option<Language>) -> ExitCode {
    if arguments.example {
        print!("{}", config::example());
        return ExitCode::SUCCESS;
    }
    match arguments.file.load(lang) {
        Err(code) => code,
        Ok(config) => {
            let language = lang.unwrap_or(config.log.language);
            if let Some(fault) = arguments.connect.then(|| tried(&config)).flatten() {
                eprintln!("{}", sentence(&fault, language));
                return ExitCode::from(EX_CONFIG);
            }
            let nodes = config.nodes.directory.as_deref().map(NodeFile::load);
            if let Some(Ok((entries, _))) = nodes {
                print!("{}", node::counted(&entries, language));
            }
            if arguments.connect && !clock_is_right(&config, language) {
                return ExitCode::from(EX_CONFIG);
            }
            let file = arguments.file.config.display();
            match language {
                Language::En => println!("{file}: no faults"),
                Language::Ja => println!("{file}: 問題はありません"),
            }
            ExitCode::SUCCESS
        }
    }
}

/// Says how far our clock is from each time server (ITI-1); false above the limit.
fn clock_is_right(config: &Config, language: Language) -> bool {
    let offsets = Offsets::new(&config.time);
    let Ok(runtime) = runtime() else { return true };
    for (server, answer) in runtime.block_on(offsets.look()) {
        match (answer, language) {
            (Ok(offset), Language::En) => {
                println!(
                    "time.servers: {server} is {:+.3} s ahead of this clock",
                    offset.micros as f64 / 1e6
                );
            }
            (Ok(offset), Language::Ja) => {
                println!("time.servers: {server} との時刻差は {:+.3} 秒です", offset.micros as f64 / 1e6);
            }
            (Err(cause), Language::En) => eprintln!("warning: time.servers: {server}: {cause}"),
            (Err(cause), Language::Ja) => eprintln!("警告: time.servers: {server}: {cause}"),
        }
    }
    let wrong = offsets.latest().is_some_and(|latest| latest.alarm);
    match (wrong, language) {
        (true, Language::En) => {
            eprintln!("error: time: this clock is off by more than {} ms", config.time.limit_ms)
        }
        (true, Language::Ja) => {
            eprintln!("エラー: time: この機器の時計が {} ミリ秒を超えてずれています", config.time.limit_ms);
        }
        (false, _) => {}
    }
    !wrong
}

/// What is wrong with the document store, tried now.
fn tried(config: &Config) -> Option<Fault> {
    if !config.repository.enabled {
        return None;
    }
    let probe = async { Blobs::of(&config.repository)?.probe().await };
    match runtime() {
        Ok(runtime) => runtime.block_on(probe).err().map(|e| fault(config, &e)),
        Err(e) => Some(Fault::new("repository", e.to_string(), e.to_string())),
    }
}

/// One sentence, under the key one would look at first.
fn fault(config: &Config, error: &BlobError) -> Fault {
    let Some(s3) = &config.repository.s3 else {
        let shown = config.repository.documents.display();
        return Fault::new(
            "repository.documents",
            format!("{shown} cannot be used: {error}"),
            format!("{shown} を使用できません: {error}"),
        );
    };
    let bucket = &s3.bucket;
    let (key, en, ja) = match error {
        BlobError::Refused { cause, .. } if cause.contains("NoSuchBucket") => (
            "bucket",
            format!("the store has no bucket {bucket} ({cause})"),
            format!("ストアにバケット {bucket} がありません（{cause}）"),
        ),
        BlobError::Refused { cause, .. } if cause.contains("403") || cause.contains("401") => (
            "credentials",
            format!("the store does not let us write, read and remove in bucket {bucket} ({cause})"),
            format!("バケット {bucket} への書き込み・読み出し・削除が許可されていません（{cause}）"),
        ),
        BlobError::Busy { cause, .. } | BlobError::Away { cause, .. } => (
            "endpoint",
            format!("the store does not answer as it should: {cause}"),
            format!("ストアが正しく応答しません: {cause}"),
        ),
        BlobError::NoSpace => (
            "bucket",
            format!("bucket {bucket} has no room left"),
            format!("バケット {bucket} に空きがありません"),
        ),
        e => ("bucket", format!("{bucket} cannot be used: {e}"), format!("{bucket} を使用できません: {e}")),
    };
    Fault::new(format!("repository.s3.{key}"), en, ja)
}
