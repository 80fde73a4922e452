use std::borrow::Cow;

use larder::cached;

#[cached(detach)]
async fn inside(name: Option<&str>, tag: Cow<'_, str>, pair: (&str, u32)) -> u32 {
    (name.map_or(0, str::len) + tag.len() + pair.0.len()) as u32
}

#[cached(detach)]
async fn behind_a_trait(path: impl AsRef<str>) -> usize {
    path.as_ref().len()
}

#[cached(detach)]
async fn in_the_error(text: &str) -> Result<u64, &str> {
    text.parse().map_err(|_| text)
}

fn main() {}
