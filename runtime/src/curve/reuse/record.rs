//! What was learned as bytes, so that it goes on in the next process.
//!
//! ```text
//!  0  1                            version of this layout
//!  1  epochs, far                  of the watch
//!  3  0
//!  4  the threshold                4, little-endian, as all numbers here
//!  8  seen, pace, earned, held, weight, refill, depth     8 each
//! 64  the first depths of the watch, 4 each
//!     what was saved at each distance, 4 each
//! ```
//!
//! The keys of the sample are not in it: hashes are the process's. Whether the bytes are whole is the store's to know;
//! what was never written is told apart here all the same.

use super::super::watch::{Watch, YOUNG};
use super::{BUCKETS, Reuse};

const VERSION: u8 = 1;
/// Before the depths.
const HEADER: usize = 64;
/// All of it.
const BYTES: usize = HEADER + 4 * (YOUNG + BUCKETS);

impl Reuse {
    /// What was learned. `None` where that is not enough to go by.
    pub(crate) fn record(&self) -> Option<Vec<u8>> {
        self.curve()?;
        let mut bytes = Vec::with_capacity(BYTES);
        let (epochs, far, depths) = self.watch.parts();
        bytes.extend([VERSION, epochs, far.into(), 0]);
        bytes.extend(self.threshold.to_le_bytes());
        let numbers =
            [self.seen, self.pace, self.earned, self.held, self.weight, self.refill(), self.depth_known()];
        bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        bytes.extend(depths.iter().chain(&self.saved[..]).flat_map(|number| number.to_le_bytes()));
        Some(bytes)
    }

    /// Goes on from there; `false`, and nothing has changed, where these bytes are no such record.
    pub(crate) fn resume(&mut self, bytes: &[u8]) -> bool {
        self.read(bytes).is_some()
    }

    fn read(&mut self, bytes: &[u8]) -> Option<()> {
        let (header, rest) = bytes.split_at_checked(HEADER)?;
        let ([VERSION, epochs, far @ (0 | 1), 0], header) = header.split_first_chunk::<4>()? else {
            return None;
        };
        let (threshold, header) = header.split_first_chunk::<4>()?;
        let threshold = u32::from_le_bytes(*threshold);
        let mut numbers = [0.0; 7];
        for (number, bytes) in numbers.iter_mut().zip(header.chunks_exact(8)) {
            *number = f64::from_le_bytes(bytes.try_into().ok()?);
        }
        if rest.len() != 4 * (YOUNG + BUCKETS) || threshold == 0 {
            return None;
        }
        let mut floats = [0.0; YOUNG + BUCKETS];
        for (float, bytes) in floats.iter_mut().zip(rest.chunks_exact(4)) {
            *float = f32::from_le_bytes(bytes.try_into().ok()?);
        }
        let (depths, saved) = floats.split_first_chunk::<YOUNG>()?;
        // A depth may be infinite: more was used than is worth following.
        let is_sound = numbers.iter().all(|number| number.is_finite() && *number >= 0.0)
            && saved.iter().all(|saved| saved.is_finite() && *saved >= 0.0)
            && depths.iter().all(|depth| *depth >= 0.0);
        if !is_sound {
            return None;
        }
        let [seen, pace, earned, held, weight, refill, depth] = numbers;
        self.watch = Watch::of_parts(*epochs, *far == 1, *depths);
        self.threshold = threshold;
        (self.seen, self.pace, self.earned, self.held) = (seen, pace, earned, held);
        self.weight = weight.max(1.0);
        self.before = (refill, depth);
        self.saved.copy_from_slice(saved);
        Some(())
    }
}

#[cfg(all(test, not(larder_shuttle)))]
mod tests {
    use super::super::{Fact, NO_DEADLINE};
    use super::*;

    /// Has seen a loop over so many keys, for a few epochs.
    fn learned() -> Reuse {
        let mut reuse = Reuse::new(NO_DEADLINE, 0);
        for epoch in 0..4 {
            for key in 0..4000_u64 {
                let hash = key.wrapping_mul(0x9E37_79B9_7F4A_7C15);
                reuse.missed(hash, 0);
                reuse.stored(hash, Fact { bytes: 1000, cost: 60, deadline: NO_DEADLINE }, 0, 64 << 20);
            }
            reuse.end_epoch(0, 4000 * (epoch + 1), 1 << 20);
        }
        reuse
    }

    #[test]
    fn a_curve_goes_on_where_it_was() {
        let before = learned();
        let bytes = before.record().expect("it has learned");
        assert_eq!(bytes.len(), BYTES);
        let mut after = Reuse::new(NO_DEADLINE, 0);
        assert!(after.resume(&bytes));
        assert_eq!(after.curve(), before.curve());
        assert_eq!(after.followed(), before.followed());
        assert_eq!(after.record().as_deref(), Some(&bytes[..]));
    }

    #[test]
    fn who_knows_nothing_writes_nothing() {
        assert_eq!(Reuse::new(NO_DEADLINE, 0).record(), None);
    }

    /// What version 1 looks like, for ever: of one with a few numbers in it.
    const GOLDEN: &str = include_str!("golden/version-1.hex");

    fn golden() -> Reuse {
        let mut reuse = Reuse::new(NO_DEADLINE, 0);
        let mut depths = [0.0; YOUNG];
        (depths[0], depths[1]) = (1024.0, f32::INFINITY);
        reuse.watch = Watch::of_parts(3, true, depths);
        reuse.threshold = 0x0102_0304;
        (reuse.seen, reuse.pace, reuse.earned, reuse.held, reuse.weight) = (1.0, 2.0, 3.0, 4.0, 5.0);
        reuse.before = (6.0, 7.0);
        (reuse.saved[0], reuse.saved[BUCKETS - 1]) = (8.0, 9.0);
        reuse
    }

    #[test]
    fn the_layout_is_the_one_on_file() {
        let bytes = golden().record().expect("three epochs are enough");
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, GOLDEN.trim());
    }

    #[test]
    fn what_is_no_such_record_changes_nothing() {
        let bytes = golden().record().expect("three epochs are enough");
        let mut reuse = learned();
        let known = reuse.record();
        let refused = |bytes: &[u8], reuse: &mut Reuse| assert!(!reuse.resume(bytes));
        (0..bytes.len()).for_each(|len| refused(&bytes[..len], &mut reuse));
        refused(&[&bytes[..], &[0]].concat(), &mut reuse);
        let with = |at: usize, these: &[u8]| {
            let mut bytes = bytes.clone();
            bytes[at..at + these.len()].copy_from_slice(these);
            bytes
        };
        refused(&with(0, &[2]), &mut reuse);
        refused(&with(2, &[2]), &mut reuse);
        refused(&with(4, &[0; 4]), &mut reuse);
        refused(&with(8, &f64::NAN.to_le_bytes()), &mut reuse);
        refused(&with(16, &(-1.0_f64).to_le_bytes()), &mut reuse);
        refused(&with(BYTES - 4, &f32::INFINITY.to_le_bytes()), &mut reuse);
        refused(&with(HEADER, &f32::NAN.to_le_bytes()), &mut reuse);
        assert_eq!(reuse.record(), known);
    }
}
