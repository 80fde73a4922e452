//! How keys and values become bytes, and how bytes become fewer: what a chain is told of the outside.

use std::error::Error;
use std::fmt;

/// Turns keys and values into bytes, and back.
///
/// Nothing of the user's data is in its errors. A call that panics counts as one that failed: the cache goes on as if
/// the record were not there.
///
/// What comes back must be equal to what went in, for keys by `Eq`; two equal keys need not have the same bytes.
pub trait Codec<K, V>: Send + Sync {
    /// Appends a key's bytes.
    ///
    /// # Errors
    ///
    /// The key cannot be written: its entry is not kept below.
    fn encode_key(&self, key: &K, into: &mut Vec<u8>) -> Result<(), CodecError>;

    /// Appends a value's bytes.
    ///
    /// # Errors
    ///
    /// The value cannot be written: its entry is not kept below.
    fn encode_value(&self, value: &V, into: &mut Vec<u8>) -> Result<(), CodecError>;

    /// Makes a key of bytes that [`encode_key`](Self::encode_key) wrote, maybe damaged ones: it must not take much more
    /// memory than there are bytes.
    ///
    /// # Errors
    ///
    /// They are no key.
    fn decode_key(&self, bytes: &[u8]) -> Result<K, CodecError>;

    /// Makes a value, as [`decode_key`](Self::decode_key) a key.
    ///
    /// # Errors
    ///
    /// They are no value.
    fn decode_value(&self, bytes: &[u8]) -> Result<V, CodecError>;
}

/// Makes bytes fewer, and as many again.
pub trait Compress: Send + Sync {
    /// What the tier is called in statistics, as in `"lz4"`.
    fn name(&self) -> &'static str;

    /// Appends the bytes, compressed; they may be more.
    fn compress(&self, bytes: &[u8], into: &mut Vec<u8>);

    /// Appends exactly `len` bytes of which `bytes` were made. They may be damaged: no more than `len` are made of
    /// them, and no more memory is taken.
    ///
    /// # Errors
    ///
    /// They were not made of so many.
    fn expand(&self, bytes: &[u8], len: usize, into: &mut Vec<u8>) -> Result<(), CodecError>;
}

/// A key or a value could not be written or read. Says nothing of what is in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CodecError;

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("these bytes cannot be written or read")
    }
}

impl Error for CodecError {}
