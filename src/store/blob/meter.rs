//! How operations on the document store go, counted.

use std::time::Instant;

use metrics::{counter, histogram};

use super::BlobError;

/// Operations, by operation and outcome.
pub const OPERATIONS: &str = "chiren_store_operations_total";
/// How long they took, by operation.
pub const DURATION: &str = "chiren_store_operation_duration_seconds";

/// Counts an operation: `store`, `open`, `remove`, `list` or `rekey`.
pub(super) async fn metered<T>(
    operation: &'static str,
    work: impl Future<Output = Result<T, BlobError>>,
) -> Result<T, BlobError> {
    let begun = Instant::now();
    let done = work.await;
    let outcome = done.as_ref().err().map_or("success", BlobError::outcome);
    counter!(OPERATIONS, "operation" => operation, "outcome" => outcome).increment(1);
    histogram!(DURATION, "operation" => operation).record(begun.elapsed());
    done
}
