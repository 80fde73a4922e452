//! How long values live and who computes them: every option, in every spelling that it has.
#![deny(warnings)]

use std::path::Path;
use std::time::Duration;

use larder::{Descriptor, cached};

fn sooner(key: &u32, value: &String) -> Duration {
    Duration::from_secs(u64::from(*key)) + Duration::from_millis(value.len() as u64)
}

#[cached(tti = "10m")]
fn idle(n: u32) -> u32 {
    n
}

#[cached(ttl = "5m", tti = "1m", jitter = 10%)]
fn spread(n: u32) -> u32 {
    n
}

#[cached(jitter = "12.5%", ttl = "5m")]
fn spread_in_quotes(n: u32) -> u32 {
    n
}

#[cached(ttl_by = sooner, jitter = 1)]
fn own_time(n: u32) -> String {
    n.to_string()
}

#[cached(ttl = "1h", ttl_by = |key: &(String, u32), value: &u64| Duration::from_secs(key.0.len() as u64 + *value), jitter = 0.25)]
fn own_time_of_two(name: &str, n: u32) -> Option<u64> {
    Some(u64::from(n) + name.len() as u64)
}

#[cached(ttl_by = "sooner")]
fn own_time_in_quotes(n: u32) -> Result<String, String> {
    Ok(n.to_string())
}

#[cached(ttl_by = |_, _| Duration::MAX)]
fn generic<T: larder::CacheKey>(value: T) -> T {
    value
}

#[cached(single_flight = false)]
fn each_alone(n: u32) -> u32 {
    n
}

#[cached(single_flight = true, wait_at_most = "250ms")]
fn impatient(n: u32) -> u32 {
    n
}

#[cached(detach = false)]
fn attached(n: u32) -> u32 {
    n
}

#[cached(detach)]
async fn owned(text: String, n: u32) -> String {
    format!("{text}{n}")
}

#[cached(detach = true, wait_at_most = "1s")]
async fn referring(text: &str, bytes: &[u8], path: &Path, n: &u32, (a, mut b): (u32, f64)) -> Result<usize, String> {
    b += f64::from(a);
    std::future::ready(()).await;
    Ok(text.len() + bytes.len() + path.as_os_str().len() + *n as usize + b as usize)
}

#[cached(detach)]
async fn of_any<T: larder::CacheKey, const N: usize>(all: &[T], unused: Option<T>) -> Option<Vec<T>> {
    let _ = unused;
    Some(all.iter().take(N).cloned().collect())
}

#[cached(detach)]
async fn of_lifetimes<'a>(name: &'a str, fixed: &'static str) -> String {
    name.to_owned() + fixed
}

fn declared(name: &str) -> &'static Descriptor {
    larder::declared().find(|item| item.name.ends_with(name)).expect("declared")
}

/// These futures are never pending, nor are the tasks.
fn run<F: Future>(future: F) -> F::Output {
    match std::pin::pin!(future).poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        std::task::Poll::Ready(output) => output,
        std::task::Poll::Pending => panic!("a future that waits for nothing"),
    }
}

fn main() {
    assert_eq!(declared("::idle").tti, Some(Duration::from_secs(600)));
    assert_eq!((declared("::spread").tti, declared("::spread").jitter), (Some(Duration::from_secs(60)), Some(0.1)));
    assert_eq!(declared("::spread_in_quotes").jitter, Some(0.125));
    let own = declared("::own_time");
    assert_eq!((own.ttl_by, own.ttl, own.jitter), (true, None, Some(1.0)));
    let two = declared("::own_time_of_two");
    assert_eq!((two.ttl_by, two.ttl, two.jitter), (true, Some(Duration::from_secs(3600)), Some(0.25)));
    let alone = declared("::each_alone");
    assert_eq!((alone.single_flight, alone.wait_at_most, alone.ttl_by), (false, None, false));
    let impatient_declared = declared("::impatient");
    assert_eq!(impatient_declared.wait_at_most, Some(Duration::from_millis(250)));
    assert!(impatient_declared.single_flight && declared("::attached").single_flight);

    larder::set_executor(|task| run(task));
    for _ in 0..2 {
        assert_eq!((idle(1), spread(2), spread_in_quotes(3), own_time(4)), (1, 2, 3, "4".to_owned()));
        assert_eq!(own_time_of_two("ab", 1), Some(3));
        assert_eq!(own_time_in_quotes(7), Ok("7".to_owned()));
        assert_eq!((generic(5_u8), generic("x".to_owned())), (5, "x".to_owned()));
        assert_eq!((each_alone(1), impatient(2), attached(3)), (1, 2, 3));
        assert_eq!(run(owned("a".to_owned(), 1)), "a1");
        assert_eq!(run(referring("ab", &[1, 2, 3], Path::new("/"), &4, (5, 6.0))), Ok(21));
        assert_eq!(run(of_any::<u8, 1>(&[1, 2], None)), Some(vec![1]));
        assert_eq!(run(of_any::<String, 2>(&["a".to_owned()], None)), Some(vec!["a".to_owned()]));
        assert_eq!(run(of_lifetimes("a", "b")), "ab");
    }
    assert_eq!(owned_cache().stats().hits, 1);
    assert_eq!(own_time_of_two_cache().get(("ab", 1)), Some(3));
}
