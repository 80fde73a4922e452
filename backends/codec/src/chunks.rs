//! Large values in pieces: each is compressed by itself, so that no piece needs more memory at a time than it is long.
//!
//! ```text
//! exponent of the size of pieces (1 byte), then for each piece: its length here (4 bytes), the piece
//! ```

use larder_runtime::CodecError;

/// Pieces of a megabyte, unless the user says otherwise.
pub(crate) const MEGABYTE: u32 = 20;
/// The smallest pieces: below 4 KB nothing gets smaller.
const LEAST: u32 = 12;
/// The largest, 64 MB.
const MOST: u32 = 26;

/// The exponent of the nearest size of pieces that is not above this.
pub(crate) fn exponent(bytes: usize) -> u32 {
    bytes.max(1).ilog2().clamp(LEAST, MOST)
}

/// Appends the pieces of `bytes`, each as `compress` appends it.
pub(crate) fn compress(
    bytes: &[u8],
    exponent: u32,
    into: &mut Vec<u8>,
    mut compress: impl FnMut(&[u8], &mut Vec<u8>),
) {
    into.push(exponent as u8);
    for piece in bytes.chunks(1 << exponent) {
        let start = into.len();
        into.extend([0; 4]);
        compress(piece, into);
        let length = (into.len() - start - 4) as u32;
        into[start..start + 4].copy_from_slice(&length.to_le_bytes());
    }
}

/// Appends `len` bytes, of which `expand` fills each piece.
pub(crate) fn expand(
    bytes: &[u8],
    len: usize,
    into: &mut Vec<u8>,
    mut expand: impl FnMut(&[u8], &mut [u8]) -> Result<(), CodecError>,
) -> Result<(), CodecError> {
    let (&exponent, mut rest) = bytes.split_first().ok_or_else(CodecError::default)?;
    if !(LEAST..=MOST).contains(&exponent.into()) {
        return Err(CodecError::default());
    }
    let end = into.len() + len;
    while into.len() < end {
        let (length, behind) = rest.split_first_chunk::<4>().ok_or_else(CodecError::default)?;
        let length = u32::from_le_bytes(*length) as usize;
        let (piece, behind) = behind.split_at_checked(length).ok_or_else(CodecError::default)?;
        let start = into.len();
        // Piece by piece: what is declared and never comes takes no memory.
        into.resize(start + (end - start).min(1 << exponent), 0);
        expand(piece, &mut into[start..])?;
        rest = behind;
    }
    if rest.is_empty() { Ok(()) } else { Err(CodecError::default()) }
}

/// What each compressor must do, for its tests.
#[cfg(test)]
pub(crate) mod tests {
    use larder_runtime::Compress;

    pub(crate) fn text(len: usize) -> Vec<u8> {
        (0..).flat_map(|line: u32| format!("line {line} of a text\n").into_bytes()).take(len).collect()
    }

    pub(crate) fn check(compress: &dyn Compress) {
        for len in [0, 1, 100, 4096, 10_000, 100_000, 3_000_000] {
            let (plain, mut packed, mut back) = (text(len), b"before".to_vec(), b"ahead".to_vec());
            compress.compress(&plain, &mut packed);
            assert_eq!(packed[..6], *b"before");
            if len >= 4096 {
                assert!(packed.len() * 5 < plain.len() * 2, "{len}: {}", packed.len());
            }
            compress.expand(&packed[6..], len, &mut back).unwrap();
            assert_eq!(back[..5], *b"ahead");
            assert!(back[5..] == plain, "{len}");
            for wrong in [len + 1, len.saturating_sub(1), usize::MAX >> 8] {
                if wrong != len {
                    assert!(
                        compress.expand(&packed[6..], wrong, &mut Vec::new()).is_err(),
                        "{len} as {wrong}"
                    );
                }
            }
        }
        let mut packed = Vec::new();
        compress.compress(&text(10_000), &mut packed);
        for at in 0..packed.len() {
            let mut damaged = packed.clone();
            damaged[at] ^= 0x55;
            let mut back = Vec::new();
            let _ = compress.expand(&damaged, 10_000, &mut back);
            assert!(back.len() <= 10_000);
            assert!(compress.expand(&packed[..at], 10_000, &mut Vec::new()).is_err(), "{at}");
        }
    }
}
