//! Looks into a directory of larder's tier on disk, while no program has it: what is there, whether it is whole.
//!
//! Shows sizes and numbers, and nothing of keys and values.
//!
//! ```text
//! cargo run --release --features disk --example inspect -- /var/cache/app
//! cargo run --release --features disk --example inspect -- /var/cache/app --sizes
//! cargo run --release --features disk --example inspect -- /var/cache/app --clear pages-0123456789abcdef
//! ```

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use larder::StoreError;
use larder::disk::inspect::{self, Inspected};
use lexopt::prelude::*;

#[derive(Default)]
struct Arguments {
    path: Option<PathBuf>,
    sizes: bool,
    clear: Vec<String>,
}

fn arguments() -> Result<Arguments, lexopt::Error> {
    let (mut read, mut arguments) = (lexopt::Parser::from_env(), Arguments::default());
    while let Some(argument) = read.next()? {
        match argument {
            Long("sizes") => arguments.sizes = true,
            Long("clear") => arguments.clear.push(read.value()?.string()?),
            Value(path) if arguments.path.is_none() => arguments.path = Some(OsString::into(path)),
            other => return Err(other.unexpected()),
        }
    }
    Ok(arguments)
}

/// How many records there are of each size, in powers of two.
fn show_sizes(inspected: &Inspected, name: &str) -> Result<(), StoreError> {
    let mut counts = [0_u64; 33];
    for (_, value) in inspected.sizes(name)? {
        counts[value.max(1).ilog2() as usize] += 1;
    }
    for (power, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        println!("    {count:>10} values of {} bytes and more", 1_u64 << power);
    }
    Ok(())
}

fn run(arguments: &Arguments, path: &PathBuf) -> Result<bool, StoreError> {
    let inspected = inspect::open(path)?;
    for name in &arguments.clear {
        inspected.clear(name)?;
        println!("{name}: cleared");
    }
    let mut is_whole = true;
    for name in inspected.caches()? {
        let contents = inspected.verify(&name)?;
        is_whole &= contents.damaged + contents.missing == 0;
        println!("{contents}");
        if arguments.sizes {
            show_sizes(&inspected, &name)?;
        }
    }
    println!("{} bytes on disk in all", inspected.bytes());
    Ok(is_whole)
}

fn main() -> ExitCode {
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    let Some(path) = &arguments.path else {
        eprintln!("usage: inspect DIRECTORY [--sizes] [--clear NAME]..");
        return ExitCode::from(2);
    };
    match run(&arguments, path) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}
