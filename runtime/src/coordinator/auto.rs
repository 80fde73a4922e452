//! A limit that follows what the rest of the process leaves: figures in, a limit out.
//!
//! Not here: reading memory, and setting anything.

use crate::pressure::{Auto, MemorySample};
use crate::settings::MB;
use crate::time::Nanos;

/// What the rest needs is the most that it needed in so many of these, in nanoseconds.
const MINUTE: Nanos = 60_000_000_000;
const MINUTES: usize = 10;
/// A limit moves when it is off by more than this part of itself.
const SLACK: u64 = 50;
/// It grows by no more than this part of itself at a time.
const STEP: u64 = 10;

/// The most that the rest needed in each of the last minutes.
#[derive(Clone, Debug, Default)]
pub(super) struct Rest {
    peaks: [u64; MINUTES],
    /// Which minute the first is.
    minute: u64,
}

impl Rest {
    /// The rest needs so much now; returns the most of the last ten minutes.
    pub(super) fn observe(&mut self, now: Nanos, bytes: u64) -> u64 {
        let minute = now / MINUTE;
        let passed = minute.saturating_sub(self.minute).min(MINUTES as u64) as usize;
        self.peaks.rotate_right(passed);
        self.peaks[..passed].fill(0);
        self.minute = self.minute.max(minute);
        self.peaks[0] = self.peaks[0].max(bytes);
        self.peaks.iter().copied().max().unwrap_or(0)
    }
}

/// What a limit rests on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub(super) auto: Auto,
    pub(super) sample: MemorySample,
    /// Others than this process use the same memory.
    pub(super) shared: bool,
    /// How full memory may become.
    pub(super) full: f64,
    /// What the ledger says is used.
    pub(super) used: u64,
    /// The most that the rest needed lately.
    pub(super) rest: u64,
    /// The limit as it is.
    pub(super) limit: u64,
    /// Memory gets fuller, and not because of the caches.
    pub(super) rising: bool,
}

/// The next limit.
///
/// Memory up to where it counts as full, less what the rest needs; of memory that others share, no more than half of what is
/// available. It falls at once and grows by steps, not at all while the rest grows.
pub(super) fn limit(room: &Room) -> u64 {
    let Room { auto, sample, shared, full, used, rest, limit, rising } = *room;
    let left = ((sample.limit as f64 * full) as u64).saturating_sub(rest);
    let half = used.saturating_add(sample.limit.saturating_sub(sample.used) / 2);
    let wanted = auto.clamp(if shared { left.min(half) } else { left });
    if wanted.abs_diff(limit) <= limit / SLACK && auto.clamp(limit) == limit {
        return limit;
    }
    let most = if rising { limit } else { limit.saturating_add((limit / STEP).max(MB)) };
    auto.clamp(wanted.min(most))
}

#[cfg(all(test, not(larder_shuttle)))]
mod tests {
    use super::*;

    fn room(used: u64, rest: u64, limit: u64) -> Room {
        Room {
            auto: Auto::default(),
            sample: MemorySample { used: (rest + used) * MB, limit: 1000 * MB },
            shared: false,
            full: 0.75,
            used: used * MB,
            rest: rest * MB,
            limit: limit * MB,
            rising: false,
        }
    }

    /// Where a limit comes to rest.
    fn settled(mut room: Room) -> u64 {
        for _ in 0..200 {
            room.limit = limit(&room);
        }
        room.limit / MB
    }

    #[test]
    fn a_limit_is_what_the_rest_leaves() {
        assert!((343..=350).contains(&settled(room(0, 400, 16))));
        assert!((350..=357).contains(&settled(room(0, 400, 700))));
        assert_eq!(settled(room(0, 2000, 700)), 16, "a floor");
        let bounded = Room { auto: Auto::default().most_mb(100).least_mb(50), ..room(0, 400, 16) };
        assert_eq!(settled(bounded), 100);
        assert_eq!(settled(Room { rest: u64::MAX, ..bounded }), 50);
    }

    #[test]
    fn it_falls_at_once_and_grows_by_steps_and_not_while_the_rest_grows() {
        assert_eq!(limit(&room(0, 650, 500)) / MB, 100);
        assert_eq!(limit(&room(0, 100, 100)) / MB, 110);
        assert_eq!(limit(&Room { rising: true, ..room(0, 100, 100) }) / MB, 100);
        assert_eq!(limit(&room(0, 650, 99)) / MB, 99, "a percent is no reason");
        assert_eq!(limit(&Room { limit: 0, ..room(0, 100, 0) }) / MB, 16, "nothing grows from nothing");
    }

    #[test]
    fn of_shared_memory_half_of_what_is_free_is_taken() {
        let host = Room { shared: true, ..room(100, 200, 16) };
        // 700 MB are free beside the 100 that are held.
        assert!((441..=450).contains(&settled(host)));
        let full = Room { sample: MemorySample { used: 1000 * MB, limit: 1000 * MB }, ..host };
        assert_eq!(settled(full), 100, "what is held is not given up for neighbours");
    }

    #[test]
    fn the_rest_is_the_most_of_ten_minutes() {
        let mut rest = Rest::default();
        assert_eq!(rest.observe(0, 500), 500);
        assert_eq!(rest.observe(MINUTE, 100), 500);
        assert_eq!(rest.observe(9 * MINUTE, 90), 500);
        assert_eq!(rest.observe(10 * MINUTE, 80), 100);
        assert_eq!(rest.observe(1000 * MINUTE, 7), 7);
        assert_eq!(rest.observe(999 * MINUTE, 9), 9, "a clock that steps back changes nothing");
    }
}
