//! `chiren check`: what is wrong with a configuration, before it is used.

use std::process::ExitCode;

use clap::Args;

use super::ConfigFile;
use crate::config::{self, Language};

pub const EXAMPLES: &str = "Every fault is one sentence that names its key; the exit code is then 78.

Examples:
  chiren check --config /etc/chiren/chiren.toml
  chiren check --lang ja
  chiren check --example > chiren.toml";

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    file: ConfigFile,

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
            let file = arguments.file.config.display();
            match lang.unwrap_or(config.log.language) {
                Language::En => println!("{file}: no faults"),
                Language::Ja => println!("{file}: 問題はありません"),
            }
            ExitCode::SUCCESS
        }
    }
}
