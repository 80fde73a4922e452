//! A hit on disk: values of one size, all in the files, asked for at random by one thread.
//!
//! Everything was read once before, and nothing often enough to come into larder's memory. Contestants take turns. None
//! has a memory of its own for values; each reads through the system's page cache, or through its own cache of pages, as
//! it comes.

use std::error::Error;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use crate::stores::{Cached, Foyer, Larder, Store};
use crate::table::{line, markdown, verdict};
use crate::texts::{blob, roll};
use crate::{MB, fresh};

const SIZES: [(usize, u64); 2] = [(4 << 10, 16_000), (64 << 10, 2000)];
const ROUNDS: usize = 24;
const LOOKUPS: usize = 500;
/// larder's p50 beside the better of the others'.
const BAR: f64 = 1.1;

pub fn print(dir: &Path) -> Result<(), Box<dyn Error>> {
    println!("\n### A hit on disk\n");
    let mut lines = vec![line(["value", "cache", "p50", "p99", "p50, beside the better", "<= 1.1"])];
    for (size, keys) in SIZES {
        let name = |store: &str| format!("{store}-{size}");
        let mut stores: [Box<dyn Store>; 3] = [
            Box::new(Larder::open(&fresh(dir, &name("larder"))?, 1024 * MB)?),
            Box::new(Foyer::open(&fresh(dir, &name("foyer"))?, 1024 * MB)?),
            Box::new(Cached::open(&fresh(dir, &name("cached"))?)?),
        ];
        let mut found = [0; 3];
        for (store, found) in stores.iter_mut().zip(&mut found) {
            (0..keys).for_each(|key| store.put(key, blob(key, size)));
            store.settle();
            *found = (0..keys)
                .filter(|&key| store.peek(key).is_some_and(|value| value == blob(key, size)))
                .count();
        }
        let mut times = [const { Vec::new() }; 3];
        let mut state = 1;
        for _ in 0..ROUNDS {
            for (store, times) in stores.iter().zip(&mut times) {
                for _ in 0..LOOKUPS {
                    let key = roll(&mut state) % keys;
                    let began = Instant::now();
                    let value = black_box(store.get(key));
                    let took = began.elapsed().as_secs_f64() * 1e6;
                    if value.is_some() {
                        times.push(took);
                    }
                }
            }
        }
        let quantile = |times: &[f64], share: f64| times[(times.len() as f64 * share) as usize];
        times.iter_mut().for_each(|times| times.sort_by(f64::total_cmp));
        let best = quantile(&times[1], 0.5).min(quantile(&times[2], 0.5));
        for ((store, times), found) in stores.iter().zip(&times).zip(found) {
            let part = quantile(times, 0.5) / best;
            let is_own = store.name() == "larder";
            lines.push(vec![
                format!("{} KB", size >> 10),
                store.name().to_owned(),
                format!("{:.1} us", quantile(times, 0.5)),
                format!("{:.1} us", quantile(times, 0.99)),
                if is_own { format!("{part:.2}") } else { String::new() },
                if is_own { verdict(part <= BAR) } else { String::new() },
            ]);
            if (found as u64) < keys {
                eprintln!("   {} has {found} of {keys} values of {size} bytes", store.name());
            }
        }
    }
    markdown(&lines);
    Ok(())
}
