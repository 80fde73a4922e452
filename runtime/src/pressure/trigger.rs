//! File descriptors that say when memory gets short, so that nobody has to look all the time.
//!
//! What a descriptor's events mean, and how it is made ready for the next. Not here: where such descriptors come from, and
//! the thread that waits for them (`monitor`).

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// A file descriptor that becomes ready when memory gets short.
///
/// For a [`PressureSource`](super::PressureSource) that knows of one: what fires has the domain look at memory at once, and shrink.
#[derive(Debug)]
pub struct Trigger {
    file: File,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Stall,
    Counters,
    Message,
}

/// What became of a trigger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Nothing happened.
    Nothing,
    /// Memory got short.
    Fired,
    /// It will never fire again.
    Gone,
}

impl Trigger {
    /// A file of Linux's pressure stall information, to which a threshold was written: exceptional conditions (`POLLPRI`) are
    /// events, errors mean that what it was about is gone. It is never read.
    #[must_use]
    pub fn stall(descriptor: OwnedFd) -> Self {
        Self { file: descriptor.into(), kind: Kind::Stall }
    }

    /// A file of counters that the kernel says has changed, as `memory.events` of a control group: exceptional conditions are
    /// events, and it is read after each.
    #[must_use]
    pub fn counters(descriptor: OwnedFd) -> Self {
        Self { file: descriptor.into(), kind: Kind::Counters }
    }

    /// A pipe or socket: whatever can be read is an event, and is read and thrown away. Should not block.
    #[must_use]
    pub fn message(descriptor: OwnedFd) -> Self {
        Self { file: descriptor.into(), kind: Kind::Message }
    }

    pub(crate) fn descriptor(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    /// Which events to wait for.
    pub(crate) fn events(&self) -> i16 {
        match self.kind {
            Kind::Stall | Kind::Counters => libc::POLLPRI,
            Kind::Message => libc::POLLIN,
        }
    }

    /// Takes in what was waited for, and makes ready for the next.
    pub(crate) fn hear(&mut self, events: i16) -> Heard {
        let any = |of: i16| events & of != 0;
        if events == 0 {
            return Heard::Nothing;
        }
        if any(libc::POLLNVAL) {
            return Heard::Gone;
        }
        match self.kind {
            Kind::Stall if any(libc::POLLERR) => Heard::Gone,
            Kind::Stall if any(libc::POLLPRI) => Heard::Fired,
            // The kernel sets the error together with each change; it is no failure.
            Kind::Counters if any(libc::POLLPRI) => match self.read_again() {
                Ok(()) => Heard::Fired,
                // A group that was removed.
                Err(_) => Heard::Gone,
            },
            Kind::Message if any(libc::POLLIN) => match self.file.read(&mut [0; 4096]) {
                Ok(0) => Heard::Gone,
                Ok(_) => Heard::Fired,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Heard::Nothing,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => Heard::Nothing,
                Err(_) => Heard::Gone,
            },
            _ => Heard::Gone,
        }
    }

    /// Reads all of it from the beginning.
    pub(crate) fn read_again(&mut self) -> std::io::Result<()> {
        use std::io::Seek;
        self.file.rewind()?;
        std::io::copy(&mut self.file, &mut std::io::sink()).map(drop)
    }
}
