//! Checks of a table against itself and against the hashes of its entries. For tests and fuzz targets: no program that
//! only uses larder has them.

use std::collections::HashSet;

use super::segment::{LANES, Segment, TAG_BITS, passed};
use super::{DEEPEST, Facts, Shape, Table, directory_layout, facts_bytes, most_entries};
use crate::store::limbo::Block;
use crate::sync::Ordering;

/// How far entries are from where their hashes say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spread {
    /// Entries in all.
    pub(crate) entries: u64,
    /// Buckets that a look-up of each of them visits, added up.
    pub(crate) visits: u64,
    /// Entries of the largest segment: as many as one growth moves.
    pub(crate) widest: u64,
}

impl Spread {
    /// Of two shards together.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            entries: self.entries + other.entries,
            visits: self.visits + other.visits,
            widest: self.widest.max(other.widest),
        }
    }
}

impl Table {
    /// Checks that each directory entry leads to the segment of its bits, that each segment holds the entries it is
    /// said to hold, each where a look-up of its hash comes by, and that all of it is counted.
    ///
    /// `hash_of` knows the whole hash of an index, from its slot.
    pub(in crate::store) fn validate(&self, shape: &Shape, hash_of: impl Fn(u32) -> u32) -> Spread {
        let mut spread = Spread::default();
        let Some((array, depth)) = self.entries() else {
            assert_eq!((shape.entries, shape.facts.len(), shape.allocated), (0, 0, 0), "an empty table");
            return spread;
        };
        assert!(depth <= DEEPEST, "a directory of depth {depth}");
        assert_eq!(shape.facts.len(), 1 << depth, "facts for each entry of the directory");
        let mut allocated = Block::bytes(directory_layout(depth)) + facts_bytes(1 << depth);
        let mut seen = HashSet::new();
        let mut at = 0;
        while at < 1 << depth {
            let Facts { entries, depth: local, .. } = shape.facts[at];
            assert!(u32::from(local) <= depth, "a segment of depth {local} in a directory of {depth}");
            let span = 1_usize << (depth - u32::from(local));
            assert!(at.is_multiple_of(span), "a segment of depth {local} begins at {at}");
            let segment = self.at(array, at);
            assert!(
                !segment.buckets().is_null() && seen.insert(segment.buckets()),
                "segment {at} is another's"
            );
            for other in at..at + span {
                assert_eq!(self.at(array, other), segment, "directory entry {other} leads elsewhere");
                let facts = shape.facts[other];
                assert_eq!(facts.depth, local, "directory entry {other}");
                assert!(other == at || facts.entries == 0, "facts lie with the first entry");
            }
            allocated += segment.bytes();
            let below = |hash: u32| (u64::from(hash) << local >> 32) as usize == at / span;
            let found = segment.validate(&hash_of, below);
            assert_eq!(found.entries, u64::from(entries), "entries of the segment at {at}");
            assert!(entries as usize <= most_entries(segment.len()), "segment {at} is too full to find in");
            spread = spread.and(found);
            at += span;
        }
        assert_eq!(spread.entries, shape.entries as u64, "entries of the table");
        assert_eq!(allocated, shape.allocated, "bytes of the table");
        spread
    }
}

impl Segment {
    /// Checks each lane, and who passed each bucket by; `belongs` says whether the top bits of a hash are this segment's.
    fn validate(self, hash_of: impl Fn(u32) -> u32, belongs: impl Fn(u32) -> bool) -> Spread {
        let len = self.len();
        // SAFETY: the caller is the writer, who alone frees segments.
        let bucket = |at: usize| unsafe { self.bucket(at) };
        let (mut spread, mut counts) = (Spread::default(), vec![[0_u16; 2]; len]);
        for at in 0..len {
            for lane in 0..LANES {
                let Some(tag) = bucket(at).tag_at(lane) else { continue };
                let index = bucket(at).lanes[lane].load(Ordering::Relaxed);
                let hash = hash_of(index);
                assert_eq!(hash % (1 << TAG_BITS), tag, "the tag of slot {index}");
                assert!(belongs(hash), "slot {index} is in another segment than its hash");
                let distance = self.distance(hash, at);
                assert_eq!(self.away(hash, distance), at, "slot {index} is {distance} steps from home");
                for step in 0..distance {
                    let count = &mut counts[self.away(hash, step)][step.min(1)];
                    *count = count.saturating_add(1);
                }
                spread.visits += distance as u64 + 1;
                spread.entries += 1;
            }
        }
        for (at, counts) in counts.iter().enumerate() {
            let second = bucket(at).second.load(Ordering::Relaxed);
            for (distance, count) in counts.iter().enumerate() {
                let noted = passed(second, distance);
                // Once there were so many, nobody knows how many there are.
                assert!(noted == *count || noted == u16::MAX, "{count} passed bucket {at} by, not {noted}");
            }
        }
        spread.widest = spread.entries;
        spread
    }
}
