//! Shelves: what a pooled function lends was made for the same arguments, however many others wait, and finding it takes
//! no look at those. Functions touch the process's own domain, so this file is a process of its own; each test has
//! functions of its own.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};

use larder::{Pooled, pooled};

/// What an object was made for, and which of those it is.
#[derive(Debug)]
struct Made {
    of: u32,
    number: usize,
}

static MADE: AtomicUsize = AtomicUsize::new(0);

fn make(of: u32) -> Made {
    Made { of, number: MADE.fetch_add(1, Ordering::Relaxed) }
}

/// An argument that counts how often it is compared.
#[derive(Clone, Debug)]
struct Counted(u32);

static COMPARED: AtomicUsize = AtomicUsize::new(0);

impl PartialEq for Counted {
    fn eq(&self, other: &Self) -> bool {
        COMPARED.fetch_add(1, Ordering::Relaxed);
        self.0 == other.0
    }
}

impl Eq for Counted {}

impl Hash for Counted {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

#[test]
fn an_object_is_found_without_a_look_at_others() {
    #[pooled]
    fn lent(of: &Counted) -> Pooled<Made> {
        make(of.0)
    }

    const SHELVES: u32 = 3000;
    let all: Vec<_> = (0..SHELVES).map(|of| lent(&Counted(of))).collect();
    let numbers: HashMap<u32, usize> = all.iter().map(|made| (made.of, made.number)).collect();
    drop(all);
    assert_eq!(lent_pool().idle(), SHELVES as usize);
    let before = COMPARED.load(Ordering::Relaxed);
    for of in 0..SHELVES {
        let made = lent(&Counted(of));
        assert_eq!((made.of, made.number), (of, numbers[&of]));
    }
    let compared = COMPARED.load(Ordering::Relaxed) - before;
    assert_eq!(compared, SHELVES as usize, "each is compared with its own alone");
    assert_eq!(lent_pool().stats().loads, u64::from(SHELVES));
    let (held, weight) = (lent_pool().idle(), lent_pool().weight());
    lent_pool().clear();
    assert_eq!((held, lent_pool().idle()), (SHELVES as usize, 0));
    assert!(lent_pool().weight() < weight / 4, "{weight}");
    assert_ne!(lent(&Counted(1)).number, numbers[&1], "all of them are gone");
}

#[test]
fn of_those_on_a_shelf_the_one_that_came_back_last_is_lent() {
    #[pooled]
    fn lent(of: u32) -> Pooled<Made> {
        make(of)
    }

    let mut out: Vec<_> = (0..60).map(|at| lent(at % 3)).collect();
    // Back in an order of its own, with others in between.
    let mut back: HashMap<u32, Vec<usize>> = HashMap::new();
    for at in (0..60).rev() {
        let made = out.remove(at * 7 % (at + 1));
        back.entry(made.of).or_default().push(made.number);
    }
    for (of, mut numbers) in back {
        let mut held = Vec::new();
        while let Some(last) = numbers.pop() {
            held.push(lent(of));
            assert_eq!(held.last().map(|made| (made.of, made.number)), Some((of, last)));
        }
    }
}

#[test]
fn whoever_goes_goes_from_its_shelf() {
    #[pooled(max = 100)]
    fn lent(of: u32) -> Pooled<Made> {
        make(of)
    }

    // Ten times as many as there may be: those that waited longest go.
    for of in 0..1000 {
        drop(lent(of));
    }
    assert_eq!(lent_pool().idle(), 100);
    let made = MADE.load(Ordering::Relaxed);
    let kept: Vec<_> = (900..1000).map(lent).collect();
    assert!(kept.iter().enumerate().all(|(at, made)| made.of as usize == 900 + at));
    assert!(kept.iter().all(|lent| lent.number < made), "all of them were there");
    drop(kept);
    assert_eq!((lent(1).of, lent_pool().idle()), (1, 99));
}
