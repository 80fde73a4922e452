//! The slots of a shard in order of eviction: a four-ary min-heap that knows where each slot stands.
//!
//! Ranks are lazy. A hit does not move its slot; the shard looks again when the slot reaches the front,
//! and puts it where it belongs by now. That is exact for every policy whose ranks only rise with use.

use crate::weight::move_to_smaller;

/// Children of a node: four keep the tree shallow and a node's children on one or two cache lines.
const ARITY: usize = 4;

/// Told where a slot went, so that it can be found again when it is removed from the middle.
pub(crate) trait Positions {
    fn moved(&mut self, slot: u32, position: u32);
}

#[derive(Clone, Copy, Debug)]
struct Node {
    rank: u64,
    slot: u32,
}

/// A priority queue over slots; the lowest rank is in front.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    nodes: Vec<Node>,
}

impl Queue {
    pub(crate) const fn new() -> Self {
        Self { nodes: Vec::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Bytes of the array behind the queue.
    pub(crate) fn allocated(&self) -> usize {
        self.nodes.capacity() * size_of::<Node>()
    }

    /// Bytes of the array after room for one more was made.
    pub(crate) fn allocated_for_one_more(&self) -> usize {
        if self.nodes.len() < self.nodes.capacity() {
            return self.allocated();
        }
        grown(self.nodes.capacity()) * size_of::<Node>()
    }

    /// Makes room for one more; `false` when memory is exhausted.
    pub(crate) fn try_reserve_one(&mut self) -> bool {
        if self.nodes.len() < self.nodes.capacity() {
            return true;
        }
        let more = grown(self.nodes.capacity()) - self.nodes.len();
        self.nodes.try_reserve_exact(more).is_ok()
    }

    /// Gives back an array that is mostly empty.
    pub(crate) fn shrink(&mut self) {
        if self.nodes.len() * 4 < self.nodes.capacity() {
            let capacity = self.nodes.len() * 2;
            move_to_smaller(&mut self.nodes, capacity);
        }
    }

    /// The slot in front and the rank it was queued with.
    pub(crate) fn front(&self) -> Option<(u32, u64)> {
        self.nodes.first().map(|node| (node.slot, node.rank))
    }

    /// The rank of the slot at `position`.
    pub(crate) fn rank(&self, position: u32) -> u64 {
        self.nodes[position as usize].rank
    }

    /// The slot at `position`.
    pub(crate) fn slot(&self, position: u32) -> u32 {
        self.nodes[position as usize].slot
    }

    pub(crate) fn push(&mut self, slot: u32, rank: u64, positions: &mut impl Positions) {
        self.nodes.push(Node { rank, slot });
        self.sift_up(self.nodes.len() - 1, positions);
    }

    /// Takes out the slot at `position`.
    pub(crate) fn remove(&mut self, position: u32, positions: &mut impl Positions) {
        let position = position as usize;
        let last = self.nodes.len() - 1;
        self.nodes.swap_remove(position);
        if position < last {
            // The node that came from the end may belong above or below.
            let settled = self.sift_up(position, positions);
            self.sift_down(settled, positions);
        }
    }

    /// Gives the slot at `position` a new rank.
    pub(crate) fn update(&mut self, position: u32, rank: u64, positions: &mut impl Positions) {
        let position = position as usize;
        self.nodes[position].rank = rank;
        let settled = self.sift_up(position, positions);
        self.sift_down(settled, positions);
    }

    /// The slot at `position` lives elsewhere now.
    pub(crate) fn renamed(&mut self, position: u32, slot: u32) {
        self.nodes[position as usize].slot = slot;
    }

    pub(crate) fn clear(&mut self) {
        self.nodes = Vec::new();
    }

    fn sift_up(&mut self, mut at: usize, positions: &mut impl Positions) -> usize {
        let node = self.nodes[at];
        while at > 0 {
            let parent = (at - 1) / ARITY;
            if self.nodes[parent].rank <= node.rank {
                break;
            }
            self.put(at, self.nodes[parent], positions);
            at = parent;
        }
        self.put(at, node, positions);
        at
    }

    fn sift_down(&mut self, mut at: usize, positions: &mut impl Positions) {
        let node = self.nodes[at];
        loop {
            let first = at * ARITY + 1;
            let children = first..(first + ARITY).min(self.nodes.len());
            let Some(least) = children.min_by_key(|&child| self.nodes[child].rank) else { break };
            if self.nodes[least].rank >= node.rank {
                break;
            }
            self.put(at, self.nodes[least], positions);
            at = least;
        }
        self.put(at, node, positions);
    }

    fn put(&mut self, at: usize, node: Node, positions: &mut impl Positions) {
        self.nodes[at] = node;
        positions.moved(node.slot, at as u32);
    }

    /// Checks the heap order and that `position_of` agrees with where each slot stands.
    #[cfg(any(test, feature = "__validate"))]
    pub(crate) fn validate(&self, position_of: impl Fn(u32) -> u32) {
        for (at, node) in self.nodes.iter().enumerate() {
            assert_eq!(position_of(node.slot) as usize, at, "slot {} stands elsewhere", node.slot);
            assert!(at == 0 || self.nodes[(at - 1) / ARITY].rank <= node.rank, "heap order at {at}");
        }
    }
}

/// Four at first, then half as much again: a doubled array would waste more of the budget.
fn grown(capacity: usize) -> usize {
    (capacity + capacity / 2).max(4)
}
