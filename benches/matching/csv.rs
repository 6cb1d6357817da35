//! Registrations as a table: for splink, and for data of others.
//!
//! A line a registration, with a header. Columns by their names, in any order, all but the first three may be missing:
//! `person` (who it is: the truth), `facility`, `id`, `family_kanji`, `given_kanji`, `family_kana`, `given_kana`,
//! `birth_date`, `sex`, `postal_code`, `address`, `phone` (several with `|`), `insurer`, `symbol`, `number`, `branch`,
//! `alias_family_kanji`, `alias_given_kanji`, `alias_family_kana`, `alias_given_kana`, `birth_order`.

use std::collections::HashMap;
use std::io::{BufWriter, Write as _};

use anyhow::{Context as _, bail};
use chiren::matching::Features;
use chiren::model::identity::{
    Address, Demographics, Insurance, NameScript, NameUse, PersonName, Phone, PhoneUse,
};
use chiren::synthetic::population::{Kinds, Population, Truth};

use crate::evaluate::Row;

const COLUMNS: [&str; 21] = [
    "person",
    "facility",
    "id",
    "family_kanji",
    "given_kanji",
    "family_kana",
    "given_kana",
    "birth_date",
    "sex",
    "postal_code",
    "address",
    "phone",
    "insurer",
    "symbol",
    "number",
    "branch",
    "alias_family_kanji",
    "alias_given_kanji",
    "alias_family_kana",
    "alias_given_kana",
    "birth_order",
];

pub fn write(path: &str, population: &Population) -> anyhow::Result<()> {
    let mut out = BufWriter::new(std::fs::File::create(path).with_context(|| path.to_owned())?);
    writeln!(out, "{}", COLUMNS.join(","))?;
    for registration in population.registrations() {
        let d = &registration.demographics;
        let name = |script: NameScript, usage: NameUse| registration.name(script, usage);
        let kanji = name(NameScript::Ideographic, NameUse::Legal);
        let kana = name(NameScript::Phonetic, NameUse::Legal);
        let alias_kanji = name(NameScript::Ideographic, NameUse::Alias);
        let alias_kana = name(NameScript::Phonetic, NameUse::Alias);
        let address = d.addresses.iter().flatten().next().cloned().unwrap_or_default();
        let phones: Vec<String> = d.phones.iter().flatten().map(|p| p.number.clone()).collect();
        let card = d.insurances.iter().flatten().next().cloned().unwrap_or_default();
        let values = [
            registration.truth.person.to_string(),
            registration.truth.facility.to_string(),
            registration.id.clone(),
            kanji.0,
            kanji.1,
            kana.0,
            kana.1,
            d.birth_date.clone().unwrap_or_default(),
            d.sex.clone().unwrap_or_default(),
            address.postal_code,
            address.text,
            phones.join("|"),
            card.insurer,
            card.symbol,
            card.number,
            card.branch.unwrap_or_default(),
            alias_kanji.0,
            alias_kanji.1,
            alias_kana.0,
            alias_kana.1,
            d.birth_order.map(|o| o.to_string()).unwrap_or_default(),
        ];
        writeln!(out, "{}", values.map(|v| quoted(&v)).join(","))?;
    }
    Ok(out.flush()?)
}

fn quoted(value: &str) -> String {
    match value.contains([',', '"', '\n']) {
        true => format!("\"{}\"", value.replace('"', "\"\"")),
        false => value.to_owned(),
    }
}

pub fn read(path: &str) -> anyhow::Result<Vec<Row>> {
    let text = std::fs::read_to_string(path).with_context(|| path.to_owned())?;
    let mut lines = text.lines();
    let header = fields(lines.next().context("no header")?.trim_start_matches('\u{FEFF}'));
    let at: HashMap<&str, usize> = header.iter().enumerate().map(|(n, name)| (name.as_str(), n)).collect();
    for needed in &COLUMNS[..2] {
        if !at.contains_key(needed) {
            bail!("{path}: no column {needed}");
        }
    }
    let mut persons: HashMap<String, u32> = HashMap::new();
    let mut facilities: HashMap<String, u16> = HashMap::new();
    let mut rows = vec![];
    for line in lines.filter(|l| !l.is_empty()) {
        let values = fields(line);
        let value = |name: &str| at.get(name).and_then(|n| values.get(*n)).map_or("", String::as_str);
        let next = persons.len() as u32;
        let person = *persons.entry(value("person").to_owned()).or_insert(next);
        let next = facilities.len() as u16;
        let facility = *facilities.entry(value("facility").to_owned()).or_insert(next);
        let kinds = Kinds::default();
        let truth = Truth { person, facility, kinds, address: 0, family: 0, insurance: 0, phone: 0 };
        rows.push(Row {
            features: Features::of(&demographics(value)),
            domain: Population::domain(facility),
            truth,
        });
    }
    Ok(rows)
}

fn demographics<'a>(value: impl Fn(&str) -> &'a str) -> Demographics {
    let mut names = vec![];
    for (prefix, usage) in [("", NameUse::Legal), ("alias_", NameUse::Alias)] {
        for (script, column) in [(NameScript::Ideographic, "kanji"), (NameScript::Phonetic, "kana")] {
            let family = value(&format!("{prefix}family_{column}")).to_owned();
            let given = value(&format!("{prefix}given_{column}")).to_owned();
            if !family.is_empty() || !given.is_empty() {
                names.push(PersonName {
                    family,
                    given,
                    script: Some(script),
                    usage,
                    ..PersonName::default()
                });
            }
        }
    }
    let some = |name: &str| Some(value(name).to_owned()).filter(|v| !v.is_empty());
    let address = Address {
        text: value("address").to_owned(),
        postal_code: value("postal_code").to_owned(),
        ..Address::default()
    };
    let phones = value("phone").split('|').filter(|p| !p.is_empty());
    let card = Insurance {
        insurer: value("insurer").to_owned(),
        symbol: value("symbol").to_owned(),
        number: value("number").to_owned(),
        branch: some("branch"),
    };
    Demographics {
        names: Some(names),
        birth_date: some("birth_date"),
        sex: some("sex"),
        addresses: Some(vec![address]),
        phones: Some(phones.map(|p| Phone { number: p.to_owned(), usage: PhoneUse::Other }).collect()),
        insurances: Some(vec![card]),
        birth_order: value("birth_order").parse().ok(),
        ..Demographics::default()
    }
}

/// The values of a line; quotes around a value, doubled inside.
fn fields(line: &str) -> Vec<String> {
    let mut values = vec![String::new()];
    let mut quoted = false;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        let last = values.len() - 1;
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                values[last].push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => values.push(String::new()),
            '\r' => {}
            c => values[last].push(c),
        }
    }
    values
}
