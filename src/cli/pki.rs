//! `chiren pki`: a private authority for networks that have none, and requests for certificates of another's.

pub mod authority;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, anyhow};
use clap::{Args, Subcommand};
use jiff::Timestamp;

use self::authority::{Authority, Curve, Reason, Subject, request, write};
use super::send::table;
use super::{failed, print};
use crate::config::nodes::day_of;
use crate::config::{Language, tls, x509};

pub const EXAMPLES: &str =
    "Keys are EC, written for their owner alone (0600); files that are there are never overwritten.
Keep the authority's folder on a machine of its own, and bring certificates and the list from there.

Examples:
  chiren pki authority --dir pki --name 'Nodes of our network'
  chiren pki issue --dir pki gateway --dns gw.network.example.jp --uri urn:oid:2.999.1 --out /etc/chiren/tls
  chiren pki request hospital-a --uri urn:oid:2.999.392.10.1 --out .     at the hospital: key and request
  chiren pki sign --dir pki hospital-a.csr --out .                        at the network: its certificate
  chiren pki revoke --dir pki hospital-a.pem --reason key-compromise
  chiren pki crl --dir pki --days 7                                       every day, by a timer
  chiren pki list --dir pki";

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Args)]
struct Folder {
    /// The authority's folder
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
}

#[derive(Debug, Args)]
struct Names {
    /// URI of subjectAltName, as urn:oid: and the OID of the facility; may be repeated
    #[arg(long, value_name = "URI")]
    uri: Vec<String>,
    /// DNS name (or IP address) of subjectAltName; may be repeated
    #[arg(long, value_name = "NAME")]
    dns: Vec<String>,
    /// organizationName
    #[arg(long, value_name = "NAME")]
    organization: Option<String>,
}

impl Names {
    fn subject(&self, name: &str) -> Subject {
        Subject {
            name: name.to_owned(),
            organization: self.organization.clone(),
            uris: self.uri.clone(),
            hosts: self.dns.clone(),
        }
    }

    fn is_empty(&self) -> bool {
        self.uri.is_empty() && self.dns.is_empty()
    }
}

#[derive(Debug, Subcommand)]
enum What {
    /// Make an authority, with an empty revocation list
    Authority {
        #[command(flatten)]
        folder: Folder,
        /// Its commonName
        #[arg(long)]
        name: String,
        /// Its organizationName
        #[arg(long)]
        organization: Option<String>,
        /// Curve of its key
        #[arg(long, value_enum, default_value = "p384")]
        curve: Curve,
        /// Years it lives
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=30))]
        years: u32,
    },
    /// Issue a certificate with a key made here
    Issue {
        /// commonName, and name of the files
        name: String,
        #[command(flatten)]
        folder: Folder,
        #[command(flatten)]
        names: Names,
        /// Curve of its key
        #[arg(long, value_enum, default_value = "p256")]
        curve: Curve,
        /// Days it lives, two years at most
        #[arg(long, default_value_t = 397)]
        days: u32,
        /// Folder for NAME.pem and NAME.key
        #[arg(long, value_name = "DIR", default_value = ".")]
        out: PathBuf,
    },
    /// Make a key and a request for its certificate (CSR), for any authority
    Request {
        /// commonName, and name of the files
        name: String,
        #[command(flatten)]
        names: Names,
        /// Curve of the key
        #[arg(long, value_enum, default_value = "p256")]
        curve: Curve,
        /// Folder for NAME.csr and NAME.key
        #[arg(long, value_name = "DIR", default_value = ".")]
        out: PathBuf,
    },
    /// Issue the certificate of a request
    Sign {
        /// PEM file of the request
        request: PathBuf,
        #[command(flatten)]
        folder: Folder,
        /// Names to certify instead of those the request asks for
        #[command(flatten)]
        names: Names,
        /// commonName to certify, with --uri or --dns
        #[arg(long)]
        name: Option<String>,
        /// Days it lives, two years at most
        #[arg(long, default_value_t = 397)]
        days: u32,
        /// Folder for the certificate, which is named as the request
        #[arg(long, value_name = "DIR", default_value = ".")]
        out: PathBuf,
    },
    /// Revoke a certificate, and write the revocation list
    Revoke {
        /// Its serial number in hex, or its PEM file
        certificate: String,
        #[command(flatten)]
        folder: Folder,
        /// Why
        #[arg(long, value_enum, default_value = "unspecified")]
        reason: Reason,
        /// Days until the next list is due
        #[arg(long, default_value_t = 7)]
        days: u32,
    },
    /// Write the revocation list anew
    Crl {
        #[command(flatten)]
        folder: Folder,
        /// Days until the next list is due
        #[arg(long, default_value_t = 7)]
        days: u32,
    },
    /// Show what was issued, and what of it is revoked
    List {
        #[command(flatten)]
        folder: Folder,
    },
}

pub fn run(arguments: &Arguments, language: Language) -> ExitCode {
    match done(&arguments.what, language, Timestamp::now()) {
        Ok(text) => print(&text),
        Err(error) => failed(&error),
    }
}

fn done(what: &What, language: Language, now: Timestamp) -> anyhow::Result<String> {
    match what {
        What::Authority { folder, name, organization, curve, years } => {
            let authority = Authority::make(&folder.dir, name, organization.as_deref(), *curve, *years, now)?;
            let (list, _) = authority.list(7, now)?;
            Ok(wrote(
                language,
                &[&folder.dir.join("authority.pem"), &folder.dir.join("authority.key"), &list],
            ))
        }
        What::Issue { name, folder, names, curve, days, out } => {
            let authority = Authority::open(&folder.dir)?;
            let (certificate, key_file) = (file(out, name, "pem")?, file(out, name, "key")?);
            let (pem, key) = authority.issue(&names.subject(name), *curve, *days, now)?;
            write(&key_file, key.as_bytes(), 0o600)?;
            write(&certificate, pem.as_bytes(), 0o644)?;
            Ok(wrote(language, &[&certificate, &key_file]))
        }
        What::Request { name, names, curve, out } => {
            let (asked, key_file) = (file(out, name, "csr")?, file(out, name, "key")?);
            let (pem, key) = request(&names.subject(name), *curve)?;
            write(&key_file, key.as_bytes(), 0o600)?;
            write(&asked, pem.as_bytes(), 0o644)?;
            Ok(wrote(language, &[&asked, &key_file]))
        }
        What::Sign { request, folder, names, name, days, out } => {
            let authority = Authority::open(&folder.dir)?;
            let text = std::fs::read_to_string(request)
                .with_context(|| format!("{} cannot be read", request.display()))?;
            let stem = request.file_stem().and_then(|s| s.to_str()).unwrap_or("certificate");
            let certificate = file(out, stem, "pem")?;
            let subject = match (names.is_empty(), name) {
                (true, None) => None,
                (true, Some(_)) => return Err(anyhow!("--name goes with --uri or --dns")),
                (false, name) => Some(names.subject(name.as_deref().unwrap_or(stem))),
            };
            let pem = authority.sign(&text, subject.as_ref(), *days, now)?;
            write(&certificate, pem.as_bytes(), 0o644)?;
            Ok(wrote(language, &[&certificate]))
        }
        What::Revoke { certificate, folder, reason, days } => {
            let authority = Authority::open(&folder.dir)?;
            let serial = match Path::new(certificate).is_file() {
                false => certificate.clone(),
                true => {
                    let chain = tls::certificates(Path::new(certificate))?;
                    let leaf = chain.first().context("no certificate")?;
                    x509::serial(leaf).context("the certificate has no serial number")?
                }
            };
            let revoked = authority.revoke(&serial, *reason, now)?;
            let (list, count) = authority.list(*days, now)?;
            let list = list.display();
            Ok(match language {
                Language::En => {
                    format!("{} ({}) is revoked; {list}: {count}\n", revoked.name, revoked.serial)
                }
                Language::Ja => {
                    format!("{}（{}）を失効しました。{list}: {count} 件\n", revoked.name, revoked.serial)
                }
            })
        }
        What::Crl { folder, days } => {
            let (list, count) = Authority::open(&folder.dir)?.list(*days, now)?;
            Ok(format!("{}: {count}\n", list.display()))
        }
        What::List { folder } => {
            let headings: [&str; 5] = match language {
                Language::En => ["serial number", "name", "names", "until", "revoked"],
                Language::Ja => ["シリアル番号", "名称", "別名", "期限", "失効"],
            };
            let rows: Vec<Vec<String>> = Authority::open(&folder.dir)?
                .issued()?
                .into_iter()
                .map(|i| {
                    let revoked = i.revoked.map(|(at, reason)| format!("{} {reason:?}", day_of(at)));
                    vec![
                        i.serial,
                        i.name,
                        i.names.join(" "),
                        day_of(i.not_after),
                        revoked.unwrap_or_default(),
                    ]
                })
                .collect();
            Ok(table::render(&headings, &rows))
        }
    }
}

/// A file of this name, which may not lead elsewhere.
fn file(out: &Path, name: &str, extension: &str) -> anyhow::Result<PathBuf> {
    if name.is_empty() || name.contains(['/', '\\', '\0']) || name.starts_with('.') {
        return Err(anyhow!("{name:?} cannot be the name of a file"));
    }
    let path = out.join(format!("{name}.{extension}"));
    match path.exists() {
        true => Err(anyhow!("{} is there already", path.display())),
        false => Ok(path),
    }
}

fn wrote(language: Language, paths: &[&Path]) -> String {
    let all: Vec<String> = paths.iter().map(|p| p.display().to_string()).collect();
    match language {
        Language::En => format!("written: {}\n", all.join(", ")),
        Language::Ja => format!("作成しました: {}\n", all.join("、")),
    }
}
