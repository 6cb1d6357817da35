//! Short blocking work without a change of thread.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::block_in_place;

/// Workers at such work now.
static AT_WORK: AtomicUsize = AtomicUsize::new(0);

/// Runs work that may block for a moment (a query on SQLite, the first read of a file) on the
/// thread we stand on.
///
/// `block_in_place` hands the worker's other tasks to another thread first, which for work of 100 µs
/// costs as much again. So up to half the workers do without, and the others go on serving sockets.
/// A current-thread runtime (small tests) simply blocks.
pub(super) fn in_place<R>(work: impl FnOnce() -> R) -> R {
    let handle = match Handle::try_current() {
        Ok(handle) if handle.runtime_flavor() == RuntimeFlavor::MultiThread => handle,
        _ => return work(),
    };
    let here = AtWork::begin();
    if here.0 < handle.metrics().num_workers() / 2 { work() } else { block_in_place(work) }
}

/// How many were at work before us.
struct AtWork(usize);

impl AtWork {
    fn begin() -> Self {
        Self(AT_WORK.fetch_add(1, Ordering::Relaxed))
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        AT_WORK.fetch_sub(1, Ordering::Relaxed);
    }
}
