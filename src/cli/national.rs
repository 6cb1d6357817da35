//! `chiren national`: what goes to the national record-sharing service 電子カルテ情報共有サービス.

mod check;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::config::Language;

pub const EXAMPLES: &str = "Examples:
  chiren national check letter.json --packages /var/lib/chiren/packages";

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Check Bundles by the published rules, as before they are sent
    #[command(after_help = check::EXAMPLES)]
    Check(check::Arguments),
}

pub fn run(arguments: &Arguments, language: Language) -> ExitCode {
    match &arguments.what {
        What::Check(arguments) => check::run(arguments, language),
    }
}
