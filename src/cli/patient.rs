//! `chiren patient`: patients added by an operator, and listed. Works beside a running gateway.

pub(super) mod csv;

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use clap::{Args, Subcommand};
use jiff::Timestamp;
use jiff::civil::Date;

use super::send::table;
use super::{ConfigFile, failed, print, runtime};
use crate::config::{Config, Language};
use crate::model::error::Error;
use crate::model::hl7types::Cx;
use crate::model::patient::Patient;
use crate::service::patients::Patients;
use crate::store::db::Db;

pub const EXAMPLES: &str = "Examples:
  chiren patient add --id 1000001 --kanji '山田 太郎' --kana 'ヤマダ タロウ' --birth 19500401 --sex M
  chiren patient add --csv patients.csv
  chiren patient list --limit 20
  chiren patient list --json | jq .patientId";

const ADD_EXAMPLES: &str =
    "The table of --csv is UTF-8 (a byte order mark is allowed) with a header line; only id is required:
  id,kanji,kana,romaji,birth,sex
  1000001,山田 太郎,ヤマダ タロウ,YAMADA TARO,19500401,M

Examples:
  chiren patient add --id 1000001 --kanji '山田 太郎' --birth 19500401 --sex M
  chiren patient add --id '1000001^^^&1.2.392.9.4&ISO'
  chiren patient add --csv patients.csv
  export-patients | chiren patient add --csv -";

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: PatientCommand,
}

#[derive(Debug, Subcommand)]
enum PatientCommand {
    /// Make patients known to the registry; a known one gets the new name, birth date and sex
    #[command(after_help = ADD_EXAMPLES)]
    Add(Add),

    /// List patients in order of their id
    List(List),
}

#[derive(Debug, Args)]
struct Add {
    #[command(flatten)]
    file: ConfigFile,

    /// The patient's id: 'ID^^^&OID&ISO', or ID alone for one of network.patient_id_authority
    #[arg(long, required_unless_present = "csv")]
    id: Option<String>,

    /// Name in kanji
    #[arg(long, requires = "id")]
    kanji: Option<String>,

    /// Name in kana
    #[arg(long, requires = "id")]
    kana: Option<String>,

    /// Name in Latin letters
    #[arg(long, requires = "id")]
    romaji: Option<String>,

    /// Birth date
    #[arg(long, value_name = "YYYYMMDD", requires = "id")]
    birth: Option<String>,

    /// Administrative sex (HL7 table 0001): M, F, O or U
    #[arg(long, value_name = "M|F|O|U", requires = "id")]
    sex: Option<String>,

    /// Many patients from a table, `-` for standard input: all of them or none
    #[arg(long, value_name = "FILE", conflicts_with = "id")]
    csv: Option<PathBuf>,

    /// Accept ids of other authorities than the network's
    #[arg(long)]
    foreign: bool,
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    file: ConfigFile,

    /// Begin after this patient id, as an earlier page shows it
    #[arg(long, value_name = "ID", default_value = "")]
    after: String,

    /// At most so many
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,

    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: Arguments, lang: Option<Language>) -> ExitCode {
    let file = match &arguments.command {
        PatientCommand::Add(add) => &add.file,
        PatientCommand::List(list) => &list.file,
    };
    let config = match file.load(lang) {
        Ok(config) => config,
        Err(code) => return code,
    };
    let language = lang.unwrap_or(config.log.language);
    let done = runtime().context("the runtime cannot start").and_then(|runtime| match arguments.command {
        PatientCommand::Add(arguments) => runtime.block_on(add(&config, &arguments, language)),
        PatientCommand::List(arguments) => runtime.block_on(list(&config, &arguments, language)),
    });
    match done {
        Ok(text) => print(&text),
        Err(error) => failed(&error),
    }
}

async fn open(config: &Config) -> anyhow::Result<Db> {
    Db::open(&config.database).await.context("the database cannot be opened")
}

async fn add(config: &Config, arguments: &Add, language: Language) -> anyhow::Result<String> {
    let authority = Authority { oid: &config.network.patient_id_authority, foreign: arguments.foreign };
    let patients = match &arguments.csv {
        Some(path) => {
            let text = read(path).with_context(|| format!("{} cannot be read", path.display()))?;
            of_table(&text, &authority).map_err(|faults| refused(&faults, language))?
        }
        None => {
            let draft = Draft {
                id: arguments.id.clone().unwrap_or_default(),
                kanji: arguments.kanji.clone(),
                kana: arguments.kana.clone(),
                romaji: arguments.romaji.clone(),
                birth: arguments.birth.clone(),
                sex: arguments.sex.clone(),
            };
            vec![draft.patient(&authority).map_err(|faults| {
                let faults: Vec<_> =
                    faults.into_iter().map(|fault| LineFault { line: None, fault }).collect();
                refused(&faults, language)
            })?]
        }
    };
    let (all, db) = (patients.len(), open(config).await?);
    let added = Patients::new(db.clone()).add(patients, Timestamp::now()).await;
    db.close().await;
    let new = added.context("no patient was added")?;
    let known = all - new;
    Ok(match language {
        Language::En => format!("{new} added, {known} known before and updated\n"),
        Language::Ja => format!("{new} 件を登録し、登録済みの {known} 件を更新しました\n"),
    })
}

fn read(path: &Path) -> anyhow::Result<String> {
    let mut bytes = vec![];
    match path.as_os_str() == "-" {
        true => std::io::stdin().lock().read_to_end(&mut bytes)?,
        false => std::fs::File::open(path)?.read_to_end(&mut bytes)?,
    };
    String::from_utf8(bytes).map_err(|e| {
        let line = e.as_bytes()[..e.utf8_error().valid_up_to()].iter().filter(|b| **b == b'\n').count() + 1;
        anyhow!("line {line} is not UTF-8 (a table saved by Excel as \"CSV UTF-8\" is)")
    })
}

async fn list(config: &Config, arguments: &List, language: Language) -> anyhow::Result<String> {
    let db = open(config).await?;
    let limit = i64::from(arguments.limit);
    let page = Patients::new(db.clone()).list(arguments.after.clone(), limit).await;
    db.close().await;
    let page = page.map_err(|e| match e {
        Error::Internal(cause) => cause.context("the patients cannot be listed"),
        e => anyhow!("the patients cannot be listed: {e:?}"),
    })?;
    if arguments.json {
        let mut out = String::new();
        for patient in &page {
            out.push_str(&serde_json::to_string(patient)?);
            out.push('\n');
        }
        return Ok(out);
    }
    let mut out = table_of(&page, language);
    if let Some(last) = page.last().filter(|_| page.len() as i64 == limit) {
        out.push_str(&match language {
            Language::En => format!("\nnext page: --after '{}'\n", last.patient_id),
            Language::Ja => format!("\n次のページ: --after '{}'\n", last.patient_id),
        });
    }
    Ok(out)
}

fn table_of(patients: &[Patient], language: Language) -> String {
    let headings = match language {
        Language::En => ["ID", "KANJI", "KANA", "ROMAJI", "BIRTH", "SEX"],
        Language::Ja => ["ID", "漢字氏名", "カナ氏名", "ローマ字氏名", "生年月日", "性別"],
    };
    let row = |p: &Patient| {
        let rest = [&p.name_kanji, &p.name_kana, &p.name_romaji, &p.birth_date, &p.sex];
        let rest = rest.map(|v| v.clone().unwrap_or_else(|| "-".to_owned()));
        std::iter::once(p.patient_id.clone()).chain(rest).collect()
    };
    table::render(&headings, &patients.iter().map(row).collect::<Vec<_>>())
}

/// Whose ids are taken.
struct Authority<'a> {
    oid: &'a str,
    foreign: bool,
}

/// A patient as written by an operator.
#[derive(Default)]
struct Draft {
    id: String,
    kanji: Option<String>,
    kana: Option<String>,
    romaji: Option<String>,
    birth: Option<String>,
    sex: Option<String>,
}

/// What is wrong with a value. Values are not repeated: operators paste messages.
#[derive(Debug, Clone, PartialEq, Eq)]
enum ValueFault {
    Id(String),
    /// Of another authority: its OID, and the network's.
    Foreign(String, String),
    Birth,
    Sex,
    /// A control character in the column.
    Control(&'static str),
    /// The id stands on this earlier line too.
    Twice(usize),
    /// The table itself.
    Table(csv::CsvFault),
}

impl ValueFault {
    fn sentence(&self, language: Language) -> String {
        match (self, language) {
            (Self::Id(why), Language::En) => format!("id is neither ID^^^&OID&ISO nor an ID alone: {why}"),
            (Self::Id(why), Language::Ja) => {
                format!("id は ID^^^&OID&ISO または ID のみで指定してください: {why}")
            }
            (Self::Foreign(theirs, ours), Language::En) => format!(
                "id is of the authority {theirs}, the network's is {ours}; --foreign accepts it all the same"
            ),
            (Self::Foreign(theirs, ours), Language::Ja) => format!(
                "id の発番元 {theirs} はネットワークの {ours} と異なります。受け入れるには --foreign を指定してください"
            ),
            (Self::Birth, Language::En) => "birth is not a date YYYYMMDD".to_owned(),
            (Self::Birth, Language::Ja) => "birth は実在する日付を YYYYMMDD で指定してください".to_owned(),
            (Self::Sex, Language::En) => "sex is not M, F, O or U".to_owned(),
            (Self::Sex, Language::Ja) => "sex は M、F、O、U のいずれかにしてください".to_owned(),
            (Self::Control(column), Language::En) => format!("{column} holds a control character"),
            (Self::Control(column), Language::Ja) => format!("{column} に制御文字が含まれています"),
            (Self::Twice(line), Language::En) => format!("id stands on line {line} too"),
            (Self::Twice(line), Language::Ja) => format!("id が {line} 行目と重複しています"),
            (Self::Table(fault), _) => fault.sentence(language),
        }
    }
}

struct LineFault {
    /// Line of the table, from 1.
    line: Option<usize>,
    fault: ValueFault,
}

/// Every fault in one error: a table is repaired at one go.
fn refused(faults: &[LineFault], language: Language) -> anyhow::Error {
    const SHOWN: usize = 20;
    let mut sentences: Vec<String> = faults
        .iter()
        .take(SHOWN)
        .map(|LineFault { line, fault }| match (line, language) {
            (None, _) => fault.sentence(language),
            (Some(line), Language::En) => format!("line {line}: {}", fault.sentence(language)),
            (Some(line), Language::Ja) => format!("{line} 行目: {}", fault.sentence(language)),
        })
        .collect();
    if let Some(more) = faults.len().checked_sub(SHOWN).filter(|n| *n > 0) {
        sentences.push(match language {
            Language::En => format!("and {more} more"),
            Language::Ja => format!("ほか {more} 件"),
        });
    }
    let none = match language {
        Language::En => "nobody was added",
        Language::Ja => "一件も登録していません",
    };
    anyhow!("{none}:\n  {}", sentences.join("\n  "))
}

impl Draft {
    fn patient(self, authority: &Authority<'_>) -> Result<Patient, Vec<ValueFault>> {
        let mut faults = vec![];
        let patient_id = self.patient_id(authority).unwrap_or_else(|fault| {
            faults.push(fault);
            String::new()
        });
        let mut text = |column: &'static str, value: Option<String>| {
            let value = value.map(|v| v.trim().to_owned()).filter(|v| !v.is_empty())?;
            if value.chars().any(char::is_control) {
                faults.push(ValueFault::Control(column));
            }
            Some(value)
        };
        let (name_kanji, name_kana) = (text("kanji", self.kanji), text("kana", self.kana));
        let name_romaji = text("romaji", self.romaji);
        let (birth_date, sex) = (text("birth", self.birth), text("sex", self.sex));
        if birth_date.as_deref().is_some_and(|birth| !is_date(birth)) {
            faults.push(ValueFault::Birth);
        }
        if sex.as_deref().is_some_and(|sex| !matches!(sex, "M" | "F" | "O" | "U")) {
            faults.push(ValueFault::Sex);
        }
        match faults.is_empty() {
            true => Ok(Patient { patient_id, name_kanji, name_kana, name_romaji, birth_date, sex }),
            false => Err(faults),
        }
    }

    fn patient_id(&self, authority: &Authority<'_>) -> Result<String, ValueFault> {
        let id = self.id.trim();
        let whole = match id.contains('^') {
            true => id.to_owned(),
            false => format!("{id}^^^&{}&ISO", authority.oid),
        };
        if whole.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(ValueFault::Control("id"));
        }
        let cx = Cx::parse(&whole).map_err(|e| ValueFault::Id(e.to_string()))?;
        if cx.authority != authority.oid && !authority.foreign {
            return Err(ValueFault::Foreign(cx.authority.into_owned(), authority.oid.to_owned()));
        }
        Ok(cx.to_string())
    }
}

fn is_date(text: &str) -> bool {
    text.len() == 8 && text.bytes().all(|b| b.is_ascii_digit()) && Date::strptime("%Y%m%d", text).is_ok()
}

/// The patients of a table, or everything that is wrong with it.
fn of_table(text: &str, authority: &Authority<'_>) -> Result<Vec<Patient>, Vec<LineFault>> {
    let rows = csv::read(text, &["id", "kanji", "kana", "romaji", "birth", "sex"], &["id"])
        .map_err(|(line, fault)| vec![LineFault { line: Some(line), fault: ValueFault::Table(fault) }])?;
    let (mut patients, mut faults, mut seen) = (vec![], vec![], HashMap::new());
    for (line, row) in rows {
        let [id, kanji, kana, romaji, birth, sex] = row;
        let draft = Draft { id: id.unwrap_or_default(), kanji, kana, romaji, birth, sex };
        match draft.patient(authority) {
            Ok(patient) => {
                if let Some(earlier) = seen.insert(patient.patient_id.clone(), line) {
                    faults.push(LineFault { line: Some(line), fault: ValueFault::Twice(earlier) });
                }
                patients.push(patient);
            }
            Err(found) => {
                faults.extend(found.into_iter().map(|fault| LineFault { line: Some(line), fault }));
            }
        }
    }
    if faults.is_empty() { Ok(patients) } else { Err(faults) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: Authority<'static> = Authority { oid: "1.2.392.9.4", foreign: false };

    fn draft() -> Draft {
        Draft { id: "1001".into(), birth: Some("19500401".into()), sex: Some("F".into()), ..Draft::default() }
    }

    fn faults(draft: Draft) -> Vec<ValueFault> {
        draft.patient(&OURS).err().unwrap_or_default()
    }

    #[test]
    fn an_id_alone_gets_the_authority_of_the_network() {
        let patient = draft().patient(&OURS).unwrap();
        assert_eq!(patient.patient_id, "1001^^^&1.2.392.9.4&ISO");
        let whole = Draft { id: patient.patient_id.clone(), ..draft() };
        assert_eq!(whole.patient(&OURS).unwrap().patient_id, patient.patient_id);
    }

    #[test]
    fn each_spoiling_is_named() {
        let foreign = "1001^^^&1.2.3&ISO";
        assert!(matches!(faults(Draft { id: foreign.into(), ..draft() })[..], [ValueFault::Foreign(..)]));
        let accepting = Authority { foreign: true, ..OURS };
        assert!(Draft { id: foreign.into(), ..draft() }.patient(&accepting).is_ok());
        for id in ["", "1001^^^1.2", "1001^^^&x&ISO", "10&01"] {
            assert!(matches!(faults(Draft { id: id.into(), ..draft() })[..], [ValueFault::Id(_)]), "{id}");
        }
        for birth in ["19500431", "1950-04-01", "1950", "+1950401"] {
            assert_eq!(
                faults(Draft { birth: Some(birth.into()), ..draft() }),
                [ValueFault::Birth],
                "{birth}"
            );
        }
        assert_eq!(faults(Draft { sex: Some("男".into()), ..draft() }), [ValueFault::Sex]);
        assert_eq!(faults(Draft { kana: Some("a\u{1b}".into()), ..draft() }), [ValueFault::Control("kana")]);
        assert_eq!(faults(Draft { id: "1 1".into(), ..draft() }), [ValueFault::Control("id")]);
    }

    #[test]
    fn a_table_is_taken_whole_or_not_at_all() {
        let good = "\u{feff}id,kanji,birth\r\n1001,\"山田, 太郎\",19500401\r\n\r\n1002,,\r\n";
        let patients = of_table(good, &OURS).ok().unwrap();
        assert_eq!(patients.len(), 2);
        assert_eq!(patients[0].name_kanji.as_deref(), Some("山田, 太郎"));
        assert_eq!(patients[1].birth_date, None);
        let bad = "id,birth,sex\n1001,19500431,X\n1002,,\n1001^^^&1.2.392.9.4&ISO,,\n1001,,\n";
        let faults = of_table(bad, &OURS).err().unwrap();
        let lines: Vec<_> = faults.into_iter().map(|f| (f.line, f.fault)).collect();
        assert_eq!(
            lines,
            [(Some(2), ValueFault::Birth), (Some(2), ValueFault::Sex), (Some(5), ValueFault::Twice(4))]
        );
    }
}
