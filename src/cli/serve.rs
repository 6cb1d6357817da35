//! `chiren serve`: start, say where, serve, drain.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{ConfigFile, failed, log, runtime};
use crate::config::{Config, Language};
use crate::server::clock::Clock;
use crate::server::http::Handler;
use crate::server::listen;
use crate::server::metrics::Metrics;
use crate::server::ops::{Ops, Readiness, always_ready};

pub const EXAMPLES: &str = "Signals: SIGTERM and SIGINT stop it gracefully, SIGHUP reads certificates anew.

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
    let served = runtime().context("the runtime cannot start").and_then(|runtime| {
        runtime.block_on(async {
            let soap = Arc::new(Ops::new(always_ready(), CancellationToken::new(), None));
            serve(&config, soap, always_ready()).await
        })
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

/// Serves `soap` on the configured listeners until a signal, then drains.
pub async fn serve<H: Handler>(config: &Config, soap: Arc<H>, readiness: Readiness) -> anyhow::Result<()> {
    crate::config::tls::install_provider();
    let metrics = Metrics::install();
    let stop = CancellationToken::new();
    // Before the first address is announced, so that whoever reads it may already signal.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut reload = signal(SignalKind::hangup())?;
    let listening = listen(config, soap, readiness, metrics, Clock::System, stop).await?;
    for (name, role, address) in &listening.listeners {
        info!(listener = name, ?role, %address, "listening");
    }
    info!(network = config.network.name, version = env!("CARGO_PKG_VERSION"), "ready");
    let signal = loop {
        tokio::select! {
            _ = terminate.recv() => break "SIGTERM",
            _ = interrupt.recv() => break "SIGINT",
            _ = reload.recv() => listening.reload_certificates(),
        }
    };
    info!(signal, seconds = config.limits.drain_seconds, "stopping: requests under way may finish");
    match listening.drain().await {
        0 => info!("stopped"),
        cut => warn!(cut, "stopped: some connections were cut off"),
    }
    Ok(())
}
