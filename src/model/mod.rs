//! What things are: metadata, queries, rules, identifiers, errors. No I/O and no clock; this room
//! imports no other.

pub mod addressing;
pub mod assertion;
pub mod audit;
pub mod caller;
pub mod codes;
pub mod community;
pub mod consent;
pub mod ebrim;
pub mod error;
pub mod hl7tables;
pub mod hl7types;
pub mod identity;
pub mod ids;
pub mod metadata;
pub mod namespace;
pub mod national;
pub mod node;
pub mod patient;
pub mod query;
pub mod rules;
pub mod token;
pub mod transaction;
pub mod user;
pub mod uuids;
