//! `chiren audit`: the records of who did what: shown, proven, told to a citizen, exported, purged by policy. Whoever
//! reads them leaves a record of that.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use jiff::tz::{self, TimeZone};
use jiff::{Timestamp, ToSpan as _};
use serde_json::{Value, json};

use super::operator::{Desk, failure};
use super::send::table;
use super::{ConfigFile, keep, print};
use crate::app;
use crate::config::{Config, Language};
use crate::model::audit::compose::compose;
use crate::model::audit::japanese;
use crate::model::audit::{AuditEvent, Outcome, kinds};
use crate::model::transaction::Transaction;
use crate::service::audit::Audited;
use crate::service::audit::reading::{Kept, Period, Place};
use crate::service::audit::trail::{Broken, Trail, Verified};
use crate::service::context::{Context, Subject};
use crate::service::mpi;
use crate::wire::atna::{self, syslog};

pub const EXAMPLES: &str = "Whoever lists, exports or tells records leaves a record of that. `verify` ends with 4 where the chain is broken.

Examples:
  chiren audit list --from 2026-11-01 --patient '1234567890^^^&1.2.392.1&ISO'
  chiren audit verify
  chiren audit patient 1234567890
  chiren audit export --from 2026-11-01 --to 2026-11-30 --format csv --output audit.csv
  chiren audit purge --dry-run";

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    file: ConfigFile,

    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Args, Clone, Default)]
struct Filter {
    /// The first day, or moment (YYYY-MM-DD in Japan's time, or RFC 3339)
    #[arg(long)]
    from: Option<String>,

    /// The last day, or moment
    #[arg(long)]
    to: Option<String>,

    /// Records about this patient (CX, or an id of the network)
    #[arg(long)]
    patient: Option<String>,

    /// Of this transaction (ITI-43) or event (110113)
    #[arg(long)]
    transaction: Option<String>,

    /// Of this user, node, certificate or address
    #[arg(long)]
    who: Option<String>,

    /// Failures only
    #[arg(long)]
    failures: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Csv,
    Json,
    /// The messages of ITI-20, one a line
    Atna,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Show records, oldest first
    List {
        #[command(flatten)]
        filter: Filter,

        /// At most so many
        #[arg(long, default_value_t = 100)]
        limit: usize,

        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Go through the chain from its beginning and name the first broken link
    Verify {
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Tell in plain Japanese who looked at a patient: for a citizen's request (本人からの開示請求)
    Patient {
        /// The patient's ids: CX, or ids of the network
        #[arg(required = true)]
        ids: Vec<String>,

        #[command(flatten)]
        filter: Filter,
    },
    /// Write records out, as CSV or JSON
    Export {
        #[command(flatten)]
        filter: Filter,

        /// CSV for a spreadsheet, or a JSON object a line
        #[arg(long, value_enum, default_value = "csv")]
        format: Format,

        /// The file; standard output without it
        #[arg(long)]
        output: Option<PathBuf>,
    },
    /// Take out whole segments of the chain that are older than audit.keep_years
    Purge {
        /// Only say what would go
        #[arg(long)]
        dry_run: bool,
    },
}

pub fn run(arguments: Arguments, lang: Option<Language>) -> ExitCode {
    let json = matches!(arguments.what, What::Verify { json: true });
    let done = arguments.file.work(lang, async |config: &_, language| {
        let desk = Desk::open(&super::keep::unhurried(config)).await?;
        Desktop { trail: app::trail_of(config, &desk.db)?, desk, config, language }
            .work(&arguments.what)
            .await
    });
    match done {
        Err(code) => code,
        Ok((Done::Text(text), _)) => print(&text),
        Ok((Done::Verified(verified), language)) => {
            let faults = !verified.broken.is_empty();
            keep::report(json, &verified, || proven(&verified, language), faults)
        }
    }
}

enum Done {
    Text(String),
    Verified(Verified),
}

struct Desktop<'c> {
    desk: Desk,
    trail: Trail,
    config: &'c Config,
    language: Language,
}

const TOGETHER: i64 = 2000;

impl Desktop<'_> {
    async fn work(self, what: &What) -> anyhow::Result<Done> {
        let done = self.asked(what).await;
        self.desk.db.close().await;
        done
    }

    async fn asked(&self, what: &What) -> anyhow::Result<Done> {
        // What came since a gateway last looked is in the answer, too.
        self.trail.chain(Timestamp::now().as_microsecond()).await.map_err(failure)?;
        match what {
            What::Verify { .. } => Ok(Done::Verified(self.trail.verify().await.map_err(failure)?)),
            What::List { filter, limit, json } => {
                self.record("list", filter).await?;
                let mut found = vec![];
                self.each(filter, |kept| {
                    found.push(kept);
                    Ok(found.len() < *limit)
                })
                .await?;
                let text = match json {
                    true => {
                        serde_json::to_string_pretty(&found.iter().map(as_json).collect::<Vec<_>>())? + "\n"
                    }
                    false => self.listed(&found),
                };
                Ok(Done::Text(text))
            }
            What::Patient { ids, filter } => {
                let mut all = vec![];
                let ids = &self.every_id(ids).await?;
                for id in ids {
                    let filter = Filter { patient: Some(id.clone()), ..filter.clone() };
                    self.record("patient", &filter).await?;
                    self.each(&filter, |kept| {
                        all.push(kept);
                        Ok(true)
                    })
                    .await?;
                }
                all.sort_by(|a, b| (a.at(), a.id()).cmp(&(b.at(), b.id())));
                all.dedup_by(|a, b| a.id() == b.id());
                Ok(Done::Text(self.told(ids, &all)))
            }
            What::Export { filter, format, output } => {
                self.record("export", filter).await?;
                self.export(filter, *format, output.as_ref()).await.map(Done::Text)
            }
            What::Purge { dry_run } => self.purge(*dry_run).await.map(Done::Text),
        }
    }

    fn context(&self, command: &str) -> Context {
        self.desk.context(&format!("audit {command}"), Transaction::Iti18)
    }

    /// The reading is recorded before anything is shown.
    async fn record(&self, command: &str, filter: &Filter) -> anyhow::Result<()> {
        let context = self.context(command);
        let patient = filter.patient.as_deref().map(|id| self.cx(id));
        let subject = Subject {
            query: Some(format!("chiren audit {command} {filter:?}")),
            patients: patient.into_iter().collect(),
            ..Subject::default()
        };
        let mut event = context.audit(Outcome::Success, subject);
        event.transaction = kinds::AUDIT_READ.into();
        self.desk.audit.settle(Audited::Due(Box::new(event))).await.map_err(failure)
    }

    /// These ids, and every other that the same persons have or had here.
    async fn every_id(&self, ids: &[String]) -> anyhow::Result<Vec<String>> {
        let network = &self.config.network.patient_id_authority;
        let mut every: Vec<String> = vec![];
        for id in ids {
            for other in mpi::every_id(&self.desk.db, network, &self.cx(id)).await.map_err(failure)? {
                if !every.contains(&other) {
                    every.push(other);
                }
            }
        }
        Ok(every)
    }

    /// A patient's id as CX: a bare one is the network's.
    fn cx(&self, id: &str) -> String {
        match id.contains('^') {
            true => id.to_owned(),
            false => format!("{id}^^^&{}&ISO", self.config.network.patient_id_authority),
        }
    }

    /// Hands over what a filter lets through, until it answers false.
    async fn each(
        &self,
        filter: &Filter,
        mut take: impl FnMut(Kept) -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        let period = period(filter)?;
        let now = Timestamp::now().as_microsecond();
        if let Some(patient) = &filter.patient {
            let found =
                self.trail.of_patient(&self.cx(patient), period, i64::MAX, now).await.map_err(failure)?;
            for kept in found.into_iter().filter(|kept| lets_through(filter, kept)) {
                if !take(kept)? {
                    break;
                }
            }
            return Ok(());
        }
        let mut place = Some(Place::start(period));
        while let Some(from) = place.take() {
            let (found, next) = self.trail.read(period, from, TOGETHER).await.map_err(failure)?;
            for kept in found.into_iter().filter(|kept| lets_through(filter, kept)) {
                if !take(kept)? {
                    return Ok(());
                }
            }
            place = next;
        }
        Ok(())
    }

    fn listed(&self, found: &[Kept]) -> String {
        let headings = match self.language {
            Language::En => ["when", "what", "outcome", "who", "from", "patients", "id"],
            Language::Ja => ["日時", "種類", "結果", "誰が", "どこから", "患者", "番号"],
        };
        let rows: Vec<Vec<String>> = found.iter().map(row).collect();
        table::render(&headings, &rows)
    }

    /// Always in Japanese: it is handed to whoever asked.
    fn told(&self, ids: &[String], all: &[Kept]) -> String {
        let mut out = format!(
            "閲覧の記録（{}）\n対象の患者番号: {}\n作成日時: {}\n\n",
            self.config.network.name,
            ids.join("、"),
            japan(Timestamp::now().as_microsecond())
        );
        if all.is_empty() {
            out.push_str("この期間に、この患者に関する記録はありません。\n");
            return out;
        }
        for (n, kept) in all.iter().enumerate() {
            let lines = match kept {
                Kept::Own(event) => {
                    let told = japanese::told(event);
                    vec![
                        ("誰が", told.who),
                        ("どこから", told.from),
                        ("何をしたか", told.what),
                        ("何のために", told.why),
                        ("結果", told.result.to_owned()),
                    ]
                }
                Kept::Received { original, .. } => elsewhere(original),
            };
            out.push_str(&format!("{}. いつ: {}\n", n + 1, japan(kept.at())));
            for (name, value) in lines {
                out.push_str(&format!("   {name}: {}\n", table::printable(&value)));
            }
        }
        out.push_str(&format!("\n以上 {} 件\n", all.len()));
        out
    }

    async fn export(
        &self,
        filter: &Filter,
        format: Format,
        output: Option<&PathBuf>,
    ) -> anyhow::Result<String> {
        let mut out: Box<dyn std::io::Write> = match output {
            None => Box::new(std::io::stdout().lock()),
            Some(path) => {
                let file = std::fs::OpenOptions::new().write(true).create_new(true).open(path);
                let file = file.with_context(|| format!("{} cannot be made", path.display()))?;
                Box::new(std::io::BufWriter::new(file))
            }
        };
        if format == Format::Csv {
            // For spreadsheets, which take a file without it for Shift_JIS.
            let bom = if output.is_some() { "\u{feff}" } else { "" };
            write!(out, "{bom}{}\r\n", csv(&CSV.map(str::to_owned)))?;
        }
        let mut count = 0_u64;
        let reporter = self.trail.reporter();
        self.each(filter, |kept| {
            count += 1;
            match format {
                Format::Csv => write!(out, "{}\r\n", csv(&cells(&kept)))?,
                Format::Json => writeln!(out, "{}", serde_json::to_string(&as_json(&kept))?)?,
                Format::Atna => match &kept {
                    Kept::Own(event) => {
                        for message in compose(event, reporter) {
                            writeln!(out, "{}", atna::write(&message))?;
                        }
                    }
                    Kept::Received { original, .. } => {
                        writeln!(out, "{}", String::from_utf8_lossy(original))?
                    }
                },
            }
            Ok(true)
        })
        .await?;
        out.flush()?;
        Ok(match (output, self.language) {
            (None, _) => String::new(),
            (Some(path), Language::En) => format!("{count} records written to {}\n", path.display()),
            (Some(path), Language::Ja) => format!("{count} 件を {} に出力しました\n", path.display()),
        })
    }

    async fn purge(&self, dry_run: bool) -> anyhow::Result<String> {
        let years = i64::try_from(self.config.audit.keep_years).unwrap_or(200);
        let before = Timestamp::now().to_zoned(TimeZone::UTC).checked_sub(years.years())?.timestamp();
        let said = japan(before.as_microsecond());
        if dry_run {
            return Ok(match self.language {
                Language::En => format!("whole segments whose records are all older than {said} would go\n"),
                Language::Ja => format!("すべての記録が {said} より前の区間が削除の対象です\n"),
            });
        }
        let done =
            self.trail.purge(&self.context("purge"), before.as_microsecond()).await.map_err(failure)?;
        let lines = done.iter().map(|(chain, records)| match self.language {
            Language::En => format!("{}: {records} records older than {said} purged\n", chain.as_str()),
            Language::Ja => format!("{}: {said} より前の {records} 件を削除しました\n", chain.as_str()),
        });
        Ok(lines.collect())
    }
}

fn japan(micros: i64) -> String {
    let japan = TimeZone::fixed(tz::offset(9));
    let at = Timestamp::from_microsecond(micros).unwrap_or_default();
    at.to_zoned(japan).strftime("%Y年%m月%d日 %H時%M分%S秒").to_string()
}

fn period(filter: &Filter) -> anyhow::Result<Period> {
    let japan = || TimeZone::fixed(tz::offset(9));
    let moment = |text: &str, last: bool| -> anyhow::Result<i64> {
        if let Ok(at) = text.parse::<Timestamp>() {
            return Ok(at.as_microsecond());
        }
        let day = text.parse::<jiff::civil::Date>();
        let day = day.with_context(|| format!("{text:?} is neither YYYY-MM-DD nor a moment of RFC 3339"))?;
        let day = if last { day.tomorrow()? } else { day };
        Ok(day.to_zoned(japan())?.timestamp().as_microsecond() - i64::from(last))
    };
    let from = filter.from.as_deref().map_or(Ok(0), |text| moment(text, false))?;
    let until = filter.to.as_deref().map_or(Ok(i64::MAX), |text| moment(text, true))?;
    if from > until {
        bail!("--from is after --to");
    }
    Ok(Period { from, until })
}

fn lets_through(filter: &Filter, kept: &Kept) -> bool {
    match kept {
        Kept::Own(event) => {
            let transaction = filter.transaction.as_ref().is_none_or(|t| event.transaction == *t);
            let who = filter.who.as_ref().is_none_or(|who| is_by(event, who));
            transaction && who && (!filter.failures || event.outcome != Outcome::Success)
        }
        Kept::Received { original, .. } => {
            if filter.transaction.is_none() && filter.who.is_none() && !filter.failures {
                return true;
            }
            let Some(m) = syslog::read(original).ok().and_then(|m| atna::read(m.body).ok()) else {
                return false;
            };
            let mut codes = std::iter::once(&m.id).chain(&m.types);
            let transaction = filter.transaction.as_ref().is_none_or(|t| codes.any(|c| c.code == *t));
            let by = |who: &String| m.participants.iter().any(|p| p.user_id == *who);
            transaction && filter.who.as_ref().is_none_or(by) && (!filter.failures || m.outcome != 0)
        }
    }
}

fn is_by(event: &AuditEvent, who: &str) -> bool {
    let caller = &event.caller;
    let user = caller.user.as_ref().is_some_and(|u| u.name_id == who || u.name.as_deref() == Some(who));
    let node = caller.node.as_ref().is_some_and(|n| n.id == who);
    user || node || caller.certificate.as_deref() == Some(who) || caller.address == who
}

fn who(event: &AuditEvent) -> String {
    let caller = &event.caller;
    match (&caller.user, &caller.node) {
        (Some(user), _) => user.name.clone().unwrap_or_else(|| user.name_id.clone()),
        (None, Some(node)) => node.id.clone(),
        (None, None) => caller.certificate.clone().unwrap_or_else(|| caller.listener.clone()),
    }
}

fn outcome(event: &AuditEvent) -> String {
    (event.outcome as u8).to_string()
}

fn row(kept: &Kept) -> Vec<String> {
    let at = Timestamp::from_microsecond(kept.at()).map(|t| format!("{t:.3}")).unwrap_or_default();
    match kept {
        Kept::Own(event) => vec![
            at,
            event.transaction.clone(),
            outcome(event),
            who(event),
            event.caller.address.clone(),
            event.patients.join(" "),
            event.id.clone(),
        ],
        Kept::Received { id, original, .. } => {
            let read = syslog::read(original).ok().and_then(|m| atna::read(m.body).ok());
            let Some(m) = read else {
                return vec![
                    at,
                    "?".into(),
                    String::new(),
                    String::new(),
                    String::new(),
                    String::new(),
                    id.clone(),
                ];
            };
            let requestor = m.participants.iter().find(|p| p.requestor);
            let kind = m.types.first().unwrap_or(&m.id).code.clone();
            let from = requestor.and_then(|p| p.network.clone()).map(|(point, _)| point);
            vec![
                at,
                kind,
                m.outcome.to_string(),
                requestor.map(|p| p.user_id.clone()).unwrap_or_default(),
                from.unwrap_or_default(),
                m.patients().collect::<Vec<_>>().join(" "),
                id.clone(),
            ]
        }
    }
}

/// What another system says, in words as far as there are any.
fn elsewhere(original: &[u8]) -> Vec<(&'static str, String)> {
    let Some(m) = syslog::read(original).ok().and_then(|m| atna::read(m.body).ok()) else {
        return vec![("何をしたか", "他のシステムの記録（読み取れません）".into())];
    };
    let requestor = m.participants.iter().find(|p| p.requestor);
    let name = requestor.map(|p| p.user_name.clone().unwrap_or_else(|| p.user_id.clone()));
    let point = requestor.and_then(|p| p.network.clone()).map(|(point, _)| point);
    let done = m.types.iter().chain([&m.id]).find_map(|c| japanese::named(&c.code));
    let said = done.map_or_else(|| m.id.text.clone(), str::to_owned);
    vec![
        ("誰が", name.unwrap_or_else(|| "記録なし".into())),
        ("どこから", format!("{}（{} からの報告）", point.unwrap_or_else(|| "記録なし".into()), m.source.id)),
        ("何をしたか", said),
        ("結果", if m.outcome == 0 { "行われた".into() } else { "拒否または失敗した".into() }),
    ]
}

fn as_json(kept: &Kept) -> Value {
    match kept {
        Kept::Own(event) => {
            let mut value = serde_json::to_value(event).unwrap_or_default();
            if let Some(value) = value.as_object_mut() {
                let at = Timestamp::from_microsecond(event.at).map(|t| t.to_string()).unwrap_or_default();
                value.insert("time".into(), at.into());
                value.insert("timeJapan".into(), japan(event.at).into());
            }
            value
        }
        Kept::Received { id, at, original } => json!({
            "id": id,
            "at": at,
            "timeJapan": japan(*at),
            "received": String::from_utf8_lossy(original),
        }),
    }
}

/// Columns of the CSV: what an incident's report needs (who saw whom, when).
const CSV: [&str; 14] = [
    "time_utc",
    "time_jst",
    "id",
    "transaction",
    "outcome",
    "user",
    "organization",
    "roles",
    "purposes",
    "node",
    "address",
    "patients",
    "documents",
    "errors",
];

fn cells(kept: &Kept) -> [String; 14] {
    let utc = Timestamp::from_microsecond(kept.at()).map(|t| format!("{t:.3}")).unwrap_or_default();
    let jst = japan(kept.at());
    match kept {
        Kept::Own(event) => {
            let user = event.caller.user.as_deref();
            let codes = |codes: &[crate::model::user::Coded]| {
                codes.iter().map(|c| c.code.clone()).collect::<Vec<_>>().join(" ")
            };
            let node = event.caller.node.as_ref().map(|n| n.id.clone());
            [
                utc,
                jst,
                event.id.clone(),
                event.transaction.clone(),
                outcome(event),
                user.map(|u| u.name.clone().unwrap_or_else(|| u.name_id.clone())).unwrap_or_default(),
                user.and_then(|u| u.organization.clone()).unwrap_or_default(),
                user.map(|u| codes(&u.roles)).unwrap_or_default(),
                user.map(|u| codes(&u.purposes)).unwrap_or_default(),
                node.or_else(|| event.caller.certificate.clone()).unwrap_or_default(),
                event.caller.address.clone(),
                event.patients.join(" "),
                event.documents.join(" "),
                event.errors.join(" "),
            ]
        }
        Kept::Received { id, .. } => {
            let row = row(kept);
            let of = |n: usize| row.get(n).cloned().unwrap_or_default();
            let none = String::new;
            [
                utc,
                jst,
                id.clone(),
                of(1),
                of(2),
                of(3),
                none(),
                none(),
                none(),
                none(),
                of(4),
                of(5),
                none(),
                none(),
            ]
        }
    }
}

/// A line of RFC 4180. What a spreadsheet would take for a formula begins with an apostrophe.
fn csv(cells: &[String]) -> String {
    let cell = |cell: &String| {
        let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
        let text = if formula { format!("'{cell}") } else { cell.clone() };
        match text.contains([',', '"', '\r', '\n']) {
            true => format!("\"{}\"", text.replace('"', "\"\"")),
            false => text,
        }
    };
    cells.iter().map(cell).collect::<Vec<_>>().join(",")
}

fn proven(verified: &Verified, language: Language) -> String {
    let mut out = String::new();
    for chain in &verified.chains {
        let (name, records, segments) = (chain.chain, chain.records, chain.segments);
        let (purged, waiting, vouched) = (chain.purged, chain.waiting, chain.vouched);
        out += &match language {
            Language::En => format!(
                "{name}: {records} records in {segments} segments ({vouched} vouched for by our key), {purged} purged, \
                 {waiting} not yet chained; head {}\n",
                chain.head
            ),
            Language::Ja => format!(
                "{name}: 記録 {records} 件、区間 {segments}（鍵による保証 {vouched}）、保存期間満了により削除 {purged} 件、\
                 未連鎖 {waiting} 件、先頭値 {}\n",
                chain.head
            ),
        };
    }
    out += &match language {
        Language::En => format!("{} checkpoints compared\n", verified.checkpoints),
        Language::Ja => format!("照合したチェックポイント: {}\n", verified.checkpoints),
    };
    match (verified.broken.first(), language) {
        (None, Language::En) => out += "the chain is whole\n",
        (None, Language::Ja) => out += "改ざんは見つかりませんでした\n",
        (Some(_), Language::En) => out += "the chain is broken, first at:\n",
        (Some(_), Language::Ja) => out += "改ざんの疑いがあります。最初の箇所:\n",
    }
    for link in verified.broken.iter().take(100) {
        let seq = link.seq.map_or_else(|| "-".to_owned(), |seq| seq.to_string());
        let what = match (link.broken, language) {
            (broken, Language::En) => broken.as_str(),
            (Broken::Altered, _) => "書き換え",
            (Broken::Deleted, _) => "削除",
            (Broken::Inserted, _) => "挿入",
            (Broken::Torn, _) => "連鎖の断絶",
            (Broken::Unvouched, _) => "鍵による保証なし",
            (Broken::OtherThanCheckpoint, _) => "チェックポイントと不一致",
            (Broken::PurgedUnsaid, _) => "記録のない削除",
        };
        out += &format!("  {} {seq} {} {what}\n", link.chain, link.id.as_deref().unwrap_or("-"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_cannot_leave_their_place_nor_compute() {
        let line = csv(&["=1+1".into(), "a,b".into(), "\"q\"".into(), "山".into()]);
        assert_eq!(line, "'=1+1,\"a,b\",\"\"\"q\"\"\",山");
    }

    #[test]
    fn days_are_those_of_japan() {
        let of = |from: &str, to: &str| {
            period(&Filter { from: Some(from.into()), to: Some(to.into()), ..Filter::default() })
        };
        let at = |text: &str| text.parse::<Timestamp>().unwrap().as_microsecond();
        let day = of("2026-11-01", "2026-11-01").unwrap();
        assert_eq!((day.from, day.until), (at("2026-10-31T15:00:00Z"), at("2026-11-01T15:00:00Z") - 1));
        assert!(of("2026-11-02", "2026-11-01").is_err() && of("x", "2026-11-01").is_err());
    }
}
