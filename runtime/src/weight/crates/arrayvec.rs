//! arrayvec: its buffers lie in the value itself, full or not.

use arrayvec::{ArrayString, ArrayVec};

use crate::weight::Weigh;
use crate::weight::std_types::each;

impl<T: Weigh, const CAP: usize> Weigh for ArrayVec<T, CAP> {
    #[inline]
    fn heap_bytes(&self) -> u64 {
        each(self)
    }
    #[inline]
    fn owns_heap() -> bool {
        T::owns_heap()
    }
}

impl<const CAP: usize> Weigh for ArrayString<CAP> {
    #[inline]
    fn heap_bytes(&self) -> u64 {
        0
    }
    #[inline]
    fn owns_heap() -> bool {
        false
    }
}
