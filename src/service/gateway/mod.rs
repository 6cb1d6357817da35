//! Exchange with other communities.

pub mod correlate;
pub mod respond;

pub use correlate::{Correlated, Correlation, Correlations};
pub use respond::Responder;
