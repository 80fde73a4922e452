//! The machine behind the calls: devices, streams with steps, events, pools of memory, and what went wrong.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use crate::clock::Clock;
use crate::memory::{Home, Memory};
use crate::streams::{Event, Step, Stream};
use crate::{Pace, Setup};

pub(crate) const INVALID_VALUE: i32 = 1;
pub(crate) const OUT_OF_MEMORY: i32 = 2;
pub(crate) const INVALID_HANDLE: i32 = 400;
/// A kernel failed, and nothing works any more.
pub(crate) const LAUNCH_FAILED: i32 = 719;

/// Handles have numbers from here on.
const FIRST: u64 = 0x1000;
/// Numbers of the pools that devices have by themselves.
const OWN_POOLS: u64 = 0x200;

/// How a kernel was started.
#[derive(Clone, Debug)]
pub struct Launch {
    /// Blocks in each direction.
    pub blocks: [u32; 3],
    /// Threads of each block.
    pub threads: [u32; 3],
    /// Arguments, the bits of each from the lowest on.
    pub arguments: Vec<u64>,
}

/// What a kernel does; why it fails.
type Work = dyn Fn(&mut Memory, &Launch) -> Result<(), String> + Send + Sync;

/// A kernel that was loaded, or that a test brought.
#[derive(Clone)]
pub(crate) struct Kernel(Arc<Work>);

impl Kernel {
    pub(crate) fn new(
        kernel: impl Fn(&mut Memory, &Launch) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(kernel))
    }
}

pub(crate) struct Device {
    pub(crate) total: u64,
    pub(crate) others: u64,
    pub(crate) used: u64,
    pub(crate) peak: u64,
    pub(crate) retained: u64,
}

/// Memory that the driver keeps for streams.
pub(crate) struct MemoryPool {
    pub(crate) device: usize,
    pub(crate) used: u64,
    pub(crate) reserved: u64,
}

/// A function of a module, as it is started.
pub(crate) struct Function {
    pub(crate) name: String,
    /// How many bytes each parameter has.
    pub(crate) parameters: Vec<usize>,
    /// What its text says, or why that is not known.
    pub(crate) kernel: Result<Kernel, String>,
}

pub(crate) struct Machine {
    pub(crate) setup: Setup,
    pub(crate) devices: Vec<Device>,
    pub(crate) memory: Memory,
    pub(crate) streams: BTreeMap<u64, Stream>,
    pub(crate) events: HashMap<u64, Event>,
    pub(crate) pools: HashMap<u64, MemoryPool>,
    /// Texts, and their functions.
    pub(crate) modules: HashMap<u64, String>,
    pub(crate) functions: HashMap<u64, Function>,
    pub(crate) taught: HashMap<String, Kernel>,
    /// What the host knows to be done.
    pub(crate) known: Clock,
    pub(crate) hazards: Vec<String>,
    pub(crate) failing: Vec<(&'static str, u64, i32)>,
    pub(crate) lost: Option<i32>,
    pub(crate) counts: HashMap<&'static str, u64>,
    next: u64,
    turn: u64,
}

static MACHINE: LazyLock<Mutex<Machine>> = LazyLock::new(|| {
    // As a library of its own, with nobody to set it up.
    let setup = Setup { devices: vec![1 << 30], pace: Pace::Late(1), ..Setup::default() };
    Mutex::new(Machine::new(setup))
});

/// The one machine. A test that failed must not fail the next.
pub(crate) fn machine() -> MutexGuard<'static, Machine> {
    MACHINE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Machine {
    pub(crate) fn new(setup: Setup) -> Self {
        let device = |total: &u64| Device { total: *total, others: 0, used: 0, peak: 0, retained: 0 };
        let devices: Vec<Device> = setup.devices.iter().map(device).collect();
        // Each device's own stream has its number.
        let streams = (0..devices.len()).map(|device| (device as u64, Stream::new(device))).collect();
        Self {
            setup,
            devices,
            memory: Memory::default(),
            streams,
            events: HashMap::new(),
            pools: HashMap::new(),
            modules: HashMap::new(),
            functions: HashMap::new(),
            taught: HashMap::new(),
            known: Clock::default(),
            hazards: Vec::new(),
            failing: Vec::new(),
            lost: None,
            counts: HashMap::new(),
            next: FIRST,
            turn: 0,
        }
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub(crate) fn handles(&self) -> usize {
        let live = self.streams.values().filter(|stream| !stream.destroyed).count() - self.devices.len();
        let pools = self.pools.keys().filter(|number| **number >= FIRST).count();
        self.events.len() + pools + self.modules.len() + live
    }

    pub(crate) fn hazard(&mut self, text: impl Into<String>) {
        self.hazards.push(text.into());
    }

    /// Gives a stream a step that touches these ranges: address, bytes, whether it writes.
    pub(crate) fn give(&mut self, stream: u64, step: Step, touched: &[(u64, u64, bool)]) -> Result<(), i32> {
        let entry = self.streams.get_mut(&stream).filter(|entry| !entry.destroyed);
        let entry = entry.ok_or(INVALID_HANDLE)?;
        entry.given += 1;
        entry.before.join(&self.known);
        entry.before.set(stream, entry.given);
        entry.steps.push_back(step);
        let (place, before) = ((stream, entry.given), entry.before.clone());
        for (address, bytes, writes) in touched {
            if let Err(hazard) = self.memory.touch(*address, *bytes, *writes, place, &before) {
                self.hazard(hazard);
            }
        }
        Ok(())
    }

    pub(crate) fn record(&mut self, event: u64, stream: u64) -> Result<(), i32> {
        let entry = self.streams.get(&stream).filter(|entry| !entry.destroyed).ok_or(INVALID_HANDLE)?;
        let recorded = (stream, entry.given, entry.before.clone());
        let device = entry.device;
        let event = self.events.get_mut(&event).filter(|event| event.device == device);
        event.ok_or(INVALID_HANDLE)?.recorded = Some(recorded);
        Ok(())
    }

    pub(crate) fn wait_event(&mut self, stream: u64, event: u64) -> Result<(), i32> {
        let event = self.events.get(&event).ok_or(INVALID_HANDLE)?;
        let Some((other, steps, before)) = event.recorded.clone() else { return Ok(()) };
        self.give(stream, Step::Await(other, steps), &[])?;
        if let Some(entry) = self.streams.get_mut(&stream) {
            entry.before.join(&before);
        }
        Ok(())
    }

    fn is_done(&self, stream: u64, steps: u64) -> bool {
        self.streams.get(&stream).is_none_or(|entry| entry.done >= steps)
    }

    /// Whether all is done that an event stands for; then the host knows it.
    pub(crate) fn query(&mut self, event: u64) -> Result<bool, i32> {
        if let Pace::Late(steps) = self.setup.pace {
            self.advance(steps);
        }
        let event = self.events.get(&event).ok_or(INVALID_HANDLE)?;
        let Some((stream, steps, before)) = event.recorded.clone() else { return Ok(true) };
        let done = self.is_done(stream, steps);
        if done {
            self.known.join(&before);
        }
        Ok(done)
    }

    /// Works until a stream, or all of a device, has nothing left; then the host knows it.
    pub(crate) fn synchronize(&mut self, stream: Option<u64>, device: usize) -> Result<(), i32> {
        let is_meant =
            |number: u64, entry: &Stream| stream.map_or(entry.device == device, |one| one == number);
        loop {
            let left = self
                .streams
                .iter()
                .any(|(number, entry)| is_meant(*number, entry) && !entry.steps.is_empty());
            if !left {
                break;
            }
            // No more is done than somebody waits for.
            let own =
                stream.filter(|stream| self.streams.get(stream).is_some_and(|entry| self.is_free(entry)));
            let goes_on = match own {
                Some(stream) => self.step_of(stream),
                None => self.step(),
            };
            if !goes_on {
                self.hazard("streams wait for each other");
                return Err(LAUNCH_FAILED);
            }
        }
        for (number, entry) in &self.streams {
            if is_meant(*number, entry) {
                self.known.join(&entry.before);
            }
        }
        // The driver keeps nothing of its pools beyond this.
        let pools: Vec<u64> = self.pools.keys().copied().collect();
        pools.into_iter().for_each(|pool| self.trim(pool));
        Ok(())
    }

    pub(crate) fn advance(&mut self, steps: u64) -> u64 {
        let mut done = 0;
        while done < steps && self.step() {
            done += 1;
        }
        done
    }

    /// Whether a stream has a step that need not wait.
    fn is_free(&self, entry: &Stream) -> bool {
        match entry.steps.front() {
            Some(Step::Await(other, steps)) => self.is_done(*other, *steps),
            Some(_) => true,
            None => false,
        }
    }

    /// Does the first step of the next stream, in turn, that need not wait.
    fn step(&mut self) -> bool {
        let in_turn = self.streams.range(self.turn + 1..).chain(self.streams.range(..=self.turn));
        let Some(stream) = in_turn.filter(|(_, entry)| self.is_free(entry)).map(|(number, _)| *number).next()
        else {
            return false;
        };
        self.turn = stream;
        self.step_of(stream)
    }

    /// Does the first step of a stream.
    fn step_of(&mut self, stream: u64) -> bool {
        let Some(entry) = self.streams.get_mut(&stream) else { return false };
        entry.done += 1;
        let Some(step) = entry.steps.pop_front() else { return false };
        match step {
            Step::Begin | Step::Await(..) => {}
            Step::Copy { from, to, bytes } => {
                let copied = self.memory.read(from, bytes);
                self.memory.write(to, &copied);
            }
            Step::Fill { to, value, bytes } => self.memory.fill(to, value, bytes),
            Step::Free(block) => self.freed(block),
            Step::Run(kernel, launch) => {
                if let Err(why) = (kernel.0)(&mut self.memory, &launch) {
                    self.hazard(why);
                    self.lost = Some(LAUNCH_FAILED);
                }
            }
        }
        true
    }

    /// Takes memory of a device; whether there is so much.
    pub(crate) fn take(&mut self, device: usize, bytes: u64) -> bool {
        let device = &mut self.devices[device];
        if device.used + device.others + bytes > device.total {
            return false;
        }
        device.used += bytes;
        device.peak = device.peak.max(device.used);
        true
    }

    pub(crate) fn take_from_pool(&mut self, pool: u64, bytes: u64) -> bool {
        let Some(MemoryPool { device, used, reserved }) = self.pools.get(&pool) else { return false };
        let more = (used + bytes).saturating_sub(*reserved);
        if !self.take(*device, more) {
            return false;
        }
        if let Some(pool) = self.pools.get_mut(&pool) {
            pool.used += bytes;
            pool.reserved += more;
        }
        true
    }

    /// The pool that a device has by itself, which lives as long as it does.
    pub(crate) fn own_pool(&mut self, device: usize) -> u64 {
        let number = OWN_POOLS + device as u64;
        self.pools.entry(number).or_insert(MemoryPool { device, used: 0, reserved: 0 });
        number
    }

    /// What the pool keeps of freed memory goes back to the device.
    pub(crate) fn trim(&mut self, pool: u64) {
        if let Some(pool) = self.pools.get_mut(&pool) {
            self.devices[pool.device].used -= pool.reserved - pool.used;
            pool.reserved = pool.used;
        }
    }

    /// A block's bytes are free.
    pub(crate) fn freed(&mut self, address: u64) {
        let Some((home, bytes)) = self.memory.owner(address) else { return };
        match home {
            Home::Device(device) => self.devices[device].used -= bytes,
            Home::Pool(pool) => {
                if let Some(pool) = self.pools.get_mut(&pool) {
                    pool.used -= bytes;
                }
            }
            Home::Host => {}
        }
        self.memory.forget(address);
    }
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine").field("setup", &self.setup).finish_non_exhaustive()
    }
}
