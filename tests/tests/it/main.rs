//! Behaviour through the public interface, one module an area.
//!
//! Each test makes its own domain with a clock that stands still, so that tests share nothing and run in any order,
//! all at once. What touches the process's own domain is not here: it has test files, and so processes, of its own.

mod support;

mod auto;
mod bounds;
mod budget;
mod buffers;
mod bypass;
mod cache;
mod callbacks;
mod capacity;
mod emergency;
mod expiry;
mod explain;
mod flight;
mod histories;
mod hybrid;
mod invalidate;
mod linearizable;
mod namespaces;
mod nested;
mod operations;
mod options;
mod panics;
mod pins;
mod policy;
mod pool;
mod pool_abuse;
mod pressure;
mod proptest_budget;
mod ramps;
mod ranking;
mod readers;
mod removal;
mod reweigh;
mod snapshot;
mod threads;
mod times;
mod tracked;
#[cfg(unix)]
mod triggers;
