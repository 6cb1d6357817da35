//! The simulated national service in this process, and institutions that call it with certificates of their own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chiren::cli::simulate::national::pki::Pki;
use chiren::cli::simulate::national::{Options, Running, Simulator, Tls};
use chiren::config::TlsProfile;
use chiren::config::tls::{anchors, identity};
use chiren::server::clock::Clock;
use serde_json::{Value, json};

pub const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus/jp-clins");
pub const SENDER: &str = "1319900018";
pub const DESTINATION: &str = "2719900026";
pub const SYSTEM: &str = "http://jpfhir.jp/fhir/clins/bundle-identifier";

pub fn case(file: &str) -> Value {
    serde_json::from_str(&text(file)).expect("JSON")
}

pub fn text(file: &str) -> String {
    std::fs::read_to_string(format!("{CORPUS}/{file}")).expect("a case of the corpus")
}

/// Insured person's number and Bundle.identifier.value.
pub fn identifiers(bundle: &Value) -> (String, String) {
    let patient = bundle["entry"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| &e["resource"])
        .find(|r| r["resourceType"] == "Patient");
    let list = patient.and_then(|p| p["identifier"].as_array()).cloned().unwrap_or_default();
    let insured =
        list.iter().find(|i| i["system"].as_str().is_some_and(|s| s.ends_with("JP_Insurance_memberID")));
    let of = |v: &Value| v.as_str().unwrap_or("none").to_owned();
    (of(&insured.unwrap_or(&Value::Null)["value"]), of(&bundle["identifier"]["value"]))
}

/// A request's envelope; the Bundle is put in as it stands.
pub fn envelope(institution: &str, key: &str, body: Value, bundle: Option<&str>) -> String {
    let header = json!({ "MedicalInstitutionCode": institution, "ArbitraryFileIdentifier": key });
    let mut body = body.to_string();
    if let Some(bundle) = bundle {
        body.truncate(body.len() - 1);
        let comma = if body.len() > 1 { "," } else { "" };
        body.push_str(&format!("{comma}\"Bundle\":{bundle}}}"));
    }
    format!("{{\"MessageHeader\":{header},\"MessageBody\":{body}}}")
}

/// What came back, or that nothing did.
#[derive(Debug, Clone)]
pub struct Heard {
    pub text: String,
    pub body: Value,
}

impl Heard {
    pub fn code(&self) -> &str {
        self.body["MessageBody"]["ProcessingResultCode"].as_str().unwrap_or_default()
    }
}

/// A client with the certificate of one institution, or none.
pub fn client(pki: &Path, certificate: Option<&str>) -> reqwest::Client {
    let roots = anchors(&[pki.join("authority.pem")]).expect("the authority");
    let profile = TlsProfile::JpHigh12;
    let builder = rustls::ClientConfig::builder_with_provider(profile.provider())
        .with_protocol_versions(profile.versions())
        .expect("versions")
        .with_root_certificates(roots);
    let config = match certificate {
        None => builder.with_no_client_auth(),
        Some(name) => {
            let pair =
                identity(&pki.join(format!("{name}.pem")), &pki.join(format!("{name}.key"))).expect("a pair");
            builder.with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(pair)))
        }
    };
    let built = reqwest::Client::builder()
        .tls_backend_preconfigured(config)
        .timeout(Duration::from_secs(20))
        .no_proxy();
    built.build().expect("a client")
}

/// The service, and where its certificates are.
pub struct National {
    pub dir: tempfile::TempDir,
    pub running: Running,
}

impl National {
    pub async fn start() -> National {
        National::with(|_| {}).await
    }

    pub async fn with(more: impl FnOnce(&mut Options)) -> National {
        let dir = tempfile::tempdir().expect("a directory");
        let named = [SENDER.to_owned(), DESTINATION.to_owned()];
        let pki =
            Pki::prepare(&dir.path().join("pki"), &named, jiff::Timestamp::now()).expect("certificates");
        let mut options = Options {
            tls: Some(Tls::of(&pki)),
            clock: Clock::at("2025-10-01T03:00:00Z".parse().expect("a moment")),
            ..Options::default()
        };
        more(&mut options);
        National { running: Simulator::start(options).await.expect("it starts"), dir }
    }

    pub fn pki(&self) -> PathBuf {
        self.dir.path().join("pki")
    }

    pub fn address(&self) -> SocketAddr {
        self.running.address
    }

    pub fn caller(&self, institution: &str) -> Caller {
        Caller::new(&self.pki(), self.address(), institution)
    }
}

/// An institution that calls.
#[derive(Clone)]
pub struct Caller {
    pub client: reqwest::Client,
    pub institution: String,
    pub address: SocketAddr,
}

impl Caller {
    pub fn new(pki: &Path, address: SocketAddr, institution: &str) -> Caller {
        Caller { client: client(pki, Some(institution)), institution: institution.to_owned(), address }
    }

    /// `Err` where no answer came.
    pub async fn send(&self, op: &str, body: String) -> Result<Heard, reqwest::Error> {
        let url = format!("https://localhost:{}/v1/{}", self.address.port(), op.replace('.', "/"));
        let answer = self.client.post(url).body(body).send().await?;
        let text = answer.text().await?;
        let body = serde_json::from_str(&text).unwrap_or_default();
        Ok(Heard { text, body })
    }

    pub async fn call(&self, op: &str, key: &str, body: Value, bundle: Option<&str>) -> Heard {
        self.send(op, envelope(&self.institution, key, body, bundle)).await.expect("an answer")
    }
}

/// MessageBody that names a unit; of a letter with its destination, and consent to come.
pub fn named(bundle: &Value) -> Value {
    let (insured, value) = identifiers(bundle);
    let mut body = json!({
        "InsuredIdentifier": insured, "BundleIdentifierSystem": SYSTEM, "BundleIdentifierValue": value
    });
    let profile = bundle["meta"]["profile"][0].as_str().unwrap_or_default();
    if profile.contains("eReferral") {
        body["DestinationInstitutionCode"] = json!(DESTINATION);
        body["ConsentStatus"] = json!("2");
    }
    body
}
