//! The command line: what may be asked, and what is wrong with a question that may not.

use std::ffi::OsString;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::thread;
use std::time::Duration;

use lexopt::{Arg, Parser, ValueExt};

pub(crate) const HELP: &str = "\
Finds near-duplicate text files, inside one budget of bytes.

Usage: near_duplicates [OPTIONS] [DIR]...

Without DIR it searches this workspace's sources, and cargo's registry of sources if there is one.

Options:
    --budget-mb N        megabytes that all caches and pools share (1 MB = 1,048,576 bytes) [64]
    --threads N          worker threads [as many as the machine runs at once]
    --threshold X        similarity from which two files are near duplicates, 0.3 to 1 [0.85]
    --limit N            pairs and clusters shown; 0 shows all [10]
    --no-cache           run the same code with every cache and pool switched off
    --no-check           do not repeat the search without caches to compare answers
    --check-seconds N    give that repetition so long, then compare what it did; 0 waits to the end [60]
    --help               this text

Similarity is the share of five-word shingles that two files have in common (Jaccard). Candidates come from minhash
bands, chosen so that a pair at the threshold is found with a probability of at least 99 %.

The exit status is 0 when the search ran, 1 when the repetition gave another answer, 2 when the command line is wrong.
";

/// One question the command line can ask.
pub(crate) enum Asked {
    Help,
    Search(Options),
}

pub(crate) struct Options {
    pub(crate) roots: Vec<PathBuf>,
    pub(crate) budget_mb: u64,
    pub(crate) threads: usize,
    pub(crate) threshold: f64,
    /// Lines shown of each list.
    pub(crate) limit: usize,
    pub(crate) caches: bool,
    pub(crate) check: bool,
    /// How long the repetition may take; `None` waits to the end.
    pub(crate) check_for: Option<Duration>,
    pub(crate) progress: bool,
}

/// Reads the arguments, program name first.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Asked, String> {
    let mut options = Options {
        roots: Vec::new(),
        budget_mb: 64,
        threads: thread::available_parallelism().map_or(1, usize::from),
        threshold: 0.85,
        limit: 10,
        caches: true,
        check: true,
        check_for: Some(Duration::from_secs(60)),
        progress: std::io::IsTerminal::is_terminal(&std::io::stderr()),
    };
    let mut parser = Parser::from_iter(args);
    while let Some(arg) = parser.next().map_err(|error| error.to_string())? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => return Ok(Asked::Help),
            Arg::Long("budget-mb") => {
                options.budget_mb = number(&mut parser, "--budget-mb", "a whole number", 1..=1 << 20)?;
            }
            Arg::Long("threads") => {
                options.threads = number(&mut parser, "--threads", "a whole number", 1..=1024)?;
            }
            Arg::Long("threshold") => {
                options.threshold = number(&mut parser, "--threshold", "a number", 0.3..=1.0)?;
            }
            Arg::Long("limit") => {
                options.limit = match number(&mut parser, "--limit", "a whole number", 0..=usize::MAX)? {
                    0 => usize::MAX,
                    limit => limit,
                };
            }
            Arg::Long("no-cache") => options.caches = false,
            Arg::Long("no-check") => options.check = false,
            Arg::Long("check-seconds") => {
                let seconds = number(&mut parser, "--check-seconds", "a whole number", 0..=1_000_000)?;
                options.check_for = (seconds > 0).then(|| Duration::from_secs(seconds));
            }
            Arg::Value(root) => options.roots.push(root.into()),
            unknown => return Err(unknown.unexpected().to_string()),
        }
    }
    if options.roots.is_empty() {
        options.roots = default_roots();
    }
    Ok(Asked::Search(options))
}

/// The value of `flag`, which must be `kind` inside `range`.
fn number<N: FromStr + PartialOrd + Display>(
    parser: &mut Parser,
    flag: &str,
    kind: &str,
    range: RangeInclusive<N>,
) -> Result<N, String> {
    let text = parser
        .value()
        .map_err(|error| error.to_string())?
        .string()
        .map_err(|_| format!("{flag} takes {kind}, and its value is not even Unicode"))?;
    let (low, high) = (range.start(), range.end());
    match text.parse::<N>() {
        Ok(value) if range.contains(&value) => Ok(value),
        _ => Err(format!("{flag} takes {kind} from {low} to {high}, not `{text}`")),
    }
}

fn default_roots() -> Vec<PathBuf> {
    // Cargo sets it for the programs it runs; a copied binary looks where it stands.
    let workspace = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from("."), PathBuf::from);
    let cargo_home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".cargo")));
    let registry = cargo_home.map(|home| home.join("registry").join("src"));
    [Some(workspace), registry.filter(|path| Path::is_dir(path))].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::{Asked, Options, parse};

    fn options(args: &[&str]) -> Result<Options, String> {
        match parse(std::iter::once("near_duplicates").chain(args.iter().copied()).map(Into::into))? {
            Asked::Search(options) => Ok(options),
            Asked::Help => Err("help".to_owned()),
        }
    }

    #[test]
    fn flags_and_directories_mix() {
        let asked = options(&["a", "--budget-mb", "8", "b", "--threads=3", "--no-check"]).unwrap();
        assert_eq!(asked.roots, ["a", "b"].map(std::path::PathBuf::from));
        assert_eq!((asked.budget_mb, asked.threads, asked.check), (8, 3, false));
    }

    #[test]
    fn nonsense_is_refused_with_the_range() {
        for (args, says) in [
            (["--budget-mb", "0"], "from 1 to"),
            (["--budget-mb", "-5"], "not `-5`"),
            (["--budget-mb", "much"], "not `much`"),
            (["--budget-mb", "99999999999999999999"], "not `99999999999999999999`"),
            (["--threads", "0"], "from 1 to 1024"),
            (["--threshold", "NaN"], "not `NaN`"),
            (["--threshold", "1.5"], "from 0.3 to 1"),
            (["--limit", "-1"], "not `-1`"),
            (["--colour", "red"], "--colour"),
        ] {
            let mistake = options(&args).err().unwrap_or_default();
            assert!(mistake.contains(says), "{args:?} said: {mistake}");
        }
    }

    #[test]
    fn a_limit_of_zero_shows_all() {
        assert_eq!(options(&["--limit", "0"]).unwrap().limit, usize::MAX);
    }
}
