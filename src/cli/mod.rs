//! The command line: one file per command, each with its arguments and its `run`.
//!
//! To add one: a file with `Args` and `run`, a variant of [`Command`] carrying its help, and an arm
//! in [`run`].

mod audit;
mod backup;
mod bench;
mod check;
mod community;
mod consent;
mod demo;
mod documents;
mod export;
mod history;
mod import;
mod keep;
mod log;
mod migrate;
mod mpi;
mod national;
mod node;
mod operator;
mod outbox;
mod patient;
pub mod pki;
mod query;
pub mod relay;
mod restore;
mod send;
mod serve;
pub mod simulate;
mod submission;
mod transfer;
mod verify;
mod verify_backup;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};

use crate::config::{Config, Fault, Language, Weight};

/// `EX_CONFIG` of sysexits: the configuration is at fault, and starting again will not help.
pub const EX_CONFIG: u8 = 78;

/// Chiren Gateway: shares medical documents within a regional network (地域医療連携ネットワーク).
///
/// A document registry and repository by IHE XDS.b: ITI-41, ITI-42, ITI-18 and ITI-43 over SOAP 1.2.
#[derive(Debug, Parser)]
#[command(
    name = "chiren",
    version,
    propagate_version = true,
    after_help = "Examples:
  chiren demo                              see it work, with invented hospitals and patients
  chiren check --example > chiren.toml     begin a configuration
  chiren check --config chiren.toml        see what is wrong with it
  chiren serve --config chiren.toml        run"
)]
pub struct Cli {
    /// Language of sentences for operators; else `log.language`, else en
    #[arg(long, global = true, value_enum, env = "CHIREN_LANG", hide_env_values = true)]
    lang: Option<Lang>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Lang {
    En,
    Ja,
}

impl From<Lang> for Language {
    fn from(lang: Lang) -> Self {
        match lang {
            Lang::En => Language::En,
            Lang::Ja => Language::Ja,
        }
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway until SIGTERM or SIGINT; SIGHUP reads certificates, nodes and communities anew
    #[command(after_help = serve::EXAMPLES)]
    Serve(serve::Arguments),

    /// Check a configuration, or print the example
    #[command(after_help = check::EXAMPLES)]
    Check(check::Arguments),

    /// Bring the database to this program's schema
    #[command(after_help = migrate::EXAMPLES)]
    Migrate(migrate::Arguments),

    /// Add patients to the registry, or list them
    #[command(after_help = patient::EXAMPLES)]
    Patient(patient::Arguments),

    /// Ask the registry's own database a stored query, now or as of a moment
    #[command(after_help = query::EXAMPLES)]
    Query(query::Arguments),

    /// Show what happened to an object, when, by whom and why
    #[command(after_help = history::EXAMPLES)]
    History(history::Arguments),

    /// Find alterations of the database and of documents
    #[command(after_help = verify::EXAMPLES)]
    Verify(verify::Arguments),

    /// Look after the store of documents: its keys
    #[command(after_help = documents::EXAMPLES)]
    Documents(documents::Arguments),

    /// Back up everything while serving
    #[command(after_help = backup::EXAMPLES)]
    Backup(backup::Arguments),

    /// Restore a backup into an empty database and document store
    #[command(after_help = restore::EXAMPLES)]
    Restore(restore::Arguments),

    /// Find out whether a backup would restore, without touching anything in use
    #[command(after_help = verify_backup::EXAMPLES)]
    VerifyBackup(verify_backup::Arguments),

    /// Move a database to another place, as from SQLite to PostgreSQL
    #[command(after_help = transfer::EXAMPLES)]
    Move(transfer::Arguments),

    /// Write the whole registry out as submissions, to leave for another
    #[command(after_help = export::EXAMPLES)]
    Export(export::Arguments),

    /// Register what another registry exported, here or at any address
    #[command(after_help = import::EXAMPLES)]
    Import(import::Arguments),

    /// Show, prove, tell and export the records of who did what
    #[command(after_help = audit::EXAMPLES)]
    Audit(audit::Arguments),

    /// Show what waits to be delivered elsewhere; try it again, or drop it
    #[command(after_help = outbox::EXAMPLES)]
    Outbox(outbox::Arguments),

    /// See and correct the index of patients; review, import
    #[command(after_help = mpi::EXAMPLES)]
    Mpi(mpi::Arguments),

    /// See the directory of nodes, and whose a certificate is
    #[command(after_help = node::EXAMPLES)]
    Node(node::Arguments),

    /// Make a private authority, certificates, requests and revocation lists
    #[command(after_help = pki::EXAMPLES)]
    Pki(pki::Arguments),

    /// See how other networks do, and try the way to one
    #[command(after_help = community::EXAMPLES)]
    Community(community::Arguments),

    /// See what goes to the national record-sharing service, why, and what came of it
    #[command(after_help = national::EXAMPLES)]
    National(national::Arguments),
    /// What patients allow: grant, withdraw, attest, explain; import and export
    #[command(after_help = consent::EXAMPLES)]
    Consent(Box<consent::Arguments>),

    /// Run the gateway's hand inside a facility, where its certificate for the national service is
    #[command(after_help = relay::EXAMPLES)]
    Relay(relay::Arguments),

    /// Run a whole invented network on this machine, and show what to try
    #[command(after_help = demo::EXAMPLES)]
    Demo(demo::Arguments),

    /// Run another network to test a gateway with, and let it misbehave
    #[command(after_help = simulate::EXAMPLES)]
    Simulate(simulate::Arguments),

    /// Send one request to a registry or repository, ours or another's
    #[command(after_help = send::EXAMPLES)]
    Send(send::Arguments),

    /// Load a registry or repository and check its answers
    #[command(after_help = bench::EXAMPLES)]
    Bench(bench::Arguments),
}

/// Where the configuration is.
#[derive(Debug, Args)]
pub struct ConfigFile {
    /// The configuration file (TOML); CHIREN__SECTION__KEY variables are laid over it
    #[arg(
        long,
        short,
        // Before or after the word that says what to do.
        global = true,
        value_name = "FILE",
        env = "CHIREN_CONFIG",
        default_value = "/etc/chiren/chiren.toml"
    )]
    pub config: PathBuf,
}

impl ConfigFile {
    /// Loads and checks. What is wrong goes to standard error, one sentence a fault; warnings do
    /// not refuse.
    fn load(&self, lang: Option<Language>) -> Result<Config, ExitCode> {
        let config = Config::load(&self.config).map_err(|error| {
            eprintln!("{}", error.in_language(lang.unwrap_or_default()).trim_end());
            ExitCode::from(EX_CONFIG)
        })?;
        let faults = config.check();
        for fault in &faults {
            eprintln!("{}", sentence(fault, lang.unwrap_or(config.log.language)));
        }
        if faults.iter().any(Fault::refuses) { Err(ExitCode::from(EX_CONFIG)) } else { Ok(config) }
    }

    /// Loads and does the work: what came of it, and the operator's language; or how it ended, which has been
    /// said.
    fn work<T>(
        &self,
        lang: Option<Language>,
        work: impl AsyncFnOnce(&Config, Language) -> anyhow::Result<T>,
    ) -> Result<(T, Language), ExitCode> {
        let config = self.load(lang)?;
        let language = lang.unwrap_or(config.log.language);
        let done = runtime()
            .context("the runtime cannot start")
            .and_then(|runtime| runtime.block_on(work(&config, language)));
        done.map(|done| (done, language)).map_err(|error| keep::ended(&error, language))
    }
}

fn sentence(fault: &Fault, language: Language) -> String {
    let kind = match (fault.weight, language) {
        (Weight::Refuse, Language::En) => "error",
        (Weight::Refuse, Language::Ja) => "エラー",
        (Weight::Warn, Language::En) => "warning",
        (Weight::Warn, Language::Ja) => "警告",
    };
    format!("{kind}: {}", fault.in_language(language))
}

/// Runs the command and says how it ended.
pub fn run(cli: Cli) -> ExitCode {
    let lang = cli.lang.map(Language::from);
    match cli.command {
        Command::Serve(arguments) => serve::run(arguments, lang),
        Command::Check(arguments) => check::run(arguments, lang),
        Command::Migrate(arguments) => migrate::run(arguments, lang),
        Command::Patient(arguments) => patient::run(arguments, lang),
        Command::Query(arguments) => query::run(arguments, lang),
        Command::History(arguments) => history::run(arguments, lang),
        Command::Verify(arguments) => verify::run(arguments, lang),
        Command::Documents(arguments) => documents::run(arguments, lang),
        Command::Backup(arguments) => backup::run(arguments, lang),
        Command::Restore(arguments) => restore::run(arguments, lang),
        Command::VerifyBackup(arguments) => verify_backup::run(&arguments, lang.unwrap_or_default()),
        Command::Move(arguments) => transfer::run(&arguments, lang.unwrap_or_default()),
        Command::Export(arguments) => export::run(arguments, lang),
        Command::Import(arguments) => import::run(&arguments, lang),
        Command::Audit(arguments) => audit::run(arguments, lang),
        Command::Outbox(arguments) => outbox::run(arguments, lang),
        Command::Mpi(arguments) => mpi::run(arguments, lang),
        Command::Node(arguments) => node::run(arguments, lang),
        Command::Pki(arguments) => pki::run(&arguments, lang.unwrap_or_default()),
        Command::Community(arguments) => community::run(arguments, lang),
        Command::Consent(arguments) => consent::run(*arguments, lang),
        Command::National(arguments) => national::run(arguments, lang),
        Command::Relay(arguments) => relay::run(&arguments, lang.unwrap_or_default()),
        Command::Demo(arguments) => demo::run(arguments, lang),
        Command::Simulate(arguments) => simulate::run(arguments, lang),
        Command::Send(arguments) => send::run(&arguments, lang.unwrap_or_default()),
        Command::Bench(arguments) => bench::run(&arguments),
    }
}

/// The runtime commands run on. Two workers for each core, because up to half of them may stand in
/// a query or a file (`store::in_place`).
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2 * cores)
        .enable_all()
        .thread_name("chiren")
        .build()
}

/// Writes what a command found to standard output. A reader that has seen enough (`| head`) is no
/// failure.
fn print(text: &str) -> ExitCode {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            failed(&anyhow::Error::new(error).context("standard output"))
        }
        _ => ExitCode::SUCCESS,
    }
}

/// A failure that is not the configuration's, in one line with its causes.
fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed_and_every_command_has_examples() {
        Cli::command().debug_assert();
        for command in Cli::command().get_subcommands() {
            assert!(command.get_after_help().is_some(), "{} has no examples", command.get_name());
            assert!(command.get_about().is_some(), "{} has no description", command.get_name());
        }
    }
}
