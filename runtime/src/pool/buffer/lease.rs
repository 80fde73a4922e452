//! What is lent by a pool of buffers: a buffer that is its holder's alone, and one that many share.

use std::fmt;
use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::ops::{Bound, Deref, DerefMut, RangeBounds};
use std::sync::Arc;

use super::block::Block;
use crate::pool::Pooled;

/// Bytes on loan from a [`BufferPool`](super::BufferPool): a length that grows up to a fixed capacity.
///
/// Dropping it returns the memory. It derefs to what was written so far.
///
/// # Examples
///
/// ```
/// use std::io::Write;
/// use larder_runtime::{BufferPool, Domain};
///
/// let domain = Domain::builder().limit_bytes(1 << 20).manual().build();
/// let pool = BufferPool::builder("frames").build_in(&domain)?;
/// let mut frame = pool.acquire(1000);
/// assert_eq!((frame.len(), frame.capacity()), (0, 4096));
/// write!(frame, "{} bytes", 7)?;
/// assert_eq!(&frame[..], b"7 bytes");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Buffer {
    block: Pooled<Block>,
    /// What is shown; the block was written at least so far.
    len: usize,
    /// What `Read` has taken of it.
    taken: usize,
}

impl Buffer {
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn new(mut block: Pooled<Block>, asked: usize) -> Self {
        block.count(asked);
        Self { block, len: 0, taken: 0 }
    }

    /// Bytes that can be written without another buffer; at least what was asked for.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.block.capacity()
    }

    /// Bytes written so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Forgets what was written.
    pub fn clear(&mut self) {
        self.truncate(0);
    }

    /// Forgets what was written behind the first `len` bytes.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
        self.taken = self.taken.min(self.len);
    }

    /// Writes behind what is there.
    ///
    /// # Panics
    ///
    /// When there is not enough room; [`Write`] writes as much as there is.
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        assert!(
            bytes.len() <= self.capacity() - self.len,
            "{} bytes don't fit behind the {} of a buffer of {}: ask the pool for a larger one",
            bytes.len(),
            self.len,
            self.capacity()
        );
        self.append(bytes);
    }

    /// Makes it `len` bytes long; new ones are `byte`.
    ///
    /// # Panics
    ///
    /// When that is more than its capacity.
    pub fn resize(&mut self, len: usize, byte: u8) {
        assert!(
            len <= self.capacity(),
            "{len} bytes don't fit in a buffer of {}: ask the pool for a larger one",
            self.capacity()
        );
        if len > self.len {
            let from = self.len;
            self.block.spare(from)[..len - from].fill(MaybeUninit::new(byte));
            // SAFETY: what was missing up to `len` is written just now, and what is before was.
            unsafe { self.set_len(len) };
        }
        self.truncate(len);
    }

    /// The room behind what is written, for who writes it by other means. [`set_len`](Self::set_len) after that.
    pub fn spare_capacity_mut(&mut self) -> &mut [MaybeUninit<u8>] {
        let len = self.len;
        self.block.spare(len)
    }

    /// Says how many bytes are written.
    ///
    /// # Safety
    ///
    /// That many are written from the start on, and no more than [`capacity`](Self::capacity).
    pub unsafe fn set_len(&mut self, len: usize) {
        debug_assert!(len <= self.capacity());
        // SAFETY: the caller's promise.
        unsafe { self.block.note_written(len) };
        self.len = len;
    }

    /// Reads once from `reader`, behind what is there, at most to the end of the capacity; returns how much came.
    ///
    /// Zeroes only memory that was never written before, so that a buffer that was used once is not zeroed again.
    ///
    /// # Errors
    ///
    /// The reader's; the buffer is as it was then.
    pub fn read_from(&mut self, reader: &mut impl Read) -> io::Result<usize> {
        let (from, capacity) = (self.len, self.capacity());
        self.block.write_up_to(capacity);
        let room = &mut self.block.bytes_mut(capacity)[from..];
        let most = room.len();
        let read = reader.read(room)?.min(most);
        self.len += read;
        Ok(read)
    }

    /// Gives it up for one that can be cloned and cut into pieces. The memory returns with the last of them.
    #[must_use]
    pub fn freeze(self) -> SharedBuffer {
        let len = self.len;
        SharedBuffer { buffer: Arc::new(self), from: 0, len }
    }

    fn append(&mut self, bytes: &[u8]) -> usize {
        let from = self.len;
        let spare = self.block.spare(from);
        let fits = bytes.len().min(spare.len());
        spare[..fits].write_copy_of_slice(&bytes[..fits]);
        // SAFETY: so many are written just now, behind what was.
        unsafe { self.set_len(from + fits) };
        fits
    }
}

impl Deref for Buffer {
    type Target = [u8];
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn deref(&self) -> &[u8] {
        self.block.bytes(self.len)
    }
}

impl DerefMut for Buffer {
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn deref_mut(&mut self) -> &mut [u8] {
        let len = self.len;
        self.block.bytes_mut(len)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl AsMut<[u8]> for Buffer {
    fn as_mut(&mut self) -> &mut [u8] {
        self
    }
}

/// Writes behind what is there, until the capacity is used up.
impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(self.append(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads what was written, from the start, each byte once.
impl Read for Buffer {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut rest = &self[self.taken..];
        let read = rest.read(into)?;
        self.taken += read;
        Ok(read)
    }
}

impl Extend<u8> for Buffer {
    /// # Panics
    ///
    /// When there is not enough room.
    fn extend<I: IntoIterator<Item = u8>>(&mut self, bytes: I) {
        bytes.into_iter().for_each(|byte| self.extend_from_slice(&[byte]));
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer")
            .field("len", &self.len)
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }
}

/// What a [`Buffer`] became: bytes that nobody changes any more, shared by clones and pieces.
///
/// # Cost
///
/// One small block when it is frozen; a clone is a counter.
#[derive(Clone)]
pub struct SharedBuffer {
    buffer: Arc<Buffer>,
    from: usize,
    len: usize,
}

impl SharedBuffer {
    /// A piece of it, which shares the memory.
    ///
    /// # Panics
    ///
    /// When the range is not inside.
    #[must_use]
    pub fn slice(&self, range: impl RangeBounds<usize>) -> Self {
        let from = match range.start_bound() {
            Bound::Included(&at) => at,
            Bound::Excluded(&at) => at.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let to = match range.end_bound() {
            Bound::Included(&at) => at.saturating_add(1),
            Bound::Excluded(&at) => at,
            Bound::Unbounded => self.len,
        };
        assert!(from <= to && to <= self.len, "{from}..{to} is not inside of {} bytes", self.len);
        Self { buffer: Arc::clone(&self.buffer), from: self.from + from, len: to - from }
    }

    /// The buffer again, if nobody else shares it.
    ///
    /// # Errors
    ///
    /// Gives it back where others do.
    pub fn try_thaw(self) -> Result<Buffer, Self> {
        let Self { buffer, from, len } = self;
        Arc::try_unwrap(buffer).map_err(|buffer| Self { buffer, from, len })
    }
}

impl Deref for SharedBuffer {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.buffer[self.from..self.from + self.len]
    }
}

impl AsRef<[u8]> for SharedBuffer {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for SharedBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedBuffer").field("len", &self.len).finish_non_exhaustive()
    }
}

#[cfg(feature = "bytes")]
impl From<SharedBuffer> for bytes::Bytes {
    /// Shares the memory, which returns to the pool with the last of the `Bytes`.
    fn from(shared: SharedBuffer) -> Self {
        Self::from_owner(shared)
    }
}

#[cfg(feature = "bytes")]
impl From<Buffer> for bytes::Bytes {
    fn from(buffer: Buffer) -> Self {
        Self::from_owner(buffer)
    }
}

// SAFETY: `chunk_mut` is the room behind what is written, `advance_mut` counts only what its caller wrote there, and
// `remaining_mut` is that room's length.
#[cfg(feature = "bytes")]
unsafe impl bytes::BufMut for Buffer {
    fn remaining_mut(&self) -> usize {
        self.capacity() - self.len
    }

    unsafe fn advance_mut(&mut self, count: usize) {
        assert!(count <= self.capacity() - self.len, "there is no room for {count} bytes more");
        // SAFETY: the caller wrote so many.
        unsafe { self.set_len(self.len + count) };
    }

    fn chunk_mut(&mut self) -> &mut bytes::buf::UninitSlice {
        bytes::buf::UninitSlice::uninit(self.spare_capacity_mut())
    }
}
