//! The bounds of a limit that follows memory. Where it goes between them is the coordinator's to decide.

/// Bytes of a megabyte.
const MB: u64 = 1 << 20;

/// How large a limit may become that follows memory; see [`Budget::set_auto`](crate::Budget::set_auto).
///
/// # Examples
///
/// ```
/// use larder_runtime::{Auto, Domain, testing::FixedPressure};
///
/// // The process uses 300 of 1000 MB, and so far none of it for caches.
/// let memory = FixedPressure::new(300 << 20, 1000 << 20);
/// let domain = Domain::builder().auto(Auto::default().most_mb(400)).pressure(memory).manual().build();
/// (0..10).for_each(|_| domain.tick());
/// assert_eq!(domain.budget().limit(), 400 << 20);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Auto {
    /// `least <= most`.
    least: u64,
    most: u64,
}

impl Default for Auto {
    /// From 16 MB up to whatever is left.
    fn default() -> Self {
        Self { least: 16 * MB, most: u64::MAX }
    }
}

impl Auto {
    /// No less than so many megabytes, however much the rest of the process needs; 16 unless set.
    #[must_use]
    pub fn least_mb(self, megabytes: u64) -> Self {
        let least = megabytes.saturating_mul(MB);
        Self { least, most: self.most.max(least) }
    }

    /// No more than so many megabytes; no bound unless set.
    #[must_use]
    pub fn most_mb(self, megabytes: u64) -> Self {
        let most = megabytes.saturating_mul(MB);
        Self { least: self.least.min(most), most }
    }

    /// `bytes`, or the nearest that is allowed.
    pub(crate) fn clamp(self, bytes: u64) -> u64 {
        bytes.clamp(self.least, self.most)
    }
}

#[cfg(all(test, not(larder_shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn bounds_that_contradict_each_other_follow_the_last() {
        assert_eq!(Auto::default().most_mb(8), Auto { least: 8 * MB, most: 8 * MB });
        assert_eq!(Auto::default().most_mb(8).least_mb(20), Auto { least: 20 * MB, most: 20 * MB });
        assert_eq!(Auto::default().least_mb(u64::MAX).clamp(1), u64::MAX);
    }
}
