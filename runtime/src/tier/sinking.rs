//! A chain's way down to the tier that outlives the process, and up from there.
//!
//! The codec runs with no lock held. Not here: how records lie there (cold), and when an entry goes or comes (the cache).

use std::sync::{Arc, Weak};

use super::chain::{Candidate, Chain, Raised, guarded};
use super::cold::{Blob, Laborer};
use super::warm::Record;
use super::{CodecError, ColdTier, Compress, Place, Ready, Sealed, Sending, changes};
use crate::key::Seeded;
use crate::time::Nanos;

/// How a value was made smaller, as records say it.
const PLAIN: u8 = 0;
/// As the tier in memory does.
const AS_WARM: u8 = 1;
/// As the tier on disk does.
const AS_COLD: u8 = 2;

impl<K, V> Chain<K, V> {
    /// The tier that outlives the process.
    pub(crate) fn cold_tier(&self) -> Option<&ColdTier> {
        self.cold.as_ref().map(|cold| &*cold.tier)
    }

    /// What the domain's writer is to know of that.
    pub(crate) fn laborer(&self) -> Option<Weak<dyn Laborer>> {
        let tier: Arc<dyn Laborer> = Arc::clone(&self.cold.as_ref()?.tier) as _;
        Some(Arc::downgrade(&tier))
    }

    /// A key's hash.
    pub(crate) fn hash_of(&self, key: &K) -> Option<u64> {
        let keys = self.cold.as_ref()?.keys;
        Some(Seeded::new().hash_of(|state| (keys.hash)(key, state)))
    }

    /// The key of a record; waits for the disk.
    pub(crate) fn key_of(&self, half: u32) -> Option<K> {
        let cold = self.cold_tier()?;
        let place = cold.look(half)?;
        let blob = cold.read(&place)?;
        let (sealed, _) = cold.unseal(&place, &blob)?;
        guarded(|| self.codec.decode_key(sealed.key)).ok()
    }

    /// Has records in memory written that are not there yet, until `stop` says so.
    pub(crate) fn send_down(&self, stop: &dyn Fn() -> bool) {
        for hash in self.records().hashes() {
            let left = changes();
            let Some(record) = self.records().copy(hash) else { continue };
            self.sink_record(&record, left);
            if stop() {
                return;
            }
        }
    }

    /// Another key like it.
    pub(crate) fn clone_key(&self, key: &K) -> Option<K> {
        self.cold.as_ref().map(|cold| (cold.keys.clone)(key))
    }

    /// How values are made smaller: records of other ways are not read.
    pub(crate) fn packings(&self) -> String {
        let warm = self.settings.as_ref().and_then(|warm| warm.compress.as_ref());
        let cold = self.cold.as_ref().and_then(|cold| cold.tier.settings().compress.as_ref());
        let name = |compress: Option<&Arc<dyn Compress>>| compress.map_or("", |own| own.name());
        format!("{},{}", name(warm), name(cold))
    }

    /// An entry as a record for the store. `None` where it does not go there.
    pub(crate) fn prepare(&self, key: &K, value: &V, candidate: &Candidate) -> Option<Ready> {
        let cold = self.cold_tier()?;
        let Candidate { hash, cost, factor, weight, deadline, idle, left } = *candidate;
        if !cold.wants(hash, cost, factor, weight) {
            return None;
        }
        let mut plain = Vec::new();
        let written = guarded(|| {
            self.codec.encode_key(key, &mut plain)?;
            let key = plain.len();
            self.codec.encode_value(value, &mut plain)?;
            Ok(key)
        });
        let Ok(length) = written else {
            cold.failed_to_write();
            return None;
        };
        let (key, value) = plain.split_at(length);
        let encoded = u32::try_from(value.len()).ok()?;
        let own = cold.settings().compress.as_ref().map(|compress| (compress, AS_COLD));
        let warm = || self.settings.as_ref()?.compress.as_ref().map(|compress| (compress, AS_WARM));
        let mut packed = Vec::new();
        let mut sending = Sending {
            hash,
            cost,
            factor,
            packing: PLAIN,
            encoded,
            key,
            value,
            deadline,
            expires: deadline.min(idle),
            left,
        };
        if let Some((compress, packing)) = own.or_else(warm) {
            compress.compress(value, &mut packed);
            if packed.len() < value.len() {
                (sending.packing, sending.value) = (packing, &packed);
            }
        }
        cold.prepare(&sending)
    }

    /// A record that made room in memory goes on in the store, if there is room.
    pub(super) fn sink_record(&self, record: &Record, left: u64) {
        let Some(cold) = self.cold_tier() else { return };
        let (key, value) = record.bytes.split_at(record.key as usize);
        if !cold.wants(record.hash, record.cost, record.factor, record.bytes.len() as u64) {
            return;
        }
        let sending = Sending {
            hash: record.hash,
            cost: record.cost,
            factor: record.factor,
            packing: if record.packed { AS_WARM } else { PLAIN },
            encoded: record.encoded,
            key,
            value,
            deadline: record.deadline,
            expires: record.expires,
            left,
        };
        if let Some(ready) = cold.prepare(&sending)
            && let Err(Some(_)) = cold.put(ready)
        {
            // Nobody makes room for what makes room.
            cold.refuse();
        }
    }

    /// The record that a look-up may want.
    pub(crate) fn locate(&self, hash: u64, is_use: bool) -> Option<Place> {
        self.cold_tier()?.locate(hash as u32, is_use)
    }

    /// The entry that a look-up wants, from the bytes of a record.
    pub(crate) fn open(
        &self,
        place: &Place,
        blob: Option<Blob>,
        began: Nanos,
        is: &dyn Fn(&K) -> bool,
    ) -> Option<Raised<K, V>> {
        let cold = self.cold_tier()?;
        let raised = blob.and_then(|blob| self.unseal(cold, place, &blob, is));
        match raised {
            Some(_) => cold.hit(place, began),
            None => cold.miss(),
        }
        raised
    }

    fn unseal(
        &self,
        cold: &ColdTier,
        place: &Place,
        blob: &[u8],
        is: &dyn Fn(&K) -> bool,
    ) -> Option<Raised<K, V>> {
        let (sealed, deadline) = cold.unseal(place, blob)?;
        let read = guarded(|| {
            let key = self.codec.decode_key(sealed.key)?;
            if !is(&key) {
                return Ok(None);
            }
            Ok(Some((key, self.expand(cold, &sealed)?)))
        });
        match read {
            Ok(found) => found.map(|(key, value)| Raised {
                key: Some(key),
                value,
                cost: place.cost(),
                deadline,
                uses: place.uses(),
                found: None,
            }),
            Err(CodecError) => {
                cold.damaged(place);
                None
            }
        }
    }

    fn expand(&self, cold: &ColdTier, sealed: &Sealed<'_>) -> Result<V, CodecError> {
        let compress = match sealed.packing {
            PLAIN => return self.codec.decode_value(sealed.value),
            AS_WARM => self.settings.as_ref().and_then(|warm| warm.compress.as_ref()),
            AS_COLD => cold.settings().compress.as_ref(),
            _ => None,
        };
        let mut plain = Vec::new();
        compress.ok_or(CodecError)?.expand(sealed.value, sealed.encoded as usize, &mut plain)?;
        self.codec.decode_value(&plain)
    }

    /// [`open`](Self::open) of what is found, at once; waits for the disk.
    pub(crate) fn find_cold(&self, hash: u64, is_use: bool, is: &dyn Fn(&K) -> bool) -> Option<Raised<K, V>> {
        let cold = self.cold_tier()?;
        let Some(place) = self.locate(hash, is_use) else {
            if is_use {
                cold.miss();
            }
            return None;
        };
        let began = cold.began();
        let blob = cold.read(&place);
        if is_use {
            return self.open(&place, blob, began, is);
        }
        self.unseal(cold, &place, &blob?, is)
    }

    /// Takes out the records of which `is_stale` says so, and those that cannot be read; says how many of the first there
    /// were. Reads all of them; by who changes all keys.
    pub(super) fn remove_cold_if(&self, is_stale: &mut dyn FnMut(&K, &V) -> bool) -> u64 {
        let Some(cold) = self.cold_tier() else { return 0 };
        let mut removed = 0;
        for hash in cold.hashes() {
            let Some(place) = cold.look(hash) else { continue };
            let Some(blob) = cold.read(&place) else {
                // What cannot be looked at may be stale.
                cold.drop_record(&place);
                continue;
            };
            let Some(Raised { key: Some(key), value, .. }) = self.unseal(cold, &place, &blob, &|_| true)
            else {
                continue;
            };
            if is_stale(&key, &value) {
                cold.drop_record(&place);
                removed += 1;
            }
        }
        removed
    }
}
