//! One integration binary: a module for each capability, each test with a real gateway of its own
//! on port zero, on SQLite in a temporary directory or, when `TEST_DATABASE_URL` is set, in a
//! schema of its own on that PostgreSQL.

mod support;

mod catalogue;
mod cli;
mod config;
mod corpus_xds;
mod http_door;
mod layers;
mod operation;
mod restart;
mod schema_validation;
mod security_corpus;
mod soap_faults;
mod tls;
mod wsdl;
