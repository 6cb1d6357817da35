//! Outbound connections: TLS, SOAP client.
