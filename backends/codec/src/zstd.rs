//! zstd: small, and as slow as its level says.

use larder_runtime::{CodecError, Compress};

use crate::chunks;

/// Compresses with zstd: smaller than lz4, and slower by its level; as fast to read at any. For records on disk.
#[derive(Clone, Copy, Debug)]
pub struct Zstd {
    level: i32,
    /// Of the size of pieces.
    exponent: u32,
}

impl Default for Zstd {
    fn default() -> Self {
        Self { level: 3, exponent: chunks::MEGABYTE }
    }
}

impl Zstd {
    /// How much work it takes: from -7, which is as fast as lz4, to 22; 3 unless this says otherwise. What is beyond
    /// counts as the last.
    #[must_use]
    pub fn level(mut self, level: i32) -> Self {
        self.level = level.clamp(-7, 22);
        self
    }

    /// Values that are larger go in pieces of so many bytes; as `Lz4::chunk`.
    #[must_use]
    pub fn chunk(mut self, bytes: usize) -> Self {
        self.exponent = chunks::exponent(bytes);
        self
    }
}

impl Compress for Zstd {
    fn name(&self) -> &'static str {
        "zstd"
    }

    fn compress(&self, bytes: &[u8], into: &mut Vec<u8>) {
        chunks::compress(bytes, self.exponent, into, |piece, into| {
            let start = into.len();
            into.resize(start + zstd::zstd_safe::compress_bound(piece.len()), 0);
            // A system without memory for it: what comes of that is shorter than it should be, and refused when it is
            // read.
            let length = zstd::bulk::compress_to_buffer(piece, &mut into[start..], self.level).unwrap_or(0);
            into.truncate(start + length);
        });
    }

    fn expand(&self, bytes: &[u8], len: usize, into: &mut Vec<u8>) -> Result<(), CodecError> {
        chunks::expand(bytes, len, into, |piece, room| match zstd::bulk::decompress_to_buffer(piece, room) {
            Ok(length) if length == room.len() => Ok(()),
            _ => Err(CodecError::default()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Zstd;
    use crate::chunks::tests::check;

    #[test]
    fn what_was_compressed_comes_back_and_nothing_else_does() {
        check(&Zstd::default());
        check(&Zstd::default().level(-5).chunk(4096));
    }
}
