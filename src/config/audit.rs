//! `[audit]`: which access leaves a record (ITI-20).

use super::section::section;

section! {
    /// Audit records (ITI-20). Submissions, retrievals and SOAP faults always leave one.
    pub struct AuditConfig {
        /// Whether queries leave one too.
        queries: bool = true,
    }
}
