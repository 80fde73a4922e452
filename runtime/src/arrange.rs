//! Puts short lists in order, where the time that takes is not what counts: std's sort is two thousand lines of code for
//! each type of element, and this one is two dozen. Not for what a call of the user's waits for.

use std::cmp::Ordering;

/// Sorts as `slice::sort_by` does: equals stay as they were to each other. Allocates two words for each element.
pub(crate) fn sort_by<T>(items: &mut [T], compare: impl Fn(&T, &T) -> Ordering) {
    let order = order(items.len(), &|a, b| compare(&items[a], &items[b]));
    follow(order, &mut |a, b| items.swap(a, b));
}

/// Which of `len` elements is to stand first, which second, and so on.
fn order(len: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut order: Vec<usize> = (0..len).collect();
    order.sort_by(|a, b| compare(*a, *b));
    order
}

/// Swaps until each element stands where `order` says: one swap for each, round after round of those that change places.
fn follow(mut order: Vec<usize>, swap: &mut dyn FnMut(usize, usize)) {
    for first in 0..order.len() {
        let mut at = first;
        loop {
            let from = std::mem::replace(&mut order[at], at);
            if from == first {
                break;
            }
            swap(at, from);
            at = from;
        }
    }
}

#[cfg(all(test, not(larder_shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn sorts_as_std_does() {
        let mut random = 7_u64;
        for len in 0..70 {
            for _ in 0..20 {
                let list: Vec<(u64, usize)> = (0..len)
                    .map(|at| {
                        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                        (random >> 61, at)
                    })
                    .collect();
                let (mut ours, mut theirs) = (list.clone(), list);
                sort_by(&mut ours, |a, b| a.0.cmp(&b.0));
                theirs.sort_by_key(|(key, _)| *key);
                assert_eq!(ours, theirs);
            }
        }
    }
}
