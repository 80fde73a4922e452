//! How long a tenant was watched, and what its reuses therefore stand for.

/// What an epoch leaves of what was seen before it.
pub(crate) const KEPT: f32 = 0.75;
/// How deep the stack of keys was is remembered of so many epochs, the first.
pub(super) const YOUNG: usize = 16;
/// A reuse that few epochs could show stands for so many at the most: there may have been very few.
const MOST: f64 = 2.0;

/// The epochs since somebody watches.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// Those that brought something.
    epochs: u8,
    /// Bytes of all entries that were used since the first of them began, at the end of each of the first ones; infinite
    /// once they were more than are worth following.
    depths: [f32; YOUNG],
    /// More was used than is worth following.
    far: bool,
}

impl Watch {
    /// What it is made of: epochs, whether more was used than is worth following, and the first depths.
    #[cfg(feature = "tiers")]
    pub(super) fn parts(&self) -> (u8, bool, [f32; YOUNG]) {
        (self.epochs, self.far, self.depths)
    }

    /// One of such parts.
    #[cfg(feature = "tiers")]
    pub(super) fn of_parts(epochs: u8, far: bool, depths: [f32; YOUNG]) -> Self {
        Self { epochs, depths, far }
    }

    /// An epoch is over in which something was used; entries of `depth` bytes were used since the first began.
    pub(super) fn end_epoch(&mut self, depth: f64) {
        let depth = if self.far { f32::INFINITY } else { depth as f32 };
        let at = usize::from(self.epochs);
        let before = at.checked_sub(1).and_then(|at| self.depths.get(at)).copied().unwrap_or(0.0);
        if let Some(last) = self.depths.get_mut(at) {
            // Where more keys are followed from now on, those are not in yet.
            *last = depth.max(before);
        }
        self.epochs = self.epochs.saturating_add(1);
    }

    /// Something was not used for longer than any budget could hold it.
    pub(super) fn reaches_far(&mut self) {
        self.far = true;
    }

    /// Epochs that brought something.
    pub(super) fn epochs(&self) -> u8 {
        self.epochs
    }

    /// What a reuse at this distance stands for: itself, and those whose first use was before anybody watched.
    ///
    /// Who is watched for `t` epochs shows reuses that take `u` of them only in the last `t - u`. So each stands for as many
    /// as the epochs that are remembered stand to those that could show it (Horvitz and Thompson, 1952).
    pub(super) fn stands_for(&self, distance: u64) -> f64 {
        let remembered = |epochs: f64| 1.0 - f64::from(KEPT).powf(epochs);
        let watched = f64::from(self.epochs);
        let all = remembered(watched);
        let shown = remembered((watched - self.takes(distance as f64)).max(0.0));
        if shown * MOST <= all { MOST } else { all / shown }
    }

    /// How many epochs it takes to use so many bytes of entries.
    fn takes(&self, distance: f64) -> f64 {
        let mut before = 0.0;
        let known = &self.depths[..YOUNG.min(self.epochs.into())];
        for (at, depth) in known.iter().enumerate() {
            let depth = f64::from(*depth);
            if distance <= depth {
                return at as f64 + (distance - before) / (depth - before).max(1.0);
            }
            before = depth;
        }
        known.len() as f64
    }
}

#[cfg(all(test, not(larder_shuttle)))]
mod tests {
    use super::*;

    fn watched(depths: &[f64]) -> Watch {
        let mut watch = Watch::default();
        depths.iter().for_each(|depth| watch.end_epoch(*depth));
        watch
    }

    #[test]
    fn what_takes_half_of_the_watch_stands_for_more_than_what_takes_none() {
        let watch = watched(&[100.0, 200.0, 300.0, 400.0]);
        assert!((watch.stands_for(1) - 1.0).abs() < 0.01);
        let (one, two, three) = (watch.stands_for(100), watch.stands_for(200), watch.stands_for(300));
        assert!(1.0 < one && one < two && two < three, "{one} {two} {three}");
        // Of four epochs, 1 - k^4, two could show it, 1 - k^2.
        let kept = f64::from(KEPT);
        assert!((two - (1.0 + kept * kept)).abs() < 1e-6, "{two}");
        assert_eq!((watch.stands_for(400), watch.stands_for(u64::MAX)), (MOST, MOST));
    }

    #[test]
    fn who_was_watched_for_long_is_taken_at_its_word() {
        let depths: Vec<f64> = (1..=60).map(|epoch| f64::from(epoch) * 100.0).collect();
        assert!(watched(&depths).stands_for(1000) < 1.01);
    }

    #[test]
    fn what_is_used_beyond_all_budgets_in_one_epoch_takes_no_longer() {
        let mut watch = watched(&[100.0]);
        watch.reaches_far();
        watch.end_epoch(110.0);
        assert_eq!(watch.takes(1e9), 1.0);
        assert_eq!(
            watched(&[200.0, 100.0, 300.0]).takes(250.0),
            2.5,
            "a depth that falls is of keys that are new"
        );
    }
}
