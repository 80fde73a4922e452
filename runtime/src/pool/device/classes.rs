//! Sizes: a buffer has the size of its class, so that those who ask for about as much can have the same one.

/// From 4 KiB four times the one before up to 1 MiB, then two for each doubling up to 1 GiB.
const DEFAULT: [u64; 25] = {
    let mut classes = [0; 25];
    let mut at = 0;
    while at < 4 {
        classes[at] = 4096 << (2 * at);
        at += 1;
    }
    let mut doubling = 0;
    while at < 25 {
        classes[at] = 1 << (20 + doubling);
        if at + 1 < 25 {
            classes[at + 1] = 3 << (19 + doubling);
        }
        doubling += 1;
        at += 2;
    }
    classes
};

/// What a request becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    /// What is allocated.
    pub(super) bytes: u64,
    /// Larger than all classes: it goes when it comes back.
    pub(super) beyond: bool,
}

/// The sizes of one pool, ascending.
#[derive(Debug)]
pub(super) struct Classes {
    bytes: Box<[u64]>,
    alignment: u64,
}

impl Classes {
    /// These sizes, or the usual ones, as far as the device can have them; what is wrong with them, otherwise.
    pub(super) fn new(given: Option<&[u64]>, alignment: u64, most: u64) -> Result<Self, &'static str> {
        let said = given.unwrap_or(&DEFAULT);
        if said.contains(&0) {
            return Err("a class has at least 1 byte");
        }
        let aligned = said.iter().map(|bytes| align(*bytes, alignment));
        let mut bytes: Vec<u64> = aligned.filter(|bytes| *bytes <= most).collect();
        if bytes.is_empty() && given.is_some() {
            // What has no class is not kept.
            return Err(
                "no class is as small as the device's largest buffer: say one, or none for the usual ones",
            );
        }
        bytes.sort_unstable();
        bytes.dedup();
        Ok(Self { bytes: bytes.into(), alignment })
    }

    /// What is allocated for `len` bytes.
    pub(super) fn size_of(&self, len: u64) -> Size {
        let at = self.bytes.partition_point(|class| *class < len);
        match self.bytes.get(at) {
            Some(class) => Size { bytes: *class, beyond: false },
            None => Size { bytes: align(len.max(1), self.alignment), beyond: true },
        }
    }
}

/// The next multiple of a power of two.
fn align(bytes: u64, alignment: u64) -> u64 {
    bytes.saturating_add(alignment - 1) & !(alignment - 1)
}

#[cfg(all(test, not(larder_shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn the_usual_sizes_ascend_and_waste_at_most_a_third_from_a_megabyte_on() {
        assert!(DEFAULT.is_sorted() && DEFAULT.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!((DEFAULT[0], DEFAULT[4], DEFAULT[5], DEFAULT[24]), (4096, 1 << 20, 3 << 19, 1 << 30));
        let classes = Classes::new(None, 256, u64::MAX).unwrap();
        for len in [1, 4096, 4097, (1 << 20) + 1, 5 << 20, 1 << 30] {
            let size = classes.size_of(len);
            assert!(!size.beyond && size.bytes >= len);
            assert!(len < 1 << 20 || size.bytes * 2 <= len * 3, "{len} takes {}", size.bytes);
        }
        assert_eq!(classes.size_of((1 << 30) + 1), Size { bytes: (1 << 30) + 256, beyond: true });
    }

    #[test]
    fn sizes_are_what_the_device_can_have() {
        let classes = Classes::new(Some(&[100, 1000, 90, 1 << 20]), 256, 4096).unwrap();
        assert_eq!(*classes.bytes, [256, 1024]);
        assert_eq!(classes.size_of(0), Size { bytes: 256, beyond: false });
        assert_eq!(classes.size_of(1025), Size { bytes: 1280, beyond: true });
        assert!(Classes::new(Some(&[0]), 256, 4096).is_err());
    }
}
