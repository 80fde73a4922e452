//! The contestants: what each of them is given, and how it is asked.

use std::error::Error;
use std::fmt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use cached::{ConcurrentCached, RedbCache, SerializeCached};
use foyer::{
    BlockEngineConfig, DeviceBuilder, FsDeviceBuilder, HybridCache, HybridCacheBuilder, HybridCachePolicy,
};
use larder::codec::Serde;
use larder::disk::Disk;
use larder::{Cache, Domain, TierStats, Tiers};
use tokio::runtime::Runtime;

use crate::MB;

/// What a value is said to cost.
const COST: Duration = Duration::from_millis(1);
/// foyer gives up a block at once, and keeps no value that is larger.
const BLOCK: usize = 16 << 20;

/// A cache whose values are on disk, all but a few.
pub trait Store {
    fn name(&self) -> &'static str;
    /// Has a value written, and waits while too much waits to be written.
    fn put(&mut self, key: u64, value: Bytes);
    /// Waits until everything is in the files.
    fn settle(&mut self);
    /// The value of a key, from the disk.
    fn get(&self, key: u64) -> Option<Bytes>;
    /// The same, and no use of it where uses are counted.
    fn peek(&self, key: u64) -> Option<Bytes> {
        self.get(key)
    }
}

pub struct Larder {
    pub cache: Cache<u64, Bytes>,
    _domain: Domain,
    since: usize,
}

impl Larder {
    pub fn open(dir: &Path, max_bytes: u64) -> Result<Self, Box<dyn Error>> {
        let domain = Domain::builder().limit_bytes(512 * MB).build();
        let cache = Cache::<u64, Bytes>::builder("values")
            // Little more than the least: the tier on disk is what is asked.
            .max_entries(1)
            .weigh(|_, value| value.len() as u64)
            .cost(|_, _| COST)
            .tiers(
                Tiers::new(Serde).cold(Disk::at(dir).max_bytes(max_bytes).patience(Duration::from_secs(60))),
            )
            .build_in(&domain)?;
        Ok(Self { cache, _domain: domain, since: 0 })
    }

    pub fn tier(&self) -> TierStats {
        self.cache.stats().tiers.pop().expect("it has a tier")
    }
}

impl Store for Larder {
    fn name(&self) -> &'static str {
        "larder"
    }

    fn put(&mut self, key: u64, value: Bytes) {
        self.since += value.len();
        self.cache.insert(key, value);
        // No more than what waits at once may come between two looks.
        while self.since > 2 << 20 {
            if self.tier().waiting < 10 * MB {
                self.since = 0;
            } else {
                thread::sleep(Duration::from_micros(200));
            }
        }
    }

    fn settle(&mut self) {
        // Not `flush`, which waits for the medium, as nobody else here does.
        while self.tier().waiting > 0 {
            thread::sleep(Duration::from_micros(200));
        }
    }

    fn get(&self, key: u64) -> Option<Bytes> {
        self.cache.get(key)
    }

    fn peek(&self, key: u64) -> Option<Bytes> {
        self.cache.peek(key)
    }
}

pub struct Foyer {
    cache: HybridCache<u64, Bytes>,
    runtime: Runtime,
    /// Bytes that were put, as they lie on the disk.
    put: usize,
    since: usize,
    before: usize,
}

impl Foyer {
    pub fn open(dir: &Path, max_bytes: u64) -> Result<Self, Box<dyn Error>> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let device = FsDeviceBuilder::new(dir).with_capacity(max_bytes as usize).build()?;
        let engine = BlockEngineConfig::new(device).with_block_size(BLOCK);
        let cache = runtime.block_on(
            HybridCacheBuilder::new()
                .with_policy(HybridCachePolicy::WriteOnInsertion)
                .with_flush_on_close(false)
                .memory(1)
                .with_shards(1)
                .with_weighter(|_: &u64, value: &Bytes| value.len())
                .storage()
                .with_engine_config(engine)
                .build(),
        )?;
        Ok(Self { cache, runtime, put: 0, since: 0, before: 0 })
    }

    fn written(&self) -> usize {
        self.cache.statistics().disk_write_bytes()
    }
}

impl Store for Foyer {
    fn name(&self) -> &'static str {
        "foyer"
    }

    fn put(&mut self, key: u64, value: Bytes) {
        // A header of 32 bytes, in pages of 4 KB.
        let bytes = (value.len() + 48).next_multiple_of(4096);
        self.put += bytes;
        self.since += bytes;
        let _guard = self.runtime.enter();
        self.cache.storage_writer(key).force().insert(value);
        while self.since > 2 << 20 {
            if self.put.saturating_sub(self.written() - self.before) < 10 << 20 {
                self.since = 0;
            } else {
                thread::sleep(Duration::from_micros(200));
            }
        }
    }

    fn settle(&mut self) {
        self.runtime.block_on(self.cache.storage().wait());
        self.cache.memory().clear();
        (self.put, self.before) = (0, self.written());
    }

    fn get(&self, key: u64) -> Option<Bytes> {
        self.runtime.block_on(async { self.cache.get(&key).await.ok()?.map(|entry| entry.value().clone()) })
    }
}

pub struct Cached {
    cache: RedbCache<u64, Bytes>,
}

impl Cached {
    pub fn open(dir: &Path) -> Result<Self, Box<dyn Error>> {
        Ok(Self { cache: RedbCache::builder("values").disk_dir(dir).durable(false).build()? })
    }
}

impl Store for Cached {
    fn name(&self) -> &'static str {
        "cached"
    }

    fn put(&mut self, key: u64, value: Bytes) {
        self.cache.cache_set_ref(&key, &value).expect("a disk that works");
    }

    fn settle(&mut self) {
        self.cache.flush().expect("a disk that works");
    }

    fn get(&self, key: u64) -> Option<Bytes> {
        self.cache.cache_get(&key).expect("a disk that works")
    }
}

impl fmt::Debug for dyn Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
