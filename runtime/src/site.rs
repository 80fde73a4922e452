//! The static behind an annotated item: finds the cache or pool of the types it is called with.
//!
//! A static inside a generic function is one static for all its instances. So a site keeps a list of
//! instances, told apart by the type of a closure written in the item (which carries every generic
//! parameter in scope) and checked by the type of what is stored. All instances are one tenant.
//!
//! Only finding and making happens here; what a cache or a pool does is theirs.

#[cfg(feature = "device")]
mod device;
mod extras;
mod found;
mod identity;

#[cfg(feature = "device")]
pub use device::DeviceSite;
pub use extras::{Extras, MaybeExtras, extras, order};
pub use found::Found;

use std::any::{Any, TypeId};
use std::cell::RefCell;
use std::fmt;
use std::ptr;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::thread::LocalKey;

use crate::cache::{BuildError, Cache, CacheTenant, Core, HeapOf, Instance, Ops, Options};
use crate::descriptor::Descriptor;
use crate::domain::{Domain, named};
use crate::global;
use crate::key::{KeyShape, ValueShape};
use crate::local::Local;
use crate::pool::{self, BufferPool, Pool, PoolCore, PoolProof, PoolTenant, Recipe, Shelves, ThreadProof};
use crate::sync::{AtomicPtr, Mutex, Ordering};
use crate::tenant::{Terms, arc};

/// The static that a macro makes for an annotated item. For generated code.
#[doc(hidden)]
pub struct Site {
    descriptor: &'static Descriptor,
    /// Instances, newest first. Nodes are leaked: they live as long as the static does.
    head: AtomicPtr<Node>,
    /// Held while an instance is made, so that each is made once.
    making: Mutex<()>,
    tenant: OnceLock<Arc<CacheTenant>>,
    pools: OnceLock<Arc<PoolTenant>>,
}

/// An instance of an item, as the type of a closure in it tells: taken down to values here, because that type is another
/// for each item, and what depends on it is compiled for each.
#[derive(Clone, Copy)]
struct Which {
    id: TypeId,
    name: fn() -> &'static str,
}

impl Which {
    #[inline]
    fn of<F>() -> Self {
        // Lifetimes do not count: a generic function may borrow in its parameters.
        Self { id: identity::of::<F>(), name: std::any::type_name::<F> }
    }
}

struct Node {
    /// The closure's type: one for each set of generic arguments.
    instance: TypeId,
    /// The type that `target` points to.
    kind: TypeId,
    target: *const (),
    next: *const Node,
}

// SAFETY: `target` points to a leaked `Cache<K, V>`, `Pool<T>` or `Shelves<T>` that is only ever shared. Its contents may
// be shared between threads because the proofs that were needed to make it attest `Send + Sync` of key and
// value, and `Send` of a pooled type. `next` points to a leaked node that is never written again.
unsafe impl Send for Node {}
// SAFETY: as above.
unsafe impl Sync for Node {}

/// The static of a function that has one instance, whose types can be said there: there is nothing to tell apart. For
/// generated code.
#[doc(hidden)]
#[derive(Debug)]
pub struct Single<K, V> {
    site: Site,
    cache: OnceLock<Cache<K, V>>,
}

// SAFETY: a `Cache<K, V>` comes in with proofs of `Send + Sync` of key and value, and before that there is nothing of
// theirs.
unsafe impl<K, V> Sync for Single<K, V> {}

impl<K: 'static, V: 'static> Single<K, V> {
    /// The site of the function that `descriptor` describes.
    #[must_use]
    pub const fn new(descriptor: &'static Descriptor) -> Self {
        Self { site: Site::new(descriptor), cache: OnceLock::new() }
    }

    /// The cache, if it was made.
    #[inline]
    pub fn get(&'static self) -> Option<&'static Cache<K, V>> {
        self.cache.get()
    }

    /// The cache, made of nothing but these proofs unless it is there.
    #[inline]
    pub fn cache<P: KeyShape<Key = K>, S: ValueShape<V>>(
        &'static self,
        keys: P,
        value: S,
    ) -> &'static Cache<K, V> {
        match self.get() {
            Some(cache) => cache,
            None => self.first(keys, value, ()),
        }
    }

    #[cold]
    #[inline(never)]
    pub fn first<P, S, E>(&'static self, keys: P, value: S, extras: E) -> &'static Cache<K, V>
    where
        P: KeyShape<Key = K>,
        S: ValueShape<V>,
        E: MaybeExtras<K, V>,
    {
        // What runs under this lock is nothing of the user's, as in `Site::make`.
        let cache = self.cache.get_or_init(|| self.site.new_cache(None, keys, value, extras));
        cache.core.charge_base();
        // Where it cannot be opened it is off, which statistics and an event say.
        #[cfg(feature = "tiers")]
        let _ = cache.core.open_below();
        cache
    }
}

/// [`Single`] for the pool of a type without parameters. For generated code.
#[doc(hidden)]
#[derive(Debug)]
pub struct SinglePool<T, R> {
    site: Site,
    pool: OnceLock<Pool<T, R>>,
}

// SAFETY: a pool comes in with the proof that its objects are `Send`, and before that there is nothing of theirs.
unsafe impl<T, R> Sync for SinglePool<T, R> {}

impl<T: 'static, R: 'static> SinglePool<T, R> {
    /// The site of the type that `descriptor` describes.
    #[must_use]
    pub const fn new(descriptor: &'static Descriptor) -> Self {
        Self { site: Site::new(descriptor), pool: OnceLock::new() }
    }

    /// The pool, if it was made.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub fn get(&'static self) -> Option<&'static Pool<T, R>> {
        self.pool.get()
    }

    /// The pool, made unless it is there.
    #[cold]
    #[inline(never)]
    pub fn first(
        &'static self,
        proof: PoolProof<T>,
        recipe: impl FnOnce() -> Recipe<T>,
    ) -> &'static Pool<T, R> {
        let mut recipe = Some(recipe());
        // What runs under this lock is nothing of the user's, as in `Site::make`.
        let pool = self.pool.get_or_init(|| self.site.new_pool(proof, recipe.take(), false));
        pool.core.charge_base();
        pool
    }
}

impl Site {
    /// The site of the item that `descriptor` describes.
    #[must_use]
    pub const fn new(descriptor: &'static Descriptor) -> Self {
        Self {
            descriptor,
            head: AtomicPtr::new(ptr::null_mut()),
            making: Mutex::new(()),
            tenant: OnceLock::new(),
            pools: OnceLock::new(),
        }
    }

    /// The cache of this item for these types, made on first use. `_instance` is a closure written in the
    /// item itself.
    #[inline]
    pub fn cache<P, V, S, E, F>(
        &'static self,
        keys: P,
        value: S,
        extras: E,
        _instance: F,
    ) -> &'static Cache<P::Key, V>
    where
        P: KeyShape,
        S: ValueShape<V>,
        E: MaybeExtras<P::Key, V>,
        P::Key: 'static,
        V: 'static,
    {
        let instance = Which::of::<F>();
        match self.find::<Cache<P::Key, V>>(instance.id) {
            Some(cache) => cache,
            None => self.first_cache(instance, keys, value, extras),
        }
    }

    /// The cache of this item for these types in an object, made on first use there.
    #[inline]
    pub fn cache_within<'a, P, V, S, E, F>(
        &'static self,
        local: &'a Local,
        keys: P,
        value: S,
        extras: E,
        _instance: F,
    ) -> &'a Cache<P::Key, V>
    where
        P: KeyShape,
        S: ValueShape<V>,
        E: MaybeExtras<P::Key, V>,
        P::Key: 'static,
        V: 'static,
    {
        let site = ptr::from_ref(self).addr();
        let instance = Which::of::<F>();
        let make = || self.new_cache(Some(instance.name), keys, value, extras);
        // SAFETY: the proofs attest `Send + Sync` of key and value, of which the cache is made.
        unsafe { local.find_or_make(site, instance.id, make, |cache| cache.core.charge_base()) }
    }

    /// The cache of this item for these types in this thread, made on first use there. A thread that is ending has none
    /// any more: it gets one that nobody finds again.
    #[inline]
    pub fn cache_of_thread<P, V, S, E, F>(
        &'static self,
        local: &'static LocalKey<Local>,
        keys: P,
        value: S,
        extras: E,
        instance: F,
    ) -> Cache<P::Key, V>
    where
        P: KeyShape,
        S: ValueShape<V>,
        E: MaybeExtras<P::Key, V>,
        P::Key: 'static,
        V: 'static,
    {
        let mut given = Some((keys, value, extras, instance));
        let found = local.try_with(|local| {
            let (keys, value, extras, instance) = given.take()?;
            Some(self.cache_within(local, keys, value, extras, instance).clone())
        });
        match (found, given) {
            (Ok(Some(cache)), _) => cache,
            (_, Some((keys, value, extras, _))) => {
                let cache = self.new_cache(Some(std::any::type_name::<F>), keys, value, extras);
                cache.core.charge_base();
                cache
            }
            (_, None) => unreachable!("what was taken became a cache"),
        }
    }

    /// The pool of this item for this type, made on first use.
    #[inline]
    pub fn pool<T, R, F>(
        &'static self,
        proof: PoolProof<T>,
        recipe: impl FnOnce() -> Recipe<T>,
        _instance: F,
    ) -> &'static Pool<T, R>
    where
        T: 'static,
        R: 'static,
    {
        let instance = Which::of::<F>();
        match self.find::<Pool<T, R>>(instance.id) {
            Some(pool) => pool,
            None => {
                let mut recipe = Some(recipe());
                let pool = self.make(instance.id, &mut || self.new_pool(proof, recipe.take(), false));
                pool.core.charge_base();
                pool
            }
        }
    }

    /// The pool of this item for this type in this thread, made on first use there. A thread that is ending has none any
    /// more: it gets one that nobody finds again.
    #[inline]
    pub fn pool_of_thread<T, R, F>(
        &'static self,
        pools: &'static LocalKey<ThreadPools>,
        proof: ThreadProof<T>,
        recipe: impl FnOnce() -> Recipe<T>,
        _instance: F,
    ) -> Rc<Pool<T, R>>
    where
        T: 'static,
        R: 'static,
    {
        let instance = Which::of::<F>().id;
        match pools.try_with(|pools| pools.find(instance)) {
            Ok(Some(pool)) => pool,
            _ => self.first_of_thread(pools, instance, proof.0, recipe()),
        }
    }

    #[cold]
    #[inline(never)]
    fn first_of_thread<T: 'static, R: 'static>(
        &'static self,
        pools: &'static LocalKey<ThreadPools>,
        instance: TypeId,
        proof: PoolProof<T>,
        recipe: Recipe<T>,
    ) -> Rc<Pool<T, R>> {
        let pool = Rc::new(self.new_pool(proof, Some(recipe), false));
        // What cannot be kept is the caller's alone.
        let _ = pools.try_with(|pools| pools.keep(instance, Rc::clone(&pool)));
        // Once it can be found: what makes way for it is dropped here, and its `Drop` may come here again.
        pool.core.charge_base();
        pool
    }

    /// The shelves of this item for this type, made on first use.
    #[inline]
    pub fn shelves<T, F>(
        &'static self,
        proof: PoolProof<T>,
        recipe: impl FnOnce() -> Recipe<T>,
        _instance: F,
    ) -> &'static Shelves<T>
    where
        T: 'static,
    {
        let instance = Which::of::<F>();
        match self.find::<Shelves<T>>(instance.id) {
            Some(shelves) => shelves,
            None => {
                let recipe = recipe();
                let mut recipe = Some(recipe);
                let shelves = self
                    .make(instance.id, &mut || Shelves { pool: self.new_pool(proof, recipe.take(), true) });
                shelves.pool.core.charge_base();
                shelves
            }
        }
    }

    #[inline]
    fn find<C: 'static>(&'static self, instance: TypeId) -> Option<&'static C> {
        let kind = TypeId::of::<C>();
        let mut at: *const Node = self.head.load(Ordering::Acquire);
        // SAFETY: nodes are leaked and never written after they were published with release.
        while let Some(node) = unsafe { at.as_ref() } {
            if node.instance == instance && node.kind == kind {
                // SAFETY: `kind` says that `target` is a `C`; it is leaked, so it lives for ever.
                return Some(unsafe { &*node.target.cast::<C>() });
            }
            at = node.next;
        }
        None
    }

    /// `make` runs under the lock, and so nothing of the user's in it: the bytes of what is new are charged when it can be
    /// found, because what makes way for them is dropped then, and its `Drop` may come here again.
    #[cold]
    #[inline(never)]
    fn make<C: 'static>(&'static self, instance: TypeId, make: &mut dyn FnMut() -> C) -> &'static C {
        let _making = self.making.lock();
        if let Some(made) = self.find::<C>(instance) {
            return made;
        }
        let target: &'static C = Box::leak(Box::new(make()));
        let node = Box::new(Node {
            instance,
            kind: TypeId::of::<C>(),
            target: ptr::from_ref(target).cast(),
            next: self.head.load(Ordering::Acquire),
        });
        self.head.store(Box::leak(node), Ordering::Release);
        target
    }

    #[cold]
    #[inline(never)]
    fn first_cache<P, V, S, E>(
        &'static self,
        instance: Which,
        keys: P,
        value: S,
        extras: E,
    ) -> &'static Cache<P::Key, V>
    where
        P: KeyShape,
        S: ValueShape<V>,
        E: MaybeExtras<P::Key, V>,
        P::Key: 'static,
        V: 'static,
    {
        let mut given = Some((keys, value, extras));
        let cache = self.make(instance.id, &mut || match given.take() {
            Some((keys, value, extras)) => self.new_cache(Some(instance.name), keys, value, extras),
            None => unreachable!("an instance is made once"),
        });
        cache.core.charge_base();
        #[cfg(feature = "tiers")]
        let _ = cache.core.open_below();
        cache
    }

    /// A cache whose bytes are still to be charged. `named` gives the name of a type that only this instance has; it is
    /// `None` where there is no other.
    fn new_cache<P, V, S, E>(
        &'static self,
        named: Option<fn() -> &'static str>,
        keys: P,
        value: S,
        extras: E,
    ) -> Cache<P::Key, V>
    where
        P: KeyShape,
        S: ValueShape<V>,
        E: MaybeExtras<P::Key, V>,
        P::Key: 'static,
        V: 'static,
    {
        let options = Options::from(self.descriptor);
        let tenant = self.cache_tenant(&options, named, keys.exact() && value.exact());
        let keys = Arc::new(keys);
        let same = Arc::clone(&keys);
        let heap = Box::new(move |key: &P::Key, of: &V| keys.heap_bytes(key) + value.heap_bytes(of));
        let ops = Ops::new(Box::new(move |a, b| same.eq(a, b)), S::another, HeapOf::Both(heap), |core| {
            let instance: Arc<dyn Instance> = core;
            // SAFETY: this only adds `Send + Sync` to the trait object's type, and `keys` and `value`, which
            // the instance was made with, are proofs of them: there is no way to a `KeyShape` or a
            // `ValueShape` but through functions that ask for `Send + Sync` of each part of the key and of
            // the value. Bounds here would say the same, but would turn one missing bound in a user's type
            // into several errors.
            unsafe { std::mem::transmute::<Arc<dyn Instance>, Arc<dyn Instance + Send + Sync>>(instance) }
        });
        let mut ops = ops.sharing(options.sharing).having(arc::<P>());
        if E::ANY {
            let extras = extras.extras();
            ops = ops
                .with(
                    extras.cost.map(|cost| Box::new(cost) as _),
                    extras.ttl_by.map(|ttl_by| Box::new(ttl_by) as _),
                )
                .evicting(
                    extras.utility.map(|utility| Box::new(utility) as _),
                    extras.order.map(|order| Box::new(order) as _),
                )
                .telling(extras.on_remove.map(|tell| Box::new(tell) as _));
            #[cfg(feature = "tiers")]
            {
                ops = ops.above(extras.tiers.map(|tiers| tiers()));
            }
        }
        Cache::from_core(Core::uncharged(tenant, options.shards(), Arc::new(ops)))
    }

    /// The one tenant of all instances. `exact` says whether all is seen that an entry of this one owns.
    fn cache_tenant(
        &'static self,
        options: &Options,
        named: Option<fn() -> &'static str>,
        exact: bool,
    ) -> &'static Arc<CacheTenant> {
        let tenant = self.tenant.get_or_init(|| {
            let other = self.descriptor.domain.map(|name| domain_of(self.descriptor, name));
            let domain = other.as_deref().map_or(&global::domain().core, |other| &other.core);
            let name = self.name(named.map_or("", |named| named()));
            options.tenant(name, Some(self.descriptor), domain, named.is_none())
        });
        if !exact {
            tenant.card.set_estimated(true);
        }
        tenant
    }

    /// The item's name in tables. `closure` is that of a closure in the item, or in a function beside it.
    fn name(&self, closure: &str) -> String {
        let name = self.descriptor.name;
        if !self.descriptor.named_by_type {
            return name.to_owned();
        }
        let path = without_generics(closure.trim_end_matches("::{{closure}}"));
        match (path.rsplit_once("::"), name.rsplit_once("::")) {
            (Some((of, _)), Some((_, own))) => format!("{of}::{own}"),
            _ => name.to_owned(),
        }
    }

    /// A pool whose bytes are still to be charged.
    fn new_pool<T: 'static, R>(
        &'static self,
        proof: PoolProof<T>,
        recipe: Option<Recipe<T>>,
        shelved: bool,
    ) -> Pool<T, R> {
        let Some(recipe) = recipe else { unreachable!("an instance is made once") };
        let descriptor = self.descriptor;
        let tenant = self.pools.get_or_init(|| {
            let terms = Terms {
                name: descriptor.name.to_owned(),
                kind: descriptor.kind,
                descriptor: Some(descriptor),
                priority: descriptor.priority,
                floor: descriptor.min_bytes,
                ceiling: descriptor.max_bytes.unwrap_or(u64::MAX),
            };
            PoolTenant::new(&global::domain().core, terms)
        });
        let options = pool::Options { shelved, ..pool::Options::from(&descriptor.pool) };
        let recipe = Arc::new(recipe.or_weighed(proof.weigher));
        Pool::from_core(PoolCore::uncharged(tenant, options, recipe, proof))
    }
}

/// The pools of one item in one thread, by the closure's type: one for each set of generic arguments. For generated code.
#[doc(hidden)]
#[derive(Debug, Default)]
pub struct ThreadPools(RefCell<Vec<(TypeId, Rc<dyn Any>)>>);

impl ThreadPools {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(RefCell::new(Vec::new()))
    }

    #[inline]
    fn find<C: 'static>(&self, instance: TypeId) -> Option<Rc<C>> {
        let pools = self.0.borrow();
        let (_, found) = pools.iter().find(|(of, _)| *of == instance)?;
        Rc::clone(found).downcast().ok()
    }

    fn keep<C: 'static>(&self, instance: TypeId, pool: Rc<C>) {
        self.0.borrow_mut().push((instance, pool));
    }
}

/// The static behind a type that stands for a pool of byte buffers. For generated code.
#[doc(hidden)]
#[derive(Debug)]
pub struct BufferSite {
    descriptor: &'static Descriptor,
    /// None stands for the usual ones.
    classes: &'static [usize],
    align: usize,
    pool: OnceLock<BufferPool>,
}

impl BufferSite {
    /// The site of the item that `descriptor` describes.
    ///
    /// # Panics
    ///
    /// While the item is compiled, where its sizes make no sense.
    #[must_use]
    pub const fn new(descriptor: &'static Descriptor, classes: &'static [usize], align: usize) -> Self {
        assert!(align.is_power_of_two(), "`align` has to be a power of two, as in 4096");
        let mut at = 0;
        while at < classes.len() {
            assert!(classes[at] > 0, "a class of 0 bytes holds nothing: leave it out");
            at += 1;
        }
        Self { descriptor, classes, align, pool: OnceLock::new() }
    }

    /// The pool, made on first use.
    #[inline]
    pub fn pool(&'static self) -> &'static BufferPool {
        self.pool.get_or_init(|| {
            let builder = BufferPool::builder(self.descriptor.name)
                .declared(self.descriptor)
                .align(self.align)
                .max_bytes(self.descriptor.max_bytes.unwrap_or(u64::MAX))
                .priority(self.descriptor.priority);
            let builder =
                if self.classes.is_empty() { builder } else { builder.classes(self.classes.iter().copied()) };
            match builder.build() {
                Ok(pool) => pool,
                Err(error) => unreachable!("the macro and `new` have looked at all of it: {error}"),
            }
        })
    }
}

/// The domain of a cache that says `domain = ".."`.
///
/// # Panics
///
/// When no device is registered under that name: a call of the function has no other way to say so.
fn domain_of(item: &Descriptor, name: &str) -> Arc<Domain> {
    if let Some(found) = named::find(name) {
        return found.domain;
    }
    let error = BuildError::NoDomain { name: name.to_owned(), registered: named::names() };
    panic!("`{}` has `domain = \"{name}\"`, and {error} its first call", item.name)
}

/// `app::Store<u8>::len` as `app::Store::len`, and `<app::S<u8> as app::Load>::load` as `<app::S as app::Load>::load`.
fn without_generics(path: &str) -> String {
    let mut kept = String::new();
    let mut depth = 0;
    let mut before = None;
    for char in path.chars() {
        // Behind a name they are arguments; `<S as Trait>` stands at the beginning.
        let opens =
            char == '<' && (depth > 0 || before.is_some_and(|c: char| c.is_alphanumeric() || c == '_'));
        depth += usize::from(opens);
        if depth == 0 {
            kept.push(char);
        } else if char == '>' && before != Some('-') {
            depth -= 1;
        }
        before = Some(char);
    }
    kept
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site").field("descriptor", self.descriptor).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::without_generics;

    #[test]
    fn names_go_without_the_arguments_of_one_instance() {
        for (path, name) in [
            ("app::f", "app::f"),
            ("app::Store<u8>::len", "app::Store::len"),
            ("<app::S<u8, [u8; 2]> as app::Load<fn(u8) -> Vec<u8>>>::load", "<app::S as app::Load>::load"),
            ("<&app::S as app::Load>::load", "<&app::S as app::Load>::load"),
        ] {
            assert_eq!(without_generics(path), name);
        }
    }
}
