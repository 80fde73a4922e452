//! What a cache must hold: each entry with its value, its time and its pin, and why one may leave.

use std::collections::BTreeMap;

use larder::RemovalCause;

/// Nanoseconds on the history's clock; the largest one never comes.
pub(super) type Nanos = u64;

/// No entry expires then.
pub(super) const NEVER: Nanos = u64::MAX;

/// An entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) id: u64,
    /// Bytes that it is charged as.
    pub(super) size: u64,
    /// When it is too old, however much it is used.
    pub(super) deadline: Nanos,
    /// Its last use.
    pub(super) used: Nanos,
    pub(super) pinned: bool,
}

/// By which causes entries may leave in a step. Whatever is expired may leave in any.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Allowed {
    /// For its own cache's bounds.
    pub(super) evict: bool,
    /// For others, or for less memory.
    pub(super) reclaim: bool,
    /// The entry of this key, for another value.
    pub(super) replace: Option<u64>,
    /// Those that the user removes.
    pub(super) invalidate: Gone,
}

/// What the user removes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Gone {
    #[default]
    Nobody,
    Key(u64),
    /// Keys with this rest, divided by that.
    Rest(u64, u64),
    All,
}

impl Gone {
    pub(super) fn has(self, key: u64) -> bool {
        match self {
            Self::Nobody => false,
            Self::Key(other) => key == other,
            Self::Rest(rest, by) => key % by == rest,
            Self::All => true,
        }
    }
}

/// What the cache holds.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) entries: BTreeMap<u64, Entry>,
    pub(super) now: Nanos,
    pub(super) tti: Nanos,
}

impl Model {
    pub(super) fn is_expired(&self, entry: &Entry) -> bool {
        self.expires(entry) <= self.now
    }

    pub(super) fn expires(&self, entry: &Entry) -> Nanos {
        entry.deadline.min(if self.tti == NEVER { NEVER } else { entry.used.saturating_add(self.tti) })
    }

    /// The entry that a look-up must find.
    pub(super) fn fresh(&self, key: u64) -> Option<Entry> {
        self.entries.get(&key).filter(|entry| !self.is_expired(entry)).copied()
    }

    /// All that look-ups must find.
    pub(super) fn all_fresh(&self) -> impl Iterator<Item = (u64, Entry)> {
        self.entries.iter().filter(|(_, entry)| !self.is_expired(entry)).map(|(key, entry)| (*key, *entry))
    }

    pub(super) fn pins(&self) -> usize {
        self.entries.values().filter(|entry| entry.pinned).count()
    }

    pub(super) fn used(&mut self, key: u64) {
        let now = self.now;
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.used = entry.used.max(now);
        }
    }

    /// The entry of a key leaves, for this cause.
    pub(super) fn leaves(&mut self, key: u64, id: u64, cause: RemovalCause, allowed: &Allowed) {
        let Some(entry) = self.entries.remove(&key) else {
            panic!("{cause}: key {key} with value {id} left, and was not there: {allowed:?}");
        };
        assert_eq!(entry.id, id, "{cause}: the value of key {key} that left");
        let expired = self.is_expired(&entry);
        let fits = match cause {
            RemovalCause::Evicted => allowed.evict && !entry.pinned,
            RemovalCause::Reclaimed => allowed.reclaim && !entry.pinned,
            RemovalCause::Expired => expired,
            RemovalCause::Invalidated => allowed.invalidate.has(key),
            RemovalCause::Replaced => allowed.replace == Some(key),
            _ => false,
        };
        assert!(fits, "key {key} was {cause} at {}: {entry:?}, {allowed:?}", self.now);
    }

    /// The entry of a key has left, and nobody said why.
    pub(super) fn vanishes(&mut self, key: u64, allowed: &Allowed) {
        let Some(entry) = self.entries.remove(&key) else { return };
        let makes_room = (allowed.evict || allowed.reclaim) && !entry.pinned;
        let fits = makes_room
            || self.is_expired(&entry)
            || allowed.invalidate.has(key)
            || allowed.replace == Some(key);
        assert!(fits, "key {key} is gone at {}: {entry:?}, {allowed:?}", self.now);
    }
}
