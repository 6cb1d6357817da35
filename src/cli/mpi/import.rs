//! `chiren mpi import`: a hospital's patients from a file, as feeds would have brought them.
//!
//! What is taken is durable line by line. How far a run came stands in `FILE.progress`; a second run goes on
//! there, and feeds what was under way once more, which changes nothing. Refused lines are in `FILE.rejected`,
//! one JSON object a line, without anything of the patient but what the refusal quotes.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use clap::Args;
use jiff::Timestamp;
use serde_json::json;
use tokio::sync::mpsc;

use super::{Opened, refused};
use crate::cli::patient::csv;
use crate::config::{Config, Language};
use crate::model::identity::{
    Address, Authority, Feed, FeedMessage, Field, Insurance, NameScript, PersonName, Phone, PhoneUse, Place,
    Sent, SentId, Source, Update,
};
use crate::service::context::{Context, time_uuid};
use crate::service::mpi::{Mpi, Refusal};
use crate::wire::hl7v2;

pub const EXAMPLES: &str = "A file whose first line is a CSV header is read as CSV (UTF-8); one that begins with MSH, or with an MLLP frame,
as HL7 v2 messages in any of the character sets that listeners take.

Columns of CSV, in any order; only id is required:
  id domain networkId
  familyKanji givenKanji familyKana givenKana familyRoman givenRoman formerFamilyKanji
  birth sex postal address phone mobile
  insurer symbol number branch

Examples:
  chiren mpi import patients.csv --domain CHUO
  chiren mpi import patients.csv --domain CHUO --check
  chiren mpi import adt.hl7 --at-once 32";

#[derive(Debug, Args)]
pub struct Arguments {
    /// The file
    file: PathBuf,

    /// The domain of ids in CSV, where no column says it: OID or namespace
    #[arg(long)]
    domain: Option<String>,

    /// Read the file and say what is wrong with it, without feeding anything
    #[arg(long)]
    check: bool,

    /// Feeds at the same time
    #[arg(long, default_value_t = 16)]
    at_once: usize,

    /// Begin anew, whatever an earlier run took
    #[arg(long)]
    anew: bool,
}

pub(in crate::cli) const COLUMNS: [&str; 20] = [
    "id",
    "domain",
    "networkId",
    "familyKanji",
    "givenKanji",
    "familyKana",
    "givenKana",
    "familyRoman",
    "givenRoman",
    "formerFamilyKanji",
    "birth",
    "sex",
    "postal",
    "address",
    "phone",
    "mobile",
    "insurer",
    "symbol",
    "number",
    "branch",
];

/// One feed of the file.
struct Item {
    /// Records counted from 1: of CSV the header is the first line.
    number: u64,
    what: Result<FeedMessage, String>,
}

/// What came of it.
#[derive(Default)]
struct Tally {
    taken: AtomicU64,
    new: AtomicU64,
    rejected: AtomicU64,
}

/// How far everything before is done.
struct Progress {
    path: PathBuf,
    under_way: Mutex<(BTreeSet<u64>, u64)>,
}

impl Progress {
    fn began(&self, number: u64) {
        let mut state = self.under_way.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        state.0.insert(number);
        state.1 = state.1.max(number);
    }

    fn ended(&self, number: u64) {
        let mut state = self.under_way.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        state.0.remove(&number);
    }

    /// The last record before which nothing is under way.
    fn done(&self) -> u64 {
        let state = self.under_way.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        state.0.first().map_or(state.1, |first| first.saturating_sub(1))
    }

    fn write(&self) -> anyhow::Result<()> {
        let beside = self.path.with_extension("progress.new");
        let mut file =
            OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&beside)?;
        writeln!(file, "{}", self.done())?;
        file.sync_data()?;
        std::fs::rename(&beside, &self.path)?;
        Ok(())
    }
}

fn beside(file: &Path, what: &str) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{what}"));
    file.with_file_name(name)
}

pub async fn run(
    config: &Config,
    opened: &Opened,
    arguments: &Arguments,
    language: Language,
) -> anyhow::Result<String> {
    let path = &arguments.file;
    let rejected_path = beside(path, "rejected");
    let progress = Progress { path: beside(path, "progress"), under_way: Mutex::default() };
    let begin = match (arguments.anew || arguments.check, std::fs::read_to_string(&progress.path)) {
        (false, Ok(text)) => text.trim().parse::<u64>().context("the progress file is damaged; --anew")?,
        _ => 0,
    };
    let mut options = OpenOptions::new();
    options.create(true).mode(0o600).append(begin > 0).write(true).truncate(begin == 0);
    let rejected = options.open(&rejected_path).with_context(|| rejected_path.display().to_string())?;
    let rejected = Arc::new(Mutex::new(rejected));
    let items = Items::open(config, arguments, opened)?;
    let (tally, progress) = (Arc::new(Tally::default()), Arc::new(progress));
    let workers = arguments.at_once.clamp(1, 256);
    let mut queues = vec![];
    let mut tasks = vec![];
    for _ in 0..workers {
        let (queue, incoming) = mpsc::channel::<(u64, FeedMessage)>(64);
        queues.push(queue);
        let worker = Worker {
            mpi: opened.mpi.clone(),
            context: opened.context.clone(),
            tally: tally.clone(),
            progress: progress.clone(),
            rejected: rejected.clone(),
        };
        tasks.push(tokio::spawn(worker.run(incoming)));
    }
    let (started, mut spoken) = (Instant::now(), Instant::now());
    let mut read = 0;
    for item in items {
        let Item { number, what } = item?;
        read = number;
        if number <= begin {
            continue;
        }
        match what {
            Err(why) => {
                reject(&rejected, number, "line", &why)?;
                tally.rejected.fetch_add(1, Ordering::Relaxed);
            }
            Ok(_) if arguments.check => {
                tally.taken.fetch_add(1, Ordering::Relaxed);
            }
            Ok(message) => {
                progress.began(number);
                // Messages about one patient keep their order.
                let queue = queues.get(lane(&message, workers)).ok_or_else(|| anyhow!("no worker"))?;
                queue.send((number, message)).await.map_err(|_| anyhow!("a worker ended early"))?;
            }
        }
        if spoken.elapsed() > Duration::from_secs(5) {
            spoken = Instant::now();
            if !arguments.check {
                progress.write()?;
            }
            let taken = tally.taken.load(Ordering::Relaxed);
            #[allow(clippy::cast_precision_loss)]
            let rate = taken as f64 / started.elapsed().as_secs_f64();
            eprintln!(
                "{number}: {taken} taken ({rate:.0}/s), {} rejected",
                tally.rejected.load(Ordering::Relaxed)
            );
        }
    }
    drop(queues);
    for task in tasks {
        task.await.context("a worker failed")??;
    }
    if !arguments.check {
        progress.write()?;
    }
    let count = |n: &AtomicU64| n.load(Ordering::Relaxed);
    let (taken, new, refused) = (count(&tally.taken), count(&tally.new), count(&tally.rejected));
    let seconds = started.elapsed().as_secs_f64();
    let place = rejected_path.display();
    Ok(match language {
        Language::En => format!(
            "{read} records read, {begin} of them taken before; {taken} taken, {new} of them new; {refused} rejected \
             ({place}); {seconds:.1} s\n"
        ),
        Language::Ja => format!(
            "{read} 件を読み込み（うち {begin} 件は処理済み）、{taken} 件を登録（新規 {new} 件）、{refused} 件を拒否しました\
             （{place}）。{seconds:.1} 秒\n"
        ),
    })
}

/// The worker of a message: the same for one id.
fn lane(message: &FeedMessage, workers: usize) -> usize {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hasher = DefaultHasher::new();
    match &message.feed {
        Feed::Upsert { ids, .. } | Feed::Nothing { ids } => ids.first().map(|i| &i.value).hash(&mut hasher),
        Feed::Merge { subsumed, .. } => subsumed.first().map(|i| &i.value).hash(&mut hasher),
        Feed::Rename { from: id, .. } | Feed::Link { one: id, .. } | Feed::Unlink { one: id, .. } => {
            Some(&id.value).hash(&mut hasher);
        }
    }
    usize::try_from(hasher.finish() % workers as u64).unwrap_or(0)
}

fn reject(file: &Mutex<File>, number: u64, rule: &str, why: &str) -> anyhow::Result<()> {
    let mut file = file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    // In one write: a run that dies leaves whole lines.
    let line = format!("{}\n", json!({ "record": number, "rule": rule, "why": why }));
    file.write_all(line.as_bytes())?;
    Ok(())
}

struct Worker {
    mpi: Mpi,
    context: Context,
    tally: Arc<Tally>,
    progress: Arc<Progress>,
    rejected: Arc<Mutex<File>>,
}

impl Worker {
    async fn run(self, mut incoming: mpsc::Receiver<(u64, FeedMessage)>) -> anyhow::Result<()> {
        while let Some((number, message)) = incoming.recv().await {
            let received_at = Timestamp::now();
            let context = Context {
                received_at,
                request_id: time_uuid(received_at).to_string(),
                ..self.context.clone()
            };
            match self.mpi.feed(&context, message).await {
                Ok(fed) => {
                    self.tally.taken.fetch_add(1, Ordering::Relaxed);
                    self.tally.new.fetch_add(u64::from(fed.created), Ordering::Relaxed);
                }
                Err(Refusal::Identity(errors)) => {
                    self.tally.rejected.fetch_add(1, Ordering::Relaxed);
                    for e in errors {
                        reject(
                            &self.rejected,
                            number,
                            &format!("{:?} {:?}", e.trouble, e.place.field),
                            &e.text,
                        )?;
                    }
                }
                // Ours: the run ends, and a later one goes on here.
                Err(refusal) => return Err(refused(refusal).context(format!("record {number}"))),
            }
            self.progress.ended(number);
        }
        Ok(())
    }
}

/// The feeds of a file, one after another.
enum Items {
    Csv {
        lines: std::io::Lines<BufReader<File>>,
        header: String,
        domain: Option<Authority>,
        network: Authority,
        number: u64,
    },
    Hl7 {
        reader: BufReader<File>,
        settings: hl7v2::Settings,
        ahead: Vec<u8>,
        number: u64,
        ended: bool,
    },
}

impl Items {
    fn open(config: &Config, arguments: &Arguments, opened: &Opened) -> anyhow::Result<Self> {
        let path = &arguments.file;
        let open = || File::open(path).with_context(|| path.display().to_string());
        let mut reader = BufReader::with_capacity(BUFFER, open()?);
        let beginning = reader.fill_buf()?;
        let beginning = beginning.strip_prefix(b"\xef\xbb\xbf").unwrap_or(beginning);
        let is_hl7 = beginning.first() == Some(&0x0b) || beginning.trim_ascii_start().starts_with(b"MSH");
        if is_hl7 {
            let settings = hl7v2::Settings {
                require_name: config.hl7v2.require_name,
                acknowledged_events: config.hl7v2.acknowledged_events.clone(),
                insurance_branch: config.hl7v2.insurance_branch,
                senders: vec![],
            };
            return Ok(Self::Hl7 { reader, settings, ahead: vec![], number: 0, ended: false });
        }
        let domain = match &arguments.domain {
            Some(name) => {
                let known = opened.mpi.domains().by_name(name);
                Some(
                    known
                        .ok_or_else(|| anyhow!("--domain {name} is none of the configured domains"))?
                        .authority(),
                )
            }
            None => None,
        };
        let mut lines = reader.lines();
        let header = lines.next().transpose()?.unwrap_or_default();
        // What is wrong with the header is wrong with every line.
        csv::read(&header, &COLUMNS, &["id"]).map_err(|(_, fault)| match fault {
            csv::CsvFault::Column(name) => {
                anyhow!("column {name:?} is unknown; there are {}", COLUMNS.join(", "))
            }
            fault => anyhow!("{}", fault.sentence(Language::En)),
        })?;
        let network = opened.mpi.domains().network().authority();
        Ok(Self::Csv { lines, header, domain, network, number: 0 })
    }
}

impl Iterator for Items {
    type Item = anyhow::Result<Item>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Items::Csv { lines, header, domain, network, number } => {
                let mut record = lines.next()?;
                *number += 1;
                // A quoted value may run over lines.
                while let Ok(text) = &mut record {
                    if text.bytes().filter(|b| *b == b'"').count() % 2 == 0 {
                        break;
                    }
                    match lines.next() {
                        Some(Ok(more)) => {
                            text.push('\n');
                            text.push_str(&more);
                        }
                        Some(Err(e)) => return Some(Err(e.into())),
                        None => break,
                    }
                }
                let number = *number;
                Some(record.map_err(anyhow::Error::new).map(|text| {
                    let what = match csv::read(&format!("{header}\n{text}"), &COLUMNS, &["id"]) {
                        Ok(mut rows) => match rows.pop() {
                            Some((_, row)) => of_row(row, domain.as_ref(), network, number),
                            None => Err("the line is empty".to_owned()),
                        },
                        Err((_, fault)) => Err(fault.sentence(Language::En)),
                    };
                    Item { number, what }
                }))
            }
            Items::Hl7 { reader, settings, ahead, number, ended } => loop {
                if *ended && ahead.is_empty() {
                    return None;
                }
                let complete = match next_message(ahead, *ended) {
                    Some(complete) => complete,
                    None => {
                        // Segments may end in CR, LF or both: nothing tells where a message ends but the next.
                        let read = match reader.fill_buf() {
                            Ok(more) => {
                                ahead.extend_from_slice(more);
                                more.len()
                            }
                            Err(e) => return Some(Err(e.into())),
                        };
                        reader.consume(read);
                        *ended = read == 0;
                        if ahead.len() > MOST + BUFFER {
                            return Some(Err(anyhow!("a message is longer than {MOST} bytes")));
                        }
                        continue;
                    }
                };
                if complete.trim_ascii().is_empty() {
                    continue;
                }
                *number += 1;
                let what = match hl7v2::read(&complete, settings) {
                    Ok(hl7v2::Request { body: hl7v2::Body::Feed(message), .. }) => Ok(*message),
                    Ok(request) => Err(format!("{} is no feed", request.transaction.code())),
                    Err(refused) => {
                        Err(refused.errors.iter().map(|e| e.text.clone()).collect::<Vec<_>>().join("; "))
                    }
                };
                return Some(Ok(Item { number: *number, what }));
            },
        }
    }
}

/// Bytes read at a time.
const BUFFER: usize = 1 << 18;
/// Bytes of one message at most.
const MOST: usize = 4 << 20;

/// Takes the first whole message off the bytes: up to where the next begins, or all at the end of the file.
fn next_message(ahead: &mut Vec<u8>, ended: bool) -> Option<Vec<u8>> {
    let begins = |at: usize| {
        let here = ahead.get(at..).unwrap_or_default();
        let fresh = at == 0 || matches!(ahead.get(at - 1), Some(b'\r' | b'\n' | 0x0b | 0x1c));
        fresh && here.starts_with(b"MSH")
    };
    let first = (0..ahead.len()).find(|at| begins(*at));
    let start = first.map_or(0, |at| at + 3);
    let next = (start..ahead.len()).find(|at| begins(*at));
    let end = match (next, ended) {
        (Some(next), _) => next,
        (None, true) => ahead.len(),
        (None, false) => return None,
    };
    let rest = ahead.split_off(end);
    let message = std::mem::replace(ahead, rest);
    let framed = |b: &u8| matches!(b, 0x0b | 0x1c);
    Some(message.into_iter().filter(|b| !framed(b)).collect())
}

/// A line of CSV as a feed.
pub(in crate::cli) fn of_row(
    row: [Option<String>; 20],
    domain: Option<&Authority>,
    network: &Authority,
    number: u64,
) -> Result<FeedMessage, String> {
    let row = row.map(|v| v.map(|v| v.trim().to_owned()).filter(|v| !v.is_empty()));
    let [
        id,
        own_domain,
        network_id,
        family_kanji,
        given_kanji,
        family_kana,
        given_kana,
        family_roman,
        given_roman,
        former,
        birth,
        sex,
        postal,
        address,
        phone,
        mobile,
        insurer,
        symbol,
        insured,
        branch,
    ] = row;
    let authority = match (&own_domain, domain) {
        (Some(name), _) => Authority { namespace: Some(name.clone()), ..Authority::default() },
        (None, Some(domain)) => domain.clone(),
        (None, None) => return Err("no domain: name one by --domain or in a column".into()),
    };
    // An OID stands in the same column.
    let authority = match authority.namespace.as_deref() {
        Some(name) if own_domain.is_some() && name.starts_with(|c: char| c.is_ascii_digit()) => {
            Authority::oid(name)
        }
        _ => authority,
    };
    let mut ids = vec![SentId {
        value: id.ok_or("no id")?,
        authority,
        place: Place::of(Field::Identifier),
        ..SentId::default()
    }];
    if let Some(value) = network_id {
        ids.push(SentId {
            value,
            authority: network.clone(),
            place: Place::nth(Field::Identifier, 2),
            ..SentId::default()
        });
    }
    let mut names = vec![];
    for (family, given, script) in [
        (family_kanji, given_kanji.clone(), NameScript::Ideographic),
        (family_kana, given_kana, NameScript::Phonetic),
        (family_roman, given_roman, NameScript::Alphabetic),
    ] {
        if family.is_some() || given.is_some() {
            names.push(PersonName {
                family: family.unwrap_or_default(),
                given: given.unwrap_or_default(),
                script: Some(script),
                ..PersonName::default()
            });
        }
    }
    if let Some(family) = former {
        names.push(PersonName {
            family,
            given: given_kanji.unwrap_or_default(),
            script: Some(NameScript::Ideographic),
            usage: crate::model::identity::NameUse::Maiden,
            ..PersonName::default()
        });
    }
    fn set<T>(value: Option<T>) -> Update<T> {
        value.map_or(Update::Keep, Update::Set)
    }
    fn list<T>(values: Vec<T>) -> Update<Vec<T>> {
        if values.is_empty() { Update::Keep } else { Update::Set(values) }
    }
    let mut phones = vec![];
    for (number, usage) in [(phone, PhoneUse::Home), (mobile, PhoneUse::Mobile)] {
        phones.extend(number.map(|number| Phone { number, usage }));
    }
    let address = (address.is_some() || postal.is_some()).then(|| Address {
        text: address.unwrap_or_default(),
        postal_code: postal.unwrap_or_default(),
        ..Address::default()
    });
    let insurance = insured.map(|number| Insurance {
        insurer: insurer.unwrap_or_default(),
        symbol: symbol.unwrap_or_default(),
        number,
        branch,
    });
    let sent = Sent {
        names: list(names),
        birth_date: set(birth.map(|b| b.replace(['-', '/'], ""))),
        sex: set(sex),
        addresses: list(address.into_iter().collect()),
        phones: list(phones),
        insurances: list(insurance.into_iter().collect()),
        ..Sent::default()
    };
    Ok(FeedMessage {
        source: Source { application: "chiren mpi import".into(), ..Source::default() },
        control_id: number.to_string(),
        event: "CSV".into(),
        occurred: None,
        feed: Feed::Upsert { ids, sent: Box::new(sent) },
        warnings: vec![],
        raw: vec![],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_a_file_are_told_apart() {
        let text = b"\x0bMSH|^~\\&|A\rPID|1\r\x1c\r\x0bMSH|^~\\&|B\rPID|2\rZZZ|MSH\r\x1c\r";
        let mut ahead = text.to_vec();
        let mut found = vec![];
        while let Some(message) = next_message(&mut ahead, true).filter(|m| !m.is_empty()) {
            found.push(String::from_utf8(message).unwrap());
        }
        let whole: Vec<&String> = found.iter().filter(|m| m.contains("MSH|")).collect();
        assert_eq!(whole.len(), 2, "{found:?}");
        assert!(whole[0].contains("PID|1") && whole[1].contains("ZZZ|MSH"));
        let mut half = b"MSH|^~\\&|A\rPID|1\r".to_vec();
        assert_eq!(next_message(&mut half, false), None);
    }

    #[test]
    fn a_line_becomes_a_feed() {
        let header = "id,familyKanji,givenKanji,birth,phone,number,branch";
        let rows =
            csv::read(&format!("{header}\n001,山田,花子,1988-03-02,0312345678,12,01"), &COLUMNS, &["id"]);
        let (_, row) = rows.unwrap().pop().unwrap();
        let message = of_row(row, Some(&Authority::oid("1.2.3")), &Authority::oid("1.2.1"), 7).unwrap();
        let Feed::Upsert { ids, sent } = message.feed else { panic!() };
        assert_eq!((ids[0].value.as_str(), message.control_id.as_str()), ("001", "7"));
        assert_eq!(sent.birth_date, Update::Set("19880302".into()));
        let Update::Set(insurances) = &sent.insurances else { panic!() };
        assert_eq!(insurances[0].branch.as_deref(), Some("01"));
        assert_eq!(sent.addresses, Update::Keep);
        let rows = csv::read(&format!("{header}\n,山田,花子,,,,"), &COLUMNS, &["id"]).unwrap();
        assert!(of_row(rows[0].1.clone(), None, &Authority::oid("1.2.1"), 1).is_err());
    }

    #[test]
    fn progress_is_what_nothing_is_under_way_before() {
        let progress = Progress { path: PathBuf::new(), under_way: Mutex::default() };
        for n in 1..=5 {
            progress.began(n);
        }
        for n in [1, 2, 4, 5] {
            progress.ended(n);
        }
        assert_eq!(progress.done(), 2);
        progress.ended(3);
        assert_eq!(progress.done(), 5);
    }
}
