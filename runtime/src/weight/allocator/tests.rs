//! The models against tables of what the allocators answered.
//!
//! glibc's is compared with the real one beside the weights of types, because it is the tests' own allocator; the
//! other two against the classes that their documentation lists.

use super::*;

fn plain(model: Model, bytes: usize) -> u64 {
    model.block(Layout::from_size_align(bytes, 1).expect("a small size"))
}

/// Checks that `model` has exactly these classes up to the last of them.
#[track_caller]
fn check_classes(model: Model, classes: &[u64]) {
    let mut classes = classes.iter().copied();
    let mut class = 0;
    let last = classes.clone().next_back().expect("some classes");
    for bytes in 1..=last {
        if bytes > class {
            class = classes.next().expect("the last class is the end");
        }
        assert_eq!(plain(model, bytes as usize), class, "{model:?}, {bytes} bytes");
    }
}

const SMALL: [u64; 37] = [
    8, 16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768, 896, 1024, 1280,
    1536, 1792, 2048, 2560, 3072, 3584, 4096, 5120, 6144, 7168, 8192, 10240, 12288, 14336, 16384,
];

#[test]
fn jemallocs_classes() {
    check_classes(Model::Jemalloc, &SMALL);
    let pages = (5..=20).map(|pages| pages * 4096);
    check_classes(Model::Jemalloc, &SMALL.into_iter().chain(pages).collect::<Vec<_>>());
    assert_eq!(plain(Model::Jemalloc, (3 << 20) + 1), (3 << 20) + 4096);
}

#[test]
fn mimallocs_bins() {
    let larger = [20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512];
    // Single blocks of 64 KiB and more.
    let single = [576, 640, 704, 768, 832, 896, 960, 1024];
    let larger = larger.into_iter().chain(single).map(|kib| kib << 10);
    check_classes(Model::Mimalloc, &SMALL.into_iter().chain(larger).collect::<Vec<_>>());
    let mib = |mib: f64| (mib * f64::from(1 << 20)) as u64;
    for (bytes, block) in [(2.0, 2.0), (2.1, 2.25), (7.9, 8.0), (8.1, 9.0), (31.5, 32.0), (32.1, 36.0)] {
        assert_eq!(plain(Model::Mimalloc, mib(bytes) as usize), mib(block), "{bytes} MiB");
    }
}

#[test]
fn a_block_has_room_for_its_request_at_its_alignment() {
    for model in [Model::Glibc, Model::Jemalloc, Model::Mimalloc] {
        for align in [1, 2, 8, 16, 32, 64, 4096, 1 << 16] {
            let mut last = 0;
            for times in (1..3000).chain((1 << 20)..(1 << 20) + 3) {
                let layout = Layout::from_size_align(times * align, align).expect("a small layout");
                let block = model.block(layout);
                assert!(block >= layout.size() as u64 && block >= last, "{model:?}, {layout:?}: {block}");
                last = if align <= 16 { block } else { 0 };
            }
        }
    }
}

#[test]
fn features_that_contradict_each_other_choose_neither() {
    let chosen = Model::CHOSEN;
    match (cfg!(feature = "jemalloc"), cfg!(feature = "mimalloc")) {
        (true, false) => assert_eq!(chosen, Model::Jemalloc),
        (false, true) => assert_eq!(chosen, Model::Mimalloc),
        _ => assert_eq!(chosen, Model::Glibc),
    }
}
