//! The schema judge of the integration tests, tested by itself.
