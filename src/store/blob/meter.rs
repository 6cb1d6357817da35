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

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    #[test]
    fn operations_are_counted_by_outcome() {
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            let done = async { Ok(()) };
            assert!(metered("open", done).now_or_never().unwrap().is_ok());
            let failed = async { Err::<(), _>(BlobError::NoSpace) };
            assert!(metered("store", failed).now_or_never().unwrap().is_err());
        });
        let text = recorder.handle().render();
        for line in [
            "chiren_store_operations_total{operation=\"open\",outcome=\"success\"} 1",
            "chiren_store_operations_total{operation=\"store\",outcome=\"no-room\"} 1",
            "chiren_store_operation_duration_seconds_count{operation=\"open\"} 1",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
    }
}
