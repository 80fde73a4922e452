//! Orders by a number: a lazy queue, where a used slot gets its new rank when it reaches the front.

use super::queue::{Positions, Queue};
use super::slots::{Front, Moment, Node, Replaced, Slots};
use super::{fifo, lfu, lru, touch, utility};
use crate::weight::weigh::allocation;

/// So many used slots are put in their new place before one is evicted as it stands: bounds the work of
/// one eviction after a long time of hits only.
const RECONSIDERED: usize = 32;

/// What the number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// The last use.
    Lru,
    /// The number of uses.
    Lfu,
    /// The insertion.
    Fifo,
    /// What the entry is worth.
    Utility,
}

/// Slots by rank; the lowest is in front.
#[derive(Debug)]
pub(crate) struct Ranked {
    queue: Queue,
    by: By,
    /// The highest rank that eviction has reached, for `lfu`; the last one that was given, for `fifo`; the tick at which all
    /// uses were taken over, for `lru`.
    level: u64,
}

/// What a slot's node holds.
#[derive(Clone, Copy)]
struct Standing {
    /// In the queue.
    position: u32,
    /// Uses that were taken from its word, the first time included.
    uses: u32,
    /// What it was worth when it got its rank.
    credit: f64,
}

impl From<Node> for Standing {
    fn from(Node([position, uses, high, low]): Node) -> Self {
        Self { position, uses, credit: f64::from_bits(u64::from(high) << 32 | u64::from(low)) }
    }
}

impl From<Standing> for Node {
    fn from(Standing { position, uses, credit }: Standing) -> Self {
        let bits = credit.to_bits();
        Self([position, uses, (bits >> 32) as u32, bits as u32])
    }
}

/// Writes positions into nodes.
struct Places<'a>(&'a mut dyn Slots);

impl Positions for Places<'_> {
    fn moved(&mut self, slot: u32, position: u32) {
        let Node([at, ..]) = self.0.node_mut(slot);
        *at = position;
    }
}

impl Ranked {
    pub(super) const fn new(by: By) -> Self {
        Self { queue: Queue::new(), by, level: 0 }
    }

    /// Takes the uses that were noted, and computes the slot's worth and rank from all it has.
    fn settle(&self, slot: u32, mut uses: u32, slots: &mut dyn Slots, moment: Moment) -> u64 {
        uses = uses.saturating_add(slots.touch(slot).take_uses());
        let credit = moment.inflation + slots.facts(slot).density(uses);
        let Node([position, ..]) = *slots.node(slot);
        *slots.node_mut(slot) = Standing { position, uses, credit }.into();
        match self.by {
            By::Lru => lru::rank(slots.touch(slot).stamp(moment.tick)),
            By::Lfu => lfu::rank(self.level, uses),
            By::Fifo => fifo::rank(moment.tick, self.level),
            By::Utility => utility::rank(credit),
        }
    }

    pub(super) fn push(&mut self, slot: u32, slots: &mut dyn Slots, moment: Moment) {
        let rank = self.settle(slot, 1, slots, moment);
        if self.by == By::Fifo {
            self.level = rank;
        }
        self.queue.push(slot, rank, &mut Places(slots));
    }

    pub(super) fn replaced(&mut self, old: Replaced, new: u32, slots: &mut dyn Slots, moment: Moment) {
        let Standing { position, uses, .. } = (*slots.node(old.slot)).into();
        *slots.node_mut(new) = Standing { position, uses, credit: 0.0 }.into();
        self.queue.renamed(position, new);
        let rank = self.settle(new, uses.saturating_add(old.uses).saturating_add(1), slots, moment);
        if self.by != By::Fifo {
            self.queue.update(position, rank, &mut Places(slots));
        }
    }

    pub(super) fn renamed(&mut self, _from: u32, to: u32, slots: &mut dyn Slots) {
        self.queue.renamed(Standing::from(*slots.node(to)).position, to);
    }

    pub(super) fn remove(&mut self, slot: u32, slots: &mut dyn Slots) {
        self.queue.remove(Standing::from(*slots.node(slot)).position, &mut Places(slots));
    }

    pub(super) fn victim(&mut self, slots: &mut dyn Slots, moment: Moment) -> Option<u32> {
        let most = if moment.exact { self.queue.len() } else { RECONSIDERED };
        for _ in 0..most {
            let (slot, _) = self.queue.front()?;
            if slots.touch(slot).uses() == 0 {
                break;
            }
            let Standing { position, uses, .. } = (*slots.node(slot)).into();
            let rank = self.settle(slot, uses, slots, moment);
            self.queue.update(position, rank, &mut Places(slots));
        }
        self.queue.front().map(|(slot, _)| slot)
    }

    /// Takes over the uses that were noted in every slot, before the word of one can no longer say when that was.
    pub(super) fn settle_all(&mut self, slots: &mut dyn Slots, moment: Moment) {
        if self.by != By::Lru || touch::same_round(self.level, moment.tick) {
            return;
        }
        self.level = moment.tick;
        // From the end: whoever gets a higher rank changes places with those who come after it, and have theirs.
        for position in (0..self.queue.len() as u32).rev() {
            let slot = self.queue.slot(position);
            if slots.touch(slot).uses() > 0 {
                let Standing { position, uses, .. } = (*slots.node(slot)).into();
                let rank = self.settle(slot, uses, slots, moment);
                self.queue.update(position, rank, &mut Places(slots));
            }
        }
    }

    pub(super) fn credit_of(&self, slot: u32, slots: &dyn Slots) -> Option<f64> {
        (self.by == By::Utility).then(|| Standing::from(*slots.node(slot)).credit)
    }

    pub(super) fn evict(&mut self, slot: u32, slots: &mut dyn Slots) {
        let Standing { position, .. } = (*slots.node(slot)).into();
        if self.by == By::Lfu {
            self.level = self.level.max(self.queue.rank(position));
        }
        self.queue.remove(position, &mut Places(slots));
    }

    pub(super) fn front(&self, slots: &dyn Slots) -> Option<Front> {
        let (slot, rank) = self.queue.front()?;
        let Standing { uses, credit, .. } = (*slots.node(slot)).into();
        Some(Front { rank, credit, density: slots.facts(slot).density(uses) })
    }

    /// The rank that it would have, had it come up just now.
    pub(super) fn stay(&self, slot: u32, slots: &dyn Slots, moment: Moment) -> u64 {
        let Standing { position, uses, .. } = (*slots.node(slot)).into();
        let more = slots.touch(slot).uses();
        match self.by {
            By::Lru if more > 0 => lru::rank(slots.touch(slot).stamp(moment.tick)),
            By::Lfu if more > 0 => lfu::rank(self.level, uses.saturating_add(more)),
            By::Utility if more > 0 => {
                utility::rank(moment.inflation + slots.facts(slot).density(uses.saturating_add(more)))
            }
            By::Lru | By::Lfu | By::Utility | By::Fifo => self.queue.rank(position),
        }
    }

    pub(super) fn clear(&mut self) {
        self.queue.clear();
    }

    pub(super) fn allocated(&self) -> u64 {
        allocation(self.queue.allocated())
    }

    pub(super) fn allocated_for_one_more(&self) -> u64 {
        allocation(self.queue.allocated_for_one_more())
    }

    pub(super) fn try_reserve_one(&mut self) -> bool {
        self.queue.try_reserve_one()
    }

    pub(super) fn shrink(&mut self) {
        self.queue.shrink();
    }

    #[cfg(any(test, feature = "__validate"))]
    pub(super) fn validate(&self, filled: &[u32], slots: &dyn Slots) {
        assert_eq!(self.queue.len(), filled.len());
        self.queue.validate(|slot| {
            assert!(filled.contains(&slot), "slot {slot} is not filled");
            Standing::from(*slots.node(slot)).position
        });
    }
}
