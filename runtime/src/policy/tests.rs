use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{
    EntryFacts, Evict, Factory, Facts, Moment, Node, Noted, Order, Policy, Replaced, Slots, Touch, Uses,
};
use crate::policy::queue::{Positions, Queue};

#[derive(Default)]
struct Places(Vec<u32>);

impl Positions for Places {
    fn moved(&mut self, slot: u32, position: u32) {
        let slot = slot as usize;
        if self.0.len() <= slot {
            self.0.resize(slot + 1, u32::MAX);
        }
        self.0[slot] = position;
    }
}

/// Numbers that follow no pattern, the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % below
    }
}

#[test]
fn the_queue_agrees_with_a_sorted_model() {
    let mut queue = Queue::default();
    let mut places = Places::default();
    let mut model = BTreeMap::new();
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    for step in 0..20_000_u64 {
        let slot = dice.roll(200) as u32;
        let rank = dice.roll(1000) * 1_000_000 + step;
        match (model.contains_key(&slot), dice.roll(3)) {
            (false, _) => {
                assert!(queue.try_reserve_one());
                queue.push(slot, rank, &mut places);
                model.insert(slot, rank);
            }
            (true, 0) => {
                queue.remove(places.0[slot as usize], &mut places);
                model.remove(&slot);
            }
            (true, _) => {
                queue.update(places.0[slot as usize], rank, &mut places);
                model.insert(slot, rank);
            }
        }
        if step % 97 == 0 {
            queue.validate(|slot| places.0[slot as usize]);
        }
        let least = model.iter().min_by_key(|(_, rank)| **rank).map(|(slot, rank)| (*slot, *rank));
        assert_eq!(queue.front(), least);
        assert_eq!(queue.len(), model.len());
    }
}

#[test]
fn a_touch_counts_as_far_as_it_is_told_and_then_rests() {
    let touch = Touch::new(1000);
    for _ in 0..5 {
        touch.record(Noted::uses(2), || 1003);
    }
    assert_eq!((touch.uses(), touch.stamp(1010)), (2, 1000));
    touch.record(Noted::NOTHING, || 1004);
    assert_eq!(touch.take_uses(), 2);
    assert_eq!(touch.take_uses(), 0);
    for _ in 0..40 {
        touch.record(Noted::LAST, || 1005);
    }
    assert_eq!((touch.uses(), touch.stamp(1010)), (15, 1005));
}

#[test]
fn a_tick_survives_the_wrap_of_its_word() {
    let wrap = 1_u64 << 28;
    let touch = Touch::new(wrap - 2);
    assert_eq!(touch.stamp(wrap + 5), wrap - 2);
}

#[test]
fn names_round_trip_and_unknown_ones_list_the_known() {
    for policy in Policy::ALL {
        assert_eq!(policy.to_string().parse(), Ok(policy));
    }
    assert!("custom".parse::<Policy>().is_err(), "a name does not make one");
    let error = "lfru".parse::<Policy>().unwrap_err();
    let names = r#""hybrid", "lru", "lfu", "fifo", "random", "s3fifo", "utility""#;
    assert_eq!(error.to_string(), format!("unknown policy `lfru`: write one of {names}"));
}

struct Entry {
    node: Node,
    facts: Facts,
    touch: Touch,
}

/// Slots in a map: numbers may be anything.
#[derive(Default)]
struct Table(HashMap<u32, Entry>);

impl Slots for Table {
    fn node(&self, slot: u32) -> &Node {
        &self.0[&slot].node
    }

    fn node_mut(&mut self, slot: u32) -> &mut Node {
        &mut self.0.get_mut(&slot).expect("an order knows only of filled slots").node
    }

    fn facts(&self, slot: u32) -> Facts {
        self.0[&slot].facts
    }

    fn is_filled(&self, slot: u32) -> bool {
        self.0.contains_key(&slot)
    }

    fn touch(&self, slot: u32) -> &Touch {
        &self.0[&slot].touch
    }
}

/// An order with slots under it, as a shard has them.
struct Shard {
    order: Order,
    table: Table,
    noted: Noted,
    moment: Moment,
    /// Slots by key.
    keys: HashMap<u64, u32>,
    /// Keys by slot.
    names: HashMap<u32, u64>,
    free: Vec<u32>,
}

impl Shard {
    fn new(policy: Policy, own: Option<&Factory>) -> Self {
        Self {
            order: Order::new(policy, own, 3),
            table: Table::default(),
            noted: policy.noted(),
            moment: Moment { tick: 0, exact: true, inflation: 0.0, filling: true },
            keys: HashMap::new(),
            names: HashMap::new(),
            free: Vec::new(),
        }
    }

    fn len(&self) -> usize {
        self.keys.len()
    }

    fn use_it(&mut self, key: u64) -> bool {
        self.moment.tick += 1;
        let Some(slot) = self.keys.get(&key) else { return false };
        self.table.0[slot].touch.record(self.noted, || self.moment.tick);
        true
    }

    fn facts(key: u64, cost: u8, weight: u64) -> Facts {
        Facts { cost, factor: 0, weight, hash: key.wrapping_mul(0x9E37_79B9_7F4A_7C15) as u32 ^ key as u32 }
    }

    /// A new entry.
    fn insert(&mut self, key: u64, cost: u8, weight: u64) {
        let promised = self.order.allocated_for_one_more();
        assert!(self.order.try_reserve_one());
        assert!(self.order.allocated() <= promised, "{} > {promised}", self.order.allocated());
        let reserved = self.order.allocated();
        let slot = self.free.pop().unwrap_or(self.keys.len() as u32);
        let touch = Touch::new(self.moment.tick);
        let entry = Entry { node: Node::default(), facts: Self::facts(key, cost, weight), touch };
        assert!(self.table.0.insert(slot, entry).is_none());
        self.keys.insert(key, slot);
        self.names.insert(slot, key);
        self.order.push(slot, &mut self.table, self.moment);
        assert_eq!(self.order.allocated(), reserved, "a push does not allocate");
    }

    fn take_out(&mut self, slot: u32) -> u64 {
        self.table.0.remove(&slot);
        self.free.push(slot);
        let key = self.names.remove(&slot).expect("a key in each slot");
        self.keys.remove(&key);
        self.order.shrink();
        key
    }

    fn remove(&mut self, key: u64) {
        let slot = self.keys[&key];
        self.order.remove(slot, &mut self.table);
        self.take_out(slot);
    }

    fn evict(&mut self) -> Option<u64> {
        let before = self.order.allocated();
        let slot = self.order.victim(&mut self.table, self.moment)?;
        let credit = self.order.credit_of(slot, &self.table);
        assert!(credit.is_none_or(|credit| credit >= 0.0 && credit.is_finite()));
        self.order.evict(slot, &mut self.table);
        assert!(self.order.allocated() <= before, "what makes room needs none");
        Some(self.take_out(slot))
    }

    fn replace(&mut self, key: u64, cost: u8, weight: u64, elsewhere: bool) {
        let slot = self.keys[&key];
        let (facts, before) = (Self::facts(key, cost, weight), self.table.facts(slot).weight);
        let old = Replaced { slot, weight: before, uses: self.table.touch(slot).uses() };
        let touch = Touch::new(self.moment.tick);
        let to = if elsewhere { self.spare() } else { slot };
        let node = if elsewhere { Node::default() } else { *self.table.node(slot) };
        self.table.0.insert(to, Entry { node, facts, touch });
        self.order.replaced(old, to, &mut self.table, self.moment);
        self.moved(key, slot, to);
    }

    fn rename(&mut self, key: u64) {
        let (from, to) = (self.keys[&key], self.spare());
        let entry = self.table.0.remove(&from).expect("a filled slot");
        self.table.0.insert(to, entry);
        self.order.renamed(from, to, &mut self.table);
        self.moved(key, from, to);
    }

    fn spare(&mut self) -> u32 {
        self.free.pop().unwrap_or(self.keys.len() as u32)
    }

    fn moved(&mut self, key: u64, from: u32, to: u32) {
        if from != to {
            self.table.0.remove(&from);
            self.names.remove(&from);
            self.free.push(from);
            self.names.insert(to, key);
            self.keys.insert(key, to);
        }
    }

    fn validate(&self) {
        let filled: Vec<u32> = self.table.0.keys().copied().collect();
        self.order.validate(&filled, &self.table);
        let front = self.order.front(&self.table);
        assert_eq!(front.is_none(), filled.is_empty());
        assert!(front.is_none_or(|front| front.rank < u64::MAX && front.credit.is_finite()));
    }
}

fn second_chance() -> Box<dyn Evict> {
    Box::new(SecondChance::default())
}

/// Every order, the user's own included.
fn all() -> impl Iterator<Item = Shard> {
    let own: &Factory = &second_chance;
    Policy::ALL
        .into_iter()
        .map(|policy| Shard::new(policy, None))
        .chain([Shard::new(Policy::Custom, Some(own))])
}

#[test]
fn every_order_holds_through_any_operations() {
    for mut shard in all() {
        let mut dice = Dice(0x1234_5678_9ABC_DEF1);
        for step in 0..30_000_u32 {
            let key = dice.roll(300);
            let (cost, weight) = (dice.roll(60) as u8, 64 + dice.roll(5) * dice.roll(2000));
            // It grows, lives at its bound for a while, and is emptied, several times.
            let most = if step % 10_000 < 8000 { 150 } else { 0 };
            match (shard.keys.contains_key(&key), dice.roll(20)) {
                (true, 0) => shard.remove(key),
                (true, 1) => shard.replace(key, cost, weight, dice.roll(2) == 0),
                (true, 2) => shard.rename(key),
                (true, _) => assert!(shard.use_it(key)),
                (false, _) if most > 0 => {
                    while shard.len() >= most {
                        shard.evict();
                    }
                    shard.moment.inflation += 0.5;
                    shard.moment.filling = shard.len() < most * 9 / 10;
                    shard.insert(key, cost, weight);
                }
                (false, _) => assert!(shard.evict().is_some() == (shard.len() > 0) || shard.len() == 0),
            }
            if step % 37 == 0 {
                shard.validate();
            }
        }
        while shard.evict().is_some() {}
        shard.validate();
        shard.order.clear();
        assert_eq!(shard.order.allocated(), 0);
    }
}

/// Plays keys through an order that has room for so many; returns the part that hit.
fn play(shard: &mut Shard, capacity: usize, keys: impl Iterator<Item = u64>) -> f64 {
    let (mut hits, mut all) = (0_u64, 0_u64);
    for key in keys {
        all += 1;
        if shard.use_it(key) {
            hits += 1;
            continue;
        }
        while shard.len() >= capacity {
            shard.evict();
        }
        shard.moment.filling = shard.len() * 10 < capacity * 9;
        shard.insert(key, 0, 100);
    }
    hits as f64 / all as f64
}

#[test]
fn an_order_ends_its_work_when_everything_is_hot() {
    for mut shard in all() {
        shard.moment.exact = false;
        for key in 0..1000 {
            shard.insert(key, 0, 100);
        }
        for _ in 0..20 {
            for key in 0..1000 {
                shard.use_it(key);
            }
        }
        let slot = shard.order.victim(&mut shard.table, shard.moment).expect("somebody must go");
        // What was looked at has lost a use or moved on. All others are as they were.
        let settled = shard.table.0.values().filter(|entry| entry.touch.uses() < 2).count();
        assert!(settled <= 64 || shard.noted == Noted::NOTHING, "{settled} entries were settled");
        shard.order.evict(slot, &mut shard.table);
        shard.take_out(slot);
        shard.validate();
    }
}

#[test]
fn lru_evicts_in_the_order_of_last_uses() {
    let mut shard = Shard::new(Policy::Lru, None);
    for key in 0..50 {
        shard.moment.tick += 1;
        shard.insert(key, (key * 5) as u8, 100 + key * 100);
    }
    for key in (0..50).rev().step_by(2) {
        assert!(shard.use_it(key));
    }
    let order: Vec<u64> = std::iter::from_fn(|| shard.evict()).collect();
    let expected: Vec<u64> = (0..50).step_by(2).chain((0..50).rev().step_by(2)).collect();
    assert_eq!(order, expected);
}

#[test]
fn fifo_evicts_in_the_order_of_coming() {
    let mut shard = Shard::new(Policy::Fifo, None);
    (0..50).for_each(|key| shard.insert(key, (key * 5) as u8, 100));
    for key in 0..20 {
        shard.use_it(key);
    }
    shard.replace(3, 9, 900, true);
    let order: Vec<u64> = std::iter::from_fn(|| shard.evict()).collect();
    assert_eq!(order, (0..50).collect::<Vec<u64>>());
}

#[test]
fn lfu_keeps_what_is_used_often_and_lets_old_fame_fade() {
    let mut shard = Shard::new(Policy::Lfu, None);
    for key in 0..10 {
        shard.insert(key, 0, 100);
        (0..key).for_each(|_| assert!(shard.use_it(key)));
    }
    let first: Vec<u64> = (0..5).filter_map(|_| shard.evict()).collect();
    assert_eq!(first, [0, 1, 2, 3, 4]);
    // The others are used no more. Newcomers that are used a little overtake them in the end.
    let mut famous = 5;
    for key in 100..150 {
        shard.insert(key, 0, 100);
        (0..3).for_each(|_| assert!(shard.use_it(key)));
        famous -= usize::from(shard.evict().is_some_and(|key| key < 10));
    }
    assert_eq!(famous, 0);
}

#[test]
fn random_lets_anyone_go_and_repeats_itself() {
    let order = || {
        let mut shard = Shard::new(Policy::Random, None);
        (0..100).for_each(|key| shard.insert(key, 0, 100));
        std::iter::from_fn(|| shard.evict()).collect::<Vec<u64>>()
    };
    assert_eq!(order(), order());
    // How long each of the first hundred stays while others come: as long, whoever came first.
    let mut shard = Shard::new(Policy::Random, None);
    let mut stay = [0_u64; 2];
    for key in 0..200_000 {
        if shard.len() == 100 {
            let left = shard.evict().expect("it is full");
            stay[usize::from(key - left > 100)] += 1;
        }
        shard.insert(key, 0, 100);
    }
    // Half of a life of 100 insertions in the mean is over after 69: (1 - 1/100)^100 outlive 100.
    let outlived = stay[1] as f64 / (stay[0] + stay[1]) as f64;
    assert!((0.35..0.38).contains(&outlived), "{outlived} outlived the mean");
}

#[test]
fn utility_prefers_what_saves_more_time_for_each_byte() {
    let first = |a: (u8, u64, u32), b: (u8, u64, u32)| {
        let mut shard = Shard::new(Policy::Utility, None);
        for (key, (cost, weight, uses)) in [(1, a), (2, b)] {
            shard.insert(key, cost, weight);
            (0..uses).for_each(|_| assert!(shard.use_it(key)));
        }
        shard.evict()
    };
    let plain = (80, 100, 0);
    assert_eq!(first(plain, (88, 100, 0)), Some(1), "a costlier entry stays longer");
    assert_eq!(first((80, 200, 0), plain), Some(1), "a bigger entry goes earlier");
    assert_eq!(first((80, 100, 1), plain), Some(2), "a used entry stays longer");
    // A newer one counts from the level that eviction has reached.
    let mut shard = Shard::new(Policy::Utility, None);
    shard.insert(1, 80, 100);
    shard.moment.inflation = 1.0;
    shard.insert(2, 80, 100);
    assert_eq!(shard.evict(), Some(1));
}

#[test]
fn a_factor_counts_like_a_cost() {
    for policy in [Policy::Utility, Policy::Hybrid] {
        let mut shard = Shard::new(policy, None);
        for key in 0..10 {
            shard.insert(key, 0, 100);
            let slot = shard.keys[&key];
            shard.order.remove(slot, &mut shard.table);
            shard.table.0.get_mut(&slot).expect("filled").facts.factor = if key == 4 { -16 } else { 16 };
            shard.order.push(slot, &mut shard.table, shard.moment);
        }
        assert_eq!(shard.evict(), Some(4), "{policy}");
    }
}

#[test]
fn hybrid_keeps_half_of_a_loop_twice_its_size() {
    let mut shard = Shard::new(Policy::Hybrid, None);
    let ratio = play(&mut shard, 512, (0..500_000).map(|n| n % 1024));
    assert!(ratio > 0.47, "{ratio}");
    let mut lru = Shard::new(Policy::Lru, None);
    assert_eq!(play(&mut lru, 64, (0..5000).map(|n| n % 128)), 0.0);
}

#[test]
fn hybrid_and_s3fifo_let_a_scan_pass() {
    for policy in [Policy::Hybrid, Policy::S3Fifo] {
        let mut shard = Shard::new(policy, None);
        let hot = |n: u64| n * 7 % 90;
        play(&mut shard, 100, (0..5000).map(hot));
        play(&mut shard, 100, (0..3000).map(|n| if n % 3 == 0 { 1_000_000 + n } else { hot(n) }));
        let left = (0..90).filter(|key| shard.keys.contains_key(key)).count();
        assert!(left >= 80, "{policy}: {left} of 90 are left after the scan");
    }
}

#[test]
fn a_dear_newcomer_is_not_lost_in_the_window() {
    let mut shard = Shard::new(Policy::Hybrid, None);
    play(&mut shard, 100, (0..2000).map(|n| n % 300));
    // Five octaves dearer than the rest.
    shard.evict();
    shard.insert(777, 40, 100);
    play(&mut shard, 100, 2000..2400);
    assert!(shard.keys.contains_key(&777), "it outlives what costs nothing");
}

/// One entry in a thousand that was slow by chance made entries differ for ever, and a scan then went through main.
#[test]
fn a_slow_one_now_and_then_does_not_make_entries_differ() {
    let mut shard = Shard::new(Policy::Hybrid, None);
    let hot = |n: u64| n * 7 % 90;
    let mut ask = |key: u64, cost: u8| {
        if !shard.use_it(key) {
            if shard.len() == 100 {
                shard.evict();
            }
            shard.insert(key, cost, 100);
        }
    };
    (0..5000).for_each(|n| ask(hot(n), 0));
    for n in 0..30_000 {
        let cost = if n % 1000 == 501 { 60 } else { if n % 4 == 3 { 8 } else { 0 } };
        if n % 3 == 0 { ask(1_000_000 + n, cost) } else { ask(hot(n), 0) }
    }
    let left = (0..90).filter(|key| shard.keys.contains_key(key)).count();
    assert!(left >= 70, "{left} of 90 are left after the scan");
}

#[derive(Default)]
struct SecondChance(std::collections::VecDeque<u32>);

impl Evict for SecondChance {
    fn insert(&mut self, slot: u32, _facts: &EntryFacts) {
        self.0.push_back(slot);
    }

    fn remove(&mut self, slot: u32) {
        self.0.retain(|other| *other != slot);
    }

    fn rename(&mut self, from: u32, to: u32) {
        self.0.iter_mut().filter(|slot| **slot == from).for_each(|slot| *slot = to);
    }

    fn victim(&mut self, uses: &mut Uses<'_>) -> Option<u32> {
        for _ in 0..50 {
            let slot = *self.0.front()?;
            if uses.take(slot) == 0 {
                break;
            }
            self.0.rotate_left(1);
        }
        self.0.front().copied()
    }
}

/// Says nonsense at first, and then panics: `0` counts its calls.
struct Wrong(Arc<AtomicU64>);

impl Evict for Wrong {
    fn insert(&mut self, _slot: u32, _facts: &EntryFacts) {}

    fn remove(&mut self, _slot: u32) {}

    fn rename(&mut self, _from: u32, _to: u32) {}

    fn victim(&mut self, uses: &mut Uses<'_>) -> Option<u32> {
        assert_eq!(uses.take(4_000_000), 0);
        match self.0.fetch_add(1, Ordering::Relaxed) {
            0..10 => None,
            10..20 => Some(4_000_000),
            _ => panic!("this order is broken, as its test wants it"),
        }
    }
}

#[test]
fn a_wrong_order_of_a_user_falls_back_to_the_oldest() {
    let calls = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&calls);
    let own = move || Box::new(Wrong(Arc::clone(&counted))) as Box<dyn Evict>;
    let mut shard = Shard::new(Policy::Custom, Some(&own));
    (0..50).for_each(|key| shard.insert(key, 0, 100));
    let order: Vec<u64> = std::iter::from_fn(|| shard.evict()).collect();
    assert_eq!(order, (0..50).collect::<Vec<u64>>());
    assert_eq!(calls.load(Ordering::Relaxed), 21, "after its panic it is not asked again");
    // An order that cannot even be made is none.
    let own = || -> Box<dyn Evict> { panic!("no order, as its test wants it") };
    let mut shard = Shard::new(Policy::Custom, Some(&own));
    shard.insert(1, 0, 100);
    assert_eq!(shard.evict(), Some(1));
}
