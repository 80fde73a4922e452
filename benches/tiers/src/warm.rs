//! What a tier in memory brings: how much smaller records are than values, what a hit there takes beside a computation,
//! and how much less is computed under the same budget.
//!
//! One thread, one cache in a domain of its own, zstd and lz4 by larder's codecs; no peer has such a tier. It does not show
//! what encoding takes from who inserts, nor several threads.

use std::error::Error;
use std::hint::black_box;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use larder::codec::{Lz4, Serde, Storable, Zstd};
use larder::{Cache, Domain, Tiers, Warm, Weigh};

use crate::MB;
use crate::table::{line, markdown, verdict};
use crate::texts::{Zipf, embedding, html, json, noise};

/// What computing a value is said to take.
const COST: Duration = Duration::from_millis(1);

pub fn print(_dir: &Path) -> Result<(), Box<dyn Error>> {
    println!("\n### Records in memory\n");
    markdown(&[
        line(["values", "hot", "lz4", "zstd", ">= 2.5 x"]),
        sizes("JSON-like text, 10 KB", true, |key| json(key, 10_000)),
        sizes("HTML, 10 KB", true, |key| html(key, 10_000)),
        sizes("1,024 f32", false, embedding),
    ]);
    println!();
    let (body, warm) = (spin(COST), warm_hit());
    markdown(&[
        line(["", "takes", "times faster", ">= 50 x"]),
        vec!["a body of a millisecond".to_owned(), format!("{body:.1} us"), String::new(), String::new()],
        vec![
            "a hit of 10 KB in memory, lz4".to_owned(),
            format!("{warm:.1} us"),
            format!("{:.0}", body / warm),
            verdict(body / warm >= 50.0),
        ],
    ]);
    println!();
    let mut lines =
        vec![line(["values", "Zipf", "hot only computes", "with lz4 below", "part", "bar", "holds"])];
    for exponent in [0.8, 1.0, 1.2] {
        lines.push(budgets("JSON-like text, 4 KB", exponent, 0.9, |key| json(key, 4000)));
        lines.push(budgets("incompressible, 4 KB", exponent, 1.02, |key| noise(key, 4000)));
    }
    markdown(&lines);
    Ok(())
}

fn domain(limit: u64) -> Domain {
    Domain::builder().limit_bytes(limit).manual().build()
}

/// How many bytes the values take for each byte of their records.
fn sizes<V>(name: &str, is_text: bool, make: impl Fn(u64) -> V + Copy) -> Vec<String>
where
    V: Clone + Send + Sync + 'static + Storable + Weigh,
{
    let entries = 500;
    let weigh = |domain: &Domain, warm: Option<Warm>| {
        let builder = Cache::<u64, V>::builder("values").weigh(larder::weigh::entry).cost(|_, _| COST);
        let builder = match warm {
            Some(warm) => builder.max_entries(1).tiers(Tiers::new(Serde).warm(warm)),
            None => builder,
        };
        let cache = builder.build_in(domain).expect("the options are valid");
        (0..entries).for_each(|key| cache.insert(key, make(key)));
        let stats = cache.stats();
        stats.tiers.first().map_or(stats.bytes / entries, |tier| tier.bytes / tier.entries.max(1))
    };
    let domain = domain(1024 * MB);
    let hot = weigh(&domain, None);
    let part = |bytes: u64| if bytes == 0 { 0.0 } else { hot as f64 / bytes as f64 };
    let (lz4, zstd) = (
        weigh(&domain, Some(Warm::compressed(Lz4::default()))),
        weigh(&domain, Some(Warm::compressed(Zstd::default()))),
    );
    let cell = |bytes: u64| match bytes {
        0 => "not kept".to_owned(),
        bytes => format!("{bytes} B, {:.1} x", part(bytes)),
    };
    let best = part(lz4).max(part(zstd));
    let bar = if is_text { verdict(best >= 2.5) } else { String::new() };
    vec![name.to_owned(), format!("{hot} B"), cell(lz4), cell(zstd), bar]
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
        .expect("the options are valid");
    (0..3000).for_each(|key| cache.insert(key, json(key, 10_000)));
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
fn budgets(name: &str, exponent: f64, bar: f64, make: impl Fn(u64) -> String + Copy) -> Vec<String> {
    let computed = |warm: Option<Warm>| {
        let domain = domain(16 * MB);
        let loads = AtomicU64::new(0);
        let builder = Cache::<u64, String>::builder("values").cost(|_, _| COST);
        let builder = match warm {
            Some(warm) => builder.tiers(Tiers::new(Serde).warm(warm)),
            None => builder,
        };
        let cache = builder.build_in(&domain).expect("the options are valid");
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
    let part = both as f64 / hot as f64;
    let holds = if bar < 1.0 { part < bar } else { part <= bar };
    let bar = if bar < 1.0 { format!("< {bar}") } else { format!("<= {bar}") };
    vec![
        name.to_owned(),
        exponent.to_string(),
        hot.to_string(),
        both.to_string(),
        format!("{part:.3}"),
        bar,
        verdict(holds),
    ]
}
