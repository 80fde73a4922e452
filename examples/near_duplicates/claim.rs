//! The claim of every cache, checked: the same answer, without it.
//!
//! The second run is the same code with larder switched off. It has an easier start, because the system already holds
//! the files in memory.

use std::time::{Duration, Instant};

use crate::args::Options;
use crate::corpus::{Corpus, shown};
use crate::progress::Progress;
use crate::search::{self, Found, Sighting};

/// How the repetition went.
pub(crate) struct Verdict {
    pub(crate) took: Duration,
    /// Units of the work it got through in its time, of how many.
    pub(crate) units_done: usize,
    pub(crate) units: usize,
    /// The first thing that was not the same.
    pub(crate) difference: Option<String>,
}

impl Verdict {
    pub(crate) fn holds(&self) -> bool {
        self.difference.is_none()
    }
}

/// Repeats the search with all caches bypassed, and compares.
pub(crate) fn same_without_caches(corpus: &Corpus, options: &Options, with: &Found) -> Verdict {
    larder::set_bypass(true);
    let started = Instant::now();
    let deadline = options.check_for.map(|limit| started + limit);
    let without = search::search(
        corpus,
        options,
        &Progress::new("checking without caches", options.progress),
        deadline,
    );
    let took = started.elapsed();
    larder::set_bypass(false);
    Verdict {
        took,
        units_done: without.units_done,
        units: without.units,
        difference: difference(corpus, with, &without),
    }
}

fn difference(corpus: &Corpus, with: &Found, without: &Found) -> Option<String> {
    if with.skipped != without.skipped {
        return Some("other files were passed over".to_owned());
    }
    if with.copies != without.copies {
        return Some("other sets of copies were found".to_owned());
    }
    // The second run may have stopped early; the work has an order, so its part is a prefix.
    let done = with.sightings.partition_point(|sighting| sighting.unit < without.units_done);
    let (with, without) = (&with.sightings[..done], &without.sightings[..]);
    let at = (0..with.len().max(without.len())).find(|&at| with.get(at) != without.get(at))?;
    let say = |sighting: Option<&Sighting>| match sighting {
        Some(Sighting { pair, .. }) => {
            let [left, right] = [pair.left, pair.right].map(|file| shown(&corpus.files[file as usize]));
            format!("{left} and {right} at {}", pair.similarity)
        }
        None => "no further pair".to_owned(),
    };
    Some(format!("with caches: {}; without: {}", say(with.get(at)), say(without.get(at))))
}
