//! How well the MPI's matching works, and how fast.
//!
//! `cargo bench --bench matching` measures the speed. With arguments it evaluates (docs/matching.md):
//!
//! ```text
//! cargo bench --bench matching -- evaluate --persons 57000
//! cargo bench --bench matching -- evaluate --csv registrations.csv
//! cargo bench --bench matching -- write --persons 57000 --csv registrations.csv
//! ```

mod csv;
mod evaluate;
mod speed;

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use chiren::matching::Model;
use chiren::synthetic::population::{Population, Settings};

/// As in the program itself.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Options `--name value`.
struct Options(BTreeMap<String, String>);

impl Options {
    fn number<T: std::str::FromStr>(&self, name: &str, otherwise: T) -> anyhow::Result<T> {
        match self.0.get(name) {
            Some(value) => value.parse().ok().with_context(|| format!("--{name} {value}: not a number")),
            None => Ok(otherwise),
        }
    }

    fn settings(&self) -> anyhow::Result<Settings> {
        Ok(Settings {
            seed: self.number("seed", 1)?,
            persons: self.number("persons", 5700)?,
            planted: self.number("planted", 0)?,
            errors: self.number("errors", 1.0)?,
        })
    }

    /// The shipped model, another from a file, with other thresholds.
    fn model(&self) -> anyhow::Result<Model> {
        let model = match self.0.get("model") {
            Some(path) => {
                serde_json::from_str(&std::fs::read_to_string(path).with_context(|| path.clone())?)?
            }
            None => Model::shipped(),
        };
        let mut thresholds = model.thresholds();
        thresholds.link = self.number("link", thresholds.link)?;
        thresholds.review = self.number("review", thresholds.review)?;
        thresholds.margin = self.number("margin", thresholds.margin)?;
        thresholds.namesakes = self.number("namesakes", thresholds.namesakes)?;
        thresholds.namesakes_elsewhere = self.number("elsewhere", thresholds.namesakes_elsewhere)?;
        thresholds.namesakes_all_else = self.number("all_else", thresholds.namesakes_all_else)?;
        Ok(model.with_thresholds(thresholds))
    }
}

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    if std::env::args().any(|a| a == "--test") || !std::env::args().any(|a| a == "--bench") {
        // A build that only wants to see it start.
        return Ok(());
    }
    let mut options = BTreeMap::new();
    let (command, rest) = match arguments.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("speed", [].as_slice()),
    };
    for pair in rest.chunks(2) {
        match pair {
            [name, value] if name.starts_with("--") => options.insert(name[2..].to_owned(), value.clone()),
            _ => bail!("{pair:?}: options are --name value"),
        };
    }
    let options = Options(options);
    match command {
        "speed" => speed::run(),
        "evaluate" => match options.0.get("csv") {
            Some(path) => evaluate::run(&options.model()?, csv::read(path)?, &options.0),
            None => {
                let population = Population::generate(options.settings()?);
                let registrations = population.registrations().map(evaluate::Row::of);
                evaluate::run(&options.model()?, registrations.collect(), &options.0)
            }
        },
        "write" => {
            let path = options.0.get("csv").context("--csv tells where to")?;
            csv::write(path, &Population::generate(options.settings()?))
        }
        other => bail!("{other}: evaluate, write, or nothing for the speed"),
    }
}
