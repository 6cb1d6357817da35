//! The folder way (national-service.md §6.1): a request file is taken from `req`, and its result file laid into `res`,
//! whole or not at all. Both are matched by ArbitraryFileIdentifier, which stands in the file; the name of a request file
//! is its operation, anything, and `.json`: `info.register_k1.json`. What is being written has another ending.
//!
//! Names and layout are the project's own (national-service.md §6.2: not public).

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio_util::task::AbortOnDropHandle;

use super::contract::{Code, Op};
use super::engine::{Call, Engine};
use super::envelope::Answer;
use super::fault::Mode;
use super::json::sha256;

/// How often the folder is looked into.
const EVERY: Duration = Duration::from_millis(100);

/// Looks into the folder until dropped.
pub struct Folder {
    _task: AbortOnDropHandle<()>,
}

impl Folder {
    pub fn watch(dir: &Path, engine: Arc<Engine>) -> io::Result<Folder> {
        let (requests, results, taken) = (dir.join("req"), dir.join("res"), dir.join("done"));
        for folder in [&requests, &results, &taken] {
            fs::create_dir_all(folder)?;
        }
        let task = tokio::spawn(async move {
            loop {
                let (requests, results, taken, engine) =
                    (requests.clone(), results.clone(), taken.clone(), engine.clone());
                let looked =
                    tokio::task::spawn_blocking(move || take_all(&requests, &results, &taken, &engine)).await;
                if let Ok(Err(error)) = looked {
                    tracing::warn!(%error, "the folder cannot be worked on");
                }
                tokio::time::sleep(EVERY).await;
            }
        });
        Ok(Folder { _task: AbortOnDropHandle::new(task) })
    }
}

fn take_all(requests: &Path, results: &Path, taken: &Path, engine: &Engine) -> io::Result<()> {
    let mut files: Vec<PathBuf> = fs::read_dir(requests)?.flatten().map(|e| e.path()).collect();
    files.retain(|p| p.extension().is_some_and(|e| e == "json") && p.is_file());
    files.sort();
    for file in files {
        take(&file, results, taken, engine)?;
    }
    Ok(())
}

/// Works on one file. It is moved away only after its result is on the disk: taken again after a crash, it is answered
/// again as the same key is.
fn take(file: &Path, results: &Path, taken: &Path, engine: &Engine) -> io::Result<()> {
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let bytes = fs::read(file)?;
    let header = |pointer: &str| {
        let read: Option<Value> = serde_json::from_slice(&bytes).ok();
        read.and_then(|v| v.pointer(pointer)?.as_str().map(str::to_owned)).unwrap_or_default()
    };
    let (institution, key) =
        (header("/MessageHeader/MedicalInstitutionCode"), header("/MessageHeader/ArbitraryFileIdentifier"));
    let op = name.split('_').next().and_then(Op::named);
    let op_name = op.map(|o| o.name).unwrap_or_default();
    let strike = |modes: &[Mode]| engine.faults.strike(modes, op_name, &institution, engine.now());
    if strike(&[Mode::DropRequest]).is_some() {
        return fs::rename(file, taken.join(&name));
    }
    let answer = match op {
        None => Answer::saying(Code::NoOperation, "the file's name begins with no operation"),
        Some(op) => engine.call(op, &bytes, &institution).1,
    };
    engine.remember(Call {
        at: engine.now(),
        institution: institution.clone(),
        op: format!("{op_name} (folder)"),
        key: key.clone(),
        unit: String::new(),
        code: answer.code.as_str().to_owned(),
        replayed: answer.replayed,
        fault: None,
        milliseconds: 0,
    });
    if strike(&[Mode::DropResponse]).is_none() {
        let written = answer.write(&institution, &key, engine.now());
        lay(results, &result_name(op_name, &key, &name), written.as_bytes())?;
    }
    fs::rename(file, taken.join(&name))
}

/// `info.register_k1.res.json`. A key that is no file name is replaced by its hash.
fn result_name(op: &str, key: &str, request: &str) -> String {
    let plain = !key.is_empty()
        && key.len() <= 100
        && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    match (op, plain) {
        ("", _) => format!("{}.res.json", request.trim_end_matches(".json")),
        (op, true) => format!("{op}_{key}.res.json"),
        (op, false) => format!("{op}_{}.res.json", sha256(key.as_bytes())),
    }
}

/// Under a temporary name first, then renamed: a reader sees all of it or nothing.
fn lay(dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let hidden = dir.join(format!(".{name}.tmp"));
    let mut file = fs::File::create(&hidden)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&hidden, dir.join(name))?;
    fs::File::open(dir)?.sync_all()
}
