use larder::cached;

#[cached(max_entries = 2)]
fn square(n: u64) -> u64 {
    n * n
}

fn main() {
    for n in 0..10 {
        assert_eq!(square(n), n * n);
    }
    assert_eq!(square_cache().len(), 2);
}
