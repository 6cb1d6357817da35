//! Removes what a crash or a cut upload left behind: spool files, and bytes no document stands on.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::model::error::Error;
use crate::service::repository::Repository;
use crate::service::{database, storage};
use crate::store::blob::{BlobError, BlobKey, SweepAges, Swept};
use crate::store::db::DbError;
use crate::store::documents;

pub type SweepReport = Swept;

enum Stop {
    Blob(BlobError),
    Database(DbError),
}

impl From<BlobError> for Stop {
    fn from(e: BlobError) -> Self {
        Stop::Blob(e)
    }
}

impl Repository {
    /// One sweep as of `now`; younger leftovers than `age` are left alone, they may be in use.
    pub async fn sweep(&self, now: SystemTime, age: Duration) -> Result<SweepReport, Error> {
        let db = self.db.clone();
        let ages = SweepAges { spool: age, object: age };
        let swept = self
            .blobs
            .sweep(now, ages, move |keys: Vec<BlobKey>| {
                let db = db.clone();
                let names: Arc<Vec<String>> = Arc::new(keys.iter().map(|k| k.as_str().to_owned()).collect());
                async move {
                    let kept = db
                        .read(move |tx| {
                            let names = names.clone();
                            Box::pin(async move { documents::referenced(tx, &names).await })
                        })
                        .await
                        .map_err(Stop::Database)?;
                    Ok(kept.iter().filter_map(|k| BlobKey::parse(k)).collect())
                }
            })
            .await;
        swept.map_err(|e| match e {
            Stop::Blob(e) => storage(e),
            Stop::Database(e) => database(e),
        })
    }
}
