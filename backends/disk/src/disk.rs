//! What a user says of a tier on disk.

use std::any::type_name;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use larder_codec::{Schema, Storable};
use larder_runtime::{Cold, IntoCold, Opened, StoreError};

use crate::directory::{Directory, number_of};
use crate::envelope::Written;
use crate::log::PLACE_BYTES;
use crate::place;
use crate::space::Space;

/// A name in a store is no longer than this.
const NAME: usize = 200;
/// Files may take a tenth more than their bound, or so much.
const SPARE: u64 = 64 << 20;

/// A tier on disk, for [`Tiers::cold`](larder_runtime::Tiers::cold).
///
/// # Errors
///
/// What is wrong with the directory is said when a cache is built: [`BuildError::Store`](larder_runtime::BuildError).
/// An annotated function goes without the tier, and its statistics say why.
#[derive(Clone, Debug)]
#[must_use = "it does nothing until a cache has it"]
pub struct Disk {
    path: Option<PathBuf>,
    variable: Option<String>,
    written: Option<PathBuf>,
    max_bytes: u64,
    ttl: Option<Duration>,
    #[cfg(feature = "zstd")]
    level: Option<i32>,
    version: u32,
    persist: bool,
    empties: bool,
    writes: Option<u64>,
    max_record_bytes: Option<u64>,
    patience: Option<Duration>,
    clock: Option<fn() -> u64>,
}

impl Default for Disk {
    fn default() -> Self {
        Self::new()
    }
}

impl Disk {
    /// In the directory that [`set_path`](crate::set_path) or the variable `LARDER_DISK` names; 1 GB.
    pub fn new() -> Self {
        Self {
            path: None,
            variable: None,
            written: None,
            max_bytes: 1 << 30,
            ttl: None,
            #[cfg(feature = "zstd")]
            level: None,
            version: 0,
            persist: false,
            empties: false,
            writes: None,
            max_record_bytes: None,
            patience: None,
            clock: None,
        }
    }

    /// In this directory, whatever the environment says. It is made if it is not there; several caches of a process may
    /// share it, and no two processes.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: Some(path.into()), ..Self::new() }
    }

    /// In the directory that this variable names, before `LARDER_DISK`.
    pub fn env(mut self, variable: impl Into<String>) -> Self {
        self.variable = Some(variable.into());
        self
    }

    /// In this directory, if nobody names another. For generated code.
    #[doc(hidden)]
    pub fn or_at(mut self, path: impl Into<PathBuf>) -> Self {
        self.written = Some(path.into());
        self
    }

    /// At most so many bytes of records; their files take up to a tenth, or 64 MB, more. 1 GB unless this says otherwise.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// [`max_bytes`](Self::max_bytes) in megabytes of 1,048,576 bytes.
    pub fn max_mb(self, megabytes: u64) -> Self {
        self.max_bytes(megabytes.saturating_mul(1 << 20))
    }

    /// How long a record lives after it came, at the most; the cache's own rules hold besides.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Values that come from above are compressed with zstd, with so much work: from -7 to 22. What comes from a tier in
    /// memory is as it was there.
    #[cfg(feature = "zstd")]
    pub fn level(mut self, level: i32) -> Self {
        self.level = Some(level);
        self
    }

    /// A number of yours: records of another are not read. For changes that no type shows, as of what a function
    /// computes.
    pub fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    /// What is in memory is written when the program flushes or ends, and comes back into memory when it starts; see
    /// [`Cold::persist`].
    pub fn persist(mut self) -> Self {
        self.persist = true;
        self
    }

    /// What cannot be opened because it is damaged is emptied, instead of being an error. Everything in the directory
    /// goes, of all caches.
    pub fn empty_if_damaged(mut self) -> Self {
        self.empties = true;
        self
    }

    /// At most so many bytes are written in a second; see [`Cold::writes_per_second`].
    pub fn writes_per_second(mut self, bytes: u64) -> Self {
        self.writes = Some(bytes);
        self
    }

    /// No record of more bytes is kept; see [`Cold::max_record_bytes`].
    pub fn max_record_bytes(mut self, bytes: u64) -> Self {
        self.max_record_bytes = Some(bytes);
        self
    }

    /// How long a look-up may take; see [`Cold::patience`].
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }

    /// Tells the time of the system in milliseconds since 1970, for tests of what happens when it is set.
    #[doc(hidden)]
    pub fn system_clock(mut self, clock: fn() -> u64) -> Self {
        self.clock = Some(clock);
        self
    }

    /// So many bytes may the cache's files take.
    fn allowed(&self) -> u64 {
        self.max_bytes.saturating_add((self.max_bytes / 10).max(SPARE))
    }

    fn open<K: Storable, V: Storable>(&self, cache: &str, packings: &str) -> Result<Opened, StoreError> {
        let path = place::find(self.path.as_deref(), self.variable.as_deref(), self.written.as_deref())?;
        let directory = Directory::open(&path, self.empties)?;
        let name = space_name::<K, V>(cache);
        let log = directory.take(&name, self.allowed())?;
        let schema = Schema::of::<K, V>(&format!("{cache}|{packings}"), self.version);
        let closed = AtomicBool::new(false);
        Ok(Opened {
            store: Arc::new(Space { directory, log, name, closed, clock: self.clock }),
            envelope: Arc::new(Written { fingerprint: schema.fingerprint() }),
        })
    }
}

/// The name of a cache in its directory. Instances of one generic function have one name, and other types.
fn space_name<K, V>(cache: &str) -> String {
    let hash = number_of(&[cache, type_name::<K>(), type_name::<V>()].join("\0"));
    let end = (0..=cache.len().min(NAME)).rev().find(|&end| cache.is_char_boundary(end)).unwrap_or(0);
    format!("{}-{hash:016x}", &cache[..end])
}

impl<K: Storable + 'static, V: Storable + 'static> IntoCold<K, V> for Disk {
    fn into_cold(self) -> Cold {
        let mut cold = Cold::new({
            let disk = self.clone();
            move |cache, packings| disk.open::<K, V>(cache, packings)
        });
        cold = cold.max_bytes(self.max_bytes).bytes_beside(PLACE_BYTES);
        #[cfg(feature = "zstd")]
        if let Some(level) = self.level {
            cold = cold.compressed(larder_codec::Zstd::default().level(level));
        }
        if let Some(ttl) = self.ttl {
            cold = cold.ttl(ttl);
        }
        if let Some(bytes) = self.writes {
            cold = cold.writes_per_second(bytes);
        }
        if let Some(bytes) = self.max_record_bytes {
            cold = cold.max_record_bytes(bytes);
        }
        if let Some(patience) = self.patience {
            cold = cold.patience(patience);
        }
        if self.persist { cold.persist() } else { cold }
    }
}
