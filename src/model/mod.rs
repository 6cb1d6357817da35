//! What things are: metadata, queries, rules, identifiers, errors. No I/O and no clock; this room
//! imports no other.

pub mod codes;
pub mod ebrim;
pub mod error;
pub mod hl7types;
pub mod ids;
pub mod rules;
pub mod uuids;
