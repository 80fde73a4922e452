//! A counting allocator shows that a hit allocates nothing beyond the value's own clone, for each form that an
//! argument can take. A process of its own: it has the allocator and the global domain to itself.

use std::alloc::{GlobalAlloc, Layout, System};
use std::borrow::Cow;
use std::cell::Cell;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use larder::{Local, cached};

/// Counts what the current thread asks of the system's allocator.
struct Counting;

thread_local! {
    static REQUESTS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    // A thread that is ending has nothing to count any more.
    let _ = REQUESTS.try_with(|requests| requests.set(requests.get() + 1));
}

// SAFETY: every call goes to `System` as it came; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are the ones `System` asks for.
        unsafe { System.alloc(layout) }
    }
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(block, layout, size) }
    }
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Calls `hit` twice to warm up (the miss, and the thread's first hit) and counts the requests of 1,000 more.
#[track_caller]
fn check<R>(form: &str, mut hit: impl FnMut() -> R) {
    black_box(hit());
    black_box(hit());
    let before = REQUESTS.get();
    for _ in 0..1000 {
        black_box(hit());
    }
    assert_eq!(REQUESTS.get() - before, 0, "a hit with {form} allocates");
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Opts {
    name: String,
    level: u32,
}

#[cached]
fn number(n: u64) -> u64 {
    n + 1
}

#[cached]
fn nothing() -> u64 {
    7
}

#[cached]
fn three(name: &str, id: u32, opts: &Opts) -> Arc<str> {
    Arc::from(format!("{name}{id}{}{}", opts.name, opts.level))
}

#[cached]
fn optional(name: Option<&str>) -> usize {
    name.map_or(0, str::len)
}

#[cached]
fn pair(pair: (u32, &str)) -> usize {
    pair.1.len() + pair.0 as usize
}

#[cached]
fn float(x: f64) -> f64 {
    x * 2.0
}

#[cached]
fn cow(text: Cow<'_, str>) -> usize {
    text.len()
}

#[cached]
fn path(path: &Path) -> usize {
    path.as_os_str().len()
}

#[cached]
fn slice(words: &[String]) -> usize {
    words.len()
}

#[cached]
fn shared(text: Arc<str>) -> usize {
    text.len()
}

#[cached]
fn array(bytes: [u8; 16]) -> u8 {
    bytes[0]
}

#[cached]
fn as_ref(text: impl AsRef<str>) -> usize {
    text.as_ref().len()
}

#[cached]
fn generic<T: larder::CacheKey + Into<u64>>(value: T) -> u64 {
    value.into()
}

#[cached]
fn result(text: &str) -> Result<u64, std::num::ParseIntError> {
    text.parse()
}

#[cached]
fn option(n: u64) -> Option<u64> {
    Some(n)
}

#[cached(ttl = "1h", policy = "lru", max_entries = 100)]
fn expiring(n: u64) -> u64 {
    n
}

#[cached(commutative(a, b))]
fn unordered(a: &str, b: &str) -> usize {
    a.len() + b.len()
}

#[cached(skip(words))]
fn skipped(n: u64, words: &[String]) -> u64 {
    n + words.len() as u64
}

#[cached(key(text.trim(): &str))]
fn trimmed(text: &str) -> usize {
    text.len()
}

#[cached(key_by = length: usize, force_if = text.is_empty())]
fn by_length(text: &str) -> usize {
    text.len()
}

fn length(text: &str) -> usize {
    text.len()
}

#[cached(scope = "thread")]
fn of_thread(text: &str) -> usize {
    text.len()
}

#[derive(Clone, Default, PartialEq, Eq, Hash)]
struct Object {
    name: String,
    caches: Local,
}

impl Object {
    #[cached]
    fn method(&self, text: &str) -> usize {
        self.name.len() + text.len()
    }

    #[cached(key(self.name.as_str(): &str, n), status)]
    fn of_name(&self, n: u64) -> u64 {
        self.name.len() as u64 + n
    }

    #[cached(key(self.name: String, n))]
    fn of_field(&self, n: u64) -> u64 {
        self.name.len() as u64 + n
    }

    #[cached(within = self.caches)]
    fn within(&self, text: &str) -> usize {
        self.name.len() + text.len()
    }
}

#[test]
fn a_hit_allocates_nothing() {
    let opts = Opts { name: "a name that is long enough for the heap".to_owned(), level: 3 };
    let words = vec!["one".to_owned(), "two".to_owned()];
    let text: Arc<str> = Arc::from("shared text");
    check("u64", || number(black_box(1)));
    check("no arguments", nothing);
    check("(&str, u32, &Opts)", || three(black_box("key"), 7, &opts));
    check("Option<&str>", || optional(black_box(Some("text"))));
    check("(u32, &str)", || pair(black_box((3, "text"))));
    check("f64", || float(black_box(1.5)));
    check("Cow<str>", || cow(Cow::Borrowed(black_box("text"))));
    check("&Path", || path(Path::new(black_box("/a/path"))));
    check("&[String]", || slice(black_box(&words)));
    check("Arc<str>", || shared(Arc::clone(&text)));
    check("[u8; 16]", || array(black_box([4; 16])));
    check("impl AsRef<str>", || as_ref(black_box("text")));
    check("a type parameter", || generic(black_box(5_u32)));
    check("Result", || result(black_box("12")));
    check("Option", || option(black_box(9)));
    check("a pair in any order", || unordered(black_box("a"), "b"));
    check("an argument left out", || skipped(1, black_box(&words)));
    check("an expression", || trimmed(black_box(" text ")));
    check("a function", || by_length(black_box("text")));
    check("a thread's cache", || of_thread(black_box("text")));
    let object = Object { name: "a name that is long enough for the heap".to_owned(), ..Object::default() };
    check("&self", || object.method(black_box("text")));
    check("a part of self", || object.of_name(black_box(1)));
    check("a field by its name", || object.of_field(black_box(1)));
    check("a status", || object.of_name_with_status(black_box(1)));
    check("an object's cache", || object.within(black_box("text")));
    check("an expiring entry", || expiring(black_box(9)));
}

#[test]
fn a_hit_through_the_handle_allocates_nothing() {
    let opts = Opts { name: "a name that is long enough for the heap".to_owned(), level: 4 };
    let _ = three("handle", 1, &opts);
    check("a tuple of borrowed parts", || {
        assert!(three_cache().get(black_box(("handle", 1, &opts))).is_some());
    });
    let _ = number(11);
    check("a number", || assert_eq!(number_cache().get(black_box(11)), Some(12)));
}
