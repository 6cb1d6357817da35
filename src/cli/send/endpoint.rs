//! Where a request goes and as whom, how it is shown, and how a failure ends the command.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use clap::Args;
use futures_util::StreamExt;

use crate::config::{PeerConfig, TlsProfile};
use crate::model::namespace::NS_WSA;
use crate::model::transaction::Transaction;
use crate::peer::http::Client;
use crate::peer::soap::{ByteStream, Call, DocumentSink, SoapAnswer, SoapError, file_stream, post};
use crate::wire::xml::tree;

/// A registry or repository to speak to.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Connection")]
pub struct Endpoint {
    /// Address of the endpoint; one without a path gets this program's own (/xds/iti18 …)
    #[arg(long)]
    pub url: String,

    /// PEM file of an authority (or the very certificate) that vouches for the server; may be
    /// repeated. Public web authorities are not trusted
    #[arg(long, value_name = "FILE")]
    pub ca: Vec<PathBuf>,

    /// PEM file of the certificate to present
    #[arg(long, value_name = "FILE", requires = "key")]
    pub cert: Option<PathBuf>,

    /// PEM file of its private key
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,

    /// Seconds of silence before giving up
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub timeout: u64,
}

impl Endpoint {
    /// The peer as `transaction` is sent to it. The widest TLS profile, since this client is to
    /// reach others; the server decides.
    pub fn peer(&self, transaction: Transaction) -> PeerConfig {
        PeerConfig {
            url: address(&self.url, transaction),
            server_ca: self.ca.clone(),
            certificate: self.cert.clone(),
            private_key: self.key.clone(),
            tls_profile: TlsProfile::AtnaBcp195,
            answer_seconds: self.timeout.max(1),
            // What is asked for here is wanted, however large.
            answer_mib: 1 << 20,
            ..PeerConfig::default()
        }
    }

    /// The same server's endpoint for another transaction.
    pub fn beside(&self, transaction: Transaction) -> Endpoint {
        Endpoint { url: sibling(&self.url, transaction), ..self.clone() }
    }

    /// A ready command line for another transaction at the same place. `more` is quoted where the
    /// shell needs it.
    pub fn command(&self, transaction: Transaction, more: &[&str]) -> String {
        let name = name(transaction);
        let mut words = vec!["chiren".to_owned(), "send".to_owned(), name.to_owned(), "--url".to_owned()];
        words.push(quoted(&self.beside(transaction).url));
        let mut file = |option: &str, path: &Path| {
            words.push(option.to_owned());
            words.push(quoted(&path.display().to_string()));
        };
        self.ca.iter().for_each(|path| file("--ca", path));
        self.cert.iter().for_each(|path| file("--cert", path));
        self.key.iter().for_each(|path| file("--key", path));
        words.extend(more.iter().map(|word| quoted(word)));
        words.join(" ")
    }
}

/// `iti18`: how the command line spells a transaction.
pub fn name(transaction: Transaction) -> &'static str {
    transaction.row().path.rsplit('/').next().unwrap_or_default()
}

/// `url`, with this program's path for the transaction if it has none.
pub fn address(url: &str, transaction: Transaction) -> String {
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    match after_scheme.split_once('/') {
        None => format!("{url}{}", transaction.row().path),
        Some((_, "")) => format!("{}{}", url.trim_end_matches('/'), transaction.row().path),
        Some(_) => url.to_owned(),
    }
}

/// The same server's address for another transaction, if the naming of paths lets us guess it.
fn sibling(url: &str, transaction: Transaction) -> String {
    let known =
        Transaction::ALL.into_iter().map(name).filter(|n| !n.is_empty()).find_map(|n| url.strip_suffix(n));
    match known {
        Some(stem) => format!("{stem}{}", name(transaction)),
        None => url.to_owned(),
    }
}

pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

/// How a request is shown and where it comes from.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Messages")]
pub struct Messages {
    /// Show the request's and the answer's envelope on standard error
    #[arg(long, short)]
    pub verbose: bool,

    /// Keep request.xml, response.xml and documents received in this folder
    #[arg(long, value_name = "DIR")]
    pub save: Option<PathBuf>,

    /// Send this file instead: a Body's content, a whole envelope, or a whole multipart message
    /// (its first line is the delimiter)
    #[arg(long, value_name = "FILE")]
    pub raw: Option<PathBuf>,
}

/// Why the command ends without success.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The command line or a file of ours; exit status 2.
    #[error("{0}")]
    Usage(String),
    /// The peer answered, and said no; exit status 1.
    #[error("{0}")]
    Refused(SoapError),
    /// There is no answer that can be used; exit status 3.
    #[error("{0}")]
    NotReached(SoapError),
    /// The same of a peer that does not speak SOAP.
    #[error("{0}")]
    Unanswered(String),
}

impl Failure {
    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::Refused(_) => 1,
            Failure::Usage(_) => 2,
            Failure::NotReached(_) | Failure::Unanswered(_) => 3,
        }
    }

    /// A file of ours cannot be read or written.
    pub fn file(path: &Path, error: &std::io::Error) -> Self {
        Failure::Usage(format!("{}: {error}", path.display()))
    }
}

impl From<SoapError> for Failure {
    fn from(error: SoapError) -> Self {
        match error {
            SoapError::Fault { .. } => Failure::Refused(error),
            SoapError::Sink(error) => Failure::Usage(error.to_string()),
            error => Failure::NotReached(error),
        }
    }
}

/// One transaction with one endpoint.
pub struct Session<'a> {
    pub client: Client,
    pub transaction: Transaction,
    messages: &'a Messages,
}

impl<'a> Session<'a> {
    pub fn new(
        endpoint: &Endpoint,
        transaction: Transaction,
        messages: &'a Messages,
    ) -> Result<Self, Failure> {
        let client = Client::new(&endpoint.peer(transaction)).map_err(|e| Failure::Usage(e.to_string()))?;
        if let Some(dir) = &messages.save {
            std::fs::create_dir_all(dir).map_err(|e| Failure::file(dir, &e))?;
        }
        Ok(Self { client, transaction, messages })
    }

    /// Sends `call`, showing and keeping both envelopes.
    pub async fn exchange(&self, call: Call, sink: &mut impl DocumentSink) -> Result<SoapAnswer, Failure> {
        let parts = call.documents.len();
        self.show(
            "request.xml",
            &format!("POST {}, {parts} document part(s)", self.client.url()),
            &call.envelope,
        )?;
        let answer = call.send(&self.client, sink).await?;
        self.answered(answer)
    }

    /// Sends the file of `--raw`, if there is one.
    pub async fn raw(&self, sink: &mut impl DocumentSink) -> Result<Option<SoapAnswer>, Failure> {
        let Some(path) = &self.messages.raw else { return Ok(None) };
        let unreadable = |e| Failure::file(path, &e);
        let (length, mut stream) = file_stream(path).await.map_err(unreadable)?;
        let first = match stream.next().await {
            Some(Ok(first)) => first,
            Some(Err(e)) => return Err(Failure::Usage(format!("{}: {e}", path.display()))),
            None => return Err(Failure::Usage(format!("{} is empty", path.display()))),
        };
        if let Some(boundary) = first.strip_prefix(b"--") {
            let end = boundary.iter().position(|b| matches!(b, b'\r' | b'\n')).unwrap_or(boundary.len());
            let boundary = String::from_utf8_lossy(&boundary[..end]).into_owned();
            let content_type = format!(
                "multipart/related; boundary=\"{boundary}\"; type=\"application/xop+xml\"; start-info=\"application/soap+xml\""
            );
            let whole: ByteStream = futures_util::stream::iter([Ok(first)]).chain(stream).boxed();
            let mut answer = post(&self.client, &content_type, length, whole, sink).await?;
            answer.expect(self.transaction, None);
            return self.answered(answer).map(Some);
        }
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        self.exchange(self.prepared(&text), sink).await.map(Some)
    }

    /// An envelope as it is; anything else becomes the content of a Body of ours, well-formed or not.
    fn prepared(&self, text: &str) -> Call {
        let xml = text.trim_start_matches('\u{feff}');
        let parsed = tree::parse(xml).ok();
        let envelope = match &parsed {
            Some(doc) => doc.root_element().tag_name().name() == "Envelope",
            None => xml.contains(":Envelope") || xml.contains("<Envelope"),
        };
        if !envelope {
            let body = match xml.trim_start().strip_prefix("<?xml").and_then(|x| x.split_once("?>")) {
                Some((_, body)) => body,
                None => xml,
            };
            // Of several requests of a transaction, the one whose element this is.
            let row = self.transaction.row();
            let element = parsed.as_ref().map(|doc| doc.root_element().tag_name().name().to_owned());
            let more = row.more_requests.iter().find(|(_, (_, name))| element.as_deref() == Some(*name));
            let action = more.map_or(row.request_action, |(action, _)| *action);
            return Call::with_action(&self.client, self.transaction, action, row.response_action, |w| {
                w.raw(body);
            });
        }
        let message_id = parsed.as_ref().and_then(|doc| {
            let id = doc.descendants().find(|n| tree::is(*n, NS_WSA, "MessageID"))?;
            Some(tree::text_of(id).trim().to_owned())
        });
        let answered_by = self.transaction.row().response_action;
        Call {
            transaction: self.transaction,
            answered_by,
            message_id,
            envelope: xml.to_owned(),
            documents: vec![],
        }
    }

    fn answered(&self, answer: SoapAnswer) -> Result<SoapAnswer, Failure> {
        let packing = if answer.mtom { "multipart" } else { "simple" };
        let head = format!("HTTP {}, {packing}, {} document part(s)", answer.status, answer.documents.len());
        self.show("response.xml", &head, &answer.envelope)?;
        Ok(answer)
    }

    fn show(&self, file: &str, head: &str, envelope: &str) -> Result<(), Failure> {
        if self.messages.verbose {
            eprintln!("--- {file}: {head}\n{}\n", super::table::printable(envelope));
        }
        if let Some(dir) = &self.messages.save {
            let path = dir.join(file);
            std::fs::write(&path, envelope).map_err(|e| Failure::file(&path, &e))?;
        }
        Ok(())
    }
}

/// A file read whole, for what must be in memory anyway.
pub fn read_file(path: &Path) -> Result<Bytes, Failure> {
    std::fs::read(path).map(Bytes::from).map_err(|e| Failure::file(path, &e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_a_path_gets_ours() {
        let t = Transaction::Iti18;
        assert_eq!(address("http://h:1", t), "http://h:1/xds/iti18");
        assert_eq!(address("https://h/", t), "https://h/xds/iti18");
        assert_eq!(address("http://h/registry", t), "http://h/registry");
    }

    #[test]
    fn the_next_command_is_ready_to_paste() {
        let endpoint = Endpoint {
            url: "https://h:1/xds/iti41".into(),
            ca: vec!["my ca.pem".into()],
            cert: None,
            key: None,
            timeout: 1,
        };
        assert_eq!(
            endpoint.command(Transaction::Iti18, &["--patient", "1^^^&2.999&ISO"]),
            "chiren send iti18 --url https://h:1/xds/iti18 --ca 'my ca.pem' --patient '1^^^&2.999&ISO'"
        );
    }

    #[test]
    fn what_is_sent_raw_is_told_apart() {
        let endpoint = Endpoint { url: "http://h/".into(), ca: vec![], cert: None, key: None, timeout: 1 };
        let messages = Messages { verbose: false, save: None, raw: None };
        let session = Session::new(&endpoint, Transaction::Iti18, &messages).unwrap();
        let envelope = r#"<e:Envelope xmlns:e="urn:e" xmlns:a="http://www.w3.org/2005/08/addressing"><a:MessageID>m</a:MessageID></e:Envelope>"#;
        let call = session.prepared(envelope);
        assert_eq!((call.envelope.as_str(), call.message_id.as_deref()), (envelope, Some("m")));
        let call = session.prepared("\u{feff}<?xml version='1.0'?><q/>");
        assert!(call.envelope.contains("<soap:Body><q/></soap:Body>"), "{}", call.envelope);
        assert!(session.prepared("<q>").envelope.contains("<soap:Body><q>"));
    }
}
