//! The scoreboard: how each community and repository does.

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::breaker::Seen;
use super::directory::Directory;
use super::line::Line;
use crate::model::community::{CorrelateBy, Step};

/// All of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scoreboard {
    pub communities: Vec<Standing>,
    pub repositories: Vec<Standing>,
    /// What is wrong with the file of communities; the directory before it is in force.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<String>,
}

/// One of them. Counts are since the start of the program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    pub id: String,
    /// homeCommunityId, or repositoryUniqueId.
    pub home: String,
    pub name: String,
    /// `iti38` …
    pub endpoints: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlate: Option<CorrelateBy>,
    pub breaker: BreakerState,
    pub failures_in_a_row: u64,
    /// Until it is tried again.
    pub open_for_ms: u64,
    pub under_way: usize,
    pub at_once: usize,
    pub answered: u64,
    /// Failures by step, those that happened.
    pub failed: Vec<(Step, u64)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_answer_seconds_ago: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_answer_took_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<LastFailure>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastFailure {
    pub seconds_ago: u64,
    pub step: Step,
    pub detail: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BreakerState {
    Closed,
    HalfOpen,
    Open,
}

impl BreakerState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half-open",
            Self::Open => "open",
        }
    }
}

impl Directory {
    pub fn scoreboard(&self) -> Scoreboard {
        let listed = self.now();
        let communities = listed.members.iter().map(|m| Standing {
            id: m.community.id.clone(),
            home: m.home(),
            name: m.community.name.clone(),
            endpoints: m.community.endpoints.iter().map(|(key, _)| (*key).to_owned()).collect(),
            correlate: Some(m.community.correlate),
            ..of_line(&m.line)
        });
        let repositories = listed.foreign.iter().map(|f| Standing {
            id: f.config.id.clone(),
            home: f.config.unique_id.clone(),
            name: f.config.id.clone(),
            endpoints: vec!["iti43".into()],
            ..of_line(&f.line)
        });
        Scoreboard {
            communities: communities.collect(),
            repositories: repositories.collect(),
            faults: self.faults().iter().map(ToString::to_string).collect(),
        }
    }
}

fn of_line(line: &Line) -> Standing {
    let now = Instant::now();
    let (breaker, failures_in_a_row, open_for_ms) = match line.breaker_seen(now) {
        Seen::Closed { failures } => (BreakerState::Closed, failures, 0),
        Seen::HalfOpen => (BreakerState::HalfOpen, 0, 0),
        Seen::Open { left } => (BreakerState::Open, 0, u64::try_from(left.as_millis()).unwrap_or(u64::MAX)),
    };
    let (under_way, at_once) = line.load();
    let figures = line.figures();
    let ago = |at: Instant| now.saturating_duration_since(at).as_secs();
    Standing {
        id: String::new(),
        home: String::new(),
        name: String::new(),
        endpoints: vec![],
        correlate: None,
        breaker,
        failures_in_a_row,
        open_for_ms,
        under_way,
        at_once,
        answered: figures.answered,
        failed: Step::ALL.into_iter().zip(figures.failed).filter(|(_, count)| *count > 0).collect(),
        last_answer_seconds_ago: figures.last_answer.map(ago),
        last_answer_took_ms: figures
            .last_took
            .map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX)),
        last_failure: figures.last_failure.as_ref().map(|(at, trouble)| LastFailure {
            seconds_ago: ago(*at),
            step: trouble.step,
            detail: trouble.detail.clone(),
        }),
    }
}
