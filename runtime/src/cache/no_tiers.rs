//! A cache without the feature `tiers`: there is nothing below it, and asking costs nothing.

use std::future::{Ready, ready};
use std::marker::PhantomData;

use super::instance::Core;
use super::load::{Run, Turn};
use super::{Cache, CacheTenant};
use crate::store::{Departed, Evicted, Wanted};
use crate::time::Nanos;

/// A look below that has nowhere to look.
pub(super) type Raise<'a, K, V> = Ready<Turn<'a, K, V>>;

/// No tiers.
pub(super) struct Below<K, V>(PhantomData<fn() -> (K, V)>);

impl<K, V> Below<K, V> {
    pub(super) fn new(_: &super::Ops<K, V>, _: &CacheTenant) -> Self {
        Self(PhantomData)
    }

    pub(super) fn base_bytes(&self) -> u64 {
        0
    }

    pub(super) fn dissolve(&self, _: &CacheTenant) {}
}

/// A change of a key that nobody below hears of.
pub(super) struct Change;

impl Change {
    #[inline]
    pub(super) fn end(self) -> bool {
        false
    }
}

impl<K, V> Core<K, V> {
    #[inline]
    pub(super) fn change(&self, _: u64) -> Change {
        Change
    }

    #[inline]
    pub(super) fn change_all(&self) -> Change {
        Change
    }

    #[inline]
    pub(super) fn demote(&self, _: &Departed<K, V>) {}

    #[inline]
    pub(super) fn evict_below(&self, _: Wanted) -> Option<Evicted> {
        None
    }

    #[inline]
    pub(super) fn credit_below(&self) -> f64 {
        f64::INFINITY
    }

    #[inline]
    pub(super) fn raise<'a>(&'a self, _: u64, run: Run<'a, K, V>) -> Turn<'a, K, V> {
        Turn::Run(run)
    }

    #[inline]
    pub(super) fn raise_cold<'a>(&'a self, _: u64, run: Run<'a, K, V>) -> Turn<'a, K, V> {
        Turn::Run(run)
    }

    #[inline]
    pub(super) fn raise_cold_async<'a>(&'a self, _: u64, run: Run<'a, K, V>) -> Raise<'a, K, V> {
        ready(Turn::Run(run))
    }

    #[inline]
    pub(super) fn forget_below(&self, _: u64) {}

    #[inline]
    pub(super) fn fetch(&self, _: u64, _: &dyn Fn(&K) -> bool) -> bool {
        false
    }

    #[inline]
    pub(super) fn peek_below(&self, _: u64, _: &dyn Fn(&K) -> bool) -> Option<(V, Nanos)> {
        None
    }

    #[inline]
    pub(super) fn remove_below(&self, _: &mut dyn FnMut(&K, &V) -> bool) -> u64 {
        0
    }

    #[inline]
    pub(super) fn clear_below(&self) -> u64 {
        0
    }

    #[inline]
    pub(super) fn sweep_below(&self) {}

    #[cfg(any(test, feature = "__validate"))]
    pub(super) fn bytes_below(&self) -> u64 {
        0
    }
}

impl<K, V> Cache<K, V> {
    #[inline]
    pub(super) fn get_below(&self, _: u64, _: &dyn Fn(&K) -> bool) -> Option<V> {
        None
    }
}
