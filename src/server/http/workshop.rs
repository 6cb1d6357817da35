//! Where short requests are worked on: threads apart from those that accept, read, refuse and send, and below them in
//! the eyes of the scheduler.
//!
//! With the same threads for everything, a gateway asked four times what it can do lets each new request wait behind
//! all work under way before it learns that there is no turn, and each answer wait before it leaves. So reading and
//! refusing come first, and the processor's rest is for those that were let in.

use std::future::Future;
use std::sync::Arc;

use tokio::runtime::{Builder, Handle, Runtime, RuntimeFlavor};
use tokio_util::task::AbortOnDropHandle;

/// How much nicer the workers are than the rest of the program. It only matters while the processors are full: then
/// they share what is left, about one part to three.
const NICENESS: i32 = 5;

/// Clones share the threads; the last takes them down.
#[derive(Clone)]
pub struct Workshop(Arc<Threads>);

struct Threads {
    handle: Handle,
    /// `None`: the threads are those of whoever opened it.
    runtime: Option<Runtime>,
}

impl Drop for Threads {
    fn drop(&mut self) {
        // A runtime must not be waited for where tasks run, as this does.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Workshop {
    /// Threads of its own where the program has several; where it has one (tests), work is done there.
    pub fn open() -> std::io::Result<Self> {
        let here = Handle::current();
        if here.runtime_flavor() != RuntimeFlavor::MultiThread {
            return Ok(Self(Arc::new(Threads { handle: here, runtime: None })));
        }
        let runtime = Builder::new_multi_thread()
            .worker_threads(here.metrics().num_workers())
            .thread_name("work")
            .on_thread_start(step_back)
            .enable_all()
            .build()?;
        Ok(Self(Arc::new(Threads { handle: runtime.handle().clone(), runtime: Some(runtime) })))
    }

    /// Works on something; dropping the future ends the work at its next pause. `None`: it panicked.
    pub async fn work<T: Send + 'static>(&self, job: impl Future<Output = T> + Send + 'static) -> Option<T> {
        AbortOnDropHandle::new(self.0.handle.spawn(job)).await.ok()
    }
}

/// Lowers the priority of the thread. Elsewhere than on Linux that would be the whole program's.
fn step_back() {
    #[cfg(target_os = "linux")]
    if let Err(cause) = rustix::process::setpriority_process(None, own_niceness() + NICENESS) {
        tracing::debug!(%cause, "the priority of a worker could not be lowered");
    }
}

/// What the program was started with.
#[cfg(target_os = "linux")]
fn own_niceness() -> i32 {
    rustix::process::getpriority_process(None).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn workers_step_back_and_the_rest_does_not() {
        let workshop = Workshop::open().unwrap();
        let name = || std::thread::current().name().map(str::to_owned);
        assert_eq!(workshop.work(async move { name() }).await.flatten().as_deref(), Some("work"));
        #[cfg(target_os = "linux")]
        {
            let before = own_niceness();
            let there = workshop.work(async { own_niceness() }).await;
            // The kernel knows nothing nicer than 19.
            assert_eq!(there, Some((before + NICENESS).min(19)));
            assert_eq!(own_niceness(), before);
        }
    }

    #[tokio::test]
    async fn what_is_no_longer_wanted_ends_and_a_panic_is_told() {
        let workshop = Workshop::open().unwrap();
        let (dropped, mut seen) = tokio::sync::oneshot::channel::<()>();
        let (begun, started) = tokio::sync::oneshot::channel();
        let job = workshop.work(async move {
            let _dropped = dropped;
            begun.send(()).unwrap();
            std::future::pending::<()>().await;
        });
        tokio::select! {
            _ = job => unreachable!(),
            begun = started => begun.unwrap(),
        }
        assert!((&mut seen).await.is_err());
        assert_eq!(
            workshop
                .work(async {
                    if true {
                        panic!("on purpose")
                    }
                })
                .await,
            None
        );
    }
}
