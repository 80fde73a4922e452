//! An announcement and a look that must not pass each other, where one side makes both all the time.
//!
//! Two parties each write a word and then read the other's; at least one has to see what the other wrote. Who does it
//! rarely pays for both, with a barrier on every core that runs a thread of this process (`membarrier` on Linux), and
//! who does it all the time only keeps the compiler from turning the two around. Where there is no such barrier both
//! fence. Not here: the words.

use super::{Ordering, compiler_fence, fence};

#[cfg(test)]
thread_local! {
    /// How often this thread asked all cores.
    pub(crate) static BARRIERS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// Whether the rare side can pay for both. Constant for a process.
pub(crate) fn is_available() -> bool {
    system::is_available()
}

/// For the side that is often: between its write and its look. `light` is what [`is_available`] said.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(crate) fn often(light: bool) {
    if light {
        compiler_fence(Ordering::SeqCst);
    } else {
        fence(Ordering::SeqCst);
    }
}

/// For the other side. `false` where the system refuses what it allowed before; then nothing is known of the first.
#[cold]
pub(crate) fn rarely(light: bool) -> bool {
    fence(Ordering::SeqCst);
    !light || all_cores()
}

/// The barrier alone, for the other side where it has fenced.
#[cold]
pub(crate) fn all_cores() -> bool {
    system::all_cores()
}

#[cfg(all(target_os = "linux", not(larder_shuttle), not(larder_fences)))]
mod system {
    use std::sync::OnceLock;

    const REGISTER: libc::c_int = 1 << 4;
    const PRIVATE_EXPEDITED: libc::c_int = 1 << 3;

    fn membarrier(command: libc::c_int) -> bool {
        // SAFETY: the call takes numbers only and touches no memory of ours.
        unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
    }

    pub(super) fn is_available() -> bool {
        static REGISTERED: OnceLock<bool> = OnceLock::new();
        *REGISTERED.get_or_init(|| membarrier(REGISTER))
    }

    pub(super) fn all_cores() -> bool {
        #[cfg(test)]
        super::BARRIERS.set(super::BARRIERS.get() + 1);
        membarrier(PRIVATE_EXPEDITED) || (membarrier(REGISTER) && membarrier(PRIVATE_EXPEDITED))
    }
}

#[cfg(not(all(target_os = "linux", not(larder_shuttle), not(larder_fences))))]
mod system {
    pub(super) fn is_available() -> bool {
        false
    }

    pub(super) fn all_cores() -> bool {
        false
    }
}
