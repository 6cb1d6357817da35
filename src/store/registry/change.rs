//! Every change to a patient's registry goes through a [`Change`]: it writes the rows, keeps what they
//! replace, and leaves one link in the patient's chain of hashes.
//!
//! ```text
//! let held = patient::hold(tx, pid)              one writer for a patient, from here to the commit
//! let mut change = Change::begin(tx, held, now)
//! change.register_entry(tx, &row) …              new objects
//! change.set_status(tx, kind, id, status) …      what happens to older ones
//! change.touch_folder, change.remove, change.store_document, change.remove_document
//! change.finish(tx, &cause)                      who and why; nothing is written if nothing changed
//! ```
//!
//! All of it in one `Db::write`; claims of ids (`put::claim_id`, `put::claim_unique_id`) stay the caller's,
//! because they decide races. An object's body, codes and authors never change under its entryUUID: a new
//! version is a new entryUUID with the same logicalID.
//!
//! An association kept under two patients (see `refs::keepers`) is changed under each: a `Change` for one
//! and a `Change` for the other.

use serde::{Deserialize, Serialize};

use super::kind;
use super::lineage::State;
use super::put::{self, AssociationRow, EntryRow, FolderRow, SetRow};
use super::state::{self, Digest, Hasher, Kept};
use crate::model::caller::Caller;
use crate::model::ebrim::ObjectKind;
use crate::store::db::{DbError, Tx, Val};
use crate::store::documents::{self, Put, StoredDocument};
use crate::store::national;
use crate::store::patient::Held;

/// Who changes something, and why. Made before the transaction begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// `ITI-42`; for commands of an operator their name.
    pub transaction: String,
    pub request_id: String,
    /// entryUUID of the SubmissionSet that brought the change.
    pub submission_set: Option<String>,
    /// An operator's words.
    pub reason: Option<String>,
    caller: String,
}

impl Cause {
    pub fn new(transaction: &str, request_id: &str, caller: &Caller) -> Result<Self, DbError> {
        let caller = serde_json::to_string(caller)
            .map_err(|e| DbError::Sql(format!("a caller cannot be written as JSON: {e}")))?;
        Ok(Self {
            transaction: transaction.to_owned(),
            request_id: request_id.to_owned(),
            submission_set: None,
            reason: None,
            caller,
        })
    }
}

/// What happened to an object in a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Operation {
    /// New, under a new entryUUID; of a document, stored.
    Registered,
    /// availabilityStatus changed.
    Status,
    /// Folder.lastUpdateTime changed.
    Touched,
    /// Gone from the current state.
    Removed,
}

/// What an item is about: the kinds of object, and documents of our repository by their uniqueId.
pub const DOCUMENT: i64 = 5;

/// One object in a change: kind (as `object_id.kind`, or [`DOCUMENT`]), id, what happened, and the state it
/// was left in; none for what was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item(pub i64, pub String, pub Operation, pub Option<String>);

/// A change under way.
#[derive(Debug)]
pub struct Change {
    patient_key: i64,
    seq: i64,
    at: i64,
    previous: Option<Digest>,
    items: Vec<Item>,
    /// Items whose state is read from the rows in the end.
    changed: Vec<(ObjectKind, usize)>,
}

impl Change {
    /// Begins a change of a held patient's registry. `now` is the present in microseconds since 1970,
    /// read as late as can be: what is asked as of a moment before [`at`](Self::at) does not see the
    /// change.
    pub async fn begin(tx: &mut Tx<'_>, held: Held, now: i64) -> Result<Self, DbError> {
        let patient_key = held.key();
        let last = last(tx, patient_key).await?;
        let (seq, at, previous) = match last {
            Some((seq, at, hash)) => (seq, at, Some(hash)),
            None => (0, i64::MIN, None),
        };
        Ok(Self {
            patient_key,
            seq: seq.saturating_add(1),
            // Clocks go back and gateways differ; a patient's history does neither.
            at: now.max(at.saturating_add(1)),
            previous,
            items: vec![],
            changed: vec![],
        })
    }

    /// From when on the change counts: `registered_at` of what it registers.
    pub fn at(&self) -> i64 {
        self.at
    }

    pub fn patient_key(&self) -> i64 {
        self.patient_key
    }

    pub async fn register_set(&mut self, tx: &mut Tx<'_>, row: &SetRow) -> Result<(), DbError> {
        put::submission_set(tx, self.patient_key, row, self.at).await?;
        let state = state::of_set(row, self.patient_key, self.at);
        self.registered(kind::SUBMISSION_SET, &row.set.entry_uuid, state);
        Ok(())
    }

    pub async fn register_entry(&mut self, tx: &mut Tx<'_>, row: &EntryRow) -> Result<(), DbError> {
        put::document_entry(tx, self.patient_key, row, self.at).await?;
        let state = state::of_entry(row, self.patient_key, self.at);
        self.registered(kind::DOCUMENT_ENTRY, &row.entry.entry_uuid, state);
        Ok(())
    }

    pub async fn register_folder(&mut self, tx: &mut Tx<'_>, row: &FolderRow) -> Result<(), DbError> {
        put::folder(tx, self.patient_key, row, self.at).await?;
        let state = state::of_folder(row, self.patient_key, self.at);
        self.registered(kind::FOLDER, &row.folder.entry_uuid, state);
        Ok(())
    }

    pub async fn register_association(
        &mut self,
        tx: &mut Tx<'_>,
        row: &AssociationRow,
    ) -> Result<(), DbError> {
        put::association(tx, self.patient_key, row, self.at).await?;
        let state = state::of_association(row, self.patient_key, self.at);
        self.registered(kind::ASSOCIATION, &row.association.entry_uuid, state);
        Ok(())
    }

    /// Sets the status of one of the patient's objects; false if there is no such object or it has
    /// that status already. Two submissions that replace one document meet here, and the second loses.
    pub async fn set_status(
        &mut self,
        tx: &mut Tx<'_>,
        of: ObjectKind,
        id: &str,
        status: impl Into<State>,
    ) -> Result<bool, DbError> {
        let (kept, status) = (state::kept(of), Val::I64(status.into().to_i64()));
        if !self.keep_past(tx, kept, id, "status <> $5", status).await? {
            return Ok(false);
        }
        let sql = format!("UPDATE {} SET status = $3 WHERE patient_key = $1 AND id = $2", kept.table);
        tx.exec(sql, &[Val::I64(self.patient_key), Val::Text(id), status]).await?;
        self.changed(of, id, Operation::Status);
        Ok(true)
    }

    /// Sets Folder.lastUpdateTime (DTM) of a folder already in the registry; false if that changes nothing.
    pub async fn touch_folder(&mut self, tx: &mut Tx<'_>, id: &str, time: &str) -> Result<bool, DbError> {
        let kept = state::kept(ObjectKind::Folder);
        if !self.keep_past(tx, kept, id, "last_update_time <> $5", Val::Text(time)).await? {
            return Ok(false);
        }
        tx.exec(
            "UPDATE folder SET last_update_time = $3 WHERE patient_key = $1 AND id = $2",
            &[Val::I64(self.patient_key), Val::Text(id), Val::Text(time)],
        )
        .await?;
        self.changed(ObjectKind::Folder, id, Operation::Touched);
        Ok(true)
    }

    /// Removes an object from the current state; false if there is none. Its entryUUID stays taken, its
    /// uniqueId is free again once no other object has it. Codes and authors stay beside the history.
    pub async fn remove(&mut self, tx: &mut Tx<'_>, of: ObjectKind, id: &str) -> Result<bool, DbError> {
        let kept = state::kept(of);
        if !self.keep_past(tx, kept, id, "id <> $5", Val::Text("")).await? {
            return Ok(false);
        }
        let args = [Val::I64(self.patient_key), Val::Text(id)];
        if of != ObjectKind::Association {
            let sql = format!("SELECT unique_id FROM {} WHERE patient_key = $1 AND id = $2", kept.table);
            let unique_id: String = tx.fetch_one(sql, &args, |row| row.get(0)).await?;
            self.release(tx, of, id, &unique_id).await?;
        }
        tx.exec(format!("DELETE FROM {} WHERE patient_key = $1 AND id = $2", kept.table), &args).await?;
        tx.exec(
            "UPDATE object_id SET removed_at = $3 WHERE id = $2 AND patient_key = $1",
            &[args[0], args[1], Val::I64(self.at)],
        )
        .await?;
        self.item(kind::of(of), id, Operation::Removed, None);
        Ok(true)
    }

    /// Gives a uniqueId to another object that has it (entries may share one, and so do versions), or frees
    /// it.
    async fn release(
        &self,
        tx: &mut Tx<'_>,
        of: ObjectKind,
        id: &str,
        unique_id: &str,
    ) -> Result<(), DbError> {
        let sql = match of {
            ObjectKind::DocumentEntry => {
                "SELECT patient_key, id FROM document_entry WHERE unique_id = $1 AND id <> $2 ORDER BY registered_at LIMIT 1"
            }
            // Versions of a Folder may be different patients'.
            ObjectKind::Folder => {
                "SELECT patient_key, id FROM folder WHERE unique_id = $1 AND id <> $2 AND lid = \
                 (SELECT f.lid FROM folder f WHERE f.patient_key = $3 AND f.id = $2) \
                 ORDER BY registered_at LIMIT 1"
            }
            _ => {
                "SELECT patient_key, id FROM submission_set WHERE unique_id = $1 AND id <> $2 AND patient_key = $3 \
                 LIMIT 1"
            }
        };
        let mut args = vec![Val::Text(unique_id), Val::Text(id)];
        if of != ObjectKind::DocumentEntry {
            args.push(Val::I64(self.patient_key));
        }
        let heir: Option<(i64, String)> =
            tx.fetch_opt(sql, &args, |row| Ok((row.get(0)?, row.get(1)?))).await?;
        match heir {
            Some((key, heir)) => {
                tx.exec(
                    "UPDATE unique_id SET patient_key = $3, id = $4 WHERE unique_id = $1 AND id = $2",
                    &[Val::Text(unique_id), Val::Text(id), Val::I64(key), (&heir).into()],
                )
                .await?
            }
            None => {
                tx.exec(
                    "DELETE FROM unique_id WHERE unique_id = $1 AND kind = $2",
                    &[Val::Text(unique_id), Val::I64(kind::of(of))],
                )
                .await?
            }
        };
        Ok(())
    }

    /// Adds a document to our repository's index.
    pub async fn store_document(&mut self, tx: &mut Tx<'_>, d: &StoredDocument) -> Result<Put, DbError> {
        let put = documents::put(tx, d, self.at).await?;
        if put == Put::New {
            self.registered(DOCUMENT, &d.unique_id, state::of_document(d));
        }
        Ok(put)
    }

    /// Takes a document out of our repository's index; the sweeper removes its bytes once nothing else
    /// stands on them. False if there is none.
    pub async fn remove_document(&mut self, tx: &mut Tx<'_>, unique_id: &str) -> Result<bool, DbError> {
        let removed = documents::forget(tx, unique_id).await?;
        if removed {
            self.item(DOCUMENT, unique_id, Operation::Removed, None);
        }
        Ok(removed)
    }

    /// Takes an object over from another patient, whose change is `from`: under its entryUUID, with this
    /// patient's id (CX) in it. Its state there goes into the past; `object_id.origin_key` keeps whose it was.
    /// With `keep` it stays there too, as an association that joins both does. False if there is none.
    pub async fn take_over(
        &mut self,
        tx: &mut Tx<'_>,
        from: &mut Change,
        of: ObjectKind,
        id: &str,
        patient_id: &str,
        keep: bool,
    ) -> Result<bool, DbError> {
        let kept = state::kept(of);
        let (there, here, object) = (Val::I64(from.patient_key), Val::I64(self.patient_key), Val::Text(id));
        let sql = format!("SELECT body FROM {} WHERE patient_key = $1 AND id = $2", kept.table);
        let Some(body) = tx.fetch_opt(sql, &[there, object], |row| row.get::<String>(0)).await? else {
            return Ok(false);
        };
        let body = if of == ObjectKind::Association { body } else { readdressed(&body, patient_id)? };
        let columns: Vec<&str> = kept
            .columns
            .iter()
            .map(|(name, _)| match *name {
                "patient_key" => "CAST($3 AS BIGINT)",
                "registered_at" => "CAST($4 AS BIGINT)",
                "body" => "CAST($5 AS TEXT)",
                name => name,
            })
            .collect();
        // An association by reference may be here already.
        let new = tx
            .exec(
                format!(
                    "INSERT INTO {table} ({}) SELECT {} FROM {table} WHERE patient_key = $1 AND id = $2 \
                     ON CONFLICT DO NOTHING",
                    kept.column_list(),
                    columns.join(", "),
                    table = kept.table,
                ),
                &[there, object, here, Val::I64(self.at), (&body).into()],
            )
            .await?;
        kept.copy_children(tx, from.patient_key, self.patient_key, id).await?;
        if !keep {
            from.keep_past(tx, kept, id, "id <> $5", Val::Text("")).await?;
            let sql = format!("DELETE FROM {} WHERE patient_key = $1 AND id = $2", kept.table);
            tx.exec(sql, &[there, object]).await?;
            from.item(kind::of(of), id, Operation::Removed, None);
        }
        for sql in [
            "UPDATE object_id SET origin_key = CASE WHEN origin_key = $3 THEN NULL \
             ELSE COALESCE(origin_key, patient_key) END, patient_key = $3 WHERE id = $2 AND patient_key = $1",
            "UPDATE unique_id SET patient_key = $3 WHERE id = $2 AND patient_key = $1",
        ] {
            tx.exec(sql, &[there, object, here]).await?;
        }
        if new == 1 {
            self.changed(of, id, Operation::Registered);
        }
        Ok(true)
    }

    /// Takes a document of our repository's index over from another patient, whose change is `from`.
    pub async fn take_document(
        &mut self,
        tx: &mut Tx<'_>,
        from: &mut Change,
        unique_id: &str,
        patient_id: &str,
    ) -> Result<(), DbError> {
        documents::set_patient(tx, unique_id, patient_id).await?;
        if let Some(document) = documents::find(tx, unique_id).await? {
            from.item(DOCUMENT, unique_id, Operation::Removed, None);
            self.registered(DOCUMENT, unique_id, state::of_document(&document));
        }
        Ok(())
    }

    /// Writes the link of the chain. A change that changed nothing leaves none.
    pub async fn finish(mut self, tx: &mut Tx<'_>, cause: &Cause) -> Result<(), DbError> {
        for (of, i) in std::mem::take(&mut self.changed) {
            let Some(Item(_, id, operation, state)) = self.items.get_mut(i) else { continue };
            if *operation != Operation::Removed {
                *state = state::stored(tx, of, self.patient_key, id).await?.map(|s| s.to_string());
            }
        }
        if self.items.is_empty() {
            return Ok(());
        }
        let contents = serde_json::to_string(&self.items)
            .map_err(|e| DbError::Sql(format!("a change cannot be written as JSON: {e}")))?;
        let link = Link {
            patient_key: self.patient_key,
            seq: self.seq,
            at: self.at,
            transaction: &cause.transaction,
            request_id: &cause.request_id,
            caller: &cause.caller,
            submission_set: cause.submission_set.as_deref(),
            reason: cause.reason.as_deref(),
            contents: &contents,
        };
        let hash = link.hash(self.previous.as_ref()).to_string();
        let [key, seq, at, transaction, request_id, caller, set, reason, contents] = link.values();
        tx.exec(
            "INSERT INTO change (patient_key, seq, at, transaction_code, request_id, caller, submission_set, \
             reason, contents, hash) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10)",
            &[key, seq, at, transaction, request_id, caller, set, reason, contents, (&hash).into()],
        )
        .await?;
        let entries: Vec<String> = self
            .items
            .iter()
            .filter(|Item(of, ..)| *of == kind::DOCUMENT_ENTRY)
            .map(|Item(_, id, ..)| id.clone())
            .collect();
        if !entries.is_empty() {
            let changed = national::Changed { patient_key: self.patient_key, entries, again: false };
            national::changed(tx, &changed, self.at).await?;
        }
        Ok(())
    }

    fn registered(&mut self, kind: i64, id: &str, state: Digest) {
        self.item(kind, id, Operation::Registered, Some(state.to_string()));
    }

    fn changed(&mut self, of: ObjectKind, id: &str, operation: Operation) {
        let i = self.item(kind::of(of), id, operation, None);
        self.changed.push((of, i));
    }

    /// One item for each object, whatever happens to it in one change: new stays new, gone is gone,
    /// else the last word counts.
    fn item(&mut self, kind: i64, id: &str, operation: Operation, state: Option<String>) -> usize {
        match self.items.iter().position(|Item(k, i, ..)| *k == kind && i == id) {
            Some(at) => {
                if let Some(item) = self.items.get_mut(at) {
                    if item.2 != Operation::Registered || operation == Operation::Removed {
                        item.2 = operation;
                    }
                    item.3 = state;
                }
                at
            }
            None => {
                self.items.push(Item(kind, id.to_owned(), operation, state));
                self.items.len() - 1
            }
        }
    }

    /// Copies a row to the past if it meets `condition` (over `$5`); whether it does. What this change
    /// has touched already needs no second copy: the state in between never was.
    async fn keep_past(
        &self,
        tx: &mut Tx<'_>,
        kept: &Kept,
        id: &str,
        condition: &str,
        value: Val<'_>,
    ) -> Result<bool, DbError> {
        let (table, columns) = (kept.table, kept.column_list());
        let (key, id_value) = (Val::I64(self.patient_key), Val::Text(id));
        if self.items.iter().any(|Item(kind, item, ..)| *kind == kind::of(kept.kind) && item == id) {
            let condition = condition.replace("$5", "$3");
            let sql = format!("SELECT id FROM {table} WHERE patient_key = $1 AND id = $2 AND {condition}");
            let found = tx.fetch_opt(sql, &[key, id_value, value], |row| row.get::<String>(0)).await?;
            return Ok(found.is_some());
        }
        let copied = tx
            .exec(
                format!(
                    "INSERT INTO {table}_past ({columns}, valid_to, ended_by) SELECT {columns}, $3, $4 FROM {table} \
                     WHERE patient_key = $1 AND id = $2 AND {condition}"
                ),
                &[key, id_value, Val::I64(self.at), Val::I64(self.seq), value],
            )
            .await?;
        Ok(copied == 1)
    }
}

/// An object's body with another patientId.
fn readdressed(body: &str, patient_id: &str) -> Result<String, DbError> {
    let unread = |e: serde_json::Error| DbError::Decode { column: 0, message: e.to_string() };
    let mut object: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(body).map_err(unread)?;
    object.insert("patientId".to_owned(), patient_id.into());
    serde_json::to_string(&object).map_err(unread)
}

/// The last link of a patient's chain: seq, at, hash.
async fn last(tx: &mut Tx<'_>, patient_key: i64) -> Result<Option<(i64, i64, Digest)>, DbError> {
    let found = tx
        .fetch_opt(
            "SELECT seq, at, hash FROM change WHERE patient_key = $1 ORDER BY seq DESC LIMIT 1",
            &[Val::I64(patient_key)],
            |row| Ok((row.get(0)?, row.get(1)?, row.get::<String>(2)?)),
        )
        .await?;
    let Some((seq, at, hash)) = found else { return Ok(None) };
    // A hash that is none is damage that `verify` reports; the chain goes on from what stands there.
    let hash = Digest::parse(&hash).unwrap_or_else(|| {
        let mut hasher = Hasher::default();
        hasher.value(Val::Text(&hash));
        hasher.digest()
    });
    Ok(Some((seq, at, hash)))
}

/// A row of `change` without its hash.
#[derive(Debug, Clone, Copy)]
pub struct Link<'a> {
    pub patient_key: i64,
    pub seq: i64,
    pub at: i64,
    pub transaction: &'a str,
    pub request_id: &'a str,
    pub caller: &'a str,
    pub submission_set: Option<&'a str>,
    pub reason: Option<&'a str>,
    pub contents: &'a str,
}

impl<'a> Link<'a> {
    fn values(&self) -> [Val<'a>; 9] {
        [
            Val::I64(self.patient_key),
            Val::I64(self.seq),
            Val::I64(self.at),
            Val::Text(self.transaction),
            Val::Text(self.request_id),
            Val::Text(self.caller),
            self.submission_set.into(),
            self.reason.into(),
            Val::Text(self.contents),
        ]
    }

    /// SHA-256 over the hash before (nothing, for the first) and the row's values.
    pub fn hash(&self, previous: Option<&Digest>) -> Digest {
        let mut hasher = Hasher::default();
        if let Some(previous) = previous {
            hasher.value(Val::Blob(&previous.0));
        }
        self.values().into_iter().for_each(|value| hasher.value(value));
        hasher.digest()
    }
}
