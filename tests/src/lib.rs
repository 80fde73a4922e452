//! The home of larder's tests: behaviour through the public API, one file an area, in `tests/`.
//!
//! A package of its own, so that trybuild and proptest are no development dependencies of the facade: the README's
//! first command would compile them. The library itself holds only what several test files share.

#[cfg(target_os = "linux")]
pub mod control_group;
pub mod history;

use std::time::Duration;

/// Picks the figure of a test: the short one for every change, the long one for `cargo xtask deep`.
#[must_use]
pub fn short_or_deep<N>(short: N, deep: N) -> N {
    if std::env::var_os("LARDER_DEEP").is_some_and(|value| value != "0") { deep } else { short }
}

/// How long a test waits for another thread before it calls that thread stuck.
///
/// Only ever the length of a failure: nothing sleeps this long when all is well.
#[must_use]
pub fn patience() -> Duration {
    Duration::from_secs(short_or_deep(300, 1800))
}
