//! Which sentences are most like a question: the part that is the same whatever computes.
//!
//! Sentences become vectors by counting their trigrams, so that no model is needed. A device holds all of them, and computes the
//! cosine of each to that of the question; what was found for a question is kept by `#[cached]`, so that one that is asked again needs
//! no device. The processor then computes everything once more, and the program fails where the two differ.

use std::error::Error;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use larder::cached;

/// Numbers in each vector.
pub const DIMENSIONS: usize = 256;
/// Sentences that are searched.
pub const SENTENCES: usize = 4096;
/// So many are named for each question.
const BEST: usize = 3;
/// A device may add in another order.
const TOLERANCE: f32 = 1e-4;

/// Nobody's fault: what there is to say when nothing can compute.
pub type Failure = Box<dyn Error + Send + Sync>;

/// What computes: one score for each sentence.
pub trait Search: Send + Sync {
    /// The cosine of each sentence's vector to this one.
    ///
    /// # Errors
    ///
    /// What the device says.
    fn scores(&self, question: &[f32]) -> Result<Vec<f32>, Failure>;

    /// What it is, and how often it made, and used again, buffers.
    fn describe(&self) -> String;
}

/// What is found for a question: sentences by number, the likest first.
pub type Found = Arc<[(usize, f32)]>;

/// The page's code is compiled here, where both drivers are.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/gpu.md")]
mod page {}

static SEARCH: OnceLock<Box<dyn Search>> = OnceLock::new();

/// The sentences that are most like a question. Kept on the host: a few bytes in place of a device's work.
///
/// # Errors
///
/// What the device says; that is not kept.
#[cached(max_mb = 4)]
pub fn most_similar(question: &str) -> Result<Found, String> {
    let search = SEARCH.get().ok_or("nothing computes yet")?;
    let scores = search.scores(&vector(question)).map_err(|failure| failure.to_string())?;
    Ok(best(&scores))
}

fn best(scores: &[f32]) -> Found {
    let mut all: Vec<(usize, f32)> = scores.iter().copied().enumerate().collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    all.truncate(BEST);
    all.into()
}

/// Counts of a text's trigrams, each in one of the dimensions.
#[must_use]
pub fn vector(text: &str) -> Vec<f32> {
    let mut vector = vec![0.0; DIMENSIONS];
    for trigram in text.as_bytes().windows(3) {
        let hash = trigram
            .iter()
            .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
        vector[hash as usize % DIMENSIONS] += 1.0;
    }
    vector
}

/// Sentence number `at`.
#[must_use]
pub fn sentence(at: usize) -> String {
    const WHO: [&str; 16] = [
        "the baker",
        "a teacher",
        "my neighbour",
        "the old sailor",
        "a young doctor",
        "the mayor",
        "her cousin",
        "a stranger",
        "the gardener",
        "our pilot",
        "the librarian",
        "a juggler",
        "the clockmaker",
        "his aunt",
        "a miner",
        "the painter",
    ];
    const DOES: [&str; 16] = [
        "repairs",
        "sells",
        "remembers",
        "paints",
        "hides",
        "borrows",
        "counts",
        "carries",
        "breaks",
        "collects",
        "polishes",
        "describes",
        "buries",
        "invents",
        "weighs",
        "admires",
    ];
    const WHAT: [&str; 16] = [
        "wooden boats",
        "silver spoons",
        "paper lanterns",
        "two clocks",
        "a red bicycle",
        "empty bottles",
        "green apples",
        "an umbrella",
        "heavy books",
        "a small piano",
        "broken glass",
        "the last letter",
        "warm bread",
        "a brass key",
        "grey stones",
        "seven maps",
    ];
    format!("{} {} {}", WHO[at % 16], DOES[at / 16 % 16], WHAT[at / 256 % 16])
}

/// The bytes of numbers, as devices have them.
#[must_use]
pub fn bytes(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// The numbers of bytes.
#[must_use]
pub fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]])).collect()
}

/// The vectors of all sentences, one after the other.
#[must_use]
pub fn all_vectors() -> Vec<f32> {
    (0..SENTENCES).flat_map(|at| vector(&sentence(at))).collect()
}

/// How far two numbers are apart; what is no number is as far as can be.
fn apart(a: f32, b: f32) -> f32 {
    let apart = (a - b).abs();
    if apart.is_nan() { f32::INFINITY } else { apart }
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let length = (dot(a, a) * dot(b, b)).sqrt();
    if length == 0.0 { 0.0 } else { dot(a, b) / length }
}

/// Asks the questions, each four times, compares with the processor, and says what came of it.
#[must_use]
pub fn run(search: Box<dyn Search>) -> ExitCode {
    let search: &dyn Search = &**SEARCH.get_or_init(|| search);
    match ask_all(search) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn ask_all(search: &dyn Search) -> Result<(), Failure> {
    let questions: Vec<String> =
        (0..32).map(|at| format!("who {}?", sentence(at * 131 % SENTENCES))).collect();
    for _ in 0..4 {
        for question in &questions {
            most_similar(question)?;
        }
    }
    let stats = most_similar_cache().stats();
    for question in questions.iter().take(4) {
        println!("{question}");
        for (at, score) in most_similar(question)?.iter() {
            println!("    {score:.3}  {}", sentence(*at));
        }
    }
    let vectors = all_vectors();
    let mut worst: f32 = 0.0;
    for question in &questions {
        let asked = vector(question);
        let scores: Vec<f32> = vectors.chunks(DIMENSIONS).map(|sentence| cosine(&asked, sentence)).collect();
        let found = search.scores(&asked)?;
        if found.len() != scores.len() {
            return Err(format!("{} scores of {}", found.len(), scores.len()).into());
        }
        worst = scores.iter().zip(&found).map(|(a, b)| apart(*a, *b)).fold(worst, f32::max);
        // What was kept is what the processor finds, but for sentences that are equally like the question.
        for ((_, kept), (_, expected)) in most_similar(question)?.iter().zip(best(&scores).iter()) {
            worst = worst.max(apart(*kept, *expected));
        }
    }
    if worst > TOLERANCE {
        return Err(format!("the device and the processor differ by {worst}").into());
    }
    println!(
        "\n{} questions were asked, {} went to the device, {} were known",
        stats.hits + stats.misses,
        stats.misses,
        stats.hits
    );
    println!("{}", search.describe());
    println!("the processor finds the same: no score differs by more than {worst:.1e}");
    Ok(())
}
