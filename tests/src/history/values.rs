//! Keys and values of histories: with heap and without, with no size at all, and with hashes that collide.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// What keys a history may use: numbers in disguise.
pub(super) trait Name: Clone + Hash + Eq + Send + Sync + 'static {
    /// How many there are.
    const COUNT: u64;

    fn of(number: u64) -> Self;
}

impl Name for u64 {
    const COUNT: Self = 400;

    fn of(number: u64) -> Self {
        number
    }
}

impl Name for String {
    const COUNT: u64 = 300;

    fn of(number: u64) -> Self {
        format!("key {number}")
    }
}

/// Keys with three hashes among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Colliding(u64);

impl Hash for Colliding {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0 % 3);
    }
}

impl Name for Colliding {
    const COUNT: u64 = 60;

    fn of(number: u64) -> Self {
        Self(number)
    }
}

/// A key without a size: there is only one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Only;

impl Name for Only {
    const COUNT: u64 = 1;

    fn of(_: u64) -> Self {
        Self
    }
}

/// What values a history may use.
pub(super) trait Payload: Clone + Send + Sync + 'static {
    /// Whether a value can say which one it is.
    const KNOWN: bool;
    /// Whether one can weigh another size later on.
    const GROWS: bool;

    fn new(id: u64, size: u64, alive: &Alive) -> Self;

    /// Which one it is; 0 where none can say.
    fn id(&self) -> u64;

    /// Bytes that it says it weighs.
    fn size(&self) -> u64;

    fn grow(&self, size: u64);
}

/// How many values there are.
#[derive(Clone, Debug, Default)]
pub(super) struct Alive(Arc<AtomicI64>);

impl Alive {
    pub(super) fn count(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// A value on the heap, which is counted.
#[derive(Debug)]
pub(super) struct Blob {
    id: Box<u64>,
    size: Arc<AtomicU64>,
    alive: Alive,
}

impl Clone for Blob {
    fn clone(&self) -> Self {
        self.alive.0.fetch_add(1, Ordering::SeqCst);
        Self { id: self.id.clone(), size: Arc::clone(&self.size), alive: self.alive.clone() }
    }
}

impl Drop for Blob {
    fn drop(&mut self) {
        let before = self.alive.0.fetch_sub(1, Ordering::SeqCst);
        assert!(before > 0, "value {} is dropped twice", self.id);
        // Who comes for it later sees that it is no value.
        *self.id = u64::MAX;
    }
}

impl Payload for Blob {
    const KNOWN: bool = true;
    const GROWS: bool = true;

    fn new(id: u64, size: u64, alive: &Alive) -> Self {
        alive.0.fetch_add(1, Ordering::SeqCst);
        Self { id: Box::new(id), size: Arc::new(AtomicU64::new(size)), alive: alive.clone() }
    }

    fn id(&self) -> u64 {
        *self.id
    }

    fn size(&self) -> u64 {
        self.size.load(Ordering::SeqCst)
    }

    fn grow(&self, size: u64) {
        self.size.store(size, Ordering::SeqCst);
    }
}

/// A value with nothing to drop.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flat(u64, u64);

impl Payload for Flat {
    const KNOWN: bool = true;
    const GROWS: bool = false;

    fn new(id: u64, size: u64, _: &Alive) -> Self {
        Self(id, size)
    }

    fn id(&self) -> u64 {
        self.0
    }

    fn size(&self) -> u64 {
        self.1
    }

    fn grow(&self, _: u64) {}
}

/// A value without a size.
#[derive(Clone, Copy, Debug)]
pub(super) struct Nothing;

impl Payload for Nothing {
    const KNOWN: bool = false;
    const GROWS: bool = false;

    fn new(_: u64, _: u64, _: &Alive) -> Self {
        Self
    }

    fn id(&self) -> u64 {
        0
    }

    fn size(&self) -> u64 {
        0
    }

    fn grow(&self, _: u64) {}
}
