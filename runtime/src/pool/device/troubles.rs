//! A driver that fails somewhere: at its first call, at its second, and so on through a whole history, each in every
//! way. Whatever happens, nothing is handed out too early, and nothing is left on the books or on the device.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::histories::long;
use super::{
    Device, DeviceBackend, DeviceInfo, DeviceKind, DeviceMemory, DevicePool, Fault, Residence, Zero,
};
use crate::testing::{SimBuffer, SimDevice, SimFence, SimOrder, SimUsage};
use crate::{Cache, Domain, weigh};

const MB: u64 = 1 << 20;

/// How it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    Panics,
    Fails,
    HasNoMemory,
    IsLost,
}

/// A simulated device whose driver's call with a certain number goes wrong.
#[derive(Clone)]
struct Troubled {
    sim: SimDevice,
    calls: Arc<AtomicU64>,
    at: u64,
    trouble: Trouble,
}

impl Troubled {
    /// One more call, of any sort.
    fn call(&self) -> Result<(), Fault> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        match self.trouble {
            Trouble::IsLost if call >= self.at => Err(Fault::Lost("it fell down".to_owned())),
            _ if call != self.at => Ok(()),
            Trouble::Panics => panic!("call {call} panics"),
            Trouble::HasNoMemory => Err(Fault::OutOfMemory),
            Trouble::Fails | Trouble::IsLost => Err(Fault::other("a test said so")),
        }
    }

    /// One that can only panic.
    fn mute(&self) {
        let _ = self.call();
    }
}

impl DeviceBackend for Troubled {
    type Buffer = SimBuffer;
    type Usage = SimUsage;
    type Order = SimOrder;
    type Fence = SimFence;

    fn info(&self) -> DeviceInfo {
        self.mute();
        self.sim.info()
    }

    fn memory(&self) -> Result<DeviceMemory, Fault> {
        self.call().and_then(|()| self.sim.memory())
    }

    fn check(&self) -> Result<(), Fault> {
        self.call()
    }

    fn is_ordered(&self) -> bool {
        self.mute();
        self.sim.is_ordered()
    }

    fn hands_on(&self, usage: SimUsage) -> bool {
        self.mute();
        self.sim.hands_on(usage)
    }

    fn same(&self, a: &SimOrder, b: &SimOrder) -> bool {
        self.mute();
        self.sim.same(a, b)
    }

    fn create(&self, bytes: u64, usage: SimUsage, order: &SimOrder) -> Result<SimBuffer, Fault> {
        self.call().and_then(|()| self.sim.create(bytes, usage, order))
    }

    fn discard(&self, buffer: SimBuffer, touched: &[SimOrder]) {
        self.sim.discard(buffer, touched);
        self.mute();
    }

    fn fence(&self, order: &SimOrder) -> Result<SimFence, Fault> {
        self.call().and_then(|()| self.sim.fence(order))
    }

    fn done(&self, fence: &SimFence) -> Result<bool, Fault> {
        self.call().and_then(|()| self.sim.done(fence))
    }

    fn wait(&self, fences: &[Arc<SimFence>], most: Duration) -> Result<bool, Fault> {
        self.call().and_then(|()| self.sim.wait(fences, most))
    }

    fn order_after(&self, order: &SimOrder, fence: &SimFence) -> Result<(), Fault> {
        self.call().and_then(|()| self.sim.order_after(order, fence))
    }

    fn zero(&self, buffer: &SimBuffer, order: &SimOrder) -> Result<(), Fault> {
        self.call().and_then(|()| self.sim.zero(buffer, order))
    }

    fn creates_zeroed(&self) -> bool {
        self.mute();
        false
    }

    fn poll(&self) {
        self.mute();
        self.sim.poll();
    }

    fn trim(&self) {
        self.mute();
        self.sim.trim();
    }

    fn residence(&self, usage: SimUsage) -> Residence {
        self.mute();
        self.sim.residence(usage)
    }

    fn lent(&self, buffer: &SimBuffer, order: &SimOrder) {
        self.sim.lent(buffer, order);
        self.mute();
    }

    fn returned(&self, buffer: &SimBuffer) {
        self.sim.returned(buffer);
        self.mute();
    }
}

/// Passes over a panic, as a program does whose task failed.
fn goes_on<R>(step: impl FnOnce() -> R) -> Option<R> {
    catch_unwind(AssertUnwindSafe(step)).ok()
}

fn steps(device: &Device<Troubled>, pool: &DevicePool<Troubled>, sim: &SimDevice) {
    let work = |stream: &SimOrder, len, usage| {
        let lease = pool.acquire(len, usage, stream).ok()?;
        // What the host touches is touched by no stream here.
        if usage == SimUsage::Storage {
            sim.write(stream, &lease, len);
        }
        Some(lease)
    };
    for round in 0..2_usize {
        let streams = [sim.order(), sim.order()];
        let [here, there] = &streams;
        goes_on(|| drop(work(here, 1000, SimUsage::Storage)));
        goes_on(|| drop(work(there, 1000, SimUsage::Storage)));
        goes_on(|| drop(work(here, 1000, SimUsage::Mapped)));
        goes_on(|| {
            let lease = work(here, 100_000, SimUsage::Storage)?;
            if lease.use_on(there).is_ok() {
                sim.write(there, &lease, 1);
            }
            Some(())
        });
        // Larger than all classes, and more than there is beside the rest.
        goes_on(|| drop(work(here, 3 * MB, SimUsage::Storage)));
        goes_on(|| drop(work(there, 2 * MB, SimUsage::Storage)));
        goes_on(|| work(here, MB, SimUsage::Storage).map(super::DeviceLease::discard));
        goes_on(|| {
            let buffer = work(here, MB, SimUsage::Storage)?.detach();
            sim.discard(buffer, &streams);
            Some(())
        });
        let cache: Cache<usize, Arc<super::Resident<Troubled>>> =
            Cache::builder("tensors").weigh(weigh::entry).build_in(device.domain()).unwrap();
        goes_on(|| {
            let lease = work(there, MB, SimUsage::Storage)?;
            cache.insert(round, Arc::new(lease.into_resident()));
            Some(())
        });
        goes_on(|| cache.clear());
        goes_on(|| device.domain().tick());
        goes_on(|| drop(pool.stats().to_string()));
        streams.iter().for_each(|stream| sim.submit(stream));
        sim.advance(5);
        goes_on(|| device.trim(MB));
        goes_on(|| pool.clear());
        assert!(device.domain().budget().used() <= device.domain().budget().limit());
    }
}

#[test]
fn a_driver_may_fail_at_any_call_in_any_way() {
    let host = Domain::builder().limit_bytes(64 * MB).manual().build();
    let mut seen = 0;
    for (kind, recorded) in
        [(DeviceKind::Discrete, false), (DeviceKind::Integrated, false), (DeviceKind::Discrete, true)]
    {
        for trouble in [Trouble::Panics, Trouble::Fails, Trouble::HasNoMemory, Trouble::IsLost] {
            let mut ends = false;
            // One call in nine, another one in each of these.
            let every = long(1, 9);
            let mut at = seen % every;
            seen += 1;
            while !ends {
                let builder = SimDevice::builder().total_bytes(4 * MB).kind(kind);
                let sim = if recorded { builder.recorded().build() } else { builder.build() };
                let calls = Arc::default();
                let troubled = Troubled { sim: sim.clone(), calls: Arc::clone(&calls), at, trouble };
                let built = goes_on(|| {
                    let device = Device::builder("gpu:0", troubled).limit_bytes(5 * MB).manual();
                    let device = device.build_in(&host).ok()?;
                    let pool = device.pool("a").classes([4096, 131_072, MB, 2 * MB]).zero(Zero::OnReturn);
                    let pool = pool.build().ok()?;
                    Some((device, pool))
                });
                if let Some((device, pool)) = built.flatten() {
                    steps(&device, &pool, &sim);
                    sim.finish();
                    // The call that goes wrong may be one of these.
                    for _ in 0..3 {
                        goes_on(|| device.domain().tick());
                        goes_on(|| pool.clear());
                        // Zeroes are work, too.
                        sim.finish();
                    }
                    let left = (
                        pool.core().state.lock().gauges.bytes(),
                        device.domain().budget().used(),
                        sim.live(),
                    );
                    assert_eq!(
                        left,
                        (0, 0, 0),
                        "{trouble:?} at call {at}, {kind} {recorded}, the pool is there"
                    );
                    goes_on(|| drop(pool));
                    sim.finish();
                    goes_on(|| device.domain().tick());
                    assert_eq!(sim.hazards(), Vec::<String>::new(), "{trouble:?} at call {at}");
                    let left = (sim.used(), sim.live(), device.domain().budget().used());
                    assert_eq!(left, (0, 0, 0), "{trouble:?} at call {at}, {kind} {recorded}");
                }
                // Cards of those that are gone go with the next tick.
                host.tick();
                assert_eq!(host.budget().used(), 0, "{trouble:?} at call {at}, {kind} {recorded}");
                ends = calls.load(Ordering::Relaxed) <= at;
                at += every;
            }
            assert!(at > 100, "{at} calls");
        }
    }
}
