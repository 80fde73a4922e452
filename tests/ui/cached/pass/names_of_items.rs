//! Constants and statics by whatever name: a pattern of ours is never one of them.
#![allow(non_upper_case_globals, dead_code, reason = "that is what this is about")]

use larder::{Local, Pooled, Weigh, cached, pooled};

const cache: u32 = 1;
const query: u32 = 1;
const miss: u32 = 1;
const value: u32 = 1;
const here: u32 = 1;
const loading: u32 = 1;
const returned: u32 = 1;
const body: u32 = 1;
const part: u32 = 1;
const ran: u32 = 1;
static argument_0: u32 = 1;
static argument_1: u32 = 1;
static lease: u32 = 1;
static vacancy: u32 = 1;
static object: u32 = 1;
static reset: u32 = 1;
static validate: u32 = 1;
static weigh: u32 = 1;
static function: u32 = 1;
static bytes: u32 = 1;
static recipe: u32 = 1;
static new: u32 = 1;
static pool: u32 = 1;

#[cached]
fn plain(n: u32, name: Option<&str>) -> u32 {
    n + name.map_or(0, str::len) as u32
}

#[cached(force_if = n == 7, cache_if = |n| *n > 3, status, uncached, refresh)]
fn conditional(n: u32, name: &str) -> Result<u32, String> {
    name.parse::<u32>().map(|more| n + more).map_err(|error| error.to_string())
}

#[cached(status, refresh)]
async fn task(n: u32, name: Option<&str>) -> Option<u32> {
    std::future::ready(name?.len() as u32 + n).await.into()
}

#[cached(detach, status, cache_if = |n| *n > 3)]
async fn detached(n: u32, name: &str) -> u32 {
    std::future::ready(n).await + name.len() as u32
}

#[derive(Default)]
struct Object {
    name: String,
    caches: Local,
}

impl Object {
    #[cached(key(self.name: String, n), status)]
    fn method(&self, n: u32) -> Option<u32> {
        Some(n)
    }

    #[cached(within = self.caches)]
    fn of_each(self, n: u32) -> u32 {
        n
    }

    #[cached(scope = "thread", skip(self))]
    fn of_thread(&self, n: u32) -> u32 {
        n
    }
}

#[pooled(max = 4, max_kb = 4, trim_to = |list, _| list.0.clear(), reset = |list| list.0.clear(), validate = |_| true, weigh = |_| 24)]
#[derive(Default)]
struct List(Vec<u32>);

#[pooled(try_new = Self::open)]
#[derive(Weigh)]
struct Generic<T: Weigh + Send + Default + 'static>(T);

impl<T: Weigh + Send + Default + 'static> Generic<T> {
    fn open() -> Result<Self, String> {
        Ok(Self(T::default()))
    }
}

#[pooled(max = 4, reset = |text| text.clear(), validate = |_| true, weigh = |_| 24)]
fn text_for(name: &str) -> Result<Pooled<String>, String> {
    Ok(name.to_owned())
}

#[pooled]
async fn later_for(name: &str) -> Pooled<String> {
    std::future::ready(name.to_owned()).await
}

fn main() {
    assert_eq!((plain(1, Some("ab")), plain(1, None)), (3, 1));
    assert_eq!(conditional(1, "5"), Ok(6));
    assert_eq!((conditional(7, "5"), conditional_refresh(7, "6")), (Ok(12), Ok(13)));
    let object_ = Object::default();
    assert_eq!((object_.method(1), object_.of_thread(2), object_.of_each(3)), (Some(1), 2, 3));
    assert!(List::acquire().0.is_empty());
    assert!(text_for("a").is_ok());
    drop((task(1, None), detached(1, ""), later_for("a")));
}
