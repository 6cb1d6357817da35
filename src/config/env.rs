//! The environment over the file: `CHIREN__SECTION__KEY=value`.
//!
//! A value that reads as a TOML boolean, integer, quoted string or array is taken as that; all
//! else is a string, so `CHIREN__REPOSITORY__UNIQUE_ID=1.2.392.1` needs no quotes. Lists of
//! tables are reached by index: `CHIREN__LISTENER__0__ADDRESS`.

use toml::{Table, Value};

use super::fault::Fault;

pub const PREFIX: &str = "CHIREN__";

/// Lays the variables of ours among `vars` over `table`; answers whether there were any.
pub fn overlay(
    table: &mut Table,
    vars: impl IntoIterator<Item = (String, String)>,
) -> Result<bool, Vec<Fault>> {
    let mut faults = vec![];
    // Sorted, so that list entries appear in the order of their index whatever the environment's.
    let mut ours: Vec<(Vec<String>, String, String)> = vars
        .into_iter()
        .filter_map(|(name, value)| {
            let path = name.strip_prefix(PREFIX)?.split("__").map(str::to_lowercase).collect();
            Some((path, name, value))
        })
        .collect();
    ours.sort_by_key(|(path, ..)| {
        path.iter().map(|p| (p.parse::<u32>().ok(), p.clone())).collect::<Vec<_>>()
    });
    for (path, name, value) in &ours {
        if path.iter().any(String::is_empty) || !set(table, path, parse(value)) {
            faults.push(Fault::new(
                name.clone(),
                "the variable names no place in the configuration",
                "環境変数に対応する設定項目がありません",
            ));
        }
    }
    if faults.is_empty() { Ok(!ours.is_empty()) } else { Err(faults) }
}

fn parse(text: &str) -> Value {
    let parsed = toml::from_str::<Table>(&format!("value = {text}")).ok().filter(|table| table.len() == 1);
    match parsed.and_then(|mut table| table.remove("value")) {
        // Floats are left alone: no setting is one, and `2.999` is an OID.
        Some(value @ (Value::Boolean(_) | Value::Integer(_) | Value::String(_) | Value::Array(_))) => value,
        _ => Value::String(text.to_owned()),
    }
}

/// Whether `path` could be reached; tables and the next list entry are made on the way.
fn set(table: &mut Table, path: &[String], value: Value) -> bool {
    let Some((key, rest)) = path.split_first() else { return false };
    let Some((next, beyond)) = rest.split_first() else {
        table.insert(key.clone(), value);
        return true;
    };
    if let Ok(index) = next.parse::<usize>() {
        let entry = table.entry(key.clone()).or_insert_with(|| Value::Array(vec![]));
        let Value::Array(list) = entry else { return false };
        if index == list.len() {
            list.push(if beyond.is_empty() { value.clone() } else { Value::Table(Table::new()) });
        }
        match list.get_mut(index) {
            Some(slot) if beyond.is_empty() => {
                *slot = value;
                true
            }
            Some(Value::Table(inner)) => set(inner, beyond, value),
            _ => false,
        }
    } else {
        match table.entry(key.clone()).or_insert_with(|| Value::Table(Table::new())) {
            Value::Table(inner) => set(inner, rest, value),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn laid(file: &str, vars: &[(&str, &str)]) -> Result<Table, Vec<Fault>> {
        let mut table: Table = file.parse().unwrap();
        overlay(&mut table, vars.iter().map(|(k, v)| (k.to_string(), v.to_string())))?;
        Ok(table)
    }

    #[test]
    fn values_replace_add_and_keep_their_type() {
        let table = laid(
            "[log]\nlevel = \"info\"\n[[listener]]\nname = \"a\"\n",
            &[
                ("CHIREN__LOG__LEVEL", "debug"),
                ("CHIREN__REPOSITORY__UNIQUE_ID", "2.999"),
                ("CHIREN__LIMITS__PARTS", "3"),
                ("CHIREN__LISTENER__1__NAME", "b"),
                ("CHIREN__LISTENER__0__HOSTS", "[\"x\", \"y\"]"),
                ("PATH", "/bin"),
            ],
        )
        .unwrap();
        assert_eq!(table["log"]["level"].as_str(), Some("debug"));
        assert_eq!(table["repository"]["unique_id"].as_str(), Some("2.999"));
        assert_eq!(table["limits"]["parts"].as_integer(), Some(3));
        assert_eq!(table["listener"][1]["name"].as_str(), Some("b"));
        assert_eq!(table["listener"][0]["hosts"].as_array().map(Vec::len), Some(2));
    }

    #[test]
    fn a_value_cannot_smuggle_a_second_key() {
        let table = laid("", &[("CHIREN__LOG__LEVEL", "1\nformat = 2")]).unwrap();
        assert_eq!(table["log"]["level"].as_str(), Some("1\nformat = 2"));
    }

    #[test]
    fn places_that_cannot_be_are_named() {
        let faults = laid("log = 1", &[("CHIREN__LOG__LEVEL", "x"), ("CHIREN__LISTENER__7__NAME", "x")]);
        assert_eq!(faults.unwrap_err().len(), 2);
    }
}
