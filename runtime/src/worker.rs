//! Background work: one thread and its timer, started on first need, stopped in bounded time.
//!
//! What the thread does is its caller's. A process that forbids threads never starts one and calls
//! `tick()` instead.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::sync::fork;

/// A thread that calls a job again and again.
#[derive(Debug, Default)]
pub(crate) struct Worker {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// The job is to be called before its pause is over.
    roused: AtomicBool,
}

#[derive(Debug, Default)]
enum State {
    /// Nobody needed it yet.
    #[default]
    Idle,
    Running(Thread),
    /// Asked to stop; still at work.
    Stopping(Thread),
    /// Stopped for good.
    Stopped,
}

impl Worker {
    /// Starts the thread unless it was started, or stopped, before. The job says how long to wait until it
    /// is called again, or `None` to end.
    pub(crate) fn start(&self, name: &str, mut job: impl FnMut() -> Option<Duration> + Send + 'static) {
        let mut state = self.shared.state.lock();
        if !matches!(*state, State::Idle) {
            return;
        }
        let shared = Arc::clone(&self.shared);
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            // Marks the end also when the job panics.
            let shared = Ended(shared);
            while let Some(pause) = job() {
                if shared.0.sleep(pause) {
                    break;
                }
            }
        });
        // A system without room for a thread has to do with `tick()` and with what inserts do themselves.
        if let Ok(handle) = thread {
            *state = State::Running(handle.thread().clone());
        }
    }

    /// Has the job called soon, although its pause is not over.
    pub(crate) fn rouse(&self) {
        // Under the lock: a thread about to pause sees it, one that pauses hears of it.
        let _state = self.shared.state.lock();
        self.shared.roused.store(true, Ordering::Relaxed);
        self.shared.changed.notify_all();
    }

    /// Asks the thread to end and waits for it; `false` when it did not end in time. A job that stops its
    /// own worker does not wait for itself.
    pub(crate) fn stop(&self, timeout: Duration) -> bool {
        if fork::forked() {
            // The thread stayed in the parent.
            return true;
        }
        let deadline = Instant::now().checked_add(timeout);
        let mut state = self.shared.state.lock();
        *state = match std::mem::replace(&mut *state, State::Stopped) {
            State::Running(thread) | State::Stopping(thread) => State::Stopping(thread),
            State::Idle | State::Stopped => State::Stopped,
        };
        self.shared.changed.notify_all();
        loop {
            match &*state {
                State::Stopping(thread) if thread.id() != std::thread::current().id() => {}
                _ => return true,
            }
            let timed_out = match deadline {
                Some(deadline) => self.shared.changed.wait_until(&mut state, deadline).timed_out(),
                None => {
                    self.shared.changed.wait(&mut state);
                    false
                }
            };
            if timed_out && matches!(*state, State::Stopping(_)) {
                return false;
            }
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop(Duration::ZERO);
    }
}

impl Shared {
    /// Waits; `true` when it is time to end.
    fn sleep(&self, pause: Duration) -> bool {
        let mut state = self.state.lock();
        if matches!(*state, State::Running(_)) && !self.roused.load(Ordering::Relaxed) {
            self.changed.wait_for(&mut state, pause);
        }
        self.roused.store(false, Ordering::Relaxed);
        !matches!(*state, State::Running(_))
    }
}

struct Ended(Arc<Shared>);

impl Drop for Ended {
    fn drop(&mut self) {
        *self.0.state.lock() = State::Stopped;
        self.0.changed.notify_all();
    }
}

#[cfg(all(test, not(larder_shuttle)))]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn it_runs_until_stopped_and_stops_at_once() {
        let worker = Worker::default();
        let (ran, runs) = mpsc::channel();
        worker.start("larder-test", move || ran.send(()).ok().map(|()| Duration::from_secs(3600)));
        runs.recv().expect("the job runs once before the first pause");
        assert!(worker.stop(Duration::from_secs(60)));
        assert!(runs.recv().is_err(), "the job, and its sender, are gone");
    }

    #[test]
    fn a_roused_worker_does_not_end_its_pause() {
        let worker = Worker::default();
        let (ran, runs) = mpsc::channel();
        worker.start("larder-test", move || ran.send(()).ok().map(|()| Duration::from_secs(3600)));
        for _ in 0..3 {
            runs.recv().expect("the job runs again");
            worker.rouse();
        }
        assert!(worker.stop(Duration::from_secs(60)));
    }

    #[test]
    fn a_job_that_panics_leaves_a_stopped_worker() {
        let worker = Worker::default();
        worker.start("larder-test", || panic!("a job that fails, on purpose"));
        assert!(worker.stop(Duration::from_secs(60)));
    }

    #[test]
    fn a_worker_that_never_ran_is_stopped_at_once() {
        assert!(Worker::default().stop(Duration::ZERO));
    }
}
