//! Checks of pages against their own books. For tests and fuzz targets: no program that only uses larder has them.

use std::collections::HashSet;

use super::{Filling, Page, Pages, State, directory_bytes, heaps_bytes};
use crate::store::limbo::{Limbo, NONE};

/// How many slots are in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::store) struct Census {
    pub(in crate::store) filled: usize,
    pub(in crate::store) vacant: usize,
    pub(in crate::store) buried: usize,
    pub(in crate::store) retired: usize,
}

impl<K, V> Pages<K, V> {
    /// Checks that slots, chains, pages and columns are what the writer's notes say, and that all of it is counted.
    pub(in crate::store) fn validate(&self, filling: &Filling, limbo: &Limbo) -> Census {
        let census = self.take_census(filling);
        assert_eq!(census.vacant, filling.vacancies, "vacant slots");
        self.validate_chain(filling, filling.vacant, filling.vacancies, |state| state == State::Vacant);
        let heap =
            self.validate_chain(filling, limbo.first, limbo.slots, |state| matches!(state, State::Limbo(_)));
        assert_eq!(census.buried, limbo.slots, "slots in limbo");
        assert_eq!(heap, limbo.heap, "heap bytes in limbo");
        let retired = filling.retired.clone().map(Page::<K, V>::len_of).sum::<usize>();
        assert_eq!(census.retired, retired, "slots of pages that are given up");
        assert!(
            filling.retired.is_empty() || filling.retired.end <= filling.pages,
            "a page that is not there"
        );
        self.validate_bytes(filling);
        census
    }

    fn take_census(&self, filling: &Filling) -> Census {
        let mut census = Census::default();
        for index in (0..filling.pages).flat_map(Filling::indices::<K, V>) {
            let own = self.own(filling, index);
            let count = match own.state {
                State::Filled => &mut census.filled,
                State::Vacant => &mut census.vacant,
                State::Limbo(_) => &mut census.buried,
                State::Retired => &mut census.retired,
            };
            *count += 1;
            let page = (index >> Page::<K, V>::SHIFT) as usize;
            assert_eq!(own.state == State::Retired, filling.retired.contains(&page), "slot {index}");
            let linked = self.slot_mine(filling, index).fixed().is_linked();
            assert_eq!(linked, own.state == State::Filled, "slot {index} tells who comes by its address");
            assert!(own.state == State::Filled || !own.pinned, "slot {index} is pinned and empty");
        }
        census
    }

    /// Follows a chain to its end; returns the heap bytes of its slots.
    fn validate_chain(&self, filling: &Filling, first: u32, len: usize, is: impl Fn(State) -> bool) -> u64 {
        let (mut seen, mut next, mut heap) = (HashSet::new(), first, 0);
        while next != NONE {
            let own = self.own(filling, next);
            assert!(is(own.state) && seen.insert(next), "slot {next} is {:?} in a chain", own.state);
            heap += self.heap(filling, next);
            next = own.mark;
        }
        assert_eq!(seen.len(), len, "slots of a chain");
        heap
    }

    fn validate_bytes(&self, filling: &Filling) {
        assert!(filling.pages <= filling.room && filling.heaps.len() == filling.room, "places for pages");
        let (mut slots, mut bytes) = (0, 0);
        for page in 0..filling.pages {
            let (at, _) = self.page_of((page << Page::<K, V>::SHIFT) as u32);
            assert_eq!(at.len(), Page::<K, V>::len_of(page), "slots of page {page}");
            slots += at.len();
            bytes += Page::<K, V>::bytes(at.len(), filling.expires);
            if let Some(heaps) = &filling.heaps[page] {
                assert_eq!(heaps.len(), at.len(), "a column of page {page}");
                bytes += heaps_bytes(at.len());
            }
        }
        assert!(filling.heaps.iter().skip(filling.pages).all(Option::is_none), "a column without a page");
        assert_eq!(slots, filling.slots, "slots of all pages");
        bytes += if filling.room > 0 { directory_bytes(filling.room) } else { 0 };
        assert_eq!(bytes, filling.allocated, "bytes of pages");
    }
}
