//! `chiren serve`: start, say where, serve, drain.

use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{info, warn};

use super::{ConfigFile, failed, log, runtime};
use crate::app::Running;
use crate::config::{Config, Language};
use crate::server::clock::Clock;
use crate::server::metrics::Metrics;

pub const EXAMPLES: &str =
    "Signals: SIGTERM and SIGINT stop it gracefully, SIGHUP reads certificates, revocation lists and
the directories of nodes and of communities anew.

Examples:
  chiren serve --config /etc/chiren/chiren.toml
  CHIREN__LOG__LEVEL=debug chiren serve --config chiren.toml";

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    file: ConfigFile,
}

pub fn run(arguments: Arguments, lang: Option<Language>) -> ExitCode {
    let config = match arguments.file.load(lang) {
        Ok(config) => config,
        Err(code) => return code,
    };
    log::init(&config.log);
    let served =
        runtime().context("the runtime cannot start").and_then(|runtime| runtime.block_on(serve(&config)));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

/// Serves on the configured listeners until a signal, then drains.
pub async fn serve(config: &Config) -> anyhow::Result<()> {
    let metrics = Metrics::install();
    // Before the first address is announced, so that whoever reads it may already signal.
    let mut signals = Signals::new()?;
    let running = tokio::select! {
        running = Running::start(config, Clock::System, metrics) => running?,
        // The database may be waited for.
        signal = signals.end() => {
            info!(signal, "stopped before it was ready");
            return Ok(());
        }
    };
    for (name, role, address) in &running.listening.listeners {
        info!(listener = name, ?role, %address, "listening");
    }
    info!(network = config.network.name, version = env!("CARGO_PKG_VERSION"), "ready");
    let signal = signals.stop(&running).await;
    info!(signal, seconds = config.limits.drain_seconds, "stopping: requests under way may finish");
    match running.drain().await {
        0 => info!("stopped"),
        cut => warn!(cut, "stopped: some connections were cut off"),
    }
    Ok(())
}

/// The signals a serving gateway listens to.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    reload: Signal,
}

impl Signals {
    pub fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            reload: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the signal to stop; says which it was.
    pub async fn end(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }

    /// Waits for the signal to stop, reloading certificates meanwhile; says which it was.
    pub async fn stop(&mut self, running: &Running) -> &'static str {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return "SIGTERM",
                _ = self.interrupt.recv() => return "SIGINT",
                _ = self.reload.recv() => running.reload().await,
            }
        }
    }
}
