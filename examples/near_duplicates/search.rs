//! The search: sign every file, set copies aside, compare what shares a band.
//!
//! No set of pairs already compared is kept: it would grow with the square of a cluster, outside every bound. A pair
//! that meets in several bands is asked for several times, and the cache of pairs answers.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::args::Options;
use crate::corpus::{Corpus, Skipped, shown};
use crate::minhash::Bands;
use crate::progress::Progress;
use crate::shingles::mix;
use crate::stages::{Skip, shingles_of, signature_of, similarity};
use crate::workers;

/// Index of a file in [`Corpus::files`].
pub(crate) type FileIdx = u32;

/// Everything a search finds out.
pub(crate) struct Found {
    /// Files that could not be compared.
    pub(crate) skipped: Skipped,
    /// Files that were compared.
    pub(crate) texts: usize,
    /// Files with the same shingles, the first standing for all in the comparisons.
    pub(crate) copies: Vec<Vec<FileIdx>>,
    /// Near duplicates, once for each band in which they met, in the order of the work.
    pub(crate) sightings: Vec<Sighting>,
    /// Buckets of the work that were searched, of how many.
    pub(crate) units_done: usize,
    pub(crate) units: usize,
    /// The most that the budget held at the end of any unit.
    pub(crate) peak_bytes: u64,
}

/// A near duplicate seen in one unit of the work.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sighting {
    pub(crate) unit: usize,
    pub(crate) pair: Pair,
}

/// Two files that are much alike, the one with the smaller index left.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pair {
    pub(crate) left: FileIdx,
    pub(crate) right: FileIdx,
    pub(crate) similarity: f64,
}

impl Found {
    /// Each pair once, the most similar first.
    pub(crate) fn pairs(&self) -> Vec<Pair> {
        let mut pairs: Vec<Pair> = self.sightings.iter().map(|sighting| sighting.pair).collect();
        pairs.sort_unstable_by(|a, b| {
            b.similarity.total_cmp(&a.similarity).then((a.left, a.right).cmp(&(b.left, b.right)))
        });
        pairs.dedup();
        pairs
    }
}

/// What the search keeps of a file outside the caches: a few dozen bytes, however long the file.
struct Signed {
    /// Equal for files with the same shingles, and for others with a chance of one in 2^64.
    identity: u64,
    band_keys: Vec<u64>,
}

/// A file's place in one band; neighbours with equal band and key are candidates.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Slot {
    band: u32,
    key: u64,
    file: FileIdx,
}

/// Searches the whole corpus; after `deadline` it starts no further comparison.
pub(crate) fn search(
    corpus: &Corpus,
    options: &Options,
    progress: &Progress,
    deadline: Option<Instant>,
) -> Found {
    let bands = Bands::for_threshold(options.threshold);
    let peak = AtomicU64::new(0);
    let finish_unit = || {
        peak.fetch_max(larder::budget().used(), Ordering::Relaxed);
        progress.step();
    };

    progress.expect_more(corpus.files.len());
    let signed = workers::run(options.threads, corpus.files.len(), None, |idx| {
        let signed = sign(&corpus.files[idx], bands);
        finish_unit();
        signed
    });
    let mut skipped = Skipped::default();
    let mut texts: Vec<(FileIdx, Signed)> = Vec::new();
    for ((idx, path), signed) in (0..).zip(&corpus.files).zip(signed) {
        match signed {
            Ok(signed) => texts.push((idx, signed)),
            Err(skip) => skipped.note(skip.reason(), example(path, skip)),
        }
    }
    let count = texts.len();
    let copies = set_copies_aside(&mut texts);
    let slots = slots(&texts);
    drop(texts);

    // One unit for each slot with a neighbour to compare: a bucket of many files is shared by many workers.
    let starts: Vec<usize> =
        slots.windows(2).enumerate().filter(|(_, pair)| meet(pair[0], pair[1])).map(|(at, _)| at).collect();
    progress.expect_more(starts.len());
    let compared = workers::run(options.threads, starts.len(), deadline, |unit| {
        let outcome = compare_with_followers(corpus, &slots[starts[unit]..], options.threshold);
        finish_unit();
        outcome
    });

    let units_done = compared.len();
    let mut sightings = Vec::new();
    for (unit, (pairs, lost)) in compared.into_iter().enumerate() {
        sightings.extend(pairs.into_iter().map(|pair| Sighting { unit, pair }));
        if let Some((idx, skip)) = lost {
            skipped.note("gone during the search", example(&corpus.files[idx as usize], skip));
        }
    }
    Found {
        skipped,
        texts: count,
        copies,
        sightings,
        units_done,
        units: starts.len(),
        peak_bytes: peak.into_inner(),
    }
}

fn sign(path: &Path, bands: Bands) -> Result<Signed, Skip> {
    let signature = signature_of(path)?;
    let identity = shingles_of(path)?.iter().fold(0, |identity: u64, shingle| mix(identity ^ shingle));
    Ok(Signed { identity, band_keys: bands.keys(&signature) })
}

/// Leaves one file of each set of copies in `texts`, the first by path, and returns the sets.
fn set_copies_aside(texts: &mut Vec<(FileIdx, Signed)>) -> Vec<Vec<FileIdx>> {
    let mut by_identity: Vec<(u64, FileIdx)> =
        texts.iter().map(|(idx, signed)| (signed.identity, *idx)).collect();
    by_identity.sort_unstable();
    let mut copies: Vec<Vec<FileIdx>> = by_identity
        .chunk_by(|a, b| a.0 == b.0)
        .filter(|same| same.len() > 1)
        .map(|same| same.iter().map(|(_, idx)| *idx).collect())
        .collect();
    copies.sort_unstable();
    let mut aside: Vec<FileIdx> = copies.iter().flat_map(|same| &same[1..]).copied().collect();
    aside.sort_unstable();
    texts.retain(|(idx, _)| aside.binary_search(idx).is_err());
    copies
}

fn slots(texts: &[(FileIdx, Signed)]) -> Vec<Slot> {
    let mut slots: Vec<Slot> = texts
        .iter()
        .flat_map(|(file, signed)| {
            (0..).zip(&signed.band_keys).map(|(band, key)| Slot { band, key: *key, file: *file })
        })
        .collect();
    slots.sort_unstable();
    slots
}

fn meet(a: Slot, b: Slot) -> bool {
    (a.band, a.key) == (b.band, b.key)
}

/// Compares the first slot with all that share its bucket and follow it; also says which file was lost, if one was.
fn compare_with_followers(
    corpus: &Corpus,
    slots: &[Slot],
    threshold: f64,
) -> (Vec<Pair>, Option<(FileIdx, Skip)>) {
    let (mut pairs, mut lost) = (Vec::new(), None);
    let Some((first, followers)) = slots.split_first() else { return (pairs, lost) };
    let path = |file: FileIdx| corpus.files[file as usize].as_path();
    for slot in followers.iter().take_while(|slot| meet(*first, **slot)) {
        // Slots are sorted, so the left index is the smaller one.
        let (left, right) = (first.file, slot.file);
        match similarity(path(left), path(right), threshold) {
            Ok(Some(similarity)) => pairs.push(Pair { left, right, similarity }),
            Ok(None) => {}
            Err(skip) => lost = Some((right, skip)),
        }
    }
    (pairs, lost)
}

fn example(path: &Path, skip: Skip) -> String {
    match skip {
        Skip::Unreadable(kind) => format!("{} ({kind})", shown(path)),
        _ => shown(path),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Found, Pair, search};
    use crate::args::{self, Asked, Options};
    use crate::corpus::{self, Corpus};
    use crate::progress::Progress;
    use crate::shingles::{jaccard, mix};
    use crate::stages::shingles_of;

    /// Families of texts: each member is the first with a little more of its words changed, up to one in eighty.
    fn write_families(root: &std::path::Path) {
        fs::create_dir_all(root).unwrap();
        for family in 0..6_u64 {
            for member in 0..6_u64 {
                let words = (0..500).map(|at| {
                    // One word of its own keeps a member from being a copy, which the search sets aside.
                    let changed = at == member || mix(family << 40 | member << 20 | at) % 400 < member;
                    let word = if changed { mix(member << 32 | at) } else { family << 32 | at };
                    format!("w{word} ")
                });
                fs::write(root.join(format!("{family}-{member}.txt")), words.collect::<String>()).unwrap();
            }
        }
    }

    fn options(root: &std::path::Path) -> Options {
        let args = ["near_duplicates", "--threads", "3"].map(Into::into);
        match args::parse(args.into_iter().chain([root.into()])) {
            Ok(Asked::Search(options)) => options,
            _ => panic!("the arguments are valid"),
        }
    }

    fn found(corpus: &Corpus, options: &Options) -> Found {
        search(corpus, options, &Progress::new("", false), None)
    }

    fn every_pair(corpus: &Corpus, threshold: f64) -> Vec<Pair> {
        let sets: Vec<_> = corpus.files.iter().map(|path| shingles_of(path).unwrap()).collect();
        let mut pairs = Vec::new();
        for right in 0..sets.len() {
            for left in 0..right {
                let similarity = jaccard(&sets[left], &sets[right]);
                if similarity >= threshold {
                    pairs.push(Pair { left: left as u32, right: right as u32, similarity });
                }
            }
        }
        pairs
    }

    #[test]
    fn the_search_finds_what_comparing_every_pair_finds() {
        let root = std::env::temp_dir().join(format!("near-duplicates-{}", std::process::id()));
        write_families(&root);
        let options = options(&root);
        let corpus = corpus::walk(&options.roots).unwrap();

        let mut expected = every_pair(&corpus, options.threshold);
        let mut seen = found(&corpus, &options).pairs();
        let order = |a: &Pair, b: &Pair| (a.left, a.right).cmp(&(b.left, b.right));
        expected.sort_by(order);
        seen.sort_by(order);

        fs::remove_dir_all(&root).unwrap();
        assert!(expected.len() > 20, "the families hold {} pairs only", expected.len());
        assert_eq!(seen, expected);
    }
}
