//! Hit ratios: every access of a trace is a look-up, and an insert where it found nothing.
//!
//! Sizes are not used: every entry counts as one. Time is not used either.

mod file;
mod reference;
mod replay;
mod report;
mod synthetic;

pub use report::Report;

use std::collections::HashMap;
use std::path::Path;

use crate::contestants::Hashers;

/// Keys in the order in which a program asked for them.
pub struct Trace {
    pub name: String,
    pub keys: Vec<u64>,
    /// How many different ones there are.
    pub distinct: usize,
    /// For each access, when its key is asked for again; [`NEVER`] if it is not.
    next: Vec<u32>,
    /// Whether a program ran to make it, or this one did.
    pub is_recorded: bool,
}

/// No access has this number.
const NEVER: u32 = u32::MAX;

impl Trace {
    fn new(name: impl Into<String>, keys: Vec<u64>, is_recorded: bool) -> Self {
        assert!(keys.len() < NEVER as usize, "accesses are numbered in 32 bits");
        let mut last: HashMap<u64, u32, Hashers> = HashMap::default();
        let mut next = vec![NEVER; keys.len()];
        for (at, key) in keys.iter().enumerate() {
            if let Some(before) = last.insert(*key, at as u32) {
                next[before as usize] = at as u32;
            }
        }
        Self { name: name.into(), keys, distinct: last.len(), next, is_recorded }
    }

    /// The capacities it is replayed at, with the share of its distinct keys that each is.
    fn capacities(&self) -> Vec<(f64, usize)> {
        let shares =
            [0.01, 0.05, 0.10, 0.25, 0.50].map(|share| (share, (self.distinct as f64 * share) as usize));
        shares.into_iter().filter(|(_, capacity)| *capacity >= SMALLEST).collect()
    }
}

/// Capacities below this say more about rounding than about a policy.
const SMALLEST: usize = 64;

/// What decides how long this takes.
pub struct Effort {
    /// Accesses of each trace.
    pub accesses: usize,
    /// Replays at once.
    pub jobs: usize,
}

/// Replays the synthetic traces and those of a directory.
///
/// # Errors
///
/// When a file of the directory is not a trace; the text says which and why.
pub fn run(directory: Option<&Path>, effort: &Effort) -> Result<Report, String> {
    let mut report = Report::default();
    for name in synthetic::NAMES {
        report.add(replay::everybody(&synthetic::make(name, effort.accesses), effort.jobs));
    }
    let Some(directory) = directory else { return Ok(report) };
    for path in file::find(directory)? {
        let trace = file::read(&path, effort.accesses)?;
        report.add(replay::everybody(&trace, effort.jobs));
    }
    Ok(report)
}
