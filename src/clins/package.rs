//! FHIR packages as their publishers give them out: `.tgz` (hl7.org/fhir/packages), or folders of the files inside.
//! They are read, never written, and nothing in them is changed.

use super::terminology::Terminology;
use crate::fhirpath::{Json, JsonError, JsonLimits};
use flate2::read::GzDecoder;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// What is loaded, as read.
#[derive(Default)]
pub struct Definitions {
    /// Canonical URL → StructureDefinitions, one per package that has it, in the order of loading.
    pub structures: BTreeMap<Box<str>, Vec<Structure>>,
    pub terminology: Terminology,
    /// Where from, in the order of loading.
    pub packages: Vec<Package>,
}

pub struct Structure {
    pub json: Json,
    /// Place in [`Definitions::packages`].
    pub package: usize,
}

/// A package by what its `package.json` says; a folder without one by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    pub name: String,
    pub version: String,
    pub path: PathBuf,
    pub structures: usize,
    pub code_systems: usize,
    pub value_sets: usize,
}

#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("{path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("{path}: {source}")]
    Json { path: PathBuf, source: JsonError },
    #[error("{path}: larger than {limit} bytes when unpacked")]
    TooLarge { path: PathBuf, limit: u64 },
    #[error("{0}: no StructureDefinition in it")]
    Nothing(PathBuf),
    #[error("{url}: no snapshot in the StructureDefinition; load a package that was built with snapshots")]
    NoSnapshot { url: String },
    #[error("{url}: element {element}: {what}")]
    Definition { url: String, element: String, what: String },
}

/// Of one file, and of all of a package unpacked: what is published is a tenth of it.
const FILE_LIMIT: u64 = 64 << 20;
const PACKAGE_LIMIT: u64 = 1 << 30;
/// Folders in folders.
const MAX_DEPTH: usize = 6;

impl Definitions {
    /// Loads packages and folders in the order given.
    pub fn load(paths: &[impl AsRef<Path>]) -> Result<Self, LoadError> {
        let mut me = Self::default();
        for path in paths {
            let path = path.as_ref();
            let before = me.structures.len();
            me.path(path, 0)?;
            if me.structures.len() == before && !me.packages.iter().any(|p| p.path.starts_with(path)) {
                return Err(LoadError::Nothing(path.to_owned()));
            }
        }
        me.terminology.expand();
        Ok(me)
    }

    fn path(&mut self, path: &Path, depth: usize) -> Result<(), LoadError> {
        let read = |source| LoadError::Read { path: path.to_owned(), source };
        if !fs::metadata(path).map_err(read)?.is_dir() {
            return if is_archive(path) { self.archive(path) } else { self.file(path) };
        }
        if depth > MAX_DEPTH {
            return Ok(());
        }
        let mut entries: Vec<PathBuf> = fs::read_dir(path)
            .map_err(read)?
            .map(|e| e.map(|e| e.path()))
            .collect::<Result<_, _>>()
            .map_err(read)?;
        entries.sort();
        let mut open = false;
        for entry in entries {
            let entry_read = |source| LoadError::Read { path: entry.clone(), source };
            if fs::metadata(&entry).map_err(entry_read)?.is_dir() || is_archive(&entry) {
                self.path(&entry, depth + 1)?;
                open = false;
            } else if is_data(&entry) {
                if !open {
                    self.begin(path, &fs::read(path.join("package.json")).unwrap_or_default());
                    open = true;
                }
                self.file(&entry)?;
            }
        }
        Ok(())
    }

    fn begin(&mut self, path: &Path, manifest: &[u8]) {
        let manifest = Json::parse(manifest).ok();
        let text = |name: &str| manifest.as_ref().and_then(|m| m.str(name)).map(str::to_owned);
        // A folder per resource type is a way to unpack, not a name.
        let by_type = |p: &&Path| {
            !["StructureDefinition", "CodeSystem", "ValueSet", "package"].iter().any(|n| p.ends_with(n))
        };
        let named = path.ancestors().find(by_type).unwrap_or(path);
        let folder = || named.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        self.packages.push(Package {
            name: text("name").unwrap_or_else(folder),
            version: text("version").unwrap_or_default(),
            path: path.to_owned(),
            structures: 0,
            code_systems: 0,
            value_sets: 0,
        });
    }

    fn file(&mut self, path: &Path) -> Result<(), LoadError> {
        let read = |source| LoadError::Read { path: path.to_owned(), source };
        if fs::metadata(path).map_err(read)?.len() > FILE_LIMIT {
            return Err(LoadError::TooLarge { path: path.to_owned(), limit: FILE_LIMIT });
        }
        if self.packages.is_empty() {
            self.begin(path, &[]);
        }
        self.bytes(path, &fs::read(path).map_err(read)?)
    }

    fn bytes(&mut self, path: &Path, bytes: &[u8]) -> Result<(), LoadError> {
        let parse = |bytes: &[u8]| {
            let limits = JsonLimits { depth: 256, ..JsonLimits::default() };
            Json::parse_within(bytes, limits)
                .map_err(|source| LoadError::Json { path: path.to_owned(), source })
        };
        if path.extension().is_some_and(|e| e == "ndjson") {
            for line in bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
                self.resource(parse(line)?);
            }
            return Ok(());
        }
        self.resource(parse(bytes)?);
        Ok(())
    }

    fn resource(&mut self, json: Json) {
        let at = self.packages.len().saturating_sub(1);
        let Some(package) = self.packages.last_mut() else { return };
        match json.str("resourceType") {
            Some("StructureDefinition") => {
                if let Some(url) = json.str("url") {
                    package.structures += 1;
                    let editions = self.structures.entry(url.into()).or_default();
                    if editions.iter().all(|s| s.package != at) {
                        editions.push(Structure { package: at, json });
                    }
                }
            }
            Some("CodeSystem") => {
                package.code_systems += 1;
                self.terminology.add(&json);
            }
            Some("ValueSet") => {
                package.value_sets += 1;
                self.terminology.add(&json);
            }
            _ => {}
        }
    }

    fn archive(&mut self, path: &Path) -> Result<(), LoadError> {
        let read = |source| LoadError::Read { path: path.to_owned(), source };
        let file = fs::File::open(path).map_err(read)?;
        let mut archive = tar::Archive::new(GzDecoder::new(file).take(PACKAGE_LIMIT));
        let mut files: Vec<(PathBuf, Vec<u8>)> = vec![];
        let mut manifest = vec![];
        let mut total = 0;
        for entry in archive.entries().map_err(read)? {
            let mut entry = entry.map_err(read)?;
            let name = entry.path().map_err(read)?.into_owned();
            total += entry.size();
            if entry.size() > FILE_LIMIT || total > PACKAGE_LIMIT {
                return Err(LoadError::TooLarge { path: path.join(name), limit: FILE_LIMIT });
            }
            // Definitions stand in `package/`; `other`, `openapi`, `example` hold none.
            let folder = name.parent().and_then(Path::file_name).is_some_and(|f| f == "package");
            if !entry.header().entry_type().is_file() || !folder {
                continue;
            }
            let mut bytes = vec![];
            if name.file_name().is_some_and(|n| n == "package.json") {
                entry.read_to_end(&mut manifest).map_err(read)?;
            } else if is_data(&name) {
                entry.read_to_end(&mut bytes).map_err(read)?;
                files.push((path.join(name), bytes));
            }
        }
        files.sort();
        self.begin(path, &manifest);
        for (name, bytes) in files {
            self.bytes(&name, &bytes)?;
        }
        Ok(())
    }

    /// `name#version` of the package a structure came with.
    pub fn origin(&self, structure: &Structure) -> String {
        self.packages.get(structure.package).map(|p| format!("{}#{}", p.name, p.version)).unwrap_or_default()
    }
}

fn is_archive(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "tgz") || path.to_string_lossy().ends_with(".tar.gz")
}

fn is_data(path: &Path) -> bool {
    let name = path.file_name().map(|n| n.to_string_lossy()).unwrap_or_default();
    let kinds = ["StructureDefinition", "CodeSystem", "ValueSet", "valuesets", "codesystems"];
    // Only definitions are read: packages hold thousands of examples, too. Publishers name files by resource type.
    (name.ends_with(".json") || name.ends_with(".ndjson")) && kinds.iter().any(|kind| name.starts_with(kind))
}
