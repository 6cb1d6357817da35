//! `chiren national`: what goes to the national record-sharing service, why, and what came of it. Works beside a running
//! gateway.

mod check;
mod ledger;
mod make;
mod show;
mod words;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{ConfigFile, print};
use crate::config::Language;

pub const EXAMPLES: &str =
    "A document is named by its entryUUID or uniqueId. What is changed leaves an audit record.

Examples:
  chiren national status
  chiren national why urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4
  chiren national list failed --institution 1319900018
  chiren national retry 019ac0de-5e2f-7cc1-9a5e-3f6c6c1f0a11
  chiren national pause 1319900018
  chiren national fact set patient '1001^^^&1.2.392.1&ISO' objection yes
  chiren national reconcile --mend
  chiren national coverage --month 2026-11
  chiren national check letter.json --packages /var/lib/chiren/packages";

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    file: ConfigFile,

    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
pub(super) enum What {
    /// Show every institution's lane: what waits, what failed, whether the line answers
    Status {
        /// Only this institution
        #[arg(long)]
        institution: Option<String>,

        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Show why a document went to the national service, or did not, and what can be done
    Why {
        /// entryUUID or uniqueId
        entry: String,

        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// List what is in one condition; `failed` and `parked` are the facilities' worklists
    List {
        /// Which
        #[arg(value_enum, default_value_t = Condition::Failed)]
        what: Condition,

        /// Only this institution
        #[arg(long)]
        institution: Option<String>,

        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Send nothing for an institution until it is resumed
    Pause { institution: String },
    /// Send for an institution again, at once
    Resume { institution: String },
    /// Try a delivery at once, or decide on a document anew
    Retry {
        /// Of a delivery the id, of a document entryUUID or uniqueId
        name: String,
    },
    /// Decide that a delivery or a document is not sent
    Drop {
        /// Of a delivery the id, of a document entryUUID or uniqueId
        name: String,
    },
    /// Take a cancellation at the service back
    Undo {
        /// entryUUID or uniqueId
        entry: String,
    },
    /// Compare what we believe with what the service holds and the registry has
    Reconcile {
        /// Only this institution
        #[arg(long)]
        institution: Option<String>,

        /// Set going what mends the differences
        #[arg(long)]
        mend: bool,

        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// List letters at the service: whether they were fetched, when their copies expire
    Referrals {
        /// Only those that expire within so many days
        #[arg(long, value_name = "DAYS")]
        expiring: Option<i64>,

        /// Ask the service now
        #[arg(long)]
        ask: bool,

        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Count the views of a month that only the regional network could serve
    Coverage {
        /// YYYY-MM
        #[arg(long)]
        month: String,

        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Make a Bundle of an HL7 v2 message or a CDA document, and say what could not be mapped
    #[command(after_help = make::EXAMPLES)]
    Make(make::Arguments),
    /// Check Bundles by the published rules, as before they are sent
    #[command(after_help = check::EXAMPLES)]
    Check(check::Arguments),
    /// Say what the decisions need to know: objections, agreements, qualifications, participation
    Fact {
        #[command(subcommand)]
        what: FactWhat,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Condition {
    /// Documents that break rules
    Failed,
    /// Deliveries given up
    Parked,
    /// Documents that wait for a fact
    Held,
    /// Deliveries to come
    Waiting,
    /// Deliveries the service has not finished
    Processing,
    /// Documents that do not go
    Skipped,
    /// Deliveries that arrived
    Done,
}

#[derive(Debug, Subcommand)]
pub(super) enum FactWhat {
    /// Say a fact; what waits for it is decided anew
    Set {
        /// patient, entry, institution
        kind: String,
        /// The patient's id (CX), the document, the ten digits
        subject: String,
        /// As `chiren national fact names` lists
        name: String,
        value: String,
    },
    /// Take a fact back
    Clear { kind: String, subject: String, name: String },
    /// Show what was said
    Show { kind: String, subject: String },
    /// List the facts that can be said
    Names,
}

pub fn run(arguments: Arguments, lang: Option<Language>) -> ExitCode {
    if let What::Make(arguments) = &arguments.what {
        return make::run(arguments, lang.unwrap_or_default());
    }
    if let What::Check(arguments) = &arguments.what {
        return check::run(arguments, lang.unwrap_or_default());
    }
    let done = arguments
        .file
        .work(lang, async |config: &_, language| ledger::work(config, &arguments.what, language).await);
    match done {
        Ok((text, _)) => print(&text),
        Err(code) => code,
    }
}
