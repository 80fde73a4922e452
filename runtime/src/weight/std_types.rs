//! [`Weigh`] for the types of std that end up in keys and values.
//!
//! Missing on purpose: `Weak` (its block belongs to the owners), `LazyLock` (looking would run it), raw pointers
//! and `ManuallyDrop` (who owns what is the user's secret).

use std::alloc::Layout;
use std::borrow::Cow;
use std::cell::{Cell, OnceCell, RefCell};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, LinkedList, VecDeque};
use std::ffi::{CStr, CString, OsStr, OsString};
use std::marker::PhantomData;
use std::num::{NonZero, Saturating, Wrapping};
use std::ops::{Bound, ControlFlow, Range, RangeFrom, RangeFull, RangeInclusive, RangeTo, RangeToInclusive};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex, OnceLock, RwLock, TryLockError};
use std::task::Poll;

use super::allocator::{block, block_of};
use super::{Weigh, layout};

/// What the elements of a collection own; they are visited only if they can own something.
#[inline]
pub(super) fn each<'a, T: Weigh + 'a>(items: impl IntoIterator<Item = &'a T>) -> u64 {
    let mut sum = 0;
    if T::owns_heap() {
        for item in items {
            sum += item.heap_bytes();
        }
    }
    sum
}

/// Like [`each`], of a slice: less code for each type.
#[inline]
fn each_of<T: Weigh>(items: &[T]) -> u64 {
    let (mut sum, mut at) = (0, 0);
    if T::owns_heap() {
        while at < items.len() {
            sum += items[at].heap_bytes();
            at += 1;
        }
    }
    sum
}

/// Like [`each`], for keys and values.
#[inline]
pub(super) fn each_pair<'a, K: Weigh + 'a, V: Weigh + 'a>(
    pairs: impl IntoIterator<Item = (&'a K, &'a V)>,
) -> u64 {
    let (mut sum, keys, values) = (0, K::owns_heap(), V::owns_heap());
    if keys || values {
        for (key, value) in pairs {
            sum += if keys { key.heap_bytes() } else { 0 } + if values { value.heap_bytes() } else { 0 };
        }
    }
    sum
}

// ---- Types that own nothing ----

macro_rules! own_nothing {
    ($($ty:ty),* $(,)?) => {$(
        impl Weigh for $ty {
            #[inline]
            fn heap_bytes(&self) -> u64 {
                0
            }
            #[inline]
            fn owns_heap() -> bool {
                false
            }
        }
    )*};
}

#[cfg(any(feature = "chrono", feature = "uuid"))]
pub(super) use own_nothing;

macro_rules! integers {
    ($($ty:ty),* $(,)?) => { own_nothing!($($ty, NonZero<$ty>),*); };
}

integers!(u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize);

own_nothing!(
    f32,
    f64,
    bool,
    char,
    (),
    std::any::TypeId,
    std::alloc::Layout,
    std::cmp::Ordering,
    std::convert::Infallible,
    std::fmt::Error,
    std::fs::File,
    std::fs::FileType,
    std::fs::Metadata,
    std::fs::Permissions,
    std::io::ErrorKind,
    std::marker::PhantomPinned,
    std::net::AddrParseError,
    std::net::IpAddr,
    std::net::Ipv4Addr,
    std::net::Ipv6Addr,
    std::net::SocketAddr,
    std::net::SocketAddrV4,
    std::net::SocketAddrV6,
    std::num::FpCategory,
    std::num::ParseFloatError,
    std::num::ParseIntError,
    std::num::TryFromIntError,
    std::str::ParseBoolError,
    std::str::Utf8Error,
    std::thread::ThreadId,
    std::time::Duration,
    std::time::Instant,
    std::time::SystemTime,
    RangeFull,
);

#[cfg(target_has_atomic = "8")]
own_nothing!(std::sync::atomic::AtomicBool, std::sync::atomic::AtomicU8, std::sync::atomic::AtomicI8);
#[cfg(target_has_atomic = "16")]
own_nothing!(std::sync::atomic::AtomicU16, std::sync::atomic::AtomicI16);
#[cfg(target_has_atomic = "32")]
own_nothing!(std::sync::atomic::AtomicU32, std::sync::atomic::AtomicI32);
#[cfg(target_has_atomic = "64")]
own_nothing!(std::sync::atomic::AtomicU64, std::sync::atomic::AtomicI64);
#[cfg(target_has_atomic = "ptr")]
own_nothing!(std::sync::atomic::AtomicUsize, std::sync::atomic::AtomicIsize);

macro_rules! unsized_bytes {
    ($($ty:ty),*) => {$(
        impl Weigh for $ty {
            #[inline]
            fn heap_bytes(&self) -> u64 {
                0
            }
        }
    )*};
}

unsized_bytes!(str, Path, OsStr, CStr);

/// A reference owns nothing.
///
/// Only `'static` ones, so that `heap_bytes` called on a reference to a reference by mistake is an error, and
/// not 0.
impl<T: ?Sized> Weigh for &'static T {
    #[inline]
    fn heap_bytes(&self) -> u64 {
        0
    }
    #[inline]
    fn owns_heap() -> bool {
        false
    }
}

impl<T: ?Sized> Weigh for PhantomData<T> {
    #[inline]
    fn heap_bytes(&self) -> u64 {
        0
    }
    #[inline]
    fn owns_heap() -> bool {
        false
    }
}

macro_rules! functions {
    ($(($($arg:ident)*))*) => {$(
        impl<R, $($arg),*> Weigh for fn($($arg),*) -> R {
            #[inline]
            fn heap_bytes(&self) -> u64 {
                0
            }
            #[inline]
            fn owns_heap() -> bool {
                false
            }
        }
    )*};
}

functions!(() (A) (A B) (A B C) (A B C D) (A B C D E) (A B C D E F) (A B C D E F G) (A B C D E F G H));

// ---- Buffers ----

impl Weigh for String {
    #[inline]
    fn heap_bytes(&self) -> u64 {
        block(self.capacity())
    }
}

impl Weigh for OsString {
    #[inline]
    fn heap_bytes(&self) -> u64 {
        block(self.capacity())
    }
}

impl Weigh for PathBuf {
    #[inline]
    fn heap_bytes(&self) -> u64 {
        block(self.capacity())
    }
}

impl Weigh for CString {
    #[inline]
    fn heap_bytes(&self) -> u64 {
        block(self.as_bytes_with_nul().len())
    }
}

impl<T: Weigh> Weigh for Vec<T> {
    #[inline]
    fn heap_bytes(&self) -> u64 {
        layout::buffer::<T>(self.capacity()) + each_of(self)
    }
}

impl<T: Weigh> Weigh for VecDeque<T> {
    #[inline]
    fn heap_bytes(&self) -> u64 {
        let (front, back) = self.as_slices();
        layout::buffer::<T>(self.capacity()) + each_of(front) + each_of(back)
    }
}

impl<T: Weigh> Weigh for BinaryHeap<T> {
    #[inline]
    fn heap_bytes(&self) -> u64 {
        layout::buffer::<T>(self.capacity()) + each(self)
    }
}

// ---- Nodes and tables ----

impl<T: Weigh> Weigh for LinkedList<T> {
    fn heap_bytes(&self) -> u64 {
        layout::linked_list::<T>(self.len()) + each(self)
    }
}

/// Exact but for tables from which much was removed, which may be larger than they say.
impl<K: Weigh, V: Weigh, S> Weigh for HashMap<K, V, S> {
    fn heap_bytes(&self) -> u64 {
        layout::hash_table::<(K, V)>(self.capacity()) + each_pair(self)
    }
}

/// Exact but for tables from which much was removed, which may be larger than they say.
impl<T: Weigh, S> Weigh for HashSet<T, S> {
    fn heap_bytes(&self) -> u64 {
        layout::hash_table::<T>(self.capacity()) + each(self)
    }
}

/// Nodes are estimated from how full some leaves at both ends are.
impl<K: Weigh, V: Weigh> Weigh for BTreeMap<K, V> {
    fn heap_bytes(&self) -> u64 {
        layout::b_tree::<K, V>(self.len(), self.keys()) + each_pair(self)
    }
}

/// Nodes are estimated from how full some leaves at both ends are.
impl<T: Weigh> Weigh for BTreeSet<T> {
    fn heap_bytes(&self) -> u64 {
        layout::b_tree::<T, ()>(self.len(), self.iter()) + each(self)
    }
}

// ---- Pointers ----

impl<T: Weigh + ?Sized> Weigh for Box<T> {
    #[inline]
    fn heap_bytes(&self) -> u64 {
        block_of(Layout::for_value(&**self)) + (**self).heap_bytes()
    }
}

/// In full, with its two counters, whoever else holds it.
impl<T: Weigh + ?Sized> Weigh for Arc<T> {
    #[inline]
    fn heap_bytes(&self) -> u64 {
        layout::counted(&**self) + (**self).heap_bytes()
    }
}

/// In full, with its two counters, whoever else holds it.
impl<T: Weigh + ?Sized> Weigh for Rc<T> {
    #[inline]
    fn heap_bytes(&self) -> u64 {
        layout::counted(&**self) + (**self).heap_bytes()
    }
}

impl<T: Weigh + ?Sized> Weigh for Pin<Box<T>> {
    #[inline]
    fn heap_bytes(&self) -> u64 {
        block_of(Layout::for_value(&**self)) + (**self).heap_bytes()
    }
}

impl<T: Weigh + ?Sized> Weigh for Pin<Arc<T>> {
    #[inline]
    fn heap_bytes(&self) -> u64 {
        layout::counted(&**self) + (**self).heap_bytes()
    }
}

/// Borrowed, it owns nothing.
impl<B: ToOwned + ?Sized> Weigh for Cow<'_, B>
where
    B::Owned: Weigh,
{
    #[inline]
    fn heap_bytes(&self) -> u64 {
        match self {
            Self::Borrowed(_) => 0,
            Self::Owned(owned) => owned.heap_bytes(),
        }
    }
    #[inline]
    fn owns_heap() -> bool {
        B::Owned::owns_heap()
    }
}

// ---- Values inside values ----

impl<T: Weigh> Weigh for [T] {
    #[inline]
    fn heap_bytes(&self) -> u64 {
        each_of(self)
    }
}

impl<T: Weigh, const N: usize> Weigh for [T; N] {
    #[inline]
    fn heap_bytes(&self) -> u64 {
        each(self)
    }
    #[inline]
    fn owns_heap() -> bool {
        T::owns_heap()
    }
}

impl<T: Weigh, E: Weigh> Weigh for Result<T, E> {
    #[inline]
    fn heap_bytes(&self) -> u64 {
        match self {
            Ok(value) => value.heap_bytes(),
            Err(error) => error.heap_bytes(),
        }
    }
    #[inline]
    fn owns_heap() -> bool {
        T::owns_heap() || E::owns_heap()
    }
}

impl<B: Weigh, C: Weigh> Weigh for ControlFlow<B, C> {
    #[inline]
    fn heap_bytes(&self) -> u64 {
        match self {
            Self::Break(value) => value.heap_bytes(),
            Self::Continue(value) => value.heap_bytes(),
        }
    }
    #[inline]
    fn owns_heap() -> bool {
        B::owns_heap() || C::owns_heap()
    }
}

/// Implements the trait for wrappers of one `T`, given the `T`s inside as an iterator of references.
macro_rules! wrappers {
    ($($wrapper:ident, $self_:ident => $inside:expr;)*) => {$(
        impl<T: Weigh> Weigh for $wrapper<T> {
            #[inline]
            fn heap_bytes(&self) -> u64 {
                let $self_ = self;
                each($inside)
            }
            #[inline]
            fn owns_heap() -> bool {
                T::owns_heap()
            }
        }
    )*};
}

wrappers! {
    Option, value => value;
    Poll, value => match value { Poll::Ready(value) => Some(value), Poll::Pending => None };
    Bound, value => match value {
        Bound::Included(value) | Bound::Excluded(value) => Some(value),
        Bound::Unbounded => None,
    };
    Range, range => [&range.start, &range.end];
    RangeInclusive, range => [range.start(), range.end()];
    RangeFrom, range => [&range.start];
    RangeTo, range => [&range.end];
    RangeToInclusive, range => [&range.end];
    Reverse, value => [&value.0];
    Wrapping, value => [&value.0];
    Saturating, value => [&value.0];
    OnceCell, cell => cell.get();
    OnceLock, cell => cell.get();
}

/// A cell shows only what can be copied out, which owns nothing.
impl<T: Copy + Weigh> Weigh for Cell<T> {
    #[inline]
    fn heap_bytes(&self) -> u64 {
        self.get().heap_bytes()
    }
    #[inline]
    fn owns_heap() -> bool {
        T::owns_heap()
    }
}

/// Looked into without waiting: while it is mutably borrowed, what is inside counts nothing.
impl<T: Weigh> Weigh for RefCell<T> {
    fn heap_bytes(&self) -> u64 {
        self.try_borrow().map_or(0, |value| value.heap_bytes())
    }
    #[inline]
    fn owns_heap() -> bool {
        T::owns_heap()
    }
}

/// The guard, unless somebody else has the lock. Poison does not change what a value weighs.
fn seen<G>(attempt: Result<G, TryLockError<G>>) -> Option<G> {
    match attempt {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// Looked into without waiting: while somebody holds it, what is inside counts nothing.
///
/// This is intentional: whoever inserts a value may hold its lock, and must not wait for itself.
impl<T: Weigh> Weigh for Mutex<T> {
    fn heap_bytes(&self) -> u64 {
        seen(self.try_lock()).map_or(0, |value| value.heap_bytes())
    }
    #[inline]
    fn owns_heap() -> bool {
        T::owns_heap()
    }
}

/// Looked into without waiting: while somebody writes to it, what is inside counts nothing.
impl<T: Weigh> Weigh for RwLock<T> {
    fn heap_bytes(&self) -> u64 {
        seen(self.try_read()).map_or(0, |value| value.heap_bytes())
    }
    #[inline]
    fn owns_heap() -> bool {
        T::owns_heap()
    }
}

macro_rules! tuples {
    ($($name:ident $at:tt),*) => {
        impl<$($name: Weigh),*> Weigh for ($($name,)*) {
            #[inline]
            fn heap_bytes(&self) -> u64 {
                0 $(+ self.$at.heap_bytes())*
            }
            #[inline]
            fn owns_heap() -> bool {
                false $(|| $name::owns_heap())*
            }
        }
    };
}

tuples!(A 0);
tuples!(A 0, B 1);
tuples!(A 0, B 1, C 2);
tuples!(A 0, B 1, C 2, D 3);
tuples!(A 0, B 1, C 2, D 3, E 4);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11);
