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
    let _it = It::acquire();
    let _other = Other::<u8>::acquire();
}
