//! How pooled objects come and go, and what a type needs for it. For generated code.

use std::fmt;
use std::sync::Arc;

use super::PoolCore;
use crate::tenant::Tenant;
use crate::weight::Weigher;

/// What can be pooled. Implemented for every type that is `Send + 'static`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be pooled",
    label = "objects of this type are lent to any thread",
    note = "a pooled type needs to be `Send + 'static`: replace `Rc` by `Arc`, `RefCell` by `Mutex`, and borrowed fields by owned ones"
)]
pub trait Poolable: Send + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Send + 'static> Poolable for T {}

/// What has a default to start from. Implemented for every `Default` type.
#[diagnostic::on_unimplemented(
    message = "`#[pooled]` doesn't know how to make a `{Self}`",
    label = "there is no default of this type",
    note = "derive or write `Default` for it, or name a constructor: `#[pooled(new = Self::new)]`"
)]
pub trait DefaultMake: Sized {
    #[doc(hidden)]
    fn make() -> Self;
}

#[diagnostic::do_not_recommend]
impl<T: Default> DefaultMake for T {
    fn make() -> Self {
        T::default()
    }
}

/// What a `reset` may return: nothing, or whether the object is worth keeping.
#[diagnostic::on_unimplemented(
    message = "a `reset` can't return `{Self}`",
    note = "return nothing to keep the object, or `bool` or `Result<(), E>`: `false` and `Err` drop it"
)]
pub trait ResetOutcome {
    #[doc(hidden)]
    fn keep(self) -> bool;
}

impl ResetOutcome for () {
    fn keep(self) -> bool {
        true
    }
}

impl ResetOutcome for bool {
    fn keep(self) -> bool {
        self
    }
}

impl<E> ResetOutcome for Result<(), E> {
    fn keep(self) -> bool {
        self.is_ok()
    }
}

/// Whether an object whose reset returned this is kept.
#[doc(hidden)]
pub fn keep(outcome: impl ResetOutcome) -> bool {
    outcome.keep()
}

/// Makes an object by its default.
#[doc(hidden)]
#[must_use]
pub fn default_of<T: DefaultMake>() -> T {
    T::make()
}

/// Proof that a type can be pooled, and how to weigh it.
#[doc(hidden)]
pub struct PoolProof<T> {
    pub(crate) weigher: Weigher<T>,
    /// Shows the pool as a tenant; only a proof can, because it takes the bounds.
    pub(crate) tenant: fn(Arc<PoolCore<T>>) -> Arc<dyn Tenant>,
}

/// The only place that asks for [`Poolable`].
#[doc(hidden)]
#[must_use]
pub fn poolable<T: Poolable>() -> PoolProof<T> {
    let weigher = Weigher { heap: |_| 0, exact: !std::mem::needs_drop::<T>() };
    PoolProof { weigher, tenant: |core| core }
}

impl<T> PoolProof<T> {
    /// Weighs objects with this.
    #[must_use]
    pub fn weighed(self, weigher: Weigher<T>) -> Self {
        Self { weigher, ..self }
    }
}

/// How to make an object, and how to make it as good as new.
#[doc(hidden)]
pub struct Recipe<T> {
    /// Runs outside every lock.
    pub make: fn() -> T,
    /// Runs when a lease ends, outside every lock; `false` drops the object.
    pub reset: fn(&mut T) -> bool,
}

// By hand, because a derive would ask the same of `T`.
impl<T> Clone for PoolProof<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for PoolProof<T> {}

impl<T> Clone for Recipe<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Recipe<T> {}

impl<T> fmt::Debug for PoolProof<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PoolProof")
    }
}

impl<T> fmt::Debug for Recipe<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recipe")
    }
}
