//! What the key is made of, where that is not all arguments.
#![deny(warnings, missing_docs, unreachable_pub)]

use std::sync::atomic::{AtomicU32, Ordering};

use larder::{Unordered, cached};

static RUNS: AtomicU32 = AtomicU32::new(0);

fn run() -> u32 {
    RUNS.fetch_add(1, Ordering::Relaxed) + 1
}

/// Calls twice, the second time with another argument: was it one entry?
fn one_entry<T>(first: impl FnOnce() -> T, second: impl FnOnce() -> T) -> bool {
    let before = RUNS.load(Ordering::Relaxed);
    first();
    second();
    RUNS.load(Ordering::Relaxed) - before == 1
}

/// No key, and no wish to be one.
/// Public, too.
pub struct Logger;

#[derive(Clone, Debug)]
/// Public.
pub struct Client {
    tenant: String,
    id: u32,
}

#[cached(skip(log))]
fn skipped(n: u32, log: &Logger) -> u32 {
    let Logger = log;
    run() + n
}

#[cached(skip(counter, callback, more))]
fn skipped_strange(n: u32, counter: &mut u32, callback: impl Fn(u32) -> u32, more: &dyn std::fmt::Debug) -> u32
{
    let _ = more;
    *counter += 1;
    run() + callback(n)
}

#[cached(skip(a, b))]
fn skipped_all(a: f64, b: Vec<&str>) -> u32 {
    run() + a as u32 + b.len() as u32
}

#[cached(key(name.trim(): &str, scale))]
fn chosen(name: &str, scale: f64, _unused: &Logger) -> String {
    format!("{}{name}{scale}", run())
}

#[cached(key(client.id: u32, (client.tenant.as_str(), _depth): (&str, u8)))]
fn typed(client: &Client, _depth: u8) -> u32 {
    run() + client.id
}

fn fingerprint(client: &Client, n: &u32) -> u64 {
    u64::from(client.id) * 1000 + u64::from(*n)
}

#[cached(key_by = fingerprint: u64)]
fn by_function(client: &Client, n: u32) -> u32 {
    run() + client.id + n
}

#[cached(key_by = fingerprint)]
fn by_function_without_handle(client: &Client, n: u32) -> u32 {
    run() + client.id + n
}

#[cached(key_by = |client, _| client.id: u32)]
fn by_closure(client: &Client, log: Logger) -> u32 {
    let Logger = log;
    run() + client.id
}

#[cached(commutative(a, b))]
fn alike(a: &str, b: &str) -> u32 {
    run() + (a.len() + b.len()) as u32
}

#[cached(commutative(b, d), skip(c))]
fn alike_between(a: u8, b: Option<f64>, c: Logger, d: Option<f64>, e: u8) -> u32 {
    let Logger = c;
    run() + u32::from(a + e) + u32::from(b > d)
}

#[cached(once)]
fn only(client: &Client, log: &mut Logger) -> u32 {
    let _ = log;
    run() + client.id
}

impl Client {
    #[cached(skip(self))]
    fn whoever(&self, n: u32) -> u32 {
        run() + n + self.id
    }

    /// Some of it.
    #[cached(key(self.tenant.as_str(): &str, n))]
    pub fn of_tenant(&self, n: u32, log: &Logger) -> u32 {
        let Logger = log;
        run() + n + self.id
    }

    #[cached(key_by = Self::pair_of: (u32, usize))]
    fn by_own_function(&self, words: &[String]) -> u32 {
        run() + self.id + words.len() as u32
    }

    fn pair_of(&self, words: &[String]) -> (u32, usize) {
        (self.id, words.len())
    }

    #[cached(once)]
    fn once_for_all(&self, n: u32) -> u32 {
        run() + n
    }

    #[cached(commutative(a, b), skip(self))]
    fn distance(&self, a: u32, b: u32) -> u32 {
        run() + a.abs_diff(b)
    }

    #[cached(key(self.id: u32))]
    async fn later(&self, log: &Logger) -> u32 {
        let Logger = log;
        std::future::ready(run()).await
    }

    /// A field stays where it is.
    #[cached(key(self.tenant: String, n))]
    fn of_field(&self, n: u32, log: &Logger) -> u32 {
        let Logger = log;
        run() + n + self.id
    }

    #[cached(key((self.tenant): String, self.id: u32))]
    async fn of_fields(self) -> String {
        run();
        std::future::ready(self.tenant).await
    }

    /// The key borrows from what the body takes.
    #[cached(key(self.tenant.as_str(): &str, std::borrow::Cow::Borrowed(&*text): std::borrow::Cow<'_, str>))]
    fn consumed(self, text: String) -> String {
        run();
        self.tenant + &text
    }
}

struct Row {
    names: Vec<String>,
    at: (f64, Option<String>),
    path: std::path::PathBuf,
    word: String,
}

#[cached(key(row.names[0]: String, row.at: (f64, Option<String>), row.path: std::path::PathBuf, &row.word: &str, *n: u64))]
fn of_row(row: &Row, n: &u64) -> u32 {
    run() + row.names.len() as u32 + *n as u32
}

#[repr(packed)]
struct Packed {
    small: u8,
    large: u64,
}

#[cached(key(packed.small: u8, packed.large: u64))]
fn of_packed(packed: Packed) -> u64 {
    u64::from(run()) + packed.large
}

fn main() {
    let row = |n: f64| Row { names: vec!["a".into()], at: (n, None), path: "p".into(), word: "w".into() };
    assert!(one_entry(|| of_row(&row(0.5), &1), || of_row(&row(0.5), &1)));
    assert!(!one_entry(|| of_row(&row(0.5), &2), || of_row(&row(0.25), &2)));
    assert_eq!(of_row_cache().len(), 3);
    let packed = || Packed { small: 1, large: 2 };
    assert!(one_entry(|| of_packed(packed()), || of_packed(packed())));
    assert!(one_entry(|| skipped(1, &Logger), || skipped(1, &Logger)));
    assert!(!one_entry(|| skipped(2, &Logger), || skipped(3, &Logger)));
    let mut counter = 0;
    let shown: &'static dyn std::fmt::Debug = &1;
    let _ = shown;
    assert!(one_entry(|| skipped_all(1.0, vec![]), || skipped_all(2.0, vec!["a"])));
    assert_eq!(skipped_all_cache().peek(()), Some(skipped_all(0.0, vec![])));
    assert!(one_entry(|| chosen(" a ", 1.0, &Logger), || chosen("a", 1.0, &Logger)));
    assert!(!one_entry(|| chosen("a", 2.0, &Logger), || chosen("b", 2.0, &Logger)));
    assert!(chosen_cache().contains(("a", 1.0)));
    let client = |tenant: &str, id| Client { tenant: tenant.to_owned(), id };
    assert!(one_entry(|| typed(&client("a", 1), 1), || typed(&client("a", 1), 1)));
    assert!(!one_entry(|| typed(&client("a", 2), 1), || typed(&client("b", 2), 1)));
    assert!(typed_cache().contains((1, ("a", 1))));
    assert!(one_entry(|| by_function(&client("a", 1), 1), || by_function(&client("b", 1), 1)));
    assert!(!one_entry(|| by_function(&client("a", 1), 2), || by_function(&client("a", 1), 3)));
    assert!(by_function_cache().contains(1001));
    let without = by_function_without_handle;
    assert!(one_entry(|| without(&client("a", 1), 1), || without(&client("b", 1), 1)));
    assert!(one_entry(|| by_closure(&client("a", 1), Logger), || by_closure(&client("b", 1), Logger)));
    assert!(one_entry(|| alike("cat", "dog"), || alike("dog", "cat")));
    assert!(!one_entry(|| alike("cat", "cat"), || alike("dog", "dog")));
    assert!(alike_cache().contains(Unordered("dog", "cat")) && !alike_cache().contains(Unordered("dog", "cow")));
    let between = |b, d| alike_between(1, b, Logger, d, 2);
    assert!(one_entry(|| between(Some(0.5), None), || between(None, Some(0.5))));
    assert!(alike_between_cache().contains((1, Unordered(None::<f64>, Some(0.5)), 2)));
    assert!(one_entry(|| only(&client("a", 1), &mut Logger), || only(&client("b", 2), &mut Logger)));
    assert_eq!(only_cache().len(), 1);
    assert!(one_entry(|| client("a", 1).whoever(1), || client("b", 2).whoever(1)));
    assert!(one_entry(|| client("a", 1).of_tenant(1, &Logger), || client("a", 2).of_tenant(1, &Logger)));
    assert!(!one_entry(|| client("c", 1).of_tenant(1, &Logger), || client("d", 1).of_tenant(1, &Logger)));
    assert!(Client::of_tenant_cache().contains(("d", 1)));
    let (a, b) = (["a".to_owned()], ["b".to_owned()]);
    assert!(one_entry(|| client("a", 1).by_own_function(&a), || client("b", 1).by_own_function(&b)));
    assert!(one_entry(|| client("a", 1).once_for_all(1), || client("b", 2).once_for_all(2)));
    assert!(one_entry(|| client("a", 1).distance(1, 2), || client("b", 2).distance(2, 1)));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let mut later = |id| std::pin::pin!(client("a", id).later(&Logger)).poll(&mut context).is_ready();
    assert!(later(1) && later(1));
    assert!(one_entry(|| client("a", 1).consumed("x".into()), || client("a", 2).consumed("x".into())));
    assert_eq!(skipped_strange(1, &mut counter, |n| n, &2_u8), skipped_strange(1, &mut counter, |n| n + 1, &3_u8));
    assert_eq!(counter, 1);
}
