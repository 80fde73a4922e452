//! Work by index on several threads, with the results in order.
//!
//! Scoped threads and one counter: the work here is plain computing, which needs no executor and no queue.

use std::panic;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

/// Runs `work` for each index below `count` and returns the results by index.
///
/// After `deadline` no new index is started, so that the result is a prefix. The calling thread works too: if the
/// system refuses more threads, the search is slower and nothing else.
pub(crate) fn run<R: Send>(
    threads: usize,
    count: usize,
    deadline: Option<Instant>,
    work: impl Fn(usize) -> R + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut done = Vec::new();
        while deadline.is_none_or(|deadline| Instant::now() < deadline) {
            // Relaxed: the counter hands out indices and orders nothing else; joining publishes the results.
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                break;
            }
            done.push((index, work(index)));
        }
        done
    };
    let mut done = thread::scope(|scope| {
        let others: Vec<_> = (1..threads.min(count))
            .map_while(|_| thread::Builder::new().spawn_scoped(scope, worker).ok())
            .collect();
        let mut done = worker();
        for other in others {
            done.extend(other.join().unwrap_or_else(|panicked| panic::resume_unwind(panicked)));
        }
        done
    });
    // Every index that was handed out was finished, so sorting leaves no gap.
    done.sort_unstable_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    #[test]
    fn results_come_in_order_whatever_the_threads() {
        for threads in [1, 2, 7] {
            let squares = super::run(threads, 100, None, |n| n * n);
            assert_eq!(squares, (0..100).map(|n| n * n).collect::<Vec<_>>());
        }
        assert!(super::run(4, 0, None, |n| n).is_empty());
    }

    #[test]
    fn nothing_starts_after_the_deadline() {
        assert!(super::run(2, 100, Some(Instant::now()), |n| n).is_empty());
    }
}
