//! The registry at rest: objects as JSON bodies with columns to search by. Status, version and
//! lastUpdateTime columns are authoritative over the body. Whoever changes anything does it by [`change`].

pub mod change;
pub mod find;
pub mod history;
mod lineage;
pub mod on_demand;
pub mod owned;
pub mod put;
pub mod refs;
pub mod row;
pub mod state;
pub mod submissions;
pub mod versions;

pub use lineage::State;

/// `valid_to` of what still holds.
pub const STILL: i64 = i64::MAX;

/// `object_id.kind` and `unique_id.kind`.
pub mod kind {
    use crate::model::ebrim::ObjectKind;

    pub const DOCUMENT_ENTRY: i64 = 1;
    pub const SUBMISSION_SET: i64 = 2;
    pub const FOLDER: i64 = 3;
    pub const ASSOCIATION: i64 = 4;

    pub fn of(kind: ObjectKind) -> i64 {
        match kind {
            ObjectKind::DocumentEntry => DOCUMENT_ENTRY,
            ObjectKind::SubmissionSet => SUBMISSION_SET,
            ObjectKind::Folder => FOLDER,
            ObjectKind::Association => ASSOCIATION,
        }
    }

    pub fn from_i64(value: i64) -> ObjectKind {
        match value {
            SUBMISSION_SET => ObjectKind::SubmissionSet,
            FOLDER => ObjectKind::Folder,
            ASSOCIATION => ObjectKind::Association,
            _ => ObjectKind::DocumentEntry,
        }
    }
}

/// `document_code.attribute`.
pub mod code_attribute {
    pub const EVENT_CODE_LIST: i64 = 1;
    pub const CONFIDENTIALITY_CODE: i64 = 2;
    pub const REFERENCE_ID_LIST: i64 = 3;
}
