//! Where keys are in a list, by their hashes. Chains of places: a hash table for any type would be far more code than all
//! that it is used for here.

/// No place.
const NONE: u16 = u16::MAX;

/// The places of a list, each under a hash.
#[derive(Debug)]
pub(super) struct Index {
    /// The first of each chain, by the lowest bits of the hash.
    first: Vec<u16>,
    /// The next in its chain of each place.
    next: Vec<u16>,
}

impl Index {
    /// For a list of at most so many, a power of two.
    pub(super) fn new(most: usize) -> Self {
        debug_assert!(most.is_power_of_two() && most < usize::from(NONE));
        Self { first: vec![NONE; most], next: Vec::with_capacity(most) }
    }

    /// The bytes of each of its two lists.
    pub(super) const fn bytes(most: usize) -> usize {
        most * size_of::<u16>()
    }

    /// The place under this hash of which `is` says that it is the one.
    pub(super) fn find(&self, hash: u64, is: impl Fn(usize) -> bool) -> Option<usize> {
        let mut at = self.first[self.chain(hash)];
        while at != NONE {
            if is(usize::from(at)) {
                return Some(usize::from(at));
            }
            at = self.next[usize::from(at)];
        }
        None
    }

    /// The list has a place more, with this hash.
    pub(super) fn push(&mut self, hash: u64) {
        let chain = self.chain(hash);
        self.next.push(self.first[chain]);
        self.first[chain] = (self.next.len() - 1) as u16;
    }

    /// As the list's: what was at `at`, with this hash, is gone, and what was the last, with `last`, is there.
    pub(super) fn swap_remove(&mut self, at: usize, hash: u64, last: u64) {
        let after = self.next[at];
        self.put(hash, at, after);
        let end = self.next.len() - 1;
        if at != end {
            self.put(last, end, at as u16);
        }
        self.next.swap_remove(at);
    }

    fn chain(&self, hash: u64) -> usize {
        hash as usize & (self.first.len() - 1)
    }

    /// What leads to `from` in the chain of this hash leads to `to`.
    fn put(&mut self, hash: u64, from: usize, to: u16) {
        let chain = self.chain(hash);
        let mut at = usize::from(self.first[chain]);
        if at == from {
            self.first[chain] = to;
            return;
        }
        while usize::from(self.next[at]) != from {
            at = usize::from(self.next[at]);
        }
        self.next[at] = to;
    }
}

#[cfg(all(test, not(larder_shuttle)))]
impl Index {
    pub(super) fn len(&self) -> usize {
        self.next.len()
    }

    pub(super) fn capacities(&self) -> [usize; 2] {
        [&self.first, &self.next].map(|list| list.capacity() * size_of::<u16>())
    }
}
