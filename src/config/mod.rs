//! Configuration: one documented struct per section; load, check, print the example.

pub mod database;
