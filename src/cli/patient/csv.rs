//! A table in CSV (RFC 4180), its header naming the columns.

use crate::config::Language;

/// Why a text is not the table asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CsvFault {
    /// The header names a column nobody knows.
    Column(String),
    /// The header names a column twice, or lacks one.
    TwiceColumn(&'static str),
    NoColumn(&'static str),
    /// How many values the line has, and how many the header.
    Count(usize, usize),
    /// A quote that is never closed, or text beside a quoted value.
    Quote,
}

impl CsvFault {
    pub fn sentence(&self, language: Language) -> String {
        match (self, language) {
            (Self::Column(name), Language::En) => {
                format!("column {name:?} is unknown; there are id, kanji, kana, romaji, birth and sex")
            }
            (Self::Column(name), Language::Ja) => {
                format!(
                    "列 {name:?} は使えません。id、kanji、kana、romaji、birth、sex のいずれかにしてください"
                )
            }
            (Self::TwiceColumn(name), Language::En) => format!("column {name} stands twice"),
            (Self::TwiceColumn(name), Language::Ja) => format!("列 {name} が重複しています"),
            (Self::NoColumn(name), Language::En) => format!("the header names no column {name}"),
            (Self::NoColumn(name), Language::Ja) => format!("見出し行に列 {name} がありません"),
            (Self::Count(found, expected), Language::En) => {
                format!("{found} values where the header names {expected} columns")
            }
            (Self::Count(found, expected), Language::Ja) => {
                format!("見出しは {expected} 列ですが、値が {found} 個あります")
            }
            (Self::Quote, Language::En) => "a quoted value does not end as it should".to_owned(),
            (Self::Quote, Language::Ja) => "引用符の対応が正しくありません".to_owned(),
        }
    }
}

/// A line's number (from 1) and its values in the order of the columns asked for.
pub type Row<const N: usize> = (usize, [Option<String>; N]);

/// Reads the rows; absent columns give `None`. Lines without any value are passed over. An error
/// carries its line.
pub fn read<const N: usize>(
    text: &str,
    columns: &[&'static str; N],
    required: &[&'static str],
) -> Result<Vec<Row<N>>, (usize, CsvFault)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut records = records(text)?.into_iter();
    let (header_line, header) = records.next().unwrap_or((1, vec![]));
    let mut places = vec![];
    for name in &header {
        let name = name.trim();
        let Some(at) = columns.iter().position(|c| c.eq_ignore_ascii_case(name)) else {
            return Err((header_line, CsvFault::Column(name.to_owned())));
        };
        if places.contains(&at) {
            return Err((header_line, CsvFault::TwiceColumn(columns[at])));
        }
        places.push(at);
    }
    for name in required {
        if !places.iter().any(|at| columns[*at] == *name) {
            return Err((header_line, CsvFault::NoColumn(name)));
        }
    }
    let mut rows = vec![];
    for (line, values) in records {
        if values.len() != places.len() {
            return Err((line, CsvFault::Count(values.len(), places.len())));
        }
        let mut row = [const { None }; N];
        for (at, value) in places.iter().zip(values) {
            row[*at] = Some(value);
        }
        rows.push((line, row));
    }
    Ok(rows)
}

/// Records that hold anything, each with the line it begins on.
fn records(text: &str) -> Result<Vec<(usize, Vec<String>)>, (usize, CsvFault)> {
    let (mut records, mut record, mut value) = (vec![], vec![], String::new());
    let (mut line, mut begun) = (1, 1);
    let (mut quoted, mut closed) = (false, false);
    let mut chars = text.chars().peekable();
    let mut end = |record: &mut Vec<String>, value: &mut String, begun: usize| {
        record.push(std::mem::take(value));
        let record = std::mem::take(record);
        if record.iter().any(|v| !v.trim().is_empty()) {
            records.push((begun, record));
        }
    };
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                value.push('"');
            }
            '"' if quoted => (quoted, closed) = (false, true),
            '\n' if quoted => {
                line += 1;
                value.push(c);
            }
            _ if quoted => value.push(c),
            '"' if value.is_empty() && !closed => quoted = true,
            ',' => {
                record.push(std::mem::take(&mut value));
                closed = false;
            }
            '\r' if matches!(chars.peek(), Some('\n') | None) => {}
            '\n' => {
                end(&mut record, &mut value, begun);
                line += 1;
                (begun, closed) = (line, false);
            }
            '"' => return Err((line, CsvFault::Quote)),
            _ if closed => return Err((line, CsvFault::Quote)),
            _ => value.push(c),
        }
    }
    if quoted {
        return Err((begun, CsvFault::Quote));
    }
    end(&mut record, &mut value, begun);
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Result<Vec<Row<2>>, (usize, CsvFault)> {
        read(text, &["id", "name"], &["id"])
    }

    #[test]
    fn values_are_placed_by_the_header() {
        let rows = table("name,ID\r\n\"a \"\"b\"\"\nc\",1\r\n,2").unwrap();
        let row = |line, id: &str, name: &str| (line, [Some(id.to_owned()), Some(name.to_owned())]);
        assert_eq!(rows, [row(2, "1", "a \"b\"\nc"), row(4, "2", "")]);
        assert_eq!(table("id\n\n 7\n").unwrap(), [(3, [Some(" 7".to_owned()), None])]);
    }

    #[test]
    fn each_spoiling_has_its_line() {
        for (text, fault) in [
            ("", (1, CsvFault::NoColumn("id"))),
            ("id,age\n", (1, CsvFault::Column("age".into()))),
            ("id,id\n", (1, CsvFault::TwiceColumn("id"))),
            ("id,name\n1,a\n2\n", (3, CsvFault::Count(1, 2))),
            ("id\n1\n\"2\n3\n", (3, CsvFault::Quote)),
            ("id\n\"1\"2\n", (2, CsvFault::Quote)),
            ("id\n1\"2\"\n", (2, CsvFault::Quote)),
        ] {
            assert_eq!(table(text).unwrap_err(), fault, "{text:?}");
        }
    }
}
