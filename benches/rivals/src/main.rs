//! One table: larder beside the caching crates that a Rust program would use instead.
//!
//! Each row is one workload on a fresh cache. All contestants take turns within a round, and the median over the
//! rounds counts, so that a slow second of the machine is shared. It is not a verdict on any crate: the notes printed
//! below the table say what a row measures and what it does not show.

mod contestants;
mod measure;
mod table;
mod workloads;

const NOTES: &str = "\
A cell is the time per operation divided by larder's: above 1, larder is faster. Medians of interleaved rounds; on a
shared or throttled machine expect a tenth either way. Every cache is built through its public interface with default
settings and hashers, bounded by a number of entries; larder also accounts every byte, which the others do not.

  hit, 1,024 keys             all keys present: `get` of a u64. Shows the shortest path; no eviction, no misses.
  the same, annotated         the attribute macros on `fn(u64) -> u64`; engines without a macro use the line above.
  hit, 2 threads              both threads ask for the same 1,024 keys; time per operation over both.
  hit, (&str, u32)            `Arc<str>` values under a borrowed pair. Contestants that cannot look up by a borrowed
                              pair build the owned key, as their users must.
  get or compute, zipf 0.99   1,000,000 keys, capacity for a tenth of them, a body that costs nothing. Speed and hit
                              rate together: a body that costs something would favour the better hit rate.
  insert, each evicts         new keys only, 10,000 fit. Policies that delay eviction do part of the work elsewhere.

Single-flight, expiry, byte bounds and shared budgets are not exercised: not every contestant has them.
";

fn main() {
    larder::budget().set_limit_mb(2048);
    let rows = [
        workloads::hit(1),
        workloads::hit_annotated(),
        workloads::hit(2),
        workloads::hit_borrowed_pair(),
        workloads::get_or_compute(1),
        workloads::get_or_compute(2),
        workloads::insert_evicting(),
    ];
    table::print(&rows);
    println!("\n{NOTES}");
}
