//! `chiren simulate community`: a whole second network on this machine, in which demo's people are patients too, behind
//! a door that can be told to misbehave. For whoever builds or tests a gateway. `chiren simulate national`: the national
//! record-sharing service.

mod control;
pub mod fault;
pub mod front;
pub mod national;
mod network;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};

use self::fault::Fault;
use self::network::Simulated;
use super::{failed, log, print, runtime};
use crate::cli::serve::Signals;
use crate::config::{Language, LogConfig};

pub const EXAMPLES: &str =
    "Everything is invented. What it misses is switched on by --fault or over the door for faults:
  delay[=MS]  hang  drop  fault  malformed  wrong-home  drip[=MS]  huge[=MIB]  several
each with @PATH for one address only: --fault delay=3000@/xca/iti55

Examples:
  chiren simulate community
  chiren simulate community --listen 127.0.0.1:8280 --control 127.0.0.1:9290 --home 2.999.392.8 --fault hang@/xca/iti38
  curl -X POST -d '{\"kind\": \"wrong-home\", \"path\": \"/xca/iti55\"}' http://127.0.0.1:9190/faults
  curl -X DELETE http://127.0.0.1:9190/faults";

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Another network: registry, repository, index, responding gateway, and faults at will
    #[command(after_help = EXAMPLES)]
    Community(Community),

    /// The national record-sharing service (電子カルテ情報共有サービス), over mutual TLS, with its rules and faults at will
    #[command(after_help = national::EXAMPLES)]
    National(Box<national::Arguments>),
}

#[derive(Debug, Args)]
struct Community {
    /// Where its transactions are served
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8180")]
    listen: SocketAddr,

    /// Where faults are switched on and off
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9190")]
    control: SocketAddr,

    /// OID of the network: homeCommunityId after urn:oid:, and the stem of its other OIDs
    #[arg(long, value_name = "OID", default_value = "2.999.392.7")]
    home: String,

    /// Keep the network in this folder; without it, a temporary one is removed at the end
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// Patients: the first of `chiren demo` are the same people
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(2..=100_000))]
    patients: u32,

    /// Documents to invent
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u64).range(0..=1_000_000))]
    documents: u64,

    /// A fault from the beginning on, KIND[=N][@PATH]; may be repeated
    #[arg(long, value_name = "FAULT", value_parser = Fault::parse)]
    fault: Vec<Fault>,

    /// What is logged to standard error: error, warn, info, debug
    #[arg(long, value_name = "LEVEL", default_value = "warn")]
    log: String,
}

pub fn run(arguments: Arguments, lang: Option<Language>) -> ExitCode {
    let level = match &arguments.what {
        What::Community(community) => community.log.clone(),
        What::National(national) => national.log.clone(),
    };
    log::init(&LogConfig { level, ..LogConfig::default() });
    let language = lang.unwrap_or_default();
    let ended = runtime().context("the runtime cannot start").and_then(|runtime| {
        runtime.block_on(async {
            match arguments.what {
                What::Community(community) => simulate(&community, language).await,
                What::National(national) => national::run(*national, language).await,
            }
        })
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

async fn simulate(community: &Community, language: Language) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    let options = network::Options {
        home: community.home.clone(),
        data: community.data.clone(),
        patients: community.patients as usize,
        documents: community.documents,
        listen: community.listen,
        control: community.control,
        language,
    };
    let simulated = Simulated::start(options).await?;
    community.fault.iter().for_each(|fault| simulated.faults().add(fault.clone()));
    print(&simulated.guide(language));
    signals.stop(simulated.running()).await;
    simulated.end().await;
    Ok(())
}
