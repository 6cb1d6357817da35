//! Outbound connections: TLS, HTTP, SOAP client, MLLP client, the port to the national service.

pub mod http;
pub mod mllp;
pub mod national;
pub mod soap;
pub mod tls;
