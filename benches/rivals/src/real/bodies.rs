//! Five functions that services cache, each with real work: what comes out depends on the key, and nothing is slept or
//! counted.

use std::fmt::Write;
use std::sync::Arc;

use larder_benches::Random;
use regex_automata::meta::Regex;
use sha2::{Digest, Sha256};

/// A cached function, and how it is used.
pub struct Function {
    pub name: &'static str,
    /// Different arguments.
    pub keys: u64,
    pub skew: f64,
    /// Parts of the requests, before and after the load changes.
    pub share: [f64; 2],
    pub body: fn(u64) -> Value,
}

/// All of them.
pub const FUNCTIONS: [Function; 5] = [
    Function { name: "pattern", keys: 3_000, skew: 0.9, share: [0.10, 0.25], body: pattern },
    Function { name: "page", keys: 20_000, skew: 0.8, share: [0.35, 0.20], body: page },
    Function { name: "digest", keys: 60_000, skew: 0.9, share: [0.30, 0.10], body: digest },
    Function { name: "archive", keys: 3_000, skew: 0.7, share: [0.10, 0.30], body: archive },
    Function { name: "matrix", keys: 2_000, skew: 0.9, share: [0.15, 0.15], body: matrix },
];

/// What a body returns; a clone is a count.
#[derive(Clone)]
pub enum Value {
    Pattern(Arc<Regex>),
    Page(Arc<str>),
    Digest([u8; 32]),
    Archive(Arc<[u8]>),
    Matrix(Arc<[f64]>),
}

impl Value {
    /// Bytes of heap.
    pub fn heap(&self) -> u64 {
        let bytes = match self {
            Self::Pattern(pattern) => size_of::<Regex>() + pattern.memory_usage(),
            Self::Page(text) => text.len(),
            Self::Digest(_) => 0,
            Self::Archive(bytes) => bytes.len(),
            Self::Matrix(numbers) => size_of_val(&**numbers),
        };
        bytes as u64
    }

    /// Something that depends on the value, so that nothing is left out for being unused.
    pub fn use_it(&self) -> u64 {
        match self {
            Self::Pattern(pattern) => pattern.pattern_len() as u64,
            Self::Page(text) => text.len() as u64,
            Self::Digest(bytes) => bytes[0].into(),
            Self::Archive(bytes) => bytes.len() as u64,
            Self::Matrix(numbers) => numbers[0].to_bits(),
        }
    }
}

const WORDS: [&str; 16] = [
    "order",
    "invoice",
    "customer",
    "north",
    "seven",
    "delivery",
    "amount",
    "paper",
    "window",
    "reference",
    "blue",
    "account",
    "winter",
    "quantity",
    "street",
    "letter",
];

fn words(random: &mut Random, count: usize) -> String {
    let mut text = String::new();
    for _ in 0..count {
        text.push_str(WORDS[random.bits() as usize % WORDS.len()]);
        text.push(' ');
    }
    text
}

/// Compiles a pattern, as a rule engine or a router does.
fn pattern(key: u64) -> Value {
    let mut random = Random::new(key ^ 0x7061);
    let mut text = String::from("(?i)^");
    for _ in 0..1 + random.bits() % 3 {
        let word = WORDS[random.bits() as usize % WORDS.len()];
        let _ =
            write!(text, r"({word}|{})\s+\w{{1,{}}}[^,;]*", random.bits() % 10_000, 1 + random.bits() % 3);
    }
    let pattern = Regex::new(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
    Value::Pattern(Arc::new(pattern))
}

/// Renders a list of records as JSON, as an endpoint does.
fn page(key: u64) -> Value {
    let mut random = Random::new(key ^ 0x6a73);
    let mut text = String::from("[");
    for item in 0..8 + random.bits() % 40 {
        let name = words(&mut random, 3);
        let price = random.unit() * 1000.0;
        let separator = if item == 0 { "" } else { "," };
        let _ = write!(
            text,
            r#"{separator}{{"id":{},"name":"{}","price":{price:.2},"rating":{},"tags":["{}","{}"]}}"#,
            random.bits() >> 20,
            escaped(&name),
            random.unit(),
            escaped(&words(&mut random, 1)),
            escaped(&words(&mut random, 1))
        );
    }
    text.push(']');
    Value::Page(text.into())
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 2);
    for char in text.chars() {
        match char {
            '"' => escaped.push_str("\\\""),
            '\\' => escaped.push_str("\\\\"),
            char if char < ' ' => _ = write!(escaped, "\\u{:04x}", char as u32),
            char => escaped.push(char),
        }
    }
    escaped
}

/// Derives a key by hashing again and again.
fn digest(key: u64) -> Value {
    let mut random = Random::new(key ^ 0x6861);
    let rounds = 200 + random.bits() % 1_000;
    let mut bytes: [u8; 32] = Sha256::digest(key.to_le_bytes()).into();
    for round in 0..rounds {
        let mut hasher = Sha256::new();
        hasher.update(bytes);
        hasher.update(round.to_le_bytes());
        bytes = hasher.finalize().into();
    }
    Value::Digest(bytes)
}

/// Compresses a document.
fn archive(key: u64) -> Value {
    let mut random = Random::new(key ^ 0x7a69);
    let count = 2_000 + random.bits() as usize % 6_000;
    let mut text = words(&mut random, count);
    // Every few words a number, or it would shrink to nothing.
    for at in (0..text.len()).step_by(40) {
        let number = format!("{:08x}", random.bits() as u32);
        if at + number.len() < text.len() {
            text.replace_range(at..at + number.len(), &number);
        }
    }
    Value::Archive(miniz_oxide::deflate::compress_to_vec(text.as_bytes(), 6).into())
}

/// Multiplies matrices.
fn matrix(key: u64) -> Value {
    let mut random = Random::new(key ^ 0x6d61);
    let size = 48 + (random.bits() % 6) as usize * 16;
    let mut numbers = || -> Vec<f64> { (0..size * size).map(|_| random.unit() - 0.5).collect() };
    let (a, b) = (numbers(), numbers());
    let mut product = b;
    for _ in 0..6 {
        let factor = std::mem::replace(&mut product, vec![0.0; size * size]);
        let (width, wide) = (size as isize, size);
        // SAFETY: all three are square, `size` wide, row after row, and the product is nobody else's.
        unsafe {
            matrixmultiply::dgemm(
                wide,
                wide,
                wide,
                1.0,
                a.as_ptr(),
                width,
                1,
                factor.as_ptr(),
                width,
                1,
                0.0,
                product.as_mut_ptr(),
                width,
                1,
            );
        }
    }
    Value::Matrix(product.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_body_depends_on_its_key_and_on_nothing_else() {
        for function in &FUNCTIONS {
            let values = [1, 1, 2].map(|key| (function.body)(key));
            let told = values.each_ref().map(|value| match value {
                Value::Pattern(pattern) => format!("{pattern:?}"),
                Value::Page(text) => text.to_string(),
                Value::Digest(bytes) => format!("{bytes:?}"),
                Value::Archive(bytes) => format!("{bytes:?}"),
                Value::Matrix(numbers) => format!("{numbers:?}"),
            });
            assert_eq!(told[0], told[1], "{}", function.name);
            assert!(told[0] != told[2] || values[0].heap() != values[2].heap(), "{}", function.name);
        }
    }

    #[test]
    fn what_is_compressed_is_still_all_there() {
        let Value::Archive(bytes) = archive(3) else { panic!("an archive") };
        let text = miniz_oxide::inflate::decompress_to_vec(&bytes).unwrap();
        assert!(text.len() > 2 * bytes.len() && String::from_utf8(text).unwrap().contains("order"));
    }
}
