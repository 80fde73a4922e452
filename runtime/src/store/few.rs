//! Short lists of slots, without an allocation. What fills and frees them is compiled here, and not for each pair of types.

use std::ops::Deref;

use smallvec::SmallVec;

/// Indices of slots: as many as leave at once, or as a page has.
pub(crate) struct Few(SmallVec<[u32; Few::MOST]>);

impl Few {
    /// More would be allocated.
    pub(crate) const MOST: usize = 96;

    pub(crate) fn new() -> Self {
        Self(SmallVec::new())
    }

    pub(crate) fn push(&mut self, index: u32) {
        self.0.push(index);
    }
}

impl Deref for Few {
    type Target = [u32];

    fn deref(&self) -> &[u32] {
        &self.0
    }
}
