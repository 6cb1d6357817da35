//! Bytes to model values and back; no I/O: chunks in, events or values out.

pub mod atna;
pub mod base64;
pub mod ebxml;
pub mod fhir;
pub mod hl7v2;
pub mod hl7v3;
pub mod jwt;
pub mod mtom;
pub mod saml;
pub mod soap;
pub mod xml;
