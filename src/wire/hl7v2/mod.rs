//! HL7 v2 over MLLP (ITI TF-2 C.2; ITI-8, 9, 10, 21, 30, 31): bytes to the values of `model::identity`, and back.
//!
//! | file | part |
//! | --- | --- |
//! | `mllp` | frames |
//! | `charset` | bytes to text before anything is split, and back |
//! | `message`, `escape` | segments, fields and their parts |
//! | `header` | MSH: what is taken |
//! | `types`, `pid` | data types; a patient, both ways |
//! | `feed`, `query`, `request` | what a message asks |
//! | `error`, `reply` | what is answered |
//! | `compose`, `answer` | the client's side: messages of ours, answers of others |

pub mod answer;
pub mod charset;
pub mod compose;
pub mod error;
mod escape;
mod feed;
mod header;
mod message;
pub mod mllp;
mod pid;
mod query;
pub mod reply;
mod request;
#[cfg(test)]
mod tests;
mod types;

pub use error::{Ack, Condition, ErrorSegment, Exchange, Location, Severity};
pub use header::{Header, Version};
pub use message::{Delimiters, Message, Segment, Value};
pub use pid::INSURANCES;
pub use query::{Echo, PageAsked};
pub use request::{Body, Refused, Request, Sender, Settings, decoded, read, text_of, too_long};
pub use types::Identifier;
