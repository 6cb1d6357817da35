//! One integration binary: a module for each capability, each test with a real gateway of its own
//! on port zero, on SQLite in a temporary directory or, when `TEST_DATABASE_URL` is set, in a
//! schema of its own on that PostgreSQL.

mod support;

mod asynchronous;
mod backup;
mod catalogue;
mod chaos;
mod cli;
mod cluster;
mod config;
mod corpus_identity;
mod corpus_xds;
mod database_faults;
mod encryption;
mod errors;
mod fault_audit;
mod faults;
mod history;
mod http_door;
mod layers;
mod mllp_door;
mod moving;
mod mpi_bad_input;
mod mpi_domains;
mod mpi_fhir;
mod mpi_import;
mod mpi_notices;
mod mpi_registry;
mod mpi_tls;
mod mpi_v2;
mod mpi_v3;
mod multi_patient;
mod no_room;
mod on_demand;
mod operation;
mod partitioned;
mod preflight;
mod provide;
mod races;
mod register;
mod relate;
mod remove;
mod remove_documents;
mod retrieve;
#[cfg(feature = "s3")]
mod s3;
mod schema_validation;
mod security_corpus;
mod simulate;
mod soap_faults;
mod stored_query;
mod sweeper;
mod tls;
mod update;
mod update_restricted;
mod wsdl;
mod xca;
mod xcpd;
mod xcpd_links;
