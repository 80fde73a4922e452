//! Anyone, each as likely as the others: a bag of slots and a generator of its own.
//!
//! The generator is seeded by the place of the shard, so that a run with one thread repeats itself.

use super::slots::{Front, Moment, Node, Replaced, Slots, heaviest_first};
use crate::weight::move_to_smaller;
use crate::weight::weigh::allocation;

/// Slots in no order. A slot's node holds where in the bag it is, and the bits of what it was worth when it came.
#[derive(Debug)]
pub(crate) struct Random {
    bag: Vec<u32>,
    /// State of the generator; never 0.
    state: u64,
    /// Bytes of all slots.
    weight: u64,
}

fn node(position: u32, credit: f64) -> Node {
    let bits = credit.to_bits();
    Node([position, 0, (bits >> 32) as u32, bits as u32])
}

fn credit(Node([_, _, high, low]): Node) -> f64 {
    f64::from_bits(u64::from(high) << 32 | u64::from(low))
}

impl Random {
    pub(super) const fn new(seed: u64) -> Self {
        /// Odd, so that seeds that differ give states that do.
        const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;
        Self { bag: Vec::new(), state: seed.wrapping_mul(SPREAD) ^ SPREAD | 1, weight: 0 }
    }

    /// Where the next victim is, the same until [`draw`](Self::draw).
    fn next(&self) -> Option<u32> {
        // The high half: the low bits of such a generator are the weaker ones.
        let at = ((self.state >> 32) * self.bag.len() as u64) >> 32;
        self.bag.get(at as usize).copied()
    }

    /// xorshift64* would multiply what it gives; here only the high bits are used, so the state itself is enough.
    fn draw(&mut self) {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
    }

    pub(super) fn push(&mut self, slot: u32, slots: &mut dyn Slots, moment: Moment) {
        let facts = slots.facts(slot);
        *slots.node_mut(slot) = node(self.bag.len() as u32, moment.inflation + facts.density(1));
        self.bag.push(slot);
        self.weight += facts.weight;
        self.draw();
    }

    pub(super) fn replaced(&mut self, old: Replaced, new: u32, slots: &mut dyn Slots, moment: Moment) {
        let Node([position, ..]) = *slots.node(old.slot);
        let facts = slots.facts(new);
        *slots.node_mut(new) = node(position, moment.inflation + facts.density(1));
        self.bag[position as usize] = new;
        self.weight += facts.weight;
        self.weight -= old.weight;
    }

    pub(super) fn renamed(&mut self, _from: u32, to: u32, slots: &mut dyn Slots) {
        let Node([position, ..]) = *slots.node(to);
        self.bag[position as usize] = to;
    }

    pub(super) fn remove(&mut self, slot: u32, slots: &mut dyn Slots) {
        let Node([position, ..]) = *slots.node(slot);
        self.weight -= slots.facts(slot).weight;
        self.bag.swap_remove(position as usize);
        if let Some(&moved) = self.bag.get(position as usize) {
            let Node([at, ..]) = slots.node_mut(moved);
            *at = position;
        }
    }

    pub(super) fn victim(&mut self, _slots: &mut dyn Slots, _moment: Moment) -> Option<u32> {
        self.next()
    }

    pub(super) fn evict(&mut self, slot: u32, slots: &mut dyn Slots) {
        self.remove(slot, slots);
        self.draw();
    }

    pub(super) fn load(&self) -> u64 {
        self.weight
    }

    pub(super) fn front(&self, slots: &dyn Slots) -> Option<Front> {
        let slot = self.next()?;
        let (credit, density) = (credit(*slots.node(slot)), slots.facts(slot).density(1));
        Some(Front { rank: heaviest_first(self.weight), credit, density })
    }

    /// Any order, but the same each time; only the next one is known.
    pub(super) fn stay(&self, slot: u32, slots: &dyn Slots, _moment: Moment) -> u64 {
        if self.next() == Some(slot) { 0 } else { 1 + u64::from(slots.facts(slot).hash) }
    }

    pub(super) fn clear(&mut self) {
        self.bag = Vec::new();
        self.weight = 0;
    }

    pub(super) fn allocated(&self) -> u64 {
        allocation(self.bag.capacity() * size_of::<u32>())
    }

    pub(super) fn allocated_for_one_more(&self) -> u64 {
        allocation(self.capacity_for_one_more() * size_of::<u32>())
    }

    fn capacity_for_one_more(&self) -> usize {
        let capacity = self.bag.capacity();
        if self.bag.len() < capacity { capacity } else { (capacity + capacity / 2).max(4) }
    }

    pub(super) fn try_reserve_one(&mut self) -> bool {
        let more = self.capacity_for_one_more() - self.bag.len();
        self.bag.try_reserve_exact(more).is_ok()
    }

    pub(super) fn shrink(&mut self) {
        if self.bag.len() * 4 < self.bag.capacity() {
            let capacity = self.bag.len() * 2;
            move_to_smaller(&mut self.bag, capacity);
        }
    }

    #[cfg(any(test, feature = "__validate"))]
    pub(super) fn validate(&self, filled: &[u32], slots: &dyn Slots) {
        assert_eq!(self.bag.len(), filled.len());
        for (at, &slot) in self.bag.iter().enumerate() {
            assert!(filled.contains(&slot), "slot {slot} is not filled");
            assert_eq!(slots.node(slot).0[0] as usize, at, "slot {slot} is elsewhere in the bag");
        }
        assert_eq!(filled.iter().map(|&slot| slots.facts(slot).weight).sum::<u64>(), self.weight);
    }
}
