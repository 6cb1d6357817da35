//! What is read anew when the gateway is told to (SIGHUP).

use tracing::{info, warn};

/// Something that SIGHUP makes read its files anew. What is faulty stays as it was.
pub struct Reload {
    what: &'static str,
    read: Box<dyn Fn() -> anyhow::Result<String> + Send + Sync>,
}

impl Reload {
    /// `read` gives what there is now: how many, or which version.
    pub fn new<T: ToString>(
        what: &'static str,
        read: impl Fn() -> anyhow::Result<T> + Send + Sync + 'static,
    ) -> Self {
        Self { what, read: Box::new(move || Ok(read()?.to_string())) }
    }

    pub(super) fn run(&self) {
        match (self.read)() {
            Ok(now) => info!(what = self.what, now, "read anew"),
            Err(e) => {
                warn!(what = self.what, cause = format!("{e:#}"), "not read; what was before stays in force")
            }
        }
    }
}
