//! Weights against a counting allocator.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell, RefCell};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, LinkedList, VecDeque};
use std::ffi::{CString, OsString};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, Mutex, OnceLock, RwLock};
use std::time::{Duration, Instant, SystemTime};

use super::*;
use crate::__private::weigher;
use crate::testing::{Held, measured};

/// Checks that the weight of what `make` makes is what it allocated, to the byte.
#[track_caller]
pub(super) fn check<T: Weigh>(make: impl FnOnce() -> T) {
    check_within(0, make);
}

/// Checks that the weight of what `make` makes is within `percent` of what it allocated.
#[track_caller]
pub(super) fn check_within<T: Weigh>(percent: u64, make: impl FnOnce() -> T) {
    let (value, held) = measured(make);
    let (weight, truth) = (value.heap_bytes(), held.modelled);
    let kind = std::any::type_name::<T>();
    assert!(weight.abs_diff(truth) * 100 <= truth * percent, "{kind}: weight {weight}, truth {truth}");
}

/// Distinct numbers in no obvious order.
pub(super) fn scattered(count: u64) -> impl Iterator<Item = u64> {
    (0..count).map(|index| index.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

// ---- The allocator ----

/// Whether the tests' allocator is the one that is modelled, and says how large its blocks are.
const IS_GLIBC: bool = cfg!(all(target_os = "linux", target_env = "gnu"))
    && matches!(allocator::Model::CHOSEN, allocator::Model::Glibc);

/// The fewest bytes that the system takes for `bytes`. A block may be larger, because it was cut from one that
/// left too little for another; of many held at once, one is not.
fn smallest_block(bytes: usize) -> u64 {
    let blocks: Vec<_> = (0..64).map(|_| measured(|| Vec::<u8>::with_capacity(bytes))).collect();
    blocks.iter().map(|(_, held)| held.real).min().expect("there are some")
}

#[test]
fn small_blocks_are_what_glibc_makes_them() {
    if !IS_GLIBC {
        return;
    }
    for bytes in 1..=4096 {
        assert_eq!(weigh::allocation(bytes), smallest_block(bytes), "{bytes}");
    }
}

#[test]
fn large_blocks_are_at_most_a_page_off() {
    if !IS_GLIBC {
        return;
    }
    let around = |center: usize| [center - 4097, center - 25, center - 1, center, center + 1, center + 4097];
    let sizes = [8 << 10, 64 << 10, 128 << 10, 192 << 10, 256 << 10, 1 << 20, 4 << 20, 33 << 20];
    for bytes in sizes.into_iter().flat_map(around) {
        let (model, truth) = (weigh::allocation(bytes), smallest_block(bytes));
        // The counting allocator sees one header; a mapped block has a second word.
        assert!(model >= truth, "{bytes}: model {model}, truth {truth}");
        assert!(model <= truth + 4096 + 16, "{bytes}: model {model}, truth {truth}");
        assert!((model as f64) < truth as f64 * 1.04, "{bytes}: model {model}, truth {truth}");
    }
}

#[test]
fn blocks_grow_with_their_requests() {
    assert_eq!(weigh::allocation(0), 0);
    let mut last = 0;
    for bytes in (1..300_000).step_by(7) {
        let block = weigh::allocation(bytes);
        assert!(block >= last && block >= bytes as u64, "{bytes}: {block}");
        last = block;
    }
    assert!(weigh::allocation(usize::MAX) >= isize::MAX as u64);
}

// ---- Types ----

#[test]
fn buffers() {
    check(String::new);
    check(|| String::from("twelve bytes"));
    check(|| String::with_capacity(1000));
    check(|| vec![0_u8; 5000]);
    check(|| Vec::<u64>::with_capacity(77));
    check(|| vec![(); 1000]);
    check(|| vec![0_u8; 300_000]);
    check(|| (0..1000_u32).collect::<VecDeque<_>>());
    check(|| scattered(1000).collect::<BinaryHeap<_>>());
    check(|| OsString::from("an operating system's string"));
    check(|| PathBuf::from("/a/path/of/some/length/to/a/file"));
    check(|| CString::new("a string for C").expect("no zero inside"));
    check(|| (0..1000).map(|number: i32| number.to_string()).collect::<Vec<_>>());
    check(|| vec![vec![0.0_f32; 100]; 100]);
}

#[test]
fn pointers() {
    check(|| Box::new(()));
    check(|| Box::new([0_u8; 100]));
    check(|| Box::<str>::from("boxed"));
    check(|| Box::<Path>::from(Path::new("boxed/path")));
    check(|| Box::<[String]>::from([String::from("first"), String::from("second")]));
    check(|| Arc::<str>::from("a"));
    check(|| Arc::<str>::from("one byte more than two granules"));
    check(|| Arc::<[f32]>::from(vec![0.0; 1000]));
    check(|| Arc::<Path>::from(Path::new("counted/path")));
    check(|| Arc::new(()));
    check(|| Arc::new(7_u128));
    check(|| Arc::new(String::from("behind two pointers")));
    check(|| Arc::new(vec![String::from("a"), String::from("b")]));
    check(|| Rc::new(vec![1_u8; 100]));
    check(|| Box::pin(vec![1_u8; 100]));
    check(|| Arc::pin(String::from("pinned")));
    assert_eq!(Arc::new(()).heap_bytes(), weigh::allocation(16));
}

#[test]
fn alignments_beyond_the_allocators() {
    #[derive(Clone, Copy)]
    #[repr(align(64))]
    struct Line([u8; 64]);
    impl Weigh for Line {
        fn heap_bytes(&self) -> u64 {
            u64::from(self.0[0])
        }
    }
    #[derive(PartialEq, Eq, Hash)]
    #[repr(align(32))]
    struct Wide(u8);
    impl Weigh for Wide {
        fn heap_bytes(&self) -> u64 {
            0
        }
    }
    check(|| Box::new(Line([0; 64])));
    check(|| Arc::new(Line([0; 64])));
    check(|| vec![Line([0; 64]); 10]);
    check(|| HashSet::from([Wide(1), Wide(2)]));
    if !IS_GLIBC {
        return;
    }
    // What the system's allocator loses to alignment depends on the past; the model takes the most.
    let (lines, held) = measured(|| (0..1000).map(|_| Box::new(Line([0; 64]))).collect::<Vec<_>>());
    let weight = lines.heap_bytes();
    assert!((held.real..=held.real + 33_000).contains(&weight), "weight {weight}, {held:?}");
}

#[test]
fn aligned_blocks_take_no_more_than_the_model_says() {
    use std::alloc::{Layout, alloc, dealloc};

    if !IS_GLIBC {
        return;
    }
    for align in [32, 64, 128, 1024, 4096, 1 << 16] {
        for bytes in [1, 100, 4096, 65_536, 126_000, 130_000, 131_000, 131_072, 262_144, 1 << 20, 3 << 20] {
            let layout = Layout::from_size_align(bytes, align).expect("a small layout");
            let model = allocator::block_of(layout);
            let blocks: Vec<_> = (0..8)
                .map(|_| {
                    // SAFETY: the layout has a size.
                    let (at, held) = measured(|| unsafe { alloc(layout) });
                    assert!(!at.is_null());
                    (at, held.real)
                })
                .collect();
            // What comes from the heap is short by what was left for others; larger blocks are mapped, or were once.
            let least = if bytes + align < 120_000 { model - 32 } else { bytes as u64 + 8 };
            for (at, real) in blocks {
                assert!((least..=model).contains(&real), "{bytes} at {align}: {real}, model {model}");
                // SAFETY: allocated with this layout, once.
                unsafe { dealloc(at, layout) };
            }
        }
    }
}

/// Checks a weight against what the system's allocator says.
#[track_caller]
fn check_real(percent: u64, weight: u64, held: Held) {
    let truth = if IS_GLIBC { held.real } else { held.modelled };
    assert!(weight.abs_diff(truth) * 100 <= truth * percent, "weight {weight}, {held:?}");
}

#[test]
fn many_values_weigh_what_the_allocator_says() {
    // Holes that other tests left are taken first: a block in one may be larger than it was asked to be.
    let _in_holes = (8..64_u8).flat_map(|bytes| vec![vec![0_u8; bytes.into()]; 2000]).collect::<Vec<_>>();
    let (texts, held) = measured(|| scattered(20_000).map(|key| key.to_string()).collect::<Vec<_>>());
    check_real(5, texts.heap_bytes(), held);
    let (map, held) = measured(|| {
        scattered(20_000)
            .map(|key| (key.to_string(), vec![0_u8; (key % 2000) as usize]))
            .collect::<HashMap<_, _>>()
    });
    check_real(5, map.heap_bytes(), held);
    let (map, held) = measured(|| {
        one_by_one(
            scattered(20_000).map(|key| (key, Arc::<str>::from("a few words of text in a counted block"))),
        )
    });
    check_real(10, map.heap_bytes(), held);
}

#[test]
fn lists() {
    check(|| (0..100_u8).collect::<LinkedList<_>>());
    check(|| (0..100).map(|number: i32| number.to_string()).collect::<LinkedList<_>>());
}

#[test]
fn hash_tables() {
    for entries in (0..40).chain([56, 57, 112, 113, 448, 449, 1000, 10_000]) {
        check(|| scattered(entries).collect::<HashSet<u64>>());
        check(|| scattered(entries).map(|key| (key, [0_u8; 3])).collect::<HashMap<_, _>>());
        check(|| scattered(entries).map(|key| key.to_string()).collect::<HashSet<_>>());
        check(|| scattered(entries).map(|key| (key as u8, ())).collect::<HashMap<_, _>>());
        check(|| HashMap::<u16, u16>::with_capacity(usize::try_from(entries).expect("small")));
        // Grown one by one, without a size known before.
        check(|| {
            let mut map = HashMap::new();
            for key in scattered(entries) {
                map.insert(key, String::from("value"));
            }
            map
        });
    }
    check(|| {
        let mut map: HashMap<_, _> = scattered(1000).map(|key| (key, key)).collect();
        map.retain(|key, _| key % 5 == 0);
        map.shrink_to_fit();
        map
    });
}

#[test]
fn b_trees() {
    for entries in [0, 1, 5, 11, 12, 13, 30, 100, 500, 512, 513, 1000, 5000, 50_000] {
        // All at once, which fills nodes to the brim.
        check_b_tree(|| scattered(entries).map(|key| (key, key as u32)).collect());
        check_b_tree(|| (0..entries).map(|key| (key, ())).collect());
        // One by one: upwards, downwards, scattered.
        check_b_tree(|| one_by_one((0..entries).map(|key| (key, 0_u128))));
        check_b_tree(|| one_by_one((0..entries).rev().map(|key| (key as u32, 0_u8))));
        check_b_tree(|| one_by_one(scattered(entries).map(|key| (key, key))));
        check_b_tree(|| one_by_one(scattered(entries).map(|key| (key.to_string(), key.to_string()))));
        // After many removals.
        check_b_tree(|| {
            let mut map = one_by_one(scattered(entries).map(|key| (key, key)));
            map.retain(|key, _| key % 4 == 0);
            map
        });
        check_within(10, || scattered(entries).collect::<BTreeSet<u64>>());
    }
    check_b_tree(|| one_by_one([((), 5_u64)]));
}

#[track_caller]
fn check_b_tree<K: Weigh, V: Weigh>(make: impl FnOnce() -> BTreeMap<K, V>) {
    check_within(10, make);
}

fn one_by_one<K: Ord, V>(pairs: impl IntoIterator<Item = (K, V)>) -> BTreeMap<K, V> {
    let mut map = BTreeMap::new();
    for (key, value) in pairs {
        map.insert(key, value);
    }
    map
}

#[test]
fn values_inside_values() {
    let text = || String::from("some text that is on the heap");
    check(|| Some(text()));
    check(|| None::<String>);
    check(|| Ok::<String, ()>(text()));
    check(|| Err::<(), String>(text()));
    check(|| [text(), text()]);
    check(|| (text(), 1_u8, text()));
    check(|| (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, text(), text()));
    check(|| Cow::<'static, str>::Owned(text()));
    check(|| Cow::<'static, str>::Borrowed("borrowed"));
    check(|| Cow::<'static, [u64]>::Owned(vec![1; 50]));
    check(|| Mutex::new(text()));
    check(|| RwLock::new(text()));
    check(|| RefCell::new(text()));
    check(|| OnceCell::from(text()));
    check(|| OnceLock::from(text()));
    check(OnceLock::<String>::new);
    check(|| Reverse(text()));
    check(|| text()..text());
    check(|| text()..=text());
    check(|| std::ops::Bound::Included(text()));
    check(|| std::task::Poll::Ready(text()));
    check(|| std::ops::ControlFlow::<String, ()>::Break(text()));
}

#[test]
fn a_lock_in_use_is_not_waited_for() {
    let mutex = Mutex::new(String::from("held"));
    let guard = mutex.lock().expect("not poisoned");
    assert_eq!(mutex.heap_bytes(), 0);
    drop(guard);
    let poisoned = std::thread::scope(|scope| {
        scope
            .spawn(|| {
                let _guard = mutex.lock();
                std::panic::resume_unwind(Box::new(()));
            })
            .join()
    });
    assert!(poisoned.is_err());
    assert_eq!(mutex.heap_bytes(), weigh::allocation(4));

    let cell = RefCell::new(String::from("held"));
    let borrowed = cell.borrow_mut();
    assert_eq!(cell.heap_bytes(), 0);
    drop(borrowed);
}

#[test]
fn objects_weigh_by_their_supertrait() {
    trait Shape: Weigh + Send + Sync {}
    impl Shape for String {}
    let shape: Arc<dyn Shape> = Arc::new(String::from("a shape"));
    assert_eq!(shape.heap_bytes(), weigh::allocation(16 + size_of::<String>()) + weigh::allocation(7));
}

#[test]
fn functions_of_this_module() {
    assert_eq!(weigh::shallow(&String::from("heap")), size_of::<String>() as u64);
    assert_eq!(weigh::shallow("unsized"), 7);
    assert_eq!(weigh::deep(&[1_u8; 10]), 10);
    assert_eq!(weigh::deep("unsized"), 7);
    assert_eq!(weigh::entry("key", &String::from("value")), 3 + 24 + weigh::allocation(5));
    // As they are named in an attribute.
    let _: fn(&Arc<str>) -> u64 = weigh::shallow;
    let _: fn(&Arc<str>) -> u64 = weigh::deep;
}

// ---- Elements that own nothing are not visited ----

/// Panics when it is weighed; `OWNS` is what it says of itself.
#[derive(PartialEq, Eq, PartialOrd, Ord, Hash, Clone, Debug)]
struct Untouchable<const OWNS: bool>(u32);

impl<const OWNS: bool> Weigh for Untouchable<OWNS> {
    fn heap_bytes(&self) -> u64 {
        panic!("{} was visited", self.0)
    }
    fn owns_heap() -> bool {
        OWNS
    }
}

#[test]
fn elements_that_own_nothing_are_not_visited() {
    type Flat = Untouchable<false>;
    let flat = || (0..10).map(Untouchable::<false>);
    let _ = flat().collect::<Vec<Flat>>().heap_bytes();
    let _ = flat().collect::<VecDeque<Flat>>().heap_bytes();
    let _ = flat().collect::<LinkedList<Flat>>().heap_bytes();
    let _ = flat().collect::<BinaryHeap<Flat>>().heap_bytes();
    let _ = flat().collect::<HashSet<Flat>>().heap_bytes();
    let _ = flat().collect::<BTreeSet<Flat>>().heap_bytes();
    let _ = flat().collect::<Box<[Flat]>>().heap_bytes();
    let _ = flat().collect::<Arc<[Flat]>>().heap_bytes();
    let _ = flat().zip(flat()).collect::<HashMap<Flat, Flat>>().heap_bytes();
    let _ = flat().zip(flat()).collect::<BTreeMap<Flat, Flat>>().heap_bytes();
    let _ = flat().map(|key| (key, String::new())).collect::<BTreeMap<_, _>>().heap_bytes();
    let _ = flat().map(|value| (String::new(), value)).collect::<Vec<_>>();
    // What is made of such elements owns nothing either.
    assert!(!<(Flat, [Flat; 3], Option<Flat>)>::owns_heap());
    assert!(!<Result<Flat, Reverse<Flat>>>::owns_heap());
    assert!(!<Mutex<RefCell<Flat>>>::owns_heap());
    assert!(<(Flat, Untouchable<true>)>::owns_heap());
    assert!(<Option<Vec<Flat>>>::owns_heap());
}

#[test]
fn types_that_own_nothing_say_so() {
    fn check_flat<T: Weigh>(value: &T) {
        assert!(!T::owns_heap(), "{}", std::any::type_name::<T>());
        assert_eq!(value.heap_bytes(), 0);
    }
    check_flat(&1_u8);
    check_flat(&1.0_f64);
    check_flat(&'c');
    check_flat(&());
    check_flat(&std::num::NonZero::<u64>::MIN);
    check_flat(&"static text");
    static TEXTS: [String; 1] = [String::new()];
    check_flat(&&TEXTS[..]);
    check_flat(&Duration::ZERO);
    check_flat(&(Instant::now(), SystemTime::now()));
    check_flat(&std::net::IpAddr::from([127, 0, 0, 1]));
    check_flat(&std::cmp::Ordering::Less);
    check_flat(&PhantomData::<String>);
    check_flat(&(0..10));
    check_flat(&std::num::Wrapping(3));
    check_flat(&Cell::new(3));
    check_flat(&std::sync::atomic::AtomicU64::new(3));
    check_flat(&(weigh::allocation as fn(usize) -> u64));
    assert!(!Cow::<'static, [u8; 4]>::owns_heap());
}

// ---- Finding a weigher ----

/// Owns heap that nobody can see.
#[derive(Clone, Debug)]
struct Opaque {
    _text: String,
}

/// Owns nothing, and doesn't say so.
struct Plain {
    _number: u64,
}

#[test]
fn weighers_by_macro() {
    let exact = weigher!(Vec<String>);
    assert!(exact.exact);
    assert_eq!((exact.heap)(&vec![String::from("one")]), weigh::allocation(96 / 4) + weigh::allocation(3));
    let copied = weigher!((u8, [u16; 4]));
    assert!(copied.exact);

    let plain = weigher!(Plain);
    assert!(plain.exact);
    assert_eq!((plain.heap)(&Plain { _number: 1 }), 0);

    let opaque = weigher!(Opaque);
    assert!(!opaque.exact);
    assert_eq!((opaque.heap)(&Opaque { _text: String::from("unseen") }), 0);
    assert!(!weigher!(Vec<Opaque>).exact);

    // It is a constant.
    static WEIGHER: Weigher<String> = weigher!(String);
    assert!(WEIGHER.exact);
}

#[test]
fn in_a_generic_function_the_written_bounds_count() {
    fn unbounded<T>() -> Weigher<T> {
        weigher!(T)
    }
    fn bounded<T: Weigh>() -> (Weigher<T>, Weigher<Arc<[T]>>) {
        (weigher!(T), weigher!(Arc<[T]>))
    }
    assert!(!unbounded::<String>().exact);
    assert!(unbounded::<u64>().exact);
    assert!(bounded::<String>().0.exact);
    assert!(bounded::<String>().1.exact);
}

#[track_caller]
fn check_known<T: Weigh + 'static>(value: &T) {
    let found = known::<T>().unwrap_or_else(|| panic!("{} is not known", std::any::type_name::<T>()));
    assert!(found.exact);
    assert_eq!((found.heap)(value), value.heap_bytes());
}

#[test]
fn weighers_at_run_time() {
    let text = || String::from("text on the heap");
    check_known(&1_u64);
    check_known(&(1_u8, 2.0_f32, "static"));
    check_known(&text());
    check_known(&Some(text()));
    check_known(&vec![1_u8, 2, 3]);
    check_known(&vec![text(), text()]);
    check_known(&vec![vec![1.0_f32]]);
    check_known(&Box::<str>::from("boxed"));
    check_known(&Arc::<str>::from("counted"));
    check_known(&Arc::<[u8]>::from([1, 2, 3]));
    check_known(&Arc::<[f32]>::from([1.0, 2.0]));
    check_known(&Arc::new(text()));
    check_known(&Arc::new(vec![1_u8]));
    check_known(&Arc::new(vec![text()]));
    check_known(&PathBuf::from("a/path"));
    check_known(&Arc::<Path>::from(Path::new("a/path")));
    check_known(&(text(), text()));
    check_known(&(text(), 1_u64));
    check_known(&HashMap::from([(text(), text())]));
    check_known(&Cow::<'static, str>::Borrowed("borrowed"));

    assert!(known::<Plain>().is_some_and(|weigher| weigher.exact));
    assert!(known::<Opaque>().is_none());
    assert!(known::<Vec<Opaque>>().is_none());
}
