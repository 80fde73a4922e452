//! The user's functions of a pool, and what a type needs to be pooled. Mostly for generated code.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use super::tenant::Instance;
use super::{PoolCore, bound};
use crate::tenant::arc;
use crate::weight::Weigher;

/// What can be pooled. Implemented for every type that is `Send + 'static`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be pooled",
    label = "objects of this type are lent to any thread",
    note = "a pooled type needs to be `Send + 'static`: replace `Rc` by `Arc`, `RefCell` by `Mutex`, and borrowed fields by owned ones",
    note = "or keep its objects on the thread that made them: `#[pooled(scope = \"thread\")]`, `build_on_thread()` on a builder"
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
    /// Makes one.
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
    /// Whether it is.
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

/// No object weighs more, whatever the user says: sums of weights are to stay numbers.
const HEAVIEST: u64 = 1 << 48;

/// Heap bytes of an object that weighs so much.
#[doc(hidden)]
#[inline]
#[must_use]
pub fn heap_of<T>(_: &T, weight: u64) -> u64 {
    weight.saturating_sub(size_of::<T>() as u64).min(HEAVIEST)
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
    /// Shows the pool as an instance of its tenant; only a proof can, because it takes the bounds.
    pub(crate) instance: fn(&Arc<PoolCore<T>>) -> Arc<dyn Instance>,
    /// Gives this thread a magazine; the same.
    pub(crate) enlist: fn(&Arc<PoolCore<T>>),
}

/// The only place that asks for [`Poolable`]. What is not has a [`ThreadProof`].
#[doc(hidden)]
#[must_use]
pub fn poolable<T: Poolable>() -> PoolProof<T> {
    let weigher = Weigher::shallow();
    PoolProof { weigher, instance: |core| core.clone(), enlist: |core| core.enlist() }
}

/// Proof that objects of a type can be pooled where they never leave the thread that made them: they need not be [`Send`].
#[doc(hidden)]
#[derive(Debug)]
pub struct ThreadProof<T>(pub(crate) PoolProof<T>);

/// The only place that makes one.
#[doc(hidden)]
#[must_use]
pub fn poolable_on_thread<T: 'static>() -> ThreadProof<T> {
    let weigher = Weigher::shallow();
    ThreadProof(PoolProof { weigher, instance: bound::stand_in, enlist: |core| core.enlist() })
}

impl<T> ThreadProof<T> {
    /// Weighs objects with this.
    #[must_use]
    pub fn weighed(self, weigher: Weigher<T>) -> Self {
        Self(self.0.weighed(weigher))
    }
}

impl<T> PoolProof<T> {
    /// Weighs objects with this.
    #[must_use]
    pub fn weighed(self, weigher: Weigher<T>) -> Self {
        Self { weigher, ..self }
    }
}

/// An error of any kind, as constructors of `#[pooled(try_new = ..)]` may return.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What a constructor returned instead of an object, its type forgotten.
pub(crate) type Failure = Box<dyn Any + Send>;

type MakeOf<T> = Box<dyn Fn() -> Result<T, Failure> + Send + Sync>;
type ResetOf<T> = Box<dyn Fn(&mut T) -> bool + Send + Sync>;
type CheckOf<T> = Box<dyn Fn(&T) -> bool + Send + Sync>;
type TrimOf<T> = Box<dyn Fn(&mut T, u64) + Send + Sync>;

/// How objects are weighed: by a function that the type gives, or by one of the user's.
enum HeapOf<T> {
    Type(fn(&T) -> u64),
    User(Box<dyn Fn(&T) -> u64 + Send + Sync>),
}

/// The user's functions of one pool. All of them run outside every lock, and may panic.
#[doc(hidden)]
pub struct Recipe<T> {
    pub(super) make: MakeOf<T>,
    /// Runs when a lease ends; `false` drops the object.
    reset: Option<ResetOf<T>>,
    /// Whether an object is fit for another lease.
    validate: Option<CheckOf<T>>,
    /// Shrinks an object that grew to so many bytes of heap.
    pub(super) trim: Option<TrimOf<T>>,
    /// Heap bytes of an object.
    heap: HeapOf<T>,
    /// Resets, checks and weighs in one call, where all of that is known when it is compiled: the heap bytes of an object that
    /// is kept.
    pub(super) at_once: Option<fn(&mut T) -> Option<u64>>,
    /// Whether that does nothing but weigh, or is not there.
    only_weighs: bool,
    /// Whether those are all it owns.
    pub(super) exact: bool,
    /// Whether there are none, whatever the type says.
    is_shallow: bool,
    /// Whether an object weighs what it weighed when it was made.
    is_constant: bool,
}

impl<T> Recipe<T> {
    /// Makes objects so.
    pub fn new(make: impl Fn() -> T + Send + Sync + 'static) -> Self {
        Self::of(Box::new(move || Ok(make())))
    }

    /// Makes objects so, if it can.
    pub fn trying<E: Send + 'static>(make: impl Fn() -> Result<T, E> + Send + Sync + 'static) -> Self {
        Self::of(Box::new(move || make().map_err(|error| Box::new(error) as Failure)))
    }

    /// Makes objects so, if it can; its error may be of any kind.
    pub fn trying_any<E: Into<BoxError>>(make: impl Fn() -> Result<T, E> + Send + Sync + 'static) -> Self {
        Self::trying(move || make().map_err(Into::<BoxError>::into))
    }

    fn of(make: MakeOf<T>) -> Self {
        let exact = !std::mem::needs_drop::<T>();
        let heap = HeapOf::Type(|_| 0);
        Self {
            make,
            reset: None,
            validate: None,
            trim: None,
            heap,
            at_once: None,
            only_weighs: true,
            exact,
            is_shallow: true,
            is_constant: false,
        }
    }

    /// Resets what comes back; `false` drops it.
    #[must_use]
    pub fn reset(self, reset: impl Fn(&mut T) -> bool + Send + Sync + 'static) -> Self {
        Self { reset: Some(Box::new(reset)), ..self }
    }

    /// Says whether an object is fit for another lease.
    #[must_use]
    pub fn validate(self, validate: impl Fn(&T) -> bool + Send + Sync + 'static) -> Self {
        Self { validate: Some(Box::new(validate)), ..self }
    }

    /// Shrinks what grew.
    #[must_use]
    pub fn trim(self, trim: impl Fn(&mut T, u64) + Send + Sync + 'static) -> Self {
        Self { trim: Some(Box::new(trim)), ..self }
    }

    /// Says what an object weighs, itself included.
    #[must_use]
    pub fn weigh(self, weigh: impl Fn(&T) -> u64 + Send + Sync + 'static) -> Self {
        let heap = Box::new(move |object: &T| heap_of(object, weigh(object)));
        Self { heap: HeapOf::User(heap), exact: true, ..self }
    }

    /// No object ever weighs anything else than when it was made.
    #[must_use]
    pub(crate) fn constant(self) -> Self {
        Self { is_constant: true, ..self }
    }

    /// Does this with what comes back, instead of `reset`, `validate` and the weigher: returns the heap bytes of an object that is
    /// kept.
    #[must_use]
    pub fn at_once(self, renew: fn(&mut T) -> Option<u64>) -> Self {
        Self { at_once: Some(renew), only_weighs: false, ..self }
    }

    /// The same, where it does nothing but what the weigher does.
    #[must_use]
    pub fn weighed_at_once(self, renew: fn(&mut T) -> Option<u64>) -> Self {
        Self { at_once: Some(renew), ..self }
    }

    /// Weighs objects with this, unless the user says what they weigh.
    pub(crate) fn or_weighed(self, weigher: Weigher<T>) -> Self {
        match self.heap {
            HeapOf::User(_) => self,
            HeapOf::Type(_) => {
                let Weigher { heap, exact, is_shallow } = weigher;
                Self { heap: HeapOf::Type(heap), exact, is_shallow, ..self }
            }
        }
    }

    /// Whether nothing is done with an object that comes back: it is neither changed, looked at nor weighed.
    pub(super) fn is_empty(&self) -> bool {
        let weighs_nothing = match &self.heap {
            HeapOf::Type(_) => self.is_shallow,
            HeapOf::User(_) => self.is_constant,
        };
        self.only_weighs && self.reset.is_none() && self.validate.is_none() && weighs_nothing
    }

    /// Heap bytes of an object.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn heap_of(&self, object: &T) -> u64 {
        match &self.heap {
            HeapOf::Type(heap) => heap(object),
            HeapOf::User(heap) => heap(object),
        }
    }

    /// Makes an object that comes back as good as new, and weighs its heap; `None` when it has to go.
    pub(super) fn renews(&self, object: &mut T) -> Option<u64> {
        if let Some(renew) = self.at_once {
            return renew(object);
        }
        if let Some(reset) = &self.reset
            && !reset(object)
        {
            return None;
        }
        if !self.validates(object) {
            return None;
        }
        Some(self.heap_of(object))
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn validates(&self, object: &T) -> bool {
        self.validate.as_ref().is_none_or(|validate| validate(object))
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> u64 {
        fn boxed<F: ?Sized>(function: &F) -> u64 {
            crate::weight::block_of(std::alloc::Layout::for_value(function))
        }
        arc::<Self>()
            + boxed(&*self.make)
            + match &self.heap {
                HeapOf::Type(_) => 0,
                HeapOf::User(heap) => boxed(&**heap),
            }
            + self.reset.as_deref().map_or(0, boxed)
            + self.validate.as_deref().map_or(0, boxed)
            + self.trim.as_deref().map_or(0, boxed)
    }
}

// By hand, because a derive would ask the same of `T`.
impl<T> Clone for PoolProof<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for PoolProof<T> {}

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
