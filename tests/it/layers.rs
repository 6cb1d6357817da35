//! The floors: no room imports a room its row in `src/lib.rs` does not name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Room → rooms it may import; `None` for all.
type Table = BTreeMap<String, Option<Vec<String>>>;

/// The table as `src/lib.rs` has it.
fn table(text: &str) -> Table {
    let mut table = Table::new();
    for line in text.lines().filter_map(|l| l.strip_prefix("//! |")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [rooms, imports, ..] = cells[..] else { continue };
        if rooms == "room" || rooms.starts_with("---") {
            continue;
        }
        let names = |cell: &str| cell.split(',').map(|n| n.trim().to_owned()).collect::<Vec<_>>();
        let allowed = match imports {
            "all" => None,
            "—" => Some(vec![]),
            list => Some(names(list)),
        };
        for room in names(rooms) {
            table.insert(room, allowed.clone());
        }
    }
    table
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// The rooms a line of code names: `crate::room`, and each of `crate::{a, b::c}`.
fn named(line: &str) -> Vec<String> {
    let mut rooms = vec![];
    for (at, _) in line.match_indices("crate::") {
        if line[..at].ends_with('$') {
            continue;
        }
        let rest = &line[at + "crate::".len()..];
        let word = |text: &str| -> String {
            text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
        };
        match rest.strip_prefix('{') {
            None => rooms.push(word(rest)),
            Some(list) => {
                let mut depth = 0;
                let mut start = true;
                for (i, c) in list.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => {
                            start = true;
                            continue;
                        }
                        _ => {}
                    }
                    if start && !c.is_whitespace() {
                        rooms.push(word(&list[i..]));
                        start = false;
                    }
                }
            }
        }
    }
    rooms.retain(|r| !r.is_empty());
    rooms
}

#[test]
fn no_room_imports_from_above() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let table = table(&std::fs::read_to_string(src.join("lib.rs")).unwrap());
    assert!(table.len() >= 10, "the table of src/lib.rs was not understood: {table:?}");
    let mut files = vec![];
    sources(&src, &mut files);
    let mut wrong = vec![];
    for file in files {
        let path = file.strip_prefix(&src).unwrap();
        // Tests may reach anywhere: only what ships has floors.
        let tests = path.ends_with("tests.rs") || path.components().any(|c| c.as_os_str() == "tests");
        if path == Path::new("lib.rs") || tests {
            continue;
        }
        let first = Path::new(path.components().next().unwrap().as_os_str());
        let room = first.file_stem().unwrap().to_str().unwrap();
        let Some(allowed) = table.get(room) else {
            wrong.push(format!("{}: the table of src/lib.rs has no row for room {room}", path.display()));
            continue;
        };
        let Some(allowed) = allowed else { continue };
        for (n, line) in std::fs::read_to_string(&file).unwrap().lines().enumerate() {
            if line == "#[cfg(test)]" {
                break;
            }
            let code = line.split("//").next().unwrap_or_default();
            for other in named(code) {
                if other != room && table.contains_key(&other) && !allowed.contains(&other) {
                    wrong.push(format!(
                        "src/{}:{}: {room} must not import {other}: {}",
                        path.display(),
                        n + 1,
                        line.trim()
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn imports_are_seen_however_written() {
    assert_eq!(named("use crate::model::codes::Code;"), ["model"]);
    assert_eq!(named("pub(crate) use crate::{model::{a, b}, store};"), ["model", "store"]);
    assert_eq!(named("let x: crate::service::X = crate::wire::y();"), ["service", "wire"]);
    assert_eq!(named("$crate::config::x"), [""; 0]);
}
