//! What a user says of a tier that outlives the process.

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use crate::key::KeyHasher;
use crate::tier::{Compress, Opened, StoreError};

/// Opens the store of the cache of a name. The second name says of the values how they are made smaller: records of
/// other ways are not read.
type Open = dyn Fn(&str, &str) -> Result<Opened, StoreError> + Send + Sync;

/// A tier that outlives the process: records in a [`Store`](crate::Store). What fails there is as if nothing were there;
/// it never fails a caller. `larder::disk::Disk` makes one on a disk.
#[derive(Clone)]
pub struct Cold {
    pub(crate) open: Arc<Open>,
    pub(crate) max_bytes: u64,
    pub(crate) ttl: Option<Duration>,
    pub(crate) compress: Option<Arc<dyn Compress>>,
    pub(crate) max_record_bytes: u64,
    pub(crate) beside: u64,
    pub(crate) writes: Option<u64>,
    pub(crate) persist: bool,
    pub(crate) patience: Duration,
}

impl Cold {
    /// In the store that this opens: for the cache of a name, whose values are made smaller in ways that the second text
    /// names. It is called when the cache is built.
    #[must_use]
    pub fn new(open: impl Fn(&str, &str) -> Result<Opened, StoreError> + Send + Sync + 'static) -> Self {
        Self {
            open: Arc::new(open),
            max_bytes: 1 << 30,
            ttl: None,
            compress: None,
            max_record_bytes: 64 << 20,
            beside: 0,
            writes: None,
            persist: false,
            patience: Duration::from_millis(250),
        }
    }

    /// At most so many bytes there; 1 GB unless this says otherwise.
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

    /// Values that come from above are compressed by this; those that come from a tier in memory are as they were there.
    #[must_use]
    pub fn compressed(mut self, compress: impl Compress + 'static) -> Self {
        self.compress = Some(Arc::new(compress));
        self
    }

    /// No record of more bytes is kept; 64 MB unless this says otherwise.
    #[must_use]
    pub fn max_record_bytes(mut self, bytes: u64) -> Self {
        self.max_record_bytes = bytes;
        self
    }

    /// The store itself takes so many bytes of memory for each record. They are charged to the cache.
    #[must_use]
    pub fn bytes_beside(mut self, bytes: u64) -> Self {
        self.beside = bytes;
        self
    }

    /// At most so many bytes are written in a second, on average: disks wear. What is beyond is not kept.
    #[must_use]
    pub fn writes_per_second(mut self, bytes: u64) -> Self {
        self.writes = Some(bytes);
        self
    }

    /// What is in memory is written, too, when the program [flushes](crate::flush) or [ends](crate::shutdown), and comes
    /// back into memory when it starts, the most valuable first. Without it only what made room is kept.
    #[must_use]
    pub fn persist(mut self) -> Self {
        self.persist = true;
        self
    }

    /// A look-up that takes longer is a failure of the tier: after three in a row it is left alone for a while. 250 ms
    /// unless this says otherwise.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }
}

impl fmt::Debug for Cold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cold")
            .field("max_bytes", &self.max_bytes)
            .field("ttl", &self.ttl)
            .field("persist", &self.persist)
            .finish_non_exhaustive()
    }
}

/// What [`Tiers::cold`](crate::Tiers::cold) takes for a cache of these types.
pub trait IntoCold<K, V> {
    /// The tier.
    fn into_cold(self) -> Cold;
}

impl<K, V> IntoCold<K, V> for Cold {
    fn into_cold(self) -> Cold {
        self
    }
}

/// What has to be done with keys that come from a disk.
pub(crate) struct KeyWays<K> {
    pub(crate) hash: fn(&K, &mut KeyHasher),
    pub(crate) clone: fn(&K) -> K,
}

impl<K: Hash + Clone> KeyWays<K> {
    pub(crate) fn new() -> Self {
        Self { hash: K::hash, clone: K::clone }
    }
}

impl<K> Clone for KeyWays<K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K> Copy for KeyWays<K> {}
