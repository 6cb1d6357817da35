//! Bytes to model values and back; no I/O: chunks in, events or values out.

pub mod base64;
pub mod mtom;
pub mod xml;
