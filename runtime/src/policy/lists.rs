//! First-in-first-out lists through the nodes of the slots: two parts, each with a list for every class.
//!
//! ```text
//! rows    ratio 2^(class - 64)/2   [ window: head, tail, lap ]  [ main: head, tail, lap ]
//!  of class 57  ─►  row 0               a ─► d ─► e                    b
//!  of class 64  ─►  row 1               c                              -
//! ```
//!
//! A class is what a byte of an entry is worth, in half octaves. Within a list the order of coming is the order of
//! price, because all are worth the same and the one in front has been idle longest; so the cheapest of a part is
//! the cheapest of its heads. With equal costs and weights there is one row.
//!
//! Only a new class makes the rows grow, and only while [`has_room`](Lists::has_room): a slot that finds neither its
//! class nor room goes to the nearest class there is. The structure knows nothing of windows, ghosts or shares.

use super::slots::{Facts, Node, Slots};
use crate::weight::move_to_smaller;

/// No slot.
pub(super) const NIL: u32 = u32::MAX;
/// Classes there can be.
const CLASSES: usize = 128;
/// A class without a row.
const NO_ROW: u8 = u8::MAX;
/// The dearest class.
pub(super) const DEAREST: u8 = CLASSES as u8 - 1;
/// The class of a nanosecond for a byte.
const ONE: i32 = 64;

/// Where a slot stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the window, for the first time.
    First,
    /// In the window, for the second time.
    Second,
    Main,
}

/// The parts of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Window,
    Main,
}

impl Place {
    pub(super) fn part(self) -> Part {
        if self == Self::Main { Part::Main } else { Part::Window }
    }
}

/// What a slot's node holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    prev: u32,
    next: u32,
    /// The order's clock when the slot came to this list, or when it was last settled.
    pub(super) lap: u32,
    /// Its list.
    class: u8,
    pub(super) place: Place,
    /// What the order remembers of its uses.
    pub(super) fame: u16,
}

impl Link {
    pub(super) fn new(place: Place, lap: u32, class: u8) -> Self {
        Self { prev: NIL, next: NIL, lap, class, place, fame: 0 }
    }

    /// The same entry, of another class.
    pub(super) fn of_class(self, class: u8, fame: u16) -> Self {
        Self { class, fame, ..self }
    }

    /// The same entry, in this place from `lap` on.
    pub(super) fn moved(self, place: Place, lap: u32) -> Self {
        Self { lap, place, ..self }
    }

    #[inline]
    pub(super) fn of(slot: u32, slots: &dyn Slots) -> Self {
        let Node([prev, next, lap, last]) = *slots.node(slot);
        let place = match last >> 8 & 0xff {
            0 => Place::First,
            1 => Place::Second,
            _ => Place::Main,
        };
        Self { prev, next, lap, class: last as u8, place, fame: (last >> 16) as u16 }
    }

    fn put(self, slot: u32, slots: &mut dyn Slots) {
        let last = u32::from(self.class) | (self.place as u32) << 8 | u32::from(self.fame) << 16;
        *slots.node_mut(slot) = Node([self.prev, self.next, self.lap, last]);
    }

    fn set_prev(slot: u32, to: u32, slots: &mut dyn Slots) {
        slots.node_mut(slot).0[0] = to;
    }

    fn set_next(slot: u32, to: u32, slots: &mut dyn Slots) {
        slots.node_mut(slot).0[1] = to;
    }
}

/// One list.
#[derive(Clone, Copy, Debug)]
struct Ends {
    head: u32,
    tail: u32,
    /// That of the head; of no meaning without one.
    lap: u32,
}

/// The lists of one class.
#[derive(Clone, Copy, Debug)]
struct Row {
    /// Nanoseconds for each byte.
    ratio: f32,
    class: u8,
    parts: [Ends; 2],
}

/// Who is the cheapest of a part.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cheapest {
    pub(super) slot: u32,
    /// Nanoseconds for each byte.
    ratio: f32,
    /// Misses since its lap began, and one, and the lists' ease.
    idle: f32,
}

impl Cheapest {
    /// Nanoseconds for each byte and each miss since its lap began.
    pub(super) fn price(&self) -> f32 {
        self.ratio / self.idle
    }
}

#[derive(Debug)]
pub(super) struct Lists {
    rows: Vec<Row>,
    /// The row of each class.
    row_of: [u8; CLASSES],
    /// Misses that every lap counts as longer: while they are many, idleness tells entries apart less than classes do.
    ease: f32,
    weight: [u64; 2],
    len: [u32; 2],
}

/// The class of an entry: two for each octave of cost times factor over weight.
#[inline]
pub(super) fn class_of(facts: &Facts) -> u8 {
    // All in eighths of an octave, as costs are. 1 us, where costs begin, is 9.97 octaves above 1 ns.
    const MICROSECOND: i32 = 80;
    let value = i32::from(facts.cost) + MICROSECOND + i32::from(facts.factor);
    let eighths = value - eighths_of(facts.weight);
    ((eighths + 2).div_euclid(4) + ONE).clamp(0, CLASSES as i32 - 1) as u8
}

/// The logarithm to base 2, in eighths, within half of one.
#[inline]
fn eighths_of(weight: u64) -> i32 {
    /// 64 x 2^((n + 1/2)/8): from there on a mantissa counts as n + 1 eighths.
    const STEPS: [u8; 8] = [67, 73, 79, 87, 95, 103, 112, 123];
    /// The eighths of each mantissa from 64 to 127.
    const EIGHTHS: [u8; 64] = {
        let mut eighths = [0; 64];
        let (mut at, mut step) = (0, 0);
        while at < 64 {
            while step < 8 && STEPS[step] <= 64 + at as u8 {
                step += 1;
            }
            eighths[at] = step as u8;
            at += 1;
        }
        eighths
    };
    let weight = weight.max(1);
    let octave = weight.ilog2();
    // Its first bit is the highest.
    let mantissa = (weight << (63 - octave)) >> 57;
    octave as i32 * 8 + i32::from(EIGHTHS[mantissa as usize % 64])
}

/// Nanoseconds for each byte of a class.
pub(super) fn ratio_of(class: u8) -> f32 {
    let halves = i32::from(class) - ONE;
    // 2^n for n from -32 to 31, by its bits.
    let whole = f32::from_bits(((127 + halves.div_euclid(2)) as u32) << 23);
    if halves.rem_euclid(2) == 0 { whole } else { whole * std::f32::consts::SQRT_2 }
}

impl Lists {
    pub(super) const fn new() -> Self {
        Self { rows: Vec::new(), row_of: [NO_ROW; CLASSES], ease: 0.0, weight: [0; 2], len: [0; 2] }
    }

    pub(super) fn set_ease(&mut self, misses: f32) {
        self.ease = misses;
    }

    pub(super) fn ease(&self) -> f32 {
        self.ease
    }

    pub(super) fn len(&self, part: Part) -> u32 {
        self.len[part as usize]
    }

    pub(super) fn entries(&self) -> u32 {
        self.len[0] + self.len[1]
    }

    /// Bytes of a part's entries.
    pub(super) fn weight_of(&self, part: Part) -> u64 {
        self.weight[part as usize]
    }

    /// Bytes of all entries.
    pub(super) fn weight(&self) -> u64 {
        self.weight[0] + self.weight[1]
    }

    #[inline]
    fn row(&mut self, class: u8) -> &mut Row {
        &mut self.rows[usize::from(self.row_of[usize::from(class)])]
    }

    /// The class itself where it has a row or can have one, else the nearest that has.
    #[inline]
    fn settled(&mut self, class: u8) -> u8 {
        let class = class.min(DEAREST);
        if self.row_of[usize::from(class)] == NO_ROW { self.settled_anew(class) } else { class }
    }

    #[cold]
    fn settled_anew(&mut self, class: u8) -> u8 {
        if self.rows.len() < self.rows.capacity() {
            const EMPTY: Ends = Ends { head: NIL, tail: NIL, lap: 0 };
            self.row_of[usize::from(class)] = self.rows.len() as u8;
            self.rows.push(Row { ratio: ratio_of(class), class, parts: [EMPTY; 2] });
            return class;
        }
        let nearest = self.rows.iter().map(|row| row.class).min_by_key(|known| known.abs_diff(class));
        nearest.unwrap_or(class)
    }

    /// Puts a slot at the end of its list.
    pub(super) fn push(&mut self, slot: u32, link: Link, weight: u64, slots: &mut dyn Slots) {
        let class = self.settled(link.class);
        let part = link.place.part() as usize;
        let ends = &mut self.row(class).parts[part];
        Link { prev: ends.tail, next: NIL, class, ..link }.put(slot, slots);
        match ends.tail {
            NIL => (ends.head, ends.lap) = (slot, link.lap),
            tail => Link::set_next(tail, slot, slots),
        }
        ends.tail = slot;
        self.weight[part] += weight;
        self.len[part] += 1;
    }

    /// Takes a slot of this weight out.
    pub(super) fn unlink(&mut self, slot: u32, weight: u64, slots: &mut dyn Slots) -> Link {
        let link = Link::of(slot, slots);
        let part = link.place.part() as usize;
        let ends = &mut self.row(link.class).parts[part];
        match link.next {
            NIL => ends.tail = link.prev,
            next => {
                let Node([prev, _, lap, _]) = slots.node_mut(next);
                *prev = link.prev;
                if link.prev == NIL {
                    ends.lap = *lap;
                }
            }
        }
        match link.prev {
            NIL => ends.head = link.next,
            prev => Link::set_next(prev, link.next, slots),
        }
        self.weight[part] -= weight;
        self.len[part] -= 1;
        link
    }

    /// A slot takes another's place: its neighbours hear of it.
    pub(super) fn renamed(&mut self, from: u32, to: u32, slots: &mut dyn Slots) {
        let link = Link::of(to, slots);
        let ends = &mut self.row(link.class).parts[link.place.part() as usize];
        match link.prev {
            NIL => {
                debug_assert_eq!(ends.head, from, "the head of its list");
                ends.head = to;
            }
            prev => Link::set_next(prev, to, slots),
        }
        match link.next {
            NIL => ends.tail = to,
            next => Link::set_prev(next, to, slots),
        }
    }

    /// An entry has another weight, maybe another class, and maybe another slot; its lap goes on.
    pub(super) fn replaced(&mut self, (old, weight): (u32, u64), new: u32, class: u8, slots: &mut dyn Slots) {
        let to = slots.facts(new).weight;
        let link = Link::of(old, slots);
        if link.class == class {
            let part = link.place.part() as usize;
            self.weight[part] += to;
            self.weight[part] -= weight;
            if old != new {
                link.put(new, slots);
                self.renamed(old, new, slots);
            }
        } else {
            let link = self.unlink(old, weight, slots);
            self.push(new, Link { class, ..link }, to, slots);
        }
    }

    /// The slot of a part with the lowest price.
    #[inline]
    pub(super) fn cheapest(&self, part: Part, now: u32) -> Option<Cheapest> {
        let mut best: Option<Cheapest> = None;
        for Row { ratio, parts, .. } in &self.rows {
            let Ends { head, lap, .. } = parts[part as usize];
            if head == NIL {
                continue;
            }
            let idle = now.wrapping_sub(lap) as f32 + 1.0 + self.ease;
            // Prices are told apart without dividing.
            if best.is_none_or(|best| ratio * best.idle < best.ratio * idle) {
                best = Some(Cheapest { slot: head, ratio: *ratio, idle });
            }
        }
        best
    }

    /// How long a slot is likely to stay: by `tier`, and in one by its price.
    pub(super) fn stay(&self, tier: u32, slot: u32, now: u32, slots: &dyn Slots) -> u64 {
        let link = Link::of(slot, slots);
        let price = ratio_of(link.class) / (now.wrapping_sub(link.lap) as f32 + 1.0 + self.ease);
        // Bits of floats from 0 up order as the floats do.
        u64::from(tier) << 32 | u64::from(price.to_bits())
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new();
    }

    /// Whether any class finds a row.
    #[inline]
    pub(super) fn has_room(&self) -> bool {
        self.rows.len() < self.rows.capacity() || self.rows.capacity() >= CLASSES
    }

    fn capacity_for_one_more(&self) -> usize {
        match self.rows.capacity() {
            capacity if self.rows.len() < capacity || capacity >= CLASSES => capacity,
            capacity => (2 * capacity).clamp(1, CLASSES),
        }
    }

    pub(super) fn allocated(&self) -> usize {
        self.rows.capacity() * size_of::<Row>()
    }

    pub(super) fn allocated_for_one_more(&self) -> usize {
        self.capacity_for_one_more() * size_of::<Row>()
    }

    /// Makes room for a class; `false` when memory is exhausted.
    pub(super) fn try_reserve_one(&mut self) -> bool {
        let more = self.capacity_for_one_more() - self.rows.len();
        self.rows.try_reserve_exact(more).is_ok()
    }

    /// Drops empty rows, when there must be many.
    pub(super) fn shrink(&mut self) {
        if self.rows.capacity() < 8 || self.entries() as usize * 4 > self.rows.capacity() {
            return;
        }
        self.rows.retain(|row| row.parts.iter().any(|ends| ends.head != NIL));
        self.row_of = [NO_ROW; CLASSES];
        for (at, row) in self.rows.iter().enumerate() {
            self.row_of[usize::from(row.class)] = at as u8;
        }
        move_to_smaller(&mut self.rows, 1);
    }

    /// Checks links, ends and sums; these slots and no others must be in a list.
    #[cfg(any(test, feature = "__validate"))]
    pub(super) fn validate(&self, filled: &[u32], slots: &dyn Slots) {
        let (mut weight, mut len) = ([0; 2], [0; 2]);
        assert_eq!(self.row_of.iter().filter(|row| **row != NO_ROW).count(), self.rows.len());
        for (at, row) in self.rows.iter().enumerate() {
            let class = row.class;
            assert_eq!((usize::from(self.row_of[usize::from(class)]), row.ratio), (at, ratio_of(class)));
            for (part, ends) in row.parts.iter().enumerate() {
                let (mut at, mut prev) = (ends.head, NIL);
                while at != NIL {
                    let link = Link::of(at, slots);
                    assert!(filled.contains(&at), "slot {at} is not filled");
                    assert_eq!((link.prev, link.class), (prev, class), "slot {at}");
                    assert_eq!(link.place.part() as usize, part, "slot {at} is in the other part");
                    assert!(prev != NIL || link.lap == ends.lap, "the lap of the head");
                    weight[part] += slots.facts(at).weight;
                    len[part] += 1;
                    (prev, at) = (at, link.next);
                    assert!(len[part] as usize <= filled.len(), "a circle");
                }
                assert_eq!(ends.tail, prev);
            }
        }
        assert_eq!((weight, len), (self.weight, self.len));
        assert_eq!(self.entries() as usize, filled.len());
    }
}

#[cfg(all(test, not(larder_shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn classes_are_half_octaves_of_cost_over_weight() {
        for (cost, factor, weight) in
            [(0, 0, 1000), (80, 0, 64), (254, 127, 1), (3, -128, 1 << 40), (40, 9, 777)]
        {
            let facts = Facts { cost, factor, weight, hash: 0 };
            let exact = 2.0 * (facts.worth() / weight as f64).log2();
            let class = f64::from(class_of(&facts)) - f64::from(ONE);
            assert!((class - exact.clamp(-64.0, 63.0)).abs() <= 0.8, "{facts:?}: {class} for {exact}");
        }
        for class in 0..CLASSES as u8 {
            let exact = ((f64::from(class) - f64::from(ONE)) / 2.0).exp2();
            assert!((f64::from(ratio_of(class)) / exact - 1.0).abs() < 1e-6, "class {class}");
        }
    }

    #[test]
    fn eighths_follow_the_logarithm() {
        for weight in (1..4000).chain([1 << 20, (1 << 33) + 12_345, u64::MAX]) {
            let exact = (weight as f64).log2() * 8.0;
            assert!((f64::from(eighths_of(weight)) - exact).abs() <= 0.75, "{weight}");
        }
    }
}
