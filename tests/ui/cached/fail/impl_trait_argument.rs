use std::fmt::Display;

use larder::cached;

#[cached]
fn into(text: impl Into<String>) -> String {
    text.into()
}

#[cached]
fn seen_twice(text: impl AsRef<str> + Display) -> String {
    format!("{text}{}", text.as_ref())
}

#[cached]
fn inside(list: Vec<impl AsRef<str>>) -> usize {
    list.len()
}

fn main() {}
