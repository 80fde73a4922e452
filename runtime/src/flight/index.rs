//! Where flights are, by their hashes. It knows no keys and values, and so it is compiled once, and not for each pair of types.

/// No place.
const NONE: usize = usize::MAX;

/// Places of a list, each under a hash.
#[derive(Default)]
pub(super) struct Index {
    /// The first of each chain, by the lowest bits of the hash: a power of two, and no fewer than places.
    first: Vec<usize>,
    /// By place, those that are vacant included.
    entries: Vec<Entry>,
    vacant: Vec<usize>,
}

struct Entry {
    hash: u64,
    /// The next in its chain.
    next: usize,
}

impl Index {
    /// A place for something with this hash: a vacant one, or the next.
    pub(super) fn enter(&mut self, hash: u64) -> usize {
        let entry = Entry { hash, next: NONE };
        let place = match self.vacant.pop() {
            Some(place) => {
                self.entries[place] = entry;
                place
            }
            None => {
                self.entries.push(entry);
                self.entries.len() - 1
            }
        };
        if place < self.first.len() {
            self.link(place);
        } else {
            // Without vacancies they are all taken that were ever given.
            self.first = vec![NONE; self.entries.len().next_power_of_two().max(4)];
            (0..self.entries.len()).for_each(|place| self.link(place));
        }
        place
    }

    /// A place under this hash of which `is` says that it is the one.
    pub(super) fn find(&self, hash: u64, is: &mut dyn FnMut(usize) -> bool) -> Option<usize> {
        let mut place = if self.first.is_empty() { NONE } else { self.first[self.chain(hash)] };
        while place != NONE {
            let entry = &self.entries[place];
            if entry.hash == hash && is(place) {
                return Some(place);
            }
            place = entry.next;
        }
        None
    }

    /// [`find`](Self::find), and the place is vacant.
    pub(super) fn leave(&mut self, hash: u64, is: &mut dyn FnMut(usize) -> bool) -> Option<usize> {
        let place = self.find(hash, is)?;
        let (chain, after) = (self.chain(hash), self.entries[place].next);
        let mut before = self.first[chain];
        if before == place {
            self.first[chain] = after;
        } else {
            while self.entries[before].next != place {
                before = self.entries[before].next;
            }
            self.entries[before].next = after;
        }
        self.vacant.push(place);
        Some(place)
    }

    /// Whether nothing is in it.
    pub(super) fn is_empty(&self) -> bool {
        self.vacant.len() == self.entries.len()
    }

    fn chain(&self, hash: u64) -> usize {
        hash as usize & (self.first.len() - 1)
    }

    fn link(&mut self, place: usize) {
        let chain = self.chain(self.entries[place].hash);
        self.entries[place].next = std::mem::replace(&mut self.first[chain], place);
    }
}

#[cfg(test)]
mod tests {
    use super::Index;

    #[test]
    fn places_are_given_again_and_found_by_their_hashes() {
        let mut index = Index::default();
        let hashes = [7, 7, 8, 7];
        let places = hashes.map(|hash| index.enter(hash));
        assert_eq!(places, [0, 1, 2, 3]);
        assert_eq!(index.find(7, &mut |place| place == 3), Some(3));
        assert_eq!(index.find(8, &mut |place| place == 3), None);
        assert_eq!(
            (index.leave(7, &mut |place| place == 1), index.leave(8, &mut |_| true)),
            (Some(1), Some(2))
        );
        assert_eq!(index.leave(8, &mut |_| true), None);
        // The last that was left first, and then one behind all others.
        assert_eq!([index.enter(9), index.enter(9), index.enter(9)], [2, 1, 4]);
        for (hash, place) in [(7, 0), (7, 3), (9, 1), (9, 2), (9, 4)] {
            assert!(!index.is_empty());
            assert_eq!(index.leave(hash, &mut |at| at == place), Some(place));
        }
        assert!(index.is_empty());
    }
}
