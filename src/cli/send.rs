//! `chiren send`: one request to any registry or repository, ours or another's, and what it answered.

pub mod ask;
pub mod endpoint;
mod mllp;
pub mod on_demand;
mod provide;
mod query;
mod remove;
mod remove_documents;
mod retrieve;
pub mod table;
mod update;
mod v3;
mod who;

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};

pub use self::query::shown;

use self::endpoint::Failure;
use super::{failed, runtime};
use crate::config::Language;
use crate::model::error::{RegistryError, Severity};
use crate::model::transaction::Transaction;

pub const EXAMPLES: &str = "Exit status: 0 success, 1 refused, 2 usage, 3 not reached (or no usable answer).

Examples:
  chiren send iti41 --url http://127.0.0.1:8080 --patient '1001^^^&2.999.392.1.1&ISO' --file letter.pdf
  chiren send iti18 --url http://127.0.0.1:8080 --patient '1001^^^&2.999.392.1.1&ISO'
  chiren send iti43 --url http://127.0.0.1:8080 --repository 2.999.392.1.2.1 --document 2.25.1 -o out.pdf
  chiren send iti57 --url http://127.0.0.1:8080 --document 2.25.1 --title 訂正
  chiren send iti57 --url http://127.0.0.1:8080 --document 2.25.1 --status deprecated
  chiren send iti61 --url http://127.0.0.1:8080 --patient '1001^^^&2.999.392.1.1&ISO' --repository 2.999.392.1.2.1
  chiren send iti62 --url http://127.0.0.1:8080 --submission-set 2.25.2
  chiren send iti86 --url http://127.0.0.1:8080 --repository 2.999.392.1.2.1 --document 2.25.1
  chiren send iti44 --url http://127.0.0.1:8080 --id '00012345^^^&1.2.392.100495.20.3.51.11312345670&ISO' --name '山本 美咲'
  chiren send iti45 --url http://127.0.0.1:8080 --id '00012345^^^&1.2.392.100495.20.3.51.11312345670&ISO'
  chiren send iti47 --url http://127.0.0.1:8080 --family 山本 --birth 19880302 --quantity 5
  chiren send iti8 --url mllp://127.0.0.1:2575 --sender 'HIS|CHUO' --id 00012345 --name '山本 美咲' --birth 19880302
  chiren send iti9 --url mllp://127.0.0.1:2575 --id '00012345^^^CHUO'
  chiren send iti21 --url mllp://127.0.0.1:2575 --family 山本 --birth 1988
  chiren send iti8 --url mllps://mpi.example.jp:2575 --ca ca.pem --raw adt.hl7
  chiren send iti42 --url https://registry.example.jp/iti42 --ca ca.pem --raw vendor-request.xml --verbose";

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    transaction: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Patient Identity Feed (HL7 v2 over MLLP): say who a patient is, merge, link
    #[command(alias = "adt")]
    Iti8(Box<mllp::Feed>),
    /// PIX Query (HL7 v2 over MLLP): the ids of a patient in other domains
    #[command(alias = "pix")]
    Iti9(mllp::Pix),
    /// Patient Demographics Query (HL7 v2 over MLLP): who is called, was born, lives so
    #[command(alias = "pdq")]
    Iti21(Box<mllp::Demographic>),
    /// Provide and Register Document Set-b: publish a document
    Iti41(Box<provide::Iti41>),
    /// Register Document Set-b: register the metadata of a document that a repository has
    Iti42(Box<provide::Iti42>),
    /// Registry Stored Query: find documents
    Iti18(query::Arguments),
    /// Retrieve Document Set: fetch documents
    Iti43(retrieve::Arguments),
    /// Patient Identity Feed HL7 V3: say who a patient is, or join two ids
    Iti44(Box<v3::Feed>),
    /// PIXV3 Query: the ids of a patient in other domains
    Iti45(v3::Pix),
    /// Patient Demographics Query HL7 V3: who is called, was born, lives so
    Iti47(Box<v3::Demographic>),
    /// Multi-Patient Stored Query: find documents of several patients
    Iti51(query::Arguments),
    /// Update Document Set: change the metadata or the status of a document
    Iti57(Box<update::Arguments>),
    /// Register On-Demand Document Entry: announce a document that is made when it is retrieved
    Iti61(Box<on_demand::Arguments>),
    /// Remove Metadata: remove objects that hang together
    Iti62(remove::Arguments),
    /// Remove Documents: remove documents from a repository
    Iti86(remove_documents::Arguments),
    /// Restricted Update Document Set: change what any community may change
    Iti92(Box<update::Arguments>),
}

/// How an exchange ended that was one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Success,
    Refused,
}

pub fn run(arguments: &Arguments, language: Language) -> ExitCode {
    let runtime = match runtime().context("the runtime cannot start") {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error),
    };
    let ended = runtime.block_on(async {
        match &arguments.transaction {
            What::Iti8(arguments) => mllp::feed(arguments).await,
            What::Iti9(arguments) => mllp::pix(arguments).await,
            What::Iti21(arguments) => mllp::demographics(arguments).await,
            What::Iti41(arguments) => provide::iti41(arguments, language).await,
            What::Iti42(arguments) => provide::iti42(arguments, language).await,
            What::Iti18(arguments) => query::run(arguments, Transaction::Iti18, language).await,
            What::Iti44(arguments) => v3::feed(arguments, language).await,
            What::Iti45(arguments) => v3::pix(arguments, language).await,
            What::Iti47(arguments) => v3::demographics(arguments, language).await,
            What::Iti51(arguments) => query::run(arguments, Transaction::Iti51, language).await,
            What::Iti43(arguments) => retrieve::run(arguments, language).await,
            What::Iti57(arguments) => update::run(arguments, Transaction::Iti57, language).await,
            What::Iti61(arguments) => on_demand::run(arguments, language).await,
            What::Iti62(arguments) => remove::run(arguments, language).await,
            What::Iti86(arguments) => remove_documents::run(arguments, language).await,
            What::Iti92(arguments) => update::run(arguments, Transaction::Iti92, language).await,
        }
    });
    match ended {
        Ok(Ending::Success) => ExitCode::SUCCESS,
        Ok(Ending::Refused) => ExitCode::from(1),
        Err(failure) => {
            let kind = match (&failure, language) {
                (Failure::Refused(_), Language::En) => "refused",
                (Failure::Refused(_), Language::Ja) => "拒否されました",
                (Failure::Usage(_), Language::En) => "error",
                (Failure::Usage(_), Language::Ja) => "エラー",
                (Failure::NotReached(_) | Failure::Unanswered(_), Language::En) => "not reached",
                (Failure::NotReached(_) | Failure::Unanswered(_), Language::Ja) => "応答を得られませんでした",
            };
            eprintln!("{kind}: {}", table::line(&failure.to_string()));
            ExitCode::from(failure.exit_code())
        }
    }
}

/// To standard output, whose reader may have gone: `| head` is no error.
fn write_out(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes());
}

/// Errors and warnings, one to a line.
fn refusals(errors: &[RegistryError], language: Language) -> String {
    errors
        .iter()
        .map(|e| {
            let severity = match (e.severity, language) {
                (Severity::Error, Language::En) => "error",
                (Severity::Error, Language::Ja) => "エラー",
                (Severity::Warning, Language::En) => "warning",
                (Severity::Warning, Language::Ja) => "警告",
            };
            let location = e.location.as_deref().map(|l| format!(" [{l}]")).unwrap_or_default();
            table::line(&format!("  {severity} {}: {}{location}", e.code, e.context)) + "\n"
        })
        .collect()
}

/// Octets as hexadecimal digits.
pub fn hex(octets: &[u8]) -> String {
    octets.iter().map(|o| format!("{o:02x}")).collect()
}
