//! A CUDA driver that is simulated: the functions that pools call, with memory of a size that is set, and streams that work late.
//!
//! Nothing runs by itself: work is done when a test says so, or when somebody waits. Every touch of memory is judged when it is
//! given to a stream: what was freed, what lies outside, and what another stream does that is in no order with it are hazards, on
//! record with who and why. Copies read and write when they are done, so that memory that was used again too early holds the wrong
//! bytes as well.
//!
//! One machine for the process, as a driver is; [`Fake::new`] waits for who has it. Of CUDA there is no more here than
//! larder calls; kernels are run from their text, as far as PTX is known here, or are functions of the test's under the
//! names of their entries.

mod calls;
mod clock;
mod machine;
mod memory;
mod ptx;
mod streams;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use calls::symbol;
pub use machine::Launch;
pub use memory::Memory;

use machine::{Kernel, Machine, machine};

/// When work is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// When a test says so, or somebody waits for it.
    Asked,
    /// So many steps with each call that asks for an event.
    Late(u64),
}

/// What the driver is to be like.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Bytes of memory of each device.
    pub devices: Vec<u64>,
    /// Whether they use the host's memory.
    pub integrated: bool,
    /// Whether they have memory in the order of streams.
    pub pools: bool,
    /// When work is done.
    pub pace: Pace,
}

impl Default for Setup {
    /// One device of 64 MiB, with pools, that works when it is asked.
    fn default() -> Self {
        Self { devices: vec![64 << 20], integrated: false, pools: true, pace: Pace::Asked }
    }
}

static ALONE: Mutex<()> = Mutex::new(());

/// The driver, in one test's hands.
#[derive(Debug)]
pub struct Fake {
    _alone: MutexGuard<'static, ()>,
}

impl Fake {
    /// A new machine; waits until nobody else has one.
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        *machine() = Machine::new(setup);
        Self { _alone: alone }
    }

    /// Does up to so many steps of work; returns how many.
    pub fn advance(&self, steps: u64) -> u64 {
        machine().advance(steps)
    }

    /// Does all that can be done.
    pub fn finish(&self) {
        self.advance(u64::MAX);
    }

    /// When work is done from now on.
    pub fn set_pace(&self, pace: Pace) {
        machine().setup.pace = pace;
    }

    /// Others use so many bytes of a device's memory.
    pub fn set_others(&self, device: usize, bytes: u64) {
        machine().devices[device].others = bytes;
    }

    /// A function of the driver fails once with this code, after so many calls that go well. With a code of a lost device all that
    /// follow fail, too.
    pub fn fail(&self, function: &'static str, after: u64, code: i32) {
        machine().failing.push((function, after, code));
    }

    /// What a kernel of this entry does, in place of what its text says.
    pub fn teach(&self, entry: &str, kernel: impl Fn(&mut Memory, &Launch) + Send + Sync + 'static) {
        let kernel = Kernel::new(move |memory, launch| {
            kernel(memory, launch);
            Ok(())
        });
        machine().taught.insert(entry.to_owned(), kernel);
    }

    /// All that was done and must not be.
    #[must_use]
    pub fn hazards(&self) -> Vec<String> {
        machine().hazards.clone()
    }

    /// How many devices there are.
    #[must_use]
    pub fn devices(&self) -> usize {
        machine().devices.len()
    }

    /// Bytes of a device's memory that are taken, by what the driver keeps, too.
    #[must_use]
    pub fn used(&self, device: usize) -> u64 {
        machine().devices[device].used
    }

    /// The most of these at a time.
    #[must_use]
    pub fn peak(&self, device: usize) -> u64 {
        machine().devices[device].peak
    }

    /// Bytes of pinned memory.
    #[must_use]
    pub fn pinned(&self) -> u64 {
        machine().memory.pinned()
    }

    /// Buffers that there are.
    #[must_use]
    pub fn live(&self) -> usize {
        machine().memory.live()
    }

    /// How often a function was called.
    #[must_use]
    pub fn calls(&self, function: &str) -> u64 {
        machine().counts.get(function).copied().unwrap_or(0)
    }

    /// How many contexts this thread entered and did not leave.
    #[must_use]
    pub fn entered(&self) -> usize {
        calls::entered()
    }

    /// Events, streams, pools and modules that were made and not destroyed.
    #[must_use]
    pub fn handles(&self) -> usize {
        machine().handles()
    }

    /// How often a device's context was retained and not released.
    #[must_use]
    pub fn retained(&self, device: usize) -> u64 {
        machine().devices[device].retained
    }
}
