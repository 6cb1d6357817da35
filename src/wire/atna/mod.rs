//! ITI-20 on the wire: the audit message of DICOM PS3.15 A.5 as XML ([`write()`], [`read()`]), the syslog message that
//! carries it (RFC 5424, [`syslog`]) and the frames of syslog over TLS (RFC 5425, [`frames`]).

pub mod frames;
mod read;
pub mod syslog;
mod write;

pub use read::{Unreadable, read};
pub use write::write;
