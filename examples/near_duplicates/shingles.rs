//! Words, and the shingles they form.
//!
//! A shingle is five words in a row, kept as a 64-bit hash: two different shingles share one with a chance of about
//! one in 2^64. The hash is fixed, not seeded, so that the same files give the same answer every time.

/// Words in a shingle.
pub(crate) const SHINGLE_WORDS: usize = 5;

/// Appends the hash of each word of `text`: a run of letters, digits and underscores.
pub(crate) fn hash_words(text: &str, words: &mut Vec<u64>) {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    words.extend(text.split(|c| !is_word(c)).filter(|word| !word.is_empty()).map(hash_word));
}

/// Replaces `shingles` by the sorted, distinct shingles of `words`.
pub(crate) fn from_words(words: &[u64], shingles: &mut Vec<u64>) {
    shingles.clear();
    shingles.extend(
        words
            .windows(SHINGLE_WORDS)
            .map(|window| window.iter().fold(0, |hash: u64, word| mix(hash.rotate_left(23) ^ word))),
    );
    shingles.sort_unstable();
    shingles.dedup();
}

/// The share of shingles that two sorted sets have in common, 0 to 1.
pub(crate) fn jaccard(left: &[u64], right: &[u64]) -> f64 {
    let (mut i, mut j, mut common) = (0, 0, 0_usize);
    while let (Some(a), Some(b)) = (left.get(i), right.get(j)) {
        common += usize::from(a == b);
        i += usize::from(a <= b);
        j += usize::from(b <= a);
    }
    let all = left.len() + right.len() - common;
    if all == 0 { 1.0 } else { common as f64 / all as f64 }
}

/// FNV-1a over the bytes, then a finaliser that spreads them over all 64 bits.
fn hash_word(word: &str) -> u64 {
    let hash = word.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    mix(hash)
}

/// The finaliser of splitmix64: a bijection, so it makes no two inputs equal.
pub(crate) fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::{from_words, hash_words, jaccard};

    fn shingles(text: &str) -> Vec<u64> {
        let (mut words, mut shingles) = (Vec::new(), Vec::new());
        hash_words(text, &mut words);
        from_words(&words, &mut shingles);
        shingles
    }

    #[test]
    fn spaces_and_punctuation_do_not_matter_and_words_do() {
        let plain = shingles("one two three four five six");
        assert_eq!(plain.len(), 2);
        assert_eq!(plain, shingles("one,two\n\tthree (four) -- five: six."));
        assert_eq!(jaccard(&plain, &shingles("one two three four five seven")), 1.0 / 3.0);
    }

    #[test]
    fn order_of_words_matters() {
        assert_eq!(jaccard(&shingles("a b c d e"), &shingles("b a c d e")), 0.0);
    }

    #[test]
    fn fewer_than_five_words_have_no_shingle() {
        assert!(shingles("too few for it").is_empty());
    }

    #[test]
    fn empty_sets_are_equal() {
        assert_eq!(jaccard(&[], &[]), 1.0);
        assert_eq!(jaccard(&[], &[1]), 0.0);
    }
}
