//! `chiren national make`: a conversion to try, for those who write hospital systems and those who configure sites.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::cli::{failed, print};
use crate::clins::make::options::Options;
use crate::clins::make::{self, Context, Institution, Kind, Made, Masters, NotMade, NotMadeKey, ssmix2};
use crate::config::Language;

/// Nothing was made.
const NOT_MADE: u8 = 4;

pub const EXAMPLES: &str = "The Bundle goes to standard output, everything said of it to standard error: what could not be mapped, what was left
out and why, what is odd. Both hold patient data. Nothing is sent, and no configuration is read.

Exit status: 0 made, 1 a file cannot be used, 4 not made.

Examples:
  chiren national make PPR-01.hl7 --kind conditions --institution 1319900018 --insured 06990011:123:4567:01
  chiren national make letter.xml --with OMP-01.hl7 --institution 1319900018 --masters /etc/chiren/masters
  chiren national make OML-11.hl7 --institution 1319900018 --options site.toml --report > bundle.json";

#[derive(Debug, Args)]
pub struct Arguments {
    /// A PPR^ZD1, ADT^A60 or OUL^R22 message, an HS008 letter or HS032 summary, or a message wrapped in CDA
    file: PathBuf,

    /// What it is to make; another is refused
    #[arg(long, value_parser = kind)]
    kind: Option<Kind>,

    /// The sending institution: 10 digits
    #[arg(long, value_name = "NUMBER")]
    institution: String,

    /// Its name, where the document does not say it
    #[arg(long)]
    name: Option<String>,

    /// 被保険者個人識別子 from online qualification [default: the insurance card in the message]
    #[arg(long, value_name = "ID")]
    insured: Option<String>,

    /// A message that travels inside the letter, as a prescription; may be repeated
    #[arg(long, value_name = "FILE")]
    with: Vec<PathBuf>,

    /// Folder of code tables (docs/national-making.md)
    #[arg(long, value_name = "DIR")]
    masters: Option<PathBuf>,

    /// What this site does differently (TOML; docs/national-making.md)
    #[arg(long, value_name = "FILE")]
    options: Option<PathBuf>,

    /// When it is made [default: now]
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,

    /// What names the unit through its versions [default: told from the content]
    #[arg(long)]
    lineage: Option<String>,

    /// Say everything as JSON
    #[arg(long)]
    report: bool,
}

fn kind(text: &str) -> Result<Kind, String> {
    let all: Vec<&str> = Kind::ALL.iter().map(|k| k.code()).collect();
    Kind::parse(text).ok_or_else(|| format!("one of {}", all.join(", ")))
}

pub fn run(arguments: &Arguments, language: Language) -> ExitCode {
    match made(arguments) {
        Err(error) => failed(&error),
        Ok(Ok(made)) => {
            said(arguments, language, &report_of(&made));
            let mut text = String::from_utf8_lossy(&made.bundle).into_owned();
            text.push('\n');
            print(&text)
        }
        Ok(Err(refused)) => {
            said(arguments, language, &refusal_of(&refused));
            ExitCode::from(NOT_MADE)
        }
    }
}

fn made(arguments: &Arguments) -> anyhow::Result<Result<Made, Box<NotMade>>> {
    let read = |path: &Path| std::fs::read(path).with_context(|| path.display().to_string());
    let bytes = read(&arguments.file)?;
    let enclosed: Vec<Vec<u8>> = arguments.with.iter().map(|p| read(p)).collect::<anyhow::Result<_>>()?;
    let enclosed: Vec<&[u8]> = enclosed.iter().map(Vec::as_slice).collect();
    let options = match &arguments.options {
        Some(path) => {
            let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
            let options: Options = toml::from_str(&text).with_context(|| path.display().to_string())?;
            if let Some(fault) = options.faults().first() {
                anyhow::bail!("{}: {fault}", path.display());
            }
            options
        }
        None => Options::default(),
    };
    let masters = match &arguments.masters {
        Some(directory) => Masters::load(directory)?,
        None => Masters::built_in(),
    };
    let institution = Institution {
        number: arguments.institution.clone(),
        name: arguments.name.clone(),
        ..Institution::default()
    };
    let context = Context {
        institution: &institution,
        insured_id: arguments.insured.as_deref(),
        patient: None,
        masters: &masters,
        options: &options,
        now: arguments.at.unwrap_or_else(Timestamp::now),
        lineage: arguments.lineage.as_deref(),
        bundle_id: None,
        enclosed: &enclosed,
    };
    // A superseded or deleted file of a storage is not what the patient has now.
    let name = arguments.file.file_name().unwrap_or_default().to_string_lossy();
    if let Some(file) = ssmix2::read(&name).filter(|f| f.flag != ssmix2::Flag::Current) {
        let place = format!("{} {:?}", file.data_kind, file.flag);
        return Ok(Err(NotMade::new(NotMadeKey::NothingToSend, place, "")));
    }
    Ok(make::from_any(&bytes, &context).and_then(|made| match arguments.kind {
        Some(kind) if kind != made.kind => Err(NotMade::new(
            NotMadeKey::KindMismatch,
            arguments.file.display().to_string(),
            made.kind.code(),
        )),
        _ => Ok(made),
    }))
}

/// A line: its kind, key, sentences, place and value.
struct Line {
    kind: &'static str,
    key: &'static str,
    en: &'static str,
    ja: &'static str,
    place: String,
    value: String,
}

struct Report {
    head: Value,
    lines: Vec<Line>,
}

macro_rules! lines {
    ($kind:literal, $list:expr, $key:ident) => {
        $list.iter().map(|said| Line {
            kind: $kind,
            key: said.$key.code(),
            en: said.$key.en(),
            ja: said.$key.ja(),
            place: said.source.clone(),
            value: said.value.0.clone(),
        })
    };
}

fn report_of(made: &Made) -> Report {
    let lines = lines!("left-out", made.left_out, reason);
    let lines = lines.chain(lines!("unmapped", made.unmapped, key));
    Report {
        head: json!({
            "kind": made.kind.code(),
            "bundleId": made.bundle_id,
            "lineage": made.lineage,
            "destination": made.destination,
            "corrects": made.corrects,
        }),
        lines: lines.chain(lines!("warning", made.warnings, key)).collect(),
    }
}

fn refusal_of(refused: &NotMade) -> Report {
    let first = Line {
        kind: "not-made",
        key: refused.key.code(),
        en: refused.key.en(),
        ja: refused.key.ja(),
        place: refused.place.clone(),
        value: refused.value.0.clone(),
    };
    let notes = &refused.notes;
    let lines = std::iter::once(first).chain(lines!("left-out", notes.left_out, reason));
    let lines = lines.chain(lines!("unmapped", notes.unmapped, key));
    Report { head: json!({}), lines: lines.chain(lines!("warning", notes.warnings, key)).collect() }
}

fn said(arguments: &Arguments, language: Language, report: &Report) {
    if arguments.report {
        let line = |l: &Line| json!({"what": l.kind, "key": l.key, "place": l.place, "value": l.value, "en": l.en, "ja": l.ja});
        let mut all = report.head.clone();
        if let Some(all) = all.as_object_mut() {
            all.insert("said".into(), report.lines.iter().map(line).collect());
        }
        eprintln!("{all}");
        return;
    }
    if let Some(id) = report.head["bundleId"].as_str() {
        eprintln!("{} {id}", report.head["kind"].as_str().unwrap_or_default());
    }
    for line in &report.lines {
        let sentence = match language {
            Language::En => line.en,
            Language::Ja => line.ja,
        };
        let value = if line.value.is_empty() { String::new() } else { format!(" [{}]", line.value) };
        eprintln!("{} {} {}: {sentence}{value}", line.kind, line.key, line.place);
    }
}
