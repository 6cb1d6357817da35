//! The registry at rest: objects as JSON bodies with columns to search by. Status, version and
//! lastUpdateTime columns are authoritative over the body.

pub mod find;
pub mod put;
pub mod row;
