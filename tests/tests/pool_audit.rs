//! What pools say they weigh against what they hold, by a counting allocator, at rest after a tick: every byte, idle and
//! leased, grown and shrunk, in magazines and in the depot. A process of its own: it has the allocator to itself.

use larder::testing::{CountingAllocator, held_by};
use larder::{BufferPool, Domain, Pool, Pooled, Weigh, weigh};

#[global_allocator]
static COUNTING: CountingAllocator = CountingAllocator::system();

#[derive(Weigh)]
struct Parser {
    tokens: Vec<u64>,
    names: Vec<String>,
    scratch: Box<[u8]>,
}

impl Parser {
    fn new() -> Self {
        Self { tokens: Vec::with_capacity(100), names: Vec::new(), scratch: vec![0; 1000].into() }
    }

    fn grow(&mut self, by: usize) {
        self.tokens.reserve_exact(by * 10);
        self.names.extend((0..by % 7).map(|n| "x".repeat(n * 20)));
    }

    fn reset(&mut self) {
        self.tokens.clear();
        self.names.truncate(3);
        self.names.shrink_to_fit();
    }
}

fn domain() -> Domain {
    Domain::builder().limit_bytes(1 << 30).manual().build()
}

/// Bytes that `act` leaves behind, and those that the pool says it weighs more: the same.
#[track_caller]
fn audit<R>(what: &str, pool: &Pool<Parser>, domain: &Domain, act: impl FnOnce() -> R) -> R {
    let before = pool.weight();
    let (result, held) = held_by(|| {
        let result = act();
        domain.tick();
        domain.tick();
        result
    });
    let charged = pool.weight().wrapping_sub(before);
    assert_eq!(charged as i64, held as i64, "{what}: charged, and held");
    result
}

#[test]
#[cfg_attr(feature = "leak-report", ignore = "the list of leases is not charged")]
fn every_byte_of_a_pool_is_charged_and_none_twice() {
    let domain = domain();
    let pool = Pool::builder("parsers", Parser::new)
        .reset(Parser::reset)
        .weigh(weigh::deep)
        .max(100)
        .build_in(&domain)
        .unwrap();
    // What a thread keeps for its own counters, and its magazine, come with the first lease.
    drop(pool.acquire());
    pool.clear();
    domain.tick();

    let used = domain.budget().used();
    audit("idle objects", &pool, &domain, || drop((0..60).map(|_| pool.acquire()).collect::<Vec<_>>()));
    audit("objects that grew", &pool, &domain, || {
        let mut leases: Vec<_> = (0..70).map(|_| pool.acquire()).collect();
        leases.iter_mut().enumerate().for_each(|(n, lease)| lease.grow(n));
    });
    audit("a part of them gone", &pool, &domain, || pool.resize(40));
    let mut lease = audit("one lent", &pool, &domain, || pool.acquire());
    // What grows while it is lent is known when it is back.
    audit("one that grew while it was lent", &pool, &domain, move || {
        lease.grow(1000);
        drop(lease);
    });
    let object = Pooled::detach(pool.acquire());
    let weight = weigh::deep(&object) - size_of::<Parser>() as u64;
    let ((), freed) = held_by(|| drop(object));
    assert_eq!(freed.wrapping_neg(), weight);
    audit("put back one more", &pool, &domain, || {
        pool.put(Parser::new()).ok().unwrap();
        assert_eq!(pool.idle(), 40);
    });
    pool.clear();
    domain.tick();
    assert_eq!(domain.budget().used(), used, "the ledger is back");
}

#[test]
fn every_byte_of_a_buffer_is_charged() {
    let (charged, held) = buffers([1000, 4096, 100_000], 16);
    assert_eq!(charged, held);
}

/// What two buffers of each of these sizes are charged, and what they hold of the allocator's.
fn buffers(classes: [usize; 3], align: usize) -> (u64, u64) {
    let domain = domain();
    let pool = BufferPool::builder("buffers").classes(classes).align(align).build_in(&domain).unwrap();
    let lease = || {
        for len in classes.into_iter().flat_map(|bytes| [bytes / 2 + 1, bytes]) {
            drop([pool.zeroed(len), pool.zeroed(len)]);
        }
    };
    lease();
    pool.clear();
    domain.tick();
    let charged = || domain.stats().tenants.iter().map(|tenant| tenant.bytes).sum::<u64>();
    let before = charged();
    let ((), held) = held_by(|| {
        lease();
        domain.tick();
        domain.tick();
    });
    assert_eq!(pool.stats().bytes, 2 * classes.iter().sum::<usize>() as u64);
    (charged() - before, held)
}

/// What lies on pages and is smaller than what the system gives by itself is cut out of a larger block. Whether the allocator
/// keeps a rest of that with it, 32 bytes at the most, only the allocator could tell.
#[test]
fn every_byte_of_a_small_buffer_on_pages_is_charged_and_at_most_32_more() {
    let (charged, held) = buffers([4096, 16_384, 65_536], 4096);
    assert!((held..=held + 6 * 32).contains(&charged), "{charged} for {held} bytes");
}

#[test]
#[cfg(target_os = "linux")]
fn every_byte_of_a_large_buffer_is_charged_also_where_the_allocator_has_learned_to_keep_such() {
    // glibc maps a block of its own no longer once one of that size was freed.
    drop(std::hint::black_box(vec![1_u8; 4 << 20]));
    let classes = [200_000, 1 << 20, 3 << 20];
    let (charged, held) = buffers(classes, 4096);
    // Of the allocator's there are only the objects around the memory.
    assert!(held < 6 * 1000, "{held} bytes");
    let pages: usize = classes.iter().map(|bytes| bytes.next_multiple_of(4096)).sum();
    assert_eq!(charged, held + 2 * pages as u64);
}
