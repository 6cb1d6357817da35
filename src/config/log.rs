//! `[log]`: what is written about our own work. Never patient data.

use serde::{Deserialize, Serialize};

use super::fault::{Fault, Faults, Language};
use super::section::section;

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Text,
    Json,
}

section! {
    /// The log, on standard error. It never holds patient data.
    pub struct LogConfig {
        /// `text` for people, `json` for collectors.
        format: LogFormat = LogFormat::Text,
        /// `error`, `warn`, `info`, `debug` or `trace`; or per room, as in
        /// `info,chiren::server=debug`.
        level: String = "info".into(),
        /// The language of sentences for operators: `en` or `ja`.
        language: Language = Language::En,
    }
}

impl LogConfig {
    pub(super) fn check(&self, list: &mut Vec<Fault>) {
        let mut faults = Faults::of("log", list);
        let known = |word: &str| {
            matches!(
                word.trim().to_ascii_lowercase().as_str(),
                "off" | "error" | "warn" | "info" | "debug" | "trace"
            )
        };
        let well_formed = self.level.split(',').all(|part| match part.split_once('=') {
            Some((target, level)) => !target.trim().is_empty() && known(level),
            None => known(part),
        });
        if !well_formed {
            faults.add(
                "level",
                format!(
                    "{:?} is not a level such as info, or a list such as info,chiren::server=debug",
                    self.level
                ),
                format!(
                    "{:?} は正しいレベルではありません（例: info、info,chiren::server=debug）",
                    self.level
                ),
            );
        }
    }
}
