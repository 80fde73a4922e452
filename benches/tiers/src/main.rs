//! What larder's tiers bring, in memory and on disk, beside the crates that keep values on a disk: one command, every
//! table, each with the bar that it is held to.
//!
//! Everything is in the page cache of the system, and nothing waits for the medium: larder and foyer write without a
//! sync, `cached` is told not to. What was written survives a kill of the process with the first two, and not with the
//! third before its flush.
//!
//! `cargo run --release --manifest-path benches/tiers/Cargo.toml -- [PART..]`, or `cargo xtask rivals tiers`

mod hits;
mod restart;
mod stores;
mod table;
mod texts;
mod warm;
mod writes;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub const MB: u64 = 1 << 20;

const HELP: &str = "\
Measures larder's tiers, beside foyer and `cached` where these have such a thing, and prints tables as Markdown.

    larder-tiers [PART..] [--dir DIR]

Parts, all of them unless some are named:
    warm      records in memory: bytes, a hit beside computing, what is computed under one budget
    hits      a hit on disk, 4 KB and 64 KB
    writes    writes with eviction at the bound, and bytes on disk
    restart   opening what a process left with 1 GB on disk

DIR is an empty place on a disk; one in the system's folder for such unless given. It needs 6 GB.
";

type Part = (&'static str, fn(&Path) -> Result<(), Box<dyn Error>>);
const PARTS: [Part; 4] =
    [("warm", warm::print), ("hits", hits::print), ("writes", writes::print), ("restart", restart::print)];

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode, Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (mut parts, mut dir) = (Vec::new(), None);
    while let Some(arg) = args.next() {
        match &*arg {
            "--child" => return restart::child(args).map(|()| ExitCode::SUCCESS),
            "--dir" => dir = Some(PathBuf::from(args.next().ok_or("--dir wants a folder")?)),
            part if PARTS.iter().any(|(name, _)| *name == part) => parts.push(arg),
            "--help" => {
                print!("{HELP}");
                return Ok(ExitCode::SUCCESS);
            }
            other => {
                eprint!("error: what is `{other}`?\n\n{HELP}");
                return Ok(ExitCode::from(2));
            }
        }
    }
    let dir =
        dir.unwrap_or_else(|| std::env::temp_dir().join(format!("larder-tiers-{}", std::process::id())));
    fs::create_dir_all(&dir)?;
    let measured = PARTS
        .iter()
        .filter(|(name, _)| parts.is_empty() || parts.iter().any(|part| part == name))
        .try_for_each(|(name, print)| {
            eprintln!("   {name}");
            print(&dir)
        });
    fs::remove_dir_all(&dir)?;
    measured.map(|()| ExitCode::SUCCESS)
}

/// An empty folder of this name.
pub fn fresh(dir: &Path, name: &str) -> Result<PathBuf, Box<dyn Error>> {
    let place = dir.join(name);
    if place.exists() {
        fs::remove_dir_all(&place)?;
    }
    fs::create_dir_all(&place)?;
    Ok(place)
}

/// Bytes that all files below a folder take on the disk; what is removed meanwhile takes none.
pub fn on_disk(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => on_disk(&entry.path()),
            Ok(metadata) => metadata.blocks() * 512,
            Err(_) => 0,
        })
        .sum()
}
