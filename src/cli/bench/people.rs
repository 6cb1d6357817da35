//! Patients in a table as `chiren mpi import` reads it, one a line: who is fed and asked for. And the making of
//! such a table.

use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::mpi::import::{COLUMNS, of_row};
use crate::cli::patient::csv;
use crate::model::identity::{Authority, Demographics, Feed, NameScript, NameUse, PhoneUse};
use crate::service::mpi::is_date;
use crate::synthetic::population::{Population, Registration, Settings};

/// `chiren bench population`.
#[derive(Debug, Args)]
pub struct Table {
    /// Persons of the region; each has about two registrations
    #[arg(long, default_value_t = 10_000)]
    persons: u64,

    /// Another number, another region
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Where to write the table
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Columns that are written.
const WRITTEN: [&str; 16] = [
    "domain",
    "id",
    "familyKanji",
    "givenKanji",
    "familyKana",
    "givenKana",
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

impl Table {
    /// Writes the table; returns the configuration that takes it.
    pub fn write(&self) -> std::io::Result<String> {
        let population = Population::generate(Settings::of(self.seed, self.persons));
        let mut out = BufWriter::new(File::create(&self.out)?);
        writeln!(out, "{}", WRITTEN.join(","))?;
        let mut facilities = std::collections::BTreeSet::new();
        let mut count = 0_u64;
        for registration in population.registrations() {
            facilities.insert(registration.truth.facility);
            writeln!(out, "{}", line(&registration))?;
            count += 1;
        }
        out.flush()?;
        let domains = facilities.into_iter().map(|f| {
            format!(
                "[[mpi.domain]]\nname = \"F{f}\"\noid = \"{}\"\nnamespace = \"F{f}\"\n",
                Population::domain(f)
            )
        });
        Ok(format!(
            "# {count} registrations of {} persons\n{}",
            self.persons,
            domains.collect::<Vec<_>>().join("\n")
        ))
    }
}

fn line(registration: &Registration) -> String {
    let d = &registration.demographics;
    let name = |script: NameScript| registration.name(script, NameUse::Legal);
    let phone = |mobile: bool| {
        let found = d.phones.iter().flatten().find(|p| (p.usage == PhoneUse::Mobile) == mobile);
        found.map(|p| p.number.clone()).unwrap_or_default()
    };
    let (kanji, kana) = (name(NameScript::Ideographic), name(NameScript::Phonetic));
    let address = d.addresses.iter().flatten().next().cloned().unwrap_or_default();
    let card = d.insurances.iter().flatten().next().cloned().unwrap_or_default();
    let values = [
        Population::domain(registration.truth.facility),
        registration.id.clone(),
        kanji.0,
        kanji.1,
        kana.0,
        kana.1,
        d.birth_date.clone().unwrap_or_default(),
        d.sex.clone().unwrap_or_default(),
        address.postal_code,
        address.text,
        phone(false),
        phone(true),
        card.insurer,
        card.symbol,
        card.number,
        card.branch.unwrap_or_default(),
    ];
    values.map(|v| quoted(&v)).join(",")
}

fn quoted(value: &str) -> String {
    match value.contains([',', '"']) {
        true => format!("\"{}\"", value.replace('"', "\"\"")),
        false => value.to_owned(),
    }
}

/// Somebody in the table.
#[derive(Debug, Clone)]
pub struct Patient {
    pub oid: String,
    pub id: String,
    pub known: Demographics,
}

impl Patient {
    /// Whether an index takes what is said of them: of invented birth dates one in a thousand is no date, and such
    /// lines are rejected.
    pub fn is_taken(&self) -> bool {
        self.known.birth_date.as_deref().is_none_or(is_date)
    }

    /// A name that can be asked for: kanji, or else kana.
    pub fn name(&self) -> Option<(&str, &str)> {
        let of = |script: NameScript| {
            let mut names = self.known.names.iter().flatten().filter(|n| n.usage == NameUse::Legal);
            names.find(|n| n.script == Some(script) && !n.family.is_empty() && !n.given.is_empty())
        };
        of(NameScript::Ideographic)
            .or_else(|| of(NameScript::Phonetic))
            .map(|n| (n.family.as_str(), n.given.as_str()))
    }
}

/// A table on disk, of which only the places of its lines are in memory.
pub struct People {
    file: File,
    header: String,
    /// Where lines begin, and where the last ends.
    at: Vec<u64>,
}

impl People {
    pub fn open(path: &Path) -> Result<Self, String> {
        let told = |e: std::io::Error| format!("{}: {e}", path.display());
        let mut reader = BufReader::with_capacity(1 << 20, File::open(path).map_err(told)?);
        let mut header = String::new();
        let mut place = reader.read_line(&mut header).map_err(told)? as u64;
        let mut at = vec![place];
        let mut text = vec![];
        loop {
            text.clear();
            let read = reader.read_until(b'\n', &mut text).map_err(told)?;
            if read == 0 {
                break;
            }
            place += read as u64;
            at.push(place);
        }
        if at.len() < 2 {
            return Err(format!("{}: no patient is there", path.display()));
        }
        Ok(Self { file: reader.into_inner(), header, at })
    }

    pub fn len(&self) -> u64 {
        self.at.len().saturating_sub(1) as u64
    }

    /// The patient of a line, counted from 0; none if the line cannot be read.
    pub fn get(&self, n: u64) -> Option<Patient> {
        let n = usize::try_from(n).ok()?;
        let (from, to) = (*self.at.get(n)?, *self.at.get(n + 1)?);
        let mut text = vec![0; usize::try_from(to - from).ok()?];
        self.file.read_exact_at(&mut text, from).ok()?;
        let text = format!("{}{}", self.header, String::from_utf8(text).ok()?);
        let (_, row) = csv::read(&text, &COLUMNS, &["id"]).ok()?.pop()?;
        let message = of_row(row, None, &Authority::default(), n as u64).ok()?;
        let Feed::Upsert { ids, sent } = message.feed else { return None };
        let id = ids.into_iter().next()?;
        let mut known = Demographics::default();
        sent.over(&mut known);
        let oid = id.authority.universal_id.or(id.authority.namespace).unwrap_or_default();
        Some(Patient { oid, id: id.value, known })
    }
}

/// What is wrong with the first line is likely wrong with the table.
pub fn checked(people: &People) -> Result<(), String> {
    match people.get(0) {
        Some(patient) if !patient.oid.is_empty() && patient.is_taken() => Ok(()),
        _ => Err("the table's first line is no patient with an id and a domain".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_read_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("people.csv");
        let table = Table { persons: 50, seed: 3, out: out.clone() };
        let configuration = table.write().unwrap();
        assert!(configuration.contains("[[mpi.domain]]"), "{configuration}");
        let people = People::open(&out).unwrap();
        checked(&people).unwrap();
        let population = Population::generate(Settings::of(3, 50));
        assert_eq!(people.len(), population.len() as u64);
        for (n, registration) in (0..).zip(population.registrations()) {
            let patient = people.get(n).unwrap();
            assert_eq!(patient.id, registration.id);
            assert_eq!(patient.known.birth_date, registration.demographics.birth_date);
            assert!(configuration.contains(&patient.oid));
        }
        assert!(people.get(people.len()).is_none());
    }
}
