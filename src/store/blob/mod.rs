//! Documents at rest: spool, content-addressed files, sweeper.
