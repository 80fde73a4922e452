//! What says that memory gets short: a source's descriptors have the domain look at once, long before its interval is over.

use std::io::{PipeReader, Write};
use std::os::fd::OwnedFd;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use larder::{Cache, Domain, Level, MemorySample, PressureSource, Trigger};

use crate::support::MB;

/// Says that memory is half full, and tells that it was asked.
#[derive(Debug)]
struct Source {
    asked: Sender<()>,
    trigger: Mutex<Option<PipeReader>>,
}

impl PressureSource for Source {
    fn sample(&self) -> Option<MemorySample> {
        self.asked.send(()).ok()?;
        Some(MemorySample { used: 500 * MB, limit: 1000 * MB })
    }

    fn name(&self) -> &str {
        "half full"
    }

    fn triggers(&self) -> Vec<Trigger> {
        let trigger = self.trigger.lock().unwrap().take();
        trigger.into_iter().map(|read| Trigger::message(OwnedFd::from(read))).collect()
    }
}

fn source() -> (Source, Receiver<()>, std::io::PipeWriter) {
    let ((read, write), (asked, is_asked)) = (std::io::pipe().unwrap(), channel());
    (Source { asked, trigger: Mutex::new(Some(read)) }, is_asked, write)
}

#[test]
fn what_fires_has_memory_looked_at_at_once_and_counts_as_high_pressure() {
    let (source, asked, mut trigger) = source();
    let hour = Duration::from_secs(3600);
    let domain = Domain::builder().limit_bytes(100 * MB).interval(hour).pressure(source).build();
    let cache = Cache::<u64, u64>::builder("cache").weigh(|_, value| *value).build_in(&domain).unwrap();
    asked.recv().unwrap();
    for key in 0..990 {
        cache.insert(key, MB / 10);
    }
    trigger.write_all(b"x").unwrap();
    asked.recv().unwrap();
    // The tick that asked goes on.
    while domain.explain().decisions.is_empty() {
        std::thread::yield_now();
    }
    let decision = &domain.explain().decisions[0];
    assert_eq!(decision.reason, "half full 50 % full of 1000.0 MB, tasks wait for memory");
    assert_eq!((decision.allowed_before, decision.allowed_after), (100 * MB, 95 * MB));
    assert!(domain.budget().used() <= 95 * MB);
    // A look that nothing fired for goes by the figures again.
    while domain.pressure() != Level::Normal {
        // One beside the tick that asked does nothing.
        domain.tick();
    }
}

#[test]
fn a_domain_without_threads_asks_for_no_triggers() {
    let (source, asked, mut trigger) = source();
    let source = std::sync::Arc::new(source);
    let domain = Domain::builder().limit_bytes(MB).pressure(std::sync::Arc::clone(&source)).manual().build();
    let _cache = Cache::<u64, u64>::builder("cache").build_in(&domain).unwrap();
    trigger.write_all(b"x").unwrap();
    assert!(source.trigger.lock().unwrap().is_some(), "nobody took it");
    assert!(asked.try_recv().is_err());
    domain.tick();
    assert_eq!(domain.pressure(), Level::Normal);
}
