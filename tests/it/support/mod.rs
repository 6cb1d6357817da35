//! A gateway to test against, messages to send it, and judges of what it answers.

pub mod arr;
pub mod community;
pub mod consumer;
pub mod gateway;
pub mod idp;
pub mod mllp;
pub mod national;
pub mod nodes;
pub mod port;
pub mod postgres;
pub mod process;
pub mod proxy;
pub mod raw;
#[cfg(feature = "s3")]
pub mod s3;
pub mod samples;
pub mod schema;
pub mod sink;
pub mod soap;
pub mod tls;
pub mod updates;

pub use gateway::Gateway;
pub use soap::{Answer, Soap};
