//! Orders of a user's own: one that does what it should, and one that does not.

use std::collections::VecDeque;

use larder::{EntryFacts, Evict, Uses};

/// An order of a user's own that does what it should.
#[derive(Default)]
pub(super) struct SecondChance(VecDeque<u32>);

impl Evict for SecondChance {
    fn insert(&mut self, slot: u32, _: &EntryFacts) {
        assert!(!self.0.contains(&slot), "slot {slot} comes twice");
        self.0.push_back(slot);
    }

    fn remove(&mut self, slot: u32) {
        let at = self.0.iter().position(|other| *other == slot).expect("what leaves has come");
        self.0.remove(at);
    }

    fn rename(&mut self, from: u32, to: u32) {
        assert!(!self.0.contains(&to), "slot {to} is another's");
        let slot = self.0.iter_mut().find(|slot| **slot == from).expect("what moves has come");
        *slot = to;
    }

    fn victim(&mut self, uses: &mut Uses<'_>) -> Option<u32> {
        for _ in 0..self.0.len() {
            if uses.take(*self.0.front()?) == 0 {
                break;
            }
            self.0.rotate_left(1);
        }
        self.0.front().copied()
    }
}

/// One that names anybody, there or not.
#[derive(Default)]
pub(super) struct Nonsense(u32);

impl Evict for Nonsense {
    fn insert(&mut self, slot: u32, facts: &EntryFacts) {
        self.0 = self.0.wrapping_mul(31).wrapping_add(slot ^ facts.fingerprint);
    }

    fn remove(&mut self, _: u32) {}

    fn rename(&mut self, _: u32, _: u32) {}

    fn victim(&mut self, uses: &mut Uses<'_>) -> Option<u32> {
        self.0 = self.0.wrapping_mul(31).wrapping_add(7);
        let slot = self.0 >> (self.0 % 32);
        uses.take(slot);
        (!self.0.is_multiple_of(5)).then_some(slot)
    }
}
