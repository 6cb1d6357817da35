//! Exchange with other communities.

pub mod correlate;

pub use correlate::{Correlation, Correlations};
