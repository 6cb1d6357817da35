//! Builds stores, services and listeners from the configuration; drains on stop.
