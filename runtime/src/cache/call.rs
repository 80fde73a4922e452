//! What generated code says of a call beside look-up and load: whether its value is worth keeping, whether it may look at
//! all, and where the value came from.

use std::sync::Arc;

use crate::key::Fallible;
use crate::sync::{AtomicBool, Ordering};

/// Where the value of a call came from; what `f_with_status` says of a `#[cached(status)]` function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// The cache had it.
    Hit,
    /// This call ran the body.
    Miss,
    /// Another call ran the body, and this one waited for it.
    Waited,
}

/// Whether a call's own body ran.
#[doc(hidden)]
#[derive(Clone, Debug)]
pub struct Ran(Arc<AtomicBool>);

impl Ran {
    /// It has not.
    #[expect(clippy::new_without_default, reason = "for generated code, which has one way to write it")]
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(AtomicBool::new(false)))
    }

    /// It does now.
    pub fn mark(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// What that says of a call that found nothing at first.
    #[must_use]
    pub fn status(&self) -> Status {
        if self.0.load(Ordering::Relaxed) { Status::Miss } else { Status::Waited }
    }
}

/// What becomes of a computed value; as a [`Fallible`], what is only returned is not stored.
#[doc(hidden)]
#[derive(Debug)]
pub enum Verdict<V, R> {
    /// It is stored, and returned.
    Keep(V),
    /// It is returned.
    Return(R),
}

/// Stores a value if `keep` says so.
#[doc(hidden)]
pub fn judge_value<V>(value: V, keep: impl FnOnce(&V) -> bool) -> Verdict<V, V> {
    if keep(&value) { Verdict::Keep(value) } else { Verdict::Return(value) }
}

/// Stores what a `Result` or an `Option` holds if `keep` says so.
#[doc(hidden)]
pub fn judge<R: Fallible>(returned: R, keep: impl FnOnce(&R::Value) -> bool) -> Verdict<R::Value, R> {
    match returned.split() {
        Ok(value) if keep(&value) => Verdict::Keep(value),
        Ok(value) => Verdict::Return(R::from_value(value)),
        Err(rest) => Verdict::Return(rest),
    }
}

impl<V, R> Fallible for Verdict<V, R> {
    type Value = V;
    type Rest = R;

    fn split(self) -> Result<V, Self> {
        match self {
            Self::Keep(value) => Ok(value),
            rest @ Self::Return(_) => Err(rest),
        }
    }

    fn from_value(value: V) -> Self {
        Self::Keep(value)
    }
}

impl<V> Verdict<V, V> {
    /// What the function returns.
    pub fn into_value(self) -> V {
        match self {
            Self::Keep(value) | Self::Return(value) => value,
        }
    }
}

impl<R: Fallible> Verdict<R::Value, R> {
    /// What the function returns.
    pub fn into_result(self) -> R {
        match self {
            Self::Keep(value) => R::from_value(value),
            Self::Return(rest) => rest,
        }
    }
}

/// What a call does that found nothing: kept apart, so that one that finds needs no room for it. For generated code.
#[doc(hidden)]
#[cold]
#[inline(never)]
pub fn apart<R>(miss: impl FnOnce() -> R) -> R {
    miss()
}

/// Says what type an `async` block has, in a branch that is never taken.
#[doc(hidden)]
#[must_use]
pub fn never<T>() -> T {
    unreachable!("generated code does not come here")
}
