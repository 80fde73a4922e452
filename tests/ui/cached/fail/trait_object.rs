use std::fmt::Display;

use larder::cached;

#[cached]
fn shown(it: &dyn Display) -> String {
    it.to_string()
}

#[cached]
fn boxed(it: Box<dyn Display + Send>, n: u32) -> String {
    format!("{it}{n}")
}

fn main() {}
