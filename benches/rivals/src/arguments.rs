//! The command line.

use std::path::PathBuf;

use lexopt::prelude::*;

pub const HELP: &str = "\
Measures larder beside the caching crates that a Rust program would use instead, and prints tables as Markdown.

    larder-rivals [PART..] [OPTIONS]

Parts, all of them unless some are named:
    hit           look-ups that find their key, 1,024 and 262,144 resident, one thread
    annotated     the same through attribute macros
    threads       the same from 1, 2, 4 and 8 threads
    compute-0.99  get or compute, zipf 0.99, from 1, 2 and 8 threads
    compute-1.2   the same with zipf 1.2
    pair          look-ups by a borrowed (&str, u32), with allocations
    insert        inserts that evict, 1 and 2 threads
    miss          get or compute where nothing is found
    pool-objects  a lease and its return, a struct, 1 and 2 threads
    pool-vectors  the same for a vector of 64 KiB
    pool-buffers  a buffer of 64 KiB that nobody zeroes
    pool-turns    eight pools in turn against one
    pool-burst    sixteen buffers of a megabyte at once
    pool-waiting  tasks that wait for each other's objects
    bytes         bytes beside key and value
    large         ten million entries in a domain of 2 GB; only if named where --quick is given
    traces        hit ratios
    split         eight caches under one budget: compute time paid again, counted and not timed
    real          five functions that do real work under one budget: time in bodies, resident memory

Options:
    --quick         fewer rounds, fewer accesses: minutes, for a look rather than for a table
    --traces DIR    a folder of recorded traces, *.ltr.zst; or the variable LARDER_TRACES
    --plots DIR     also draws SVG pictures into this folder, made if it is missing
    --jobs N        replays at once; as many as there are cores unless given
    --help          this text
";

/// Everything that can be measured, in the order in which it is.
pub const PARTS: [&str; 19] = [
    "hit",
    "annotated",
    "threads",
    "compute-0.99",
    "compute-1.2",
    "pair",
    "insert",
    "miss",
    "pool-objects",
    "pool-vectors",
    "pool-buffers",
    "pool-turns",
    "pool-burst",
    "pool-waiting",
    "bytes",
    "large",
    "traces",
    "split",
    "real",
];

#[derive(Debug, Default)]
pub struct Arguments {
    parts: Vec<String>,
    pub is_quick: bool,
    pub traces: Option<PathBuf>,
    pub plots: Option<PathBuf>,
    pub jobs: Option<usize>,
    /// A part of a part, for a process that was started for it.
    pub child: Option<String>,
    pub wants_help: bool,
}

impl Arguments {
    /// Reads the command line and the environment.
    pub fn read() -> Result<Self, lexopt::Error> {
        let traces = std::env::var_os("LARDER_TRACES").filter(|path| !path.is_empty()).map(PathBuf::from);
        Self::parse(lexopt::Parser::from_env(), traces)
    }

    fn parse(mut parser: lexopt::Parser, traces: Option<PathBuf>) -> Result<Self, lexopt::Error> {
        let mut arguments = Self { traces, ..Self::default() };
        while let Some(argument) = parser.next()? {
            match argument {
                Long("quick") => arguments.is_quick = true,
                Long("traces") => arguments.traces = Some(parser.value()?.into()),
                Long("plots") => arguments.plots = Some(parser.value()?.into()),
                Long("jobs") => arguments.jobs = Some(parser.value()?.parse()?),
                Long("child") => arguments.child = Some(parser.value()?.string()?),
                Long("help") | Short('h') => arguments.wants_help = true,
                Value(part) => {
                    let part = part.string()?;
                    if !PARTS.contains(&part.as_str()) {
                        return Err(format!("there is no part `{part}`: {}", PARTS.join(", ")).into());
                    }
                    arguments.parts.push(part);
                }
                other => return Err(other.unexpected()),
            }
        }
        Ok(arguments)
    }

    /// Whether a part is to be measured.
    pub fn wants(&self, part: &str) -> bool {
        if self.parts.is_empty() {
            !(self.is_quick && part == "large")
        } else {
            self.parts.iter().any(|p| p == part)
        }
    }

    /// Whether nothing else is.
    pub fn is_only(&self, part: &str) -> bool {
        self.parts.iter().all(|p| p == part) && !self.parts.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::Arguments;

    fn parse(line: &str) -> Result<Arguments, lexopt::Error> {
        Arguments::parse(lexopt::Parser::from_args(line.split_whitespace()), None)
    }

    #[test]
    fn all_parts_but_the_longest_make_the_quick_form() {
        let quick = parse("--quick").unwrap();
        assert!(quick.wants("hit") && quick.wants("traces") && !quick.wants("large"));
        assert!(parse("").unwrap().wants("large"));
        let named = parse("--quick large bytes --traces some/where").unwrap();
        assert!(named.wants("large") && named.wants("bytes") && !named.wants("hit"));
        assert_eq!(named.traces.as_deref(), Some("some/where".as_ref()));
        assert!(parse("pool-burst").unwrap().is_only("pool-burst"));
        assert!(!named.is_only("bytes") && !quick.is_only("hit"));
    }

    #[test]
    fn what_does_not_exist_is_refused() {
        assert!(parse("fastest").is_err());
        assert!(parse("--jobs many").is_err());
        assert!(parse("--slow").is_err());
    }
}
