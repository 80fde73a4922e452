//! The expensive steps, annotated. This file is all that larder asks of the program.
//!
//! Each function is written as if there were no cache: it calls the stage before it whenever it needs a result. Which
//! results stay in memory is larder's business, within the one budget that `main` sets.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use larder::{cached, pooled};

use crate::minhash::{self, Signature};
use crate::shingles::{self, SHINGLE_WORDS};

/// Files above it are data more often than text, and one of them would be a large part of a small budget.
const MAX_FILE_BYTES: usize = 4 << 20;

/// How far a signature's estimate may lie below the truth: five standard deviations at the worst similarity.
const ESTIMATE_MARGIN: f64 = 0.22;

/// Why a file takes no part in the search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Skip {
    /// It cannot be opened or read, or went away.
    Unreadable(io::ErrorKind),
    /// It holds a zero byte.
    Binary,
    /// It is not UTF-8.
    NotUtf8,
    TooLarge,
    TooShort,
}

impl Skip {
    /// The reason as the summary words it.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Unreadable(_) => "unreadable",
            Self::Binary => "binary",
            Self::NotUtf8 => "not UTF-8",
            Self::TooLarge => "larger than 4 MB",
            Self::TooShort => "shorter than five words",
        }
    }
}

/// Scratch space of the tokenizer: it grows to the largest file a worker has seen, so it is worth keeping.
#[pooled(max = 64, max_mb = 16, reset = Self::clear)]
#[derive(Default, larder::Weigh)]
struct Tokenizer {
    bytes: Vec<u8>,
    words: Vec<u64>,
    shingles: Vec<u64>,
}

impl Tokenizer {
    fn clear(&mut self) {
        self.bytes.clear();
        self.words.clear();
        self.shingles.clear();
    }

    /// Reads one file and hands out its shingles.
    fn tokenize(&mut self, path: &Path) -> Result<&[u64], Skip> {
        let unreadable = |error: io::Error| Skip::Unreadable(error.kind());
        let file = File::open(path).map_err(unreadable)?;
        // One byte more than allowed tells a file that is too large from one that just fits, whatever its
        // metadata claims.
        file.take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut self.bytes).map_err(unreadable)?;
        if self.bytes.len() > MAX_FILE_BYTES {
            return Err(Skip::TooLarge);
        }
        if self.bytes.contains(&0) {
            return Err(Skip::Binary);
        }
        let text = str::from_utf8(&self.bytes).map_err(|_| Skip::NotUtf8)?;
        shingles::hash_words(text, &mut self.words);
        if self.words.len() < SHINGLE_WORDS {
            return Err(Skip::TooShort);
        }
        shingles::from_words(&self.words, &mut self.shingles);
        Ok(&self.shingles)
    }
}

/// The distinct shingles of a file, sorted.
#[cached]
pub(crate) fn shingles_of(path: &Path) -> Result<Arc<[u64]>, Skip> {
    Tokenizer::acquire().tokenize(path).map(Arc::from)
}

/// The minhash signature of a file: half a kilobyte that stands for all of it.
#[cached]
pub(crate) fn signature_of(path: &Path) -> Result<Arc<Signature>, Skip> {
    Ok(Arc::new(minhash::signature(&shingles_of(path)?)))
}

/// How much of `left` and `right` is the same, 0 to 1; `None` when it is below `threshold`.
///
/// Both orders are one question, so they must be one key: callers pass the smaller path first, as
/// [`similarity`] does.
#[cached]
fn similarity_in_order(left: &Path, right: &Path, threshold: f64) -> Result<Option<f64>, Skip> {
    // Most candidates that are no near duplicates end here, without the files being read again.
    if minhash::estimate(&*signature_of(left)?, &*signature_of(right)?) < threshold - ESTIMATE_MARGIN {
        return Ok(None);
    }
    let similarity = shingles::jaccard(&shingles_of(left)?, &shingles_of(right)?);
    Ok((similarity >= threshold).then_some(similarity))
}

/// How much of two files is the same, in whatever order they come.
pub(crate) fn similarity(a: &Path, b: &Path, threshold: f64) -> Result<Option<f64>, Skip> {
    similarity_in_order(a.min(b), a.max(b), threshold)
}

#[cfg(test)]
mod tests {
    use super::{Skip, shingles_of};
    use std::path::Path;

    #[test]
    fn a_missing_file_is_unreadable() {
        let missing = Path::new("no such directory/no such file");
        assert_eq!(shingles_of(missing).unwrap_err(), Skip::Unreadable(std::io::ErrorKind::NotFound));
    }
}
