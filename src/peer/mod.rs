//! Outbound connections: TLS, HTTP, SOAP client, MLLP client.

pub mod http;
pub mod mllp;
pub mod soap;
pub mod tls;
