//! All that generated code may name, in one place. No promises: it changes with any release.

pub use larder_runtime::__private::*;
