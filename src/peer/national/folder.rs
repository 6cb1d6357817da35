//! The way of the 資格確認端末: request files put into a folder under a temporary name and then renamed, result files
//! found by the identifier in them (national-service, 6.1).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::shape::{self, Prepared};
use super::{Answer, Call, PortError};
use crate::config::EgressConfig;
use crate::config::mapping::Mapping;
use crate::model::national::{Class, Op};

/// Added to the name of a result that has been read.
const READ: &str = "read";
/// How long a result that has been read is kept: a gateway may die before it has written down what it said.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

pub struct Folder {
    requests: PathBuf,
    results: PathBuf,
    poll: Duration,
    patience: Duration,
    mapping: Arc<Mapping>,
}

impl Folder {
    pub fn new(egress: &EgressConfig, mapping: Arc<Mapping>) -> Result<Self, PortError> {
        Ok(Self {
            requests: egress.request_folder.clone().ok_or(PortError::Missing("request_folder"))?,
            results: egress.result_folder.clone().ok_or(PortError::Missing("result_folder"))?,
            poll: Duration::from_millis(egress.folder_poll_ms),
            patience: Duration::from_secs(egress.folder_timeout_seconds),
            mapping,
        })
    }

    pub fn address(&self) -> String {
        format!("folder:{}", self.requests.display())
    }

    pub async fn call(&self, call: &Call) -> Answer {
        match self.asked(call).await {
            Ok(answer) => answer,
            // Nothing was put there, or nobody can look: both pass.
            Err(e) => {
                Answer::transient(format!("the folder cannot be used: {}", e.kind()), call.op == Op::Result)
            }
        }
    }

    async fn asked(&self, call: &Call) -> io::Result<Answer> {
        if call.op == Op::Result {
            return self.result(call).await;
        }
        let name = self.name(call);
        let prepared = match shape::request(&self.mapping, call) {
            Ok(prepared) => prepared,
            Err(e) => {
                return Ok(Answer::Failed {
                    class: Class::Permanent,
                    why: e.to_string(),
                    after: None,
                    unsure: false,
                });
            }
        };
        self.put(&name, prepared).await?;
        let until = Instant::now() + self.patience;
        loop {
            if let Some(answer) = self.look(call).await? {
                return Ok(answer);
            }
            if Instant::now() >= until {
                // The terminal has it, or will: its result is looked for later.
                return Ok(Answer::Processing {
                    receipt: None,
                    again_after: Some(self.poll.as_secs().max(2)),
                });
            }
            sleep(self.poll).await;
        }
    }

    /// What came of a call: its result, that it still lies there, or that nobody knows of it.
    async fn result(&self, call: &Call) -> io::Result<Answer> {
        if let Some(answer) = self.look(call).await? {
            return Ok(answer);
        }
        let mut names = tokio::fs::read_dir(&self.requests).await?;
        while let Some(file) = names.next_entry().await? {
            let name = file.file_name().to_string_lossy().into_owned();
            if !name.starts_with('.') && name.contains(&call.key) {
                return Ok(Answer::Processing { receipt: None, again_after: None });
            }
        }
        Ok(Answer::Unknown)
    }

    fn name(&self, call: &Call) -> String {
        format!("{}_{}.json", call.op, call.key)
    }

    async fn put(&self, name: &str, prepared: Prepared) -> io::Result<()> {
        let (folder, name) = (self.requests.clone(), name.to_owned());
        let written = move || -> io::Result<()> {
            let temporary = folder.join(format!(".{name}.tmp"));
            let mut file = std::fs::File::create(&temporary)?;
            io::Write::write_all(&mut file, &prepared.body)?;
            file.sync_all()?;
            std::fs::rename(&temporary, folder.join(&name))?;
            std::fs::File::open(&folder)?.sync_all()
        };
        tokio::task::spawn_blocking(written).await.map_err(io::Error::other)?
    }

    /// Looks for the result of a call among the files there.
    async fn look(&self, call: &Call) -> io::Result<Option<Answer>> {
        let mut names = tokio::fs::read_dir(&self.results).await?;
        while let Some(file) = names.next_entry().await? {
            let path = file.path();
            let Some(name) = path.file_name().and_then(|n| n.to_str()) else { continue };
            if name.starts_with('.') || !(name.ends_with(".json") || name.ends_with(READ)) {
                continue;
            }
            self.forget_old(&path, name).await;
            let Ok(bytes) = tokio::fs::read(&path).await else { continue };
            // A file that is still being written is no JSON yet.
            let Ok(read) = serde_json::from_slice::<Value>(&bytes) else { continue };
            if said_key(&read, &self.mapping).as_deref() != Some(call.key.as_str()) {
                continue;
            }
            if name.ends_with(".json") {
                let _ = tokio::fs::rename(&path, path.with_extension(READ)).await;
            }
            return Ok(Some(shape::read_answer(&self.mapping, call.op, &read)));
        }
        Ok(None)
    }

    async fn forget_old(&self, path: &Path, name: &str) {
        if name.ends_with(READ)
            && let Ok(meta) = tokio::fs::metadata(path).await
            && let Ok(age) = meta.modified().map(|at| at.elapsed().unwrap_or_default())
            && age > KEPT
        {
            let _ = tokio::fs::remove_file(path).await;
        }
    }
}

/// The key in a result: where the mapping's envelope puts it in a request.
fn said_key(read: &Value, mapping: &Mapping) -> Option<String> {
    let (pointer, _) = mapping.envelope.iter().find(|(_, template)| template.as_str() == "{key}")?;
    read.pointer(pointer)?.as_str().map(str::to_owned)
}
