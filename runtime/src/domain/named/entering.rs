//! How a name comes to stand for something, and ceases to.

use std::any::Any;

use super::{NAMED, Named};
use crate::sync::{AtomicU64, Ordering};

/// What a name stands for, beside its domain.
pub(crate) trait Behind: Any + Send + Sync {
    /// Whether it is of no use any more, and its name is free.
    fn is_gone(&self) -> bool;
}

/// Another number after each change.
static TURN: AtomicU64 = AtomicU64::new(0);

/// Gives a name; `false` when something else has it.
pub(crate) fn enter(named: Named) -> bool {
    let gone = {
        let mut all = NAMED.write();
        let old = all.iter().position(|other| other.name == named.name);
        if old.is_some_and(|old| !all[old].behind.is_gone()) {
            return false;
        }
        let gone = old.map(|old| all.swap_remove(old));
        all.push(named);
        TURN.fetch_add(1, Ordering::Release);
        gone
    };
    // What it holds is not dropped under the lock.
    drop(gone);
    true
}

/// Takes the name away from what `is_it` knows again; `false` when that has none.
pub(crate) fn leave(is_it: impl Fn(&dyn Any) -> bool) -> bool {
    let gone = {
        let mut all = NAMED.write();
        let at = all.iter().position(|named| is_it(&*named.behind));
        let gone = at.map(|at| all.swap_remove(at));
        TURN.fetch_add(u64::from(gone.is_some()), Ordering::Release);
        gone
    };
    gone.is_some()
}

/// As long as it is the same, so is what [`find`](super::find) finds.
#[inline]
pub(crate) fn turn() -> u64 {
    TURN.load(Ordering::Acquire)
}
