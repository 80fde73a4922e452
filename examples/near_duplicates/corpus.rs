//! The files a search looks at.
//!
//! Walking never follows a symbolic link, so a link cycle is nothing to fear; contents are not looked at here.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

/// Marks a directory that some program can make again, such as a build folder.
const CACHE_MARK: &str = "CACHEDIR.TAG";

/// The files below the named directories, sorted by path, and what was passed over on the way.
pub(crate) struct Corpus {
    pub(crate) files: Vec<PathBuf>,
    pub(crate) passed_over: Skipped,
}

/// Counts by reason, with one example each: enough to act on, short enough to read.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Skipped {
    reasons: BTreeMap<&'static str, (usize, String)>,
}

impl Skipped {
    pub(crate) fn note(&mut self, reason: &'static str, example: String) {
        self.reasons.entry(reason).or_insert((0, example)).0 += 1;
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, usize, &str)> {
        self.reasons.iter().map(|(reason, (count, example))| (*reason, *count, example.as_str()))
    }
}

/// Lists the regular files below `roots`.
///
/// Hidden directories and those that carry `CACHEDIR.TAG` are left out. A root that cannot be read is an error,
/// because it was asked for by name; anything unreadable below it is noted.
pub(crate) fn walk(roots: &[PathBuf]) -> Result<Corpus, String> {
    let mut corpus = Corpus { files: Vec::new(), passed_over: Skipped::default() };
    for root in roots {
        let root = fs::canonicalize(root)
            .and_then(|path| if path.is_dir() { fs::read_dir(&path).map(|_| path) } else { Ok(path) })
            .map_err(|error| format!("cannot search {}: {error}", root.display()))?;
        for entry in WalkDir::new(root).into_iter().filter_entry(wanted) {
            match entry {
                Ok(entry) if entry.file_type().is_file() => corpus.files.push(entry.into_path()),
                Ok(entry) if entry.path_is_symlink() => {
                    corpus.passed_over.note("a symbolic link", shown(entry.path()));
                }
                Ok(_) => {}
                Err(error) => {
                    let place = error.path().map_or_else(String::new, shown);
                    corpus.passed_over.note("an unreadable directory", place);
                }
            }
        }
    }
    // Roots may overlap.
    corpus.files.sort_unstable();
    corpus.files.dedup();
    Ok(corpus)
}

fn wanted(entry: &DirEntry) -> bool {
    if entry.depth() == 0 || !entry.file_type().is_dir() {
        return true;
    }
    let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
    !hidden && !entry.path().join(CACHE_MARK).is_file()
}

/// A path as a person reads it, and a shell too: from the current directory or the home directory where it lies below.
pub(crate) fn shown(path: &Path) -> String {
    let below = |base: Option<PathBuf>| {
        let rest = path.strip_prefix(fs::canonicalize(base?).ok()?).ok()?;
        (!rest.as_os_str().is_empty()).then(|| rest.to_path_buf())
    };
    match below(std::env::current_dir().ok()) {
        Some(rest) => rest.display().to_string(),
        None => match below(std::env::home_dir()) {
            Some(rest) => Path::new("~").join(rest).display().to_string(),
            None => path.display().to_string(),
        },
    }
}
