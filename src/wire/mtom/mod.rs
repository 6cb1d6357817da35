//! MTOM/XOP: multipart/related split and written as a stream (RFC 2387; MTOM; XOP).
//!
//! [`content_type`] tells how a message is packed, [`split`] cuts it into parts as it arrives,
//! [`cid`] finds the part an `xop:Include` means, and [`write`] frames what we send.

pub mod cid;
pub mod content_type;
mod head;
pub mod split;
pub mod write;
