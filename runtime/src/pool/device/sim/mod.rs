//! A device that is only simulated, for tests: of larder's pools, and of programs that use them.
//!
//! It does nothing by itself and nothing by chance. Work waits until the test has it done; memory has the size, and the holes,
//! that the test gives it; any call fails when the test says so. And it judges each hand-out: a buffer that goes to a new holder
//! while work of an earlier one may still touch it is a hazard, and is on record with who and why.

mod machine;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::backend::{DeviceBackend, DeviceInfo, DeviceKind, DeviceMemory, Fault, Residence};
use crate::sync::Mutex;
use machine::{Before, Machine, Step, UNREAD};

/// What a simulated buffer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SimUsage {
    /// In the device's memory.
    Storage,
    /// In the device's memory, and for something else.
    Uniform,
    /// In the host's memory.
    Staging,
    /// In the host's memory, and the host reads and writes it as soon as it has it.
    Mapped,
}

/// A call of a simulated driver that can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SimCall {
    /// Making a buffer.
    Create,
    /// Making a fence.
    Fence,
    /// Asking a fence.
    Done,
    /// Waiting for fences.
    Wait,
    /// Putting an order behind a fence.
    OrderAfter,
    /// Zeroing a buffer.
    Zero,
    /// Freeing a buffer, which can only panic.
    Discard,
    /// Saying how much memory there is.
    Memory,
}

/// How a simulated driver fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SimFailure {
    /// It has no memory.
    OutOfMemory,
    /// The device is gone, from now on and for all calls.
    Lost,
    /// It reports some error.
    Error,
    /// The call panics.
    Panic,
}

struct Failing {
    call: SimCall,
    /// So many calls go well before.
    after: u64,
    failure: SimFailure,
}

struct Sim {
    kind: DeviceKind,
    max_buffer: u64,
    tells: bool,
    machine: Mutex<Machine>,
    failing: Mutex<Vec<Failing>>,
    lost: Mutex<bool>,
}

/// A device that is only simulated; clones are the same one.
///
/// # Examples
///
/// What must not happen, and is found: a buffer is used again while its first holder's work waits.
///
/// ```
/// use larder_runtime::device::DeviceBackend;
/// use larder_runtime::testing::{SimDevice, SimUsage};
///
/// let sim = SimDevice::builder().recorded().build();
/// let (first, second) = (sim.order(), sim.order());
/// let buffer = sim.create(256, SimUsage::Storage, &first)?;
/// sim.lent(&buffer, &first);
/// sim.write(&first, &buffer, 1);
/// sim.returned(&buffer);
/// sim.lent(&buffer, &second);
/// assert_eq!(sim.hazards().len(), 1);
/// # Ok::<(), larder_runtime::device::Fault>(())
/// ```
#[derive(Clone)]
pub struct SimDevice(Arc<Sim>);

/// Configures a [`SimDevice`].
#[derive(Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct SimDeviceBuilder {
    kind: DeviceKind,
    total: u64,
    max_buffer: u64,
    ordered: bool,
    fragments: bool,
    tells: bool,
    lag: usize,
}

/// Where a simulated device is given work: a stream, or, where work is recorded, an encoder.
#[derive(Clone, Debug)]
pub struct SimOrder(u64);

/// All that an order was given up to a moment.
#[derive(Debug)]
pub struct SimFence {
    order: u64,
    steps: u64,
    before: Before,
}

/// A buffer of a simulated device; it holds one number.
pub struct SimBuffer {
    id: u64,
    /// The host touches it.
    mapped: bool,
    sim: Arc<Sim>,
}

/// What a read will find.
#[derive(Clone, Debug)]
pub struct SimRead(Arc<AtomicU64>);

impl SimRead {
    /// What was found; `None` before the read was done.
    #[must_use]
    pub fn get(&self) -> Option<u64> {
        Some(self.0.load(Ordering::Acquire)).filter(|value| *value != UNREAD)
    }
}

impl SimDeviceBuilder {
    /// How much memory it has, in bytes; 1 GiB unless set.
    pub fn total_bytes(mut self, bytes: u64) -> Self {
        self.total = bytes;
        self
    }

    /// Its largest buffer, in bytes; unless set, as much as there is.
    pub fn max_buffer(mut self, bytes: u64) -> Self {
        self.max_buffer = bytes;
        self
    }

    /// What it is; [`DeviceKind::Discrete`] unless set.
    pub fn kind(mut self, kind: DeviceKind) -> Self {
        self.kind = kind;
        self
    }

    /// Work is recorded and submitted later, as with encoders; unless set it runs in streams.
    pub fn recorded(mut self) -> Self {
        self.ordered = false;
        self
    }

    /// Memory is a row of addresses: a buffer needs a hole of its size.
    pub fn fragments(mut self) -> Self {
        self.fragments = true;
        self
    }

    /// Fences are late: each says that it is reached when so many polls have come after it was.
    pub fn late_fences(mut self, polls: usize) -> Self {
        self.lag = polls;
        self
    }

    /// The driver does not say how much memory there is.
    pub fn silent(mut self) -> Self {
        self.tells = false;
        self
    }

    /// Builds the device.
    #[must_use]
    pub fn build(self) -> SimDevice {
        let Self { kind, total, max_buffer, ordered, fragments, tells, lag } = self;
        SimDevice(Arc::new(Sim {
            kind,
            max_buffer,
            tells,
            machine: Mutex::new(Machine::new(ordered, total, fragments, lag)),
            failing: Mutex::new(Vec::new()),
            lost: Mutex::new(false),
        }))
    }
}

impl SimDevice {
    /// Configures a device.
    pub fn builder() -> SimDeviceBuilder {
        SimDeviceBuilder {
            kind: DeviceKind::Discrete,
            total: 1 << 30,
            max_buffer: u64::MAX,
            ordered: true,
            fragments: false,
            tells: true,
            lag: 0,
        }
    }

    /// A new order.
    #[must_use]
    pub fn order(&self) -> SimOrder {
        SimOrder(self.0.machine.lock().new_order())
    }

    /// Has an order write a number to a buffer.
    pub fn write(&self, order: &SimOrder, buffer: &SimBuffer, value: u64) {
        self.0.machine.lock().give(order.0, Step::Write(buffer.id, value));
    }

    /// Has an order read a buffer.
    pub fn read(&self, order: &SimOrder, buffer: &SimBuffer) -> SimRead {
        let reading = Arc::new(AtomicU64::new(UNREAD));
        self.0.machine.lock().give(order.0, Step::Read(buffer.id, Arc::clone(&reading)));
        SimRead(reading)
    }

    /// Writes from the host, before all that is not done.
    pub fn write_now(&self, buffer: &SimBuffer, value: u64) {
        self.0.machine.lock().write_now(buffer.id, value);
    }

    /// What is in a buffer now.
    #[must_use]
    pub fn value(&self, buffer: &SimBuffer) -> u64 {
        self.0.machine.lock().value(buffer.id)
    }

    /// Has an order wait for what another was given so far.
    pub fn join(&self, order: &SimOrder, other: &SimOrder) {
        let mut machine = self.0.machine.lock();
        let (steps, before) = machine.fence(other.0);
        machine.order_after(order.0, other.0, steps, &before);
    }

    /// Submits what an order recorded; it takes nothing more. Streams have nothing to submit.
    pub fn submit(&self, order: &SimOrder) {
        self.0.machine.lock().submit(order.0);
    }

    /// Drops what an order recorded and did not submit.
    pub fn abandon(&self, order: &SimOrder) {
        self.0.machine.lock().abandon(order.0);
    }

    /// Does up to so many steps; returns how many.
    pub fn advance(&self, steps: u64) -> u64 {
        let mut machine = self.0.machine.lock();
        (0..steps).take_while(|_| machine.step()).count() as u64
    }

    /// Does all that can be done.
    pub fn finish(&self) {
        self.advance(u64::MAX);
    }

    /// Others use so many bytes of its memory.
    pub fn set_others(&self, bytes: u64) {
        self.0.machine.lock().others = bytes;
    }

    /// The next call of this sort fails.
    pub fn fail(&self, call: SimCall, failure: SimFailure) {
        self.fail_after(call, 0, failure);
    }

    /// One call of this sort fails, after so many that go well.
    pub fn fail_after(&self, call: SimCall, after: u64, failure: SimFailure) {
        self.0.failing.lock().push(Failing { call, after, failure });
    }

    /// Calls that were to fail, and did not yet, go well.
    pub fn forgive(&self) {
        self.0.failing.lock().clear();
    }

    /// Everything that was done and must not be: buffers in two hands, or in reach of an earlier holder's work.
    #[must_use]
    pub fn hazards(&self) -> Vec<String> {
        self.0.machine.lock().hazards.clone()
    }

    /// Bytes of its buffers, those included that are freed when their work is done.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.0.machine.lock().used
    }

    /// The most of these at a time.
    #[must_use]
    pub fn peak(&self) -> u64 {
        self.0.machine.lock().peak
    }

    /// Buffers that were made so far.
    #[must_use]
    pub fn creates(&self) -> u64 {
        self.0.machine.lock().creates
    }

    /// Buffers that were freed so far.
    #[must_use]
    pub fn discards(&self) -> u64 {
        self.0.machine.lock().discards
    }

    /// Buffers that there are.
    #[must_use]
    pub fn live(&self) -> usize {
        self.0.machine.lock().live()
    }

    /// Fails if it is this call's turn.
    fn call(&self, call: SimCall) -> Result<(), Fault> {
        if *self.0.lost.lock() {
            return Err(Fault::Lost("it was lost before".to_owned()));
        }
        let mut failing = self.0.failing.lock();
        let Some(at) = failing.iter().position(|failing| failing.call == call) else { return Ok(()) };
        if failing[at].after > 0 {
            failing[at].after -= 1;
            return Ok(());
        }
        let failure = failing.remove(at).failure;
        drop(failing);
        match failure {
            SimFailure::OutOfMemory => Err(Fault::OutOfMemory),
            SimFailure::Lost => {
                *self.0.lost.lock() = true;
                Err(Fault::Lost("a test said so".to_owned()))
            }
            SimFailure::Error => Err(Fault::other(format!("a test said that {call:?} fails"))),
            SimFailure::Panic => panic!("a test said that {call:?} panics"),
        }
    }
}

impl DeviceBackend for SimDevice {
    type Buffer = SimBuffer;
    type Usage = SimUsage;
    type Order = SimOrder;
    type Fence = SimFence;

    fn info(&self) -> DeviceInfo {
        let max_buffer = self.0.max_buffer.min(self.0.machine.lock().total);
        DeviceInfo { name: "simulated".to_owned(), kind: self.0.kind, alignment: 256, max_buffer }
    }

    fn memory(&self) -> Result<DeviceMemory, Fault> {
        self.call(SimCall::Memory)?;
        if !self.0.tells {
            return Ok(DeviceMemory { source: "nobody", ..DeviceMemory::default() });
        }
        let machine = self.0.machine.lock();
        Ok(DeviceMemory {
            total: Some(machine.total),
            free: Some(machine.total.saturating_sub(machine.used + machine.others)),
            budget: None,
            own: Some(machine.used),
            source: "simulation",
        })
    }

    fn check(&self) -> Result<(), Fault> {
        if *self.0.lost.lock() { Err(Fault::Lost("it was lost before".to_owned())) } else { Ok(()) }
    }

    fn is_ordered(&self) -> bool {
        self.0.machine.lock().ordered
    }

    fn hands_on(&self, usage: SimUsage) -> bool {
        usage != SimUsage::Mapped
    }

    fn same(&self, a: &SimOrder, b: &SimOrder) -> bool {
        a.0 == b.0
    }

    fn create(&self, bytes: u64, usage: SimUsage, order: &SimOrder) -> Result<SimBuffer, Fault> {
        self.call(SimCall::Create)?;
        let mapped = usage == SimUsage::Mapped;
        let order = Some(order.0).filter(|_| !mapped);
        let id = self.0.machine.lock().create(bytes, order).ok_or(Fault::OutOfMemory)?;
        Ok(SimBuffer { id, mapped, sim: Arc::clone(&self.0) })
    }

    fn discard(&self, buffer: SimBuffer, touched: &[SimOrder]) {
        let orders: Vec<u64> = touched.iter().map(|order| order.0).collect();
        self.0.machine.lock().discard(buffer.id, &orders);
        drop(buffer);
        let _ = self.call(SimCall::Discard);
    }

    fn fence(&self, order: &SimOrder) -> Result<SimFence, Fault> {
        self.call(SimCall::Fence)?;
        let (steps, before) = self.0.machine.lock().fence(order.0);
        Ok(SimFence { order: order.0, steps, before })
    }

    fn done(&self, fence: &SimFence) -> Result<bool, Fault> {
        self.call(SimCall::Done)?;
        Ok(self.0.machine.lock().is_seen(fence.order, fence.steps))
    }

    fn wait(&self, fences: &[Arc<SimFence>], most: Duration) -> Result<bool, Fault> {
        self.call(SimCall::Wait)?;
        let mut machine = self.0.machine.lock();
        loop {
            if fences.iter().any(|fence| machine.is_done(fence.order, fence.steps)) {
                machine.see_all();
                return Ok(true);
            }
            if most.is_zero() || !machine.step() {
                return Ok(false);
            }
        }
    }

    fn order_after(&self, order: &SimOrder, fence: &SimFence) -> Result<(), Fault> {
        self.call(SimCall::OrderAfter)?;
        self.0.machine.lock().order_after(order.0, fence.order, fence.steps, &fence.before);
        Ok(())
    }

    fn zero(&self, buffer: &SimBuffer, order: &SimOrder) -> Result<(), Fault> {
        self.call(SimCall::Zero)?;
        let mut machine = self.0.machine.lock();
        if machine.ordered && !buffer.mapped {
            machine.give(order.0, Step::Write(buffer.id, 0));
        } else {
            machine.write_now(buffer.id, 0);
        }
        Ok(())
    }

    fn poll(&self) {
        self.0.machine.lock().poll();
    }

    fn residence(&self, usage: SimUsage) -> Residence {
        match (self.0.kind, usage) {
            (DeviceKind::Discrete, SimUsage::Staging | SimUsage::Mapped) => Residence::Host,
            (DeviceKind::Discrete, _) => Residence::Device,
            _ => Residence::Both,
        }
    }

    fn lent(&self, buffer: &SimBuffer, order: &SimOrder) {
        self.0.machine.lock().lent(buffer.id, Some(order.0).filter(|_| !buffer.mapped));
    }

    fn returned(&self, buffer: &SimBuffer) {
        self.0.machine.lock().returned(buffer.id);
    }
}

impl Drop for SimBuffer {
    fn drop(&mut self) {
        self.sim.machine.lock().free(self.id);
    }
}

impl fmt::Debug for SimBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SimBuffer").field(&self.id).finish()
    }
}

impl fmt::Debug for SimDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimDevice")
            .field("kind", &self.0.kind)
            .field("used", &self.used())
            .finish_non_exhaustive()
    }
}
