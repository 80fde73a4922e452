use std::borrow::Cow;

use larder::cached;

struct Words<'a>(&'a str);

#[cached]
fn text(text: &str) -> &str {
    text.trim()
}

#[cached]
fn list<'a>(list: &'a [u8], n: usize) -> Option<&'a [u8]> {
    list.get(..n)
}

#[cached]
fn cow(text: &str) -> Result<Cow<'_, str>, String> {
    Ok(text.into())
}

#[cached]
fn parts(text: &str) -> Words<'_> {
    Words(text)
}

#[cached]
fn inside(text: &String) -> std::io::Result<&String> {
    Ok(text)
}

#[cached]
fn many(text: &str) -> Vec<&str> {
    text.split(' ').collect()
}

fn main() {}
