//! Where flights are, by their hashes. It knows no keys and values, and so it is compiled once, and not for each pair of types.

use hashbrown::HashTable;

/// Places of a list, each under a hash.
#[derive(Default)]
pub(super) struct Index {
    places: HashTable<(u64, usize)>,
    /// Below the others, and free.
    vacant: Vec<usize>,
}

impl Index {
    /// A place for something with this hash: a vacant one, or the next.
    pub(super) fn enter(&mut self, hash: u64) -> usize {
        // Without vacancies they are all taken that were ever given.
        let place = self.vacant.pop().unwrap_or(self.places.len());
        self.places.insert_unique(hash, (hash, place), |&(hash, _)| hash);
        place
    }

    /// A place under this hash of which `is` says that it is the one.
    pub(super) fn find(&self, hash: u64, is: &mut dyn FnMut(usize) -> bool) -> Option<usize> {
        self.places.find(hash, |&(of, place)| of == hash && is(place)).map(|&(_, place)| place)
    }

    /// [`find`](Self::find), and the place is vacant.
    pub(super) fn leave(&mut self, hash: u64, is: &mut dyn FnMut(usize) -> bool) -> Option<usize> {
        let found = self.places.find_entry(hash, |&(of, place)| of == hash && is(place)).ok()?;
        let ((_, place), _) = found.remove();
        self.vacant.push(place);
        Some(place)
    }

    /// Whether nothing is in it.
    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
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
