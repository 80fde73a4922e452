//! One cache for all, for each thread, for each object.
#![deny(warnings, missing_docs, unreachable_pub)]

use std::sync::atomic::{AtomicU32, Ordering};

use larder::{Cache, Local, cached};

static RUNS: AtomicU32 = AtomicU32::new(0);

fn run() -> u32 {
    RUNS.fetch_add(1, Ordering::Relaxed) + 1
}

#[cached(scope = "thread", max_entries = 10)]
fn of_thread(n: u32) -> u32 {
    run() + n
}

#[cached(scope = "thread", handle = false)]
fn of_thread_quietly<T: larder::CacheKey>(of: &[T], _any: impl AsRef<str>) -> u32 {
    run() + of.len() as u32
}

#[cached(scope = "thread")]
async fn of_thread_later(n: u32) -> Option<u32> {
    std::future::ready(run() + n).await.into()
}

#[cached(scope = "global")]
fn of_all(n: u32) -> u32 {
    run() + n
}

/// Derives mean what they meant.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, larder::Weigh)]
pub struct Document {
    text: String,
    caches: Local,
}

impl Document {
    /// With a handle.
    #[cached(within = self.caches)]
    pub fn find(&self, word: &str) -> Option<usize> {
        run();
        self.text.find(word)
    }

    #[cached(within = self.caches, once)]
    fn length(&self) -> usize {
        run();
        self.text.len()
    }

    #[cached(within = self.caches)]
    async fn later<T: larder::CacheKey + AsRef<str>>(&self, word: T) -> Result<usize, String> {
        run();
        std::future::ready(self.text.find(word.as_ref())).await.ok_or_else(|| self.text.clone())
    }

    #[cached(within = self.caches)]
    fn consumed(self, suffix: &str) -> String {
        run();
        self.text + suffix
    }

    #[cached(within = &self.caches, handle = "counts", max_entries = 5, cost = "cpu")]
    fn count(&self, of: char) -> usize {
        run();
        self.text.chars().filter(|char| *char == of).count()
    }
}

#[cached(within = document.caches)]
fn lines(document: &Document, from: usize) -> Vec<String> {
    run();
    document.text.lines().skip(from).map(str::to_owned).collect()
}

trait Words {
    fn words(&self) -> usize;
}

impl Words for Document {
    #[cached(within = self.caches)]
    fn words(&self) -> usize {
        run();
        self.text.split(' ').count()
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => unreachable!(),
    }
}

fn main() {
    let here = of_thread(1);
    assert_eq!(of_thread(1), here);
    let (there, len) = std::thread::spawn(|| (of_thread(1), of_thread_cache().len())).join().unwrap();
    assert_ne!(here, there);
    assert_eq!((of_thread_cache().get(1), len), (Some(here), 1));
    let cache: Cache<u32, u32> = of_thread_cache();
    assert_eq!(cache.stats().entries, 1, "the other thread's is gone with it");
    assert_eq!(of_thread_quietly(&[1], "a"), of_thread_quietly(&[1], String::from("a")));
    assert_eq!(block_on(of_thread_later(1)), block_on(of_thread_later(1)));
    let all = of_all(1);
    assert_eq!(std::thread::spawn(|| of_all(1)).join().unwrap(), all);

    let before = RUNS.load(Ordering::Relaxed);
    let document = |text: &str| Document { text: text.to_owned(), ..Document::default() };
    let (one, two) = (document("to be or not"), document("not to be"));
    for _ in 0..3 {
        assert_eq!((one.find("not"), two.find("not")), (Some(9), Some(0)));
        assert_eq!((one.length(), two.length()), (12, 9));
        assert_eq!((block_on(one.later("or")), block_on(one.later("be".to_owned()))), (Ok(6), Ok(3)));
        assert_eq!((one.count('o'), two.count('o')), (3, 2));
        assert_eq!((lines(&one, 0).len(), lines(&two, 0).len(), lines(&two, 1).len()), (1, 1, 0));
        assert_eq!((one.words(), two.words()), (4, 3));
    }
    assert_eq!(RUNS.load(Ordering::Relaxed) - before, 2 + 2 + 2 + 2 + 3 + 2);
    assert_eq!((one.find_cache().len(), one.find_cache().get("not")), (1, Some(9)));
    assert_eq!(one.counts().len(), 1);
    assert_eq!(one, one.clone());
    assert_eq!(one.clone().find_cache().len(), 0, "a clone knows nothing yet");
    assert_eq!(document("a").consumed("b"), "ab");

    let entries = || one.find_cache().stats().entries;
    assert_eq!(entries(), 2, "of all objects");
    let weight = one.find_cache().weight();
    drop(two);
    assert_eq!(entries(), 1);
    assert!(one.find_cache().weight() < weight - 1000);
    let row = larder::stats().tenants.into_iter().find(|tenant| tenant.name.ends_with("::Document::find"));
    assert_eq!(row.map(|row| row.entries), Some(1));
}
