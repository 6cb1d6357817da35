//! `chiren node`: the directory of nodes, seen and tried without touching the running gateway.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, anyhow};
use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::json;

use super::send::table;
use super::{ConfigFile, print, sentence};
use crate::config::nodes::day_of;
use crate::config::{Config, Fault, Language, NodeFile, nodes, tls, x509};
use crate::model::node::{Entry, Shown};
use crate::service::nodes::{Listed, shown};

pub const EXAMPLES: &str = "Exit status of check: 0 all well, 1 something is wrong.

Examples:
  chiren node example > nodes.toml                 begin a directory
  chiren node list
  chiren node show hospital-a
  chiren node check                                is the directory in order?
  chiren node check new.pem                        whose certificate is it, and would it be let in?
  chiren node check --directory nodes.toml new.pem";

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    file: ConfigFile,

    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// The nodes of the directory
    List {
        #[command(flatten)]
        directory: DirectoryFile,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// One node: how it is known, and what it may do
    Show {
        /// Its id
        id: String,
        #[command(flatten)]
        directory: DirectoryFile,
    },
    /// Judge the directory, or say which node certificates are of and whether they would be let in
    Check {
        /// PEM files of certificates
        certificates: Vec<PathBuf>,
        #[command(flatten)]
        directory: DirectoryFile,
    },
    /// Print an example directory, every key with its meaning
    Example,
}

#[derive(Debug, Args)]
struct DirectoryFile {
    /// The directory [default: nodes.directory of the configuration]
    #[arg(long, value_name = "FILE")]
    directory: Option<PathBuf>,
}

pub fn run(arguments: Arguments, lang: Option<Language>) -> ExitCode {
    let Arguments { file, what } = arguments;
    match what {
        What::Example => print(&nodes::example()),
        What::List { directory, json } => shown_by(&file, directory, lang, |entries, language| {
            Ok(if json { as_json(entries) } else { listed(entries, language) })
        }),
        What::Show { id, directory } => shown_by(&file, directory, lang, |entries, language| {
            let entry = entries.iter().find(|e| e.node.id == id);
            entry.map(|e| one(e, language)).ok_or_else(|| anyhow!("the directory has no node {id:?}"))
        }),
        What::Check { certificates, directory } => check(&file, directory, &certificates, lang),
    }
}

/// The directory meant, judged; faults are said.
fn read(
    file: &ConfigFile,
    directory: DirectoryFile,
    lang: Option<Language>,
) -> Result<(Vec<Entry>, Option<Config>, Language), ExitCode> {
    let (path, config) = match directory.directory {
        Some(path) => (path, None),
        None => {
            let config = file.load(lang)?;
            match config.nodes.directory.clone() {
                Some(path) => (path, Some(config)),
                None => {
                    let none =
                        anyhow!("nodes.directory is not set: no directory is kept; name one by --directory");
                    return Err(super::failed(&none));
                }
            }
        }
    };
    let language = lang.or(config.as_ref().map(|c| c.log.language)).unwrap_or_default();
    let say = |faults: &[Fault]| faults.iter().for_each(|f| eprintln!("{}", sentence(f, language)));
    match NodeFile::load(&path) {
        Ok((entries, warnings)) => {
            say(&warnings);
            Ok((entries, config, language))
        }
        Err(faults) => {
            say(&faults);
            Err(ExitCode::FAILURE)
        }
    }
}

fn shown_by(
    file: &ConfigFile,
    directory: DirectoryFile,
    lang: Option<Language>,
    show: impl FnOnce(&[Entry], Language) -> anyhow::Result<String>,
) -> ExitCode {
    match read(file, directory, lang) {
        Err(code) => code,
        Ok((entries, _, language)) => match show(&entries, language) {
            Ok(text) => print(&text),
            Err(error) => super::failed(&error),
        },
    }
}

/// What becomes of a node now, in a word.
fn state(entry: &Entry, language: Language) -> &'static str {
    match (entry.admitted(Timestamp::now()), language) {
        (Ok(()), Language::En) => "admitted",
        (Ok(()), Language::Ja) => "有効",
        (Err(why), Language::En) => why.label(),
        (Err(_), Language::Ja) if entry.suspended => "停止中",
        (Err(_), Language::Ja) => "期間外",
    }
}

fn marks(entry: &Entry) -> usize {
    let m = &entry.marks;
    m.certificates.len() + m.uris.len() + m.dns_names.len() + m.issued.len()
}

fn listed(entries: &[Entry], language: Language) -> String {
    let headings: [&str; 7] = match language {
        Language::En => ["id", "name", "state", "until", "marks", "transactions", "class"],
        Language::Ja => ["ID", "名称", "状態", "期限", "証明書の指定", "トランザクション", "クラス"],
    };
    let row = |e: &Entry| {
        vec![
            e.node.id.clone(),
            e.name.clone(),
            state(e, language).to_owned(),
            e.window.to.map(day_of).unwrap_or_default(),
            marks(e).to_string(),
            e.grants.transactions.len().to_string(),
            e.class.name.clone(),
        ]
    };
    table::render(&headings, &entries.iter().map(row).collect::<Vec<_>>())
}

fn as_json(entries: &[Entry]) -> String {
    let rows: Vec<_> = entries
        .iter()
        .map(|e| {
            json!({
                "id": e.node.id,
                "name": e.name,
                "organizations": e.node.organizations,
                "facilityNumbers": e.facility_numbers,
                "homeCommunityId": e.node.home_community_id,
                "state": state(e, Language::En),
                "validFrom": e.window.from.map(|t| t.to_string()),
                "validTo": e.window.to.map(|t| t.to_string()),
                "certificates": e.marks.certificates,
                "uris": e.marks.uris,
                "dnsNames": e.marks.dns_names,
                "transactions": e.grants.transactions.iter().map(|t| t.code()).collect::<Vec<_>>(),
                "ops": e.grants.ops,
                "patientIdAuthorities": e.grants.authorities.all(),
                "msh": e.grants.pairs.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "sourceIds": e.grants.source_ids.all(),
                "replyUrls": e.grants.reply_urls.all(),
                "class": e.class.name,
            })
        })
        .collect();
    serde_json::to_string_pretty(&rows).unwrap_or_default() + "\n"
}

fn one(entry: &Entry, language: Language) -> String {
    let codes: Vec<&str> = entry.grants.transactions.iter().map(|t| t.code()).collect();
    let class = &entry.class;
    let limits = format!(
        "{} ({}/s, burst {}, {} MiB/s, {} connections, person {}/s)",
        class.name,
        class.requests_per_second,
        class.burst,
        class.retrieve_bytes_per_second >> 20,
        class.connections,
        class.user_requests_per_second
    );
    let issued: Vec<String> = entry.marks.issued.iter().map(|(i, n)| format!("{i}|{n}")).collect();
    let pairs: Vec<String> = entry.grants.pairs.iter().map(ToString::to_string).collect();
    let rows: [(&str, &str, String); 17] = [
        ("id", "ID", entry.node.id.clone()),
        ("name", "名称", entry.name.clone()),
        ("state", "状態", state(entry, language).to_owned()),
        ("organizations", "組織", entry.node.organizations.join(", ")),
        ("facility numbers", "医療機関コード", entry.facility_numbers.join(", ")),
        ("homeCommunityId", "homeCommunityId", entry.node.home_community_id.clone().unwrap_or_default()),
        ("valid from", "開始", entry.window.from.map(day_of).unwrap_or_default()),
        ("valid to", "終了", entry.window.to.map(day_of).unwrap_or_default()),
        ("certificates", "証明書 (SHA-256)", entry.marks.certificates.join(", ")),
        ("URIs", "URI", entry.marks.uris.join(", ")),
        ("DNS names", "DNS 名", entry.marks.dns_names.join(", ")),
        ("issuer|name", "発行者|CN", issued.join(", ")),
        ("transactions", "トランザクション", codes.join(", ")),
        ("feeds patients of", "患者 ID の発行元", entry.grants.authorities.all().join(", ")),
        ("MSH-4|MSH-3", "MSH-4|MSH-3", pairs.join(", ")),
        ("sourceIds", "sourceId", entry.grants.source_ids.all().join(", ")),
        ("class", "クラス", limits),
    ];
    let mut out = String::new();
    for (en, ja, value) in rows {
        let label = if language == Language::Ja { ja } else { en };
        out.push_str(&format!("{label}: {}\n", table::line(&value)));
    }
    if entry.grants.ops {
        out.push_str("ops: yes\n");
    }
    out
}

fn check(
    file: &ConfigFile,
    directory: DirectoryFile,
    certificates: &[PathBuf],
    lang: Option<Language>,
) -> ExitCode {
    let (entries, _, language) = match read(file, directory, lang) {
        Ok(read) => read,
        Err(code) => return code,
    };
    if certificates.is_empty() {
        return print(&counted(&entries, language));
    }
    let listed = Listed::new(entries);
    let mut well = true;
    let mut out = String::new();
    for path in certificates {
        match judged(&listed, path, language) {
            Ok((text, good)) => {
                out.push_str(&text);
                well &= good;
            }
            Err(error) => return super::failed(&error),
        }
    }
    let printed = print(&out);
    if well { printed } else { ExitCode::FAILURE }
}

/// How many nodes there are, and how many of them may connect: a line of `chiren check` too.
pub fn counted(entries: &[Entry], language: Language) -> String {
    let now = Timestamp::now();
    let admitted = entries.iter().filter(|e| e.admitted(now).is_ok()).count();
    let suspended = entries.iter().filter(|e| e.suspended).count();
    let all = entries.len();
    match language {
        Language::En => format!("{all} nodes: {admitted} may connect, {suspended} suspended\n"),
        Language::Ja => format!("ノード {all} 件: 接続可 {admitted} 件、停止中 {suspended} 件\n"),
    }
}

/// What a certificate shows, and what the directory makes of it. Chains and revocation are the listener's to judge.
fn judged(listed: &Listed, path: &Path, language: Language) -> anyhow::Result<(String, bool)> {
    let chain = tls::certificates(path)?;
    let leaf = chain.first().context("no certificate")?;
    let Shown { fingerprint, uris, dns_names, issuer, common_name } = &shown(leaf);
    let validity = x509::validity(leaf).context("the certificate has no validity")?;
    let now = Timestamp::now();
    let in_date = validity.not_before <= now && now <= validity.not_after;
    let mut out = format!(
        "{}\n  SHA-256  {fingerprint}\n  URI      {}\n  DNS      {}\n  issued   {issuer}|{common_name}\n  valid    {} .. {}\n",
        path.display(),
        uris.join(", "),
        dns_names.join(", "),
        validity.not_before,
        validity.not_after
    );
    let entry = listed.find(&shown(leaf));
    let (verdict, good) = match (&entry, language) {
        (None, Language::En) => ("no node of the directory: refused in the handshake".to_owned(), false),
        (None, Language::Ja) => {
            ("該当するノードがありません。ハンドシェイクで拒否されます".to_owned(), false)
        }
        (Some(e), _) => (format!("{}: {}", e.node.id, state(e, language)), e.admitted(now).is_ok()),
    };
    out.push_str(&format!("  node     {verdict}\n"));
    if !in_date {
        out.push_str(match language {
            Language::En => "  the certificate is not in date\n",
            Language::Ja => "  証明書の有効期間外です\n",
        });
    }
    Ok((out, good && in_date))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_listed_and_its_certificate_is_not_let_in() {
        let file: NodeFile = toml::from_str(&nodes::example()).unwrap();
        let (entries, _) = file.entries().unwrap();
        assert!(listed(&entries, Language::En).contains("hospital-a"));
        assert!(one(&entries[0], Language::Ja).contains("ITI-18"));
        assert!(as_json(&entries).contains("\"homeCommunityId\": null"));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.pem");
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["gw.example".into()]).unwrap();
        std::fs::write(&path, params.self_signed(&key).unwrap().pem()).unwrap();
        let (text, good) = judged(&Listed::new(entries), &path, Language::En).unwrap();
        assert!(!good && text.contains("DNS      gw.example"), "{text}");
    }
}
