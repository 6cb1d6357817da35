//! Removes what nobody refers to.
//!
//! A request that fails between its blob and its metadata leaves an object behind; a crash leaves
//! spool files. An object goes when the database does not know it and nothing has touched it for
//! the grace time, which must be longer than any request may take.
//!
//! Between that look and the removal a submission may come to stand on the same octets. Locks do not
//! reach into a bucket or over a network file system; so the database decides, in the [`Ledger`]: a key
//! is condemned in a transaction that finds it unreferenced, a registration that meets a condemned key
//! fails and stores its octets anew once they are gone, and only what is condemned is removed.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

use super::spool_dir::Removal;
use super::{BlobError, BlobKey, Blobs, Stored};

/// Keys the database is asked about at a time: few enough to be removed while a lease lasts.
const BATCH: usize = 100;

/// How old things must be before they are removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SweepAges {
    /// Since the last byte of a spool file was written.
    pub spool: Duration,
    /// Since an object was put in its place or found there again.
    pub object: Duration,
}

impl Default for SweepAges {
    fn default() -> Self {
        Self { spool: Duration::from_secs(24 * 3600), object: Duration::from_secs(24 * 3600) }
    }
}

/// What a sweep found and removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    pub spool_files: u64,
    pub objects: u64,
    pub object_bytes: u64,
    /// Old objects looked at, referenced ones included.
    pub examined: u64,
}

/// Keys that may be removed, until then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condemned {
    pub keys: Vec<BlobKey>,
    /// No removal may begin later: another may sweep by then.
    pub until: Instant,
}

/// The database's word on keys.
pub trait Ledger {
    type Error: From<BlobError>;

    /// Condemns those that nothing refers to.
    fn condemn(
        &mut self,
        objects: Vec<Stored>,
    ) -> impl Future<Output = Result<Condemned, Self::Error>> + Send;

    /// What became of condemned keys: gone from the store, or spared because they were touched.
    fn settle(
        &mut self,
        gone: Vec<BlobKey>,
        spared: Vec<BlobKey>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// Removes old objects the ledger condemns.
pub(super) async fn sweep<L: Ledger>(
    blobs: &Blobs,
    now: SystemTime,
    ages: SweepAges,
    ledger: &mut L,
) -> Result<Swept, L::Error> {
    let mut swept = Swept::default();
    if let Some(cutoff) = now.checked_sub(ages.spool) {
        swept.spool_files = blobs.sweep_spool(cutoff).await?;
    }
    let Some(cutoff) = now.checked_sub(ages.object) else { return Ok(swept) };
    for prefix in 0..=u8::MAX {
        let mut old = blobs.list(prefix).await?;
        old.retain(|object| object.modified < cutoff);
        swept.examined += old.len() as u64;
        for batch in old.chunks(BATCH) {
            let condemned = ledger.condemn(batch.to_vec()).await?;
            let sizes: HashMap<&BlobKey, u64> = batch.iter().map(|o| (&o.key, o.size)).collect();
            let gone = remove(blobs, condemned, cutoff, ledger).await?;
            swept.objects += gone.len() as u64;
            swept.object_bytes += gone.iter().filter_map(|key| sizes.get(key)).sum::<u64>();
        }
    }
    Ok(swept)
}

/// Removes condemned objects that are still old, while there is time; those that went.
pub(super) async fn remove<L: Ledger>(
    blobs: &Blobs,
    condemned: Condemned,
    cutoff: SystemTime,
    ledger: &mut L,
) -> Result<Vec<BlobKey>, L::Error> {
    let (mut gone, mut absent, mut spared) = (vec![], vec![], vec![]);
    let mut failed = None;
    for key in condemned.keys {
        // What is left stays condemned, and is the next sweep's.
        if Instant::now() >= condemned.until {
            break;
        }
        match blobs.delete_if_old(&key, cutoff).await {
            Ok(Removal::Gone) => gone.push(key),
            Ok(Removal::Absent) => absent.push(key),
            Ok(Removal::Young) => spared.push(key),
            Err(e) => {
                failed = Some(e);
                break;
            }
        }
    }
    absent.extend(gone.iter().cloned());
    if !absent.is_empty() || !spared.is_empty() {
        ledger.settle(absent, spared).await?;
    }
    match failed {
        Some(e) => Err(e.into()),
        None => Ok(gone),
    }
}
