//! How other allocators are asked for what they keep: what a program that uses one of them gives to `larder::set_purge`. The
//! tests of larder's models of these allocators stand in `tests`.

/// Has all of jemalloc's arenas return the pages that nobody uses.
#[cfg(feature = "jemalloc")]
pub fn purge() {
    let null = std::ptr::null_mut;
    // SAFETY: a name that ends with a zero, and nothing to read or write. 4096 stands for all arenas (`MALLCTL_ARENAS_ALL`);
    // pages that hold a block are left alone, so it may be called at any time.
    unsafe {
        tikv_jemalloc_sys::mallctl(c"arena.4096.purge".as_ptr(), null(), std::ptr::null_mut(), null(), 0)
    };
}

/// Has mimalloc return the pages that this thread and those that are gone left unused.
#[cfg(all(feature = "mimalloc", not(feature = "jemalloc")))]
pub fn purge() {
    // SAFETY: may be called at any time from any thread.
    unsafe { libmimalloc_sys::mi_collect(true) };
}
