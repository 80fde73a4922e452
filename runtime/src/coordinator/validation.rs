//! Whether what was freed left the process: the ledger first, then resident memory.
//!
//! Allocators keep what is freed. It can be used again by this process, so evicting stops further growth all the same; but
//! who waits for resident memory to fall would evict everything and wait on. Figures in, figures out: nothing is read here.

/// Below this part of what was freed coming back, evicting more does not make memory less full.
const RETURNING: f64 = 0.3;

/// What a reclaim did, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reclaimed {
    /// What left the ledger.
    pub(super) freed: u64,
    /// Resident memory before and after, where it is known.
    pub(super) resident: Option<(u64, u64)>,
}

impl Reclaimed {
    /// By how much resident memory fell.
    pub(super) fn returned(&self) -> Option<u64> {
        self.resident.map(|(before, after)| before.saturating_sub(after))
    }
}

/// What is known of the allocator.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Retention {
    /// Which part of what is freed comes back to the system, lately.
    part: f64,
    /// Bytes that were freed and have not come back yet, as far as resident memory shows.
    kept: u64,
    /// What ledger and resident memory were when that was known.
    seen: Option<(u64, u64)>,
}

impl Default for Retention {
    fn default() -> Self {
        Self { part: 1.0, kept: 0, seen: None }
    }
}

impl Retention {
    /// Memory as it is now. What came back since, and what the ledger says is in use again, is not kept any more.
    pub(super) fn observe(&mut self, used: u64, resident: Option<u64>) {
        let Some(resident) = resident else { return };
        if let Some((used_before, resident_before)) = self.seen.replace((used, resident)) {
            let back = resident_before.saturating_sub(resident);
            let reused = used.saturating_sub(used_before);
            self.kept = self.kept.saturating_sub(back).saturating_sub(reused);
        }
    }

    /// Something was reclaimed, and the allocator was asked for it: what it gives back then is all that it gives.
    pub(super) fn judge(&mut self, reclaimed: Reclaimed) {
        let (Some(returned), true) = (reclaimed.returned(), reclaimed.freed > 0) else { return };
        let part = (returned as f64 / reclaimed.freed as f64).min(1.0);
        self.part = (self.part + part) / 2.0;
    }

    /// Something was reclaimed.
    pub(super) fn learn(&mut self, used: u64, reclaimed: Reclaimed) {
        let (Some(returned), true) = (reclaimed.returned(), reclaimed.freed > 0) else { return };
        self.kept += reclaimed.freed.saturating_sub(returned);
        self.seen = reclaimed.resident.map(|(_, after)| (used, after));
    }

    pub(super) fn kept(&self) -> u64 {
        self.kept
    }

    /// Whether evicting makes memory less full.
    pub(super) fn helps(&self) -> bool {
        self.part >= RETURNING
    }
}

#[cfg(all(test, not(larder_shuttle)))]
mod tests {
    use super::*;

    fn reclaimed(freed: u64, before: u64, after: u64) -> Reclaimed {
        Reclaimed { freed, resident: Some((before, after)) }
    }

    #[test]
    fn what_does_not_come_back_is_kept_until_it_does() {
        let mut retention = Retention::default();
        retention.observe(900, Some(2000));
        retention.learn(800, reclaimed(100, 2000, 1970));
        assert_eq!(retention.kept(), 70);
        retention.observe(800, Some(1940));
        assert_eq!(retention.kept(), 40, "came back later");
        retention.observe(825, Some(1950));
        assert_eq!(retention.kept(), 15, "in use again");
        retention.observe(825, Some(1000));
        assert_eq!(retention.kept(), 0);
    }

    #[test]
    fn an_allocator_that_gives_nothing_back_is_found_out_and_forgiven() {
        let mut retention = Retention::default();
        assert!(retention.helps());
        retention.judge(reclaimed(100, 500, 500));
        assert!(retention.helps(), "once proves nothing");
        retention.judge(reclaimed(100, 500, 500));
        assert!(!retention.helps());
        retention.judge(reclaimed(100, 500, 400));
        assert!(retention.helps());
    }

    #[test]
    fn what_is_not_known_teaches_nothing() {
        let mut retention = Retention::default();
        retention.observe(5, None);
        retention.learn(5, Reclaimed { freed: 100, resident: None });
        retention.learn(5, reclaimed(0, 10, 10));
        retention.judge(Reclaimed { freed: 100, resident: None });
        retention.judge(reclaimed(0, 10, 10));
        assert_eq!(retention, Retention::default());
        // Memory that others freed meanwhile is more than all of it.
        retention.learn(5, reclaimed(10, 1000, 0));
        retention.judge(reclaimed(10, 1000, 0));
        assert_eq!((retention.part, retention.kept()), (1.0, 0));
    }
}
