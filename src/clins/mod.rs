//! What the national service (電子カルテ情報共有サービス) accepts: FHIR Bundles of JP-CLINS, checked before they leave.
//!
//! The rules come from the FHIR packages their publisher gives out, loaded unmodified ([`package`]); what FHIR R4 itself
//! says is in [`base`]; what the publication leaves open is settled in [`settled`], one row per rule. [`check`] puts them
//! together. docs/preflight.md tells it for those who write to vendors.

pub mod base;
pub mod bundle;
pub mod check;
pub mod finding;
pub mod make;
pub mod normalise;
pub mod package;
pub mod profile;
pub mod settled;
pub mod terminology;
mod validate;

#[cfg(test)]
mod tests;
