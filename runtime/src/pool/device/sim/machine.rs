//! What a simulated device is inside: orders with steps, memory with holes, and the judgement of each touch.
//!
//! Nothing here runs by itself: a step is done when somebody asks for one. Not here: what a pool sees of it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What one order knows to be before all that it is given from now on: of each other order, how many steps.
pub(super) type Before = BTreeMap<u64, u64>;

/// A reading that is not there yet.
pub(super) const UNREAD: u64 = u64::MAX;

/// What an order does.
#[derive(Debug)]
pub(super) enum Step {
    /// The buffer comes into being.
    Begin(u64),
    Write(u64, u64),
    Read(u64, Arc<AtomicU64>),
    /// Nothing goes on before so many steps of the other order are done.
    Await(u64, u64),
}

impl Step {
    fn buffer(&self) -> Option<u64> {
        match self {
            Self::Begin(buffer) | Self::Write(buffer, _) | Self::Read(buffer, _) => Some(*buffer),
            Self::Await(..) => None,
        }
    }
}

#[derive(Debug, Default)]
struct Order {
    steps: VecDeque<Step>,
    given: u64,
    done: u64,
    submitted: bool,
    before: Before,
}

/// Work that is not done.
#[derive(Debug)]
struct Touch {
    order: u64,
    /// Its place among the steps of the order, from 1.
    step: u64,
    /// Which holder gave it.
    holder: u64,
}

#[derive(Debug)]
struct Memory {
    at: u64,
    bytes: u64,
    value: u64,
    touches: Vec<Touch>,
    /// Counts holders.
    holder: u64,
    lent: bool,
    /// It is freed when the last touch is done.
    freed: bool,
}

#[derive(Debug)]
pub(super) struct Machine {
    pub(super) ordered: bool,
    pub(super) total: u64,
    /// Whether memory is a row of addresses, and a buffer needs a hole of its size.
    pub(super) fragments: bool,
    /// Bytes that others use.
    pub(super) others: u64,
    /// So many polls after it was done, a fence says so.
    pub(super) lag: usize,
    pub(super) used: u64,
    pub(super) peak: u64,
    pub(super) creates: u64,
    pub(super) discards: u64,
    /// What was done that must not be.
    pub(super) hazards: Vec<String>,
    orders: BTreeMap<u64, Order>,
    /// Those that were submitted, first to last.
    queue: VecDeque<u64>,
    /// The order that steps next, where there are several.
    turn: u64,
    next: u64,
    memory: HashMap<u64, Memory>,
    /// Taken addresses: where each buffer begins, and its bytes.
    taken: BTreeMap<u64, u64>,
    /// What was done at the last polls, of each order; the oldest first.
    seen: VecDeque<BTreeMap<u64, u64>>,
}

impl Machine {
    pub(super) fn new(ordered: bool, total: u64, fragments: bool, lag: usize) -> Self {
        Self {
            ordered,
            total,
            fragments,
            others: 0,
            lag,
            used: 0,
            peak: 0,
            creates: 0,
            discards: 0,
            hazards: Vec::new(),
            orders: BTreeMap::new(),
            queue: VecDeque::new(),
            turn: 0,
            next: 0,
            memory: HashMap::new(),
            taken: BTreeMap::new(),
            seen: VecDeque::new(),
        }
    }

    pub(super) fn new_order(&mut self) -> u64 {
        self.next += 1;
        self.orders.insert(self.next, Order::default());
        self.next
    }

    /// Gives a step to an order.
    pub(super) fn give(&mut self, order: u64, step: Step) {
        if let Some(buffer) = step.buffer() {
            self.judge(buffer, Some(order), "is given work");
        }
        let Some(entry) = self.orders.get_mut(&order).filter(|entry| !entry.submitted) else {
            self.hazards.push(format!("order {order} was submitted, and is given more"));
            return;
        };
        entry.given += 1;
        let buffer = step.buffer();
        entry.steps.push_back(step);
        let place = entry.given;
        if let Some(memory) = buffer.and_then(|buffer| self.memory.get_mut(&buffer)) {
            memory.touches.push(Touch { order, step: place, holder: memory.holder });
        }
    }

    /// Whether a touch is done, or before all that `order` is given from now on.
    fn is_before(&self, touch: &Touch, order: Option<u64>) -> bool {
        let Some(order) = order.filter(|_| self.ordered) else { return false };
        touch.order == order
            || self
                .orders
                .get(&order)
                .is_some_and(|entry| entry.before.get(&touch.order).is_some_and(|steps| *steps >= touch.step))
    }

    /// Notes who may still touch a buffer that belongs to a later holder.
    fn judge(&mut self, buffer: u64, order: Option<u64>, what: &str) {
        let Some(memory) = self.memory.get(&buffer) else {
            self.hazards.push(format!("buffer {buffer} {what} after it was freed"));
            return;
        };
        let earlier = |touch: &&Touch| touch.holder < memory.holder && !self.is_before(touch, order);
        if let Some(touch) = memory.touches.iter().find(earlier) {
            let text = format!(
                "buffer {buffer} {what} on {order:?} for holder {}, while step {} of order {} of holder {} may touch it",
                memory.holder, touch.step, touch.order, touch.holder
            );
            self.hazards.push(text);
        }
    }

    /// A host's write, which waits for nothing.
    pub(super) fn write_now(&mut self, buffer: u64, value: u64) {
        self.judge(buffer, None, "is written by the host");
        if let Some(memory) = self.memory.get_mut(&buffer) {
            memory.value = value;
        }
    }

    /// A buffer goes to a holder who gives it to an order, or touches it at once.
    pub(super) fn lent(&mut self, buffer: u64, order: Option<u64>) {
        if let Some(memory) = self.memory.get_mut(&buffer) {
            if memory.lent {
                self.hazards.push(format!("buffer {buffer} is lent twice"));
            }
            memory.lent = true;
            memory.holder += 1;
        }
        self.judge(buffer, order, "is lent");
    }

    pub(super) fn returned(&mut self, buffer: u64) {
        if let Some(memory) = self.memory.get_mut(&buffer) {
            memory.lent = false;
        }
    }

    /// An address with room for so many bytes.
    fn hole(&self, bytes: u64) -> Option<u64> {
        let room = self.total.saturating_sub(self.others);
        if self.used + bytes > room {
            return None;
        }
        if !self.fragments {
            return Some(0);
        }
        let mut at = 0;
        for (start, taken) in &self.taken {
            if start - at >= bytes {
                return Some(at);
            }
            at = start + taken;
        }
        (at + bytes <= room).then_some(at)
    }

    /// A buffer, which comes into being with an order's next step, or at once.
    pub(super) fn create(&mut self, bytes: u64, order: Option<u64>) -> Option<u64> {
        let at = self.hole(bytes)?;
        self.next += 1;
        let buffer = self.next;
        if self.fragments {
            self.taken.insert(at, bytes);
        }
        self.used += bytes;
        self.peak = self.peak.max(self.used);
        self.creates += 1;
        // Whatever was there before.
        let memory = Memory {
            at,
            bytes,
            value: UNREAD - 1,
            touches: Vec::new(),
            holder: 0,
            lent: false,
            freed: false,
        };
        self.memory.insert(buffer, memory);
        if let Some(order) = order.filter(|_| self.ordered) {
            self.give(order, Step::Begin(buffer));
        }
        Some(buffer)
    }

    /// A buffer is freed once what these orders were given is done: that has to be all that may touch it.
    pub(super) fn discard(&mut self, buffer: u64, touched: &[u64]) {
        let Some(memory) = self.memory.get(&buffer) else { return };
        let is_covered = |touch: &Touch| {
            touched.iter().any(|order| touch.order == *order || self.is_before(touch, Some(*order)))
        };
        if let Some(touch) = memory.touches.iter().find(|touch| !is_covered(touch)) {
            let text = format!("buffer {buffer} is freed while order {} may touch it", touch.order);
            self.hazards.push(text);
        }
    }

    pub(super) fn free(&mut self, buffer: u64) {
        self.discards += 1;
        if let Some(memory) = self.memory.get_mut(&buffer) {
            memory.freed = true;
        }
        self.bury(buffer);
    }

    /// Frees what is to be freed and not touched any more.
    fn bury(&mut self, buffer: u64) {
        if self.memory.get(&buffer).is_some_and(|memory| memory.freed && memory.touches.is_empty())
            && let Some(memory) = self.memory.remove(&buffer)
        {
            self.used -= memory.bytes;
            if self.fragments {
                self.taken.remove(&memory.at);
            }
        }
    }

    /// How many steps a fence of this order stands for, and what is before them.
    pub(super) fn fence(&self, order: u64) -> (u64, Before) {
        match self.orders.get(&order) {
            // All that it will ever be given.
            Some(_) if !self.ordered => (u64::MAX, Before::new()),
            Some(entry) => (entry.given, entry.before.clone()),
            None => (0, Before::new()),
        }
    }

    /// Whether so many steps of an order are done.
    pub(super) fn is_done(&self, order: u64, steps: u64) -> bool {
        self.orders.get(&order).is_none_or(|entry| entry.done >= steps)
    }

    /// Whether that is known.
    pub(super) fn is_seen(&self, order: u64, steps: u64) -> bool {
        if self.lag == 0 {
            return self.is_done(order, steps);
        }
        let Some(oldest) = self.seen.front().filter(|_| self.seen.len() == self.lag) else {
            return steps == 0;
        };
        // What was gone by then was done.
        oldest.get(&order).map_or(order <= oldest.get(&0).copied().unwrap_or(0), |done| *done >= steps)
    }

    pub(super) fn poll(&mut self) {
        if self.lag == 0 {
            return;
        }
        let mut now: BTreeMap<u64, u64> =
            self.orders.iter().map(|(order, entry)| (*order, entry.done)).collect();
        // No order has the number 0; it says which numbers were given by now.
        now.insert(0, self.next);
        self.seen.push_back(now);
        if self.seen.len() > self.lag {
            self.seen.pop_front();
        }
    }

    /// All that is done is known.
    pub(super) fn see_all(&mut self) {
        for _ in 0..self.lag {
            self.poll();
        }
    }

    pub(super) fn order_after(&mut self, order: u64, other: u64, steps: u64, before: &Before) {
        self.give(order, Step::Await(other, steps));
        if let Some(entry) = self.orders.get_mut(&order) {
            for (of, steps) in before.iter().chain([(&other, &steps)]) {
                let known = entry.before.entry(*of).or_default();
                *known = (*known).max(*steps);
            }
        }
    }

    /// Nothing is given to the order any more, and what it was given may run. What streams are given runs anyway.
    pub(super) fn submit(&mut self, order: u64) {
        if self.ordered {
            return;
        }
        if let Some(entry) = self.orders.get_mut(&order).filter(|entry| !entry.submitted) {
            entry.submitted = true;
            self.queue.push_back(order);
            self.forget_done();
        }
    }

    /// Forgets submitted orders that have nothing left to do.
    fn forget_done(&mut self) {
        while let Some(order) = self.queue.front()
            && self.orders.get(order).is_none_or(|entry| entry.steps.is_empty())
        {
            self.orders.remove(order);
            self.queue.pop_front();
        }
    }

    /// The order is never submitted: what it was given does not happen.
    pub(super) fn abandon(&mut self, order: u64) {
        if self.orders.get(&order).is_some_and(|entry| !entry.submitted)
            && let Some(entry) = self.orders.remove(&order)
        {
            for buffer in entry.steps.iter().filter_map(Step::buffer) {
                if let Some(memory) = self.memory.get_mut(&buffer) {
                    memory.touches.retain(|touch| touch.order != order);
                }
                self.bury(buffer);
            }
        }
    }

    /// Does one step; `false` when none can be done.
    pub(super) fn step(&mut self) -> bool {
        let order = if self.ordered { self.next_stream() } else { self.queue.front().copied() };
        let Some(order) = order else { return false };
        let Some(entry) = self.orders.get_mut(&order) else { return false };
        let step = entry.steps.pop_front();
        entry.done += 1;
        let place = entry.done;
        let Some(step) = step else { return true };
        let buffer = step.buffer();
        if let Some(memory) = buffer.and_then(|buffer| self.memory.get_mut(&buffer)) {
            match step {
                Step::Write(_, value) => memory.value = value,
                Step::Read(_, reading) => reading.store(memory.value, Ordering::Release),
                Step::Begin(_) | Step::Await(..) => {}
            }
            memory.touches.retain(|touch| (touch.order, touch.step) != (order, place));
        }
        if let Some(buffer) = buffer {
            self.bury(buffer);
        }
        self.forget_done();
        true
    }

    /// The next order, in turn, whose first step need not wait.
    fn next_stream(&mut self) -> Option<u64> {
        let is_free = |entry: &Order| match entry.steps.front() {
            Some(Step::Await(other, steps)) => self.is_done(*other, *steps),
            Some(_) => true,
            None => false,
        };
        let after = self.orders.range(self.turn + 1..).chain(self.orders.range(..=self.turn));
        let next = after.filter(|(_, entry)| is_free(entry)).map(|(order, _)| *order).next();
        self.turn = next.unwrap_or(self.turn);
        next
    }

    pub(super) fn value(&self, buffer: u64) -> u64 {
        self.memory.get(&buffer).map_or(UNREAD, |memory| memory.value)
    }

    pub(super) fn live(&self) -> usize {
        self.memory.len()
    }
}
