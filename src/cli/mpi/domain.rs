//! `chiren mpi domain`: assigning authorities that become known without a restart.

use anyhow::anyhow;
use clap::{Args, Subcommand};
use jiff::Timestamp;

use super::{Opened, json};
use crate::cli::operator::failure;
use crate::cli::send::table;
use crate::config::{Config, DomainKind, Language, MpiDomainConfig};
use crate::service::mpi::{DomainShown, Unchanged};

#[derive(Debug, Subcommand)]
pub enum What {
    /// Make an assigning authority known: feeds may bring its ids from now on, at every gateway of this database
    Add(Box<Row>),
    /// Every domain that is known, of the configuration and added
    List {
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Take no more ids of a domain that was added; those there are stay known and are found
    Retire {
        /// Its OID or namespace
        name: String,
    },
}

#[derive(Debug, Args)]
pub struct Row {
    /// The facility's 10-digit code, which gives the OID
    #[arg(long, required_unless_present = "oid")]
    facility: Option<String>,

    /// The OID of the authority
    #[arg(long)]
    oid: Option<String>,

    /// Its namespace in HL7 v2 (CX.4.1)
    #[arg(long, default_value = "")]
    namespace: String,

    /// The name people know it by
    #[arg(long, default_value = "")]
    name: String,

    /// Whether its ids are another network's
    #[arg(long)]
    neighbour: bool,

    /// Another OID or namespace that means the same; may be repeated
    #[arg(long = "alias")]
    aliases: Vec<String>,

    /// A sender whose ids without an authority are this domain's, as MSH-3|MSH-4; may be repeated
    #[arg(long = "sender")]
    senders: Vec<String>,

    /// Digits that shorter all-digit ids are padded to
    #[arg(long, default_value_t = 0)]
    pad_to: u64,

    /// Take leading zeros off
    #[arg(long)]
    strip: bool,
}

impl Row {
    fn row(&self) -> MpiDomainConfig {
        MpiDomainConfig {
            name: self.name.clone(),
            kind: if self.neighbour { DomainKind::Neighbour } else { DomainKind::Facility },
            facility: self.facility.clone(),
            oid: self.oid.clone(),
            namespace: self.namespace.clone(),
            aliases: self.aliases.clone(),
            senders: self.senders.clone(),
            pad_to: self.pad_to,
            strip: self.strip,
        }
    }
}

pub async fn run(
    config: &Config,
    opened: &Opened,
    what: &What,
    language: Language,
) -> anyhow::Result<String> {
    let Opened { mpi, context, by, .. } = opened;
    match what {
        What::Add(row) => {
            let examples = config.network.allow_example_oids;
            match mpi.add_domain(context, row.row(), examples, by).await {
                Ok(oid) => json(&serde_json::json!({ "added": oid })),
                Err(e) => Err(unchanged(e, language)),
            }
        }
        What::Retire { name } => match mpi.retire_domain(context, name, by).await {
            Ok(oid) => json(&serde_json::json!({ "retired": oid })),
            Err(e) => Err(unchanged(e, language)),
        },
        What::List { json: as_json } => {
            let all = mpi.list_domains().await.map_err(failure)?;
            if *as_json { json(&all) } else { Ok(listed(&all, language)) }
        }
    }
}

fn unchanged(e: Unchanged, language: Language) -> anyhow::Error {
    let (en, ja) = match e {
        Unchanged::Error(error) => return failure(error),
        Unchanged::Faults(faults) => {
            let said: Vec<String> = faults.iter().map(|f| f.in_language(language)).collect();
            return anyhow!("{}", said.join("\n"));
        }
        Unchanged::Taken(name) => (
            format!("{name:?} is the name of another domain"),
            format!("{name:?} はほかのドメインの名前です"),
        ),
        Unchanged::Configured => (
            "this domain stands in the configuration; change it there".to_owned(),
            "このドメインは設定ファイルにあります。設定ファイルを変更してください".to_owned(),
        ),
        Unchanged::Unknown => (
            "there is no such domain, or it is retired already".to_owned(),
            "該当するドメインがないか、すでに廃止されています".to_owned(),
        ),
    };
    anyhow!("{}", if language == Language::Ja { ja } else { en })
}

fn listed(all: &[DomainShown], language: Language) -> String {
    let headings = match language {
        Language::En => ["OID", "namespace", "name", "kind", "since", "retired"],
        Language::Ja => ["OID", "名前空間", "名称", "種別", "登録", "廃止"],
    };
    let when = |at: i64, by: &str| {
        let at = Timestamp::from_microsecond(at).map(|t| format!("{t:.0}")).unwrap_or_default();
        format!("{at} {by}")
    };
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|d| {
            let kind = match (d.kind, language) {
                (DomainKind::Facility, Language::En) => "facility",
                (DomainKind::Network, Language::En) => "network",
                (DomainKind::Neighbour, Language::En) => "neighbour",
                (DomainKind::Facility, Language::Ja) => "施設",
                (DomainKind::Network, Language::Ja) => "自ネットワーク",
                (DomainKind::Neighbour, Language::Ja) => "他ネットワーク",
            };
            let configured = if language == Language::Ja { "設定ファイル" } else { "configuration" };
            vec![
                d.oid.clone(),
                d.namespace.clone(),
                d.name.clone(),
                kind.to_owned(),
                d.added.as_ref().map_or(configured.to_owned(), |(at, by)| when(*at, by)),
                d.retired.as_ref().map_or(String::new(), |(at, by)| when(*at, by)),
            ]
        })
        .collect();
    table::render(&headings, &rows)
}
