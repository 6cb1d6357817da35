//! The state of an object as 32 octets: what the history records of it, and what `chiren verify`
//! compares with the rows.

use std::collections::HashMap;
use std::fmt;

use sha2::{Digest as _, Sha256};

use super::kind;
use super::put::{AssociationRow, EntryRow, FolderRow, SetRow};
use crate::model::ebrim::ObjectKind;
use crate::store::db::{DbError, Row, Tx, Ty, Val};
use crate::store::documents::StoredDocument;

/// A SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let mut octets = [0; 32];
        if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
            return None;
        }
        for (octet, pair) in octets.iter_mut().zip(text.as_bytes().chunks(2)) {
            *octet = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(octets))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Hashes values so that no two sequences of them look alike: each with its type and its length.
#[derive(Clone, Default)]
pub struct Hasher(Sha256);

impl Hasher {
    pub fn value(&mut self, value: Val<'_>) {
        let mut octets = |tag: u8, octets: &[u8]| {
            self.0.update([tag]);
            self.0.update((octets.len() as u64).to_be_bytes());
            self.0.update(octets);
        };
        match value {
            Val::Null(_) => self.0.update([0]),
            Val::I64(number) => {
                self.0.update([1]);
                self.0.update(number.to_be_bytes());
            }
            Val::Text(text) => octets(2, text.as_bytes()),
            Val::Blob(blob) => octets(3, blob),
            Val::I64s(numbers) => {
                octets(4, &numbers.iter().flat_map(|n| n.to_be_bytes()).collect::<Vec<u8>>());
            }
            Val::Texts(texts) => texts.iter().for_each(|text| octets(5, text.as_bytes())),
        }
    }

    pub fn digest(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

/// How objects of one kind are kept: the columns of the table and of its `_past`, and the rows beside it.
#[derive(Debug)]
pub struct Kept {
    pub kind: ObjectKind,
    pub table: &'static str,
    /// In the table's order; `patient_key` and `id` first.
    pub columns: &'static [(&'static str, Ty)],
    children: &'static [Child],
}

/// Rows beside an object's own.
#[derive(Debug)]
struct Child {
    table: &'static str,
    owner: &'static str,
    /// The column, or a number.
    attribute: &'static str,
    value: &'static str,
}

const N: Ty = Ty::I64;
const T: Ty = Ty::Text;

static KEPT: [Kept; 4] = [
    Kept {
        kind: ObjectKind::DocumentEntry,
        table: "document_entry",
        columns: &[
            ("patient_key", N),
            ("id", T),
            ("lid", T),
            ("version", N),
            ("status", N),
            ("entry_type", N),
            ("unique_id", T),
            ("repository_unique_id", T),
            ("hash", T),
            ("size", N),
            ("class_code", T),
            ("type_code", T),
            ("practice_setting_code", T),
            ("facility_type_code", T),
            ("format_code", T),
            ("creation_time", T),
            ("service_start_time", T),
            ("service_stop_time", T),
            ("registered_at", N),
            ("body", T),
        ],
        children: &[
            Child { table: "document_code", owner: "entry_id", attribute: "attribute", value: "code" },
            Child { table: "document_author", owner: "entry_id", attribute: "0", value: "person" },
        ],
    },
    Kept {
        kind: ObjectKind::SubmissionSet,
        table: "submission_set",
        columns: &[
            ("patient_key", N),
            ("id", T),
            ("status", N),
            ("unique_id", T),
            ("source_id", T),
            ("content_type_code", T),
            ("submission_time", T),
            ("registered_at", N),
            ("body", T),
        ],
        children: &[Child {
            table: "submission_author",
            owner: "submission_id",
            attribute: "0",
            value: "person",
        }],
    },
    Kept {
        kind: ObjectKind::Folder,
        table: "folder",
        columns: &[
            ("patient_key", N),
            ("id", T),
            ("lid", T),
            ("version", N),
            ("status", N),
            ("unique_id", T),
            ("last_update_time", T),
            ("registered_at", N),
            ("body", T),
        ],
        children: &[Child { table: "folder_code", owner: "folder_id", attribute: "0", value: "code" }],
    },
    Kept {
        kind: ObjectKind::Association,
        table: "association",
        columns: &[
            ("patient_key", N),
            ("id", T),
            ("assoc_type", T),
            ("source_id", T),
            ("target_id", T),
            ("status", N),
            ("registered_at", N),
            ("body", T),
        ],
        children: &[],
    },
];

/// Every kind of object, as it is kept.
pub fn all() -> &'static [Kept; 4] {
    &KEPT
}

pub fn kept(of: ObjectKind) -> &'static Kept {
    let [entry, set, folder, association] = &KEPT;
    match of {
        ObjectKind::DocumentEntry => entry,
        ObjectKind::SubmissionSet => set,
        ObjectKind::Folder => folder,
        ObjectKind::Association => association,
    }
}

impl Kept {
    /// `patient_key, id, …`
    pub fn column_list(&self) -> String {
        self.columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }

    /// Hashes a row of [`column_list`](Self::column_list), without its children.
    pub fn hash_row(&self, row: &Row<'_>) -> Result<Hasher, DbError> {
        let mut hasher = begun(self.kind);
        for (i, (_, ty)) in self.columns.iter().enumerate() {
            match ty {
                Ty::I64 => hasher.value(row.get::<Option<i64>>(i)?.into()),
                _ => hasher.value((&row.get::<Option<String>>(i)?).into()),
            }
        }
        Ok(hasher)
    }

    /// The rows beside an object's own, its codes and authors: (attribute, value).
    pub async fn children(
        &self,
        tx: &mut Tx<'_>,
        patient_key: i64,
        id: &str,
    ) -> Result<Vec<(i64, String)>, DbError> {
        let mut children = vec![];
        for Child { table, owner, attribute, value } in self.children {
            let sql = format!(
                "SELECT CAST({attribute} AS BIGINT), {value} FROM {table} WHERE patient_key = $1 AND {owner} = $2"
            );
            let args = [Val::I64(patient_key), Val::Text(id)];
            children.extend(tx.fetch(sql, &args, |row| Ok((row.get(0)?, row.get(1)?))).await?);
        }
        Ok(children)
    }

    /// Gives another patient the rows beside an object's own, too.
    pub(super) async fn copy_children(
        &self,
        tx: &mut Tx<'_>,
        from: i64,
        to: i64,
        id: &str,
    ) -> Result<(), DbError> {
        for Child { table, owner, attribute, value } in self.children {
            let columns = match *attribute {
                "0" => format!("{owner}, {value}"),
                attribute => format!("{owner}, {attribute}, {value}"),
            };
            let sql = format!(
                "INSERT INTO {table} (patient_key, {columns}) SELECT CAST($3 AS BIGINT), {columns} FROM {table} \
                 WHERE patient_key = $1 AND {owner} = $2 ON CONFLICT DO NOTHING"
            );
            tx.exec(sql, &[Val::I64(from), Val::Text(id), Val::I64(to)]).await?;
        }
        Ok(())
    }

    /// The same of all of a patient's objects, by id.
    pub async fn children_of_patient(
        &self,
        tx: &mut Tx<'_>,
        patient_key: i64,
    ) -> Result<HashMap<String, Vec<(i64, String)>>, DbError> {
        let mut all: HashMap<String, Vec<_>> = HashMap::new();
        for Child { table, owner, attribute, value } in self.children {
            let sql = format!(
                "SELECT {owner}, CAST({attribute} AS BIGINT), {value} FROM {table} WHERE patient_key = $1"
            );
            let rows = tx
                .fetch(sql, &[Val::I64(patient_key)], |row| {
                    Ok((row.get::<String>(0)?, row.get(1)?, row.get(2)?))
                })
                .await?;
            for (id, attribute, value) in rows {
                all.entry(id).or_default().push((attribute, value));
            }
        }
        Ok(all)
    }
}

fn begun(of: ObjectKind) -> Hasher {
    let mut hasher = Hasher::default();
    hasher.value(Val::I64(kind::of(of)));
    hasher
}

/// Closes a state with the rows beside the object's own, in whatever order they come.
pub fn finish<'c>(mut hasher: Hasher, children: impl IntoIterator<Item = (i64, &'c str)>) -> Digest {
    let mut sorted: Vec<_> = children.into_iter().collect();
    sorted.sort_unstable();
    for (attribute, value) in sorted {
        hasher.value(Val::I64(attribute));
        hasher.value(Val::Text(value));
    }
    hasher.digest()
}

fn state<'c>(
    of: ObjectKind,
    values: &[Val<'_>],
    children: impl IntoIterator<Item = (i64, &'c str)>,
) -> Digest {
    let mut hasher = begun(of);
    values.iter().for_each(|value| hasher.value(*value));
    finish(hasher, children)
}

fn plain(values: &[String]) -> impl Iterator<Item = (i64, &str)> {
    values.iter().map(|value| (0, value.as_str()))
}

/// Children as they are read.
pub fn borrowed(children: &[(i64, String)]) -> impl Iterator<Item = (i64, &str)> {
    children.iter().map(|(attribute, value)| (*attribute, value.as_str()))
}

/// The state an object has once its rows are inserted.
pub fn of_entry(row: &EntryRow, patient_key: i64, at: i64) -> Digest {
    let children = plain(&row.persons).chain(borrowed(&row.codes));
    state(ObjectKind::DocumentEntry, &row.values(patient_key, at), children)
}

pub fn of_set(row: &SetRow, patient_key: i64, at: i64) -> Digest {
    state(ObjectKind::SubmissionSet, &row.values(patient_key, at), plain(&row.persons))
}

pub fn of_folder(row: &FolderRow, patient_key: i64, at: i64) -> Digest {
    state(ObjectKind::Folder, &row.values(patient_key, at), plain(&row.codes))
}

pub fn of_association(row: &AssociationRow, patient_key: i64, at: i64) -> Digest {
    state(ObjectKind::Association, &row.values(patient_key, at), [])
}

/// The state of a document of our repository: what its bytes are, and whose.
pub fn of_document(d: &StoredDocument) -> Digest {
    let mut hasher = Hasher::default();
    for text in [&d.unique_id, &d.blob_key, &d.mime_type, &d.hash, &d.patient_id] {
        hasher.value(Val::Text(text));
    }
    hasher.value(Val::I64(d.size));
    hasher.digest()
}

/// The current state of an object as its rows have it.
pub async fn stored(
    tx: &mut Tx<'_>,
    of: ObjectKind,
    patient_key: i64,
    id: &str,
) -> Result<Option<Digest>, DbError> {
    let kept = kept(of);
    let sql = format!("SELECT {} FROM {} WHERE patient_key = $1 AND id = $2", kept.column_list(), kept.table);
    let found = tx.fetch_opt(sql, &[Val::I64(patient_key), Val::Text(id)], |row| kept.hash_row(row)).await?;
    let Some(hasher) = found else { return Ok(None) };
    let children = kept.children(tx, patient_key, id).await?;
    Ok(Some(finish(hasher, borrowed(&children))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(values: &[Val<'_>]) -> Digest {
        let mut hasher = Hasher::default();
        values.iter().for_each(|v| hasher.value(*v));
        hasher.digest()
    }

    #[test]
    fn sequences_that_read_alike_differ() {
        assert_ne!(digest(&["ab".into(), "c".into()]), digest(&["a".into(), "bc".into()]));
        assert_ne!(digest(&[Val::Null(Ty::Text)]), digest(&["".into()]));
        assert_ne!(digest(&[Val::I64(1)]), digest(&["1".into()]));
    }

    #[test]
    fn digests_are_read_as_they_are_written() {
        let digest = digest(&["x".into()]);
        assert_eq!(Digest::parse(&digest.to_string()), Some(digest));
        assert_eq!(Digest::parse(&digest.to_string().to_uppercase()), None);
        assert_eq!(Digest::parse("ab"), None);
    }
}
