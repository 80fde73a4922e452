//! Conditions that are none: the compiler's own words, at the user's.
use larder::cached;

#[cached(cache_if = |n| n + 1)]
fn number(n: u32) -> u32 {
    n
}

#[cached(cache_if = true)]
fn switch(n: u32) -> u32 {
    n
}

#[cached(force_if = n)]
fn forced(n: u32) -> u32 {
    n
}

fn main() {
    number(switch(forced(1)));
}
