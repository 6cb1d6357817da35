//! A whole database moved to another, of the same engine or the other, and compared afterwards.

use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;

use super::copy::{Listing, Trouble, copy};
use super::metadata::{self, Metadata, Origin};
use super::restore::{filling, refusal};
use super::take::manifest;
use super::{FileSum, Hear, Refusal, Rows, Scratch};
use crate::config::database::DatabaseConfig;
use crate::store::blob::{BlobKey, Blobs};
use crate::store::db::{self, Db};
use crate::store::tables::{self, Tally};

/// What was moved: every table is at the target as it is at the source, and so is the seal of the history.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Transferred {
    pub tables: usize,
    pub rows: u64,
    pub seal: String,
}

/// Moves. `even_if_open` leaves out the question whether somebody else has the source open, which on
/// PostgreSQL also meets gateways of other networks on the same database; that nothing was written meanwhile
/// is seen afterwards in any case. Rows wait in a folder below `scratch`.
pub async fn transfer(
    from: &DatabaseConfig,
    to: &DatabaseConfig,
    even_if_open: bool,
    scratch: &Path,
    now: Timestamp,
    hear: &Hear,
) -> anyhow::Result<Transferred> {
    if from.engine() == to.engine() {
        return Err(Refusal::SamePlace.into());
    }
    tables::is_empty(to).await.map_err(refusal)?;
    if !even_if_open && db::is_open_elsewhere(from).await? {
        return Err(Refusal::OpenElsewhere.into());
    }
    let moment = metadata::sealed_moment(now);
    let scratch = Scratch::make(scratch)?;
    let source = Db::open(from).await?;
    let before = metadata::write(&source, Some(scratch.path()), moment, hear).await?;
    let origin = Origin {
        db: source.clone(),
        engine: String::new(),
        network: String::new(),
        repository_unique_id: None,
    };
    let (empty, _) = Tally::new(std::io::sink()).finish();
    let told = manifest(&origin, before.clone(), FileSum::of("missing.jsonl", 0, empty), now);
    let rows = filling(&told, scratch.path(), hear.clone());
    tables::fill(to, rows, now.as_microsecond()).await.map_err(refusal)?;

    let target = Db::open(to).await?;
    let arrived = metadata::write(&target, None, moment, hear).await;
    target.close().await;
    let after = metadata::write(&source, None, moment, hear).await;
    source.close().await;
    if let Some(table) = difference(&before, &after?) {
        return Err(Refusal::ChangedMeanwhile(table).into());
    }
    if let Some(table) = difference(&before, &arrived?) {
        return Err(Refusal::Differs(table).into());
    }
    Ok(Transferred { tables: told.tables.len(), rows: told.rows(), seal: before.seal.to_string() })
}

/// The first thing in which two states differ.
fn difference(one: &Metadata, other: &Metadata) -> Option<String> {
    let names = |m: &Metadata| m.tables.iter().map(|t| t.table.name.clone()).collect::<Vec<_>>();
    if names(one) != names(other) {
        return Some("schema".into());
    }
    let differs = |(a, b): &(&Rows, &Rows)| a != b;
    if let Some((table, _)) = one.tables.iter().zip(&other.tables).find(differs) {
        return Some(table.table.name.clone());
    }
    (one.seal != other.seal).then(|| "history".into())
}

/// Copies every document the rows refer to that `to` lacks; how many there are. One that cannot be had ends
/// it: the source is still there to be mended.
pub async fn carry(
    database: &DatabaseConfig,
    from: &Blobs,
    to: &Blobs,
    scratch: &Path,
    hear: &Hear,
) -> anyhow::Result<u64> {
    let scratch = Scratch::make(scratch)?;
    let db = Db::open(database).await?;
    let listed = metadata::list_documents(&db, scratch.path()).await;
    db.close().await;
    let lost = |key: &BlobKey, _: u64, trouble: Trouble| Err(anyhow::anyhow!("document {key}: {trouble:?}"));
    Ok(copy(Listing::open(&listed?)?, from, to, hear, lost).await?.documents)
}
