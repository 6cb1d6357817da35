//! With a store: what was answered is there after kill -9. And the way by folder.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use chiren::cli::simulate::national::json::sha256;
use serde_json::{Value, json};

use crate::support::national::{Caller, DESTINATION, National, SENDER, case, envelope, named, text};
use crate::support::process::chiren;

/// The service as a process.
struct Process {
    child: Child,
    address: SocketAddr,
    control: SocketAddr,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    fn start(pki: &Path, store: &Path) -> Process {
        let mut command = chiren();
        command.args([
            "simulate",
            "national",
            "--listen",
            "127.0.0.1:0",
            "--control",
            "127.0.0.1:0",
            "--lang",
            "en",
        ]);
        command.arg("--pki").arg(pki).arg("--store").arg(store).args(["--institution", SENDER]);
        command.args(["--institution", DESTINATION]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        let mut guide = String::new();
        for line in BufReader::new(child.stdout.take().expect("standard output")).lines() {
            let line = line.expect("a line");
            guide.push_str(&line);
            guide.push('\n');
            if line.contains("Ctrl-C") {
                break;
            }
        }
        let between = |before: &str, after: &str| {
            let rest = guide.split(before).nth(1).unwrap_or_else(|| panic!("{guide}"));
            rest.split(after).next().unwrap_or_default().to_owned()
        };
        let port: u16 = between("https://localhost:", " ").parse().expect("a port");
        let control = between("What it holds: http://", "/").parse().expect("an address");
        Process { child, address: SocketAddr::from(([127, 0, 0, 1], port)), control }
    }

    /// Dies without warning.
    fn kill(&mut self) {
        self.child.kill().expect("SIGKILL");
        self.child.wait().expect("it ends");
    }

    async fn state(&self) -> Value {
        let plain = client_without_tls();
        let answer = plain.get(format!("http://{}/_state", self.control)).send().await.expect("an answer");
        serde_json::from_str(&answer.text().await.expect("a text")).expect("JSON")
    }
}

fn client_without_tls() -> reqwest::Client {
    let profile = chiren::config::TlsProfile::JpHigh12;
    let config = rustls::ClientConfig::builder_with_provider(profile.provider())
        .with_protocol_versions(profile.versions())
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    reqwest::Client::builder().no_proxy().tls_backend_preconfigured(config).build().unwrap()
}

/// The lab unit under another name.
fn numbered(n: usize) -> (Value, String) {
    let mut bundle = case("cases/good/g03-lab.json");
    bundle["identifier"]["value"] = json!(format!("{SENDER}^2025^N-{n}"));
    (named(&bundle), bundle.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_is_held_after_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let (pki, store) = (dir.path().join("pki"), dir.path().join("journal"));
    let mut answered: Vec<(String, String)> = vec![];
    let mut sent = 0;
    for round in 0..5 {
        let mut process = Process::start(&pki, &store);
        let caller = Caller::new(&pki, process.address, SENDER);
        // Calls go on while it dies.
        let (hear, mut heard) = tokio::sync::mpsc::unbounded_channel();
        let first = sent;
        let calls = tokio::spawn(async move {
            let mut n = first;
            loop {
                let (body, bundle) = numbered(n);
                let request = envelope(SENDER, &format!("k{n}"), body, Some(&bundle));
                match caller.send("info.register", request).await {
                    Ok(heard) if heard.code() == "OK" => {
                        hear.send((format!("N-{n}"), sha256(bundle.as_bytes()))).unwrap()
                    }
                    Ok(other) => panic!("{}", other.text),
                    Err(_) => return n + 1,
                }
                n += 1;
            }
        });
        for _ in 0..=round {
            answered.push(heard.recv().await.unwrap());
        }
        process.kill();
        sent = calls.await.unwrap();
        while let Some(more) = heard.recv().await {
            answered.push(more);
        }
    }
    let process = Process::start(&pki, &store);
    let state = process.state().await;
    let units = state["Units"].as_array().unwrap();
    for (name, hash) in &answered {
        let of = |u: &&Value| {
            u["BundleIdentifierValue"].as_str().is_some_and(|v| v.ends_with(&format!("^{name}")))
        };
        let found: Vec<&Value> = units.iter().filter(of).collect();
        assert_eq!(found.len(), 1, "{name} was answered and is held once");
        assert_eq!(found[0]["BundleSha256"], *hash, "{name}");
    }
    // Once more under the same keys: nothing twice, whether it was answered or not.
    let caller = Caller::new(&pki, process.address, SENDER);
    for n in 0..sent {
        let (body, bundle) = numbered(n);
        assert_eq!(caller.call("info.register", &format!("k{n}"), body, Some(&bundle)).await.code(), "OK");
    }
    assert_eq!(process.state().await["Counts"]["Units"], sent);
}

#[tokio::test]
async fn clock_directory_settings_and_receipts_outlive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("journal");
    let before = {
        let national = National::with(|o| o.store = Some(store.clone())).await;
        let sender = national.caller(SENDER);
        let letter = "cases/good/g06-ereferral-text.json";
        let mut body = named(&case(letter));
        body["ConsentStatus"] = json!("1");
        assert_eq!(
            sender.call("referral.register", "k", body.clone(), Some(&text(letter))).await.code(),
            "OK"
        );
        assert_eq!(national.caller(DESTINATION).call("referral.fetch", "f", body, None).await.code(), "OK");
        assert_eq!(sender.bring("info.register", "cases/good/g01-condition.json", "c").await.code(), "OK");
        let cancelled = named(&case("cases/good/g01-condition.json"));
        assert_eq!(sender.call("info.cancel", "d", cancelled, None).await.code(), "OK");
        let engine = &national.running.engine;
        engine
            .enter(vec![serde_json::from_value(json!({ "insured_id": "x", "valid": false })).unwrap()])
            .unwrap();
        engine.advance(3_600_000_000).unwrap();
        let published = chiren::cli::simulate::national::validate::Mode::Published;
        engine
            .configure(|s| chiren::cli::simulate::national::world::Settings { validation: published, ..s })
            .unwrap();
        national.running.state()
    };
    let national = National::with(|o| o.store = Some(store)).await;
    assert_eq!(national.running.state(), before);
    assert_eq!(before["Units"][0]["State"], "received");
    assert_eq!(before["Now"], "2025-10-01T04:00:00Z");
}

/// Waits for a file.
async fn awaited(path: &Path) -> Value {
    let begun = Instant::now();
    while !path.exists() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{} does not come", path.display());
        tokio::task::yield_now().await;
    }
    serde_json::from_slice(&std::fs::read(path).unwrap()).expect("whole from the first moment on")
}

#[tokio::test(flavor = "multi_thread")]
async fn request_files_are_taken_and_result_files_laid() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("terminal");
    let national = National::with(|o| o.folder = Some(folder.clone())).await;
    let (req, res) = (folder.join("req"), folder.join("res"));
    let lay = |name: &str, body: &str| {
        std::fs::write(req.join(format!("{name}.part")), body).unwrap();
        std::fs::rename(req.join(format!("{name}.part")), req.join(name)).unwrap();
    };
    let file = "cases/good/g03-lab.json";
    let body = envelope(SENDER, "F-1", named(&case(file)), Some(&text(file)));
    lay("info.register_F-1.json", &body);
    let result = awaited(&res.join("info.register_F-1.res.json")).await;
    assert_eq!(result["MessageBody"]["ProcessingResultCode"], "OK");
    assert_eq!(result["MessageHeader"]["ArbitraryFileIdentifier"], "F-1");
    std::fs::remove_file(res.join("info.register_F-1.res.json")).unwrap();
    // A request goes away after its result has come: another under the same name before that would go with it.
    assert!(awaited_empty(&req).await);
    lay("info.register_F-1.json", &body);
    assert_eq!(awaited(&res.join("info.register_F-1.res.json")).await["MessageBody"]["Replayed"], true);
    lay("info.forget_F-2.json", &body);
    let result = awaited(&res.join("info.forget_F-2.res.json")).await;
    assert_eq!(result["MessageHeader"]["ErrorCode"], "NO_OPERATION");
    assert_eq!(national.running.state()["Counts"]["Units"], 1);
    let left = std::fs::read_dir(&req).unwrap().count();
    assert!(left == 0 || awaited_empty(&req).await, "taken files go away");
}

async fn awaited_empty(dir: &Path) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(60) {
        if std::fs::read_dir(dir).unwrap().count() == 0 {
            return true;
        }
        tokio::task::yield_now().await;
    }
    false
}
