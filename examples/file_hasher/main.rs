//! Hashes the files below some directories: one thread reads, others hash, and what goes between them is buffers of a pool.
//!
//! The reader takes an empty buffer, reads into it without zeroing it first, and sends it on; whoever hashed it drops it,
//! and it is there for the next read. So the program works in the same few buffers, whatever it reads, and their memory is
//! asked of the system once. The hash is FNV-1a of 64 bits: it tells files apart that nobody made alike on purpose.
//!
//! ```text
//! cargo run --release --example file_hasher -- ~/notes ~/drafts
//! ```

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Instant;

use larder::{Buffer, pooled};
use walkdir::WalkDir;

/// What is read at a time.
const CHUNK: usize = 256 * 1024;
/// Threads that hash.
const HASHERS: usize = 2;
/// Buffers that wait for each of them, at the most: the reader waits for who is slower.
const QUEUED: usize = 4;

/// The buffers on their way from the reader to the hashers.
#[pooled(buffer, classes = [CHUNK], max_mb = 4)]
struct Chunks;

/// What the reader tells a hasher.
enum Message {
    /// Of this file, in the order in which its bytes come.
    Chunk(usize, Buffer),
    /// It could not be read to the end.
    Unreadable(usize, io::Error),
}

fn main() -> ExitCode {
    let roots: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    if roots.is_empty() || roots.iter().any(|root| !root.exists()) {
        eprintln!("error: name files or directories that exist, as in `file_hasher ~/notes`");
        return ExitCode::from(2);
    }
    match run(&roots) {
        Ok(()) => ExitCode::SUCCESS,
        // `file_hasher | head` closes our output early; that is no failure.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: cannot write the results: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(roots: &[PathBuf]) -> io::Result<()> {
    larder::budget().set_limit_mb(16);
    let entries = roots.iter().flat_map(|root| WalkDir::new(root).sort_by_file_name());
    // What cannot be looked into is passed over, as `find` does.
    let files = entries.filter_map(Result::ok).filter(|entry| entry.file_type().is_file());
    let files: Vec<PathBuf> = files.map(walkdir::DirEntry::into_path).collect();

    let started = Instant::now();
    let mut hashes = BTreeMap::new();
    thread::scope(|scope| {
        let mut hashers = Vec::new();
        let mut queues = Vec::new();
        for _ in 0..HASHERS {
            let (queue, arrived) = sync_channel(QUEUED);
            queues.push(queue);
            hashers.push(scope.spawn(move || hash_all(&arrived)));
        }
        // All of one file goes to one hasher, so that its bytes stay in order.
        for (at, path) in files.iter().enumerate() {
            read(at, path, &queues[at % HASHERS]);
        }
        drop(queues);
        for hasher in hashers {
            hashes.extend(hasher.join().expect("a hasher does not panic"));
        }
    });
    report(&files, &hashes, started)
}

/// Sends what is in a file, and an empty buffer at its end, so that empty files are heard of, too.
fn read(at: usize, path: &PathBuf, queue: &SyncSender<Message>) {
    let sent = |message| queue.send(message).expect("hashers work until the reader is done");
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) => return sent(Message::Unreadable(at, error)),
    };
    loop {
        let mut chunk = Chunks::acquire(CHUNK);
        match chunk.read_from(&mut file) {
            Ok(0) => return sent(Message::Chunk(at, chunk)),
            Ok(_) => sent(Message::Chunk(at, chunk)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return sent(Message::Unreadable(at, error)),
        }
    }
}

/// What became of a file.
enum Outcome {
    Hash { hash: u64, bytes: u64 },
    Unreadable(io::Error),
}

fn hash_all(arrived: &Receiver<Message>) -> BTreeMap<usize, Outcome> {
    let mut outcomes = BTreeMap::new();
    for message in arrived {
        match message {
            Message::Chunk(at, chunk) => {
                let start = Outcome::Hash { hash: FNV_OFFSET, bytes: 0 };
                if let Outcome::Hash { hash, bytes } = outcomes.entry(at).or_insert(start) {
                    *hash = fnv(*hash, &chunk);
                    *bytes += chunk.len() as u64;
                }
                // The buffer goes back to the pool here.
            }
            Message::Unreadable(at, error) => {
                outcomes.insert(at, Outcome::Unreadable(error));
            }
        }
    }
    outcomes
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

fn fnv(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

fn report(files: &[PathBuf], outcomes: &BTreeMap<usize, Outcome>, started: Instant) -> io::Result<()> {
    let took = started.elapsed();
    let mut out = io::stdout().lock();
    let (mut hashed, mut all) = (0, 0);
    for (at, outcome) in outcomes {
        let path = files[*at].display();
        match outcome {
            Outcome::Hash { hash, bytes } => {
                (hashed, all) = (hashed + 1, all + bytes);
                writeln!(out, "{hash:016x}  {bytes:>12}  {path}")?;
            }
            Outcome::Unreadable(error) => writeln!(out, "cannot read {path}: {error}")?,
        }
    }
    let stats = Chunks::pool().stats();
    let most = stats.classes.iter().map(|class| class.idle + class.leased).sum::<u64>();
    writeln!(out, "\n{hashed} files, {all} bytes in {took:.1?}")?;
    writeln!(out, "{} buffers were filled; {most} were enough for that", stats.leases)?;
    writeln!(out, "\n{}", larder::stats())?;
    // Each hasher has one in hand, and so has the reader.
    let bound = (HASHERS * (QUEUED + 1) + 1) as u64;
    assert!(most <= bound, "{most} buffers, where {bound} can be out at a time");
    Ok(())
}
