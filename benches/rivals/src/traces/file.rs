//! Reads recorded traces from `NAME.ltr.zst`.
//!
//! One zstd frame around little-endian data: the eight bytes `LTRACE1\0`; the number of accesses and flags, 64 bits
//! each; then for each access, in 64 bits, its key less the key before it, wrapping, the first less 0. What follows
//! (sizes, where bit 0 of the flags says so) is not read.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use ruzstd::decoding::StreamingDecoder;

use super::Trace;

const MAGIC: &[u8; 8] = b"LTRACE1\0";
const SUFFIX: &str = ".ltr.zst";

/// The traces of a directory, by name.
pub fn find(directory: &Path) -> Result<Vec<PathBuf>, String> {
    let unreadable = |error: std::io::Error| format!("cannot list {}: {error}", directory.display());
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.to_string_lossy().ends_with(SUFFIX) {
            paths.push(path);
        }
    }
    paths.sort();
    if paths.is_empty() { Err(format!("no *{SUFFIX} in {}", directory.display())) } else { Ok(paths) }
}

/// The first `accesses` of a trace.
pub fn read(path: &Path, accesses: usize) -> Result<Trace, String> {
    let wrong = |what: String| format!("{}: {what}", path.display());
    let name = path.file_name().map(|name| name.to_string_lossy().replace(SUFFIX, "")).unwrap_or_default();
    let file = File::open(path).map_err(|error| wrong(error.to_string()))?;
    let unpacked = StreamingDecoder::new(BufReader::new(file)).map_err(|error| wrong(error.to_string()))?;
    let keys = keys_of(unpacked, accesses).map_err(wrong)?;
    Ok(Trace::new(name, keys, true))
}

fn keys_of(mut data: impl Read, accesses: usize) -> Result<Vec<u64>, String> {
    let mut word = [0; 8];
    let mut next = |what: &str| match data.read_exact(&mut word) {
        Ok(()) => Ok(word),
        Err(error) => Err(format!("{what}: {error}")),
    };
    if next("the header")? != *MAGIC {
        return Err("this is not a trace: its first bytes are others".to_owned());
    }
    let count = u64::from_le_bytes(next("the number of accesses")?);
    let _flags = next("the flags")?;
    let count = usize::try_from(count).unwrap_or(usize::MAX).min(accesses);
    let mut key = 0_u64;
    (0..count)
        .map(|_| {
            key = key.wrapping_add(u64::from_le_bytes(next("a key")?));
            Ok(key)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::keys_of;

    fn data(magic: &[u8; 8], count: u64, deltas: &[i64]) -> Vec<u8> {
        let mut bytes = magic.to_vec();
        bytes.extend(count.to_le_bytes());
        bytes.extend(0_u64.to_le_bytes());
        deltas.iter().for_each(|delta| bytes.extend(delta.to_le_bytes()));
        bytes
    }

    #[test]
    fn keys_are_sums_of_differences() {
        let bytes = data(b"LTRACE1\0", 4, &[7, 3, -9, 0]);
        assert_eq!(keys_of(&bytes[..], 100), Ok(vec![7, 10, 1, 1]));
        assert_eq!(keys_of(&bytes[..], 2), Ok(vec![7, 10]));
    }

    #[test]
    fn what_is_no_trace_is_refused() {
        assert!(keys_of(&data(b"LTRACE9\0", 0, &[])[..], 1).is_err());
        let short = keys_of(&data(b"LTRACE1\0", 2, &[1])[..], 9);
        assert!(short.is_err_and(|error| error.starts_with("a key")));
    }
}
