//! Outbound connections: TLS, HTTP, SOAP client.

pub mod http;
pub mod soap;
pub mod tls;
