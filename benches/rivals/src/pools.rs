//! Pools beside the pools that a Rust program would use instead, and beside no pool at all.
//!
//! An operation is a lease, a small use, and the return; nanoseconds are those of one thread, also where two run, so that
//! a second column as high as the first means that threads do not disturb each other. What uses an object for longer than
//! a few nanoseconds sees smaller ratios.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::RefCell;
use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crossbeam_queue::ArrayQueue;
use deadpool::{managed, unmanaged};
use larder::{BufferPool, Pool, Weigh, pooled};
use lockfree_object_pool::LinearObjectPool;
use zeropool::ZeroPool;

use crate::contestants::Kind;
use crate::measure::{Effort, Entrant, Round, compete, together};
use crate::table::{Column, Group, Unit};

/// Objects in each pool: more than are ever lent.
const OBJECTS: usize = 64;
const LARGE: usize = 64 * 1024;
const BURST: usize = 16;
const MEGABYTE: usize = 1 << 20;

/// What is made, used, and made as good as new.
trait Object: Send + Sync + 'static {
    fn make() -> Self;
    fn work(&mut self);
    fn renew(&mut self);
}

/// Three blocks of memory, when it is new.
#[derive(Weigh)]
#[pooled(max = 64, new = <Self as Object>::make, reset = <Self as Object>::renew)]
struct Parser {
    tokens: Vec<u64>,
    scratch: String,
    stack: Vec<u32>,
}

impl Object for Parser {
    fn make() -> Self {
        Self {
            tokens: Vec::with_capacity(64),
            scratch: String::with_capacity(256),
            stack: Vec::with_capacity(32),
        }
    }

    fn work(&mut self) {
        self.tokens.push(black_box(1));
        self.stack.push(black_box(2));
        black_box(&self.scratch);
    }

    fn renew(&mut self) {
        self.tokens.clear();
        self.scratch.clear();
        self.stack.clear();
    }
}

#[derive(Weigh)]
#[pooled(max = 64, new = <Self as Object>::make, reset = <Self as Object>::renew)]
struct Bytes(Vec<u8>);

impl Object for Bytes {
    fn make() -> Self {
        Self(vec![0; LARGE])
    }

    fn work(&mut self) {
        self.0[0] = black_box(1);
    }

    fn renew(&mut self) {}
}

/// Shapes of the same objects that some peers ask for.
struct Shaped<T>(T);

impl<T: Object> Default for Shaped<T> {
    fn default() -> Self {
        Self(T::make())
    }
}

impl<T: Object> sharded_slab::Clear for Shaped<T> {
    fn clear(&mut self) {
        self.0.renew();
    }
}

struct Makes;

impl<T: Object> opool::PoolAllocator<T> for Makes {
    fn allocate(&self) -> T {
        T::make()
    }

    fn reset(&self, object: &mut T) {
        object.renew();
    }
}

/// Of `deadpool`, whose constructor is asynchronous.
struct Manages<T>(std::marker::PhantomData<fn() -> T>);

impl<T: Object> managed::Manager for Manages<T> {
    type Type = T;
    type Error = std::convert::Infallible;

    async fn create(&self) -> Result<T, Self::Error> {
        Ok(T::make())
    }

    async fn recycle(&self, object: &mut T, _: &managed::Metrics) -> managed::RecycleResult<Self::Error> {
        object.renew();
        Ok(())
    }
}

fn managed_pool<T: Object>(max: usize) -> managed::Pool<Manages<T>> {
    let pool = managed::Pool::builder(Manages(std::marker::PhantomData)).max_size(max).build();
    pool.expect("the options are sound")
}

/// The result of a future that has nothing to wait for.
fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("there are more objects than leases"),
    }
}

fn entrant(
    name: &'static str,
    kind: Kind,
    threads: usize,
    operations: u64,
    lease: impl Fn() + Send + Sync + 'static,
) -> Entrant {
    let round = move || {
        let (took, _) = together(threads, |_| (0..operations).for_each(|_| lease()));
        Round { took, operations, hit_rate: None }
    };
    Entrant { name, kind, round: Box::new(round), allocations: None }
}

fn plural(threads: usize) -> String {
    if threads == 1 { "1 thread".to_owned() } else { format!("{threads} threads") }
}

/// Every pool of objects, with objects of this type. `ours` is what `#[pooled]` made for it.
fn contestants<T: Object>(
    ours: impl Fn() + Send + Sync + 'static,
    threads: usize,
    effort: Effort,
) -> Vec<Entrant> {
    thread_local! {
        static KEPT: RefCell<Vec<Box<dyn std::any::Any>>> = const { RefCell::new(Vec::new()) };
    }
    let operations = 2_000_000 / effort.divisor;
    let enter =
        |name, lease: Box<dyn Fn() + Send + Sync>| entrant(name, Kind::Rival, threads, operations, lease);
    let object_pool = object_pool::Pool::new(OBJECTS, T::make);
    let opool = opool::Pool::<Makes, T>::new_prefilled(OBJECTS, Makes);
    let lockfree = LinearObjectPool::new(T::make, T::renew);
    let slab = sharded_slab::Pool::<Shaped<T>>::new();
    let unmanaged = unmanaged::Pool::from((0..OBJECTS).map(|_| T::make()).collect::<Vec<_>>());
    let managed = managed_pool::<T>(OBJECTS);
    let queue = ArrayQueue::new(OBJECTS);
    (0..OBJECTS).for_each(|_| _ = queue.push(T::make()));
    vec![
        entrant("larder, `#[pooled]`", Kind::Ours, threads, operations, ours),
        enter(
            "object-pool",
            Box::new(move || {
                let mut object = object_pool.pull(T::make);
                object.work();
                object.renew();
            }),
        ),
        enter("opool", Box::new(move || opool.get().work())),
        enter("lockfree-object-pool, linear", Box::new(move || lockfree.pull().work())),
        enter(
            "sharded-slab",
            Box::new(move || {
                let mut object = slab.create().expect("it has room");
                object.0.work();
                let key = object.key();
                drop(object);
                slab.clear(key);
            }),
        ),
        enter(
            "deadpool, unmanaged",
            Box::new(move || {
                let mut object = unmanaged.try_get().expect("one is idle");
                object.work();
                object.renew();
            }),
        ),
        enter("deadpool, managed", Box::new(move || now(managed.get()).ok().expect("one is idle").work())),
        enter(
            "crossbeam ArrayQueue",
            Box::new(move || {
                let mut object = queue.pop().expect("one is idle");
                object.work();
                object.renew();
                let _ = queue.push(object);
            }),
        ),
        entrant("a thread-local Vec", Kind::Limit, threads, operations, || {
            let kept = KEPT.with_borrow_mut(Vec::pop).and_then(|object| object.downcast::<T>().ok());
            let mut object = kept.unwrap_or_else(|| Box::new(T::make()));
            object.work();
            object.renew();
            KEPT.with_borrow_mut(|kept| kept.push(object));
        }),
        entrant("made anew", Kind::Limit, threads, operations, || black_box(Box::new(T::make())).work()),
    ]
}

/// A struct with three blocks of memory.
pub fn objects(effort: Effort) -> Group {
    let column = |threads| Column {
        title: plural(threads),
        threads,
        scores: compete(contestants::<Parser>(|| Parser::acquire().work(), threads, effort), effort),
    };
    let title = "A lease and its return, a struct with three blocks of memory".to_owned();
    Group { name: "pool-objects", title, unit: Unit::Nanoseconds, columns: [1, 2].map(column).into() }
}

/// A vector of 64 KiB.
pub fn vectors(effort: Effort) -> Group {
    let column = |threads| Column {
        title: plural(threads),
        threads,
        scores: compete(contestants::<Bytes>(|| Bytes::acquire().work(), threads, effort), effort),
    };
    let title = "A lease and its return, a vector of 64 KiB".to_owned();
    Group { name: "pool-vectors", title, unit: Unit::Nanoseconds, columns: [1, 2].map(column).into() }
}

/// A block of an allocator, used and given back.
fn block(allocator: &impl GlobalAlloc, bytes: usize, touch: impl Fn(*mut u8)) {
    let layout = Layout::from_size_align(bytes, 16).expect("a sound layout");
    // SAFETY: the layout has a size; the block is used while it is there, and freed once.
    unsafe {
        let at = allocator.alloc(layout);
        assert!(!at.is_null());
        touch(black_box(at));
        allocator.dealloc(at, layout);
    }
}

fn first_byte(at: *mut u8) {
    // SAFETY: the caller's block has a byte.
    unsafe { at.write_volatile(black_box(1)) };
}

/// Buffers of 64 KiB that nobody zeroes.
pub fn buffers(effort: Effort) -> Group {
    let column = |threads| {
        let operations = 2_000_000 / effort.divisor;
        let ours = BufferPool::builder("rivals").build().expect("the options are sound");
        let zero = ZeroPool::new();
        let entrants = vec![
            entrant("larder, `BufferPool`", Kind::Ours, threads, operations, move || {
                ours.acquire(LARGE).spare_capacity_mut()[0].write(black_box(1));
            }),
            entrant("zeropool, uninit", Kind::Rival, threads, operations, move || {
                zero.alloc_uninit(LARGE).as_uninit_mut()[0].write(black_box(1));
            }),
            entrant("glibc", Kind::Limit, threads, operations, || block(&System, LARGE, first_byte)),
            entrant("jemalloc", Kind::Limit, threads, operations, || {
                block(&tikv_jemallocator::Jemalloc, LARGE, first_byte);
            }),
            entrant("mimalloc", Kind::Limit, threads, operations, || {
                block(&mimalloc::MiMalloc, LARGE, first_byte)
            }),
        ];
        Column { title: plural(threads), threads, scores: compete(entrants, effort) }
    };
    let title = "A buffer of 64 KiB, not zeroed, first byte written".to_owned();
    Group { name: "pool-buffers", title, unit: Unit::Nanoseconds, columns: [1, 2].map(column).into() }
}

/// One pool, and eight of them in turn on one thread.
pub fn turns(effort: Effort) -> Group {
    fn in_turn<P: Send + Sync + 'static>(
        pools: Vec<P>,
        lease: impl Fn(&P) + Send + Sync + 'static,
    ) -> impl Fn() {
        move || pools.iter().for_each(&lease)
    }
    let column = |pools: usize| {
        let operations = 2_000_000 / effort.divisor / pools as u64;
        let ours =
            (0..pools).map(|at| BufferPool::builder(format!("turn {at}")).build().expect("sound")).collect();
        let objects = (0..pools)
            .map(|at| Pool::builder(format!("objects {at}"), Parser::make).build().expect("sound"))
            .collect::<Vec<_>>();
        let zero = (0..pools).map(|_| ZeroPool::new()).collect();
        let each = |name, kind, turn: Box<dyn Fn() + Send + Sync>| {
            let round = move || {
                let (took, _) = together(1, |_| (0..operations).for_each(|_| turn()));
                Round { took, operations: operations * pools as u64, hit_rate: None }
            };
            Entrant { name, kind, round: Box::new(round), allocations: None }
        };
        let ours = in_turn(ours, |pool: &BufferPool| {
            pool.acquire(LARGE).spare_capacity_mut()[0].write(black_box(1));
        });
        let zero = in_turn(zero, |pool: &ZeroPool| {
            pool.alloc_uninit(LARGE).as_uninit_mut()[0].write(black_box(1));
        });
        let objects = in_turn(objects, |pool: &Pool<Parser>| pool.acquire().work());
        let entrants = vec![
            each("larder, `BufferPool`", Kind::Ours, Box::new(ours)),
            each("larder, `Pool` of structs", Kind::Beside, Box::new(objects)),
            each("zeropool, uninit", Kind::Rival, Box::new(zero)),
        ];
        let title = if pools == 1 { "1 pool".to_owned() } else { format!("{pools} pools") };
        Column { title, threads: 1, scores: compete(entrants, effort) }
    };
    let title = "Pools used in turn on one thread".to_owned();
    Group { name: "pool-turns", title, unit: Unit::Nanoseconds, columns: [1, 8].map(column).into() }
}

/// Writes to each page of a megabyte.
/// Volatile, here and above, because a compiler that knows `free` drops what is written just before it.
fn each_page(at: *mut u8) {
    for page in (0..MEGABYTE).step_by(4096) {
        // SAFETY: the caller's block has a megabyte.
        unsafe { at.add(page).write_volatile(black_box(1)) };
    }
}

/// Sixteen buffers of a megabyte at once, each page written.
pub fn burst(effort: Effort) -> Group {
    fn blocks(allocator: &impl GlobalAlloc) {
        let layout = Layout::from_size_align(MEGABYTE, 16).expect("a sound layout");
        // SAFETY: the layout has a size; the blocks are used while they are there, and freed once.
        unsafe {
            let held: [*mut u8; BURST] = std::array::from_fn(|_| allocator.alloc(layout));
            held.iter().for_each(|at| each_page(*at));
            held.iter().for_each(|at| allocator.dealloc(*at, layout));
        }
    }
    let column = |threads| {
        let operations = 400 / effort.divisor;
        // An allocator that gives its memory back has the system find each page anew, which takes a hundred times as
        // long: a tenth of the bursts says it as well.
        let few = operations / 10;
        let ours = BufferPool::builder("burst").build().expect("the options are sound");
        let zero = ZeroPool::new();
        let object_pool = object_pool::Pool::new(0, || vec![0_u8; MEGABYTE]);
        let entrants = vec![
            entrant("larder, `BufferPool`", Kind::Ours, threads, operations, move || {
                let mut held: [_; BURST] = std::array::from_fn(|_| ours.acquire(MEGABYTE));
                held.iter_mut().for_each(|buffer| each_page(buffer.spare_capacity_mut().as_mut_ptr().cast()));
            }),
            entrant("zeropool, uninit", Kind::Rival, threads, operations, move || {
                let mut held: [_; BURST] = std::array::from_fn(|_| zero.alloc_uninit(MEGABYTE));
                held.iter_mut().for_each(|buffer| each_page(buffer.as_uninit_mut().as_mut_ptr().cast()));
            }),
            entrant("object-pool", Kind::Rival, threads, operations, move || {
                let mut held: [_; BURST] = std::array::from_fn(|_| object_pool.pull(|| vec![0; MEGABYTE]));
                held.iter_mut().for_each(|buffer| each_page(buffer.as_mut_ptr()));
            }),
            entrant("glibc", Kind::Limit, threads, few, || blocks(&System)),
            entrant("jemalloc", Kind::Limit, threads, few, || blocks(&tikv_jemallocator::Jemalloc)),
            entrant("mimalloc", Kind::Limit, threads, few, || blocks(&mimalloc::MiMalloc)),
        ];
        Column { title: plural(threads), threads, scores: compete(entrants, effort) }
    };
    let title = "A burst: 16 buffers of 1 MiB, each page written".to_owned();
    Group { name: "pool-burst", title, unit: Unit::Nanoseconds, columns: [1, 2].map(column).into() }
}

const TASKS: usize = 32;
const FEW: usize = 16;

/// Runs so many leases in each of the tasks; returns how long each of them waited.
fn contend<F: Future<Output = ()> + Send + 'static>(
    runtime: &tokio::runtime::Runtime,
    leases: usize,
    lease: impl Fn() -> F + Clone + Send + Sync + 'static,
) -> (Duration, Vec<Duration>) {
    let started = Instant::now();
    let waits = runtime.block_on(async {
        let tasks: Vec<_> = (0..TASKS)
            .map(|_| {
                let lease = lease.clone();
                tokio::spawn(async move {
                    let mut waits = Vec::with_capacity(leases);
                    for _ in 0..leases {
                        let began = Instant::now();
                        lease().await;
                        waits.push(began.elapsed());
                    }
                    waits
                })
            })
            .collect();
        let mut all = Vec::new();
        for task in tasks {
            all.extend(task.await.expect("no task panics"));
        }
        all
    });
    (started.elapsed(), waits)
}

/// Tasks that wait for each other's objects.
pub fn waiting(effort: Effort) -> Group {
    let leases = (4000 / effort.divisor) as usize;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("two threads");
    let runtime = Arc::new(runtime);
    let ours =
        Pool::builder("waiting", Parser::make).max(FEW as u64).wait().build().expect("the options are sound");
    let deadpool = managed_pool::<Parser>(FEW);
    let lend_ours = move || {
        let pool = ours.clone();
        async move {
            let mut object = pool.acquire_async().await.expect("it is open");
            object.work();
            tokio::task::yield_now().await;
        }
    };
    let lend_deadpool = move || {
        let pool = deadpool.clone();
        async move {
            let mut object = pool.get().await.ok().expect("it is open");
            object.work();
            tokio::task::yield_now().await;
        }
    };
    let operations = (leases * TASKS) as u64;
    let both = |round: fn((Duration, Vec<Duration>), u64) -> Round| {
        let (first, second) = (Arc::clone(&runtime), Arc::clone(&runtime));
        let (ours, theirs) = (lend_ours.clone(), lend_deadpool.clone());
        let entrant =
            |name, kind, round: Box<dyn FnMut() -> Round>| Entrant { name, kind, round, allocations: None };
        vec![
            entrant(
                "larder, `acquire_async`",
                Kind::Ours,
                Box::new(move || round(contend(&first, leases, ours.clone()), operations)),
            ),
            entrant(
                "deadpool, managed",
                Kind::Rival,
                Box::new(move || round(contend(&second, leases, theirs.clone()), operations)),
            ),
        ]
    };
    let each = both(|(took, _), operations| Round { took, operations, hit_rate: None });
    let slowest = both(|(_, mut waits), _| {
        waits.sort_unstable();
        let took = waits[(waits.len() - 1) * 999 / 1000];
        Round { took, operations: 1, hit_rate: None }
    });
    let column = |title: &str, entrants| Column {
        title: title.to_owned(),
        threads: 2,
        scores: compete(entrants, effort),
    };
    let columns = vec![column("each lease", each), column("one in a thousand takes", slowest)];
    let title =
        "32 tasks that wait for 16 objects: a lease held over one yield, on two threads of tokio".to_owned();
    Group { name: "pool-waiting", title, unit: Unit::Nanoseconds, columns }
}
