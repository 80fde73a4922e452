//! bytes: views of buffers that may be shared, and do not say how large they are.

use std::alloc::Layout;
use std::sync::atomic::AtomicUsize;

use bytes::{Bytes, BytesMut};

use crate::weight::Weigh;
use crate::weight::allocator::{block, block_of};

/// What the clones of a view share: where the buffer is, how large it is, and how many they are.
type Shared = (*mut u8, usize, AtomicUsize);

/// The bytes that can be seen, as a buffer of their own, with the counter that clones share; in full, whoever
/// else holds it.
///
/// A view doesn't tell what it looks at. So a small one into a large buffer, or a buffer with much to spare,
/// is charged for the part in view, though it keeps all of it alive: store `Bytes::copy_from_slice(&view)`
/// instead. One made by `from_static`
/// is charged like any other; `&'static [u8]` is not. A view that was never cloned has no counter yet, but a
/// value that is computed and stored is cloned at once.
impl Weigh for Bytes {
    #[inline]
    fn heap_bytes(&self) -> u64 {
        // Empty views are made to hold on to nothing, save for those that were advanced to their end.
        if self.is_empty() {
            return 0;
        }
        block(self.len()) + block_of(Layout::new::<Shared>())
    }
}

/// The part of the buffer that it can grow into without another one.
///
/// What was split off belongs to the other half, and what `advance` has passed is not seen.
impl Weigh for BytesMut {
    #[inline]
    fn heap_bytes(&self) -> u64 {
        block(self.capacity())
    }
}
