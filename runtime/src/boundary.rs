//! Tenants are asked across a boundary, and never call back over it: a coordinator that asks may be asked by nobody whom it
//! waits for. What tenants run of the user's stands outside again, and may do anything. Every test of the runtime checks
//! this, its models among them; elsewhere it costs nothing.

#[cfg(all(test, not(larder_shuttle)))]
thread_local! {
    /// Whether a tenant is asked on this thread, and none of the user's code runs.
    static ASKED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}
#[cfg(all(test, larder_shuttle))]
shuttle::thread_local! {
    static ASKED: std::cell::Cell<bool> = std::cell::Cell::new(false);
}

#[cfg(test)]
fn with<R>(asked: bool, act: impl FnOnce() -> R) -> R {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            ASKED.with(|at| at.set(self.0));
        }
    }
    let _restore = Restore(ASKED.with(|at| at.replace(asked)));
    act()
}

#[cfg(not(test))]
#[inline(always)]
fn with<R>(_asked: bool, act: impl FnOnce() -> R) -> R {
    act()
}

/// Asks a tenant for something.
#[inline(always)]
pub(crate) fn ask<R>(act: impl FnOnce() -> R) -> R {
    with(true, act)
}

/// Runs what is the user's.
#[inline(always)]
pub(crate) fn outside<R>(act: impl FnOnce() -> R) -> R {
    with(false, act)
}

/// The coordinator is called.
#[inline(always)]
pub(crate) fn cross() {
    #[cfg(test)]
    assert!(
        !ASKED.with(std::cell::Cell::get) || std::thread::panicking(),
        "a tenant that was asked calls the coordinator"
    );
}

#[cfg(all(test, not(larder_shuttle)))]
mod tests {
    use super::*;
    use crate::Domain;

    #[test]
    #[should_panic(expected = "calls the coordinator")]
    fn who_is_asked_and_calls_back_is_caught() {
        let domain = Domain::builder().manual().build();
        ask(|| domain.tick());
    }

    #[test]
    fn what_the_user_runs_may_call() {
        let domain = Domain::builder().manual().build();
        ask(|| outside(|| domain.tick()));
        domain.tick();
    }
}
