//! Domains that go by a name, for whoever can say no more than that: an attribute, a configuration.
//!
//! What stands behind a name, such as a device, is for higher layers to know.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use super::Domain;
use crate::arrange::sort_by;
use crate::sync::{AtomicU64, Ordering, RwLock};

/// What a name stands for, beside its domain.
pub(crate) trait Behind: Any + Send + Sync {
    /// Whether it is of no use any more, and its name is free.
    fn is_gone(&self) -> bool;
}

/// A name, and what it stands for.
#[derive(Clone)]
pub(crate) struct Named {
    pub(crate) name: Arc<str>,
    pub(crate) domain: Arc<Domain>,
    pub(crate) behind: Arc<dyn Behind>,
}

static NAMED: RwLock<Vec<Named>> = RwLock::new(Vec::new());
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

/// What goes by this name.
pub(crate) fn find(name: &str) -> Option<Named> {
    NAMED.read().iter().find(|named| *named.name == *name).cloned()
}

/// All names, in their order.
pub(crate) fn names() -> Vec<String> {
    let mut names: Vec<String> = NAMED.read().iter().map(|named| named.name.to_string()).collect();
    sort_by(&mut names, Ord::cmp);
    names
}

/// As long as it is the same, so is what [`find`] finds.
#[inline]
pub(crate) fn turn() -> u64 {
    TURN.load(Ordering::Acquire)
}

/// Says that nothing goes by this name, and what there is.
pub(crate) fn write_missing(f: &mut fmt::Formatter<'_>, name: &str, registered: &[String]) -> fmt::Result {
    write!(f, "no device is registered as `{name}`: call `register` on one of that name before")?;
    for (at, name) in registered.iter().enumerate() {
        write!(f, "{} `{name}`", if at == 0 { "; there is" } else { "," })?;
    }
    Ok(())
}
