//! `chiren send iti8`, `iti9`, `iti21`: feeds of patients and questions to their index, HL7 v2 over MLLP.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use jiff::Timestamp;

use super::endpoint::Failure;
use super::table::printable;
use super::who::{self, Sought, Who};
use super::{Ending, write_out};
use crate::config::{PeerConfig, TlsProfile};
use crate::model::identity::{Demographics, Insurance, NameScript, NameUse, PersonName};
use crate::model::ids::is_oid;
use crate::peer::mllp::{MllpClient, MllpError, hl7_time};
use crate::wire::hl7v2::answer::{self, Verdict};
use crate::wire::hl7v2::charset::{Encoded, Label};
use crate::wire::hl7v2::compose::{self, Envelope, Party};
use crate::wire::hl7v2::mllp::{Event, Splitter};
use crate::wire::hl7v2::{Identifier, text_of};

/// An index of patients to speak to.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Connection")]
pub struct Line {
    /// mllp://host:port, or mllps://host:port for TLS; the port is 2575 where none is given
    #[arg(long)]
    pub url: String,

    /// PEM file of an authority (or the very certificate) that vouches for the server; may be repeated
    #[arg(long, value_name = "FILE")]
    pub ca: Vec<PathBuf>,

    /// PEM file of the certificate to present
    #[arg(long, value_name = "FILE", requires = "key")]
    pub cert: Option<PathBuf>,

    /// PEM file of its private key
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,

    /// Seconds to wait for an answer
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub timeout: u64,

    /// Sending application and facility: MSH-3 and MSH-4
    #[arg(long, value_name = "APP|FACILITY", default_value = "CHIREN|SEND")]
    pub sender: String,

    /// Receiving application and facility: MSH-5 and MSH-6
    #[arg(long, value_name = "APP|FACILITY", default_value = "MPI|CHIREN")]
    pub receiver: String,

    /// Character set of the message, and so of the answer
    #[arg(long, value_enum, default_value_t = Set::Jis)]
    pub charset: Set,

    /// MSH-11: P production, T training, D debugging
    #[arg(long, default_value = "P", value_parser = ["P", "T", "D"])]
    pub processing: String,

    /// Send the messages of this file instead, byte for byte: one message, or MLLP frames
    #[arg(long, value_name = "FILE")]
    pub raw: Option<PathBuf>,

    /// Show what is sent, too
    #[arg(long, short)]
    pub verbose: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Set {
    /// ISO-2022-JP, ~ISO IR87
    Jis,
    /// UTF-8
    Utf8,
    /// ASCII
    Ascii,
}

impl Set {
    fn label(self) -> Label {
        match self {
            Set::Jis => Label::japanese(),
            Set::Utf8 => Label::utf8(),
            Set::Ascii => Label::ASCII,
        }
    }
}

#[derive(Debug, Clone, Args)]
pub struct Feed {
    #[command(flatten)]
    line: Line,

    /// Trigger event: A01 A04 A05 A08 A28 A31 say who somebody is; A40 merges, A47 renames, A24 links, A37 unlinks
    #[arg(long, default_value = "A08", value_parser = compose::EVENTS.iter().map(|(event, _)| *event).collect::<Vec<_>>())]
    event: String,

    /// The patient's id, as in PID-3: 'id^^^namespace&oid&ISO'; may be repeated
    #[arg(long, value_name = "CX")]
    id: Vec<String>,

    /// The other id: the prior one of A40 and A47, the second of A24 and A37
    #[arg(long, value_name = "CX")]
    other: Option<String>,

    #[command(flatten)]
    who: Who,

    /// A former family name
    #[arg(long, value_name = "NAME")]
    former: Option<String>,

    /// M, F, O or U
    #[arg(long)]
    sex: Option<String>,

    /// 保険者番号:記号:番号 or 保険者番号:記号:番号:枝番
    #[arg(long, value_name = "A:B:C[:D]")]
    insurance: Option<String>,
}

#[derive(Debug, Clone, Args)]
pub struct Pix {
    #[command(flatten)]
    line: Line,

    /// The id asked about: 'id^^^namespace&oid&ISO'
    #[arg(long, value_name = "CX", required_unless_present = "raw")]
    id: Option<String>,

    /// A domain whose id is wanted, by namespace or OID; may be repeated. None: all
    #[arg(long, value_name = "DOMAIN")]
    domain: Vec<String>,
}

#[derive(Debug, Clone, Args)]
pub struct Demographic {
    #[command(flatten)]
    line: Line,

    #[command(flatten)]
    sought: Sought,

    #[arg(long)]
    sex: Option<String>,

    /// Any other parameter, as '@PID.18.1=A17'; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    param: Vec<String>,

    /// A domain whose ids are wanted (QPD-8), by namespace or OID; may be repeated. None: all
    #[arg(long, value_name = "DOMAIN")]
    domain: Vec<String>,

    /// Patients in one answer (RCP-2)
    #[arg(long, value_name = "N")]
    size: Option<u64>,

    /// Go on until all have come, rather than stop after the first answer
    #[arg(long)]
    all: bool,
}

pub async fn feed(arguments: &Feed) -> Result<Ending, Failure> {
    let Feed { line, event, id, other, .. } = arguments;
    let ids = id.iter().map(|cx| identifier(cx)).collect::<Result<Vec<_>, _>>()?;
    let other = other.as_deref().map(identifier).transpose()?;
    if line.raw.is_none() && ids.is_empty() {
        return Err(Failure::Usage("--id is needed".into()));
    }
    if matches!(event.as_str(), "A40" | "A47" | "A24" | "A37") && other.is_none() && line.raw.is_none() {
        return Err(Failure::Usage(format!("{event} needs --other, the second id")));
    }
    let of = arguments.demographics()?;
    Talk::begin(line).await?.say(|envelope| compose::feed(envelope, event, &ids, other.as_ref(), &of)).await
}

impl Feed {
    fn demographics(&self) -> Result<Demographics, Failure> {
        let mut of = self.who.demographics();
        if let Some(family) = &self.former {
            let given = self.who.name.as_deref().map_or("", |name| who::parts(name).1);
            of.names.get_or_insert_default().push(PersonName {
                family: family.clone(),
                given: given.to_owned(),
                usage: NameUse::Maiden,
                script: Some(NameScript::Ideographic),
                ..PersonName::default()
            });
        }
        let insurance = match &self.insurance {
            None => None,
            Some(text) => match text.split(':').collect::<Vec<_>>().as_slice() {
                [insurer, symbol, number, branch @ ..] if branch.len() < 2 => Some(Insurance {
                    insurer: (*insurer).to_owned(),
                    symbol: (*symbol).to_owned(),
                    number: (*number).to_owned(),
                    branch: branch.first().map(|b| (*b).to_owned()),
                }),
                _ => return Err(Failure::Usage("--insurance is 保険者番号:記号:番号[:枝番]".into())),
            },
        };
        Ok(Demographics { sex: self.sex.clone(), insurances: insurance.map(|i| vec![i]), ..of })
    }
}

pub async fn pix(arguments: &Pix) -> Result<Ending, Failure> {
    let id = identifier(arguments.id.as_deref().unwrap_or("-"))?;
    let wanted: Vec<Identifier> = arguments.domain.iter().map(|d| domain(d)).collect();
    Talk::begin(&arguments.line).await?.say(|e| compose::pix(e, e.control_id, &id, &wanted)).await
}

pub async fn demographics(arguments: &Demographic) -> Result<Ending, Failure> {
    let parameters = arguments.parameters()?;
    let wanted: Vec<Identifier> = arguments.domain.iter().map(|d| domain(d)).collect();
    let mut talk = Talk::begin(&arguments.line).await?;
    let tag = control_id(0);
    let mut pointer: Option<String> = None;
    loop {
        let asked = |e: &Envelope<'_>| {
            compose::demographics(e, &tag, &parameters, &wanted, arguments.size, pointer.as_deref())
        };
        let ending = talk.say(asked).await?;
        pointer = talk.next.take().filter(|_| arguments.all);
        if pointer.is_none() || ending != Ending::Success {
            return Ok(ending);
        }
    }
}

impl Demographic {
    fn parameters(&self) -> Result<Vec<(String, String)>, Failure> {
        let named = [
            ("@PID.5.1.1", &self.sought.family),
            ("@PID.5.2", &self.sought.given),
            ("@PID.7", &self.sought.birth),
            ("@PID.8", &self.sex),
            ("@PID.11.5", &self.sought.postcode),
            ("@PID.11.8", &self.sought.address),
            ("@PID.13.12", &self.sought.phone),
        ];
        let mut all: Vec<(String, String)> = named
            .iter()
            .filter_map(|(name, value)| Some(((*name).to_owned(), value.as_ref()?.clone())))
            .collect();
        for param in &self.param {
            let (name, value) = param
                .split_once('=')
                .ok_or_else(|| Failure::Usage(format!("--param {param:?} is not NAME=VALUE")))?;
            all.push((name.to_owned(), value.to_owned()));
        }
        match all.is_empty() && self.line.raw.is_none() {
            true => Err(Failure::Usage("name what is looked for: --family, --given, --birth …".into())),
            false => Ok(all),
        }
    }
}

/// A connection, and what is said over it.
struct Talk<'a> {
    line: &'a Line,
    connection: crate::peer::mllp::Connection,
    said: u64,
    /// DSC-1 of the last answer.
    next: Option<String>,
}

impl<'a> Talk<'a> {
    async fn begin(line: &'a Line) -> Result<Self, Failure> {
        let peer = PeerConfig {
            url: line.url.clone(),
            server_ca: line.ca.clone(),
            certificate: line.cert.clone(),
            private_key: line.key.clone(),
            // The server decides.
            tls_profile: TlsProfile::AtnaBcp195,
            answer_seconds: line.timeout.max(1),
            ..PeerConfig::default()
        };
        let client = MllpClient::new(&peer).map_err(|e| Failure::Usage(e.to_string()))?;
        let connection = client.open().await.map_err(unanswered)?;
        Ok(Self { line, connection, said: 0, next: None })
    }

    /// Sends a message, or those of `--raw`, and shows the answers.
    async fn say(&mut self, message: impl Fn(&Envelope<'_>) -> Encoded) -> Result<Ending, Failure> {
        let messages = match &self.line.raw {
            Some(path) => split(std::fs::read(path).map_err(|e| Failure::file(path, &e))?),
            None => {
                let (from, to) = (party(&self.line.sender), party(&self.line.receiver));
                let label = self.line.charset.label();
                self.said += 1;
                let encoded = message(&Envelope {
                    from: &from,
                    to: &to,
                    time: &now(),
                    control_id: &control_id(self.said),
                    processing: &self.line.processing,
                    label: &label,
                });
                if encoded.substituted > 0 {
                    eprintln!(
                        "{} character(s) are not in the character set; see --charset",
                        encoded.substituted
                    );
                }
                vec![encoded.bytes]
            }
        };
        let mut ending = Ending::Success;
        for message in messages {
            if self.line.verbose {
                eprintln!("--- sent\n{}\n--- answer", shown(&message));
            }
            let bytes = self.connection.exchange(&message).await.map_err(unanswered)?;
            write_out(&format!("{}\n", shown(&bytes)));
            let answer = answer::read(&bytes).map_err(|e| unanswered(e.into()))?;
            if answer.verdict != Verdict::Accepted {
                ending = Ending::Refused;
            }
            self.next = answer.next;
        }
        Ok(ending)
    }
}

fn unanswered(error: MllpError) -> Failure {
    Failure::Unanswered(error.to_string())
}

/// A message for people: a segment a line, in characters a terminal shows.
fn shown(message: &[u8]) -> String {
    printable(&text_of(message).trim_end_matches('\r').replace('\r', "\n"))
}

/// The messages of a file: frames where it begins with one.
fn split(bytes: Vec<u8>) -> Vec<Vec<u8>> {
    if bytes.first() != Some(&0x0b) {
        return vec![bytes];
    }
    let (mut splitter, mut events) = (Splitter::new(bytes.len()), vec![]);
    splitter.push(&bytes, &mut events);
    splitter.settle(&mut events);
    let message = |event| match event {
        Event::Message(message) => Some(message),
        _ => None,
    };
    events.into_iter().filter_map(message).collect()
}

/// `id^^^namespace&oid&ISO`, or with either part of the authority alone, or none.
fn identifier(cx: &str) -> Result<Identifier, Failure> {
    let mut components = cx.split('^');
    let value = components.next().unwrap_or_default().to_owned();
    let authority = components.nth(2).unwrap_or_default();
    let mut parts = authority.split('&');
    let (namespace, oid) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    match value.is_empty() {
        true => Err(Failure::Usage(format!("{cx:?} is not id^^^namespace&oid&ISO"))),
        false => Ok(Identifier { value, namespace: namespace.to_owned(), oid: oid.to_owned() }),
    }
}

fn domain(name: &str) -> Identifier {
    let (namespace, oid) = if is_oid(name) { ("", name) } else { (name, "") };
    Identifier { value: String::new(), namespace: namespace.to_owned(), oid: oid.to_owned() }
}

fn party(text: &str) -> Party {
    let (application, facility) = text.split_once('|').unwrap_or((text, ""));
    Party { application: application.to_owned(), facility: facility.to_owned() }
}

fn now() -> String {
    hl7_time(Timestamp::now())
}

/// Twenty characters that no other call has.
fn control_id(nth: u64) -> String {
    let unique = uuid::Uuid::now_v7().simple().to_string().to_uppercase();
    format!("{}{:02}", unique.get(..18).unwrap_or(&unique), nth % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_read_in_every_form() {
        let read = |cx: &str| identifier(cx).map(|id| (id.value, id.namespace, id.oid)).ok();
        let owned = |a: &str, b: &str, c: &str| Some((a.to_owned(), b.to_owned(), c.to_owned()));
        assert_eq!(read("1^^^&2.999.1&ISO"), owned("1", "", "2.999.1"));
        assert_eq!(read("1^^^HOSPA&2.999.1&ISO^PI"), owned("1", "HOSPA", "2.999.1"));
        assert_eq!(read("1^^^HOSPA"), owned("1", "HOSPA", ""));
        assert_eq!(read("1"), owned("1", "", ""));
        assert_eq!(read("^^^HOSPA"), None);
        assert_eq!(domain("2.999.1").oid, "2.999.1");
        assert_eq!(domain("HOSPA").namespace, "HOSPA");
    }

    #[test]
    fn files_are_messages_or_frames() {
        assert_eq!(split(vec![b'M']), [vec![b'M']]);
        assert_eq!(split(Vec::from(*b"\x0ba\x1c\r\x0bb\x1c")), [b"a".to_vec(), b"b".to_vec()]);
        assert_eq!((control_id(1).len(), control_id(7).ends_with("07")), (20, true));
    }
}
