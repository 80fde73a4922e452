//! The table alone: entries that come and go, and hashes that are alike.

use super::segment::passed;
use super::*;

fn hash(n: u32) -> u32 {
    let mixed = u64::from(n + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    ((mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 20) as u32
}

fn high(index: u32) -> u32 {
    hash(index) & !0xFF
}

/// A table, and its books.
struct Books {
    table: Table,
    shape: Shape,
    limbo: Limbo,
}

impl Books {
    fn new() -> Self {
        Self { table: Table::new(), shape: Shape::default(), limbo: Limbo::new() }
    }

    fn insert(&mut self, n: u32) {
        let Self { table, shape, limbo } = self;
        let vacancy = table.find_or_vacancy(shape, hash(n), |index| index == n).expect_err("it is new");
        let mut grown = false;
        while let (growth @ (Growth::Wider(_) | Growth::Split), _) = table.growth(shape, hash(n)) {
            grown = true;
            assert!(table.grow(shape, hash(n), growth, limbo, &high));
        }
        table.insert(shape, hash(n), n, vacancy.filter(|_| !grown));
    }

    fn remove(&mut self, n: u32) {
        let Self { table, shape, limbo } = self;
        if table.remove(shape, hash(n), n) {
            table.shrink(shape, hash(n), limbo, &|_| true, &high);
        }
    }

    fn has(&self, n: u32) -> bool {
        self.table.find_mine(&self.shape, hash(n), |index| index == n).is_some()
    }

    /// How many buckets who finds nothing looks at, on average.
    fn looks(&self) -> f64 {
        self.table.validate(&self.shape, hash);
        let (mut looks, keys) = (0, 10_000);
        for key in (0..keys).map(|n| hash(n + (1 << 30))) {
            let segment = self.table.segment(key).expect("there are entries");
            for distance in 0..=segment.len() {
                looks += 1;
                // SAFETY: we are alone.
                let bucket = unsafe { segment.bucket(segment.away(key, distance)) };
                if passed(bucket.second.load(Ordering::Relaxed), distance) == 0 {
                    break;
                }
            }
        }
        f64::from(looks) / f64::from(keys)
    }
}

impl Drop for Books {
    fn drop(&mut self) {
        // SAFETY: nobody else reads.
        unsafe {
            self.table.free(&mut self.shape);
            self.limbo.free_blocks();
        }
    }
}

#[test]
fn entries_that_come_and_go_leave_no_longer_ways_behind() {
    let mut books = Books::new();
    for entries in [12_u32, 50, 100, 200, 400, 512, 3000] {
        for n in 0..entries * 20 {
            books.insert(n);
            if n >= entries {
                books.remove(n - entries);
            }
        }
        let looks = books.looks();
        assert!(looks < 2.5, "{entries} entries: {looks} buckets");
        for n in 0..entries * 20 {
            assert_eq!(books.has(n), n >= entries * 19, "{n} of {entries}");
            if n >= entries * 19 {
                books.remove(n);
            }
        }
        assert_eq!(books.shape.len(), 0);
    }
}
/// Inserts indices of these hashes until the table says that it has no room; how many there are then.
fn fill(hashes: impl Iterator<Item = u32>) -> usize {
    let (table, mut shape, mut limbo) = (Table::new(), Shape::default(), Limbo::new());
    let mut known = Vec::new();
    for hash in hashes {
        let hash_of = |index: u32| known[index as usize] & !0xFF;
        // Each growth makes the segment wider or divides it, so there are no more than so many.
        for _ in 0..100 {
            let (growth, _) = table.growth(&shape, hash);
            if growth == Growth::None || !table.grow(&mut shape, hash, growth, &mut limbo, &hash_of) {
                break;
            }
        }
        if !table.has_room(&shape, hash) {
            assert_eq!(table.growth(&shape, hash), (Growth::Never, 0), "nobody need make room");
            break;
        }
        known.push(hash);
        table.insert(&mut shape, hash, known.len() as u32 - 1, None);
    }
    table.validate(&shape, |index| known[index as usize]);
    for (index, hash) in known.iter().enumerate() {
        table.remove(&mut shape, *hash, index as u32);
    }
    // SAFETY: nobody else has seen the table.
    unsafe {
        table.free(&mut shape);
        limbo.free_blocks();
    }
    known.len()
}

#[test]
fn a_table_of_equal_hashes_says_when_it_is_full() {
    let filled = fill(std::iter::repeat_n(0x1234_5678, 10_000));
    assert_eq!(filled, most_entries(Width::WIDEST.buckets()));
}

#[test]
fn a_table_of_hashes_that_share_all_bits_of_a_directory_says_when_it_is_full() {
    let shared = 0xABCD_0000 >> (32 - DEEPEST) << (32 - DEEPEST);
    let filled = fill((0..10_000_u32).map(|at| shared | at.wrapping_mul(0x9E37_79B9) >> DEEPEST));
    assert_eq!(filled, most_entries(Width::WIDEST.buckets()));
}
