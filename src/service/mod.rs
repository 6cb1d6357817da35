//! Decisions; the only room that opens transactions.
