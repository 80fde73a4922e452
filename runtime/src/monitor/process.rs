//! The memory of this process, and giving back what its allocator keeps.
//!
//! Not here: what larder itself holds; the ledger knows that.

/// Bytes of this process that are in memory, shared ones included; `None` where it cannot be told.
pub(crate) fn resident_bytes() -> Option<u64> {
    imp::resident_bytes()
}

/// Bytes of address space that this process has reserved; `None` where it cannot be told.
#[cfg(target_os = "linux")]
pub(super) fn address_space_bytes() -> Option<u64> {
    imp::statm(0)
}

/// Asks the allocator to return free memory to the system. Does nothing where there is no way to ask.
///
/// # Locking
///
/// glibc holds each of its arenas' locks in turn, for as long as it takes to walk that arena: milliseconds, and
/// far longer on heaps of gigabytes. Call it once after memory was freed, from a background thread.
pub(crate) fn purge() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: `malloc_trim` may be called at any time from any thread; it returns only pages that hold no block.
    // It works on glibc's own heap, which exists whether or not the program uses another allocator.
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(target_os = "linux")]
mod imp {
    pub(super) fn resident_bytes() -> Option<u64> {
        statm(1)
    }

    /// A field of `/proc/self/statm`, in bytes.
    pub(super) fn statm(field: usize) -> Option<u64> {
        let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
        pages(&statm, field)?.checked_mul(page_size()?)
    }

    pub(super) fn pages(statm: &str, field: usize) -> Option<u64> {
        statm.split_ascii_whitespace().nth(field)?.parse().ok()
    }

    fn page_size() -> Option<u64> {
        // SAFETY: `sysconf` reads a constant of the system.
        let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        u64::try_from(size).ok()
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System, get_current_pid};

    pub(super) fn resident_bytes() -> Option<u64> {
        let this = get_current_pid().ok()?;
        let mut system = System::new().ok()?;
        let only_memory = ProcessRefreshKind::nothing().with_memory();
        system.refresh_processes_specifics(ProcessesToUpdate::Some(&[this]), false, only_memory);
        system.process(this).map(sysinfo::Process::memory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_is_in_memory() {
        const BLOCK: usize = 64 << 20;
        let block = std::hint::black_box(vec![1_u8; BLOCK]);
        assert!(resident_bytes() >= Some(BLOCK as u64), "{:?}", resident_bytes());
        assert!(address_space_bytes() >= Some(BLOCK as u64), "{:?}", address_space_bytes());
        drop(block);
        purge();
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn odd_files_tell_nothing() {
        assert_eq!(imp::pages("10 20 30", 1), Some(20));
        for text in ["", "10", "10 x", "10 -1", "10 99999999999999999999"] {
            assert_eq!(imp::pages(text, 1), None, "{text}");
        }
    }
}
