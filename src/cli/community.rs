//! `chiren community`: how other networks do, and what is wrong with the way to one.

mod links;

use std::process::ExitCode;

use anyhow::{Context as _, anyhow};
use clap::{Args, Subcommand};
use serde_json::json;

use super::send::table;
use super::{ConfigFile, print};
use crate::config::{Config, Language, PeerConfig, Role, TlsMode, TlsProfile};
use crate::model::ids::HomeCommunityId;
use crate::peer::http::Client;
use crate::server::ops::COMMUNITIES;
use crate::service::gateway::correlate::Verdict as Decision;
use crate::service::gateway::{
    self, Directory, Oddity, People, Probe, Prober, Scoreboard, Standing, Verdict,
};

pub const EXAMPLES: &str = "Exit status of test: 0 all well, 1 something is wrong, 2 no such community.

Examples:
  chiren community status
  chiren community status --json
  chiren community status --url http://127.0.0.1:9090
  chiren community test tonari
  chiren community links 4711081590
  chiren community links --state candidate
  chiren community confirm 4711081590 tonari 8812 --reason 'card seen'
  chiren community release 4711081590 tonari 8812 --reason 'another patient of that name'";

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    file: ConfigFile,

    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// The scoreboard of the running gateway: breakers, requests under way, answers, failures
    Status(Status),
    /// Try each address of a community of the directory, and say at which step it fails
    Test(Test),
    /// Who a patient is in other networks, how that is known and until when; or the links to look at
    Links(links::Links),
    /// Take a link up: 確認待ち
    Hold(links::Said),
    /// Say that a patient is who has this id there (確定), until it is released
    Confirm(links::Said),
    /// Say that a patient is not who has this id there (却下)
    Reject(links::Said),
    /// Take a link back (解除): the next question does not follow it
    Release(links::Said),
}

#[derive(Debug, Args)]
struct Status {
    /// The gateway's listener of role ops [default: the first of the configuration]
    #[arg(long, value_name = "URL")]
    url: Option<String>,

    /// PEM file of an authority (or the very certificate) that vouches for that listener
    #[arg(long, value_name = "FILE")]
    ca: Vec<std::path::PathBuf>,

    /// PEM file of the certificate to present
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<std::path::PathBuf>,

    /// PEM file of its private key
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<std::path::PathBuf>,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Test {
    /// The community's id in the directory
    id: String,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: Arguments, lang: Option<Language>) -> ExitCode {
    let Arguments { file, what } = arguments;
    let decided = |said: &links::Said, verdict| match file
        .work(lang, async |config, language| links::decide(config, said, verdict, language).await)
    {
        Ok((text, _)) => print(&text),
        Err(code) => code,
    };
    match what {
        What::Hold(said) => decided(&said, Decision::Hold),
        What::Confirm(said) => decided(&said, Decision::Confirm),
        What::Reject(said) => decided(&said, Decision::Reject),
        What::Release(said) => decided(&said, Decision::Release),
        What::Links(wanted) => {
            match file.work(lang, async |config, language| links::links(config, &wanted, language).await) {
                Ok((text, _)) => print(&text),
                Err(code) => code,
            }
        }
        What::Status(status) => {
            match file.work(lang, async |config, language| shown(config, &status, language).await) {
                Ok((text, _)) => print(&text),
                Err(code) => code,
            }
        }
        What::Test(test) => {
            match file.work(lang, async |config, language| tried(config, &test, language).await) {
                Ok(((text, code), _)) => {
                    print(&text);
                    ExitCode::from(code)
                }
                Err(code) => code,
            }
        }
    }
}

/// The operators' listener of a configuration.
fn listener(config: &Config) -> anyhow::Result<String> {
    let ops = config.listener.iter().find(|l| l.role == Role::Ops);
    let ops =
        ops.ok_or_else(|| anyhow!("the configuration has no listener of role ops; name one by --url"))?;
    let scheme = if ops.tls == TlsMode::None { "http" } else { "https" };
    let address = match ops.address.ip().is_unspecified() {
        true => format!("localhost:{}", ops.address.port()),
        false => ops.address.to_string(),
    };
    Ok(format!("{scheme}://{address}"))
}

async fn shown(config: &Config, status: &Status, language: Language) -> anyhow::Result<String> {
    let base = match &status.url {
        Some(url) => url.clone(),
        None => listener(config)?,
    };
    let peer = PeerConfig {
        url: format!("{}{COMMUNITIES}", base.trim_end_matches('/')),
        server_ca: status.ca.clone(),
        certificate: status.cert.clone(),
        private_key: status.key.clone(),
        tls_profile: TlsProfile::AtnaBcp195,
        ..PeerConfig::default()
    };
    let answer = Client::new(&peer)?.get().await?;
    if answer.status.as_u16() == 404 {
        return Err(anyhow!("{base} shows no communities: is its role ops, and gateway.enabled true?"));
    }
    let text = answer.success()?.whole().await?;
    if status.json {
        return Ok(String::from_utf8_lossy(&text).into_owned());
    }
    let board: Scoreboard = serde_json::from_slice(&text).context("the answer is no scoreboard")?;
    Ok(rendered(&board, language))
}

fn rendered(board: &Scoreboard, language: Language) -> String {
    let headings: [&str; 8] = match language {
        Language::En => {
            ["id", "homeCommunityId", "breaker", "under way", "answered", "failed", "took", "last failure"]
        }
        Language::Ja => ["ID", "homeCommunityId", "遮断器", "処理中", "応答", "失敗", "所要", "直近の失敗"],
    };
    let row = |s: &Standing| {
        let breaker = match s.open_for_ms {
            0 => s.breaker.as_str().to_owned(),
            ms => format!("{} ({} s)", s.breaker.as_str(), ms.div_ceil(1000)),
        };
        let failed: u64 = s.failed.iter().map(|(_, count)| count).sum();
        let took = s.last_answer_took_ms.map(|ms| format!("{ms} ms")).unwrap_or_default();
        let last = s.last_failure.as_ref().map(|f| format!("{}: {} ({} s)", f.step, f.detail, f.seconds_ago));
        vec![
            s.id.clone(),
            s.home.clone(),
            breaker,
            format!("{}/{}", s.under_way, s.at_once),
            s.answered.to_string(),
            failed.to_string(),
            took,
            last.unwrap_or_default(),
        ]
    };
    let rows: Vec<Vec<String>> = board.communities.iter().chain(&board.repositories).map(row).collect();
    let mut out = table::render(&headings, &rows);
    for fault in &board.faults {
        let said = match language {
            Language::En => "the file of communities is faulty, the list before is in force",
            Language::Ja => "コミュニティのファイルに誤りがあり、以前の内容が有効です",
        };
        out.push_str(&format!("{said}: {}\n", table::line(fault)));
    }
    out
}

async fn tried(config: &Config, test: &Test, language: Language) -> anyhow::Result<(String, u8)> {
    let directory = Directory::open(config).map_err(|faults| {
        let said: Vec<String> = faults.iter().map(|f| f.in_language(language)).collect();
        anyhow!("{}", said.join("\n"))
    })?;
    let listed = directory.now();
    let Some(member) = listed.by_id(&test.id) else {
        let ids: Vec<&str> = listed.members.iter().map(|m| m.community.id.as_str()).collect();
        let said = match language {
            Language::En => format!("no community '{}'; there are: {}\n", test.id, ids.join(", ")),
            Language::Ja => {
                format!("コミュニティ '{}' はありません。登録済み: {}\n", test.id, ids.join(", "))
            }
        };
        return Ok((said, 2));
    };
    let network = &config.network;
    let home = HomeCommunityId::parse(&network.home_community_id)
        .ok_or_else(|| anyhow!("network.home_community_id is not of the form urn:oid:…"))?;
    let people = People::open(&config.xua.own, &network.home_community_id)?;
    let prober = Prober {
        people: &people,
        home: &home,
        authority: &network.patient_id_authority,
        now: jiff::Timestamp::now(),
    };
    let probes = gateway::probe(member, &prober).await;
    let well = probes.iter().all(|p| matches!(p.verdict, Verdict::Works | Verdict::Reached { .. }));
    let text = match test.json {
        true => format!(
            "{:#}\n",
            json!({ "id": test.id, "home": member.home(), "probes": probes.iter().map(as_json).collect::<Vec<_>>() })
        ),
        false => probes.iter().map(|p| line(p, language)).collect(),
    };
    Ok((text, u8::from(!well)))
}

fn as_json(probe: &Probe) -> serde_json::Value {
    let (verdict, step, detail) = match &probe.verdict {
        Verdict::Works => ("works", None, None),
        Verdict::Reached { status } => ("reached", None, Some(format!("HTTP {status}"))),
        Verdict::Odd(odd) => ("odd", None, Some(said(odd, Language::En))),
        Verdict::Fails(trouble) => ("fails", Some(trouble.step.as_str()), Some(trouble.detail.clone())),
    };
    json!({
        "transaction": probe.key,
        "url": probe.url,
        "ms": u64::try_from(probe.took.as_millis()).unwrap_or(u64::MAX),
        "verdict": verdict,
        "step": step,
        "detail": detail,
    })
}

fn line(probe: &Probe, language: Language) -> String {
    let ja = language == Language::Ja;
    let verdict = match &probe.verdict {
        Verdict::Works => if ja { "正常" } else { "works" }.to_owned(),
        Verdict::Reached { status } if ja => format!("到達（HTTP {status}）。取引自体は試していません"),
        Verdict::Reached { status } => {
            format!("reached (HTTP {status}); the transaction itself was not tried")
        }
        Verdict::Odd(odd) if ja => format!("要確認: {}", said(odd, language)),
        Verdict::Odd(odd) => format!("odd: {}", said(odd, language)),
        Verdict::Fails(trouble) if ja => format!("失敗（{}）: {}", trouble.step, trouble.detail),
        Verdict::Fails(trouble) => format!("fails at {}: {}", trouble.step, trouble.detail),
    };
    table::line(&format!("{:6} {}  {} ms  {verdict}", probe.key, probe.url, probe.took.as_millis())) + "\n"
}

fn said(odd: &Oddity, language: Language) -> String {
    match (odd, language) {
        (Oddity::OtherHome, Language::En) => {
            "it does not know its own home_community_id; the directory has another than it has".into()
        }
        (Oddity::OtherHome, Language::Ja) => {
            "相手が自身の home_community_id を認識しません。設定値が相手と一致していません".into()
        }
        (Oddity::Refuses(codes), Language::En) => format!("it refuses: {}", codes.join(", ")),
        (Oddity::Refuses(codes), Language::Ja) => format!("拒否されました: {}", codes.join(", ")),
        (Oddity::TakesAnything, Language::En) => "it took a feed that names no patient".into(),
        (Oddity::TakesAnything, Language::Ja) => "患者を特定しない通知が受け入れられました".into(),
        (Oddity::FindsAnything, Language::En) => "it found what cannot be there".into(),
        (Oddity::FindsAnything, Language::Ja) => "存在しないはずのものが見つかりました".into(),
    }
}
