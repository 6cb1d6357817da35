//! The program: read the command line, run the command, end with its code. The story of a start
//! is in `cli/serve.rs`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    chiren::cli::run(chiren::cli::Cli::parse())
}
