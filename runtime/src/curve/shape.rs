//! A curve: what so many bytes save.

use crate::arrange::sort_by;

/// What hits saved is compared with the sample as so much of itself: where a curve is flat, a little more would be many
/// more bytes.
const SURE: f64 = 0.95;
/// A cache has at the most as much from its bytes as an LRU from so many times as many.
const TIMES: f64 = 8.0;

/// What a tenant would save with so many bytes, in nanoseconds of compute over the epochs that it remembers.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Curve {
    /// Bytes, and what they save in all; both rise.
    points: Vec<(u64, f64)>,
    /// What it costs to fill a byte.
    refill: f64,
    /// Beyond so many bytes nothing is known yet.
    known: u64,
}

impl Curve {
    /// Bytes and what they save, both rising; `refill` is what it costs to fill a byte.
    pub(crate) fn from_points(points: Vec<(u64, f64)>, refill: f64) -> Self {
        Self { points, refill, known: u64::MAX }
    }

    /// The same, of which nothing is known beyond so many bytes.
    pub(crate) fn of(points: Vec<(u64, f64)>, refill: f64, known: u64) -> Self {
        Self { points, refill, known }
    }

    /// The curve of a cache that holds `held` bytes, whose hits saved `earned`, of the same sample.
    ///
    /// A cache that chooses well has more from its bytes than one that lets go what was used least recently. How many times
    /// as many bytes that one would need for the same hits is taken to be so at other sizes, too; but further bytes never
    /// save more, each, than those that are there.
    pub(super) fn raised(self, held: u64, earned: f64) -> Self {
        let at = self.points.partition_point(|(_, value)| *value < earned * SURE);
        let Some(&(needs, said)) = self.points.get(at).or(self.points.last()) else { return self };
        let times = (needs as f64 / held.max(1) as f64).min(TIMES);
        if held == 0 || earned <= 0.0 || times <= 1.0 {
            return self;
        }
        // What is not said of the last of its hits is not the last bytes' alone.
        let up = (earned / said).max(1.0);
        let most = |bytes: u64| if bytes < held { earned } else { earned * bytes as f64 / held as f64 };
        let mut all: Vec<(u64, f64)> = self
            .points
            .iter()
            .map(|(edge, value)| {
                let bytes = (*edge as f64 / times) as u64;
                let value = if bytes <= held { value * up } else { *value };
                (bytes, value.min(most(bytes)))
            })
            .collect();
        all.push((held, earned));
        all.extend(&self.points);
        sort_by(&mut all, |a, b| a.0.cmp(&b.0));
        let mut highest = 0.0;
        all.retain(|(_, value)| {
            let rises = *value > highest;
            highest = value.max(highest);
            rises
        });
        Self { points: all, ..self }
    }

    /// What several save together, if the bytes go where they save the most.
    pub(crate) fn merged(curves: &[Self]) -> Self {
        let mut steps: Vec<(u64, f64)> = Vec::new();
        for curve in curves {
            let mut last = (0, 0.0);
            for &(bytes, value) in &curve.points {
                steps.push((bytes - last.0, value - last.1));
                last = (bytes, value);
            }
        }
        let worth = |step: &(u64, f64)| step.1 / step.0.max(1) as f64;
        sort_by(&mut steps, |a, b| worth(b).total_cmp(&worth(a)));
        let mut sum = (0, 0.0);
        let points = steps.into_iter().map(|(bytes, value)| {
            sum = (sum.0 + bytes, sum.1 + value);
            sum
        });
        let refill = curves.iter().fold(0.0, |most: f64, curve| most.max(curve.refill));
        let known = curves.iter().fold(0, |sum: u64, curve| sum.saturating_add(curve.known));
        Self { points: points.collect(), refill, known }
    }

    /// What it costs to fill a byte with entries, in nanoseconds.
    pub(crate) fn refill(&self) -> f64 {
        self.refill
    }

    /// Beyond so many bytes nothing is known yet: no use was seen after as many of other entries.
    pub(crate) fn known(&self) -> u64 {
        self.known
    }

    /// Bytes, and what they save in all; both rise.
    pub(crate) fn points(&self) -> &[(u64, f64)] {
        &self.points
    }

    /// What `bytes` save.
    pub(crate) fn value(&self, bytes: u64) -> f64 {
        let after = self.points.partition_point(|(edge, _)| *edge <= bytes);
        after.checked_sub(1).map_or(0.0, |at| self.points[at].1)
    }
}

#[cfg(all(test, not(larder_shuttle)))]
mod tests {
    use super::*;

    /// What an LRU has of a hundred entries of one byte that are asked for alike: half of them save half.
    fn straight() -> Curve {
        Curve::from_points((1..=100).map(|bytes| (bytes * 10, bytes as f64)).collect(), 0.0)
    }

    #[test]
    fn a_cache_that_has_what_an_lru_would_have_keeps_its_curve() {
        assert_eq!(straight().raised(500, 50.0), straight());
        assert_eq!(straight().raised(500, 20.0), straight(), "it was just filled");
        assert_eq!((straight().raised(0, 50.0), straight().raised(500, 0.0)), (straight(), straight()));
    }

    #[test]
    fn a_cache_that_chooses_well_has_more_of_fewer_bytes_everywhere() {
        // As much as an LRU has from twice the bytes.
        let curve = straight().raised(250, 50.0);
        assert_eq!(curve.value(250), 50.0);
        assert!((curve.value(125) - 25.0).abs() <= 2.0, "{}", curve.value(125));
        assert!((curve.value(375) - 75.0).abs() <= 4.0, "{}", curve.value(375));
        assert_eq!(curve.value(1000), 100.0, "all of them are all");
        assert!(curve.points().is_sorted_by(|a, b| a.0 <= b.0 && a.1 < b.1), "{curve:?}");
    }

    /// The last twentieth of what hits saved was the last byte's alone: nobody gave any.
    #[test]
    fn what_is_held_ends_in_no_step() {
        let curve = straight().raised(250, 50.0);
        assert!(curve.value(249) >= 48.5, "{} just below 50", curve.value(249));
    }

    #[test]
    fn half_of_a_loop_saves_half_and_the_rest_the_rest() {
        // An LRU has nothing of it until it holds all.
        let curve = Curve::from_points(vec![(1000, 100.0)], 0.0).raised(400, 40.0);
        assert_eq!((curve.value(400), curve.value(1000)), (40.0, 100.0));
        assert!(curve.points().iter().all(|(bytes, value)| *value <= *bytes as f64 / 10.0), "{curve:?}");
    }
}
