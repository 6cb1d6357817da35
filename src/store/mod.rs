//! The only room that knows SQL and document bytes at rest.

pub mod audit;
pub mod blob;
pub mod consent;
pub mod db;
pub mod documents;
mod in_place;
pub mod lease;
pub mod migrate;
pub mod mpi;
pub mod national;
pub mod outbox;
pub mod patient;
pub mod registry;
pub mod seen;
pub mod tables;
#[cfg(test)]
pub(crate) mod testing;
