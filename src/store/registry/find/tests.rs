use std::sync::Arc;

use super::*;
use crate::model::caller::Caller;
use crate::model::consent::{Policy, Purpose, decide};
use crate::store::db::Db;

pub(super) fn options(return_type: ReturnType, limit: usize) -> FindOptions {
    FindOptions { return_type, limit }
}

fn permit() -> Permit {
    decide(Policy::AdmittedNodes, &Caller::default(), Purpose::Query)
}

/// Runs a query as a service does.
pub(super) async fn found(
    db: &Db,
    query: StoredQuery,
    options: FindOptions,
) -> Result<FindOutcome, FindError> {
    let (query, permit) = (Arc::new(query), Arc::new(permit()));
    db.snapshot(move |tx| {
        let (query, permit) = (query.clone(), permit.clone());
        Box::pin(async move { run(tx, &query, &options, &permit).await })
    })
    .await
}
