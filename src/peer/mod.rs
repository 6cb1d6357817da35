//! Outbound connections: TLS, HTTP, SOAP client, MLLP client, the port to the national service, syslog, SNTP.

pub mod assertion;
pub mod http;
pub mod keys;
pub mod mllp;
pub mod national;
pub mod sntp;
pub mod soap;
pub mod syslog;
pub mod tls;
