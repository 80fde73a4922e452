//! What is asked of the five functions, and what their values weigh and cost.

use std::time::Duration;

use larder_benches::{Random, zipf};

use super::bodies::FUNCTIONS;
use crate::measure::own_time;

/// A function and its argument.
pub type Request = (u8, u32);

/// How requests come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing changes.
    Steady,
    /// Half-way, other functions are called more.
    Shift,
}

impl Kind {
    pub const ALL: [Self; 2] = [Self::Steady, Self::Shift];

    pub fn name(self) -> &'static str {
        match self {
            Self::Steady => "steady",
            Self::Shift => "phase shift",
        }
    }
}

/// Everything that is asked, in order.
pub struct Load {
    pub requests: Vec<Request>,
    /// So many are not counted: caches begin empty.
    pub warm: usize,
}

impl Load {
    pub fn new(kind: Kind, count: usize) -> Self {
        let mut random = Random::new(11);
        let mut keys: Vec<_> = FUNCTIONS
            .iter()
            .enumerate()
            .map(|(at, function)| {
                zipf(function.keys as usize, function.skew, count, at as u64 + 1).into_iter()
            })
            .collect();
        let requests = (0..count).map(|at| {
            let phase = usize::from(kind == Kind::Shift && at >= count / 2);
            let mut point = random.unit();
            let mut which = 0;
            while which + 1 < FUNCTIONS.len() && point >= FUNCTIONS[which].share[phase] {
                point -= FUNCTIONS[which].share[phase];
                which += 1;
            }
            (which as u8, keys[which].next().expect("as many as there are requests") as u32)
        });
        Self { requests: requests.collect(), warm: count / 6 }
    }
}

/// What each value weighs, and took to compute: by function and argument.
pub struct Facts(Vec<Vec<(u64, Duration)>>);

impl Facts {
    /// Computes everything once.
    pub fn new() -> Self {
        let of = |function: &super::bodies::Function| {
            (0..function.keys)
                .map(|key| {
                    let started = own_time();
                    let value = (function.body)(key);
                    (value.heap(), own_time().saturating_sub(started))
                })
                .collect()
        };
        Self(FUNCTIONS.iter().map(of).collect())
    }

    pub fn heap(&self, (function, key): Request) -> u64 {
        self.0[usize::from(function)][key as usize].0
    }

    pub fn cost(&self, (function, key): Request) -> Duration {
        self.0[usize::from(function)][key as usize].1
    }

    /// Bytes of all values, with what an entry takes beside its value.
    pub fn footprint(&self) -> u64 {
        self.0.iter().flatten().map(|(heap, _)| heap + super::contestants::BESIDE).sum()
    }

    /// A line for each function.
    pub fn print(&self) {
        println!("| function | arguments | bytes of a value | CPU time of a body |");
        println!("|---|--:|--:|--:|");
        for (function, facts) in FUNCTIONS.iter().zip(&self.0) {
            let count = facts.len() as u64;
            let bytes: u64 = facts.iter().map(|(heap, _)| heap).sum();
            let cost: Duration = facts.iter().map(|(_, cost)| cost).sum();
            println!(
                "| {} | {count} | {} | {:.0} us |",
                function.name,
                bytes / count,
                cost.as_secs_f64() * 1e6 / count as f64
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shift_calls_other_functions_after_half_of_the_requests() {
        for function in &FUNCTIONS {
            assert!(function.keys < u64::from(u32::MAX));
        }
        let load = Load::new(Kind::Shift, 40_000);
        let archives = |part: &[Request]| part.iter().filter(|request| request.0 == 3).count();
        let (before, after) = load.requests.split_at(20_000);
        assert!(archives(after) > 2 * archives(before));
        let steady = Load::new(Kind::Steady, 40_000);
        let (before, after) = steady.requests.split_at(20_000);
        assert!(archives(after) < 2 * archives(before));
    }
}
