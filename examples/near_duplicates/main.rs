//! Finds near-duplicate text files below some directories, inside one budget of bytes.
//!
//! Three annotated functions and one pooled struct do the work (`stages.rs`); everything else is an ordinary program
//! that calls them and never mentions a cache. It is not a tool for exact copies alone (hashing finds those faster),
//! nor for fragments: two files count as near duplicates when most of their five-word shingles are the same.
//!
//! ```text
//! cargo run --release --example near_duplicates -- --budget-mb 32 ~/notes ~/drafts
//! ```

mod args;
mod claim;
mod corpus;
mod minhash;
mod progress;
mod report;
mod search;
mod shingles;
mod stages;
mod workers;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Instant;

use args::{Asked, Options};
use progress::Progress;

fn main() -> ExitCode {
    let options = match args::parse(std::env::args_os()) {
        Ok(Asked::Search(options)) => options,
        Ok(Asked::Help) => {
            // Nobody is left to tell when standard output is closed.
            let _ = io::stdout().write_all(args::HELP.as_bytes());
            return ExitCode::SUCCESS;
        }
        Err(mistake) => return usage_error(&mistake),
    };
    match run(&options) {
        Ok(code) => code,
        Err(Trouble::Directory(mistake)) => usage_error(&mistake),
        // `near_duplicates | head` closes our output early; that is no failure.
        Err(Trouble::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(Trouble::Output(error)) => {
            eprintln!("error: cannot write the results: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What ends a search early.
enum Trouble {
    /// A directory that was named cannot be searched.
    Directory(String),
    /// The results cannot be written.
    Output(io::Error),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

fn run(options: &Options) -> Result<ExitCode, Trouble> {
    larder::budget().set_limit_mb(options.budget_mb);
    larder::set_bypass(!options.caches);

    let corpus = corpus::walk(&options.roots).map_err(Trouble::Directory)?;
    let started = Instant::now();
    let found = search::search(&corpus, options, &Progress::new("searching", options.progress), None);
    let took = started.elapsed();
    let stats = larder::stats();

    let mut out = io::stdout().lock();
    report::results(&mut out, &corpus, &found, options)?;
    report::effort(&mut out, &found, options, took)?;
    writeln!(out, "\n{stats}")?;

    if options.check && options.caches && !corpus.files.is_empty() {
        let verdict = claim::same_without_caches(&corpus, options, &found);
        writeln!(out)?;
        report::verdict(&mut out, &verdict, took)?;
        if !verdict.holds() {
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn usage_error(mistake: &str) -> ExitCode {
    eprintln!("error: {mistake}\n\nSee `near_duplicates --help`.");
    ExitCode::from(2)
}
