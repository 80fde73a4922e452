//! smallvec: nothing on the heap until it holds more than its array.

use smallvec::{Array, SmallVec};

use crate::weight::std_types::each;
use crate::weight::{Weigh, layout};

impl<A: Array> Weigh for SmallVec<A>
where
    A::Item: Weigh,
{
    #[inline]
    fn heap_bytes(&self) -> u64 {
        let own = if self.spilled() { layout::buffer::<A::Item>(self.capacity()) } else { 0 };
        own + each(self)
    }
}
