//! Outbound connections: TLS, HTTP, SOAP client, MLLP client.

pub mod assertion;
pub mod http;
pub mod keys;
pub mod mllp;
pub mod soap;
pub mod tls;
