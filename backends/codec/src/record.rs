//! A record that outlives the process: key and value behind a header that says whose they are, and whether they are
//! whole.
//!
//! ```text
//!  0  "lr"                         what this is
//!  2  1                            version of this layout
//!  3  packing                      how the value was made smaller; the writer's number for it
//!  4  crc32 of all that follows    little-endian, as all numbers here
//!  8  fingerprint                  of the code that wrote it: see `Schema`
//! 16  deadline                     milliseconds since 1970 when it is too old; all ones for never
//! 24  cost, factor                 what a miss costs, as bytes of larder's scale
//! 26  0, 0
//! 28  bytes of the key             4
//! 32  bytes of the value before it was made smaller, 4
//! 36  key, value
//! ```
//!
//! Whatever is not exactly that, or was written by other code, is told apart before anything in it is looked at. Not
//! here: where records lie.

use std::error::Error;
use std::fmt;

/// Bytes before the key.
pub const HEADER: usize = 36;

const MAGIC: [u8; 2] = *b"lr";
const VERSION: u8 = 1;

/// A record, with its key and value where they lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// How the value was made smaller: a number of the writer's.
    pub packing: u8,
    /// When it is too old, in milliseconds since 1970; [`u64::MAX`] for never.
    pub deadline: u64,
    /// What a miss costs, as a byte of larder's scale.
    pub cost: u8,
    /// The user's factor, likewise.
    pub factor: i8,
    /// Bytes of the value before it was made smaller.
    pub encoded: u32,
    /// The key's bytes.
    pub key: &'a [u8],
    /// The value's, as they lie.
    pub value: &'a [u8],
}

impl Record<'_> {
    /// Appends the record as code of this fingerprint writes it.
    ///
    /// # Errors
    ///
    /// The key has more bytes than the header can say.
    pub fn seal(&self, fingerprint: u64, into: &mut Vec<u8>) -> Result<(), Unread> {
        let key = u32::try_from(self.key.len()).map_err(|_| Unread::Damaged)?;
        let start = into.len();
        into.reserve(HEADER + self.key.len() + self.value.len());
        into.extend(MAGIC);
        into.extend([VERSION, self.packing, 0, 0, 0, 0]);
        into.extend(fingerprint.to_le_bytes());
        into.extend(self.deadline.to_le_bytes());
        into.extend([self.cost, self.factor as u8, 0, 0]);
        into.extend(key.to_le_bytes());
        into.extend(self.encoded.to_le_bytes());
        into.extend(self.key);
        into.extend(self.value);
        let checksum = checksum(&into[start..]);
        into[start + 4..start + 8].copy_from_slice(&checksum.to_le_bytes());
        Ok(())
    }

    /// Reads what [`seal`](Self::seal) wrote. Allocates nothing.
    ///
    /// # Errors
    ///
    /// Says why it is none of ours.
    pub fn open(bytes: &[u8], fingerprint: u64) -> Result<Record<'_>, Unread> {
        let (header, rest) = bytes.split_first_chunk::<HEADER>().ok_or(Unread::Damaged)?;
        if header[..2] != MAGIC {
            return Err(Unread::Damaged);
        }
        if header[2] != VERSION {
            return Err(Unread::Foreign);
        }
        let four =
            |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let eight = |at: usize| u64::from(four(at)) | u64::from(four(at + 4)) << 32;
        if four(4) != checksum(bytes) {
            return Err(Unread::Damaged);
        }
        if eight(8) != fingerprint {
            return Err(Unread::Foreign);
        }
        let (key, value) = rest.split_at_checked(four(28) as usize).ok_or(Unread::Damaged)?;
        let (packing, cost, factor) = (header[3], header[24], header[25] as i8);
        Ok(Record { packing, deadline: eight(16), cost, factor, encoded: four(32), key, value })
    }
}

/// Whether these bytes are a whole record of this layout, whoever wrote it.
#[must_use]
pub fn is_whole(bytes: &[u8]) -> bool {
    let fingerprint = bytes.get(8..16).and_then(|own| own.try_into().ok()).map(u64::from_le_bytes);
    fingerprint.is_some_and(|own| Record::open(bytes, own).is_ok())
}

/// Bytes of the key of a whole record.
#[must_use]
pub fn key_bytes(bytes: &[u8]) -> Option<u32> {
    let fingerprint = u64::from_le_bytes(bytes.get(8..16)?.try_into().ok()?);
    Record::open(bytes, fingerprint).ok().map(|record| record.key.len() as u32)
}

/// Of all but the checksum itself.
fn checksum(record: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&record[..4]);
    hasher.update(&record[8..]);
    hasher.finalize()
}

/// Why bytes are no record of ours. To a cache both are as if there were nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unread {
    /// They are not what anybody wrote.
    Damaged,
    /// Other code wrote them, or another version of this layout.
    Foreign,
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Damaged => "the record is damaged",
            Self::Foreign => "the record was written by other code",
        })
    }
}

impl Error for Unread {}

#[cfg(test)]
mod tests {
    use super::{Record, Unread, is_whole, key_bytes};

    const RECORD: Record<'static> = Record {
        packing: 1,
        deadline: 0x0102,
        cost: 7,
        factor: -3,
        encoded: 9,
        key: b"key",
        value: b"value",
    };

    fn sealed() -> Vec<u8> {
        let mut bytes = Vec::new();
        RECORD.seal(0x1122_3344_5566_7788, &mut bytes).unwrap();
        bytes
    }

    /// What version 1 looks like, for ever.
    const GOLDEN: &str =
        "6c72010107cf22118877665544332211020100000000000007fd000003000000090000006b657976616c7565";

    #[test]
    fn the_layout_is_the_one_on_file() {
        let hex: String = sealed().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, GOLDEN);
    }

    #[test]
    fn a_record_comes_back() {
        assert_eq!(Record::open(&sealed(), 0x1122_3344_5566_7788), Ok(RECORD));
        let mut behind = b"before".to_vec();
        RECORD.seal(0x1122_3344_5566_7788, &mut behind).unwrap();
        assert_eq!(behind[6..], sealed());
    }

    #[test]
    fn every_flipped_bit_and_every_torn_end_is_found() {
        let sealed = sealed();
        for at in 0..sealed.len() {
            for bit in 0..8 {
                let mut damaged = sealed.clone();
                damaged[at] ^= 1 << bit;
                assert!(Record::open(&damaged, 0x1122_3344_5566_7788).is_err(), "bit {bit} of byte {at}");
            }
            let torn = Record::open(&sealed[..at], 0x1122_3344_5566_7788);
            assert_eq!(torn, Err(Unread::Damaged), "{at} bytes");
        }
        let long = [&sealed[..], &[0]].concat();
        assert_eq!(Record::open(&long, 0x1122_3344_5566_7788), Err(Unread::Damaged));
    }

    #[test]
    fn what_other_code_wrote_is_foreign() {
        assert_eq!(Record::open(&sealed(), 1), Err(Unread::Foreign));
        let mut newer = sealed();
        newer[2] = 2;
        assert_eq!(Record::open(&newer, 0x1122_3344_5566_7788), Err(Unread::Foreign));
    }

    #[test]
    fn whether_it_is_whole_is_seen_by_anybody() {
        let mut bytes = sealed();
        assert!(is_whole(&bytes) && key_bytes(&bytes) == Some(3));
        bytes[40] ^= 1;
        assert!(!is_whole(&bytes) && key_bytes(&bytes).is_none() && !is_whole(b"lr"));
    }
}
