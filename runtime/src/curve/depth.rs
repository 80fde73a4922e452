//! What a pool would save with more objects, or lose with fewer: a count of its leases by how many they need.
//!
//! A pool lends what came back last. So its objects are a stack: one that lies deep is lent only while all above it are
//! out, and a lease that takes the `n`th is served by every pool that keeps so many, and by none that keeps fewer. An object
//! that is made although there were as many a while ago counts as well: had they been kept, it would have been lent.
//!
//! Counted where threads meet anyway, at the pool's depot; what they lend of their own is counted in sum, as leases that need
//! what is out of the depot at the end of the epoch. Not here: what an object weighs, and what making one costs.

use super::shape::Curve;
use super::watch::KEPT;
use crate::sync::{AtomicI64, AtomicU32, AtomicU64, Ordering};

/// Half octaves of objects.
const STEPS: usize = 48;
/// With fewer leases nothing is known.
const LEAST: u64 = 64;

/// The leases of one pool.
#[derive(Debug)]
pub(crate) struct Depths {
    /// Leases that needed so many objects, fading.
    counts: [AtomicU32; STEPS],
    /// Leases of threads' own in this epoch, less those that were counted when threads fetched the objects.
    near: AtomicI64,
    /// The most objects that there were of late.
    peak: AtomicU64,
}

/// What a pool has at the end of an epoch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stock {
    /// Objects that are alive.
    pub(crate) alive: u64,
    /// Those of them that are lent, or lie with threads.
    pub(crate) out: u64,
    /// Bytes of an object.
    pub(crate) weight: u64,
    /// Nanoseconds that it takes to make one.
    pub(crate) cost: u64,
}

fn step_of(objects: u64) -> usize {
    let objects = objects.clamp(1, (1 << (STEPS / 2)) - 1);
    let octave = objects.ilog2();
    let half = if octave == 0 { 0 } else { objects >> (octave - 1) & 1 };
    2 * octave as usize + half as usize
}

/// The most objects of a step.
fn most_of(step: usize) -> u64 {
    let octave = step / 2;
    if step.is_multiple_of(2) { (3_u64 << octave).div_ceil(2) - 1 } else { (2 << octave) - 1 }
}

impl Depths {
    pub(crate) fn new() -> Self {
        Self {
            counts: std::array::from_fn(|_| AtomicU32::new(0)),
            near: AtomicI64::new(0),
            peak: AtomicU64::new(0),
        }
    }

    /// An object was lent that needs so many to be alive.
    pub(crate) fn lent(&self, objects: u64) {
        self.add(objects, 1);
    }

    /// An object was lent, and a thread took others along for its next leases: what lies deep is fetched by many at a time.
    pub(crate) fn lent_with(&self, others: usize, objects: u64) {
        self.add(objects, 1 + others as u64);
        self.near.fetch_sub(others as i64, Ordering::Relaxed);
    }

    /// Threads lent so many of their own.
    pub(crate) fn lent_near(&self, times: u64) {
        if times > 0 {
            self.near.fetch_add(i64::try_from(times).unwrap_or(i64::MAX), Ordering::Relaxed);
        }
    }

    /// An object was made, with which so many are alive.
    pub(crate) fn made(&self, objects: u64) {
        if objects <= self.peak.load(Ordering::Relaxed) {
            self.lent(objects);
        } else {
            self.peak.fetch_max(objects, Ordering::Relaxed);
        }
    }

    fn add(&self, objects: u64, times: u64) {
        let count = &self.counts[step_of(objects)];
        let room = u64::from(u32::MAX / 2 - count.load(Ordering::Relaxed).min(u32::MAX / 2));
        count.fetch_add(times.min(room) as u32, Ordering::Relaxed);
    }

    /// Ends an epoch. What was seen so far says of more objects and fewer, if that is enough to go by.
    pub(crate) fn end_epoch(&self, stock: Stock) -> Option<Curve> {
        let Stock { alive, out, weight, cost } = stock;
        self.add(out, u64::try_from(self.near.swap(0, Ordering::Relaxed)).unwrap_or(0));
        self.peak.store(alive.max(faded(self.peak.load(Ordering::Relaxed))), Ordering::Relaxed);
        let (mut points, mut leases) = (Vec::new(), 0_u64);
        for (step, count) in self.counts.iter().enumerate() {
            let seen = count.load(Ordering::Relaxed);
            if seen == 0 {
                continue;
            }
            leases += u64::from(seen);
            points.push((most_of(step).saturating_mul(weight), leases as f64 * cost as f64));
            // What is counted meanwhile stays.
            count.fetch_sub(seen - faded(seen.into()) as u32, Ordering::Relaxed);
        }
        let known = leases >= LEAST && cost > 0 && weight > 0;
        known.then(|| Curve::from_points(points, cost as f64 / weight as f64))
    }
}

/// What is left after an epoch.
fn faded(count: u64) -> u64 {
    (count as f64 * f64::from(KEPT)) as u64
}

#[cfg(all(test, not(larder_shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn steps_are_half_octaves_and_leave_nobody_out() {
        assert_eq!([1, 2, 3, 4, 5, 6, 7, 8].map(step_of), [0, 2, 3, 4, 4, 5, 5, 6]);
        for objects in 1..10_000 {
            let step = step_of(objects);
            assert!(objects <= most_of(step) && (step == 0 || objects > most_of(step - 1)), "{objects}");
        }
        assert_eq!((step_of(0), step_of(u64::MAX)), (0, STEPS - 1));
    }

    #[test]
    fn leases_are_worth_as_many_objects_as_they_need() {
        let depths = Depths::new();
        (0..100).for_each(|_| depths.lent(4));
        (0..2).for_each(|_| depths.lent_with(4, 20));
        depths.lent_near(1008);
        let stock = Stock { alive: 20, out: 2, weight: 1000, cost: 7 };
        let curve = depths.end_epoch(stock).unwrap();
        assert_eq!(curve.points(), [(2000, 7000.0), (5000, 7700.0), (23_000, 7770.0)]);
        assert!((curve.refill() - 0.007).abs() < 1e-12);
        // Three quarters of it are remembered; nothing was counted twice.
        let later = depths.end_epoch(stock).unwrap();
        assert_eq!(later.points(), [(2000, 5250.0), (5000, 5775.0), (23_000, 5824.0)]);
    }

    #[test]
    fn several_pools_share_bytes_as_if_they_were_one() {
        let steep = Curve::from_points(vec![(10, 100.0), (20, 110.0)], 1.0);
        let flat = Curve::from_points(vec![(10, 50.0)], 2.0);
        let both = Curve::merged(&[flat, steep]);
        assert_eq!(both.points(), [(10, 100.0), (20, 150.0), (30, 160.0)]);
        assert_eq!(both.refill(), 2.0);
    }

    #[test]
    fn what_is_made_again_would_have_been_lent() {
        let depths = Depths::new();
        (1..=100).for_each(|alive| depths.made(alive));
        let stock = |alive| Stock { alive, out: alive, weight: 10, cost: 1 };
        assert_eq!(depths.end_epoch(stock(0)), None, "nobody has them the first time");
        // All went, and come again.
        (1..=75).for_each(|alive| depths.made(alive));
        let curve = depths.end_epoch(stock(75)).unwrap();
        assert_eq!(curve.points().last(), Some(&(950, 75.0)));
        // Long after nobody knows.
        for _ in 0..30 {
            let _ = depths.end_epoch(stock(0));
        }
        (1..=100).for_each(|alive| depths.made(alive));
        assert_eq!(depths.end_epoch(stock(100)), None);
    }
}
