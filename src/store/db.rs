//! Two engines, one SQL text.
