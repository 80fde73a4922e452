//! Behaviour through the public interface, one module an area.
//!
//! Each test makes its own domain with a clock that stands still, so that tests share nothing and run in any order,
//! all at once. What touches the process's own domain is not here: it has test files, and so processes, of its own.

mod support;

mod budget;
mod cache;
mod expiry;
mod flight;
mod invalidate;
mod operations;
mod panics;
mod policy;
mod pressure;
mod proptest_budget;
mod reweigh;
mod snapshot;
mod threads;
