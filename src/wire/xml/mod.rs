//! XML at the door: the streaming guard, and the escaping writer.

pub mod tree;
pub mod write;

pub use write::XmlWriter;
