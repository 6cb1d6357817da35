//! Chiren Gateway: a document gateway for Japanese regional medical networks (地域医療連携ネットワーク).
//!
//! # Rooms and floors
//!
//! Bytes come in at the top, become model values once, go down through a decision to storage, and
//! the answer climbs back the same stairs. A room may import only what its row allows;
//! `tests/it/layers.rs` compares the `use crate::` lines with this table.
//!
//! | room | imports |
//! | --- | --- |
//! | model | — |
//! | config | model |
//! | wire | model |
//! | store | model, config |
//! | peer | model, config, wire |
//! | content | model, wire |
//! | matching | model |
//! | fhirpath | — |
//! | clins | model, wire, fhirpath |
//! | service | model, config, store, peer, content, matching, clins |
//! | synthetic | model |
//! | server | model, config, wire, service |
//! | cli, app, main | all |
//!
//! docs/ARCHITECTURE.md tells the life of a request through them.
#![forbid(unsafe_code)]

pub mod app;
pub mod cli;
pub mod clins;
pub mod config;
pub mod content;
pub mod fhirpath;
pub mod matching;
pub mod model;
pub mod peer;
pub mod server;
pub mod service;
pub mod store;
pub mod synthetic;
pub mod wire;
