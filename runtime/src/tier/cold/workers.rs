//! The threads of a domain that wait for disks, so that nobody else has to: one that writes, and two that read for tasks.
//!
//! Started on first need. Without threads a tick writes, and a task reads where it is polled.

use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::sync::fork;
use crate::unwind::discard;
use crate::worker::Worker;

/// So many threads read for tasks.
const READERS: usize = 2;
/// A reader without work ends after this.
const IDLE: Duration = Duration::from_secs(10);
/// The writer looks again after this, whatever it was told.
const PAUSE: Duration = Duration::from_secs(3600);

/// What has work for the writer.
pub(crate) trait Laborer: Send + Sync {
    /// Does what there is to do now; says when to come again, if not when roused.
    fn work(&self) -> Option<Duration>;
}

type Job = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Jobs {
    waiting: VecDeque<Job>,
    /// Readers there are, and those of them that wait for a job.
    readers: usize,
    idle: usize,
}

/// The threads of a domain that wait for disks.
#[derive(Default)]
pub(crate) struct Workers {
    laborers: Mutex<Vec<Weak<dyn Laborer>>>,
    writer: Worker,
    /// The writer was roused, and has not looked since.
    roused: AtomicBool,
    /// There may be threads.
    threads: AtomicBool,
    jobs: Arc<(Mutex<Jobs>, Condvar)>,
}

impl Workers {
    /// Something may have work from now on, for a thread if there `may_be` one.
    pub(crate) fn hire(self: &Arc<Self>, laborer: Weak<dyn Laborer>, may_be: bool) {
        let mut laborers = self.laborers.lock();
        laborers.retain(|laborer| laborer.strong_count() > 0);
        laborers.push(laborer);
        drop(laborers);
        if !may_be {
            return;
        }
        self.threads.store(true, Ordering::Release);
        let weak = Arc::downgrade(self);
        self.writer.start("larder-disk", move || {
            let workers = weak.upgrade()?;
            // Before it looks: what comes later rouses it again.
            workers.roused.store(false, Ordering::SeqCst);
            Some(workers.labor().unwrap_or(PAUSE).min(PAUSE))
        });
        // It may have been there before.
        self.rouse();
    }

    /// Does all the work there is; says when there is more.
    fn labor(&self) -> Option<Duration> {
        let laborers: Vec<_> = self.laborers.lock().iter().filter_map(Weak::upgrade).collect();
        let work = |laborer: &Arc<dyn Laborer>| {
            catch_unwind(AssertUnwindSafe(|| laborer.work())).unwrap_or_else(|panic| {
                discard(panic);
                Some(Duration::from_secs(1))
            })
        };
        laborers.iter().filter_map(work).min()
    }

    /// There is work for the writer.
    pub(crate) fn rouse(&self) {
        if self.threads.load(Ordering::Acquire)
            && !self.roused.swap(true, Ordering::SeqCst)
            && !fork::forked()
        {
            self.writer.rouse();
        }
    }

    /// There may be no threads any more; `false` where the writer does not end in time.
    pub(crate) fn stop(&self, timeout: Duration) -> bool {
        self.threads.store(false, Ordering::Release);
        self.writer.stop(timeout)
    }

    /// Whether threads do the work.
    pub(crate) fn has_threads(&self) -> bool {
        self.threads.load(Ordering::Acquire) && !fork::forked()
    }

    /// What `job` returns, from a thread that may wait; from the caller's where there is none. `None` where it panics.
    pub(crate) fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Running<T> {
        let slot = Arc::new(Mutex::new(Slot { result: None, waker: None }));
        let told = Answer(Arc::clone(&slot));
        let job: Job = Box::new(move || {
            let result = catch_unwind(AssertUnwindSafe(job)).map_err(discard).ok();
            told.say(result);
        });
        if let Some(job) = self.hand(job) {
            job();
        }
        Running { slot }
    }

    /// Hands a job to a reader; gives it back where there is none.
    fn hand(&self, job: Job) -> Option<Job> {
        if !self.has_threads() {
            return Some(job);
        }
        let (lock, wake) = &*self.jobs;
        let mut jobs = lock.lock();
        if jobs.idle <= jobs.waiting.len() && jobs.readers < READERS {
            let shared = Arc::clone(&self.jobs);
            let reader = std::thread::Builder::new().name("larder-disk-read".to_owned());
            match reader.spawn(move || read(&shared)) {
                Ok(_) => jobs.readers += 1,
                Err(_) if jobs.readers == 0 => return Some(job),
                Err(_) => {}
            }
        }
        jobs.waiting.push_back(job);
        wake.notify_one();
        None
    }
}

/// A reader's life.
fn read((lock, wake): &(Mutex<Jobs>, Condvar)) {
    let mut jobs = lock.lock();
    loop {
        if let Some(job) = jobs.waiting.pop_front() {
            drop(jobs);
            job();
            jobs = lock.lock();
            continue;
        }
        jobs.idle += 1;
        let timed_out = wake.wait_for(&mut jobs, IDLE).timed_out();
        jobs.idle -= 1;
        if timed_out && jobs.waiting.is_empty() {
            jobs.readers -= 1;
            return;
        }
    }
}

struct Slot<T> {
    result: Option<Option<T>>,
    waker: Option<Waker>,
}

/// Says what became of a job, also where nobody runs it.
struct Answer<T>(Arc<Mutex<Slot<T>>>);

impl<T> Answer<T> {
    fn say(&self, result: Option<T>) {
        let mut slot = self.0.lock();
        slot.result.get_or_insert(result);
        let waker = slot.waker.take();
        drop(slot);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Drop for Answer<T> {
    fn drop(&mut self) {
        self.say(None);
    }
}

/// A job that somebody runs.
#[must_use]
pub(crate) struct Running<T> {
    slot: Arc<Mutex<Slot<T>>>,
}

impl<T> Future for Running<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let mut slot = self.slot.lock();
        match slot.result.take() {
            Some(result) => Poll::Ready(result),
            None => {
                slot.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

#[cfg(all(test, not(larder_shuttle)))]
mod tests {
    use std::pin::pin;
    use std::sync::mpsc;
    use std::task::Wake;
    use std::thread;

    use super::*;

    struct Unpark(thread::Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    fn wait<T>(future: impl Future<Output = T>) -> T {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut future = pin!(future);
        loop {
            if let Poll::Ready(result) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return result;
            }
            thread::park();
        }
    }

    struct Nothing;

    impl Laborer for Nothing {
        fn work(&self) -> Option<Duration> {
            None
        }
    }

    fn threaded() -> (Arc<Workers>, Arc<dyn Laborer>) {
        let (workers, laborer) = (Arc::new(Workers::default()), Arc::new(Nothing) as Arc<dyn Laborer>);
        workers.hire(Arc::downgrade(&laborer), true);
        (workers, laborer)
    }

    #[test]
    fn a_job_runs_elsewhere_and_its_panic_is_nobodys() {
        let (workers, _laborer) = threaded();
        let here = thread::current().id();
        assert_ne!(wait(workers.run(|| thread::current().id())), Some(here));
        assert_eq!(wait(workers.run(|| -> u32 { panic!("on purpose") })), None);
        assert_eq!(wait(workers.run(|| 7)), Some(7));
    }

    #[test]
    fn without_threads_a_job_runs_where_it_is_asked_for() {
        let workers = Workers::default();
        let here = thread::current().id();
        assert_eq!(wait(workers.run(move || thread::current().id() == here)), Some(true));
    }

    #[test]
    fn jobs_wait_for_a_free_reader_and_none_is_lost() {
        let (workers, _laborer) = threaded();
        let (go, gate) = mpsc::channel::<()>();
        let held = workers.run(move || gate.recv().is_err());
        let others: Vec<_> = (0..100).map(|number| workers.run(move || number)).collect();
        for (number, other) in others.into_iter().enumerate() {
            assert_eq!(wait(other), Some(number));
        }
        drop(go);
        assert_eq!(wait(held), Some(true));
    }
}
