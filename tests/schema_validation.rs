//! The schema judge of the integration tests, tested by itself.

#[path = "support/schema.rs"]
mod schema;
