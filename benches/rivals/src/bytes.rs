//! What an entry takes beside its key and its value.
//!
//! Every cache is filled twice over with new keys, so that tables, sketches and the memory of evicted keys are all
//! there, and its bytes are what its thread allocated for it and did not free.

use crate::allocations::held_by;
use crate::contestants::{
    Cached, Foyer, FoyerLfu, FoyerS3Fifo, Larder, LruInMutex, MiniMoka, Moka, Numbers, QuickCache,
    SieveCache, TinyUfo,
};
use crate::table::markdown;

/// Bytes of a `u64` and a `u64`.
const PAYLOAD: f64 = 16.0;

struct Line {
    name: &'static str,
    /// Entries of the cache, and bytes beside key and value of each.
    measured: Vec<(usize, f64)>,
}

/// Prints the bytes at several numbers of entries: tables grow in steps, and each shows its worst and its best.
pub fn print(steps: usize) {
    let first = 600_000;
    let sizes: Vec<usize> = (0..steps).map(|step| first + step * first / (steps - 1)).collect();
    println!("\n### Bytes beside key and value, u64 -> u64, {first} to {} entries\n", 2 * first);
    // Every other size for the rivals: filling them takes most of the time.
    let fewer: Vec<usize> = sizes.iter().copied().step_by(2).collect();
    println!(
        "From a counting allocator, blocks as the system rounds them; {steps} sizes, {} for rivals.\n",
        fewer.len()
    );

    let mut ours = Line { name: "larder", measured: Vec::new() };
    let mut charged = Line { name: "larder, as charged to the budget", measured: Vec::new() };
    for &entries in &sizes {
        let (cache, bytes) = held_by(|| filled(Larder::with_both_bounds(entries), entries));
        ours.measured.push((entries, beside(bytes, cache.resident().unwrap_or(0))));
        charged.measured.push((entries, beside(cache.weight(), cache.resident().unwrap_or(0))));
    }
    let mut lines = vec![ours, charged];
    macro_rules! rivals {
        ($($cache:ty),*) => { $(lines.push(rival::<$cache>(&fewer));)* };
    }
    rivals!(
        QuickCache,
        TinyUfo,
        Moka,
        MiniMoka,
        Foyer,
        FoyerLfu,
        FoyerS3Fifo,
        Cached,
        SieveCache,
        LruInMutex
    );

    let mut cells =
        vec![["", "best", "at entries", "worst", "at entries", "mean"].map(str::to_owned).to_vec()];
    for Line { name, measured } in &lines {
        let by_bytes = |a: &&(usize, f64), b: &&(usize, f64)| a.1.total_cmp(&b.1);
        let (Some(best), Some(worst)) = (measured.iter().min_by(by_bytes), measured.iter().max_by(by_bytes))
        else {
            continue;
        };
        let mean = measured.iter().map(|(_, bytes)| bytes).sum::<f64>() / measured.len() as f64;
        cells.push(vec![
            (*name).to_owned(),
            format!("{:.1}", best.1),
            best.0.to_string(),
            format!("{:.1}", worst.1),
            worst.0.to_string(),
            format!("{mean:.1}"),
        ]);
    }
    markdown(&cells);
}

fn rival<C: Numbers>(sizes: &[usize]) -> Line {
    let measure = |&entries: &usize| {
        let (cache, bytes) = held_by(|| filled(C::in_one_piece(entries), entries));
        (entries, beside(bytes, cache.resident().unwrap_or(entries as u64)))
    };
    Line { name: C::NAME, measured: sizes.iter().map(measure).collect() }
}

fn filled<C: Numbers>(cache: C, entries: usize) -> C {
    for key in 0..2 * entries as u64 {
        cache.insert(key, key);
        // Little enough that what waits to be done is never much of what is held.
        if key % 1024 == 0 {
            cache.settle();
        }
    }
    cache.settle();
    cache
}

fn beside(bytes: u64, resident: u64) -> f64 {
    bytes as f64 / resident as f64 - PAYLOAD
}
