//! CSV with a header row (RFC 4180): what operators export from the masters they are licensed to use.

/// A table: rows by the names of their columns.
#[derive(Debug)]
pub struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {text}")]
pub struct CsvFault {
    pub line: usize,
    pub text: String,
}

impl Table {
    /// Columns beyond those asked for are allowed and ignored.
    pub fn read(text: &str, wanted: &[&str]) -> Result<Table, CsvFault> {
        let mut records = records(text.strip_prefix('\u{feff}').unwrap_or(text))?.into_iter();
        let (_, header) =
            records.next().ok_or_else(|| CsvFault { line: 1, text: "the header row is missing".into() })?;
        let columns: Vec<String> = header.into_iter().map(|c| c.trim().to_owned()).collect();
        for column in wanted {
            if !columns.iter().any(|c| c == column) {
                let text = format!("there is no column {column}; needed are {}", wanted.join(", "));
                return Err(CsvFault { line: 1, text });
            }
        }
        let mut rows = vec![];
        for (line, row) in records {
            if row.len() != columns.len() {
                let text = format!("{} fields where the header has {}", row.len(), columns.len());
                return Err(CsvFault { line, text });
            }
            rows.push(row);
        }
        Ok(Table { columns, rows })
    }

    /// Each row as the values of `wanted`, trimmed.
    pub fn rows<'t, const N: usize>(
        &'t self,
        wanted: [&'t str; N],
    ) -> impl Iterator<Item = [&'t str; N]> + 't {
        let at = wanted.map(|name| self.columns.iter().position(|c| c == name));
        self.rows
            .iter()
            .map(move |row| at.map(|at| at.and_then(|at| row.get(at)).map(|v| v.trim()).unwrap_or_default()))
    }
}

/// Records that hold something, each with the line it begins in.
fn records(text: &str) -> Result<Vec<(usize, Vec<String>)>, CsvFault> {
    let mut out = vec![];
    let (mut record, mut field) = (vec![], String::new());
    let (mut line, mut began, mut quoted) = (1, 1, false);
    let mut chars = text.chars().peekable();
    let end =
        |record: &mut Vec<String>, field: &mut String, began: usize, out: &mut Vec<(usize, Vec<String>)>| {
            record.push(std::mem::take(field));
            let record = std::mem::take(record);
            if record.iter().any(|f| !f.trim().is_empty()) {
                out.push((began, record));
            }
        };
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if field.is_empty() => quoted = true,
            '\n' if !quoted => {
                end(&mut record, &mut field, began, &mut out);
                line += 1;
                began = line;
            }
            '\r' if !quoted && chars.peek() == Some(&'\n') => {}
            ',' if !quoted => record.push(std::mem::take(&mut field)),
            c => {
                line += usize::from(c == '\n');
                field.push(c);
            }
        }
    }
    if quoted {
        return Err(CsvFault { line: began, text: "a quoted field does not end".into() });
    }
    if !field.is_empty() || !record.is_empty() {
        end(&mut record, &mut field, began, &mut out);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_read_by_column_name() {
        let table = Table::read("\u{feff}b,a,c\r\n\"x, \"\"y\"\"\n\",1,\r\n\r\n,2,z", &["a", "b"]).unwrap();
        let rows: Vec<[&str; 2]> = table.rows(["a", "b"]).collect();
        assert_eq!(rows, [["1", "x, \"y\""], ["2", ""]]);
        assert!(Table::read("a,b\n1", &["a"]).is_err());
        assert!(Table::read("a,b\n1,\"2", &["a"]).is_err());
        assert!(Table::read("a\n1", &["b"]).is_err());
        assert_eq!(Table::read("", &["b"]).unwrap_err().line, 1);
    }
}
