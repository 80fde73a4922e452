//! Caches that live in an object or a thread, and go with it.
//!
//! The macro can't name their types in a field, and one object may have caches of many methods: so a [`Local`] is a list,
//! told apart by the site and, as in a site, by the types. Each is a part of the method's one tenant.

use std::any::{Any, TypeId};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::OnceLock;

/// A place for the caches of `#[cached(within = self.caches)]` methods: one cache for each object, freed with it.
///
/// ```
/// # extern crate larder_runtime as larder;
/// use larder::Local;
///
/// #[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
/// struct Document {
///     text: String,
///     caches: Local,
/// }
/// ```
///
/// It is nothing but a place: two are always equal, a clone is empty, and so derives of the struct around it mean what
/// they meant without it. Bounds of the method hold for all of its objects together, which have one row in the
/// statistics.
///
/// # Cost
///
/// A pointer, until a method is called. Then about a kilobyte for each of them, charged to the budget. Whoever makes room
/// finds the object with the cheapest entry by its place in a tree, so that thousands of them are no slower than a few; what
/// looks at all of a cache (statistics, a sweep, `clear` of a domain) looks at each.
#[derive(Default)]
pub struct Local {
    first: OnceLock<Box<Node>>,
}

struct Node {
    /// The address of the site.
    site: usize,
    /// The closure's type: one for each set of generic arguments.
    instance: TypeId,
    target: Box<dyn Any>,
    next: OnceLock<Box<Node>>,
}

// SAFETY: `target` is a `Cache<K, V>`. It may be shared between threads, and dropped on any, because the proofs that were
// needed to make it attest `Send + Sync` of key and value.
unsafe impl Send for Node {}
// SAFETY: as above.
unsafe impl Sync for Node {}

impl Local {
    /// An empty one.
    #[must_use]
    pub const fn new() -> Self {
        Self { first: OnceLock::new() }
    }

    /// What this site keeps here for this instance, which `make` makes on first use. Two that make it at once keep one.
    /// `made` sees it once it can be found here.
    ///
    /// # Safety
    ///
    /// A `C` may be shared between threads and dropped on any.
    #[inline]
    pub(crate) unsafe fn find_or_make<C: 'static>(
        &self,
        site: usize,
        instance: TypeId,
        make: impl FnOnce() -> C,
        made: impl FnOnce(&C),
    ) -> &C {
        let mut at = &self.first;
        while let Some(node) = at.get() {
            if let Some(found) = node.holds(site, instance) {
                return found;
            }
            at = &node.next;
        }
        let new = Box::new(Node { site, instance, target: Box::new(make()), next: OnceLock::new() });
        let added = Self::add(at, new);
        made(added);
        added
    }

    #[cold]
    fn add<C: 'static>(mut at: &OnceLock<Box<Node>>, new: Box<Node>) -> &C {
        let (site, instance) = (new.site, new.instance);
        let mut new = Some(new);
        loop {
            // Ours, or that of somebody who came first.
            let node =
                at.get_or_init(|| new.take().unwrap_or_else(|| unreachable!("it is found once it is in")));
            if let Some(found) = node.holds(site, instance) {
                return found;
            }
            at = &node.next;
        }
    }
}

impl Node {
    #[inline]
    fn holds<C: 'static>(&self, site: usize, instance: TypeId) -> Option<&C> {
        if self.site == site && self.instance == instance { self.target.downcast_ref() } else { None }
    }
}

impl Clone for Local {
    /// An empty one: what an object's caches know is that object's.
    fn clone(&self) -> Self {
        Self::new()
    }
}

impl PartialEq for Local {
    /// Always: what is cached is no part of what an object is.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Local {}

impl PartialOrd for Local {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Local {
    /// Always equal.
    fn cmp(&self, _: &Self) -> std::cmp::Ordering {
        std::cmp::Ordering::Equal
    }
}

impl Hash for Local {
    /// Feeds nothing.
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl crate::Weigh for Local {
    /// Nothing: its caches are charged by themselves.
    fn heap_bytes(&self) -> u64 {
        0
    }
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut count = 0;
        let mut at = &self.first;
        while let Some(node) = at.get() {
            (count, at) = (count + 1, &node.next);
        }
        f.debug_struct("Local").field("caches", &count).finish()
    }
}
