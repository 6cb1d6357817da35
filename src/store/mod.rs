//! The only room that knows SQL and document bytes at rest.

pub mod blob;
pub mod db;
pub mod migrate;
#[cfg(test)]
pub(crate) mod testing;
