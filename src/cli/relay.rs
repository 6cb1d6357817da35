//! `chiren relay`: the gateway's hand inside a facility. The certificate for the national service must sit there
//! (national-service, 6.1); the relay takes sealed jobs over mutual TLS, makes the calls, and answers. It keeps nothing:
//! what it is asked twice it asks the service under the same key.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use http::{HeaderValue, Method, Response, StatusCode, header};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::serve::Signals;
use super::{EX_CONFIG, failed, log, print, runtime};
use crate::config::relay::{self, RelayConfig};
use crate::config::{Language, LimitsConfig, LogConfig};
use crate::model::national::bundle_id;
use crate::peer::national::seal::{Job, Reply, Seal, SealError};
use crate::peer::national::{Answer, Call, Port};
use crate::server::clock::Clock;
use crate::server::gate::Gate;
use crate::server::http::{self as door, Handler, Request, RespBody, full, text};
use crate::server::tls;
use crate::service::nodes::Nodes;

pub const EXAMPLES: &str =
    "The gateway connects to it; it connects to the national service. Both have the key that jobs are
sealed with: openssl rand -hex 32 > relay.key && chmod 600 relay.key

Examples:
  chiren relay --example > relay.toml
  chiren relay --config relay.toml";

/// Media type of sealed jobs and replies.
const SEALED: &str = "application/vnd.chiren.sealed";

#[derive(Debug, Args)]
pub struct Arguments {
    /// The relay's configuration
    #[arg(long, value_name = "FILE", required_unless_present = "example")]
    config: Option<PathBuf>,

    /// Print an example configuration
    #[arg(long)]
    example: bool,
}

pub fn run(arguments: &Arguments, language: Language) -> ExitCode {
    if arguments.example {
        return print(&relay::example());
    }
    let path = arguments.config.clone().unwrap_or_default();
    let config = match RelayConfig::load(&path) {
        Ok(config) => config,
        Err(e) => {
            eprintln!("{}", e.in_language(language));
            return ExitCode::from(EX_CONFIG);
        }
    };
    let faults = config.check();
    for fault in &faults {
        eprintln!("{}", fault.in_language(language));
    }
    if faults.iter().any(crate::config::Fault::refuses) {
        return ExitCode::from(EX_CONFIG);
    }
    log::init(&LogConfig::default());
    let served =
        runtime().context("the runtime cannot start").and_then(|runtime| runtime.block_on(serve(&config)));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

async fn serve(config: &RelayConfig) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    let running = Relay::start(config, Clock::System).await?;
    info!(institution = config.relay.institution, address = %running.address, "ready");
    let signal = signals.end().await;
    info!(signal, "stopping");
    running.stop().await;
    Ok(())
}

/// A relay serving.
pub struct Relay {
    pub address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<usize>,
}

impl Relay {
    pub async fn start(config: &RelayConfig, clock: Clock) -> anyhow::Result<Self> {
        crate::config::tls::install_provider();
        let mappings = config.load_mappings().map_err(|fault| anyhow::anyhow!("{fault}"))?;
        let face = Face {
            institution: config.relay.institution.clone(),
            seal: Seal::read(&config.relay.seal_key)?,
            seconds: config.relay.job_seconds,
            port: Port::open(&config.egress, &mappings)?,
            clock: clock.clone(),
        };
        let listener = &config.listener;
        let socket = tokio::net::TcpListener::bind(listener.address)
            .await
            .with_context(|| format!("address {} cannot be opened", listener.address))?;
        let address = socket.local_addr()?;
        let limits = Arc::new(LimitsConfig::default());
        let settings = door::Settings {
            name: listener.name.as_str().into(),
            tls: tls::Acceptor::new(listener).context("listener")?,
            hosts: listener.hosts.clone().into(),
            max_connections: listener.max_connections,
            max_connections_per_address: listener.max_connections_per_address,
            limits: limits.clone(),
            turns: None,
            // Whom its certificate does not name the relay tells apart itself.
            gate: Gate::new(Nodes::none(), None, limits.clone(), clock.clone()),
            clock,
        };
        let stop = CancellationToken::new();
        let task = tokio::spawn(door::serve(socket, settings, Arc::new(face), stop.clone()));
        Ok(Self { address, stop, task })
    }

    pub async fn stop(self) {
        self.stop.cancel();
        let _ = self.task.await;
    }
}

struct Face {
    institution: String,
    seal: Seal,
    seconds: u64,
    port: Port,
    clock: Clock,
}

/// Octets of a job: a Bundle of the largest size, and some more.
const JOB: u64 = 64 * 1024 * 1024;

impl Handler for Face {
    async fn handle(&self, request: Request) -> Response<RespBody> {
        if request.method != Method::POST {
            return text(StatusCode::METHOD_NOT_ALLOWED, "POST only\n");
        }
        // Who is not one of ours gets no answer to what is sealed; TLS has asked for a certificate before.
        let Ok(sealed) = request.body.whole(JOB).await else {
            return text(StatusCode::BAD_REQUEST, "the job did not come whole\n");
        };
        let now = self.clock.now().as_microsecond();
        let (job, id) = match self.seal.open_job(sealed.to_vec(), now, self.seconds) {
            Ok(opened) => opened,
            Err(cause) => {
                warn!(%cause, "a job was refused");
                let status = match cause {
                    SealError::Old(_) => StatusCode::CONFLICT,
                    _ => StatusCode::FORBIDDEN,
                };
                return text(status, "the job is refused\n");
            }
        };
        let reply = self.done(job, now).await;
        match self.seal.reply(&id, &reply, self.clock.now().as_microsecond()) {
            Ok(sealed) => {
                let mut response = Response::new(full(sealed));
                response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(SEALED));
                response
            }
            Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "the reply cannot be sealed\n"),
        }
    }
}

impl Face {
    async fn done(&self, job: Job, now: i64) -> Reply {
        match job {
            Job::Call(call) if !self.is_ours(&call) => {
                warn!(operation = %call.op, "a job of another institution was refused");
                Reply::Refused(format!("this relay sends for {} only", self.institution))
            }
            Job::Call(call) => {
                let answer = self.port.call(&call, now).await;
                self.tell(&call, &answer);
                Reply::Answer(answer)
            }
            Job::Holdings { institution } if institution != self.institution => {
                Reply::Refused(format!("this relay sends for {} only", self.institution))
            }
            Job::Holdings { institution } => match self.port.holdings(&institution, now).await {
                Ok(held) => Reply::Holdings(held),
                Err(why) => Reply::Refused(why),
            },
        }
    }

    /// A relay sends only its own institution's Bundles.
    fn is_ours(&self, call: &Call) -> bool {
        let owner = call.bundle_value.as_deref().map(bundle_id::institution);
        call.institution == self.institution && owner.is_none_or(|o| o == Some(self.institution.as_str()))
    }

    fn tell(&self, call: &Call, answer: &Answer) {
        let (operation, key) = (call.op.to_string(), &call.key);
        match answer {
            Answer::Failed { why, .. } => {
                warn!(operation, key, cause = why, "the national service did not answer")
            }
            Answer::Refused { code, .. } => info!(operation, key, code, "refused by the national service"),
            _ => info!(operation, key, "done"),
        }
    }
}
