//! What a user says of the tiers of a cache.

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use super::chain::guarded;
use super::{Codec, Cold, Compress, HashOf, IntoCold, KeyWays};
use crate::key::Seeded;

/// The tiers below a cache's values, for [`Builder::tiers`](crate::Builder::tiers).
///
/// # Examples
///
/// ```
/// use larder_runtime::{Cache, Codec, CodecError, Domain, Tiers, Warm};
///
/// /// Numbers to lists of flags, eight to a byte; `larder-codec` has a codec for all that serde knows.
/// struct Flags;
///
/// impl Codec<u64, Vec<bool>> for Flags {
///     fn encode_key(&self, key: &u64, into: &mut Vec<u8>) -> Result<(), CodecError> {
///         into.extend(key.to_le_bytes());
///         Ok(())
///     }
///     fn encode_value(&self, value: &Vec<bool>, into: &mut Vec<u8>) -> Result<(), CodecError> {
///         let byte = |eight: &[bool]| eight.iter().rev().fold(0, |byte, flag| byte << 1 | u8::from(*flag));
///         into.extend(value.chunks(8).map(byte));
///         Ok(())
///     }
///     fn decode_key(&self, bytes: &[u8]) -> Result<u64, CodecError> {
///         bytes.try_into().map(u64::from_le_bytes).map_err(|_| CodecError::default())
///     }
///     fn decode_value(&self, bytes: &[u8]) -> Result<Vec<bool>, CodecError> {
///         Ok(bytes.iter().flat_map(|byte| (0..8).map(move |at| byte >> at & 1 == 1)).collect())
///     }
/// }
///
/// let domain = Domain::builder().limit_bytes(1 << 20).manual().build();
/// let seen = Cache::<u64, Vec<bool>>::builder("seen")
///     .max_entries(1)
///     .tiers(Tiers::new(Flags).warm(Warm::plain().max_mb(1)))
///     .build_in(&domain)?;
/// seen.insert(1, vec![true; 800]);
/// seen.insert(2, vec![false; 800]);
/// // Its place is the other's now; it is found in the tier below.
/// assert_eq!(seen.len(), 1);
/// assert_eq!(seen.get(1), Some(vec![true; 800]));
/// # Ok::<(), larder_runtime::BuildError>(())
/// ```
pub struct Tiers<K, V> {
    pub(crate) codec: Arc<dyn Codec<K, V>>,
    pub(crate) warm: Option<Warm>,
    pub(crate) cold: Option<ColdWays<K>>,
}

/// A tier that outlives the process, and what it has to do with keys.
pub(crate) struct ColdWays<K> {
    pub(crate) cold: Cold,
    pub(crate) keys: KeyWays<K>,
    pub(crate) hash_of: Arc<HashOf>,
}

impl<K> Clone for ColdWays<K> {
    fn clone(&self) -> Self {
        Self { cold: self.cold.clone(), keys: self.keys, hash_of: Arc::clone(&self.hash_of) }
    }
}

impl<K, V> Tiers<K, V> {
    /// None yet; keys and values become bytes by this codec.
    #[must_use]
    pub fn new(codec: impl Codec<K, V> + 'static) -> Self {
        Self { codec: Arc::new(codec), warm: None, cold: None }
    }

    /// With a tier in memory.
    #[must_use]
    pub fn warm(mut self, warm: Warm) -> Self {
        self.warm = Some(warm);
        self
    }

    /// With a tier that outlives the process, as `larder::disk::Disk`.
    #[must_use]
    pub fn cold(mut self, cold: impl IntoCold<K, V>) -> Self
    where
        K: Hash + Clone + 'static,
        V: 'static,
    {
        let (codec, keys) = (Arc::clone(&self.codec), KeyWays::<K>::new());
        let hash_of = move |bytes: &[u8]| {
            let key = guarded(|| codec.decode_key(bytes)).ok()?;
            Some(Seeded::new().hash_of(|state| (keys.hash)(&key, state)) as u32)
        };
        self.cold = Some(ColdWays { cold: cold.into_cold(), keys, hash_of: Arc::new(hash_of) });
        self
    }
}

impl<K, V> Clone for Tiers<K, V> {
    fn clone(&self) -> Self {
        Self { codec: Arc::clone(&self.codec), warm: self.warm.clone(), cold: self.cold.clone() }
    }
}

impl<K, V> fmt::Debug for Tiers<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tiers")
            .field("warm", &self.warm)
            .field("cold", &self.cold.as_ref().map(|cold| &cold.cold))
            .finish_non_exhaustive()
    }
}

/// A tier in memory: records of bytes, charged to the cache like its entries.
///
/// Between its values and its records a cache keeps what saves the most compute time for each byte: a record takes
/// fewer bytes and has to be decoded.
#[derive(Clone)]
pub struct Warm {
    pub(crate) compress: Option<Arc<dyn Compress>>,
    pub(crate) max_bytes: u64,
    pub(crate) ttl: Option<Duration>,
    pub(crate) max_record_bytes: u64,
}

impl Warm {
    fn of(compress: Option<Arc<dyn Compress>>) -> Self {
        Self { compress, max_bytes: u64::MAX, ttl: None, max_record_bytes: u64::MAX }
    }

    /// Values are compressed by this.
    #[must_use]
    pub fn compressed(compress: impl Compress + 'static) -> Self {
        Self::of(Some(Arc::new(compress)))
    }

    /// Values are kept as they were encoded.
    #[must_use]
    pub fn plain() -> Self {
        Self::of(None)
    }

    /// At most so many bytes of the cache's are records, their bookkeeping included; without it no more than what is
    /// worth more than values.
    #[must_use]
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// [`max_bytes`](Self::max_bytes) in megabytes of 1,048,576 bytes.
    #[must_use]
    pub fn max_mb(self, megabytes: u64) -> Self {
        self.max_bytes(megabytes.saturating_mul(1 << 20))
    }

    /// How long a record lives after it came, at the most; the cache's own rules hold besides.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// No record of more bytes is kept.
    #[must_use]
    pub fn max_record_bytes(mut self, bytes: u64) -> Self {
        self.max_record_bytes = bytes;
        self
    }

    pub(crate) fn name(&self) -> &'static str {
        self.compress.as_ref().map_or("plain", |compress| compress.name())
    }
}

impl fmt::Debug for Warm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Warm")
            .field("compress", &self.name())
            .field("max_bytes", &self.max_bytes)
            .field("ttl", &self.ttl)
            .finish_non_exhaustive()
    }
}
