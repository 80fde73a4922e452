//! Compares what a value weighs with what it holds.

use std::fmt;

use super::held_by;
use crate::weight::{Weigh, weigh};

/// Builds a value, and compares its [`deep`](crate::weigh::deep) weight with what it really takes.
///
/// What counts is what this thread allocated while `make` ran and did not free again. So build the value from
/// scratch: an `Arc` that is cloned holds nothing new, a piece built on another thread is not seen, and what a
/// lazy static keeps is.
///
/// # Panics
///
/// When [`CountingAllocator`](super::CountingAllocator) is not the program's allocator.
///
/// # Examples
///
/// ```
/// use larder_runtime::Weigh;
/// use larder_runtime::testing::{CountingAllocator, audit};
///
/// #[global_allocator]
/// static COUNTING: CountingAllocator = CountingAllocator::system();
///
/// struct Page {
///     title: String,
///     lines: Vec<String>,
/// }
///
/// impl Weigh for Page {
///     fn heap_bytes(&self) -> u64 {
///         self.title.heap_bytes() + self.lines.heap_bytes()
///     }
/// }
///
/// let audit = audit(|| Page {
///     title: "Nineteen lines".to_owned(),
///     lines: (0..19).map(|line| format!("this is line {line}")).collect(),
/// });
/// assert!(audit.error().abs() < 0.10, "{audit}");
/// ```
pub fn audit<T: Weigh>(make: impl FnOnce() -> T) -> Audit {
    audit_by(weigh::deep, make)
}

/// Like [`audit`], for a function of the kind that `weigh = ..` takes: all bytes of a value, itself included.
///
/// # Panics
///
/// When [`CountingAllocator`](super::CountingAllocator) is not the program's allocator.
pub fn audit_by<T>(weigh: impl FnOnce(&T) -> u64, make: impl FnOnce() -> T) -> Audit {
    let (value, held) = held_by(make);
    Audit { weight: weigh(&value), truth: held.wrapping_add(size_of::<T>() as u64) }
}

/// What a value is said to weigh, and what it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Audit {
    /// Bytes that a cache would be charged for the value.
    pub weight: u64,
    /// Bytes of the value itself and of the blocks it holds, as the allocator rounds them.
    pub truth: u64,
}

impl Audit {
    /// How far the weight is off, as a part of the truth: 0.05 is five percent too much, -0.05 too little.
    #[must_use]
    pub fn error(&self) -> f64 {
        match (self.weight, self.truth) {
            (0, 0) => 0.0,
            (weight, truth) => (weight as f64 - truth as f64) / truth as f64,
        }
    }
}

impl fmt::Display for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { weight, truth } = self;
        write!(f, "weight {weight}, truth {truth} bytes ({:+.1} %)", self.error() * 100.0)
    }
}

#[cfg(all(test, not(larder_shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn a_weight_that_is_right() {
        let audit = audit(|| vec![0_u8; 1000]);
        assert!(audit.weight > 1024 && audit.error().abs() < 0.05, "{audit}");
    }

    #[test]
    fn a_weight_that_is_wrong() {
        let audit = audit_by(weigh::shallow, || vec![0_u8; 1000]);
        assert_eq!(audit.weight, 24);
        assert!(audit.error() < -0.9, "{audit}");
        let text = Audit { weight: 110, truth: 100 }.to_string();
        assert_eq!(text, "weight 110, truth 100 bytes (+10.0 %)");
    }

    #[test]
    fn nothing_weighs_nothing() {
        let audit = audit(|| ());
        assert_eq!((audit.weight, audit.truth), (0, 0));
        assert!(audit.error() == 0.0);
    }

    #[test]
    fn garbage_on_the_way_does_not_count() {
        let audit = audit(|| (0..100).map(|number| number.to_string()).map(|text| text.len()).sum::<usize>());
        assert_eq!(audit.truth, 8);
    }
}
