//! The home of `tests/models.rs`, which needs an allocator of its own. Nothing is here.
