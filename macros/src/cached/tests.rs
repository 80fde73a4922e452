//! Expansions as a reader sees them.
