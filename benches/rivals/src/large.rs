//! Ten million entries under a budget of 2 GB: how long single inserts take at worst, and how long giving half of it
//! back takes. larder alone: no peer has a budget to give back to.

use std::time::Instant;

use larder::{Cache, Domain};

use crate::measure::own_time;
use crate::table::markdown;

pub fn print(entries: usize) {
    println!("\n### {entries} entries in a domain of 2 GB, u64 -> u64, 1 thread\n");
    let domain = Domain::builder().limit_bytes(2 << 30).build();
    let cache = Cache::<u64, u64>::builder("large").build_in(&domain).expect("the options are valid");

    // Twice for each insert: by the wall, and on the core. On a machine that does other things as well, the worst by
    // the wall is how long the system kept this thread waiting.
    let (mut wall, mut own) = (vec![0_u32; entries], vec![0_u32; entries]);
    for (key, (wall, own)) in wall.iter_mut().zip(&mut own).enumerate() {
        let (started, started_own) = (Instant::now(), own_time());
        cache.insert(key as u64, key as u64);
        let (took_own, took) = (own_time().saturating_sub(started_own), started.elapsed());
        *wall = u32::try_from(took.as_nanos()).unwrap_or(u32::MAX);
        *own = u32::try_from(took_own.as_nanos()).unwrap_or(u32::MAX);
    }
    wall.sort_unstable();
    own.sort_unstable();

    let (used, resident) = (domain.budget().used(), cache.len());
    let (started, started_own) = (Instant::now(), own_time());
    let trimmed = domain.trim(used / 2);
    let trimmed_in = (started.elapsed(), own_time().saturating_sub(started_own));

    let quantiles = |name: &str, share: f64| {
        let at = ((entries as f64 * share) as usize).min(entries - 1);
        let micros = |sorted: &[u32]| format!("{:.2} us", f64::from(sorted[at]) / 1e3);
        vec![name.to_owned(), micros(&wall), micros(&own)]
    };
    let line = |name: &str, figure: String, own: &str| vec![name.to_owned(), figure, own.to_owned()];
    markdown(&[
        line("", "by the wall".to_owned(), "on the core"),
        // The clocks are in it: they take a good part of the median.
        quantiles("insert, median", 0.5),
        quantiles("insert, p99", 0.99),
        quantiles("insert, p99.9", 0.999),
        quantiles("insert, p99.99", 0.9999),
        quantiles("insert, worst", 1.0),
        line(
            "trim of half",
            format!("{:.3} s", trimmed_in.0.as_secs_f64()),
            &format!("{:.3} s", trimmed_in.1.as_secs_f64()),
        ),
    ]);
    println!(
        "\n{resident} resident before the trim, {:.1} bytes of the budget each; it gave back {:.1} % of what was used. Reading \
         the clocks is in the inserts: a good part of their median, nothing of their worst.",
        used as f64 / resident as f64,
        trimmed.freed as f64 / used as f64 * 100.0
    );
}
