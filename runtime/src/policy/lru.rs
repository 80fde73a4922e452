//! Least recently used: the rank is the tick of the last use, and nothing else.

use super::Facts;

pub(crate) fn rank(facts: &Facts) -> u64 {
    facts.stamp
}
