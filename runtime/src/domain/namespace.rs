//! Namespaces: the tenants whose names begin with one path, taken together, and the share of the budget they are promised.
//!
//! A tenant is of the namespace `billing` if it is called that, or `billing::` and more; modules are namespaces by that
//! rule. Nothing is registered: a name is all there is, until a share is promised. Not here: who gives way for whom, which
//! is the coordinator's to decide from what is held beyond a share.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use smallvec::SmallVec;

use super::{Domain, DomainCore, Trimmed};
use crate::stats::{NamespaceStats, Snapshot};
use crate::sync::{AtomicBool, Ordering, RwLock, fork};
use crate::tenant::{Card, NAMESPACES};

/// Shares are sums of decimal fractions, which binary ones miss by a little.
const ROUNDING: f64 = 1e-9;

/// Whether a tenant of this name is of that namespace.
pub(crate) fn contains(namespace: &str, name: &str) -> bool {
    name.strip_prefix(namespace).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// The shares that were promised in a domain.
#[derive(Default)]
pub(super) struct Namespaces {
    /// Anything is promised: without that nobody looks further.
    any: AtomicBool,
    /// Cards hold places in this list, from 1, so nothing leaves it; what is promised no more has the share 0. Locked
    /// after the list of tenants, never before.
    promised: RwLock<Vec<Promise>>,
}

#[derive(Clone)]
struct Promise {
    name: Box<str>,
    /// Of what may be used at the time, 0 to 1.
    share: f64,
}

impl Promise {
    fn is_open(&self) -> bool {
        self.share > 0.0
    }
}

impl Namespaces {
    /// The number that a card of this name bears.
    pub(super) fn number_of(&self, name: &str) -> u16 {
        if !self.any.load(Ordering::Acquire) {
            return 0;
        }
        let promised = self.promised.read();
        let at = promised.iter().position(|promise| promise.is_open() && contains(&promise.name, name));
        at.map_or(0, |at| at as u16 + 1)
    }

    fn set(&self, name: &str, share: f64) -> Result<(), ShareError> {
        if !(0.0..=1.0).contains(&share) {
            return Err(ShareError::NoFraction { share });
        }
        let mut promised = self.promised.write();
        let others = || promised.iter().filter(|promise| promise.is_open() && *promise.name != *name);
        if share > 0.0 {
            if let Some(other) =
                others().find(|other| contains(&other.name, name) || contains(name, &other.name))
            {
                return Err(ShareError::Nested { other: other.name.to_string() });
            }
            let taken: f64 = others().map(|promise| promise.share).sum();
            if taken + share > 1.0 + ROUNDING {
                return Err(ShareError::TooMuch { share, left: (1.0 - taken).max(0.0) });
            }
        }
        match promised.iter().position(|promise| *promise.name == *name) {
            Some(at) => promised[at].share = share,
            None if share == 0.0 => {}
            None if promised.len() >= usize::from(NAMESPACES) => return Err(ShareError::TooMany),
            None => promised.push(Promise { name: name.into(), share }),
        }
        self.any.store(promised.iter().any(Promise::is_open), Ordering::Release);
        Ok(())
    }

    /// Takes over what another domain promised.
    pub(super) fn copy_from(&self, other: &Self) {
        *self.promised.write() = other.promised.read().clone();
        self.any.store(other.any.load(Ordering::Acquire), Ordering::Release);
    }
}

/// For each namespace with a share, by the number on its tenants' cards: what it holds beyond it, in bytes.
pub(crate) struct Excess(SmallVec<[u64; 8]>);

impl Excess {
    /// Bytes that others may ask of this tenant before they ask anybody who is within a share.
    pub(crate) fn of(&self, card: &Card) -> u64 {
        match card.namespace() {
            0 => u64::MAX,
            // A promise that was made since is not kept yet.
            number => self.0.get(usize::from(number) - 1).copied().unwrap_or(u64::MAX),
        }
    }
}

impl DomainCore {
    /// What is held beyond shares; `None` where there are none, or they can't be read in the child of a fork.
    pub(crate) fn excess(&self) -> Option<Excess> {
        if !self.namespaces.any.load(Ordering::Acquire) {
            return None;
        }
        let allowed = self.ledger.allowed();
        let tenants = fork::read(&self.tenants)?;
        let promised = fork::read(&self.namespaces.promised)?;
        let mut excess: SmallVec<[u64; 8]> = promised.iter().map(|_| 0).collect();
        for member in tenants.iter() {
            let card = &member.card;
            if let Some(held) = usize::from(card.namespace()).checked_sub(1).and_then(|at| excess.get_mut(at))
            {
                *held += card.reservation.held();
            }
        }
        for (held, promise) in excess.iter_mut().zip(promised.iter()) {
            let kept = if promise.is_open() { bytes_of(promise.share, allowed) } else { 0 };
            *held = held.saturating_sub(kept);
        }
        Some(Excess(excess))
    }

    /// The bytes of each share, by the number on its tenants' cards less one; empty where they can't be read in the child of
    /// a fork.
    pub(crate) fn shares(&self) -> SmallVec<[u64; 8]> {
        if !self.namespaces.any.load(Ordering::Acquire) {
            return SmallVec::new();
        }
        let allowed = self.ledger.allowed();
        let promised = fork::read(&self.namespaces.promised);
        let bytes = |promise: &Promise| bytes_of(promise.share, allowed);
        promised.map_or_else(SmallVec::new, |promised| promised.iter().map(bytes).collect())
    }

    /// Each namespace with a share, as promised.
    pub(crate) fn namespace_stats(&self) -> Vec<NamespaceStats> {
        if !self.namespaces.any.load(Ordering::Acquire) {
            return Vec::new();
        }
        let allowed = self.ledger.allowed();
        let tenants = self.tenants.read();
        let promised = self.namespaces.promised.read();
        let open = promised.iter().filter(|promise| promise.is_open());
        let row = |promise: &Promise| {
            let cards = tenants.iter().map(|member| &member.card);
            let own = cards.filter(|card| contains(&promise.name, &card.name));
            NamespaceStats {
                name: promise.name.to_string(),
                share: promise.share,
                promised: bytes_of(promise.share, allowed),
                used: own.map(|card| card.reservation.held()).sum(),
            }
        };
        open.map(row).collect()
    }

    /// Makes the promises of another domain, of which this one is to be a twin.
    pub(crate) fn copy_shares(&self, other: &Self) {
        self.namespaces.copy_from(&other.namespaces);
    }

    fn set_share(&self, name: &str, share: f64) -> Result<(), ShareError> {
        // So that nobody comes meanwhile and misses it.
        let tenants = self.tenants.write();
        self.namespaces.set(name, share)?;
        for member in tenants.iter() {
            member.card.set_namespace(self.namespaces.number_of(&member.card.name));
        }
        Ok(())
    }
}

fn bytes_of(share: f64, allowed: u64) -> u64 {
    (share * allowed as f64) as u64
}

/// The caches and pools whose names begin with one path; made by [`Domain::namespace`] and [`namespace`](crate::namespace).
///
/// `billing` names every tenant called `billing`, or `billing::` and more: those of `#[cached(namespace = "billing")]`,
/// those of a module of that path, and caches that were given such a name when they were built.
///
/// # Examples
///
/// ```
/// use larder_runtime::{Cache, Domain};
///
/// let domain = Domain::builder().limit_bytes(1 << 20).manual().build();
/// let invoices: Cache<u64, u64> = Cache::builder("billing::invoices").build_in(&domain)?;
/// let pages: Cache<u64, u64> = Cache::builder("shop::pages").build_in(&domain)?;
/// invoices.insert(1, 1);
/// pages.insert(1, 1);
///
/// let billing = domain.namespace("billing");
/// billing.set_share(0.5)?;
/// assert_eq!(billing.stats().tenants.len(), 1);
/// billing.clear();
/// assert_eq!((invoices.len(), pages.len()), (0, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Namespace {
    core: Arc<DomainCore>,
    name: String,
}

impl Namespace {
    /// The path that its tenants' names begin with.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Promises the namespace a share of the budget, 0.0 to 1.0; 0.0 takes the promise back.
    ///
    /// A share is a right and no bound. While others need room, a namespace that holds less than its share gives nothing as
    /// long as anybody holds more than theirs, or has none; what it doesn't need others use meanwhile, and give back
    /// when it does. Under pressure shares are of what may be used then, so all of them shrink alike. Floors go before
    /// shares, and a limit that is lowered, before both.
    ///
    /// # Errors
    ///
    /// When `share` is no such fraction, shares would exceed the whole, or a namespace in this one, or around it, has
    /// a share.
    ///
    /// # Cost
    ///
    /// While anything is promised, who makes room reads the figures of all tenants twice.
    pub fn set_share(&self, share: f64) -> Result<(), ShareError> {
        self.core.here().set_share(&self.name, share)
    }

    /// The numbers of its tenants; budget and pressure are the domain's. Live tenants only.
    #[must_use]
    pub fn stats(&self) -> Snapshot {
        let core = self.core.here();
        let mut snapshot = core.relief().snapshot(&core);
        snapshot.tenants.retain(|tenant| contains(&self.name, &tenant.name));
        snapshot.namespaces.retain(|namespace| namespace.name == self.name);
        snapshot
    }

    /// Evicts about `bytes` of its tenants, cheapest first, never below their floors; see [`Domain::trim`].
    #[must_use = "it says how much was freed, and whose"]
    pub fn trim(&self, bytes: u64) -> Trimmed {
        let core = self.core.here();
        core.relief().trim(&core, bytes, Some(&self.name))
    }

    /// Empties its caches, and drops its idle pooled objects.
    pub fn clear(&self) {
        for tenant in self.core.here().live() {
            if contains(&self.name, &tenant.card().name) {
                tenant.clear();
            }
        }
    }
}

impl Domain {
    /// The tenants whose names begin with a path: `billing` stands for `billing::invoices` and `billing::customers`.
    ///
    /// Nothing needs to be of that name.
    #[must_use]
    pub fn namespace(&self, name: impl Into<String>) -> Namespace {
        Namespace { core: Arc::clone(&self.core), name: name.into() }
    }
}

/// Why a share was not promised; see [`Namespace::set_share`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ShareError {
    /// It is not between 0 and 1.
    NoFraction {
        /// What was asked for.
        share: f64,
    },
    /// With the other shares it would be more than there is.
    TooMuch {
        /// What was asked for.
        share: f64,
        /// What is not promised to others.
        left: f64,
    },
    /// A namespace in it, or around it, has a share.
    Nested {
        /// Which.
        other: String,
    },
    /// 16,383 namespaces had shares.
    TooMany,
}

impl fmt::Display for ShareError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFraction { share } => write!(f, "a share is a fraction from 0.0 to 1.0, got {share}"),
            Self::TooMuch { share, left } => {
                write!(f, "shares can't exceed the whole: {share} was asked for, and {left:.4} is left")
            }
            Self::Nested { other } => {
                write!(f, "the namespace `{other}` has a share, and one of them contains the other")
            }
            Self::TooMany => write!(f, "no more than {NAMESPACES} namespaces can have had a share"),
        }
    }
}

impl Error for ShareError {}

#[cfg(all(test, not(larder_shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_a_path_and_no_prefix() {
        for name in ["billing", "billing::invoices", "billing::a::b", "billing::x#2"] {
            assert!(contains("billing", name), "{name}");
        }
        for name in ["billings", "billing#2", "billing:x", "shop::billing", "", "Billing::x"] {
            assert!(!contains("billing", name), "{name}");
        }
        assert!(contains("a::b", "a::b::c") && !contains("a::b", "a::bc"));
    }

    #[test]
    fn shares_are_fractions_of_one_whole_and_do_not_nest() {
        let all = Namespaces::default();
        for share in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert!(matches!(all.set("a", share), Err(ShareError::NoFraction { .. })), "{share}");
        }
        all.set("a", 0.7).unwrap();
        assert_eq!(all.set("a::b", 0.1), Err(ShareError::Nested { other: "a".to_owned() }));
        all.set("b::c", 0.1).unwrap();
        assert_eq!(all.set("b", 0.1), Err(ShareError::Nested { other: "b::c".to_owned() }));
        assert!(matches!(all.set("d", 0.3), Err(ShareError::TooMuch { .. })));
        // 0.7 + 0.1 + 0.2 is above 1 in binary, and one in the user's mind.
        all.set("d", 0.2).unwrap();
        all.set("a", 0.5).unwrap();
        all.set("e", 0.2).unwrap();
        all.set("b::c", 0.0).unwrap();
        all.set("b", 0.1).unwrap();
        assert_eq!((all.number_of("b::c"), all.number_of("a::x"), all.number_of("z")), (5, 1, 0));
    }

    #[test]
    fn without_promises_nobody_bears_a_number() {
        let all = Namespaces::default();
        all.set("a", 0.5).unwrap();
        all.set("a", 0.0).unwrap();
        assert_eq!(all.number_of("a"), 0);
        all.set("never", 0.0).unwrap();
        assert!(all.promised.read().len() == 1);
    }
}
