//! Inbound faces.

pub mod http;
pub mod wsdl;
