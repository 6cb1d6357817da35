//! One integration binary: a module for each capability, each test with a real gateway of its own
//! on port zero, on SQLite in a temporary directory or, when `TEST_DATABASE_URL` is set, in a
//! schema of its own on that PostgreSQL.

mod support;

mod asynchronous;
mod catalogue;
mod cli;
mod config;
mod corpus_xds;
mod errors;
mod fault_audit;
mod history;
mod http_door;
mod layers;
mod multi_patient;
mod no_room;
mod operation;
mod provide;
mod races;
mod register;
mod relate;
mod remove;
mod remove_documents;
mod restart;
mod retrieve;
mod schema_validation;
mod security_corpus;
mod soap_faults;
mod stored_query;
mod tls;
mod update;
mod update_restricted;
mod wsdl;
