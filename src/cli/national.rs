//! `chiren national`: what goes to the national record-sharing service 電子カルテ情報共有サービス.

mod make;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::config::Language;

pub const EXAMPLES: &str = "Examples:
  chiren national make PPR-01.hl7 --kind conditions --institution 1319900018 --insured 06990011:123:4567:01
  chiren national make letter.xml --with OMP-01.hl7 --institution 1319900018 --masters /etc/chiren/masters";

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Make a Bundle of an HL7 v2 message or a CDA document, and say what could not be mapped
    #[command(after_help = make::EXAMPLES)]
    Make(make::Arguments),
}

pub fn run(arguments: &Arguments, language: Language) -> ExitCode {
    match &arguments.what {
        What::Make(arguments) => make::run(arguments, language),
    }
}
