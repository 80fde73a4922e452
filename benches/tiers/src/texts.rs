//! Values to keep, keys to ask for.

use bytes::Bytes;

/// Ranks by Zipf's law, mixed so that neighbours are no neighbours.
pub struct Zipf(Vec<f64>);

impl Zipf {
    pub fn new(keys: u32, exponent: f64) -> Self {
        let mut sum = 0.0;
        let mut sums: Vec<f64> = Vec::new();
        for rank in 1..=keys {
            sum += f64::from(rank).powf(-exponent);
            sums.push(sum);
        }
        Self(sums)
    }

    pub fn next(&self, state: &mut u64) -> u64 {
        let at = roll(state) as f64 / u64::MAX as f64 * self.0.last().copied().unwrap_or(1.0);
        self.0.partition_point(|sum| *sum < at) as u64
    }
}

pub fn roll(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB)
}

const WORDS: [&str; 24] = [
    "cache", "budget", "value", "key", "shelf", "larder", "warm", "cold", "byte", "entry", "price", "tenant",
    "pool", "lease", "record", "stripe", "shard", "policy", "victim", "flight", "leader", "waiter", "clock",
    "tick",
];

fn words(state: &mut u64, count: usize) -> String {
    (0..count).map(|_| WORDS[roll(state) as usize % WORDS.len()]).collect::<Vec<_>>().join(" ")
}

/// Of exactly so many bytes, and no room beside them.
fn cut(mut text: String, bytes: usize) -> String {
    text.truncate(bytes);
    text.shrink_to_fit();
    text
}

/// Records with numbers and words in them.
pub fn json(key: u64, bytes: usize) -> String {
    let mut state = key.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut text = String::from("[");
    while text.len() < bytes {
        let (id, score, title) = (roll(&mut state) >> 40, roll(&mut state) % 10_000, words(&mut state, 6));
        let active = score % 2 == 0;
        text += &format!(r#"{{"id":{id},"score":0.{score:04},"title":"{title}","active":{active}}},"#);
    }
    cut(text, bytes)
}

/// Paragraphs and links.
pub fn html(key: u64, bytes: usize) -> String {
    let mut state = key.wrapping_mul(0xD1B5_4A32_D192_ED03) | 1;
    let mut text = String::from("<!doctype html><html><body>");
    while text.len() < bytes {
        let (link, body) = (roll(&mut state) >> 44, words(&mut state, 30));
        text += &format!("<div class=\"item\"><a href=\"/item/{link}\">{link}</a><p>{body}</p></div>\n");
    }
    cut(text, bytes)
}

pub fn embedding(key: u64) -> Vec<f32> {
    let mut state = key | 1;
    (0..1024).map(|_| (roll(&mut state) as f32 / u64::MAX as f32) - 0.5).collect()
}

/// Six bits in each byte: nothing that lz4 could use.
pub fn noise(key: u64, bytes: usize) -> String {
    let mut state = key.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let text: String = (0..bytes).map(|_| char::from(b'0' + (roll(&mut state) >> 58) as u8)).collect();
    cut(text, bytes)
}

/// Bytes that nothing makes fewer.
pub fn blob(key: u64, bytes: usize) -> Bytes {
    let mut state = key.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut blob = Vec::with_capacity(bytes + 8);
    while blob.len() < bytes {
        blob.extend(roll(&mut state).to_le_bytes());
    }
    blob.truncate(bytes);
    blob.into()
}
