//! lz4: fast both ways.

use larder_runtime::{CodecError, Compress};
use lz4_flex::block::{compress_into, decompress_into, get_maximum_output_size};

use crate::chunks;

/// Compresses with lz4: fast both ways, to a half or a third for text. For records in memory.
///
/// It has no levels: lz4's higher ones take as long as zstd and save less.
#[derive(Clone, Copy, Debug)]
pub struct Lz4 {
    /// Of the size of pieces.
    exponent: u32,
}

impl Default for Lz4 {
    fn default() -> Self {
        Self { exponent: chunks::MEGABYTE }
    }
}

impl Lz4 {
    /// Values that are larger go in pieces of so many bytes, rounded down to a power of two, from 4 KB to 64 MB; 1 MB
    /// unless this says otherwise. Each piece is compressed by itself: smaller ones take less memory at a time and more
    /// in the end.
    #[must_use]
    pub fn chunk(mut self, bytes: usize) -> Self {
        self.exponent = chunks::exponent(bytes);
        self
    }
}

impl Compress for Lz4 {
    fn name(&self) -> &'static str {
        "lz4"
    }

    fn compress(&self, bytes: &[u8], into: &mut Vec<u8>) {
        chunks::compress(bytes, self.exponent, into, |piece, into| {
            let start = into.len();
            into.resize(start + get_maximum_output_size(piece.len()), 0);
            // There is room for the worst.
            let length = compress_into(piece, &mut into[start..]).unwrap_or(0);
            into.truncate(start + length);
        });
    }

    fn expand(&self, bytes: &[u8], len: usize, into: &mut Vec<u8>) -> Result<(), CodecError> {
        chunks::expand(bytes, len, into, |piece, room| match decompress_into(piece, room) {
            Ok(length) if length == room.len() => Ok(()),
            _ => Err(CodecError::default()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Lz4;
    use crate::chunks::tests::check;

    #[test]
    fn what_was_compressed_comes_back_and_nothing_else_does() {
        check(&Lz4::default());
        check(&Lz4::default().chunk(4096));
    }
}
