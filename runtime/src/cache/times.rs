//! How long one entry lives: what its caller says, beside the rules of its cache.
//!
//! Rules for all entries of a cache are its builder's, and arithmetic of deadlines is in `expiry`.

use std::fmt;
use std::hash::Hash;
use std::time::Duration;

use super::Cache;
use super::instance::Core;
use crate::expiry::Expires;
use crate::key::{KeyHasher, Lookup};
use crate::stats::Count;
use crate::time::{NEVER, nanos};

impl<K, V> Cache<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// [`insert`](Self::insert), with a time to live for this value, in place of the one that
    /// [`ttl`](crate::Builder::ttl), [`ttl_by`](crate::Builder::ttl_by) and [`jitter`](crate::Builder::jitter) would
    /// give it: longer or shorter, and exactly that. [`Duration::MAX`] sets no bound. With
    /// [`tti`](crate::Builder::tti) an idle value goes earlier all the same.
    ///
    /// A value with no time at all is not stored, and counted as a rejection; an older one is gone then, too. A later
    /// value of the key, inserted or loaded, lives by the rules of the cache again.
    ///
    /// # Errors
    ///
    /// [`NoExpiry`] where entries do not expire: nothing has changed.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use larder_runtime::{Cache, Domain, testing::ManualClock};
    ///
    /// let clock = ManualClock::new();
    /// let domain = Domain::builder().limit_bytes(1 << 20).clock(clock.clone()).manual().build();
    /// let tokens = Cache::<u64, String>::builder("tokens").ttl(Duration::from_secs(3600)).build_in(&domain)?;
    /// tokens.insert_with_ttl(7, "abc".to_owned(), Duration::from_secs(60))?;
    /// clock.advance(Duration::from_secs(60));
    /// assert_eq!(tokens.get(7), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn insert_with_ttl(&self, key: K, value: V, ttl: Duration) -> Result<(), NoExpiry> {
        let hash = self.core.hash_of(|state| key.hash(state));
        let here = self.here();
        here.expiring()?;
        here.write(hash, key, value, Some(ttl));
        Ok(())
    }
}

impl<K, V> Cache<K, V> {
    /// Gives the entry of this key another time to live: so long from now on, whatever it was before. `true` if there
    /// is one that has not expired.
    ///
    /// Replaces what [`ttl`](crate::Builder::ttl) and [`ttl_by`](crate::Builder::ttl_by) gave; with
    /// [`tti`](crate::Builder::tti) an idle value goes earlier all the same, and this counts as no use.
    /// [`Duration::MAX`] takes the bound away; with [`Duration::ZERO`] the entry expires at once.
    ///
    /// # Errors
    ///
    /// [`NoExpiry`] where entries do not expire: nothing has changed.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use larder_runtime::{Cache, Domain, testing::ManualClock};
    ///
    /// let clock = ManualClock::new();
    /// let domain = Domain::builder().limit_bytes(1 << 20).clock(clock.clone()).manual().build();
    /// let sessions = Cache::<u64, u64>::builder("sessions").ttl(Duration::from_secs(60)).build_in(&domain)?;
    /// sessions.insert(1, 100);
    /// assert!(sessions.set_ttl(1, Duration::from_secs(600))?);
    /// clock.advance(Duration::from_secs(599));
    /// assert_eq!(sessions.time_left(1), Some(Duration::from_secs(1)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_ttl(&self, key: impl Lookup<K>, ttl: Duration) -> Result<bool, NoExpiry> {
        let hash = self.core.hash_of(|state| key.hash(state));
        let here = self.here();
        here.expiring()?;
        Ok(here.set_ttl(hash, |stored| key.eq(stored), ttl))
    }

    /// How long the entry of this key still lives if it is neither written nor used; [`Duration::MAX`] if it does not
    /// expire, `None` if there is none. Counts as no use.
    #[must_use]
    pub fn time_left(&self, key: impl Lookup<K>) -> Option<Duration> {
        let hash = self.core.hash_of(|state| key.hash(state));
        let here = self.here();
        if here.is_bypassed() {
            return None;
        }
        let deadline = here.store.deadline(hash, |stored| key.eq(stored));
        let below = || here.peek_below(hash, &|stored| key.eq(stored)).map(|(_, deadline)| deadline);
        match deadline.or_else(below)? {
            NEVER => Some(Duration::MAX),
            deadline => {
                let left = deadline.saturating_sub(here.tenant.core.now());
                (left > 0).then(|| Duration::from_nanos(left))
            }
        }
    }

    /// [`get`](Self::get), with how long the value still had to live when it was found; [`Duration::MAX`] if it does
    /// not expire. For who takes an old value and has a new one made: `ttl` says how long an old one will do, and the
    /// time that is left how old this one is.
    ///
    /// Two look-ups: a value that is replaced between them comes with the time of the one before.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use larder_runtime::{Cache, Domain, testing::ManualClock};
    ///
    /// let clock = ManualClock::new();
    /// let domain = Domain::builder().limit_bytes(1 << 20).clock(clock.clone()).manual().build();
    /// let rates = Cache::<String, u32>::builder("rates").ttl(Duration::from_secs(600)).build_in(&domain)?;
    /// rates.insert("EUR".to_owned(), 110);
    /// clock.advance(Duration::from_secs(540));
    /// assert_eq!(rates.get_with_time_left("EUR"), Some((110, Duration::from_secs(60))));
    /// assert_eq!(rates.get_with_time_left("CHF"), None);
    /// # Ok::<(), larder_runtime::BuildError>(())
    /// ```
    #[must_use]
    pub fn get_with_time_left(&self, key: impl Lookup<K>) -> Option<(V, Duration)>
    where
        V: Clone,
    {
        let left = self.time_left(Again(&key));
        let value = self.get(Again(&key))?;
        // What came meanwhile was not there to have a time; what goes now has none left.
        let left = left.or_else(|| self.time_left(key)).unwrap_or(Duration::ZERO);
        Some((value, left))
    }
}

/// A look-up that is done more than once.
struct Again<'a, Q>(&'a Q);

impl<K: ?Sized, Q: Lookup<K>> Lookup<K> for Again<'_, Q> {
    fn hash(&self, state: &mut KeyHasher) {
        self.0.hash(state);
    }

    fn eq(&self, key: &K) -> bool {
        self.0.eq(key)
    }
}

impl<K, V> Core<K, V> {
    /// Entries of this cache expire.
    fn expiring(&self) -> Result<(), NoExpiry> {
        match self.tenant.expires() {
            Expires::Never => Err(NoExpiry { cache: self.tenant.card.name.clone() }),
            Expires::ByAge | Expires::ByUse(_) => Ok(()),
        }
    }

    fn set_ttl(&self, hash: u64, eq: impl Fn(&K) -> bool, ttl: Duration) -> bool {
        if self.is_bypassed() {
            return false;
        }
        let (now, reservation) = (self.tenant.now(), &self.tenant.card.reservation);
        let deadline = now.saturating_add(nanos(ttl));
        let mut set = self.store.set_deadline(hash, &eq, deadline, now, reservation);
        if !set && self.fetch(hash, &eq) {
            set = self.store.set_deadline(hash, &eq, deadline, now, reservation);
        }
        if set {
            self.forget_below(hash);
        }
        self.tenant.announce(self);
        if set && deadline <= now {
            // Its bytes need not wait for a sweep.
            self.learn_gone(hash);
            let (removed, leaving) = self.store.remove_expired(hash, &eq, now, reservation);
            self.tenant.left(Count::Expirations, removed.into());
            self.let_go(leaving);
        }
        set
    }
}

/// An entry was to get a time to live, in a cache whose entries do not expire: one that was built without
/// [`ttl`](crate::Builder::ttl), [`tti`](crate::Builder::tti) and [`ttl_by`](crate::Builder::ttl_by).
///
/// Such a cache keeps no times and looks at no clock. `ttl_by(|_, _| Duration::MAX)` makes one whose entries expire if
/// somebody says so, and only then.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NoExpiry {
    /// The name of the cache.
    pub cache: Box<str>,
}

impl fmt::Display for NoExpiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "entries of `{}` do not expire: build it with `ttl`, `tti` or `ttl_by`, if only `ttl_by(|_, _| Duration::MAX)`",
            self.cache
        )
    }
}

impl std::error::Error for NoExpiry {}
