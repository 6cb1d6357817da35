//! Full TLS handshakes a second, both sides with certificates. Against any address, so that the same driver measures
//! `openssl s_server`: nothing but TLS is spoken.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use clap::Args;
use rustls_pki_types::ServerName;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::histogram::Histogram;
use crate::config::{PeerConfig, TlsProfile};
use crate::peer::tls::client_config;

#[derive(Debug, Args)]
pub struct Handshakes {
    /// Where to connect
    #[arg(long, value_name = "HOST:PORT")]
    address: String,

    /// The server's name, where it is not the host
    #[arg(long)]
    name: Option<String>,

    /// PEM file of an authority that vouches for the server
    #[arg(long, value_name = "FILE", required = true)]
    ca: Vec<PathBuf>,

    /// PEM file of the certificate to present
    #[arg(long, value_name = "FILE")]
    cert: PathBuf,

    /// PEM file of its private key
    #[arg(long, value_name = "FILE")]
    key: PathBuf,

    /// Connections made at the same time
    #[arg(long, short, default_value_t = 8)]
    clients: u32,

    /// Seconds to measure
    #[arg(long, short, default_value_t = 10)]
    duration: u64,

    /// Words that say what is measured
    #[arg(long)]
    label: Option<String>,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Longest time for one connection.
const PATIENCE: Duration = Duration::from_secs(10);
const WARM_UP: Duration = Duration::from_secs(1);

#[derive(Default)]
struct Counted {
    took: Histogram,
    failed: u64,
    why: Option<String>,
}

impl Handshakes {
    /// Measures; whether all handshakes were right. The error is a sentence about the command line.
    pub async fn run(&self) -> Result<bool, String> {
        let (host, _) = self.address.rsplit_once(':').ok_or("--address: HOST:PORT is wanted")?;
        let host = self.name.as_deref().unwrap_or(host).trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(host.clone()).map_err(|_| format!("--name: {host:?} is no name"))?;
        let peer = PeerConfig {
            url: format!("https://{}", self.address),
            server_ca: self.ca.clone(),
            certificate: Some(self.cert.clone()),
            private_key: Some(self.key.clone()),
            tls_profile: TlsProfile::JpHigh,
            ..PeerConfig::default()
        };
        let mut config = client_config(&peer).map_err(|e| e.to_string())?;
        // Whatever the server would choose: no name of an application protocol is sent.
        config.alpn_protocols.clear();
        let connector = TlsConnector::from(Arc::new(config));
        one(&connector, &name, &self.address).await?;
        let stop = Arc::new(AtomicBool::new(false));
        let measured_from = Instant::now() + WARM_UP;
        let clients: Vec<_> = (0..self.clients.max(1))
            .map(|_| {
                let (connector, name) = (connector.clone(), name.clone());
                let (address, stop) = (self.address.clone(), stop.clone());
                tokio::spawn(async move {
                    let mut mine = Counted::default();
                    while !stop.load(Relaxed) {
                        let begun = Instant::now();
                        let done = one(&connector, &name, &address).await;
                        if begun < measured_from || stop.load(Relaxed) {
                            continue;
                        }
                        match done {
                            Ok(()) => mine.took.record(begun.elapsed()),
                            Err(why) => {
                                mine.failed += 1;
                                mine.why = Some(why);
                            }
                        }
                    }
                    mine
                })
            })
            .collect();
        tokio::time::sleep(WARM_UP + Duration::from_secs(self.duration.max(1))).await;
        let elapsed = measured_from.elapsed();
        stop.store(true, Relaxed);
        let mut all = Counted::default();
        for client in clients {
            let mine = client.await.map_err(|e| e.to_string())?;
            all.took.merge(&mine.took);
            all.failed += mine.failed;
            all.why = all.why.or(mine.why);
        }
        self.report(&all, elapsed);
        Ok(all.failed == 0 && all.took.count() > 0)
    }

    fn report(&self, all: &Counted, elapsed: Duration) {
        let rate = all.took.count() as f64 / elapsed.as_secs_f64();
        let ms = |share| all.took.quantile(share).as_secs_f64() * 1000.0;
        if self.json {
            let report = json!({
                "what": "full mutual TLS handshakes",
                "label": self.label,
                "address": self.address,
                "clients": self.clients,
                "seconds": elapsed.as_secs_f64(),
                "handshakes": all.took.count(),
                "perSecond": rate,
                "p50Ms": ms(0.5),
                "p99Ms": ms(0.99),
                "failed": all.failed,
                "failure": all.why,
            });
            println!("{report}");
            return;
        }
        let label = self.label.as_deref().map(|l| format!(" ({l})")).unwrap_or_default();
        println!("full mutual TLS handshakes with {}{label}", self.address);
        println!("  {rate:.0}/s, {} clients, {:.1} s", self.clients, elapsed.as_secs_f64());
        println!("  p50 {:.2} ms, p99 {:.2} ms", ms(0.5), ms(0.99));
        if all.failed > 0 {
            println!("  failed: {} ({})", all.failed, all.why.as_deref().unwrap_or_default());
        }
    }
}

/// One connection from the first packet to the last. With TLS 1.3 a server that refuses our certificate says so only
/// after our side is done: its end has to be read.
async fn one(connector: &TlsConnector, name: &ServerName<'static>, address: &str) -> Result<(), String> {
    let work = async {
        let socket = TcpStream::connect(address).await.map_err(|e| format!("not reached: {e}"))?;
        socket.set_nodelay(true).map_err(|e| e.to_string())?;
        let mut stream =
            connector.connect(name.clone(), socket).await.map_err(|e| format!("no handshake: {e}"))?;
        stream.shutdown().await.map_err(|e| format!("no end: {e}"))?;
        let mut rest = [0; 1024];
        loop {
            match stream.read(&mut rest).await {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                // Servers differ in how they end; only an alert is a refusal.
                Err(e) if e.get_ref().is_some_and(|e| e.is::<rustls::Error>()) => {
                    return Err(format!("refused: {e}"));
                }
                Err(_) => return Ok(()),
            }
        }
    };
    timeout(PATIENCE, work).await.map_err(|_| "the connection timed out".to_owned())?
}
