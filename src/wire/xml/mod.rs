//! XML at the door: the streaming guard, the tree for readers, and the escaping writer.
//!
//! Every message passes [`guard::Guard`] before [`tree::parse`] sees it: the guard enforces limits
//! in one pass and takes inline documents out, the tree checks well-formedness proper.

pub mod c14n;
pub mod guard;
mod limits;
mod tag;
pub mod tree;
pub mod write;

pub use limits::{XmlFault, XmlLimits};
pub use write::{XmlWriter, push_attr};
