//! The only room that knows SQL and document bytes at rest.

pub mod audit;
pub mod blob;
pub mod db;
pub mod documents;
mod in_place;
pub mod migrate;
pub mod outbox;
pub mod patient;
pub mod registry;
#[cfg(test)]
pub(crate) mod testing;
