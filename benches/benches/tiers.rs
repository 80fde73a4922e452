//! What a tier in memory brings: how much smaller records are than values, what a hit there takes beside a computation,
//! and how much less is computed under the same budget.
//!
//! One thread, one cache in a domain of its own, zstd and lz4 by larder's codecs. It does not show what encoding takes
//! from who inserts, nor several threads.
//!
//! `cargo bench -p larder-benches --bench tiers --features tiers`

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use larder::codec::{Lz4, Serde, Zstd};
use larder::{Cache, Domain, Tiers, Warm};

const MB: u64 = 1 << 20;
/// What computing a value is said to take.
const COST: Duration = Duration::from_millis(1);

fn main() {
    println!("| values | hot | lz4 | zstd |");
    println!("|---|---|---|---|");
    sizes("JSON-like text, 10 KB", |key| json(key, 10_000));
    sizes("HTML, 10 KB", |key| html(key, 10_000));
    sizes("1,024 f32", embedding);
    println!();
    let body = spin(COST);
    let warm = warm_hit();
    println!(
        "a hit of 10 KB below {:.1} us, computing it {:.1} us: {:.0} times faster",
        warm,
        body,
        body / warm
    );
    println!();
    println!("| values | Zipf | hot only computes | with lz4 below | part |");
    println!("|---|---|---|---|---|");
    for exponent in [0.8, 1.0, 1.2] {
        budgets("JSON-like text", exponent, |key| json(key, 4000));
        budgets("incompressible", exponent, |key| noise(key, 4000));
    }
}

fn domain(limit: u64) -> Domain {
    Domain::builder().limit_bytes(limit).manual().build()
}

/// How many bytes the values take for each byte of their records.
fn sizes<V>(name: &str, make: impl Fn(u64) -> V + Copy)
where
    V: Clone + Send + Sync + 'static + larder::codec::Storable + larder::Weigh,
{
    let entries = 500;
    let weigh = |domain: &Domain, warm: Option<Warm>| {
        let builder = Cache::<u64, V>::builder("values").weigh(larder::weigh::entry).cost(|_, _| COST);
        let builder = match warm {
            Some(warm) => builder.max_entries(1).tiers(Tiers::new(Serde).warm(warm)),
            None => builder,
        };
        let cache = builder.build_in(domain).unwrap();
        for key in 0..entries {
            cache.insert(key, make(key));
        }
        let stats = cache.stats();
        stats.tiers.first().map_or(stats.bytes / entries, |tier| tier.bytes / tier.entries.max(1))
    };
    let domain = domain(1024 * MB);
    let hot = weigh(&domain, None);
    let smaller = |warm| {
        let bytes = weigh(&domain, Some(warm));
        if bytes == 0 {
            "not kept".to_owned()
        } else {
            format!("{bytes} B, {:.1} x", hot as f64 / bytes as f64)
        }
    };
    let (lz4, zstd) = (smaller(Warm::compressed(Lz4::default())), smaller(Warm::compressed(Zstd::default())));
    println!("| {name} | {hot} B | {lz4} | {zstd} |");
}

/// Microseconds of a computation that takes so long.
fn spin(time: Duration) -> f64 {
    let began = Instant::now();
    while began.elapsed() < time {
        black_box(0);
    }
    began.elapsed().as_secs_f64() * 1e6
}

/// Microseconds of a hit of 10 KB below, the median of single ones.
fn warm_hit() -> f64 {
    let domain = domain(256 * MB);
    let cache = Cache::<u64, String>::builder("values")
        .max_entries(1)
        .cost(|_, _| COST)
        .tiers(Tiers::new(Serde).warm(Warm::compressed(Lz4::default())))
        .build_in(&domain)
        .unwrap();
    for key in 0..3000 {
        cache.insert(key, json(key, 10_000));
    }
    let mut times: Vec<f64> = (0..2900)
        .map(|key| {
            let began = Instant::now();
            black_box(cache.get_or_insert_with(key, || unreachable!("it is below")));
            began.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// How many values are computed under one budget, without and with a tier.
fn budgets(name: &str, exponent: f64, make: impl Fn(u64) -> String + Copy) {
    let computed = |warm: Option<Warm>| {
        let domain = domain(16 * MB);
        let loads = AtomicU64::new(0);
        let builder = Cache::<u64, String>::builder("values").cost(|_, _| COST);
        let builder = match warm {
            Some(warm) => builder.tiers(Tiers::new(Serde).warm(warm)),
            None => builder,
        };
        let cache = builder.build_in(&domain).unwrap();
        let zipf = Zipf::new(20_000, exponent);
        let mut state = 1;
        for turn in 0..200_000 {
            if turn == 50_000 {
                loads.store(0, Ordering::Relaxed);
            }
            let key = zipf.next(&mut state);
            black_box(cache.get_or_insert_with(key, || {
                loads.fetch_add(1, Ordering::Relaxed);
                make(key)
            }));
        }
        loads.load(Ordering::Relaxed)
    };
    let (hot, both) = (computed(None), computed(Some(Warm::compressed(Lz4::default()))));
    println!("| {name}, 4 KB | {exponent} | {hot} | {both} | {:.3} |", both as f64 / hot as f64);
}

/// Ranks by Zipf's law, mixed so that neighbours are no neighbours.
struct Zipf(Vec<f64>);

impl Zipf {
    fn new(keys: u32, exponent: f64) -> Self {
        let mut sum = 0.0;
        let mut sums: Vec<f64> = Vec::new();
        for rank in 1..=keys {
            sum += f64::from(rank).powf(-exponent);
            sums.push(sum);
        }
        Self(sums)
    }

    fn next(&self, state: &mut u64) -> u64 {
        let at = roll(state) as f64 / u64::MAX as f64 * self.0.last().copied().unwrap_or(1.0);
        self.0.partition_point(|sum| *sum < at) as u64
    }
}

fn roll(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB)
}

const WORDS: [&str; 24] = [
    "cache", "budget", "value", "key", "shelf", "larder", "warm", "cold", "byte", "entry", "price", "tenant",
    "pool", "lease", "record", "stripe", "shard", "policy", "victim", "flight", "leader", "waiter", "clock",
    "tick",
];

fn words(state: &mut u64, count: usize) -> String {
    (0..count).map(|_| WORDS[roll(state) as usize % WORDS.len()]).collect::<Vec<_>>().join(" ")
}

/// Records with numbers and words in them.
fn json(key: u64, bytes: usize) -> String {
    let mut state = key.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut text = String::from("[");
    while text.len() < bytes {
        let (id, score, title) = (roll(&mut state) >> 40, roll(&mut state) % 10_000, words(&mut state, 6));
        let active = score % 2 == 0;
        text += &format!(r#"{{"id":{id},"score":0.{score:04},"title":"{title}","active":{active}}},"#);
    }
    text.truncate(bytes);
    text
}

/// Paragraphs and links.
fn html(key: u64, bytes: usize) -> String {
    let mut state = key.wrapping_mul(0xD1B5_4A32_D192_ED03) | 1;
    let mut text = String::from("<!doctype html><html><body>");
    while text.len() < bytes {
        let (link, body) = (roll(&mut state) >> 44, words(&mut state, 30));
        text += &format!("<div class=\"item\"><a href=\"/item/{link}\">{link}</a><p>{body}</p></div>\n");
    }
    text.truncate(bytes);
    text
}

fn embedding(key: u64) -> Vec<f32> {
    let mut state = key | 1;
    (0..1024).map(|_| (roll(&mut state) as f32 / u64::MAX as f32) - 0.5).collect()
}

fn noise(key: u64, bytes: usize) -> String {
    let mut state = key.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    // Six bits in each byte: nothing that lz4 could use.
    (0..bytes).map(|_| char::from(b'0' + (roll(&mut state) >> 58) as u8)).collect()
}
