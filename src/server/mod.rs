//! Inbound faces.

pub mod http;
