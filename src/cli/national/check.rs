//! `chiren national check`: the checks made before anything is sent, for those who write hospital systems.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use serde_json::{Value, json};

use crate::cli::{failed, print};
use crate::clins::bundle::Kind;
use crate::clins::check::{Checker, Mode, Options};
use crate::clins::finding::{Finding, passes};
use crate::config::Language;

/// Something forbids sending, as in the other commands that look for faults.
const FAULTS: u8 = 4;

pub const EXAMPLES: &str = "The rules are read from FHIR packages as their publisher gives them out: JP-CLINS and what it depends on (.tgz, or
folders of the files inside). What is found shows values, which are a patient's. Nothing is sent, no configuration read.

Exit status: 0 nothing forbids sending, 1 a file cannot be used, 4 something does.

Examples:
  chiren national check letter.json --packages /var/lib/chiren/packages
  chiren --lang ja national check *.json --packages jp-clins.tgz --packages jp-core.tgz
  chiren national check unit.json --packages packages --mode published --json";

#[derive(Debug, Args)]
pub struct Arguments {
    /// Bundles, or single resources, as FHIR JSON
    #[arg(required = true)]
    files: Vec<PathBuf>,

    /// Package or folder of packages; may be repeated
    #[arg(
        long,
        required = true,
        value_name = "PATH",
        env = "CHIREN_NATIONAL_PACKAGES",
        value_delimiter = ':'
    )]
    packages: Vec<PathBuf>,

    /// How the rules are read: `intended` as settled where they contradict themselves, `published` word by word
    #[arg(long, value_parser = mode, default_value = "intended")]
    mode: Mode,

    /// The kind it must be: clins, ereferral, edischarge, epcs or echeckup [default: what it says itself]
    #[arg(long, value_parser = kind)]
    kind: Option<Kind>,

    /// Print the findings as JSON, one a line
    #[arg(long)]
    json: bool,
}

fn mode(text: &str) -> Result<Mode, String> {
    Mode::find(text).ok_or_else(|| "intended or published".to_owned())
}

fn kind(text: &str) -> Result<Kind, String> {
    Kind::find(text).ok_or_else(|| "clins, ereferral, edischarge, epcs or echeckup".to_owned())
}

pub fn run(arguments: &Arguments, language: Language) -> ExitCode {
    match check(arguments, language) {
        Ok((text, good)) => match print(&text) {
            ExitCode::SUCCESS if !good => ExitCode::from(FAULTS),
            code => code,
        },
        Err(error) => failed(&error),
    }
}

fn check(arguments: &Arguments, language: Language) -> anyhow::Result<(String, bool)> {
    let checker = Checker::load(&arguments.packages).context("the packages cannot be used")?;
    for bad in checker.unreadable() {
        eprintln!(
            "{}",
            match language {
                Language::En => format!(
                    "warning: {} of {} is no expression ({}): not checked",
                    bad.key, bad.profile, bad.why
                ),
                Language::Ja =>
                    format!("警告: {} ({}) の式が読めないため検査しません: {}", bad.key, bad.profile, bad.why),
            }
        );
    }
    let mut text = String::new();
    let mut good = true;
    if !arguments.json {
        // Folders of code systems and value sets alone are no editions.
        for package in checker.packages().iter().filter(|p| p.structures > 0) {
            let version = if package.version.is_empty() { "" } else { " " };
            let _ = writeln!(
                text,
                "# {}{version}{}: {} {}",
                package.name,
                package.version,
                package.structures,
                match language {
                    Language::En => "StructureDefinitions",
                    Language::Ja => "件の StructureDefinition",
                }
            );
        }
    }
    for file in &arguments.files {
        let bytes = std::fs::read(file).with_context(|| file.display().to_string())?;
        let findings = checker.check(&bytes, Options { mode: arguments.mode, kind: arguments.kind });
        good &= passes(&findings);
        match arguments.json {
            true => findings.iter().for_each(|f| text.push_str(&(as_json(file, f).to_string() + "\n"))),
            false => text.push_str(&as_text(file, &findings, language)),
        }
    }
    Ok((text, good))
}

fn as_text(file: &Path, findings: &[Finding], language: Language) -> String {
    let errors = findings.iter().filter(|f| f.is_error()).count();
    let warnings = findings.len() - errors;
    let mut text = match language {
        Language::En => format!("{}: {errors} errors, {warnings} warnings\n", file.display()),
        Language::Ja => format!("{}: エラー {errors} 件、警告 {warnings} 件\n", file.display()),
    };
    for finding in findings {
        let weight = match (finding.is_error(), language) {
            (true, Language::En) => "error",
            (true, Language::Ja) => "エラー",
            (false, Language::En) => "warning",
            (false, Language::Ja) => "警告",
        };
        let rule = match &finding.label {
            Some(label) => format!("{label} {}", finding.rule),
            None => finding.rule.clone(),
        };
        let (message, hint, do_it, value) = match language {
            Language::En => (&finding.message, &finding.hint, "to do", "value"),
            Language::Ja => (&finding.message_ja, &finding.hint_ja, "対処", "値"),
        };
        let _ = writeln!(text, "  {weight} {rule}\n    {}\n    {message}", finding.path);
        if let Some(found) = &finding.value {
            let _ = writeln!(text, "    {value}: {}", found.escape_debug());
        }
        let _ = writeln!(text, "    {do_it}: {hint}");
    }
    text
}

/// A finding for programs: what docs/preflight.md lists.
fn as_json(file: &Path, finding: &Finding) -> Value {
    json!({
        "file": file.display().to_string(),
        "rule": finding.rule,
        "label": finding.label,
        "severity": if finding.is_error() { "error" } else { "warning" },
        "layer": finding.layer.name(),
        "path": finding.path,
        "value": finding.value,
        "message": finding.message,
        "message_ja": finding.message_ja,
        "hint": finding.hint,
        "hint_ja": finding.hint_ja,
        "profile": finding.profile,
    })
}
