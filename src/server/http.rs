//! Listeners: TLS, limits, routing by path.
