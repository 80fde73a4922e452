//! Expansions name everything in full, whatever the names mean where they land.
#![deny(warnings)]
#![allow(non_camel_case_types, non_snake_case, dead_code, unused_macros, reason = "these are the shadows")]

struct String;
struct Vec;
enum Option {
    Some,
    None,
}
enum Result {
    Ok,
    Err,
}
struct Box;
trait Clone {}
trait Copy {}
trait Send {}
trait Sync {}
trait Sized {}
trait Default {}
trait Hash {}
trait Eq {}
trait PartialEq {}
trait Drop {}
trait From {}
trait Into {}
trait AsRef {}
trait ToOwned {}
trait ToString {}
trait Fn {}
trait FnOnce {}
trait Weigh {}
struct Cache;
struct Pool;
struct u64;
struct bool;
mod core {}
mod std {}
mod alloc {}
mod larder {}
mod __private {}
fn drop() {}
fn Some() {}
fn None() {}
fn Ok() {}
fn Err() {}

macro_rules! concat {
    () => {};
}
macro_rules! module_path {
    () => {};
}
macro_rules! line {
    () => {};
}
macro_rules! file {
    () => {};
}

#[::larder::cached(max_mb = 1, max_entries = 5, ttl = "5m", weigh = ::larder::weigh::shallow)]
fn text(name: &str, list: &[u8], n: f64) -> ::std::string::String {
    let _ = (list, n);
    name.to_owned()
}

#[::larder::cached]
fn maybe(name: ::std::option::Option<&str>, path: &::std::path::Path) -> ::std::option::Option<usize> {
    let _ = path;
    name.map(str::len)
}

#[::larder::cached]
fn tried(name: impl ::std::convert::AsRef<str>) -> ::std::result::Result<usize, ()> {
    ::std::result::Result::Ok(name.as_ref().len())
}

struct Status;
struct Local;
struct Unordered;
struct Duration;

#[::larder::cached(uncached, refresh, status, cache_if = |n| *n > 0, force_if = *n == 9.0, skip(n), cost = "cpu")]
fn around(name: &str, n: &f64) -> ::std::result::Result<usize, ()> {
    let _ = n;
    ::std::result::Result::Ok(name.len())
}

#[::larder::cached(scope = "thread", commutative(a, b), cache_none)]
fn of_thread(a: &str, b: &str) -> ::std::option::Option<usize> {
    ::std::option::Option::Some(a.len() + b.len())
}

#[derive(::std::default::Default, ::std::clone::Clone, ::std::cmp::PartialEq, ::std::cmp::Eq, ::std::hash::Hash)]
struct Object {
    caches: ::larder::Local,
}

impl Object {
    #[::larder::cached(within = self.caches, key(name.trim(): &str), status)]
    fn within(&self, name: &str) -> usize {
        name.len()
    }

    #[::larder::cached]
    async fn later(&self, name: &str, (a, mut b): (u8, u8)) -> ::std::result::Result<u8, ()> {
        b += a;
        ::std::result::Result::Ok(b + name.len() as u8)
    }

    #[::larder::cached(handle)]
    fn with_self(self, key: u8, cache: u8, value: u8, miss: u8, body: u8, ran: u8) -> u8 {
        key + cache + value + miss + body + ran
    }
}

#[derive(::larder::Weigh)]
#[::larder::pooled(max = 2, reset = |it| it.0.clear(), new = || It(::std::vec::Vec::new()))]
struct It(::std::vec::Vec<u8>);

#[::larder::pooled]
#[derive(::std::default::Default, ::larder::Weigh)]
struct Other<T> {
    it: T,
}

fn main() {
    assert!(text("ab", &[1], 0.5) == "ab");
    assert!(maybe(::std::option::Option::Some("ab"), ::std::path::Path::new("c")) == ::std::option::Option::Some(2));
    assert!(tried("ab") == ::std::result::Result::Ok(2));
    assert!(around("ab", &0.5) == ::std::result::Result::Ok(2));
    assert!(around_refresh("ab", &0.5) == around_uncached("ab", &0.5));
    assert!(around_with_status("ab", &0.5).1 == ::larder::Status::Hit);
    assert!(of_thread("a", "b") == of_thread("b", "a"));
    let object = <Object as ::std::default::Default>::default();
    assert!(object.within(" a ") == 3 && object.within_with_status("a").0 == 3);
    ::std::mem::drop(object.later("a", (1, 2)));
    assert!(object.with_self(1, 2, 3, 4, 5, 6) == 21);
    let _it = It::acquire();
    let _other = Other::<u8>::acquire();
}
