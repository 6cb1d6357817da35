//! Outbound connections: TLS, HTTP, SOAP client, MLLP client, syslog, SNTP.

pub mod http;
pub mod mllp;
pub mod sntp;
pub mod soap;
pub mod syslog;
pub mod tls;
