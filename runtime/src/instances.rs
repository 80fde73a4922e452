//! The instances of a tenant, in a tournament: who of them has the cheapest victim, and whose entries are due first.
//!
//! A method with a cache in each object may have thousands, and so may a type with a pool on each thread. Whoever makes room, or publishes a price, finds the right
//! one in as many steps as the number of them has digits, and whoever changed one says so in as many. What stands here
//! of an instance is never above what is so: whoever lowers it says so before anybody could need to know, and what
//! rose (entries were invalidated, or used) shows when the instance comes up. Then it is put right, and the next one comes.
//!
//! Not here: what an instance is, and what is done with it. Nothing of the user's runs under the lock, and no hit comes near
//! it.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::{Arc, Weak};

use smallvec::SmallVec;

use crate::sync::{RwLock, fork};
use crate::time::{NEVER, Nanos};
use crate::weight::weigh::allocation;

/// What has a place among the instances of a tenant, and is compared with the others.
pub(crate) trait Ranked {
    /// Its place among the instances from now on.
    fn set_place(&self, place: u32);

    /// Its place among the instances.
    fn place(&self) -> u32;

    /// The credit of its next victims; infinite when empty.
    fn credit(&self) -> f64;

    /// No entry expires before.
    fn due(&self) -> Nanos;
}

/// So often at the most what comes up is put right: others may change it each time.
const CORRECTED: usize = 64;

/// All instances of one tenant.
pub(crate) struct Instances<I: ?Sized> {
    list: RwLock<List<I>>,
    /// There is one, and there will be no other.
    alone: bool,
}

struct List<I: ?Sized> {
    /// By their places.
    places: SmallVec<[Option<Weak<I>>; 1]>,
    /// Since there were two at once.
    tournament: Option<Box<Tournament>>,
}

/// A tree that is complete, its root at 1, over as many leaves as a power of two: each node has the least of its two.
struct Tournament {
    nodes: Vec<Standing>,
    /// Places that nobody has. It has room for all of them, so that to leave takes no memory.
    free: Vec<u32>,
}

/// What is known of an instance, or the least of several.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Standing {
    /// The credit of the next victim, infinite without one.
    credit: f64,
    /// No entry expires before.
    due: Nanos,
}

impl Standing {
    const EMPTY: Self = Self { credit: f64::INFINITY, due: NEVER };
    /// Of what nobody has looked at yet: it comes up, and is put right.
    const UNKNOWN: Self = Self { credit: 0.0, due: 0 };

    fn of(instance: &(impl Ranked + ?Sized)) -> Self {
        Self { credit: instance.credit(), due: instance.due() }
    }

    fn least(self, other: Self) -> Self {
        Self { credit: self.credit.min(other.credit), due: self.due.min(other.due) }
    }

    /// Whether any of it is below what is known.
    fn lowers(self, known: Self) -> bool {
        self.credit < known.credit || self.due < known.due
    }
}

impl<I: Ranked + ?Sized> Instances<I> {
    /// None yet. `alone` promises that there will be one only, of which nothing needs to be known here.
    pub(crate) fn new(alone: bool) -> Self {
        Self { list: RwLock::new(List::new()), alone }
    }

    pub(crate) fn is_alone(&self) -> bool {
        self.alone
    }

    /// Gives an instance its place, and returns by how many bytes the list has grown.
    pub(crate) fn add(&self, instance: &Arc<I>) -> u64 {
        let mut list = self.list.write();
        let before = list.bytes();
        let first = list.add(instance);
        let grown = list.bytes() - before;
        drop(list);
        if let Some(first) = first {
            self.renew(&*first);
        }
        grown
    }

    /// An instance is gone; returns by how many bytes the list has shrunk.
    pub(crate) fn remove(&self, instance: &(impl Ranked + ?Sized)) -> u64 {
        let mut list = self.list.write();
        let before = list.bytes();
        let moved = list.remove(instance.place());
        let shrunk = before - list.bytes();
        drop(list);
        // One of them may be the last handle by now.
        drop(moved);
        shrunk
    }

    /// All of them, as handles: what they drop may call a new instance into being. Nearly always there is one.
    pub(crate) fn live(&self) -> SmallVec<[Arc<I>; 1]> {
        let list = fork::read(&self.list);
        let mut live = SmallVec::new();
        if let Some(list) = &list {
            for place in &list.places {
                if let Some(instance) = place.as_ref().and_then(Weak::upgrade) {
                    live.push(instance);
                }
            }
        }
        live
    }

    /// An entry came to an instance, or is due earlier.
    pub(crate) fn announce(&self, instance: &(impl Ranked + ?Sized)) {
        let lowers = fork::read(&self.list).is_some_and(|list| {
            let tournament = list.tournament.as_ref();
            tournament.is_some_and(|of| Standing::of(instance).lowers(of.standing(instance.place())))
        });
        if lowers {
            self.renew(instance);
        }
    }

    /// Notes what an instance says. It is asked under the lock, so that nobody's older look is noted later.
    pub(crate) fn renew(&self, instance: &(impl Ranked + ?Sized)) {
        if self.alone {
            return;
        }
        if let Some(mut list) = fork::write(&self.list)
            && let Some(tournament) = &mut list.tournament
        {
            tournament.set(instance.place(), Standing::of(instance));
        }
    }

    /// The lowest credit of all; infinite when there is no victim.
    pub(crate) fn lowest_credit(&self) -> f64 {
        let Some(list) = fork::read(&self.list) else { return f64::INFINITY };
        if let Some(tournament) = &list.tournament {
            return tournament.root().credit;
        }
        let only = list.held(0);
        drop(list);
        only.map_or(f64::INFINITY, |instance| instance.credit())
    }

    /// The instance with the cheapest victim.
    pub(crate) fn cheapest(&self) -> Option<Arc<I>> {
        let mut last = None;
        for _ in 0..CORRECTED {
            let list = fork::read(&self.list)?;
            let Some(tournament) = &list.tournament else { return list.held(0) };
            let (place, known) = tournament.cheapest()?;
            let held = list.held(place);
            drop(list);
            let Some(instance) = held else {
                self.bury(place);
                continue;
            };
            if instance.credit() <= known {
                return Some(instance);
            }
            self.renew(&*instance);
            last = Some(instance);
        }
        last
    }

    /// Up to so many instances with the cheapest victims, the cheapest first; of an only one, nothing.
    pub(crate) fn by_credit(&self, most: usize) -> Vec<Arc<I>> {
        let Some(list) = fork::read(&self.list) else { return Vec::new() };
        let Some(tournament) = &list.tournament else { return Vec::new() };
        tournament.by_credit().take(most).filter_map(|place| list.held(place)).collect()
    }

    /// The instance whose entries may be expired first, if that is by `now`.
    pub(crate) fn due(&self, now: Nanos) -> Option<Arc<I>> {
        let mut last = None;
        for _ in 0..CORRECTED {
            let list = fork::read(&self.list)?;
            let Some(tournament) = &list.tournament else {
                let only = list.held(0);
                drop(list);
                return only.filter(|instance| instance.due() <= now);
            };
            let (place, known) = tournament.due(now)?;
            let held = list.held(place);
            drop(list);
            let Some(instance) = held else {
                self.bury(place);
                continue;
            };
            if instance.due() <= known {
                return Some(instance);
            }
            self.renew(&*instance);
            last = Some(instance);
        }
        last
    }

    /// The last handle of the instance that has this place is being dropped: nothing comes to it any more, and it leaves
    /// the list in a moment.
    fn bury(&self, place: u32) {
        if let Some(mut list) = fork::write(&self.list)
            && list.is_dead(place)
            && let Some(tournament) = &mut list.tournament
        {
            tournament.set(place, Standing::EMPTY);
        }
    }
}

impl<I: Ranked + ?Sized> List<I> {
    fn new() -> Self {
        Self { places: SmallVec::new(), tournament: None }
    }

    /// Returns the one that has been alone so far: nobody knows how it stands.
    fn add(&mut self, instance: &Arc<I>) -> Option<Arc<I>> {
        let is_second = !self.places.is_empty() && self.tournament.is_none();
        if self.places.is_empty() {
            instance.set_place(0);
            self.places.push(Some(Arc::downgrade(instance)));
            return None;
        }
        let tournament = self.tournament.get_or_insert_with(|| Box::new(Tournament::after_one()));
        let place = tournament.take_place();
        instance.set_place(place);
        let leaves = tournament.leaves();
        if self.places.len() < leaves {
            self.places.reserve_exact(leaves - self.places.len());
            self.places.resize(leaves, None);
        }
        self.places[place as usize] = Some(Arc::downgrade(instance));
        tournament.set(place, Standing::of(&**instance));
        if is_second { self.held(0) } else { None }
    }

    /// Returns handles of those who have other places now, to be dropped when the lock is released.
    #[must_use]
    fn remove(&mut self, place: u32) -> Vec<Arc<I>> {
        if let Some(at) = self.places.get_mut(place as usize) {
            *at = None;
        }
        let Some(tournament) = &mut self.tournament else {
            *self = Self::new();
            return Vec::new();
        };
        tournament.give_place(place);
        let (left, leaves) = (tournament.leaves() - tournament.free.len(), tournament.leaves());
        if left == 1 || left * 4 <= leaves { self.compact(left) } else { Vec::new() }
    }

    /// A list of half the size or less, for those who are left. Not while one of them is being dropped: nobody can tell it
    /// its new place, and it comes here in a moment.
    fn compact(&mut self, left: usize) -> Vec<Arc<I>> {
        let mut held = Vec::with_capacity(left);
        for place in &self.places {
            if let Some(instance) = place.as_ref().and_then(Weak::upgrade) {
                held.push(instance);
            }
        }
        if held.len() < left {
            return held;
        }
        *self = Self::new();
        for instance in &held {
            // Who was the first is none that nobody has looked at, once the second is there.
            drop(self.add(instance));
        }
        if let (Some(tournament), Some(first)) = (&mut self.tournament, held.first()) {
            tournament.set(0, Standing::of(&**first));
        }
        held
    }

    fn held(&self, place: u32) -> Option<Arc<I>> {
        self.places.get(place as usize)?.as_ref()?.upgrade()
    }

    fn is_dead(&self, place: u32) -> bool {
        let known = self.places.get(place as usize).and_then(Option::as_ref);
        known.is_some_and(|known| known.strong_count() == 0)
    }

    /// Bytes beside those of a tenant with one instance.
    fn bytes(&self) -> u64 {
        let Some(tournament) = &self.tournament else { return 0 };
        let places = allocation(size_of::<Option<Weak<I>>>() * self.places.capacity());
        places + allocation(size_of::<Tournament>()) + tournament.bytes()
    }
}

impl Tournament {
    /// Of one instance, of which nothing is known, at the first of two places.
    fn after_one() -> Self {
        let mut tournament = Self { nodes: vec![Standing::EMPTY; 4], free: Vec::with_capacity(2) };
        tournament.free.push(1);
        tournament.set(0, Standing::UNKNOWN);
        tournament
    }

    fn leaves(&self) -> usize {
        self.nodes.len() / 2
    }

    fn root(&self) -> Standing {
        self.nodes[1]
    }

    fn standing(&self, place: u32) -> Standing {
        self.nodes[self.leaves() + place as usize]
    }

    fn set(&mut self, place: u32, standing: Standing) {
        let mut at = self.leaves() + place as usize;
        self.nodes[at] = standing;
        while at > 1 {
            at /= 2;
            let least = self.nodes[2 * at].least(self.nodes[2 * at + 1]);
            if self.nodes[at] == least {
                return;
            }
            self.nodes[at] = least;
        }
    }

    /// A place for one more.
    fn take_place(&mut self) -> u32 {
        if self.free.is_empty() {
            self.grow();
        }
        self.free.pop().unwrap_or_else(|| unreachable!("a tournament that grew has free places"))
    }

    fn give_place(&mut self, place: u32) {
        self.set(place, Standing::EMPTY);
        self.free.push(place);
    }

    /// Twice the places. Those that come later are taken later.
    fn grow(&mut self) {
        let leaves = self.leaves();
        let mut nodes = vec![Standing::EMPTY; 4 * leaves];
        // Each level moves to where the next has been.
        for level in (0..=leaves.ilog2()).map(|level| 1 << level) {
            nodes[2 * level..3 * level].copy_from_slice(&self.nodes[level..2 * level]);
        }
        nodes[1] = nodes[2];
        self.nodes = nodes;
        self.free.reserve_exact(2 * leaves);
        self.free.extend((leaves as u32..2 * leaves as u32).rev());
    }

    /// Who has the cheapest victim, and its credit.
    fn cheapest(&self) -> Option<(u32, f64)> {
        let credit = self.root().credit;
        let place = self.descend(|node| node.credit <= credit);
        credit.is_finite().then_some((place, credit))
    }

    /// Whose entries may be expired first, and when, if that is by `now`.
    fn due(&self, now: Nanos) -> Option<(u32, Nanos)> {
        let due = self.root().due;
        let place = self.descend(|node| node.due <= due);
        (due <= now).then_some((place, due))
    }

    /// The first place of which this is so, as it is of the root.
    fn descend(&self, mut is_so: impl FnMut(Standing) -> bool) -> u32 {
        let mut at = 1;
        while at < self.leaves() {
            at = if is_so(self.nodes[2 * at]) { 2 * at } else { 2 * at + 1 };
        }
        (at - self.leaves()) as u32
    }

    /// Places with victims, by their credit.
    fn by_credit(&self) -> impl Iterator<Item = u32> {
        let mut open = BinaryHeap::from([Open { credit: self.root().credit, node: 1 }]);
        std::iter::from_fn(move || {
            while let Some(Open { credit, node }) = open.pop() {
                if credit == f64::INFINITY {
                    return None;
                }
                if node >= self.leaves() {
                    return Some((node - self.leaves()) as u32);
                }
                open.extend(
                    [2 * node, 2 * node + 1].map(|node| Open { credit: self.nodes[node].credit, node }),
                );
            }
            None
        })
    }

    fn bytes(&self) -> u64 {
        allocation(size_of::<Standing>() * self.nodes.capacity())
            + allocation(size_of::<u32>() * self.free.capacity())
    }
}

/// A node under which nobody has looked; the cheapest is the greatest.
#[derive(PartialEq)]
struct Open {
    credit: f64,
    node: usize,
}

impl Eq for Open {}

impl PartialOrd for Open {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Open {
    fn cmp(&self, other: &Self) -> Ordering {
        other.credit.total_cmp(&self.credit).then(other.node.cmp(&self.node))
    }
}

#[cfg(all(test, not(larder_shuttle)))]
mod tests {
    use super::*;
    use crate::sync::{AtomicU32, AtomicU64, Ordering};

    /// An instance that says what it is told to, and counts how often it is asked.
    #[derive(Default)]
    struct Told {
        place: AtomicU32,
        credit: AtomicU64,
        due: AtomicU64,
        asked: AtomicU32,
    }

    impl Told {
        fn new(credit: f64, due: Nanos) -> Arc<Self> {
            let told = Self::default();
            told.tell(credit, due);
            Arc::new(told)
        }

        fn tell(&self, credit: f64, due: Nanos) {
            self.credit.store(credit.to_bits(), Ordering::Relaxed);
            self.due.store(due, Ordering::Relaxed);
        }

        fn standing(&self) -> Standing {
            let credit = f64::from_bits(self.credit.load(Ordering::Relaxed));
            Standing { credit, due: self.due.load(Ordering::Relaxed) }
        }
    }

    impl Ranked for Told {
        fn set_place(&self, place: u32) {
            self.place.store(place, Ordering::Relaxed);
        }

        fn place(&self) -> u32 {
            self.place.load(Ordering::Relaxed)
        }

        fn credit(&self) -> f64 {
            self.asked.fetch_add(1, Ordering::Relaxed);
            self.standing().credit
        }

        fn due(&self) -> Nanos {
            self.standing().due
        }
    }

    fn add(instances: &Instances<Told>, credit: f64, due: Nanos) -> Arc<Told> {
        let told = Told::new(credit, due);
        instances.add(&told);
        told
    }

    fn cheapest(instances: &Instances<Told>) -> Option<u32> {
        instances.cheapest().map(|instance| instance.place())
    }

    /// Numbers that look random and are not.
    fn numbers(mut state: u64) -> impl FnMut(u64) -> u64 {
        move |below| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        }
    }

    #[test]
    fn whoever_is_asked_for_is_the_one_that_looking_at_all_would_find() {
        let instances = Instances::new(false);
        let mut members: Vec<Arc<Told>> = Vec::new();
        let mut number = numbers(1);
        for _ in 0..4_000 {
            match number(8) {
                0 | 1 => members.push(add(&instances, number(50) as f64, number(50))),
                2 if !members.is_empty() => {
                    let gone = members.swap_remove(number(members.len() as u64) as usize);
                    instances.remove(&*gone);
                }
                3 if !members.is_empty() => {
                    // What rises is found out late.
                    let member = &members[number(members.len() as u64) as usize];
                    let Standing { credit, due } = member.standing();
                    member.tell(if number(3) == 0 { f64::INFINITY } else { credit + 7.0 }, due + 7);
                }
                _ if !members.is_empty() => {
                    let member = &members[number(members.len() as u64) as usize];
                    member.tell(number(50) as f64, number(50));
                    instances.announce(&**member);
                }
                _ => {}
            }
            let least = members.iter().map(|member| member.standing()).fold(Standing::EMPTY, Standing::least);
            let found = instances.cheapest().map_or(f64::INFINITY, |instance| instance.credit());
            assert_eq!(found, least.credit);
            assert!(instances.lowest_credit() <= least.credit);
            let found = instances.due(49).map_or(NEVER, |instance| instance.due());
            assert_eq!(found, if least.due <= 49 { least.due } else { NEVER });
            let mut credits: Vec<f64> = members.iter().map(|member| member.standing().credit).collect();
            credits.retain(|credit| credit.is_finite());
            assert!(
                instances.by_credit(usize::MAX).len() >= if members.len() > 1 { credits.len() } else { 0 }
            );
        }
    }

    #[test]
    fn one_of_thousands_is_found_without_a_look_at_the_others() {
        let instances = Instances::new(false);
        let members: Vec<_> = (0..5_000).map(|n| add(&instances, f64::from(n), NEVER)).collect();
        let asked = || members.iter().map(|member| member.asked.load(Ordering::Relaxed)).sum::<u32>();
        let before = asked();
        for (n, member) in members.iter().enumerate().take(1_000) {
            assert_eq!(cheapest(&instances), Some(member.place()));
            // Its victim went, and the next one is dearer than all others'.
            member.tell(10_000.0, NEVER);
            instances.renew(&**member);
            assert_eq!(instances.lowest_credit(), (n + 1) as f64);
        }
        assert!(asked() - before <= 3_000, "{} looks for 1,000 victims", asked() - before);
    }

    #[test]
    fn those_beside_the_cheapest_come_in_the_order_of_their_credit() {
        let instances = Instances::new(false);
        let members = [5.0, 3.0, f64::INFINITY, 4.0, 1.0].map(|credit| add(&instances, credit, NEVER));
        let order = |most| instances.by_credit(most).iter().map(|held| held.place()).collect::<Vec<_>>();
        let places = [4, 1, 3, 0].map(|at: usize| members[at].place());
        assert_eq!(order(usize::MAX), places);
        assert_eq!(order(2), places[..2]);
    }

    #[test]
    fn who_was_alone_is_known_when_a_second_comes_and_places_are_used_again() {
        let instances = Instances::new(false);
        let first = add(&instances, 9.0, 30);
        assert_eq!((cheapest(&instances), instances.lowest_credit()), (Some(0), 9.0));
        assert!(instances.due(29).is_none() && instances.due(30).is_some());
        let second = add(&instances, 8.0, NEVER);
        assert_eq!((instances.lowest_credit(), cheapest(&instances)), (8.0, Some(second.place())));
        assert!(instances.due(29).is_none() && instances.due(30).is_some());
        let place = second.place();
        instances.remove(&*second);
        drop(second);
        assert_eq!((instances.lowest_credit(), cheapest(&instances)), (9.0, Some(0)));
        assert_eq!(add(&instances, 1.0, NEVER).place(), place);
        drop(first);
    }

    #[test]
    fn a_list_says_what_it_takes_and_takes_nothing_when_it_is_empty() {
        let instances = Instances::new(false);
        let mut bytes = 0;
        let members: Vec<_> = (0..100)
            .map(|n| {
                let told = Told::new(f64::from(n), NEVER);
                bytes += instances.add(&told);
                told
            })
            .collect();
        assert_eq!(bytes, instances.list.read().bytes());
        assert!(bytes > 0);
        let (few, many) = (5, bytes);
        for member in &members[few..] {
            bytes -= instances.remove(&**member);
        }
        assert!(bytes * 8 < many, "{bytes} bytes for {few} that were {many} for 100");
        assert_eq!(cheapest(&instances), Some(members[0].place()));
        for member in members.into_iter().take(few) {
            bytes -= instances.remove(&*member);
        }
        assert_eq!(bytes, 0);
        assert_eq!((instances.lowest_credit(), instances.live().len()), (f64::INFINITY, 0));
    }

    #[test]
    fn an_instance_whose_last_handle_is_gone_stands_in_nobodys_way() {
        let instances = Instances::new(false);
        let [first, second, third] = [1.0, 2.0, 3.0].map(|credit| add(&instances, credit, 10));
        drop(first);
        assert_eq!(cheapest(&instances), Some(second.place()));
        assert_eq!(instances.due(10).map(|held| held.place()), Some(second.place()));
        // Nor is the list made smaller under its feet, which does not know yet that it is out.
        instances.remove(&*third);
        assert_eq!(cheapest(&instances), Some(1));
    }
}
