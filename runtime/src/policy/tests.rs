use super::{Facts, Policy, Positions, Queue, Touch, credit};

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

#[test]
fn the_queue_agrees_with_a_sorted_model() {
    let mut queue = Queue::default();
    let mut places = Places::default();
    let mut model = std::collections::BTreeMap::new();
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    for step in 0..20_000_u64 {
        let slot = (next() % 200) as u32;
        let rank = (next() % 1000) * 1_000_000 + step;
        match (model.contains_key(&slot), next() % 3) {
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
fn a_touch_counts_uses_up_to_sixteen_and_keeps_the_tick() {
    let mut touch = Touch::new(1000);
    assert_eq!((touch.read(1000).count, touch.read(1000).touched), (1, false));
    for _ in 0..40 {
        touch.record(1003);
    }
    let uses = touch.read(1010);
    assert_eq!((uses.count, uses.stamp, uses.touched), (16, 1003, true));
    touch.settle();
    assert!(!touch.read(1010).touched);
}

#[test]
fn a_tick_survives_the_wrap_of_its_word() {
    let wrap = 1_u64 << 27;
    let touch = Touch::new(wrap - 2);
    assert_eq!(touch.read(wrap + 5).stamp, wrap - 2);
}

#[test]
fn hybrid_prefers_what_saves_more_time_for_each_byte() {
    let facts = |cost, weight, uses| Facts { cost, weight, uses, stamp: 0 };
    let rank = |facts: &Facts| Policy::Hybrid.rank(facts, credit(10.0, facts));
    let plain = facts(1000, 100, 1);
    assert!(rank(&plain) < rank(&facts(2000, 100, 1)), "a costlier entry stays longer");
    assert!(rank(&plain) > rank(&facts(1000, 200, 1)), "a bigger entry goes earlier");
    assert!(rank(&plain) < rank(&facts(1000, 100, 2)), "a used entry stays longer");
    let late = Policy::Hybrid.rank(&plain, credit(11.0, &plain));
    assert!(rank(&plain) < late, "a newer entry stays longer");
}

#[test]
fn lru_looks_at_nothing_but_the_last_use() {
    let older = Facts { cost: 1_000_000, weight: 1, uses: 16, stamp: 5 };
    let newer = Facts { cost: 1, weight: 1_000_000, uses: 1, stamp: 6 };
    assert!(Policy::Lru.rank(&older, 9e9) < Policy::Lru.rank(&newer, 0.0));
}

#[test]
fn names_round_trip_and_unknown_ones_list_the_known() {
    for policy in Policy::ALL {
        assert_eq!(policy.to_string().parse(), Ok(policy));
    }
    let error = "lfru".parse::<Policy>().unwrap_err();
    assert_eq!(error.to_string(), "unknown policy `lfru`: write one of \"lru\", \"hybrid\"");
}
