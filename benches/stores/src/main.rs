//! Which store a disk tier stands on: three of them on its work, each in a process of its own.
//!
//! The work: values of one size under keys of 16 bytes, kept within a bound by evicting others at random; every
//! eviction and every removal has to survive the end of the process (not of the machine) when the call returns, because
//! a removed value must not come back. Measured: writes with eviction at the bound, reads with a warm page cache,
//! single removals, bytes on disk against bytes kept, bytes written against bytes put, and the time to open what a
//! killed process left.
//!
//! Not measured: sync to the medium, cold reads, and several writers.
//!
//! `cargo run --release --manifest-path benches/stores/Cargo.toml -- [DIR]`

mod stores;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use stores::open;

const STORES: [&str; 3] = ["redb", "fjall", "heed"];
/// Sizes of values, and the bound on all of them.
const WORK: [(usize, u64); 4] =
    [(100, 8 << 20), (4 << 10, 64 << 20), (64 << 10, 128 << 20), (1 << 20, 256 << 20)];

fn main() {
    let mut args = std::env::args().skip(1);
    let first = args.next();
    match first.as_deref() {
        Some("--measure") => {
            let (store, dir) = (args.next().unwrap(), PathBuf::from(args.next().unwrap()));
            let (size, bound) = (number(args.next()) as usize, number(args.next()));
            measure(&store, &dir, size, bound);
        }
        Some("--write") => {
            let (store, dir) = (args.next().unwrap(), PathBuf::from(args.next().unwrap()));
            write_for_ever(&store, &dir, number(args.next()) as usize);
        }
        Some("--reopen") => {
            let (store, dir) = (args.next().unwrap(), PathBuf::from(args.next().unwrap()));
            reopen(&store, &dir, number(args.next()) as usize, number(args.next()));
        }
        Some("--fill") => {
            let (store, dir) = (args.next().unwrap(), PathBuf::from(args.next().unwrap()));
            let store = open(&store, &dir).unwrap();
            (0..DAMAGED).for_each(|number| store.put(&key(number), &value(number, 4096), None));
        }
        Some("--read") => {
            let (store, dir) = (args.next().unwrap(), PathBuf::from(args.next().unwrap()));
            read_damaged(&store, &dir);
        }
        Some("--damage") => {
            let dir = PathBuf::from(args.next().unwrap());
            STORES.iter().for_each(|store| damage(store, &dir.join(store)));
        }
        dir => all(Path::new(dir.unwrap_or("/tmp/larder-stores"))),
    }
}

fn number(text: Option<String>) -> u64 {
    text.unwrap().parse().unwrap()
}

fn all(dir: &Path) {
    println!(
        "| value | store | writes with eviction | read p50 | p99 | removal p50 | p99 | disk / kept | written / put | open after kill -9 |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for (size, bound) in WORK {
        for store in STORES {
            let place = dir.join(format!("{store}-{size}"));
            let _ = fs::remove_dir_all(&place);
            fs::create_dir_all(&place).unwrap();
            let line =
                run(&["--measure", store, place.to_str().unwrap(), &size.to_string(), &bound.to_string()]);
            let _ = fs::remove_dir_all(&place);
            fs::create_dir_all(&place).unwrap();
            let opened = kill_and_open(store, &place, size);
            println!("| {} | {store} | {line} | {opened} |", bytes(size as u64));
            let _ = fs::remove_dir_all(&place);
        }
    }
    for store in STORES {
        let place = dir.join(format!("{store}-twice"));
        let _ = fs::remove_dir_all(&place);
        fs::create_dir_all(&place).unwrap();
        let mut child = start(&["--write", store, place.to_str().unwrap(), "4096"]);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        lines.next();
        let second = std::panic::catch_unwind(|| open(store, &place).map(drop));
        let said = match second {
            Ok(Ok(())) => "opens as well".to_owned(),
            Ok(Err(error)) => format!("is refused: {error}"),
            Err(_) => "panics".to_owned(),
        };
        println!("a second process with {store}: {said}");
        child.kill().unwrap();
        child.wait().unwrap();
    }
    STORES.iter().for_each(|store| damage(store, &dir.join(format!("{store}-damaged"))));
}

/// Records in a store that is to be damaged.
const DAMAGED: u64 = 500;
const TRIALS: u32 = 10;

/// Flips 64 bits of what a store left, at random, again and again; says what comes of it.
fn damage(store: &str, dir: &Path) {
    let mut state = 7_u64;
    let mut outcomes = std::collections::BTreeMap::<String, u32>::new();
    for _ in 0..TRIALS {
        let _ = fs::remove_dir_all(dir);
        fs::create_dir_all(dir).unwrap();
        run(&["--fill", store, dir.to_str().unwrap()]);
        let files = files_in(dir);
        let mut contents: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
        for _ in 0..64 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let bytes = &mut contents[(state >> 33) as usize % files.len()];
            let at = (state >> 13) as usize % bytes.len();
            bytes[at] ^= 1 << (state >> 60 & 7);
        }
        for (file, bytes) in files.iter().zip(contents) {
            fs::write(file, bytes).unwrap();
        }
        let mut child = Command::new(std::env::current_exe().unwrap());
        let child = child.args(["--read", store, dir.to_str().unwrap()]).stderr(Stdio::null());
        let output = child.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let outcome = if output.status.success() { said } else { format!("ends by {}", output.status) };
        *outcomes.entry(outcome).or_insert(0) += 1;
    }
    let _ = fs::remove_dir_all(dir);
    println!("64 flipped bits, {TRIALS} times, with {store}: {outcomes:?}");
}

/// All files below, but for what nobody reads again: empty ones, and locks.
fn files_in(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let (path, data) = (entry.path(), entry.metadata().unwrap());
        if data.is_dir() {
            files.extend(files_in(&path));
        } else if data.len() > 0 && !path.ends_with("lock.mdb") {
            files.push(path);
        }
    }
    files
}

fn read_damaged(name: &str, dir: &Path) {
    let store = match open(name, dir) {
        Ok(store) => store,
        Err(_) => return print!("says so when it is opened"),
    };
    let wrong = (0..DAMAGED)
        .filter(|number| store.get(&key(*number)).is_some_and(|found| found != value(*number, 4096)))
        .count();
    print!("{}", if wrong > 0 { "wrong values" } else { "no wrong value" });
}

fn start(args: &[&str]) -> std::process::Child {
    Command::new(std::env::current_exe().unwrap()).args(args).stdout(Stdio::piped()).spawn().unwrap()
}

fn run(args: &[&str]) -> String {
    let output = start(args).wait_with_output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Keys that count up, mixed.
fn key(number: u64) -> [u8; 16] {
    let mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut key = [0; 16];
    key[..8].copy_from_slice(&mixed.to_be_bytes());
    key[8..].copy_from_slice(&number.to_be_bytes());
    key
}

/// Incompressible, and told by its number.
fn value(number: u64, size: usize) -> Vec<u8> {
    let mut state = number.wrapping_mul(0xD1B5_4A32_D192_ED03) | 1;
    let mut value = Vec::with_capacity(size + 8);
    while value.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        value.extend(state.to_le_bytes());
    }
    value.truncate(size);
    value
}

fn measure(name: &str, dir: &Path, size: usize, bound: u64) {
    let store = open(name, dir).unwrap();
    let most = (bound / size as u64) as usize;
    let mut kept: Vec<u64> = Vec::new();
    let mut state = 1_u64;
    let mut roll = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut next = 0;
    let mut put = |kept: &mut Vec<u64>, roll: &mut dyn FnMut() -> u64| {
        let gone = (kept.len() >= most).then(|| kept.swap_remove(roll() as usize % kept.len()));
        store.put(&key(next), &value(next, size), gone.map(key).as_ref());
        kept.push(next);
        next += 1;
    };
    while kept.len() < most {
        put(&mut kept, &mut roll);
    }
    let (written, began) = (written_bytes(), Instant::now());
    for _ in 0..most {
        put(&mut kept, &mut roll);
    }
    let took = began.elapsed().as_secs_f64();
    let amplified = (written_bytes() - written) as f64 / (most * size) as f64;
    let rate = (most * size) as f64 / took / f64::from(1 << 20);
    let disk = disk_bytes(dir) as f64 / (most * size) as f64;
    let samples = most.min(20_000);
    let reads = times(samples, || {
        let of = kept[roll() as usize % kept.len()];
        let read = store.get(&key(of)).expect("what is kept is there");
        assert_eq!(read.len(), size);
    });
    let removals = times(samples.min(500).min(kept.len() / 2), || {
        let of = kept.swap_remove(roll() as usize % kept.len());
        store.remove(&key(of));
    });
    print!(
        "{rate:.0} MB/s | {} | {} | {} | {} | {disk:.2} | {amplified:.2}",
        time(reads[reads.len() / 2]),
        time(reads[reads.len() * 99 / 100]),
        time(removals[removals.len() / 2]),
        time(removals[removals.len() * 99 / 100]),
    );
}

fn times(count: usize, mut act: impl FnMut()) -> Vec<f64> {
    let mut times: Vec<f64> = (0..count)
        .map(|_| {
            let began = Instant::now();
            act();
            began.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times
}

/// Writes, says what is written, and removes every third again.
fn write_for_ever(name: &str, dir: &Path, size: usize) {
    let store = open(name, dir).unwrap();
    println!("open");
    for number in 0_u64.. {
        store.put(&key(number), &value(number, size), None);
        if number % 3 == 2 {
            store.remove(&key(number - 1));
        }
        println!("{number}");
    }
}

/// Kills a writer in its work; then another process says how long it takes to open what it left, and what is in there.
fn kill_and_open(name: &str, dir: &Path, size: usize) -> String {
    let mut child = start(&["--write", name, dir.to_str().unwrap(), &size.to_string()]);
    let enough = (64 << 20) / size.max(2000) as u64;
    let mut last = 0;
    for line in BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
        last = line.parse().unwrap_or(last);
        if last >= enough {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    run(&["--reopen", name, dir.to_str().unwrap(), &size.to_string(), &last.to_string()])
}

fn reopen(name: &str, dir: &Path, size: usize, last: u64) {
    let began = Instant::now();
    let store = match open(name, dir) {
        Ok(store) => store,
        Err(error) => {
            print!("does not open: {error}");
            return;
        }
    };
    let took = began.elapsed().as_secs_f64();
    let (mut lost, mut back, mut wrong) = (0, 0, 0);
    for number in 0..last {
        let removed = number % 3 == 1 && number + 1 < last;
        match store.get(&key(number)) {
            Some(_) if removed => back += 1,
            Some(found) if found != value(number, size) => wrong += 1,
            None if !removed && number % 3 != 1 => lost += 1,
            _ => {}
        }
    }
    print!("{}, {lost} of {last} lost, {back} removed are back, {wrong} wrong", time(took));
}

/// Bytes that this process had the system write.
fn written_bytes() -> u64 {
    let io = fs::read_to_string("/proc/self/io").unwrap_or_default();
    let of = |name: &str| -> u64 {
        let line = io.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.trim().parse().ok()).unwrap_or(0)
    };
    of("wchar:")
}

fn disk_bytes(dir: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let Ok(entries) = fs::read_dir(dir) else { return 0 };
    let of = |entry: fs::DirEntry| match entry.metadata() {
        Ok(data) if data.is_dir() => disk_bytes(&entry.path()),
        Ok(data) => data.blocks() * 512,
        Err(_) => 0,
    };
    entries.flatten().map(of).sum()
}

fn time(seconds: f64) -> String {
    match seconds * 1e6 {
        micros if micros < 1000.0 => format!("{micros:.1} us"),
        micros if micros < 1e6 => format!("{:.1} ms", micros / 1e3),
        micros => format!("{:.2} s", micros / 1e6),
    }
}

fn bytes(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{} KB", bytes >> 10),
        _ => format!("{} MB", bytes >> 20),
    }
}
