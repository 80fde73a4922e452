//! Nothing: the tests are in `tests/shapes.rs`.
