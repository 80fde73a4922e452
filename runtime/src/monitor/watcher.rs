//! A thread that waits for triggers: it sleeps in the kernel until one fires, and says so.
//!
//! What is done then is its caller's. It ends when it is dropped, when all triggers are gone, or when the caller says so.

use std::io::{PipeReader, PipeWriter};
use std::os::fd::AsRawFd;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::pressure::{Heard, Trigger};
use crate::sync::fork;

/// Triggers fire no more often than that: a queue of messages is one event.
const REST: Duration = Duration::from_secs(1);

/// Waits for triggers in the background.
#[derive(Debug)]
pub(crate) struct Watcher {
    /// Closing it ends the thread.
    stop: PipeWriter,
    thread: JoinHandle<()>,
}

impl Watcher {
    /// Starts waiting; `fired` says whether to go on. `None` where there is nothing to wait for, or no room for a thread:
    /// the system is then looked at from time to time, as without.
    pub(crate) fn start(
        triggers: Vec<Trigger>,
        fired: impl FnMut() -> bool + Send + 'static,
    ) -> Option<Self> {
        if triggers.is_empty() {
            return None;
        }
        let (stopped, stop) = std::io::pipe().ok()?;
        let wait = move || wait(triggers, &stopped, REST, fired);
        let thread = std::thread::Builder::new().name("larder-memory".to_owned()).spawn(wait).ok()?;
        Some(Self { stop, thread })
    }

    /// Ends the thread and waits for it: it is about to sleep, or asks for a tick.
    pub(crate) fn stop(self) {
        let Self { stop, thread } = self;
        drop(stop);
        // A child of a fork has no such thread, and a thread does not wait for itself.
        if !fork::forked() && thread.thread().id() != std::thread::current().id() {
            // It ends also by a panic, whose message was printed.
            let _ = thread.join();
        }
    }
}

/// Waits until triggers fire, again and again; ends when `stopped` is closed, no trigger is left, or `fired` says so.
fn wait(mut triggers: Vec<Trigger>, stopped: &PipeReader, rest: Duration, mut fired: impl FnMut() -> bool) {
    let stop = || libc::pollfd { fd: stopped.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    while !triggers.is_empty() {
        let waits = triggers.iter().map(|trigger| libc::pollfd {
            fd: trigger.descriptor(),
            events: trigger.events(),
            revents: 0,
        });
        let mut all: Vec<libc::pollfd> = std::iter::once(stop()).chain(waits).collect();
        if !poll(&mut all, None) || all[0].revents != 0 {
            return;
        }
        let mut any = false;
        let mut events = all[1..].iter().map(|waited| waited.revents);
        triggers.retain_mut(|trigger| {
            let heard = trigger.hear(events.next().unwrap_or(0));
            any |= heard == Heard::Fired;
            heard != Heard::Gone
        });
        if any {
            if !fired() {
                return;
            }
            let mut only = [stop()];
            if !poll(&mut only, Some(rest)) || only[0].revents != 0 {
                return;
            }
        }
    }
}

/// Waits for any of these; `false` when waiting is impossible.
fn poll(all: &mut [libc::pollfd], at_most: Option<Duration>) -> bool {
    let millis =
        at_most.map_or(-1, |time| libc::c_int::try_from(time.as_millis()).unwrap_or(libc::c_int::MAX));
    loop {
        // SAFETY: the pointer and the number are those of a slice that is borrowed for the call.
        let ready = unsafe { libc::poll(all.as_mut_ptr(), all.len() as libc::nfds_t, millis) };
        if ready >= 0 {
            return true;
        }
        if std::io::Error::last_os_error().kind() != std::io::ErrorKind::Interrupted {
            return false;
        }
    }
}

#[cfg(all(test, not(larder_shuttle)))]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::OwnedFd;
    use std::sync::mpsc::{Receiver, channel};

    /// Waits on a thread of its own; what it heard comes over the channel, which ends with it.
    fn waiting(triggers: Vec<Trigger>) -> (Receiver<()>, PipeWriter) {
        let (stopped, stop) = std::io::pipe().unwrap();
        let (fired, heard) = channel();
        std::thread::spawn(move || {
            wait(triggers, &stopped, Duration::ZERO, move || fired.send(()).is_ok());
        });
        (heard, stop)
    }

    #[test]
    fn a_message_fires_once_and_is_thrown_away() {
        let (read, mut write) = std::io::pipe().unwrap();
        let (heard, stop) = waiting(vec![Trigger::message(OwnedFd::from(read))]);
        for _ in 0..3 {
            write.write_all(b"some text").unwrap();
            heard.recv().unwrap();
        }
        drop(stop);
        assert!(heard.recv().is_err(), "it ends when it is stopped, and nothing fired beside");
    }

    #[test]
    fn one_that_is_gone_is_left_out_and_the_last_one_ends_it() {
        let ((first, a), (second, mut b)) = (std::io::pipe().unwrap(), std::io::pipe().unwrap());
        let triggers = [first, second].map(|read| Trigger::message(OwnedFd::from(read)));
        let (heard, _stop) = waiting(triggers.into());
        drop(a);
        b.write_all(b"x").unwrap();
        heard.recv().unwrap();
        drop(b);
        assert!(heard.recv().is_err());
    }

    /// Two ends of a connection: urgent data is an exceptional condition, as the kernel's triggers are.
    fn connected() -> (TcpStream, OwnedFd) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (near, listener.accept().unwrap().0.into())
    }

    #[test]
    fn an_exceptional_condition_fires_and_plain_data_does_not() {
        let (mut near, far) = connected();
        let (heard, stop) = waiting(vec![Trigger::stall(far)]);
        near.write_all(b"plain").unwrap();
        // SAFETY: the descriptor is open, and the buffer is one byte long.
        let sent = unsafe { libc::send(near.as_raw_fd(), b"!".as_ptr().cast(), 1, libc::MSG_OOB) };
        assert_eq!(sent, 1);
        heard.recv().unwrap();
        drop(stop);
        // The condition stays until it is taken in, which is the kernel's business with real triggers.
        while heard.recv().is_ok() {}
    }

    #[test]
    fn nothing_to_wait_for_is_no_thread_and_stopping_waits_for_the_end() {
        assert!(Watcher::start(Vec::new(), || true).is_none());
        let (read, mut write) = std::io::pipe().unwrap();
        let (fired, heard) = channel();
        let watcher =
            Watcher::start(vec![Trigger::message(OwnedFd::from(read))], move || fired.send(()).is_ok());
        write.write_all(b"x").unwrap();
        heard.recv().unwrap();
        watcher.unwrap().stop();
        assert!(heard.recv().is_err());
    }

    #[test]
    fn events_mean_what_the_kernel_means_by_them() {
        let stall = |events| Trigger::stall(std::io::pipe().unwrap().0.into()).hear(events);
        assert_eq!(stall(0), Heard::Nothing);
        assert_eq!(stall(libc::POLLPRI), Heard::Fired);
        assert_eq!(stall(libc::POLLPRI | libc::POLLERR), Heard::Gone, "the group was removed");
        assert_eq!(stall(libc::POLLNVAL), Heard::Gone);
        let file = || std::fs::File::open("/dev/null").unwrap();
        assert_eq!(Trigger::counters(file().into()).hear(libc::POLLPRI | libc::POLLERR), Heard::Fired);
        assert_eq!(Trigger::counters(file().into()).hear(libc::POLLERR), Heard::Gone);
        let unreadable = Trigger::counters(std::io::pipe().unwrap().1.into()).hear(libc::POLLPRI);
        assert_eq!(unreadable, Heard::Gone);
    }
}
