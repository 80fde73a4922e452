//! What a file of labels is made of: frames, one for each change, in their order.
//!
//! ```text
//!  0  "larder", 0, 1               what this is, and the version of this layout
//!     frames:
//!  0  bytes of the body            4, little-endian, as all numbers here
//!  4  crc32 of the body            4
//!  8  crc32 of those eight         4
//! 12  the body: kind, number       1, 8
//!     of a record that comes, too:
//!  9  where it is, its bytes       4, 4
//! 17  its mark                     4
//! 21  the label
//! ```
//!
//! A process that is killed leaves the beginning of a frame at the end of its last file, and a machine that stops may
//! leave nothing but zeros there: that is torn, and what was before it holds. Everything else that is no frame is damage.

/// How a file begins.
pub(super) const MAGIC: [u8; 8] = *b"larder\0\x01";
/// Bytes before a frame's body.
const HEADER: usize = 12;
/// Of a body before the label.
const BODY: usize = 21;
/// Of a body without a record.
const SHORT: usize = 9;

/// Kinds; no single bit makes one of another, or nothing.
const PUT: u8 = 0x11;
const REMOVE: u8 = 0x22;
const CLEAR: u8 = 0x44;
const SEALED: u8 = 0x88;

/// A change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Frame<'a> {
    /// A record came, or lies elsewhere from now on: at this place of the file of records beside this one.
    Put {
        number: u64,
        offset: u32,
        length: u32,
        mark: u32,
        label: &'a [u8],
    },
    Remove {
        number: u64,
    },
    /// All went that were there. Has the number that was next.
    Clear {
        number: u64,
    },
    /// Nothing follows in this file.
    Sealed,
}

/// How a file ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Whole,
    /// After so many bytes, with the beginning of something.
    Torn(usize),
    Damaged,
}

impl Frame<'_> {
    /// Appends it.
    pub(super) fn write(&self, into: &mut Vec<u8>) {
        let (kind, number) = match *self {
            Self::Put { number, .. } => (PUT, number),
            Self::Remove { number } => (REMOVE, number),
            Self::Clear { number } => (CLEAR, number),
            Self::Sealed => (SEALED, 0),
        };
        let start = into.len();
        into.extend([0; HEADER]);
        into.push(kind);
        into.extend(number.to_le_bytes());
        if let Self::Put { offset, length, mark, label, .. } = *self {
            into.extend(offset.to_le_bytes());
            into.extend(length.to_le_bytes());
            into.extend(mark.to_le_bytes());
            into.extend(label);
        }
        let (header, body) = into[start..].split_at_mut(HEADER);
        header[..4].copy_from_slice(&(body.len() as u32).to_le_bytes());
        header[4..8].copy_from_slice(&crc32fast::hash(body).to_le_bytes());
        let own = crc32fast::hash(&header[..8]);
        header[8..].copy_from_slice(&own.to_le_bytes());
    }

    fn of(body: &[u8]) -> Option<Frame<'_>> {
        let (&kind, rest) = body.split_first()?;
        let (number, rest) = rest.split_first_chunk::<8>()?;
        let number = u64::from_le_bytes(*number);
        if kind == PUT {
            let (offset, rest) = rest.split_first_chunk::<4>()?;
            let (length, rest) = rest.split_first_chunk::<4>()?;
            let (mark, label) = rest.split_first_chunk::<4>()?;
            let [offset, length, mark] = [offset, length, mark].map(|four| u32::from_le_bytes(*four));
            return Some(Frame::Put { number, offset, length, mark, label });
        }
        match kind {
            _ if !rest.is_empty() => None,
            REMOVE => Some(Frame::Remove { number }),
            CLEAR => Some(Frame::Clear { number }),
            SEALED => Some(Frame::Sealed),
            _ => None,
        }
    }
}

/// Bytes of the frame of a record with a label of so many.
pub(super) const fn put_bytes(label: usize) -> usize {
    HEADER + BODY + label
}

/// Bytes of any other frame.
pub(super) const fn short_bytes() -> usize {
    HEADER + SHORT
}

/// Shows all frames of a file with where their bodies end; says how it ends.
pub(super) fn read<'a>(file: &'a [u8], show: &mut dyn FnMut(Frame<'a>, usize)) -> End {
    let Some(mut rest) = file.strip_prefix(&MAGIC) else {
        return if is_torn(file) || MAGIC.starts_with(file) { End::Torn(0) } else { End::Damaged };
    };
    loop {
        let at = file.len() - rest.len();
        let Some((header, behind)) = rest.split_first_chunk::<HEADER>() else {
            return if rest.is_empty() { End::Whole } else { End::Torn(at) };
        };
        let four =
            |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        if four(8) != crc32fast::hash(&header[..8]) {
            return if is_torn(rest) { End::Torn(at) } else { End::Damaged };
        }
        let Some((body, behind)) = behind.split_at_checked(four(0) as usize) else { return End::Torn(at) };
        let frame = Some(body).filter(|body| four(4) == crc32fast::hash(body)).and_then(Frame::of);
        match frame {
            Some(frame) => show(frame, file.len() - behind.len()),
            None => return if is_torn(body) && is_torn(behind) { End::Torn(at) } else { End::Damaged },
        }
        rest = behind;
    }
}

/// A file as it would be written anew, as far as it can be read. For fuzzing.
pub(crate) fn again(file: &[u8]) -> Vec<u8> {
    let mut written = MAGIC.to_vec();
    match read(file, &mut |frame, _| frame.write(&mut written)) {
        End::Torn(0) => Vec::new(),
        End::Damaged if written.len() == MAGIC.len() => Vec::new(),
        _ => written,
    }
}

/// Room that was made and never written.
fn is_torn(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAMES: [Frame<'static>; 4] = [
        Frame::Put { number: 0x0102_0304_0506_0708, offset: 9, length: 10, mark: 13, label: b"label" },
        Frame::Remove { number: 11 },
        Frame::Clear { number: 12 },
        Frame::Sealed,
    ];

    fn file() -> Vec<u8> {
        let mut file = MAGIC.to_vec();
        FRAMES.iter().for_each(|frame| frame.write(&mut file));
        file
    }

    fn frames(file: &[u8]) -> (usize, End) {
        let mut count = 0;
        let end = read(file, &mut |frame, _| {
            assert_eq!(frame, FRAMES[count]);
            count += 1;
        });
        (count, end)
    }

    /// What version 1 looks like, for ever.
    const GOLDEN: &str = include_str!("golden/version-1.hex");

    #[test]
    fn the_layout_is_the_one_on_file() {
        let hex: String = file().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, GOLDEN.trim());
    }

    #[test]
    fn frames_come_back_and_are_as_long_as_they_say() {
        assert_eq!(frames(&file()), (4, End::Whole));
        assert_eq!(file().len(), MAGIC.len() + put_bytes(5) + 3 * short_bytes());
    }

    #[test]
    fn every_torn_end_is_one_and_every_flipped_bit_is_damage() {
        let file = file();
        let ends = [8, 8 + put_bytes(5), 8 + put_bytes(5) + 21, 8 + put_bytes(5) + 42];
        for len in 0..file.len() {
            let whole = ends.iter().filter(|end| **end <= len).count();
            let end = if ends.contains(&len) {
                End::Whole
            } else {
                End::Torn(whole.checked_sub(1).map_or(0, |at| ends[at]))
            };
            assert_eq!(frames(&file[..len]), (whole.saturating_sub(1), end), "{len} bytes");
            let mut zeros = file[..len].to_vec();
            zeros.resize(len + 100, 0);
            if ends.contains(&len) {
                assert_eq!(frames(&zeros), (whole - 1, End::Torn(len)), "{len} bytes and zeros");
            }
        }
        for at in 0..file.len() {
            for bit in 0..8 {
                let mut flipped = file.clone();
                flipped[at] ^= 1 << bit;
                assert_eq!(frames(&flipped).1, End::Damaged, "bit {bit} of byte {at}");
            }
        }
    }
}
