//! Decisions against a second evaluation, the simplest possible one, written over types of its own; and each ground of the
//! table with both outcomes.

mod grounds;
mod second;
