//! Bytes to model values and back; no I/O: chunks in, events or values out.

pub mod mtom;
pub mod xml;
