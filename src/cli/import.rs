//! `chiren import`: what another registry exported, into ours or, message by message, to any address.

mod here;
mod journal;
mod there;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{ArgGroup, Args};
use serde::Serialize;

use super::keep::{FAULTS, ended};
use super::send::endpoint::Endpoint;
use super::{EX_CONFIG, print, runtime};
use crate::config::{Config, Fault, Language};
use crate::model::error::RegistryError;

pub const EXAMPLES: &str = "With --config, an export of this program is taken in as it was: ids, versions, statuses and times kept; a
folder of other ITI-42 messages (*.xml, in order of name) is registered by all rules. With --url, every message
is sent: ITI-42 for new objects, ITI-57 for later versions and statuses. What was cut short goes on where it
stopped.

Exit status: 0 everything is registered, 1 not done, 4 some was refused; each refusal is shown with its code.

Examples:
  chiren import --config new.toml --from /backup/export
  chiren import --config new.toml --from /backup/export --rehome
  chiren import --url https://registry.example.jp/xds --ca ca.pem --from /backup/export
  chiren import --url http://gateway.example.jp:8080 --provide --from /backup/export";

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("target").required(true).args(["config", "url"]))]
pub struct Arguments {
    /// Folder of an export, or of ITI-42 messages
    #[arg(long, value_name = "DIR")]
    from: PathBuf,

    /// The configuration (TOML) of the gateway to import into, beside its running or without
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Documents become our repository's: repositoryUniqueId is rewritten from the exporting one to ours
    #[arg(long, requires = "config")]
    rehome: bool,

    /// Address of a registry; one without a path gets this program's own
    #[arg(long)]
    url: Option<String>,

    /// Send new objects by ITI-41 with their documents, to a repository; what the export has no bytes of goes by
    /// ITI-42
    #[arg(long, requires = "url")]
    provide: bool,

    /// Leave out what only ITI-57 can carry: later versions and statuses
    #[arg(long, requires = "url")]
    no_updates: bool,

    /// PEM file of an authority that vouches for the server; may be repeated
    #[arg(long, value_name = "FILE", requires = "url")]
    ca: Vec<PathBuf>,

    /// PEM file of the certificate to present
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,

    /// PEM file of its private key
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,

    /// Seconds of silence before giving up
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u64,

    /// Where it is noted what was sent [default: sent.jsonl in the folder]
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,

    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

/// What became of all messages.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    patients: u64,
    registered: u64,
    /// An earlier import brought them.
    before: u64,
    documents: u64,
    /// Messages whose content the target's transactions cannot carry, or that were not to be sent.
    left_out: Vec<String>,
    refused: Vec<Refused>,
}

/// A message refused, with the codes; each once.
#[derive(Debug, Serialize)]
struct Refused {
    file: String,
    errors: Vec<String>,
}

impl Report {
    fn refuse(&mut self, file: &str, errors: &[RegistryError]) {
        let line = |e: &RegistryError| super::send::table::line(&format!("{}: {}", e.code, e.context));
        let errors = errors.iter().filter(|e| e.is_error()).map(line).collect();
        self.refused.push(Refused { file: file.to_owned(), errors });
    }
}

pub fn run(arguments: &Arguments, lang: Option<Language>) -> ExitCode {
    let config = match arguments.config.as_ref().map(|path| load(path, lang)) {
        Some(Err(code)) => return code,
        Some(Ok(config)) => Some(config),
        None => None,
    };
    let language = lang.or(config.as_ref().map(|c| c.log.language)).unwrap_or_default();
    let done = runtime().context("the runtime cannot start").and_then(|runtime| {
        runtime.block_on(async {
            match (&config, arguments.endpoint()) {
                (Some(config), _) => here::import(config, arguments, language).await,
                (None, Some(endpoint)) => there::import(&endpoint, arguments, language).await,
                // clap asks for one of the two.
                (None, None) => Ok(Report::default()),
            }
        })
    });
    let report = match done {
        Ok(report) => report,
        Err(error) => return ended(&error, language),
    };
    let text = match arguments.json {
        true => serde_json::to_string_pretty(&report).unwrap_or_default() + "\n",
        false => lines(&report, language),
    };
    match print(&text) {
        ExitCode::SUCCESS if !report.refused.is_empty() => ExitCode::from(FAULTS),
        code => code,
    }
}

fn load(path: &std::path::Path, lang: Option<Language>) -> Result<Config, ExitCode> {
    let config = Config::load(path).map_err(|error| {
        eprintln!("{}", error.in_language(lang.unwrap_or_default()).trim_end());
        ExitCode::from(EX_CONFIG)
    })?;
    let faults = config.check();
    for fault in faults.iter().filter(|f| f.refuses()) {
        eprintln!("{}", fault.in_language(lang.unwrap_or(config.log.language)));
    }
    if faults.iter().any(Fault::refuses) { Err(ExitCode::from(EX_CONFIG)) } else { Ok(config) }
}

impl Arguments {
    fn endpoint(&self) -> Option<Endpoint> {
        Some(Endpoint {
            url: self.url.clone()?,
            ca: self.ca.clone(),
            cert: self.cert.clone(),
            key: self.key.clone(),
            timeout: self.timeout,
        })
    }

    fn journal(&self) -> PathBuf {
        self.journal.clone().unwrap_or_else(|| self.from.join("sent.jsonl"))
    }
}

fn lines(report: &Report, language: Language) -> String {
    let mut out = String::new();
    for Refused { file, errors } in &report.refused {
        out.push_str(&match language {
            Language::En => format!("refused {file}\n"),
            Language::Ja => format!("拒否 {file}\n"),
        });
        errors.iter().for_each(|e| out.push_str(&format!("  {e}\n")));
    }
    for what in &report.left_out {
        out.push_str(&match language {
            Language::En => format!("left out {what}\n"),
            Language::Ja => format!("対象外 {what}\n"),
        });
    }
    let Report { patients, registered, before, documents, left_out, refused } = report;
    let (left_out, refused) = (left_out.len(), refused.len());
    out.push_str(&match language {
        Language::En => format!(
            "{patients} patients, {registered} registered now with {documents} documents, {before} before, \
             {refused} refused, {left_out} left out\n"
        ),
        Language::Ja => format!(
            "患者 {patients} 人、今回登録 {registered} 件（文書 {documents} 件）、登録済み {before} 件、拒否 {refused} 件、\
             対象外 {left_out} 件\n"
        ),
    });
    out
}
