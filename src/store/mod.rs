//! The only room that knows SQL and document bytes at rest.

pub mod blob;
pub mod db;
pub mod migrate;
pub mod registry;
